//! Forged access tokens, in the manner of Wycheproof: what is signed with the right key but says something wrong, what
//! says the right thing but is signed wrongly, and what tries to talk the verifier into another key or algorithm.

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD as BASE64},
};
use chrono::{DateTime, TimeDelta};
use hyper::{Method, StatusCode};
use support::{Answer, Json, Person, Server, Socket, both, json, text};

/// Both keys of the server; the first one signs. The seeds are 32 bytes of 1 and of 2.
const KEYS: &str =
    "first:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE,second:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
const FIRST_ALONE: &str = "first:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
const VIEWER: &str = "{ viewer { id } }";

/// The order of the curve's group, little-endian (RFC 8032 section 5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a seed")
}

fn decoded(part: &str) -> Json {
    serde_json::from_slice(&BASE64.decode(part).expect("base64url")).expect("JSON")
}

/// What a token consists of, to be changed and signed again.
#[derive(Clone)]
struct Forge {
    header: Json,
    payload: Json,
    seed: u8,
}

impl Forge {
    /// From a token that the server handed out.
    fn of(token: &str) -> Self {
        let parts: Vec<&str> = token.split('.').collect();
        Self { header: decoded(parts[0]), payload: decoded(parts[1]), seed: 1 }
    }

    /// With something else in the header; null takes it out.
    fn header(&self, name: &str, value: Json) -> Self {
        let mut forge = self.clone();
        set(&mut forge.header, name, value);
        forge
    }

    /// With something else in the payload; null takes it out.
    fn claim(&self, name: &str, value: Json) -> Self {
        let mut forge = self.clone();
        set(&mut forge.payload, name, value);
        forge
    }

    fn signed_by(&self, seed: u8) -> Self {
        Self { seed, ..self.clone() }
    }

    fn message(&self) -> String {
        format!("{}.{}", BASE64.encode(self.header.to_string()), BASE64.encode(self.payload.to_string()))
    }

    fn signature(&self) -> Vec<u8> {
        key(self.seed).sign(self.message().as_bytes()).as_ref().to_vec()
    }

    /// The token, rightly signed.
    fn token(&self) -> String {
        self.with(&self.signature())
    }

    /// The token with another signature.
    fn with(&self, signature: &[u8]) -> String {
        format!("{}.{}", self.message(), BASE64.encode(signature))
    }

    /// The token with HMAC-SHA-256 under what everybody knows.
    fn hs256(&self, secret: &[u8]) -> String {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), self.message().as_bytes());
        self.with(tag.as_ref())
    }
}

fn set(object: &mut Json, name: &str, value: Json) {
    let object = object.as_object_mut().expect("an object");
    match value {
        Json::Null => drop(object.remove(name)),
        value => drop(object.insert(name.to_owned(), value)),
    }
}

/// The public key as everybody may have it: a JWK (RFC 8037), DER and PEM (RFC 8410).
fn jwk(seed: u8) -> Json {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": "first", "x": BASE64.encode(key(seed).public_key().as_ref()) })
}

fn der(seed: u8) -> Vec<u8> {
    let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    [&prefix, key(seed).public_key().as_ref()].concat()
}

fn pem(seed: u8) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(der(seed)))
}

/// The same signature with the group's order added to its second half: it fulfils the equation, and is none.
fn malleated(signature: &[u8]) -> Vec<u8> {
    let mut changed = signature.to_vec();
    let mut carry = 0;
    for (byte, order) in changed[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    changed
}

/// What talks the verifier into another algorithm.
fn other_algorithms(good: &Forge) -> Vec<(String, String)> {
    let mut tokens = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let forge = good.header("alg", json!(alg));
        tokens.push((format!("alg {alg:?} without a signature"), forge.with(&[])));
        tokens.push((format!("alg {alg:?} with the right signature"), forge.token()));
    }
    let public = key(1).public_key().as_ref().to_vec();
    let (text, url, pem, der) = (BASE64_STANDARD.encode(&public), BASE64.encode(&public), pem(1), der(1));
    let secrets: [(&str, &[u8]); 7] = [
        ("the public key", &public),
        ("its base64", text.as_bytes()),
        ("its base64url", url.as_bytes()),
        ("its PEM", pem.as_bytes()),
        ("its PEM without the last line break", pem.trim_end().as_bytes()),
        ("its DER", &der),
        ("nothing", b""),
    ];
    for (what, secret) in secrets {
        tokens.push((format!("HS256 under {what}"), good.header("alg", json!("HS256")).hs256(secret)));
        tokens.push((format!("EdDSA with an HMAC under {what}"), good.hs256(secret)));
    }
    for alg in ["HS256", "RS256", "PS256", "ES256", "ES384", "Ed25519", "eddsa", "EDDSA"] {
        tokens.push((format!("{alg} over a right signature"), good.header("alg", json!(alg)).token()));
    }
    for alg in [json!(null), json!(["EdDSA"]), json!(7)] {
        tokens.push((format!("alg {alg}"), good.header("alg", alg).token()));
    }
    tokens
}

