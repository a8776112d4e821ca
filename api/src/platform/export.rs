//! Reading everything a person has of one kind, page by page, for the export of their account.

use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Platform, error::Fault};

/// Rows that are fetched at once.
const PAGE: u64 = 500;

/// The rows of a query in the order of their ids, as JSON, fetched as they are taken.
pub fn pages<E: EntityTrait>(
    platform: Platform,
    query: Select<E>,
    id: E::Column,
    id_of: fn(&E::Model) -> Uuid,
    json: fn(E::Model) -> Json,
) -> BoxStream<'static, Result<Json, Fault>>
where
    E::Model: Send + Sync,
{
    let pages = stream::try_unfold((query, None::<Uuid>, false), move |(query, last, over)| {
        let platform = platform.clone();
        async move {
            if over {
                return Ok::<_, Fault>(None);
            }
            let mut page = query.clone().order_by_asc(id).limit(PAGE);
            if let Some(last) = last {
                page = page.filter(id.gt(last));
            }
            let rows = page.all(platform.db.read()).await?;
            let over = (rows.len() as u64) < PAGE;
            let last = rows.last().map(id_of).or(last);
            let items = stream::iter(rows.into_iter().map(move |row| Ok(json(row))));
            Ok(Some((items, (query, last, over))))
        }
    });
    pages.try_flatten().boxed()
}
