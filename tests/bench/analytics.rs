//! What analytics cost somebody who completed very much, against somebody who completed little; kept, against the name
//! of the viewer; and the streak of ten years.
//! Goals: uncached at most three times as much, kept at most 1.2 times, the streak in five milliseconds. What grows with
//! the number of tasks is shown, and not promised.

use std::{hint::black_box, time::Instant};

use chrono::{Days, NaiveDate};
use sea_orm::{ConnectionTrait, DatabaseBackend};
use spacedly::analytics::streak::streak;
use support::{Database, Json, Person, Server, json};

use crate::{median, verdict};

const FEW: u64 = 100;
const UNCACHED: f64 = 3.0;
const KEPT: f64 = 1.2;
/// Ten years.
const DAYS: u64 = 3_652;

const WHOLE: &str = "query($from: Date!, $to: Date!) { viewer { analytics {
    totals { tasks tasksByStatus { todo inProgress completed } tasksByPriority { low medium high } remindersCompleted remindersUpcoming remindersOverdue }
    daily { date completed } weekly { startsOn completed } categories { category count share } completionRate
    streak { active longest startedOn endsOn } series(from: $from, to: $to, by: MONTH) { startsOn completed } } } }";

pub async fn run(many: u64, rounds: u64) -> bool {
    let mut met = streak_of_ten_years();
    for database in [Database::Sqlite, Database::Postgres] {
        met &= on(database, many, rounds).await;
    }
    met
}

fn streak_of_ten_years() -> bool {
    let today: NaiveDate = "2026-12-06".parse().expect("a day");
    let days: Vec<NaiveDate> = (0..DAYS).rev().map(|back| today - Days::new(back)).collect();
    let times = (0..100).map(|_| {
        let began = Instant::now();
        assert_eq!(u64::from(black_box(streak(days.iter().copied(), today)).active), DAYS);
        began.elapsed().as_secs_f64() * 1_000.0
    });
    let took = median(times.collect());
    let met = took <= 5.0;
    println!("analytics: the streak of {DAYS} days takes {took:.4} ms (median of 100), goal 5: {}", verdict(met));
    met
}

/// Somebody, and how much they have.
struct Case {
    person: Person,
    completions: u64,
    days: u64,
    tasks: u64,
}

async fn on(database: Database, many: u64, rounds: u64) -> bool {
    let server =
        Server::start_plain(database, &[("DATABASE_STATEMENT_TIMEOUT", "600s"), ("REQUEST_TIMEOUT", "600s")]).await;
    let case =
        async |name, completions, days, tasks| Case { person: server.person(name).await, completions, days, tasks };
    let few = case("Few", FEW, FEW, FEW).await;
    let lots = case("Lots", many, DAYS.min(many), FEW).await;
    let dense = case("Dense", many, 365.min(many), FEW).await;
    let hoard = case("Hoard", many, DAYS.min(many), many).await;
    for each in [&few, &lots, &dense, &hoard] {
        fill(&server, each).await;
    }
    let db = server.app.platform.db.for_migrations();
    let settle = if db.get_database_backend() == DatabaseBackend::Postgres { "VACUUM ANALYZE" } else { "ANALYZE" };
    db.execute_unprepared(settle).await.expect("settled");
    let mut met = true;
    for (other, what, promised) in
        [(&lots, "over ten years", true), (&dense, "within a year", true), (&hoard, "and as many tasks", false)]
    {
        let (mut small, mut large) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            small.push(uncached(&server, &few.person).await);
            large.push(uncached(&server, &other.person).await);
        }
        let (small, large) = (median(small), median(large));
        let ratio = large / small;
        let judged = if promised { verdict(ratio <= UNCACHED) } else { "not promised" };
        println!(
            "analytics {database:?} uncached: {FEW} completions {small:.2} ms, {many} {what} {large:.2} ms, ratio {ratio:.2} (medians of {rounds}, in turns), goal {UNCACHED}: {judged}"
        );
        met &= !promised || ratio <= UNCACHED;
    }
    let (mut names, mut kept) = (Vec::new(), Vec::new());
    for _ in 0..rounds * 5 {
        names.push(timed(&server, &lots.person, "{ viewer { name } }", json!({})).await);
        kept.push(whole(&server, &lots.person).await);
    }
    let (name, kept) = (median(names), median(kept));
    let ratio = kept / name;
    println!(
        "analytics {database:?} kept: the viewer's name {name:.3} ms, everything {kept:.3} ms, ratio {ratio:.2} (medians of {}, in turns), goal {KEPT}: {}",
        rounds * 5,
        verdict(ratio <= KEPT)
    );
    met &= ratio <= KEPT;
    server.finish().await;
    met
}

