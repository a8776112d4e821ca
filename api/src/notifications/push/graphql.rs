//! Push messages as the schema shows them.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use entity::{PushSubscriptionId, UserId, push_subscription as row};

use super::{
    send::{PushMessage, Sent, send_to},
    subscribe::{self, Browser},
};
use crate::{
    accounts::graphql::User,
    payload,
    platform::{
        Platform,
        error::{Fault, Refusal, UserError, UserErrorCode as Code},
        input,
        limiter::Limit,
        scalars::{DateTime, Url},
        viewer::{Caller, Viewer},
    },
};

/// A browser that is registered for push messages.
#[derive(Clone, Debug, SimpleObject)]
pub struct PushSubscription {
    /// `pushsubscription_…`
    id: ID,
    /// The push service's host, like `fcm.googleapis.com`.
    service: String,
    /// Whether it was registered from the session that asks.
    current: bool,
    /// When it was registered.
    created_at: DateTime,
    /// When its push service last took a message. Null: none yet.
    last_used_at: Option<DateTime>,
}

impl PushSubscription {
    fn seen_from(row: row::Model, viewer: Viewer) -> Self {
        let host = url::Url::parse(&row.endpoint).ok().and_then(|url| url.host_str().map(str::to_owned));
        Self {
            id: ID(row.id.to_string()),
            service: host.unwrap_or_default(),
            current: row.session_id == viewer.session_id,
            created_at: DateTime(row.created_at),
            last_used_at: row.last_used_at.map(DateTime),
        }
    }
}

/// What a person has of registered browsers: plugged onto `User`.
pub struct UserPush(pub UserId);

#[Object]
impl UserPush {
    /// The browsers that get push messages, the oldest first.
    async fn push_subscriptions(&self, ctx: &Context<'_>) -> Result<Vec<PushSubscription>, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let rows = subscribe::of(self.0).all(ctx.data_unchecked::<Platform>().db.read()).await?;
        Ok(rows.into_iter().map(|row| PushSubscription::seen_from(row, viewer)).collect())
    }
}

/// What `pushManager.subscribe` gives in a browser.
#[derive(InputObject)]
pub struct PushSubscriptionCreateInput {
    /// Its `endpoint`.
    endpoint: Url,
    /// Its `keys.p256dh`.
    p256dh: String,
    /// Its `keys.auth`.
    auth: String,
}

/// Which browser is to go.
#[derive(InputObject)]
pub struct PushSubscriptionDeleteInput {
    /// `pushsubscription_…`
    id: ID,
}

payload! {
    /// What came of registering a browser.
    PushSubscriptionCreatePayload {
        /// The registration. Null: there are userErrors.
        push_subscription: PushSubscription,
        /// The person, of whom `pushSubscriptions` are different now. Null: there are userErrors.
        user: User
    }
}

payload! {
    /// What came of taking a registration back.
    PushSubscriptionDeletePayload {
        /// The id of what is gone. Null: there are userErrors.
        deleted_push_subscription_id: ID,
        /// The person, of whom `pushSubscriptions` are different now. Null: there are userErrors.
        user: User
    }
}

payload! {
    /// What came of a test.
    PushTestPayload {
        /// How many browsers' push services took the message. Null: there are userErrors.
        sent_count: i32
    }
}

/// What anybody may know of push messages.
#[derive(Default)]
pub struct PushQueries;

#[Object]
impl PushQueries {
    /// The key with which a browser subscribes: `pushManager.subscribe({ applicationServerKey, userVisibleOnly: true })`.
    async fn push_public_key<'a>(&self, ctx: &Context<'a>) -> &'a str {
        ctx.data_unchecked::<Platform>().pusher.public_key()
    }
}

/// The mutations of push messages.
#[derive(Default)]
pub struct PushMutations;

#[Object]
impl PushMutations {
    /// Registers a browser for push messages, as long as the present session lives. Do so at every start of the app: it
    /// costs little, and browsers change their endpoints now and then.
    async fn push_subscription_create(
        &self,
        ctx: &Context<'_>,
        input: PushSubscriptionCreateInput,
    ) -> Result<PushSubscriptionCreatePayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let PushSubscriptionCreateInput { endpoint, p256dh, auth } = input;
        let browser = Browser { endpoint: endpoint.0, p256dh, auth };
        let made = subscribe::subscribe(ctx.data_unchecked::<Platform>(), viewer, browser).await;
        let made = made.map(|row| PushSubscription::seen_from(row, viewer));
        PushSubscriptionCreatePayload::answer(made, User::with_id(viewer.user_id))
    }

    /// Takes a browser's registration back.
    async fn push_subscription_delete(
        &self,
        ctx: &Context<'_>,
        input: PushSubscriptionDeleteInput,
    ) -> Result<PushSubscriptionDeletePayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let gone = match input::id::<PushSubscriptionId>("id", &input.id) {
            Ok(id) => subscribe::unsubscribe(ctx.data_unchecked::<Platform>(), viewer, id).await,
            Err(mistake) => Err(mistake.into()),
        };
        PushSubscriptionDeletePayload::answer(gone.map(|id| ID(id.to_string())), User::with_id(viewer.user_id))
    }

    /// Sends a message to all of the viewer's browsers, now.
    async fn push_test(&self, ctx: &Context<'_>) -> Result<PushTestPayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        PushTestPayload::answer(test(ctx.data_unchecked::<Platform>(), viewer).await)
    }
}

async fn test(platform: &Platform, viewer: Viewer) -> Result<i32, Refusal> {
    let config = &platform.config.push;
    let limit = Limit { name: "push test", most: config.test_limit, window: config.test_window };
    platform.limiter.take(limit, &[(viewer.user_id.to_string(), 1)]).await?.keep().await;
    let message = PushMessage {
        kind: "TEST".into(),
        title: "It works".into(),
        body: "Reminders will come like this.".into(),
        path: "/".into(),
        topic: "test".into(),
    };
    match send_to(platform, viewer.user_id, &message).await? {
        Sent::To(count) => Ok(i32::try_from(count).unwrap_or(i32::MAX)),
        Sent::Nowhere => {
            Err(UserError::at("", Code::WrongState, "No browser is registered: use pushSubscriptionCreate first.")
                .into())
        }
        Sent::Later { error, .. } | Sent::Never(error) => Err(UserError::at("", Code::WrongState, error).into()),
    }
}
