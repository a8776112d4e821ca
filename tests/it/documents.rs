//! Documents that are named instead of sent, and what may be asked of the schema itself.

use aws_lc_rs::digest::{SHA256, digest};
use hyper::{Method, StatusCode};
use support::{
    Answer, Database, Json, Person, Server, both,
    client::{REGISTER, VERIFY},
    json, run,
};

use crate::ways::{WAYS, Way, Ways};

fn hash(document: &str) -> String {
    digest(&SHA256, document.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn named(document: &str) -> Json {
    json!({ "persistedQuery": { "version": 1, "sha256Hash": hash(document) } })
}

async fn post(server: &Server, person: Option<&Person>, body: Json) -> Answer {
    let bearer = person.map(|person| format!("Bearer {}", person.token));
    let mut headers = vec![("content-type", "application/json"), ("accept", "application/graphql-response+json")];
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    server.client.send(Method::POST, "/graphql", &headers, body.to_string()).await
}

fn code(answer: &Answer) -> String {
    answer.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or("none").to_owned()
}

const NAME: &str = "{ viewer { name } }";

both! {
    async fn a_persisted_query_is_brought_once_and_named_after(server) {
        let ada = server.person("Ada").await;
        let by_hash = json!({ "extensions": named(NAME) });
        let unknown = post(server, Some(&ada), by_hash.clone()).await;
        assert_eq!((unknown.status, code(&unknown).as_str()), (StatusCode::BAD_REQUEST, "PERSISTED_QUERY_NOT_FOUND"));
        assert_eq!(unknown.json()["errors"][0]["message"], "PersistedQueryNotFound", "Apollo's clients look for it");
        let brought = post(server, Some(&ada), json!({ "query": NAME, "extensions": named(NAME) })).await;
        assert_eq!(brought.json()["data"]["viewer"]["name"], "Ada");
        assert_eq!(post(server, Some(&ada), by_hash.clone()).await.json()["data"]["viewer"]["name"], "Ada");
    }

    async fn a_persisted_query_is_brought_and_named_by_every_way(server, "UPLOAD_LIMIT" = "1000") {
        let ways = &mut Ways::of(server).await;
        for brings in WAYS {
            let document = format!("{NAME} # by {brings:?}");
            for told in ways.all(&json!({ "extensions": named(&document) })).await {
                assert_eq!(told.code(), Some("PERSISTED_QUERY_NOT_FOUND"), "before {brings:?}: {told:?}");
                assert_eq!(told.answer["errors"][0]["message"], "PersistedQueryNotFound", "Apollo's clients look for it");
            }
            let mut all = vec![ways.by(brings, &json!({ "query": document, "extensions": named(&document) })).await];
            // By GET, too, which caches on the way may keep by its address.
            all.extend(ways.all(&json!({ "extensions": named(&document) })).await);
            for told in all {
                assert_eq!(told.data(), Some(&json!({ "viewer": { "name": "Ada" } })), "brought by {brings:?}: {told:?}");
            }
            let other = ways.by(brings, &json!({ "query": "{ __typename }", "extensions": named(&document) })).await;
            assert_eq!(other.code(), Some("BAD_REQUEST"), "{other:?}");
        }
    }

    async fn what_one_brought_is_nobody_elses(server) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        post(server, Some(&ada), json!({ "query": NAME, "extensions": named(NAME) })).await;
        for other in [Some(&eve), None] {
            assert_eq!(code(&post(server, other, json!({ "extensions": named(NAME) })).await), "PERSISTED_QUERY_NOT_FOUND");
        }
    }

    async fn a_name_must_be_the_hash_of_what_it_names(server) {
        let other = json!({ "query": "{ __typename }", "extensions": named(NAME) });
        assert_eq!(code(&post(server, None, other).await), "BAD_REQUEST");
        assert_eq!(code(&post(server, None, json!({ "extensions": named(NAME) })).await), "PERSISTED_QUERY_NOT_FOUND", "nothing was kept");
        for wrong in [json!({}), json!(1), json!({ "version": 2, "sha256Hash": hash(NAME) }), json!({ "version": 1 }), json!({ "version": 1, "sha256Hash": "é".repeat(32) }), json!({ "version": 1, "sha256Hash": "00" })] {
            assert_eq!(code(&post(server, None, json!({ "extensions": { "persistedQuery": wrong } })).await), "BAD_REQUEST", "{wrong}");
        }
        let invalid = "{ nonsense }";
        assert_eq!(code(&post(server, None, json!({ "query": invalid, "extensions": named(invalid) })).await), "BAD_REQUEST");
        assert_eq!(code(&post(server, None, json!({ "extensions": named(invalid) })).await), "PERSISTED_QUERY_NOT_FOUND", "what is no good is not kept");
        assert_eq!(code(&post(server, None, json!({})).await), "BAD_REQUEST");
    }

    async fn what_is_kept_is_bounded(server, "PERSISTED_QUERIES_BYTES" = "20000") {
        let ada = server.person("Ada").await;
        post(server, Some(&ada), json!({ "query": NAME, "extensions": named(NAME) })).await;
        let many = |n: usize| format!("{{ __typename }} # {n} {}", "x".repeat(900));
        for n in 0..100 {
            post(server, None, json!({ "query": many(n), "extensions": named(&many(n)) })).await;
        }
        let mut kept = 0;
        for n in 0..100 {
            kept += usize::from(code(&post(server, None, json!({ "extensions": named(&many(n)) })).await) == "none");
        }
        assert!((1..=22).contains(&kept), "{kept} of 100 kept");
        let still = post(server, Some(&ada), json!({ "extensions": named(NAME) })).await;
        assert_eq!(still.json()["data"]["viewer"]["name"], "Ada", "who is not logged in pushes nothing of others out");
    }

    async fn a_person_has_so_many_of_them_and_pushes_out_only_their_own(server, "PERSISTED_QUERIES_PER_USER" = "3") {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        post(server, Some(&ada), json!({ "query": NAME, "extensions": named(NAME) })).await;
        let many = |n: usize| format!("{{ __typename }} # {n}");
        // The one that is brought again is the youngest.
        for n in [0, 1, 2, 0, 3, 4] {
            post(server, Some(&eve), json!({ "query": many(n), "extensions": named(&many(n)) })).await;
        }
        for (n, kept) in [(0, true), (1, false), (2, false), (3, true), (4, true)] {
            let answer = post(server, Some(&eve), json!({ "extensions": named(&many(n)) })).await;
            assert_eq!(code(&answer) == "none", kept, "{n}");
        }
        let still = post(server, Some(&ada), json!({ "extensions": named(NAME) })).await;
        assert_eq!(still.json()["data"]["viewer"]["name"], "Ada");
    }

    async fn persisted_queries_can_be_turned_off(server, "PERSISTED_QUERIES" = "false") {
        let brought = post(server, None, json!({ "query": "{ __typename }", "extensions": named("{ __typename }") })).await;
        assert_eq!(brought.status, StatusCode::OK, "the document is there, its name does no harm");
        let answer = post(server, None, json!({ "extensions": named("{ __typename }") })).await;
        assert_eq!(code(&answer), "PERSISTED_QUERY_NOT_SUPPORTED");
        assert_eq!(answer.json()["errors"][0]["message"], "PersistedQueryNotSupported");
    }

    /// The full form is `faults documents 20000`.
    async fn whatever_is_asked_is_answered_with_a_code(server) {
        println!("{:?}", support::documents::fuzz(server, 300, 7).await);
    }

    async fn without_introspection_nothing_is_told_of_the_schema(server, "INTROSPECTION" = "false") {
        for query in ["{ __schema { queryType { name } } }", "{ __type(name: \"Task\") { name } }", "{ ...F } fragment F on Query { __schema { types { name } } }", "query A { __typename } query B { __schema { types { name } } }"] {
            let answer = post(server, None, json!({ "query": query, "operationName": if query.contains("query A") { json!("A") } else { Json::Null } })).await;
            assert_eq!(code(&answer), "FORBIDDEN", "{query}");
        }
        assert_eq!(post(server, None, json!({ "query": "{ __typename viewer { __typename } }" })).await.status, StatusCode::OK);
        let answer = post(server, None, json!({ "query": "{ viewe { id } }" })).await.text();
        assert!(!answer.contains("viewer") && !answer.contains("Did you mean"), "{answer}");
    }
}

#[test]
fn only_trusted_documents_run_where_it_is_so_wished() {
    let folder = tempfile::tempdir().expect("a folder");
    let documents = [
        (hash(NAME), NAME),
        ("typename".to_owned(), "{ __typename }"),
        // Somebody must come in to go by all ways.
        ("register".to_owned(), REGISTER),
        ("verify".to_owned(), VERIFY),
    ];
    let plain: serde_json::Map<String, Json> = documents.iter().map(|(id, text)| (id.clone(), json!(text))).collect();
    let listed: Vec<Json> =
        documents.iter().map(|(id, text)| json!({ "id": id, "name": "N", "type": "query", "body": text })).collect();
    let manifests = [
        ("plain.json", Json::Object(plain)),
        ("apollo.json", json!({ "format": "apollo-persisted-query-manifest", "version": 1, "operations": listed })),
    ];
    for (name, manifest) in manifests {
        let path = folder.path().join(name);
        std::fs::write(&path, manifest.to_string()).expect("written");
        let path: &'static str = path.display().to_string().leak();
        let settings = [("TRUSTED_DOCUMENTS", path), ("TRUSTED_DOCUMENTS_ONLY", "true"), ("UPLOAD_LIMIT", "1000")];
        for database in [Database::Sqlite, Database::Postgres] {
            run(database, &settings, |server| Box::pin(only_trusted_documents_run(server)));
        }
    }
}

async fn only_trusted_documents_run(server: &Server) {
    let ways = &mut Ways::of(server).await;
    let (typename, name) = (json!({ "__typename": "Query" }), json!({ "viewer": { "name": "Ada" } }));
    let other = "{ rateLimit { cost } }";
    for (asked, data) in [
        (json!({ "documentId": "typename" }), &typename),
        (json!({ "query": "{ __typename }" }), &typename),
        (json!({ "documentId": format!("sha256:{}", hash(NAME)) }), &name),
        (json!({ "extensions": named(NAME) }), &name),
        // What is named runs, and not what is sent beside it.
        (json!({ "documentId": "typename", "query": other }), &typename),
        (json!({ "query": other, "extensions": named(NAME) }), &name),
    ] {
        for told in ways.all(&asked).await {
            assert_eq!(told.data(), Some(data), "{asked}: {told:?}");
        }
    }
    for (asked, code) in [
        (json!({ "query": other }), "DOCUMENT_NOT_TRUSTED"),
        (json!({ "query": format!("{NAME} ") }), "DOCUMENT_NOT_TRUSTED"),
        (json!({ "query": other, "extensions": named(other) }), "DOCUMENT_NOT_TRUSTED"),
        (json!({ "query": "mutation { __typename }" }), "DOCUMENT_NOT_TRUSTED"),
        (json!({ "query": "subscription { notificationEvents { cursor } }" }), "DOCUMENT_NOT_TRUSTED"),
        (json!({ "documentId": "other" }), "PERSISTED_QUERY_NOT_FOUND"),
        (json!({ "documentId": "other", "query": "{ __typename }" }), "PERSISTED_QUERY_NOT_FOUND"),
        (json!({ "extensions": named(other) }), "PERSISTED_QUERY_NOT_SUPPORTED"),
    ] {
        for told in ways.all(&asked).await {
            assert_eq!(told.code(), Some(code), "{asked}: {told:?}");
            assert!(told.answer.get("data").is_none(), "{asked}: {told:?}");
            // An event stream has begun with its status.
            let status = told.status.filter(|_| told.way != Way::EventStream);
            assert!(status.is_none_or(|status| status == StatusCode::BAD_REQUEST), "{asked}: {told:?}");
        }
    }
    let plain = post(server, None, json!({ "query": other })).await;
    assert_eq!((plain.status, code(&plain).as_str()), (StatusCode::BAD_REQUEST, "DOCUMENT_NOT_TRUSTED"), "of nobody");
}
