//! A collector of traces: takes OTLP in protobuf over HTTP, and keeps the spans.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
};
use prost::Message;
use tokio::{net::TcpListener, task::JoinHandle};

pub use opentelemetry_proto::tonic::trace::v1::Span;

/// The running collector; ends when dropped.
pub struct Collector {
    /// Where it listens, like `http://127.0.0.1:4711`.
    pub address: String,
    taken: Arc<Mutex<Taken>>,
    listening: JoinHandle<()>,
}

#[derive(Default)]
struct Taken {
    service: String,
    spans: Vec<Span>,
}

impl Collector {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let taken = Arc::<Mutex<Taken>>::default();
        let keep = taken.clone();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let keep = keep.clone();
                let service = hyper::service::service_fn(move |request| take(keep.clone(), request));
                tokio::spawn(async move {
                    let http = auto::Builder::new(TokioExecutor::new());
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, taken, listening }
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).spans.clone()
    }

    /// As what the sender calls itself.
    pub fn service(&self) -> String {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).service.clone()
    }
}

async fn take(taken: Arc<Mutex<Taken>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_right = request.uri().path() == "/v1/traces"
        && request.headers().get("content-type").is_some_and(|value| value == "application/x-protobuf");
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut answer = Response::new(Full::new(Bytes::new()));
    match ExportTraceServiceRequest::decode(body) {
        Ok(sent) if is_right => {
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            for resource in sent.resource_spans {
                let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
                taken.service = text_of(&attributes, "service.name").unwrap_or_default();
                taken.spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        }
        _ => *answer.status_mut() = StatusCode::BAD_REQUEST,
    }
    Ok(answer)
}

/// An attribute that is a text.
pub fn text_of(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
