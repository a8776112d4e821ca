//! Figures computed from the tables themselves, as plainly as can be, and the trial that compares them with the cached
//! answer after every write. The suite runs the short form, `tests/faults/run` the full one.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{Datelike, Days, NaiveDate, TimeDelta, Weekday};
use entity::{UserId, completion, reminder, task, user};
use sea_orm::EntityTrait;
use serde_json::{Value as Json, json};

use crate::{client::Person, dice::Dice, server::Server};

/// For a person who stays logged in while the clock runs through the years.
pub const FOR_YEARS: [(&str, &str); 4] = [
    ("ACCESS_TOKEN_LIFETIME", "36500d"),
    ("SESSION_IDLE_LIFETIME", "36500d"),
    ("SESSION_TOTAL_LIFETIME", "36500d"),
    ("TRASH_LIFETIME", "2d"),
];

/// Everything.
pub const WHOLE: &str = "query($from: Date!, $to: Date!, $by: SeriesGranularity!) { viewer { analytics {
    totals { tasks tasksByStatus { todo inProgress completed } tasksByPriority { low medium high } remindersCompleted remindersUpcoming remindersOverdue }
    daily { date completed } weekly { startsOn completed } categories { category count share } completionRate
    streak { active longest startedOn endsOn } series(from: $from, to: $to, by: $by) { startsOn from to completed } } } }";

/// What a series is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub from: NaiveDate,
    pub to: NaiveDate,
    pub by: &'static str,
}

impl Span {
    fn variables(self) -> Json {
        json!({ "from": self.from, "to": self.to, "by": self.by })
    }
}

/// Asks for everything.
pub async fn asked(server: &Server, person: &Person, span: Span) -> Json {
    server.data(person, WHOLE, span.variables()).await["viewer"]["analytics"].take()
}

/// The local day of a person.
pub async fn today(server: &Server, person: &Person) -> NaiveDate {
    let id: UserId = person.id.parse().expect("an id");
    let row = user::Entity::find_by_id(id).one(server.app.platform.db.read()).await.expect("read").expect("there");
    let zone = jiff::tz::TimeZone::get(row.time_zone.as_deref().unwrap_or("UTC")).expect("a zone");
    let now = jiff::Timestamp::from_microsecond(server.clock.now().timestamp_micros()).expect("in range");
    now.to_zoned(zone).date().to_string().parse().expect("a day")
}

/// Everything, computed here from `tasks`, `reminders` and the completion log.
pub async fn recomputed(server: &Server, person: &Person, span: Span) -> Json {
    let (db, id) = (server.app.platform.db.read(), person.id.parse::<UserId>().expect("an id"));
    let now = server.clock.now();
    let today = today(server, person).await;
    let row = user::Entity::find_by_id(id).one(db).await.expect("read").expect("there");
    let first_weekday = match row.locale.as_deref() {
        Some("en-US") => Weekday::Sun,
        Some("ar-EG") => Weekday::Sat,
        None | Some(_) => Weekday::Mon,
    };
    let tasks = task::Entity::find().all(db).await.expect("read");
    let tasks: Vec<_> = tasks.into_iter().filter(|task| task.user_id == id && task.deleted_at.is_none()).collect();
    let reminders = reminder::Entity::find().all(db).await.expect("read");
    let open: Vec<_> =
        reminders.iter().filter(|one| one.user_id == id && one.status == reminder::Status::Pending).collect();
    let mut days: BTreeMap<NaiveDate, i32> = BTreeMap::new();
    for entry in completion::Entity::find().all(db).await.expect("read") {
        if entry.user_id == id && entry.subject == completion::Subject::Reminder {
            *days.entry(entry.local_on).or_default() += i32::from(entry.delta);
        }
    }
    let between = |from: NaiveDate, to: NaiveDate| {
        days.iter().filter(|(day, _)| (from..=to).contains(*day)).map(|(_, count)| count).sum::<i32>()
    };
    let status = |wanted| tasks.iter().filter(|task| task.status == wanted).count();
    let priority = |wanted| tasks.iter().filter(|task| task.priority == wanted).count();
    let daily = (0..7).rev().map(|back| {
        let day = today - Days::new(back);
        json!({ "date": day, "completed": between(day, day) })
    });
    let week = back_to(today, first_weekday);
    let weekly = (0..4).rev().map(|back| {
        let start = week - Days::new(7 * back);
        json!({ "startsOn": start, "completed": between(start, start + Days::new(6)) })
    });
    let rate =
        if tasks.is_empty() { Json::Null } else { json!(status(task::Status::Completed) as f64 / tasks.len() as f64) };
    json!({
        "totals": {
            "tasks": tasks.len(),
            "tasksByStatus": { "todo": status(task::Status::Todo), "inProgress": status(task::Status::InProgress), "completed": status(task::Status::Completed) },
            "tasksByPriority": { "low": priority(task::Priority::Low), "medium": priority(task::Priority::Medium), "high": priority(task::Priority::High) },
            "remindersCompleted": days.values().sum::<i32>(),
            "remindersUpcoming": open.iter().filter(|one| one.scheduled_at >= now).count(),
            "remindersOverdue": open.iter().filter(|one| one.scheduled_at < now).count(),
        },
        "daily": daily.collect::<Vec<_>>(),
        "weekly": weekly.collect::<Vec<_>>(),
        "categories": categories(&tasks),
        "completionRate": rate,
        "streak": streak(&days.iter().filter(|(_, count)| **count > 0).map(|(day, _)| *day).collect(), today),
        "series": series(span, first_weekday, between),
    })
}

