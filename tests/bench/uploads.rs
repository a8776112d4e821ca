//! Uploads through the API: what the memory does while they stream in, and what becomes of real files.
//! Goal: 20 MB a second from 10 clients keep the memory within 64 MB of idle.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use hyper::Method;
use support::{
    Client, Json,
    files::{self, Sample},
    json, postgres,
    process::Process,
    text,
    uploads::{multipart, multipart_type},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::verdict;

const CLIENTS: usize = 10;
/// Bytes of a file.
const FILE: usize = 10_000_000;
/// Bytes a second of one client.
const RATE: usize = 2_000_000;
const PIECE: usize = 64 * 1_024;

const CREATE: &str = "mutation($input: AttachmentsCreateInput!) { attachmentsCreate(input: $input) { attachments { id } userErrors { code } } }";

/// Runs for so many seconds on each database.
pub async fn memory(seconds: u64) -> bool {
    let mut met = true;
    for database in [None, Some(postgres::cluster().database().await)] {
        met &= on(database, seconds).await;
    }
    met
}

fn settings(folder: &tempfile::TempDir, database: Option<String>) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("DATA_DIR", folder.path().display().to_string()),
        ("LOG", "off".into()),
        ("UPLOAD_LIMIT", "1000000".into()),
        ("UPLOADS_PER_USER", "20".into()),
        ("FILES_PER_TASK", "1000000".into()),
        ("STORAGE_PER_USER", "1000000000000".into()),
    ];
    settings.extend(database.map(|url| ("DATABASE_URL", url)));
    settings
}

