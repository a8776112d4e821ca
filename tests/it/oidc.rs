//! OpenID Connect against a real provider (npm `oauth2-mock-server`), started here; the test is the browser.

use std::pin::Pin;

use chrono::TimeDelta;
use entity::{identity, session, user};
use support::{Answer, Client, Database, Json, Server, both, code_in, json, process::Script, text, until};

pub const CLIENT: (&str, &str) = ("spacedly-tests", "what-the-provider-gave-it");
pub const FAILED: &str = "http://localhost:8080/login?error=google_auth_failed";
pub const DASHBOARD: &str = "http://localhost:8080/dashboard";
const PROFILE_FAILED: &str = "http://localhost:8080/profile?error=google_auth_failed";
const LINKED: &str = "http://localhost:8080/profile?identity=linked";
const LINKED_MAIL: &str = "Another way into your Spacedly account";

const VIEWER: &str = "{ viewer { id email name hasPassword identities { id issuer email } } }";
const START: &str = "mutation($purpose: IdentityPurpose!) {
    identityStart(input: { purpose: $purpose }) { url userErrors { code } } }";
const UNLINK: &str = "mutation($id: ID!) {
    identityUnlink(input: { id: $id }) { unlinkedIdentityId user { identities { id } } userErrors { code } } }";
const CHANGE: &str =
    "mutation { passwordChange(input: { newPassword: \"staple battery horse\" }) { user { id } userErrors { code } } }";
const LOG_IN: &str = "mutation($email: String!, $password: String!) {
    sessionCreate(input: { email: $email, password: $password }) { user { id } userErrors { code } } }";

/// A provider process. The words in `provider.mjs` say what can be ordered of it.
pub struct Provider {
    _script: Script,
    client: Client,
    pub issuer: String,
}

impl Provider {
    pub fn start() -> Self {
        let (script, first) = Script::start(&["provider.mjs", CLIENT.0, CLIENT.1]);
        let issuer = text(&first, "/issuer");
        Self { _script: script, client: Client::new(&issuer), issuer }
    }

    /// Does what a browser does there. Gives back where it is sent: a path of ours.
    pub async fn visit(&self, url: &str, orders: &Json) -> String {
        let path = url.strip_prefix(&self.issuer).expect("an address of the provider");
        let orders = orders.to_string();
        let answer = self.client.send("GET".parse().expect("a method"), path, &[("x-orders", &orders)], "").await;
        let location = answer.header("location");
        let at = location.find("/auth/google/callback?").unwrap_or_else(|| panic!("{location:?} {}", answer.text()));
        location[at..].to_owned()
    }

    /// What it saw of a code: `authorize` and `token` are the requests, `status` is what the second was answered with.
    pub async fn seen(&self, callback: &str) -> Json {
        self.client.get(&format!("/seen?code={}", param(callback, "code"))).await.json()
    }
}

/// A parameter of an address, as it stands there.
pub fn param<'u>(url: &'u str, name: &str) -> &'u str {
    let mut pairs = url.split(['?', '&']).filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| *found == name).unwrap_or_else(|| panic!("no {name} in {url}")).1
}

/// The claims of an honest id token, by the server's clock. The provider adds `iss`, `aud` and `nonce`.
pub fn claims(server: &Server, sub: &str, email: &str) -> Json {
    let now = server.clock.now().timestamp();
    json!({ "sub": sub, "email": email, "email_verified": true, "name": "Ada Lovelace",
        "iat": now, "nbf": now, "exp": now + 3_600, "auth_time": now })
}

/// The same with some of them changed; null leaves one out.
pub fn changed(mut claims: Json, changes: Json) -> Json {
    for (name, value) in changes.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims
}

/// A browser: it keeps the cookies that it is given, and sends each where it belongs.
pub struct Browser<'s> {
    server: &'s Server,
    cookies: Vec<[String; 3]>,
}

impl<'s> Browser<'s> {
    pub fn new(server: &'s Server) -> Self {
        Self { server, cookies: Vec::new() }
    }

    async fn with_password(server: &'s Server, email: &str, password: &str) -> Self {
        let mut browser = Self::new(server);
        let answer = browser.ask(LOG_IN, json!({ "email": email, "password": password })).await;
        text(&answer, "/data/sessionCreate/user/id");
        browser
    }

