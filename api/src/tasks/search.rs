//! Finding tasks by their words: every word of the search begins a word of the title or the description.
//! Promise: both databases find the same, because the words are made here; and what a search costs follows what it
//! finds, not what there is, because every term begins with its owner.

use std::collections::BTreeSet;

use entity::{TaskId, UserId};
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DbErr, FromQueryResult, Statement,
    sea_query::{ArrayType, Expr, SimpleExpr, Value},
};

use crate::platform::{Platform, db::Tx, error::Fault, secret};

/// Different words of one task that are found; those after them are not.
const MOST_TERMS: usize = 2_000;
/// Characters by which words differ.
const MOST_CHARACTERS: usize = 40;
/// Words of a search, and its bytes.
const MOST_WORDS: usize = 10;
const MOST_BYTES: usize = 1_000;

/// What a search found.
pub(super) enum Found {
    /// These, and no others.
    Few(Vec<TaskId>),
    /// More than are looked up one by one; the condition that they meet.
    Many(SimpleExpr),
}

/// The words of a text: letters and digits, lower-cased, without regard to anything between them.
fn words(text: &str) -> impl Iterator<Item = String> {
    let lower = text.to_lowercase();
    let parts: Vec<String> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(MOST_CHARACTERS).collect())
        .collect();
    parts.into_iter()
}

/// A word as the index holds it: its owner, then its bytes, in hexadecimal. So no tokenizer of either database has an
/// opinion on it, and a word that begins another still does.
fn term(user: UserId, word: &str) -> String {
    user.uuid().simple().to_string() + &secret::hex(word.as_bytes())
}

/// Writes down the words of a task, in the transaction that changes them.
pub(super) async fn index(
    tx: &Tx,
    user: UserId,
    task: TaskId,
    title: &str,
    description: Option<&str>,
) -> Result<(), DbErr> {
    let all: BTreeSet<String> = words(title).chain(words(description.unwrap_or_default())).take(MOST_TERMS).collect();
    let terms = all.iter().map(|word| term(user, word));
    match tx.get_database_backend() {
        DatabaseBackend::Postgres => {
            let terms: Vec<Value> = terms.map(Into::into).collect();
            let terms = Value::Array(ArrayType::String, Some(Box::new(terms)));
            let sql = "INSERT INTO task_search (task_id, terms) VALUES ($1, array_to_tsvector($2))
                       ON CONFLICT (task_id) DO UPDATE SET terms = excluded.terms";
            let values = [task.uuid().into(), terms];
            tx.execute_raw(Statement::from_sql_and_values(DatabaseBackend::Postgres, sql, values)).await?;
        }
        sqlite => {
            #[derive(FromQueryResult)]
            struct Doc {
                id: i64,
            }
            let sql = "INSERT INTO task_search_docs (task_id) VALUES (?)
                       ON CONFLICT (task_id) DO UPDATE SET task_id = excluded.task_id RETURNING id";
            let doc = Doc::find_by_statement(Statement::from_sql_and_values(sqlite, sql, [task.uuid().into()]));
            let doc = doc.one(&**tx).await?.ok_or_else(|| DbErr::RecordNotFound("task_search_docs".into()))?;
            let terms = terms.collect::<Vec<_>>().join(" ");
            let sql = "INSERT OR REPLACE INTO task_search (rowid, terms) VALUES (?, ?)";
            tx.execute_raw(Statement::from_sql_and_values(sqlite, sql, [doc.id.into(), terms.into()])).await?;
        }
    }
    Ok(())
}

/// What a person's search finds. None: it has no words, and leaves nothing out.
///
/// # Errors
/// BAD_REQUEST for too many words or bytes; a fault of the database.
pub(super) async fn find(platform: &Platform, user: UserId, text: &str) -> Result<Option<Found>, Fault> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let wanted: BTreeSet<String> = words(text).collect();
    if wanted.len() > MOST_WORDS || text.len() > MOST_BYTES {
        return Err(Fault::BadRequest(format!("Search for at most {MOST_WORDS} words, in {MOST_BYTES} bytes.")));
    }
    if wanted.is_empty() {
        // Nothing but signs: no word begins with one.
        return Ok(Some(Found::Few(Vec::new())));
    }
    let backend = platform.db.backend();
    let terms = wanted.iter().map(|word| term(user, word));
    let (select, query) = match backend {
        DatabaseBackend::Postgres => (
            "SELECT task_id FROM task_search WHERE terms @@ CAST($1 AS tsquery)",
            terms.map(|term| format!("'{term}':*")).collect::<Vec<_>>().join(" & "),
        ),
        _ => (
            "SELECT task_id FROM task_search_docs WHERE id IN (SELECT rowid FROM task_search WHERE task_search MATCH $1)",
            terms.map(|term| format!("\"{term}\"*")).collect::<Vec<_>>().join(" AND "),
        ),
    };
    #[derive(FromQueryResult)]
    struct Row {
        task_id: TaskId,
    }
    let few = platform.config.limits.search_lookup;
    let limited = format!("{select} LIMIT {}", few + 1);
    let rows = Row::find_by_statement(Statement::from_sql_and_values(backend, limited, [query.clone().into()]));
    let rows = rows.all(platform.db.read()).await?;
    if rows.len() as u64 > few {
        // As the query builder numbers its parameters.
        let select = if backend == DatabaseBackend::Postgres { select.to_owned() } else { select.replace("$1", "?") };
        let inside = format!("\"tasks\".\"id\" IN ({select})");
        return Ok(Some(Found::Many(Expr::cust_with_values(inside, [query]))));
    }
    Ok(Some(Found::Few(rows.into_iter().map(|row| row.task_id).collect())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_lies_between_signs_in_lower_case() {
        let found: Vec<String> = words("Über-Größe: naïve_case 3.14 日本語 e\u{301}").collect();
        assert_eq!(found, ["über", "größe", "naïve", "case", "3", "14", "日本語", "e"]);
    }

    #[test]
    fn a_term_begins_with_those_of_the_words_that_begin_its_word_and_no_others() {
        let (ada, eve) = (UserId::from_uuid(uuid::Uuid::from_u128(1)), UserId::from_uuid(uuid::Uuid::from_u128(2)));
        assert!(term(ada, "größe").starts_with(&term(ada, "grö")));
        assert!(!term(ada, "größe").starts_with(&term(ada, "gre")));
        assert!(!term(ada, "größe").starts_with(&term(eve, "g")));
    }
}
