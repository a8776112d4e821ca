//! What only a process can show: the README's commands, kill -9 and a restart, a second process, a clean stop.

use std::process::Command;

use chrono::{TimeDelta, Utc};
use support::{
    Client, Json, json,
    process::{Process, binary, root},
    text, until,
};

fn settings(folder: &std::path::Path) -> Vec<(&'static str, String)> {
    vec![
        ("DATA_DIR", folder.display().to_string()),
        ("PASSWORD_MEMORY_KIB", "64".into()),
        ("PASSWORD_PASSES", "1".into()),
        ("JOB_LEASE", "2s".into()),
    ]
}

#[tokio::test]
async fn everything_survives_kill_9_and_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Process::start(&settings(folder.path()));
    let client = Client::new(&server.address);
    let token = client.register("Ada").await.token;
    let create = "mutation { taskCreate(input: { title: \"Survive\" }) { task { id } } }";
    let task = text(&client.graphql(Some(&token), create, json!({})).await, "/data/taskCreate/task/id");
    let remind = "mutation($at: DateTime!, $task: ID!) { reminderCreate(input: { taskId: $task, scheduledAt: $at }) { reminder { id } } }";
    let at = (Utc::now() + TimeDelta::seconds(3)).to_rfc3339();
    text(
        &client.graphql(Some(&token), remind, json!({ "at": at, "task": task })).await,
        "/data/reminderCreate/reminder/id",
    );
    server.kill();

    let second = Process::start(&settings(folder.path()));
    let client = Client::new(&second.address);
    let found = until("the reminder that fell due", || async {
        let query = "{ viewer { name unreadNotificationCount tasks { nodes { title reminders { nodes { deliveries { channel state } } } } } } }";
        let found = client.graphql(Some(&token), query, json!({})).await["data"]["viewer"].take();
        (found["unreadNotificationCount"] == 1).then_some(found)
    })
    .await;
    assert_eq!(
        found["tasks"]["nodes"][0]["title"], "Survive",
        "the token, the task and the reminder outlived it: {found}"
    );
    until("its mail, at the latest when the lease of the killed process ends", || async {
        let mails = client.get("/dev/mailbox?to=ada@example.org").await.json();
        mails.as_array()?.iter().any(|mail| mail["subject"] == "Reminder: Survive is due soon").then_some(())
    })
    .await;

    let third =
        Command::new(binary()).env_clear().env("PORT", "0").envs(settings(folder.path())).output().expect("runs");
    assert!(!third.status.success(), "a second process on one SQLite file is refused");
    let said = String::from_utf8_lossy(&third.stderr).into_owned();
    assert!(said.contains("another process uses this database"), "{said}");
    assert!(second.terminate(), "SIGTERM ends it well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_start_at_once_on_an_empty_postgres_take_turns() {
    let database = support::postgres::cluster().empty_database().await;
    let starts = (0..4).map(|_| {
        let database = database.clone();
        tokio::task::spawn_blocking(move || {
            let folder = tempfile::tempdir().expect("a folder");
            let mut settings = settings(folder.path());
            settings.push(("DATABASE_URL", database));
            (Process::start(&settings), folder)
        })
    });
    let started = futures_util::future::join_all(starts).await;
    for instance in started {
        let (process, _folder) = instance.expect("it starts");
        assert_eq!(Client::new(&process.address).get("/health/ready").await.status, 200);
    }
}

#[tokio::test]
async fn sockets_are_told_when_the_server_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Process::start(&settings(folder.path()));
    let port = server.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let mut socket = support::Socket::open(port).await;
    socket.send(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.next().await["type"], "connection_ack");
    let stopped = tokio::task::spawn_blocking(|| server.terminate());
    assert_eq!(socket.close_code().await, 1001);
    assert!(stopped.await.expect("joined"), "it ends well");
}

#[test]
fn unsafe_settings_are_refused_all_at_once() {
    let refused =
        Command::new(binary()).env_clear().env("ENVIRONMENT", "production").env("PORT", "x").output().expect("runs");
    assert!(!refused.status.success());
    let refused = Command::new(binary()).env_clear().env("ENVIRONMENT", "production").output().expect("runs");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    for name in ["SECRET_KEY", "DATABASE_URL", "SMTP_URL", "PUBLIC_URL", "FRONTEND_URL", "MAIL_FROM"] {
        assert!(said.contains(name), "{name} in {said}");
    }
}

