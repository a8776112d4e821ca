//! What can be done with tasks.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};

use super::{Task, TaskDueInput, TaskPriority, TaskStatus};
use crate::{
    payload,
    platform::{
        Platform,
        change::outcome,
        error::{Fault, Refusal, UserError},
        input,
        scalars::Url,
        viewer::Caller,
    },
    tasks::{
        bulk::{self, Act},
        change, create, trash,
    },
};

/// A task to be made.
#[derive(Clone, Debug, InputObject)]
pub struct TaskCreateInput {
    /// An id that the client made, so that it can be shown before the answer is there: a TypeID, `task_` and a UUIDv7
    /// in 26 characters of Crockford's base 32, in lower case (npm `typeid-js` makes them), like
    /// `task_01h2xcejqtf2nbrexx3vqjhp41`.
    pub id: Option<ID>,
    /// 3–200 characters.
    pub title: String,
    /// At most 10 000 characters.
    pub description: Option<String>,
    /// http or https.
    pub link: Option<Url>,
    /// When it is due. Absent: never.
    pub due: Option<TaskDueInput>,
    /// How much it matters.
    #[graphql(default)]
    pub priority: TaskPriority,
    /// At most 50 characters.
    pub category: Option<String>,
    /// 1–64 characters: the same key with the same input (a client-made `id` belongs to it) gives the same task again,
    /// for 24 hours. With other input, or for another mutation: IDEMPOTENCY_MISMATCH.
    pub idempotency_key: Option<String>,
}

/// A change of a task: what is absent stays. Null clears `description`, `link`, `due` and `category`; elsewhere it is
/// as absent.
#[derive(Clone, Debug, InputObject)]
pub struct TaskUpdateInput {
    /// `task_…`
    pub id: ID,
    /// The version that the change is based on: CONFLICT when the task has another one.
    pub expected_version: Option<i32>,
    /// 3–200 characters.
    pub title: Option<String>,
    /// At most 10 000 characters.
    pub description: MaybeUndefined<String>,
    /// http or https.
    pub link: MaybeUndefined<Url>,
    /// When it is due.
    pub due: MaybeUndefined<TaskDueInput>,
    /// How much it matters.
    pub priority: Option<TaskPriority>,
    /// At most 50 characters.
    pub category: MaybeUndefined<String>,
    /// Where it stands; COMPLETED does what taskComplete does.
    pub status: Option<TaskStatus>,
}

/// Which task was done.
#[derive(Clone, Debug, InputObject)]
pub struct TaskCompleteInput {
    /// `task_…`
    pub id: ID,
    /// The version that this is based on: CONFLICT when the task has another one.
    pub expected_version: Option<i32>,
}

/// Which task is not done after all.
#[derive(Clone, Debug, InputObject)]
pub struct TaskReopenInput {
    /// `task_…`
    pub id: ID,
    /// The version that this is based on: CONFLICT when the task has another one.
    pub expected_version: Option<i32>,
}

/// Which task is to go.
#[derive(Clone, Debug, InputObject)]
pub struct TaskDeleteInput {
    /// `task_…`
    pub id: ID,
    /// The version that this is based on: CONFLICT when the task has another one.
    pub expected_version: Option<i32>,
    /// Whether it is to be gone for good.
    #[graphql(default)]
    pub permanently: bool,
}

/// Which task is to come back.
#[derive(Clone, Debug, InputObject)]
pub struct TaskRestoreInput {
    /// `task_…`
    pub id: ID,
}

/// Many tasks.
#[derive(Clone, Debug, InputObject)]
pub struct TaskBulkInput {
    /// `task_…`, 100 at most; one that comes twice counts once.
    pub ids: Vec<ID>,
}

/// Many tasks and where they belong.
#[derive(Clone, Debug, InputObject)]
pub struct TaskBulkMoveInput {
    /// `task_…`, 100 at most; one that comes twice counts once.
    pub ids: Vec<ID>,
    /// At most 50 characters. Null or absent: none.
    pub category: Option<String>,
}

payload! {
    /// What came of making a task.
    TaskCreatePayload {
        /// The task. Null: there are userErrors.
        task: Task
    }
}

payload! {
    /// What came of changing a task.
    TaskUpdatePayload {
        /// The task as it is now. Null: there are userErrors; with CONFLICT it is there all the same.
        task: Task
    }
}

payload! {
    /// What came of completing a task.
    TaskCompletePayload {
        /// The task as it is now. Null: there are userErrors; with CONFLICT it is there all the same.
        task: Task
    }
}

payload! {
    /// What came of reopening a task.
    TaskReopenPayload {
        /// The task as it is now. Null: there are userErrors; with CONFLICT it is there all the same.
        task: Task
    }
}

payload! {
    /// What came of deleting a task.
    TaskDeletePayload {
        /// The task as it was last. Null: there are userErrors; with CONFLICT it is there, and not deleted.
        task: Task
    }
}

payload! {
    /// A task that is back.
    TaskRestorePayload {
        /// The task as it is now. Null: there are userErrors.
        task: Task
    }
}

payload! {
    /// What came of completing many tasks.
    TaskBulkCompletePayload {
        /// The tasks as they are now: sorted by id, each once, not in the order given. Null: there are userErrors.
        tasks: Vec<Task>
    }
}

payload! {
    /// What came of moving many tasks.
    TaskBulkMovePayload {
        /// The tasks as they are now: sorted by id, each once, not in the order given. Null: there are userErrors.
        tasks: Vec<Task>
    }
}

