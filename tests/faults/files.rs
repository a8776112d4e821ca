//! Uploads by both ways and deletions, with the program killed again and again in between. What was acknowledged is
//! kept here; what lies on the disk at the end is counted by looking at the disk.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hyper::Method;
use serde_json::{Value as Json, json};
use spacedly::platform::secret::{hex, sha256};
use support::{
    Client,
    dice::Dice,
    files::Sample,
    process::Process,
    text,
    uploads::{multipart, multipart_type},
};

/// Clients at the same time.
const CLIENTS: u64 = 4;

/// What was acknowledged.
#[derive(Default)]
struct Known {
    next: u64,
    /// Files that were taken, with their bytes; what is asked to be deleted leaves before it is asked for.
    taken: BTreeMap<String, Vec<u8>>,
    /// Files whose deletion was acknowledged.
    deleted: Vec<String>,
}

/// Kills the program so often during a stream of uploads and deletions. Whether nothing was lost and nothing left over.
pub(crate) async fn kill(kills: u64, database: Option<String>) -> bool {
    let name = if database.is_some() { "PostgreSQL" } else { "SQLite" };
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = vec![
        ("DATA_DIR", folder.path().display().to_string()),
        ("LOG", "off".into()),
        ("ACCESS_TOKEN_LIFETIME", "1d".into()),
        ("FILES_PER_TASK", "1000000".into()),
        ("UPLOAD_LIMIT", "1000000".into()),
        ("JOB_LEASE", "2s".into()),
        // Times after which what was left behind is cleared away: short, so that the end of it is seen.
        ("UPLOAD_LINK_LIFETIME", "3s".into()),
        ("UPLOAD_LATE", "1s".into()),
        ("UPLOAD_LIFETIME", "5s".into()),
        ("FILE_WRITE_TIME", "3s".into()),
    ];
    settings.extend(database.map(|url| ("DATABASE_URL", url)));
    let began = Instant::now();
    let mut random = Dice::new(0xF11E ^ kills);
    let first = Process::start(&settings);
    let client = Client::new(&first.address);
    let (token, task) = client.register_with_task("Ada").await;
    first.kill();
    let known = Arc::<Mutex<Known>>::default();
    for round in 0..kills {
        let process = Process::start(&settings);
        let life = Duration::from_millis(50 + random.roll(450));
        let clients = (0..CLIENTS).map(|number| {
            let client = Somebody {
                client: Client::new(&process.address),
                token: token.clone(),
                task: task.clone(),
                known: known.clone(),
            };
            client.work(Dice::new(1 + round * CLIENTS + number))
        });
        let _ = tokio::time::timeout(life, futures_util::future::join_all(clients)).await;
        process.kill();
    }
    // One start to finish what was begun, and one to sweep what was never finished.
    let process = Process::start(&settings);
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(process.terminate(), "it ends well");
    let last = Process::start(&settings);
    let client = Client::new(&last.address);
    let outcome = settle(&client, &token, &known, folder.path()).await;
    let known = known.lock().expect("not poisoned");
    assert!(last.terminate(), "it ends well");
    println!(
        "kill -9 of uploads {name}: {kills} kills, {} files taken and kept, {} deleted: {}, {:.0} s: {}",
        known.taken.len(),
        known.deleted.len(),
        outcome.told,
        began.elapsed().as_secs_f64(),
        if outcome.ok { "ok" } else { "FAILED" }
    );
    outcome.ok
}

/// A client that uploads and deletes until the server is gone.
struct Somebody {
    client: Client,
    token: String,
    task: String,
    known: Arc<Mutex<Known>>,
}

impl Somebody {
    async fn work(self, mut random: Dice) {
        loop {
            let worked = match random.roll(5) {
                0 | 1 => self.presigned().await,
                2 | 3 => self.multipart().await,
                _ => self.delete(random.roll(1_000)).await,
            };
            if worked.is_none() {
                return;
            }
        }
    }

    /// A file like no other.
    fn sample(&self) -> Sample {
        let mut known = self.known.lock().expect("not poisoned");
        known.next += 1;
        let bytes = format!("file {}\n", known.next).repeat(500 + known.next as usize % 1_000).into_bytes();
        Sample::new(&format!("{}.txt", known.next), "text/plain", bytes)
    }

    fn taken(&self, id: String, sample: Sample) {
        self.known.lock().expect("not poisoned").taken.insert(id, sample.bytes);
    }

    async fn ask(&self, query: &str, variables: Json) -> Option<Json> {
        self.client.try_graphql(Some(&self.token), query, variables).await.ok()
    }

