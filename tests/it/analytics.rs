//! Analytics: every figure by the front door, what it costs, and that what is kept is never wrong.

use std::time::Duration;

use chrono::{Datelike, Days, NaiveDate, TimeDelta, Weekday};
use hyper::Method;
use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ConnectionTrait, DatabaseBackend, EntityTrait, Statement,
};
use spacedly::platform::bus::Hint;
use support::{
    Database, Json, Person, Server, Two,
    analytics::{Span, agrees, asked, fuzz, recomputed, today},
    both, json,
    redis::Redis,
    until,
};

async fn figures(server: &Server, person: &Person, selection: &str) -> Json {
    let query = format!("{{ viewer {{ analytics {{ {selection} }} }} }}");
    server.data(person, &query, json!({})).await["viewer"]["analytics"].take()
}

async fn live_in(server: &Server, person: &Person, zone: &str) {
    profile(server, person, json!({ "timeZone": zone })).await;
}

async fn profile(server: &Server, person: &Person, input: Json) {
    let update =
        "mutation($input: ProfileUpdateInput!) { profileUpdate(input: $input) { userErrors { code message } } }";
    let answer = server.data(person, update, json!({ "input": input })).await;
    assert_eq!(answer["profileUpdate"]["userErrors"], json!([]));
}

/// A reminder that belongs to no task, at so long from now.
async fn reminder(server: &Server, person: &Person, from_now: TimeDelta) -> String {
    let create = "mutation($input: ReminderCreateInput!) { reminderCreate(input: $input) { reminder { id } userErrors { code message } } }";
    let input = json!({ "message": "It is time", "scheduledAt": server.at(from_now) });
    let made = server.data(person, create, json!({ "input": input })).await;
    made["reminderCreate"]["reminder"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

async fn act(server: &Server, person: &Person, name: &str, id: &str) {
    let query = format!("mutation($id: ID!) {{ {name}(input: {{ id: $id }}) {{ userErrors {{ code message }} }} }}");
    let answer = server.data(person, &query, json!({ "id": id })).await;
    assert_eq!(answer[name]["userErrors"], json!([]), "{name}");
}

/// Completes a new reminder; its id.
async fn complete(server: &Server, person: &Person) -> String {
    let id = reminder(server, person, TimeDelta::days(3)).await;
    act(server, person, "reminderComplete", &id).await;
    id
}

/// Goes on to this local time, which lies ahead.
fn go_to(server: &Server, day: NaiveDate, hour: i8, zone: &str) {
    let zone = jiff::tz::TimeZone::get(zone).expect("a zone");
    let date: jiff::civil::Date = day.to_string().parse().expect("a day");
    let there = date.at(hour, 0, 0, 0).to_zoned(zone).expect("a moment").timestamp().as_microsecond();
    let by = there - server.clock.now().timestamp_micros();
    assert!(by > 0, "{day} {hour} lies behind");
    server.advance(TimeDelta::microseconds(by));
}

/// The first of December that lies ahead by some days.
async fn december(server: &Server, person: &Person) -> NaiveDate {
    let soon = today(server, person).await + Days::new(3);
    let this = NaiveDate::from_ymd_opt(soon.year(), 12, 1).expect("a day");
    if soon <= this { this } else { NaiveDate::from_ymd_opt(soon.year() + 1, 12, 1).expect("a day") }
}

fn next(mut day: NaiveDate, weekday: Weekday) -> NaiveDate {
    while day.weekday() != weekday {
        day = day + Days::new(1);
    }
    day
}

/// The statements that a selection costs, when nothing is kept and when all is: by their tables.
async fn cost(server: &Server, person: &Person, selection: &str) -> (Vec<String>, Vec<String>) {
    let ask = async || {
        server.data(person, "{ viewer { unreadNotificationCount } }", json!({})).await;
        server.forget_statements();
        figures(server, person, selection).await;
        let from = |sql: &String| {
            sql.split(" FROM \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("").to_owned()
        };
        let mut tables: Vec<String> = server.statements().iter().map(from).collect();
        tables.sort();
        tables
    };
    server.app.platform.bus.generations().end_all();
    (ask().await, ask().await)
}

async fn execute(server: &Server, sql: &str) {
    server.app.platform.db.for_migrations().execute_unprepared(sql).await.expect("executed");
}

/// A person's id as SQL.
fn quoted(server: &Server, person: &Person) -> String {
    let id: entity::UserId = person.id.parse().expect("an id");
    match server.app.platform.db.backend() {
        DatabaseBackend::Postgres => format!("'{}'", id.uuid()),
        _ => format!("x'{}'", id.uuid().simple()),
    }
}

async fn sums(server: &Server) -> Vec<entity::completion_day::Model> {
    let mut all = entity::completion_day::Entity::find().all(server.app.platform.db.read()).await.expect("read");
    all.sort_by_key(|sum| (sum.user_id, format!("{:?}", sum.subject), sum.local_on));
    all
}

both! {
    async fn what_an_older_release_wrote_to_the_log_is_caught_up_with(server) {
        let ada = server.person("Ada").await;
        let total = || async { figures(server, &ada, "totals { remindersCompleted }").await["totals"]["remindersCompleted"].clone() };
        assert_eq!(total().await, 0);
        let user_id: entity::UserId = ada.id.parse().expect("an id");
        let now = server.clock.now();
        let db = server.app.platform.db.for_migrations();
        for delta in [1, 1, -1, 1] {
            let entry = entity::completion::ActiveModel {
                id: Set(entity::CompletionId::from_uuid(server.app.platform.new_uuid())),
                user_id: Set(user_id),
                subject: Set(entity::completion::Subject::Reminder),
                subject_id: Set(uuid::Uuid::nil()),
                delta: Set(delta),
                completed_at: Set(now),
                local_on: Set(now.date_naive()),
                time_zone: Set("UTC".into()),
                // An older release does not know of it.
                summed: NotSet,
            };
            entity::completion::Entity::insert(entry).exec_without_returning(db).await.expect("written");
        }
        for _ in 0..2 {
            spacedly::worker::sweep(&server.app.platform).await.expect("swept");
            assert_eq!(total().await, 2, "each is added once");
        }
    }

    async fn the_example_of_the_spec(server, "ACCESS_TOKEN_LIFETIME" = "36500d", "SESSION_IDLE_LIFETIME" = "36500d", "SESSION_TOTAL_LIFETIME" = "36500d") {
        let ada = server.person("Ada").await;
        live_in(server, &ada, "Europe/Berlin").await;
        let first = december(server, &ada).await;
        let day = |number: u64| first + Days::new(number - 1);
        let nothing = figures(server, &ada, "streak { active longest startedOn endsOn } completionRate categories { count } daily { completed }").await;
        assert_eq!(nothing["streak"], json!({ "active": 0, "longest": 0, "startedOn": null, "endsOn": null }));
        assert_eq!((&nothing["completionRate"], &nothing["categories"]), (&Json::Null, &json!([])));
        for number in [1, 2, 4, 5, 6] {
            go_to(server, day(number), 12, "Europe/Berlin");
            complete(server, &ada).await;
        }
        let seen = figures(server, &ada, "streak { active longest startedOn endsOn } daily { date completed } totals { remindersCompleted }").await;
        assert_eq!(seen["streak"], json!({ "active": 3, "longest": 3, "startedOn": day(4), "endsOn": day(6) }), "{seen}");
        let daily: Vec<Json> = [(0, 0), (1, 1), (2, 1), (3, 0), (4, 1), (5, 1), (6, 1)].into_iter()
            .map(|(number, completed)| json!({ "date": first + Days::new(number) - Days::new(1), "completed": completed })).collect();
        assert_eq!(seen["daily"], json!(daily));
        assert_eq!(seen["totals"]["remindersCompleted"], 5);
        // Late in the evening of the 7th it is still December 7th there, whatever UTC says; nothing is done yet.
        for (number, hour, active) in [(7, 23, 3), (8, 0, 0)] {
            go_to(server, day(number), hour, "Europe/Berlin");
            let streak = figures(server, &ada, "streak { active longest }").await;
            assert_eq!(streak["streak"], json!({ "active": active, "longest": 3 }), "on the {number}th");
        }
    }

    async fn everything_is_as_the_tables_say(server) {
        let ada = server.person("Ada").await;
        let create = "mutation($input: TaskCreateInput!) { taskCreate(input: $input) { task { id } } }";
        let mut ids = Vec::new();
        for (priority, category) in [("LOW", json!("work")), ("HIGH", json!("work")), ("HIGH", Json::Null), ("MEDIUM", json!("home"))] {
            let made = server.data(&ada, create, json!({ "input": { "title": "Something", "priority": priority, "category": category } })).await;
            ids.push(made["taskCreate"]["task"]["id"].as_str().expect("an id").to_owned());
        }
        act(server, &ada, "taskComplete", &ids[0]).await;
        act(server, &ada, "taskDelete", &ids[3]).await;
        for _ in 0..3 {
            complete(server, &ada).await;
        }
        reminder(server, &ada, TimeDelta::days(1)).await;
        let day = today(server, &ada).await;
        let span = Span { from: day - Days::new(399), to: day, by: "DAY" };
        let seen = asked(server, &ada, span).await;
        assert_eq!(seen["totals"], json!({
            "tasks": 3, "tasksByStatus": { "todo": 2, "inProgress": 0, "completed": 1 }, "tasksByPriority": { "low": 1, "medium": 0, "high": 2 },
            "remindersCompleted": 3, "remindersUpcoming": 1, "remindersOverdue": 0,
        }), "{seen}");
        assert_eq!(seen["categories"], json!([
            { "category": "work", "count": 2, "share": 2.0 / 3.0 }, { "category": "Uncategorized", "count": 1, "share": 1.0 / 3.0 },
        ]));
        assert_eq!((seen["completionRate"].as_f64(), seen["series"].as_array().map(Vec::len)), (Some(1.0 / 3.0), Some(400)));
        assert_eq!(seen["weekly"][3]["completed"], 3);
        assert_eq!(seen, recomputed(server, &ada, span).await);
    }

    async fn the_short_way_writes_what_the_executor_writes(server) {
        let (ada, bob) = (server.person("Ada").await, server.person("Bob").await);
        let create = "mutation($input: TaskCreateInput!) { taskCreate(input: $input) { task { id } } }";
        for category in ["\"quoted\" \\ 🦀", "work", "work"] {
            server.data(&ada, create, json!({ "input": { "title": "Something", "category": category } })).await;
        }
        server.data(&bob, create, json!({ "input": { "title": "The only one" } })).await;
        complete(server, &ada).await;
        let day = today(server, &ada).await;
        let series = |by: &str| format!("{by}: series(from: \"{}\", to: \"{day}\", by: {by}) {{ startsOn from to ...B }}", day - Days::new(40));
        let whole = format!(
            "totals {{ tasks tasksByStatus {{ todo inProgress completed __typename }} tasksByPriority {{ low medium high }} }}
             daily {{ date ... on DayCount {{ done: completed }} }} weekly {{ startsOn completed }} categories {{ category name count share }}
             completionRate streak {{ active longest startedOn endsOn }} {} {} {}",
            series("DAY"), series("WEEK"), series("MONTH"),
        );
        for person in [&ada, &bob] {
            // A response key that stands twice has to be merged: the executor does that, the short way does not try.
            let ask = async |twice: &str| {
                let query = format!("{{ viewer {{ id {twice} analytics {{ {whole} }} }} }} fragment B on SeriesBucket {{ completed }}");
                let bearer = format!("Bearer {}", person.token);
                let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
                let body = json!({ "query": query }).to_string();
                let answer = server.client.send(Method::POST, "/graphql", &headers, body).await.text();
                answer.split(",\"extensions\"").next().expect("a beginning").to_owned()
            };
            let short = ask("").await;
            assert!(short.contains("\"completionRate\":"), "{short}");
            assert_eq!(short, ask("id").await, "{}", person.email);
        }
        let named = |category: &str, name: Option<&str>| json!({ "category": category, "name": name });
        let hers = figures(server, &ada, "categories { category name }").await["categories"].take();
        assert!(hers.as_array().is_some_and(|all| all.contains(&named("work", Some("work")))), "{hers}");
        assert_eq!(figures(server, &bob, "categories { category name }").await["categories"], json!([named("Uncategorized", None)]));
        // What is wrong with one series is told at its place, as the executor tells it.
        let wrong = format!("{{ viewer {{ analytics {{ fine: completionRate wrong: series(from: \"{day}\", to: \"2020-01-01\") {{ from }} }} }} }}");
        let answer = server.ask(&ada, &wrong, json!({})).await;
        assert_eq!((&answer["errors"][0]["path"], &answer["errors"][0]["extensions"]["code"]), (&json!(["viewer", "analytics", "wrong"]), &json!("BAD_REQUEST")));
        let with_variables = "query($from: Date!, $by: SeriesGranularity = MONTH) { viewer { analytics { a: series(from: $from, to: $from, by: $by) { startsOn } b: series(from: $from, to: $from) { startsOn } } } }";
        let both = server.data(&ada, with_variables, json!({ "from": "2027-03-14" })).await;
        assert_eq!(both["viewer"]["analytics"], json!({ "a": [{ "startsOn": "2027-03-01" }], "b": [{ "startsOn": "2027-03-14" }] }));
    }

    async fn travelling_moves_nothing_that_was_done(server, "ACCESS_TOKEN_LIFETIME" = "36500d", "SESSION_IDLE_LIFETIME" = "36500d", "SESSION_TOTAL_LIFETIME" = "36500d") {
        let ada = server.person("Ada").await;
        live_in(server, &ada, "Pacific/Kiritimati").await;
        let first = december(server, &ada).await;
        go_to(server, first, 10, "Pacific/Kiritimati");
        complete(server, &ada).await;
        go_to(server, first + Days::new(1), 10, "Pacific/Kiritimati");
        complete(server, &ada).await;
        let look = "daily { date completed } streak { active longest startedOn endsOn } totals { remindersCompleted }";
        let there = figures(server, &ada, look).await;
        assert_eq!(there["streak"], json!({ "active": 2, "longest": 2, "startedOn": first, "endsOn": first + Days::new(1) }));
        // In Honolulu it is the day before: what was done tomorrow is told of by the streak, and by `daily` when the day has come.
        live_in(server, &ada, "Pacific/Honolulu").await;
        let here = figures(server, &ada, look).await;
        assert_eq!(here["daily"][6], json!({ "date": first, "completed": 1 }), "{here}");
        assert_eq!((&here["streak"], &here["totals"]), (&there["streak"], &there["totals"]));
        let series = format!("series(from: \"{first}\", to: \"{}\") {{ startsOn completed }}", first + Days::new(1));
        assert_eq!(figures(server, &ada, &series).await["series"][1], json!({ "startsOn": first + Days::new(1), "completed": 1 }));
        complete(server, &ada).await;
        assert_eq!(figures(server, &ada, look).await["daily"][6], json!({ "date": first, "completed": 2 }), "what is done now counts for today here");
        server.advance(TimeDelta::days(1));
        assert_eq!(figures(server, &ada, look).await["daily"][6], json!({ "date": first + Days::new(1), "completed": 1 }));
    }

    async fn a_day_on_which_clocks_change_is_a_day_like_others(server, "ACCESS_TOKEN_LIFETIME" = "36500d", "SESSION_IDLE_LIFETIME" = "36500d", "SESSION_TOTAL_LIFETIME" = "36500d") {
        let ada = server.person("Ada").await;
        live_in(server, &ada, "Europe/Berlin").await;
        // The last Sunday of March: the day has 23 hours.
        let year = today(server, &ada).await.year() + 1;
        let mut sunday = NaiveDate::from_ymd_opt(year, 3, 31).expect("a day");
        while sunday.weekday() != Weekday::Sun {
            sunday = sunday - Days::new(1);
        }
        for (day, hour) in [(sunday - Days::new(1), 23), (sunday, 0), (sunday, 3), (sunday, 23), (sunday + Days::new(1), 0)] {
            go_to(server, day, hour, "Europe/Berlin");
            complete(server, &ada).await;
        }
        let seen = figures(server, &ada, "daily { date completed } streak { active }").await;
        assert_eq!(seen["streak"]["active"], 3);
        assert_eq!((&seen["daily"][4]["completed"], &seen["daily"][5], &seen["daily"][6]["completed"]), (&json!(1), &json!({ "date": sunday, "completed": 3 }), &json!(1)));
    }

    async fn deleting_keeps_what_was_done_and_reopening_takes_it_back_on_its_day(server, "ACCESS_TOKEN_LIFETIME" = "36500d", "SESSION_IDLE_LIFETIME" = "36500d", "SESSION_TOTAL_LIFETIME" = "36500d") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        let of_task = server.reminder(&ada, &task, TimeDelta::days(1)).await;
        act(server, &ada, "reminderComplete", &of_task).await;
        let own = complete(server, &ada).await;
        let look = "totals { tasks remindersCompleted } completionRate daily { completed } streak { active longest }";
        act(server, &ada, "taskComplete", &task).await;
        assert_eq!(figures(server, &ada, look).await["completionRate"], 1.0);
        let purge = "mutation($id: ID!) { taskDelete(input: { id: $id, permanently: true }) { userErrors { code } } }";
        server.data(&ada, purge, json!({ "id": task })).await;
        let seen = figures(server, &ada, look).await;
        assert_eq!(seen["totals"], json!({ "tasks": 0, "remindersCompleted": 2 }), "{seen}");
        assert_eq!((&seen["completionRate"], &seen["daily"][6]["completed"]), (&Json::Null, &json!(2)));
        server.advance(TimeDelta::days(2));
        let other = complete(server, &ada).await;
        act(server, &ada, "reminderReopen", &own).await;
        let seen = figures(server, &ada, look).await;
        assert_eq!(seen["daily"], json!([0, 0, 0, 0, 1, 0, 1].map(|completed| json!({ "completed": completed }))), "taken back where it was counted");
        act(server, &ada, "reminderComplete", &own).await;
        assert_eq!(figures(server, &ada, look).await["daily"][6]["completed"], 2, "and counted anew today");
        act(server, &ada, "reminderDelete", &other).await;
        let seen = figures(server, &ada, look).await;
        assert_eq!((&seen["totals"]["remindersCompleted"], &seen["streak"]), (&json!(3), &json!({ "active": 1, "longest": 1 })));
    }

    async fn weeks_begin_as_the_locale_says(server, "ACCESS_TOKEN_LIFETIME" = "36500d", "SESSION_IDLE_LIFETIME" = "36500d", "SESSION_TOTAL_LIFETIME" = "36500d") {
        let ada = server.person("Ada").await;
        let sunday = next(today(server, &ada).await + Days::new(2), Weekday::Sun);
        go_to(server, sunday, 12, "UTC");
        complete(server, &ada).await;
        go_to(server, sunday + Days::new(1), 12, "UTC");
        complete(server, &ada).await;
        let (from, to) = (sunday - Days::new(1), sunday + Days::new(1));
        let look = format!("weekly {{ startsOn completed }} series(from: \"{from}\", to: \"{to}\", by: WEEK) {{ startsOn from to completed }}");
        for (locale, begins, last, before) in [
            (Json::Null, sunday + Days::new(1), 1, 1), (json!("de-AT"), sunday + Days::new(1), 1, 1),
            (json!("en-US"), sunday, 2, 0), (json!("ar-EG"), sunday - Days::new(1), 2, 0), (json!("dv-MV"), sunday - Days::new(2), 2, 0),
        ] {
            profile(server, &ada, json!({ "locale": locale })).await;
            let seen = figures(server, &ada, &look).await;
            let weekly = seen["weekly"].as_array().expect("a list");
            assert_eq!((weekly.len(), &weekly[3], &weekly[2]["completed"]), (4, &json!({ "startsOn": begins, "completed": last }), &json!(before)), "{locale}");
            let sum: i64 = seen["series"].as_array().expect("a list").iter().map(|bucket| bucket["completed"].as_i64().expect("a count")).sum();
            assert_eq!((sum, &seen["series"][0]["from"]), (2, &json!(from)), "{locale}: {seen}");
        }
    }

    async fn a_series_has_at_most_400_buckets_and_says_so(server) {
        let ada = server.person("Ada").await;
        let series = async |from: &str, to: &str, by: &str| {
            let query = format!("{{ viewer {{ analytics {{ series(from: \"{from}\", to: \"{to}\", by: {by}) {{ completed }} }} }} }}");
            server.ask(&ada, &query, json!({})).await
        };
        for (from, to, by, expected) in [
            ("2026-01-01", "2027-02-04", "DAY", 400), ("2026-01-05", "2033-09-04", "WEEK", 400), ("2000-01-31", "2033-04-01", "MONTH", 400), ("2026-01-01", "2026-01-01", "MONTH", 1),
        ] {
            let answer = series(from, to, by).await;
            assert_eq!(answer["data"]["viewer"]["analytics"]["series"].as_array().map(Vec::len), Some(expected), "{by}: {answer}");
        }
        for (from, to, by, says) in [
            ("2026-01-01", "2027-02-05", "DAY", "401 buckets, at most 400"), ("2026-01-05", "2033-09-05", "WEEK", "401"), ("2000-01-31", "2033-05-01", "MONTH", "401"),
            ("0000-01-01", "9999-12-31", "DAY", "3652425"), ("2026-01-02", "2026-01-01", "DAY", "`from` must not lie after `to`"),
        ] {
            let answer = series(from, to, by).await;
            assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{answer}");
            assert!(answer["errors"][0]["message"].as_str().is_some_and(|message| message.contains(says)), "{answer}");
        }
        let ids = vec![ada.id.as_str(); 100];
        let query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on User { analytics { series(from: \"2026-01-01\", to: \"2026-12-31\") { startsOn from to completed } } } } }";
        let answer = server.ask(&ada, query, json!({ "ids": ids })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "{answer}");
    }

    async fn only_what_is_selected_is_read_and_once(server, "SESSION_CACHE" = "10m") {
        let ada = server.person("Ada").await;
        complete(server, &ada).await;
        server.jobs_are_done().await;
        let (days, reminders, tasks, users) = ("completion_days", "reminders", "tasks", "users");
        for (selection, cold, warm) in [
            ("streak { active }", vec![days, users], vec![users]),
            ("daily { completed } weekly { completed } streak { longest } series(from: \"2026-01-01\", to: \"2026-12-31\", by: MONTH) { completed }", vec![days, users], vec![users]),
            ("completionRate", vec![tasks], vec![]),
            ("categories { share } completionRate totals { tasks tasksByStatus { todo } tasksByPriority { low } }", vec![tasks], vec![]),
            ("totals { remindersUpcoming remindersOverdue }", vec![reminders], vec![]),
            ("totals { remindersCompleted tasks remindersOverdue } daily { date } weekly { startsOn } categories { category } completionRate streak { active }",
                vec![days, reminders, tasks, users], vec![users]),
        ] {
            let (first, again) = cost(server, &ada, selection).await;
            assert_eq!((first, again), (cold.iter().map(|it| it.to_string()).collect(), warm.iter().map(|it: &&str| it.to_string()).collect()), "{selection}");
        }
        server.forget_statements();
        server.data(&ada, "{ viewer { name locale analytics { streak { active } daily { date } } } }", json!({})).await;
        let users = server.statements().iter().filter(|sql| sql.contains("FROM \"users\"")).count();
        assert_eq!(users, 1, "the person's row is read once");
    }

    async fn fifty_who_ask_at_once_wait_for_one(server) {
        let ada = server.person("Ada").await;
        complete(server, &ada).await;
        figures(server, &ada, "streak { active }").await;
        server.app.platform.bus.generations().end_all();
        server.forget_statements();
        let (hits, misses) = (server.app.analytics.hits(), server.app.analytics.misses());
        let asks = (0..50).map(|_| figures(server, &ada, "totals { tasks remindersUpcoming } streak { active }"));
        let answers = futures_util::future::join_all(asks).await;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        let read = |table: &str| server.statements().iter().filter(|sql| sql.contains(&format!("FROM \"{table}\""))).count();
        assert_eq!((read("completion_days"), read("tasks"), read("reminders")), (1, 1, 1));
        assert_eq!((server.app.analytics.misses() - misses, server.app.analytics.hits() - hits), (3, 147));
    }

    async fn a_cached_answer_never_crosses_users(server) {
        let mut people = Vec::new();
        for (number, name) in ["Ada", "Eve", "Bob", "Kim"].into_iter().enumerate() {
            let person = server.person(name).await;
            for _ in 0..=number {
                complete(server, &person).await;
                server.task(&person, "Something").await;
            }
            people.push((person, number + 1));
        }
        for round in 0..20 {
            let asks = people.iter().cycle().take(40).map(|(person, number)| async move {
                let seen = figures(server, person, "totals { tasks remindersCompleted } daily { completed }").await;
                assert_eq!(seen["totals"], json!({ "tasks": number, "remindersCompleted": number }), "round {round}");
                assert_eq!(seen["daily"][6]["completed"], *number);
            });
            futures_util::future::join_all(asks).await;
            server.app.platform.bus.generations().end(people[round % 4].0.id.parse().expect("an id"));
        }
        let nobody = server.ask_as_nobody("{ viewer { analytics { completionRate } } }", json!({})).await;
        assert_eq!(nobody["data"]["viewer"], Json::Null);
    }

    async fn an_answer_ends_by_itself_when_it_turns_wrong(server, "ACCESS_TOKEN_LIFETIME" = "36500d", "SESSION_IDLE_LIFETIME" = "36500d", "SESSION_TOTAL_LIFETIME" = "36500d") {
        let ada = server.person("Ada").await;
        let tomorrow = today(server, &ada).await + Days::new(1);
        go_to(server, tomorrow, 23, "UTC");
        complete(server, &ada).await;
        reminder(server, &ada, TimeDelta::seconds(100)).await;
        let look = "totals { remindersUpcoming remindersOverdue } daily { date completed }";
        let seen = async || {
            let seen = figures(server, &ada, look).await;
            (seen["totals"]["remindersUpcoming"].clone(), seen["totals"]["remindersOverdue"].clone(), seen["daily"][6].clone())
        };
        let today_is = |day: NaiveDate, completed: i32| json!({ "date": day, "completed": completed });
        assert_eq!(seen().await, (json!(1), json!(0), today_is(tomorrow, 1)));
        server.advance(TimeDelta::seconds(101));
        assert_eq!(seen().await, (json!(0), json!(1), today_is(tomorrow, 1)), "overdue, within the five minutes");
        go_to(server, tomorrow + Days::new(1), 0, "UTC");
        assert_eq!(seen().await, (json!(0), json!(1), today_is(tomorrow + Days::new(1), 0)), "midnight");
    }

    async fn an_answer_is_kept_for_five_minutes_and_no_longer(server) {
        let ada = server.person("Ada").await;
        server.task(&ada, "Something").await;
        let tasks = async || figures(server, &ada, "totals { tasks }").await["totals"]["tasks"].clone();
        let kept = if server.database == Database::Sqlite { 300 } else { 5 };
        assert_eq!(tasks().await, 1);
        // Behind everybody's back.
        execute(server, &format!("DELETE FROM tasks WHERE user_id = {}", quoted(server, &ada))).await;
        server.advance(TimeDelta::seconds(kept - 5));
        assert_eq!(tasks().await, 1, "it is kept");
        server.advance(TimeDelta::seconds(6));
        assert_eq!(tasks().await, 0, "but not longer: on PostgreSQL without Redis others cannot be heard, so for five seconds only");
    }

    async fn the_sums_by_day_are_those_of_the_log_whoever_writes_at_once(server) {
        let ada = server.person("Ada").await;
        let (mut tasks, mut reminders) = (Vec::new(), Vec::new());
        let create = "mutation($input: ReminderCreateInput!) { reminderCreate(input: $input) { reminder { id } userErrors { code message } } }";
        for _ in 0..12 {
            let task = server.task(&ada, "Something").await;
            for complete in [false, true] {
                let input = json!({ "taskId": task, "scheduledAt": server.at(TimeDelta::minutes(5)), "completeOnDelivery": complete });
                let made = server.data(&ada, create, json!({ "input": input })).await;
                reminders.push(made["reminderCreate"]["reminder"]["id"].as_str().expect("an id").to_owned());
            }
            tasks.push(task);
        }
        // Delivering, which completes, meets completing one by one and completing whole tasks.
        server.advance(TimeDelta::minutes(6));
        let bulk = "mutation($ids: [ID!]!) { taskBulkComplete(input: { ids: $ids }) { userErrors { code } } }";
        let bulks = tasks.chunks(4).map(|ids| server.ask(&ada, bulk, json!({ "ids": ids })));
        let single = "mutation($id: ID!) { reminderComplete(input: { id: $id }) { userErrors { code } } }";
        let singles = reminders.iter().map(|id| server.ask(&ada, single, json!({ "id": id })));
        let (bulks, singles) = tokio::join!(futures_util::future::join_all(bulks), futures_util::future::join_all(singles));
        assert!(bulks.iter().chain(&singles).all(|answer| answer["errors"].is_null()), "nobody waits in a circle: {bulks:?} {singles:?}");
        server.jobs_are_done().await;
        let seen = figures(server, &ada, "totals { remindersCompleted remindersOverdue tasksByStatus { completed } }").await;
        assert_eq!(seen["totals"], json!({ "remindersCompleted": 24, "remindersOverdue": 0, "tasksByStatus": { "completed": 12 } }));
        let day = today(server, &ada).await;
        agrees(server, &ada, Span { from: day - Days::new(1), to: day, by: "DAY" }).await.expect("the same");
    }

    async fn the_migration_sums_what_was_done_before_it(server) {
        let ada = server.person("Ada").await;
        for _ in 0..3 {
            complete(server, &ada).await;
        }
        let task = server.task(&ada, "Something").await;
        act(server, &ada, "taskComplete", &task).await;
        act(server, &ada, "taskReopen", &task).await;
        let before = sums(server).await;
        assert_eq!(before.iter().map(|sum| sum.count).sum::<i32>(), 3, "{before:?}");
        let db = server.app.platform.db.for_migrations();
        let steps = Migrator::migrations().iter().rev().position(|it| it.name().ends_with("sum_completions")).expect("there") + 1;
        Migrator::down(db, Some(steps as u32)).await.expect("down");
        Migrator::up(db, None).await.expect("up");
        assert_eq!(sums(server).await, before);
    }

    async fn after_every_write_the_cached_answer_is_what_the_tables_say(server, "ACCESS_TOKEN_LIFETIME" = "36500d", "SESSION_IDLE_LIFETIME" = "36500d", "SESSION_TOTAL_LIFETIME" = "36500d", "TRASH_LIFETIME" = "2d") {
        let writes = std::env::var("ANALYTICS_FUZZ").ok().and_then(|number| number.parse().ok()).unwrap_or(300);
        let fuzzed = fuzz(server, writes, 0x5EED).await;
        assert!(fuzzed.done * 3 > writes, "most writes are done: {fuzzed:?}");
        println!("{fuzzed:?}");
    }
}

#[tokio::test]
async fn the_counts_are_read_from_their_indexes_on_sqlite() {
    let server = Server::start(Database::Sqlite, &[]).await;
    let ada = server.person("Ada").await;
    server.forget_statements();
    figures(&server, &ada, "totals { tasks remindersOverdue } streak { active }").await;
    let db = server.app.platform.db.read();
    for (table, wanted) in [
        ("tasks", "USING COVERING INDEX tasks_figures_idx (user_id=?)"),
        ("reminders", "USING COVERING INDEX reminders_figures_idx (user_id=? AND status=?)"),
        ("completion_days", "USING INDEX sqlite_autoindex_completion_days_1 (user_id=? AND subject=?)"),
    ] {
        let statements = server.statements();
        let sql = statements.iter().find(|sql| sql.contains(&format!("FROM \"{table}\""))).expect("sent");
        let plan = Statement::from_string(DatabaseBackend::Sqlite, format!("EXPLAIN QUERY PLAN {sql}"));
        let plan = db.query_all_raw(plan).await.expect("planned");
        let plan: Vec<String> = plan.iter().map(|row| row.try_get("", "detail").expect("text")).collect();
        assert!(plan.len() == 1 && plan[0].contains(wanted), "{table}: {plan:?}");
    }
    server.finish().await;
}

/// Cases that need two instances run on PostgreSQL with Redis: SQLite serves one process.
mod on_two_instances {
    use super::*;

    async fn tasks(server: &Server, person: &Person) -> i64 {
        figures(server, person, "totals { tasks }").await["totals"]["tasks"].as_i64().expect("a number")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_write_on_one_drops_what_the_other_keeps() {
        let two = Two::on_shared_redis(&[]).await;
        let ada = two.a.person("Ada").await;
        for count in 1..=20 {
            assert_eq!(tasks(&two.b, &ada).await, count - 1);
            two.a.task(&ada, "Something").await;
            assert_eq!(tasks(&two.a, &ada).await, count, "here at once");
            let began = std::time::Instant::now();
            until("the other to hear of it", || async { (tasks(&two.b, &ada).await == count).then_some(()) }).await;
            assert!(began.elapsed() < support::sessions::SOON, "{:?}", began.elapsed());
        }
        two.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn while_others_are_not_heard_an_answer_is_kept_for_five_seconds_only() {
        let mut redis = Redis::start();
        let with = Two::start(&redis.url(), &[]).await;
        with.hear_each_other().await;
        let ada = with.a.person("Ada").await;
        assert_eq!(tasks(&with.b, &ada).await, 0);
        redis.stop();
        with.a.task(&ada, "Something").await;
        let began = std::time::Instant::now();
        until("the other to look", || async { (tasks(&with.b, &ada).await == 1).then_some(()) }).await;
        assert!(began.elapsed() < Duration::from_secs(9), "three to notice, five to forget: {:?}", began.elapsed());
        redis.resume();
        with.hear_each_other().await;
        assert_eq!(tasks(&with.b, &ada).await, 1);
        with.a.task(&ada, "Something").await;
        until("the bus to be back", || async { (tasks(&with.b, &ada).await == 2).then_some(()) }).await;
        with.finish().await;
        let without = Two::without_redis().await;
        let ada = without.a.person("Ada").await;
        assert_eq!(tasks(&without.b, &ada).await, 0);
        without.a.task(&ada, "Something").await;
        let began = std::time::Instant::now();
        until("the other to look", || async { (tasks(&without.b, &ada).await == 1).then_some(()) }).await;
        assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
        without.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_waits_to_be_published_is_published_before_a_process_ends() {
        let two = Two::on_shared_redis(&[]).await;
        let ada = two.a.person("Ada").await;
        let user: entity::UserId = ada.id.parse().expect("an id");
        let generation = || two.b.app.platform.bus.generations().of(user);
        let bus = &two.a.app.platform.bus;
        let before = generation();
        assert!(bus.flush().await, "nothing waits");
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(generation(), before, "and nobody is told that something was lost");
        // A long queue, hers at its end.
        for _ in 0..500 {
            bus.publish(Hint::Jobs("nobody does this"));
        }
        bus.publish(Hint::Figures(user));
        assert!(bus.flush().await);
        until("the other to hear of it", || async { (generation() != before).then_some(()) }).await;
        two.finish().await;
    }
}
