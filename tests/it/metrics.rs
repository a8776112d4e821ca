//! Metrics, as Prometheus reads them.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use hyper::{Method, StatusCode};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Statement, sea_query::Expr};
use spacedly::platform::{
    error::Fault,
    jobs::{self, NewJob},
};
use support::{Server, both, json, until};

/// Every line by what it measures, with its labels in order.
async fn read(server: &Server) -> BTreeMap<String, f64> {
    let answer = server.client.get("/metrics").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    parse(&answer.text())
}

fn parse(text: &str) -> BTreeMap<String, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    samples.map(sample).collect()
}

/// Waits until this is measured.
async fn until_it_reads(server: &Server, name: &str, value: f64) {
    until(&format!("{name} to be {value}"), || async { (read(server).await.get(name) == Some(&value)).then_some(()) })
        .await;
}

/// How often operations were counted under these words of their labels.
fn requests(metrics: &BTreeMap<String, f64>, words: &[&str]) -> f64 {
    let counted = metrics.iter().filter(|(name, _)| name.starts_with("spacedly_requests_total{"));
    counted.filter(|(name, _)| words.iter().all(|word| name.contains(word))).map(|(_, value)| value).sum()
}

/// Writes a job down of which nobody knows what it is.
async fn enqueue(server: &Server, kind: &'static str, due_in: TimeDelta) {
    let platform = server.app.platform.clone();
    let (parts, due_at) = (platform.clone(), platform.clock.now() + due_in);
    let written = platform.db.write::<_, Fault, _, _>(move |tx| async move {
        let job = NewJob { kind, subject_id: parts.new_uuid(), user_id: None, due_at };
        Ok(jobs::enqueue(&parts, &tx, &[job]).await?)
    });
    written.await.expect("written");
}

