//! Pages of lists: Relay connections with keyset cursors (relay.dev/graphql/connections.htm).
//! Promise: one type for every list, with a default and a ceiling; a cursor holds the order's key and the id, so that
//! a page costs the same wherever it lies and nothing is shown twice when rows come and go.

use std::borrow::Cow;

use async_graphql::{Object, OutputType, TypeName, parser::types::SelectionSet};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Value,
    sea_query::{Expr, ExprTrait, Order},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    clock::Instant,
    config::Limits,
    error::Fault,
    scalars::Cursor,
    walk::{Walk, Writer},
};

/// The value by which a list is ordered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    Number(i64),
    Text(String),
}

impl Key {
    /// An instant, as microseconds since 1970.
    pub fn at(instant: Instant) -> Self {
        Self::Number(instant.timestamp_micros())
    }
}

/// What a list is ordered by: a cursor whose key is of another kind was not made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Instant,
    Number,
    Text,
}

impl KeyKind {
    fn fits(self, key: &Key) -> bool {
        match (self, key) {
            // Up to the year 9999, which both databases can hold.
            (Self::Instant, Key::Number(micros)) => (0..=253_402_300_799_999_999).contains(micros),
            (Self::Number, Key::Number(number)) => i16::try_from(*number).is_ok(),
            (Self::Text, Key::Text(text)) => !text.contains('\0'),
            _ => false,
        }
    }
}

/// How a list is ordered.
#[derive(Clone, Copy, Debug)]
pub struct Ordering<C> {
    /// Names the order in its cursors: one of another order is refused.
    pub name: &'static str,
    pub column: C,
    pub kind: KeyKind,
    pub descending: bool,
}

/// Where a row stands in an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub key: Key,
    pub id: Uuid,
}

impl Position {
    /// The cursor of this position in the named order.
    pub fn cursor(&self, order: &str) -> String {
        let json = serde_json::to_vec(&(order, &self.key, self.id.simple().to_string()));
        BASE64.encode(json.unwrap_or_default())
    }

    fn parse(cursor: &Cursor, order: &str, kind: KeyKind) -> Option<Self> {
        let json = BASE64.decode(&cursor.0).ok()?;
        let (name, key, id): (String, Key, String) = serde_json::from_slice(&json).ok()?;
        (name == order && kind.fits(&key)).then_some(Self { key, id: Uuid::try_parse(&id).ok()? })
    }
}

/// The arguments of a connection field, as they come.
#[derive(Clone, Debug, Default)]
pub struct PageArguments {
    pub first: Option<i32>,
    pub after: Option<Cursor>,
    pub last: Option<i32>,
    pub before: Option<Cursor>,
}

impl PageArguments {
    /// Whether the client gave none.
    pub fn is_default(&self) -> bool {
        matches!(self, Self { first: None, after: None, last: None, before: None })
    }
}

/// A parsed page.
#[derive(Clone, Debug)]
pub struct Page {
    limit: usize,
    backwards: bool,
    after: Option<Position>,
    before: Option<Position>,
    order: &'static str,
}

impl Page {
    /// Checks the arguments.
    ///
    /// # Errors
    /// BAD_REQUEST, with how to mend it.
    pub fn parse(
        arguments: &PageArguments,
        order: &'static str,
        kind: KeyKind,
        limits: &Limits,
    ) -> Result<Self, Fault> {
        let PageArguments { first, after, last, before } = arguments;
        let (asked, backwards) = match (first, last) {
            (Some(_), Some(_)) => return Err(Fault::BadRequest("Give first or last, not both.".into())),
            (first, None) => (*first, false),
            (None, last) => (*last, true),
        };
        let limit = match asked {
            None => limits.page_default,
            Some(n) => {
                usize::try_from(n).map_err(|_| Fault::BadRequest("A page cannot have less than no items.".into()))?
            }
        };
        if limit > limits.page_limit {
            return Err(Fault::BadRequest(format!("A page has at most {} items.", limits.page_limit)));
        }
        let position = |cursor: &Option<Cursor>| match cursor {
            None => Ok(None),
            Some(cursor) => Position::parse(cursor, order, kind).map(Some).ok_or_else(|| {
                Fault::BadRequest(
                    "This cursor does not come from a list in this order: take one from an answer.".into(),
                )
            }),
        };
        Ok(Self { limit, backwards, after: position(after)?, before: position(before)?, order })
    }