payload! {
    /// What came of deleting many tasks.
    TaskBulkDeletePayload {
        /// The tasks as they were last: sorted by id, each once, not in the order given. Null: there are userErrors.
        tasks: Vec<Task>
    }
}

/// The mutations of tasks.
#[derive(Default)]
pub struct TaskMutations;

#[Object]
impl TaskMutations {
    /// Makes a task.
    async fn task_create(&self, ctx: &Context<'_>, input: TaskCreateInput) -> Result<TaskCreatePayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let made = create::create(ctx.data_unchecked::<Platform>(), viewer, input).await;
        TaskCreatePayload::answer(made.map(Into::into))
    }

    /// Changes the fields that are given: absent keeps, null clears what can be null.
    async fn task_update(&self, ctx: &Context<'_>, input: TaskUpdateInput) -> Result<TaskUpdatePayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let changed = change::update(ctx.data_unchecked::<Platform>(), viewer, input).await;
        let (task, user_errors) = outcome(changed, Task::from)?;
        Ok(TaskUpdatePayload { task, user_errors })
    }

    /// Completes a task: its overdue reminders are completed, its future ones cancelled, and the first time there is a
    /// notification. A task that is complete already stays as it is.
    async fn task_complete(&self, ctx: &Context<'_>, input: TaskCompleteInput) -> Result<TaskCompletePayload, Fault> {
        let TaskCompleteInput { id, expected_version } = input;
        let (task, user_errors) = set_status(ctx, &id, expected_version, TaskStatus::Completed).await?;
        Ok(TaskCompletePayload { task, user_errors })
    }

    /// Reopens a completed task: opens again the reminders that completing it completed (they are overdue then),
    /// revives those that it cancelled and that still lie ahead, and takes all of it out of the statistics again. A
    /// task that is not complete goes back to TODO.
    async fn task_reopen(&self, ctx: &Context<'_>, input: TaskReopenInput) -> Result<TaskReopenPayload, Fault> {
        let TaskReopenInput { id, expected_version } = input;
        let (task, user_errors) = set_status(ctx, &id, expected_version, TaskStatus::Todo).await?;
        Ok(TaskReopenPayload { task, user_errors })
    }

    /// Deletes a task: it is hidden, and its reminders are cancelled; taskRestore brings it back within 30 days. With
    /// `permanently` it is gone at once, with its reminders and files, also when it was deleted before.
    async fn task_delete(&self, ctx: &Context<'_>, input: TaskDeleteInput) -> Result<TaskDeletePayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let platform = ctx.data_unchecked::<Platform>();
        let TaskDeleteInput { id, expected_version, permanently } = input;
        let deleted = match input::id("id", &id) {
            Ok(id) if permanently => trash::purge(platform, viewer, id, expected_version).await,
            Ok(id) => change::delete(platform, viewer, id, expected_version).await,
            Err(mistake) => Err(mistake.into()),
        };
        let (task, user_errors) = outcome(deleted, Task::from)?;
        Ok(TaskDeletePayload { task, user_errors })
    }

    /// Brings a deleted task back, with the reminders that still lie ahead.
    async fn task_restore(&self, ctx: &Context<'_>, input: TaskRestoreInput) -> Result<TaskRestorePayload, Fault> {
        let viewer = ctx.data_unchecked::<Caller>().viewer()?;
        let restored = match input::id("id", &input.id) {
            Ok(id) => trash::restore(ctx.data_unchecked::<Platform>(), viewer, id).await,
            Err(mistake) => Err(mistake.into()),
        };
        TaskRestorePayload::answer(restored.map(Into::into))
    }

    /// Completes many tasks, as taskComplete does one: all of them or, when one is not there, none.
    async fn task_bulk_complete(
        &self,
        ctx: &Context<'_>,
        input: TaskBulkInput,
    ) -> Result<TaskBulkCompletePayload, Fault> {
        TaskBulkCompletePayload::answer(bulk(ctx, &input.ids, Ok(Act::Complete)).await)
    }

    /// Puts many tasks into a category: all of them or, when one is not there, none.
    async fn task_bulk_move(&self, ctx: &Context<'_>, input: TaskBulkMoveInput) -> Result<TaskBulkMovePayload, Fault> {
        let act = Act::move_to(input.category.as_deref());
        TaskBulkMovePayload::answer(bulk(ctx, &input.ids, act).await)
    }

    /// Deletes many tasks, as taskDelete does one: all of them or, when one is not there, none.
    async fn task_bulk_delete(&self, ctx: &Context<'_>, input: TaskBulkInput) -> Result<TaskBulkDeletePayload, Fault> {
        TaskBulkDeletePayload::answer(bulk(ctx, &input.ids, Ok(Act::Delete)).await)
    }
}

async fn bulk(ctx: &Context<'_>, ids: &[ID], act: Result<Act, UserError>) -> Result<Vec<Task>, Refusal> {
    let viewer = ctx.data_unchecked::<Caller>().viewer()?;
    let done = bulk::run(ctx.data_unchecked::<Platform>(), viewer, ids, act?).await?;
    Ok(done.into_iter().map(Into::into).collect())
}

async fn set_status(
    ctx: &Context<'_>,
    id: &str,
    expected_version: Option<i32>,
    status: TaskStatus,
) -> Result<(Option<Task>, Vec<UserError>), Fault> {
    let viewer = ctx.data_unchecked::<Caller>().viewer()?;
    let platform = ctx.data_unchecked::<Platform>();
    let changed = match input::id("id", id) {
        Ok(id) => change::set_status(platform, viewer, id, expected_version, status).await,
        Err(mistake) => Err(mistake.into()),
    };
    outcome(changed, Task::from)
}
