//! Coercion of variables (GraphQL, October 2021, section 6.1.2), before anything runs: what a client sends wrong is a
//! request error. (async-graphql finds it only while executing, and answers with data.)

use std::collections::{HashMap, HashSet};

use async_graphql::{
    InputType, Name, Positioned, Value, Variables,
    parser::{
        parse_schema,
        types::{BaseType, Type, TypeKind, TypeSystemDefinition, VariableDefinition},
    },
};
use serde_json::{Map, Value as Json};

use super::Refused;
use crate::platform::scalars;

/// The input types of the schema.
pub(super) struct InputTypes {
    objects: HashMap<String, InputObject>,
    enums: HashMap<String, HashSet<String>>,
}

struct InputObject {
    fields: HashMap<String, (Type, bool)>,
    one_of: bool,
}

/// What is wrong with a value: where, and what was expected there.
struct Wrong(String, String);

impl InputTypes {
    pub(super) fn from_sdl(sdl: &str) -> Self {
        let (mut objects, mut enums) = (HashMap::new(), HashMap::new());
        let definitions = parse_schema(sdl).map(|document| document.definitions).unwrap_or_default();
        for definition in definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node.to_string();
            match definition.node.kind {
                TypeKind::InputObject(object) => {
                    let one_of = definition.node.directives.iter().any(|d| d.node.name.node == "oneOf");
                    let fields = object.fields.into_iter().map(|field| {
                        let field = field.node;
                        (field.name.node.to_string(), (field.ty.node, field.default_value.is_some()))
                    });
                    objects.insert(name, InputObject { fields: fields.collect(), one_of });
                }
                TypeKind::Enum(values) => {
                    let values = values.values.into_iter().map(|value| value.node.value.node.to_string());
                    enums.insert(name, values.collect());
                }
                _ => {}
            }
        }
        Self { objects, enums }
    }

    /// The variables that an operation declares, checked against their types. Others are dropped.
    pub(super) fn coerce(
        &self,
        definitions: &[Positioned<VariableDefinition>],
        mut given: Map<String, Json>,
    ) -> Result<Variables, Refused> {
        let mut coerced = Map::new();
        for definition in definitions {
            let definition = &definition.node;
            let name = definition.name.node.as_str();
            let ty = &definition.var_type.node;
            let default = definition.default_value.as_ref().and_then(|default| default.node.clone().into_json().ok());
            match (given.remove(name), default) {
                // The library fills defaults in for arguments, but not for `@skip` and `@include` (section 6.1.2).
                (None, Some(default)) => drop(coerced.insert(name.to_owned(), default)),
                (None, None) if ty.nullable => {}
                (None, None) => return Err(refuse(name, Wrong(String::new(), format!("a value of type {ty}")))),
                (Some(value), _) => {
                    self.check(&value, ty, 0).map_err(|wrong| refuse(name, wrong))?;
                    coerced.insert(name.to_owned(), value);
                }
            }
        }
        Ok(Variables::from_json(Json::Object(coerced)))
    }

    fn check(&self, value: &Json, ty: &Type, depth: usize) -> Result<(), Wrong> {
        if value.is_null() {
            return if ty.nullable { Ok(()) } else { Err(expected(format!("a value of type {ty}, not null"))) };
        }
        match (&ty.base, value) {
            (BaseType::List(inner), Json::Array(items)) => items.iter().enumerate().try_for_each(|(index, item)| {
                self.check(item, inner, depth + 1).map_err(|wrong| wrong.below(&index.to_string()))
            }),
            // A single value stands for a list of one (section 3.11).
            (BaseType::List(inner), single) => self.check(single, inner, depth + 1),
            (BaseType::Named(name), value) => self.check_named(value, name, depth),
        }
    }

    fn check_named(&self, value: &Json, name: &Name, depth: usize) -> Result<(), Wrong> {
        if let Some(object) = self.objects.get(name.as_str()) {
            return self.check_object(value, name, object, depth);
        }
        if let Some(values) = self.enums.get(name.as_str()) {
            let known = value.as_str().is_some_and(|text| values.contains(text));
            return if known { Ok(()) } else { Err(expected(format!("a value of the enum {name}"))) };
        }
        let int = |value: &Json| value.as_i64().is_some_and(|n| i32::try_from(n).is_ok());
        let fits = match name.as_str() {
            "Int" => int(value),
            "Float" => value.is_number(),
            "String" => value.is_string(),
            "Boolean" => value.is_boolean(),
            "ID" => value.is_string() || value.is_i64() || value.is_u64(),
            custom => return check_scalar(custom, value),
        };
        if fits { Ok(()) } else { Err(expected(format!("a value of type {name}"))) }
    }

    fn check_object(&self, value: &Json, name: &Name, object: &InputObject, depth: usize) -> Result<(), Wrong> {
        let Json::Object(given) = value else { return Err(expected(format!("an object of type {name}"))) };
        if let Some(unknown) = given.keys().find(|key| !object.fields.contains_key(*key)) {
            let unknown: String = unknown.chars().take(50).collect();
            return Err(expected(format!("an object of type {name}, which has no field {unknown:?}")));
        }
        if object.one_of && (given.len() != 1 || given.values().any(Json::is_null)) {
            return Err(expected(format!("exactly one field of {name}, not null")));
        }
        for (field, (ty, has_default)) in &object.fields {
            match given.get(field) {
                Some(value) => self.check(value, ty, depth + 1).map_err(|wrong| wrong.below(field))?,
                None if ty.nullable || *has_default => {}
                None => return Err(expected(format!("a value of type {ty}")).below(field)),
            }
        }
        Ok(())
    }
}

impl Wrong {
    fn below(self, step: &str) -> Self {
        Self(format!(".{step}{}", self.0), self.1)
    }
}

fn expected(what: String) -> Wrong {
    Wrong(String::new(), what)
}

/// The scalars of ours, read by the code that reads them when they are used.
fn check_scalar(name: &str, value: &Json) -> Result<(), Wrong> {
    fn read<T: InputType>(value: Value) -> Result<(), String> {
        // The message of a scalar says what it expects and does not echo the value.
        T::parse(Some(value)).map(drop).map_err(|error| error.into_server_error(Default::default()).message)
    }
    let value = Value::from_json(value.clone()).map_err(|_| expected(format!("a value of type {name}")))?;
    let outcome = match name {
        "DateTime" => read::<scalars::DateTime>(value),
        "Date" => read::<scalars::Date>(value),
        "LocalTime" => read::<scalars::LocalTime>(value),
        "Cursor" => read::<scalars::Cursor>(value),
        "TimeZone" => read::<scalars::TimeZone>(value),
        "URL" => read::<scalars::Url>(value),
        "Upload" => read::<scalars::Upload>(value),
        _ => Ok(()),
    };
    outcome.map_err(|message| {
        let message: String = message.chars().take(200).collect();
        expected(format!("a value of type {name}: {message}"))
    })
}

fn refuse(variable: &str, Wrong(path, expected): Wrong) -> Refused {
    Refused::bad_request(format!("Variable ${variable}{path} must be {expected}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scalar_of_the_schema_is_read_before_anything_runs() {
        let schema = parse_schema(include_str!("../../../schema.graphql")).expect("the schema");
        let mut read = 0;
        for definition in schema.definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            if matches!(definition.node.kind, TypeKind::Scalar) {
                let name = definition.node.name.node.as_str();
                assert!(check_scalar(name, &Json::Bool(true)).is_err(), "{name} is taken as it comes");
                read += 1;
            }
        }
        assert!(read >= 7, "{read}");
    }
}
