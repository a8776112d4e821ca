//! The house rules, as tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use async_graphql::parser::{
    parse_schema,
    types::{TypeKind, TypeSystemDefinition},
};
use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database as Connection, FromQueryResult, Statement};
use spacedly::platform::config::{SETTINGS, reference};
use support::{Json, Server, both, json, limits::raised, postgres, process::root};

/// From left to right: a room may use those on its left.
const ORDER: &[&str] = &[
    "platform",
    "accounts",
    "notifications",
    "tasks",
    "attachments",
    "reminders",
    "analytics",
    "schema",
    "http",
    "app",
    "server",
    "worker",
    "cli",
    "main",
];

#[test]
fn the_schema_file_is_what_the_program_prints() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let printed = runtime.block_on(spacedly::sdl()).expect("printed");
    let kept = fs::read_to_string(root().join("schema.graphql")).expect("schema.graphql");
    assert!(printed == kept, "schema.graphql is not current: cargo run -- schema > schema.graphql");
}

#[test]
fn everything_in_the_schema_is_documented() {
    let sdl = fs::read_to_string(root().join("schema.graphql")).expect("schema.graphql");
    let mut bare = Vec::new();
    for definition in parse_schema(sdl).expect("a schema").definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let name = definition.node.name.node.to_string();
        let mut need = |what: String, documented: bool| {
            if !documented {
                bare.push(what)
            }
        };
        need(name.clone(), definition.node.description.is_some());
        match definition.node.kind {
            TypeKind::Object(object) => {
                for field in object.fields {
                    let path = format!("{name}.{}", field.node.name.node);
                    need(path.clone(), field.node.description.is_some());
                    for argument in field.node.arguments {
                        // The one argument of a mutation is described by its type.
                        let argument_name = argument.node.name.node.to_string();
                        need(
                            format!("{path}({argument_name})"),
                            argument.node.description.is_some() || argument_name == "input",
                        );
                    }
                    let nullable = field.node.ty.node.nullable;
                    let text = field.node.description.map(|d| d.node.to_lowercase()).unwrap_or_default();
                    need(format!("{path}: what null means"), !nullable || text.contains("null"));
                }
            }
            TypeKind::InputObject(object) => {
                for field in object.fields {
                    need(format!("{name}.{}", field.node.name.node), field.node.description.is_some());
                }
            }
            TypeKind::Enum(values) => {
                for value in values.values {
                    need(format!("{name}.{}", value.node.value.node), value.node.description.is_some());
                }
            }
            TypeKind::Interface(_) | TypeKind::Union(_) | TypeKind::Scalar => {}
        }
    }
    assert!(bare.is_empty(), "undocumented: {bare:#?}");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The rooms that a line names as `crate::room` or, in a nested `use crate::{…}`, by its lines.
fn imports_of(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut depth: Option<i32> = None;
    for (number, line) in source.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let mut rest = code;
        while let Some(at) = rest.find("crate::") {
            rest = &rest[at + 7..];
            let room: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if room.is_empty() && rest.starts_with('{') {
                depth = Some(0);
            } else {
                found.push((number + 1, room));
            }
        }
        if let Some(level) = depth {
            let trimmed = code.trim();
            if level == 1 {
                let room: String = trimmed.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                found.push((number + 1, room));
            }
            let level = level + code.matches('{').count() as i32 - code.matches('}').count() as i32;
            depth = (level > 0).then_some(level);
        }
    }
    found
}

