//! Storage: an S3 that is not ours, one that is away, and clients that are not ours at our own store.

use chrono::TimeDelta;
use hyper::{Method, StatusCode};
use sea_orm::EntityTrait;
use spacedly::platform::secret::hex;
use support::{
    Database, Server, both,
    files::{self, Sample},
    json,
    s3::{S3, python},
    uploads::{self, absolute, announce, complete, files_left, ready, send, settled},
};

/// A server that keeps its files in somebody else's S3.
async fn with_s3(database: Database) -> (Server, S3) {
    let s3 = S3::start().await;
    let settings: [(&'static str, &str); 7] = [
        ("ACCESS_TOKEN_LIFETIME", "7d"),
        ("S3_ENDPOINT", &s3.endpoint),
        ("S3_BUCKET", &s3.bucket),
        ("S3_ACCESS_KEY_ID", "key"),
        ("S3_SECRET_ACCESS_KEY", "secret"),
        ("UPLOAD_LIMIT", "1000"),
        ("S3_TIMEOUT", "2s"),
    ];
    let server = Server::start(database, &settings).await;
    support::until("the bucket", || async { server.app.platform.storage.ping().await.ok() }).await;
    (server, s3)
}

async fn files_go_in_and_out(database: Database) {
    let (server, _s3) = with_s3(database).await;
    let ada = server.person("Ada").await;
    let task = server.task(&ada, "Files").await;
    for sample in files::real().iter().filter(|sample| sample.bytes.len() < 1_000_000) {
        let presigned = uploads::put_and_complete(&server, &ada, &task, sample).await;
        let sent = send(&server, &ada, &task, &[sample]).await[0]["id"].as_str().expect("an id").to_owned();
        for id in [presigned, sent] {
            let file = ready(&server, &ada, &id).await;
            let got = uploads::get(&file["downloadUrl"]).await;
            assert_eq!(got.status, StatusCode::OK, "{}", got.text());
            assert_eq!(got.header("content-type"), file["contentType"], "{file}");
            assert!(got.header("content-disposition").contains("filename*=UTF-8''"), "{:?}", got.headers);
            if !sample.content_type.starts_with("image/") {
                assert_eq!(got.body, sample.bytes, "byte-equal");
            }
            uploads::delete(&server, &ada, &id).await;
        }
    }
    server.jobs_are_done().await;
    assert_eq!((files_left(&server).await, uploads::used(&server, &ada).await), (0, (0, 0)));
    // A page of the front end may come to the bucket.
    let path = format!("{}/{}/any", _s3.endpoint, _s3.bucket);
    let asked = [("origin", "http://localhost:8080"), ("access-control-request-method", "PUT")];
    let preflight = absolute().send(Method::OPTIONS, &path, &asked, "").await;
    assert_eq!(preflight.header("access-control-allow-origin"), "http://localhost:8080", "{:?}", preflight.headers);
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_into_somebody_elses_s3_and_out_on_sqlite() {
    files_go_in_and_out(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_into_somebody_elses_s3_and_out_on_postgres() {
    files_go_in_and_out(Database::Postgres).await;
}

async fn storage_is_away(database: Database) {
    let (server, s3) = with_s3(database).await;
    let ada = server.person("Ada").await;
    let (kept, purged) = (server.task(&ada, "Kept").await, server.task(&ada, "Purged").await);
    let sample = Sample::new("notes.txt", "text/plain", b"Some notes.".to_vec());
    let mut ids = Vec::new();
    for task in [&kept, &purged] {
        for sent in send(&server, &ada, task, &[&sample, &sample]).await {
            ids.push(ready(&server, &ada, sent["id"].as_str().expect("an id")).await);
        }
    }
    server.jobs_are_done().await;
    let waiting = announce(&server, &ada, &kept, &[&sample]).await.remove(0);
    s3.set_away(true);
    let delete = "mutation($id: ID!) { taskDelete(input: { id: $id, permanently: true }) { userErrors { code } } }";
    server.data(&ada, delete, json!({ "id": purged })).await;
    assert_eq!(uploads::used(&server, &ada).await.0, 22 + 11, "what is purged is free at once");
    // What needs storage now says so, and leaves nothing behind.
    let told = server.ask(&ada, uploads::COMPLETE, json!({ "id": waiting["attachment"]["id"] })).await;
    assert_eq!(told["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{told}");
    let told = uploads::try_send(&server, &ada, &kept, &[&sample]).await.json();
    assert_eq!(told["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{told}");
    assert_eq!(uploads::used(&server, &ada).await, (33, 33), "nothing is reserved for what did not come");
    let health = server.client.get("/health/ready").await;
    assert_eq!(
        (health.status, health.json()["storage"].as_str()),
        (StatusCode::OK, Some("failing")),
        "{}",
        health.text()
    );
    support::until("the first try", || async {
        let jobs = entity::job::Entity::find().all(server.app.platform.db.read()).await.expect("read");
        jobs.iter().any(|job| job.kind == "file.remove" && job.last_error.is_some()).then_some(())
    })
    .await;
    s3.set_away(false);
    assert_eq!(files_left(&server).await, 4, "nothing was lost from sight");
    server.advance(TimeDelta::hours(2));
    server.jobs_are_done().await;
    assert_eq!(files_left(&server).await, 2, "they are gone once it is back");
    for file in &ids[..2] {
        let now = settled(&server, &ada, file["id"].as_str().expect("an id")).await;
        assert_eq!(uploads::get(&now["downloadUrl"]).await.body, sample.bytes, "what lives is there");
    }
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_purged_while_storage_is_away_goes_when_it_is_back_on_sqlite() {
    storage_is_away(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_purged_while_storage_is_away_goes_when_it_is_back_on_postgres() {
    storage_is_away(Database::Postgres).await;
}

both! {
    async fn an_object_that_nobody_knows_is_swept_and_nothing_else(server, "ACCESS_TOKEN_LIFETIME" = "7d") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let sample = Sample::new("notes.txt", "text/plain", b"Some notes.".to_vec());
        let id = send(server, &ada, &task, &[&sample]).await[0]["id"].as_str().expect("an id").to_owned();
        ready(server, &ada, &id).await;
        server.jobs_are_done().await;
        let storage = &server.app.platform.storage;
        let lost = entity::stored_file::key_of(entity::StoredFileId::from_uuid(server.app.platform.new_uuid()));
        for key in [lost.as_str(), "files/by-somebody-else", "elsewhere/a"] {
            storage.put_bytes(key, "text/plain", "x".into()).await.expect("put");
        }
        spacedly::worker::sweep(&server.app.platform).await.expect("swept");
        server.jobs_are_done().await;
        assert_eq!(files_left(server).await, 4, "too young, and not its time");
        server.advance(TimeDelta::hours(49));
        server.jobs_are_done().await;
        assert_eq!(files_left(server).await, 3, "only what is named as ours and has no row is gone");
        assert_eq!(storage.head(&lost).await.expect("asked"), None);
        let file = settled(server, &ada, &id).await;
        assert_eq!(uploads::get(&file["downloadUrl"]).await.body, sample.bytes);
        // A row that lost its owner by another way than ours.
        let rows = entity::stored_file::Entity::find().all(server.app.platform.db.read()).await.expect("read");
        let platform = server.app.platform.clone();
        let orphan = rows[0].id;
        platform.db.write::<_, spacedly::platform::error::Fault, _, _>(move |tx| async move {
            let row = entity::stored_file::ActiveModel { id: sea_orm::Set(orphan), attachment_id: sea_orm::Set(None), ..Default::default() };
            entity::stored_file::Entity::update(row).exec(&*tx).await?;
            Ok(())
        }).await.expect("written");
        spacedly::worker::sweep(&server.app.platform).await.expect("swept");
        server.jobs_are_done().await;
        assert_eq!(files_left(server).await, 2);
    }

    async fn boto3_finds_our_store_to_be_an_s3(server) {
        let secret = hex(&server.app.platform.secrets.derive("embedded store"));
        let endpoint = format!("http://127.0.0.1:{}", server.port);
        let script = support::process::root().join("tests/python/s3.py");
        let run = tokio::process::Command::new(python("python")).arg(script).args([&endpoint, "spacedly", &secret, "spacedly-files"]).output().await.expect("python runs");
        assert!(run.status.success(), "{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        assert_eq!(String::from_utf8_lossy(&run.stdout).trim().lines().last(), Some("fine"));
    }

    async fn a_presigned_link_allows_one_thing(server) {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let sample = Sample::new("notes.txt", "text/plain", b"Some notes, exactly.".to_vec());
        let (one, two) = (announce(server, &ada, &task, &[&sample]).await.remove(0), announce(server, &ada, &task, &[&sample]).await.remove(0));
        let url = one["url"].as_str().expect("a link").to_owned();
        let other_key = two["url"].as_str().expect("a link").split('?').next().expect("a path").to_owned();
        let query = url.split_once('?').expect("a query").1.to_owned();
        let signed = uploads::headers_of(&one);
        assert!(query.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bx-amz-checksum-sha256"), "{query}");
        let without = |name: &str| signed.iter().copied().filter(|(it, _)| *it != name).collect::<Vec<_>>();
        let with = |name: &'static str, value: &'static str| { let mut all = without(name); all.push((name, value)); all };
        let (exact, longer, altered) = (sample.bytes.clone(), b"Some notes, exactly. And more.".to_vec(), b"Some notes, altered.".to_vec());
        let tampered = url.replace("X-Amz-Signature=", "X-Amz-Signature=0");
        let later = url.replace("X-Amz-Expires=900", "X-Amz-Expires=604800");
        let host = url.replace("127.0.0.1", "localhost");
        let bucket = url.replace("/spacedly-files/", "/another-bucket/");
        let extra = format!("{url}&x-id=PutObjectAcl");
        let path = url.replace("/files/", "/files/../files/");
        type Case<'a> = (&'a str, Method, String, Vec<(&'a str, &'a str)>, Vec<u8>);
        let cases: Vec<Case<'_>> = vec![
            ("more bytes", Method::PUT, url.clone(), signed.clone(), longer),
            ("fewer bytes", Method::PUT, url.clone(), signed.clone(), b"Some".to_vec()),
            ("no bytes", Method::PUT, url.clone(), signed.clone(), Vec::new()),
            ("other bytes", Method::PUT, url.clone(), signed.clone(), altered),
            ("another type", Method::PUT, url.clone(), with("content-type", "text/html"), exact.clone()),
            ("no type", Method::PUT, url.clone(), without("content-type"), exact.clone()),
            ("another digest", Method::PUT, url.clone(), with("x-amz-checksum-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="), exact.clone()),
            ("no digest", Method::PUT, url.clone(), without("x-amz-checksum-sha256"), exact.clone()),
            ("another key", Method::PUT, format!("{other_key}?{query}"), signed.clone(), exact.clone()),
            ("another way to the key", Method::PUT, path, signed.clone(), exact.clone()),
            ("another bucket", Method::PUT, bucket, signed.clone(), exact.clone()),
            ("another host", Method::PUT, host, signed.clone(), exact.clone()),
            ("another signature", Method::PUT, tampered, signed.clone(), exact.clone()),
            ("a longer life", Method::PUT, later, signed.clone(), exact.clone()),
            ("another query", Method::PUT, extra, signed.clone(), exact.clone()),
            ("no signature", Method::PUT, url.split('?').next().expect("a path").to_owned(), signed.clone(), exact.clone()),
            ("to read", Method::GET, url.clone(), Vec::new(), Vec::new()),
            ("to delete", Method::DELETE, url.clone(), Vec::new(), Vec::new()),
            ("to post", Method::POST, url.clone(), signed.clone(), exact.clone()),
        ];
        for (what, method, url, headers, body) in cases {
            let answer = absolute().send(method, &url, &headers, body).await;
            assert!(answer.status.is_client_error(), "{what}: {} {}", answer.status, answer.text());
            assert_eq!(files_left(server).await, 0, "{what}");
        }
        assert_eq!(uploads::put(&one, &exact).await.status, StatusCode::OK, "and what it is for");
        let id = one["attachment"]["id"].as_str().expect("an id");
        complete(server, &ada, id).await;
        let file = ready(server, &ada, id).await;
        let link = file["downloadUrl"].as_str().expect("a link").to_owned();
        let renamed = link.replace("notes.txt", "notes.html");
        assert_ne!(renamed, link);
        for (what, method, url) in [
            ("another name", Method::GET, renamed), ("another type", Method::GET, link.replace("text%2Fplain", "text%2Fhtml")),
            ("to write", Method::PUT, link.clone()), ("no signature", Method::GET, link.split('?').next().expect("a path").to_owned()),
        ] {
            let answer = absolute().send(method, &url, &[], "").await;
            assert!(answer.status.is_client_error(), "{what}: {} {}", answer.status, answer.text());
        }
        let listed = server.client.get("/spacedly-files/?list-type=2").await;
        assert!(listed.status.is_client_error(), "{}", listed.text());
    }

    async fn a_link_is_good_for_a_while(server, "UPLOAD_LINK_LIFETIME" = "1s", "DOWNLOAD_LINK_LIFETIME" = "1s") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let sample = Sample::new("notes.txt", "text/plain", b"Some notes.".to_vec());
        let late = announce(server, &ada, &task, &[&sample]).await.remove(0);
        let id = send(server, &ada, &task, &[&sample]).await[0]["id"].as_str().expect("an id").to_owned();
        let file = ready(server, &ada, &id).await;
        // The store goes by the machine's clock, which no test moves.
        support::until("the links to end", || async {
            let over = |status: StatusCode| (status == StatusCode::FORBIDDEN).then_some(());
            over(uploads::get(&file["downloadUrl"]).await.status)
        }).await;
        let refused = uploads::put(&late, &sample.bytes).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
    }

    async fn a_page_of_the_front_end_may_put_and_get(server) {
        let path = "/spacedly-files/files/any";
        let asked = |origin: &'static str| [("origin", origin), ("access-control-request-method", "PUT"), ("access-control-request-headers", "content-type,x-amz-checksum-sha256")];
        let preflight = server.client.send(Method::OPTIONS, path, &asked("http://localhost:8080"), "").await;
        assert!(preflight.status.is_success(), "{}", preflight.status);
        assert_eq!(preflight.header("access-control-allow-origin"), "http://localhost:8080");
        assert!(preflight.header("access-control-allow-methods").contains("PUT"), "{:?}", preflight.headers);
        assert!(preflight.header("access-control-allow-headers").contains("x-amz-checksum-sha256"), "{:?}", preflight.headers);
        let stranger = server.client.send(Method::OPTIONS, path, &asked("https://evil.example"), "").await;
        assert_eq!(stranger.header("access-control-allow-origin"), "", "{:?}", stranger.headers);
    }
}
