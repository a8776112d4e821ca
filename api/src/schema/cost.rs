//! What a request costs, and what it is paid with.
//! Promise: the cost is known before anything runs, from the document and the sizes of the pages that it asks for; what
//! cannot be paid does not run.

use std::time::Duration;

use async_graphql::{Object, Response, ServerError};
use poem::http::{HeaderName, HeaderValue};

use super::Refused;
use crate::platform::{
    Platform,
    limiter::{Account, Limit, Spending},
    scalars::DateTime,
    viewer::{Caller, Origin},
};

/// Values of an answer that cost a point.
const VALUES_PER_POINT: u64 = 100;
/// What each mutation costs besides.
const MUTATION: u64 = 9;
/// What asking for the schema itself costs besides.
const INTROSPECTION: u64 = 9;

/// What a request asks for, all its pages filled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    /// Values that it may be answered with.
    pub(super) values: usize,
    /// Mutations.
    pub(super) mutations: usize,
    /// How often it asks for the schema itself.
    pub(super) introspections: usize,
}

impl Weight {
    /// In points.
    pub(super) fn points(self) -> u64 {
        let Self { values, mutations, introspections } = self;
        1 + values as u64 / VALUES_PER_POINT + mutations as u64 * MUTATION + introspections as u64 * INTROSPECTION
    }
}

/// What a request costs, and how its payer's account stands after it.
#[derive(Clone, Copy, Debug)]
pub struct Bill {
    points: u64,
    account: Account,
    window: Duration,
}

/// Who pays: the person, or the address when nobody is logged in.
#[derive(Clone)]
pub(super) struct Payer {
    budget: Limit,
    key: String,
}

impl Payer {
    pub(super) fn of(platform: &Platform, caller: Caller, origin: &Origin) -> Self {
        let settings = &platform.config.budget;
        let (name, most, key) = match caller.0 {
            Some(viewer) => ("points of a person", settings.person, viewer.user_id.to_string()),
            None => ("points of an address", settings.anonymous, origin.network()),
        };
        Self { budget: Limit { name, most, window: settings.window }, key }
    }

    /// Pays for a request of so many points in all, of which some may be paid already.
    ///
    /// # Errors
    /// RATE_LIMITED when there are not as many left; QUERY_TOO_COMPLEX when there never will be.
    pub(super) async fn pay(&self, platform: &Platform, points: u64, before: Option<Bill>) -> Result<Bill, Refused> {
        let Limit { most, window, .. } = self.budget;
        if points > most {
            let message = format!("This costs {points} points, and there are {most} for each {} s.", window.as_secs());
            return Err(Refused { bill: before, ..Refused::too_complex(message) });
        }
        let rest = points.saturating_sub(before.map_or(0, |bill| bill.points));
        if let Some(bill) = before.filter(|_| rest == 0) {
            return Ok(bill);
        }
        match platform.limiter.spend(self.budget, &self.key, rest).await {
            Spending::Paid(account) => Ok(Bill { points, account, window }),
            Spending::Refused(account) => Err(unpaid(Bill { points, account, window })),
        }
    }
}

fn unpaid(bill: Bill) -> Refused {
    let (seconds, left) = (bill.resets_in(), bill.account.remaining);
    let message = format!("This costs {} points, and {left} are left. Try again in {seconds} s.", bill.points);
    let mut error = ServerError::new(message, None);
    let extensions = error.extensions.get_or_insert_default();
    extensions.set("code", "RATE_LIMITED");
    extensions.set("retryAfter", seconds);
    // Not shown: the headers tell of the budget by themselves.
    extensions.set("ofBudget", true);
    Refused { errors: vec![error], bill: Some(bill) }
}

/// The name of the budget in the headers.
const POLICY: &str = "points";

impl Bill {
    /// What it costs in all.
    pub(super) fn points(self) -> u64 {
        self.points
    }

    /// Whole seconds after which all points are there again.
    fn resets_in(self) -> u64 {
        self.account.resets_in.as_secs() + 1
    }

    /// Tells an answer what it cost: `extensions.cost`, and the headers.
    pub fn on(self, mut answer: Response) -> Response {
        answer.extensions.insert("cost".to_owned(), self.points.into());
        for (name, value) in self.headers() {
            answer.http_headers.insert(name, value);
        }
        answer
    }

    /// The headers of draft-ietf-httpapi-ratelimit-headers-10.
    pub fn headers(self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let Account { limit, remaining, .. } = self.account;
        let policy = format!("\"{POLICY}\";q={limit};w={}", self.window.as_secs());
        let state = format!("\"{POLICY}\";r={remaining};t={}", self.resets_in());
        let header = |name, value: String| Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?));
        [header("ratelimit-policy", policy), header("ratelimit", state)].into_iter().flatten()
    }
}

/// What requests cost, and how much of the budget is left.
pub(super) struct RateLimit(pub(super) Bill, pub(super) Platform);

/// What requests cost, in points. A request costs 1, and 1 more for each 100 values that it may be answered with if every
/// page that it asks for were full; a mutation costs 9 more, asking for the schema itself 9 more. A subscription costs
/// that for each of its events, those of 1 point aside. Each answer tells its cost as `extensions.cost` (of a subscription
/// the first one), and over HTTP the header `RateLimit` tells what is left.
#[Object]
impl RateLimit {
    /// What this request costs.
    async fn cost(&self) -> u64 {
        self.0.points
    }

    /// Points of a window: those of the person who is logged in, or of the address that nobody is logged in from.
    async fn limit(&self) -> u64 {
        self.0.account.limit
    }

    /// Points that are left, after this request.
    async fn remaining(&self) -> u64 {
        self.0.account.remaining
    }

    /// When the window ends, and all points are there again.
    async fn resets_at(&self) -> DateTime {
        DateTime(self.1.clock.after(self.0.account.resets_in))
    }
}
