//! How often something may be tried.
//! Promise: a place is taken before the work and given back when the try succeeds, so that fifty tries at once are
//! no more than fifty one after the other. Keys are fingerprints: no address lies in a counter.

mod budget;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use redis::{Script, aio::ConnectionManager};

pub use self::budget::{Account, Spending};

use super::{
    clock::{Clock, Instant, span},
    config::Config,
    error::Fault,
    remote,
    secret::{self, Secrets},
};

/// A limit: so many in a window, which begins with the first.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Names what is limited.
    pub name: &'static str,
    /// How many are let through in a window.
    pub most: u64,
    pub window: Duration,
}

/// Counts tries. Cheap to clone.
#[derive(Clone)]
pub struct Limiter(Arc<Counters>);

struct Counters {
    clock: Clock,
    secrets: Secrets,
    here: Mutex<Windows>,
    shared: Option<Redis>,
    /// How often each limit refused something.
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

struct Redis {
    connection: ConnectionManager,
    prefix: String,
    take: Script,
    settle: Script,
    spend: Script,
    /// Until when it is not asked, because it did not answer.
    away_until: Mutex<Option<tokio::time::Instant>>,
}

#[derive(Default)]
struct Windows {
    open: HashMap<String, Window>,
    purged_at: Option<Instant>,
}

struct Window {
    /// Tries that count.
    count: u64,
    /// Tries of which it is not known yet whether they count.
    pending: u64,
    until: Instant,
}

/// What is limited, and how many times the limit it has.
pub type Key = (String, u64);

/// Places that were taken. Dropped undecided (whoever tried is gone, and learns nothing) they are given back.
pub struct Taken {
    limiter: Limiter,
    keys: Vec<String>,
    /// Whether they were taken in this process, and not in Redis.
    here: bool,
    settled: bool,
}

/// Windows kept in memory at most; then those with a single try are forgotten.
const MOST_WINDOWS: usize = 500_000;
/// For how long a Redis that did not answer is not asked.
const AWAY_FOR: Duration = Duration::from_secs(1);
/// How long to wait when only tries that are not decided yet fill the window, in milliseconds.
const UNDECIDED_MS: u64 = 1_000;

/// All keys or none: KEYS; ARGV now, window, undecided (milliseconds), then the most of each key. Gives 0, or how long
/// to wait.
const TAKE: &str = "
local now, window, undecided = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local wait = 0
for at, key in ipairs(KEYS) do
  local most = tonumber(ARGV[3 + at])
  local open = redis.call('HMGET', key, 'count', 'pending', 'until')
  if most <= 0 then wait = math.max(wait, window) end
  if open[3] and tonumber(open[3]) > now then
    if tonumber(open[1]) >= most then wait = math.max(wait, tonumber(open[3]) - now)
    elseif tonumber(open[1]) + tonumber(open[2]) >= most then wait = math.max(wait, undecided) end
  end
end
if wait > 0 then return wait end
for _, key in ipairs(KEYS) do
  local ends = redis.call('HGET', key, 'until')
  if ends and tonumber(ends) > now then
    redis.call('HINCRBY', key, 'pending', 1)
  else
    redis.call('HSET', key, 'count', 0, 'pending', 1, 'until', now + window)
    redis.call('PEXPIRE', key, window)
  end
end
return 0";

/// Decides: KEYS; ARGV by how much the count grows.
const SETTLE: &str = "
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('HGET', key, 'pending') or '0') > 0 then
    redis.call('HINCRBY', key, 'pending', -1)
    redis.call('HINCRBY', key, 'count', tonumber(ARGV[1]))
  end
end";

impl Limiter {
    /// Counts in Redis when it is set, else in this process.
    ///
    /// # Errors
    /// When REDIS_URL is no address; in words for an operator.
    pub fn from_config(config: &Config, clock: Clock, secrets: Secrets) -> Result<Self, String> {
        let shared = match &config.shared.redis_url {
            None => None,
            Some(url) => {
                let connection = remote::connect(remote::client(url)?, Duration::from_millis(500))?;
                Some(Redis {
                    connection,
                    prefix: config.shared.redis_prefix.clone(),
                    take: Script::new(TAKE),
                    settle: Script::new(SETTLE),
                    spend: Script::new(budget::SPEND),
                    away_until: Mutex::default(),
                })
            }
        };
        Ok(Self(Arc::new(Counters { clock, secrets, here: Mutex::default(), shared, refused: Mutex::default() })))
    }

    /// Takes a place under every key, or under none.
    ///
    /// # Errors
    /// RATE_LIMITED with the time to wait when one of them is full.
    pub async fn take(&self, limit: Limit, keys: &[Key]) -> Result<Taken, Fault> {
        let keys: Vec<Key> =
            keys.iter().map(|(key, times)| (self.fingerprint(limit.name, key), limit.most * times)).collect();
        let ask = async |redis: &Redis| redis.take(limit.window, &keys, self.0.clock.now()).await;
        let (wait, here) = match self.in_redis(ask).await {
            Some(wait) => (wait, false),
            None => (self.take_here(limit.window, &keys), true),
        };
        match wait {
            None => {
                let keys = keys.into_iter().map(|(key, _)| key).collect();
                Ok(Taken { limiter: self.clone(), keys, here, settled: false })
            }
            Some(wait) => {
                self.note_refusal(limit.name);
                Err(Fault::RateLimited(wait))
            }
        }
    }

