//! Where a fault run takes place: instances of the real program, a mail server that takes their mail, a person, and the
//! schedule of what was acknowledged to that person.
//! Promise: the schedule is kept here, and only compared with what the program says at the end.

use std::{
    collections::BTreeMap,
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value as Json, json};
use support::{Client, dice::Dice, postgres, process::Process, redis::redis, smtp::Sink};

use crate::verdict::Schedule;

/// Which instances there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One process on SQLite.
    Sqlite,
    /// Three processes on one PostgreSQL with Redis.
    Three,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "one on SQLite",
            Self::Three => "three on PostgreSQL and Redis",
        }
    }
}

/// A setting of the program.
pub(crate) type Setting = (&'static str, String);

/// The instances, and everything around them.
pub(crate) struct Ground {
    pub(crate) kind: Kind,
    pub(crate) sink: Sink,
    pub(crate) token: String,
    pub(crate) task: String,
    /// Everybody's token and task, where there are more.
    pub(crate) people: Vec<(String, String)>,
    pub(crate) schedule: Schedule,
    pub(crate) dice: Dice,
    pub(crate) database: Option<String>,
    /// By how much the clock of the instances is ahead.
    pub(crate) offset: TimeDelta,
    /// How long it took to ask for the reminders before.
    pace: Duration,
    slots: Vec<Option<Process>>,
    settings: Vec<Setting>,
    folder: tempfile::TempDir,
}

/// An instance that ended by itself or was killed from outside.
pub(crate) struct Ended {
    pub(crate) slot: usize,
    pub(crate) pid: u32,
    pub(crate) signal: Option<i32>,
}

/// What abort() sends.
pub(crate) const ABORTED: Option<i32> = Some(6);
/// What kill -9 sends.
pub(crate) const KILLED: Option<i32> = Some(9);

impl Ground {
    /// Makes it, with somebody who has an account and a task; no instance runs yet.
    pub(crate) async fn new(kind: Kind, more: &[(&'static str, &str)]) -> Self {
        Self::with_people(kind, more, 1).await
    }

    /// The same with so many people.
    pub(crate) async fn with_people(kind: Kind, more: &[(&'static str, &str)], people: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let offset = folder.path().join("offset");
        std::fs::write(&offset, "0").expect("written");
        let mut settings: Vec<Setting> = vec![
            ("DATA_DIR", folder.path().display().to_string()),
            ("SECRET_KEY", "one secret for all of the instances".into()),
            ("LOG", "warn,sqlx=error".into()),
            ("CLOCK_OFFSET_FILE", offset.display().to_string()),
            ("ACCESS_TOKEN_LIFETIME", "400d".into()),
            ("SESSION_IDLE_LIFETIME", "400d".into()),
            ("SESSION_TOTAL_LIFETIME", "400d".into()),
            ("PASSWORD_MEMORY_KIB", "64".into()),
            ("PASSWORD_PASSES", "1".into()),
            ("REGISTER_LIMIT", "100000".into()),
            ("REMINDERS_PER_TASK", "1000000".into()),
        ];
        let database = match kind {
            Kind::Sqlite => None,
            Kind::Three => Some(postgres::cluster().database().await),
        };
        if let Some(url) = &database {
            settings.push(("DATABASE_URL", url.clone()));
            settings.push(("REDIS_URL", redis().url()));
            settings.push(("REDIS_PREFIX", url.rsplit('/').next().expect("a name").to_owned()));
        }
        for (name, value) in more {
            settings.retain(|(known, _)| known != name);
            settings.push((name, (*value).to_owned()));
        }
        // The code of the registration is read from the development mailbox.
        let first = tokio::task::block_in_place(|| Process::start(&settings));
        let client = Client::new(&first.address);
        let people = register(&client, people).await;
        let (token, task) = people[0].clone();
        assert!(tokio::task::block_in_place(|| first.terminate()), "it ends well");
        let sink = Sink::start().await;
        settings.push(("SMTP_URL", sink.url()));
        let slots = (0..if kind == Kind::Three { 3 } else { 1 }).map(|_| None).collect();
        let (schedule, dice, offset) = (Schedule::default(), Dice::new(0x5EED), TimeDelta::zero());
        let pace = Duration::from_millis(100);
        Self { kind, sink, token, task, people, schedule, dice, database, offset, pace, slots, settings, folder }
    }

    /// Starts an instance, with these settings besides.
    pub(crate) fn start(&mut self, slot: usize, more: &[Setting]) {
        let settings: Vec<Setting> = self.settings.iter().chain(more).cloned().collect();
        self.slots[slot] = Some(tokio::task::block_in_place(|| Process::start(&settings)));
    }

    /// Starts every instance that does not run.
    pub(crate) fn start_all(&mut self) {
        for slot in 0..self.slots.len() {
            if self.slots[slot].is_none() {
                self.start(slot, &[]);
            }
        }
    }

    /// kill -9.
    pub(crate) fn kill(&mut self, slot: usize) {
        if let Some(process) = self.slots[slot].take() {
            self.schedule.died(process.pid());
            tokio::task::block_in_place(|| process.kill());
        }
    }

    /// Stops every instance in order.
    pub(crate) fn stop_all(&mut self) {
        for process in self.slots.iter_mut().filter_map(Option::take) {
            assert!(tokio::task::block_in_place(|| process.terminate()), "it ends well");
        }
    }

    /// How many instances there can be.
    pub(crate) fn size(&self) -> usize {
        self.slots.len()
    }

    /// The instance of a process.
    pub(crate) fn process(&self, pid: u32) -> &Process {
        self.slots.iter().flatten().find(|process| process.pid() == pid).expect("it is one of ours")
    }

    /// Moves the clock of the instances that are started from now on.
    pub(crate) fn move_clock(&mut self, to: TimeDelta) {
        self.offset = to;
        std::fs::write(self.folder.path().join("offset"), to.num_seconds().to_string()).expect("written");
    }

    /// The present moment as the instances have it.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        Utc::now() + self.offset
    }

    /// The instances that ended since.
    pub(crate) fn ended(&mut self) -> Vec<Ended> {
        let mut found = Vec::new();
        for (slot, place) in self.slots.iter_mut().enumerate() {
            let Some(process) = place else { continue };
            if let Some(status) = process.ended() {
                let pid = process.pid();
                self.schedule.died(pid);
                found.push(Ended { slot, pid, signal: status.signal() });
                *place = None;
            }
        }
        found
    }

    /// A client of one of the instances that run.
    pub(crate) fn client(&self, turn: usize) -> Option<Client> {
        let running: Vec<&Process> = self.slots.iter().flatten().collect();
        Some(Client::new(&running.get(turn % running.len().max(1))?.address))
    }

    /// Asks for reminders at these moments, in turn at every instance, and for those that were asked for before and not
    /// answered. What is answered is in the schedule.
    pub(crate) async fn remind(&mut self, moments: Vec<(&'static str, DateTime<Utc>)>) {
        let began = Instant::now();
        let asked = self.schedule.ask(moments);
        for (turn, lane) in asked.chunks(12).enumerate() {
            let sent = lane.iter().enumerate().map(|(place, asked)| {
                let client = self.client(turn * 12 + place);
                let (token, task) = (&self.token, &self.task);
                async move {
                    let input = json!({ "taskId": task, "message": format!("R-{}.", asked.number), "type": asked.kind,
                        "scheduledAt": asked.at.to_rfc3339(), "completeOnDelivery": true,
                        "idempotencyKey": format!("key-{}", asked.number) });
                    let create = "mutation($input: ReminderCreateInput!) {
                        reminderCreate(input: $input) { reminder { id } userErrors { code } } }";
                    let answer = client?.try_graphql(Some(token), create, json!({ "input": input })).await;
                    Some((asked.number, answer.ok()?))
                }
            });
            for (number, answer) in futures_util::future::join_all(sent).await.into_iter().flatten() {
                self.schedule.answered(number, &answer);
            }
        }
        self.pace = began.elapsed();
    }

    /// Asks for so many reminders by mail that fall due between so many milliseconds from now, or later, where this
    /// machine is slow: they must be written down before they are due.
    pub(crate) async fn wave(&mut self, count: usize, from_ms: i64, to_ms: i64) {
        let now = self.now() + TimeDelta::milliseconds(self.pace.as_millis() as i64 * 3 / 2);
        let step = (to_ms - from_ms) / count.max(1) as i64;
        let at = |place: usize| now + TimeDelta::milliseconds(from_ms + step * place as i64);
        self.remind((0..count).map(|place| ("EMAIL", at(place))).collect()).await;
    }

    /// Waits until no reminder is pending any more; how long it took.
    pub(crate) async fn settle(&mut self, patience: Duration) -> Duration {
        let began = Instant::now();
        loop {
            if self.schedule.has_open_questions() {
                self.remind(Vec::new()).await;
            }
            // One that was to die somewhere may do so only now.
            if !self.ended().is_empty() {
                self.start_all();
            }
            let query = "{ viewer { reminders(first: 1, filter: { status: [PENDING] }) { totalCount } } }";
            let client = self.client(0).expect("an instance runs");
            let answer = client.try_graphql(Some(&self.token), query, json!({})).await.unwrap_or_default();
            let pending = answer["data"]["viewer"]["reminders"]["totalCount"].as_i64();
            if pending == Some(0) && !self.schedule.has_open_questions() {
                return began.elapsed();
            }
            if began.elapsed() > patience {
                println!("it does not come to rest: {pending:?} pending, {answer}");
                return began.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The ledger of every reminder: its id, its number and its deliveries.
    pub(crate) async fn ledger(&self) -> BTreeMap<u64, (String, Vec<Json>)> {
        let query = "query($after: Cursor) { viewer { reminders(first: 100, after: $after) {
            nodes { id message deliveries { channel state latenessMs attempts error } }
            pageInfo { hasNextPage endCursor } } } }";
        let (mut found, mut after) = (BTreeMap::new(), Json::Null);
        let client = self.client(0).expect("an instance runs");
        loop {
            let answer = client.graphql(Some(&self.token), query, json!({ "after": after })).await;
            let page = &answer["data"]["viewer"]["reminders"];
            for node in page["nodes"].as_array().unwrap_or_else(|| panic!("{answer}")) {
                let number = crate::number_in(node["message"].as_str().unwrap_or_default()).expect("a number");
                let deliveries = node["deliveries"].as_array().cloned().unwrap_or_default();
                found.insert(number, (support::text(node, "/id"), deliveries));
            }
            if page["pageInfo"]["hasNextPage"] != true {
                return found;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    }
}

/// So many people, each with a task, whose mails go out at the moment of the reminder; a few at the same time.
async fn register(client: &Client, people: usize) -> Vec<(String, String)> {
    let update = "mutation { profileUpdate(input: { emailLeadMinutes: 0 }) { user { id } userErrors { code } } }";
    let names: Vec<String> = (0..people).map(|number| format!("Person{number}")).collect();
    let mut found = Vec::new();
    for few in names.chunks(4) {
        let registered = few.iter().map(|name| async move {
            let (token, task) = client.register_with_task(name).await;
            let answer = client.graphql(Some(&token), update, json!({})).await;
            assert!(answer["data"]["profileUpdate"]["user"]["id"].is_string(), "{answer}");
            (token, task)
        });
        found.extend(futures_util::future::join_all(registered).await);
    }
    found
}
