//! How long judging a document takes, whatever it is: bombs, deep ones, wide ones, and random ones, up to 15 kB. And what
//! those that are kept take.

use std::time::Instant;

use serde_json::json;
use spacedly::{
    platform::viewer::{Caller, Origin},
    schema::Asked,
};
use support::{Database, Server, process::memory_kib};

use crate::{percentile, verdict};

const GOAL_MS: f64 = 20.0;
/// How many of the largest documents are asked, each once: many more than are kept.
const LARGEST: usize = 1_000;
/// What those that are kept may take, in shares of DOCUMENT_CACHE_BYTES.
const GOAL_KEPT: f64 = 1.5;

pub async fn run(random: u64) -> bool {
    let server = Server::start_plain(Database::Sqlite, &[("LOG", "off"), ("DOCUMENT_CACHE_BYTES", "0")]).await;
    let edge = server.app.edge(server.port, Default::default());
    let mut documents = bombs();
    documents.extend((0..random).map(random_document));
    let (mut times, mut slowest) = (Vec::new(), (0.0, String::new()));
    for document in documents {
        let (asked, origin) = asked(&document);
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
    keeps_little().await && met
}

fn asked(document: &str) -> (Asked, Origin) {
    let asked = serde_json::from_value(json!({ "query": document })).expect("a request");
    let nobody = Origin {
        ip: String::new(),
        device: String::new(),
        can_set_cookies: true,
        refresh_cookie: None,
        device_cookie: None,
    };
    (asked, nobody)
}

/// Asks for the largest documents that may be, no two of them alike.
async fn keeps_little() -> bool {
    let budget = [("LOG", "off"), ("COST_BUDGET_ANONYMOUS", "1000000000")];
    let server = Server::start_plain(Database::Sqlite, &budget).await;
    let edge = server.app.edge(server.port, Default::default());
    let most = server.app.platform.config.limits.document_cache as f64;
    let before = memory_of_this_process();
    for number in 0..LARGEST {
        let fields = "id title status ".repeat(329);
        let (asked, origin) = asked(&format!("query Q{number} {{ viewer {{ tasks {{ nodes {{ {fields} }} }} }} }}"));
        assert!(edge.schema.prepare(asked, Caller(None), origin).await.is_ok(), "it may be asked for");
    }
    let grown = memory_of_this_process() - before;
    let met = grown <= most * GOAL_KEPT;
    println!(
        "guard: n={LARGEST} of the largest documents, each once: {:.1} MB more, DOCUMENT_CACHE_BYTES is {:.0} MB, goal at most {GOAL_KEPT} times that: {}",
        grown / 1e6,
        most / 1e6,
        verdict(met)
    );
    server.finish().await;
    met
}

/// What is resident, in bytes.
fn memory_of_this_process() -> f64 {
    memory_kib(std::process::id()) as f64 * 1_024.0
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
