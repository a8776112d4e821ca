//! Any object by its id (Relay's object identification).

use std::collections::HashMap;

use async_graphql::{Context, ID, Interface, Object};
use entity::{AttachmentId, NotificationId, ReminderId, TaskId, UserId, split_type_id};
use uuid::Uuid;

use crate::{
    accounts::{self, graphql::User},
    attachments::{self, Attachment},
    notifications::graphql::{self as notifications, Notification},
    platform::{Platform, error::Fault, viewer::Caller},
    reminders::{self, Reminder},
    tasks::{self, Task},
};

/// Anything that has an id of its own.
#[derive(Clone, Interface)]
#[graphql(field(name = "id", ty = "&ID", desc = "The id, unique among all objects; its prefix names the kind."))]
pub(super) enum Node {
    Attachment(Attachment),
    Notification(Notification),
    Reminder(Reminder),
    Task(Task),
    User(User),
}

/// How many ids `nodes` takes.
const MOST: usize = 100;

/// The queries by id.
#[derive(Default)]
pub(super) struct NodeQueries;

#[Object]
impl NodeQueries {
    /// Any of the viewer's objects, by an id that begins with `attachment_`, `notification_`, `reminder_`, `task_` or
    /// `user_`. Null: there is none such for them. Any other id, or one that is malformed, is a BAD_REQUEST.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the object, like `task_01h2xcejqtf2nbrexx3vqjhp41`.")] id: ID,
    ) -> Result<Option<Node>, Fault> {
        Ok(find(ctx, std::slice::from_ref(&id)).await?.remove(id.as_str()))
    }

    /// Any of the viewer's objects, in the order of the ids, which are those that `node` takes; null where there is
    /// none such for them. One other id among them, or one that is malformed, makes all of it a BAD_REQUEST.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ids of the objects, 100 at most: more is a BAD_REQUEST.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>, Fault> {
        if ids.len() > MOST {
            return Err(Fault::BadRequest(format!("nodes takes at most {MOST} ids.")));
        }
        let found = find(ctx, &ids).await?;
        Ok(ids.iter().map(|id| found.get(id.as_str()).cloned()).collect())
    }
}

/// The objects of these ids that the viewer has: one statement for each kind among them.
async fn find(ctx: &Context<'_>, ids: &[ID]) -> Result<HashMap<String, Node>, Fault> {
    let viewer = ctx.data_unchecked::<Caller>().viewer()?;
    let platform = ctx.data_unchecked::<Platform>();
    let user = viewer.user_id;
    let mut by_kind: HashMap<&str, Vec<Uuid>> = HashMap::new();
    for id in ids {
        let malformed = || Fault::BadRequest("This is not an id as this API hands them out.".into());
        let (prefix, uuid) = split_type_id(id).ok_or_else(malformed)?;
        by_kind.entry(prefix).or_default().push(uuid);
    }
    let mut found: Vec<(ID, Node)> = Vec::new();
    for (prefix, uuids) in by_kind {
        match prefix {
            AttachmentId::PREFIX => {
                let ids = uuids.into_iter().map(AttachmentId::from_uuid).collect();
                let mine = attachments::graphql::attachments_of(platform, user, ids).await?;
                found.extend(mine.into_iter().map(|it| (it.id.clone(), Node::Attachment(it))));
            }
            NotificationId::PREFIX => {
                let ids = uuids.into_iter().map(NotificationId::from_uuid).collect();
                let mine = notifications::notifications_of(platform, user, ids).await?;
                found.extend(mine.into_iter().map(|it| (it.id.clone(), Node::Notification(it))));
            }
            ReminderId::PREFIX => {
                let ids = uuids.into_iter().map(ReminderId::from_uuid).collect();
                let mine = reminders::graphql::reminders_of(platform, user, ids).await?;
                found.extend(mine.into_iter().map(|it| (it.id.clone(), Node::Reminder(it))));
            }
            TaskId::PREFIX => {
                let ids = uuids.into_iter().map(TaskId::from_uuid).collect();
                let mine = tasks::graphql::tasks_of(platform, user, ids).await?;
                found.extend(mine.into_iter().map(|it| (it.id.clone(), Node::Task(it))));
            }
            // Nobody sees anybody else.
            UserId::PREFIX if uuids.contains(&user.uuid()) => {
                let me = User::from(accounts::person(platform.db.read(), user).await?);
                found.push((me.id.clone(), Node::User(me)));
            }
            UserId::PREFIX => {}
            _ => return Err(Fault::BadRequest("No object can be fetched by an id of this kind.".into())),
        }
    }
    Ok(found.into_iter().map(|(id, node)| (id.0, node)).collect())
}
