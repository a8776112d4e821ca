//! The document guard: measures a parsed document before anything walks through it.
//! Promise: linear in the length of the document. Each fragment is measured once and its measure reused wherever it is
//! spread, so that fragments that spread fragments cost nothing extra (the visitors of async-graphql expand every
//! spread again: 604 bytes took them 3.5 s).

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Positioned,
    parser::{
        parse_query,
        types::{
            DocumentOperations, ExecutableDocument, Field, FragmentDefinition, OperationDefinition, OperationType,
            Selection, SelectionSet,
        },
    },
};

use super::Refused;
use crate::platform::config::Limits;

/// Parses a document.
pub(super) fn parse(document: &str) -> Result<ExecutableDocument, Refused> {
    parse_query(document).map_err(|error| {
        let place = error.positions().next().map(|at| format!(" at line {}, column {}", at.line, at.column));
        // The parser's own message echoes the document.
        Refused::bad_request(format!(
            "This is not a GraphQL document: there is a syntax error{}.",
            place.unwrap_or_default()
        ))
    })
}

/// The operation that is to run.
pub(super) fn choose<'d>(
    document: &'d ExecutableDocument,
    name: Option<&str>,
) -> Result<&'d Positioned<OperationDefinition>, Refused> {
    let chosen = match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Some(operation),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name),
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => operations.values().next(),
        (DocumentOperations::Multiple(_), None) => {
            return Err(Refused::bad_request("This document has several operations: name one as operationName."));
        }
    };
    chosen.ok_or_else(|| Refused::bad_request("This document has no operation of this operationName."))
}

/// The name of an operation of a document.
pub(super) fn name_of<'d>(document: &'d ExecutableDocument, wanted: &OperationDefinition) -> Option<&'d str> {
    match &document.operations {
        DocumentOperations::Single(_) => None,
        DocumentOperations::Multiple(operations) => operations
            .iter()
            .find(|(_, operation)| std::ptr::eq(&operation.node, wanted))
            .map(|(name, _)| name.as_str()),
    }
}

/// Measures a document. Gives back whether no response key stands twice in any expanded selection set.
pub(super) fn check<'d>(document: &'d ExecutableDocument, limits: &'d Limits) -> Result<bool, Refused> {
    let syntactic = count(document);
    most(document.fragments.len(), limits.fragments, "fragments")?;
    most(syntactic.spreads, limits.spreads, "fragment spreads")?;
    most(syntactic.directives, limits.directives, "directives")?;
    let mut measures = Measures { fragments: &document.fragments, known: HashMap::new(), limits };
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        let measure = measures.of_set(&operation.selection_set.node)?;
        most(measure.selections, limits.selections, "fields, with every fragment written out")?;
        most(measure.aliases, limits.aliases, "aliases, with every fragment written out")?;
        most(measure.depth, limits.depth, "levels")?;
        most(measure.introspection_depth, limits.introspection_depth, "levels of introspection")?;
        match operation.ty {
            OperationType::Query => {}
            OperationType::Mutation => most(measure.roots, limits.mutations, "mutations in one operation")?,
            OperationType::Subscription if measure.roots != 1 => {
                return Err(Refused::bad_request("A subscription has exactly one root field."));
            }
            OperationType::Subscription => {}
        }
        // A root field that is a list is as long as a page can be.
        let values = measure.values.saturating_add(measure.values_per_item.saturating_mul(limits.page_limit));
        most(values, limits.values, "values that it may be answered with, all pages filled")?;
    }
    // Bounded by the number of selections that was just checked.
    let mut operations = document.operations.iter();
    Ok(operations.all(|(_, operation)| keys_are_unique(&operation.node.selection_set.node, &document.fragments)))
}

fn most(there: usize, limit: usize, what: &str) -> Result<(), Refused> {
    if there > limit {
        return Err(Refused::too_complex(format!("A document has at most {limit} {what}; this one has {there}.")));
    }
    Ok(())
}

/// What stands in a document as it is written.
#[derive(Default)]
struct Written {
    spreads: usize,
    directives: usize,
}

fn count(document: &ExecutableDocument) -> Written {
    let mut written = Written::default();
    for (_, operation) in document.operations.iter() {
        written.directives += operation.node.directives.len();
        written.directives +=
            operation.node.variable_definitions.iter().map(|variable| variable.node.directives.len()).sum::<usize>();
        written.add(&operation.node.selection_set.node);
    }
    for fragment in document.fragments.values() {
        written.directives += fragment.node.directives.len();
        written.add(&fragment.node.selection_set.node);
    }
    written
}

impl Written {
    fn add(&mut self, set: &SelectionSet) {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => {
                    self.directives += field.node.directives.len();
                    self.add(&field.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => {
                    self.spreads += 1;
                    self.directives += spread.node.directives.len();
                }
                Selection::InlineFragment(fragment) => {
                    self.directives += fragment.node.directives.len();
                    self.add(&fragment.node.selection_set.node);
                }
            }
        }
    }
}

/// How much a selection is once every fragment is written out. Counts saturate: they only need to exceed a limit.
#[derive(Clone, Copy, Default)]
struct Measure {
    selections: usize,
    aliases: usize,
    /// Fields on its own level.
    roots: usize,
    /// Levels outside introspection.
    depth: usize,
    /// Levels below `__schema` and `__type`.
    introspection_depth: usize,
    /// Levels, whichever kind.
    levels: usize,
    /// Values that an answer may have, as far as they do not depend on the size of the page above.
    values: usize,
    /// Values for each item of the page above: what stands below `edges` and `nodes`.
    values_per_item: usize,
}

