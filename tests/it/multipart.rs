//! GraphQL multipart requests: what a client may get wrong, and files that mean harm.

use hyper::{Method, StatusCode};
use sea_orm::EntityTrait;
use support::{
    Json, both,
    files::{self, Sample},
    json,
    uploads::{self, multipart, multipart_type, post, settled, try_send},
};

const QUERY: &str = "mutation($input: AttachmentsCreateInput!) { attachmentsCreate(input: $input) { attachments { id } userErrors { code message path } } }";
const PREFLIGHT: (&str, &str) = ("graphql-require-preflight", "1");

both! {
    async fn a_request_that_breaks_the_protocol_is_refused(server, "UPLOAD_LIMIT" = "1000") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let sample = Sample::new("notes.txt", "text/plain", b"Some notes.".to_vec());
        let operations = json!({ "query": QUERY, "variables": { "input": { "taskId": task, "files": [null] } } });
        let map = json!({ "0": ["variables.input.files.0"] });
        let one = || vec![("0".to_owned(), &sample)];
        let good = multipart(&operations, &map, &one());
        let bare = post(server, &ada, &[], good.clone()).await;
        assert_eq!((bare.status, bare.json()["errors"][0]["extensions"]["code"].as_str()), (StatusCode::BAD_REQUEST, Some("BAD_REQUEST")));
        let kind = multipart_type();
        let nobody = server.client.send(Method::POST, "/graphql", &[("content-type", &kind), PREFLIGHT], good.clone()).await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "{}", nobody.text());
        let cookies = server.client.send(Method::POST, "/graphql", &[("content-type", &kind), PREFLIGHT, ("origin", "https://evil.example"), ("cookie", &format!("accessToken={}", ada.token))], good.clone()).await;
        assert_eq!(cookies.status, StatusCode::UNAUTHORIZED, "a page of another site speaks for nobody");
        let wrong: Vec<(&str, Vec<u8>)> = vec![
            ("no parts", b"----------------------------nothing".to_vec()),
            ("no map", multipart(&operations, &json!(7), &one())),
            ("a path that leads nowhere", multipart(&operations, &json!({ "0": ["variables.input.files.1"] }), &one())),
            ("a path out of the variables", multipart(&operations, &json!({ "0": ["query"] }), &one())),
            ("a path to a value", multipart(&operations, &json!({ "0": ["variables.input.taskId"] }), &one())),
            ("no path", multipart(&operations, &json!({ "0": [] }), &one())),
            ("a path twice", multipart(&operations, &json!({ "0": ["variables.input.files.0"], "1": ["variables.input.files.0"] }), &one())),
            ("a file that is missing", multipart(&operations, &map, &[])),
            ("a file too many", multipart(&operations, &map, &[("0".into(), &sample), ("1".into(), &sample)])),
            ("a file twice", multipart(&operations, &map, &[("0".into(), &sample), ("0".into(), &sample)])),
            ("a batch", multipart(&json!([operations]), &map, &one())),
            ("no query", multipart(&json!({ "variables": {} }), &map, &one())),
            ("text", multipart(&json!("operations"), &map, &one())),
            ("cut off", good[..good.len() - 20].to_vec()),
            ("eleven files", multipart(&operations, &Json::Object((0..11).map(|n| (n.to_string(), json!([format!("variables.input.files.{n}")]))).collect()), &one())),
        ];
        for (what, body) in wrong {
            let answer = post(server, &ada, &[PREFLIGHT], body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{what}: {}", answer.text());
            assert_eq!(answer.json()["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{what}");
        }
        let forged = server.ask(&ada, QUERY, json!({ "input": { "taskId": task, "files": ["#upload:0"] } })).await;
        assert_eq!(forged["data"]["attachmentsCreate"]["userErrors"][0]["code"], "INVALID_VALUE", "no file without multipart: {forged}");
        for mark in ["#upload:99999999999999999999", "#upload:-1", "#upload:", "x"] {
            let forged = server.ask(&ada, QUERY, json!({ "input": { "taskId": task, "files": [mark] } })).await;
            assert_eq!(forged["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{forged}");
        }
        let stranger = multipart(&json!({ "query": QUERY, "variables": { "input": { "taskId": task, "files": [null] } } }), &map, &one());
        assert_eq!(post(server, &ada, &[PREFLIGHT], stranger).await.status, StatusCode::OK);
        assert_eq!(entity::attachment::Entity::find().all(server.app.platform.db.read()).await.expect("read").len(), 1);
    }

    async fn a_file_that_is_too_large_is_refused_while_it_comes(server, "FILE_LIMIT" = "100000") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let large = Sample::new("large.txt", "text/plain", vec![b'a'; 100_001]);
        let answer = try_send(server, &ada, &task, &[&large]).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answer.text());
        let exact = Sample::new("exact.txt", "text/plain", vec![b'a'; 100_000]);
        let answer = try_send(server, &ada, &task, &[&exact]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }

    async fn a_megabyte_before_a_part_is_not_waited_for(server) {
        let ada = server.person("Ada").await;
        let content_type = multipart_type();
        let boundary = content_type.split_once("boundary=").expect("a boundary").1;
        let operations = json!({ "query": QUERY, "variables": { "input": { "taskId": server.task(&ada, "Files").await, "files": [null] } } });
        let operations = multipart(&operations, &json!({ "0": ["variables.input.files.0"] }), &[]);
        let operations = String::from_utf8(operations).expect("text").replace(&format!("--{boundary}--"), &format!("--{boundary}"));
        for (what, begins) in [
            ("before the first part", String::new()),
            ("in the head of the first part", format!("--{boundary}\r\nx: ")),
            ("in the name of the first part", format!("--{boundary}\r\ncontent-disposition: form-data; name=\"")),
            ("in the blanks behind a boundary", format!("--{boundary} ")),
            ("in the head of another part", format!("{operations}x: ")),
        ] {
            let filler = if begins.ends_with("spacedly ") { b' ' } else { b'a' };
            let body = [begins.into_bytes(), vec![filler; 1_000_000]].concat();
            let began = std::time::Instant::now();
            let answer = post(server, &ada, &[PREFLIGHT], body).await;
            assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{what}: {}", answer.text());
            assert!(began.elapsed().as_secs() < 10, "{what}: {:?}", began.elapsed());
        }
    }

    async fn an_upload_that_crawls_is_cut_off(server, "BODY_TIMEOUT" = "500ms", "UPLOAD_RATE" = "1000000") {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let ada = server.person("Ada").await;
        for head in [
            format!("POST /graphql HTTP/1.1\r\ncontent-type: {}\r\nauthorization: Bearer {}\r\ngraphql-require-preflight: 1\r\n", multipart_type(), ada.token),
            "PUT /spacedly-files/files/x HTTP/1.1\r\n".to_owned(),
        ] {
            let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.expect("connected");
            socket.write_all(format!("{head}host: x\r\ncontent-length: 100000\r\n\r\n--").as_bytes()).await.expect("sent");
            let mut answer = String::new();
            let told = tokio::time::timeout(std::time::Duration::from_secs(15), socket.read_to_string(&mut answer)).await;
            assert!(told.is_ok() && answer.starts_with("HTTP/1.1 4"), "{head}: {answer}");
        }
    }

    async fn a_file_that_means_harm_is_not_stored(server, "UPLOAD_LIMIT" = "100000", "FILES_PER_TASK" = "1000") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Files").await;
        let hostile = files::hostile();
        assert!(hostile.len() >= 40, "{}", hostile.len());
        for hostile in &hostile {
            let (what, sample) = (format!("{} ({})", hostile.what, hostile.file.name), &hostile.file);
            let sent = try_send(server, &ada, &task, &[sample]).await.json();
            let payload = &sent["data"]["attachmentsCreate"];
            if let Some(told) = payload["userErrors"][0]["message"].as_str() {
                assert!(!told.is_empty(), "{what}");
                continue;
            }
            let id = payload["attachments"][0]["id"].as_str().unwrap_or_else(|| panic!("{what}: {sent}"));
            let file = settled(server, &ada, id).await;
            assert_eq!(file["status"], "REJECTED", "{what}: {file}");
            let why = file["rejection"].as_str().unwrap_or_default();
            assert!(why.to_lowercase().contains(&hostile.says.to_lowercase()), "{what}: {why}");
            assert_eq!((file["downloadUrl"].clone(), file["thumbnailUrl"].clone()), (Json::Null, Json::Null), "{what}");
        }
        server.jobs_are_done().await;
        assert_eq!((uploads::files_left(server).await, uploads::used(server, &ada).await), (0, (0, 0)), "none is stored");
    }
}
