//! Documents made from the schema by chance, valid ones and broken ones, and what becomes of them.
//! Promise: whatever is asked, the answer is well-formed, has a code that is no fault of the server's, and nothing panics.

use std::collections::{BTreeMap, HashMap};

use async_graphql::parser::{
    parse_schema,
    types::{BaseType, InputValueDefinition, Type, TypeKind, TypeSystemDefinition},
};
use hyper::Method;
use serde_json::{Map, Value as Json, json};

use crate::{Person, Server, dice::Dice};

struct Field {
    name: String,
    arguments: Vec<Input>,
    ty: Type,
}

struct Input {
    name: String,
    ty: Type,
    is_required: bool,
}

/// The types of the schema.
pub struct Grammar {
    outputs: HashMap<String, Vec<Field>>,
    inputs: HashMap<String, (Vec<Input>, bool)>,
    enums: HashMap<String, Vec<String>>,
    /// The types that a type may stand for, by their names.
    members: HashMap<String, Vec<String>>,
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
    pub fn of(sdl: &str) -> Self {
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

fn named(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(inner) => named(inner),
    }
}

/// Makes documents.
pub struct Author<'g> {
    grammar: &'g Grammar,
    dice: Dice,
    /// Ids that mean something to whoever asks.
    pub ids: Vec<String>,
    variables: Vec<(String, Json)>,
}

/// A document with its variables.
pub struct Document {
    pub text: String,
    pub variables: Json,
    /// Whether it was damaged on purpose.
    pub is_broken: bool,
}

impl<'g> Author<'g> {
    /// One who makes the same documents for the same seed.
    pub fn new(grammar: &'g Grammar, seed: u64) -> Self {
        Self { grammar, dice: Dice::new(seed), ids: Vec::new(), variables: Vec::new() }
    }

    /// The next one.
    pub fn document(&mut self) -> Document {
        self.variables.clear();
        let (keyword, root) = *self.dice.one(&[("query", "Query"), ("query", "Query"), ("mutation", "Mutation")]);
        let depth = 2 + self.dice.roll(8);
        let set = self.set(root, depth);
        let declared: Vec<&str> = self.variables.iter().map(|(declared, _)| declared.as_str()).collect();
        let declared = if declared.is_empty() { String::new() } else { format!("({})", declared.join(" ")) };
        let mut text = format!("{keyword} Q{declared} {set}");
        let is_broken = self.dice.percent(30);
        if is_broken {
            for _ in 0..=self.dice.roll(3) {
                text = self.damage(&text);
            }
        }
        let given = self.variables.iter().enumerate().map(|(n, (_, value))| (format!("v{n}"), value.clone()));
        let variables = Json::Object(given.collect::<Map<_, _>>());
        Document { text, variables, is_broken }
    }

    fn damage(&mut self, text: &str) -> String {
        let mut letters: Vec<char> = text.chars().collect();
        let at = self.dice.roll(letters.len().max(1) as u64) as usize;
        match self.dice.roll(4) {
            0 => drop(letters.drain(at..(at + 1 + self.dice.roll(5) as usize).min(letters.len()))),
            1 => {
                let bits = [
                    "{",
                    "}",
                    "(",
                    "$v0",
                    "...F",
                    "@skip",
                    "!",
                    "\"",
                    "\u{0}",
                    "é",
                    "99999999999999999999",
                    "#",
                    "[",
                    "null",
                    "on",
                ];
                let bit = *self.dice.one(&bits);
                letters.splice(at..at, bit.chars());
            }
            2 => letters.truncate(at),
            _ => {
                let other = self.dice.roll(letters.len().max(1) as u64) as usize;
                if !letters.is_empty() {
                    letters.swap(at, other);
                }
            }
        }
        letters.into_iter().collect()
    }