fn back_to(mut day: NaiveDate, weekday: Weekday) -> NaiveDate {
    while day.weekday() != weekday {
        day = day.pred_opt().expect("in range");
    }
    day
}

fn categories(tasks: &[task::Model]) -> Vec<Json> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for task in tasks {
        *counts.entry(task.category.as_deref().unwrap_or("Uncategorized")).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let line = |(name, count)| json!({ "category": name, "count": count, "share": count as f64 / tasks.len() as f64 });
    counts.into_iter().map(line).collect()
}

fn streak(days: &BTreeSet<NaiveDate>, today: NaiveDate) -> Json {
    let mut runs = Vec::new();
    for first in days.iter().filter(|day| !days.contains(&day.pred_opt().expect("in range"))) {
        let length = first.iter_days().take_while(|day| days.contains(day)).count();
        runs.push((length, *first + Days::new(length as u64 - 1), *first));
    }
    let yesterday = today.pred_opt().expect("in range");
    let active = runs.iter().filter(|(_, last, _)| *last >= yesterday).max();
    json!({
        "active": active.map_or(0, |(length, _, _)| *length), "longest": runs.iter().map(|(length, _, _)| *length).max().unwrap_or(0),
        "startedOn": active.map(|(_, _, first)| *first), "endsOn": active.map(|(_, last, _)| *last),
    })
}

fn series(span: Span, first_weekday: Weekday, between: impl Fn(NaiveDate, NaiveDate) -> i32) -> Vec<Json> {
    // Day by day: a bucket begins where the span does, and on every first day of a week or month.
    let mut buckets: Vec<(NaiveDate, NaiveDate, NaiveDate)> = Vec::new();
    for day in span.from.iter_days().take_while(|day| *day <= span.to) {
        let start = match span.by {
            "DAY" => day,
            "WEEK" => back_to(day, first_weekday),
            _ => day.with_day(1).expect("in range"),
        };
        match buckets.last_mut() {
            Some((known, _, last)) if *known == start => *last = day,
            _ => buckets.push((start, day, day)),
        }
    }
    let line = |(start, from, to)| json!({ "startsOn": start, "from": from, "to": to, "completed": between(from, to) });
    buckets.into_iter().map(line).collect()
}

