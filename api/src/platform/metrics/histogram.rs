//! How long things took, in buckets.
//! Promise: an observation is two additions to atomics. (The library's histogram is behind a mutex, which every request
//! would take.)

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

/// Durations in buckets.
#[derive(Clone, Debug)]
pub(super) struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    /// The upper bounds in seconds, ascending.
    bounds: &'static [f64],
    /// One for each bound, and one for what is beyond all of them.
    counts: Box<[AtomicU64]>,
    /// Whole microseconds: of nanoseconds, a long outage with many deliveries would be too many.
    sum: AtomicU64,
}

impl Histogram {
    /// An empty one.
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets { bounds, counts, sum: AtomicU64::new(0) }))
    }

    /// Takes one in.
    pub(super) fn observe(&self, took: Duration) {
        let Buckets { bounds, counts, sum } = &*self.0;
        let seconds = took.as_secs_f64();
        let place = bounds.iter().position(|bound| seconds <= *bound).unwrap_or(bounds.len());
        if let Some(count) = counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        sum.fetch_add(u64::try_from(took.as_micros()).unwrap_or(0), Ordering::Relaxed);
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Buckets { bounds, counts, sum } = &*self.0;
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> =
            bounds.zip(counts.iter()).map(|(bound, count)| (bound, count.load(Ordering::Relaxed))).collect();
        // Not read from a counter of its own: the count must be what the buckets add up to.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let seconds = sum.load(Ordering::Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
