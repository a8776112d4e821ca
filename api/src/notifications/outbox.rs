//! Telling a person of something by every way that they wish: in the app at once, by mail and push by jobs of their own.
//! Promise: what waits to go out is written down with the notification, in one transaction; one way's trouble never
//! holds up another.

use std::collections::{BTreeSet, HashSet};

use askama::Template;
use entity::{MessageId, UserId, delivery::Channel, message as row, notification::Kind, push_subscription as browser};
use futures_util::future::BoxFuture;
use sea_orm::{
    ActiveEnum, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QuerySelect,
};

use super::{
    fold,
    preferences::{Choices, Way, way},
    push::{PushMessage, send_to},
    record::{NewNotification, record},
};
use crate::{
    accounts,
    platform::{
        Platform,
        db::Tx,
        error::Fault,
        jobs::{self, ByHand, Engine, Failed, Failure, Held, NewJob},
        mail::Mail,
    },
};

/// Mails what a person is told.
const EMAIL: &str = "notifications.email";
/// Pushes what a person is told.
const PUSH: &str = "notifications.push";

/// Registers the jobs of this room.
pub fn register_jobs(engine: &mut Engine) {
    engine.singles(EMAIL, |platform, job| send(platform, job, Channel::Email));
    engine.when_failed(forget).while_there(|platform| platform.mailer.pass());
    engine.singles(PUSH, |platform, job| send(platform, job, Channel::Push)).when_failed(forget);
    fold::register_jobs(engine);
}

/// Makes notifications and what is to go out of them. What was told before, for the same cause, is not told again.
///
/// # Errors
/// When the database fails.
pub async fn tell(platform: &Platform, tx: &Tx, new: Vec<NewNotification>) -> Result<(), Fault> {
    if new.is_empty() {
        return Ok(());
    }
    let choices = choices_of(tx, &new).await?;
    let (shown, muted): (Vec<_>, Vec<_>) =
        new.into_iter().partition(|new| choices.wants(new.user_id, new.kind, Channel::InApp));
    let shown =
        record(platform, tx, shown).await?.into_iter().map(|row| (row.user_id, row.kind, row.title, row.message));
    let muted = muted.into_iter().map(|new| (new.user_id, new.kind, new.title, new.message));
    let told: Vec<_> = shown.chain(muted).collect();
    let reachable = with_browsers(tx, &told, &choices).await?;
    let now = platform.clock.now();
    let (mut rows, mut work) = (Vec::new(), Vec::new());
    for (user_id, kind, title, message) in told {
        for (channel, job) in [(Channel::Email, EMAIL), (Channel::Push, PUSH)] {
            let pointless = channel == Channel::Push && !reachable.contains(&user_id);
            if pointless || !choices.wants(user_id, kind, channel) {
                continue;
            }
            let id = MessageId::from_uuid(platform.new_uuid());
            rows.push(row::ActiveModel {
                id: Set(id),
                user_id: Set(user_id),
                kind: Set(kind),
                channel: Set(channel),
                of_delivery: Set(false),
                title: Set(title.clone()),
                message: Set(message.clone()),
                due_at: Set(now),
                folded_by: Set(None),
                created_at: Set(now),
            });
            work.push(NewJob { kind: job, subject_id: id.uuid(), user_id: Some(user_id), due_at: now });
        }
    }
    if !rows.is_empty() {
        row::Entity::insert_many(rows).exec_without_returning(&**tx).await?;
        jobs::enqueue(platform, tx, &work).await?;
    }
    Ok(())
}

/// Shows notifications in the app, where their people wish it, and sends nothing.
///
/// # Errors
/// When the database fails.
pub async fn show(platform: &Platform, tx: &Tx, mut new: Vec<NewNotification>) -> Result<(), Fault> {
    let choices = choices_of(tx, &new).await?;
    new.retain(|new| choices.wants(new.user_id, new.kind, Channel::InApp));
    Ok(record(platform, tx, new).await.map(drop)?)
}

async fn choices_of(tx: &Tx, new: &[NewNotification]) -> Result<Choices, DbErr> {
    let people: BTreeSet<UserId> = new.iter().map(|new| new.user_id).collect();
    Choices::of(&**tx, people).await
}

type Told = (UserId, Kind, String, String);

