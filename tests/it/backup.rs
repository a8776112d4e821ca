//! Losing the machine and restoring a backup, on both databases: what the backup knows was sent is not sent again; what
//! was sent after it goes out again, late and with the same Message-ID, unless the operator says when the machine was lost.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use chrono::{DateTime, NaiveDate, TimeDelta, Timelike, Utc};
use support::{
    Client, Database, Json, json, postgres,
    process::{Process, binary},
    text, until,
};

type Settings = Vec<(&'static str, String)>;

/// A machine with the program, its data, and perhaps a PostgreSQL beside it.
struct Machine {
    folder: tempfile::TempDir,
    database: Option<String>,
}

impl Machine {
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn settings(&self) -> Settings {
        let mut settings: Settings = vec![
            ("DATA_DIR", self.data().display().to_string()),
            ("PASSWORD_MEMORY_KIB", "64".into()),
            ("PASSWORD_PASSES", "1".into()),
            ("ACCESS_TOKEN_LIFETIME", "3d".into()),
            ("REMINDER_LATE_AFTER", "1s".into()),
        ];
        settings.extend(self.database.clone().map(|url| ("DATABASE_URL", url)));
        // Two machines on one PostgreSQL's cluster share the key, as the README says.
        settings
            .extend(self.database.as_ref().map(|_| ("SECRET_KEY", "one secret for all of the machines".to_owned())));
        settings
    }

    /// The same on another day.
    fn settings_at(&self, moment: DateTime<Utc>) -> Settings {
        let file = self.folder.path().join("offset");
        std::fs::write(&file, (moment - Utc::now()).num_seconds().to_string()).expect("written");
        let mut settings = self.settings();
        settings.push(("CLOCK_OFFSET_FILE", file.display().to_string()));
        settings
    }

    fn run(&self, settings: Settings, arguments: &[&str]) -> Output {
        Command::new(binary()).env_clear().envs(settings).args(arguments).output().expect("it runs")
    }
}

/// Runs a program of PostgreSQL.
fn postgres_program(name: &str, arguments: &[&str]) {
    let program = postgres::binaries().expect("PostgreSQL is installed").join(name);
    let ran = Command::new(program).args(arguments).output().expect("it runs");
    assert!(ran.status.success(), "{name}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// Takes a backup while the server runs, as the README says.
fn back_up(machine: &Machine) -> PathBuf {
    let backup = machine.folder.path().join("backup");
    match &machine.database {
        None => {
            let made = machine.run(machine.settings(), &["backup", &backup.display().to_string()]);
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            assert!(!machine.folder.path().join("backup.partial").exists());
        }
        Some(url) => {
            postgres_program("pg_dump", &["--format=custom", "--file", &backup.display().to_string(), url]);
            let refused = machine.run(machine.settings(), &["backup", "elsewhere"]);
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(!refused.status.success() && said.contains("pg_dump"), "{said}");
        }
    }
    backup
}

/// Another machine with what the backup has.
async fn restore(database: Database, backup: &Path) -> Machine {
    let folder = tempfile::tempdir().expect("a folder");
    let database = match database {
        Database::Sqlite => {
            let copied = Command::new("cp").arg("-a").arg(backup).arg(folder.path().join("data")).status();
            assert!(copied.expect("cp runs").success());
            None
        }
        Database::Postgres => {
            let url = postgres::cluster().empty_database().await;
            let file = backup.display().to_string();
            postgres_program("pg_restore", &["--no-owner", "--exit-on-error", "--dbname", &url, &file]);
            Some(url)
        }
    };
    Machine { folder, database }
}

/// Ada, with what she has.
struct Ada {
    token: String,
    day: NaiveDate,
}

async fn data(client: &Client, token: &str, query: &str, variables: Json) -> Json {
    let mut answer = client.graphql(Some(token), query, variables).await;
    assert!(answer.get("errors").is_none(), "{query}: {answer}");
    answer["data"].take()
}

async fn remind(client: &Client, ada: &Ada, message: &str, at: DateTime<Utc>) {
    let create = "mutation($input: ReminderCreateInput!) { reminderCreate(input: $input) { reminder { id } userErrors { message } } }";
    let made =
        data(client, &ada.token, create, json!({ "input": { "message": message, "scheduledAt": at.to_rfc3339() } }))
            .await;
    assert!(made["reminderCreate"]["reminder"]["id"].is_string(), "{made}");
}

/// Registers her on a machine, with a task for the day, and reminders: one that is sent now, one and another that day.
async fn begin(client: &Client) -> Ada {
    let token = client.register("Ada").await.token;
    let day = Utc::now().date_naive() + TimeDelta::days(2);
    let ada = Ada { token, day };
    // Of what is overdue she wishes to hear by mail too.
    let wishes = "mutation { profileUpdate(input: { emailLeadMinutes: 0 }) { userErrors { message } }
        notificationPreferencesUpdate(input: { preferences: [{ type: OVERDUE, email: true }] }) { userErrors { message } } }";
    data(client, &ada.token, wishes, json!({})).await;
    let create = "mutation($title: String!, $at: DateTime!) { taskCreate(input: { title: $title, due: { at: $at } }) { task { id } } }";
    for (title, hour) in [("Of that morning", 5), ("Of that evening", 20)] {
        data(client, &ada.token, create, json!({ "title": title, "at": ada.at(hour).to_rfc3339() })).await;
    }
    remind(client, &ada, "Before the backup", Utc::now() + TimeDelta::seconds(2)).await;
    remind(client, &ada, "After the backup", ada.at(5)).await;
    remind(client, &ada, "After the loss", ada.at(18)).await;
    // Not only in the mailbox: the ledger, which is what is backed up, must have it.
    until("the first one to be sent", || async {
        let list = data(client, &ada.token, SEEN, json!({})).await["viewer"].take();
        let sent = |channel| delivery(&list, "Before the backup", channel)["state"] == "SENT";
        (sent("EMAIL") && sent("IN_APP")).then_some(())
    })
    .await;
    ada
}

impl Ada {
    fn at(&self, hour: u32) -> DateTime<Utc> {
        self.day.and_hms_opt(hour, 0, 0).expect("a time").and_utc()
    }
}

/// The mails to her on this machine whose subject begins so: text, and Message-ID.
async fn mails(client: &Client, subject: &str) -> Vec<(String, String)> {
    let caught = client.get("/dev/mailbox?to=ada@example.org").await.json();
    let mut mails: Vec<(String, String)> = caught
        .as_array()
        .expect("mails")
        .iter()
        .filter(|mail| mail["subject"].as_str().is_some_and(|it| it.starts_with(subject)))
        .map(|mail| (text(mail, "/text"), text(mail, "/messageId")))
        .collect();
    mails.sort();
    mails
}

const SEEN: &str = "{ viewer { unreadNotificationCount notifications { nodes { type message } }
    reminders { nodes { message whyNotDelivered deliveries { channel state late error } } } } }";

