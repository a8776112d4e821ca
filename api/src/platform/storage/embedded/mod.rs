//! An object store of our own, on the local disk and in this process, that speaks S3.
//! Promise: what it acknowledged is on the disk, whole; nobody reads or stores without a signature of ours.

mod connector;
mod cors;
mod digests;
mod disk;
mod draft;
mod gate;
mod get;
mod list;
mod names;
mod object;
mod operations;
mod put;

use std::{
    error::Error,
    fs::File,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body, Bytes, Frame, SizeHint},
    header::{self, HeaderName, HeaderValue},
    http::request::Parts,
};
use s3s::{
    S3Error, S3ErrorCode, S3Result,
    auth::SimpleAuth,
    config::{S3Config, StaticConfigProvider},
    dto::CORSRule,
    path::{S3Path, parse_path_style},
    s3_error,
    service::{S3Service, S3ServiceBuilder},
};
use secrecy::{ExposeSecret, SecretString};

use self::{connector::Connector, disk::Disk, operations::Operations};

/// What the store takes at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The bytes of one object.
    pub object: u64,
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct EmbeddedStore {
    service: S3Service,
    disk: Arc<Disk>,
    limits: Limits,
}

/// On every answer: what is stored here came from somebody, and no browser shall take it for a page of ours.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    (header::REFERRER_POLICY, "no-referrer"),
    // What is answered depends on it, also when it is missing.
    (header::VARY, "Origin"),
];

/// Nothing is deleted from the store in this folder, by any process, as long as what this gives is kept. It blocks.
///
/// # Errors
/// When the folder cannot be written to.
pub fn keep_all(folder: &Path) -> io::Result<File> {
    disk::keep_all(folder)
}

impl EmbeddedStore {
    /// Opens the store in this folder, which is made when it is missing. It blocks for a moment.
    ///
    /// # Errors
    /// When the folder cannot be used; in words for an operator.
    pub fn open(folder: PathBuf, access_key: String, secret_key: SecretString, limits: Limits) -> Result<Self, String> {
        let disk = Arc::new(Disk::open(folder)?);
        let mut config = S3Config::default();
        config.xml_max_body_size = usize::try_from(gate::MOST_XML).unwrap_or(usize::MAX);
        let mut service = S3ServiceBuilder::new(Operations { disk: disk.clone(), limits });
        service.set_auth(SimpleAuth::from_single(access_key, secret_key.expose_secret()));
        service.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        Ok(Self { service: service.build(), disk, limits })
    }

    /// Answers a request from outside. The URI must be the one that was asked for (`/{bucket}/{key}?…`), unstripped,
    /// and the Host header the one that was sent: both are signed.
    pub async fn serve<B>(&self, request: Request<B>) -> Response<Answer>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let rules = self.rules(&head).await;
        if head.method == Method::OPTIONS {
            return preflight(&rules, &head);
        }
        let cors = cors::answer(&rules, &head);
        let is_head = head.method == Method::HEAD;
        let answer = match gate::check(&head, self.limits) {
            Ok(()) => {
                let body = s3s::Body::http_body_unsync(Plain(Box::pin(body)));
                self.service.call(Request::from_parts(head, body)).await.map_err(|cause| {
                    tracing::error!(?cause, "the object store gave no answer");
                    s3_error!(InternalError)
                })
            }
            Err(refusal) => Err(refusal),
        };
        let mut answer = answer.or_else(S3Error::to_http_response);
        // s3s tells what went wrong also where HTTP has no room for it (RFC 9110, sections 9.3.2 and 15.4.5).
        if let Ok(answer) = &mut answer
            && (is_head || answer.status() == StatusCode::NOT_MODIFIED)
        {
            *answer.body_mut() = s3s::Body::empty();
        }
        finished(answer, cors)
    }

    /// The way of our own code to the store, for `http_client` of the configuration of aws-sdk-s3: no socket.
    pub fn connector(&self) -> SharedHttpClient {
        SharedHttpClient::new(Connector(self.service.clone()))
    }

    /// The CORS rules for a request of a page of another origin.
    async fn rules(&self, head: &Parts) -> Vec<CORSRule> {
        let Some(_) = cors::origin(head) else { return Vec::new() };
        let bucket = match parse_path_style(head.uri.path()) {
            Ok(S3Path::Bucket { bucket } | S3Path::Object { bucket, .. }) => bucket,
            Ok(S3Path::Root) | Err(_) => return Vec::new(),
        };
        let disk = self.disk.clone();
        let rules = blocking(move || disk.cors(&bucket)).await;
        rules.ok().flatten().map(|cors| cors.cors_rules).unwrap_or_default()
    }
}

fn preflight(rules: &[CORSRule], head: &Parts) -> Response<Answer> {
    let told = cors::preflight(rules, head);
    let mut answer = Response::new(s3s::Body::empty());
    *answer.status_mut() = if told.is_some() { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN };
    finished(Ok(answer), told)
}

fn finished(answer: S3Result<Response<s3s::Body>>, cors: Option<HeaderMap>) -> Response<Answer> {
    let mut answer = answer.unwrap_or_else(|_| {
        let mut answer = Response::new(s3s::Body::empty());
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer
    });
    // A browser may keep what is said to be kept; else it asks again, and hears 304 when nothing changed.
    let keep = if answer.status().is_success() { "private, no-cache" } else { "no-store" };
    let headers = answer.headers_mut();
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.extend(cors.unwrap_or_default());
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(keep));
    answer.map(Answer)
}

/// The body of an answer: streamed, never whole in memory. `poem::Response::from(response)` takes it as it is.
pub struct Answer(s3s::Body);

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx).map_err(io::Error::other)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// The body of a request, with the errors that s3s knows.
struct Plain<B>(Pin<Box<B>>);

impl<B> Body for Plain<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = s3s::StdError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.as_mut().poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Does work with files where it blocks nobody.
async fn blocking<T: Send + 'static>(act: impl FnOnce() -> S3Result<T> + Send + 'static) -> S3Result<T> {
    let outcome = match tokio::task::spawn_blocking(act).await {
        Ok(outcome) => outcome,
        Err(died) => Err(S3Error::internal_error(died)),
    };
    if let Err(error) = &outcome
        && *error.code() == S3ErrorCode::InternalError
    {
        // The client is not told what is wrong with our disk; the operator is.
        tracing::error!(cause = ?error.source(), "the disk of the object store failed");
    }
    outcome
}
