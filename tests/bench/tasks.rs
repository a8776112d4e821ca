//! What a list of tasks costs a person who has very many, against one who has few, while others own ten times as many.
//! Goal: at most twice, for the first page and one in the middle in every order, for the usual filters, and for a search
//! that finds few. What is not promised is shown too.

use std::time::Instant;

use sea_orm::{ConnectionTrait, DatabaseBackend};
use support::{Client, Database, Json, Person, Server, json};

use crate::{median, verdict};

const GOAL: f64 = 2.0;
const FEW: u64 = 100;

pub async fn run(many: u64, rounds: u64) -> bool {
    let mut met = true;
    for database in [Database::Sqlite, Database::Postgres] {
        met &= on(database, many, rounds).await;
    }
    met
}

async fn on(database: Database, many: u64, rounds: u64) -> bool {
    let server =
        Server::start_plain(database, &[("DATABASE_STATEMENT_TIMEOUT", "600s"), ("REQUEST_TIMEOUT", "600s")]).await;
    let (few, lots, others) = (server.person("Few").await, server.person("Lots").await, server.person("Others").await);
    let began = Instant::now();
    for (person, count) in [(&few, FEW), (&lots, many), (&others, many * 10)] {
        fill(&server, person, count).await;
    }
    let took = began.elapsed().as_secs();
    println!(
        "tasks {database:?}: {FEW} against {many} tasks, others {}; filled in {took} s; medians of {rounds}, in turns",
        many * 10
    );
    let mut met = true;
    for case in cases() {
        let (mut small, mut large) = (Vec::new(), Vec::new());
        let variables = [case.variables(&server, &few, FEW).await, case.variables(&server, &lots, many).await];
        for _ in 0..rounds {
            small.push(timed(&server.client, &few, &case, &variables[0]).await);
            large.push(timed(&server.client, &lots, &case, &variables[1]).await);
        }
        let (small, large) = (median(small), median(large));
        let ratio = large / small;
        let judged = if case.promised { verdict(ratio <= GOAL) } else { "not promised" };
        println!("tasks {database:?} {}: {small:.2} ms against {large:.2} ms, ratio {ratio:.2}: {judged}", case.name);
        met &= !case.promised || ratio <= GOAL;
    }
    server.finish().await;
    met
}

struct Case {
    name: String,
    order: (&'static str, &'static str),
    filter: Json,
    search: Json,
    middle: bool,
    field: &'static str,
    promised: bool,
}

impl Case {
    fn list(name: &str, order: (&'static str, &'static str), filter: Json, promised: bool) -> Self {
        Self {
            name: name.into(),
            order,
            filter,
            search: Json::Null,
            middle: false,
            field: "nodes { id title dueAt }",
            promised,
        }
    }

    /// The variables; for a page in the middle with the cursor of its neighbour, which a filter finds.
    async fn variables(&self, server: &Server, person: &Person, count: u64) -> Json {
        let order = json!({ "field": self.order.0, "direction": self.order.1 });
        let mut variables = json!({ "filter": self.filter, "search": self.search, "orderBy": order, "after": null });
        if self.middle {
            let half = server.at(-chrono::TimeDelta::minutes(i64::try_from(count / 2).expect("a count")));
            let near = json!({ "createdAt": { "lte": half } });
            let query = QUERY.replace("FIELD", "pageInfo { endCursor }");
            let found = server.data(person, &query, json!({ "filter": near, "orderBy": order, "after": null })).await;
            variables["after"] = found["viewer"]["tasks"]["pageInfo"]["endCursor"].clone();
        }
        variables
    }
}

const QUERY: &str = "query($filter: TaskFilter, $search: String, $orderBy: TaskOrder, $after: Cursor) { viewer {
    tasks(first: 20, filter: $filter, search: $search, orderBy: $orderBy, after: $after) { FIELD } } }";

fn cases() -> Vec<Case> {
    let newest = ("CREATED_AT", "DESC");
    let mut cases = Vec::new();
    for field in ["CREATED_AT", "UPDATED_AT", "DUE_AT", "PRIORITY", "TITLE"] {
        for (middle, page) in [(false, "first page"), (true, "a page in the middle")] {
            let name = format!("{page} by {field}");
            cases.push(Case { middle, ..Case::list(&name, (field, "ASC"), Json::Null, true) });
        }
    }
    cases.push(Case::list("status", newest, json!({ "status": { "eq": "IN_PROGRESS" } }), true));
    cases.push(Case::list("status by due", ("DUE_AT", "ASC"), json!({ "status": { "eq": "TODO" } }), true));
    cases.push(Case::list("category", newest, json!({ "category": { "eq": "c3" } }), true));
    cases.push(Case::list(
        "due range",
        ("DUE_AT", "ASC"),
        json!({ "dueAt": { "gte": "2027-01-05T00:00:00Z", "lt": "2027-02-01T00:00:00Z" } }),
        true,
    ));
    cases.push(Case { search: json!("needle"), ..Case::list("search that finds 40", newest, Json::Null, true) });
    cases.push(Case { search: json!("task"), ..Case::list("search that finds all", newest, Json::Null, false) });
    cases.push(Case { field: "totalCount", ..Case::list("totalCount", newest, Json::Null, false) });
    cases.push(Case::list("two statuses", newest, json!({ "status": { "in": ["TODO", "IN_PROGRESS"] } }), false));
    cases.push(Case::list("a category that is not there", newest, json!({ "category": { "in": ["x", "y"] } }), false));
    cases
}

