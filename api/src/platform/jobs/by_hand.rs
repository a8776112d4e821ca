//! Jobs that are done by hand, and not by a worker: what fell due while nobody was to work on it.
//! Promise: each is met once, in the order in which it was written down, and leaves in the transaction that is handed in.

use chrono::TimeDelta;
use entity::{JobId, UserId, job as row};
use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::Held;
use crate::platform::{clock::Instant, db::Tx};

/// How many are met at once.
const PAGE: u64 = 200;

/// No worker holds a job for longer without saying so again.
const LONGEST_LEASE: TimeDelta = TimeDelta::days(1);

/// What is settled by hand: everything that was due by then is shown in the app, and nothing of it is sent.
#[derive(Clone, Copy, Debug)]
pub struct ByHand<'a> {
    /// By when it was due.
    pub until: Instant,
    /// Whose. None: everybody's.
    pub of: Option<UserId>,
    /// Why nothing is sent, for the ledger that its person reads.
    pub why: &'a str,
}

impl ByHand<'_> {
    /// The next jobs of a kind after this one; none when there are no more. What a worker held when it died is due, what
    /// waits to be tried again later is not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn jobs(&self, tx: &Tx, kind: &str, after: Option<JobId>) -> Result<Vec<Held>, DbErr> {
        let ready = Condition::all()
            .add(row::Column::State.eq(row::State::Ready))
            .add(row::Column::AvailableAt.lte(self.until));
        let held =
            Condition::all().add(row::Column::State.eq(row::State::Running)).add(row::Column::DueAt.lte(self.until));
        let rows = row::Entity::find()
            .filter(row::Column::Kind.eq(kind))
            // Says nothing new, but leads to the index.
            .filter(row::Column::State.ne(row::State::Dead))
            .filter(row::Column::AvailableAt.lte(self.until + LONGEST_LEASE))
            .filter(Condition::any().add(ready).add(held))
            .filter(
                Condition::all()
                    .add_option(self.of.map(|user| row::Column::UserId.eq(user)))
                    .add_option(after.map(|after| row::Column::Id.gt(after))),
            )
            .order_by_asc(row::Column::Id)
            .limit(PAGE)
            .all(&**tx)
            .await?;
        Ok(rows.into_iter().map(Held::from).collect())
    }
}
