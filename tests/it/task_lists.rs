//! Lists of tasks: filters, categories, many at once, and what was deleted.

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait, Statement};
use support::{Database, Json, Person, Server, both, json, text};

const CREATE: &str =
    "mutation($input: TaskCreateInput!) { taskCreate(input: $input) { task { id } userErrors { code path } } }";
const LIST: &str = "query($filter: TaskFilter, $orderBy: TaskOrder, $first: Int, $after: Cursor) { viewer {
    tasks(filter: $filter, orderBy: $orderBy, first: $first, after: $after) { totalCount nodes { title } pageInfo { hasNextPage endCursor } } } }";

async fn create(server: &Server, person: &Person, input: Json) -> String {
    text(&server.ask(person, CREATE, json!({ "input": input })).await, "/data/taskCreate/task/id")
}

async fn titles(server: &Server, person: &Person, filter: Json) -> Vec<String> {
    let order = json!({ "field": "TITLE", "direction": "ASC" });
    let found =
        server.data(person, LIST, json!({ "filter": filter, "orderBy": order })).await["viewer"]["tasks"].take();
    let titles: Vec<String> =
        found["nodes"].as_array().expect("a list").iter().map(|task| text(task, "/title")).collect();
    assert_eq!(found["totalCount"], titles.len(), "what is counted is what is listed: {filter}");
    titles
}

/// Four tasks that differ in everything, and their ids.
async fn four(server: &Server, person: &Person) -> [String; 4] {
    let day = |days: i64| json!({ "at": server.at(TimeDelta::days(days)) });
    let a = create(server, person, json!({ "title": "alpha", "priority": "HIGH", "category": "Work", "due": day(1) }))
        .await;
    let b =
        create(server, person, json!({ "title": "beta", "priority": "LOW", "category": "Home", "due": day(3) })).await;
    let c = create(server, person, json!({ "title": "gamma", "category": "Work" })).await;
    let d = create(server, person, json!({ "title": "delta", "due": day(9) })).await;
    let update = "mutation($input: TaskUpdateInput!) { taskUpdate(input: $input) { task { id } userErrors { code } } }";
    server.data(person, update, json!({ "input": { "id": b, "status": "IN_PROGRESS" } })).await;
    server
        .data(person, "mutation($id: ID!) { taskComplete(input: { id: $id }) { task { id } } }", json!({ "id": c }))
        .await;
    crate::tasks::insert_attachment(server, person, &d).await;
    [a, b, c, d]
}

