//! Names, redirects and proxies that lead inside, with a listener that proves that nothing connected.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::Utc;
use spacedly::platform::push::{Message, Outcome, Pusher};

use super::support::{AUTH, Names, P256DH, Script, Trap, get, pusher, settings, text};

#[tokio::test]
async fn names_are_judged_by_where_they_lead_when_connecting() {
    let trap = Trap::set();
    let led = [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "172.16.5.4",
        "192.168.0.1",
        "100.64.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:192.168.0.1",
        "fe80::1",
        "fd00::1",
        "fec0::1",
        "ff02::1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::1",
        "2001:0:7f00:1::1",
        "::127.0.0.1",
    ];
    let mut known: std::collections::HashMap<_, _> = led
        .iter()
        .enumerate()
        .map(|(at, address)| (format!("n{at}.example.net"), vec![vec![address.parse::<IpAddr>().expect("an address")]]))
        .collect();
    let all: Vec<IpAddr> = led.iter().map(|address| address.parse().expect("an address")).collect();
    known.insert("all.example.net".into(), vec![all]);
    known.insert("none.example.net".into(), vec![vec![]]);
    let mut hosts: Vec<String> = known.keys().cloned().collect();
    hosts.push("N0.EXAMPLE.NET".into());
    let names = Names { known: Arc::new(known), ..Names::default() };
    let public = Pusher::with_names(settings(false), names.clone()).expect("a pusher");
    for (at, host) in hosts.iter().enumerate() {
        let to = public.subscription(&format!("https://{host}:{}/push/secret", trap.port), P256DH, AUTH).expect(host);
        // Twice: nothing is remembered of the first.
        for _ in 0..2 {
            let outcome = public.send(&to, b"hello", Message::default(), Utc::now()).await;
            assert_eq!(outcome, Outcome::ForbiddenAddress, "{host}");
        }
        assert_eq!(names.asked.load(Ordering::SeqCst), 2 * (at + 1), "{host} was looked up");
    }
    let unknown = public.subscription("https://unknown.example.net/push/secret", P256DH, AUTH).expect("a name");
    let outcome = public.send(&unknown, b"hello", Message::default(), Utc::now()).await;
    let Outcome::Unreachable(words) = outcome else { panic!("{outcome:?}") };
    assert!(words.contains("no such name") && !words.contains("secret"), "{words}");
    assert_eq!(trap.connected().await, 0);
    // The trap works: the same names, let through.
    let private = Pusher::with_names(settings(true), names).expect("a pusher");
    let to = private.subscription(&format!("https://n0.example.net:{}/", trap.port), P256DH, AUTH).expect("a name");
    let sending = private.send(&to, b"hello", Message::default(), Utc::now());
    let _ = tokio::time::timeout(Duration::from_secs(5), sending).await;
    assert_eq!(trap.connected().await, 1);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let trap = Trap::set();
    let (_script, first) = Script::start(&["push.mjs"]);
    let private = pusher(true);
    let mut count = 0;
    for status in [301, 302, 303, 307, 308] {
        for host in ["127.0.0.1", "localhost", "[::1]", "0"] {
            let order = format!("status={status}&location=http://{host}:{}/push", trap.port);
            let made = get(&format!("{}/subscribe?{order}", text(&first, "/origin"))).await;
            let (endpoint, key) = (text(&made, "/endpoint"), text(&made, "/keys/p256dh"));
            let to = private.subscription(endpoint, key, text(&made, "/keys/auth")).expect("a subscription");
            let outcome = private.send(&to, b"hello", Message::default(), Utc::now()).await;
            assert_eq!(outcome, Outcome::Rejected { status });
            count += 1;
        }
    }
    assert_eq!((trap.connected().await, count), (0, 20));
}
