//! `spacedly seed`: what it makes is seen by the front door, and everything that holds of real people holds of it.

use std::{collections::BTreeMap, path::Path, process::Command};

use entity::{UserId, completion, completion_day, delivery, job, message};
use sea_orm::{ActiveEnum, ColumnTrait, Database as Connection, EntityTrait, PaginatorTrait, QueryFilter};
use support::{
    Client, Database, Json, json, postgres,
    process::{Process, binary},
    until,
};

const PASSWORD: &str = "lovely weather for reminders";

type Settings = Vec<(&'static str, String)>;

/// Settings, and the address of the database they lead to.
async fn settings(folder: &Path, database: Database) -> (Settings, String) {
    let mut settings: Settings = vec![
        ("DATA_DIR", folder.display().to_string()),
        ("PASSWORD_MEMORY_KIB", "64".into()),
        ("PASSWORD_PASSES", "1".into()),
    ];
    let url = match database {
        Database::Sqlite => format!("sqlite://{}/spacedly.db?mode=ro", folder.display()),
        Database::Postgres => {
            let url = postgres::cluster().empty_database().await;
            settings.push(("DATABASE_URL", url.clone()));
            url
        }
    };
    (settings, url)
}

/// Runs it, and gives back what it prints.
fn seed(settings: &Settings, arguments: &[&str]) -> String {
    let mut command = Command::new(binary());
    command.env_clear().envs(settings.clone()).arg("seed").args(arguments);
    let made = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&made.stdout).into_owned();
    assert!(made.status.success(), "{said}{}", String::from_utf8_lossy(&made.stderr));
    said
}

async fn log_in(client: &Client, email: &str) -> String {
    let answer = client.log_in_answer(email, PASSWORD).await;
    support::text(&answer, "/data/sessionCreate/tokens/accessToken")
}

async fn data(client: &Client, token: &str, query: &str) -> Json {
    let mut answer = client.graphql(Some(token), query, json!({})).await;
    assert!(answer.get("errors").is_none(), "{query}: {answer}");
    answer["data"].take()
}

const OVERVIEW: &str = "{ viewer { name unreadNotificationCount
    all: tasks(first: 1) { totalCount nodes { id } }
    found: tasks(search: \"the\", first: 1) { totalCount }
    notifications(first: 100) { totalCount nodes { type } }
    unread: notifications(first: 100, filter: { unread: true }) { totalCount nodes { id } }
    analytics { streak { active longest } daily { completed }
      totals { tasks remindersCompleted remindersUpcoming tasksByStatus { todo inProgress completed } } } } }";

async fn made_people_are_as_real_ones(database: Database) {
    let folder = tempfile::tempdir().expect("a folder");
    let (settings, url) = settings(folder.path(), database).await;
    let said = seed(&settings, &[]);
    assert!(said.contains("ada@example.org: 40 tasks") && said.contains(PASSWORD), "{said}");
    let again = seed(&settings, &["--users", "2", "--tasks", "3", "--seed", "9"]);
    assert!(again.contains("grace@example.org: 3 tasks") && again.contains("alan@example.org: 3 tasks"), "{again}");

    let server = Process::start(&settings);
    let client = Client::new(&server.address);
    let token = log_in(&client, "ada@example.org").await;
    let viewer = &data(&client, &token, OVERVIEW).await["viewer"];
    let number =
        |pointer: &str| viewer.pointer(pointer).and_then(Json::as_i64).unwrap_or_else(|| panic!("{pointer}: {viewer}"));
    assert_eq!((number("/all/totalCount"), number("/analytics/totals/tasks")), (40, 40));
    assert!(number("/found/totalCount") >= 10, "the search finds them: {viewer}");
    assert!(number("/analytics/streak/active") >= 5 && number("/analytics/streak/longest") >= 5, "{viewer}");
    assert!(number("/analytics/totals/remindersCompleted") >= 20, "{viewer}");
    assert!(number("/analytics/totals/tasksByStatus/completed") >= 10, "{viewer}");
    assert!(number("/analytics/totals/tasksByStatus/todo") >= 5, "{viewer}");
    let unread = number("/unreadNotificationCount");
    assert_eq!(unread, number("/unread/totalCount"), "the badge is what the list has");
    assert!(unread > 0 && unread < number("/notifications/totalCount"), "some are read, some are not: {viewer}");
    let first = viewer["unread"]["nodes"][0]["id"].as_str().expect("one");
    let read = format!("mutation {{ notificationMarkRead(input: {{ id: \"{first}\" }}) {{ userErrors {{ code }} }} }}");
    data(&client, &token, &read).await;
    let after = data(&client, &token, "{ viewer { unreadNotificationCount } }").await;
    assert_eq!(after["viewer"]["unreadNotificationCount"], unread - 1, "and does not drift");
    log_in(&client, "grace@example.org").await;

    nothing_is_left_over(&url).await;
    let mails = client.get("/dev/mailbox").await.json();
    assert_eq!(mails, json!([]), "nothing is mailed, not by the server that was started either");
    assert!(server.terminate());
}