    fn set(&mut self, ty: &str, depth: u64) -> String {
        let grammar = self.grammar;
        let fields = &grammar.outputs[ty];
        let mut parts = Vec::new();
        if let Some(members) = grammar.members.get(ty) {
            let member = self.dice.one(members).clone();
            let inner = self.set(&member, depth);
            parts.push(format!("... on {member} {inner}"));
        }
        let leaves = |field: &&Field| !grammar.outputs.contains_key(named(&field.ty));
        let (leaf, inner): (Vec<&Field>, Vec<&Field>) = fields.iter().partition(leaves);
        for _ in 0..=self.dice.roll(3) {
            let field = match (depth > 0 && self.dice.percent(60), inner.as_slice(), leaf.as_slice()) {
                (true, inner @ [_, ..], _) | (_, inner @ [_, ..], []) if depth > 0 => *self.dice.one(inner),
                (_, _, leaf @ [_, ..]) => *self.dice.one(leaf),
                _ => break,
            };
            parts.push(self.field(field, depth));
        }
        if parts.is_empty() || self.dice.percent(10) {
            parts.push("__typename".into());
        }
        if self.dice.percent(5) {
            let all = parts.join(" ");
            return format!("{{ ... @include(if: true) {{ {all} }} }}");
        }
        format!("{{ {} }}", parts.join(" "))
    }

    fn field(&mut self, field: &Field, depth: u64) -> String {
        let alias = if self.dice.percent(10) { format!("a{}: ", self.dice.roll(20)) } else { String::new() };
        let mut arguments = Vec::new();
        for argument in &field.arguments {
            if argument.is_required || self.dice.percent(40) {
                let value = self.value(&argument.ty, 3);
                let written = if self.dice.percent(30) {
                    let n = self.variables.len();
                    self.variables.push((format!("$v{n}: {}", argument.ty), value));
                    format!("$v{n}")
                } else {
                    self.write(&value, &argument.ty)
                };
                arguments.push(format!("{}: {written}", argument.name));
            }
        }
        let arguments = if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
        let ty = named(&field.ty);
        let set =
            if self.grammar.outputs.contains_key(ty) { self.set(ty, depth.saturating_sub(1)) } else { String::new() };
        format!("{alias}{}{arguments} {set}", field.name)
    }

    fn value(&mut self, ty: &Type, depth: u64) -> Json {
        if ty.nullable && self.dice.percent(10) {
            return Json::Null;
        }
        match &ty.base {
            BaseType::List(inner) => (0..self.dice.roll(3)).map(|_| self.value(inner, depth)).collect(),
            BaseType::Named(name) => self.named_value(name, depth),
        }
    }

    fn named_value(&mut self, name: &str, depth: u64) -> Json {
        let grammar = self.grammar;
        if let Some(values) = grammar.enums.get(name) {
            return json!(self.dice.one(values));
        }
        if let Some((fields, one_of)) = grammar.inputs.get(name) {
            let only = one_of.then(|| self.dice.roll(fields.len() as u64) as usize);
            let mut object = Map::new();
            for (n, field) in fields.iter().enumerate() {
                let wanted = match only {
                    Some(only) => n == only,
                    None => field.is_required || (depth > 0 && self.dice.percent(40)),
                };
                if wanted {
                    object.insert(field.name.clone(), self.value(&field.ty, depth.saturating_sub(1)));
                }
            }
            return Json::Object(object);
        }
        self.scalar(name)
    }

    fn scalar(&mut self, name: &str) -> Json {
        match name {
            "Int" => self
                .dice
                .one(&[
                    json!(0),
                    json!(1),
                    json!(-1),
                    json!(5),
                    json!(100),
                    json!(101),
                    json!(i32::MAX),
                    json!(i32::MIN),
                ])
                .clone(),
            "Float" => self.dice.one(&[json!(0.5), json!(-1e300), json!(1)]).clone(),
            "Boolean" => json!(self.dice.percent(50)),
            "ID" if !self.ids.is_empty() && self.dice.percent(70) => json!(self.dice.one(&self.ids)),
            "DateTime" => json!(self.dice.one(&[
                "2027-01-01T00:00:00Z",
                "2026-12-31T23:59:60Z",
                "0001-01-01T00:00:00Z",
                "+262142-12-31T23:59:59Z",
                "2030-02-29T00:00:00Z",
                "9999-12-31T23:59:59.999999999+14:00"
            ])),
            "Date" => json!(self.dice.one(&[
                "2027-01-01",
                "0000-01-01",
                "9999-12-31",
                "-0001-01-01",
                "2026-02-30",
                "2026-11-21"
            ])),
            "LocalTime" => json!(self.dice.one(&["05:00", "24:00", "23:59", "7:00"])),
            "TimeZone" => json!(self.dice.one(&["Europe/Berlin", "Mars/Base", "UTC", "America/Nuuk"])),
            "URL" => {
                json!(self.dice.one(&["https://example.org/", "javascript:alert(1)", "http://", "https://é.example/"]))
            }
            "Cursor" => json!(self.dice.one(&["", "AAAA", "e30", "not a cursor", "////"])),
            _ => json!(self.dice.one(&[
                "",
                "Ada",
                "a title that is long enough",
                "ada@example.org",
                "\u{0}",
                "\u{202e}txt",
                "'; DROP TABLE users; --",
                "%_\\",
                "\u{1F600}",
                "null",
                "correct horse battery",
                "123456",
                "image/png",
            ])),
        }
    }

