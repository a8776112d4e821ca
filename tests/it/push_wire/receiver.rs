//! Messages as an independent push service and browser see them (`node/push.mjs`).

use std::time::{Duration, Instant};

use super::support::{AUTH, P256DH, Script, get, pusher, settings, text};
use chrono::{TimeDelta, Utc};
use serde_json::{Value as Json, json};
use spacedly::platform::push::{Message, Outcome, PAYLOAD_LIMIT, Pusher, Subscription, Urgency};

struct Receiver {
    script: Script,
    origin: String,
    pusher: Pusher,
}

impl Receiver {
    fn start() -> Self {
        let (script, first) = Script::start(&["push.mjs"]);
        Self { script, origin: text(&first, "/origin").into(), pusher: pusher(true) }
    }

    async fn subscribe(&self, orders: &str) -> Subscription {
        let url = format!("{}/subscribe?key={}&{orders}", self.origin, self.pusher.public_key());
        let made = get(&url).await;
        let (endpoint, key) = (text(&made, "/endpoint"), text(&made, "/keys/p256dh"));
        self.pusher.subscription(endpoint, key, text(&made, "/keys/auth")).expect("a subscription")
    }

    async fn send(&self, orders: &str) -> Outcome {
        let to = self.subscribe(orders).await;
        self.pusher.send(&to, b"hello", Message::default(), Utc::now()).await
    }
}

#[tokio::test]
async fn what_is_sent_is_what_the_browser_reads() {
    let mut receiver = Receiver::start();
    let payload = json!({ "title": "Write the report – ünïcode 🔔", "n": 1 }).to_string();
    for (text_sent, message, expected) in [
        (payload.as_str(), Message::default(), json!({ "ttl": "86400", "urgency": "normal" })),
        (
            "a topic",
            Message { topic: Some("abc-_9"), urgency: Urgency::High, time_to_live: Some(Duration::from_secs(60)) },
            json!({ "ttl": "60", "urgency": "high", "topic": "abc-_9" }),
        ),
        (
            "a long topic",
            Message { topic: Some("reminder_01h455vb4pex5vsknk084sn02q"), urgency: Urgency::Low, time_to_live: None },
            // printf %s reminder_01h455vb4pex5vsknk084sn02q | openssl dgst -sha256 -binary | head -c 24 | basenc --base64url
            json!({ "ttl": "86400", "urgency": "low", "topic": "lr_SdwCV4IzdXjDVTRdUtCuThn2P61ef" }),
        ),
        (
            "not kept",
            Message { topic: Some("a b"), urgency: Urgency::VeryLow, time_to_live: Some(Duration::ZERO) },
            json!({ "ttl": "0", "urgency": "very-low", "topic": "yGh6CKpdbtIEQyj6aml6uOltw0KR6MID" }),
        ),
        (
            "kept for ever",
            Message { time_to_live: Some(Duration::MAX), ..Message::default() },
            json!({ "ttl": "2419200", "urgency": "normal" }),
        ),
        ("", Message::default(), json!({ "ttl": "86400", "urgency": "normal" })),
    ] {
        let to = receiver.subscribe("").await;
        assert_eq!(receiver.pusher.send(&to, text_sent.as_bytes(), message, Utc::now()).await, Outcome::Accepted);
        let came = receiver.script.next_line();
        assert_eq!(text(&came, "/text"), text_sent, "{came}");
        for header in ["ttl", "urgency", "topic"] {
            assert_eq!(came.get(header), expected.get(header), "{header} of {came}");
        }
        assert_eq!(came["vapid"]["mistakes"], json!([]));
        assert_eq!(text(&came, "/vapid/claims/aud"), receiver.origin);
        assert_eq!(text(&came, "/vapid/claims/sub"), "mailto:operator@example.org");
        assert_eq!(text(&came, "/type"), "application/octet-stream");
        assert_eq!(text(&came, "/endpoint"), to.endpoint());
    }
}

#[tokio::test]
async fn the_largest_payload_fits_and_one_byte_more_is_not_sent() {
    let receiver = Receiver::start();
    let to = receiver.subscribe("").await;
    let most = "x".repeat(PAYLOAD_LIMIT);
    assert_eq!(receiver.pusher.send(&to, most.as_bytes(), Message::default(), Utc::now()).await, Outcome::Accepted);
    let more = format!("{most}x");
    assert_eq!(receiver.pusher.send(&to, more.as_bytes(), Message::default(), Utc::now()).await, Outcome::TooLarge);
    let seen = get(&format!("{}/seen?endpoint={}", receiver.origin, to.endpoint())).await;
    assert_eq!(seen.as_array().map(Vec::len), Some(1));
    assert_eq!(seen[0]["bytes"], 4_096);
    assert_eq!(text(&seen, "/0/text"), most);
}