    /// Narrows a query to this page: one row more than it shows, to know whether there are more.
    pub fn select<E, C>(&self, mut query: Select<E>, ordering: Ordering<C>, id: C) -> Select<E>
    where
        E: EntityTrait<Column = C>,
        C: ColumnTrait,
    {
        let key = |position: &Position| match &position.key {
            Key::Number(micros) if ordering.kind == KeyKind::Instant => {
                let instant = Instant::from_timestamp_micros(*micros).unwrap_or(Instant::MAX_UTC);
                Expr::value(Value::from(instant))
            }
            Key::Number(number) => Expr::value(*number),
            Key::Text(text) => Expr::value(text.clone()),
        };
        let row = || Expr::tuple([Expr::col(ordering.column.as_column_ref()), Expr::col(id.as_column_ref())]);
        let at = |position: &Position| Expr::tuple([key(position), Expr::value(position.id)]);
        for (position, beyond) in [(&self.after, !ordering.descending), (&self.before, ordering.descending)] {
            if let Some(position) = position {
                query = query.filter(if beyond { row().gt(at(position)) } else { row().lt(at(position)) });
            }
        }
        let order = if ordering.descending == self.backwards { Order::Asc } else { Order::Desc };
        query.order_by(ordering.column, order.clone()).order_by(id, order).limit(self.limit as u64 + 1)
    }

    /// The connection of what [`Page::select`] found.
    pub fn connection<R, T: Listed>(
        &self,
        mut rows: Vec<R>,
        position: impl Fn(&R) -> Position,
        node: impl FnMut(R) -> T,
    ) -> Connection<T> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        if self.backwards {
            rows.reverse();
        }
        let (has_next_page, has_previous_page) =
            if self.backwards { (self.before.is_some(), more) } else { (more, self.after.is_some()) };
        self.assemble(rows, has_next_page, has_previous_page, position, node)
    }

    /// The connection of a short list that is wholly in memory, in ascending order of position.
    pub fn connection_of_all<R, T: Listed>(
        &self,
        rows: Vec<R>,
        position: impl Fn(&R) -> Position,
        node: impl FnMut(R) -> T,
    ) -> Connection<T> {
        let total = rows.len();
        let inside = |row: &R| {
            let at = position(row);
            self.after.as_ref().is_none_or(|after| at > *after)
                && self.before.as_ref().is_none_or(|before| at < *before)
        };
        let skipped = rows.iter().take_while(|row| !inside(row)).count();
        let mut shown: Vec<R> = rows.into_iter().filter(|row| inside(row)).collect();
        let (mut next, mut previous) = (skipped + shown.len() < total, skipped > 0);
        if shown.len() > self.limit {
            if self.backwards {
                shown.drain(..shown.len() - self.limit);
                previous = true;
            } else {
                shown.truncate(self.limit);
                next = true;
            }
        }
        let mut connection = self.assemble(shown, next, previous, position, node);
        connection.total_count = Some(total as i64);
        connection
    }

    fn assemble<R, T: Listed>(
        &self,
        rows: Vec<R>,
        has_next_page: bool,
        has_previous_page: bool,
        position: impl Fn(&R) -> Position,
        mut node: impl FnMut(R) -> T,
    ) -> Connection<T> {
        let edges = rows.into_iter().map(|row| Edge { position: position(&row), order: self.order, node: node(row) });
        let edges: Vec<Edge<T>> = edges.collect();
        let page_info = PageInfo {
            has_next_page,
            has_previous_page,
            start: edges.first().map(|edge| edge.position.clone()),
            end: edges.last().map(|edge| edge.position.clone()),
            order: self.order,
        };
        Connection { edges, page_info, total_count: None }
    }
}

/// A type that is shown in connections.
pub trait Listed: OutputType + Walk {
    /// The name of its connection type.
    const CONNECTION: &'static str;
    /// The name of its edge type.
    const EDGE: &'static str;
}