/// Who among those that wish push messages has a browser for them.
async fn with_browsers(tx: &Tx, told: &[Told], choices: &Choices) -> Result<HashSet<UserId>, DbErr> {
    #[derive(FromQueryResult)]
    struct Person {
        user_id: UserId,
    }
    let wishing: BTreeSet<UserId> =
        told.iter().filter(|(user, kind, ..)| choices.wants(*user, *kind, Channel::Push)).map(|told| told.0).collect();
    if wishing.is_empty() {
        return Ok(HashSet::new());
    }
    let found = browser::Entity::find()
        .select_only()
        .column(browser::Column::UserId)
        .distinct()
        .filter(browser::Column::UserId.is_in(wishing))
        .into_model::<Person>()
        .all(&**tx)
        .await?;
    Ok(found.into_iter().map(|person| person.user_id).collect())
}

async fn send(platform: Platform, job: Held, channel: Channel) -> Result<(), Failure> {
    let id = MessageId::from_uuid(job.subject_id);
    let found = row::Entity::find_by_id(id).one(platform.db.read()).await.map_err(Fault::from)?;
    if let Some(message) = found {
        let person = accounts::person(platform.db.read(), message.user_id).await?;
        match way(&platform, &person, message.kind, channel).await? {
            Way::Muted => {}
            Way::Held { until, by } => {
                return fold::hold_own(&platform, job, message, until, by).await.map_err(Failure::from);
            }
            Way::Open if channel == Channel::Email => {
                let mail = compose(&platform, &message, &person).map_err(|e| Fault::Internal(e.to_string()))?;
                platform.mailer.send(mail).await?;
            }
            Way::Open => {
                let push = PushMessage {
                    kind: message.kind.to_value(),
                    title: message.title,
                    body: message.message,
                    path: "/tasks".into(),
                    topic: id.to_string(),
                };
                send_to(&platform, person.id, &push).await?.taken()?;
            }
        }
    }
    jobs::conclude(&platform, move |_, tx| {
        let job = job.clone();
        async move {
            jobs::finish_one(&tx, &job).await?;
            Ok(row::Entity::delete_by_id(id).exec(&*tx).await.map(drop)?)
        }
    })
    .await
}

#[derive(Template)]
#[template(path = "notifications/mail/message.html")]
struct Html<'a> {
    name: &'a str,
    title: &'a str,
    message: &'a str,
    url: &'a str,
}

#[derive(Template)]
#[template(path = "notifications/mail/message.txt")]
struct Text<'a> {
    name: &'a str,
    title: &'a str,
    message: &'a str,
    url: &'a str,
}

fn compose(platform: &Platform, message: &row::Model, person: &entity::user::Model) -> Result<Mail, askama::Error> {
    let row::Model { id, title, message, .. } = message;
    let (name, url) = (person.name.as_str(), platform.config.server.frontend_url.as_str());
    Ok(Mail {
        id: id.to_string(),
        to: person.email.clone(),
        to_name: person.name.clone(),
        subject: message.clone(),
        html: Html { name, title, message, url }.render()?,
        text: Text { name, title, message, url }.render()?,
    })
}

/// Forgets a message that will not go out; it stands in the list of the app.
fn forget<'a>(_: &'a Platform, tx: &'a Tx, failed: &'a Failed) -> BoxFuture<'a, Result<(), Fault>> {
    Box::pin(async move {
        if failed.next_attempt_at.is_none() {
            row::Entity::delete_by_id(MessageId::from_uuid(failed.job.subject_id)).exec(&**tx).await?;
        }
        Ok(())
    })
}

/// Forgets what waits to go out, by itself or held by quiet hours, and was due by then: it stands in the list of the app.
///
/// # Errors
/// When the database fails.
pub async fn settle_by_hand(platform: &Platform, tx: &Tx, by: &ByHand<'_>) -> Result<(), Fault> {
    for kind in [EMAIL, PUSH] {
        let mut after = None;
        loop {
            let due = by.jobs(tx, kind, after).await?;
            let Some(last) = due.last() else { break };
            after = Some(last.id);
            let due = accounts::not_held(platform, tx, due, by).await?;
            jobs::finish(tx, &due).await?;
            let messages = due.iter().map(|job| MessageId::from_uuid(job.subject_id));
            row::Entity::delete_many().filter(row::Column::Id.is_in(messages)).exec(&**tx).await?;
        }
    }
    fold::settle_by_hand(platform, tx, by).await
}

/// Takes messages of these deliveries back that are held: they are not wanted any more.
///
/// # Errors
/// When the database fails.
pub async fn release(tx: &Tx, deliveries: &[entity::DeliveryId]) -> Result<(), DbErr> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let ids = deliveries.iter().map(|id| MessageId::from_uuid(id.uuid()));
    row::Entity::delete_many().filter(row::Column::Id.is_in(ids)).exec(&**tx).await.map(drop)
}