#[test]
fn imports_point_one_way() {
    let src = root().join("api/src");
    let place = |room: &str| ORDER.iter().position(|known| *known == room);
    let mut wrong = Vec::new();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in sources(&src) {
        let inside = path.strip_prefix(&src).expect("inside");
        let room = inside.iter().next().expect("a name").to_string_lossy().trim_end_matches(".rs").to_owned();
        if room == "lib" {
            continue;
        }
        let here = place(&room).unwrap_or_else(|| panic!("{room} has no place in the order: add it to ORDER"));
        for (line, used) in imports_of(&fs::read_to_string(&path).expect("a source")) {
            if let Some(there) = place(&used) {
                edges.entry(room.clone()).or_default().insert(used.clone());
                if there > here {
                    wrong.push(format!("{}:{line}: {room} uses {used}", inside.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "imports that point the wrong way: {wrong:#?}");
    assert!(edges["reminders"].contains("tasks"), "the check sees imports: {edges:?}");
}

#[test]
fn files_say_what_they_promise_and_stay_small() {
    let mut wrong = Vec::new();
    for crate_folder in ["api/src", "entity/src", "media/src", "migration/src", "tests"] {
        for path in sources(&root().join(crate_folder)) {
            let source = fs::read_to_string(&path).expect("a source");
            if path.components().any(|part| part.as_os_str() == "node_modules") {
                continue;
            }
            if !source.starts_with("//!") {
                wrong.push(format!("{} does not open with //!", path.display()));
            }
            if crate_folder != "tests" && source.lines().count() > 500 {
                wrong.push(format!("{} has {} lines", path.display(), source.lines().count()));
            }
            if crate_folder != "tests" && (source.contains("#[allow(") || source.contains("todo!(")) {
                wrong.push(format!("{} allows or leaves something to do", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_public_item_is_documented() {
    let mut bare = Vec::new();
    for crate_folder in ["api/src", "entity/src", "media/src"] {
        for path in sources(&root().join(crate_folder)) {
            let source = fs::read_to_string(&path).expect("a source");
            let lines: Vec<&str> = source.lines().collect();
            for (number, line) in lines.iter().enumerate() {
                let code = line.trim_start();
                let kinds =
                    ["pub fn ", "pub async fn ", "pub struct ", "pub enum ", "pub trait ", "pub type ", "pub const "];
                if !kinds.iter().any(|kind| code.starts_with(kind))
                    || code.starts_with("pub enum Relation")
                    || code.starts_with("pub struct Model")
                    || code.contains("struct $")
                {
                    continue;
                }
                let above = lines[..number]
                    .iter()
                    .rev()
                    .map(|line| line.trim())
                    .find(|line| !line.starts_with("#[") && !line.ends_with(")]"));
                if !above.is_some_and(|line| line.starts_with("///") || line.starts_with("$(#[")) {
                    bare.push(format!("{}:{}: {code}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(bare.is_empty(), "{bare:#?}");
}

#[test]
fn the_example_of_all_settings_is_what_the_program_prints() {
    let kept = fs::read_to_string(root().join(".env.example")).expect(".env.example");
    assert!(reference() == kept, ".env.example is not current: cargo run -- settings > .env.example");
    let missing: Vec<_> = SETTINGS.iter().filter(|it| !kept.contains(&format!("\n#{}=", it.name))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_a_benchmark_raises_is_told_and_nothing_else() {
    let settings = [
        ("COST_BUDGET", "1000000000"),
        ("REQUEST_TIMEOUT", "10m"),
        ("COST_WINDOW", "60s"),
        ("PASSWORD_PASSES", "1"),
        ("PORT", "9000"),
        ("LOG", "off"),
        ("DATA_DIR", "/tmp/10"),
        ("REGISTER_LIMIT", "100000"),
        // The last one counts.
        ("REGISTER_LIMIT", "1"),
    ];
    assert_eq!(raised(settings), ["COST_BUDGET=1000000000", "REQUEST_TIMEOUT=10m"]);
}

#[derive(FromQueryResult)]
struct Text {
    text: String,
}

/// The tables and indexes as the database itself describes them.
async fn tables(db: &sea_orm::DatabaseConnection) -> Vec<String> {
    let backend = db.get_database_backend();
    let sql = match backend {
        sea_orm::DatabaseBackend::Postgres => {
            "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') || ' ' || coalesce(collation_name, '') AS text
             FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'seaql_migrations'
             UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'seaql_migrations'
             UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'seaql_migrations'"
        }
        _ => "SELECT sql AS text FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'seaql%'",
    };
    let mut found: Vec<String> = Text::find_by_statement(Statement::from_string(backend, sql))
        .all(db)
        .await
        .expect("described")
        .into_iter()
        .map(|row| row.text)
        .collect();
    found.sort();
    found
}

async fn up_down_up(url: String) {
    let db = Connection::connect(url).await.expect("connected");
    Migrator::up(&db, None).await.expect("up");
    let first = tables(&db).await;
    assert!(first.len() > 20, "{first:#?}");
    let steps = Migrator::migrations().len() as u32;
    for _ in 0..steps {
        Migrator::down(&db, Some(1)).await.expect("down, one at a time");
    }
    assert_eq!(tables(&db).await, Vec::<String>::new(), "down leaves nothing");
    Migrator::up(&db, None).await.expect("up again");
    assert_eq!(tables(&db).await, first, "up again makes the same");
}

#[tokio::test]
async fn migrations_go_up_down_and_up_on_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    up_down_up(format!("sqlite://{}/db?mode=rwc", folder.path().display())).await;
}

#[tokio::test]
async fn migrations_go_up_down_and_up_on_postgres() {
    up_down_up(postgres::cluster().empty_database().await).await;
}

const DASHBOARD: &str = "query Dashboard { viewer { unreadNotificationCount tasks(first: 50) { edges { node {
    id title status priority dueAt attachments { nodes { id fileName sizeBytes } } reminders { nodes { id scheduledAt status } } } }
    pageInfo { hasNextPage endCursor } } } }";

#[tokio::test]
async fn the_edges_of_a_page_are_found_by_their_index_on_sqlite() {
    let server = Server::start(support::Database::Sqlite, &[]).await;
    let ada = server.person("Ada").await;
    server.task(&ada, "Write the report").await;
    let statements = statements_of(&server, &ada, DASHBOARD).await;
    let db = server.app.platform.db.read();
    for table in ["reminders", "attachments"] {
        let from = format!("FROM \"{table}\"");
        let sql = statements.iter().find(|sql| sql.contains(&from)).expect("fetched");
        let plan =
            db.query_all_raw(Statement::from_string(db.get_database_backend(), format!("EXPLAIN QUERY PLAN {sql}")));
        let plan: Vec<String> =
            plan.await.expect("planned").iter().map(|row| row.try_get("", "detail").expect("text")).collect();
        let wanted = format!("{table}_user_task_idx (user_id=? AND task_id=?)");
        assert!(plan.len() == 1 && plan[0].contains(&wanted), "not by everything the person has: {plan:?}");
    }
    server.finish().await;
}

async fn statements_of(server: &Server, person: &support::Person, query: &str) -> Vec<String> {
    server.data(person, query, json!({})).await;
    server.jobs_are_done().await;
    server.forget_statements();
    server.data(person, query, json!({})).await;
    server.statements()
}

both! {
    /// A session is looked at again every now and then, which is no part of what is counted here.
    async fn the_dashboard_costs_four_statements_for_one_task_and_for_fifty(server, "SESSION_CACHE" = "10m") {
        let ada = server.person("Ada").await;
        let user = ada.id.parse().expect("an id");
        let fill = async |count: i64| for number in 0..count {
            let id = crate::tasks::insert_task(server, user, number).await.to_string();
            crate::tasks::insert_attachment(server, &ada, &id).await;
            server.reminder(&ada, &id, chrono::TimeDelta::days(1)).await;
        };
        fill(1).await;
        let one = statements_of(server, &ada, DASHBOARD).await;
        fill(49).await;
        let fifty = statements_of(server, &ada, DASHBOARD).await;
        assert_eq!(one.len(), 4, "count, tasks, reminders, attachments: {one:#?}");
        assert_eq!(fifty.len(), 4, "{fifty:#?}");
        let long_way = "{ viewer { tasks(first: 50) { nodes { id id reminders { nodes { id task { title } deliveries { state } } } } } } }";
        assert_eq!(statements_of(server, &ada, long_way).await.len(), 4, "tasks, reminders, their tasks, deliveries: loaders batch");
    }

    async fn every_root_field_is_tried_by_nobody(server) {
        let sdl = fs::read_to_string(root().join("schema.graphql")).expect("schema.graphql");
        // Who is not logged in may look for a way in, and log out.
        let open = [
            "viewer", "pushPublicKey", "rateLimit", "accountRegister", "accountRegisterResend", "accountVerifyEmail", "sessionCreate", "sessionChallengeComplete",
            "challengeResend", "passwordForgot", "passwordReset", "emailChangeUndo", "sessionEnd",
        ];
        let mut tried = 0;
        for definition in parse_schema(sdl).expect("a schema").definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let (root, TypeKind::Object(object)) = (definition.node.name.node.to_string(), &definition.node.kind) else { continue };
            if !["Query", "Mutation", "Subscription"].contains(&root.as_str()) {
                continue;
            }
            for field in &object.fields {
                let name = field.node.name.node.as_str();
                if open.contains(&name) {
                    continue;
                }
                let query = attempt(&root, name);
                let answer = if root == "Subscription" {
                    let mut socket = server.socket(None).await;
                    socket.subscribe("1", &query, json!({})).await;
                    socket.next().await["payload"].take()
                } else {
                    server.ask_as_nobody(&query, json!({})).await
                };
                let answer = if answer.is_array() { json!({ "errors": answer }) } else { answer };
                assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{query}: {answer}");
                tried += 1;
            }
        }
        assert!(tried >= 25, "{tried}");
        assert_eq!(server.ask_as_nobody("{ viewer { id } }", json!({})).await["data"]["viewer"], Json::Null);
    }

    async fn a_stranger_sees_and_changes_nothing(server) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let task = server.task(&ada, "Ada's secret").await;
        let reminder = server.reminder(&ada, &task, chrono::TimeDelta::days(1)).await;
        server.data(&ada, "mutation($id: ID!) { taskComplete(input: { id: $id }) { task { id } } }", json!({ "id": task })).await;
        let mine = server.data(&ada, "{ viewer { notifications { nodes { id } } } }", json!({})).await;
        let notification = mine["viewer"]["notifications"]["nodes"][0]["id"].as_str().expect("one").to_owned();
        let look = "query($task: ID!, $reminder: ID!, $ids: [ID!]!) { task(id: $task) { id } reminder(id: $reminder) { id } node(id: $task) { id } nodes(ids: $ids) { id }
            viewer { unreadNotificationCount tasks { nodes { id } } notifications { nodes { id } } } }";
        let seen = server.data(&eve, look, json!({ "task": task, "reminder": reminder, "ids": [task, reminder, notification, ada.id] })).await;
        assert_eq!(seen, json!({ "task": null, "reminder": null, "node": null, "nodes": [null, null, null, null],
            "viewer": { "unreadNotificationCount": 0, "tasks": { "nodes": [] }, "notifications": { "nodes": [] } } }));
        let sessions = server.data(&ada, "{ viewer { sessions { id } } }", json!({})).await;
        let session = sessions["viewer"]["sessions"][0]["id"].as_str().expect("one").to_owned();
        for (name, id, input) in [
            ("taskUpdate", &task, "title: \"Mine now\""), ("taskComplete", &task, ""), ("taskReopen", &task, ""), ("taskDelete", &task, ""), ("taskDelete", &task, "permanently: true"), ("taskRestore", &task, ""),
            ("notificationMarkRead", &notification, ""), ("notificationDelete", &notification, ""), ("sessionRevoke", &session, ""),
            ("reminderUpdate", &reminder, "message: \"Mine now\""), ("reminderComplete", &reminder, ""), ("reminderReopen", &reminder, ""),
            ("reminderSnooze", &reminder, "for: { minutes: 5 }"), ("reminderDelete", &reminder, ""), ("deliveryRetry", &reminder, ""),
        ] {
            let query = |id: &str| format!("mutation {{ {name}(input: {{ id: \"{id}\" {input} }}) {{ userErrors {{ code }} }} }}");
            let refused = server.ask(&eve, &query(id), json!({})).await;
            let prefix = id.split('_').next().expect("a kind");
            let absent = server.ask(&eve, &query(&format!("{prefix}_01jd3xk5ve7h8t9w2n4m6p8q0r")), json!({})).await;
            assert_eq!(refused["errors"][0]["extensions"]["code"], "NOT_FOUND", "{name}: {refused}");
            assert_eq!(refused.to_string(), absent.to_string(), "{name}: told like an absent one");
        }
        let kept = server.data(&ada, "query($id: ID!) { task(id: $id) { title status } viewer { unreadNotificationCount } }", json!({ "id": task })).await;
        assert_eq!(kept, json!({ "task": { "title": "Ada's secret", "status": "COMPLETED" }, "viewer": { "unreadNotificationCount": 1 } }));
    }
}

/// A well-formed use of a root field.
fn attempt(root: &str, name: &str) -> String {
    let task = "task_01jd3xk5ve7h8t9w2n4m6p8q0r";
    match (root, name) {
        ("Query", "nodes") => format!("{{ nodes(ids: [\"{task}\"]) {{ id }} }}"),
        ("Query", "reminder") => "{ reminder(id: \"reminder_01jd3xk5ve7h8t9w2n4m6p8q0r\") { id } }".into(),
        ("Query", name) => format!("{{ {name}(id: \"{task}\") {{ id }} }}"),
        ("Mutation", "taskCreate") => "mutation { taskCreate(input: { title: \"Mine\" }) { userErrors { code } } }".into(),
        ("Mutation", "reminderCreate") => "mutation { reminderCreate(input: { message: \"x\", scheduledAt: \"2030-01-01T00:00:00Z\" }) { userErrors { code } } }".into(),
        ("Mutation", "reminderUpdate" | "reminderComplete" | "reminderReopen" | "reminderDelete" | "deliveryRetry") => {
            format!("mutation {{ {name}(input: {{ id: \"reminder_01jd3xk5ve7h8t9w2n4m6p8q0r\" }}) {{ userErrors {{ code }} }} }}")
        }
        ("Mutation", "reminderSnooze") => {
            "mutation { reminderSnooze(input: { id: \"reminder_01jd3xk5ve7h8t9w2n4m6p8q0r\", for: { minutes: 5 } }) { userErrors { code } } }".into()
        }
        ("Mutation", "notificationPreferencesUpdate") => format!("mutation {{ {name}(input: {{ preferences: [] }}) {{ userErrors {{ code }} }} }}"),
        ("Mutation", "notificationDelete") => "mutation { notificationDelete(input: { id: \"notification_01jd3xk5ve7h8t9w2n4m6p8q0r\" }) { userErrors { code } } }".into(),
        ("Mutation", "notificationMarkAllRead" | "notificationClear") => format!("mutation {{ {name} {{ userErrors {{ code }} }} }}"),
        ("Mutation", "notificationMarkRead") => "mutation { notificationMarkRead(input: { id: \"notification_01jd3xk5ve7h8t9w2n4m6p8q0r\" }) { userErrors { code } } }".into(),
        ("Mutation", "attachmentDelete" | "attachmentUploadComplete") => {
            format!("mutation {{ {name}(input: {{ id: \"attachment_01jd3xk5ve7h8t9w2n4m6p8q0r\" }}) {{ userErrors {{ code }} }} }}")
        }
        ("Mutation", "attachmentUploadsCreate") => format!("mutation {{ {name}(input: {{ taskId: \"{task}\", files: [] }}) {{ userErrors {{ code }} }} }}"),
        ("Mutation", "avatarUploadCreate") => format!(
            "mutation {{ {name}(input: {{ file: {{ fileName: \"a.png\", contentType: \"image/png\", sizeBytes: 1, sha256: \"\" }} }}) {{ userErrors {{ code }} }} }}"
        ),
        ("Mutation", "attachmentsCreate") => format!("mutation {{ {name}(input: {{ taskId: \"{task}\", files: [\"#upload:0\"] }}) {{ userErrors {{ code }} }} }}"),
        ("Mutation", "avatarCreate") => format!("mutation {{ {name}(input: {{ file: \"#upload:0\" }}) {{ userErrors {{ code }} }} }}"),
        ("Mutation", "avatarDelete") => format!("mutation {{ {name} {{ userErrors {{ code }} }} }}"),
        ("Mutation", "pushSubscriptionCreate") => "mutation { pushSubscriptionCreate(input: { endpoint: \"https://push.example.net\", p256dh: \"x\", auth: \"x\" }) { userErrors { code } } }".into(),
        ("Mutation", "pushSubscriptionDelete") => "mutation { pushSubscriptionDelete(input: { id: \"pushsubscription_01jd3xk5ve7h8t9w2n4m6p8q0r\" }) { userErrors { code } } }".into(),
        ("Mutation", "pushTest") => "mutation { pushTest { userErrors { code } } }".into(),
        ("Mutation", "sessionRevoke") => "mutation { sessionRevoke(input: { id: \"session_01jd3xk5ve7h8t9w2n4m6p8q0r\" }) { userErrors { code } } }".into(),
        ("Mutation", "sessionRefresh") => "mutation { sessionRefresh(input: {}) { userErrors { code } } }".into(),
        ("Mutation", "sessionReauthenticate") => "mutation { sessionReauthenticate(input: { password: \"x\" }) { userErrors { code } } }".into(),
        ("Mutation", "profileUpdate") => "mutation { profileUpdate(input: { bio: \"x\" }) { userErrors { code } } }".into(),
        ("Mutation", "secondFactorStart") => "mutation { secondFactorStart(input: { method: TOTP }) { userErrors { code } } }".into(),
        ("Mutation", "secondFactorConfirm" | "emailChangeConfirm") => {
            format!("mutation {{ {name}(input: {{ challengeId: \"challenge_01jd3xk5ve7h8t9w2n4m6p8q0r\", code: \"1\" }}) {{ userErrors {{ code }} }} }}")
        }
        ("Mutation", "passwordChange") => "mutation { passwordChange(input: { newPassword: \"x\" }) { userErrors { code } } }".into(),
        ("Mutation", "emailChangeStart") => "mutation { emailChangeStart(input: { email: \"x@example.org\" }) { userErrors { code } } }".into(),
        ("Mutation", "identityStart") => "mutation { identityStart(input: { purpose: LINK }) { userErrors { code } } }".into(),
        ("Mutation", "identityUnlink") => "mutation { identityUnlink(input: { id: \"identity_01jd3xk5ve7h8t9w2n4m6p8q0r\" }) { userErrors { code } } }".into(),
        ("Mutation", "taskBulkComplete" | "taskBulkMove" | "taskBulkDelete") => {
            format!("mutation {{ {name}(input: {{ ids: [\"{task}\"] }}) {{ userErrors {{ code }} }} }}")
        }
        ("Mutation", "sessionRevokeOthers" | "secondFactorDisable" | "recoveryCodesRenew" | "accountDelete") => {
            format!("mutation {{ {name} {{ userErrors {{ code }} }} }}")
        }
        ("Mutation", name) => format!("mutation {{ {name}(input: {{ id: \"{task}\" }}) {{ userErrors {{ code }} }} }}"),
        (_, name) => format!("subscription {{ {name} {{ cursor }} }}"),
    }
}
