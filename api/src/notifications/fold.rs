//! What quiet hours hold: kept until they end, then told at once, by one mail or one push message.
//! Promise: what is held goes out once; while it is held its person can read in the ledger until when.

use askama::Template;
use entity::{DeliveryId, MessageId, UserId, delivery::Channel, message as row, user};
use futures_util::future::BoxFuture;
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::push::{PushMessage, Sent, send_to};
use crate::{
    accounts,
    platform::{
        Platform, calendar,
        clock::Instant,
        db::Tx,
        error::Fault,
        facts::{DayChanged, HeldMessages, HeldOutcome},
        jobs::{self, ByHand, Engine, Failed, Failure, Held, NewJob},
        mail::Mail,
        secret::{hex, sha256},
    },
};

/// Mails what was held.
const FOLD_EMAIL: &str = "notifications.fold_email";
/// Pushes what was held.
const FOLD_PUSH: &str = "notifications.fold_push";
/// How much one message tells of.
const MOST: u64 = 200;

fn job_of(by: Channel) -> &'static str {
    match by {
        Channel::Email => FOLD_EMAIL,
        Channel::Push | Channel::InApp => FOLD_PUSH,
    }
}

/// Registers the jobs that end quiet hours.
pub(super) fn register_jobs(engine: &mut Engine) {
    engine.singles(FOLD_EMAIL, |platform, job| tell(platform, job, Channel::Email));
    engine.when_failed(|platform, tx, failed| Box::pin(note_failure(platform, tx, failed, Channel::Email)));
    engine.while_there(|platform| platform.mailer.pass());
    engine.singles(FOLD_PUSH, |platform, job| tell(platform, job, Channel::Push));
    engine.when_failed(|platform, tx, failed| Box::pin(note_failure(platform, tx, failed, Channel::Push)));
}

/// What a reminder's delivery would have told.
#[derive(Clone, Debug)]
pub struct Withheld {
    pub delivery: DeliveryId,
    pub user_id: UserId,
    pub channel: Channel,
    pub title: String,
    pub message: String,
    pub due_at: Instant,
}

/// Holds what a reminder's delivery would have told until quiet hours end, to go out by `by`.
///
/// # Errors
/// When the database fails.
pub async fn hold(platform: &Platform, tx: &Tx, held: Withheld, until: Instant, by: Channel) -> Result<(), Fault> {
    let Withheld { delivery, user_id, channel, title, message, due_at } = held;
    let message = row::ActiveModel {
        id: Set(MessageId::from_uuid(delivery.uuid())),
        user_id: Set(user_id),
        kind: Set(entity::notification::Kind::Reminder),
        channel: Set(channel),
        of_delivery: Set(true),
        title: Set(title),
        message: Set(message),
        due_at: Set(due_at),
        folded_by: Set(Some(by)),
        created_at: Set(platform.clock.now()),
    };
    row::Entity::insert(message).exec_without_returning(&**tx).await?;
    plan(platform, tx, user_id, until, by).await
}

/// Holds a message that had a job of its own.
pub(super) async fn hold_own(
    platform: &Platform,
    job: Held,
    message: row::Model,
    until: Instant,
    by: Channel,
) -> Result<(), Fault> {
    let parts = platform.clone();
    platform
        .db
        .write(move |tx| async move {
            if !jobs::finish_one(&tx, &job).await? {
                return Ok(());
            }
            let user_id = message.user_id;
            let mut message = message.into_active_model();
            message.folded_by = Set(Some(by));
            message.update(&*tx).await?;
            plan(&parts, &tx, user_id, until, by).await
        })
        .await
}

async fn plan(platform: &Platform, tx: &Tx, user_id: UserId, until: Instant, by: Channel) -> Result<(), Fault> {
    let job = NewJob { kind: job_of(by), subject_id: user_id.uuid(), user_id: Some(user_id), due_at: until };
    Ok(jobs::enqueue(platform, tx, &[job]).await?)
}

