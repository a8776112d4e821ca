//! The commands.

use std::{process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};
use migration::{Migrator, MigratorTrait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, Handed},
    platform::{config::Config, telemetry},
    server, worker,
};

/// Threads for what blocks: files, passwords, images. With tokio's 512 a storm of small reads would start hundreds, and
/// each keeps memory of its own.
const BLOCKING_THREADS: usize = 16;

/// The backend of a smart task manager: one GraphQL endpoint, reminders that are kept.
#[derive(Parser)]
#[command(name = "spacedly", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Copy, Subcommand)]
enum Command {
    /// Serves the API and does the background work (the default).
    Serve,
    /// Brings the tables up to date, takes the last migration back, or tells where they stand.
    Migrate {
        #[command(subcommand)]
        direction: Direction,
    },
    /// Prints the schema.
    Schema,
    /// Asks the server of the same settings whether it is ready.
    Healthcheck,
}

#[derive(Clone, Copy, Subcommand)]
enum Direction {
    /// Applies what is missing.
    Up,
    /// Takes the last one back.
    Down,
    /// Lists them.
    Status,
}

/// Runs the command of the command line.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(problems) => return refuse("The settings cannot be used:", &problems),
    };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = match builder.enable_all().max_blocking_threads(BLOCKING_THREADS).build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse("The program cannot start:", &[error.to_string()]),
    };
    match runtime.block_on(act(cli.command.unwrap_or(Command::Serve), config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => refuse("Spacedly stops:", &[problem]),
    }
}

#[expect(clippy::print_stderr, reason = "problems at the start are told to whoever started it")]
fn refuse(headline: &str, problems: &[String]) -> ExitCode {
    eprintln!("{headline}");
    for problem in problems {
        eprintln!("- {problem}");
    }
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "the output of a command")]
async fn act(command: Command, config: Config) -> Result<(), String> {
    match command {
        Command::Serve => serve(config).await,
        Command::Migrate { direction } => migrate(config, direction).await,
        Command::Schema => {
            print!("{}", crate::sdl().await?);
            Ok(())
        }
        Command::Healthcheck => healthcheck(&config).await,
    }
}

#[expect(clippy::print_stdout, reason = "where it listens is told to whoever started it")]
async fn serve(config: Config) -> Result<(), String> {
    telemetry::start(&config)?;
    let listener = server::bind(&config).await?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    let graphiql = config.graphiql();
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
    let (served, ()) =
        tokio::join!(server::serve(app.clone(), listener, stop.clone()), worker::run(app.clone(), stop.clone()));
    signal.abort();
    served.map_err(|e| e.to_string())
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

#[expect(clippy::print_stdout, reason = "the output of a command")]
async fn migrate(config: Config, direction: Direction) -> Result<(), String> {
    let app = App::build(config, Handed::default()).await?;
    let db = app.platform.db.for_migrations();
    match direction {
        Direction::Up => Migrator::up(db, None).await.map_err(|e| e.to_string()),
        Direction::Down => Migrator::down(db, Some(1)).await.map_err(|e| e.to_string()),
        Direction::Status => {
            for migration in Migrator::get_migration_with_status(db).await.map_err(|e| e.to_string())? {
                println!("{:8} {}", migration.status().to_string(), migration.name());
            }
            Ok(())
        }
    }
}

/// One request by hand: a program this small need not bring an HTTP client along.
async fn healthcheck(config: &Config) -> Result<(), String> {
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
