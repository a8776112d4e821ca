//! What can be done with reminders.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, OneofObject};

use super::{Reminder, ReminderType};
use crate::{
    payload,
    platform::{
        Platform,
        change::{Changed, outcome},
        error::{Fault, Refusal, UserError},
        input,
        scalars::DateTime,
        viewer::Caller,
    },
    reminders::{
        change::{self, Patch, Snooze, Target},
        create,
    },
};

/// A reminder to be made.
#[derive(Clone, Debug, InputObject)]
pub struct ReminderCreateInput {
    /// An id that the client made, so that it can be shown before the answer is there: a TypeID, `reminder_` and a
    /// UUIDv7 in 26 characters of Crockford's base 32, in lower case (npm `typeid-js` makes them), like
    /// `reminder_01h2xcejqtf2nbrexx3vqjhp41`.
    pub id: Option<ID>,
    /// The task that it belongs to. Absent: it stands alone, and needs a message.
    pub task_id: Option<ID>,
    /// At most 500 characters.
    pub message: Option<String>,
    /// Its moment: ahead, and within 5 years.
    pub scheduled_at: DateTime,
    /// By which way besides the app it goes out.
    #[graphql(name = "type", default)]
    pub kind: ReminderType,
    /// Whether it completes by itself once it is delivered. Otherwise the person does.
    #[graphql(default)]
    pub complete_on_delivery: bool,
    /// 1–64 characters: the same key with the same input (a client-made `id` belongs to it) gives the same reminder
    /// again, for 24 hours. With other input, or for another mutation: IDEMPOTENCY_MISMATCH.
    pub idempotency_key: Option<String>,
}

/// A change of a pending reminder: what is absent stays. Null clears `message` (of a reminder that belongs to a task);
/// elsewhere it is as absent.
#[derive(Clone, Debug, InputObject)]
pub struct ReminderUpdateInput {
    /// `reminder_…`
    pub id: ID,
    /// The version that the change is based on: CONFLICT when the reminder has another one.
    pub expected_version: Option<i32>,
    /// At most 500 characters.
    pub message: MaybeUndefined<String>,
    /// Its moment: ahead, and within 5 years. Moving it begins a new round of deliveries.
    pub scheduled_at: Option<DateTime>,
    /// By which way besides the app it goes out.
    #[graphql(name = "type")]
    pub kind: Option<ReminderType>,
    /// Whether it completes by itself once it is delivered.
    pub complete_on_delivery: Option<bool>,
}

/// For how long.
#[derive(Clone, Debug, OneofObject)]
pub enum ReminderSnoozeFor {
    /// So many minutes from now: at least 1.
    Minutes(i32),
    /// Until this moment: ahead, and within 5 years.
    Until(DateTime),
}

/// Which reminder is put off.
#[derive(Clone, Debug, InputObject)]
pub struct ReminderSnoozeInput {
    /// `reminder_…`
    pub id: ID,
    /// The version that this is based on: CONFLICT when the reminder has another one.
    pub expected_version: Option<i32>,
    /// For how long.
    #[graphql(name = "for")]
    pub span: ReminderSnoozeFor,
}

macro_rules! acts {
    ($(
        $(#[doc = $doc:literal])+ $input:ident:
        $(#[doc = $payload_doc:literal])+ $payload:ident {
            $(#[doc = $reminder_doc:literal])+ reminder
        }
    )*) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, InputObject)]
        pub struct $input {
            /// `reminder_…`
            pub id: ID,
            /// The version that this is based on: CONFLICT when the reminder has another one.
            pub expected_version: Option<i32>,
        }

        payload! {
            $(#[doc = $payload_doc])+
            $payload {
                $(#[doc = $reminder_doc])+
                reminder: Reminder
            }
        }
    )*};
}

acts! {
    /// Which reminder was done.
    ReminderCompleteInput:
    /// What came of completing a reminder.
    ReminderCompletePayload {
        /// The reminder as it is now. Null: there are userErrors; with CONFLICT it is there all the same.
        reminder
    }
    /// Which reminder is not done after all.
    ReminderReopenInput:
    /// What came of reopening a reminder.
    ReminderReopenPayload {
        /// The reminder as it is now. Null: there are userErrors; with CONFLICT it is there all the same.
        reminder
    }
    /// Which reminder is to go.
    ReminderDeleteInput:
    /// What came of deleting a reminder.
    ReminderDeletePayload {
        /// The reminder as it was last. Null: there are userErrors; with CONFLICT it is there, and not deleted.
        reminder
    }
    /// Whose failed deliveries are to be sent again.
    DeliveryRetryInput:
    /// What came of sending again.
    DeliveryRetryPayload {
        /// The reminder as it is now. Null: there are userErrors; with CONFLICT it is there all the same.
        reminder
    }
}

payload! {
    /// What came of making a reminder.
    ReminderCreatePayload {
        /// The reminder. Null: there are userErrors.
        reminder: Reminder
    }
}

payload! {
    /// What came of changing a reminder.
    ReminderUpdatePayload {
        /// The reminder as it is now. Null: there are userErrors; with CONFLICT it is there all the same.
        reminder: Reminder
    }
}

