//! By which ways a person wishes to hear of what, and whether now is the time.
//! Promise: what a person muted does not go out, and what their quiet hours hold is not lost.

use std::collections::HashMap;

use entity::{UserId, delivery::Channel, notification::Kind, notification_choice as row, user};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, sea_query::OnConflict};

use crate::{
    accounts,
    platform::{
        Platform,
        clock::Instant,
        error::{Fault, Refusal},
        viewer::Viewer,
    },
};

/// What people chose.
#[derive(Clone, Debug, Default)]
pub struct Choices(HashMap<(UserId, Kind, Channel), bool>);

impl Choices {
    /// What these people chose.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(db: &impl ConnectionTrait, users: impl IntoIterator<Item = UserId>) -> Result<Self, DbErr> {
        let rows = row::Entity::find().filter(row::Column::UserId.is_in(users)).all(db).await?;
        Ok(Self(rows.into_iter().map(|row| ((row.user_id, row.kind, row.channel), row.wanted)).collect()))
    }

    /// Whether a person wishes to hear of this by this way.
    pub fn wants(&self, user: UserId, kind: Kind, channel: Channel) -> bool {
        self.0.get(&(user, kind, channel)).copied().unwrap_or_else(|| by_default(kind, channel))
    }
}

/// What holds for whoever chose nothing: everything in the app; by mail only what they asked for by a reminder; by push
/// what has a time.
fn by_default(kind: Kind, channel: Channel) -> bool {
    match (kind, channel) {
        (_, Channel::InApp) | (Kind::Reminder, _) => true,
        (Kind::Overdue | Kind::Upcoming, Channel::Push) => true,
        (Kind::Overdue | Kind::Upcoming, Channel::Email) | (Kind::General, Channel::Email | Channel::Push) => false,
    }
}

/// Whether a message may go out now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It may.
    Open,
    /// The person does not wish it.
    Muted,
    /// Quiet hours hold it until then; it goes out with the others by this channel.
    Held { until: Instant, by: Channel },
}

/// Whether a message of this kind may go out to a person by this channel now.
///
/// # Errors
/// When the database fails.
pub async fn way(platform: &Platform, person: &user::Model, kind: Kind, channel: Channel) -> Result<Way, Fault> {
    let choices = Choices::of(platform.db.read(), [person.id]).await?;
    if !choices.wants(person.id, kind, channel) {
        return Ok(Way::Muted);
    }
    Ok(match accounts::quiet_until(platform, person, platform.clock.now()) {
        None => Way::Open,
        // One mail tells of everything, unless the person wishes no mail of this kind.
        Some(until) if choices.wants(person.id, kind, Channel::Email) => Way::Held { until, by: Channel::Email },
        Some(until) => Way::Held { until, by: Channel::Push },
    })
}

/// A choice that a person makes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) kind: Kind,
    pub(super) channel: Channel,
    pub(super) wanted: bool,
}

/// Keeps what a person chooses; the last of two choices of the same counts.
pub(super) async fn choose(platform: &Platform, viewer: Viewer, choices: Vec<Choice>) -> Result<(), Refusal> {
    let last: HashMap<_, _> = choices.into_iter().map(|it| ((it.kind, it.channel), it.wanted)).collect();
    if last.is_empty() {
        return Ok(());
    }
    platform
        .db
        .write(move |tx| async move {
            let rows = last.into_iter().map(|((kind, channel), wanted)| row::ActiveModel {
                user_id: Set(viewer.user_id),
                kind: Set(kind),
                channel: Set(channel),
                wanted: Set(wanted),
            });
            let anew = OnConflict::columns([row::Column::UserId, row::Column::Kind, row::Column::Channel])
                .update_column(row::Column::Wanted)
                .to_owned();
            Ok(row::Entity::insert_many(rows).on_conflict(anew).exec_without_returning(&*tx).await.map(drop)?)
        })
        .await
}
