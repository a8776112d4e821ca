//! What is public, and what is wrong with a subscription.

use super::support::{AUTH, P256DH};
use spacedly::platform::push::{Field, Subscription, is_public};

const PUBLIC: &[&str] = &[
    "1.0.0.0",
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "142.250.1.1",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2000::",
    "2001:200::",
    "2001:4860:4860::8888",
    "2001:db7:ffff::1",
    "2001:db9::",
    "2003::",
    "2606:4700::1111",
    "2620:4f:8000::1",
    "2a00:1450:4001::1",
    "3ffe:ffff::1",
    "3fff:1000::",
    "64:ff9b::8.8.8.8",
    "64:ff9b::1.1.1.1",
];

const CLOSED: &[&str] = &[
    "0.0.0.0",
    "0.0.0.1",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.0",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.192",
    "192.0.0.255",
    "192.0.2.0",
    "192.0.2.255",
    "192.88.99.0",
    "192.88.99.255",
    "192.168.0.0",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.0",
    "198.51.100.255",
    "203.0.113.0",
    "203.0.113.255",
    "224.0.0.0",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.254",
    "255.255.255.255",
    "::",
    "::1",
    "::2",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9a::1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.1.2.3",
    "64:ff9b::169.254.169.254",
    "64:ff9b:0:0:0:1:808:808",
    "64:ff9b:1::",
    "64:ff9b:1::8.8.8.8",
    "64:ff9b:1:ffff::1",
    "100::",
    "100::1",
    "100:0:0:1::",
    "1fff:ffff::1",
    "2001::",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff:ffff::1",
    "2001:db8::",
    "2001:db8:ffff::1",
    "2002::",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "2002:ffff:ffff::",
    "3fff::",
    "3fff:fff:ffff::1",
    "4000::",
    "5f00::",
    "5f00:ffff::1",
    "fc00::",
    "fd00:ec2::254",
    "fdff:ffff::1",
    "fe80::",
    "fe80::1",
    "febf:ffff::1",
    "fec0::",
    "feff:ffff::1",
    "ff00::",
    "ff02::1",
    "ffff::1",
];

#[test]
fn every_block_is_closed_from_its_first_to_its_last_address() {
    for address in PUBLIC {
        assert!(is_public(address.parse().expect("an address")), "{address} is public");
    }
    for address in CLOSED {
        assert!(!is_public(address.parse().expect("an address")), "{address} is not public");
    }
}

fn mistake(endpoint: &str, p256dh: &str, auth: &str) -> (Field, String) {
    let mistake = Subscription::parse(endpoint, p256dh, auth, false).expect_err(endpoint);
    let shown = format!("{mistake} {mistake:?}");
    for part in [endpoint, p256dh, auth] {
        assert!(part.len() < 6 || !shown.contains(part), "{shown} shows {part}");
    }
    (mistake.field, mistake.reason.to_owned())
}

#[test]
fn good_subscriptions_are_taken() {
    let long = format!("https://push.example.net/{}", "a".repeat(2_000 - 25));
    for endpoint in [
        "https://fcm.googleapis.com/fcm/send/cX1-abc:APA91bH_x",
        "https://updates.push.services.mozilla.com/wpush/v2/gAAAAAB",
        "https://web.push.apple.com/QFsOEkNtYvEoR",
        "https://wns2-par02p.notify.windows.com/w/?token=BQYAAAC%2b%2f",
        "https://push.example.net:8443/a?b=c|d^e",
        "https://1.1.1.1/push",
        "https://[2606:4700::1111]/push",
        "HTTPS://PUSH.EXAMPLE.NET/A",
        "https://bücher.example.net/push",
        long.as_str(),
    ] {
        Subscription::parse(endpoint, P256DH, AUTH, false).expect(endpoint);
    }
    let read =
        Subscription::parse("HTTPS://PUSH.Example.net:443/A", &format!("{P256DH}="), &format!("{AUTH}=="), false);
    let read = read.expect("padding is fine");
    assert_eq!(read.endpoint(), "https://push.example.net/A");
    assert_eq!(format!("{read:?}"), "Subscription(…)");
    Subscription::parse("http://127.0.0.1:3000/push", P256DH, AUTH, true).expect("in development");
    Subscription::parse("http://localhost:3000/push", P256DH, AUTH, true).expect("in development");
}

#[test]
fn mistakes_say_where_and_what() {
    let long = format!("https://push.example.net/{}", "a".repeat(2_001 - 25));
    let escaped = format!("https://push.example.net/{}", "ü".repeat(1_000));
    for (endpoint, words) in [
        ("", "must be the address"),
        ("push", "must be the address"),
        ("/push", "must be the address"),
        ("https://", "must be the address"),
        ("https://push.example.net:65536/", "must be the address"),
        ("http://push.example.net/", "https://"),
        ("ftp://push.example.net/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("data:text/plain,x", "https://"),
        ("ws://push.example.net/", "https://"),
        ("https://name@push.example.net/", "a name or a password"),
        ("https://name:word@push.example.net/", "a name or a password"),
        ("https://:word@push.example.net/", "a name or a password"),
        ("https://push.example.net/#a", "fragment"),
        ("https://push.example.net/#", "fragment"),
        ("https://push.example.net:0/", "port 0"),
        ("https://push.example.net./a", "plain domain name"),
        ("https://pu\"sh.example.net/a", "plain domain name"),
        ("https://pu{sh}.example.net/a", "plain domain name"),
        ("https://push/a", "private network"),
        (long.as_str(), "2000 characters."),
        (escaped.as_str(), "with its escapes"),
    ] {
        let (field, reason) = mistake(endpoint, P256DH, AUTH);
        assert_eq!(field, Field::Endpoint);
        assert!(reason.contains(words), "{endpoint}: {reason}");
    }
    let endpoint = "https://push.example.net/a";
    let off_curve = P256DH.replacen("BCVx", "BCVy", 1);
    let compressed = "AyVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx";
    for (key, words) in [
        ("", "65 bytes"),
        ("AAAA", "65 bytes"),
        (compressed, "65 bytes"),
        (&P256DH[..84], "65 bytes"),
        (&P256DH.replacen("BC", "AC", 1), "65 bytes"),
        (&P256DH.replacen("BC", "BS", 1), "65 bytes"),
        (&format!("BA{}", "A".repeat(85)), "on the curve"),
        ("not base64url!", "base64url"),
        (&P256DH.replace('_', "/"), "base64url"),
        (&"A".repeat(201), "base64url"),
        (&off_curve, "on the curve"),
        // Bits that no encoder leaves.
        (&P256DH.replace("Aiw4", "Aiw5"), "base64url"),
    ] {
        let (field, reason) = mistake(endpoint, key, AUTH);
        assert_eq!(field, Field::P256dh, "{key}");
        assert!(reason.contains(words), "{key}: {reason}");
    }
    for (auth, words) in [
        ("", "16 bytes"),
        ("BTBZMqHH6r4Tts7J_aSI", "16 bytes"),
        ("BTBZMqHH6r4Tts7J_aSIggAA", "16 bytes"),
        ("BTBZMqHH6r4Tts7J/aSIgg", "base64url"),
    ] {
        let (field, reason) = mistake(endpoint, P256DH, auth);
        assert_eq!(field, Field::Auth);
        assert!(reason.contains(words), "{auth}: {reason}");
    }
}