    /// A value as a document has it.
    fn write(&self, value: &Json, ty: &Type) -> String {
        match (value, &ty.base) {
            (Json::Null, _) => "null".into(),
            (Json::Array(items), BaseType::List(inner)) => {
                format!("[{}]", items.iter().map(|item| self.write(item, inner)).collect::<Vec<_>>().join(", "))
            }
            (Json::String(text), BaseType::Named(name)) if self.grammar.enums.contains_key(name.as_str()) => {
                text.clone()
            }
            (Json::Object(object), BaseType::Named(name)) => {
                let fields = &self.grammar.inputs[name.as_str()].0;
                let written = object.iter().map(|(name, value)| {
                    let field = fields.iter().find(|field| field.name == *name).expect("a field of the type");
                    format!("{name}: {}", self.write(value, &field.ty))
                });
                format!("{{ {} }}", written.collect::<Vec<_>>().join(", "))
            }
            (value, _) => value.to_string(),
        }
    }
}

/// What became of them, by code; `none` ran without an error.
pub type Codes = BTreeMap<String, usize>;

/// Asks for so many, each as somebody, and fails on the first answer that is the server's fault.
pub async fn fuzz(server: &Server, count: usize, seed: u64) -> Codes {
    let grammar = Grammar::of(&server.app.schema().sdl());
    let mut author = Author::new(&grammar, seed);
    let mut codes = Codes::new();
    let mut people = 0;
    let mut person = somebody(server, &mut people, &mut author).await;
    for n in 0..count {
        let document = author.document();
        let body = json!({ "query": document.text, "variables": document.variables }).to_string();
        let bearer = format!("Bearer {}", person.token);
        let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        let answer = server.client.send(Method::POST, "/graphql", &headers, body.clone()).await;
        let status = answer.status;
        let answer = answer.json();
        let errors = answer["errors"].as_array().cloned().unwrap_or_default();
        assert!(!errors.is_empty() || answer["data"].is_object(), "document {n} of seed {seed}: {body}: {answer}");
        let mut is_out = status == 401;
        for error in &errors {
            let code = error["extensions"]["code"].as_str().unwrap_or("no code").to_owned();
            let is_ours = matches!(code.as_str(), "INTERNAL" | "UNAVAILABLE" | "no code");
            assert!(!is_ours, "document {n} of seed {seed}: {body}: {answer}");
            is_out |= code == "UNAUTHENTICATED";
        }
        let first = errors.first().and_then(|error| error["extensions"]["code"].as_str()).unwrap_or("none");
        let kind = if document.is_broken { "broken" } else { "whole" };
        *codes.entry(format!("{kind} {first}")).or_default() += 1;
        if is_out {
            person = somebody(server, &mut people, &mut author).await;
        }
    }
    codes
}

/// Somebody new, with things whose ids the documents name.
async fn somebody(server: &Server, people: &mut u32, author: &mut Author<'_>) -> Person {
    *people += 1;
    let person = server.person(&format!("Fuzz{people}")).await;
    author.ids.retain(|id| id.starts_with("user_"));
    author.ids.truncate(5);
    author.ids.push(person.id.clone());
    for title in ["Write the report", "Call Bob"] {
        let task = server.task(&person, title).await;
        author.ids.push(server.reminder(&person, &task, chrono::TimeDelta::hours(5)).await);
        author.ids.push(task);
    }
    person
}
