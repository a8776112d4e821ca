//! The mail of the morning digest: the tasks that are due on a local day.
//! Promise: none on a day without tasks, none for a day that is over, and one Message-ID however often it is tried.

use askama::Template;
use chrono::NaiveDate;
use entity::{
    UserId, digest,
    task::{self, Priority},
    user,
};
use jiff::tz::TimeZone;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{
    accounts,
    platform::{
        Platform, calendar,
        error::Fault,
        jobs::{self, Failure, Held},
        mail::Mail,
    },
};

/// Mails the digest of the day that was settled last.
pub(super) const MAIL: &str = "reminders.digest_mail";

/// How many tasks a mail lists; it says how many there are.
const MOST: u64 = 100;

struct Line {
    title: String,
    /// Empty: at any time of the day.
    time: String,
    priority: &'static str,
    colour: &'static str,
    category: Option<String>,
}

#[derive(Template)]
#[template(path = "reminders/mail/digest.html")]
struct Html<'a> {
    name: &'a str,
    day: &'a str,
    headline: &'a str,
    lines: &'a [Line],
    more: u64,
    url: &'a str,
}

#[derive(Template)]
#[template(path = "reminders/mail/digest.txt")]
struct Text<'a> {
    name: &'a str,
    day: &'a str,
    headline: &'a str,
    lines: &'a [Line],
    more: u64,
    url: &'a str,
}

/// Sends it, if there is something to tell.
pub(super) async fn send(platform: Platform, job: Held) -> Result<(), Failure> {
    let user_id = UserId::from_uuid(job.subject_id);
    if let Some(mail) = compose(&platform, user_id).await? {
        platform.mailer.send(mail).await?;
    }
    jobs::conclude(&platform, move |_, tx| {
        let job = job.clone();
        async move { Ok(jobs::finish_one(&tx, &job).await.map(drop)?) }
    })
    .await
}

async fn compose(platform: &Platform, user_id: UserId) -> Result<Option<Mail>, Fault> {
    let db = platform.db.read();
    let person = accounts::person(db, user_id).await?;
    let Some(settled) = digest::Entity::find_by_id(user_id).one(db).await? else { return Ok(None) };
    let (zone, day) = (accounts::zone_of(platform, &person), settled.last_on);
    if person.digest_minute.is_none() || day < calendar::local_day(platform.clock.now(), &zone) {
        return Ok(None);
    }
    let Some((start, end)) = calendar::day_bounds(day, &zone) else { return Ok(None) };
    let due = task::Entity::visible_to(user_id)
        .filter(task::Column::DueAt.between(start, end))
        .filter(task::Column::Status.ne(task::Status::Completed));
    let tasks =
        due.clone().order_by_asc(task::Column::DueAt).order_by_asc(task::Column::Id).limit(MOST).all(db).await?;
    let count = tasks.len() as u64;
    let count = if count < MOST { count } else { due.count(db).await? };
    if count == 0 {
        return Ok(None);
    }
    let mail_id = entity::MessageId::from_uuid(settled.mail_id);
    let written = write(platform, &person, &zone, (day, count, tasks));
    let (subject, html, text) = written.map_err(|e| Fault::Internal(e.to_string()))?;
    Ok(Some(Mail { id: mail_id.to_string(), to: person.email, to_name: person.name, subject, html, text }))
}

type Due = (NaiveDate, u64, Vec<task::Model>);

fn write(
    platform: &Platform,
    person: &user::Model,
    zone: &TimeZone,
    (day, count, tasks): Due,
) -> Result<(String, String, String), askama::Error> {
    let lines: Vec<Line> = tasks.into_iter().map(|task| line(task, zone)).collect();
    let headline = format!("You have {count} task{} due today", if count == 1 { "" } else { "s" });
    let (name, day, more) = (person.name.as_str(), calendar::day_for_people(day), count - lines.len() as u64);
    let url = platform.config.server.frontend_url.trim_end_matches('/');
    let html = Html { name, day: &day, headline: &headline, lines: &lines, more, url }.render()?;
    let text = Text { name, day: &day, headline: &headline, lines: &lines, more, url }.render()?;
    Ok((format!("Good Morning! {headline}"), html, text))
}

fn line(task: task::Model, zone: &TimeZone) -> Line {
    let (priority, colour) = match task.priority {
        Priority::High => ("high", "#e74c3c"),
        Priority::Medium => ("medium", "#f39c12"),
        Priority::Low => ("low", "#3498db"),
    };
    let time = match task.due_at {
        Some(at) if task.due_on.is_none() => calendar::time_for_people(at, zone),
        _ => String::new(),
    };
    Line { title: task.title, time, priority, colour, category: task.category }
}
