//! Telling a person that a task is due soon, and that it was not done in time.
//! Promise: each due moment is told once by each kind, however often the task is changed; a task that is done, deleted
//! or put off is not told of.

use std::collections::HashMap;

use entity::{TaskId, notification, task as row};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::{
    accounts,
    notifications::{self, record::NewNotification},
    platform::{
        Platform,
        clock::span,
        db::Tx,
        error::Fault,
        jobs::{self, ByHand, Engine, Held, NewJob},
    },
};

/// Tells that a task is due soon.
const UPCOMING: &str = "tasks.upcoming";
/// Tells that a task passed its due moment.
const OVERDUE: &str = "tasks.overdue";

/// Registers the jobs of this room.
pub fn register_jobs(engine: &mut Engine) {
    engine.transactions(UPCOMING, |platform, tx, held| tell(platform, tx, held, notification::Kind::Upcoming));
    engine.transactions(OVERDUE, |platform, tx, held| tell(platform, tx, held, notification::Kind::Overdue));
}

/// Writes down when a task that was made or changed is to be told of. What has passed already is not: whoever sets a
/// past moment knows.
pub(super) async fn plan(platform: &Platform, tx: &Tx, task: &row::Model) -> Result<(), Fault> {
    let now = platform.clock.now();
    let open = task.deleted_at.is_none() && task.status != row::Status::Completed;
    let due_at = task.due_at.filter(|_| open);
    let lead = span(platform.config.limits.upcoming_lead);
    let moments = [(UPCOMING, due_at.map(|at| at - lead)), (OVERDUE, due_at)];
    let (mut work, mut over) = (Vec::new(), Vec::new());
    for (kind, at) in moments {
        match at.filter(|at| *at > now) {
            Some(due_at) => {
                work.push(NewJob { kind, subject_id: task.id.uuid(), user_id: Some(task.user_id), due_at });
            }
            None => over.push(kind),
        }
    }
    if !over.is_empty() {
        jobs::cancel(tx, &over, &[task.id.uuid()]).await?;
    }
    Ok(jobs::enqueue(platform, tx, &work).await?)
}

/// Tells in the app alone what was due, by hand.
///
/// # Errors
/// When the database fails.
pub async fn settle_by_hand(platform: &Platform, tx: &Tx, by: &ByHand<'_>) -> Result<(), Fault> {
    for (job, kind) in [(UPCOMING, notification::Kind::Upcoming), (OVERDUE, notification::Kind::Overdue)] {
        let mut after = None;
        loop {
            let due = by.jobs(tx, job, after).await?;
            let Some(last) = due.last() else { break };
            after = Some(last.id);
            // What quiet hours still held was told to nobody: it stays, and is told.
            let due = accounts::not_held(platform, tx, due, by).await?;
            let told = end(tx, due, kind).await?;
            notifications::show(platform, tx, told).await?;
        }
    }
    Ok(())
}

async fn tell(platform: Platform, tx: Tx, held: Vec<Held>, kind: notification::Kind) -> Result<(), Fault> {
    let told = end(&tx, held, kind).await?;
    notifications::tell(&platform, &tx, told).await
}

/// Ends the jobs. What is to be told of those that were still ours.
async fn end(tx: &Tx, held: Vec<Held>, kind: notification::Kind) -> Result<Vec<NewNotification>, Fault> {
    let ours = jobs::finish(tx, &held).await?;
    let due: Vec<&Held> = held.iter().filter(|job| ours.contains(&job.id)).collect();
    let ids = due.iter().map(|job| TaskId::from_uuid(job.subject_id));
    let tasks = row::Entity::find().filter(row::Column::Id.is_in(ids)).filter(row::Column::DeletedAt.is_null());
    let tasks: HashMap<_, _> = tasks.all(&**tx).await?.into_iter().map(|task| (task.id.uuid(), task)).collect();
    Ok(due.iter().filter_map(|job| notification_of(tasks.get(&job.subject_id)?, kind)).collect())
}

fn notification_of(task: &row::Model, kind: notification::Kind) -> Option<NewNotification> {
    let due_at = task.due_at.filter(|_| task.status != row::Status::Completed)?;
    let (title, message) = match kind {
        notification::Kind::Upcoming => ("Task Due Soon", format!("Due soon: {}", task.title)),
        _ => ("Task Overdue", format!("Overdue: {}", task.title)),
    };
    Some(NewNotification {
        user_id: task.user_id,
        kind,
        title: title.into(),
        message,
        task_id: Some(task.id),
        reminder_id: None,
        cause: format!("{} {title} {}", task.id, due_at.timestamp_micros()),
    })
}
