//! How often something may be tried.
//! Promise: a place is taken before the work and given back when the try succeeds, so that fifty tries at once are
//! no more than fifty one after the other. Keys are fingerprints: no address lies in a counter.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use redis::{Script, aio::ConnectionManager, aio::ConnectionManagerConfig};
use secrecy::ExposeSecret;

use super::{
    clock::{Clock, Instant},
    config::Config,
    error::Fault,
    secret::Secrets,
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
}

struct Redis {
    connection: ConnectionManager,
    prefix: String,
    take: Script,
    give_back: Script,
}

#[derive(Default)]
struct Windows {
    open: HashMap<String, Window>,
    purged_at: Option<Instant>,
}

struct Window {
    count: u64,
    until: Instant,
}

/// Places that were taken.
pub struct Taken {
    limiter: Limiter,
    keys: Vec<String>,
    /// Whether they were taken in this process, and not in Redis.
    here: bool,
}

/// Windows kept in memory at most; then those with a single try are forgotten.
const MOST_WINDOWS: usize = 500_000;

/// All keys or none: KEYS, then ARGV now, most, window (milliseconds). Gives 0, or how long to wait.
const TAKE: &str = "
local now, most, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local wait = 0
for _, key in ipairs(KEYS) do
  local open = redis.call('HMGET', key, 'count', 'until')
  if open[2] and tonumber(open[2]) > now and tonumber(open[1]) >= most then
    wait = math.max(wait, tonumber(open[2]) - now)
  end
end
if wait > 0 or most <= 0 then return math.max(wait, 1) end
for _, key in ipairs(KEYS) do
  local ends = redis.call('HGET', key, 'until')
  if ends and tonumber(ends) > now then
    redis.call('HINCRBY', key, 'count', 1)
  else
    redis.call('HSET', key, 'count', 1, 'until', now + window)
    redis.call('PEXPIRE', key, window)
  end
end
return 0";

const GIVE_BACK: &str = "
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('HGET', key, 'count') or '0') > 0 then redis.call('HINCRBY', key, 'count', -1) end
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
                let wrong = |_| "REDIS_URL must be like redis://host:6379/0".to_owned();
                let client = redis::Client::open(url.expose_secret()).map_err(wrong)?;
                let patience = Some(Duration::from_millis(500));
                let options = ConnectionManagerConfig::new()
                    .set_number_of_retries(1)
                    .set_max_delay(Duration::from_secs(1))
                    .set_connection_timeout(patience)
                    .set_response_timeout(patience);
                Some(Redis {
                    connection: ConnectionManager::new_lazy_with_config(client, options).map_err(wrong)?,
                    prefix: config.shared.redis_prefix.clone(),
                    take: Script::new(TAKE),
                    give_back: Script::new(GIVE_BACK),
                })
            }
        };
        Ok(Self(Arc::new(Counters { clock, secrets, here: Mutex::default(), shared })))
    }

    /// Takes a place under every key, or under none.
    ///
    /// # Errors
    /// RATE_LIMITED with the time to wait when one of them is full.
    pub async fn take(&self, limit: Limit, keys: &[String]) -> Result<Taken, Fault> {
        let keys: Vec<String> = keys.iter().map(|key| self.fingerprint(limit.name, key)).collect();
        let (wait, here) = match &self.0.shared {
            Some(redis) => match redis.take(limit, &keys, self.0.clock.now()).await {
                Ok(wait) => (wait, false),
                Err(cause) => {
                    tracing::warn!(cause = %cause.category(), "Redis does not count: this instance counts by itself");
                    (self.take_here(limit, &keys), true)
                }
            },
            None => (self.take_here(limit, &keys), true),
        };
        match wait {
            None => Ok(Taken { limiter: self.clone(), keys, here }),
            Some(wait) => Err(Fault::RateLimited(wait)),
        }
    }

    fn fingerprint(&self, name: &str, key: &str) -> String {
        let mac = self.0.secrets.mac("limits", &[name.as_bytes(), key.as_bytes()]);
        mac[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn take_here(&self, limit: Limit, keys: &[String]) -> Option<Duration> {
        let now = self.0.clock.now();
        let mut windows = self.0.here.lock().unwrap_or_else(PoisonError::into_inner);
        windows.purge(now);
        let full = |window: &Window| window.until > now && window.count >= limit.most;
        let wait = keys.iter().filter_map(|key| windows.open.get(key)).filter(|window| full(window));
        if let Some(until) = wait.map(|window| window.until).max() {
            return Some((until - now).to_std().unwrap_or_default());
        }
        let until = now + TimeDelta::from_std(limit.window).unwrap_or_default();
        for key in keys {
            let window = windows.open.entry(key.clone()).or_insert(Window { count: 0, until });
            if window.until <= now {
                *window = Window { count: 0, until };
            }
            window.count += 1;
        }
        None
    }
}

impl Taken {
    /// Gives the places back: the try succeeded, and only failures count.
    pub async fn give_back(self) {
        let counters = &self.limiter.0;
        if let Some(redis) = counters.shared.as_ref().filter(|_| !self.here) {
            if let Err(cause) = redis.give_back(&self.keys).await {
                tracing::warn!(cause = %cause.category(), "Redis did not take a place back");
            }
            return;
        }
        let mut windows = counters.here.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &self.keys {
            if let Some(window) = windows.open.get_mut(key) {
                window.count = window.count.saturating_sub(1);
            }
        }
    }
}

impl Windows {
    /// Forgets what is over, once a minute, and once a second when there is too much; then also those who tried little.
    fn purge(&mut self, now: Instant) {
        let full = self.open.len() >= MOST_WINDOWS;
        let pause = if full { TimeDelta::seconds(1) } else { TimeDelta::minutes(1) };
        if self.purged_at.is_some_and(|at| now - at < pause) {
            return;
        }
        self.purged_at = Some(now);
        self.open.retain(|_, window| window.until > now && window.count > u64::from(full));
    }
}

impl Redis {
    fn keys(&self, keys: &[String]) -> Vec<String> {
        keys.iter().map(|key| format!("{}:limit:{key}", self.prefix)).collect()
    }

    async fn take(&self, limit: Limit, keys: &[String], now: Instant) -> redis::RedisResult<Option<Duration>> {
        let mut call = self.take.prepare_invoke();
        for key in self.keys(keys) {
            call.key(key);
        }
        let window = u64::try_from(limit.window.as_millis()).unwrap_or(u64::MAX);
        call.arg(now.timestamp_millis()).arg(limit.most).arg(window);
        let wait: u64 = call.invoke_async(&mut self.connection.clone()).await?;
        Ok((wait > 0).then(|| Duration::from_millis(wait)))
    }

    async fn give_back(&self, keys: &[String]) -> redis::RedisResult<()> {
        let mut call = self.give_back.prepare_invoke();
        for key in self.keys(keys) {
            call.key(key);
        }
        call.invoke_async(&mut self.connection.clone()).await
    }
}
