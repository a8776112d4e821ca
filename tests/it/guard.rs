//! The document guard: each limit at one less, at it, and one more; and what async-graphql lets through.

use hyper::{Method, StatusCode};
use support::{Json, Server, both, json};

use crate::ways::{Told, Ways};

const JSON_TYPE: (&str, &str) = ("content-type", "application/json");

fn code_of(answer: &Json) -> Option<String> {
    answer["errors"][0]["extensions"]["code"].as_str().map(str::to_owned)
}

async fn code(server: &Server, query: &str) -> Option<String> {
    code_of(&server.ask_as_nobody(query, json!({})).await)
}

/// What becomes of documents of sizes around a limit: up to it they get as far as is said, beyond it the guard refuses.
async fn around(
    ways: &mut Ways<'_>,
    what: &str,
    limit: usize,
    document: impl Fn(usize) -> String,
    passes: impl Fn(usize, &Told) -> bool,
) {
    for (size, refused) in [(limit - 1, false), (limit, false), (limit + 1, true)] {
        let document = document(size);
        for told in ways.told_of(&document).await {
            let fits = match refused {
                true => told.code() == Some("QUERY_TOO_COMPLEX") && told.answer.get("data").is_none(),
                false => passes(size, &told),
            };
            assert!(fits, "{what}: {size} of {limit}: {told:?} {document}");
        }
    }
}

/// Runs, with this data.
fn gives(wanted: impl Fn(usize) -> Json) -> impl Fn(usize, &Told) -> bool {
    move |size, told| told.data() == Some(&wanted(size))
}

/// `{ a0: <value>, a1: <value>, … }`.
fn each_alias(count: usize, value: &str) -> Json {
    (0..count).map(|n| (format!("a{n}"), Json::from(value))).collect::<serde_json::Map<_, _>>().into()
}

/// The way into a circle of edges, with the type of what stands at its end.
const CIRCLE: [(&str, &str); 12] = [
    ("viewer", "User"),
    ("tasks(first: 1)", "TaskConnection"),
    ("nodes", "Task"),
    ("reminders(first: 1)", "ReminderConnection"),
    ("nodes", "Reminder"),
    ("task", "Task"),
    ("reminders(first: 1)", "ReminderConnection"),
    ("nodes", "Reminder"),
    ("task", "Task"),
    ("reminders(first: 1)", "ReminderConnection"),
    ("nodes", "Reminder"),
    ("task", "Task"),
];

/// `{ viewer { tasks { nodes { reminders { nodes { task { reminders … } } } } } } }`, so many levels deep.
fn deep(levels: usize) -> String {
    let open: String = CIRCLE[..levels - 1].iter().map(|(field, _)| format!("{{ {field} ")).collect();
    format!("{open} {{ __typename }} {}", "}".repeat(levels - 1))
}

/// What it is answered with, of somebody who has one task with one reminder.
fn deep_data(levels: usize) -> Json {
    let path = &CIRCLE[..levels - 1];
    let end = json!({ "__typename": path.last().expect("levels").1 });
    path.iter().rev().fold(end, |below, (field, _)| match field.split('(').next() {
        Some("nodes") => json!({ "nodes": [below] }),
        Some(name) => json!({ name: below }),
        None => below,
    })
}