async fn uncached(server: &Server, person: &Person) -> f64 {
    server.app.platform.bus.generations().end(person.id.parse().expect("an id"));
    whole(server, person).await
}

async fn whole(server: &Server, person: &Person) -> f64 {
    timed(server, person, WHOLE, json!({ "from": "2026-01-01", "to": "2026-12-31" })).await
}

/// Until the answer is there; it is looked at afterwards.
async fn timed(server: &Server, person: &Person, query: &str, variables: Json) -> f64 {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let began = Instant::now();
    let answer = server.client.graphql_bare(&person.token, body).await;
    let took = began.elapsed().as_secs_f64() * 1_000.0;
    let answer: Json = serde_json::from_slice(&answer).expect("JSON");
    assert!(answer["errors"].is_null() && answer["data"]["viewer"].is_object(), "{answer}");
    took
}

/// So many completed reminders and their entries in the log, over so many days that end today, and so many tasks.
async fn fill(server: &Server, case: &Case) {
    let user: entity::UserId = case.person.id.parse().expect("an id");
    let Case { completions, days, tasks, .. } = case;
    let db = server.app.platform.db.for_migrations();
    let postgres = db.get_database_backend() == DatabaseBackend::Postgres;
    let id = if postgres { format!("'{}'::uuid", user.uuid()) } else { format!("x'{}'", user.uuid().simple()) };
    let (uuid, now) = if postgres {
        ("gen_random_uuid()", "now()")
    } else {
        ("randomblob(16)", "strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now')")
    };
    let numbers = |count: &u64| {
        if postgres {
            format!("SELECT n FROM generate_series(1, {count}) AS n")
        } else {
            format!(
                "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {count}) SELECT n FROM number"
            )
        }
    };
    let day = if postgres {
        format!("current_date - (n % {days})::int")
    } else {
        format!("date('now', '-' || (n % {days}) || ' days')")
    };
    let status = "CASE n % 3 WHEN 0 THEN 'TODO' WHEN 1 THEN 'IN_PROGRESS' ELSE 'COMPLETED' END";
    for statement in [
        format!(
            "INSERT INTO reminders (id, user_id, message, scheduled_at, kind, status, completed_at, created_at, updated_at)
             SELECT {uuid}, {id}, 'x', {now}, 'EMAIL', 'COMPLETED', {now}, {now}, {now} FROM ({}) AS numbers",
            numbers(completions)
        ),
        format!(
            "INSERT INTO completions (id, user_id, subject, subject_id, delta, completed_at, local_on, time_zone, summed)
             SELECT {uuid}, {id}, 'REMINDER', {uuid}, 1, {now}, {day}, 'UTC', true FROM ({}) AS numbers",
            numbers(completions)
        ),
        format!(
            "INSERT INTO completion_days (user_id, subject, local_on, count)
             SELECT user_id, subject, local_on, sum(delta) FROM completions WHERE user_id = {id} GROUP BY user_id, subject, local_on"
        ),
        format!(
            "INSERT INTO tasks (id, user_id, title, title_key, due_key, priority, category, status, version, created_at, updated_at)
             SELECT {uuid}, {id}, 'x', 'x', {now}, 1 + n % 3, 'c' || n % 10, {status}, 1, {now}, {now} FROM ({}) AS numbers",
            numbers(tasks)
        ),
    ] {
        db.execute_unprepared(&statement).await.expect("filled");
    }
}
