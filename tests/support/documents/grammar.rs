//! What may be asked for by a schema, and with what.

use std::collections::HashMap;

use async_graphql::parser::{
    parse_schema,
    types::{BaseType, InputValueDefinition, Type, TypeKind, TypeSystemDefinition},
};

/// What can be selected of a type.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) arguments: Vec<Input>,
    pub(super) ty: Type,
}

/// An argument, or a field of an input.
pub(super) struct Input {
    pub(super) name: String,
    pub(super) ty: Type,
    pub(super) is_required: bool,
}

/// The types of a schema, by their names.
pub(super) struct Grammar {
    pub(super) outputs: HashMap<String, Vec<Field>>,
    /// The fields of each input, and whether exactly one of them is given.
    pub(super) inputs: HashMap<String, (Vec<Input>, bool)>,
    pub(super) enums: HashMap<String, Vec<String>>,
    /// The types that a type may stand for.
    pub(super) members: HashMap<String, Vec<String>>,
}

fn inputs(of: Vec<async_graphql::Positioned<InputValueDefinition>>) -> Vec<Input> {
    let input = |it: InputValueDefinition| {
        let is_required = !it.ty.node.nullable && it.default_value.is_none();
        Input { name: it.name.node.to_string(), ty: it.ty.node, is_required }
    };
    of.into_iter().map(|it| input(it.node)).collect()
}

impl Grammar {
    /// That of a schema.
    pub(super) fn of(sdl: &str) -> Self {
        let mut grammar =
            Self { outputs: HashMap::new(), inputs: HashMap::new(), enums: HashMap::new(), members: HashMap::new() };
        for definition in parse_schema(sdl).expect("the schema parses").definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node.to_string();
            let fields = |fields: Vec<async_graphql::Positioned<async_graphql::parser::types::FieldDefinition>>| {
                let field = |it: async_graphql::parser::types::FieldDefinition| Field {
                    name: it.name.node.to_string(),
                    arguments: inputs(it.arguments),
                    ty: it.ty.node,
                };
                fields.into_iter().map(|it| field(it.node)).collect::<Vec<_>>()
            };
            match definition.node.kind {
                TypeKind::Object(object) => {
                    for interface in object.implements {
                        grammar.members.entry(interface.node.to_string()).or_default().push(name.clone());
                    }
                    grammar.outputs.insert(name, fields(object.fields));
                }
                TypeKind::Interface(interface) => {
                    grammar.outputs.insert(name, fields(interface.fields));
                }
                TypeKind::Union(union) => {
                    let members = union.members.into_iter().map(|it| it.node.to_string()).collect();
                    grammar.members.insert(name.clone(), members);
                    grammar.outputs.insert(name, Vec::new());
                }
                TypeKind::InputObject(object) => {
                    let one_of = definition.node.directives.iter().any(|it| it.node.name.node == "oneOf");
                    grammar.inputs.insert(name, (inputs(object.fields), one_of));
                }
                TypeKind::Enum(values) => {
                    let values = values.values.into_iter().map(|it| it.node.value.node.to_string()).collect();
                    grammar.enums.insert(name, values);
                }
                TypeKind::Scalar => {}
            }
        }
        grammar
    }
}

/// The name of a type without its wrappings.
pub(super) fn named(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(inner) => named(inner),
    }
}