both! {
    async fn every_filter_finds_what_it_says_and_its_opposite_the_rest(server) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        four(server, &ada).await;
        create(server, &eve, json!({ "title": "Eve's", "category": "Work" })).await;
        let at = |days: i64| server.at(TimeDelta::days(days));
        let all = ["alpha", "beta", "delta", "gamma"];
        for (filter, found) in [
            (json!({}), &all[..]),
            (json!({ "status": { "eq": "TODO" } }), &["alpha", "delta"][..]),
            (json!({ "status": { "in": ["IN_PROGRESS", "COMPLETED"] } }), &["beta", "gamma"][..]),
            (json!({ "status": { "in": [] } }), &[][..]),
            (json!({ "priority": { "eq": "HIGH" } }), &["alpha"][..]),
            (json!({ "priority": { "in": ["LOW", "MEDIUM"] } }), &["beta", "delta", "gamma"][..]),
            (json!({ "category": { "eq": "Work" } }), &["alpha", "gamma"][..]),
            (json!({ "category": { "eq": "work" } }), &[][..]),
            (json!({ "category": { "isNull": true } }), &["delta"][..]),
            (json!({ "category": { "in": ["Home", "Garden"] } }), &["beta"][..]),
            (json!({ "dueAt": { "lt": at(2) } }), &["alpha"][..]),
            (json!({ "dueAt": { "gte": at(2) } }), &["beta", "delta"][..]),
            (json!({ "dueAt": { "gt": at(2), "lte": at(4) } }), &["beta"][..]),
            (json!({ "dueAt": { "isNull": true } }), &["gamma"][..]),
            (json!({ "completedAt": { "isNull": false } }), &["gamma"][..]),
            (json!({ "createdAt": { "gt": at(-1) } }), &all[..]),
            (json!({ "hasAttachments": true }), &["delta"][..]),
            (json!({ "overdue": true }), &[][..]),
            (json!({ "or": [{ "category": { "eq": "Home" } }, { "dueAt": { "isNull": true } }] }), &["beta", "gamma"][..]),
            (json!({ "or": [] }), &[][..]),
            (json!({ "and": [{ "category": { "eq": "Work" } }, { "status": { "eq": "TODO" } }] }), &["alpha"][..]),
            (json!({ "status": { "eq": "TODO" }, "category": { "eq": "Work" } }), &["alpha"][..]),
            (json!({ "not": { "not": { "category": { "eq": "Work" } } } }), &["alpha", "gamma"][..]),
        ] {
            assert_eq!(titles(server, &ada, filter.clone()).await, found, "{filter}");
            let rest: Vec<&str> = all.into_iter().filter(|title| !found.contains(title)).collect();
            assert_eq!(titles(server, &ada, json!({ "not": filter })).await, rest, "the opposite of {filter}");
        }
        server.advance(TimeDelta::days(4));
        let ada = Person { token: server.client.log_in(&ada.email).await.access, ..ada };
        assert_eq!(titles(server, &ada, json!({ "overdue": true })).await, ["alpha", "beta"], "what is done is not overdue");
        assert_eq!(titles(server, &ada, json!({ "overdue": false })).await, ["delta", "gamma"]);
    }

    async fn a_filter_has_its_limits(server) {
        let ada = server.person("Ada").await;
        let one = json!({ "category": { "eq": "x" } });
        let mut deep = one.clone();
        for _ in 0..4 {
            deep = json!({ "not": deep });
        }
        assert!(titles(server, &ada, deep.clone()).await.is_empty());
        for filter in [json!({ "not": deep }), json!({ "or": vec![one; 31] }), json!({ "category": { "in": vec!["x"; 101] } })] {
            let refused = server.ask(&ada, LIST, json!({ "filter": filter })).await;
            assert_eq!(refused["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{refused}");
        }
    }

    async fn a_filtered_list_is_paged_like_any_other(server) {
        let ada = server.person("Ada").await;
        for number in 0..23 {
            create(server, &ada, json!({ "title": format!("task {number:02}"), "category": if number % 2 == 0 { "even" } else { "odd" } })).await;
        }
        let (mut seen, mut after) = (Vec::new(), Json::Null);
        loop {
            let variables = json!({ "filter": { "category": { "eq": "even" } }, "first": 5, "after": after });
            let page = server.data(&ada, LIST, variables).await["viewer"]["tasks"].take();
            assert_eq!(page["totalCount"], 12);
            seen.extend(page["nodes"].as_array().expect("a list").iter().map(|task| text(task, "/title")));
            after = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        let even: Vec<String> = (0..23).rev().filter(|number| number % 2 == 0).map(|number| format!("task {number:02}")).collect();
        assert_eq!(seen, even);
    }

    async fn a_search_finds_tasks_by_the_beginnings_of_their_words(server) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let report = create(server, &ada, json!({ "title": "Write the quarterly REPORT", "description": "Numbers for Zürich; see e-mail (draft_2)." })).await;
        create(server, &ada, json!({ "title": "Buy größere Äpfel", "description": "日本語の本 and \"quotes\" 'n' things* OR NOT" })).await;
        create(server, &eve, json!({ "title": "Write Eve's report" })).await;
        let find = async |person: &Person, search: &str| {
            let query = "query($search: String) { viewer { tasks(search: $search, orderBy: { field: TITLE, direction: ASC }) { totalCount nodes { title } } } }";
            let found = server.data(person, query, json!({ "search": search })).await["viewer"]["tasks"].take();
            assert_eq!(found["totalCount"], found["nodes"].as_array().expect("a list").len());
            found["nodes"].as_array().expect("a list").iter().map(|task| text(task, "/title")).collect::<Vec<_>>()
        };
        let (one, two) = ("Write the quarterly REPORT", "Buy größere Äpfel");
        for (search, found) in [
            ("report", vec![one]), ("rep", vec![one]), ("eport", vec![]), ("REPORT quart", vec![one]), ("quart nothing", vec![]),
            ("zürich", vec![one]), ("zur", vec![]), ("e-mail", vec![one]), ("draft", vec![one]), ("2", vec![one]),
            ("GRÖSSE", vec![]), ("größ", vec![two]), ("äpfel buy", vec![two]), ("日本", vec![two]), ("本", vec![]),
            ("things*", vec![two]), ("\"quotes\"", vec![two]), ("or not", vec![two]), ("'", vec![]), ("***", vec![]),
            ("", vec![two, one]), ("   ", vec![two, one]), ("eve", vec![]), ("a:b & c | !d <-> e", vec![]), ("); DROP TABLE tasks; --", vec![]),
        ] {
            assert_eq!(find(&ada, search).await, found, "{search:?}");
        }
        assert_eq!(find(&eve, "write").await, ["Write Eve's report"], "everybody finds their own");
        let update = "mutation($input: TaskUpdateInput!) { taskUpdate(input: $input) { task { id } userErrors { code } } }";
        server.data(&ada, update, json!({ "input": { "id": report, "description": "Only letters" } })).await;
        assert_eq!((find(&ada, "zürich").await, find(&ada, "letters").await), (vec![], vec![one.to_owned()]));
        let both = "query { viewer { tasks(search: \"o\", filter: { category: { isNull: false } }) { nodes { title } } } }";
        assert_eq!(server.data(&ada, both, json!({})).await["viewer"]["tasks"]["nodes"], json!([]));
        let many = "query($s: String) { viewer { tasks(search: $s) { nodes { id } } } }";
        for (search, code) in [("a b c d e f g h i j k".to_owned(), Some("BAD_REQUEST")), ("x".repeat(1_000), None), ("x".repeat(1_001), Some("BAD_REQUEST"))] {
            let answer = server.ask(&ada, many, json!({ "s": search })).await;
            assert_eq!(answer["errors"][0]["extensions"]["code"].as_str(), code, "{answer}");
        }
        server.data(&ada, "mutation($id: ID!) { taskDelete(input: { id: $id }) { task { id } } }", json!({ "id": report })).await;
        assert!(find(&ada, "letters").await.is_empty(), "what is deleted is not found");
        server.data(&ada, "mutation($id: ID!) { taskRestore(input: { id: $id }) { task { id } } }", json!({ "id": report })).await;
        assert_eq!(find(&ada, "letters").await, [one]);
        server.data(&ada, "mutation($id: ID!) { taskDelete(input: { id: $id, permanently: true }) { task { id } } }", json!({ "id": report })).await;
        let db = server.app.platform.db.read();
        let left = Statement::from_string(db.get_database_backend(), "SELECT count(*) AS left FROM task_search");
        let left: i64 = db.query_one_raw(left).await.expect("counted").expect("a row").try_get("", "left").expect("a number");
        assert_eq!(left, 2, "what is purged leaves no words");
    }

    async fn a_search_that_finds_very_many_is_paged_too(server, "SEARCH_LOOKUP" = "2") {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        for number in 0..7 {
            create(server, &ada, json!({ "title": format!("report {number}"), "category": if number == 3 { "odd" } else { "even" } })).await;
            create(server, &eve, json!({ "title": format!("report of Eve {number}") })).await;
        }
        let query = "query($after: Cursor, $filter: TaskFilter) { viewer { tasks(search: \"rep\", first: 4, after: $after, filter: $filter, orderBy: { field: TITLE, direction: ASC }) {
            totalCount nodes { title } pageInfo { hasNextPage endCursor } } } }";
        let first = server.data(&ada, query, json!({})).await["viewer"]["tasks"].take();
        assert_eq!((first["totalCount"].clone(), first["pageInfo"]["hasNextPage"].clone()), (json!(7), json!(true)));
        let second = server.data(&ada, query, json!({ "after": first["pageInfo"]["endCursor"] })).await["viewer"]["tasks"].take();
        let titles: Vec<String> = [&first, &second].iter().flat_map(|page| page["nodes"].as_array().expect("a list")).map(|task| text(task, "/title")).collect();
        assert_eq!(titles, (0..7).map(|number| format!("report {number}")).collect::<Vec<_>>());
        let odd = server.data(&ada, query, json!({ "filter": { "category": { "eq": "odd" } } })).await;
        assert_eq!(odd["viewer"]["tasks"]["nodes"], json!([{ "title": "report 3" }]));
    }

    async fn categories_come_with_their_counts(server) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let [a, ..] = four(server, &ada).await;
        create(server, &eve, json!({ "title": "Eve's", "category": "Secret" })).await;
        let query = "{ viewer { taskCategories { name count } } }";
        let found = server.data(&ada, query, json!({})).await["viewer"]["taskCategories"].take();
        let mut counted: Vec<(String, i64)> = found.as_array().expect("a list").iter().map(|it| (it["name"].as_str().unwrap_or("-").to_owned(), it["count"].as_i64().expect("a number"))).collect();
        assert_eq!(counted[0], ("Work".to_owned(), 2), "the most first");
        counted.sort();
        assert_eq!(counted, [("-".to_owned(), 1), ("Home".to_owned(), 1), ("Work".to_owned(), 2)]);
        server.data(&ada, "mutation($id: ID!) { taskDelete(input: { id: $id }) { task { id } } }", json!({ "id": a })).await;
        let found = server.data(&ada, query, json!({})).await["viewer"]["taskCategories"].take();
        assert!(found.as_array().expect("a list").iter().all(|it| it["count"] == 1), "{found}");
    }

    async fn bulk_acts_do_all_or_nothing(server) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let [a, b, c, d] = four(server, &ada).await;
        server.reminder(&ada, &a, TimeDelta::days(2)).await;
        let strange = server.task(&eve, "Eve's").await;
        let bulk = |name: &str, more: &str| format!("mutation($ids: [ID!]!) {{ {name}(input: {{ ids: $ids {more} }}) {{ tasks {{ id title category status version }} userErrors {{ code path }} }} }}");
        for (name, more) in [("taskBulkComplete", ""), ("taskBulkMove", "category: \"Mine\""), ("taskBulkDelete", "")] {
            let refused = server.ask(&ada, &bulk(name, more), json!({ "ids": [a, strange] })).await;
            assert_eq!(refused["errors"][0]["extensions"]["code"], "NOT_FOUND", "{name}");
            let absent = server.ask(&ada, &bulk(name, more), json!({ "ids": [a, "task_01jd3xk5ve7h8t9w2n4m6p8q0r"] })).await;
            assert_eq!(refused.to_string(), absent.to_string());
            let many = server.data(&ada, &bulk(name, more), json!({ "ids": vec![a.clone(); 101] })).await;
            assert_eq!(many[name]["userErrors"][0], json!({ "code": "TOO_LONG", "path": ["input", "ids"] }));
            let wrong = server.data(&ada, &bulk(name, more), json!({ "ids": [a, "reminder_01jd3xk5ve7h8t9w2n4m6p8q0r", b, "nonsense"] })).await;
            let told = |place: &str| json!({ "code": "INVALID_ID", "path": ["input", "ids", place] });
            assert_eq!(wrong[name]["userErrors"], json!([told("1"), told("3")]), "each at its place");
        }
        assert_eq!(titles(server, &ada, json!({ "status": { "eq": "TODO" } })).await, ["alpha", "delta"], "nothing was done");
        let in_order = |answer: &Json, name: &str| {
            let ids: Vec<String> = answer[name]["tasks"].as_array().expect("tasks").iter().map(|task| text(task, "/id")).collect();
            assert!(ids.is_sorted(), "by id, whatever the order given: {answer}");
            ids.len()
        };
        let moved = server.data(&ada, &bulk("taskBulkMove", "category: \"Elsewhere\""), json!({ "ids": [b, a, b] })).await;
        assert_eq!(in_order(&moved, "taskBulkMove"), 2, "each once");
        assert_eq!(titles(server, &ada, json!({ "category": { "eq": "Elsewhere" } })).await, ["alpha", "beta"]);
        let done = server.data(&ada, &bulk("taskBulkComplete", ""), json!({ "ids": [c, b, a] })).await;
        assert_eq!(in_order(&done, "taskBulkComplete"), 3);
        assert_eq!(titles(server, &ada, json!({ "status": { "eq": "COMPLETED" } })).await, ["alpha", "beta", "gamma"]);
        let told = server.data(&ada, "{ viewer { unreadNotificationCount } reminders: viewer { tasks(filter: { category: { eq: \"Elsewhere\" } }) { nodes { reminders { nodes { status } } } } } }", json!({})).await;
        assert_eq!(told["viewer"]["unreadNotificationCount"], 3, "the one that was complete is not completed again");
        assert!(told["reminders"].to_string().contains("CANCELLED"), "{told}");
        let gone = server.data(&ada, &bulk("taskBulkDelete", ""), json!({ "ids": [d, a] })).await;
        assert_eq!(in_order(&gone, "taskBulkDelete"), 2);
        assert_eq!(titles(server, &ada, json!({})).await, ["beta", "gamma"]);
    }

    async fn what_was_deleted_comes_back_with_what_lies_ahead_for_thirty_days(server) {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Come back").await;
        server.reminder(&ada, &task, TimeDelta::hours(1)).await;
        server.reminder(&ada, &task, TimeDelta::days(40)).await;
        let delete = "mutation($id: ID!) { taskDelete(input: { id: $id }) { task { id } userErrors { code } } }";
        let restore = "mutation($id: ID!) { taskRestore(input: { id: $id }) { task { version reminders { nodes { status } } } userErrors { code } } }";
        server.data(&ada, delete, json!({ "id": task })).await;
        assert!(titles(server, &ada, json!({})).await.is_empty());
        server.advance(TimeDelta::hours(2));
        let ada = Person { token: server.client.log_in(&ada.email).await.access, ..ada };
        let back = server.data(&ada, restore, json!({ "id": task })).await;
        assert_eq!(back["taskRestore"]["task"]["reminders"]["nodes"], json!([{ "status": "CANCELLED" }, { "status": "PENDING" }]), "{back}");
        assert_eq!(server.data(&ada, restore, json!({ "id": task })).await["taskRestore"]["task"]["version"], back["taskRestore"]["task"]["version"], "twice does no harm");
        assert_eq!(titles(server, &ada, json!({})).await, ["Come back"]);
        server.data(&ada, delete, json!({ "id": task })).await;
        server.jobs_are_done().await;
        server.advance(TimeDelta::days(31));
        let ada = Person { token: server.client.log_in(&ada.email).await.access, ..ada };
        let late = server.ask(&ada, restore, json!({ "id": task })).await;
        assert_eq!(late["errors"][0]["extensions"]["code"], "NOT_FOUND");
        spacedly::worker::sweep(&server.app.platform).await.expect("swept");
        // What another sweep holds at the moment this one passes over.
        support::until("both to be purged", || async {
            let left = (server.count::<entity::task::Entity>().await, server.count::<entity::reminder::Entity>().await);
            (left == (0, 0)).then_some(())
        }).await;
    }

    async fn deleted_tasks_are_listed_as_long_as_they_can_be_brought_back(server) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let list = "query($first: Int, $after: Cursor) { viewer { deletedTasks(first: $first, after: $after) {
            nodes { title deletedAt reminders { nodes { status } } } pageInfo { hasNextPage endCursor } totalCount } } }";
        let deleted = async |person: &Person, variables: Json| server.data(person, list, variables).await["viewer"]["deletedTasks"].take();
        let delete = "mutation($id: ID!) { taskDelete(input: { id: $id }) { task { deletedAt } userErrors { code } } }";
        let mut ids = Vec::new();
        for title in ["First gone", "Second gone", "Third gone", "Stays"] {
            ids.push(server.task(&ada, title).await);
        }
        server.reminder(&ada, &ids[1], TimeDelta::hours(1)).await;
        for id in &ids[..3] {
            server.advance(TimeDelta::minutes(1));
            server.data(&ada, delete, json!({ "id": id })).await;
        }
        let found = deleted(&ada, json!({ "first": 2 })).await;
        assert_eq!((&found["nodes"][0]["title"], &found["nodes"][1]["title"]), (&json!("Third gone"), &json!("Second gone")), "{found}");
        assert!(found["nodes"][0]["deletedAt"].is_string(), "{found}");
        assert_eq!(found["nodes"][1]["reminders"]["nodes"], json!([{ "status": "CANCELLED" }]));
        assert_eq!(found["totalCount"], 3);
        let next = deleted(&ada, json!({ "first": 2, "after": found["pageInfo"]["endCursor"] })).await;
        assert_eq!((next["nodes"][0]["title"].as_str(), next["pageInfo"]["hasNextPage"].as_bool()), (Some("First gone"), Some(false)), "{next}");
        assert_eq!(deleted(&eve, json!({})).await["totalCount"], 0, "each sees their own");
        let there = server.data(&ada, "{ viewer { tasks { nodes { title deletedAt } } } }", json!({})).await;
        assert_eq!(there["viewer"]["tasks"]["nodes"], json!([{ "title": "Stays", "deletedAt": null }]));

        server.data(&ada, "mutation($id: ID!) { taskRestore(input: { id: $id }) { task { id } } }", json!({ "id": ids[2] })).await;
        server.data(&ada, "mutation($id: ID!) { taskDelete(input: { id: $id, permanently: true }) { task { id } } }", json!({ "id": ids[1] })).await;
        assert_eq!(deleted(&ada, json!({})).await["totalCount"], 1, "brought back, or purged");
        server.jobs_are_done().await;
        server.advance(TimeDelta::days(31));
        let ada = Person { token: server.client.log_in(&ada.email).await.access, ..ada };
        assert_eq!(deleted(&ada, json!({})).await["totalCount"], 0, "what cannot be brought back is not offered, before it is purged too");
    }

    async fn a_completed_task_comes_back_completed_and_purging_leaves_the_notification(server) {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Done and gone").await;
        server.reminder(&ada, &task, TimeDelta::days(1)).await;
        for mutation in ["taskComplete", "taskDelete"] {
            server.data(&ada, &format!("mutation($id: ID!) {{ {mutation}(input: {{ id: $id }}) {{ task {{ id }} }} }}"), json!({ "id": task })).await;
        }
        let restore = "mutation($id: ID!) { taskRestore(input: { id: $id }) { task { status reminders { nodes { status } } } } }";
        let back = server.data(&ada, restore, json!({ "id": task })).await;
        assert_eq!(back["taskRestore"]["task"], json!({ "status": "COMPLETED", "reminders": { "nodes": [{ "status": "CANCELLED" }] } }));
        let purge = "mutation($id: ID!) { taskDelete(input: { id: $id, permanently: true }) { task { title } userErrors { code } } }";
        assert_eq!(server.data(&ada, purge, json!({ "id": task })).await["taskDelete"]["task"]["title"], "Done and gone");
        assert_eq!((server.count::<entity::task::Entity>().await, server.count::<entity::reminder::Entity>().await), (0, 0));
        let kept = server.data(&ada, "{ viewer { notifications { nodes { title task { id } } } } }", json!({})).await;
        assert_eq!(kept["viewer"]["notifications"]["nodes"], json!([{ "title": "Task Completed", "task": null }]));
        assert_eq!(server.ask(&ada, restore, json!({ "id": task })).await["errors"][0]["extensions"]["code"], "NOT_FOUND");
    }
}