/// What she sees once these have come into her list.
async fn seen(client: &Client, ada: &Ada, count: usize) -> Json {
    until("her list", || async {
        let seen = data(client, &ada.token, SEEN, json!({})).await["viewer"].take();
        let list = seen["notifications"]["nodes"].as_array()?.iter().filter(|it| it["type"] == "REMINDER").count();
        (list == count).then_some(seen)
    })
    .await
}

fn delivery<'a>(seen: &'a Json, message: &str, channel: &str) -> &'a Json {
    let reminders = seen["reminders"]["nodes"].as_array().expect("reminders");
    let reminder = reminders.iter().find(|it| it["message"] == message).expect("the reminder");
    let deliveries = reminder["deliveries"].as_array().expect("a ledger");
    deliveries.iter().find(|it| it["channel"] == channel).unwrap_or_else(|| panic!("{channel} in {reminder}"))
}

async fn a_machine_is_lost(database: Database) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = match database {
        Database::Sqlite => None,
        Database::Postgres => Some(postgres::cluster().empty_database().await),
    };
    let machine = Machine { folder, database: url };
    let server = Process::start(&machine.settings());
    let ada = begin(&Client::new(&server.address)).await;
    let backup = back_up(&machine);
    assert!(server.terminate());

    // On that day, at five: the second reminder and the digest go out. Then the machine is gone.
    let server = Process::start(&machine.settings_at(ada.at(5) + TimeDelta::seconds(1)));
    let client = Client::new(&server.address);
    seen(&client, &ada, 2).await;
    until("its mail, what is overdue, and the digest", || async {
        let overdue = mails(&client, "Overdue: Of that morning").await.len();
        let digests = mails(&client, "Good Morning!").await.len();
        (mails(&client, "Reminder").await.len() == 2 && overdue == 1 && digests == 1).then_some(())
    })
    .await;
    let sent = mails(&client, "Reminder").await;
    let followed = places(&client, &ada).await;
    server.kill();
    let lost_at = ada.at(5).with_minute(1).expect("a time");
    let later = ada.at(5) + TimeDelta::minutes(30);

    told_when_it_was_lost(database, &backup, &ada, lost_at, later, &followed).await;
    told_nothing(database, &backup, &ada, later, &sent).await;
}

