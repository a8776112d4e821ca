//! The same done to many tasks: all of it or nothing.

use async_graphql::ID;
use entity::{TaskId, task as row};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, LockType},
};

use super::{change, graphql::TaskStatus, rules};
use crate::platform::{
    Platform,
    bus::Hint,
    db::Tx,
    error::{Fault, Refusal, UserError, UserErrorCode as Code},
    input::{self, Mistakes},
    viewer::Viewer,
};

/// Tasks of one bulk act.
const MOST: usize = 100;

/// What is done to all of them.
pub(super) enum Act {
    /// Complete them.
    Complete,
    /// Put them into this category, or into none.
    Move(Option<String>),
    /// Hide them.
    Delete,
}

impl Act {
    /// Moving, with the category as it comes.
    pub(super) fn move_to(category: Option<&str>) -> Result<Self, UserError> {
        rules::category(category).map(Self::Move)
    }
}

/// Does it to all of these tasks, in one transaction. Gives them in the order of their ids.
///
/// # Errors
/// NOT_FOUND when one of them is not the viewer's: nothing is done then.
pub(super) async fn run(platform: &Platform, viewer: Viewer, ids: &[ID], act: Act) -> Result<Vec<row::Model>, Refusal> {
    if ids.len() > MOST {
        let message = format!("Give at most {MOST} ids ({} now).", ids.len());
        return Err(UserError::at("ids", Code::TooLong, message).into());
    }
    let mut mistakes = Mistakes::default();
    let parsed = ids.iter().enumerate().map(|(at, id)| input::id::<TaskId>(&format!("ids.{at}"), id));
    let mut wanted: Vec<TaskId> = parsed.filter_map(|id| mistakes.take(id)).collect();
    mistakes.none()?;
    wanted.sort_unstable();
    wanted.dedup();
    let parts = platform.clone();
    platform
        .db
        .write(move |tx| async move {
            let held = lock(&tx, viewer, &wanted).await?;
            if held.len() != wanted.len() {
                return Err(Fault::NotFound("task").into());
            }
            match act {
                Act::Complete => {
                    let (mut done, mut told) = (Vec::with_capacity(held.len()), Vec::new());
                    for task in held {
                        let one = change::set_status_in(&parts, &tx, viewer, task, TaskStatus::Completed).await?;
                        done.push(one.task);
                        told.extend(one.told);
                    }
                    change::tell(&parts, &tx, told).await?;
                    Ok(done)
                }
                Act::Delete => {
                    let mut gone = Vec::with_capacity(held.len());
                    for task in held {
                        gone.push(change::delete_in(&parts, &tx, task).await?);
                    }
                    Ok(gone)
                }
                Act::Move(category) => Ok(move_all(&parts, &tx, viewer, wanted, category).await?),
            }
        })
        .await
}

async fn move_all(
    platform: &Platform,
    tx: &Tx,
    viewer: Viewer,
    ids: Vec<TaskId>,
    category: Option<String>,
) -> Result<Vec<row::Model>, Fault> {
    let mut moved = row::Entity::update_many()
        .col_expr(row::Column::Category, Expr::value(category))
        .col_expr(row::Column::Version, Expr::col(row::Column::Version).add(1))
        .col_expr(row::Column::UpdatedAt, Expr::value(platform.clock.now()))
        .filter(row::Column::UserId.eq(viewer.user_id))
        .filter(row::Column::Id.is_in(ids))
        .exec_with_returning(&**tx)
        .await?;
    tx.hint_after_commit(Hint::Figures(viewer.user_id));
    // As the other acts give them: the database says nothing of the order of what it changed.
    moved.sort_unstable_by_key(|task| task.id);
    Ok(moved)
}

/// The rows, held in the order of their ids, so that two bulk acts never wait for each other in a circle.
async fn lock(tx: &Tx, viewer: Viewer, ids: &[TaskId]) -> Result<Vec<row::Model>, Fault> {
    let mine = row::Entity::visible_to(viewer.user_id).filter(row::Column::Id.is_in(ids.iter().copied()));
    Ok(mine.order_by_asc(row::Column::Id).lock(LockType::NoKeyUpdate).all(&**tx).await?)
}
