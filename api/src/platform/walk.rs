//! The short way through hot lists: values that are already in memory are written as JSON while the selection is
//! walked, without a future and without a tree of values.
//! Promise: what comes out is byte for byte what the executor would have made. Where that is not sure (a field that
//! needs I/O or has arguments that nobody prepared for, a type condition, a response key that stands twice) the executor does it.
//!
//! Measured for the dashboard document: see `tests/bench`. The finished JSON travels through the executor as
//! `Value::Binary`, which no GraphQL type of ours uses, and `http` writes it out as it is.

use std::{any::Any, borrow::Cow, collections::HashMap, sync::Arc};

use async_graphql::{
    ContextSelectionSet, Name, OutputType, Positioned, ServerResult, Value,
    parser::types::{Field, FragmentDefinition, Selection, SelectionSet},
    registry::Registry,
};

/// What is known of the document that runs, put into the request's data by the guard.
#[derive(Clone, Copy, Debug, Default)]
pub struct DocumentFacts {
    /// No response key stands twice in any expanded selection set: there is nothing to merge.
    pub keys_are_unique: bool,
}

/// An object whose fields can be written from memory.
pub trait Walk {
    /// The GraphQL type.
    const TYPE: &'static str;

    /// Writes the value of a field that takes no arguments. False: it is not in memory; what was written so far is
    /// thrown away.
    fn write(&self, field: &str, set: &SelectionSet, out: &mut Writer<'_>) -> bool;

    /// Writes the value of a field that was given arguments, if it was prepared for them. False, as above.
    fn write_argued(&self, _: &Field, _: &mut Writer<'_>) -> bool {
        false
    }
}

impl<T: Walk + ?Sized> Walk for Arc<T> {
    const TYPE: &'static str = T::TYPE;

    fn write(&self, field: &str, set: &SelectionSet, out: &mut Writer<'_>) -> bool {
        T::write(self, field, set, out)
    }

    fn write_argued(&self, field: &Field, out: &mut Writer<'_>) -> bool {
        T::write_argued(self, field, out)
    }
}

/// An edge that was fetched together with its object, by a room that the object's room does not know.
pub trait Extra: Any + Send + Sync {
    /// Writes the whole value.
    fn write_whole(&self, set: &SelectionSet, out: &mut Writer<'_>) -> bool;
}

impl<T: Walk + Any + Send + Sync> Extra for T {
    fn write_whole(&self, set: &SelectionSet, out: &mut Writer<'_>) -> bool {
        out.object(self, set)
    }
}

/// The edges that were fetched together with an object, by field name.
#[derive(Clone, Default)]
pub struct Extras(Vec<(&'static str, Arc<dyn Extra>)>);

impl std::fmt::Debug for Extras {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(field, _)| field)).finish()
    }
}

impl Extras {
    /// Keeps the value of a field, as it is without arguments.
    pub fn put<T: Extra>(&mut self, field: &'static str, value: Arc<T>) {
        self.0.push((field, value));
    }

    /// The value of a field, if it was fetched.
    pub fn get<T: Extra>(&self, field: &str) -> Option<Arc<T>> {
        let (_, value) = self.0.iter().find(|(name, _)| *name == field)?;
        let value: Arc<dyn Any + Send + Sync> = value.clone();
        value.downcast().ok()
    }

    /// Writes a field, if it was fetched.
    pub fn write(&self, field: &str, set: &SelectionSet, out: &mut Writer<'_>) -> bool {
        self.0.iter().find(|(name, _)| *name == field).is_some_and(|(_, value)| value.write_whole(set, out))
    }
}

/// Writes JSON along a selection.
pub struct Writer<'a> {
    json: Vec<u8>,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
}