/// Where her live streams stand: a query that tells it, and the streams with their cursors.
async fn places(client: &Client, ada: &Ada) -> [(&'static str, Json); 2] {
    let now = "{ viewer { notificationBadge { cursor } storage { cursor } } }";
    let mut now = data(client, &ada.token, now, json!({})).await["viewer"].take();
    [
        ("notificationEvents", now["notificationBadge"]["cursor"].take()),
        ("attachmentEvents", now["storage"]["cursor"].take()),
    ]
}

/// The code with which a stream refuses to go on from a cursor. None: nothing is to be told since, and it waits.
async fn refuses(client: &Client, ada: &Ada, (stream, cursor): &(&str, Json)) -> Option<String> {
    let bearer = format!("Bearer {}", ada.token);
    let headers =
        [("content-type", "application/json"), ("accept", "text/event-stream"), ("authorization", bearer.as_str())];
    let query = format!("subscription($after: Cursor) {{ {stream}(after: $after) {{ cursor }} }}");
    let body = json!({ "query": query, "variables": { "after": cursor } }).to_string();
    let mut events = client.events(hyper::Method::POST, "/graphql", &headers, body).await;
    let told = tokio::time::timeout(Duration::from_secs(1), events.event()).await.ok()??;
    Some(told.1["errors"][0]["extensions"]["code"].as_str().unwrap_or("an event").to_owned())
}

/// The operator says when it was lost: nothing is sent again, and no stream goes on from what was lost.
async fn told_when_it_was_lost(
    database: Database,
    backup: &Path,
    ada: &Ada,
    lost_at: DateTime<Utc>,
    later: DateTime<Utc>,
    followed: &[(&str, Json)],
) {
    let machine = restore(database, backup).await;
    let say = |at: &str| machine.run(machine.settings_at(later), &["restored", "--lost-at", at]);
    for wrong in ["yesterday", "2126-01-01T00:00:00Z"] {
        let refused = say(wrong);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("--lost-at"), "{said}");
    }
    for count in ["1 mails and push messages", "0 mails and push messages"] {
        let settled = say(&lost_at.to_rfc3339());
        let said = String::from_utf8_lossy(&settled.stdout).into_owned();
        assert!(settled.status.success() && said.starts_with(count), "once, and then no more: {said}");
    }
    assert!(next_sweep(&machine).await > later + TimeDelta::days(6), "files of after the backup are left for a week");
    let server = Process::start(&machine.settings_at(later));
    let client = Client::new(&server.address);
    let list = seen(&client, ada, 2).await;
    let mail = delivery(&list, "After the backup", "EMAIL");
    assert_eq!(mail["state"], "SKIPPED", "{list}");
    assert!(mail["error"].as_str().is_some_and(|why| why.contains("restored from a backup")), "{list}");
    assert_eq!(delivery(&list, "After the backup", "IN_APP")["state"], "SENT", "in the app it is shown: {list}");
    assert_eq!(delivery(&list, "Before the backup", "EMAIL")["state"], "SENT");
    assert_eq!(delivery(&list, "After the loss", "EMAIL")["state"], "PENDING");
    let told = list["notifications"]["nodes"].as_array().expect("a list");
    assert_eq!(told.iter().filter(|it| it["type"] == "OVERDUE").count(), 1, "in the app it is shown: {list}");
    // Their numbers were given out once more, or will be.
    for place in followed {
        assert_eq!(refuses(&client, ada, place).await.as_deref(), Some("CURSOR_EXPIRED"), "{place:?}");
    }
    let lived = places(&client, ada).await;
    for place in &lived {
        assert_eq!(refuses(&client, ada, place).await, None, "{place:?}");
    }
    assert!(server.terminate());
    restored_once_more(database, backup, ada, later + TimeDelta::minutes(1), &lived).await;
    // What falls due after the loss goes out as ever, and the next digest too.
    let server = Process::start(&machine.settings_at(ada.at(18) + TimeDelta::seconds(1)));
    let client = Client::new(&server.address);
    until("the third one", || async { (!mails(&client, "Reminder").await.is_empty()).then_some(()) }).await;
    let (only, _) = mails(&client, "Reminder").await.pop().expect("one");
    assert!(only.contains("After the loss"), "{only}");
    assert_eq!(mails(&client, "Reminder").await.len(), 1, "no other was sent by this machine");
    assert_eq!(mails(&client, "Good Morning!").await, [], "the day is settled");
    assert_eq!(mails(&client, "Overdue").await, [], "what was overdue then is only shown");
    assert!(server.terminate());
}