both! {
    async fn each_limit_holds_to_the_one(server, "UPLOAD_LIMIT" = "1000") {
        let ways = &mut Ways::of(server).await;
        let task = server.task(&ways.ada, "The only one").await;
        server.reminder(&ways.ada, &task, chrono::TimeDelta::days(1)).await;
        let query = || gives(|_| json!({ "__typename": "Query" }));
        around(ways, "depth", 12, deep, gives(deep_data)).await;
        around(ways, "introspection depth", 20, |levels| {
            let inner = levels - 4;
            format!("{{ __type(name: \"Task\") {{ fields {{ type {} {{ name }} {} }} }} }}", "{ ofType ".repeat(inner), "}".repeat(inner))
        }, |_, told| {
            // A type is wrapped twice at most: below that there is nothing.
            let fields = told.data().and_then(|data| data["__type"]["fields"].as_array());
            fields.is_some_and(|fields| fields.len() > 10 && fields.iter().all(|field| field["type"].get("ofType").is_some()))
        }).await;
        around(ways, "fragments", 30, |count| {
            let spreads: String = (0..count).map(|n| format!("...F{n} ")).collect();
            let fragments: String = (0..count).map(|n| format!("fragment F{n} on Query {{ __typename }} ")).collect();
            format!("{{ {spreads} }} {fragments}")
        }, query()).await;
        around(ways, "spreads", 100, |count| format!("{{ {} }} fragment F on Query {{ __typename }}", "...F ".repeat(count)), query()).await;
        let aliases = |count| (0..count).map(|n| format!("a{n}: __typename ")).collect::<String>();
        around(ways, "aliases", 15, |count| format!("{{ {} }}", aliases(count)), gives(|count| each_alias(count, "Query"))).await;
        around(ways, "mutations", 5, |count| format!("mutation {{ {} }}", aliases(count)), |count, told| {
            // What may change something is not taken by GET, however small it is.
            let by_get = (Some(StatusCode::METHOD_NOT_ALLOWED), Some("BAD_REQUEST"));
            if told.way.only_reads() { (told.status, told.code()) == by_get } else { told.data() == Some(&each_alias(count, "Mutation")) }
        }).await;
        around(ways, "tokens", 1_000, |count| format!("{{ {} }}", "__typename ".repeat(count - 2)), query()).await;
        around(ways, "bytes", 15_000, |count| format!("{{ __typename }} #{}", "x".repeat(count - 16)), query()).await;
        // 20 spreads of a fragment of 95 fields, and the rest.
        around(ways, "selections", 2_000, |count| {
            let rest = "__typename ".repeat(count - 20 * 95);
            format!("{{ {} {rest} }} fragment F on Query {{ {} }}", "...F ".repeat(20), "__typename ".repeat(95))
        }, query()).await;
    }

    async fn directives_are_counted_wherever_they_stand(server, "UPLOAD_LIMIT" = "1000") {
        let ways = &mut Ways::of(server).await;
        let (field, query) = ("__typename @skip(if: false) ", json!({ "__typename": "Query" }));
        for (place, before, each, after, data) in [
            ("fields", "{ ", field, "}", query.clone()),
            ("fields below a field", "{ viewer { ", field, "} }", json!({ "viewer": { "__typename": "User" } })),
            ("fields of an inline fragment", "{ ... { ", field, "} }", query.clone()),
            ("fields of a fragment", "{ ...F } fragment F on Query { ", field, "}", query.clone()),
            ("spreads", "{ ", "...F @include(if: true) ", "} fragment F on Query { __typename }", query.clone()),
            ("inline fragments", "{ ", "... @include(if: true) { __typename } ", "}", query),
            // None may stand there, but of those the library sees only whether one comes twice.
            ("a variable", "query($n: Int ", "@a# ", ") { viewer { tasks(first: $n) { totalCount } } }", json!({ "viewer": { "tasks": { "totalCount": 0 } } })),
        ] {
            let all = |count| (0..count).map(|n| each.replace('#', &n.to_string())).collect::<String>();
            around(ways, place, 50, |count| format!("{before}{}{after}", all(count)), gives(|_| data.clone())).await;
        }
        // Here it looks, and refuses them: one too many is not even shown to it.
        for (place, before, after) in [("a query", "query ", "{ __typename }"), ("a mutation", "mutation ", "{ __typename }"), ("a fragment", "{ ...F } fragment F on Query ", "{ __typename }")] {
            let document = |count| format!("{before}{}{after}", "@include(if: true) ".repeat(count));
            around(ways, place, 50, document, |_, told| told.code() == Some("BAD_REQUEST")).await;
        }
    }

    async fn the_fields_of_all_operations_are_counted_together(server) {
        let run = async |query: &str, name: &str| {
            let body = json!({ "query": query, "operationName": name }).to_string();
            server.client.send(Method::POST, "/graphql", &[JSON_TYPE], body).await.json()
        };
        let fragment = format!("fragment F on Query {{ {} }}", "__typename ".repeat(99));
        for (count, wanted) in [(1_999, None), (2_000, None), (2_001, Some("QUERY_TOO_COMPLEX"))] {
            let rest = "__typename ".repeat(count - 20 * 99);
            let two = format!("query A {{ {} }} query B {{ {} {rest} }} {fragment}", "...F ".repeat(10), "...F ".repeat(10));
            let answer = run(&two, "A").await;
            assert_eq!(code_of(&answer).as_deref(), wanted, "{count}: {answer}");
            assert_eq!(answer["data"]["__typename"].as_str(), wanted.is_none().then_some("Query"), "{count}: {answer}");
        }
        // Each of them is within every limit: 1 985 fields; all together have 178 651.
        let operations: String = (0..90).map(|n| format!("query A{n} {{ viewer {{ ...F0 }} }} ")).collect();
        let doubling: String = (0..5).map(|n| format!("fragment F{n} on User {{ ...F{next} ...F{next} }} ", next = n + 1)).collect();
        let bomb = format!("{operations}query Z {{ __typename }} {doubling}fragment F5 on User {{ {} }}", "id ".repeat(62));
        let answer = run(&bomb, "Z").await;
        assert_eq!(code_of(&answer).as_deref(), Some("QUERY_TOO_COMPLEX"), "{answer}");
        let message = answer["errors"][0]["message"].as_str().expect("a message");
        assert!(message.contains("in all its operations") && message.contains("178651"), "{message}");
    }

    async fn an_answer_has_twenty_errors_and_no_more(server, "UPLOAD_LIMIT" = "1000") {
        let ways = &mut Ways::of(server).await;
        let user = ways.ada.id.parse().expect("an id");
        let mut tasks = Vec::new();
        for (made, told_of) in [(19, 19), (20, 20), (21, 20)] {
            let unknown: String = (0..made).map(|n| format!("nonsense{n} ")).collect();
            for told in ways.told_of(&format!("{{ {unknown} }}")).await {
                assert_eq!((told.errors(), told.code()), (told_of, Some("BAD_REQUEST")), "by validation: {told:?}");
                assert!(told.answer.get("data").is_none(), "by validation: {told:?}");
            }
            while tasks.len() < made {
                let task = crate::tasks::insert_task(server, user, tasks.len() as i64).await;
                tasks.push(task.to_string());
            }
            // A page that is too large is found out where it is fetched: for each task by itself.
            let query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Task { reminders(first: 101) { nodes { id } } } } }";
            for told in ways.all(&json!({ "query": query, "variables": { "ids": tasks } })).await {
                assert_eq!((told.errors(), told.code()), (told_of, Some("BAD_REQUEST")), "by execution: {told:?}");
                assert_eq!(told.answer["data"]["nodes"], Json::Array(vec![Json::Null; made]), "by execution: {told:?}");
            }
        }
    }

    async fn directives_look_at_the_defaults_of_variables(server) {
        let query = "query($with: Boolean = true, $without: Boolean = true, $none: Boolean = false) {
            a: __typename @include(if: $with) b: __typename @skip(if: $without) c: __typename @include(if: $none) d: __typename @skip(if: $none) ...F @include(if: $with)
        } fragment F on Query { e: __typename }";
        for (given, shown) in [
            (json!({}), json!({ "a": "Query", "d": "Query", "e": "Query" })),
            (json!({ "with": false, "without": false, "none": true }), json!({ "b": "Query", "c": "Query" })),
        ] {
            assert_eq!(server.ask_as_nobody(query, given.clone()).await["data"], shown, "{given}");
        }
        // And the others are taken as before: an enum, a number, a list.
        let ada = server.person("Ada").await;
        let tasks = "query($n: Int = 1, $order: TaskOrder = { field: TITLE, direction: ASC }) { viewer { tasks(first: $n, orderBy: $order) { nodes { title } } } }";
        for title in ["Beta", "Alpha"] {
            server.task(&ada, title).await;
        }
        assert_eq!(server.data(&ada, tasks, json!({})).await["viewer"]["tasks"]["nodes"], json!([{ "title": "Alpha" }]));
        let later = json!({ "order": { "field": "TITLE", "direction": "DESC" } });
        assert_eq!(server.data(&ada, tasks, later).await["viewer"]["tasks"]["nodes"], json!([{ "title": "Beta" }]));
    }

    async fn a_fragment_bomb_is_refused(server) {
        let mut bomb = "{ ...F0 }".to_owned();
        for level in 0..25 {
            bomb.push_str(&format!(" fragment F{level} on Query {{ ...F{next} ...F{next} ...F{next} }}", next = level + 1));
        }
        bomb.push_str(" fragment F25 on Query { __typename }");
        assert_eq!(code(server, &bomb).await.as_deref(), Some("QUERY_TOO_COMPLEX"));
        let hollow: String = (0..28).map(|n| format!(" fragment F{n} on Query {{ ...F{m} ...F{m} ...F{m} }}", m = if n == 27 { 99 } else { n + 1 })).collect();
        assert_eq!(code(server, &format!("{{ ...F0 }}{hollow}")).await.as_deref(), Some("BAD_REQUEST"), "spreads of a fragment that is not there");
        let ring = "{ viewer { tasks(first: 100) { nodes { reminders(first: 100) { nodes { task { reminders(first: 100) { nodes { id } } } } } } } } }";
        assert_eq!(code(server, ring).await.as_deref(), Some("QUERY_TOO_COMPLEX"), "a circle of edges multiplies");
        let variable = "query($n: Int) { viewer { tasks(first: $n) { nodes { reminders(first: $n) { nodes { task { reminders(first: $n) { nodes { id } } } } } } } } }";
        for (n, wanted) in [(100, Some("QUERY_TOO_COMPLEX")), (20, None)] {
            let answer = server.ask_as_nobody(variable, json!({ "n": n })).await;
            assert_eq!(answer["errors"][0]["extensions"]["code"].as_str(), wanted, "a variable counts as what it is: {answer}");
        }
        assert_eq!(code(server, "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }").await.as_deref(), Some("BAD_REQUEST"));
        assert_eq!(code(server, &format!("{{ viewer {{ tasks(first: {}1{}) {{ totalCount }} }} }}", "[".repeat(400), "]".repeat(400))).await.as_deref(), Some("QUERY_TOO_COMPLEX"));
        assert_eq!(code(server, &"{".repeat(900)).await.as_deref(), Some("QUERY_TOO_COMPLEX"));
    }

    async fn what_the_library_lets_through_is_refused(server) {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Mine").await;
        let ask = |query: String| async move { server.client.graphql(None, &query, json!({})).await };
        let disjoint = ask(format!("{{ node(id: \"{task}\") {{ ... on Task {{ same: title }} ... on Reminder {{ same: overdue }} }} }}")).await;
        assert_eq!(disjoint["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{disjoint}");
        let nullable = ask(format!("{{ node(id: \"{task}\") {{ ... on Task {{ same: title }} ... on Reminder {{ same: message }} }} }}")).await;
        assert_eq!(nullable["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{nullable}");
        let fine = server.data(&ada, &format!("{{ node(id: \"{task}\") {{ ... on Task {{ same: version }} ... on Reminder {{ same: version }} }} }}"), json!({})).await;
        assert_eq!(fine["node"]["same"], 1);
        let mut socket = server.socket(Some(&ada)).await;
        socket.subscribe("two", "subscription { a: notificationEvents { cursor } b: notificationEvents { cursor } }", json!({})).await;
        let answer = socket.next().await;
        assert_eq!(answer["type"], "error", "{answer}");
        let many = format!("{{ {} }}", (0..60).map(|n| format!("nonsense{n} ")).collect::<String>());
        let errors = server.ask_as_nobody(&many, json!({})).await;
        assert_eq!(errors["errors"].as_array().map(Vec::len), Some(20), "at most 20 errors are told");
    }

    async fn variables_are_coerced_before_anything_runs(server) {
        let ada = server.person("Ada").await;
        let refused = |query: &'static str, variables: Json| { let ada = ada.clone(); async move {
            let answer = server.ask(&ada, query, variables.clone()).await;
            assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{variables} {answer}");
            assert!(answer.get("data").is_none(), "{variables} {answer}");
        } };
        let list = "query($first: Int, $orderBy: TaskOrder) { viewer { tasks(first: $first, orderBy: $orderBy) { nodes { id } } } }";
        for variables in [json!({ "first": "1" }), json!({ "first": 1.5 }), json!({ "first": 2_147_483_648u64 }), json!({ "first": [1] }),
            json!({ "orderBy": { "field": "NONSENSE" } }), json!({ "orderBy": { "nonsense": 1 } }), json!({ "orderBy": "TITLE" })] {
            refused(list, variables).await;
        }
        let create = "mutation($i: TaskCreateInput!) { taskCreate(input: $i) { task { id } } }";
        for input in [json!(null), json!({}), json!({ "title": null }), json!({ "title": 1 }), json!({ "title": "fine", "due": {} }),
            json!({ "title": "fine", "due": { "at": "2027-01-01T00:00:00Z", "on": "2027-01-01" } }), json!({ "title": "fine", "due": { "on": "2027-02-30" } })] {
            refused(create, json!({ "i": input })).await;
        }
        let profile = "mutation($at: LocalTime, $hours: QuietHoursInput) { profileUpdate(input: { morningDigestAt: $at, quietHours: $hours }) { user { id } } }";
        for variables in [json!({ "at": "25:00" }), json!({ "at": "5:00" }), json!({ "at": "05:00:00" }), json!({ "at": 300 }),
            json!({ "hours": { "startsAt": "22:00", "endsAt": "6" } })] {
            refused(profile, variables).await;
        }
        assert_eq!(server.count::<entity::task::Entity>().await, 0);
        server.data(&ada, list, json!({ "first": null, "unknown": 1 })).await;
    }
}
