//! Telling a person that a task is due soon, and that it was not done in time.
//! Promise: each due moment is told once by each kind, however often the task is changed; a task that is done, deleted
//! or put off is not told of.

use std::collections::HashMap;

use chrono::TimeDelta;
use entity::{TaskId, notification, task as row};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::{
    notifications::record::{NewNotification, record},
    platform::{
        Platform,
        db::Tx,
        error::Fault,
        jobs::{self, Engine, Failure, Held, NewJob},
    },
};

/// Tells that a task is due soon.
const UPCOMING: &str = "tasks.upcoming";
/// Tells that a task passed its due moment.
const OVERDUE: &str = "tasks.overdue";

/// Registers the jobs of this room.
pub fn register_jobs(engine: &mut Engine) {
    engine.batches(UPCOMING, |platform, held| tell(platform, held, notification::Kind::Upcoming));
    engine.batches(OVERDUE, |platform, held| tell(platform, held, notification::Kind::Overdue));
}

/// Writes down when a task that was made or changed is to be told of. What has passed already is not: whoever sets a
/// past moment knows.
pub(super) async fn plan(platform: &Platform, tx: &Tx, task: &row::Model) -> Result<(), Fault> {
    let now = platform.clock.now();
    let open = task.deleted_at.is_none() && task.status != row::Status::Completed;
    let due_at = task.due_at.filter(|_| open);
    let lead = TimeDelta::from_std(platform.config.limits.upcoming_lead).unwrap_or_default();
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

async fn tell(platform: Platform, held: Vec<Held>, kind: notification::Kind) -> Vec<(Held, Failure)> {
    let (parts, jobs) = (platform.clone(), held.clone());
    match platform.db.write(move |tx| async move { tell_in(&parts, &tx, &jobs, kind).await }).await {
        Ok(()) => Vec::new(),
        Err(fault) => {
            tracing::warn!(?fault, "due tasks could not be told of; it is tried again");
            held.into_iter().map(|job| (job, Failure::Busy("The service was busy.".into()))).collect()
        }
    }
}

async fn tell_in(platform: &Platform, tx: &Tx, held: &[Held], kind: notification::Kind) -> Result<(), Fault> {
    let ours = jobs::finish(tx, held).await?;
    let due: Vec<&Held> = held.iter().filter(|job| ours.contains(&job.id)).collect();
    let ids = due.iter().map(|job| TaskId::from_uuid(job.subject_id));
    let tasks = row::Entity::find().filter(row::Column::Id.is_in(ids)).filter(row::Column::DeletedAt.is_null());
    let tasks: HashMap<_, _> = tasks.all(&**tx).await?.into_iter().map(|task| (task.id.uuid(), task)).collect();
    let told = due.iter().filter_map(|job| notification_of(tasks.get(&job.subject_id)?, kind)).collect();
    record(platform, tx, told).await?;
    Ok(())
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
