//! Traces, as a collector gets them.

use hyper::{Method, StatusCode};
use support::{
    Person, Server, both,
    collector::{Collector, Span, text_of},
    json, until,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Another server on the same kind of database, whose traces go to a collector.
async fn traced(server: &Server, collector: &Collector, more: &[(&'static str, &str)]) -> Server {
    let mut settings = vec![
        ("OTLP_ENDPOINT", collector.address.as_str()),
        ("OTLP_SAMPLE", "1"),
        ("OTLP_EVERY", "50ms"),
        ("OTLP_SERVICE", "spacedly-test"),
    ];
    for setting in more {
        settings.retain(|(name, _)| *name != setting.0);
        settings.push(*setting);
    }
    Server::start(server.database, &settings).await
}

async fn ask(server: &Server, person: &Person, query: &str, traceparent: &str) {
    let bearer = format!("Bearer {}", person.token);
    let headers =
        [("content-type", "application/json"), ("authorization", bearer.as_str()), ("traceparent", traceparent)];
    let body = json!({ "query": query }).to_string();
    let answer = server.client.send(Method::POST, "/graphql", &headers, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
}

/// The span of an operation, once it has come.
async fn span_of(collector: &Collector, operation: &str) -> Span {
    until(&format!("the span of {operation}"), || async {
        let named = |span: &Span| text_of(&span.attributes, "graphql.operation.name").as_deref() == Some(operation);
        collector.spans().into_iter().find(named)
    })
    .await
}

both! {
    async fn a_request_is_a_span_of_whoever_asked(server) {
        let collector = Collector::start().await;
        let other = traced(server, &collector, &[]).await;
        let ada = other.person("Ada").await;
        ask(&other, &ada, "query Dashboard { viewer { name } }", &format!("00-{TRACE}-{PARENT}-01")).await;
        let span = span_of(&collector, "Dashboard").await;
        assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
        assert_eq!((span.name.as_str(), collector.service().as_str()), ("query", "spacedly-test"));
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano && span.start_time_unix_nano > 0);
        assert!(span.events.is_empty(), "no lines of the log");
        ask(&other, &ada, "query Wrong { task(id: \"nonsense\") { id } }", "nonsense").await;
        let wrong = span_of(&collector, "Wrong").await;
        assert!(wrong.parent_span_id.is_empty(), "what is not well-formed is passed over");
        assert_eq!(text_of(&wrong.attributes, "error.type").as_deref(), Some("BAD_REQUEST"));
        // Registering sent a mail, which is a job.
        let job = until("the span of a job", || async {
            collector.spans().into_iter().find(|span| text_of(&span.attributes, "spacedly.job.kind").is_some())
        }).await;
        assert_eq!(Some(job.name), text_of(&job.attributes, "spacedly.job.kind"));
        other.client.get("/health/live").await;
        other.app.platform.tracer.stop().await;
        let spans = collector.spans();
        let told: Vec<String> = spans.iter().map(|span| format!("{span:?}")).collect();
        for secret in [ada.token.as_str(), &ada.email, &ada.id] {
            assert!(told.iter().all(|span| !span.contains(secret)), "nobody is named");
        }
        let allowed = ["graphql.operation.type", "graphql.operation.name", "http.response.status_code", "error.type", "spacedly.job.kind", "spacedly.job.count"];
        let strange = spans.iter().flat_map(|span| &span.attributes).find(|attribute| !allowed.contains(&attribute.key.as_str()));
        assert_eq!(strange, None);
        other.finish().await;
    }

    async fn a_share_is_traced_and_a_proxy_of_ours_may_say_which(server) {
        let collector = Collector::start().await;
        let (kept, passed) = (format!("00-{TRACE}-{PARENT}-01"), format!("00-{TRACE}-{PARENT}-00"));
        let none = traced(server, &collector, &[("OTLP_SAMPLE", "0")]).await;
        let ada = none.person("Ada").await;
        ask(&none, &ada, "query Anybody { viewer { name } }", &kept).await;
        none.app.platform.tracer.stop().await;
        assert!(collector.spans().is_empty(), "anybody can send the header");
        none.finish().await;
        let behind = traced(server, &collector, &[("OTLP_SAMPLE", "0"), ("TRUSTED_PROXIES", "1")]).await;
        let ada = behind.person("Ada").await;
        ask(&behind, &ada, "query Passed { viewer { name } }", &passed).await;
        ask(&behind, &ada, "query Kept { viewer { name } }", &kept).await;
        span_of(&collector, "Kept").await;
        behind.app.platform.tracer.stop().await;
        assert_eq!(collector.spans().len(), 1);
        behind.finish().await;
    }

    async fn a_collector_that_is_away_keeps_nobody(server) {
        let away = format!("http://127.0.0.1:{}", support::redis::quiet_port());
        let other = Server::start(server.database, &[("OTLP_ENDPOINT", away.as_str()), ("OTLP_SAMPLE", "1"), ("OTLP_EVERY", "10ms")]).await;
        let ada = other.person("Ada").await;
        for _ in 0..20 {
            other.task(&ada, "Go on").await;
        }
        other.app.platform.tracer.stop().await;
        other.finish().await;
    }
}
