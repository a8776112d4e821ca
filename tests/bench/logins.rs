//! A storm of logins while others query their tasks: 200 at once, again and again. Goals: the queries' p99 under
//! 300 ms, memory under 300 MB, no failure but RATE_LIMITED.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use support::{Client, json, postgres, process::Process, sessions::PASSWORD};

use crate::{percentile, verdict};

/// Logins at the same time.
const STORM: usize = 200;
/// People who query their tasks meanwhile.
const READERS: usize = 8;

pub async fn run(storms: u64) -> bool {
    let mut met = true;
    for database in [None, Some(postgres::cluster().database().await)] {
        met &= on(database, storms).await;
    }
    met
}

async fn on(database: Option<String>, storms: u64) -> bool {
    let name = if database.is_some() { "PostgreSQL" } else { "SQLite" };
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = vec![
        ("DATA_DIR", folder.path().display().to_string()),
        ("LOG", "off".into()),
        ("LOGIN_FAILURES", "1000000".into()),
        // Else the storm would end the session that reads.
        ("SESSIONS_PER_USER", "1000000".into()),
    ];
    settings.extend(database.map(|url| ("DATABASE_URL", url)));
    let process = Process::start(&settings);
    let client = Client::new(&process.address);
    let ada = client.register("Ada").await;
    for number in 0..50 {
        let create = format!("mutation {{ taskCreate(input: {{ title: \"Task {number}\" }}) {{ task {{ id }} }} }}");
        client.graphql(Some(&ada.token), &create, json!({})).await;
    }
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        (0..READERS).map(|_| tokio::spawn(read(client.clone(), ada.token.clone(), over.clone()))).collect();
    let (mut opened, mut limited, mut failed, mut memory) = (0, 0, 0, 0);
    for _ in 0..storms {
        let logins = join_all((0..STORM).map(|_| client.log_in_answer(&ada.email, PASSWORD)));
        let watch = async {
            loop {
                memory = memory.max(process.memory_kib());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let answers = tokio::select! { answers = logins => answers, () = watch => unreachable!() };
        for answer in answers {
            match answer["errors"][0]["extensions"]["code"].as_str() {
                Some("RATE_LIMITED") => limited += 1,
                None if answer["data"]["sessionCreate"]["session"].is_object() => opened += 1,
                _ => {
                    println!("a login failed: {answer}");
                    failed += 1;
                }
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    let mut took: Vec<f64> = join_all(readers).await.into_iter().flat_map(|times| times.expect("read")).collect();
    took.sort_by(f64::total_cmp);
    let (p50, p99, most) = (percentile(&took, 0.5), percentile(&took, 0.99), percentile(&took, 1.0));
    let megabytes = memory as f64 / 1_024.0;
    let met = p99 < 300.0 && megabytes < 300.0 && failed == 0;
    println!(
        "logins {name}: {storms} × {STORM} at once: {opened} opened, {limited} RATE_LIMITED, {failed} failed; {} task queries p50 {p50:.1} p99 {p99:.1} most {most:.1} ms (goal p99 300); memory {megabytes:.0} MB (goal 300): {}",
        took.len(),
        verdict(met)
    );
    met
}

async fn read(client: Client, token: String, over: Arc<AtomicBool>) -> Vec<f64> {
    let query = "{ viewer { tasks(first: 20) { nodes { id title status dueAt } } } }";
    let mut times = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let answer = client.graphql(Some(&token), query, json!({})).await;
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
        assert!(answer["data"]["viewer"]["tasks"]["nodes"].is_array(), "{answer}");
        // As a person does, who looks before asking again.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    times
}
