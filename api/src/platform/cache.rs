//! What is dear to compute and asked for often, kept for a while for one person each.
//! Promise: a value that is found was begun after the last change that anybody told of, belongs to the person who asks,
//! and is not past the moment at which it turns wrong by itself. Many who ask at once wait for one computation; one that
//! fails is not kept.
//!
//! A value is kept under the number of its person's generation, which is taken before anything is read. A change gives
//! the person another number, which nobody had before: what was begun earlier may still be stored, is never found, and is
//! dropped when the next one is there.

use std::{
    hash::Hash,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use entity::UserId;
use moka::{future, policy::EvictionPolicy, sync};

use super::{
    bus::Bus,
    clock::{Clock, Instant, span},
    error::Fault,
};

/// People whose generation is known. Of somebody who is forgotten everything is computed anew.
const PEOPLE: u64 = 100_000;

/// The generations of everybody's values.
pub struct Generations {
    people: sync::Cache<UserId, u64>,
    /// Of everyone at once.
    all: AtomicU64,
    next: AtomicU64,
}

/// A generation: of everyone, and of one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Generation(u64, u64);

impl Default for Generations {
    fn default() -> Self {
        let people = sync::Cache::builder().max_capacity(PEOPLE).eviction_policy(EvictionPolicy::lru()).build();
        Self { people, all: AtomicU64::new(0), next: AtomicU64::new(1) }
    }
}

impl Generations {
    /// The one that a person is in now.
    pub fn of(&self, user: UserId) -> Generation {
        let all = self.all.load(Ordering::Acquire);
        Generation(all, self.people.get_with(user, || self.number()))
    }

    /// Something of this person has changed: what was begun before is not found any more.
    pub fn end(&self, user: UserId) {
        self.people.invalidate(&user);
    }

    /// Anything may have changed: nothing that was begun before is found any more.
    pub fn end_all(&self) {
        self.all.store(self.number(), Ordering::Release);
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// A value with the moment from which on it is wrong. None: it does not turn wrong by itself.
pub struct Computed<V> {
    pub value: V,
    pub wrong_from: Option<Instant>,
}

/// For how long values are kept.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// At most.
    pub longest: Duration,
    /// At most, while changes on other instances are not heard.
    pub unheard: Duration,
    /// Bytes of all of them together.
    pub bytes: u64,
}

/// Values of people, each under a key of its own: which one it is of the person's.
pub struct Cache<K, V> {
    values: future::Cache<(UserId, Generation, K), Result<Good<V>, Fault>>,
    /// The generation of each value that was stored last: the one before it only takes room.
    latest: sync::Cache<(UserId, K), Generation>,
    bus: Bus,
    clock: Clock,
    kept: Kept,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Clone)]
struct Good<V> {
    value: V,
    until: Instant,
}

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// An empty one. `bytes_of` says how large a value is.
    pub fn new(bus: Bus, clock: Clock, kept: Kept, bytes_of: fn(&V) -> usize) -> Self {
        let weigh = move |_: &(UserId, Generation, K), kept: &Result<Good<V>, Fault>| {
            let bytes = kept.as_ref().map_or(0, |good| bytes_of(&good.value));
            u32::try_from(bytes + OVERHEAD).unwrap_or(u32::MAX)
        };
        // By the machine's clock, for room; what is good is told by ours, at every look.
        let values = future::Cache::builder().time_to_live(kept.longest.max(Duration::from_millis(1)));
        let values = values.max_capacity(kept.bytes).weigher(weigh).eviction_policy(EvictionPolicy::lru()).build();
        let latest = sync::Cache::builder().max_capacity(PEOPLE).eviction_policy(EvictionPolicy::lru()).build();
        Self { values, latest, bus, clock, kept, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// The value of a person, kept or computed. `compute` reads the database; it is dropped unused when the value is
    /// there, or when somebody else is computing it.
    ///
    /// # Errors
    /// What the computation failed with.
    pub async fn get(
        &self,
        user: UserId,
        key: K,
        compute: impl Future<Output = Result<Computed<V>, Fault>>,
    ) -> Result<V, Fault> {
        let now = self.clock.now();
        let key = (user, self.bus.generations().of(user), key);
        if let Some(Ok(good)) = self.values.get(&key).await
            && now < good.until
        {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(good.value);
        }
        let heard = self.bus.hears_all();
        let longest = if heard { self.kept.longest } else { self.kept.unheard.min(self.kept.longest) };
        let begin = async {
            let Computed { value, wrong_from } = compute.await?;
            let last = now + span(longest);
            Ok(Good { value, until: wrong_from.map_or(last, |wrong| wrong.min(last)) })
        };
        let over = |kept: &Result<Good<V>, Fault>| kept.as_ref().map_or(true, |good| good.until <= now);
        let entry = self.values.entry(key).or_insert_with_if(begin, over).await;
        let counter = if entry.is_fresh() { &self.misses } else { &self.hits };
        counter.fetch_add(1, Ordering::Relaxed);
        if entry.is_fresh() {
            self.forget_the_one_before(entry.key()).await;
        }
        entry.into_value().map(|good| good.value)
    }

    /// Two that are computed at once may forget each other's: then one is computed again.
    async fn forget_the_one_before(&self, (user, generation, key): &(UserId, Generation, K)) {
        let whose = (*user, key.clone());
        let before = self.latest.get(&whose).filter(|before| before != generation);
        self.latest.insert(whose, *generation);
        if let Some(before) = before {
            self.values.invalidate(&(*user, before, key.clone())).await;
        }
    }

    /// How often a value was there, or was being computed for somebody else.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// How often one was computed.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }
}

/// What an entry takes besides its value, about.
const OVERHEAD: usize = 200;

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        sync::{Arc, atomic::AtomicU32},
    };

    use chrono::TimeDelta;
    use futures_util::future::join_all;
    use tokio::sync::Notify;
    use uuid::Uuid;

    use super::*;
    use crate::platform::{config::Config, random::Random};

    fn cache() -> (Arc<Cache<u8, u32>>, Bus, Clock) {
        let config = Config::from_pairs([]).expect("a configuration");
        let bus = Bus::from_config(&config, &Random::from_system().expect("randomness")).expect("a bus");
        let clock = Clock::default();
        let kept = Kept { longest: Duration::from_secs(300), unheard: Duration::from_secs(5), bytes: 100_000 };
        (Arc::new(Cache::new(bus.clone(), clock.clone(), kept, |_| 4)), bus, clock)
    }

    fn user(number: u128) -> UserId {
        UserId::from_uuid(Uuid::from_u128(number))
    }

    fn found(value: u32) -> impl Future<Output = Result<Computed<u32>, Fault>> {
        ready(Ok(Computed { value, wrong_from: None }))
    }

    #[tokio::test]
    async fn a_value_is_kept_for_its_person_and_key_until_it_is_old_or_told_of() {
        let (cache, bus, clock) = cache();
        let get = async |number, key, value| cache.get(user(number), key, found(value)).await.expect("a value");
        assert_eq!((get(1, 1, 10).await, get(1, 1, 11).await), (10, 10));
        assert_eq!((get(2, 1, 20).await, get(1, 2, 12).await), (20, 12), "another person, another key");
        clock.advance(TimeDelta::seconds(299));
        assert_eq!(get(1, 1, 13).await, 10);
        clock.advance(TimeDelta::seconds(2));
        assert_eq!((get(1, 1, 14).await, get(1, 1, 15).await), (14, 14));
        bus.generations().end(user(1));
        assert_eq!((get(1, 1, 16).await, get(1, 2, 17).await, get(2, 1, 20).await), (16, 17, 20));
        bus.generations().end_all();
        assert_eq!((get(1, 1, 18).await, get(2, 1, 21).await), (18, 21));
        assert_eq!((cache.hits(), cache.misses()), (3, 9));
    }

    #[tokio::test]
    async fn what_changes_all_the_time_takes_no_more_room() {
        let (cache, bus, _) = cache();
        for value in 0..1_000 {
            assert_eq!(cache.get(user(1), 1, found(value)).await.expect("a value"), value);
            assert_eq!(cache.get(user(2), 1, found(value)).await.expect("a value"), 0, "another person's stays");
            bus.generations().end(user(1));
        }
        cache.values.run_pending_tasks().await;
        assert_eq!(cache.values.entry_count(), 2);
    }

    #[tokio::test]
    async fn a_value_ends_at_the_moment_at_which_it_turns_wrong() {
        let (cache, _, clock) = cache();
        let wrong_from = Some(clock.now() + TimeDelta::seconds(10));
        let get =
            async |value| cache.get(user(1), 1, ready(Ok(Computed { value, wrong_from }))).await.expect("a value");
        assert_eq!((get(1).await, get(2).await), (1, 1));
        clock.advance(TimeDelta::seconds(11));
        assert_eq!((get(3).await, get(4).await), (3, 4), "what is wrong already is not kept");
    }

    #[tokio::test]
    async fn many_at_once_wait_for_one_also_when_a_value_is_old() {
        let (cache, _, clock) = cache();
        let computed = Arc::new(AtomicU32::new(0));
        for round in 1..=2 {
            let asks = (0..50).map(|_| {
                let computed = computed.clone();
                cache.get(user(1), 1, async move {
                    tokio::task::yield_now().await;
                    found(computed.fetch_add(1, Ordering::Relaxed) + 1).await
                })
            });
            let all = join_all(asks).await;
            assert!(all.iter().all(|value| matches!(value, Ok(value) if *value == round)), "{all:?}");
            clock.advance(TimeDelta::seconds(301));
        }
        assert_eq!(cache.misses(), 2);
    }

    #[tokio::test]
    async fn what_was_begun_before_a_change_is_never_found_after_it() {
        for everyone in [false, true] {
            let (cache, bus, _) = cache();
            let go_on = Arc::new(Notify::new());
            let (slow, gate) = (cache.clone(), go_on.clone());
            let begun = tokio::spawn(async move {
                let compute = async {
                    gate.notified().await;
                    found(1).await
                };
                slow.get(user(1), 1, compute).await
            });
            tokio::task::yield_now().await;
            if everyone {
                bus.generations().end_all()
            } else {
                bus.generations().end(user(1))
            }
            go_on.notify_one();
            assert_eq!(begun.await.expect("it ends").expect("a value"), 1, "who asked before gets what was then");
            assert_eq!(cache.get(user(1), 1, found(2)).await.expect("a value"), 2);
        }
    }

    #[tokio::test]
    async fn a_failure_is_not_kept_and_who_goes_away_keeps_nobody_waiting() {
        let (cache, _, _) = cache();
        let failed = cache.get(user(1), 1, ready(Err(Fault::Unavailable("away".into())))).await;
        assert!(matches!(failed, Err(Fault::Unavailable(_))));
        assert_eq!(cache.get(user(1), 1, found(1)).await.expect("a value"), 1);
        let first = cache.clone();
        let stuck = tokio::spawn(async move { first.get(user(1), 2, pending()).await });
        tokio::task::yield_now().await;
        let second = cache.clone();
        let waits = tokio::spawn(async move { second.get(user(1), 2, found(5)).await });
        tokio::task::yield_now().await;
        stuck.abort();
        assert_eq!(waits.await.expect("it ends").expect("a value"), 5);
    }
}