/// Where a page lies in its list. Cursors are made when they are asked for.
#[derive(Clone, Debug)]
pub struct PageInfo {
    has_next_page: bool,
    has_previous_page: bool,
    start: Option<Position>,
    end: Option<Position>,
    order: &'static str,
}

impl PageInfo {
    fn cursor(&self, position: &Option<Position>) -> Option<Cursor> {
        position.as_ref().map(|position| Cursor(position.cursor(self.order)))
    }
}

/// Where a page lies in its list.
#[Object]
impl PageInfo {
    /// Whether more items follow this page.
    async fn has_next_page(&self) -> bool {
        self.has_next_page
    }

    /// Whether items lie before this page.
    async fn has_previous_page(&self) -> bool {
        self.has_previous_page
    }

    /// The cursor of the first item. Null: the page is empty.
    async fn start_cursor(&self) -> Option<Cursor> {
        self.cursor(&self.start)
    }

    /// The cursor of the last item. Null: the page is empty.
    async fn end_cursor(&self) -> Option<Cursor> {
        self.cursor(&self.end)
    }
}

/// An item with its place in the list.
#[derive(Debug)]
pub struct Edge<T: Listed> {
    position: Position,
    order: &'static str,
    pub node: T,
}

/// An item with its place in the list.
#[Object(name_type)]
impl<T: Listed> Edge<T> {
    /// Its place: hand it back as after or before.
    async fn cursor(&self) -> Cursor {
        Cursor(self.position.cursor(self.order))
    }

    /// The item.
    async fn node(&self) -> &T {
        &self.node
    }
}

/// A page of a list.
#[derive(Debug)]
pub struct Connection<T: Listed> {
    pub edges: Vec<Edge<T>>,
    pub page_info: PageInfo,
    /// None: it was not asked for.
    pub total_count: Option<i64>,
}

/// A page of a list.
#[Object(name_type)]
impl<T: Listed> Connection<T> {
    /// The items, each with its cursor.
    async fn edges(&self) -> &[Edge<T>] {
        &self.edges
    }

    /// The items alone, for whoever needs no cursors of their own.
    async fn nodes(&self) -> Vec<&T> {
        self.edges.iter().map(|edge| &edge.node).collect()
    }

    /// Where this page lies in the list.
    async fn page_info(&self) -> &PageInfo {
        &self.page_info
    }

    /// How many items the whole list has. Counted only when asked for: it costs a statement that grows with the list.
    async fn total_count(&self) -> i64 {
        self.total_count.unwrap_or(self.edges.len() as i64)
    }
}

impl<T: Listed> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        T::CONNECTION.into()
    }
}

impl<T: Listed> TypeName for Edge<T> {
    fn type_name() -> Cow<'static, str> {
        T::EDGE.into()
    }
}

impl Walk for PageInfo {
    const TYPE: &'static str = "PageInfo";

    fn write(&self, field: &str, _: &SelectionSet, out: &mut Writer<'_>) -> bool {
        match field {
            "hasNextPage" => out.bare(self.has_next_page),
            "hasPreviousPage" => out.bare(self.has_previous_page),
            "startCursor" => out.option(self.cursor(&self.start), |out, cursor| out.plain(&cursor.0)),
            "endCursor" => out.option(self.cursor(&self.end), |out, cursor| out.plain(&cursor.0)),
            _ => false,
        }
    }
}

impl<T: Listed> Walk for Edge<T> {
    const TYPE: &'static str = T::EDGE;

    fn write(&self, field: &str, set: &SelectionSet, out: &mut Writer<'_>) -> bool {
        match field {
            "cursor" => out.plain(self.position.cursor(self.order)),
            "node" => out.object(&self.node, set),
            _ => false,
        }
    }
}

impl<T: Listed> Walk for Connection<T> {
    const TYPE: &'static str = T::CONNECTION;

    fn write(&self, field: &str, set: &SelectionSet, out: &mut Writer<'_>) -> bool {
        match field {
            "edges" => out.list(&self.edges, set),
            "nodes" => out.list(self.edges.iter().map(|edge| &edge.node), set),
            "pageInfo" => out.object(&self.page_info, set),
            "totalCount" => out.bare(self.total_count.unwrap_or(self.edges.len() as i64)),
            _ => false,
        }
    }
}
