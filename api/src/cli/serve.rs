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
    let stop = stop_on_signal()?;
    let listener = server::bind(&config).await?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    let graphiql = config.graphiql();
    if graphiql && config.is_production() {
        tracing::warn!("GRAPHIQL=true: everybody can open GraphiQL in production");
    }
    if config.introspection() && config.is_production() {
        tracing::warn!("INTROSPECTION=true: everybody can ask for the schema in production");
    }
    if let Some(setting) = config.shows_codes_to_others() {
        tracing::warn!(
            "{setting} says that others reach this server, which is one for development: /dev/mailbox shows everybody's \
             codes to whoever reaches it. For people other than you set ENVIRONMENT=production"
        );
    }
    let Some(app) = begin(config, &stop).await? else { return Ok(()) };
    println!("Spacedly listens on http://{address}");
    println!("  GraphQL   http://{address}/graphql");
    if graphiql {
        println!("  GraphiQL  http://{address}/");
    }
    if app.platform.mailer.mailbox().is_some() {
        println!("  Mailbox   http://{address}/dev/mailbox");
    }
    let work = async {
        if works {
            worker::run(app.clone(), stop.clone()).await;
        }
    };
    let (served, ()) = tokio::join!(server::serve(app.clone(), listener, stop.clone()), work);
    app.platform.tracer.stop().await;
    app.platform.bus.flush().await;
    served.map_err(|e| e.to_string())
}

/// Does the background work alone.
#[expect(clippy::print_stdout, reason = "that it began is told to whoever started it")]
pub(super) async fn work(config: Config) -> Result<(), String> {
    telemetry::start(&config)?;
    let stop = stop_on_signal()?;
    let listener = server::bind_worker(&config).await?;
    let Some(app) = begin(config, &stop).await? else { return Ok(()) };
    match &listener {
        Some(listener) => {
            let address = listener.local_addr().map_err(|e| e.to_string())?;
            println!("Spacedly works, and says how it is at http://{address}");
        }
        None => println!("Spacedly works"),
    }
    let done = CancellationToken::new();
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
    watched.map_err(|e| e.to_string())
}

/// Builds the parts and brings the tables up to date. None: it was told to stop before it had begun.
async fn begin(config: Config, stop: &CancellationToken) -> Result<Option<Arc<App>>, String> {
    let begun = stop.run_until_cancelled(async {
        let app = App::build(config, Handed::default()).await?;
        app.migrate().await?;
        Ok(Arc::new(app))
    });
    begun.await.transpose()
}

/// Cancelled by the signal to stop. It is heard from now on: the first process of a container that hears none would start
/// all the same, and be killed.
fn stop_on_signal() -> Result<CancellationToken, String> {
    let stop = CancellationToken::new();
    let told = stop.clone();
    #[cfg(unix)]
    let mut terminate = {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::terminate()).map_err(|e| format!("signals cannot be heard: {e}"))?
    };
    tokio::spawn(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
        tracing::info!("stopping: what runs may finish");
        told.cancel();
    });
    Ok(stop)
}
