//! Acknowledged writes stay, whoever hangs up (sqlx #4393: a future cancelled during BEGIN leaves its connection inside
//! a transaction, and later writes on it are acknowledged and never committed).

use std::time::Duration;

use support::{both, json, text};
use tokio::io::AsyncWriteExt;

both! {
    async fn clients_that_hang_up_lose_nobody_elses_writes(server, "DATABASE_WRITERS" = "4") {
        let ada = server.person("Ada").await;
        let create = "mutation($title: String!) { taskCreate(input: { title: $title }) { task { id } } }";
        let mut kept = Vec::new();
        for round in 0..40u64 {
            let hang_up = (0..4u64).map(|number| {
                let body = json!({ "query": create, "variables": { "title": format!("Gone {round} {number}") } }).to_string();
                let request = format!(
                    "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
                    ada.token, body.len(),
                );
                let port = server.port;
                async move {
                    let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
                    socket.write_all(request.as_bytes()).await.expect("sent");
                    // Somewhere between reading the request and committing.
                    tokio::time::sleep(Duration::from_micros(200 * (round * 4 + number))).await;
                }
            });
            let stay = server.data(&ada, create, json!({ "title": format!("Stay {round}") }));
            let (_, stayed) = tokio::join!(futures_util::future::join_all(hang_up), stay);
            kept.push(text(&stayed, "/taskCreate/task/id"));
        }
        let after = server.data(&ada, create, json!({ "title": "After all" })).await;
        kept.push(text(&after, "/taskCreate/task/id"));
        let there = server.data(&ada, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": kept })).await;
        let lost = there["nodes"].as_array().expect("a list").iter().filter(|node| node.is_null()).count();
        assert_eq!(lost, 0, "of {} acknowledged", kept.len());
    }
}
