//! Attachments by the front door: both ways in, what becomes of real files, the way out, and the end.

use chrono::TimeDelta;
use hyper::{Method, StatusCode};
use sea_orm::EntityTrait;
use support::{
    Json, both,
    files::{self, Sample},
    json,
    uploads::{self, absolute, announce, complete, files_left, ready, send, settled},
};

both! {
    async fn real_files_go_in_by_both_ways_and_come_out_again(server, "UPLOAD_LIMIT" = "1000") {
        let ada = server.person("Ada").await;
        for sample in files::real() {
            let task = server.task(&ada, "Files").await;
            let sent = send(server, &ada, &task, &[&sample]).await.remove(0);
            let presigned = uploads::put_and_complete(server, &ada, &task, &sample).await;
            for (way, id) in [("multipart", text(&sent, "id")), ("presigned", presigned)] {
                let file = settled(server, &ada, &id).await;
                assert_eq!(file["status"], "READY", "{way} {}: {file}", sample.name);
                assert_eq!(file["sizeBytes"], sample.bytes.len(), "{way}: {file}");
                came_out_well(&sample, way, &file).await;
            }
        }
        let storage = server.data(&ada, "{ viewer { storage { usedBytes limitBytes } } }", json!({})).await;
        let used = storage["viewer"]["storage"]["usedBytes"].as_f64().expect("a number") as u64;
        let (rows, counted) = uploads::used(server, &ada).await;
        assert_eq!((used, rows), (counted, counted), "the sum is the sum");
        assert_eq!(storage["viewer"]["storage"]["limitBytes"], 1e9);
    }

    async fn what_is_put_after_it_was_completed_is_never_served(server, "ACCESS_TOKEN_LIFETIME" = "7d") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let sample = Sample::new("notes.txt", "text/plain", b"The true notes.".to_vec());
        let upload = announce(server, &ada, &task, &[&sample]).await.remove(0);
        assert_eq!(uploads::put(&upload, &sample.bytes).await.status, StatusCode::OK);
        let id = text(&upload["attachment"], "id");
        complete(server, &ada, &id).await;
        ready(server, &ada, &id).await;
        // The link is still good, and takes the same bytes; they go nowhere.
        let again = uploads::put(&upload, &sample.bytes).await;
        assert_eq!(again.status, StatusCode::OK, "{}", again.text());
        let file = ready(server, &ada, &id).await;
        assert_eq!(uploads::get(&file["downloadUrl"]).await.body, sample.bytes);
        assert_eq!(complete(server, &ada, &id).await["status"], "READY", "saying it twice does no harm");
        server.advance(TimeDelta::hours(2));
        server.jobs_are_done().await;
        assert_eq!(files_left(server).await, 1, "what was put again is gone, what is served is there");
        assert_eq!(uploads::get(&file["downloadUrl"]).await.body, sample.bytes);
    }

    async fn a_file_that_did_not_arrive_is_not_taken_for_there(server, "ACCESS_TOKEN_LIFETIME" = "7d") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let sample = Sample::new("notes.txt", "text/plain", b"Some notes.".to_vec());
        let upload = announce(server, &ada, &task, &[&sample]).await.remove(0);
        let id = text(&upload["attachment"], "id");
        let told = server.data(&ada, uploads::COMPLETE, json!({ "id": id })).await["attachmentUploadComplete"].take();
        assert_eq!((told["attachment"].clone(), told["userErrors"][0]["code"].as_str()), (Json::Null, Some("WRONG_STATE")));
        server.advance(TimeDelta::hours(25));
        spacedly::worker::sweep(&server.app.platform).await.expect("swept");
        server.jobs_are_done().await;
        let node = server.data(&ada, "query($id: ID!) { node(id: $id) { id } viewer { storage { usedBytes } } }", json!({ "id": id })).await;
        assert_eq!(node, json!({ "node": null, "viewer": { "storage": { "usedBytes": 0.0 } } }));
        assert_eq!(files_left(server).await, 0);
    }

    async fn names_and_sizes_that_cannot_be_are_told_before_a_byte_comes(server, "FILE_LIMIT" = "10000000") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let long = "x".repeat(300);
        let named = |name: &str| Sample::new(name, "text/plain", b"Some notes.".to_vec());
        let mut wrong: Vec<(Sample, &str)> = ["../a.txt", "a/b.txt", "a\\b.txt", "a\r\nb.txt", "a\u{202e}txt.exe", "", "a\u{0}.txt", ".."]
            .into_iter().map(|name| (named(name), if name.is_empty() { "TOO_SHORT" } else { "INVALID_VALUE" })).collect();
        wrong.push((named(&long), "TOO_LONG"));
        wrong.push((Sample::new("a.exe", "application/x-msdownload", b"MZ".to_vec()), "INVALID_VALUE"));
        wrong.push((Sample::new("a.bin", "", b"MZ".to_vec()), "INVALID_VALUE"));
        wrong.push((Sample::new("a.svg", "image/svg+xml", b"<svg/>".to_vec()), "INVALID_VALUE"));
        wrong.push((Sample::new("a.txt", "text/plain", Vec::new()), "TOO_SHORT"));
        wrong.push((Sample::new("a.txt", "text/plain", vec![b'a'; 10_000_001]), "TOO_LONG"));
        for (sample, code) in &wrong {
            let told = uploads::try_announce(server, &ada, &task, &[sample]).await;
            assert_eq!((told["uploads"].clone(), told["userErrors"][0]["code"].as_str()), (Json::Null, Some(*code)), "{:?}: {told}", sample.name);
            // A name with a line break or a NUL cannot be sent in a part's header at all.
            if sample.name.contains(['\r', '\0']) { continue; }
            let sent = uploads::try_send(server, &ada, &task, &[sample]).await;
            let told = &sent.json()["data"]["attachmentsCreate"]["userErrors"][0]["code"];
            let refused = sent.status == StatusCode::PAYLOAD_TOO_LARGE || told.as_str() == Some(code);
            assert!(refused, "{:?}: {} {}", sample.name, sent.status, sent.text());
        }
        let many: Vec<Sample> = (0..11).map(|n| named(&format!("{n}.txt"))).collect();
        let told = uploads::try_announce(server, &ada, &task, &many.iter().collect::<Vec<_>>()).await;
        assert_eq!(told["userErrors"][0]["code"], "TOO_LONG", "{told}");
        assert_eq!(files_left(server).await, 0);
        assert_eq!(uploads::used(server, &ada).await, (0, 0));
    }

    async fn the_last_byte_of_space_is_taken_once(server, "STORAGE_PER_USER" = "1000", "UPLOAD_LIMIT" = "1000") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let samples: Vec<Sample> = (0..20).map(|n| Sample::new(&format!("{n}.txt"), "text/plain", vec![b'a'; 100])).collect();
        let rivals = samples.iter().map(|sample| {
            let (ada, task) = (&ada, &task);
            async move { uploads::try_announce(server, ada, task, &[sample]).await }
        });
        let told = futures_util::future::join_all(rivals).await;
        let taken = told.iter().filter(|told| told["uploads"].is_array()).count();
        let full = told.iter().filter(|told| told["userErrors"][0]["code"] == "LIMIT_REACHED").count();
        assert_eq!((taken, full), (10, 10), "{told:?}");
        let first = told.iter().find_map(|told| told["uploads"][0]["attachment"]["id"].as_str()).expect("one").to_owned();
        uploads::delete(server, &ada, &first).await;
        let told = uploads::try_announce(server, &ada, &task, &[&samples[0]]).await;
        assert!(told["uploads"].is_array(), "what was deleted is free again: {told}");
    }

    async fn the_same_key_announces_once(server, "UPLOAD_LIMIT" = "1000") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let sample = Sample::new("notes.txt", "text/plain", b"Some notes.".to_vec());
        let samples = [&sample];
        let rivals = (0..20).map(|_| uploads::announce_with(server, &ada, &task, &samples, Some("key")));
        let told = futures_util::future::join_all(rivals).await;
        let ids: std::collections::BTreeSet<String> = told.iter().map(|told| text(&told["uploads"][0]["attachment"], "id")).collect();
        assert_eq!(ids.len(), 1, "{told:?}");
        assert_eq!(uploads::put(&told[7]["uploads"][0], &sample.bytes).await.status, StatusCode::OK, "its link is good");
        let id = ids.first().expect("one").clone();
        complete(server, &ada, &id).await;
        ready(server, &ada, &id).await;
        let late = uploads::announce_with(server, &ada, &task, &[&sample], Some("key")).await;
        assert_eq!((late["uploads"][0]["url"].clone(), text(&late["uploads"][0]["attachment"], "status")), (Json::Null, "READY".to_owned()));
        // The other way in: the same files with the same key.
        let one = uploads::send_with(server, &ada, &task, &[&sample], Some("other")).await.json();
        let two = uploads::send_with(server, &ada, &task, &[&sample], Some("other")).await.json();
        let id_of = |answer: &Json| answer["data"]["attachmentsCreate"]["attachments"][0]["id"].clone();
        assert!(id_of(&one).is_string() && id_of(&one) == id_of(&two), "{one} {two}");
        let other = Sample::new("notes.txt", "text/plain", b"Other notes.".to_vec());
        let mismatch = uploads::send_with(server, &ada, &task, &[&other], Some("other")).await.json();
        assert_eq!(mismatch["errors"][0]["extensions"]["code"], "IDEMPOTENCY_MISMATCH", "{mismatch}");
    }

    async fn statuses_are_pushed_live_and_a_cursor_goes_on(server) {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let mut socket = server.socket(Some(&ada)).await;
        let follow = "subscription($after: Cursor) { attachmentEvents(after: $after) { cursor attachment { id status rejection } } }";
        socket.subscribe("1", follow, json!({ "after": "0" })).await;
        let good = Sample::new("notes.txt", "text/plain", b"Some notes.".to_vec());
        let bad = Sample::new("notes.pdf", "application/pdf", b"%PDF-1.7 but no end".to_vec());
        let sent = send(server, &ada, &task, &[&good, &bad]).await;
        assert_eq!((text(&sent[0], "fileName"), text(&sent[1], "fileName")), ("notes.txt".into(), "notes.pdf".into()), "in the order of the request");
        let (good, bad) = (text(&sent[0], "id"), text(&sent[1], "id"));
        let (mut last, mut cursor) = (std::collections::BTreeMap::new(), Json::Null);
        while last.get(&good) != Some(&"READY".to_owned()) || last.get(&bad) != Some(&"REJECTED".to_owned()) {
            let event = socket.next().await["payload"]["data"]["attachmentEvents"].take();
            let status = text(&event["attachment"], "status");
            assert_eq!(status == "REJECTED", event["attachment"]["rejection"].is_string(), "{event}");
            let before = last.insert(text(&event["attachment"], "id"), status.clone());
            let order = ["PENDING", "PROCESSING", "READY", "REJECTED"];
            let place = |status: &str| order.iter().position(|it| *it == status);
            assert!(before.is_none_or(|before| place(&before) <= place(&status)), "never backwards: {event}");
            if cursor == Json::Null { cursor = event["cursor"].clone(); }
        }
        let mut second = server.socket(Some(&ada)).await;
        second.subscribe("1", follow, json!({ "after": cursor })).await;
        let event = second.next().await["payload"]["data"]["attachmentEvents"].take();
        assert_ne!(event["cursor"], cursor, "it goes on after: {event}");
        second.subscribe("2", follow, json!({ "after": "nonsense" })).await;
        loop {
            let message = second.next().await;
            if message["id"] == "2" {
                assert_eq!(message["payload"]["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{message}");
                break;
            }
        }
    }

    async fn an_upload_is_not_missed_by_whoever_subscribes_after_it(server) {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let place = async || server.data(&ada, "{ viewer { storage { cursor } } }", json!({})).await["viewer"]["storage"]["cursor"].take();
        let before = place().await;
        let sample = Sample::new("notes.txt", "text/plain", b"Some notes.".to_vec());
        let id = text(&send(server, &ada, &task, &[&sample]).await[0], "id");
        ready(server, &ada, &id).await;
        let follow = "subscription($after: Cursor) { attachmentEvents(after: $after) { cursor attachment { id status } } }";
        let mut socket = server.socket(Some(&ada)).await;
        socket.subscribe("1", follow, json!({ "after": before })).await;
        let event = socket.next().await["payload"]["data"]["attachmentEvents"].take();
        assert_eq!(event, json!({ "cursor": place().await, "attachment": { "id": id, "status": "READY" } }));
    }

    async fn what_is_deleted_frees_its_space_in_the_same_answer(server) {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let sample = Sample::new("notes.txt", "text/plain", b"Some notes.".to_vec());
        let mut kept = Vec::new();
        for sent in send(server, &ada, &task, &[&sample, &sample]).await {
            kept.push(ready(server, &ada, &text(&sent, "id")).await);
        }
        let delete = "mutation($id: ID!) { attachmentDelete(input: { id: $id }) { deletedAttachmentId user { storage { usedBytes } } userErrors { code } } }";
        for (file, left) in kept.iter().zip([11.0, 0.0]) {
            let gone = server.data(&ada, delete, json!({ "id": file["id"] })).await["attachmentDelete"].take();
            assert_eq!((&gone["deletedAttachmentId"], gone["user"]["storage"]["usedBytes"].as_f64()), (&file["id"], Some(left)), "{gone}");
        }
        let wrong = server.data(&ada, delete, json!({ "id": "nonsense" })).await["attachmentDelete"].take();
        assert_eq!((&wrong["user"], &wrong["userErrors"]), (&Json::Null, &json!([{ "code": "INVALID_ID" }])));
    }

    async fn files_go_with_their_task_and_their_person(server, "UPLOAD_LIMIT" = "1000") {
        let (ada, bea) = (server.person("Ada").await, server.person("Bea").await);
        let sample = Sample::new("notes.txt", "text/plain", b"Some notes.".to_vec());
        let task = server.task(&ada, "Files").await;
        for person in [&ada, &bea] {
            let task = if person.id == ada.id { task.clone() } else { server.task(&bea, "Files").await };
            for sent in send(server, person, &task, &[&sample, &sample]).await {
                ready(server, person, &text(&sent, "id")).await;
            }
        }
        server.jobs_are_done().await;
        assert_eq!(files_left(server).await, 4);
        let delete = "mutation($id: ID!, $permanently: Boolean!) { taskDelete(input: { id: $id, permanently: $permanently }) { userErrors { code } } }";
        server.data(&ada, delete, json!({ "id": task, "permanently": false })).await;
        server.jobs_are_done().await;
        assert_eq!((files_left(server).await, uploads::used(server, &ada).await.0), (4, 22), "a hidden task keeps its files, and they count");
        server.data(&ada, delete, json!({ "id": task, "permanently": true })).await;
        server.jobs_are_done().await;
        assert_eq!((files_left(server).await, uploads::used(server, &ada).await), (2, (0, 0)), "a purged one does not");
        server.data(&bea, "mutation { accountDelete { userErrors { code } } }", json!({})).await;
        server.jobs_are_done().await;
        assert_eq!(files_left(server).await, 0);
        // The rows stay until nothing can arrive any more.
        server.advance(TimeDelta::hours(3));
        server.jobs_are_done().await;
        let rows = entity::stored_file::Entity::find().all(server.app.platform.db.read()).await.expect("read");
        assert!(rows.is_empty(), "{rows:?}");
    }

    async fn files_that_are_deleted_while_they_are_looked_at_hold_nobody_up(server, "UPLOAD_LIMIT" = "1000") {
        let ada = server.person("Ada").await;
        let samples: Vec<Sample> = (0..10).map(|n| Sample::new(&format!("{n}.txt"), "text/plain", format!("Notes {n}").into_bytes())).collect();
        let all: Vec<&Sample> = samples.iter().collect();
        for round in 0..6 {
            let task = server.task(&ada, "Files").await;
            let sent = send(server, &ada, &task, &all).await;
            if round % 2 == 0 {
                let delete = "mutation($id: ID!) { taskDelete(input: { id: $id, permanently: true }) { userErrors { code } } }";
                server.data(&ada, delete, json!({ "id": task })).await;
            } else {
                for file in &sent {
                    uploads::delete(server, &ada, &text(file, "id")).await;
                }
            }
        }
        server.jobs_are_done().await;

        // What was being put when its file was deleted goes when its worker's time is over.
        server.advance(TimeDelta::hours(3));
        server.jobs_are_done().await;
        let account = entity::stored_file::Entity::find().all(server.app.platform.db.read()).await.expect("read");
        assert_eq!((files_left(server).await, account.len()), (0, 0), "{account:?}");
    }

    async fn an_account_is_deleted_while_it_uploads(server, "UPLOAD_LIMIT" = "1000") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let sample = Sample::new("notes.txt", "text/plain", b"Some notes.".to_vec());
        let uploads = (0..4).map(|number| {
            let (ada, task, sample) = (&ada, &task, &sample);
            async move {
                for try_ in 0..5 {
                    let key = format!("{number} {try_}");
                    uploads::send_with(server, ada, task, &[sample], Some(&key)).await;
                }
            }
        });
        let deletion = async {
            tokio::time::sleep(std::time::Duration::from_millis(60)).await;
            server.data(&ada, "mutation { accountDelete { userErrors { code } } }", json!({})).await
        };
        let (_, gone) = tokio::join!(futures_util::future::join_all(uploads), deletion);
        assert_eq!(gone["accountDelete"]["userErrors"], json!([]));
        server.jobs_are_done().await;
        server.advance(TimeDelta::hours(3));
        server.jobs_are_done().await;
        let rows = entity::stored_file::Entity::find().all(server.app.platform.db.read()).await.expect("read");
        assert_eq!((files_left(server).await, rows.len()), (0, 0), "{rows:?}");
    }

    async fn an_avatar_takes_the_place_of_the_one_before(server) {
        let ada = server.person("Ada").await;
        let images: Vec<Sample> = files::real().into_iter().filter(|sample| sample.content_type.starts_with("image/")).collect();
        let ada = &ada;
        let avatar = || support::until("the avatar", async || {
            let seen = server.data(ada, "{ viewer { avatar { id status downloadUrl thumbnailUrl task { id } } } }", json!({})).await;
            let avatar = seen["viewer"]["avatar"].clone();
            (avatar["status"] == "READY").then_some(avatar)
        });
        let sent = uploads::send_avatar(server, ada, &images[0]).await;
        assert_eq!(sent["data"]["avatarCreate"]["attachment"]["status"], "PROCESSING", "{sent}");
        let first = avatar().await;
        assert_eq!(first["task"], Json::Null);
        assert_eq!(uploads::get(&first["thumbnailUrl"]).await.header("content-type"), "image/webp");
        uploads::send_avatar(server, ada, &images[1]).await;
        let second = support::until("the other avatar", || async {
            let now = avatar().await;
            (now["id"] != first["id"]).then_some(now)
        }).await;
        server.jobs_are_done().await;
        assert_eq!(files_left(server).await, 2, "the first one and its thumbnail are gone");
        let text_file = Sample::new("a.txt", "text/plain", b"No picture.".to_vec());
        uploads::send_avatar(server, ada, &text_file).await;
        server.jobs_are_done().await;
        assert_eq!(avatar().await["id"], second["id"], "what is no picture changes nothing");
        let gone = server.data(ada, "mutation { avatarDelete { deleted user { avatar { id } } userErrors { code } } }", json!({})).await;
        assert_eq!(gone["avatarDelete"], json!({ "deleted": true, "user": { "avatar": null }, "userErrors": [] }));
        server.jobs_are_done().await;
        assert_eq!((files_left(server).await, uploads::used(server, ada).await), (0, (0, 0)));
    }

    async fn a_stranger_reaches_no_file(server) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let task = server.task(&ada, "Files").await;
        let sample = Sample::new("notes.txt", "text/plain", b"Ada's notes.".to_vec());
        let id = text(&send(server, &ada, &task, &[&sample]).await[0], "id");
        let waiting = text(&announce(server, &ada, &task, &[&sample]).await[0]["attachment"], "id");
        ready(server, &ada, &id).await;
        for (name, id) in [("attachmentDelete", &id), ("attachmentUploadComplete", &id), ("attachmentDelete", &waiting), ("attachmentUploadComplete", &waiting)] {
            let query = |id: &str| format!("mutation {{ {name}(input: {{ id: \"{id}\" }}) {{ userErrors {{ code }} }} }}");
            let refused = server.ask(&eve, &query(id), json!({})).await;
            let absent = server.ask(&eve, &query("attachment_01jd3xk5ve7h8t9w2n4m6p8q0r"), json!({})).await;
            assert_eq!((refused["errors"][0]["extensions"]["code"].as_str(), refused.to_string()), (Some("NOT_FOUND"), absent.to_string()), "{name}");
        }
        let seen = server.data(&eve, "query($id: ID!) { node(id: $id) { id } }", json!({ "id": id })).await;
        assert_eq!(seen["node"], Json::Null);
        for told in [uploads::ask_announce(server, &eve, &task, &[&sample], None).await, uploads::try_send(server, &eve, &task, &[&sample]).await.json()] {
            assert_eq!(told["errors"][0]["extensions"]["code"], "NOT_FOUND", "{told}");
        }
        assert_eq!(uploads::used(server, &eve).await, (0, 0));
        let taken = uploads::ask_announce_as(server, &eve, &server.task(&eve, "Mine").await, &sample, &id).await;
        assert_eq!(taken["data"]["attachmentUploadsCreate"]["userErrors"][0]["code"], "TAKEN", "{taken}");
    }

    async fn uploads_are_counted(server, "UPLOAD_LIMIT" = "3") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let sample = Sample::new("notes.txt", "text/plain", b"Some notes.".to_vec());
        for _ in 0..2 { send(server, &ada, &task, &[&sample]).await; }
        announce(server, &ada, &task, &[&sample]).await;
        let sent = uploads::try_send(server, &ada, &task, &[&sample]).await;
        assert_eq!(sent.status, StatusCode::TOO_MANY_REQUESTS, "{}", sent.text());
        assert!(sent.header("retry-after").parse::<u64>().is_ok_and(|wait| wait <= 3_600));
        let told = uploads::ask_announce(server, &ada, &task, &[&sample], None).await;
        assert_eq!(told["errors"][0]["extensions"]["code"], "RATE_LIMITED", "{told}");
    }
}

