//! Sessions as a client holds them, and the trials that they stand: many at once, replayed, raced. The suite runs the
//! short form of a trial, `tests/faults/run` the full one.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value as Json, json};

use crate::{
    client::{Client, Person, text},
    postgres, redis,
    server::{Database, Server},
    until,
};

/// Within how long the suite sees a session end: it runs beside hundreds of cases. `tests/faults` asks for a second.
pub const SOON: Duration = Duration::from_secs(3);

/// The password of everybody here.
pub const PASSWORD: &str = "correct horse battery";

/// What a client keeps of a session.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
    /// Empty after a refresh, which proves nothing.
    pub device: String,
    pub session: String,
}

impl Tokens {
    fn of(payload: &Json) -> Option<Self> {
        let text = |pointer| payload.pointer(pointer).and_then(Json::as_str).map(str::to_owned);
        Some(Self {
            access: text("/tokens/accessToken")?,
            refresh: text("/tokens/refreshToken")?,
            device: text("/tokens/deviceToken").unwrap_or_default(),
            session: text("/session/id")?,
        })
    }
}

impl Client {
    /// Logs in; the whole answer.
    pub async fn log_in_answer(&self, email: &str, password: &str) -> Json {
        let query = "mutation($input: SessionCreateInput!) { sessionCreate(input: $input) {
            session { id } tokens { accessToken refreshToken deviceToken } challenge { id method } userErrors { code message path } } }";
        let input = json!({ "email": email, "password": password, "transport": "TOKENS" });
        self.graphql(None, query, json!({ "input": input })).await
    }

    /// Logs in, which must work.
    pub async fn log_in(&self, email: &str) -> Tokens {
        let answer = self.log_in_answer(email, PASSWORD).await;
        Tokens::of(&answer["data"]["sessionCreate"]).unwrap_or_else(|| panic!("no session: {answer}"))
    }

    /// Refreshes. Err: the code of the answer.
    pub async fn refresh(&self, token: &str) -> Result<Tokens, String> {
        let query = "mutation($input: SessionRefreshInput!) { sessionRefresh(input: $input) {
            session { id } tokens { accessToken refreshToken deviceToken } userErrors { code } } }";
        let input = json!({ "refreshToken": token, "transport": "TOKENS" });
        let answer = self.graphql(None, query, json!({ "input": input })).await;
        Tokens::of(&answer["data"]["sessionRefresh"]).ok_or_else(|| text(&answer, "/errors/0/extensions/code"))
    }

    /// Whether an access token opens anything.
    pub async fn is_let_in(&self, access: &str) -> bool {
        self.graphql(Some(access), "{ viewer { id } }", json!({})).await["data"]["viewer"]["id"].is_string()
    }

    /// Runs a mutation that takes no input.
    pub async fn act(&self, access: &str, mutation: &str) -> Json {
        self.graphql(Some(access), &format!("mutation {{ {mutation} {{ userErrors {{ code }} }} }}"), json!({})).await
    }

    /// Sets a new password.
    pub async fn change_password(&self, access: &str, password: &str) -> Json {
        let query = "mutation($input: PasswordChangeInput!) { passwordChange(input: $input) { user { id } userErrors { code path } } }";
        self.graphql(Some(access), query, json!({ "input": { "newPassword": password } })).await
    }

    /// How long an access token still opens something.
    pub async fn time_until_refused(&self, access: &str) -> Duration {
        let began = Instant::now();
        until("the token to be refused", || async { (!self.is_let_in(access).await).then_some(()) }).await;
        began.elapsed()
    }
}

/// Two instances on one PostgreSQL and one Redis, with one secret and one mailbox.
pub struct Two {
    pub a: Server,
    pub b: Server,
    _folder: tempfile::TempDir,
}

