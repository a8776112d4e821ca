//! A rolling upgrade under load: two instances behind a proxy are replaced one after the other, while clients ask and
//! write all the time. The suite runs one round, `tests/faults/run` many.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hyper::{Method, StatusCode};
use serde_json::{Value as Json, json};

use crate::{client::Client, postgres, process::Process, proxy::Proxy, until};

/// Clients that ask at the same time.
const CLIENTS: usize = 4;
/// How long a client waits between two requests: machines that run this do other things, too.
const PAUSE: Duration = Duration::from_millis(5);

/// What came of it.
#[derive(Debug, Default)]
pub struct Rolled {
    pub queries: u64,
    pub mutations: u64,
    /// Every request that was not answered as it should be.
    pub failed: Vec<String>,
    /// Instances that were replaced.
    pub replaced: usize,
    /// Tasks that were acknowledged and are not there, or the other way round.
    pub astray: i64,
    /// The longest time that a request took.
    pub longest: Duration,
    pub took: Duration,
}

impl Rolled {
    /// Whether nobody noticed.
    pub fn ok(&self) -> bool {
        self.failed.is_empty() && self.astray == 0 && self.queries > 0 && self.mutations > 0
    }
}

impl fmt::Display for Rolled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queries, mutations, failed, replaced, astray, longest, took } = self;
        write!(
            f,
            "rolling: {replaced} instances replaced under n={} requests ({queries} queries, {mutations} mutations, longest \
             {} ms): failed {}, acknowledged and astray {astray}, {:.0} s",
            queries + mutations,
            longest.as_millis(),
            failed.len(),
            took.as_secs_f64()
        )
    }
}

#[derive(Default)]
struct Tally {
    queries: AtomicU64,
    mutations: AtomicU64,
    longest_us: AtomicU64,
    failed: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

/// Replaces both instances so many times.
pub async fn rolling(rounds: usize) -> Rolled {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Arc::new(vec![
        ("DATA_DIR", folder.path().display().to_string()),
        ("DATABASE_URL", postgres::cluster().database().await),
        ("SECRET_KEY", "one secret for all of the instances".to_owned()),
        ("PASSWORD_MEMORY_KIB", "64".to_owned()),
        ("PASSWORD_PASSES", "1".to_owned()),
        ("ACCESS_TOKEN_LIFETIME", "1d".to_owned()),
        // The proxy needs a tenth of a second; the machine may be busy.
        ("SHUTDOWN_DELAY", "2s".to_owned()),
    ]);
    let start = || async {
        let settings = settings.clone();
        tokio::task::spawn_blocking(move || Process::start(&settings)).await.expect("it starts")
    };
    let proxy = Proxy::start().await;
    let mut places = [Some(start().await), Some(start().await)];
    for instance in places.iter().flatten() {
        join(&proxy, instance).await;
    }
    let token = Client::new(&proxy.address).register("Ada").await.token;
    let tally = Arc::<Tally>::default();
    let began = Instant::now();
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| tokio::spawn(ask_on(proxy.address.clone(), token.clone(), tally.clone()))).collect();
    for _ in 0..rounds {
        for place in &mut places {
            let old = place.take().expect("an instance");
            let address = old.address.clone();
            // The other one is alone with the load until the new one is there.
            let ending = tokio::task::spawn_blocking(move || old.terminate());
            let fresh = place.insert(start().await);
            join(&proxy, fresh).await;
            assert!(ending.await.expect("joined"), "it ends well");
            proxy.remove(&address);
        }
    }
    tally.is_over.store(true, Ordering::Release);
    for client in clients {
        client.await.expect("a client ends");
    }
    let count = "{ viewer { tasks(first: 1) { totalCount } } }";
    let there = Client::new(&proxy.address).graphql(Some(&token), count, json!({})).await;
    let there = there["data"]["viewer"]["tasks"]["totalCount"].as_i64().expect("a number");
    let (queries, mutations) = (tally.queries.load(Ordering::Relaxed), tally.mutations.load(Ordering::Relaxed));
    let failed = std::mem::take(&mut *tally.failed.lock().unwrap_or_else(PoisonError::into_inner));
    let longest = Duration::from_micros(tally.longest_us.load(Ordering::Relaxed));
    let astray = there - i64::try_from(mutations).expect("a number");
    Rolled { queries, mutations, failed, replaced: rounds * 2, astray, longest, took: began.elapsed() }
}

async fn join(proxy: &Proxy, instance: &Process) {
    proxy.add(&instance.address);
    until("the proxy to find it ready", || async { proxy.is_ready(&instance.address).then_some(()) }).await;
}

/// Asks and writes in turn, until it is over.
async fn ask_on(address: String, token: String, tally: Arc<Tally>) {
    let client = Client::new(&address);
    let bearer = format!("Bearer {token}");
    let query = json!({ "query": "{ viewer { name tasks(first: 3) { nodes { id title } } } }" });
    let mutation = json!({ "query": "mutation { taskCreate(input: { title: \"Roll on\" }) { task { id } userErrors { code } } }" });
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    while !tally.is_over.load(Ordering::Acquire) {
        for (body, counter) in [(&query, &tally.queries), (&mutation, &tally.mutations)] {
            let began = Instant::now();
            let answer = client.try_send(Method::POST, "/graphql", &headers, body.to_string()).await;
            let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            tally.longest_us.fetch_max(took, Ordering::Relaxed);
            let fine = |data: &Json| data["viewer"]["name"] == "Ada" || data["taskCreate"]["task"]["id"].is_string();
            match answer {
                Ok(answer) if answer.status == StatusCode::OK && fine(&answer.json()["data"]) => {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) => note(&tally, format!("{}: {}", answer.status, answer.text())),
                Err(cause) => note(&tally, cause),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn note(tally: &Tally, failure: String) {
    tally.failed.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
}
