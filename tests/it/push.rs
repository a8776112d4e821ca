//! Push messages: from the reminder to the browser, by an independent receiver (npm `http_ece`) that decrypts them.

use chrono::TimeDelta;
use support::{Client, Json, Person, Server, both, json, process::Script, until};

const SUBSCRIBE: &str = "mutation($input: PushSubscriptionCreateInput!) { pushSubscriptionCreate(input: $input) {
    pushSubscription { id service current lastUsedAt } user { pushSubscriptions { id } }
    userErrors { code message path } } }";

/// A push service with browsers behind it.
struct Receiver {
    script: Script,
    origin: String,
}

impl Receiver {
    fn start() -> Self {
        let (script, first) = Script::start(&["push.mjs"]);
        Self { script, origin: first["origin"].as_str().expect("an origin").to_owned() }
    }

    /// Registers a browser whose push service answers as ordered.
    async fn browser(&self, server: &Server, person: &Person, orders: &str) -> Json {
        let key = server.ask_as_nobody("{ pushPublicKey }", json!({})).await["data"]["pushPublicKey"]
            .as_str()
            .expect("a key")
            .to_owned();
        let made = Client::new(&self.origin).get(&format!("/subscribe?key={key}&{orders}")).await.json();
        let input =
            json!({ "endpoint": made["endpoint"], "p256dh": made["keys"]["p256dh"], "auth": made["keys"]["auth"] });
        let mut answer = server.data(person, SUBSCRIBE, json!({ "input": input })).await;
        assert_eq!(answer["pushSubscriptionCreate"]["userErrors"], json!([]), "{answer}");
        let made = answer["pushSubscriptionCreate"]["pushSubscription"].take();
        let all = answer["pushSubscriptionCreate"]["user"]["pushSubscriptions"].as_array().expect("a list");
        assert!(all.iter().any(|browser| browser["id"] == made["id"]), "the list in the same answer has it: {answer}");
        made
    }
}

async fn browsers(server: &Server, person: &Person) -> usize {
    let seen = server
        .data(person, "{ viewer { pushSubscriptions { id service current lastUsedAt createdAt } } }", json!({}))
        .await;
    seen["viewer"]["pushSubscriptions"].as_array().expect("a list").len()
}

