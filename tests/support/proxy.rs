//! A reverse proxy that honours readiness, as small as it can be: it asks every instance that it knows ten times a second
//! whether it is ready, and sends each request to the next one that is. It never sends a request twice.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// How often an instance is asked.
const EVERY: Duration = Duration::from_millis(100);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

type Http = Client<HttpConnector, Full<Bytes>>;

/// The running proxy; ends when dropped.
pub struct Proxy {
    /// Where it listens, like `http://127.0.0.1:4711`.
    pub address: String,
    instances: Arc<Instances>,
    listening: JoinHandle<()>,
}

#[derive(Default)]
struct Instances {
    known: Mutex<Vec<Arc<Instance>>>,
    turn: AtomicUsize,
}

struct Instance {
    address: String,
    is_ready: AtomicBool,
    asking: JoinHandle<()>,
}

impl Proxy {
    /// Starts it on a free port; it knows nobody yet.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let instances = Arc::<Instances>::default();
        let listening = tokio::spawn(listen(listener, instances.clone()));
        Self { address, instances, listening }
    }

    /// Sends requests to this instance too, once it is ready.
    pub fn add(&self, address: &str) {
        let instance = Arc::new_cyclic(|itself: &std::sync::Weak<Instance>| {
            let (itself, url) = (itself.clone(), format!("{address}/health/ready"));
            let asking = tokio::spawn(async move {
                let http: Http = Client::builder(TokioExecutor::new()).build_http();
                loop {
                    let asked = http.get(url.parse().expect("an address"));
                    let answer = tokio::time::timeout(PATIENCE, asked).await;
                    let is_ready = matches!(answer, Ok(Ok(answer)) if answer.status() == StatusCode::OK);
                    let Some(instance) = itself.upgrade() else { return };
                    instance.is_ready.store(is_ready, Ordering::Release);
                    drop(instance);
                    tokio::time::sleep(EVERY).await;
                }
            });
            Instance { address: address.to_owned(), is_ready: AtomicBool::new(false), asking }
        });
        self.instances.lock().push(instance);
    }

    /// Forgets an instance.
    pub fn remove(&self, address: &str) {
        self.instances.lock().retain(|instance| instance.address != address);
    }

    /// Whether an instance was ready when it was asked last.
    pub fn is_ready(&self, address: &str) -> bool {
        self.instances.lock().iter().any(|it| it.address == address && it.is_ready.load(Ordering::Acquire))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

impl Instances {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Instance>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of the next one that is ready.
    fn next(&self) -> Option<String> {
        let known = self.lock();
        let ready: Vec<_> = known.iter().filter(|instance| instance.is_ready.load(Ordering::Acquire)).collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        ready.get(turn % ready.len().max(1)).map(|instance| instance.address.clone())
    }
}

async fn listen(listener: TcpListener, instances: Arc<Instances>) {
    // A connection that ended under a request is a failure that the trial is to see.
    let http: Http = Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http();
    while let Ok((stream, _)) = listener.accept().await {
        let (instances, http) = (instances.clone(), http.clone());
        let service = hyper::service::service_fn(move |request| {
            let (instances, http) = (instances.clone(), http.clone());
            async move { Ok::<_, Infallible>(pass_on(&instances, &http, request).await) }
        });
        tokio::spawn(async move {
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn pass_on(
    instances: &Instances,
    http: &Http,
    request: Request<Incoming>,
) -> Response<BoxBody<Bytes, hyper::Error>> {
    let Some(address) = instances.next() else { return failed("no instance is ready") };
    let (mut parts, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(cause) => return failed(&format!("the client broke off: {cause}")),
    };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = format!("{address}{path}").parse().expect("an address");
    parts.headers.remove(header::CONNECTION);
    match http.request(Request::from_parts(parts, Full::new(body))).await {
        Ok(mut answer) => {
            // It is about the connection to the instance.
            answer.headers_mut().remove(header::CONNECTION);
            answer.map(BodyExt::boxed)
        }
        Err(cause) => failed(&format!("{address} broke off: {cause:?}")),
    }
}

fn failed(why: &str) -> Response<BoxBody<Bytes, hyper::Error>> {
    let body = Full::new(Bytes::from(why.to_owned())).map_err(|never| match never {}).boxed();
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer
}
