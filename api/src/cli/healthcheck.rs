//! `spacedly healthcheck`: asks the server of the same settings whether it is ready.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::platform::config::Config;

/// One request by hand: a program this small need not bring an HTTP client along.
pub(super) async fn run(config: &Config) -> Result<(), String> {
    let host = match config.server.host.as_str() {
        "0.0.0.0" | "::" => "127.0.0.1",
        host => host,
    };
    let ask = async {
        let mut socket = tokio::net::TcpStream::connect((host, config.server.port)).await?;
        let request = format!("GET /health/ready HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        socket.take(64 * 1024).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = tokio::time::timeout(std::time::Duration::from_secs(5), ask)
        .await
        .map_err(|_| "the server did not answer within 5 s".to_owned())?
        .map_err(|e| format!("the server cannot be reached: {e}"))?;
    if answer.starts_with("HTTP/1.1 200") {
        Ok(())
    } else {
        Err(format!("the server is not ready: {}", answer.split("\r\n\r\n").nth(1).unwrap_or_default()))
    }
}