#[test]
fn the_commands_of_the_command_line_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| {
        let output =
            Command::new(binary()).env_clear().envs(settings(folder.path())).args(arguments).output().expect("runs");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (ok, status, _) = run(&["migrate", "status"]);
    assert!(ok && status.contains("Pending") && !status.contains("Applied"), "{status}");
    assert!(run(&["migrate", "up"]).0);
    assert!(!run(&["migrate", "status"]).1.contains("Pending"));
    assert!(run(&["migrate", "down"]).0);
    assert_eq!(run(&["migrate", "status"]).1.matches("Pending").count(), 1);
    assert_eq!(run(&["schema"]).1, std::fs::read_to_string(root().join("schema.graphql")).expect("schema.graphql"));
    let server = Process::start(&settings(folder.path()));
    let port = server.address.rsplit(':').next().expect("a port").to_owned();
    let healthy = |port: &str| {
        Command::new(binary()).env_clear().env("PORT", port).arg("healthcheck").status().expect("runs").success()
    };
    assert!(healthy(&port));
    drop(server);
    assert!(!healthy(&port));
}

/// The commands that the README shows, in one shell, against a server on a free port.
#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let script = readme.split("<!-- the main job -->").nth(1).expect("the marked part of the README");
    let script = script.split("```sh").nth(1).and_then(|rest| rest.split("```").next()).expect("its commands");
    let folder = tempfile::tempdir().expect("a folder");
    let server = Process::start(&settings(folder.path()));
    // A machine that runs the whole suite takes its time; a person's has nothing else to do.
    let patient =
        script.replace("sleep 5", "sleep 9").replace("sleep 1\n", "sleep 4\n").replace("+3 seconds", "+5 seconds");
    let script = format!("set -eu\n{}", patient.replace("http://localhost:8000", &server.address));
    let output = Command::new("bash").arg("-c").arg(script).current_dir(folder.path()).output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let last: Json =
        serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap_or_else(|e| panic!("{e}: {said}"));
    assert_eq!(last["data"]["viewer"]["unreadNotificationCount"], 1, "{said}");
    assert!(said.contains("Reminder: Write the report is due soon"), "{said}");
}

#[tokio::test]
async fn the_api_and_the_work_can_be_two_processes() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = support::postgres::cluster().database().await;
    let mut settings = settings(folder.path());
    settings.push(("DATABASE_URL", database));
    // One mailbox for both, as one mail server would be.
    let api = Process::start_as(&["serve", "--no-worker"], "Spacedly listens on ", &settings);
    let client = Client::new(&api.address);
    let register = "mutation { accountRegister(input: { name: \"Ada\", email: \"ada@example.org\", password: \"correct horse battery\" }) { registration { id } } }";
    client.graphql(None, register, json!({})).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let caught = client.get("/dev/mailbox?to=ada@example.org").await.json();
    assert_eq!(caught, json!([]), "nobody works");
    settings.push(("WORKER_PORT", "0".into()));
    let worker = Process::start_as(&["worker"], "Spacedly works, and says how it is at ", &settings);
    let watched = Client::new(&worker.address);
    until("the code", || async {
        let mails = client.get("/dev/mailbox?to=ada@example.org").await.json();
        (mails.as_array()?.len() == 1).then_some(())
    })
    .await;
    // What is done there is counted there, and nothing else is served.
    until("the mail to be counted", || async {
        let told = watched.get("/metrics").await.text();
        told.lines()
            .any(|line| line.starts_with("spacedly_jobs_total{") && line.contains("mail") && !line.ends_with(" 0"))
            .then_some(())
    })
    .await;
    until("all its parts to be well", || async {
        let ready = watched.get("/health/ready").await.json();
        (ready == json!({ "database": "ok", "bus": "ok", "mail": "ok", "server": "ok", "storage": "ok" })).then_some(())
    })
    .await;
    assert_eq!(watched.get("/graphql?query=%7B__typename%7D").await.status, 404);
    assert!(worker.terminate() && api.terminate(), "SIGTERM ends both well");
}
