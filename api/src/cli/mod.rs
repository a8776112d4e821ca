//! The commands: one file each, and what they have in common here.
//! Promise: a command that cannot do what it is asked says why and what to do, and ends with another code than 0.

mod backup;
mod doctor;
mod healthcheck;
mod migrate;
mod restored;
mod seed;
mod serve;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::platform::config::{self, Config};

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

#[derive(Clone, Subcommand)]
enum Command {
    /// Serves the API and does the background work (the default).
    Serve {
        /// Leaves the background work to others: `spacedly worker`, or instances without this.
        #[arg(long)]
        no_worker: bool,
    },
    /// Does the background work alone, and tells how it is at WORKER_PORT. Any number of them may run, on PostgreSQL.
    Worker,
    /// Brings the tables up to date, takes the last migration back, or tells where they stand.
    Migrate {
        #[command(subcommand)]
        direction: migrate::Direction,
    },
    /// Prints the schema.
    Schema,
    /// Prints every setting with its meaning and its default, in the form of `.env.example`.
    Settings,
    /// Asks the server, or the worker, of the same settings whether it is ready.
    Healthcheck {
        /// Asks only whether it lives, whatever its database does: for what starts it anew when it does not.
        #[arg(long)]
        live: bool,
    },
    /// Looks at the settings and at everything they lead to, and says how to mend what is wrong.
    Doctor,
    /// Makes example people with tasks, reminders and notifications of the last months. Not in production.
    Seed(seed::Wish),
    /// Copies what is kept in DATA_DIR (SQLite, files, the secret) into a new folder, while the server runs.
    Backup {
        /// The folder to be made. To restore, it becomes DATA_DIR.
        folder: PathBuf,
    },
    /// After restoring a backup, before the first start: settles what was sent between the backup and the loss.
    Restored {
        /// When the database was lost, like 2026-11-21T20:00:00Z: nothing was sent after it.
        #[arg(long, value_name = "RFC 3339")]
        lost_at: String,
    },
}

/// Runs the command of the command line.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = match builder.enable_all().max_blocking_threads(BLOCKING_THREADS).build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse("The program cannot start:", &[error.to_string()]),
    };
    let command = cli.command.unwrap_or(Command::Serve { no_worker: false });
    match runtime.block_on(act(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Settings(problems)) => refuse("The settings cannot be used:", &problems),
        Err(Stop::Told) => ExitCode::FAILURE,
        Err(Stop::Because(problem)) => refuse("Spacedly stops:", &[problem]),
    }
}

/// Why a command ends badly.
enum Stop {
    /// These settings are wrong.
    Settings(Vec<String>),
    /// This happened.
    Because(String),
    /// What is wrong has been told.
    Told,
}

impl From<String> for Stop {
    fn from(problem: String) -> Self {
        Self::Because(problem)
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
async fn act(command: Command) -> Result<(), Stop> {
    let config = || Config::from_env().map_err(Stop::Settings);
    match command {
        // These work whatever the settings are.
        Command::Settings => print!("{}", config::reference()),
        Command::Schema => print!("{}", crate::sdl().await?),
        Command::Doctor => return if doctor::run().await { Ok(()) } else { Err(Stop::Told) },
        Command::Serve { no_worker } => serve::serve(config()?, !no_worker).await?,
        Command::Worker => serve::work(config()?).await?,
        Command::Migrate { direction } => migrate::run(config()?, direction).await?,
        Command::Healthcheck { live } => healthcheck::run(&config()?, live).await?,
        Command::Seed(wish) => seed::run(config()?, wish).await?,
        Command::Backup { folder } => backup::run(&config()?, &folder).await?,
        Command::Restored { lost_at } => restored::run(config()?, &lost_at).await?,
    }
    Ok(())
}
