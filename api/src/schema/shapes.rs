//! A rule that async-graphql's validation lacks: fields under one response name must have one shape, also on types that
//! never meet in one object (GraphQL, October 2021, section 5.3.2, SameResponseShape). Typed clients rely on it.

use std::collections::{HashMap, hash_map::Entry};

use async_graphql::{
    Name, Positioned,
    parser::{
        parse_schema,
        types::{
            BaseType, ExecutableDocument, Field, FragmentDefinition, OperationType, Selection, SelectionSet, Type,
            TypeKind, TypeSystemDefinition,
        },
    },
};

use super::Refused;

/// The output types of the schema: which type each field has.
pub(super) struct OutputShapes {
    fields: HashMap<String, HashMap<String, Type>>,
}

/// A selection set with the type on which it stands.
type Site<'d> = (&'d str, &'d SelectionSet);

struct Seen<'d> {
    shape: Option<&'d Type>,
    below: Vec<Site<'d>>,
}

impl OutputShapes {
    pub(super) fn from_sdl(sdl: &str) -> Self {
        let mut fields: HashMap<String, HashMap<String, Type>> = HashMap::new();
        let definitions = parse_schema(sdl).map(|document| document.definitions).unwrap_or_default();
        for definition in definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let list = match definition.node.kind {
                TypeKind::Object(object) => object.fields,
                TypeKind::Interface(interface) => interface.fields,
                _ => continue,
            };
            let types = list.into_iter().map(|field| (field.node.name.node.to_string(), field.node.ty.node));
            fields.entry(definition.node.name.node.to_string()).or_default().extend(types);
        }
        Self { fields }
    }

    /// Walks the document with every fragment written out, whose size the guard has checked.
    pub(super) fn check(&self, document: &ExecutableDocument) -> Result<(), Refused> {
        for (_, operation) in document.operations.iter() {
            let root = match operation.node.ty {
                OperationType::Query => "Query",
                OperationType::Mutation => "Mutation",
                OperationType::Subscription => "Subscription",
            };
            self.check_together(vec![(root, &operation.node.selection_set.node)], &document.fragments)?;
        }
        Ok(())
    }

    fn check_together<'d>(
        &'d self,
        sites: Vec<Site<'d>>,
        fragments: &'d HashMap<Name, Positioned<FragmentDefinition>>,
    ) -> Result<(), Refused> {
        let mut fields: Vec<(&str, &Field)> = Vec::new();
        let mut open = sites;
        while let Some((parent, set)) = open.pop() {
            for item in &set.items {
                match &item.node {
                    Selection::Field(field) => fields.push((parent, &field.node)),
                    Selection::FragmentSpread(spread) => {
                        if let Some(fragment) = fragments.get(spread.node.fragment_name.node.as_str()) {
                            let on = fragment.node.type_condition.node.on.node.as_str();
                            open.push((on, &fragment.node.selection_set.node));
                        }
                    }
                    Selection::InlineFragment(fragment) => {
                        let condition = fragment.node.type_condition.as_ref();
                        let on = condition.map_or(parent, |condition| condition.node.on.node.as_str());
                        open.push((on, &fragment.node.selection_set.node));
                    }
                }
            }
        }
        let mut by_key: HashMap<&str, Seen<'_>> = HashMap::new();
        for (parent, field) in fields {
            let key = field.response_key().node.as_str();
            let shape = self.fields.get(parent).and_then(|fields| fields.get(field.name.node.as_str()));
            let below = shape.map(|shape| (named(&shape.base), &field.selection_set.node));
            match by_key.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(Seen { shape, below: below.into_iter().collect() });
                }
                Entry::Occupied(mut entry) => {
                    let seen = entry.get_mut();
                    if let (Some(one), Some(other)) = (seen.shape, shape)
                        && !self.alike(one, other)
                    {
                        let message =
                            format!("Fields of different types share the name {key}: give one of them an alias.");
                        return Err(Refused::bad_request(message));
                    }
                    seen.below.extend(below);
                }
            }
        }
        for seen in by_key.into_values() {
            if seen.below.iter().any(|(_, set)| !set.items.is_empty()) {
                self.check_together(seen.below, fragments)?;
            }
        }
        Ok(())
    }

    /// Same wrapping, and either both composite or the same leaf.
    fn alike(&self, one: &Type, other: &Type) -> bool {
        one.nullable == other.nullable
            && match (&one.base, &other.base) {
                (BaseType::List(one), BaseType::List(other)) => self.alike(one, other),
                (BaseType::Named(one), BaseType::Named(other)) => {
                    let composite = |name: &Name| self.fields.contains_key(name.as_str());
                    one == other || (composite(one) && composite(other))
                }
                _ => false,
            }
    }
}

fn named(base: &BaseType) -> &str {
    match base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(inner) => named(&inner.base),
    }
}
