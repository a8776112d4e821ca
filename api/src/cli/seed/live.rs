//! Living a planned life: at each moment the clock is put there, what was due is settled, and its acts are done.

use std::collections::HashMap;

use async_graphql::ID;
use entity::{ReminderId, SessionId, TaskId};

use super::{
    life::{About, Life, Moment, Planned},
    words::PEOPLE,
};
use crate::{
    accounts, notifications,
    platform::{
        Platform,
        clock::Instant,
        db::Tx,
        error::{Fault, Refusal},
        jobs::ByHand,
        scalars::DateTime,
        viewer::Viewer,
    },
    reminders::{self, graphql::change::ReminderCreateInput},
    tasks::{
        self,
        graphql::{TaskDueInput, TaskStatus, change::TaskCreateInput},
    },
};

/// What the ledger says of everything that was due before now.
const WHY: &str = "This is an example: it was not sent.";

/// Who was made.
pub(super) struct Lived {
    pub(super) email: String,
    pub(super) tasks: usize,
    pub(super) reminders: usize,
    /// The address that is tried for the next one.
    pub(super) next_candidate: usize,
}

/// Makes a person at the first free address, and lives their life.
pub(super) async fn live(
    platform: Platform,
    tx: Tx,
    password_hash: String,
    life: Life,
    mut candidate: usize,
) -> Result<Lived, Refusal> {
    if let Some(birth) = life.moments.keys().next() {
        put_clock(&platform, *birth);
    }
    let person = loop {
        let (name, email) = candidate_of(candidate);
        candidate += 1;
        if let Some(person) = accounts::make_example(&platform, &tx, name, &email, password_hash.clone()).await? {
            break person;
        }
    };
    // The acts ask who acts, not by which session: there is none yet.
    let viewer = Viewer { user_id: person.id, session_id: SessionId::from_uuid(platform.new_uuid()) };
    let mut living = Living { platform, tx, viewer, tasks: HashMap::new(), habits: HashMap::new(), reminders: 0 };
    for (at, moment) in &life.moments {
        put_clock(&living.platform, *at);
        living.settle(*at).await?;
        living.act(moment, &life.tasks).await?;
    }
    put_clock(&living.platform, life.now);
    living.settle(life.now).await?;
    let (tasks, reminders) = (life.tasks.len(), living.reminders);
    Ok(Lived { email: person.email, tasks, reminders, next_candidate: candidate })
}

fn put_clock(platform: &Platform, at: Instant) {
    platform.clock.advance(at - platform.clock.now());
}

/// The name and the address of the n-th person: ada@example.org, …, ada2@example.org, …
fn candidate_of(number: usize) -> (&'static str, String) {
    let (name, mailbox) = PEOPLE[number % PEOPLE.len()];
    match number / PEOPLE.len() {
        0 => (name, format!("{mailbox}@example.org")),
        round => (name, format!("{mailbox}{}@example.org", round + 1)),
    }
}

/// Somebody who lives, in one transaction.
struct Living {
    platform: Platform,
    tx: Tx,
    viewer: Viewer,
    tasks: HashMap<usize, TaskId>,
    habits: HashMap<usize, ReminderId>,
    reminders: usize,
}

impl Living {
    /// Shows what was due, and sends none of it.
    async fn settle(&self, until: Instant) -> Result<(), Fault> {
        let by = ByHand { until, of: Some(self.viewer.user_id), why: WHY };
        tasks::settle_by_hand(&self.platform, &self.tx, &by).await?;
        reminders::settle_by_hand(&self.platform, &self.tx, &by).await.map(drop)
    }

    async fn act(&mut self, moment: &Moment, planned: &[Planned]) -> Result<(), Refusal> {
        let (platform, tx, viewer) = (self.platform.clone(), self.tx.clone(), self.viewer);
        for number in &moment.written {
            let task = tasks::create_in(&platform, &tx, viewer, task_of(&planned[*number])).await?;
            self.tasks.insert(*number, task.id);
        }
        for (about, at, kind) in &moment.asked {
            let (task_id, message) = match about {
                About::Task(number) => (self.tasks.get(number).map(|id| ID(id.to_string())), None),
                About::Habit(_, what) => (None, Some((*what).to_owned())),
            };
            let input = ReminderCreateInput {
                id: None,
                task_id,
                message,
                scheduled_at: DateTime(*at),
                kind: *kind,
                complete_on_delivery: false,
                idempotency_key: None,
            };
            let reminder = reminders::create_in(&platform, &tx, viewer, input).await?;
            self.reminders += 1;
            if let About::Habit(number, _) = about {
                self.habits.insert(*number, reminder.id);
            }
        }
        for number in &moment.kept {
            if let Some(id) = self.habits.remove(number) {
                reminders::complete_in(&platform, &tx, viewer, id).await?;
            }
        }
        for status in [TaskStatus::InProgress, TaskStatus::Completed] {
            let moved = moment.moved.iter().filter(|(_, to)| *to == status);
            let ids: Vec<TaskId> = moved.filter_map(|(number, _)| self.tasks.get(number).copied()).collect();
            tasks::set_statuses_in(&platform, &tx, viewer, &ids, status).await?;
        }
        if moment.reads {
            notifications::mark_all_read_in(&platform, &tx, viewer.user_id).await?;
        }
        Ok(())
    }
}

fn task_of(planned: &Planned) -> TaskCreateInput {
    TaskCreateInput {
        id: None,
        title: planned.title.clone(),
        description: planned.description.clone(),
        link: None,
        due: planned.due_at.map(|at| TaskDueInput::At(DateTime(at))),
        priority: planned.priority,
        category: planned.category.map(str::to_owned),
        idempotency_key: None,
    }
}