async fn on(database: Option<String>, seconds: u64) -> bool {
    let name = if database.is_some() { "PostgreSQL" } else { "SQLite" };
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(&settings(&folder, database));
    let client = Client::new(&process.address);
    let (token, task) = client.register_with_task("Ada").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = process.memory_kib();
    let address = process.address.trim_start_matches("http://").to_owned();
    let sent = Arc::new(AtomicU64::new(0));
    let (began, until) = (Instant::now(), Instant::now() + Duration::from_secs(seconds));
    let text = b"All work and no play. ".repeat(FILE / 22 + 1)[..FILE].to_vec();
    let body = Arc::new(body_of(&task, &Sample::new("large.txt", "text/plain", text)));
    let uploads = join_all((0..CLIENTS).map(|_| {
        let (address, token, body, sent) = (address.clone(), token.clone(), body.clone(), sent.clone());
        tokio::spawn(async move {
            let mut taken = 0;
            while Instant::now() < until {
                taken += stream(&address, &token, &body, &sent).await;
            }
            taken
        })
    }));
    let mut most = idle;
    let watch = async {
        loop {
            most = most.max(process.memory_kib());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let taken = tokio::select! { taken = uploads => taken, () = watch => unreachable!() };
    let took = began.elapsed().as_secs_f64();
    let taken: usize = taken.into_iter().map(|taken| taken.expect("streamed")).sum();
    let grown = (most - idle) as f64 / 1_024.0;
    let met = grown <= 64.0;
    println!(
        "uploads {name}: {CLIENTS} clients, {taken} files of 10 MB, {:.1} MB/s for {took:.0} s; memory idle {:.0} MB, most {:.0} MB: {grown:.0} MB more (goal 64): {}",
        sent.load(Ordering::Relaxed) as f64 / 1e6 / took,
        idle as f64 / 1_024.0,
        most as f64 / 1_024.0,
        verdict(met)
    );
    met
}

fn body_of(task: &str, sample: &Sample) -> Vec<u8> {
    let operations = json!({ "query": CREATE, "variables": { "input": { "taskId": task, "files": [null] } } });
    multipart(&operations, &json!({ "0": ["variables.input.files.0"] }), &[("0".to_owned(), sample)])
}

/// Sends a body at its rate; 1 when it was taken.
async fn stream(address: &str, token: &str, body: &[u8], sent: &AtomicU64) -> usize {
    let mut socket = TcpStream::connect(address).await.expect("connected");
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {}\r\nauthorization: Bearer {token}\r\n\
         graphql-require-preflight: 1\r\ncontent-length: {}\r\n\r\n",
        multipart_type(),
        body.len()
    );
    socket.write_all(head.as_bytes()).await.expect("sent");
    let began = Instant::now();
    for (number, piece) in body.chunks(PIECE).enumerate() {
        let due = Duration::from_secs_f64((number * PIECE) as f64 / RATE as f64);
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        socket.write_all(piece).await.expect("sent");
        sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("answered");
    assert!(answer.contains("attachment_"), "{answer}");
    1
}

/// Sends a file to hang on a task, and gives the whole answer.
async fn send(client: &Client, token: &str, task: &str, sample: &Sample) -> Json {
    let (kind, bearer) = (multipart_type(), format!("Bearer {token}"));
    let headers =
        [("content-type", kind.as_str()), ("authorization", bearer.as_str()), ("graphql-require-preflight", "1")];
    client.send(Method::POST, "/graphql", &headers, body_of(task, sample)).await.json()
}

/// What files that mean harm cost: all of them one after the other. Goal: less than 200 MB above idle.
pub async fn hostile() -> bool {
    let mut all_met = true;
    for database in [None, Some(postgres::cluster().database().await)] {
        let name = if database.is_some() { "PostgreSQL" } else { "SQLite" };
        let folder = tempfile::tempdir().expect("a folder");
        let process = Process::start(&settings(&folder, database));
        let client = Client::new(&process.address);
        let (token, task) = client.register_with_task("Ada").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let idle = process.memory_kib();
        let all = files::hostile();
        let mut most = idle;
        let watch = async {
            loop {
                most = most.max(process.memory_kib());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let sending = async {
            let mut refused = 0;
            for file in &all {
                refused += usize::from(refused_in_the_end(&client, &token, &task, &file.file).await);
            }
            refused
        };
        let refused = tokio::select! { refused = sending => refused, () = watch => unreachable!() };
        let grown = (most - idle) as f64 / 1_024.0;
        let met = grown < 200.0 && refused == all.len();
        all_met &= met;
        println!(
            "hostile files {name}: {refused} of {} refused; memory idle {:.0} MB, most {:.0} MB: {grown:.0} MB more (goal 200): {}",
            all.len(),
            idle as f64 / 1_024.0,
            most as f64 / 1_024.0,
            verdict(met)
        );
    }
    all_met
}

async fn refused_in_the_end(client: &Client, token: &str, task: &str, sample: &Sample) -> bool {
    let answer = send(client, token, task, sample).await;
    let Some(id) = answer.pointer("/data/attachmentsCreate/attachments/0/id").and_then(Json::as_str) else {
        return answer.pointer("/data/attachmentsCreate/userErrors/0/code").is_some_and(Json::is_string);
    };
    let look = "query($id: ID!) { node(id: $id) { ... on Attachment { status } } }";
    loop {
        let file = client.graphql(Some(token), look, json!({ "id": id })).await["data"]["node"].take();
        match file["status"].as_str() {
            Some("REJECTED") => return true,
            Some("READY") => return false,
            _ => tokio::time::sleep(Duration::from_millis(3)).await,
        }
    }
}

/// What becomes of real files: sizes, and the time from the request until they are ready.
pub async fn table() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(&settings(&folder, None));
    let client = Client::new(&process.address);
    let (token, task) = client.register_with_task("Ada").await;
    println!("{:<28} {:>12} {:>12} {:>14} {:>10}", "file", "bytes", "kept", "pixels", "ms");
    for sample in files::real() {
        let began = Instant::now();
        let answer = send(&client, &token, &task, &sample).await;
        let id = text(&answer, "/data/attachmentsCreate/attachments/0/id");
        let look = "query($id: ID!) { node(id: $id) { ... on Attachment { status optimisedSizeBytes width height } } }";
        let file = loop {
            let file = client.graphql(Some(&token), look, json!({ "id": id })).await["data"]["node"].take();
            match file["status"].as_str() {
                Some("READY") => break file,
                Some("REJECTED") => panic!("{}: {file}", sample.name),
                _ => tokio::time::sleep(Duration::from_millis(3)).await,
            }
        };
        let took = began.elapsed().as_secs_f64() * 1_000.0;
        let kept = file["optimisedSizeBytes"].as_u64().unwrap_or(sample.bytes.len() as u64);
        let pixels = match (&file["width"], &file["height"]) {
            (Json::Number(width), Json::Number(height)) => format!("{width} × {height}"),
            _ => "–".into(),
        };
        println!("{:<28} {:>12} {kept:>12} {pixels:>14} {took:>10.0}", sample.name, sample.bytes.len());
    }
}
