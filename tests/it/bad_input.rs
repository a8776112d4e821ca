//! What a client can get wrong: each gets its code, nothing is stored, nothing is leaked, and the server goes on.

use hyper::{Method, StatusCode};
use support::{
    Json, Server, both, json,
    uploads::{multipart, post},
};

/// What is wrong, the headers, the body, and the status and code that it gets.
type WrongBody = (&'static str, Vec<(&'static str, &'static str)>, String, u16, &'static str);

/// What a body may be long, as the product comes.
const MEGABYTE: usize = 1_000_000;

/// Requests whose bodies are exactly so long: with blanks, which mean nothing, and with something that is read.
fn bodies_of(size: usize) -> [String; 2] {
    let of = |padding: &dyn Fn(usize) -> String| {
        let body = padding(size - padding(0).len());
        assert_eq!(body.len(), size);
        body
    };
    [
        of(&|more| format!("{{\"query\": \"{{ __typename }}\"{}}}", " ".repeat(more))),
        of(&|more| json!({ "query": "{ __typename }", "extensions": { "padding": "x".repeat(more) } }).to_string()),
    ]
}

/// Posts a body of which nobody says how long it will be: its status, and what stands behind the head.
async fn post_in_chunks(server: &Server, body: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut open = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.expect("connected");
    let mut request = b"POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.as_bytes().chunks(100_000) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    open.write_all(&request).await.expect("sent");
    let mut answer = String::new();
    open.read_to_string(&mut answer).await.expect("an answer");
    let (head, rest) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{head}")), rest.to_owned())
}