/// A second life of the same backup gives out the numbers of the first one again.
async fn restored_once_more(database: Database, backup: &Path, ada: &Ada, at: DateTime<Utc>, lived: &[(&str, Json)]) {
    let machine = restore(database, backup).await;
    let lost_at = (at - TimeDelta::minutes(1)).to_rfc3339();
    assert!(machine.run(machine.settings_at(at), &["restored", "--lost-at", &lost_at]).status.success());
    let server = Process::start(&machine.settings_at(at));
    let client = Client::new(&server.address);
    for place in lived {
        assert_eq!(refuses(&client, ada, place).await.as_deref(), Some("CURSOR_EXPIRED"), "{place:?}");
    }
    assert!(server.terminate());
}

/// When the bucket is looked through for what this machine's database does not know.
async fn next_sweep(machine: &Machine) -> DateTime<Utc> {
    use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
    let sqlite = || format!("sqlite://{}", machine.data().join("spacedly.db").display());
    let db = sea_orm::Database::connect(machine.database.clone().unwrap_or_else(sqlite)).await.expect("connected");
    let sweeps = entity::job::Entity::find().filter(entity::job::Column::Kind.eq("storage.sweep")).all(&db).await;
    db.close().await.expect("closed");
    let sweeps = sweeps.expect("asked");
    assert_eq!(sweeps.len(), 1, "it is planned once: {sweeps:?}");
    sweeps[0].available_at
}

