//! Files by both ways in: presigned, and in a multipart request.

use entity::{attachment as row, storage_counter as counter};
use hyper::Method;
use sea_orm::{EntityTrait, QueryFilter, prelude::*};
use serde_json::{Value as Json, json};
use spacedly::platform::secret::{hex, sha256};

use crate::{Answer, Client, Person, Server, files::Sample, until};

/// What is shown of an attachment.
const ATTACHMENT: &str =
    "id fileName contentType sizeBytes optimisedSizeBytes width height status rejection downloadUrl thumbnailUrl";
const ANNOUNCE: &str = "mutation($input: AttachmentUploadsCreateInput!) { attachmentUploadsCreate(input: $input) {
    uploads { attachment { id status } url headers { name value } expiresAt } userErrors { code message path } } }";
/// Says that a file has been put.
pub const COMPLETE: &str = "mutation($id: ID!) { attachmentUploadComplete(input: { id: $id }) {
    attachment { id status } userErrors { code message path } } }";
const SEND: &str = "mutation($input: AttachmentsCreateInput!) { attachmentsCreate(input: $input) {
    attachments { id status fileName } userErrors { code message path } } }";
const SEND_AVATAR: &str = "mutation($input: AvatarCreateInput!) { avatarCreate(input: $input) {
    attachment { id status } userErrors { code message path } } }";
const BOUNDARY: &str = "----------------------------spacedly";

impl Sample {
    /// A file of these bytes.
    pub fn new(name: &str, content_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), content_type, bytes }
    }
}

/// A client for whole addresses.
pub fn absolute() -> Client {
    Client::new("")
}

fn input(task: &str, samples: &[&Sample], key: Option<&str>) -> Json {
    let file = |sample: &&Sample| {
        json!({ "fileName": sample.name, "contentType": sample.content_type, "sizeBytes": sample.bytes.len(),
            "sha256": hex(&sha256(&sample.bytes)) })
    };
    json!({ "taskId": task, "files": samples.iter().map(file).collect::<Vec<_>>(), "idempotencyKey": key })
}

/// Announces files and gives the whole answer.
pub async fn ask_announce(
    server: &Server,
    person: &Person,
    task: &str,
    samples: &[&Sample],
    key: Option<&str>,
) -> Json {
    server.ask(person, ANNOUNCE, json!({ "input": input(task, samples, key) })).await
}

/// Announces a file under an id of the client's.
pub async fn ask_announce_as(server: &Server, person: &Person, task: &str, sample: &Sample, id: &str) -> Json {
    let mut input = input(task, &[sample], None);
    input["files"][0]["id"] = id.into();
    server.ask(person, ANNOUNCE, json!({ "input": input })).await
}

/// Announces files with an idempotency key and gives the payload.
pub async fn announce_with(
    server: &Server,
    person: &Person,
    task: &str,
    samples: &[&Sample],
    key: Option<&str>,
) -> Json {
    let mut answer = ask_announce(server, person, task, samples, key).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    answer["data"]["attachmentUploadsCreate"].take()
}

/// Announces files and gives the payload.
pub async fn try_announce(server: &Server, person: &Person, task: &str, samples: &[&Sample]) -> Json {
    announce_with(server, person, task, samples, None).await
}

/// Announces files that are fine and gives the uploads.
pub async fn announce(server: &Server, person: &Person, task: &str, samples: &[&Sample]) -> Vec<Json> {
    let told = try_announce(server, person, task, samples).await;
    told["uploads"].as_array().unwrap_or_else(|| panic!("{told}")).clone()
}

/// The headers that an upload demands. A browser sets the length by itself, and so does our client.
pub fn headers_of(upload: &Json) -> Vec<(&str, &str)> {
    let headers = upload["headers"].as_array().expect("headers").iter();
    headers
        .map(|header| (header["name"].as_str().expect("a name"), header["value"].as_str().expect("a value")))
        .filter(|(name, _)| *name != "content-length")
        .collect()
}

/// Puts a file where it belongs.
pub async fn put(upload: &Json, bytes: &[u8]) -> Answer {
    let url = upload["url"].as_str().unwrap_or_else(|| panic!("no url: {upload}"));
    absolute().send(Method::PUT, url, &headers_of(upload), bytes.to_vec()).await
}

/// Gets what a link leads to.
pub async fn get(url: &Json) -> Answer {
    absolute().get(url.as_str().unwrap_or_else(|| panic!("no link: {url}"))).await
}

/// Says that a file has been put; gives the attachment.
pub async fn complete(server: &Server, person: &Person, id: &str) -> Json {
    let told = server.data(person, COMPLETE, json!({ "id": id })).await["attachmentUploadComplete"].take();
    assert!(told["attachment"].is_object(), "{told}");
    told["attachment"].clone()
}

/// The whole presigned way; gives the id.
pub async fn put_and_complete(server: &Server, person: &Person, task: &str, sample: &Sample) -> String {
    let upload = announce(server, person, task, &[sample]).await.remove(0);
    let answer = put(&upload, &sample.bytes).await;
    assert!(answer.status.is_success(), "{}: {} {}", sample.name, answer.status, answer.text());
    let id = upload["attachment"]["id"].as_str().expect("an id").to_owned();
    complete(server, person, &id).await;
    id
}

