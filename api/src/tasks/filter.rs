//! Which tasks are listed: typed comparisons, combined by and, or and not.
//! Promise: what is not there is told from what is: `not` of a comparison also holds for tasks without a value.

use async_graphql::InputObject;
use entity::{attachment, task as row};
use sea_orm::{
    ColumnTrait, Condition,
    sea_query::{Expr, ExprTrait, Query, SimpleExpr},
};

use super::graphql::{TaskPriority, TaskStatus};
use crate::platform::{clock::Instant, error::Fault, scalars::DateTime};

/// Comparisons in one filter, whatever their nesting.
const MOST_COMPARISONS: usize = 30;
/// How deep filters nest.
const DEEPEST: usize = 4;
/// Values of one list.
const MOST_VALUES: usize = 100;

/// A comparison of where tasks stand. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct TaskStatusFilter {
    /// It is this one.
    pub eq: Option<TaskStatus>,
    /// It is one of these; an empty list matches nothing.
    #[graphql(name = "in")]
    pub any_of: Option<Vec<TaskStatus>>,
}

/// A comparison of how much tasks matter. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct TaskPriorityFilter {
    /// It is this one.
    pub eq: Option<TaskPriority>,
    /// It is one of these; an empty list matches nothing.
    #[graphql(name = "in")]
    pub any_of: Option<Vec<TaskPriority>>,
}

/// A comparison of a text that may be absent. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct TextFilter {
    /// It is this one, to the letter.
    pub eq: Option<String>,
    /// It is one of these, 100 at most; an empty list matches nothing.
    #[graphql(name = "in")]
    pub any_of: Option<Vec<String>>,
    /// Whether there is none.
    pub is_null: Option<bool>,
}

/// A comparison of a moment that may be absent. All that is given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct DateTimeFilter {
    /// It is before this one.
    pub lt: Option<DateTime>,
    /// It is this one or before it.
    pub lte: Option<DateTime>,
    /// It is after this one.
    pub gt: Option<DateTime>,
    /// It is this one or after it.
    pub gte: Option<DateTime>,
    /// Whether there is none.
    pub is_null: Option<bool>,
}

/// Which tasks are listed. All that is given must hold; 30 comparisons at most, nested 4 deep at most.
#[derive(Clone, Debug, Default, InputObject)]
pub struct TaskFilter {
    /// Where they stand.
    pub status: Option<TaskStatusFilter>,
    /// How much they matter.
    pub priority: Option<TaskPriorityFilter>,
    /// Their category.
    pub category: Option<TextFilter>,
    /// When they are due.
    pub due_at: Option<DateTimeFilter>,
    /// When they were completed.
    pub completed_at: Option<DateTimeFilter>,
    /// When they were made.
    pub created_at: Option<DateTimeFilter>,
    /// When they were changed last.
    pub updated_at: Option<DateTimeFilter>,
    /// Whether their due moment has passed and they are not completed.
    pub overdue: Option<bool>,
    /// Whether files hang on them.
    pub has_attachments: Option<bool>,
    /// All of these hold; an empty list asks for nothing.
    pub and: Option<Vec<TaskFilter>>,
    /// At least one of these holds; an empty list matches nothing.
    pub or: Option<Vec<TaskFilter>>,
    /// This does not hold.
    pub not: Option<Box<TaskFilter>>,
}

impl TaskFilter {
    /// The filter as a condition.
    ///
    /// # Errors
    /// BAD_REQUEST when there is more of it than is taken.
    pub(super) fn condition(&self, now: Instant) -> Result<Condition, Fault> {
        let mut left = MOST_COMPARISONS;
        build(self, now, DEEPEST, &mut left)
    }
}