impl Writer<'_> {
    /// An object: every selected field of it.
    pub fn object<T: Walk + ?Sized>(&mut self, object: &T, set: &SelectionSet) -> bool {
        self.json.push(b'{');
        let mut first = true;
        if !self.fields(object, set, &mut first) {
            return false;
        }
        self.json.push(b'}');
        true
    }

    fn fields<T: Walk + ?Sized>(&mut self, object: &T, set: &SelectionSet, first: &mut bool) -> bool {
        set.items.iter().all(|item| match &item.node {
            Selection::Field(field) => self.field(object, &field.node, first),
            Selection::FragmentSpread(spread) => match self.fragments.get(&spread.node.fragment_name.node) {
                Some(fragment) if fragment.node.type_condition.node.on.node == T::TYPE => {
                    self.fields(object, &fragment.node.selection_set.node, first)
                }
                _ => false,
            },
            Selection::InlineFragment(fragment) => match &fragment.node.type_condition {
                Some(condition) if condition.node.on.node != T::TYPE => false,
                _ => self.fields(object, &fragment.node.selection_set.node, first),
            },
        })
    }

    fn field<T: Walk + ?Sized>(&mut self, object: &T, field: &Field, first: &mut bool) -> bool {
        if !field.directives.is_empty() {
            return false;
        }
        if !std::mem::take(first) {
            self.json.push(b',');
        }
        // A response key is a GraphQL name: nothing in it needs escaping.
        self.json.push(b'"');
        self.json.extend_from_slice(field.response_key().node.as_bytes());
        self.json.extend_from_slice(b"\":");
        let name = field.name.node.as_str();
        if name == "__typename" {
            self.string(T::TYPE);
            return true;
        }
        if !field.arguments.is_empty() {
            return object.write_argued(field, self);
        }
        object.write(name, &field.selection_set.node, self)
    }

    /// A list of objects.
    pub fn list<'i, T: Walk + 'i>(&mut self, items: impl IntoIterator<Item = &'i T>, set: &SelectionSet) -> bool {
        self.json.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.json.push(b',');
            }
            if !self.object(item, set) {
                return false;
            }
        }
        self.json.push(b']');
        true
    }

    /// A string. Gives back true, as all of these do, so that a field can end with it.
    pub fn string(&mut self, text: &str) -> bool {
        json_string(text, &mut self.json);
        true
    }

    /// A string that is known to need no escaping: an id, an instant, the name of an enum value.
    pub fn plain(&mut self, text: impl std::fmt::Display) -> bool {
        use std::io::Write;
        self.json.push(b'"');
        // Writing to a Vec cannot fail.
        let _ = write!(self.json, "{text}");
        self.json.push(b'"');
        true
    }

    /// A number or a truth value.
    pub fn bare(&mut self, value: impl std::fmt::Display) -> bool {
        use std::io::Write;
        let _ = write!(self.json, "{value}");
        true
    }

    /// A number with a fraction, as serde_json writes it.
    pub fn float(&mut self, value: f64) -> bool {
        // Writing to a Vec cannot fail; what is not a number becomes null, as with the executor.
        let _ = serde_json::to_writer(&mut self.json, &value);
        true
    }

    /// Null.
    pub fn null(&mut self) -> bool {
        self.json.extend_from_slice(b"null");
        true
    }

    /// Null, or the value.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T) -> bool) -> bool {
        match value {
            Some(value) => write(self, value),
            None => self.null(),
        }
    }
}

/// Writes a JSON string with what must be escaped (RFC 8259 section 7) escaped as serde_json does.
pub fn json_string(text: &str, json: &mut Vec<u8>) {
    let clean = text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\');
    if clean {
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
    } else {
        // Writing a string to a Vec cannot fail.
        let _ = serde_json::to_writer(json, text);
    }
}

/// An object that takes the short way where it can.
pub struct Walked<T>(pub T);

impl<T: Walk + OutputType> OutputType for Walked<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        let unique = ctx.data_opt::<DocumentFacts>().is_some_and(|facts| facts.keys_are_unique);
        if unique {
            let mut writer = Writer { json: Vec::with_capacity(4096), fragments: &ctx.query_env.fragments };
            if writer.object(&self.0, &ctx.item.node) {
                return Ok(Value::Binary(writer.json.into()));
            }
        }
        self.0.resolve(ctx, field).await
    }
}