impl Two {
    /// Starts both with these settings besides.
    pub async fn start(redis_url: &str, settings: &[(&'static str, &str)]) -> Self {
        Self::start_with(Some(redis_url), settings).await
    }

    /// Two that share the database and nothing else, so that neither hears of the other.
    pub async fn without_redis() -> Self {
        Self::start_with(None, &[]).await
    }

    async fn start_with(redis_url: Option<&str>, settings: &[(&'static str, &str)]) -> Self {
        Self::start_each([redis_url, redis_url], settings).await
    }

    /// Each has its own way to Redis, or none.
    pub async fn start_each(redis_urls: [Option<&str>; 2], settings: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = postgres::cluster().database().await;
        let data = folder.path().display().to_string();
        let mut all: Vec<(&'static str, &str)> = vec![
            ("DATABASE_URL", &database),
            ("REDIS_PREFIX", database.rsplit('/').next().expect("a name")),
            ("SECRET_KEY", "one secret for both of the instances"),
            ("DATA_DIR", &data),
        ];
        all.extend_from_slice(settings);
        let start = async |url: Option<&str>| {
            let mut all = all.clone();
            all.extend(url.map(|url| ("REDIS_URL", url)));
            Server::start(Database::Postgres, &all).await
        };
        let [first, second] = redis_urls;
        let (a, b) = (start(first).await, start(second).await);
        Self { a, b, _folder: folder }
    }

    /// The same on the Redis that all cases of this process share.
    pub async fn on_shared_redis(settings: &[(&'static str, &str)]) -> Self {
        let two = Self::start(&redis::redis().url(), settings).await;
        two.hear_each_other().await;
        two
    }

    /// Waits until hints pass between them.
    pub async fn hear_each_other(&self) {
        until("both to hear each other", || async {
            (self.a.app.platform.bus.is_healthy() && self.b.app.platform.bus.is_healthy()).then_some(())
        })
        .await;
    }

    /// Both.
    pub fn servers(&self) -> [&Server; 2] {
        [&self.a, &self.b]
    }

    /// Stops both.
    pub async fn finish(self) {
        self.a.finish().await;
        self.b.finish().await;
    }
}

/// Each round refreshes one token twenty times at once, spread over the instances: all succeed, with one successor,
/// and nobody is logged out.
pub async fn parallel_refreshes(servers: &[&Server], rounds: usize) {
    let ada = servers[0].person("Ada").await;
    let mut tokens = servers[0].client.log_in(&ada.email).await;
    for round in 0..rounds {
        let tries = (0..20).map(|number| servers[number % servers.len()].client.refresh(&tokens.refresh));
        let successors: Vec<Tokens> =
            join_all(tries).await.into_iter().map(|outcome| outcome.expect("each of them succeeds")).collect();
        assert!(successors.iter().all(|it| it.refresh == successors[0].refresh), "round {round}: one successor");
        assert_ne!(successors[0].refresh, tokens.refresh, "round {round}: it is rotated");
        for (server, successor) in servers.iter().cycle().zip(&successors) {
            assert!(server.client.is_let_in(&successor.access).await, "round {round}: every access token is good");
        }
        tokens = successors[0].clone();
    }
    println!("{} × 20 parallel refreshes on {} instance(s): one successor each, no logout", rounds, servers.len());
}

/// Replays a token that was replaced: its parent after the grace, or the one before that at once. The session is dead
/// on every instance, and its person is told. Gives back the longest time that a token lived on.
pub async fn replays(servers: &[&Server], count: usize, grandparent: bool) -> Duration {
    let (first, last) = (servers[0], servers[servers.len() - 1]);
    let ada = first.person("Ada").await;
    let mut families = Vec::new();
    for _ in 0..count {
        let old = first.client.log_in(&ada.email).await;
        let mut new = first.client.refresh(&old.refresh).await.expect("refreshed");
        if grandparent {
            new = last.client.refresh(&new.refresh).await.expect("refreshed again");
        }
        families.push((old, new));
    }
    if !grandparent {
        for server in servers {
            server.advance(TimeDelta::seconds(11));
        }
    }
    let mut longest = Duration::ZERO;
    for (old, new) in families {
        assert!(last.client.is_let_in(&new.access).await, "the session is alive before");
        assert_eq!(first.client.refresh(&old.refresh).await.expect_err("a replay"), "UNAUTHENTICATED");
        // All at once from here: the time of one is not spent on another.
        let watched = servers.iter().flat_map(|server| [&new.access, &old.access].map(|token| (server, token)));
        let times = join_all(watched.map(|(server, token)| server.client.time_until_refused(token))).await;
        longest = times.into_iter().fold(longest, Duration::max);
        for server in servers {
            assert_eq!(server.client.refresh(&new.refresh).await.expect_err("the family is dead"), "UNAUTHENTICATED");
        }
    }
    let me = Person { token: first.client.log_in(&ada.email).await.access, ..ada.clone() };
    let told = first.data(&me, "{ viewer { notifications { totalCount nodes { title } } } }", json!({})).await;
    assert_eq!(told["viewer"]["notifications"]["totalCount"], count, "the person is told of each: {told}");
    assert_eq!(told["viewer"]["notifications"]["nodes"][0]["title"], "Session Ended");
    first.mail_to(&ada.email, "A Spacedly session was ended for your safety").await;
    let what = if grandparent { "a grandparent at once" } else { "a parent after 11 s" };
    println!("{count} replays of {what} on {} instance(s): dead everywhere after {longest:?} at most", servers.len());
    longest
}

/// Refreshes a token while its session is ended by one of three ways: nothing of the session lives on.
pub async fn races(servers: &[&Server], count: usize) {
    let (first, last) = (servers[0], servers[servers.len() - 1]);
    let ada = first.person("Ada").await;
    let mut password = PASSWORD.to_owned();
    let mut refreshed = 0;
    for number in 0..count {
        let log_in = async || {
            let answer = first.client.log_in_answer(&ada.email, &password).await;
            Tokens::of(&answer["data"]["sessionCreate"]).unwrap_or_else(|| panic!("no session: {answer}"))
        };
        let (victim, other) = (log_in().await, log_in().await);
        let next_password = format!("another horse battery {number}");
        let end = async {
            match number % 3 {
                0 => last.client.act(&victim.access, "sessionEnd").await,
                1 => last.client.change_password(&other.access, &next_password).await,
                _ => {
                    let query = "mutation($id: ID!) { sessionRevoke(input: { id: $id }) { userErrors { code } } }";
                    last.client.graphql(Some(&other.access), query, json!({ "id": victim.session })).await
                }
            }
        };
        let (ended, successor) = tokio::join!(end, first.client.refresh(&victim.refresh));
        assert!(ended["errors"].is_null(), "{ended}");
        if number % 3 == 1 {
            password = next_password;
        }
        refreshed += usize::from(successor.is_ok());
        let handed_out = [Some(victim.clone()), successor.ok()];
        for tokens in handed_out.into_iter().flatten() {
            for server in servers {
                assert!(
                    server.client.time_until_refused(&tokens.access).await < Duration::from_secs(1),
                    "race {number}"
                );
                assert!(server.client.refresh(&tokens.refresh).await.is_err(), "race {number}: no token lives on");
            }
        }
    }
    println!("{count} races on {} instance(s): {refreshed} refreshes came first, no token lived on", servers.len());
}