/// What was downloaded is what was sent, or an image that is as good, upright and without metadata.
async fn came_out_well(sample: &Sample, way: &str, file: &Json) {
    let what = format!("{way} {}", sample.name);
    let got = uploads::get(&file["downloadUrl"]).await;
    assert_eq!(got.status, StatusCode::OK, "{what}: {}", got.text());
    assert_eq!(got.header("content-type"), text(file, "contentType"), "{what}");
    assert_eq!(got.header("x-content-type-options"), "nosniff", "{what}");
    let disposition = got.header("content-disposition").to_owned();
    assert_eq!(
        file["optimisedSizeBytes"].as_u64().unwrap_or(sample.bytes.len() as u64),
        got.body.len() as u64,
        "{what}"
    );
    if !sample.content_type.starts_with("image/") {
        assert_eq!(got.body, sample.bytes, "{what}: byte-equal");
        assert!(disposition.starts_with("attachment; filename="), "{what}: {disposition}");
        assert_eq!(
            (file["optimisedSizeBytes"].clone(), file["thumbnailUrl"].clone()),
            (Json::Null, Json::Null),
            "{what}"
        );
        return;
    }
    assert!(disposition.starts_with("inline; filename="), "{what}: {disposition}");
    for secret in [files::SECRET, files::CAMERA] {
        let there = got.body.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
        assert!(!there, "{what}: {secret:?} is still in it");
    }
    let size = (file["width"].as_u64().unwrap_or(0), file["height"].as_u64().unwrap_or(0));
    assert!(size.0 > 0 && size.0 <= 1_920 && size.1 > 0 && size.1 <= 1_080, "{what}: {size:?}");
    let thumbnail = uploads::get(&file["thumbnailUrl"]).await;
    assert_eq!((thumbnail.status, thumbnail.header("content-type")), (StatusCode::OK, "image/webp"), "{what}");
    let head = absolute().send(Method::HEAD, file["downloadUrl"].as_str().expect("a link"), &[], "").await;
    assert_eq!(head.status, StatusCode::FORBIDDEN, "{what}: a link to GET is for GET");
}

fn text(value: &Json, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field}: {value}")).to_owned()
}
