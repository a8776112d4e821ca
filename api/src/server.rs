//! Our own accept loop around poem's endpoint: no delay, a time for headers and for reading answers, a cap on
//! connections, and an end that waits for what runs.
//! Promise: nobody holds a connection for long who neither asks nor reads. So HTTP/1.1 alone is spoken, as proxies do
//! to what is behind them and browsers where there is no TLS: one of HTTP/2 lasts for as long as it answers pings.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::{
    Addr, EndpointExt, IntoEndpoint,
    endpoint::DynEndpoint,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{app::App, http, platform::config::Config};

/// Takes the address of the configuration.
///
/// # Errors
/// When it is taken or not ours; in words for an operator.
pub async fn bind(config: &Config) -> Result<TcpListener, String> {
    bind_to(config, "PORT", config.server.port).await
}

/// Takes the address at which a worker tells how it is. None: it tells nobody.
///
/// # Errors
/// When it is taken or not ours; in words for an operator.
pub async fn bind_worker(config: &Config) -> Result<Option<TcpListener>, String> {
    let Some(port) = config.server.worker_port else { return Ok(None) };
    bind_to(config, "WORKER_PORT", port).await.map(Some)
}

async fn bind_to(config: &Config, setting: &str, port: u16) -> Result<TcpListener, String> {
    let host = config.server.host.as_str();
    let bound = TcpListener::bind((host, port)).await;
    bound.map_err(|e| format!("HOST {host} and {setting} {port} cannot be used: {e}"))
}

/// Tells how a worker is until it is done: from the moment on at which it is told to stop, that it is not ready.
///
/// # Errors
/// When the listener has no address.
pub async fn watch(
    app: Arc<App>,
    listener: TcpListener,
    told: CancellationToken,
    done: CancellationToken,
) -> std::io::Result<()> {
    let mut edge = app.edge(listener.local_addr()?.port(), done.clone());
    edge.leaving = told;
    let (storage, until) = (app.platform.storage.clone(), done.clone());
    let preparing = tokio::spawn(async move { storage.prepare(until).await });
    let watched = accept(http::watch_routes(Arc::new(edge)), listener, app.platform.config.clone(), done).await;
    preparing.abort();
    watched
}

/// Serves the app until it is told to stop: then it says that it is not ready, takes connections for `SHUTDOWN_DELAY`
/// still, and ends as soon as what runs is done, after `SHUTDOWN_TIMEOUT` at most.
///
/// # Errors
/// When the listener has no address.
pub async fn serve(app: Arc<App>, listener: TcpListener, told: CancellationToken) -> std::io::Result<()> {
    let config = app.platform.config.clone();
    let stop = CancellationToken::new();
    let mut edge = app.edge(listener.local_addr()?.port(), stop.clone());
    edge.leaving = told.clone();
    let edge = Arc::new(edge);
    let (delay, later) = (config.shutdown_delay(), stop.clone());
    let leaving = tokio::spawn(async move {
        told.cancelled().await;
        // So that a proxy sees it before connections are refused.
        tokio::time::sleep(delay).await;
        later.cancel();
    });
    let (storage, until) = (app.platform.storage.clone(), stop.clone());
    let watching = tokio::spawn(app.accounts.clone().watch_ended_sessions());
    let own = storage.embedded().is_some();
    let mut preparing = tokio::spawn(async move { storage.prepare(until).await });
    if own {
        // Nothing has to be waited for but the disk: whoever comes first finds it ready.
        let _ = tokio::time::timeout(config.storage.timeout, &mut preparing).await;
    }
    accept(http::routes(edge.clone()), listener, config.clone(), stop).await?;
    leaving.abort();
    preparing.abort();
    watching.abort();
    edge.open_sockets.close();
    if tokio::time::timeout(config.operations.shutdown_timeout, edge.open_sockets.wait()).await.is_err() {
        tracing::warn!(sockets = edge.open_sockets.len(), "some sockets did not end in time and are cut");
    }
    Ok(())
}

/// The accept loop around any endpoint.
///
/// # Errors
/// When the listener has no address.
pub async fn accept(
    endpoint: impl IntoEndpoint<Endpoint: 'static>,
    listener: TcpListener,
    config: Arc<Config>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let local = listener.local_addr()?;
    let endpoint: Arc<dyn DynEndpoint<Output = poem::Response>> =
        Arc::new(poem::endpoint::ToDynEndpoint(endpoint.into_endpoint().map_to_response()));
    let slots = Arc::new(Semaphore::new(config.limits.connections));
    let tasks = TaskTracker::new();
    while let Some(Ok(slot)) = stop.run_until_cancelled(slots.clone().acquire_owned()).await {
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { break };
        let (socket, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(cause) => {
                // Out of file descriptors, most likely: those in use are given back with time.
                tracing::warn!(%cause, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let connection = serve_connection(socket, local, remote, endpoint.clone(), config.clone(), stop.clone());
        tasks.spawn(async move {
            connection.await;
            drop(slot);
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(config.operations.shutdown_timeout, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "some connections did not end in time and are cut");
    }
    Ok(())
}

/// What may lie on the way to a client, in bytes; Linux doubles it. Answers rarely have more.
const SEND_BUFFER: usize = 128 * 1024;

async fn serve_connection(
    socket: TcpStream,
    local: SocketAddr,
    remote: SocketAddr,
    endpoint: Arc<dyn DynEndpoint<Output = poem::Response>>,
    config: Arc<Config>,
    stop: CancellationToken,
) {
    // Answers are small and written at once: waiting to fill a packet only delays them.
    let _ = socket.set_nodelay(true);
    // A socket can be written to again once a third of its buffer was taken. Of the megabytes that Linux lets it grow to
    // who reads slowly takes so much in half a minute, and looks as if they took nothing (see `Impatient`).
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER);
    let cut = http::Cut::default();
    let cut_by_request = cut.clone();
    let has_asked = Arc::new(AtomicBool::new(false));
    let asks = has_asked.clone();
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        let endpoint = endpoint.clone();
        asks.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(cut_by_request.clone());
        async move {
            let parts =
                (request, LocalAddr(Addr::SocketAddr(local)), RemoteAddr(Addr::SocketAddr(remote)), Scheme::HTTP);
            let response = match endpoint.call(parts.into()).await {
                Ok(response) => response,
                Err(error) => error.into_response(),
            };
            Ok::<hyper::Response<_>, Infallible>(response.into())
        }
    });
    let mut builder = http1::Builder::new();
    // hyper's time for headers begins with the connection, and again with the end of each answer: it is also how long a
    // connection is kept between two requests, which must be longer than a proxy keeps it.
    builder.timer(TokioTimer::new()).header_read_timeout(config.limits.keep_alive).max_buf_size(64 * 1024);
    let socket = http::Impatient::new(socket, has_asked, config.limits.header_timeout, config.sockets.write_timeout);
    let connection = builder.serve_connection(TokioIo::new(socket), service).with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        _ = &mut connection => return,
        () = cut.0.cancelled() => return,
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = &mut connection => {}
        () = cut.0.cancelled() => {}
    }
}
