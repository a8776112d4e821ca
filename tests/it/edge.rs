//! The edge: headers, origins, compression, health, pages, and the socket protocol's limits.

use hyper::{Method, StatusCode};
use support::{Server, Socket, both, json, until};

/// Says this on a connection of its own. Gives what came until the server cut it.
async fn until_cut(server: &Server, said: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut open = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.expect("connected");
    open.write_all(said.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), open.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(ended.is_ok(), "{said:?} holds a connection: {answer}");
    answer
}

both! {
    async fn every_answer_carries_its_headers(server) {
        for path in ["/graphql?query=%7B__typename%7D", "/health/live", "/dev/mailbox", "/nonsense"] {
            let answer = server.client.get(path).await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
            assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
            assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
            assert!(!answer.header("x-request-id").is_empty(), "{path}");
            assert!(answer.header("access-control-allow-origin").is_empty(), "{path}");
        }
        let given = server.client.send(Method::GET, "/health/live", &[("x-request-id", "my-request-1")], "").await;
        assert_eq!(given.header("x-request-id"), "my-request-1");
        let odd = server.client.send(Method::GET, "/health/live", &[("x-request-id", "a b;c\"d")], "").await;
        assert_ne!(odd.header("x-request-id"), "a b;c\"d");
    }

    async fn the_page_of_another_site_cannot_spend_what_is_not_its(server) {
        let ask = |site: &'static str, mode: &'static str| async move {
            let headers = [("sec-fetch-site", site), ("sec-fetch-mode", mode)];
            server.client.send(Method::GET, "/graphql?query=%7B__typename%7D", &headers, "").await.status
        };
        for (site, mode) in [("cross-site", "navigate"), ("cross-site", "no-cors"), ("same-site", "no-cors")] {
            assert_eq!(ask(site, mode).await, StatusCode::FORBIDDEN, "{site} {mode}: it could not read the answer");
        }
        for (site, mode) in [("cross-site", "cors"), ("same-origin", "cors"), ("same-origin", "navigate"), ("none", "navigate")] {
            assert_eq!(ask(site, mode).await, StatusCode::OK, "{site} {mode}");
        }
        // By CORS, for whose answers browsers look at who may read them.
        for (origin, status) in [("http://localhost:8080", StatusCode::OK), ("https://evil.example", StatusCode::FORBIDDEN)] {
            let headers = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors"), ("origin", origin)];
            let answer = server.client.send(Method::GET, "/graphql?query=%7B__typename%7D", &headers, "").await;
            assert_eq!((answer.status, answer.header("ratelimit").is_empty()), (status, status != StatusCode::OK), "{origin}");
        }
    }

    async fn the_page_of_another_site_cannot_spend_an_export(server, "EXPORT_LIMIT" = "3") {
        let ada = server.person("Ada").await;
        let cookie = format!("accessToken={}", ada.token);
        let ask = async |site: &str, mode: &str| {
            let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", site), ("sec-fetch-mode", mode)];
            server.client.send(Method::GET, "/graphql/export", &headers, "").await
        };
        for (site, mode) in [("cross-site", "navigate"), ("cross-site", "no-cors"), ("same-site", "no-cors")] {
            let refused = ask(site, mode).await;
            assert_eq!((refused.status, &refused.json()["errors"][0]["extensions"]["code"]), (StatusCode::FORBIDDEN, &json!("FORBIDDEN")), "{site} {mode}");
        }
        // A link of a front end, of a page of the API, and an address that somebody wrote: all three were left.
        for (site, mode) in [("same-site", "navigate"), ("same-origin", "navigate"), ("none", "navigate")] {
            assert_eq!(ask(site, mode).await.status, StatusCode::OK, "{site} {mode}");
        }
        assert_eq!(ask("cross-site", "cors").await.status, StatusCode::TOO_MANY_REQUESTS, "who may read it may ask, too");
    }

    async fn only_allowed_origins_may_call_with_cookies(server) {
        let preflight = |origin: &'static str| async move {
            let headers = [("origin", origin), ("access-control-request-method", "POST"), ("access-control-request-headers", "content-type")];
            server.client.send(Method::OPTIONS, "/graphql", &headers, "").await
        };
        let allowed = preflight("http://localhost:8080").await;
        assert_eq!(allowed.status, StatusCode::NO_CONTENT);
        assert_eq!(allowed.header("access-control-allow-origin"), "http://localhost:8080");
        assert_eq!(allowed.header("access-control-allow-credentials"), "true");
        assert_eq!(allowed.header("access-control-max-age"), "600");
        for origin in ["https://evil.example", "http://localhost:8080.evil.example", "null"] {
            let refused = preflight(origin).await;
            for name in ["access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers"] {
                assert_eq!(refused.header(name), "", "{origin} {name}");
            }
            assert_eq!(Socket::open_with(server.port, &[("origin", origin)]).await.err(), Some(403), "{origin}");
        }
        let own = format!("http://127.0.0.1:{}", server.port);
        for origin in ["http://localhost:8080", &own] {
            assert!(Socket::open_with(server.port, &[("origin", origin)]).await.is_ok(), "{origin}");
        }
    }

    async fn the_page_of_an_allowed_origin_may_read_what_its_program_goes_by(server, "COST_BUDGET" = "12") {
        let ada = server.person("Ada").await;
        let (bearer, body) = (format!("Bearer {}", ada.token), json!({ "query": "{ __typename }" }).to_string());
        let ask = async |origin: &str, accept: &str| {
            let headers = [("content-type", "application/json"), ("accept", accept), ("origin", origin), ("authorization", &bearer)];
            server.client.send(Method::POST, "/graphql", &headers, body.clone()).await
        };
        let (own, response, events) = ("http://localhost:8080", "application/graphql-response+json", "text/event-stream");
        let foreign = ["https://evil.example", "http://localhost:8080.evil.example", "http://localhost:8081", "https://localhost:8080", "null"];
        let always = ["x-request-id", "ratelimit", "ratelimit-policy"];
        // Each of these six pays a point, until there are none.
        for (accept, status) in [(response, StatusCode::OK), (events, StatusCode::OK), (response, StatusCode::TOO_MANY_REQUESTS)] {
            let answer = ask(own, accept).await;
            assert_eq!(answer.status, status, "{}", answer.text());
            assert_eq!((answer.header("access-control-allow-origin"), answer.header("access-control-allow-credentials")), (own, "true"), "{accept}");
            // A page is shown a few harmless headers, and of the others those that are named (Fetch, section 3.3.4).
            let exposed: Vec<String> = answer.header("access-control-expose-headers").split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
            for name in always.into_iter().chain(["retry-after"]) {
                assert!(exposed.iter().any(|exposed| exposed == name), "{name} in {exposed:?}");
            }
            assert_eq!(exposed.len(), 4, "and nothing else: {exposed:?}");
            let there: Vec<bool> = always.into_iter().chain(["retry-after"]).map(|name| answer.headers.contains_key(name)).collect();
            assert_eq!(there, [true, true, true, status == StatusCode::TOO_MANY_REQUESTS], "{accept} {status}: {:?}", answer.headers);
            for origin in foreign {
                let answer = ask(origin, accept).await;
                assert_eq!(answer.status, status, "{origin}: a token speaks for itself");
                for name in ["access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers"] {
                    assert!(!answer.headers.contains_key(name), "{origin} is shown {name}: {:?}", answer.headers);
                }
            }
        }
    }

    async fn large_answers_are_compressed_and_small_ones_are_not(server) {
        let introspection = json!({ "query": "{ __schema { types { name description fields { name description } } } }" }).to_string();
        for (encoding, expected) in [("gzip", "gzip"), ("br, gzip", "br"), ("identity", ""), ("gzip;q=0", "")] {
            let headers = [("content-type", "application/json"), ("accept-encoding", encoding)];
            let answer = server.client.send(Method::POST, "/graphql", &headers, introspection.clone()).await;
            assert_eq!(answer.header("content-encoding"), expected, "{encoding}");
        }
        let headers = [("content-type", "application/json"), ("accept-encoding", "gzip")];
        let small = server.client.send(Method::POST, "/graphql", &headers, r#"{"query":"{__typename}"}"#).await;
        assert_eq!(small.header("content-encoding"), "");
    }

    async fn health_and_pages_answer(server) {
        assert_eq!(server.client.get("/health/live").await.text(), "ok");
        let ready = server.client.get("/health/ready").await;
        assert_eq!((ready.status, ready.json()), (StatusCode::OK, json!({ "database": "ok", "bus": "ok", "mail": "ok", "server": "ok", "storage": "ok" })));
        let page = server.client.get("/").await;
        assert!(page.text().contains("Spacedly GraphiQL"));
        let policy = page.header("content-security-policy");
        assert!(policy.contains("script-src 'self'"), "{policy}");
        assert!(!policy.contains("ws:") && !policy.contains("wss:"), "it holds tokens, and speaks to this server alone: {policy}");
        server.person("Ada").await;
        let list = server.client.send(Method::GET, "/dev/mailbox", &[("accept", "text/html")], "").await;
        assert!(list.text().contains("Your Spacedly code"), "{}", list.text());
        let mails = server.client.get("/dev/mailbox?to=ada@example.org").await.json();
        let id = mails[0]["id"].as_str().expect("an id");
        let shown = server.client.send(Method::GET, &format!("/dev/mailbox/{id}"), &[("accept", "text/html")], "").await;
        assert!(shown.text().contains("<iframe sandbox"), "{}", shown.text());
        assert_eq!(server.client.get("/dev/mailbox/..%2f..%2fsecret.key").await.status, StatusCode::NOT_FOUND);
        assert_eq!(server.client.get("/dev/mailbox?to=nobody@example.org").await.json(), json!([]));
    }

    async fn a_person_has_so_many_sockets_and_no_more(server, "SOCKETS_PER_USER" = "2") {
        let ada = server.person("Ada").await;
        let first = server.socket(Some(&ada)).await;
        let _second = server.socket(Some(&ada)).await;
        let mut third = Socket::open(server.port).await;
        third.send(json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {}", ada.token) } })).await;
        assert_eq!(third.close_code().await, 1013);
        drop(first);
        until("a place to be free", || async {
            let mut again = Socket::open(server.port).await;
            again.send(json!({ "type": "connection_init", "payload": { "authorization": ada.token } })).await;
            tokio::time::timeout(std::time::Duration::from_millis(500), again.next_or_close()).await.ok().flatten()
        }).await;
    }

    async fn an_address_has_so_many_sockets_that_nobody_is_logged_in_on(server, "SOCKETS_PER_ADDRESS" = "2", "SOCKET_INIT_TIMEOUT" = "60s") {
        let ada = server.person("Ada").await;
        let first = server.socket(None).await;
        // One that is logged in is hers, and not the address's.
        let _hers = [server.socket(Some(&ada)).await, server.socket(Some(&ada)).await];
        let _second = server.socket(None).await;
        let mut third = Socket::open(server.port).await;
        third.send(json!({ "type": "connection_init" })).await;
        assert_eq!(third.close_code().await, 1013);
        let stream = [("content-type", "application/json"), ("accept", "text/event-stream")];
        let follow = json!({ "query": "subscription { notificationEvents { cursor } }" }).to_string();
        let stream = server.client.send(Method::POST, "/graphql", &stream, follow).await;
        assert_eq!((stream.status, stream.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"), "{}", stream.text());
        drop(first);
        until("a place to be free", || async {
            let mut again = Socket::open(server.port).await;
            again.send(json!({ "type": "connection_init" })).await;
            again.next_or_close().await
        }).await;
        // Those that say nothing yet are counted apart, until their time is over.
        let _silent = [Socket::open(server.port).await, Socket::open(server.port).await];
        let headers = [("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-version", "13"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")];
        let one_more = server.client.send(Method::GET, "/graphql", &headers, "").await;
        assert_eq!((one_more.status, one_more.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"), "{}", one_more.text());
    }

    async fn a_socket_that_says_nothing_is_closed(server, "SOCKET_INIT_TIMEOUT" = "100ms") {
        let mut silent = Socket::open(server.port).await;
        assert_eq!(silent.close_code().await, 4408);
    }

    async fn a_client_that_is_slow_with_its_headers_is_cut(server, "HEADER_TIMEOUT" = "200ms") {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut slow = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.expect("connected");
        slow.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.expect("sent");
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(std::time::Duration::from_secs(10), slow.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the connection is cut");
    }

    async fn a_connection_that_asks_nothing_is_cut(server, "HEADER_TIMEOUT" = "1s", "KEEP_ALIVE_TIMEOUT" = "1s") {
        let asked = "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";
        let (again, preface) = (format!("{asked}GET /"), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let all = ["", "P", "PRI", "GET / HTTP/1.1\r\nhost: x\r\n", preface, &preface[..18], asked, &again];
        let answers = futures_util::future::join_all(all.iter().map(|said| until_cut(server, said))).await;
        for (said, answer) in all.iter().zip(&answers) {
            let fits = match *said {
                said if said.starts_with(asked) => answer.starts_with("HTTP/1.1 200"),
                // HTTP/2 is not spoken: this is a request of a version that nobody knows.
                said if said.starts_with("PRI *") => answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
                _ => answer.is_empty(),
            };
            assert!(fits, "{said:?}: {answer}");
        }
    }

    /// A proxy asks again on a connection that it has kept for a while.
    async fn a_connection_is_kept_for_the_next_request(server, "HEADER_TIMEOUT" = "200ms") {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut kept = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.expect("connected");
        for _ in 0..2 {
            kept.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
            let mut answer = Vec::new();
            while !answer.ends_with(b"ok") {
                assert!(kept.read_buf(&mut answer).await.expect("read") > 0, "{}", String::from_utf8_lossy(&answer));
            }
            // Longer than the time for the first headers.
            tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        }
    }

    async fn a_client_that_does_not_read_its_answers_is_cut(server, "SOCKET_WRITE_TIMEOUT" = "500ms", "HEADER_TIMEOUT" = "10m", "KEEP_ALIVE_TIMEOUT" = "10m", "CONNECTION_LIMIT" = "1") {
        use tokio::io::AsyncWriteExt;
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        // Little lies on the way then, and it does not take long to fill it.
        socket.set_recv_buffer_size(4_096).expect("set");
        let mut deaf = socket.connect(([127, 0, 0, 1], server.port).into()).await.expect("connected");
        let large = "{__schema{types{name,description,fields{name,description,args{name,description}},inputFields{name,description},enumValues{name,description}}}}";
        let ask = format!("GET /graphql?query={large} HTTP/1.1\r\nhost: x\r\n\r\n").replace('{', "%7B").replace('}', "%7D");
        // Far more than lies on the way: some of it can never be written.
        deaf.write_all(ask.repeat(200).as_bytes()).await.expect("sent");
        // It has the only place there is, until it is cut.
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), server.client.get("/health/live")).await;
        assert_eq!(waited.expect("a place in time").status, StatusCode::OK);
        drop(deaf);
    }

    /// Between two moments at which the server can write lies a part of its buffer, which takes such a client its time.
    async fn a_client_that_reads_slowly_and_steadily_is_not_cut(server, "SOCKET_WRITE_TIMEOUT" = "3s") {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("set");
        let mut slow = socket.connect(([127, 0, 0, 1], server.port).into()).await.expect("connected");
        let large = "{__schema{types{name,description,fields{name,description,args{name,description}},inputFields{name,description},enumValues{name,description}}}}";
        let ask = format!("GET /graphql?query={large} HTTP/1.1\r\nhost: x\r\n\r\n").replace('{', "%7B").replace('}', "%7D");
        slow.write_all(ask.repeat(100).as_bytes()).await.expect("sent");
        let began = tokio::time::Instant::now();
        let mut piece = vec![0; 16 * 1024];
        while began.elapsed() < std::time::Duration::from_secs(8) {
            assert!(slow.read(&mut piece).await.expect("read") > 0, "cut after {:?}", began.elapsed());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    async fn a_client_that_is_slow_with_its_body_is_told(server, "BODY_TIMEOUT" = "200ms") {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut slow = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.expect("connected");
        slow.write_all(b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{").await.expect("sent");
        let mut head = [0; 12];
        slow.read_exact(&mut head).await.expect("an answer");
        assert_eq!(&head, b"HTTP/1.1 408");
    }
}
