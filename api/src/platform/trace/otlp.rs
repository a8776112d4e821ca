//! Spans to a collector: kept in a queue that drops what is too much, and handed over every few seconds by a thread of
//! OpenTelemetry's, through our own HTTP client.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
        TraceState, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, Span as SdkSpan},
};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;

use super::{Parent, Told};
use crate::platform::{clock::Clock, config::Config, random::Random};

/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take when the program stops.
const FAREWELL: Duration = Duration::from_secs(3);
/// Characters of an operation's name that are told.
const NAME: usize = 100;

/// Makes spans of a share of what happens. Cheap to clone.
#[derive(Clone)]
pub struct Tracer(Option<Arc<Sending>>);

struct Sending {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    clock: Clock,
    random: Random,
    share: f64,
    /// Whether the trace of whoever asks says if it is kept. Only behind a proxy of ours: anybody can send the header,
    /// and so have everything kept.
    follows: bool,
}

/// A span that has begun.
pub struct Span {
    span: SdkSpan,
    clock: Clock,
}

impl Tracer {
    /// To the collector of the configuration, if there is one.
    ///
    /// # Errors
    /// When it cannot be; in words for an operator.
    pub fn from_config(config: &Config, clock: &Clock, random: &Random) -> Result<Self, String> {
        let settings = &config.watching;
        let Some(endpoint) = &settings.otlp_endpoint else { return Ok(Self(None)) };
        let failed = |cause: &dyn std::fmt::Display| format!("OTLP_ENDPOINT cannot be used: {cause}");
        let address = url::Url::parse(endpoint.expose_secret()).map_err(|cause| failed(&cause))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new().map_err(|cause| failed(&cause.without_url()))?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", address.as_str().trim_end_matches('/')))
            .with_timeout(PATIENCE)
            .build()
            // Its words would show the address, which may hold a password.
            .map_err(|_| failed(&"it is no address of a collector"))?;
        let batches = BatchConfigBuilder::default().with_scheduled_delay(settings.otlp_every).build();
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder_empty().with_service_name(settings.otlp_service.clone());
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            // What is not kept is never begun.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource.with_attribute(version).build())
            .build();
        let (tracer, share) = (provider.tracer("spacedly"), settings.otlp_sample);
        let follows = config.server.trusted_proxies > 0;
        let (clock, random) = (clock.clone(), random.clone());
        Ok(Self(Some(Arc::new(Sending { provider, tracer, clock, random, share, follows }))))
    }

    /// Begins the span of a request with this `traceparent`. None: it is not traced.
    pub fn request(&self, traceparent: Option<&str>) -> Option<Span> {
        let sending = self.0.as_ref()?;
        let parent = traceparent.and_then(Parent::read);
        let is_kept = match parent {
            Some(parent) if sending.follows => parent.is_kept,
            _ => sending.draws(),
        };
        is_kept.then(|| sending.begin("request", SpanKind::Server, parent))
    }

    /// Begins the span of a batch of jobs. None: it is not traced.
    pub fn jobs(&self) -> Option<Span> {
        let sending = self.0.as_ref()?;
        sending.draws().then(|| sending.begin("jobs", SpanKind::Consumer, None))
    }

    /// Hands over what is still there, and takes nothing more.
    pub async fn stop(&self) {
        let Some(sending) = self.0.clone() else { return };
        let stopped = tokio::task::spawn_blocking(move || sending.provider.shutdown_with_timeout(FAREWELL)).await;
        if !matches!(stopped, Ok(Ok(()))) {
            tracing::warn!("the last traces could not be handed over");
        }
    }
}

impl Sending {
    fn draws(&self) -> bool {
        self.share > 0.0 && f64::from(u32::from_be_bytes(self.random.bytes())) < self.share * f64::from(u32::MAX) + 1.0
    }

    fn begin(&self, name: &'static str, kind: SpanKind, parent: Option<Parent>) -> Span {
        let context = Context::new();
        let context = match parent {
            None => context,
            Some(Parent { trace, span, .. }) => {
                let (trace, span) = (TraceId::from(trace), SpanId::from(span));
                let state = TraceState::default();
                context.with_remote_span_context(SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state))
            }
        };
        let builder = SpanBuilder::from_name(name).with_kind(kind).with_start_time(SystemTime::from(self.clock.now()));
        Span { span: self.tracer.build_with_context(builder, &context), clock: self.clock.clone() }
    }
}

impl Span {
    /// Ends it, with what it tells.
    pub fn end(mut self, told: Told<'_>) {
        let outcome = match told {
            Told::Request { kind, operation, status, outcome } => {
                if !kind.is_empty() {
                    self.span.update_name(kind);
                    self.span.set_attribute(KeyValue::new("graphql.operation.type", kind));
                }
                if !operation.is_empty() {
                    let name: String = operation.chars().take(NAME).collect();
                    self.span.set_attribute(KeyValue::new("graphql.operation.name", name));
                }
                self.span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
                outcome
            }
            Told::Jobs { kind, number, outcome } => {
                self.span.update_name(kind);
                self.span.set_attribute(KeyValue::new("spacedly.job.kind", kind));
                let number = i64::try_from(number).unwrap_or(i64::MAX);
                self.span.set_attribute(KeyValue::new("spacedly.job.count", number));
                outcome
            }
        };
        if outcome != "ok" {
            self.span.set_attribute(KeyValue::new("error.type", outcome));
            self.span.set_status(Status::error(Cow::Borrowed(outcome)));
        }
        self.span.end_with_timestamp(SystemTime::from(self.clock.now()));
    }
}

/// The way to the collector. The thread that hands spans over is none of the runtime's, on which requests are sent.
#[derive(Debug)]
struct Collector {
    http: reqwest::Client,
    runtime: Handle,
    /// Whether the last batch was not taken: it is told once, and not every few seconds.
    is_away: Arc<AtomicBool>,
}

impl Collector {
    fn new() -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE.min(Duration::from_secs(5)))
            .build()?;
        Ok(Self { http, runtime: Handle::current(), is_away: Arc::default() })
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, is_away) = (self.http.clone(), self.is_away.clone());
        let sending = async move {
            let (parts, body) = request.into_parts();
            let asked = http.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
            let answered = asked.send().await.and_then(reqwest::Response::error_for_status);
            let was_away = is_away.swap(answered.is_err(), Ordering::Relaxed);
            match answered {
                // What it says about them is not read: it could be anything, and as long as it likes.
                Ok(answer) => {
                    if was_away {
                        tracing::info!("traces are taken again");
                    }
                    Ok(answer.status())
                }
                Err(cause) => {
                    let cause = cause.without_url();
                    if !was_away {
                        tracing::warn!(%cause, "the collector does not take traces: see OTLP_ENDPOINT");
                    }
                    Err(cause)
                }
            }
        };
        let status = self.runtime.spawn(sending).await??;
        Ok(Response::builder().status(status).body(Bytes::new())?)
    }
}