    /// What Redis says. None: there is none, or it does not answer, and this instance counts by itself.
    async fn in_redis<T>(&self, ask: impl AsyncFnOnce(&Redis) -> redis::RedisResult<T>) -> Option<T> {
        let redis = self.0.shared.as_ref().filter(|redis| !redis.is_away())?;
        ask(redis).await.inspect_err(|cause| redis.let_be(cause)).ok()
    }

    fn note_refusal(&self, limit: &'static str) {
        *self.0.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(limit).or_default() += 1;
    }

    /// How often each limit refused something on this instance.
    pub fn refusals(&self) -> Vec<(&'static str, u64)> {
        let refused = self.0.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.iter().map(|(limit, number)| (*limit, *number)).collect()
    }

    fn fingerprint(&self, name: &str, key: &str) -> String {
        let mac = self.0.secrets.mac("limits", &[name.as_bytes(), key.as_bytes()]);
        secret::hex(&mac[..16])
    }

    fn take_here(&self, window: Duration, keys: &[Key]) -> Option<Duration> {
        let now = self.0.clock.now();
        let mut windows = self.0.here.lock().unwrap_or_else(PoisonError::into_inner);
        windows.purge(now);
        if let Some(wait) = keys.iter().filter_map(|(key, most)| windows.wait(key, *most, window, now)).max() {
            return Some(wait);
        }
        let until = now + span(window);
        for (key, _) in keys {
            let window = windows.open.entry(key.clone()).or_insert(Window { count: 0, pending: 0, until });
            if window.until <= now {
                *window = Window { count: 0, pending: 0, until };
            }
            window.pending += 1;
        }
        None
    }
}

impl Taken {
    /// Gives the places back: only failures count, and this was none.
    pub async fn give_back(self) {
        self.settle(false).await;
    }

    /// The try counts.
    pub async fn keep(self) {
        self.settle(true).await;
    }

    async fn settle(mut self, counts: bool) {
        self.settled = true;
        match &self.limiter.0.shared {
            Some(redis) if !self.here => redis.settle(&self.keys, counts).await,
            Some(_) | None => self.settle_here(counts),
        }
    }

    fn settle_here(&self, counts: bool) {
        let mut windows = self.limiter.0.here.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &self.keys {
            if let Some(window) = windows.open.get_mut(key) {
                window.pending = window.pending.saturating_sub(1);
                window.count += u64::from(counts);
            }
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        if self.here {
            return self.settle_here(false);
        }
        let (limiter, keys) = (self.limiter.clone(), std::mem::take(&mut self.keys));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Some(redis) = &limiter.0.shared {
                    redis.settle(&keys, false).await;
                }
            });
        }
    }
}

impl Windows {
    /// How long a key must wait. None: there is a place.
    fn wait(&self, key: &str, most: u64, window: Duration, now: Instant) -> Option<Duration> {
        if most == 0 {
            return Some(window);
        }
        let open = self.open.get(key).filter(|open| open.until > now)?;
        if open.count >= most {
            return Some((open.until - now).to_std().unwrap_or_default());
        }
        (open.count + open.pending >= most).then_some(Duration::from_millis(UNDECIDED_MS))
    }
    /// Forgets what is over, once a minute, and once a second when there is too much; then also those who tried little.
    fn purge(&mut self, now: Instant) {
        let full = self.open.len() >= MOST_WINDOWS;
        let pause = if full { TimeDelta::seconds(1) } else { TimeDelta::minutes(1) };
        if self.purged_at.is_some_and(|at| now - at < pause) {
            return;
        }
        self.purged_at = Some(now);
        let busy = |window: &Window| window.count + window.pending > u64::from(full);
        self.open.retain(|_, window| window.until > now && busy(window));
    }
}

impl Redis {
    /// Whether it did not answer a moment ago: asking it again would only keep everybody waiting.
    fn is_away(&self) -> bool {
        let until = self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| tokio::time::Instant::now() < until)
    }

    fn let_be(&self, cause: &redis::RedisError) {
        tracing::warn!(cause = %cause.category(), "Redis does not count: this instance counts by itself for a while");
        let until = tokio::time::Instant::now() + AWAY_FOR;
        *self.away_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    fn key(&self, key: &str) -> String {
        format!("{}:limit:{key}", self.prefix)
    }

    async fn take(&self, window: Duration, keys: &[Key], now: Instant) -> redis::RedisResult<Option<Duration>> {
        let mut call = self.take.prepare_invoke();
        for (key, _) in keys {
            call.key(self.key(key));
        }
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        call.arg(now.timestamp_millis()).arg(window).arg(UNDECIDED_MS);
        for (_, most) in keys {
            call.arg(*most);
        }
        let wait: u64 = call.invoke_async(&mut self.connection.clone()).await?;
        Ok((wait > 0).then(|| Duration::from_millis(wait)))
    }

    async fn settle(&self, keys: &[String], counts: bool) {
        let mut call = self.settle.prepare_invoke();
        for key in keys {
            call.key(self.key(key));
        }
        call.arg(u8::from(counts));
        if let Err(cause) = call.invoke_async::<()>(&mut self.connection.clone()).await {
            tracing::warn!(cause = %cause.category(), "Redis did not take a decision; the try counts until its window ends");
        }
    }
}