    async fn send(&mut self, method: &str, path: &str, body: String) -> Answer {
        let sent = self.cookies.iter().filter(|[_, _, place]| path.starts_with(place));
        let sent: Vec<String> = sent.map(|[name, value, _]| format!("{name}={value}")).collect();
        let headers = [("cookie", &*sent.join("; ")), ("content-type", "application/json")];
        let answer = self.server.client.send(method.parse().expect("a method"), path, &headers, body).await;
        for cookie in set_cookies(&answer) {
            let (pair, attributes) = cookie.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            let path = attributes.split(';').find_map(|it| it.trim().strip_prefix("Path=")).expect("a path");
            self.cookies.retain(|[known, _, _]| known != name);
            if !value.is_empty() {
                self.cookies.push([name.to_owned(), value.to_owned(), path.to_owned()]);
            }
        }
        answer
    }

    pub async fn ask(&mut self, query: &str, variables: Json) -> Json {
        self.send("POST", "/graphql", json!({ "query": query, "variables": variables }).to_string()).await.json()
    }

    async fn viewer(&mut self) -> Json {
        self.ask(VIEWER, json!({})).await["data"]["viewer"].take()
    }

    /// Sets out for the provider. Gives back the address there.
    pub async fn depart(&mut self) -> String {
        self.send("GET", "/auth/google", String::new()).await.header("location").to_owned()
    }

    /// Comes back from the provider.
    pub async fn arrive(&mut self, callback: &str) -> Answer {
        let answer = self.send("GET", callback, String::new()).await;
        assert_eq!(answer.status, 303, "{callback}");
        answer
    }

    /// All the way. Gives back where it leads.
    pub async fn go(&mut self, provider: &Provider, claims: Json) -> String {
        let url = self.depart().await;
        self.go_on(provider, &url, claims).await
    }

    async fn go_on(&mut self, provider: &Provider, url: &str, claims: Json) -> String {
        let callback = provider.visit(url, &json!({ "claims": claims })).await;
        self.arrive(&callback).await.header("location").to_owned()
    }

    /// All the way for somebody who is logged in.
    async fn go_for(&mut self, purpose: &str, provider: &Provider, claims: Json) -> String {
        let url = text(&self.ask(START, json!({ "purpose": purpose })).await, "/data/identityStart/url");
        self.go_on(provider, &url, claims).await
    }
}

pub fn set_cookies(answer: &Answer) -> Vec<String> {
    answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("text").to_owned()).collect()
}

/// How many people, identities and sessions there are.
pub async fn rows(server: &Server) -> (u64, u64, u64) {
    let people = server.count::<user::Entity>().await;
    (people, server.count::<identity::Entity>().await, server.count::<session::Entity>().await)
}

/// The code of the newest mail, once so many mails with one have come.
async fn nth_code(server: &Server, email: &str, nth: usize) -> String {
    until("a code", || async {
        let mails = server.mails(email).await.into_iter().filter(|mail| mail.subject == "Your Spacedly code");
        let texts: Vec<String> = mails.map(|mail| mail.text).collect();
        (texts.len() == nth).then(|| code_in(&texts[0]))
    })
    .await
}

/// Runs a case with a provider of its own.
pub fn run(
    database: Database,
    case: impl for<'s> FnOnce(&'s Server, Provider) -> Pin<Box<dyn Future<Output = ()> + 's>>,
) {
    let provider = Provider::start();
    let issuer = provider.issuer.clone();
    let settings = [("OIDC_ISSUER", &*issuer), ("OIDC_CLIENT_ID", CLIENT.0), ("OIDC_CLIENT_SECRET", CLIENT.1)];
    support::run(database, &settings, |server| case(server, provider));
}

/// Like `both!`, with a provider.
macro_rules! with_provider {
    ($(async fn $name:ident($server:ident, $provider:ident) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn case($server: &Server, $provider: &$crate::oidc::Provider) $body

            #[test]
            fn on_sqlite() {
                $crate::oidc::run(support::Database::Sqlite, |server, provider| Box::pin(async move { case(server, &provider).await }));
            }

            #[test]
            fn on_postgres() {
                $crate::oidc::run(support::Database::Postgres, |server, provider| Box::pin(async move { case(server, &provider).await }));
            }
        }
    )*};
}
pub(crate) use with_provider;

