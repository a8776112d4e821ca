//! How long judging a document takes, whatever it is: bombs, deep ones, wide ones, and random ones, up to 15 kB.

use std::time::Instant;

use serde_json::json;
use spacedly::{
    platform::viewer::{Caller, Origin},
    schema::Asked,
};
use support::{Database, Server};

use crate::{percentile, verdict};

const GOAL_MS: f64 = 20.0;

pub async fn run(random: u64) -> bool {
    let server = Server::start_plain(Database::Sqlite, &[("LOG", "off"), ("DOCUMENT_CACHE_BYTES", "0")]).await;
    let edge = server.app.edge(server.port, Default::default());
    let mut documents = bombs();
    documents.extend((0..random).map(random_document));
    let (mut times, mut slowest) = (Vec::new(), (0.0, String::new()));
    for document in documents {
        let origin = Origin {
            ip: String::new(),
            device: String::new(),
            can_set_cookies: true,
            refresh_cookie: None,
            device_cookie: None,
        };
        let asked: Asked = serde_json::from_value(json!({ "query": document })).expect("a request");
        let began = Instant::now();
        let _ = edge.schema.prepare(asked, Caller(None), origin).await;
        let took = began.elapsed().as_secs_f64() * 1_000.0;
        times.push(took);
        if took > slowest.0 {
            slowest = (took, document);
        }
    }
    times.sort_by(f64::total_cmp);
    let met = slowest.0 <= GOAL_MS;
    println!(
        "guard: n={} documents of at most 15 kB, p50 {:.3} ms, p99 {:.2} ms, most {:.2} ms, goal {GOAL_MS} ms: {}",
        times.len(),
        percentile(&times, 0.5),
        percentile(&times, 0.99),
        slowest.0,
        verdict(met)
    );
    println!("guard: the slowest begins {:?}", slowest.1.chars().take(160).collect::<String>());
    server.finish().await;
    met
}

fn bombs() -> Vec<String> {
    let mut documents = Vec::new();
    for (levels, width) in [(25, 3), (29, 3), (29, 2), (10, 10), (5, 20)] {
        let mut bomb = "{ ...F0 }".to_owned();
        for level in 0..levels {
            let spreads = format!("...F{} ", level + 1).repeat(width);
            bomb.push_str(&format!(" fragment F{level} on Query {{ {spreads} }}"));
        }
        bomb.push_str(&format!(" fragment F{levels} on Query {{ __typename }}"));
        documents.push(bomb);
    }
    // Many operations, each of them within the limits.
    let doubling: String =
        (0..5).map(|n| format!(" fragment F{n} on User {{ ...F{next} ...F{next} }}", next = n + 1)).collect();
    let operations: String = (0..90).map(|n| format!("query A{n} {{ viewer {{ ...F0 }} }} ")).collect();
    let leaf = format!(" fragment F5 on User {{ {} }}", "id ".repeat(62));
    documents.push(format!("{operations}query Z {{ __typename }}{doubling}{leaf}"));
    // Just within the limits: as many fields as are let through, all the same or all different.
    documents.push(format!("{{ {} }} fragment F on Query {{ viewer {{ {} }} }}", "...F ".repeat(20), "id ".repeat(97)));
    documents.push(format!("{{ viewer {{ {} }} }}", "unreadNotificationCount ".repeat(600)));
    documents.push(format!("{{ viewer {{ tasks {{ nodes {{ {} }} }} }} }}", "id title status ".repeat(300)));
    let fields =
        "id title description link dueAt dueOn priority category status completedAt version createdAt updatedAt ";
    documents.push(format!(
        "{{ {} }} fragment F on Query {{ viewer {{ tasks {{ nodes {{ {fields} }} }} }} }}",
        "...F ".repeat(99)
    ));
    documents.push(format!("query({}) {{ __typename }}", (0..240).map(|n| format!("$v{n}: Int ")).collect::<String>()));
    documents.push(format!("{{ viewer {{ tasks(first: {}) {{ totalCount }} }} }}", "1".repeat(14_000)));
    documents.push(format!("{{ node(id: \"{}\") {{ id }} }}", "\\u0041".repeat(2_400)));
    documents.push("{".repeat(15_000));
    documents.push("[".repeat(15_000));
    documents.push("#\n".repeat(7_000));
    documents.push(format!("{{ a(b: {}1{}) }}", "[".repeat(60), "]".repeat(60)));
    documents.push(format!("{{ {} }}", (0..498).map(|n| format!("n{n} ")).collect::<String>()));
    documents
        .push(format!("{{ {} }}", (0..300).map(|n| format!("... on Query {{ f{n} }} ")).take(190).collect::<String>()));
    documents.push(format!("mutation {{ {} }}", "taskComplete(input: {id: \"x\"}) { task { id } } ".repeat(70)));
    documents
}

/// Tokens at random, from a small generator of its own so that a seed gives the same document again.
fn random_document(seed: u64) -> String {
    let words = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "...",
        "on",
        "fragment",
        "query",
        "F0",
        "F1",
        "Query",
        "Task",
        "viewer",
        "tasks",
        "nodes",
        "id",
        "title",
        "@include(if: true)",
        "\"text\"",
        "$x",
        ":",
        "=",
        "!",
        "1",
        "node(id: \"a\")",
        "{ id }",
        "reminders",
        "__typename",
        "a: id",
    ];
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    let length = next(900) + 1;
    let mut document = String::from("query Q($x: Int) { viewer { ");
    for _ in 0..length {
        document.push_str(words[next(words.len())]);
        document.push(' ');
    }
    if next(2) == 0 {
        document.push_str("} } fragment F0 on Query { ...F1 } fragment F1 on Task { id }");
    }
    document.truncate(15_000);
    document
}
