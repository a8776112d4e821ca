//! `spacedly healthcheck`: asks the server, or the worker, of the same settings how it is.

use std::{
    io::{Error, ErrorKind},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::platform::config::Config;

/// How long it may take, whoever is asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks whether it is ready; or only whether it lives.
pub(super) async fn run(config: &Config, only_live: bool) -> Result<(), String> {
    let server = &config.server;
    let host = match server.host.as_str() {
        "0.0.0.0" | "::" => "127.0.0.1",
        host => host,
    };
    let path = if only_live { "/health/live" } else { "/health/ready" };
    let of_worker = server.worker_port.filter(|port| *port != server.port);
    let asked = async {
        match (ask(host, server.port, path).await, of_worker) {
            // A worker is not at PORT.
            (Err(error), Some(port)) if error.kind() == ErrorKind::ConnectionRefused => ask(host, port, path).await,
            (answer, _) => answer,
        }
    };
    let answer = match timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            return Err(format!(
                "nobody listens at PORT {}{} of {host}: start it, or ask with the settings that it was started with",
                server.port,
                of_worker.map(|port| format!(" or WORKER_PORT {port}")).unwrap_or_default()
            ));
        }
        Ok(Err(error)) => return Err(format!("the server cannot be reached: {error}")),
        Err(_) => return Err(format!("the server did not answer within {} s", PATIENCE.as_secs())),
    };
    if answer.starts_with("HTTP/1.1 200") {
        return Ok(());
    }
    let what = if only_live { "does not live" } else { "is not ready" };
    Err(format!("the server {what}: {}", answer.split("\r\n\r\n").nth(1).unwrap_or_default()))
}

/// One request by hand: a program this small need not bring an HTTP client along.
async fn ask(host: &str, port: u16, path: &str) -> Result<String, Error> {
    let mut socket = TcpStream::connect((host, port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    socket.take(64 * 1024).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
