//! What the dashboard is measured against: a poem endpoint written by hand, with the least SQL for the same data and
//! JSON without GraphQL. It asks the same code who is calling.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, SecondsFormat, Utc};
use entity::{AttachmentId, ReminderId, TaskId};
use poem::{Endpoint, Request, Response, http::StatusCode};
use serde::Serialize;
use spacedly::app::App;
use sqlx::{Row, postgres::PgPool, sqlite::SqlitePool};
use uuid::Uuid;

/// The pool that the product reads with.
pub enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// The endpoint.
pub struct ByHand {
    pub app: Arc<App>,
    pub pool: Pool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    id: String,
    title: String,
    status: String,
    priority: &'static str,
    due_at: Option<String>,
    attachments: Nodes<Attachment>,
    reminders: Nodes<Reminder>,
}

#[derive(Serialize)]
struct Nodes<T> {
    nodes: Vec<T>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attachment {
    id: String,
    file_name: String,
    size_bytes: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reminder {
    id: String,
    scheduled_at: String,
    status: String,
}

#[derive(Serialize)]
struct Edge {
    node: Task,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tasks {
    edges: Vec<Edge>,
    page_info: PageInfo,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Viewer {
    unread_notification_count: i32,
    tasks: Tasks,
}

#[derive(Serialize)]
struct Data {
    viewer: Viewer,
}

#[derive(Serialize)]
struct Answer {
    data: Data,
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

macro_rules! dashboard {
    ($pool:expr, $user:expr, $in:expr) => {{
        let pool = $pool;
        let user: Uuid = $user;
        let rows = sqlx::query(
            "SELECT id, title, status, priority, due_at FROM tasks WHERE user_id = $1 AND deleted_at IS NULL
             ORDER BY created_at DESC, id DESC LIMIT 21",
        )
        .bind(user)
        .fetch_all(pool)
        .await?;
        let more = rows.len() > 20;
        let ids: Vec<Uuid> = rows.iter().take(20).map(|row| row.get(0)).collect();
        let attachments = $in(
            pool,
            "SELECT task_id, id, file_name, size_bytes FROM attachments WHERE task_id",
            "ORDER BY created_at, id",
            &ids,
        )
        .await?;
        let reminders = $in(
            pool,
            "SELECT task_id, id, scheduled_at, status FROM reminders WHERE task_id",
            "ORDER BY scheduled_at, id",
            &ids,
        )
        .await?;
        let unread = sqlx::query("SELECT unread FROM notification_counters WHERE user_id = $1")
            .bind(user)
            .fetch_optional(pool)
            .await?;
        let mut files: HashMap<Uuid, Vec<Attachment>> = HashMap::new();
        for row in &attachments {
            files.entry(row.get(0)).or_default().push(Attachment {
                id: AttachmentId::from_uuid(row.get(1)).to_string(),
                file_name: row.get(2),
                size_bytes: row.get(3),
            });
        }
        let mut moments: HashMap<Uuid, Vec<Reminder>> = HashMap::new();
        for row in &reminders {
            moments.entry(row.get(0)).or_default().push(Reminder {
                id: ReminderId::from_uuid(row.get(1)).to_string(),
                scheduled_at: instant(row.get(2)),
                status: row.get(3),
            });
        }
        let edges = rows
            .iter()
            .take(20)
            .map(|row| {
                let id: Uuid = row.get(0);
                let priority: i16 = row.get(3);
                Edge {
                    node: Task {
                        id: TaskId::from_uuid(id).to_string(),
                        title: row.get(1),
                        status: row.get(2),
                        priority: ["LOW", "MEDIUM", "HIGH"][(priority - 1) as usize],
                        due_at: row.get::<Option<DateTime<Utc>>, _>(4).map(instant),
                        attachments: Nodes { nodes: files.remove(&id).unwrap_or_default() },
                        reminders: Nodes { nodes: moments.remove(&id).unwrap_or_default() },
                    },
                }
            })
            .collect();
        let tasks = Tasks { edges, page_info: PageInfo { has_next_page: more } };
        let unread_notification_count = unread.map_or(0, |row| row.get(0));
        Ok::<_, sqlx::Error>(Answer { data: Data { viewer: Viewer { unread_notification_count, tasks } } })
    }};
}

async fn in_sqlite(
    pool: &SqlitePool,
    select: &str,
    order: &str,
    ids: &[Uuid],
) -> Result<Vec<sqlx::sqlite::SqliteRow>, sqlx::Error> {
    let marks = vec!["?"; ids.len()].join(",");
    let sql = format!("{select} IN ({marks}) {order}");
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
    for id in ids {
        query = query.bind(id);
    }
    query.fetch_all(pool).await
}

async fn in_postgres(
    pool: &PgPool,
    select: &str,
    order: &str,
    ids: &[Uuid],
) -> Result<Vec<sqlx::postgres::PgRow>, sqlx::Error> {
    let sql = format!("{select} = ANY($1) {order}");
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(ids).fetch_all(pool).await
}

impl Endpoint for ByHand {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        // What every JSON endpoint does: read the request.
        let body = request.take_body().into_bytes().await?;
        let _asked: serde_json::Value = serde_json::from_slice(&body).map_err(poem::error::BadRequest)?;
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let caller = self.app.accounts.authenticate(token).await.ok().flatten();
        let Some((viewer, _)) = caller else { return Err(StatusCode::UNAUTHORIZED.into()) };
        let user = viewer.user_id.uuid();
        let answer = match &self.pool {
            Pool::Sqlite(pool) => async { dashboard!(pool, user, in_sqlite) }.await,
            Pool::Postgres(pool) => async { dashboard!(pool, user, in_postgres) }.await,
        };
        let answer = answer.map_err(poem::error::InternalServerError)?;
        let json = serde_json::to_vec(&answer).map_err(poem::error::InternalServerError)?;
        Ok(Response::builder().content_type("application/json; charset=utf-8").body(json))
    }
}