async fn timed(client: &Client, person: &Person, case: &Case, variables: &Json) -> f64 {
    let query = QUERY.replace("FIELD", case.field);
    let began = Instant::now();
    let answer = client.graphql(Some(&person.token), &query, variables.clone()).await;
    let took = began.elapsed().as_secs_f64() * 1_000.0;
    assert!(answer["errors"].is_null(), "{answer}");
    took
}

/// So many tasks in the database, a minute apart, with their words; 40 of them have a needle.
async fn fill(server: &Server, person: &Person, count: u64) {
    let user: entity::UserId = person.id.parse().expect("an id");
    let hex = user.uuid().simple().to_string();
    let db = server.app.platform.db.for_migrations();
    let needle = count / 40;
    let statements = match db.get_database_backend() {
        DatabaseBackend::Postgres => vec![
            format!(
                "INSERT INTO tasks (id, user_id, title, title_key, due_at, due_key, priority, category, status, version, created_at, updated_at)
                 SELECT gen_random_uuid(), '{user}', 'task ' || n, 'task ' || n, timestamptz '2027-01-01' + n % 1000 * interval '1 hour',
                   timestamptz '2027-01-01' + n % 1000 * interval '1 hour', 1 + n % 3, 'c' || n % 50,
                   (ARRAY['TODO', 'IN_PROGRESS', 'COMPLETED'])[1 + n % 3], 1, now() - n * interval '1 minute', now() - n * interval '1 minute'
                 FROM generate_series(1, {count}) AS n",
                user = user.uuid()
            ),
            format!(
                "INSERT INTO task_search SELECT id, array_to_tsvector(ARRAY['{hex}' || encode('task', 'hex'), '{hex}' || encode(convert_to(split_part(title, ' ', 2), 'UTF8'), 'hex'),
                   CASE WHEN split_part(title, ' ', 2)::int % {needle} = 0 THEN '{hex}' || encode('needle', 'hex') ELSE '{hex}' || encode('hay', 'hex') END])
                 FROM tasks WHERE user_id = '{user}'",
                user = user.uuid()
            ),
            "ANALYZE".to_owned(),
        ],
        _ => vec![
            format!(
                "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {count})
                 INSERT INTO tasks (id, user_id, title, title_key, due_at, due_key, priority, category, status, version, created_at, updated_at)
                 SELECT randomblob(16), x'{hex}', 'task ' || n, 'task ' || n, strftime('%Y-%m-%d %H:%M:%S+00:00', '2027-01-01', (n % 1000) || ' hours'),
                   strftime('%Y-%m-%d %H:%M:%S+00:00', '2027-01-01', (n % 1000) || ' hours'), 1 + n % 3, 'c' || n % 50,
                   CASE n % 3 WHEN 0 THEN 'TODO' WHEN 1 THEN 'IN_PROGRESS' ELSE 'COMPLETED' END, 1,
                   strftime('%Y-%m-%d %H:%M:%S+00:00', 'now', '-' || n || ' minutes'), strftime('%Y-%m-%d %H:%M:%S+00:00', 'now', '-' || n || ' minutes')
                 FROM number"
            ),
            format!("INSERT INTO task_search_docs (task_id) SELECT id FROM tasks WHERE user_id = x'{hex}'"),
            format!(
                "INSERT INTO task_search (rowid, terms) SELECT d.id, '{hex}' || lower(hex('task')) || ' {hex}' || lower(hex(substr(t.title, 6))) ||
                   CASE WHEN CAST(substr(t.title, 6) AS INTEGER) % {needle} = 0 THEN ' {hex}' || lower(hex('needle')) ELSE ' {hex}' || lower(hex('hay')) END
                 FROM task_search_docs d JOIN tasks t ON t.id = d.task_id WHERE t.user_id = x'{hex}'"
            ),
        ],
    };
    for statement in statements {
        db.execute_unprepared(&statement).await.expect("filled");
    }
}