/// Whether the cached answer is what the tables say. What changes while it is asked for is asked for again, and once
/// more where it differs: a worker may be between its commit and telling of it.
pub async fn agrees(server: &Server, person: &Person, span: Span) -> Result<(), String> {
    let mut differed = false;
    loop {
        let before = recomputed(server, person, span).await;
        let answer = asked(server, person, span).await;
        if answer == before {
            return Ok(());
        }
        if before != recomputed(server, person, span).await {
            continue;
        }
        if std::mem::replace(&mut differed, true) {
            return Err(format!("answered {answer}\nbut it is {before}"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Somebody who writes, and what they have.
struct Writer {
    person: Person,
    tasks: Vec<String>,
    reminders: Vec<String>,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fuzzed {
    pub writes: usize,
    /// Those that changed something; the others were refused.
    pub done: usize,
    pub compared: usize,
    pub hits: u64,
    pub misses: u64,
}

/// Makes so many random writes of two people, and compares after each. Panics when an answer differs.
pub async fn fuzz(server: &Server, writes: usize, seed: u64) -> Fuzzed {
    let mut dice = Dice::new(seed);
    let mut people = Vec::new();
    for name in ["Ada", "Eve"] {
        let person = server.person(name).await;
        people.push(Writer { person, tasks: Vec::new(), reminders: Vec::new() });
    }
    let mut fuzzed = Fuzzed::default();
    for number in 0..writes {
        let who = dice.roll(2) as usize;
        let (name, done) = write(server, &mut people[who], &mut dice).await;
        fuzzed.writes += 1;
        fuzzed.done += usize::from(done);
        for (index, one) in people.iter().enumerate() {
            if index == who || number % 4 == 0 {
                let span = span(server, &one.person, &mut dice).await;
                if let Err(difference) = agrees(server, &one.person, span).await {
                    panic!("write {number}, {name} (done: {done}), seed {seed}: {difference}");
                }
                fuzzed.compared += 1;
            }
        }
    }
    let analytics = &server.app.analytics;
    Fuzzed { hits: analytics.hits(), misses: analytics.misses(), ..fuzzed }
}

async fn span(server: &Server, person: &Person, dice: &mut Dice) -> Span {
    let from = today(server, person).await - Days::new(dice.roll(100));
    let (length, by) = (dice.roll(120), *dice.one(&["DAY", "WEEK", "MONTH"]));
    Span { from, to: from + Days::new(length), by }
}

/// One random write; its name, and whether it was done. Half of them while somebody is reading.
async fn write(server: &Server, writer: &mut Writer, dice: &mut Dice) -> (&'static str, bool) {
    let none = "task_01jd3xk5ve7h8t9w2n4m6p8q0r".to_owned();
    let no_reminder = "reminder_01jd3xk5ve7h8t9w2n4m6p8q0r".to_owned();
    let task = if writer.tasks.is_empty() { none } else { dice.one(&writer.tasks).clone() };
    let reminder = if writer.reminders.is_empty() { no_reminder } else { dice.one(&writer.reminders).clone() };
    let category = dice.one(&[json!("work"), json!("home"), json!("Uncategorized"), json!("ü"), Json::Null]).clone();
    let priority = *dice.one(&["LOW", "MEDIUM", "HIGH"]);
    let status = *dice.one(&["TODO", "IN_PROGRESS", "COMPLETED"]);
    let later = server.at(TimeDelta::minutes(1 + dice.roll(3_000) as i64));
    let several: Vec<String> =
        (0..3).filter(|_| !writer.tasks.is_empty()).map(|_| dice.one(&writer.tasks).clone()).collect();
    let (name, input) = match dice.roll(100) {
        0..14 => ("taskCreate", json!({ "title": "Something", "priority": priority, "category": category })),
        14..20 => ("taskUpdate", json!({ "id": task, "priority": priority, "category": category })),
        20..24 => ("taskUpdate", json!({ "id": task, "status": status, "title": "Something else" })),
        24..29 => ("taskComplete", json!({ "id": task })),
        29..33 => ("taskReopen", json!({ "id": task })),
        33..36 => ("taskDelete", json!({ "id": task })),
        36..38 => ("taskDelete", json!({ "id": task, "permanently": true })),
        38..41 => ("taskRestore", json!({ "id": task })),
        41..43 => ("taskBulkComplete", json!({ "ids": several })),
        43..45 => ("taskBulkMove", json!({ "ids": several, "category": category })),
        45 => ("taskBulkDelete", json!({ "ids": several })),
        46..60 => (
            "reminderCreate",
            json!({ "taskId": task, "message": "It is time", "scheduledAt": later, "completeOnDelivery": dice.roll(2) == 0 }),
        ),
        60..65 => (
            "reminderCreate",
            json!({ "message": "It is time", "scheduledAt": later, "completeOnDelivery": dice.roll(3) == 0 }),
        ),
        65..68 => ("reminderUpdate", json!({ "id": reminder, "scheduledAt": later })),
        68..71 => ("reminderSnooze", json!({ "id": reminder, "for": { "minutes": 1 + dice.roll(600) } })),
        71..80 => ("reminderComplete", json!({ "id": reminder })),
        80..85 => ("reminderReopen", json!({ "id": reminder })),
        85..88 => ("reminderDelete", json!({ "id": reminder })),
        88..97 => {
            let most = if dice.percent(33) { 100_000 } else { 4_000 };
            server.advance(TimeDelta::seconds(dice.roll(most) as i64));
            server.jobs_are_done().await;
            return ("the clock", true);
        }
        97 => {
            spacedly::worker::sweep(&server.app.platform).await.expect("swept");
            return ("the sweep", true);
        }
        98 => (
            "profileUpdate",
            json!({ "timeZone": dice.one(&["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Honolulu", "America/St_Johns", "Australia/Lord_Howe"]) }),
        ),
        _ => (
            "profileUpdate",
            json!({ "locale": dice.one(&[json!("de-DE"), json!("en-US"), json!("ar-EG"), Json::Null]) }),
        ),
    };
    let kind = match name {
        "taskBulkComplete" | "taskBulkDelete" => "TaskBulkInput".to_owned(),
        _ => format!("{}{}Input", name[..1].to_uppercase(), &name[1..]),
    };
    let made = match name {
        "taskCreate" => "task { id }",
        "reminderCreate" => "reminder { id }",
        _ => "",
    };
    let query = format!("mutation($input: {kind}!) {{ {name}(input: $input) {{ {made} userErrors {{ code }} }} }}");
    let act = server.ask(&writer.person, &query, json!({ "input": input }));
    let answer = if dice.roll(2) == 0 {
        let read = server.ask(
            &writer.person,
            "{ viewer { analytics { totals { tasks remindersCompleted remindersUpcoming } } } }",
            json!({}),
        );
        tokio::join!(act, read).0
    } else {
        act.await
    };
    let code = answer["errors"][0]["extensions"]["code"].as_str();
    assert!(matches!(code, None | Some("NOT_FOUND")), "{name}: {answer}");
    let payload = &answer["data"][name];
    for (field, ids) in [("task", &mut writer.tasks), ("reminder", &mut writer.reminders)] {
        if let Some(id) = payload[field]["id"].as_str().filter(|_| !made.is_empty()) {
            ids.push(id.to_owned());
            if ids.len() > 40 {
                ids.remove(0);
            }
        }
    }
    (name, payload["userErrors"] == json!([]))
}
