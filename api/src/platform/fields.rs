//! Which fields a request selects, so that a hot list reads only the columns that are shown.
//! Promise: never too few. Fragments count whatever their type condition, and fields by their own names, whatever their
//! aliases; so a column that is not read is one that nobody asked for.

use std::collections::HashMap;

use async_graphql::{
    Context, Name, Positioned,
    parser::types::{Field, FragmentDefinition, Selection, SelectionSet},
};
use sea_orm::{DbErr, QueryResult, TryGetable};

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// The selection sets of one place of a document, taken together.
#[derive(Clone)]
pub struct Fields<'a> {
    sets: Vec<&'a SelectionSet>,
    fragments: &'a Fragments,
}

impl<'a> Fields<'a> {
    /// What is selected of the field that is being resolved.
    pub fn of(ctx: &Context<'a>) -> Self {
        let sets = vec![&ctx.item.node.selection_set.node];
        Self { sets, fragments: &ctx.query_env.fragments }
    }

    /// What is selected of the items of a connection, by `edges` or by `nodes`.
    pub fn items(&self) -> Self {
        let mut items = self.below("edges").below("node");
        items.sets.extend(self.below("nodes").sets);
        items
    }

    /// What is selected of a field.
    pub fn below(&self, name: &str) -> Self {
        let mut sets = Vec::new();
        self.each(|field| {
            if field.name.node == name {
                sets.push(&field.selection_set.node);
            }
        });
        Self { sets, fragments: self.fragments }
    }

    /// Whether a field is selected.
    pub fn has(&self, name: &str) -> bool {
        let mut found = false;
        self.each(|field| found = found || field.name.node == name);
        found
    }

    /// Whether a field is selected as it is without arguments.
    pub fn has_plain(&self, name: &str) -> bool {
        let mut found = false;
        self.each(|field| found = found || (field.name.node == name && field.arguments.is_empty()));
        found
    }

    fn each(&self, mut visit: impl FnMut(&'a Field)) {
        let mut open = self.sets.clone();
        while let Some(set) = open.pop() {
            for item in &set.items {
                match &item.node {
                    Selection::Field(field) => visit(&field.node),
                    Selection::InlineFragment(fragment) => open.push(&fragment.node.selection_set.node),
                    Selection::FragmentSpread(spread) => {
                        let fragment = self.fragments.get(&spread.node.fragment_name.node);
                        open.extend(fragment.map(|fragment| &fragment.node.selection_set.node));
                    }
                }
            }
        }
    }
}

/// The columns to be read for the fields that are selected, of a list of fields with their columns.
pub struct Chosen<C> {
    wanted: Vec<bool>,
    /// The columns, in the order of the list.
    pub columns: Vec<C>,
}

impl<C: Copy> Chosen<C> {
    /// Chooses the columns of the selected fields.
    pub fn new(list: &[(&str, C)], fields: &Fields<'_>) -> Self {
        let wanted: Vec<bool> = list.iter().map(|(field, _)| fields.has(field)).collect();
        let columns = list.iter().zip(&wanted).filter(|(_, wanted)| **wanted).map(|((_, column), _)| *column);
        Self { columns: columns.collect(), wanted }
    }

    /// Reads a row whose first `fixed` columns come before the chosen ones.
    pub fn read<'r>(&'r self, row: &'r QueryResult, fixed: usize) -> Cells<'r> {
        Cells { row, at: fixed, wanted: self.wanted.iter() }
    }
}

/// The cells of a row, in the order of the list of fields.
pub struct Cells<'r> {
    row: &'r QueryResult,
    at: usize,
    wanted: std::slice::Iter<'r, bool>,
}

impl Cells<'_> {
    /// The next field's value; of one that nobody asked for, whatever its type begins with.
    ///
    /// # Errors
    /// When the column holds something else.
    pub fn take<T: TryGetable + Default>(&mut self) -> Result<T, DbErr> {
        if !self.wanted.next().copied().unwrap_or_default() {
            return Ok(T::default());
        }
        let value = self.row.try_get_by_index(self.at)?;
        self.at += 1;
        Ok(value)
    }
}