/// A person's quiet hours are others now: what they hold is looked at at once.
pub fn on_day_changed<'a>(platform: &'a Platform, tx: &'a Tx, fact: DayChanged) -> BoxFuture<'a, Result<(), Fault>> {
    Box::pin(async move {
        if fact.anew {
            return Ok(());
        }
        for by in [Channel::Email, Channel::Push] {
            if held_by(fact.user_id, by).one(&**tx).await?.is_some() {
                plan(platform, tx, fact.user_id, platform.clock.now(), by).await?;
            }
        }
        Ok(())
    })
}

fn held_by(user: UserId, by: Channel) -> sea_orm::Select<row::Entity> {
    row::Entity::visible_to(user)
        .filter(row::Column::FoldedBy.eq(by))
        .order_by_asc(row::Column::DueAt)
        .order_by_asc(row::Column::Id)
        .limit(MOST)
}

async fn tell(platform: Platform, job: Held, by: Channel) -> Result<(), Failure> {
    let user_id = UserId::from_uuid(job.subject_id);
    let held = held_by(user_id, by).all(platform.db.read()).await.map_err(Fault::from)?;
    let person = accounts::person(platform.db.read(), user_id).await?;
    let outcome = match accounts::quiet_until(&platform, &person, platform.clock.now()) {
        _ if held.is_empty() => HeldOutcome::Sent,
        Some(until) => HeldOutcome::Until(until),
        None if by == Channel::Email => {
            let mail = compose(&platform, &held, &person).map_err(|e| Fault::Internal(e.to_string()))?;
            platform.mailer.send(mail).await?;
            HeldOutcome::Sent
        }
        None => match send_to(&platform, user_id, &pushed(&held)).await? {
            Sent::Nowhere => HeldOutcome::Skipped("No browser is registered for push.".into()),
            sent => {
                sent.taken()?;
                HeldOutcome::Sent
            }
        },
    };
    jobs::conclude(&platform, move |parts, tx| {
        let (job, held, outcome, person) = (job.clone(), held.clone(), outcome.clone(), person.clone());
        async move {
            // Should more have been held meanwhile, the job is not ours any more and begins anew, for the others.
            jobs::finish_one(&tx, &job).await?;
            settle(&parts, &tx, &held, by, outcome).await?;
            if let Some(more) = held_by(user_id, by).one(&*tx).await? {
                let until = accounts::quiet_until(&parts, &person, parts.clock.now());
                plan(&parts, &tx, more.user_id, until.unwrap_or(parts.clock.now()), by).await?;
            }
            Ok(())
        }
    })
    .await
}

/// Forgets what was held until then, by hand: the ledger says why it is not sent.
pub(super) async fn settle_by_hand(platform: &Platform, tx: &Tx, by: &ByHand<'_>) -> Result<(), Fault> {
    for channel in [Channel::Email, Channel::Push] {
        while let due @ [_, ..] = &by.jobs(tx, job_of(channel), None).await?[..] {
            jobs::finish(tx, due).await?;
            for job in due {
                while let held @ [_, ..] = &held_by(UserId::from_uuid(job.subject_id), channel).all(&**tx).await?[..] {
                    settle(platform, tx, held, channel, HeldOutcome::Skipped(by.why.to_owned())).await?;
                }
            }
        }
    }
    Ok(())
}

