//! Tasks: every field and rule that exists, by the front door.

use chrono::TimeDelta;
use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use support::{Json, Person, Server, both, json};

const CREATE: &str = "mutation($input: TaskCreateInput!) { taskCreate(input: $input) {
    task { id title description link dueAt dueOn priority category status completedAt version createdAt updatedAt }
    userErrors { code message path } } }";
const UPDATE: &str = "mutation($input: TaskUpdateInput!) { taskUpdate(input: $input) {
    task { id title description link dueAt dueOn priority category status completedAt version }
    userErrors { code path } } }";

async fn create(server: &Server, person: &Person, input: Json) -> Json {
    server.data(person, CREATE, json!({ "input": input })).await["taskCreate"].take()
}

async fn update(server: &Server, person: &Person, input: Json) -> Json {
    server.data(person, UPDATE, json!({ "input": input })).await["taskUpdate"].take()
}

both! {
    async fn a_patch_keeps_what_is_absent_and_clears_what_is_null(server) {
        let ada = server.person("Ada").await;
        let made = create(server, &ada, json!({
            "title": "  Write the report ", "description": "line one\nline two", "link": "https://example.org/a?b=c",
            "due": { "on": "2027-02-28" }, "priority": "HIGH", "category": "work",
        })).await;
        let task = &made["task"];
        assert_eq!((task["title"].as_str(), task["version"].as_i64()), (Some("Write the report"), Some(1)));
        assert_eq!((task["dueAt"].as_str(), task["dueOn"].as_str()), (Some("2027-02-28T23:59:59.999999Z"), Some("2027-02-28")));
        let kept = update(server, &ada, json!({ "id": task["id"], "title": "Write it" })).await["task"].take();
        assert_eq!((kept["description"].clone(), kept["link"].clone(), kept["category"].clone()),
            (task["description"].clone(), task["link"].clone(), task["category"].clone()));
        assert_eq!((kept["title"].as_str(), kept["version"].as_i64(), kept["priority"].as_str()), (Some("Write it"), Some(2), Some("HIGH")));
        let cleared = update(server, &ada, json!({ "id": task["id"], "description": null, "link": null, "due": null, "category": null })).await["task"].take();
        for field in ["description", "link", "dueAt", "dueOn", "category"] {
            assert_eq!(cleared[field], Json::Null, "{field}");
        }
        assert_eq!((cleared["title"].as_str(), cleared["version"].as_i64()), (Some("Write it"), Some(3)));
        let same = update(server, &ada, json!({ "id": task["id"], "title": "Write it" })).await;
        assert_eq!(same["task"]["version"], 3, "nothing changed, so nothing is counted");
        let timed = update(server, &ada, json!({ "id": task["id"], "due": { "at": "2027-03-01T10:00:00+02:00" } })).await;
        assert_eq!((timed["task"]["dueAt"].as_str(), timed["task"]["dueOn"].clone()), (Some("2027-03-01T08:00:00Z"), Json::Null));
    }

    async fn a_stale_version_is_told_with_the_current_state(server) {
        let ada = server.person("Ada").await;
        let id = server.task(&ada, "Write the report").await;
        update(server, &ada, json!({ "id": id, "title": "First" })).await;
        let stale = update(server, &ada, json!({ "id": id, "expectedVersion": 1, "title": "Second" })).await;
        assert_eq!((stale["userErrors"][0]["code"].as_str(), stale["task"]["title"].as_str()), (Some("CONFLICT"), Some("First")));
        let fresh = update(server, &ada, json!({ "id": id, "expectedVersion": 2, "title": "Second" })).await;
        assert_eq!(fresh["task"]["title"], "Second");
        let rival = |title: &'static str| update(server, &ada, json!({ "id": id.clone(), "expectedVersion": 3, "title": title }));
        let (one, other) = tokio::join!(rival("This"), rival("That"));
        let lost = [&one, &other].iter().filter(|answer| answer["userErrors"][0]["code"] == "CONFLICT").count();
        assert_eq!(lost, 1, "{one} {other}");
    }

    async fn completing_congratulates_once_and_reopening_undoes(server) {
        let ada = server.person("Ada").await;
        let id = server.task(&ada, "Write the report").await;
        let set = |name: &'static str| {
            let (ada, id) = (ada.clone(), id.clone());
            let query = format!("mutation($id: ID!) {{ {name}(input: {{ id: $id }}) {{ task {{ status completedAt version }} }} }}");
            async move { server.data(&ada, &query, json!({ "id": id })).await[name]["task"].take() }
        };
        let done = set("taskComplete").await;
        assert_eq!(done["status"], "COMPLETED");
        assert!(done["completedAt"].is_string());
        assert_eq!(set("taskComplete").await["version"], done["version"], "twice is once");
        let open = set("taskReopen").await;
        assert_eq!((open["status"].as_str(), open["completedAt"].clone()), (Some("TODO"), Json::Null));
        set("taskComplete").await;
        let list = server.data(&ada, "{ viewer { unreadNotificationCount notifications { nodes { title message type } } } }", json!({})).await;
        assert_eq!(list["viewer"]["notifications"]["nodes"], json!([{ "title": "Task Completed", "message": "You completed: Write the report", "type": "GENERAL" }]));
        assert_eq!(server.count::<entity::completion::Entity>().await, 3, "done, undone, done: nothing is rewritten");
    }

    async fn a_deleted_task_is_gone_for_everyone(server) {
        let ada = server.person("Ada").await;
        let id = server.task(&ada, "Write the report").await;
        let delete = "mutation($id: ID!) { taskDelete(input: { id: $id }) { task { id } userErrors { code } } }";
        server.data(&ada, delete, json!({ "id": id })).await;
        let look = "query($id: ID!) { task(id: $id) { id } node(id: $id) { id } nodes(ids: [$id]) { id } viewer { tasks { totalCount } } }";
        let gone = server.data(&ada, look, json!({ "id": id })).await;
        assert_eq!(gone, json!({ "task": null, "node": null, "nodes": [null], "viewer": { "tasks": { "totalCount": 0 } } }));
        let again = server.ask(&ada, delete, json!({ "id": id })).await;
        assert_eq!(again["errors"][0]["extensions"]["code"], "NOT_FOUND");
    }

    async fn the_same_key_makes_the_same_task_and_another_input_is_refused(server) {
        let ada = server.person("Ada").await;
        let input = json!({ "title": "Write the report", "idempotencyKey": "k-1" });
        let asks = (0..10).map(|_| create(server, &ada, input.clone()));
        let made: Vec<Json> = futures_util::future::join_all(asks).await.into_iter().map(|a| a["task"]["id"].clone()).collect();
        assert!(made.iter().all(|id| *id == made[0] && id.is_string()), "{made:?}");
        assert_eq!(server.count::<entity::task::Entity>().await, 1);
        let other = server.ask(&ada, CREATE, json!({ "input": { "title": "Another", "idempotencyKey": "k-1" } })).await;
        assert_eq!(other["errors"][0]["extensions"]["code"], "IDEMPOTENCY_MISMATCH", "{other}");
        let eve = server.person("Eve").await;
        let hers = create(server, &eve, input).await;
        assert_ne!(hers["task"]["id"], made[0], "keys are each person's own");
        server.advance(TimeDelta::hours(25));
        spacedly::worker::sweep(&server.app.platform).await.expect("swept");
        assert_eq!(server.count::<entity::idempotency_key::Entity>().await, 0);
    }

    async fn fifty_writers_with_the_version_they_saw_lose_no_update(server) {
        let ada = server.person("Ada").await;
        let id = server.task(&ada, "Count to fifty").await;
        let look = "query($id: ID!) { task(id: $id) { version description } }";
        // Each adds one to the number that it saw, and looks again when somebody was faster.
        let writers = (0..50).map(|_| async {
            let mut conflicts = 0;
            loop {
                let seen = server.data(&ada, look, json!({ "id": id })).await["task"].take();
                let next = seen["description"].as_str().map_or(0, |text| text.parse::<i64>().expect("a number")) + 1;
                let input = json!({ "id": id, "expectedVersion": seen["version"], "description": next.to_string() });
                let answer = update(server, &ada, input).await;
                match answer["userErrors"][0]["code"].as_str() {
                    None => return conflicts,
                    Some("CONFLICT") => conflicts += 1,
                    Some(other) => panic!("{other}: {answer}"),
                }
            }
        });
        let conflicts: i32 = futures_util::future::join_all(writers).await.into_iter().sum();
        let last = server.data(&ada, look, json!({ "id": id })).await;
        assert_eq!(last["task"], json!({ "version": 51, "description": "50" }), "after {conflicts} conflicts");
        assert!(conflicts > 0, "they did meet");
    }

    async fn one_key_fifty_times_at_once_makes_one_task(server) {
        let ada = server.person("Ada").await;
        let input = json!({ "title": "Once", "idempotencyKey": "only-once" });
        let answers = futures_util::future::join_all((0..50).map(|_| create(server, &ada, input.clone()))).await;
        let first = answers[0]["task"]["id"].clone();
        assert!(first.is_string() && answers.iter().all(|answer| answer["task"]["id"] == first), "{answers:?}");
        assert_eq!(server.count::<entity::task::Entity>().await, 1);
    }

    async fn a_client_may_make_the_id_but_not_take_one(server) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let id = "task_01jd3xk5ve7h8t9w2n4m6p8q0r";
        assert_eq!(create(server, &ada, json!({ "id": id, "title": "Mine" })).await["task"]["id"], id);
        for person in [&ada, &eve] {
            let taken = create(server, person, json!({ "id": id, "title": "Also mine" })).await;
            assert_eq!((taken["userErrors"][0]["code"].as_str(), taken["task"].clone()), (Some("TAKEN"), Json::Null));
        }
    }

    async fn pages_run_both_ways_in_every_order(server) {
        let ada = server.person("Ada").await;
        let user: entity::UserId = ada.id.parse().expect("an id");
        for number in 0..23i64 {
            insert_task(server, user, number).await;
        }
        for field in ["CREATED_AT", "UPDATED_AT", "DUE_AT", "PRIORITY", "TITLE"] {
            for direction in ["ASC", "DESC"] {
                let order = json!({ "field": field, "direction": direction });
                let all = ids(&page(server, &ada, json!({ "first": 100, "orderBy": order })).await);
                assert_eq!(all.len(), 23);
                let forwards = walk(server, &ada, &order, true).await;
                let backwards = walk(server, &ada, &order, false).await;
                assert_eq!(forwards, all, "{field} {direction} forwards");
                assert_eq!(backwards, all, "{field} {direction} backwards");
            }
        }
        let first = page(server, &ada, json!({ "first": 5 })).await;
        let forged = |key: &str| format!("[{key},\"{}\"]", "0".repeat(32));
        for (key, field) in [("\"created\",\"x\"", "CREATED_AT"), ("\"title\",5", "TITLE"), ("\"title\",\"\\u0000\"", "TITLE"), ("\"created\",-9000000000000000000", "CREATED_AT"), ("\"priority\",99999999", "PRIORITY")] {
            let cursor = base64_url(&forged(key));
            let refused = server.ask(&ada, PAGE, json!({ "after": cursor, "orderBy": { "field": field } })).await;
            assert_eq!(refused["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{key}: {refused}");
        }
        let wrong_order = json!({ "after": first["pageInfo"]["endCursor"], "orderBy": { "field": "TITLE" } });
        let refused = server.ask(&ada, PAGE, wrong_order).await;
        assert_eq!(refused["errors"][0]["extensions"]["code"], "BAD_REQUEST");
        for wrong in [json!({ "first": 101 }), json!({ "first": -1 }), json!({ "first": 1, "last": 1 }), json!({ "after": "nonsense" })] {
            let refused = server.ask(&ada, PAGE, wrong.clone()).await;
            assert_eq!(refused["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{wrong}");
        }
    }

    async fn pages_by_title_go_on_after_the_longest_titles(server) {
        let ada = server.person("Ada").await;
        // Of 3 and of 4 bytes, escaped in JSON, and longer in lower case than as they are written.
        let signs = ["語", "🦀", "\"", "\\", "Ⱥ", "İ"];
        for sign in signs {
            let made = create(server, &ada, json!({ "title": sign.repeat(200) })).await;
            assert_eq!(made["userErrors"], json!([]), "{sign}");
        }
        for direction in ["ASC", "DESC"] {
            let order = json!({ "field": "TITLE", "direction": direction });
            let whole = page(server, &ada, json!({ "first": 100, "orderBy": order })).await;
            let all = ids(&whole);
            assert_eq!(all.len(), signs.len());
            for (at, edge) in whole["edges"].as_array().expect("edges").iter().enumerate() {
                let after = page(server, &ada, json!({ "first": 100, "after": edge["cursor"], "orderBy": order })).await;
                assert_eq!(ids(&after), all[at + 1..], "{direction} after {at}");
                let before = page(server, &ada, json!({ "last": 100, "before": edge["cursor"], "orderBy": order })).await;
                assert_eq!(ids(&before), all[..at], "{direction} before {at}");
            }
        }
    }

    async fn the_short_way_writes_what_the_executor_writes(server) {
        let ada = server.person("Ada").await;
        let id = create(server, &ada, json!({
            "title": "Quotes \" and \\ and \u{2028} and emoji 🦀", "description": "tab\there\nnew line",
            "link": "https://example.org/?a=1&b=\"2\"", "due": { "at": "2027-03-01T08:00:00.123Z" }, "category": "ünï",
        })).await["task"]["id"].as_str().expect("an id").to_owned();
        create(server, &ada, json!({ "title": "Bare" })).await;
        server.reminder(&ada, &id, TimeDelta::hours(3)).await;
        insert_attachment(server, &ada, &id).await;
        let task = "id title description link dueAt dueOn priority category status completedAt version createdAt updatedAt __typename
            reminders { totalCount edges { cursor node { ...R } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }
            attachments { edges { cursor node { id fileName contentType sizeBytes optimisedSizeBytes status rejection createdAt } } }";
        let fragments = "fragment R on Reminder { id message scheduledAt type status overdue completeOnDelivery completedAt cancelledAt version createdAt updatedAt }";
        let list = |extra: &str| format!("query {{ viewer {{ tasks {{ totalCount edges {{ cursor node {{ {task} ... on Task {{ renamed: title }} {extra} }} }} nodes {{ id }} pageInfo {{ hasNextPage endCursor }} }} }} }} {fragments}");
        // A response key that stands twice has to be merged: the executor does that, the short way does not try.
        let short = server.data(&ada, &list(""), json!({})).await;
        let long = server.data(&ada, &list("id"), json!({})).await;
        assert_eq!(short, long);
        assert_eq!(short.to_string(), long.to_string());
        // Only the columns that are shown are read: each field alone, aliased and in a fragment, is as it is with all.
        let names = |kind: &str| match kind {
            "" => "title description link dueAt dueOn priority category status completedAt version createdAt updatedAt id",
            "reminders" => "message scheduledAt type status overdue completeOnDelivery completedAt cancelledAt version createdAt updatedAt id",
            _ => "fileName contentType sizeBytes optimisedSizeBytes status rejection createdAt id",
        };
        for (kind, of) in [("", "Task"), ("reminders", "Reminder"), ("attachments", "Attachment")] {
            for name in names(kind).split(' ') {
                let wrap = |inner: String| if kind.is_empty() { format!("{{ viewer {{ tasks {{ nodes {{ {inner} }} }} }} }}") } else { format!("{{ viewer {{ tasks {{ nodes {{ {kind} {{ edges {{ node {{ {inner} }} }} }} }} }} }} }}") };
                let plain = server.data(&ada, &wrap(name.to_owned()), json!({})).await;
                let fragment = server.data(&ada, &format!("{} fragment X on {of} {{ {name} }}", wrap("...X".into())), json!({})).await;
                assert_eq!(plain, fragment, "{kind} {name}");
                let aliased = server.data(&ada, &wrap(format!("... on {of} {{ x: {name} }}")), json!({})).await;
                assert_eq!(plain.to_string().replace(&format!("\"{name}\":"), "\"x\":"), aliased.to_string(), "{kind} {name}");
                let all = server.data(&ada, &wrap(names(kind).to_owned()), json!({})).await;
                let here = if kind.is_empty() { "/viewer/tasks/nodes/1" } else { &format!("/viewer/tasks/nodes/1/{kind}/edges/0/node") };
                assert_eq!(plain.pointer(here).expect("a row")[name], all.pointer(here).expect("a row")[name], "{kind} {name}");
                let by_node = server.data(&ada, &format!("query($id: ID!) {{ node(id: $id) {{ ... on {of} {{ {name} }} }} }}"), json!({ "id": all.pointer(here).expect("a row")["id"] })).await;
                assert_eq!(plain.pointer(here), by_node.pointer("/node"), "{kind} {name}: as the whole row tells it");
            }
        }
        let argued = server.data(&ada, "{ viewer { tasks { nodes { reminders(first: 0) { totalCount nodes { id } pageInfo { hasNextPage } } } } } }", json!({})).await;
        assert_eq!(argued["viewer"]["tasks"]["nodes"][1]["reminders"], json!({ "totalCount": 1, "nodes": [], "pageInfo": { "hasNextPage": true } }));
    }
}

const PAGE: &str = "query($first: Int, $after: Cursor, $last: Int, $before: Cursor, $orderBy: TaskOrder) {
    viewer { tasks(first: $first, after: $after, last: $last, before: $before, orderBy: $orderBy) {
        edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }";

/// Base 64 for URLs without padding (RFC 4648 section 5).
fn base64_url(text: &str) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: String = text.bytes().map(|byte| format!("{byte:08b}")).collect();
    let padded = bits.as_bytes().chunks(6).map(|six| format!("{:0<6}", String::from_utf8_lossy(six)));
    padded.map(|six| alphabet[usize::from_str_radix(&six, 2).expect("bits")] as char).collect()
}

async fn page(server: &Server, person: &Person, variables: Json) -> Json {
    server.data(person, PAGE, variables).await["viewer"]["tasks"].take()
}

fn ids(page: &Json) -> Vec<String> {
    let edges = page["edges"].as_array().expect("edges");
    edges.iter().map(|edge| edge["node"]["id"].as_str().expect("an id").to_owned()).collect()
}

/// Every id, page by page.
async fn walk(server: &Server, person: &Person, order: &Json, forwards: bool) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut cursor = Json::Null;
    loop {
        let variables = if forwards {
            json!({ "first": 4, "after": cursor, "orderBy": order })
        } else {
            json!({ "last": 4, "before": cursor, "orderBy": order })
        };
        let page = page(server, person, variables).await;
        let (more, next) = if forwards { ("hasNextPage", "endCursor") } else { ("hasPreviousPage", "startCursor") };
        let mut here = ids(&page);
        if forwards {
            found.append(&mut here);
        } else {
            here.append(&mut found);
            found = here;
        }
        if page["pageInfo"][more] == false {
            return found;
        }
        cursor = page["pageInfo"][next].clone();
    }
}

/// A task with many ties, so that the tie-break is used.
pub(crate) async fn insert_task(server: &Server, user: entity::UserId, number: i64) -> entity::TaskId {
    use entity::task;
    let platform = &server.app.platform;
    let at = server.clock.now() - TimeDelta::minutes(number / 4);
    let id = entity::TaskId::from_uuid(platform.new_uuid());
    let title = format!("Task {}", number % 5);
    let due_at = (number % 3 != 0).then_some(at);
    let row = task::ActiveModel {
        id: Set(id),
        user_id: Set(user),
        title_key: Set(title.to_lowercase()),
        title: Set(title),
        description: Set(None),
        link: Set(None),
        due_at: Set(due_at),
        due_on: Set(None),
        due_key: Set(due_at.unwrap_or(chrono::DateTime::from_timestamp(253_402_300_799, 0).expect("in range"))),
        priority: Set([task::Priority::Low, task::Priority::Medium, task::Priority::High][(number % 3) as usize]),
        category: Set(None),
        status: Set(task::Status::Todo),
        completed_at: Set(None),
        first_completed_at: Set(None),
        version: Set(1),
        created_at: Set(at),
        updated_at: Set(at),
        deleted_at: Set(None),
    };
    platform
        .db
        .write::<_, spacedly::platform::error::Fault, _, _>(move |tx| async move { Ok(row.insert(&*tx).await?) })
        .await
        .expect("inserted");
    id
}

/// An attachment of a task, put in through the entity: what it looks like matters, not how it came.
pub(crate) async fn insert_attachment(server: &Server, person: &Person, task: &str) {
    let platform = &server.app.platform;
    let row = support::files_of::attachment(
        platform.new_uuid(),
        person.id.parse().expect("an id"),
        task.parse().expect("an id"),
        server.clock.now(),
    );
    platform
        .db
        .write::<_, spacedly::platform::error::Fault, _, _>(move |tx| async move { Ok(row.insert(&*tx).await?) })
        .await
        .expect("inserted");
}
