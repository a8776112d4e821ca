//! The document guard: measures a parsed document before anything walks through it.
//! Promise: linear in the length of the document. Each fragment is measured once and its measure reused wherever it is
//! spread, so that fragments that spread fragments cost nothing extra (the visitors of async-graphql expand every
//! spread again: 604 bytes took them 3.5 s).

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Positioned, Value, Variables,
    parser::{
        parse_query,
        types::{
            DocumentOperations, ExecutableDocument, Field, FragmentDefinition, OperationDefinition, OperationType,
            Selection, SelectionSet,
        },
    },
};

use super::{Refused, cost::Weight};
use crate::{analytics::graphql::LISTS, platform::config::Limits};

/// Lists without pages, or the fields above them, with the most items that each has by default.
const UNPAGED: &[(&str, usize)] = &[
    ("attachmentsCreate", 10),
    ("attachmentUploadsCreate", 10),
    ("deliveries", 3),
    ("pushSubscriptions", 20),
    ("sessions", 100),
    ("taskBulkComplete", 100),
    ("taskBulkDelete", 100),
    ("taskBulkMove", 100),
    ("taskCategories", 200),
];

/// Notifications of a page whose size is not asked for.
const DEFAULT_NOTIFICATIONS: usize = 50;

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
    let sizes = HashMap::new();
    let mut measures = Measures { fragments: &document.fragments, known: HashMap::new(), limits, sizes: &sizes };
    let mut measured = Vec::new();
    for (_, operation) in document.operations.iter() {
        measured.push((operation.node.ty, measures.of_set(&operation.node.selection_set.node)?));
    }
    // Whatever walks a document walks all of its operations, and writes each spread out again in each of them.
    let selections = measured.iter().fold(0usize, |sum, (_, measure)| sum.saturating_add(measure.selections));
    most(selections, limits.selections, "fields in all its operations, with every fragment written out")?;
    for (ty, measure) in measured {
        most(measure.aliases, limits.aliases, "aliases, with every fragment written out")?;
        most(measure.depth, limits.depth, "levels")?;
        most(measure.introspection_depth, limits.introspection_depth, "levels of introspection")?;
        match ty {
            OperationType::Query => {}
            OperationType::Mutation => most(measure.roots, limits.mutations, "mutations in one operation")?,
            OperationType::Subscription if measure.roots != 1 => {
                return Err(Refused::bad_request("A subscription has exactly one root field."));
            }
            OperationType::Subscription => {}
        }
    }
    // Bounded by the number of selections that was just checked.
    let mut operations = document.operations.iter();
    Ok(operations.all(|(_, operation)| keys_are_unique(&operation.node.selection_set.node, &document.fragments)))
}

/// Whether a document asks for the schema itself, anywhere.
pub(super) fn introspects(document: &ExecutableDocument) -> bool {
    fn any(set: &SelectionSet) -> bool {
        set.items.iter().any(|item| match &item.node {
            Selection::Field(field) => is_introspection(&field.node) || any(&field.node.selection_set.node),
            Selection::InlineFragment(fragment) => any(&fragment.node.selection_set.node),
            Selection::FragmentSpread(_) => false,
        })
    }
    document.operations.iter().any(|(_, operation)| any(&operation.node.selection_set.node))
        || document.fragments.values().any(|fragment| any(&fragment.node.selection_set.node))
}

fn is_introspection(field: &Field) -> bool {
    matches!(field.name.node.as_str(), "__schema" | "__type")
}

/// What an operation may be answered with, its pages as large as its variables say.
///
/// # Errors
/// When that is more than an answer may have.
pub(super) fn weigh(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
    limits: &Limits,
) -> Result<Weight, Refused> {
    let sizes = operation.variable_definitions.iter().filter_map(|definition| {
        let name = &definition.node.name.node;
        let default = || definition.node.default_value.as_ref().map(|value| &value.node);
        Some((name.as_str(), size_in(variables.get(name).or_else(default)?)?))
    });
    let sizes = sizes.collect();
    let mut measures = Measures { fragments: &document.fragments, known: HashMap::new(), limits, sizes: &sizes };
    let measure = measures.of_set(&operation.selection_set.node)?;
    // A root field that is a list is as long as a page can be.
    let values = measure.values.saturating_add(measure.values_per_item.saturating_mul(limits.page_limit));
    most(values, limits.values, "values that it may be answered with, all pages filled")?;
    let mutations = if operation.ty == OperationType::Mutation { measure.roots } else { 0 };
    Ok(Weight { values, mutations, introspections: measure.introspections })
}

