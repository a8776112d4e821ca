//! By which ways a person wishes to hear of what, as the schema shows it.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use entity::{UserId, delivery::Channel, notification::Kind};
use sea_orm::Iterable;

use super::NotificationType;
use crate::{
    notifications::preferences::{Choice, Choices, choose},
    payload,
    platform::{
        Platform,
        error::{Fault, Refusal},
        viewer::{Caller, Viewer},
    },
};

/// By which ways the viewer hears of one type of notification.
#[derive(Clone, Debug, SimpleObject)]
pub struct NotificationPreference {
    /// Of what.
    #[graphql(name = "type")]
    kind: NotificationType,
    /// Whether it comes into the list, with the live stream and the unread count.
    in_app: bool,
    /// Whether it comes by mail. Of reminders: if the reminder asks for it.
    email: bool,
    /// Whether it comes by push message. Of reminders: if the reminder asks for it.
    push: bool,
}

/// What the viewer chooses for one type of notification: what is absent stays, and null is as absent.
#[derive(Clone, Debug, InputObject)]
pub struct NotificationPreferenceInput {
    /// Of what.
    #[graphql(name = "type")]
    kind: NotificationType,
    /// Whether it comes into the list, with the live stream and the unread count.
    in_app: Option<bool>,
    /// Whether it comes by mail.
    email: Option<bool>,
    /// Whether it comes by push message.
    push: Option<bool>,
}

impl NotificationPreferenceInput {
    fn choices(self) -> impl Iterator<Item = Choice> {
        // Destructured whole, so that a new field cannot be forgotten.
        let Self { kind, in_app, email, push } = self;
        let all = [(Channel::InApp, in_app), (Channel::Email, email), (Channel::Push, push)];
        all.into_iter().filter_map(move |(channel, wanted)| {
            let kind = kind.into();
            wanted.map(|wanted| Choice { kind, channel, wanted })
        })
    }
}

/// What is to be chosen.
#[derive(Clone, Debug, InputObject)]
pub struct NotificationPreferencesUpdateInput {
    /// For each type that is to change; of two for the same type the later one counts.
    #[graphql(validator(max_items = 20))]
    preferences: Vec<NotificationPreferenceInput>,
}

payload! {
    /// What came of choosing.
    NotificationPreferencesUpdatePayload {
        /// The choices as they are now, one for each type. Null: there are userErrors.
        preferences: Vec<NotificationPreference>
    }
}

/// The choices of a person, one for each type.
pub(super) async fn preferences_of(platform: &Platform, user: UserId) -> Result<Vec<NotificationPreference>, Fault> {
    let choices = Choices::of(platform.db.read(), [user]).await?;
    let preference = |kind: Kind| {
        let wants = |channel| choices.wants(user, kind, channel);
        let (in_app, email, push) = (wants(Channel::InApp), wants(Channel::Email), wants(Channel::Push));
        NotificationPreference { kind: kind.into(), in_app, email, push }
    };
    Ok(Kind::iter().map(preference).collect())
}

/// The mutations of preferences.
#[derive(Default)]
pub struct PreferenceMutations;

#[Object]
impl PreferenceMutations {
    /// Chooses by which ways the viewer hears of what. It holds for what comes from now on.
    async fn notification_preferences_update(
        &self,
        ctx: &Context<'_>,
        input: NotificationPreferencesUpdateInput,
    ) -> Result<NotificationPreferencesUpdatePayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let chosen = update(ctx.data_unchecked::<Platform>(), viewer, input).await;
        NotificationPreferencesUpdatePayload::answer(chosen)
    }
}

async fn update(
    platform: &Platform,
    viewer: Viewer,
    input: NotificationPreferencesUpdateInput,
) -> Result<Vec<NotificationPreference>, Refusal> {
    let choices = input.preferences.into_iter().flat_map(NotificationPreferenceInput::choices).collect();
    choose(platform, viewer, choices).await?;
    Ok(preferences_of(platform, viewer.user_id).await?)
}