/// The plan of the one statement of a list that reads tasks.
async fn plan(server: &Server, person: &Person, variables: Json) -> String {
    let list = LIST.replace("totalCount ", "");
    server.data(person, &list, variables.clone()).await;
    server.forget_statements();
    server.data(person, &list, variables).await;
    let sql = server.statements().into_iter().find(|sql| sql.contains("FROM \"tasks\"")).expect("a list");
    let db = server.app.platform.db.read();
    let explain = Statement::from_string(db.get_database_backend(), format!("EXPLAIN QUERY PLAN {sql}"));
    let rows = db.query_all_raw(explain).await.expect("planned");
    rows.iter().map(|row| row.try_get::<String>("", "detail").expect("text")).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn filters_by_status_category_and_due_range_are_found_by_their_indexes_on_sqlite() {
    let server = Server::start(Database::Sqlite, &[]).await;
    let ada = server.person("Ada").await;
    four(&server, &ada).await;
    let by = |field: &str| json!({ "field": field, "direction": "ASC" });
    let at = server.at(TimeDelta::days(2));
    for (variables, index) in [
        (json!({ "filter": { "status": { "eq": "TODO" } } }), "tasks_status_created_idx (user_id=? AND status=?)"),
        (
            json!({ "filter": { "status": { "eq": "TODO" } }, "orderBy": by("DUE_AT") }),
            "tasks_status_due_idx (user_id=? AND status=?)",
        ),
        (json!({ "filter": { "category": { "eq": "Work" } } }), "tasks_category_idx (user_id=? AND category=?)"),
        (
            json!({ "filter": { "dueAt": { "lt": at } }, "orderBy": by("DUE_AT") }),
            "tasks_due_idx (user_id=? AND due_key<?)",
        ),
    ] {
        let plan = plan(&server, &ada, variables.clone()).await;
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{variables}: {plan}");
    }
    server.finish().await;
}
