//! Who writes documents by chance.
//! Promise: a document that is not broken is one that the grammar allows, and the same seed writes the same ones.

use std::fmt::Write;

use async_graphql::parser::types::{BaseType, Type};
use serde_json::{Map, Value as Json, json};

use super::grammar::{Field, Grammar, named};
use crate::dice::Dice;

/// Makes documents.
pub(super) struct Author<'g> {
    grammar: &'g Grammar,
    dice: Dice,
    /// Ids that mean something to whoever asks.
    pub(super) ids: Vec<String>,
    variables: Vec<(String, Json)>,
    /// The fragments of the document that is being written: the type that each is on, and what it selects.
    fragments: Vec<(String, String)>,
}

/// A document with its variables.
pub(super) struct Document {
    pub(super) text: String,
    pub(super) variables: Json,
    /// Whether it was damaged on purpose.
    pub(super) is_broken: bool,
    pub(super) is_subscription: bool,
    /// Whether it has fragments with names, which are in order.
    pub(super) has_fragments: bool,
}

impl<'g> Author<'g> {
    /// One who makes the same documents for the same seed.
    pub(super) fn new(grammar: &'g Grammar, seed: u64) -> Self {
        Self { grammar, dice: Dice::new(seed), ids: Vec::new(), variables: Vec::new(), fragments: Vec::new() }
    }

    /// The next one.
    pub(super) fn document(&mut self) -> Document {
        self.variables.clear();
        self.fragments.clear();
        let (keyword, root) = match self.dice.roll(7) {
            0..4 => ("query", "Query"),
            4..6 => ("mutation", "Mutation"),
            _ => ("subscription", "Subscription"),
        };
        let is_subscription = keyword == "subscription";
        let depth = 2 + self.dice.roll(8);
        let mut set = if is_subscription { self.followed(root, depth) } else { self.set(root, depth) };
        let (is_broken, is_misused) = (self.dice.percent(30), self.dice.percent(30));
        let mut behind = String::new();
        if is_broken && is_misused {
            let (spread, fragments) = self.misused(root);
            set = format!("{{ {spread}{}", &set[1..]);
            behind = fragments;
        }
        let mut text = self.text(keyword, &set);
        text.push_str(&behind);
        if is_broken && !is_misused {
            for _ in 0..=self.dice.roll(3) {
                text = self.damage(&text);
            }
        }
        let given = self.variables.iter().enumerate().map(|(n, (_, value))| (format!("v{n}"), value.clone()));
        let variables = Json::Object(given.collect::<Map<_, _>>());
        Document { text, variables, is_broken, is_subscription, has_fragments: !self.fragments.is_empty() }
    }

    /// An operation with the variables that it declares, and the fragments that it spreads.
    fn text(&self, keyword: &str, set: &str) -> String {
        let declared: Vec<&str> = self.variables.iter().map(|(declared, _)| declared.as_str()).collect();
        let declared = if declared.is_empty() { String::new() } else { format!("({})", declared.join(" ")) };
        let mut text = format!("{keyword} Q{declared} {set}");
        for (n, (on, set)) in self.fragments.iter().enumerate() {
            write!(text, " fragment F{n} on {on} {set}").expect("a text");
        }
        text
    }

    /// The spread that leads to fragments as no document may have them, or nothing; and those: in circles, each spread
    /// several times by the one before, more than there may be, on types that do not fit, or not there at all.
    fn misused(&mut self, root: &str) -> (String, String) {
        let on = *self.dice.one(&[root, root, "Task", "Node", "TaskCreateInput", "Nonsense"]);
        let count = 1 + self.dice.roll(35);
        let is_ladder = self.dice.percent(50);
        let mut fragments = String::new();
        for n in 0..count {
            write!(fragments, " fragment M{n} on {on} {{ __typename ").expect("a text");
            for _ in 0..=self.dice.roll(3) {
                let other = if is_ladder { n + 1 } else { self.dice.roll(count + 1) };
                if !is_ladder || other < count {
                    write!(fragments, "...M{other} ").expect("a text");
                }
            }
            fragments.push('}');
        }
        let spread = if self.dice.percent(80) { "...M0 " } else { "" };
        (spread.to_owned(), fragments)
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
                    "...F0",
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

    /// The one thing that is followed, now and then by a fragment.
    fn followed(&mut self, root: &str, depth: u64) -> String {
        let grammar = self.grammar;
        let field = self.dice.one(&grammar.outputs[root]);
        let field = self.field(field, depth);
        if self.dice.percent(20) {
            self.fragments.push((root.to_owned(), format!("{{ {field} }}")));
            return format!("{{ ...F{} }}", self.fragments.len() - 1);
        }
        format!("{{ {field} }}")
    }

    /// Spreads a fragment on a type: one that is there, or a new one.
    fn spread(&mut self, ty: &str, depth: u64) -> String {
        let fitting: Vec<usize> =
            self.fragments.iter().enumerate().filter(|(_, (on, _))| on == ty).map(|(n, _)| n).collect();
        if !fitting.is_empty() && self.dice.percent(50) {
            return format!("...F{}", self.dice.one(&fitting));
        }
        // It is there once it is whole, so that nothing in it leads back to it.
        let set = self.set(ty, depth);
        self.fragments.push((ty.to_owned(), set));
        format!("...F{}", self.fragments.len() - 1)
    }

    fn set(&mut self, ty: &str, depth: u64) -> String {
        if self.dice.percent(8) {
            return format!("{{ {} }}", self.spread(ty, depth));
        }
        let grammar = self.grammar;
        let fields = &grammar.outputs[ty];
        let mut parts = Vec::new();
        if let Some(members) = grammar.members.get(ty) {
            let member = self.dice.one(members);
            let part = if self.dice.percent(30) {
                self.spread(member, depth)
            } else {
                format!("... on {member} {}", self.set(member, depth))
            };
            parts.push(part);
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
            "Cursor" => json!(self.dice.one(&["", "0", "AAAA", "e30", "not a cursor", "////"])),
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
