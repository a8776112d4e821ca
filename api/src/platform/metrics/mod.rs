//! What is counted while the program works, as Prometheus reads it.
//! Promise: counting costs a request three looks into small tables and some atomics, some hundred nanoseconds; it never
//! waits for whoever reads, and the number of metrics is bounded whatever clients send.

mod histogram;
mod names;
mod readings;

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::{Metric, Registry, Unit},
};

use self::{histogram::Histogram, names::Names, readings::Readings};
use super::Platform;

/// What is counted. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Instruments>);

struct Instruments {
    registry: Registry,
    names: Names,
    requests: Family<RequestLabels, Counter>,
    http_requests: Family<RouteLabels, Counter>,
    durations: Durations<KindLabel>,
    lateness: Durations<ChannelLabel>,
    jobs: Family<JobLabels, Counter>,
    open: Family<FormLabel, Gauge>,
    subscriptions: Gauge,
    readings: Readings,
}

type Durations<S> = Family<S, Histogram, fn() -> Histogram>;

/// An operation that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// Query, mutation, subscription, or refused: it is not known what it would have been.
    pub kind: &'static str,
    /// As the client calls it. Empty: it has no name.
    pub operation: &'a str,
    /// Whether whoever asked is logged in.
    pub by_somebody: bool,
    /// `ok`, or the code of its gravest error.
    pub outcome: &'static str,
    /// None: it has no duration that tells anything.
    pub took: Option<Duration>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    kind: &'static str,
    operation: Arc<str>,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ChannelLabel {
    channel: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct JobLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FormLabel {
    form: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

/// Seconds of requests.
const DURATIONS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Seconds by which deliveries are late: a second is the promise, a day an outage.
const LATENESS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 3_600.0, 21_600.0, 86_400.0];

/// Counts something as open until it is dropped.
pub struct Open(Gauge);

impl Open {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Puts a metric on the list of those that are shown.
fn listed<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

impl Metrics {
    /// Nothing counted yet, with room for so many names of operations.
    pub fn new(operations: usize) -> Self {
        let mut all = Registry::with_prefix("spacedly");
        let build = Info::new(BuildLabels { version: env!("CARGO_PKG_VERSION") });
        all.register("build", "What is running", build);
        let durations = Durations::new_with_constructor((|| Histogram::new(DURATIONS)) as fn() -> Histogram);
        let help = "How long answers took by kind of operation (http: it was none), until the answer began";
        all.register_with_unit("request_duration", help, Unit::Seconds, Family::clone(&durations));
        let lateness = Durations::new_with_constructor((|| Histogram::new(LATENESS)) as fn() -> Histogram);
        let help = "How long after their own moment deliveries were handed over, by channel";
        all.register_with_unit("delivery_lateness", help, Unit::Seconds, Family::clone(&lateness));
        let requests = "GraphQL operations by kind, name (other: beyond METRICS_OPERATIONS) and outcome, ok or the code of \
                        the gravest error; a subscription counts when it ends";
        let jobs = "Tries of jobs by kind and what came of them: done, retried (it waits for another), put_aside, panicked, \
                    handed_back (the worker stops)";
        let open = "WebSockets and event streams that are open";
        let instruments = Instruments {
            requests: listed(&mut all, "requests", requests, Family::default()),
            http_requests: listed(
                &mut all,
                "http_requests",
                "Requests that are no GraphQL operation",
                Family::default(),
            ),
            jobs: listed(&mut all, "jobs", jobs, Family::default()),
            open: listed(&mut all, "open_connections", open, Family::default()),
            subscriptions: listed(&mut all, "subscriptions", "Subscriptions that run", Gauge::default()),
            readings: Readings::listed_in(&mut all),
            durations,
            lateness,
            names: Names::new(operations),
            registry: all,
        };
        Self(Arc::new(instruments))
    }

    /// Counts an operation.
    pub fn answered(&self, answered: Answered<'_>) {
        let Answered { kind, operation, by_somebody, outcome, took } = answered;
        let operation = self.0.names.of(operation, by_somebody);
        self.0.requests.get_or_create(&RequestLabels { kind, operation, outcome }).inc();
        if let Some(took) = took {
            self.0.durations.get_or_create(&KindLabel { kind }).observe(took);
        }
    }

    /// Counts a request that is no operation, by the part of the program that it went to.
    pub fn routed(&self, route: &'static str, outcome: &'static str, took: Duration) {
        self.0.http_requests.get_or_create(&RouteLabels { route, outcome }).inc();
        self.0.durations.get_or_create(&KindLabel { kind: "http" }).observe(took);
    }

    /// Counts something that was handed over so long after its moment.
    pub fn delivered(&self, channel: &'static str, late: Duration) {
        self.0.lateness.get_or_create(&ChannelLabel { channel }).observe(late);
    }

    /// Counts tries of jobs. What alarms look for is there from the first try on: what begins at one has not increased.
    pub fn jobs(&self, kind: &'static str, outcome: &'static str, number: usize) {
        if number > 0 {
            for (outcome, number) in [("put_aside", 0), ("panicked", 0), (outcome, number as u64)] {
                self.0.jobs.get_or_create(&JobLabels { kind, outcome }).inc_by(number);
            }
        }
    }

    /// Counts a connection that stays open, until what it gives is dropped.
    pub fn open(&self, form: &'static str) -> Open {
        Open::new(self.0.open.get_or_create_owned(&FormLabel { form }))
    }

    /// Counts a subscription that runs, until what it gives is dropped.
    pub fn subscribed(&self) -> Open {
        Open::new(self.0.subscriptions.clone())
    }

    /// Takes down how often a cache had what was asked for.
    pub fn cache(&self, cache: &'static str, hits: u64, misses: u64) {
        self.0.readings.cache(cache, hits, misses);
    }

    /// Everything that is counted, in the text format of OpenMetrics, with what is looked up only when somebody asks.
    pub async fn read(&self, platform: &Platform) -> String {
        self.0.readings.look(platform).await;
        let mut written = String::with_capacity(16 * 1024);
        if text::encode(&mut written, &self.0.registry).is_err() {
            tracing::error!("metrics cannot be written");
        }
        written
    }
}
