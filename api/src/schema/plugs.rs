//! Edges between rooms: each is an object of the room that owns the data, plugged onto the type of another.

use async_graphql::{ComplexObject, Context, OutputType, dataloader::DataLoader};
use futures_util::future::BoxFuture;

use crate::{
    accounts::graphql::{User, UserProfile},
    analytics::graphql::UserAnalytics,
    attachments::{
        self,
        graphql::{TaskAttachments, UserAttachments},
    },
    notifications::{
        graphql::{Notification, UserNotifications},
        push::graphql::UserPush,
    },
    platform::{Platform, error::Fault, fields::Fields, page::Connection, viewer::Caller},
    reminders::{
        self, Reminder,
        graphql::{TaskReminders, UserReminders},
        loaders::{ReminderLoader, ReminderWithId},
    },
    tasks::{
        Task,
        graphql::UserTasks,
        loaders::{TaskLoader, TaskWithId},
    },
};

#[ComplexObject]
impl User {
    #[graphql(flatten)]
    async fn plug_profile(&self) -> UserProfile {
        UserProfile(self.clone())
    }

    #[graphql(flatten)]
    async fn plug_tasks(&self) -> UserTasks {
        UserTasks(self.user_id)
    }

    #[graphql(flatten)]
    async fn plug_attachments(&self) -> UserAttachments {
        UserAttachments(self.user_id)
    }

    #[graphql(flatten)]
    async fn plug_reminders(&self) -> UserReminders {
        UserReminders(self.user_id)
    }

    #[graphql(flatten)]
    async fn plug_analytics(&self) -> UserAnalytics {
        UserAnalytics(self.clone())
    }

    #[graphql(flatten)]
    async fn plug_push(&self) -> UserPush {
        UserPush(self.user_id)
    }

    #[graphql(flatten)]
    async fn plug_notifications(&self) -> UserNotifications {
        UserNotifications(self.user_id)
    }
}

#[ComplexObject]
impl Task {
    #[graphql(flatten)]
    async fn plug_attachments(&self) -> TaskAttachments {
        TaskAttachments(self.clone())
    }

    #[graphql(flatten)]
    async fn plug_reminders(&self) -> TaskReminders {
        TaskReminders(self.clone())
    }
}

#[ComplexObject]
impl Notification {
    /// The task that it is about. Null: about none, or the task is deleted.
    async fn task(&self, ctx: &Context<'_>) -> Result<Option<Task>, Fault> {
        let Some(task_id) = self.task_id else { return Ok(None) };
        ctx.data_unchecked::<Caller>().viewer()?;
        let loader = ctx.data_unchecked::<DataLoader<TaskLoader>>();
        loader.load_one(TaskWithId(task_id)).await.map_err(Fault::shared)
    }

    /// The reminder that it tells of. Null: of none, or it is gone.
    async fn reminder(&self, ctx: &Context<'_>) -> Result<Option<Reminder>, Fault> {
        let Some(reminder_id) = self.reminder_id else { return Ok(None) };
        ctx.data_unchecked::<Caller>().viewer()?;
        let loader = ctx.data_unchecked::<DataLoader<ReminderLoader>>();
        loader.load_one(ReminderWithId(reminder_id)).await.map_err(Fault::shared)
    }
}

/// Fetches the edges that a page of tasks is asked for: a statement for each kind of edge, whatever the page's size.
pub(super) fn fetch_edges<'a>(
    ctx: &'a Context<'_>,
    tasks: &'a mut Connection<Task>,
) -> BoxFuture<'a, Result<(), Fault>> {
    Box::pin(async move {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let platform = ctx.data_unchecked::<Platform>();
        let mut tasks: Vec<&mut Task> = tasks.edges.iter_mut().map(|edge| &mut edge.node).collect();
        if tasks.is_empty() {
            return Ok(());
        }
        let fields = Fields::of(ctx).items();
        if fields.has_plain("reminders") {
            let wanted = fields.below("reminders").items();
            reminders::loaders::fetch_along(platform, viewer.user_id, &mut tasks, &wanted).await?;
        }
        if fields.has_plain("attachments") {
            let wanted = fields.below("attachments").items();
            attachments::loaders::fetch_along(platform, viewer.user_id, &mut tasks, &wanted).await?;
        }
        Ok(())
    })
}
