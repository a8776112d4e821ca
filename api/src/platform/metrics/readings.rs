//! What is looked up when somebody reads the metrics, and not counted as it happens.
//! Promise: however many read, the database is asked once in a while, in one statement whose cost does not grow with
//! what waits for another day.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use sea_orm::{DatabaseBackend, DatabaseConnection};
use tokio::{
    sync::Mutex,
    time::{Instant as Tick, timeout},
};

use super::listed;
use crate::platform::{
    Platform,
    jobs::{Depth, depth},
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct QueueLabels {
    kind: Arc<str>,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct QueueLabel {
    kind: Arc<str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CacheLabel {
    cache: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LimitLabel {
    limit: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PoolLabels {
    pool: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PoolLabel {
    pool: &'static str,
}

/// The metrics that are set when somebody reads.
pub(super) struct Readings {
    queue: Family<QueueLabels, Gauge>,
    oldest: Family<QueueLabel, Gauge<f64, AtomicU64>>,
    queue_known: Gauge,
    /// When the queue was looked at, and the kinds that were ever there.
    looked: Mutex<(Option<Tick>, BTreeSet<Arc<str>>)>,
    hits: Family<CacheLabel, Counter>,
    misses: Family<CacheLabel, Counter>,
    refusals: Family<LimitLabel, Counter>,
    connections: Family<PoolLabels, Gauge>,
    connections_most: Family<PoolLabel, Gauge>,
    bus_healthy: Gauge,
    mail_waits: Gauge,
}

impl Readings {
    /// None looked up yet.
    pub(super) fn listed_in(registry: &mut Registry) -> Self {
        let queue = "Jobs by kind and state: due (they could begin now), running, dead (put aside); what waits for a later \
                     moment is not counted, and each is counted up to METRICS_QUEUE_LIMIT, the dead of all kinds together";
        let queue_known = "1 while the database tells what the queue holds; at 0 its other metrics are those of before";
        let oldest = Family::<QueueLabel, Gauge<f64, AtomicU64>>::default();
        let help = "For how long the job that waits longest could have begun, by kind";
        registry.register_with_unit("queue_oldest", help, Unit::Seconds, oldest.clone());
        let bus = "1 while hints of other instances are heard, or there are none to hear";
        let mail = "1 while mails wait because the mail server could not be reached";
        let most = "Connections that a pool may have";
        Self {
            queue: listed(registry, "queue_jobs", queue, Family::default()),
            oldest,
            queue_known: listed(registry, "queue_known", queue_known, Gauge::default()),
            looked: Mutex::default(),
            hits: listed(registry, "cache_hits", "What a cache had", Family::default()),
            misses: listed(registry, "cache_misses", "What a cache had not", Family::default()),
            refusals: listed(registry, "limiter_refusals", "Tries that were refused, by limit", Family::default()),
            connections: listed(registry, "database_connections", "Connections by pool and state", Family::default()),
            connections_most: listed(registry, "database_connections_max", most, Family::default()),
            bus_healthy: listed(registry, "bus_healthy", bus, Gauge::default()),
            mail_waits: listed(registry, "mail_waits", mail, Gauge::default()),
        }
    }

    /// Takes down how often a cache had what was asked for.
    pub(super) fn cache(&self, cache: &'static str, hits: u64, misses: u64) {
        set(&self.hits.get_or_create(&CacheLabel { cache }), hits);
        set(&self.misses.get_or_create(&CacheLabel { cache }), misses);
    }

    /// Looks at everything.
    pub(super) async fn look(&self, platform: &Platform) {
        self.bus_healthy.set(i64::from(platform.bus.is_healthy()));
        self.mail_waits.set(i64::from(platform.mailer.waits()));
        for (limit, refused) in platform.limiter.refusals() {
            set(&self.refusals.get_or_create(&LimitLabel { limit }), refused);
        }
        self.pool("read", platform.db.read());
        self.pool("write", platform.db.for_migrations());
        self.look_at_queue(platform).await;
    }

    fn pool(&self, pool: &'static str, connection: &DatabaseConnection) {
        let (size, idle, most) = match connection.get_database_backend() {
            DatabaseBackend::Postgres => {
                let pool = connection.get_postgres_connection_pool();
                (pool.size(), pool.num_idle(), pool.options().get_max_connections())
            }
            _ => {
                let pool = connection.get_sqlite_connection_pool();
                (pool.size(), pool.num_idle(), pool.options().get_max_connections())
            }
        };
        let idle = i64::try_from(idle).unwrap_or(i64::MAX);
        let used = i64::from(size).saturating_sub(idle).max(0);
        self.connections.get_or_create(&PoolLabels { pool, state: "idle" }).set(idle);
        self.connections.get_or_create(&PoolLabels { pool, state: "used" }).set(used);
        self.connections_most.get_or_create(&PoolLabel { pool }).set(most.into());
    }

    /// Who comes while somebody looks waits for what that one sees.
    async fn look_at_queue(&self, platform: &Platform) {
        let config = &platform.config;
        let mut looked = self.looked.lock().await;
        let (at, kinds) = &mut *looked;
        if at.is_some_and(|at| at.elapsed() < config.watching.queue_every) {
            return;
        }
        *at = Some(Tick::now());
        let found = match timeout(config.operations.health_timeout, depth(platform)).await {
            Ok(Ok(found)) => found,
            Ok(Err(cause)) => {
                tracing::warn!(%cause, "what the queue holds cannot be looked up");
                self.queue_known.set(0);
                return;
            }
            Err(_) => {
                tracing::warn!("the database did not tell in time what the queue holds");
                self.queue_known.set(0);
                return;
            }
        };
        kinds.extend(found.keys().map(|kind| Arc::from(kind.as_str())));
        for kind in kinds.iter() {
            // One whose last job is gone has none, and is not forgotten.
            let Depth { due, running, dead, oldest } = found.get(&**kind).copied().unwrap_or_default();
            for (state, number) in [("due", due), ("running", running), ("dead", dead)] {
                self.queue.get_or_create(&QueueLabels { kind: kind.clone(), state }).set(number);
            }
            self.oldest.get_or_create(&QueueLabel { kind: kind.clone() }).set(oldest.as_secs_f64());
        }
        self.queue_known.set(1);
    }
}

/// What is counted elsewhere is only taken over.
fn set(counter: &Counter, value: u64) {
    counter.inner().store(value, Ordering::Relaxed);
}