both! {
    async fn operations_are_counted_by_kind_name_and_outcome(server) {
        let ada = server.person("Ada").await;
        for _ in 0..3 {
            server.data(&ada, "query Dashboard { viewer { name } }", json!({})).await;
        }
        server.ask_as_nobody("query Dashboard { task(id: \"task_01jd3xk5ve7h8t9w2n4m6p8q0r\") { id } }", json!({})).await;
        server.ask(&ada, "query Wrong { task(id: \"nonsense\") { id } }", json!({})).await;
        server.ask(&ada, "{ nonsense }", json!({})).await;
        server.data(&ada, "mutation Add { taskCreate(input: { title: \"Count\" }) { task { id } } }", json!({})).await;
        server.client.get("/nonsense").await;
        let metrics = read(server).await;
        for (words, count) in [
            (vec!["kind=\"query\"", "operation=\"Dashboard\"", "outcome=\"ok\""], 3.0),
            (vec!["operation=\"Dashboard\"", "outcome=\"UNAUTHENTICATED\""], 1.0),
            (vec!["operation=\"Wrong\"", "outcome=\"BAD_REQUEST\""], 1.0),
            (vec!["kind=\"refused\"", "operation=\"unnamed\"", "outcome=\"BAD_REQUEST\""], 1.0),
            (vec!["kind=\"mutation\"", "operation=\"Add\"", "outcome=\"ok\""], 1.0),
        ] {
            assert_eq!(requests(&metrics, &words), count, "{words:?}: {metrics:#?}");
        }
        assert_eq!(metrics["spacedly_http_requests_total{route=\"unknown\",outcome=\"NOT_FOUND\"}"], 1.0);
        assert!(metrics["spacedly_request_duration_seconds_count{kind=\"query\"}"] >= 5.0);
        assert!(metrics["spacedly_request_duration_seconds_sum{kind=\"query\"}"] > 0.0);
        assert!(metrics["spacedly_cache_hits_total{cache=\"documents\"}"] >= 2.0, "Dashboard was judged once");
        assert_eq!(metrics["spacedly_build_info{version=\"0.1.0\"}"], 1.0);
    }

    async fn names_that_clients_make_up_are_bounded(server, "METRICS_OPERATIONS" = "10") {
        let ada = server.person("Ada").await;
        for number in 0..20 {
            server.ask_as_nobody(&format!("query Flood{number} {{ __typename }}"), json!({})).await;
        }
        for number in 0..20 {
            server.ask(&ada, &format!("query Known{number} {{ __typename }}"), json!({})).await;
        }
        let metrics = read(server).await;
        let mut named: Vec<&str> = metrics.keys().filter_map(|name| name.split("operation=\"").nth(1)?.split('"').next()).collect();
        named.sort_unstable();
        named.dedup();
        assert_eq!(named.iter().filter(|name| name.starts_with("Flood")).count(), 5, "{named:?}");
        assert_eq!(named.iter().filter(|name| name.starts_with("Known")).count(), 5, "{named:?}");
        assert_eq!(requests(&metrics, &["operation=\"other\""]), 30.0);
    }

    async fn lateness_is_measured_where_deliveries_are_handed_over(server) {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Be late").await;
        server.reminder(&ada, &task, TimeDelta::minutes(90)).await;
        server.advance(TimeDelta::minutes(120));
        server.mail_to(&ada.email, "Reminder: Be late is due soon").await;
        server.jobs_are_done().await;
        for (name, value) in [
            ("spacedly_delivery_lateness_seconds_count{channel=\"in_app\"}", 1.0),
            ("spacedly_delivery_lateness_seconds_count{channel=\"email\"}", 1.0),
            ("spacedly_jobs_total{kind=\"reminders.in_app\",outcome=\"done\"}", 1.0),
            // So that the first one is an increase.
            ("spacedly_jobs_total{kind=\"reminders.in_app\",outcome=\"put_aside\"}", 0.0),
            ("spacedly_jobs_total{kind=\"reminders.in_app\",outcome=\"panicked\"}", 0.0),
        ] {
            until_it_reads(server, name, value).await;
        }
        let metrics = read(server).await;
        let bucket = |channel: &str, bound: &str| metrics[&format!("spacedly_delivery_lateness_seconds_bucket{{le=\"{bound}\",channel=\"{channel}\"}}")];
        assert_eq!((bucket("in_app", "300.0"), bucket("in_app", "3600.0")), (0.0, 1.0), "half an hour late");
        assert_eq!((bucket("email", "3600.0"), bucket("email", "21600.0")), (0.0, 1.0), "an hour and a half late");
        assert_eq!(metrics["spacedly_jobs_total{kind=\"reminders.in_app\",outcome=\"done\"}"], 1.0);
    }

    async fn the_queue_is_told_of_as_far_as_it_is_due(server, "METRICS_QUEUE_EVERY" = "0s") {
        for (kind, due_in) in [("tests.due", -60), ("tests.due", -10), ("tests.due", 3_600), ("tests.ahead", 3_600), ("tests.dead", -5)] {
            enqueue(server, kind, TimeDelta::seconds(due_in)).await;
        }
        let db = server.app.platform.db.for_migrations();
        let bury = entity::job::Entity::update_many().col_expr(entity::job::Column::State, Expr::value(entity::job::State::Dead));
        bury.filter(entity::job::Column::Kind.eq("tests.dead")).exec(db).await.expect("buried");
        server.expect_dead_jobs();
        let metrics = read(server).await;
        let of = |kind: &str, state: &str| metrics.get(&format!("spacedly_queue_jobs{{kind=\"{kind}\",state=\"{state}\"}}")).copied();
        assert_eq!((of("tests.due", "due"), of("tests.due", "running"), of("tests.due", "dead")), (Some(2.0), Some(0.0), Some(0.0)), "{metrics:#?}");
        assert_eq!((of("tests.ahead", "due"), of("tests.dead", "dead")), (Some(0.0), Some(1.0)));
        let oldest = metrics["spacedly_queue_oldest_seconds{kind=\"tests.due\"}"];
        assert!((60.0..90.0).contains(&oldest), "{oldest}");
        assert_eq!(metrics["spacedly_queue_oldest_seconds{kind=\"tests.ahead\"}"], 0.0);
        assert_eq!(metrics["spacedly_queue_known"], 1.0);
        entity::job::Entity::delete_many().filter(entity::job::Column::Kind.starts_with("tests.")).exec(db).await.expect("deleted");
        let metrics = read(server).await;
        assert_eq!(metrics["spacedly_queue_jobs{kind=\"tests.due\",state=\"due\"}"], 0.0, "a kind that is gone is not forgotten");
    }

    async fn a_worker_that_holds_jobs_is_seen(server, "METRICS_QUEUE_EVERY" = "0s", "METRICS_QUEUE_LIMIT" = "5") {
        for _ in 0..8 {
            enqueue(server, "tests.held", TimeDelta::seconds(-1)).await;
        }
        let metrics = read(server).await;
        assert_eq!(metrics["spacedly_queue_jobs{kind=\"tests.held\",state=\"due\"}"], 5.0, "no more than the limit");
        let db = server.app.platform.db.for_migrations();
        let until = server.clock.now() + TimeDelta::seconds(20);
        let held = entity::job::Entity::update_many().col_expr(entity::job::Column::State, Expr::value(entity::job::State::Running));
        let held = held.col_expr(entity::job::Column::AvailableAt, Expr::value(until)).filter(entity::job::Column::Kind.eq("tests.held"));
        held.exec(db).await.expect("held");
        let metrics = read(server).await;
        assert_eq!(metrics["spacedly_queue_jobs{kind=\"tests.held\",state=\"running\"}"], 5.0);
        assert_eq!(metrics["spacedly_queue_jobs{kind=\"tests.held\",state=\"due\"}"], 0.0);
        entity::job::Entity::delete_many().filter(entity::job::Column::Kind.eq("tests.held")).exec(db).await.expect("deleted");
    }

    async fn the_database_is_asked_once_however_many_read(server) {
        server.forget_statements();
        let reads = (0..30).map(|_| server.client.get("/metrics"));
        for answer in futures_util::future::join_all(reads).await {
            assert_eq!(answer.status, StatusCode::OK);
        }
        assert_eq!(server.statements_with("WITH RECURSIVE kinds"), 1);
    }

    async fn sockets_and_subscriptions_are_counted_while_they_are_open(server) {
        let ada = server.person("Ada").await;
        let mut socket = server.socket(Some(&ada)).await;
        socket.subscribe("1", "subscription Badge { notificationEvents { cursor } }", json!({})).await;
        socket.subscribe("2", "query OnSocket { viewer { name } }", json!({})).await;
        assert_eq!(socket.next().await["type"], "next");
        until_it_reads(server, "spacedly_subscriptions", 1.0).await;
        let bearer = format!("Bearer {}", ada.token);
        let headers = [("content-type", "application/json"), ("accept", "text/event-stream"), ("authorization", bearer.as_str())];
        let body = json!({ "query": "subscription Badge { notificationEvents { cursor } }" }).to_string();
        let events = server.client.events(Method::POST, "/graphql", &headers, body).await;
        let metrics = read(server).await;
        for form in ["websocket", "event_stream"] {
            assert_eq!(metrics[&format!("spacedly_open_connections{{form=\"{form}\"}}")], 1.0);
        }
        assert_eq!(metrics["spacedly_subscriptions"], 2.0);
        let on_socket = ["operation=\"OnSocket\"", "kind=\"query\"", "outcome=\"ok\""];
        until("the query to be counted", || async { (requests(&read(server).await, &on_socket) == 1.0).then_some(()) }).await;
        drop((socket, events));
        until_it_reads(server, "spacedly_subscriptions", 0.0).await;
        until_it_reads(server, "spacedly_open_connections{form=\"websocket\"}", 0.0).await;
        let badges = ["operation=\"Badge\"", "kind=\"subscription\"", "outcome=\"ok\""];
        until("each to be counted once", || async { (requests(&read(server).await, &badges) == 2.0).then_some(()) }).await;
    }

    async fn the_parts_are_told_of(server, "LOGIN_FAILURES" = "1") {
        let ada = server.person("Ada").await;
        for _ in 0..2 {
            server.data(&ada, "{ viewer { analytics { totals { tasks } } } }", json!({})).await;
            let wrong = "mutation { sessionCreate(input: { email: \"ada@example.org\", password: \"wrong\" }) { userErrors { code } } }";
            server.ask_as_nobody(wrong, json!({})).await;
        }
        let metrics = read(server).await;
        assert_eq!((metrics["spacedly_bus_healthy"], metrics["spacedly_mail_waits"]), (1.0, 0.0));
        for pool in ["read", "write"] {
            let of = |state: &str| metrics[&format!("spacedly_database_connections{{pool=\"{pool}\",state=\"{state}\"}}")];
            assert!(of("idle") + of("used") <= metrics[&format!("spacedly_database_connections_max{{pool=\"{pool}\"}}")]);
        }
        assert!(metrics["spacedly_cache_hits_total{cache=\"analytics\"}"] >= 1.0, "{metrics:#?}");
        assert!(metrics["spacedly_cache_misses_total{cache=\"analytics\"}"] >= 1.0);
        let refusals: f64 = metrics.iter().filter(|(name, _)| name.starts_with("spacedly_limiter_refusals_total")).map(|(_, value)| value).sum();
        assert!(refusals >= 1.0, "{metrics:#?}");
    }

    async fn every_metric_is_explained(server) {
        let answer = server.client.get("/metrics").await;
        assert!(answer.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"), "{:?}", answer.headers);
        assert_eq!(answer.header("cache-control"), "no-store");
        let text = answer.text();
        assert!(text.ends_with("# EOF\n"), "{text}");
        let explained = |word: &str| -> Vec<&str> {
            text.lines().filter_map(|line| line.strip_prefix(word)?.split(' ').next()).collect()
        };
        let (helps, types) = (explained("# HELP "), explained("# TYPE "));
        for name in parse(&text).keys() {
            let name = name.split('{').next().expect("a name");
            assert!(name.starts_with("spacedly_"), "{name}");
            let family = ["_total", "_bucket", "_count", "_sum", "_info"].iter().fold(name, |name, suffix| name.strip_suffix(suffix).unwrap_or(name));
            assert!(helps.contains(&family) && types.contains(&family), "{name} has no HELP or TYPE");
        }
    }

    async fn a_token_says_who_may_read(server, "METRICS_TOKEN" = "0123456789abcdef") {
        for (shown, status) in [
            (None, StatusCode::UNAUTHORIZED),
            (Some("Bearer 0123456789abcdeF"), StatusCode::UNAUTHORIZED),
            (Some("Bearer 0123456789abcde"), StatusCode::UNAUTHORIZED),
            (Some("Bearer "), StatusCode::UNAUTHORIZED),
            (Some("Basic 0123456789abcdef"), StatusCode::UNAUTHORIZED),
            (Some("Bearer 0123456789abcdef"), StatusCode::OK),
        ] {
            let headers: Vec<(&str, &str)> = shown.map(|shown| ("authorization", shown)).into_iter().collect();
            let answer = server.client.send(Method::GET, "/metrics", &headers, "").await;
            assert_eq!(answer.status, status, "{shown:?}");
            assert_eq!(answer.text().contains("spacedly_"), status == StatusCode::OK, "{shown:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_aside_is_found_by_its_index_on_sqlite() {
    let server = Server::start(support::Database::Sqlite, &[]).await;
    server.client.get("/metrics").await;
    let sql = "SELECT jobs.kind AS kind FROM jobs WHERE jobs.state = 'DEAD' LIMIT 10";
    let db = server.app.platform.db.read();
    let plan = db.query_all_raw(Statement::from_string(db.get_database_backend(), format!("EXPLAIN QUERY PLAN {sql}")));
    let plan: Vec<String> =
        plan.await.expect("planned").iter().map(|row| row.try_get("", "detail").expect("text")).collect();
    assert!(plan.iter().any(|line| line.contains("jobs_dead_idx")), "{plan:?}");
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_cannot_be_looked_at_is_said_not_to_be_known() {
    let (url, relay) = crate::health::database_behind_a_relay().await;
    let settings = [("DATABASE_URL", url.as_str()), ("METRICS_QUEUE_EVERY", "0s"), ("HEALTH_TIMEOUT", "1s")];
    let server = Server::start(support::Database::Postgres, &settings).await;
    until_it_reads(&server, "spacedly_queue_known", 1.0).await;
    relay.set_silent(true);
    until_it_reads(&server, "spacedly_queue_known", 0.0).await;
    relay.set_silent(false);
    until_it_reads(&server, "spacedly_queue_known", 1.0).await;
    server.finish().await;
}
