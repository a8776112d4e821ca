//! The mail of a reminder.

use askama::Template;
use entity::{DeliveryId, delivery as row, reminder, task, user};
use sea_orm::EntityTrait;

use crate::{
    accounts,
    platform::{Platform, calendar, clock::span, error::Fault, mail::Mail},
};

/// Everything that a reminder's mail tells.
pub(super) struct Wanted {
    pub(super) delivery: row::Model,
    pub(super) reminder: reminder::Model,
    pub(super) task: Option<task::Model>,
    pub(super) person: user::Model,
}

#[derive(Template)]
#[template(path = "reminders/mail/reminder.html")]
struct Html<'a> {
    name: &'a str,
    title: &'a str,
    message: Option<&'a str>,
    moment: &'a str,
    late: bool,
    url: &'a str,
}

#[derive(Template)]
#[template(path = "reminders/mail/reminder.txt")]
struct Text<'a> {
    name: &'a str,
    title: &'a str,
    message: Option<&'a str>,
    moment: &'a str,
    late: bool,
    url: &'a str,
}

/// What is to be mailed. None: it is no longer wanted.
pub(super) async fn find(platform: &Platform, id: DeliveryId) -> Result<Option<Wanted>, Fault> {
    let db = platform.db.read();
    let Some(delivery) = row::Entity::find_by_id(id).one(db).await? else { return Ok(None) };
    let reminder = reminder::Entity::find_by_id(delivery.reminder_id).one(db).await?;
    let wanted = reminder.filter(|reminder| {
        reminder.status == reminder::Status::Pending
            && reminder.round == delivery.round
            && delivery.state == row::State::Pending
    });
    let Some(reminder) = wanted else { return Ok(None) };
    let task = match reminder.task_id {
        Some(id) => task::Entity::find_by_id(id).one(db).await?,
        None => None,
    };
    let person = accounts::person(db, reminder.user_id).await?;
    Ok(Some(Wanted { delivery, reminder, task, person }))
}

/// Writes it.
pub(super) fn compose(platform: &Platform, wanted: &Wanted) -> Result<Mail, askama::Error> {
    let Wanted { delivery, reminder, task, person } = wanted;
    let title = task.as_ref().map_or("Your reminder", |task| task.title.as_str());
    let message = reminder.message.as_deref();
    let zone = accounts::zone_of(platform, person);
    let moment = calendar::for_people(reminder.scheduled_at, &zone);
    let url = platform.config.server.frontend_url.as_str();
    let name = person.name.as_str();
    let late = platform.clock.now() - delivery.due_at > span(platform.config.limits.reminder_late_after);
    Ok(Mail {
        id: delivery.id.to_string(),
        to: person.email.clone(),
        to_name: person.name.clone(),
        subject: format!("Reminder: {title} is due soon"),
        html: Html { name, title, message, moment: &moment, late, url }.render()?,
        text: Text { name, title, message, moment: &moment, late, url }.render()?,
    })
}