with_provider! {
    async fn somebody_new_gets_an_account_and_is_the_same_the_next_time(server, provider) {
        let mut browser = Browser::new(server);
        let left = browser.send("GET", "/auth/google", String::new()).await;
        assert_eq!(left.status, 303);
        let round = set_cookies(&left).join("\n");
        assert!(round.starts_with("oidcRound=") && round.contains("; Path=/auth; Max-Age=") && round.ends_with("; HttpOnly; SameSite=Lax"), "{round}");
        let callback = provider.visit(left.header("location"), &json!({ "claims": claims(server, "g-1", "Ada@Example.org") })).await;
        let arrived = browser.arrive(&callback).await;
        assert_eq!(arrived.header("location"), DASHBOARD);
        for name in ["accessToken", "refreshToken"] {
            let cookie = set_cookies(&arrived).into_iter().find(|cookie| cookie.starts_with(&format!("{name}="))).expect(name);
            assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
        }
        let viewer = browser.viewer().await;
        let first = text(&viewer, "/id");
        let identities = viewer["identities"].as_array().expect("a list");
        assert_eq!((&viewer["email"], &viewer["name"], &viewer["hasPassword"]), (&json!("Ada@Example.org"), &json!("Ada Lovelace"), &json!(false)));
        assert_eq!((identities.len(), &identities[0]["issuer"], &identities[0]["email"]), (1, &json!(provider.issuer), &json!("Ada@Example.org")));

        let seen = provider.seen(&callback).await;
        let asked = &seen["authorize"];
        assert_eq!((&asked["response_type"], &asked["code_challenge_method"], &asked["scope"]), (&json!("code"), &json!("S256"), &json!("openid email profile")));
        for secret in ["state", "nonce", "code_challenge"] {
            assert!(asked[secret].as_str().is_some_and(|value| value.len() == 43), "{secret}: {asked}");
        }
        assert!(asked.get("max_age").is_none() && seen["token"]["code_verifier"].is_string(), "{seen}");

        let url = Browser::new(server).depart().await;
        for secret in ["state", "nonce", "code_challenge"] {
            assert_ne!(param(&url, secret), param(left.header("location"), secret), "each round has its own {secret}");
        }
        // It is the subject that counts: neither another address nor another name matters, nor whether it is verified.
        let later = changed(claims(server, "g-1", "else@example.org"), json!({ "email_verified": false, "name": "Eve" }));
        let mut elsewhere = Browser::new(server);
        assert_eq!(elsewhere.go(provider, later).await, DASHBOARD);
        let viewer = elsewhere.viewer().await;
        assert_eq!((text(&viewer, "/id"), text(&viewer, "/email"), text(&viewer, "/name")), (first, "Ada@Example.org".into(), "Ada Lovelace".into()));
        assert_eq!(rows(server).await, (1, 1, 2));
        let nameless = changed(claims(server, "g-2", "bob@example.org"), json!({ "name": null }));
        let mut bob = Browser::new(server);
        assert_eq!(bob.go(provider, nameless).await, DASHBOARD);
        assert_eq!(bob.viewer().await["name"], "bob");
        server.jobs_are_done().await;
        let told: Vec<String> = server.mails("ada@example.org").await.into_iter().map(|mail| mail.subject).collect();
        assert_eq!(told, [""; 0], "somebody new need not be told");
    }

    async fn two_first_logins_at_the_same_time_make_one_account(server, provider) {
        let (mut one, mut other) = (Browser::new(server), Browser::new(server));
        let orders = json!({ "claims": claims(server, "g-1", "ada@example.org") });
        let here = provider.visit(&one.depart().await, &orders).await;
        let there = provider.visit(&other.depart().await, &orders).await;
        let (here, there) = tokio::join!(one.arrive(&here), other.arrive(&there));
        let (people, identities, _) = rows(server).await;
        assert_eq!((people, identities), (1, 1));
        for (browser, arrived) in [(&mut one, here), (&mut other, there)] {
            // Whoever comes second at the very same moment may have to try once more.
            if arrived.header("location") == FAILED {
                assert_eq!(browser.go(provider, claims(server, "g-1", "ada@example.org")).await, DASHBOARD);
            }
        }
        assert_eq!(text(&one.viewer().await, "/id"), text(&other.viewer().await, "/id"));
    }

    async fn a_verified_address_links_to_its_account_and_its_owner_is_told(server, provider) {
        let ada = server.person("Ada").await;
        let mut browser = Browser::new(server);
        assert_eq!(browser.go(provider, claims(server, "g-1", "ADA@example.org")).await, DASHBOARD);
        let viewer = browser.viewer().await;
        assert_eq!((text(&viewer, "/id"), &viewer["hasPassword"], text(&viewer, "/name")), (ada.id.clone(), &json!(true), "Ada".into()));
        assert_eq!(text(&viewer, "/identities/0/email"), "ADA@example.org");
        server.mail_to(&ada.email, LINKED_MAIL).await;
        assert_eq!(rows(server).await, (1, 1, 2));
        Browser::with_password(server, &ada.email, "correct horse battery").await;
    }

    async fn an_address_that_is_not_verified_links_to_nothing_and_makes_nobody(server, provider) {
        let ada = server.person("Ada").await;
        let before = rows(server).await;
        for email in [&*ada.email, "new@example.org"] {
            for (what, change) in [
                ("not verified", json!({ "email_verified": false })),
                ("nothing said", json!({ "email_verified": null })),
                ("no address", json!({ "email": null })),
                ("not an address", json!({ "email": "ada" })),
            ] {
                let mut browser = Browser::new(server);
                let callback = provider.visit(&browser.depart().await, &json!({ "claims": changed(claims(server, "g-1", email), change) })).await;
                let arrived = browser.arrive(&callback).await;
                assert_eq!(arrived.header("location"), FAILED, "{what}: {email}");
                assert_eq!(set_cookies(&arrived), [""; 0], "{what}: {email}");
                assert_eq!(provider.seen(&callback).await["status"], 200, "{what}: it was not for the rest that it failed");
                assert_eq!(rows(server).await, before, "{what}: {email}");
            }
        }
        server.jobs_are_done().await;
        assert!(server.mails(&ada.email).await.iter().all(|mail| mail.subject != LINKED_MAIL));
        assert_eq!(Browser::new(server).go(provider, claims(server, "g-1", &ada.email)).await, DASHBOARD);
    }

    async fn a_second_factor_is_asked_for_also_after_the_provider(server, provider) {
        const COMPLETE: &str = "mutation($id: ID!, $code: String!) {
            sessionChallengeComplete(input: { challengeId: $id, code: $code }) { user { id } userErrors { code } } }";
        let mut browser = Browser::new(server);
        browser.go(provider, claims(server, "g-1", "ada@example.org")).await;
        let ada = text(&browser.viewer().await, "/id");
        let started = browser.ask("mutation { secondFactorStart(input: { method: EMAIL }) { setup { challenge { id } } userErrors { code } } }", json!({})).await;
        let challenge = text(&started, "/data/secondFactorStart/setup/challenge/id");
        let code = nth_code(server, "ada@example.org", 1).await;
        let confirm = "mutation($id: ID!, $code: String!) { secondFactorConfirm(input: { challengeId: $id, code: $code }) { recoveryCodes userErrors { code } } }";
        let confirmed = browser.ask(confirm, json!({ "id": challenge, "code": code })).await;
        text(&confirmed, "/data/secondFactorConfirm/recoveryCodes/9");

        let before = rows(server).await;
        let mut elsewhere = Browser::new(server);
        let callback = provider.visit(&elsewhere.depart().await, &json!({ "claims": claims(server, "g-1", "ada@example.org") })).await;
        let arrived = elsewhere.arrive(&callback).await;
        let challenge = arrived.header("location").strip_prefix("http://localhost:8080/login#challenge=").and_then(|rest| rest.split('&').next()).expect("a challenge").to_owned();
        assert!(arrived.header("location").contains("&method=EMAIL&expiresAt="));
        assert!(challenge.starts_with("challenge_"), "{challenge}");
        assert_eq!(set_cookies(&arrived), [""; 0]);
        assert_eq!((rows(server).await, elsewhere.viewer().await), (before, Json::Null));
        let code = nth_code(server, "ada@example.org", 2).await;
        let wrong = if code == "000000" { "000001" } else { "000000" };
        let refused = elsewhere.ask(COMPLETE, json!({ "id": challenge, "code": wrong })).await;
        assert_eq!(text(&refused, "/data/sessionChallengeComplete/userErrors/0/code"), "INVALID_CODE");
        let completed = elsewhere.ask(COMPLETE, json!({ "id": challenge, "code": code })).await;
        assert_eq!(text(&completed, "/data/sessionChallengeComplete/user/id"), ada);
        assert_eq!(text(&elsewhere.viewer().await, "/id"), ada);

        // Also when the round only proves once more who holds the session.
        server.jobs_are_done().await;
        server.advance(TimeDelta::minutes(16));
        let proven = browser.go_for("REAUTHENTICATE", provider, claims(server, "g-1", "ada@example.org")).await;
        let challenge = proven.strip_prefix("http://localhost:8080/profile#challenge=").and_then(|rest| rest.split('&').next()).expect("a challenge").to_owned();
        let stale = "/data/passwordChange/userErrors/0/code";
        assert_eq!(text(&browser.ask(CHANGE, json!({})).await, stale), "REAUTHENTICATION_REQUIRED", "half of it is not enough");
        let code = nth_code(server, "ada@example.org", 3).await;
        text(&browser.ask(COMPLETE, json!({ "id": challenge, "code": code })).await, "/data/sessionChallengeComplete/user/id");
        text(&browser.ask(CHANGE, json!({})).await, "/data/passwordChange/user/id");
    }

    async fn an_identity_is_linked_from_the_profile_and_unlinked_while_another_way_in_remains(server, provider) {
        let bob = server.person("Bob").await;
        let mut browser = Browser::with_password(server, &bob.email, "correct horse battery").await;
        // It need not have his address, nor a verified one: he is logged in on both sides.
        let other = changed(claims(server, "g-bob", "robert@example.org"), json!({ "email_verified": false }));
        assert_eq!(browser.go_for("LINK", provider, other.clone()).await, LINKED);
        assert_eq!(browser.go_for("LINK", provider, other.clone()).await, LINKED, "the same once more changes nothing");
        let viewer = browser.viewer().await;
        assert_eq!((viewer["identities"].as_array().map(Vec::len), &viewer["identities"][0]["email"]), (Some(1), &Json::Null), "{viewer}");
        let his = text(&viewer, "/identities/0/id");
        server.mail_to(&bob.email, LINKED_MAIL).await;
        let mut elsewhere = Browser::new(server);
        assert_eq!(elsewhere.go(provider, other.clone()).await, DASHBOARD);
        assert_eq!(text(&elsewhere.viewer().await, "/id"), bob.id);

        let mut ada = Browser::new(server);
        ada.go(provider, claims(server, "g-ada", "ada@example.org")).await;
        let hers = text(&ada.viewer().await, "/identities/0/id");
        assert_eq!(browser.go_for("LINK", provider, claims(server, "g-ada", "ada@example.org")).await, PROFILE_FAILED, "it is Ada's");
        assert_eq!(text(&browser.viewer().await, "/identities/0/id"), his);
        assert_eq!(server.count::<identity::Entity>().await, 2);

        let mut told = Vec::new();
        for id in [&*hers, "identity_01jd3xk5ve7h8t9w2n4m6p8q0r"] {
            let mut answer = server.ask(&bob, UNLINK, json!({ "id": id })).await;
            let extensions = answer["errors"][0]["extensions"].as_object_mut().expect("extensions");
            assert_eq!(extensions["code"], "NOT_FOUND");
            // Every request has an id of its own.
            extensions.remove("requestId");
            told.push(answer.to_string());
        }
        assert_eq!(told[0], told[1], "a stranger's is like none");
        let only = ada.ask(UNLINK, json!({ "id": hers })).await;
        assert_eq!(text(&only, "/data/identityUnlink/userErrors/0/code"), "WRONG_STATE", "her only way in");
        assert_eq!(server.count::<identity::Entity>().await, 2);
        text(&ada.ask(CHANGE, json!({})).await, "/data/passwordChange/user/id");
        let unlinked = ada.ask(UNLINK, json!({ "id": hers })).await;
        assert_eq!(text(&unlinked, "/data/identityUnlink/unlinkedIdentityId"), hers);
        assert_eq!(unlinked["data"]["identityUnlink"]["user"]["identities"], json!([]), "none is left: {unlinked}");
        assert_eq!(ada.viewer().await["identities"], json!([]));
        Browser::with_password(server, "ada@example.org", "staple battery horse").await;
        assert_eq!(browser.ask(UNLINK, json!({ "id": his })).await["data"]["identityUnlink"]["unlinkedIdentityId"], his.as_str());
        assert_eq!(Browser::new(server).go(provider, other).await, FAILED, "it opens nothing any more");

        assert_eq!(server.ask_as_nobody(START, json!({ "purpose": "LINK" })).await["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
        let mut socket = server.socket(Some(&bob)).await;
        socket.subscribe("1", START, json!({ "purpose": "LINK" })).await;
        assert_eq!(text(&socket.next().await, "/payload/data/identityStart/userErrors/0/code"), "WRONG_STATE", "it sets no cookies");
    }

    async fn somebody_without_a_password_proves_at_the_provider_who_they_are(server, provider) {
        let mut ada = Browser::new(server);
        ada.go(provider, claims(server, "g-1", "ada@example.org")).await;
        Browser::new(server).go(provider, claims(server, "g-2", "eve@example.org")).await;
        server.jobs_are_done().await;
        server.advance(TimeDelta::minutes(16));
        let stale = "/data/passwordChange/userErrors/0/code";
        assert_eq!(text(&ada.ask(CHANGE, json!({})).await, stale), "REAUTHENTICATION_REQUIRED");
        let link = ada.ask(START, json!({ "purpose": "LINK" })).await;
        assert_eq!(text(&link, "/data/identityStart/userErrors/0/code"), "REAUTHENTICATION_REQUIRED");
        let url = text(&ada.ask(START, json!({ "purpose": "REAUTHENTICATE" })).await, "/data/identityStart/url");
        assert_eq!(param(&url, "max_age"), "0");

        let now = server.clock.now().timestamp();
        for (what, sub, change) in [
            ("proven long ago", "g-1", json!({ "auth_time": now - 120 })),
            ("not said when", "g-1", json!({ "auth_time": null })),
            ("somebody else", "g-2", json!({})),
            ("somebody unknown", "g-3", json!({})),
            ("another nonce", "g-1", json!({ "nonce": "another" })),
        ] {
            let claims = changed(claims(server, sub, "ada@example.org"), change);
            assert_eq!(ada.go_for("REAUTHENTICATE", provider, claims).await, PROFILE_FAILED, "{what}");
            assert_eq!(text(&ada.ask(CHANGE, json!({})).await, stale), "REAUTHENTICATION_REQUIRED", "{what}");
        }
        assert_eq!(Browser::new(server).go(provider, claims(server, "g-1", "ada@example.org")).await, DASHBOARD);
        assert_eq!(text(&ada.ask(CHANGE, json!({})).await, stale), "REAUTHENTICATION_REQUIRED", "a login is another session");

        let proven = ada.go_for("REAUTHENTICATE", provider, claims(server, "g-1", "ada@example.org")).await;
        assert_eq!(proven, "http://localhost:8080/profile?identity=reauthenticated");
        text(&ada.ask(CHANGE, json!({})).await, "/data/passwordChange/user/id");
    }

    async fn the_provider_may_change_its_keys(server, provider) {
        assert_eq!(Browser::new(server).go(provider, claims(server, "g-1", "ada@example.org")).await, DASHBOARD);
        provider.client.get("/rotate").await;
        server.advance(TimeDelta::seconds(31));
        assert_eq!(Browser::new(server).go(provider, claims(server, "g-1", "ada@example.org")).await, DASHBOARD);
    }
}

both! {
    async fn without_a_provider_nobody_is_sent_anywhere(server) {
        for path in ["/auth/google", "/auth/google/callback?code=x&state=y"] {
            assert_eq!(server.client.get(path).await.status, 404, "{path}");
        }
        let ada = server.person("Ada").await;
        let answer = server.ask(&ada, START, json!({ "purpose": "LINK" })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "NOT_FOUND", "{answer}");
    }

    async fn a_provider_that_is_away_is_told_as_a_failed_login(server, "OIDC_ISSUER" = "http://127.0.0.1:9", "OIDC_CLIENT_ID" = CLIENT.0, "OIDC_CLIENT_SECRET" = CLIENT.1) {
        let left = Browser::new(server).send("GET", "/auth/google", String::new()).await;
        assert_eq!((left.status.as_u16(), left.header("location"), set_cookies(&left).len()), (303, FAILED, 0));
    }
}