/// The body of a multipart request.
pub fn multipart(operations: &Json, map: &Json, files: &[(String, &Sample)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, json) in [("operations", operations), ("map", map)] {
        let part = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{json}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    for (name, sample) in files {
        let Sample { name: file, content_type, .. } = sample;
        let head = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n{}\r\n",
            if content_type.is_empty() { String::new() } else { format!("content-type: {content_type}\r\n") }
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&sample.bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// The media type of such a body.
pub fn multipart_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

/// Posts a multipart request.
pub async fn post(server: &Server, person: &Person, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let (content_type, bearer) = (multipart_type(), format!("Bearer {}", person.token));
    let mut all = vec![("content-type", content_type.as_str()), ("authorization", bearer.as_str())];
    all.extend_from_slice(headers);
    server.client.send(Method::POST, "/graphql", &all, body).await
}

/// Sends files with a key in a multipart request.
pub async fn send_with(server: &Server, person: &Person, task: &str, samples: &[&Sample], key: Option<&str>) -> Answer {
    let nulls: Vec<Json> = samples.iter().map(|_| Json::Null).collect();
    let operations =
        json!({ "query": SEND, "variables": { "input": { "taskId": task, "files": nulls, "idempotencyKey": key } } });
    let names = (0..samples.len()).map(|at| at.to_string());
    let map: serde_json::Map<String, Json> =
        names.clone().map(|at| (at.clone(), json!([format!("variables.input.files.{at}")]))).collect();
    let files: Vec<(String, &Sample)> = names.zip(samples.iter().copied()).collect();
    let body = multipart(&operations, &Json::Object(map), &files);
    post(server, person, &[("graphql-require-preflight", "1")], body).await
}

/// Sends files in a multipart request.
pub async fn try_send(server: &Server, person: &Person, task: &str, samples: &[&Sample]) -> Answer {
    send_with(server, person, task, samples, None).await
}

/// Sends files that are fine and gives the attachments.
pub async fn send(server: &Server, person: &Person, task: &str, samples: &[&Sample]) -> Vec<Json> {
    let answer = try_send(server, person, task, samples).await.json();
    let attachments = answer["data"]["attachmentsCreate"]["attachments"].as_array();
    attachments.unwrap_or_else(|| panic!("{answer}")).clone()
}

/// Sends a picture of oneself and gives the whole answer.
pub async fn send_avatar(server: &Server, person: &Person, sample: &Sample) -> Json {
    let operations = json!({ "query": SEND_AVATAR, "variables": { "input": { "file": null } } });
    let body = multipart(&operations, &json!({ "0": ["variables.input.file"] }), &[("0".to_owned(), sample)]);
    post(server, person, &[("apollo-require-preflight", "true")], body).await.json()
}

/// An attachment, once it was looked at.
pub async fn settled(server: &Server, person: &Person, id: &str) -> Json {
    let query = format!("query($id: ID!) {{ node(id: $id) {{ ... on Attachment {{ {ATTACHMENT} }} }} }}");
    until(&format!("{id} to be looked at"), || async {
        let node = server.data(person, &query, json!({ "id": id })).await["node"].take();
        matches!(node["status"].as_str(), Some("READY" | "REJECTED")).then_some(node)
    })
    .await
}

/// An attachment, once it is ready.
pub async fn ready(server: &Server, person: &Person, id: &str) -> Json {
    let file = settled(server, person, id).await;
    assert_eq!(file["status"], "READY", "{file}");
    file
}

/// Deletes an attachment.
pub async fn delete(server: &Server, person: &Person, id: &str) {
    let delete =
        "mutation($id: ID!) { attachmentDelete(input: { id: $id }) { deletedAttachmentId userErrors { code } } }";
    let told = server.data(person, delete, json!({ "id": id })).await;
    assert_eq!(told["attachmentDelete"]["deletedAttachmentId"], id, "{told}");
}

/// What a person's rows are charged, and what their counter says.
pub async fn used(server: &Server, person: &Person) -> (u64, u64) {
    let user: entity::UserId = person.id.parse().expect("an id");
    let db = server.app.platform.db.read();
    let rows = row::Entity::visible_to(user).all(db).await.expect("read");
    let counted = counter::Entity::find().filter(counter::Column::UserId.eq(user)).one(db).await.expect("read");
    let sum: i64 = rows.iter().map(|file| file.charged_bytes).sum();
    (sum as u64, counted.map_or(0, |counter| counter.used_bytes as u64))
}

/// How many objects are in storage.
pub async fn files_left(server: &Server) -> usize {
    let (mut all, mut after) = (0, None);
    loop {
        let page = server.app.platform.storage.list("", after).await.expect("listed");
        let Some(last) = page.last() else { return all };
        all += page.len();
        after = Some(last.key.clone());
    }
}
