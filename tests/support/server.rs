//! The real system in this process, on a port of its own.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
};

use chrono::TimeDelta;
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value as Json, json};
use spacedly::{
    app::{App, Handed},
    platform::{
        clock::{Clock, Instant},
        config::Config,
        db::StatementObserver,
        mail::CaughtMail,
    },
    server, worker,
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{Client, Person, text},
    postgres,
    socket::Socket,
    until,
};

/// Which database a case runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// How long a look at the jobs may take, about.
const A_MOMENT: TimeDelta = TimeDelta::milliseconds(500);

/// A running server.
pub struct Server {
    pub app: Arc<App>,
    pub client: Client,
    pub clock: Clock,
    pub port: u16,
    pub database: Database,
    statements: Arc<Mutex<Vec<String>>>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    may_leave_dead_jobs: Mutex<bool>,
    _folder: tempfile::TempDir,
}

/// Runs a case against a server of its own.
pub fn run(
    database: Database,
    settings: &[(&'static str, &str)],
    case: impl for<'s> FnOnce(&'s Server) -> Pin<Box<dyn Future<Output = ()> + 's>>,
) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let server = Server::start(database, settings).await;
        case(&server).await;
        server.finish().await;
    });
}

impl Server {
    /// Starts one with the given settings on top of those that make tests quick, and counts its statements.
    pub async fn start(database: Database, settings: &[(&'static str, &str)]) -> Self {
        Self::start_with(database, settings, true).await
    }

    /// The same without counting statements, for benchmarks.
    pub async fn start_plain(database: Database, settings: &[(&'static str, &str)]) -> Self {
        Self::start_with(database, settings, false).await
    }

    async fn start_with(database: Database, settings: &[(&'static str, &str)], counts: bool) -> Self {
        if counts {
            crate::logs::capture();
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut pairs = vec![
            ("PORT", "0".to_owned()),
            ("DATA_DIR", folder.path().display().to_string()),
            ("PASSWORD_MEMORY_KIB", "64".to_owned()),
            ("PASSWORD_PASSES", "1".to_owned()),
            // Everybody comes from one address here; the cases about limits set their own.
            ("LOGIN_FAILURES", "100000".to_owned()),
            ("REGISTER_LIMIT", "100000".to_owned()),
            ("CODE_FAILURES", "100000".to_owned()),
            ("FORGOT_LIMIT", "100000".to_owned()),
            ("CHALLENGE_LIMIT", "100000".to_owned()),
            ("OIDC_LIMIT", "100000".to_owned()),
            ("COST_BUDGET", "1000000000".to_owned()),
            ("COST_BUDGET_ANONYMOUS", "1000000000".to_owned()),
        ];
        if database == Database::Postgres {
            pairs.push(("DATABASE_URL", postgres::cluster().database().await));
        }
        for (name, value) in settings {
            pairs.retain(|(known, _)| known != name);
            pairs.push((name, (*value).to_owned()));
        }
        crate::limits::note(pairs.iter().map(|(name, value)| (*name, value.as_str())));
        let config = Config::from_pairs(pairs).expect("the settings are fine");
        let statements: Arc<Mutex<Vec<String>>> = Arc::default();
        let clock = Clock::default();
        let seen = statements.clone();
        let observer: StatementObserver =
            Arc::new(move |sql: &str| seen.lock().expect("not poisoned").push(sql.to_owned()));
        let listener = server::bind(&config).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let handed = Handed { clock: clock.clone(), observer: counts.then_some(observer) };
        let app = Arc::new(App::build(config, handed).await.expect("the app is built"));
        if database == Database::Sqlite {
            app.migrate().await.expect("the migrations apply");
        }
        let stop = CancellationToken::new();
        let (served, worked) = (app.clone(), app.clone());
        let (stop_server, stop_worker) = (stop.clone(), stop.clone());
        let running = tokio::spawn(async move {
            let (served, ()) =
                tokio::join!(server::serve(served, listener, stop_server), worker::run(worked, stop_worker));
            served.expect("the server ends well");
        });
        let client = Client::new(format!("http://127.0.0.1:{port}"));
        let may_leave_dead_jobs = Mutex::new(false);
        Self { app, client, clock, port, database, statements, stop, running, may_leave_dead_jobs, _folder: folder }
    }

    /// Stops it, and fails when a job was put aside that no case expected.
    pub async fn finish(self) {
        let dead = entity::job::Entity::find()
            .filter(entity::job::Column::State.eq(entity::job::State::Dead))
            .all(self.app.platform.db.read())
            .await
            .expect("jobs can be read");
        let expected = *self.may_leave_dead_jobs.lock().expect("not poisoned");
        assert!(expected || dead.is_empty(), "jobs were put aside: {dead:?}");
        self.stop.cancel();
        self.running.await.expect("the server stops");
    }

    /// Says that this case puts jobs aside on purpose.
    pub fn expect_dead_jobs(&self) {
        *self.may_leave_dead_jobs.lock().expect("not poisoned") = true;
    }

    /// Moves the clock on.
    pub fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    /// Waits until this moment has come.
    pub async fn clock_sleep_until(&self, at: Instant) {
        self.clock.sleep((at - self.clock.now()).to_std().unwrap_or_default()).await;
    }

    /// An instant from now, as the API takes it.
    pub fn at(&self, from_now: TimeDelta) -> String {
        (self.clock.now() + from_now).to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
    }

    /// Sends a GraphQL request as somebody.
    pub async fn ask(&self, person: &Person, query: &str, variables: Json) -> Json {
        self.client.graphql(Some(&person.token), query, variables).await
    }

    /// Sends one that must be answered without errors, and gives back its data.
    pub async fn data(&self, person: &Person, query: &str, variables: Json) -> Json {
        let mut answer = self.ask(person, query, variables).await;
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].take()
    }

    /// Sends one as nobody.
    pub async fn ask_as_nobody(&self, query: &str, variables: Json) -> Json {
        self.client.graphql(None, query, variables).await
    }

    /// Somebody who registered by the front door.
    pub async fn person(&self, name: &str) -> Person {
        self.client.register(name).await
    }

    /// A task of somebody, and its id.
    pub async fn task(&self, person: &Person, title: &str) -> String {
        let create = "mutation($input: TaskCreateInput!) {
            taskCreate(input: $input) { task { id } userErrors { code message path } } }";
        let answer = self.ask(person, create, json!({ "input": { "title": title } })).await;
        text(&answer, "/data/taskCreate/task/id")
    }

    /// A reminder of a task so far from now, and its id.
    pub async fn reminder(&self, person: &Person, task: &str, from_now: TimeDelta) -> String {
        let create = "mutation($input: ReminderCreateInput!) {
            reminderCreate(input: $input) { reminder { id } userErrors { code message path } } }";
        let input = json!({ "taskId": task, "scheduledAt": self.at(from_now) });
        let answer = self.ask(person, create, json!({ "input": input })).await;
        text(&answer, "/data/reminderCreate/reminder/id")
    }

    /// Waits for a mail to somebody.
    pub async fn mail_to(&self, email: &str, subject: &str) -> CaughtMail {
        until(&format!("a mail {subject:?}"), || async {
            self.mails(email).await.into_iter().find(|mail| mail.subject == subject)
        })
        .await
    }

    /// The mails to somebody, the newest first.
    pub async fn mails(&self, email: &str) -> Vec<CaughtMail> {
        let mailbox = self.app.platform.mailer.mailbox().expect("mail is caught");
        mailbox.list(Some(email), 100).await.expect("the mailbox can be read")
    }

    /// Opens a socket, as somebody or as nobody, that has been acknowledged.
    pub async fn socket(&self, person: Option<&Person>) -> Socket {
        let mut socket = Socket::open(self.port).await;
        let payload = person.map(|person| json!({ "authorization": format!("Bearer {}", person.token) }));
        socket.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.next().await["type"], "connection_ack");
        socket
    }

    /// Waits until no job is due.
    pub async fn jobs_are_done(&self) {
        until("the jobs to be done", || async {
            // In one look, a moment ahead: what was running may have left another that is due since the look began.
            let now_or_held = Condition::any()
                .add(entity::job::Column::AvailableAt.lte(self.clock.now() + A_MOMENT))
                .add(entity::job::Column::State.eq(entity::job::State::Running));
            let alive = entity::job::Column::State.ne(entity::job::State::Dead);
            let open = entity::job::Entity::find().filter(now_or_held).filter(alive);
            let open = open.count(self.app.platform.db.read()).await.expect("counted");
            (open == 0).then_some(())
        })
        .await;
    }

    /// Forgets the statements that were sent so far.
    pub fn forget_statements(&self) {
        self.statements.lock().expect("not poisoned").clear();
    }

    /// The statements that requests sent since; what the workers look for by themselves is left out.
    pub fn statements(&self) -> Vec<String> {
        let all = self.statements.lock().expect("not poisoned").clone();
        all.into_iter().filter(|sql| !sql.contains("jobs")).collect()
    }

    /// How many of the statements that were sent since have this in them, those of the workers too.
    pub fn statements_with(&self, text: &str) -> usize {
        self.statements.lock().expect("not poisoned").iter().filter(|sql| sql.contains(text)).count()
    }

    /// How many rows a table has.
    pub async fn count<E: EntityTrait>(&self) -> u64
    where
        E::Model: Send + Sync + sea_orm::FromQueryResult,
    {
        E::find().select_only_count(self.app.platform.db.read()).await
    }
}

/// Counting, whatever the entity.
trait CountAll {
    async fn select_only_count(self, db: &sea_orm::DatabaseConnection) -> u64;
}

impl<E: EntityTrait> CountAll for sea_orm::Select<E>
where
    E::Model: Send + Sync + sea_orm::FromQueryResult,
{
    async fn select_only_count(self, db: &sea_orm::DatabaseConnection) -> u64 {
        self.count(db).await.expect("rows can be counted")
    }
}
