//! Hosts that lead inside, in every spelling, with a listener that proves that nothing connected.

use std::time::Duration;

use chrono::Utc;
use spacedly::platform::push::{Field, Message, Outcome, Subscription};

use super::support::{AUTH, P256DH, Trap, pusher};

/// Hosts that a parser lets through and that lead inside. The first of them to this machine.
const LOOPBACK: &[&str] = &[
    "127.0.0.1",
    "127.0.0.2",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0",
    "0x0",
    "2130706433",
    "0x7f000001",
    "0X7F.0X0.0X0.0X1",
    "017700000001",
    "0177.0.0.1",
    "0x7f.1",
    "127.0.0.0x1",
    "127.0.0.1.",
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "１２７.０.０.１",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "localhost",
    "LOCALHOST",
    "ｌｏｃａｌｈｏｓｔ",
    "%6cocalhost",
];
const INSIDE: &[&str] = &[
    "10.0.0.1",
    "10.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "172.16.0.1",
    "192.0.0.192",
    "192.168.1.1",
    "3232235777",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[::127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "metadata",
    "db",
    "app.localhost",
    "printer.local",
    "metadata.google.internal",
    "router.lan",
    "nas.home",
    "wiki.corp",
    "intra.intranet",
    "a.private",
    "1.0.0.127.in-addr.arpa",
    "x.home.arpa",
    "a.test",
    "a.example",
    "a.invalid",
    "a.onion",
    "a.alt",
    "a.LOCAL",
];

#[tokio::test]
async fn hosts_that_lead_inside_are_refused_twice_and_never_called() {
    let trap = Trap::set();
    let (public, private) = (pusher(false), pusher(true));
    let mut count = 0;
    for host in LOOPBACK.iter().chain(INSIDE) {
        for scheme in ["https", "http"] {
            let endpoint = format!("{scheme}://{host}:{}/push/secret", trap.port);
            let mistake = public.subscription(&endpoint, P256DH, AUTH).expect_err(host);
            assert_eq!(mistake.field, Field::Endpoint);
            let reason = if scheme == "https" { "private network" } else { "https://" };
            assert!(mistake.reason.contains(reason), "{host}: {mistake}");
            // As if it had been stored by a server that lets them through.
            let stored = Subscription::parse(&endpoint, P256DH, AUTH, true).expect(host);
            let outcome = public.send(&stored, b"hello", Message::default(), Utc::now()).await;
            assert_eq!(outcome, Outcome::ForbiddenAddress, "{endpoint}");
            count += 1;
        }
    }
    assert_eq!(trap.connected().await, 0);
    println!("{count} endpoints");
    // The trap works: these do lead to this machine.
    for (at, host) in LOOPBACK.iter().enumerate() {
        let endpoint = format!("https://{host}:{}/push/secret", trap.port);
        let stored = private.subscription(&endpoint, P256DH, AUTH).expect(host);
        let sending = private.send(&stored, b"hello", Message::default(), Utc::now());
        let _ = tokio::time::timeout(Duration::from_secs(5), sending).await;
        assert!(trap.connected().await > at, "{host} did not come");
    }
}

#[tokio::test]
async fn what_no_parser_takes_is_refused_everywhere() {
    for host in [
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[::1%lo]",
        "[::1",
        "[::g]",
        "[127.0.0.1]",
        "127.0.0.256",
        "1.2.3.4.5",
        "0x100000000",
        "127.0.0.1%00.example.net",
        "256.256.256.256",
        "09.0.0.1",
        "127.0.0.1%20",
        "exa mple.net",
        "a%2fb.net",
        "a%00b.net",
        "localhost.",
        "a.internal.",
        "127.0.0.1@evil.net",
        "evil.net:80@127.0.0.1",
        "ab<c.net",
        "a^b.net",
        "\u{ad}",
    ] {
        for allow_private in [false, true] {
            let endpoint = format!("https://{host}/push");
            let mistake = Subscription::parse(&endpoint, P256DH, AUTH, allow_private);
            assert!(mistake.is_err(), "{host}: {mistake:?} {:?}", mistake.as_ref().map(Subscription::endpoint));
        }
    }
}

#[tokio::test]
async fn spellings_that_hide_the_host_are_seen_through() {
    for endpoint in [
        "https:\\\\127.0.0.1\\push",
        "https:127.0.0.1/push",
        "https:/127.0.0.1/push",
        "https:////127.0.0.1/push",
        " https://127.0.0.1/push ",
        "ht\ntps://127.0.0.1/push",
        "https://127.0\t.0.1/push",
        "https://127.0.0.1\\@example.net/",
        "https://127.0.0.1?@example.net/",
        "https://127.0.0.1:443\\.example.net/",
    ] {
        let mistake = Subscription::parse(endpoint, P256DH, AUTH, false).expect_err(endpoint);
        assert!(mistake.reason.contains("private network"), "{endpoint:?}: {mistake}");
    }
}
