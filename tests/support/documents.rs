//! Documents made from the schema by chance, valid ones and broken ones, and what becomes of them.
//! Promise: whatever is asked, the answer is well-formed and has a code that is no fault of the server's; and of what
//! is valid enough runs, so that a server which refuses everything does not pass.

mod author;
mod grammar;

use std::{collections::BTreeMap, time::Duration};

use hyper::{Method, StatusCode};
use serde_json::{Value as Json, json};

use self::{
    author::{Author, Document},
    grammar::Grammar,
};
use crate::{Person, Server};

/// What became of them, by code; `none` ran without an error.
pub type Codes = BTreeMap<String, usize>;

/// Of a hundred documents of a sort that are not broken so many must run. By the rules of graphql-js about ninety are
/// valid without fragments, forty with some (they are larger), and sixty subscriptions: most others select a field
/// twice, each time with other arguments.
const RUN_AT_LEAST: usize = 20;

/// Of fewer than these the share says nothing.
const FEW: usize = 10;

/// How long a subscription may take to tell something. Most have nothing to tell.
const A_MOMENT: Duration = Duration::from_millis(50);

/// Asks for so many, each as somebody. Fails on the first answer that is the server's fault, and when too few run.
pub async fn fuzz(server: &Server, count: usize, seed: u64) -> Codes {
    let grammar = Grammar::of(&server.app.schema().sdl());
    let mut author = Author::new(&grammar, seed);
    let mut codes = Codes::new();
    let mut shares: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut people = 0;
    let mut person = somebody(server, &mut people, &mut author).await;
    for n in 0..count {
        let document = author.document();
        // The others are asked for by a plain request, which subscriptions are refused by.
        let is_followed = document.is_subscription && n % 2 == 0;
        let body = json!({ "query": document.text, "variables": document.variables }).to_string();
        let (status, answer) = ask(server, &person, is_followed, &body).await;
        let errors = judged(&answer, &format!("document {n} of seed {seed}: {body}"));
        let kind = if document.is_broken { "broken" } else { "whole" };
        let first = errors.first().map_or("none", String::as_str);
        *codes.entry(format!("{kind} {first}")).or_default() += 1;
        if let Some(sort) = sort(&document, is_followed) {
            let (all, ran) = shares.entry(sort).or_default();
            *all += 1;
            // What was refused has no data, not even null.
            *ran += usize::from(answer.get("data").is_some());
        }
        if status == StatusCode::UNAUTHORIZED || errors.iter().any(|code| code == "UNAUTHENTICATED") {
            person = somebody(server, &mut people, &mut author).await;
        }
    }
    for (sort, (all, ran)) in shares {
        assert!(all < FEW || ran * 100 >= all * RUN_AT_LEAST, "only {ran} of {all} {sort} ran: {codes:?}");
    }
    codes
}

/// The sort of documents that one is counted with. None: nobody says that it runs.
fn sort(document: &Document, is_followed: bool) -> Option<&'static str> {
    match document {
        Document { is_broken: true, .. } => None,
        Document { is_subscription: true, .. } => is_followed.then_some("subscriptions"),
        Document { has_fragments: true, .. } => Some("documents with fragments"),
        Document { .. } => Some("documents without fragments"),
    }
}

/// The answer to a document, with its status; to a subscription that is followed the first one.
async fn ask(server: &Server, person: &Person, is_followed: bool, body: &str) -> (StatusCode, Json) {
    let bearer = format!("Bearer {}", person.token);
    let accept = if is_followed { "text/event-stream" } else { "application/json" };
    let headers = [("content-type", "application/json"), ("accept", accept), ("authorization", bearer.as_str())];
    if !is_followed {
        let answer = server.client.send(Method::POST, "/graphql", &headers, body.to_owned()).await;
        return (answer.status, answer.json());
    }
    let mut events = server.client.events(Method::POST, "/graphql", &headers, body.to_owned()).await;
    if events.status != StatusCode::OK {
        return (events.status, serde_json::from_str(&events.rest().await).expect("JSON"));
    }
    let first = tokio::time::timeout(A_MOMENT, events.event()).await;
    match first {
        Ok(Some((name, data))) if name == "next" => (events.status, data),
        _ => (events.status, json!({ "data": {} })),
    }
}

/// The codes of an answer, which must be well-formed and no fault of the server's.
fn judged(answer: &Json, asked: &str) -> Vec<String> {
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    assert!(!errors.is_empty() || answer["data"].is_object(), "{asked}: {answer}");
    let code = |error: &Json| error["extensions"]["code"].as_str().unwrap_or("no code").to_owned();
    let codes: Vec<String> = errors.iter().map(code).collect();
    let is_ours = |code: &String| matches!(code.as_str(), "INTERNAL" | "UNAVAILABLE" | "no code");
    assert!(!codes.iter().any(is_ours), "{asked}: {answer}");
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