payload! {
    /// What came of putting a reminder off.
    ReminderSnoozePayload {
        /// The reminder as it is now. Null: there are userErrors; with CONFLICT it is there all the same.
        reminder: Reminder
    }
}

/// The mutations of reminders.
#[derive(Default)]
pub struct ReminderMutations;

#[Object]
impl ReminderMutations {
    /// Makes a reminder. Once this is answered it will be delivered, whatever happens to the server meanwhile.
    async fn reminder_create(
        &self,
        ctx: &Context<'_>,
        input: ReminderCreateInput,
    ) -> Result<ReminderCreatePayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let platform = ctx.data_unchecked::<Platform>();
        let made = create::create(platform, viewer, input).await;
        ReminderCreatePayload::answer(made.map(|row| Reminder::at(row, platform.clock.now())))
    }

    /// Changes the fields that are given: absent keeps, null clears what can be null.
    async fn reminder_update(
        &self,
        ctx: &Context<'_>,
        input: ReminderUpdateInput,
    ) -> Result<ReminderUpdatePayload, Fault> {
        let ReminderUpdateInput { id, expected_version, message, scheduled_at, kind, complete_on_delivery } = input;
        let scheduled_at = scheduled_at.map(|at| at.0);
        let patch = Patch { message, scheduled_at, kind, completes_on_delivery: complete_on_delivery };
        let (reminder, user_errors) =
            run(ctx, &id, expected_version, |platform, target| change::update(platform, target, patch)).await?;
        Ok(ReminderUpdatePayload { reminder, user_errors })
    }

    /// Puts a pending reminder off: it comes again at its new moment, its mail at that moment too.
    async fn reminder_snooze(
        &self,
        ctx: &Context<'_>,
        input: ReminderSnoozeInput,
    ) -> Result<ReminderSnoozePayload, Fault> {
        let ReminderSnoozeInput { id, expected_version, span } = input;
        let span = match span {
            ReminderSnoozeFor::Minutes(minutes) => Snooze::Minutes(minutes),
            ReminderSnoozeFor::Until(until) => Snooze::Until(until.0),
        };
        let (reminder, user_errors) =
            run(ctx, &id, expected_version, |platform, target| change::snooze(platform, target, span)).await?;
        Ok(ReminderSnoozePayload { reminder, user_errors })
    }

    /// Completes a reminder: it counts for the streak, and what was still to be delivered is not sent. One that is
    /// complete already stays as it is.
    async fn reminder_complete(
        &self,
        ctx: &Context<'_>,
        input: ReminderCompleteInput,
    ) -> Result<ReminderCompletePayload, Fault> {
        let (reminder, user_errors) = run(ctx, &input.id, input.expected_version, change::complete).await?;
        Ok(ReminderCompletePayload { reminder, user_errors })
    }

    /// Opens a completed or cancelled reminder again, and takes it out of the statistics. One that still lies ahead is
    /// delivered at its moment; one whose moment has passed is overdue.
    async fn reminder_reopen(
        &self,
        ctx: &Context<'_>,
        input: ReminderReopenInput,
    ) -> Result<ReminderReopenPayload, Fault> {
        let (reminder, user_errors) = run(ctx, &input.id, input.expected_version, change::reopen).await?;
        Ok(ReminderReopenPayload { reminder, user_errors })
    }

    /// Deletes a reminder with its ledger, for good. What it told already stays in the list of notifications, and what
    /// was completed stays in the statistics.
    async fn reminder_delete(
        &self,
        ctx: &Context<'_>,
        input: ReminderDeleteInput,
    ) -> Result<ReminderDeletePayload, Fault> {
        let (reminder, user_errors) = run(ctx, &input.id, input.expected_version, change::delete).await?;
        Ok(ReminderDeletePayload { reminder, user_errors })
    }

    /// Sends again, now, the deliveries of a pending reminder that were given up (FAILED).
    async fn delivery_retry(
        &self,
        ctx: &Context<'_>,
        input: DeliveryRetryInput,
    ) -> Result<DeliveryRetryPayload, Fault> {
        let (reminder, user_errors) = run(ctx, &input.id, input.expected_version, change::retry).await?;
        Ok(DeliveryRetryPayload { reminder, user_errors })
    }
}

/// Runs an act on one of the viewer's reminders, and shows what came of it.
async fn run<'c, Fut>(
    ctx: &Context<'c>,
    id: &str,
    expected_version: Option<i32>,
    act: impl FnOnce(&'c Platform, Target) -> Fut,
) -> Result<(Option<Reminder>, Vec<UserError>), Fault>
where
    Fut: Future<Output = Result<Changed<entity::reminder::Model>, Refusal>>,
{
    let viewer = ctx.data_unchecked::<Caller>().viewer()?;
    let platform = ctx.data_unchecked::<Platform>();
    let changed = match input::id("id", id) {
        Ok(id) => act(platform, Target { viewer, id, expected_version }).await,
        Err(mistake) => Err(mistake.into()),
    };
    let now = platform.clock.now();
    outcome(changed, |row| Reminder::at(row, now))
}
