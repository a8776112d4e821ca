//! What every room stands on, without a word of any feature: configuration, clock, randomness, secrets, database,
//! jobs, bus, cache, mail, errors, pages, metrics, traces.
//! Promise: built once from [`config::Config`], handed in everywhere, never reached through a global.

pub mod bus;
pub mod cache;
pub mod calendar;
pub mod change;
pub mod clock;
pub mod config;
pub mod crash;
pub mod db;
pub mod error;
pub mod examine;
pub mod export;
pub mod facts;
pub mod fields;
pub mod idempotency;
pub mod input;
pub mod jobs;
pub mod limiter;
pub mod live;
pub mod mail;
pub mod metrics;
pub mod migrations;
pub mod page;
pub mod push;
pub mod random;
pub mod remote;
pub mod scalars;
pub mod secret;
pub mod spool;
pub mod storage;
pub mod telemetry;
pub mod trace;
pub mod viewer;
pub mod walk;

use std::{ops::Deref, sync::Arc};

use self::{
    bus::Bus, clock::Clock, config::Config, db::Db, facts::Facts, limiter::Limiter, mail::Mailer, metrics::Metrics,
    push::Pusher, random::Random, secret::Secrets, storage::Storage, trace::Tracer,
};

/// Every part that has no feature in it. Cheap to clone.
#[derive(Clone)]
pub struct Platform(Arc<Parts>);

/// What a [`Platform`] is made of.
pub struct Parts {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub random: Random,
    pub secrets: Secrets,
    pub db: Db,
    pub bus: Bus,
    pub limiter: Limiter,
    pub mailer: Mailer,
    pub storage: Storage,
    pub pusher: Pusher,
    pub facts: Facts,
    pub metrics: Metrics,
    pub tracer: Tracer,
}

impl Platform {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// A new UUIDv7 of this instant.
    pub fn new_uuid(&self) -> uuid::Uuid {
        self.random.uuid_v7(self.clock.now())
    }
}

impl Deref for Platform {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