/// Writes down what became of what was held. What left meanwhile, because it was no longer wanted, is let be.
async fn settle(
    platform: &Platform,
    tx: &Tx,
    held: &[row::Model],
    by: Channel,
    outcome: HeldOutcome,
) -> Result<(), Fault> {
    let ids = || held.iter().map(|message| message.id);
    let over = !matches!(outcome, HeldOutcome::Until(_) | HeldOutcome::Tried { .. });
    if over {
        row::Entity::delete_many().filter(row::Column::Id.is_in(ids())).exec(&**tx).await?;
    }
    let of = |same: bool| -> Vec<DeliveryId> {
        let ours = held.iter().filter(|message| message.of_delivery && (message.channel == by) == same);
        ours.map(|message| DeliveryId::from_uuid(message.id.uuid())).collect()
    };
    let elsewhere = match &outcome {
        HeldOutcome::Sent => HeldOutcome::Skipped("Quiet hours held it. It was told by the mail at their end.".into()),
        other => other.clone(),
    };
    for (deliveries, outcome) in [(of(true), outcome), (of(false), elsewhere)] {
        if !deliveries.is_empty() {
            platform.facts.held_messages(platform, tx, &HeldMessages { deliveries, outcome }).await?;
        }
    }
    Ok(())
}

async fn note_failure(platform: &Platform, tx: &Tx, failed: &Failed, by: Channel) -> Result<(), Fault> {
    let user_id = UserId::from_uuid(failed.job.subject_id);
    let (error, attempts) = (failed.error.clone(), failed.attempts);
    let held = held_by(user_id, by).all(&**tx).await?;
    if let Some(next_attempt_at) = failed.next_attempt_at {
        return settle(platform, tx, &held, by, HeldOutcome::Tried { error, attempts, next_attempt_at }).await;
    }
    settle(platform, tx, &held, by, HeldOutcome::Failed { error, attempts }).await?;
    // What that one message had no room for gets one of its own.
    if held_by(user_id, by).one(&**tx).await?.is_some() {
        plan(platform, tx, user_id, platform.clock.now(), by).await?;
    }
    Ok(())
}

/// What one thing that was held looks like.
struct Line<'a> {
    time: String,
    title: &'a str,
    message: &'a str,
}

#[derive(Template)]
#[template(path = "notifications/mail/held.html")]
struct Html<'a> {
    name: &'a str,
    lines: &'a [Line<'a>],
    url: &'a str,
}

#[derive(Template)]
#[template(path = "notifications/mail/held.txt")]
struct Text<'a> {
    name: &'a str,
    lines: &'a [Line<'a>],
    url: &'a str,
}

fn headline(held: &[row::Model]) -> String {
    // A reminder that was to come by two ways is one thing.
    let mut titles: Vec<_> = held.iter().map(|message| (&message.title, &message.message)).collect();
    titles.dedup();
    match titles.len() {
        1 => format!("In your quiet hours: {}", titles[0].0),
        n => format!("In your quiet hours: {n} messages"),
    }
}

fn compose(platform: &Platform, held: &[row::Model], person: &user::Model) -> Result<Mail, askama::Error> {
    let zone = accounts::zone_of(platform, person);
    let mut lines: Vec<Line<'_>> = Vec::with_capacity(held.len());
    for row::Model { due_at, title, message, .. } in held {
        if lines.last().is_none_or(|last| last.title != title || last.message != message) {
            lines.push(Line { time: calendar::time_for_people(*due_at, &zone), title, message });
        }
    }
    let (name, url) = (person.name.as_str(), platform.config.server.frontend_url.as_str());
    Ok(Mail {
        id: identity(held),
        to: person.email.clone(),
        to_name: person.name.clone(),
        subject: headline(held),
        html: Html { name, lines: &lines, url }.render()?,
        text: Text { name, lines: &lines, url }.render()?,
    })
}

/// The same for the same messages, so that a mail that is tried again keeps its Message-ID.
fn identity(held: &[row::Model]) -> String {
    let bytes: Vec<u8> = held.iter().flat_map(|message| message.id.uuid().into_bytes()).collect();
    format!("held_{}", &hex(&sha256(&bytes))[..32])
}

fn pushed(held: &[row::Model]) -> PushMessage {
    let titles: Vec<&str> = held.iter().map(|message| message.title.as_str()).collect();
    let kind = held.first().map_or(entity::notification::Kind::General, |message| message.kind).to_value();
    PushMessage { kind, title: headline(held), body: titles.join(", "), path: "/tasks".into(), topic: identity(held) }
}