    async fn presigned(&self) -> Option<()> {
        let sample = self.sample();
        let file = json!({ "fileName": sample.name, "contentType": "text/plain", "sizeBytes": sample.bytes.len(),
            "sha256": hex(&sha256(&sample.bytes)) });
        let announce = "mutation($input: AttachmentUploadsCreateInput!) { attachmentUploadsCreate(input: $input) {
            uploads { attachment { id } url headers { name value } } userErrors { code message } } }";
        let told = self.ask(announce, json!({ "input": { "taskId": self.task, "files": [file] } })).await?;
        let upload = told.pointer("/data/attachmentUploadsCreate/uploads/0")?;
        let client = Client::new("");
        let headers = support::uploads::headers_of(upload);
        let put = client.try_send(Method::PUT, upload["url"].as_str()?, &headers, sample.bytes.clone()).await.ok()?;
        if !put.status.is_success() {
            return Some(());
        }
        let id = upload["attachment"]["id"].as_str()?.to_owned();
        let told = self.ask(support::uploads::COMPLETE, json!({ "id": id })).await?;
        if told.pointer("/data/attachmentUploadComplete/attachment/id").is_some() {
            self.taken(id, sample);
        }
        Some(())
    }

    async fn multipart(&self) -> Option<()> {
        let sample = self.sample();
        let create = "mutation($input: AttachmentsCreateInput!) { attachmentsCreate(input: $input) { attachments { id } userErrors { code } } }";
        let operations = json!({ "query": create, "variables": { "input": { "taskId": self.task, "files": [null] } } });
        let map = json!({ "0": ["variables.input.files.0"] });
        let body = multipart(&operations, &map, &[("0".to_owned(), &sample)]);
        let (kind, bearer) = (multipart_type(), format!("Bearer {}", self.token));
        let headers =
            [("content-type", kind.as_str()), ("authorization", bearer.as_str()), ("graphql-require-preflight", "1")];
        let answer = self.client.try_send(Method::POST, "/graphql", &headers, body).await.ok()?;
        let told: Json = serde_json::from_slice(&answer.body).ok()?;
        if let Some(id) = told.pointer("/data/attachmentsCreate/attachments/0/id").and_then(Json::as_str) {
            self.taken(id.to_owned(), sample);
        }
        Some(())
    }

    async fn delete(&self, place: u64) -> Option<()> {
        let id = {
            let mut known = self.known.lock().expect("not poisoned");
            let count = known.taken.len().max(1);
            let id = known.taken.keys().nth(place as usize % count).cloned();
            let Some(id) = id else { return Some(()) };
            known.taken.remove(&id);
            id
        };
        let delete = "mutation($id: ID!) { attachmentDelete(input: { id: $id }) { deletedAttachmentId } }";
        let told = self.ask(delete, json!({ "id": id })).await?;
        if told.pointer("/data/attachmentDelete/deletedAttachmentId").is_some_and(Json::is_string) {
            self.known.lock().expect("not poisoned").deleted.push(id);
        }
        Some(())
    }
}

struct Outcome {
    ok: bool,
    told: String,
}

/// Waits until everything came to rest, and compares.
async fn settle(client: &Client, token: &str, known: &Mutex<Known>, folder: &Path) -> Outcome {
    let began = Instant::now();
    loop {
        let listed = list(client, token).await;
        let unsettled =
            listed.values().filter(|file| file["status"] == "PENDING" || file["status"] == "PROCESSING").count();
        let refused = listed.values().filter(|file| file["status"] == "REJECTED").count();
        let (objects, ready) = (objects(&folder.join("objects/buckets")), listed.len() - unsettled - refused);
        if (unsettled > 0 || objects != ready) && began.elapsed() < Duration::from_secs(60) {
            tokio::time::sleep(Duration::from_millis(300)).await;
            continue;
        }
        let (taken, deleted) = {
            let known = known.lock().expect("not poisoned");
            (known.taken.clone(), known.deleted.clone())
        };
        let mut lost = 0;
        for (id, bytes) in &taken {
            let Some(url) = listed.get(id).and_then(|file| file["downloadUrl"].as_str()) else {
                lost += 1;
                continue;
            };
            let got = Client::new("").get(url).await;
            lost += usize::from(got.body != *bytes);
        }
        let undead = deleted.iter().filter(|id| listed.contains_key(*id)).count();
        let storage = client.graphql(Some(token), "{ viewer { storage { usedBytes } } }", json!({})).await;
        let used = storage["data"]["viewer"]["storage"]["usedBytes"].as_f64().unwrap_or(-1.0);
        let sum: f64 = listed
            .values()
            .filter(|file| file["status"] == "READY")
            .filter_map(|file| file["sizeBytes"].as_f64())
            .sum();
        let drift = (used - sum).abs() > 0.5;
        let told = format!(
            "lost {lost}, refused {refused}, come back {undead}, unsettled {unsettled}, objects {objects} of {ready} files, space {}",
            if drift { "DRIFTED" } else { "right" }
        );
        let ok = lost == 0 && refused == 0 && undead == 0 && unsettled == 0 && objects == ready && !drift;
        return Outcome { ok, told };
    }
}

/// The attachments as the person sees them: all of them, by page of the live stream's query.
async fn list(client: &Client, token: &str) -> BTreeMap<String, Json> {
    let query = "query($after: Cursor) { viewer { tasks { nodes { attachments(first: 100, after: $after) {
        nodes { id status sizeBytes downloadUrl } pageInfo { hasNextPage endCursor } } } } } }";
    let (mut found, mut after) = (BTreeMap::new(), Json::Null);
    loop {
        let answer = client.graphql(Some(token), query, json!({ "after": after })).await;
        let page = &answer["data"]["viewer"]["tasks"]["nodes"][0]["attachments"];
        for node in page["nodes"].as_array().unwrap_or_else(|| panic!("{answer}")) {
            found.insert(text(node, "/id"), node.clone());
        }
        if page["pageInfo"]["hasNextPage"] != true {
            return found;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// How many objects lie on the disk.
fn objects(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.path() {
            path if path.is_dir() => objects(&path),
            path => usize::from(path.file_name().is_some_and(|name| name != "cors.json")),
        })
        .sum()
}