fn build(filter: &TaskFilter, now: Instant, depth: usize, left: &mut usize) -> Result<Condition, Fault> {
    // Destructured whole, so that a new field cannot be forgotten.
    let TaskFilter {
        status,
        priority,
        category,
        due_at,
        completed_at,
        created_at,
        updated_at,
        overdue,
        has_attachments,
        and,
        or,
        not,
    } = filter;
    let mut all = Comparisons { all: Condition::all(), left };
    if let Some(TaskStatusFilter { eq, any_of }) = status {
        all.compare(eq.map(|status| row::Column::Status.eq(row::Status::from(status))))?;
        all.list(row::Column::Status, any_of.as_deref(), |status| row::Status::from(*status).into())?;
    }
    if let Some(TaskPriorityFilter { eq, any_of }) = priority {
        all.compare(eq.map(|priority| row::Column::Priority.eq(row::Priority::from(priority))))?;
        all.list(row::Column::Priority, any_of.as_deref(), |priority| row::Priority::from(*priority).into())?;
    }
    if let Some(TextFilter { eq, any_of, is_null }) = category {
        all.compare(eq.as_ref().map(|text| row::Column::Category.eq(text)))?;
        all.list(row::Column::Category, any_of.as_deref(), |text| text.clone().into())?;
        all.absent(row::Column::Category, *is_null)?;
    }
    // What is never due has a key at the end of time, which the index orders: it is after no moment.
    all.moments(row::Column::DueKey, due_at.as_ref())?;
    if let Some(DateTimeFilter { gt, gte, is_null, .. }) = due_at {
        let later = (gt.is_some() || gte.is_some()).then(|| row::Column::DueKey.lt(super::rules::end_of_time()));
        all.compare(later)?;
        all.absent(row::Column::DueAt, *is_null)?;
    }
    all.moments(row::Column::CompletedAt, completed_at.as_ref())?;
    all.absent(row::Column::CompletedAt, completed_at.as_ref().and_then(|filter| filter.is_null))?;
    all.moments(row::Column::CreatedAt, created_at.as_ref())?;
    all.absent(row::Column::CreatedAt, created_at.as_ref().and_then(|filter| filter.is_null))?;
    all.moments(row::Column::UpdatedAt, updated_at.as_ref())?;
    all.absent(row::Column::UpdatedAt, updated_at.as_ref().and_then(|filter| filter.is_null))?;
    if let Some(overdue) = *overdue {
        let passed = row::Column::DueKey.lt(now).and(row::Column::Status.ne(row::Status::Completed));
        all.compare(Some(if overdue { passed } else { otherwise(passed) }))?;
    }
    if let Some(wanted) = *has_attachments {
        let files = files();
        all.compare(Some(if wanted { files } else { otherwise(files) }))?;
    }
    let mut nested = |filters: &[TaskFilter], mut joined: Condition| {
        let depth = depth.checked_sub(1).ok_or_else(too_much)?;
        for filter in filters {
            joined = joined.add(build(filter, now, depth, all.left)?);
        }
        Ok::<_, Fault>(joined)
    };
    let mut parts = Vec::new();
    if let Some(and) = and {
        parts.push(nested(and, Condition::all())?);
    }
    if let Some(or) = or {
        // None of nothing holds.
        let any = nested(or, Condition::any())?;
        parts.push(if or.is_empty() { Condition::all().add(Expr::value(false)) } else { any });
    }
    if let Some(not) = not {
        let inner = nested(std::slice::from_ref(not), Condition::all())?;
        parts.push(Condition::all().add(otherwise(inner.into())));
    }
    Ok(parts.into_iter().fold(all.all, Condition::add))
}

/// Holds where the condition does not, also where it is unknown because there is no value.
fn otherwise(condition: SimpleExpr) -> SimpleExpr {
    Expr::case(condition, Expr::value(false)).finally(Expr::value(true)).into()
}

/// Whether files hang on the task that were not refused.
fn files() -> SimpleExpr {
    let of_task = Expr::col((attachment::Entity, attachment::Column::TaskId)).equals((row::Entity, row::Column::Id));
    let some = Query::select()
        .expr(Expr::value(1))
        .from(attachment::Entity)
        .and_where(
            Expr::col((attachment::Entity, attachment::Column::UserId)).equals((row::Entity, row::Column::UserId)),
        )
        .and_where(of_task)
        .and_where(attachment::Column::Status.ne(attachment::Status::Rejected))
        .to_owned();
    Expr::exists(some)
}

fn too_much() -> Fault {
    Fault::BadRequest(format!(
        "A filter has at most {MOST_COMPARISONS} comparisons, nested {DEEPEST} deep, and {MOST_VALUES} values in a list."
    ))
}

/// The comparisons of one level, all of which must hold.
struct Comparisons<'l> {
    all: Condition,
    left: &'l mut usize,
}

impl Comparisons<'_> {
    fn compare(&mut self, comparison: Option<SimpleExpr>) -> Result<(), Fault> {
        if let Some(comparison) = comparison {
            *self.left = self.left.checked_sub(1).ok_or_else(too_much)?;
            self.all = std::mem::replace(&mut self.all, Condition::all()).add(comparison);
        }
        Ok(())
    }

    fn list<T>(
        &mut self,
        column: row::Column,
        values: Option<&[T]>,
        value: impl Fn(&T) -> sea_orm::Value,
    ) -> Result<(), Fault> {
        let Some(values) = values else { return Ok(()) };
        if values.len() > MOST_VALUES {
            return Err(too_much());
        }
        self.compare(Some(column.is_in(values.iter().map(value))))
    }

    fn absent(&mut self, column: row::Column, is_null: Option<bool>) -> Result<(), Fault> {
        self.compare(is_null.map(|absent| if absent { column.is_null() } else { column.is_not_null() }))
    }

    /// Compares a moment; whether there is one is compared apart.
    fn moments(&mut self, column: row::Column, filter: Option<&DateTimeFilter>) -> Result<(), Fault> {
        let Some(DateTimeFilter { lt, lte, gt, gte, is_null: _ }) = filter else { return Ok(()) };
        self.compare(lt.map(|at| column.lt(at.0)))?;
        self.compare(lte.map(|at| column.lte(at.0)))?;
        self.compare(gt.map(|at| column.gt(at.0)))?;
        self.compare(gte.map(|at| column.gte(at.0)))
    }
}