async fn push_reminder(server: &Server, person: &Person, task: &str) -> String {
    let create = "mutation($input: ReminderCreateInput!) { reminderCreate(input: $input) { reminder { id } userErrors { code } } }";
    let input = json!({ "taskId": task, "scheduledAt": server.at(TimeDelta::minutes(5)), "type": "PUSH", "message": "Bring it – ünïcode 🔔" });
    let made = server.data(person, create, json!({ "input": input })).await;
    made["reminderCreate"]["reminder"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

async fn ledger(server: &Server, person: &Person, id: &str) -> (String, Json) {
    let query = "query($id: ID!) { reminder(id: $id) { whyNotDelivered deliveries { channel state error attempts } } }";
    let seen = server.data(person, query, json!({ "id": id })).await["reminder"].take();
    let push = seen["deliveries"]
        .as_array()
        .expect("a ledger")
        .iter()
        .find(|it| it["channel"] == "PUSH")
        .expect("a push")
        .clone();
    (push["state"].as_str().expect("a state").to_owned(), seen["whyNotDelivered"].clone())
}

both! {
    async fn a_reminder_is_pushed_and_read_in_the_browser(server, "PUSH_ALLOW_PRIVATE" = "true", "ACCESS_TOKEN_LIFETIME" = "30d") {
        let mut receiver = Receiver::start();
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        let made = receiver.browser(server, &ada, "").await;
        assert_eq!((made["current"].as_bool(), made["service"].as_str()), (Some(true), Some("127.0.0.1")));
        let id = push_reminder(server, &ada, &task).await;
        server.advance(TimeDelta::minutes(6));
        until("the push", || async { (ledger(server, &ada, &id).await.0 == "SENT").then_some(()) }).await;
        let came = receiver.script.next_line();
        let message: Json = serde_json::from_str(came["text"].as_str().expect("a text")).expect("JSON");
        assert_eq!(message, json!({ "type": "REMINDER", "title": "Write the report", "body": "Bring it – ünïcode 🔔", "url": "http://localhost:8080/tasks" }));
        assert_eq!((came["urgency"].as_str(), came["ttl"].as_str(), came["vapid"]["claims"]["sub"].as_str()), (Some("high"), Some("86400"), Some("mailto:hello@spacedly.localhost")), "{came}");
        let sent = server.data(&ada, "mutation { pushTest { sentCount userErrors { message } } }", json!({})).await;
        assert_eq!(sent["pushTest"]["sentCount"], 1);
    }

    async fn a_push_with_nowhere_to_go_says_so_and_one_that_is_refused_comes_later(server, "PUSH_ALLOW_PRIVATE" = "true", "ACCESS_TOKEN_LIFETIME" = "30d") {
        let receiver = Receiver::start();
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        let none = push_reminder(server, &ada, &task).await;
        server.advance(TimeDelta::minutes(6));
        let why = until("the ledger", || async { Some(ledger(server, &ada, &none).await).filter(|(state, _)| state == "SKIPPED") }).await.1;
        assert_eq!(why, "By push: No browser is registered for push.");
        receiver.browser(server, &ada, "status=503,201").await;
        let later = push_reminder(server, &ada, &task).await;
        server.advance(TimeDelta::minutes(6));
        until("the refusal", || async { ledger(server, &ada, &later).await.1.as_str().is_some_and(|why| why.contains("503")).then_some(()) }).await;
        server.advance(TimeDelta::minutes(2));
        until("the second try", || async { (ledger(server, &ada, &later).await.0 == "SENT").then_some(()) }).await;
    }

    async fn a_push_service_that_names_a_time_is_not_asked_before(server, "PUSH_ALLOW_PRIVATE" = "true", "ACCESS_TOKEN_LIFETIME" = "30d") {
        let receiver = Receiver::start();
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        receiver.browser(server, &ada, "status=429,201&retryAfter=7200").await;
        let id = push_reminder(server, &ada, &task).await;
        server.advance(TimeDelta::minutes(6));
        until("the refusal", || async { ledger(server, &ada, &id).await.1.as_str().is_some_and(|why| why.contains("429")).then_some(()) }).await;
        server.advance(TimeDelta::minutes(110));
        server.jobs_are_done().await;
        assert_ne!(ledger(server, &ada, &id).await.0, "SENT", "two hours were asked for");
        // A tenth more than what was asked for, at most.
        server.advance(TimeDelta::minutes(25));
        until("the second try", || async { (ledger(server, &ada, &id).await.0 == "SENT").then_some(()) }).await;
    }

    async fn a_browser_that_is_gone_or_logged_out_gets_nothing(server, "PUSH_ALLOW_PRIVATE" = "true", "PUSH_TEST_LIMIT" = "100") {
        let receiver = Receiver::start();
        let ada = server.person("Ada").await;
        let test = async || server.data(&ada, "mutation { pushTest { sentCount userErrors { code message } } }", json!({})).await["pushTest"].take();
        receiver.browser(server, &ada, "status=410").await;
        assert_eq!(test().await["userErrors"][0]["code"], "WRONG_STATE");
        assert_eq!(browsers(server, &ada).await, 0, "gone is forgotten at once");
        receiver.browser(server, &ada, "status=403").await;
        for left in [1, 1, 0] {
            test().await;
            assert_eq!(browsers(server, &ada).await, left, "the third refusal in a row");
        }
        let made = receiver.browser(server, &ada, "").await;
        assert_eq!(test().await["sentCount"], 1);
        let eve = server.person("Eve").await;
        let delete = "mutation($id: ID!) { pushSubscriptionDelete(input: { id: $id }) { deletedPushSubscriptionId user { pushSubscriptions { id } } } }";
        let stranger = server.ask(&eve, delete, json!({ "id": made["id"] })).await;
        assert_eq!(stranger["errors"][0]["extensions"]["code"], "NOT_FOUND");
        let again = server.client.log_in_answer(&ada.email, "correct horse battery").await;
        let other = Person { token: again["data"]["sessionCreate"]["tokens"]["accessToken"].as_str().unwrap_or_else(|| panic!("{again}")).to_owned(), ..ada.clone() };
        assert_eq!(browsers(server, &other).await, 1, "seen from another session");
        server.data(&other, "mutation { sessionRevokeOthers { userErrors { code } } }", json!({})).await;
        assert_eq!(browsers(server, &other).await, 0, "its session was ended");
        let last = receiver.browser(server, &other, "").await;
        let gone = server.data(&other, delete, json!({ "id": last["id"] })).await["pushSubscriptionDelete"].take();
        assert_eq!(gone, json!({ "deletedPushSubscriptionId": last["id"], "user": { "pushSubscriptions": [] } }));
    }

    async fn endpoints_that_lead_inside_are_refused(server) {
        let ada = server.person("Ada").await;
        let keys = ("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4", "BTBZMqHH6r4Tts7J_aSIgg");
        for endpoint in [
            "http://push.example.net/a", "https://127.0.0.1/a", "https://localhost/a", "https://10.0.0.1/a", "https://[::1]/a", "https://169.254.169.254/latest", "https://0x7f000001/a",
            "https://2130706433/a", "https://192.168.1.1./a", "https://[::ffff:127.0.0.1]/a", "https://metadata.internal/a", "https://user:pw@push.example.net/a", "ftp://push.example.net", "nonsense", "",
        ] {
            let input = json!({ "endpoint": endpoint, "p256dh": keys.0, "auth": keys.1 });
            let told = server.data(&ada, SUBSCRIBE, json!({ "input": input })).await;
            assert_eq!(told["pushSubscriptionCreate"]["userErrors"][0]["path"], json!(["input", "endpoint"]), "{endpoint}: {told}");
        }
        for (p256dh, auth, field) in [("AAAA", keys.1, "p256dh"), (keys.0, "AAAA", "auth")] {
            let told = server.data(&ada, SUBSCRIBE, json!({ "input": { "endpoint": "https://push.example.net/a", "p256dh": p256dh, "auth": auth } })).await;
            assert_eq!(told["pushSubscriptionCreate"]["userErrors"][0]["path"], json!(["input", field]), "{told}");
        }
        let fine = server.data(&ada, SUBSCRIBE, json!({ "input": { "endpoint": "https://push.example.net/a", "p256dh": keys.0, "auth": keys.1 } })).await;
        assert_eq!(fine["pushSubscriptionCreate"]["pushSubscription"]["service"], "push.example.net");
    }
}
