//! Sockets whose other end is gone, does not read, or cannot be looked up: how they end, and that nothing of them is
//! left. (Every rule of the protocol itself is in `tests/frontend/socket.mjs`.)

use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::ConnectionTrait;
use support::{Person, Server, Socket, both, json, until};

/// Waits until a person may have one more socket, and gives it.
async fn one_more(server: &Server, person: &Person) -> Socket {
    until("a place to be free", || async {
        let mut socket = Socket::open(server.port).await;
        socket.join(&person.token).await;
        socket.next_or_close().await.map(|_| socket)
    })
    .await
}

/// How many sockets the server holds.
async fn held(server: &Server) -> Option<f64> {
    let metrics = server.client.get("/metrics").await.text();
    let line = |line: &str| line.strip_prefix("spacedly_open_connections{form=\"websocket\"} ")?.parse().ok();
    metrics.lines().find_map(line)
}

/// Makes ten tasks with descriptions as long as they may be.
async fn write_much(server: &Server, person: &Person) {
    let fields: String = (0..5).map(|n| format!("t{n}: taskCreate(input: $input) {{ task {{ id }} }} ")).collect();
    let create = format!("mutation($input: TaskCreateInput!) {{ {fields}}}");
    for _ in 0..2 {
        let input = json!({ "title": "Much", "description": "x".repeat(10_000) });
        let made = server.data(person, &create, json!({ "input": input })).await;
        assert!(made["t4"]["task"]["id"].is_string(), "{made}");
    }
}

both! {
    async fn who_answers_no_ping_is_closed_and_who_answers_stays(server, "SOCKET_PING" = "2s", "SOCKETS_PER_USER" = "1") {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        // Nobody reads it, so that it answers nothing.
        let mut gone = server.socket(Some(&ada)).await;
        let mut there = server.socket(Some(&eve)).await;
        assert!(there.is_quiet_for(Duration::from_secs(5)).await, "two pings are answered meanwhile");
        there.subscribe("1", "{ viewer { name } }", json!({})).await;
        assert_eq!(there.next().await["payload"]["data"]["viewer"]["name"], "Eve");
        let _next = one_more(server, &ada).await;
        assert_eq!(gone.farewell().await, (1001, "No answer to a ping".to_owned()));
    }

    async fn who_never_reads_is_cut_off_and_leaves_nothing_behind(server, "SOCKET_WRITE_TIMEOUT" = "300ms", "SOCKETS_PER_USER" = "1", "SOCKET_SUBSCRIPTIONS" = "20") {
        let ada = server.person("Ada").await;
        write_much(server, &ada).await;
        let aliases: String = (0..15).map(|n| format!("d{n}: description ")).collect();
        // An answer is 1.5 MB; all of them are more than a connection keeps on its way.
        let much = format!("{{ viewer {{ tasks {{ nodes {{ {aliases}}} }} }} }}");
        let mut slow = Socket::open_narrow(server.port).await;
        slow.join(&ada.token).await;
        assert_eq!(slow.next().await["type"], "connection_ack");
        let ask = |n: u32| json!({ "id": n.to_string(), "type": "subscribe", "payload": { "query": much } });
        slow.send_together((0..20).map(ask)).await;
        let _next = one_more(server, &ada).await;
        until("the server to hold that one alone", || async { (held(server).await == Some(1.0)).then_some(()) }).await;
    }

    async fn who_cannot_be_looked_up_is_told_that_it_is_not_their_fault(server) {
        let ada = server.person("Ada").await;
        // A session that was looked up is believed to be there for five seconds.
        server.advance(TimeDelta::seconds(6));
        let db = server.app.platform.db.for_migrations();
        db.execute_unprepared("ALTER TABLE sessions RENAME TO sessions_away").await.expect("renamed");
        let mut socket = Socket::open(server.port).await;
        socket.join(&ada.token).await;
        assert_eq!(socket.farewell().await, (1011, "Internal error".to_owned()));
        db.execute_unprepared("ALTER TABLE sessions_away RENAME TO sessions").await.expect("renamed back");
        server.socket(Some(&ada)).await;
    }
}