impl Measure {
    fn join(&mut self, other: Self) {
        self.selections = self.selections.saturating_add(other.selections);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.roots = self.roots.saturating_add(other.roots);
        self.depth = self.depth.max(other.depth);
        self.introspection_depth = self.introspection_depth.max(other.introspection_depth);
        self.levels = self.levels.max(other.levels);
        self.values = self.values.saturating_add(other.values);
        self.values_per_item = self.values_per_item.saturating_add(other.values_per_item);
    }
}

struct Measures<'d> {
    fragments: &'d HashMap<Name, Positioned<FragmentDefinition>>,
    /// None: being measured right now, so that meeting it again is a circle.
    known: HashMap<&'d str, Option<Measure>>,
    limits: &'d Limits,
}

impl<'d> Measures<'d> {
    fn of_set(&mut self, set: &'d SelectionSet) -> Result<Measure, Refused> {
        let mut sum = Measure::default();
        for item in &set.items {
            sum.join(match &item.node {
                Selection::Field(field) => self.of_field(&field.node)?,
                Selection::FragmentSpread(spread) => self.of_fragment(&spread.node.fragment_name.node)?,
                Selection::InlineFragment(fragment) => self.of_set(&fragment.node.selection_set.node)?,
            });
        }
        Ok(sum)
    }

    fn of_field(&mut self, field: &'d Field) -> Result<Measure, Refused> {
        let below = self.of_set(&field.selection_set.node)?;
        let levels = below.levels + 1;
        let introspects = matches!(field.name.node.as_str(), "__schema" | "__type");
        let values = below.values.saturating_add(below.values_per_item.saturating_mul(self.page_of(field)));
        let values = values.saturating_add(1);
        let is_item = matches!(field.name.node.as_str(), "edges" | "nodes");
        Ok(Measure {
            values: if is_item || introspects { 0 } else { values },
            values_per_item: if is_item { values } else { 0 },
            selections: below.selections.saturating_add(1),
            aliases: below.aliases.saturating_add(usize::from(field.alias.is_some())),
            roots: 1,
            depth: if introspects { 0 } else { below.depth + 1 },
            introspection_depth: if introspects { levels } else { below.introspection_depth },
            levels,
        })
    }

    /// How many items a page of this field may have.
    fn page_of(&self, field: &Field) -> usize {
        let sizes = field.arguments.iter().filter(|(name, _)| matches!(name.node.as_str(), "first" | "last"));
        // A literal is what it says; a variable may be anything up to the limit.
        let sizes = sizes.map(|(_, value)| value.node.to_string().parse().unwrap_or(self.limits.page_limit));
        sizes.max().unwrap_or(self.limits.page_default).min(self.limits.page_limit)
    }

    fn of_fragment(&mut self, name: &'d Name) -> Result<Measure, Refused> {
        match self.known.get(name.as_str()) {
            Some(Some(measure)) => return Ok(*measure),
            Some(None) => return Err(Refused::bad_request("A fragment spreads itself.")),
            None => {}
        }
        // Not left to validation: what measures nothing could be spread without end.
        let Some(fragment) = self.fragments.get(name.as_str()) else {
            return Err(Refused::bad_request("A fragment is spread that this document does not have."));
        };
        self.known.insert(name.as_str(), None);
        let measure = self.of_set(&fragment.node.selection_set.node)?;
        self.known.insert(name.as_str(), Some(measure));
        Ok(measure)
    }
}

/// The variables that directives of `__typename` use.
pub(super) fn variables_of_typename(document: &ExecutableDocument) -> HashSet<String> {
    fn gather(set: &SelectionSet, names: &mut HashSet<String>) {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) if field.node.name.node == "__typename" => {
                    let arguments = field.node.directives.iter().flat_map(|directive| &directive.node.arguments);
                    names.extend(
                        arguments.filter_map(|(_, value)| value.node.to_string().strip_prefix('$').map(str::to_owned)),
                    );
                }
                Selection::Field(field) => gather(&field.node.selection_set.node, names),
                Selection::InlineFragment(fragment) => gather(&fragment.node.selection_set.node, names),
                Selection::FragmentSpread(_) => {}
            }
        }
    }
    let mut names = HashSet::new();
    for (_, operation) in document.operations.iter() {
        gather(&operation.node.selection_set.node, &mut names);
    }
    for fragment in document.fragments.values() {
        gather(&fragment.node.selection_set.node, &mut names);
    }
    names
}

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

fn keys_are_unique(set: &SelectionSet, fragments: &Fragments) -> bool {
    fn gather<'d>(set: &'d SelectionSet, fragments: &'d Fragments, keys: &mut HashSet<&'d str>) -> bool {
        set.items.iter().all(|item| match &item.node {
            Selection::Field(field) => {
                keys.insert(field.node.response_key().node.as_str())
                    && keys_are_unique(&field.node.selection_set.node, fragments)
            }
            Selection::FragmentSpread(spread) => fragments
                .get(spread.node.fragment_name.node.as_str())
                .is_none_or(|fragment| gather(&fragment.node.selection_set.node, fragments, keys)),
            Selection::InlineFragment(fragment) => gather(&fragment.node.selection_set.node, fragments, keys),
        })
    }
    gather(set, fragments, &mut HashSet::new())
}