/// Nobody says anything: what the backup does not know of goes out once more, late and marked so.
async fn told_nothing(database: Database, backup: &Path, ada: &Ada, later: DateTime<Utc>, sent: &[(String, String)]) {
    let machine = restore(database, backup).await;
    let server = Process::start(&machine.settings_at(later));
    let client = Client::new(&server.address);
    until("the mail and the digest", || async {
        (!mails(&client, "Reminder").await.is_empty() && !mails(&client, "Good Morning!").await.is_empty())
            .then_some(())
    })
    .await;
    let again = mails(&client, "Reminder").await;
    assert_eq!(again.len(), 1, "what was sent before the backup is not sent again: {again:?}");
    assert!(again[0].0.contains("After the backup"), "{again:?}");
    assert!(sent.iter().any(|(_, id)| *id == again[0].1), "under the same Message-ID: {sent:?} {again:?}");
    let list = seen(&client, ada, 2).await;
    assert_eq!(delivery(&list, "After the backup", "IN_APP")["late"], true, "{list}");
    assert_eq!(list["unreadNotificationCount"], list["notifications"]["nodes"].as_array().expect("a list").len());
    // Who was logged in before the backup still is; and a session can be begun.
    assert!(client.is_let_in(&ada.token).await);
    client.log_in("ada@example.org").await;
    assert!(server.terminate());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_is_lost_on_sqlite() {
    a_machine_is_lost(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_is_lost_on_postgres() {
    a_machine_is_lost(Database::Postgres).await;
}

/// Files belong to a backup, and the secret too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_has_the_files_and_the_secret_and_is_not_written_over() {
    use support::files::Sample;
    let machine = Machine { folder: tempfile::tempdir().expect("a folder"), database: None };
    let server = Process::start(&machine.settings());
    let client = Client::new(&server.address);
    let (token, task) = client.register_with_task("Ada").await;
    let sample = Sample::new("notes.txt", "text/plain", b"Some notes.".to_vec());
    let file = put(&client, &token, &task, &sample).await;
    let backup = back_up(&machine);
    let again = machine.run(machine.settings(), &["backup", &backup.display().to_string()]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && said.contains("is there already"), "{said}");
    server.kill();
    let restored = restore(Database::Sqlite, &backup).await;
    let server = Process::start(&restored.settings());
    let client = Client::new(&server.address);
    let query = format!("{{ node(id: \"{file}\") {{ ... on Attachment {{ downloadUrl }} }} }}");
    let link = data(&client, &token, &query, json!({})).await["node"]["downloadUrl"].take();
    let got = support::uploads::get(&link).await;
    assert_eq!(got.body.as_ref(), b"Some notes.", "{}", got.text());
    assert!(server.terminate());
}

/// Each file of which its database tells is in a backup, whatever is put, processed and deleted while it is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_busy_server_has_every_file_of_which_it_tells() {
    use support::files::Sample;
    let machine = Machine { folder: tempfile::tempdir().expect("a folder"), database: None };
    // What the server held when the backup was taken is taken over once the lease ends.
    let busy_settings = |machine: &Machine| {
        let mut settings = machine.settings();
        settings.extend([("UPLOAD_LIMIT", "100000".to_owned()), ("JOB_LEASE", "2s".to_owned())]);
        settings
    };
    let server = Process::start(&busy_settings(&machine));
    let client = Client::new(&server.address);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (token, task) = client.register_with_task("Ada").await;
    let busy = |number: usize| {
        let (client, token, task, stop) = (&client, &token, &task, &stop);
        async move {
            let sample = Sample::new("notes.txt", "text/plain", format!("Some notes of {number}.").into_bytes());
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let file = put(client, token, task, &sample).await;
                let delete = "mutation($id: ID!) { attachmentDelete(input: { id: $id }) { userErrors { message } } }";
                data(client, token, delete, json!({ "id": file })).await;
            }
        }
    };
    let backups = async {
        let mut made = Vec::new();
        for number in 0..8 {
            let backup = machine.folder.path().join(format!("backup{number}"));
            let (settings, path) = (machine.settings(), backup.display().to_string());
            let taken = tokio::task::spawn_blocking(move || {
                Command::new(binary()).env_clear().envs(settings).args(["backup", &path]).output().expect("it runs")
            });
            let taken = taken.await.expect("it runs");
            assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
            made.push(backup);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        made
    };
    let (backups, ..) = tokio::join!(backups, busy(0), busy(1), busy(2), busy(3));
    assert!(server.terminate());

    let mut seen = 0;
    for backup in backups {
        let restored = restore(Database::Sqlite, &backup).await;
        let server = Process::start(&busy_settings(&restored));
        let client = Client::new(&server.address);
        let query = format!(
            "{{ node(id: \"{task}\") {{ ... on Task {{ attachments {{ nodes {{ status rejection downloadUrl }} }} }} }} }}"
        );
        let files = until("all to be processed", || async {
            let files = data(&client, &token, &query, json!({})).await["node"]["attachments"]["nodes"].take();
            // One that was never put waits for its person.
            let files: Vec<Json> =
                files.as_array()?.iter().filter(|file| file["status"] != "PENDING").cloned().collect();
            files.iter().all(|file| file["status"] != "PROCESSING").then_some(files)
        })
        .await;
        for file in files {
            assert_eq!(file["status"], "READY", "{file}");
            let got = support::uploads::get(&file["downloadUrl"]).await;
            assert!(got.text().starts_with("Some notes of"), "{file}: {}", got.text());
            seen += 1;
        }
        assert!(server.terminate());
    }
    assert!(seen > 0, "no backup was taken while there was a file");
}

/// Puts a file by a signed URL, and waits until it is ready.
async fn put(client: &Client, token: &str, task: &str, sample: &support::files::Sample) -> String {
    let announce = "mutation($input: AttachmentUploadsCreateInput!) { attachmentUploadsCreate(input: $input) {
        uploads { url headers { name value } attachment { id } } userErrors { message } } }";
    let file = json!({ "fileName": sample.name, "contentType": sample.content_type, "sizeBytes": sample.bytes.len(),
        "sha256": spacedly::platform::secret::hex(&spacedly::platform::secret::sha256(&sample.bytes)) });
    let mut made = data(client, token, announce, json!({ "input": { "taskId": task, "files": [file] } })).await;
    let upload = made["attachmentUploadsCreate"]["uploads"][0].take();
    assert!(support::uploads::put(&upload, &sample.bytes).await.status.is_success());
    let id = text(&upload, "/attachment/id");
    let complete = "mutation($id: ID!) { attachmentUploadComplete(input: { id: $id }) { userErrors { message } } }";
    data(client, token, complete, json!({ "id": id })).await;
    let query = format!("{{ node(id: \"{id}\") {{ ... on Attachment {{ status }} }} }}");
    until("the file", || async {
        (data(client, token, &query, json!({})).await["node"]["status"] == "READY").then_some(())
    })
    .await;
    id
}