/// No job is due or dead, the ledger is closed for what is over, and the sums by day are those of the log.
async fn nothing_is_left_over(url: &str) {
    let db = Connection::connect(url).await.expect("connected");
    until("no job to be due", || async {
        let due = job::Entity::find().filter(job::Column::AvailableAt.lte(chrono::Utc::now()));
        (due.count(&db).await.expect("counted") == 0).then_some(())
    })
    .await;
    let dead = job::Entity::find().filter(job::Column::State.eq(job::State::Dead)).count(&db).await;
    assert_eq!(dead.expect("counted"), 0);
    assert_eq!(message::Entity::find().count(&db).await.expect("counted"), 0, "no message waits to go out");
    let open = delivery::Entity::find()
        .filter(delivery::Column::State.eq(delivery::State::Pending))
        .filter(delivery::Column::DueAt.lte(chrono::Utc::now()));
    assert_eq!(open.count(&db).await.expect("counted"), 0, "no delivery of the past is open");
    let mut sums = BTreeMap::<(UserId, String, _), i32>::new();
    for entry in completion::Entity::find().all(&db).await.expect("read") {
        *sums.entry((entry.user_id, entry.subject.to_value(), entry.local_on)).or_default() += i32::from(entry.delta);
    }
    for day in completion_day::Entity::find().all(&db).await.expect("read") {
        assert_eq!(sums.remove(&(day.user_id, day.subject.to_value(), day.local_on)), Some(day.count), "{day:?}");
    }
    assert!(sums.is_empty(), "{sums:?}");
    db.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_people_are_as_real_ones_on_sqlite() {
    made_people_are_as_real_ones(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_people_are_as_real_ones_on_postgres() {
    made_people_are_as_real_ones(Database::Postgres).await;
}

const TITLES: &str = "{ viewer { tasks(first: 100, orderBy: { field: TITLE, direction: ASC }) { nodes {
    title description category priority status } } } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_seed_makes_the_same_life_on_both_databases_and_another_seed_another_one() {
    let mut lives = Vec::new();
    for (database, number) in [(Database::Sqlite, "7"), (Database::Postgres, "7"), (Database::Sqlite, "8")] {
        let folder = tempfile::tempdir().expect("a folder");
        let (settings, _) = settings(folder.path(), database).await;
        seed(&settings, &["--seed", number, "--tasks", "30"]);
        let server = Process::start(&settings);
        let client = Client::new(&server.address);
        let token = log_in(&client, "ada@example.org").await;
        let found = data(&client, &token, TITLES).await;
        // Equal titles are in the order of their ids, which are random.
        let mut life: Vec<String> =
            found["viewer"]["tasks"]["nodes"].as_array().expect("tasks").iter().map(Json::to_string).collect();
        life.sort();
        assert_eq!(life.len(), 30);
        lives.push(life);
    }
    assert_eq!(lives[0], lives[1]);
    assert_ne!(lives[0], lives[2]);
}