both! {
    async fn a_body_has_a_megabyte_and_no_more(server) {
        let ada = server.person("Ada").await;
        for (size, fits) in [(MEGABYTE - 1, true), (MEGABYTE, true), (MEGABYTE + 1, false)] {
            let right = |what: &str, status: u16, answer: &str| {
                let (wanted, says) = if fits { (200, r#""__typename":"Query""#) } else { (413, r#""code":"BAD_REQUEST""#) };
                assert!(status == wanted && answer.contains(says) && answer.contains("\"data\"") == fits, "{what} of {size} bytes: {status} {answer}");
            };
            for body in bodies_of(size) {
                for accept in ["application/json", "text/event-stream"] {
                    let headers = [("content-type", "application/json"), ("accept", accept)];
                    let answer = server.client.send(Method::POST, "/graphql", &headers, body.clone()).await;
                    right(accept, answer.status.as_u16(), &answer.text());
                }
                let (status, answer) = post_in_chunks(server, &body).await;
                right("chunks", status, &answer);
            }
            // Files come beside it: this is the length of what is asked, and of what says where they belong.
            let [_, operations] = bodies_of(size);
            let operations = serde_json::from_str(&operations).expect("JSON");
            let nowhere = json!("x".repeat(size - 2));
            for (what, operations, map) in [("operations", &operations, json!({})), ("a map", &json!({ "query": "{ __typename }" }), nowhere)] {
                let answer = post(server, &ada, &[("graphql-require-preflight", "1")], multipart(operations, &map, &[])).await;
                match what {
                    // It leads nowhere, but it is read.
                    "a map" if fits => assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{size}: {}", answer.text()),
                    what => right(what, answer.status.as_u16(), &answer.text()),
                }
            }
        }
    }

    async fn every_wrong_request_gets_its_code_and_stores_nothing(server) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let hers = server.task(&eve, "Eve's secret plan").await;
        let mine = server.task(&ada, "Mine").await;
        // The mails of registration may have arrived before their jobs were put away.
        // And the housekeeping of the start plans a job of its own.
        spacedly::worker::sweep(&server.app.platform).await.expect("swept");
        server.jobs_are_done().await;
        let before = (server.count::<entity::task::Entity>().await, server.count::<entity::reminder::Entity>().await, server.count::<entity::job::Entity>().await);
        let create = "mutation($input: TaskCreateInput!) { taskCreate(input: $input) { task { id } userErrors { code path } } }";
        let remind = "mutation($input: ReminderCreateInput!) { reminderCreate(input: $input) { reminder { id } userErrors { code path } } }";
        let tomorrow = server.at(chrono::TimeDelta::days(1));
        let user_errors = [
            (create, json!({ "title": "ab" }), "TOO_SHORT", "title"),
            (create, json!({ "title": "x".repeat(201) }), "TOO_LONG", "title"),
            (create, json!({ "title": "nul\u{0}nul" }), "INVALID_VALUE", "title"),
            (create, json!({ "title": "fine", "description": "x".repeat(10_001) }), "TOO_LONG", "description"),
            (create, json!({ "title": "fine", "link": "javascript:alert(1)" }), "INVALID_URL", "link"),
            (create, json!({ "title": "fine", "category": "x".repeat(51) }), "TOO_LONG", "category"),
            (create, json!({ "title": "fine", "id": ada.id }), "INVALID_ID", "id"),
            (create, json!({ "title": "fine", "id": "task_nonsense" }), "INVALID_ID", "id"),
            (create, json!({ "title": "fine", "idempotencyKey": "" }), "INVALID_VALUE", "idempotencyKey"),
            (remind, json!({ "taskId": mine, "scheduledAt": "2020-01-01T00:00:00Z" }), "IN_THE_PAST", "scheduledAt"),
            (remind, json!({ "taskId": mine, "scheduledAt": "2100-01-01T00:00:00Z" }), "TOO_FAR_AHEAD", "scheduledAt"),
            (remind, json!({ "taskId": mine, "scheduledAt": tomorrow, "message": "x".repeat(501) }), "TOO_LONG", "message"),
            (remind, json!({ "scheduledAt": tomorrow }), "TOO_SHORT", "message"),
            (remind, json!({ "taskId": ada.id, "scheduledAt": tomorrow }), "INVALID_ID", "taskId"),
        ];
        for (mutation, input, code, field) in user_errors {
            let answer = server.ask(&ada, mutation, json!({ "input": input })).await;
            let payload = answer["data"].as_object().and_then(|data| data.values().next()).expect("a payload").clone();
            assert_eq!(payload["userErrors"][0]["code"], code, "{answer}");
            assert_eq!(payload["userErrors"][0]["path"], json!(["input", field]), "{answer}");
        }
        let absent = "task_01jd3xk5ve7h8t9w2n4m6p8q0r";
        let stranger = server.ask(&ada, remind, json!({ "input": { "taskId": hers, "scheduledAt": tomorrow } })).await;
        let nothing = server.ask(&ada, remind, json!({ "input": { "taskId": absent, "scheduledAt": tomorrow } })).await;
        assert_eq!(stranger["errors"][0]["extensions"]["code"], "NOT_FOUND");
        assert_eq!(stranger.to_string(), nothing.to_string(), "a stranger's task is told like an absent one");
        let wrong_kind = server.ask(&ada, "query($id: ID!) { task(id: $id) { id } }", json!({ "id": ada.id })).await;
        assert_eq!(wrong_kind["errors"][0]["extensions"]["code"], "BAD_REQUEST");
        let after = (server.count::<entity::task::Entity>().await, server.count::<entity::reminder::Entity>().await, server.count::<entity::job::Entity>().await);
        assert_eq!(before, after, "nothing was stored");
        assert_eq!(server.data(&ada, "{ viewer { id } }", json!({})).await["viewer"]["id"], ada.id.as_str(), "it goes on");
    }

    async fn every_wrong_body_gets_its_status(server) {
        let json_type = ("content-type", "application/json");
        let accept = ("accept", "application/graphql-response+json");
        let big = json!({ "query": "{ __typename }", "variables": { "x": "x".repeat(1_000_000) } }).to_string();
        let long = json!({ "query": format!("{{ __typename # {} \n }}", "x".repeat(15_000)) }).to_string();
        let cases: Vec<WrongBody> = vec![
            ("malformed JSON", vec![json_type], "{".into(), 400, "BAD_REQUEST"),
            ("a batch", vec![json_type], "[]".into(), 400, "BAD_REQUEST"),
            ("no query", vec![json_type], "{}".into(), 400, "BAD_REQUEST"),
            ("a query that is a number", vec![json_type], json!({ "query": 1 }).to_string(), 400, "BAD_REQUEST"),
            ("variables that are a list", vec![json_type], json!({ "query": "{ __typename }", "variables": [] }).to_string(), 400, "BAD_REQUEST"),
            ("a form", vec![("content-type", "application/x-www-form-urlencoded")], "query={__typename}".into(), 415, "BAD_REQUEST"),
            ("plain text", vec![("content-type", "text/plain")], "{}".into(), 415, "BAD_REQUEST"),
            ("no content type", vec![], "{}".into(), 415, "BAD_REQUEST"),
            ("another charset", vec![("content-type", "application/json; charset=latin1")], "{}".into(), 415, "BAD_REQUEST"),
            ("more than 1 MB", vec![json_type], big, 413, "BAD_REQUEST"),
            ("a document over 15 kB", vec![json_type, accept], long, 400, "QUERY_TOO_COMPLEX"),
            ("a syntax error", vec![json_type, accept], json!({ "query": "{ viewer { " }).to_string(), 400, "BAD_REQUEST"),
            ("an unknown field", vec![json_type, accept], json!({ "query": "{ nonsense }" }).to_string(), 400, "BAD_REQUEST"),
            ("a variable of the wrong type", vec![json_type, accept], json!({ "query": "query($f: Int) { viewer { tasks(first: $f) { totalCount } } }", "variables": { "f": "x" } }).to_string(), 400, "BAD_REQUEST"),
            ("a missing variable", vec![json_type, accept], json!({ "query": "query($id: ID!) { task(id: $id) { id } }" }).to_string(), 400, "BAD_REQUEST"),
            ("a malformed instant", vec![json_type, accept], json!({ "query": "mutation($i: ReminderCreateInput!) { reminderCreate(input: $i) { userErrors { code } } }", "variables": { "i": { "scheduledAt": "tomorrow" } } }).to_string(), 400, "BAD_REQUEST"),
            ("an unknown operation name", vec![json_type, accept], json!({ "query": "query A { __typename }", "operationName": "B" }).to_string(), 400, "BAD_REQUEST"),
            ("a subscription over HTTP", vec![json_type, accept], json!({ "query": "subscription { notificationEvents { cursor } }" }).to_string(), 400, "BAD_REQUEST"),
        ];
        for (what, headers, body, status, code) in cases {
            let answer = server.client.send(Method::POST, "/graphql", &headers, body).await;
            assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text());
            let errors = answer.json();
            assert_eq!(errors["errors"][0]["extensions"]["code"], code, "{what}: {errors}");
            assert!(errors.get("data").is_none(), "{what}: a request that did not run has no data");
            assert!(answer.body.len() < 2_000, "{what}: the answer echoes the request");
        }
        let mutation = server.client.get("/graphql?query=mutation%7B__typename%7D").await;
        assert_eq!(mutation.status, StatusCode::METHOD_NOT_ALLOWED);
        let other = server.client.send(Method::DELETE, "/graphql", &[], "").await;
        assert_eq!(other.status, StatusCode::METHOD_NOT_ALLOWED);
        let picky = server.client.send(Method::POST, "/graphql", &[json_type, ("accept", "text/html")], "{}").await;
        assert_eq!(picky.status, StatusCode::NOT_ACCEPTABLE);
        assert_eq!(server.ask_as_nobody("{ __typename }", json!({})).await["data"]["__typename"], Json::from("Query"), "it goes on");
    }

    async fn registration_refuses_what_it_cannot_use(server) {
        let register = "mutation($input: AccountRegisterInput!) { accountRegister(input: $input) { registration { id } userErrors { code path } } }";
        for (input, code, field) in [
            (json!({ "name": "A", "email": "ada@example.org", "password": "correct horse battery" }), "TOO_SHORT", "name"),
            (json!({ "name": "Ada", "email": "ada@example.org\r\nBcc: eve@example.org", "password": "correct horse battery" }), "INVALID_EMAIL", "email"),
            (json!({ "name": "Ada", "email": "ada", "password": "correct horse battery" }), "INVALID_EMAIL", "email"),
            (json!({ "name": "Ada", "email": "ada@example.org", "password": "short" }), "TOO_SHORT", "password"),
            (json!({ "name": "Ada", "email": "ada@example.org", "password": "password1" }), "WEAK_PASSWORD", "password"),
            (json!({ "name": "Ada", "email": "ada@example.org", "password": "x".repeat(900_000) }), "TOO_LONG", "password"),
        ] {
            let answer = server.ask_as_nobody(register, json!({ "input": input })).await;
            let error = &answer["data"]["accountRegister"]["userErrors"][0];
            assert_eq!((error["code"].as_str(), &error["path"]), (Some(code), &json!(["input", field])), "{answer}");
        }
        assert_eq!(server.count::<entity::pending_registration::Entity>().await, 0);
    }
}