/// What talks the verifier into another key.
fn other_keys(good: &Forge) -> Vec<(String, String)> {
    let mut tokens = Vec::new();
    let evil = good.signed_by(9);
    tokens.push(("a key of nobody's".to_owned(), evil.token()));
    for kid in [json!("first"), json!("evil"), json!(null)] {
        let evil = evil.header("kid", kid.clone());
        let headers = [
            ("jwk", jwk(9)),
            ("jku", json!("https://evil.example/keys.json")),
            ("x5u", json!("https://evil.example/key.pem")),
            ("x5c", json!([BASE64_STANDARD.encode(der(9))])),
        ];
        for (name, value) in headers {
            tokens.push((format!("kid {kid} with an own {name}"), evil.header(name, value).token()));
        }
    }
    let odd = [
        json!(null),
        json!(""),
        json!("First"),
        json!("first "),
        json!("first\u{0}"),
        json!("third"),
        json!("derived-1"),
        json!("../../dev/null"),
        json!("' OR '1'='1"),
        json!(["first"]),
        json!(1),
    ];
    for kid in odd {
        tokens.push((format!("kid {kid}"), good.header("kid", kid.clone()).token()));
        let empty = good.header("kid", kid.clone()).header("alg", json!("HS256"));
        tokens.push((format!("kid {kid} as HS256 under nothing"), empty.hs256(b"")));
    }
    tokens.push(("the second's kid, signed by the first".into(), good.header("kid", json!("second")).token()));
    tokens.push(("the first's kid, signed by the second".into(), good.signed_by(2).token()));
    tokens
}

/// What is signed rightly and says something wrong.
fn other_words(good: &Forge, now: i64, eve: &Forge) -> Vec<(String, String)> {
    let absent = json!("session_01jd3xk5ve7h8t9w2n4m6p8q0r");
    let mut tokens: Vec<(String, String)> = [("typ", json!(null)), ("typ", json!("JWT")), ("typ", json!("at+jwt+x"))]
        .into_iter()
        .chain([("typ", json!("")), ("typ", json!(7)), ("cty", json!(7))])
        .chain([("crit", json!(["exp"])), ("crit", json!(["b64"])), ("crit", json!([])), ("crit", json!("exp"))])
        .map(|(name, value)| (format!("header {name} {value}"), good.header(name, value).token()))
        .collect();
    let claims = [
        ("aud", json!(null)),
        ("aud", json!("")),
        ("aud", json!("another")),
        ("aud", json!(["another", "third"])),
        ("aud", json!([])),
        ("aud", json!("spacedly.evil.example")),
        ("iss", json!(null)),
        ("iss", json!("https://evil.example")),
        ("iss", json!(["https://evil.example"])),
        ("exp", json!(null)),
        ("exp", json!((now + 600).to_string())),
        ("exp", json!(now - 6)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(1e300)),
        ("exp", json!({})),
        ("nbf", json!((now - 600).to_string())),
        ("nbf", json!(i64::MAX)),
        ("iat", json!(null)),
        ("iat", json!(now + 3_600)),
        ("sub", json!(null)),
        ("sub", json!("")),
        ("sub", good.payload["sid"].clone()),
        ("sub", eve.payload["sub"].clone()),
        ("sub", json!("user_01jd3xk5ve7h8t9w2n4m6p8q0r")),
        ("sid", json!(null)),
        ("sid", absent),
        ("sid", good.payload["sub"].clone()),
        ("sid", eve.payload["sid"].clone()),
    ];
    tokens.extend(claims.map(|(name, value)| (format!("claim {name} {value}"), good.claim(name, value).token())));
    tokens.push(("10 kB of it".into(), good.claim("more", json!("x".repeat(10_000))).token()));
    tokens
}

