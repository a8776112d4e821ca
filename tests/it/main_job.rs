//! The main job, from the front door to the delivered reminder.

use chrono::TimeDelta;
use hyper::Method;
use support::{Json, both, json, until};

const EVENTS: &str = "subscription($after: Cursor) { notificationEvents(after: $after) {
    cursor kind unreadNotificationCount notification { id title message type task { id } } } }";

both! {
    async fn a_reminder_comes_live_and_by_mail_at_its_moment(server, "ACCESS_TOKEN_LIFETIME" = "1d") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        let mut socket = server.socket(Some(&ada)).await;
        socket.subscribe("1", EVENTS, json!({})).await;
        let reminder = server.reminder(&ada, &task, TimeDelta::minutes(90)).await;
        assert!(socket.is_quiet_for(std::time::Duration::from_millis(300)).await, "nothing comes before its moment");
        assert!(server.mails(&ada.email).await.iter().all(|mail| !mail.subject.starts_with("Reminder")));

        server.advance(TimeDelta::minutes(30));
        let mail = server.mail_to(&ada.email, "Reminder: Write the report is due soon").await;
        assert!(mail.text.contains("Write the report") && mail.html.contains("Write the report"));

        server.advance(TimeDelta::minutes(60));
        let event = socket.next().await;
        let event = &event["payload"]["data"]["notificationEvents"];
        assert_eq!(event["kind"], "ARRIVED", "{event}");
        assert_eq!(event["unreadNotificationCount"], 1);
        assert_eq!(event["notification"]["type"], "REMINDER");
        assert_eq!(event["notification"]["task"]["id"], task.as_str());
        let ledger = "query($id: ID!) { reminder(id: $id) { status overdue deliveries { channel state latenessMs attempts error } } }";
        let ledger = until("both channels to be sent", || async {
            let found = server.data(&ada, ledger, json!({ "id": reminder })).await;
            let deliveries = found["reminder"]["deliveries"].as_array().cloned().unwrap_or_default();
            deliveries.iter().all(|delivery| delivery["state"] == "SENT").then_some(found)
        }).await;
        assert_eq!(ledger["reminder"]["status"], "PENDING", "the person completes it, not its delivery");
        assert_eq!(ledger["reminder"]["overdue"], true);
        assert_eq!(ledger["reminder"]["deliveries"].as_array().map(Vec::len), Some(2));
        let viewer = server.data(&ada, "{ viewer { unreadNotificationCount notifications { totalCount nodes { title } } } }", json!({})).await;
        assert_eq!(viewer["viewer"]["unreadNotificationCount"], 1);
        assert_eq!(viewer["viewer"]["notifications"]["totalCount"], 1);
    }

    async fn tokens_and_cookies_are_both_accepted(server) {
        let ada = server.person("Ada").await;
        let log_in = |transport: &str| json!({
            "query": "mutation($input: SessionCreateInput!) { sessionCreate(input: $input) {
                user { name } session { id } tokens { accessToken refreshToken } userErrors { code } } }",
            "variables": { "input": { "email": "ADA@example.org", "password": "correct horse battery", "transport": transport } },
        }).to_string();
        let headers = [("content-type", "application/json")];
        let answer = server.client.send(Method::POST, "/graphql", &headers, log_in("TOKENS")).await;
        let tokens = &answer.json()["data"]["sessionCreate"]["tokens"];
        assert!(tokens["accessToken"].is_string() && tokens["refreshToken"].is_string());
        assert!(answer.headers.get("set-cookie").is_none(), "cookies were not asked for");

        let answer = server.client.send(Method::POST, "/graphql", &headers, log_in("COOKIES")).await;
        assert_eq!(answer.json()["data"]["sessionCreate"]["tokens"], Json::Null, "tokens were not asked for");
        let cookies: Vec<&str> = answer.headers.get_all("set-cookie").iter().map(|c| c.to_str().expect("text")).collect();
        assert_eq!(cookies.len(), 3, "access, refresh, device: {cookies:?}");
        assert!(cookies.iter().all(|cookie| cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax")));
        assert!(cookies.iter().any(|c| c.starts_with("refreshToken=") && c.contains("Path=/graphql")));
        let access = cookies.iter().find(|c| c.starts_with("accessToken=")).expect("the access cookie");
        let cookie = access.split(';').next().expect("a pair");
        let viewer = json!({ "query": "{ viewer { email } }" }).to_string();
        let headers = [("content-type", "application/json"), ("cookie", cookie)];
        let answer = server.client.send(Method::POST, "/graphql", &headers, viewer.clone()).await;
        assert_eq!(answer.json()["data"]["viewer"]["email"], "ada@example.org");
        let foreign = [("content-type", "application/json"), ("cookie", cookie), ("origin", "https://evil.example")];
        let answer = server.client.send(Method::POST, "/graphql", &foreign, viewer).await;
        assert_eq!(answer.json()["data"]["viewer"], Json::Null, "another site's page cannot use the cookie");
        let me = server.data(&ada, "{ viewer { id } }", json!({})).await;
        assert_eq!(me["viewer"]["id"], ada.id.as_str());
    }

    async fn a_badge_begins_with_a_count_and_its_place_in_the_stream(server) {
        let ada = server.person("Ada").await;
        let badge = || async { server.data(&ada, "{ viewer { notificationBadge { unreadCount cursor } } }", json!({})).await["viewer"]["notificationBadge"].clone() };
        let complete = async |task: String| {
            let done = "mutation($id: ID!) { taskComplete(input: { id: $id }) { userErrors { code } } }";
            server.data(&ada, done, json!({ "id": task })).await;
        };
        assert_eq!(badge().await["unreadCount"], 0);
        let mut socket = server.socket(Some(&ada)).await;
        socket.subscribe("from nothing", EVENTS, json!({ "after": badge().await["cursor"] })).await;
        complete(server.task(&ada, "One").await).await;
        assert_eq!(socket.next().await["payload"]["data"]["notificationEvents"]["unreadNotificationCount"], 1);
        let before = badge().await;
        assert_eq!(before["unreadCount"], 1);
        complete(server.task(&ada, "Two").await).await;
        let mut later = server.socket(Some(&ada)).await;
        later.subscribe("from there", EVENTS, json!({ "after": before["cursor"] })).await;
        let event = later.next().await["payload"]["data"]["notificationEvents"].clone();
        assert_eq!(event["unreadNotificationCount"], 2, "what came between the query and the subscription: {event}");
        assert_eq!(badge().await, json!({ "unreadCount": 2, "cursor": event["cursor"] }));
    }

    async fn a_stream_goes_on_from_its_cursor_without_gap_or_repeat(server) {
        let ada = server.person("Ada").await;
        let mut cursors = Vec::new();
        let mut socket = server.socket(Some(&ada)).await;
        socket.subscribe("live", EVENTS, json!({})).await;
        // The subscription is open once its own operation was begun: a query on the same socket comes after it.
        socket.subscribe("ping", "{ __typename }", json!({})).await;
        while socket.next().await["type"] != "complete" {}
        for number in 0..5 {
            let task = server.task(&ada, &format!("Task {number}")).await;
            server.data(&ada, "mutation($id: ID!) { taskComplete(input: { id: $id }) { task { id } } }", json!({ "id": task })).await;
            let event = socket.next().await;
            let event = &event["payload"]["data"]["notificationEvents"];
            assert_eq!(event["unreadNotificationCount"], number + 1, "{event}");
            cursors.push(event["cursor"].clone());
        }
        drop(socket);
        let mut socket = server.socket(Some(&ada)).await;
        socket.subscribe("again", EVENTS, json!({ "after": cursors[1] })).await;
        for cursor in &cursors[2..] {
            assert_eq!(&socket.next().await["payload"]["data"]["notificationEvents"]["cursor"], cursor);
        }
        let read = "mutation($id: ID!) { notificationMarkRead(input: { id: $id }) { notification { readAt } userErrors { code } } }";
        let list = server.data(&ada, "{ viewer { notifications(first: 1) { nodes { id title } } } }", json!({})).await;
        let newest = list["viewer"]["notifications"]["nodes"][0]["id"].clone();
        server.data(&ada, read, json!({ "id": newest })).await;
        let event = socket.next().await;
        let event = &event["payload"]["data"]["notificationEvents"];
        assert_eq!((event["kind"].as_str(), event["unreadNotificationCount"].as_i64()), (Some("READ"), Some(4)));
        server.data(&ada, read, json!({ "id": newest })).await;
        assert!(socket.is_quiet_for(std::time::Duration::from_millis(200)).await, "reading twice changes nothing");
        let refused = server.socket(Some(&ada)).await;
        let mut refused = refused;
        refused.subscribe("x", EVENTS, json!({ "after": "99999" })).await;
        assert_eq!(refused.next().await["payload"]["errors"][0]["extensions"]["code"], "CURSOR_EXPIRED");
    }
}
