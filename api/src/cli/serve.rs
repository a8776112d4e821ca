//! `spacedly serve` and `spacedly worker`: run until they are told to stop.
//! Promise: what runs when the signal comes may finish.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, Handed},
    platform::{config::Config, telemetry},
    server, worker,
};

/// Serves the API, and does the background work if it `works`.
#[expect(clippy::print_stdout, reason = "where it listens is told to whoever started it")]
pub(super) async fn serve(config: Config, works: bool) -> Result<(), String> {
    telemetry::start(&config)?;
    let listener = server::bind(&config).await?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    let graphiql = config.graphiql();
    if graphiql && config.is_production() {
        tracing::warn!("GRAPHIQL=true: everybody can open GraphiQL in production");
    }
    let app = Arc::new(App::build(config, Handed::default()).await?);
    app.migrate().await?;
    println!("Spacedly listens on http://{address}");
    println!("  GraphQL   http://{address}/graphql");
    if graphiql {
        println!("  GraphiQL  http://{address}/");
    }
    if app.platform.mailer.mailbox().is_some() {
        println!("  Mailbox   http://{address}/dev/mailbox");
    }
    let stop = CancellationToken::new();
    let signal = tokio::spawn(stop_on_signal(stop.clone()));
    let work = async {
        if works {
            worker::run(app.clone(), stop.clone()).await;
        }
    };
    let (served, ()) = tokio::join!(server::serve(app.clone(), listener, stop.clone()), work);
    app.platform.tracer.stop().await;
    app.platform.bus.flush().await;
    signal.abort();
    served.map_err(|e| e.to_string())
}

/// Does the background work alone.
#[expect(clippy::print_stdout, reason = "that it began is told to whoever started it")]
pub(super) async fn work(config: Config) -> Result<(), String> {
    telemetry::start(&config)?;
    let listener = server::bind_worker(&config).await?;
    let app = Arc::new(App::build(config, Handed::default()).await?);
    app.migrate().await?;
    match &listener {
        Some(listener) => {
            let address = listener.local_addr().map_err(|e| e.to_string())?;
            println!("Spacedly works, and says how it is at http://{address}");
        }
        None => println!("Spacedly works"),
    }
    let (stop, done) = (CancellationToken::new(), CancellationToken::new());
    let signal = tokio::spawn(stop_on_signal(stop.clone()));
    // It can be watched until its last job is done.
    let watched = async {
        match listener {
            Some(listener) => server::watch(app.clone(), listener, stop.clone(), done.clone()).await,
            None => Ok(()),
        }
    };
    let work = async {
        worker::run(app.clone(), stop.clone()).await;
        done.cancel();
    };
    let (watched, ()) = tokio::join!(watched, work);
    app.platform.tracer.stop().await;
    app.platform.bus.flush().await;
    signal.abort();
    watched.map_err(|e| e.to_string())
}

async fn stop_on_signal(stop: CancellationToken) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = tokio::signal::ctrl_c().await;
    tracing::info!("stopping: what runs may finish");
    stop.cancel();
}