/// What is no token at all, or not quite.
fn other_forms(good: &Forge) -> Vec<(String, String)> {
    let (message, signature) = (good.message(), good.signature());
    let text = BASE64.encode(&signature);
    let (head, payload) = message.split_once('.').expect("two parts");
    let mut flipped = signature.clone();
    flipped[17] ^= 4;
    // The last letter carries four bits too many: this one stands for the same bytes.
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.iter().position(|letter| text.ends_with(char::from(*letter))).expect("a letter");
    let same = format!("{}{}", &text[..text.len() - 1], char::from(alphabet[last ^ 1]));
    let plain = |payload: &[u8]| {
        let message = format!("{head}.{}", BASE64.encode(payload));
        format!("{message}.{}", BASE64.encode(key(1).sign(message.as_bytes()).as_ref()))
    };
    let cases = [
        ("nothing", String::new()),
        ("a dot", ".".into()),
        ("two dots", "..".into()),
        ("no signature", message.clone()),
        ("an empty signature", format!("{message}.")),
        ("a short signature", good.with(&signature[..63])),
        ("half a signature", good.with(&signature[..32])),
        ("a long signature", good.with(&[&signature[..], &[0]].concat())),
        ("a signature of zeros", good.with(&[0; 64])),
        ("a flipped bit", good.with(&flipped)),
        ("a signature made anew by adding the order", good.with(&malleated(&signature))),
        ("halves the other way round", good.with(&[&signature[32..], &signature[..32]].concat())),
        ("a signature over something else", good.with(key(1).sign(b"something else").as_ref())),
        ("a padded signature", format!("{message}.{}", BASE64_URL_SAFE.encode(&signature))),
        ("another spelling of the signature", format!("{message}.{same}")),
        ("a padded payload", format!("{head}.{payload}=.{text}")),
        ("a blank within", format!("{head}. {payload}.{text}")),
        ("a header from elsewhere", format!("{}.{payload}.{text}", BASE64.encode(r#"{"alg":"none"}"#))),
        ("four segments", format!("{message}.{text}.{text}")),
        ("five segments", format!("{message}.{text}.{text}.{text}")),
        (
            "an encrypted token",
            format!("{}..{payload}.{text}.{text}", BASE64.encode(r#"{"alg":"dir","enc":"A256GCM"}"#)),
        ),
        ("the JSON form", json!({ "payload": payload, "protected": head, "signature": text }).to_string()),
        ("a payload that is no JSON", plain(b"nonsense")),
        ("a payload that is a list", plain(b"[]")),
        ("a payload that is null", plain(b"null")),
        ("an empty payload", plain(b"")),
        ("a payload that is no text", plain(&[0xff, 0xfe, 0x00])),
    ];
    cases.map(|(what, token)| (what.to_owned(), token)).into()
}

async fn show(server: &Server, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    server.client.send(Method::POST, "/graphql", &headers, json!({ "query": VIEWER }).to_string()).await
}

async fn is_taken(server: &Server, token: &str, person: &Person) -> bool {
    show(server, token).await.json()["data"]["viewer"]["id"] == person.id.as_str()
}

/// Shows a token that is made at the beginning of a second and answered before its end: where the machine was busy for
/// longer, the answer says nothing and another one is made.
async fn within_a_second(server: &Server, token: impl Fn(i64) -> String) -> (String, Answer) {
    for _ in 0..20 {
        let now = server.clock.now();
        let begin = DateTime::from_timestamp(now.timestamp() + 1, 0).expect("an instant");
        server.advance(begin - now);
        let token = token(begin.timestamp());
        let answer = show(server, &token).await;
        if server.clock.now().timestamp() == begin.timestamp() {
            return (token, answer);
        }
    }
    panic!("no answer within a second in twenty tries");
}

both! {
    async fn a_forged_token_opens_nothing(server, "JWT_KEYS" = KEYS) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let (good, evil) = (Forge::of(&ada.token), Forge::of(&eve.token));
        assert_eq!(good.header, json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "first" }));
        assert!(is_taken(server, &good.token(), &ada).await, "without a change it is taken");
        let harmless = good.claim("more", json!("x".repeat(1_000)));
        assert!(is_taken(server, &harmless.token(), &ada).await, "changing and signing again is not what is refused");
        let now = server.clock.now().timestamp();
        let mut wrong = Vec::new();
        let forged = [other_algorithms(&good), other_keys(&good), other_words(&good, now, &evil), other_forms(&good)];
        for (what, token) in forged.into_iter().flatten() {
            let answer = show(server, &token).await;
            let body = answer.json();
            let refused = answer.status == StatusCode::UNAUTHORIZED
                && body["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
                && body.get("data").is_none()
                && answer.header("www-authenticate").starts_with("Bearer");
            if !refused {
                wrong.push(format!("{what}: {} {body}", answer.status));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(is_taken(server, &ada.token, &ada).await, "the good one is taken still");
    }

    async fn a_forged_token_opens_no_socket_and_no_cookie_session(server, "JWT_KEYS" = KEYS) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let good = Forge::of(&ada.token);
        let same = Person { token: good.token(), ..ada.clone() };
        drop(server.socket(Some(&same)).await);
        let now = server.clock.now().timestamp();
        let forged = [
            ("alg none", good.header("alg", json!("none")).with(&[])),
            ("HS256", good.header("alg", json!("HS256")).hs256(key(1).public_key().as_ref())),
            ("an own key", good.signed_by(9).header("jwk", jwk(9)).token()),
            ("the other key", good.signed_by(2).token()),
            ("another's session", good.claim("sid", Forge::of(&eve.token).payload["sid"].clone()).token()),
            ("expired", good.claim("exp", json!(now - 60)).token()),
            ("another type", good.header("typ", json!("JWT")).token()),
            ("no signature", good.with(&[])),
            ("nothing", String::new()),
        ];
        for (what, token) in forged {
            for value in [format!("Bearer {token}"), token.clone()] {
                let mut socket = Socket::open(server.port).await;
                socket.send(json!({ "type": "connection_init", "payload": { "authorization": value } })).await;
                assert_eq!(socket.close_code().await, 4403, "{what}");
            }
            let cookie = format!("accessToken={token}; refreshToken={token}");
            let headers = [("content-type", "application/json"), ("cookie", cookie.as_str())];
            let answer = server.client.send(Method::POST, "/graphql", &headers, json!({ "query": VIEWER }).to_string()).await;
            assert_eq!(answer.json()["data"], json!({ "viewer": null }), "{what}: its bearer is nobody");
        }
    }

    async fn times_have_five_seconds_of_leeway(server, "JWT_KEYS" = KEYS) {
        let ada = server.person("Ada").await;
        let good = Forge::of(&ada.token);
        let (_, late) = within_a_second(server, |now| good.claim("exp", json!(now - 4)).token()).await;
        assert_eq!(late.json()["data"]["viewer"]["id"], ada.id.as_str(), "expired 4 s ago");
        let (_, late) = within_a_second(server, |now| good.claim("exp", json!(now - 6)).token()).await;
        assert_eq!(late.status, StatusCode::UNAUTHORIZED, "expired 6 s ago");
        let (_, early) = within_a_second(server, |now| good.claim("nbf", json!(now + 4)).token()).await;
        assert_eq!(early.json()["data"]["viewer"]["id"], ada.id.as_str(), "begins in 4 s");
        let (soon, early) = within_a_second(server, |now| good.claim("nbf", json!(now + 6)).token()).await;
        assert_eq!(early.status, StatusCode::UNAUTHORIZED, "begins in 6 s");
        server.advance(TimeDelta::seconds(2));
        assert!(is_taken(server, &soon, &ada).await, "its time has come: that it was early is not remembered");
        server.advance(TimeDelta::minutes(16));
        assert!(!is_taken(server, &soon, &ada).await, "its time is over: that it was good is not remembered");
    }

    async fn keys_are_exchanged_without_logging_anybody_out(server, "JWT_KEYS" = KEYS) {
        let ada = server.person("Ada").await;
        let good = Forge::of(&ada.token);
        assert_eq!(ada.token, good_as_signed(&ada.token, &good), "the first key signs, as RFC 8032 has it: no chance is in it");
        let old = good.header("kid", json!("second")).signed_by(2);
        assert!(is_taken(server, &old.token(), &ada).await, "the second one still opens what it signed");
        let log_in = "mutation($email: String!) { sessionCreate(input: { email: $email, password: \"correct horse battery\", transport: TOKENS }) { tokens { accessToken } } }";
        let answer = server.ask_as_nobody(log_in, json!({ "email": ada.email })).await;
        let new = text(&answer, "/data/sessionCreate/tokens/accessToken");
        assert_eq!(Forge::of(&new).header["kid"], "first");
        assert!(is_taken(server, &new, &ada).await);
    }

    async fn a_key_that_was_taken_out_opens_nothing(server, "JWT_KEYS" = FIRST_ALONE) {
        let ada = server.person("Ada").await;
        let good = Forge::of(&ada.token);
        assert!(is_taken(server, &good.token(), &ada).await);
        let old = good.header("kid", json!("second")).signed_by(2);
        assert_eq!(show(server, &old.token()).await.status, StatusCode::UNAUTHORIZED);
    }

    async fn other_tokens_of_ours_are_no_access_tokens(server, "JWT_KEYS" = KEYS) {
        let ada = server.person("Ada").await;
        let log_in = "mutation($email: String!) { sessionCreate(input: { email: $email, password: \"correct horse battery\", transport: TOKENS }) {
            tokens { accessToken refreshToken deviceToken } } }";
        let answer = server.ask_as_nobody(log_in, json!({ "email": ada.email })).await;
        for name in ["refreshToken", "deviceToken"] {
            let token = text(&answer, &format!("/data/sessionCreate/tokens/{name}"));
            assert_eq!(show(server, &token).await.status, StatusCode::UNAUTHORIZED, "{name}");
        }
        assert!(is_taken(server, &text(&answer, "/data/sessionCreate/tokens/accessToken"), &ada).await);
    }
}

/// The token's own header and payload, letter for letter, signed once more with the first key.
fn good_as_signed(token: &str, good: &Forge) -> String {
    let (message, _) = token.rsplit_once('.').expect("a signature");
    format!("{message}.{}", BASE64.encode(key(good.seed).sign(message.as_bytes()).as_ref()))
}
