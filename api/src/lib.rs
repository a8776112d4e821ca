//! Spacedly: the backend of a smart task manager. The map of the house is in the README.

pub mod accounts;
pub mod analytics;
pub mod app;
pub mod attachments;
pub mod cli;
pub mod http;
pub mod notifications;
pub mod platform;
pub mod reminders;
pub mod schema;
pub mod server;
pub mod tasks;
pub mod worker;

/// The contract, made without touching anything: an app over a database in memory, with no settings.
///
/// # Errors
/// When the parts cannot be put together.
pub async fn sdl() -> Result<String, String> {
    let folder = std::env::temp_dir().join(format!("spacedly-schema-{}", std::process::id()));
    let pairs = [("DATA_DIR", folder.display().to_string())];
    let config = platform::config::Config::from_pairs(pairs).map_err(|problems| problems.join("; "))?;
    let app = app::App::build(config, app::Handed::default()).await?;
    let sdl = app.schema().sdl();
    drop(app);
    std::fs::remove_dir_all(&folder).map_err(|e| e.to_string())?;
    Ok(sdl)
}