/// The size of a page, where a value is one.
fn size_in(value: &Value) -> Option<usize> {
    match value {
        Value::Number(number) => usize::try_from(number.as_u64()?).ok(),
        _ => None,
    }
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
    /// How often the schema itself is asked for.
    introspections: usize,
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
        self.introspections = self.introspections.saturating_add(other.introspections);
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
    /// The variables that are numbers.
    sizes: &'d HashMap<&'d str, usize>,
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
        let introspects = is_introspection(field);
        let values = below.values.saturating_add(below.values_per_item.saturating_mul(self.page_of(field)));
        // Some lists have no pages: each is as long as it can be.
        let lists = LISTS.iter().chain(UNPAGED);
        let length = lists.into_iter().find(|(name, _)| field.name.node == *name).map_or(1, |(_, most)| *most);
        let values = values.saturating_mul(length).saturating_add(1);
        let is_item = matches!(field.name.node.as_str(), "edges" | "nodes");
        Ok(Measure {
            values: if is_item || introspects { 0 } else { values },
            values_per_item: if is_item { values } else { 0 },
            selections: below.selections.saturating_add(1),
            aliases: below.aliases.saturating_add(usize::from(field.alias.is_some())),
            roots: 1,
            depth: if introspects { 0 } else { below.depth + 1 },
            introspection_depth: if introspects { levels } else { below.introspection_depth },
            introspections: below.introspections.saturating_add(usize::from(introspects)),
            levels,
        })
    }

    /// How many items a page of this field may have.
    fn page_of(&self, field: &Field) -> usize {
        let sizes = field.arguments.iter().filter(|(name, _)| matches!(name.node.as_str(), "first" | "last"));
        // A variable that is no number leaves it at the default, and so does null.
        let sizes = sizes.filter_map(|(_, value)| match value.node.to_string() {
            written if written.starts_with('$') => self.sizes.get(&written[1..]).copied(),
            written => written.parse().ok(),
        });
        let usual = if field.name.node == "notifications" { DEFAULT_NOTIFICATIONS } else { self.limits.page_default };
        sizes.max().unwrap_or(usual).min(self.limits.page_limit)
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

#[cfg(test)]
mod tests {
    use async_graphql::parser::{
        parse_schema,
        types::{BaseType, TypeKind, TypeSystemDefinition},
    };

    use super::*;

    /// Lists of objects that are short by nature, or that the guard knows in another way.
    const SHORT: &[&str] =
        &["identities", "userErrors", "edges", "nodes", "headers", "preferences", "notificationPreferences"];

    #[test]
    fn every_list_of_the_schema_is_weighed_by_its_length() {
        let schema = parse_schema(include_str!("../../../schema.graphql")).expect("the schema");
        let types = schema.definitions.iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(definition) => Some(&definition.node),
            _ => None,
        });
        let objects: HashMap<&str, _> = types
            .filter_map(|definition| match &definition.kind {
                TypeKind::Object(object) => Some((definition.name.node.as_str(), &object.fields)),
                _ => None,
            })
            .collect();
        let known = |name: &str| LISTS.iter().chain(UNPAGED).any(|(list, _)| *list == name);
        // What answers a mutation is weighed by the mutation's own name.
        let answers = |ty: &str| {
            let name = ty.strip_suffix("Payload").unwrap_or_default();
            let mut letters = name.chars();
            letters.next().is_some_and(|first| known(&format!("{}{}", first.to_lowercase(), letters.as_str())))
        };
        for (ty, fields) in &objects {
            for field in fields.iter().map(|field| &field.node) {
                let BaseType::List(item) = &field.ty.node.base else { continue };
                let BaseType::Named(item) = &item.base else { continue };
                let name = field.name.node.as_str();
                let weighed = known(name) || answers(ty) || SHORT.contains(&name);
                assert!(weighed || !objects.contains_key(item.as_str()), "{ty}.{name} has no length in UNPAGED");
            }
        }
    }
}
