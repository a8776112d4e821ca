//! Budgets: points that are spent in a window, which begins with the first.
//! Promise: what would go beyond the budget is refused whole and costs nothing; what was spent on any instance counts on
//! all of them, and by each for itself while Redis is away.

use std::{sync::PoisonError, time::Duration};

use super::{Limit, Limiter, Redis, Window};
use crate::platform::clock::{Instant, span};

/// Where a budget stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Points of a window.
    pub limit: u64,
    /// Points that are left of it.
    pub remaining: u64,
    /// When the window ends, and all points are there again.
    pub resets_in: Duration,
}

/// What became of points that were to be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spending {
    /// They are spent.
    Paid(Account),
    /// There are not as many left.
    Refused(Account),
}

/// KEYS one; ARGV now, window (milliseconds), the most, the cost. Gives whether it was paid, what is spent, and how long
/// the window still lasts.
pub(super) const SPEND: &str = "
local now, window, most, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local open = redis.call('HMGET', KEYS[1], 'count', 'until')
local count, ends = tonumber(open[1] or '0'), tonumber(open[2] or '0')
if ends <= now then count, ends = 0, now + window end
ends = math.min(ends, now + window)
if count + cost > most then return {0, count, ends - now} end
redis.call('HSET', KEYS[1], 'count', count + cost, 'until', ends)
redis.call('PEXPIRE', KEYS[1], ends - now)
return {1, count + cost, ends - now}";

impl Limiter {
    /// Spends points of the budget that a key has, if there are as many left.
    pub async fn spend(&self, budget: Limit, key: &str, cost: u64) -> Spending {
        let key = self.fingerprint(budget.name, key);
        let now = self.0.clock.now();
        let ask = async |redis: &Redis| redis.spend(budget, &key, cost, now).await;
        let spending = match self.in_redis(ask).await {
            Some(spending) => spending,
            None => self.spend_here(budget, key, cost, now),
        };
        if matches!(spending, Spending::Refused(_)) {
            self.note_refusal(budget.name);
        }
        spending
    }

    fn spend_here(&self, budget: Limit, key: String, cost: u64, now: Instant) -> Spending {
        let mut windows = self.0.here.lock().unwrap_or_else(PoisonError::into_inner);
        windows.purge(now);
        let fresh = Window { count: 0, pending: 0, until: now + span(budget.window) };
        let open = windows.open.remove(&key).filter(|open| open.until > now).unwrap_or(fresh);
        let is_paid = open.count.saturating_add(cost) <= budget.most;
        let count = if is_paid { open.count.saturating_add(cost) } else { open.count };
        // A clock that was set back does not make the window longer.
        let until = open.until.min(now + span(budget.window));
        let resets_in = (until - now).to_std().unwrap_or_default();
        windows.open.insert(key, Window { count, until, ..open });
        spending(is_paid, budget, count, resets_in)
    }
}

fn spending(is_paid: bool, budget: Limit, count: u64, resets_in: Duration) -> Spending {
    let account = Account { limit: budget.most, remaining: budget.most.saturating_sub(count), resets_in };
    if is_paid { Spending::Paid(account) } else { Spending::Refused(account) }
}

impl Redis {
    async fn spend(&self, budget: Limit, key: &str, cost: u64, now: Instant) -> redis::RedisResult<Spending> {
        let mut call = self.spend.prepare_invoke();
        let window = u64::try_from(budget.window.as_millis()).unwrap_or(u64::MAX);
        call.key(self.key(key)).arg(now.timestamp_millis()).arg(window).arg(budget.most).arg(cost);
        let (is_paid, count, left): (u8, u64, u64) = call.invoke_async(&mut self.connection.clone()).await?;
        Ok(spending(is_paid == 1, budget, count, Duration::from_millis(left)))
    }
}
