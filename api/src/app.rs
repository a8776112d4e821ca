//! Every part, built once from the configuration, in one place that sees everything and is seen by nobody.

use std::{path::Path, sync::Arc};

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accounts::{self, Accounts},
    analytics::Figures,
    attachments,
    http::{Edge, Health, Places, Streams},
    notifications,
    platform::{
        Parts, Platform,
        bus::Bus,
        clock::Clock,
        config::Config,
        crash,
        db::{Db, StatementObserver},
        facts::Facts,
        limiter::Limiter,
        mail::Mailer,
        metrics::Metrics,
        migrations,
        push::{self, Pusher},
        random::Random,
        secret::{self, Secrets},
        storage::Storage,
        trace::Tracer,
    },
    reminders,
    schema::{Documents, Schema},
    tasks,
};

/// What a test hands in, and production leaves as it is.
#[derive(Default)]
pub struct Handed {
    pub clock: Clock,
    pub observer: Option<StatementObserver>,
}

/// The whole system.
pub struct App {
    pub platform: Platform,
    pub accounts: Arc<Accounts>,
    pub analytics: Arc<Figures>,
    documents: Arc<Documents>,
}

impl App {
    /// Opens the database and puts the parts together. Migrations are not applied: see [`App::migrate`].
    ///
    /// # Errors
    /// What stands in the way; in words for an operator.
    pub async fn build(config: Config, handed: Handed) -> Result<Self, String> {
        let Handed { clock, observer } = handed;
        crash::arm(config.faults.crash_at.as_ref());
        if let Some(path) = &config.faults.clock_offset_file {
            clock.advance(offset_in(path)?);
        }
        let random = Random::from_system()?;
        std::fs::create_dir_all(&config.server.data_dir)
            .map_err(|e| format!("DATA_DIR {} cannot be made: {e}", config.server.data_dir.display()))?;
        let secret = match &config.security.secret_key {
            Some(secret) => secret.expose_secret().as_bytes().to_vec(),
            None => secret::kept(&config.server.data_dir, &random)?,
        };
        let secrets = Secrets::new(&secret);
        let bus = Bus::from_config(&config, &random)?;
        let limiter = Limiter::from_config(&config, clock.clone(), secrets.clone())?;
        let db = Db::open(&config, clock.clone(), bus.clone(), observer).await?;
        let mailer = Mailer::from_config(&config, clock.clone())?;
        let storage = Storage::from_config(&config, &secrets)?;
        let pusher = pusher(&config, &secrets)?;
        let metrics = Metrics::new(config.watching.operations);
        let tracer = Tracer::from_config(&config, &clock, &random)?;
        let facts = Facts {
            on_task_changed: vec![reminders::on_task_changed, attachments::on_task_changed],
            on_session_stolen: vec![notifications::on_session_stolen],
            on_account_deleted: vec![attachments::on_account_deleted],
            on_day_changed: vec![notifications::on_day_changed, reminders::on_day_changed],
            on_held_messages: vec![reminders::on_held_messages],
            exports: vec![
                ("account", accounts::export),
                ("tasks", tasks::export),
                ("attachments", attachments::export),
                ("reminders", reminders::export),
                ("deliveries", reminders::export_deliveries),
                ("notifications", notifications::export),
                ("completions", tasks::export_completions),
            ],
        };
        let platform = Platform::new(Parts {
            config: Arc::new(config),
            clock,
            random,
            secrets,
            db,
            bus,
            limiter,
            mailer,
            storage,
            pusher,
            facts,
            metrics,
            tracer,
        });
        let accounts = Accounts::new(platform.clone())?;
        let analytics = Arc::new(Figures::new(platform.clone()));
        let documents = Arc::new(Documents::from_config(&platform.config)?);
        Ok(Self { platform, accounts, analytics, documents })
    }

    /// Brings the tables up to date.
    ///
    /// # Errors
    /// What the database said.
    pub async fn migrate(&self) -> Result<(), String> {
        let taking_turns = self.platform.db.take_turns_to_migrate().await?;
        let migrated = migrations::up(self.platform.db.for_migrations()).await;
        taking_turns.end().await;
        migrated
    }

    /// Takes the last migration back.
    ///
    /// # Errors
    /// What the database said; or that a newer release was here.
    pub async fn migrate_down(&self) -> Result<(), String> {
        let taking_turns = self.platform.db.take_turns_to_migrate().await?;
        let migrated = migrations::down(self.platform.db.for_migrations()).await;
        taking_turns.end().await;
        migrated
    }

    /// The migrations, and where each stands: Applied, Pending, or Newer than this release.
    ///
    /// # Errors
    /// What the database said.
    pub async fn migrations(&self) -> Result<Vec<(String, &'static str)>, String> {
        migrations::status(self.platform.db.for_migrations()).await
    }

    /// The schema over all parts.
    pub fn schema(&self) -> Schema {
        let documents = self.documents.clone();
        Schema::new(self.platform.clone(), self.accounts.clone(), self.analytics.clone(), documents)
    }

    /// The edge, which serves until `stop`. `port` is the one that was taken.
    pub fn edge(&self, port: u16, stop: CancellationToken) -> Edge {
        let config = &self.platform.config;
        let mut origins = config.allowed_origins();
        let public_url = config.public_url(port).trim_end_matches('/').to_owned();
        origins.push(public_url.clone());
        self.platform.storage.served_at(config, &self.platform.secrets, &public_url);
        self.accounts.served_at(public_url);
        Edge {
            platform: self.platform.clone(),
            accounts: self.accounts.clone(),
            schema: self.schema(),
            analytics: self.analytics.clone(),
            health: Health::default(),
            sockets: Places::default(),
            streams: Streams::default(),
            uploads: Places::default(),
            origins,
            leaving: stop.clone(),
            stop,
            open_sockets: TaskTracker::new(),
            upload_slots: Arc::new(Semaphore::new(config.storage.uploads_at_once)),
            socket_slots: Arc::new(Semaphore::new(config.limits.connections)),
        }
    }
}

/// By how much a fault run moves the clock on.
fn offset_in(path: &Path) -> Result<TimeDelta, String> {
    let wrong = || format!("CLOCK_OFFSET_FILE names {}, which must hold whole seconds", path.display());
    let seconds = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    seconds.and_then(TimeDelta::try_seconds).ok_or_else(wrong)
}

fn pusher(config: &Config, secrets: &Secrets) -> Result<Pusher, String> {
    let settings = &config.push;
    let sender = config.mail.from.rsplit('<').next().unwrap_or_default().trim_end_matches('>');
    Pusher::new(push::Settings {
        vapid_private_key: settings.vapid_private_key.clone(),
        vapid_subject: settings.vapid_subject.clone().unwrap_or_else(|| format!("mailto:{sender}")),
        timeout: settings.timeout,
        time_to_live: settings.time_to_live,
        allow_private: settings.allow_private,
        key_material: secrets.derive("web push"),
    })
}