#[tokio::test]
async fn every_answer_has_its_outcome() {
    let receiver = Receiver::start();
    let refused =
        |status, seconds: Option<u64>| Outcome::Refused { status, retry_after: seconds.map(Duration::from_secs) };
    for (orders, outcome) in [
        ("status=201", Outcome::Accepted),
        ("status=202&body=100", Outcome::Accepted),
        ("status=201&body=50000000", Outcome::Accepted),
        // Its body never ends.
        ("status=201&stall", Outcome::Accepted),
        ("status=404", Outcome::Gone),
        ("status=410", Outcome::Gone),
        ("status=401", Outcome::Forbidden),
        ("status=403", Outcome::Forbidden),
        ("status=413", Outcome::TooLarge),
        ("status=400", Outcome::Rejected { status: 400 }),
        ("status=307&location=/elsewhere", Outcome::Rejected { status: 307 }),
        ("status=429", refused(429, None)),
        ("status=429&retryAfter=7", refused(429, Some(7))),
        ("status=503&retryAfter=120", refused(503, Some(120))),
        ("status=500", refused(500, None)),
        ("status=502&retryAfter=nonsense", refused(502, None)),
    ] {
        assert_eq!(receiver.send(orders).await, outcome, "{orders}");
    }
    let date = (Utc::now() + TimeDelta::seconds(90)).format("%a, %d %b %Y %H:%M:%S GMT");
    let outcome = receiver.send(&format!("status=429&retryAfter={}", date.to_string().replace(' ', "%20"))).await;
    let Outcome::Refused { status: 429, retry_after: Some(wait) } = outcome else { panic!("{outcome:?}") };
    assert!((85..=90).contains(&wait.as_secs()), "{wait:?}");
    let to = receiver.subscribe("status=500,201").await;
    assert_eq!(receiver.pusher.send(&to, b"1", Message::default(), Utc::now()).await, refused(500, None));
    assert_eq!(receiver.pusher.send(&to, b"2", Message::default(), Utc::now()).await, Outcome::Accepted);
}

#[tokio::test]
async fn no_answer_is_told_without_the_endpoint() {
    let receiver = Receiver::start();
    let began = Instant::now();
    let hang = receiver.send("hang").await;
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    let cut = receiver.send("cut").await;
    let away = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}/push/secret?token=secret", listener.local_addr().expect("an address"));
        drop(listener);
        let to = receiver.pusher.subscription(&endpoint, P256DH, AUTH).expect("a subscription");
        receiver.pusher.send(&to, b"hello", Message::default(), Utc::now()).await
    };
    assert_eq!(hang, Outcome::Unreachable("no answer in time".into()));
    assert_ne!(cut, hang);
    for outcome in [cut, away] {
        let Outcome::Unreachable(words) = &outcome else { panic!("{outcome:?}") };
        println!("{words}");
        let shown = ["http:", "/push", "secret", "token"].iter().any(|part| words.contains(part));
        assert!(!shown && words.len() > 10, "{words}");
    }
}

#[tokio::test]
async fn the_receiver_refuses_what_a_push_service_refuses() {
    let receiver = Receiver::start();
    let to = receiver.subscribe("").await;
    // Made for another key.
    let other = Pusher::new(spacedly::platform::push::Settings { key_material: [8; 32], ..settings(true) });
    let other = other.expect("a pusher");
    assert_eq!(other.send(&to, b"hello", Message::default(), Utc::now()).await, Outcome::Forbidden);
    // Tokens that are over, or good for more than a day.
    for days in [-1, 2] {
        let at = Utc::now() + TimeDelta::days(days);
        assert_eq!(pusher(true).send(&to, b"hello", Message::default(), at).await, Outcome::Forbidden, "{days}");
    }
    // Encrypted for another browser.
    let mixed = Subscription::parse(to.endpoint(), P256DH, AUTH, true).expect("a subscription");
    let outcome = receiver.pusher.send(&mixed, b"hello", Message::default(), Utc::now()).await;
    assert_eq!(outcome, Outcome::Rejected { status: 400 });
    let seen = get(&format!("{}/seen?endpoint={}", receiver.origin, to.endpoint())).await;
    let texts: Vec<&Json> = seen.as_array().expect("a list").iter().filter_map(|line| line.get("text")).collect();
    assert!(texts.is_empty(), "{seen}");
    // A clock that was moved, as a test does.
    let at = Utc::now() + TimeDelta::days(30);
    get(&format!("{}/clock?offset={}", receiver.origin, TimeDelta::days(30).num_milliseconds())).await;
    assert_eq!(receiver.pusher.send(&to, b"hello", Message::default(), at).await, Outcome::Accepted);
}

#[tokio::test]
async fn a_token_and_a_connection_serve_again_and_a_salt_does_not() {
    let receiver = Receiver::start();
    let to = receiver.subscribe("").await;
    let mut spent = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        assert_eq!(receiver.pusher.send(&to, &[b'x'; 300], Message::default(), Utc::now()).await, Outcome::Accepted);
        spent.push(began.elapsed());
    }
    spent.sort();
    println!("a send: median {:?}, 95 % {:?}", spent[100], spent[190]);
    let seen = get(&format!("{}/seen?endpoint={}", receiver.origin, to.endpoint())).await;
    let tokens: std::collections::HashSet<&str> =
        (0..200).map(|at| text(&seen, &format!("/{at}/vapid/token"))).collect();
    assert_eq!(tokens.len(), 1);
}
