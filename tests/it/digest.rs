//! The morning digest: one a local day, with what is due that day.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Timelike, Utc};
use entity::{TaskId, UserId, digest, job, task, user};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use spacedly::platform::{calendar, error::Fault};
use support::{Json, Person, Server, both, json, until};

async fn profile(server: &Server, person: &Person, input: Json) -> Json {
    let update = "mutation($input: ProfileUpdateInput!) { profileUpdate(input: $input) {
        user { timeZone morningDigestAt quietHours { startsAt endsAt } } userErrors { code path } } }";
    server.data(person, update, json!({ "input": input })).await["profileUpdate"].take()
}

async fn task(server: &Server, person: &Person, input: Json) {
    let create = "mutation($input: TaskCreateInput!) { taskCreate(input: $input) { userErrors { code message } } }";
    let made = server.data(person, create, json!({ "input": input })).await;
    assert_eq!(made["taskCreate"]["userErrors"], json!([]));
}

async fn digests(server: &Server, email: &str) -> Vec<String> {
    let mut mails = server.mails(email).await;
    mails.retain(|mail| mail.subject.starts_with("Good Morning!"));
    mails.into_iter().rev().map(|mail| mail.subject).collect()
}

/// Moves to a time of a day, in UTC, that lies ahead.
async fn go_to(server: &Server, day: NaiveDate, hour: u32, minute: u32) {
    let at = day.and_hms_opt(hour, minute, 1).expect("a time").and_utc();
    server.advance(at - server.clock.now());
    server.jobs_are_done().await;
}

both! {
    async fn a_morning_tells_what_is_due_and_an_empty_one_nothing(server, "ACCESS_TOKEN_LIFETIME" = "60d", "SESSION_IDLE_LIFETIME" = "60d") {
        let ada = server.person("Ada").await;
        let today = server.clock.now().date_naive();
        let day = |n: i64| today + TimeDelta::days(n);
        let on = |n: i64, time: &str| json!(format!("{}T{time}:00Z", day(n)));
        task(server, &ada, json!({ "title": "Call <the> bank", "priority": "HIGH", "due": { "at": on(2, "14:30") }, "category": "Money" })).await;
        task(server, &ada, json!({ "title": "Water the plants", "priority": "LOW", "due": { "on": day(2) } })).await;
        task(server, &ada, json!({ "title": "Feed the cat", "due": { "at": on(2, "00:00") } })).await;
        task(server, &ada, json!({ "title": "Another day", "due": { "at": on(3, "00:00") } })).await;
        assert_eq!(server.data(&ada, "{ viewer { morningDigestAt } }", json!({})).await["viewer"]["morningDigestAt"], "05:00");
        go_to(server, day(1), 5, 0).await;
        assert_eq!(digests(server, &ada.email).await, Vec::<String>::new(), "nothing is due on the first day");
        go_to(server, day(2), 4, 59).await;
        assert_eq!(digests(server, &ada.email).await, Vec::<String>::new(), "not before its moment");
        go_to(server, day(2), 5, 0).await;
        let mail = server.mail_to(&ada.email, "Good Morning! You have 3 tasks due today").await;
        for part in ["Good morning, Ada!", "Call &#60;the&#62; bank", "#e74c3c", "#f39c12", "#3498db", "14:30", "Money", "http://localhost:8080/tasks"] {
            assert!(mail.html.contains(part), "{part}: {}", mail.html);
        }
        for part in ["14:30  Call <the> bank (high, Money)", "00:00  Feed the cat (medium)", "today  Water the plants (low)"] {
            assert!(mail.text.contains(part), "{part}: {}", mail.text);
        }
        assert!(!mail.html.contains("Another day") && !mail.text.contains("more"));
        go_to(server, day(3), 5, 0).await;
        server.mail_to(&ada.email, "Good Morning! You have 1 task due today").await;
        go_to(server, day(9), 5, 0).await;
        assert_eq!(digests(server, &ada.email).await.len(), 2, "days without tasks have none");
    }

    async fn a_change_of_zone_or_hour_brings_neither_two_nor_none(server, "ACCESS_TOKEN_LIFETIME" = "60d", "SESSION_IDLE_LIFETIME" = "60d") {
        let ada = server.person("Ada").await;
        let today = server.clock.now().date_naive();
        let day = |n: i64| today + TimeDelta::days(n);
        for n in 0..9 {
            // Noon in UTC is the same date from -12 to +11.
            task(server, &ada, json!({ "title": format!("Of day {n}"), "due": { "at": format!("{}T12:00:00Z", day(n)) } })).await;
        }
        go_to(server, day(1), 5, 0).await;
        assert_eq!(digests(server, &ada.email).await.len(), 1);
        profile(server, &ada, json!({ "morningDigestAt": "06:30" })).await;
        go_to(server, day(1), 6, 31).await;
        assert_eq!(digests(server, &ada.email).await.len(), 1, "this day has had its own");
        go_to(server, day(2), 5, 30).await;
        assert_eq!(digests(server, &ada.email).await.len(), 1, "not at the old hour");
        go_to(server, day(2), 6, 30).await;
        assert_eq!(digests(server, &ada.email).await.len(), 2);
        // West: it is 22:30 of the day before there, and this date comes once more.
        profile(server, &ada, json!({ "timeZone": "America/Los_Angeles", "morningDigestAt": "05:00" })).await;
        go_to(server, day(2), 14, 0).await;
        assert_eq!(digests(server, &ada.email).await.len(), 2, "the date was told already");
        // East: 05:00 of the next day has passed there already at 21:00.
        go_to(server, day(2), 21, 0).await;
        profile(server, &ada, json!({ "timeZone": "Asia/Tokyo" })).await;
        server.jobs_are_done().await;
        assert_eq!(digests(server, &ada.email).await.len(), 3, "at once, since that day has begun there");
        profile(server, &ada, json!({ "morningDigestAt": null })).await;
        go_to(server, day(4), 23, 0).await;
        assert_eq!(digests(server, &ada.email).await.len(), 3, "none is wanted");
        profile(server, &ada, json!({ "morningDigestAt": "05:00", "timeZone": "UTC" })).await;
        server.jobs_are_done().await;
        assert_eq!(digests(server, &ada.email).await.len(), 3, "nothing is made up for");
        go_to(server, day(5), 5, 0).await;
        assert_eq!(digests(server, &ada.email).await.len(), 4);
        // Down for two and a half days: one digest, of the day that it is.
        go_to(server, day(7), 17, 0).await;
        assert_eq!(digests(server, &ada.email).await.len(), 5);
        let mails = server.mails(&ada.email).await;
        let text = &mails.iter().find(|mail| mail.subject.starts_with("Good Morning!")).expect("a digest").text;
        assert!(text.contains("Of day 7"), "{text}");
    }

    async fn two_hundred_people_in_two_hundred_zones_get_one_each_a_day(server) {
        let people = populate(server, 200).await;
        let first = server.clock.now();
        // The engine begins by counting days from now on, as after an upgrade; then two days pass in half hours.
        server.jobs_are_done().await;
        assert_eq!(digest::Entity::find().all(server.app.platform.db.read()).await.expect("read").len(), 200);
        for _ in 0..(2 * 48) {
            server.advance(TimeDelta::minutes(30));
            server.jobs_are_done().await;
        }
        let last = server.clock.now();
        let mut wrong = BTreeMap::new();
        for (email, zone, minute) in &people {
            let tz = calendar::zone(zone).expect("a zone");
            let days = calendar::local_day(first, &tz).iter_days().take(5);
            let moments = days.filter_map(|day| calendar::at_minute(day, *minute, &tz));
            // A moment in the last step may have come after its end.
            let sure = moments.clone().filter(|at| *at > first && *at < last - TimeDelta::minutes(30)).count();
            let perhaps = moments.filter(|at| *at > first && *at <= last).count();
            let count = digests(server, email).await.len();
            if !(sure..=perhaps).contains(&count) {
                wrong.insert(format!("{zone} {minute}"), (count, sure));
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

/// People with a task at every local noon, written down as they would be after an upgrade: with a job that begins.
async fn populate(server: &Server, count: usize) -> Vec<(String, String, i32)> {
    let platform = server.app.platform.clone();
    let now = platform.clock.now();
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let zones: Vec<String> = names.into_iter().filter(|name| name != "Factory").step_by(3).take(count).collect();
    assert!(zones.len() * 597 >= count * 590, "{}", zones.len());
    let mut people = Vec::new();
    let (mut users, mut tasks, mut jobs) = (Vec::new(), Vec::new(), Vec::new());
    for (n, zone) in zones.into_iter().cycle().take(count).enumerate() {
        let (id, email, minute) = (platform.new_uuid(), format!("p{n}@example.org"), (n as i32 * 67) % 1_440 / 30 * 30);
        let tz = calendar::zone(&zone).expect("a zone");
        users.push(user::ActiveModel {
            id: Set(UserId::from_uuid(id)),
            name: Set(format!("Person {n}")),
            email: Set(email.clone()),
            email_key: Set(email.clone()),
            password_hash: Set(None),
            username: Set(None),
            username_key: Set(None),
            bio: Set(None),
            locale: Set(None),
            time_zone: Set(Some(zone.clone())),
            email_lead_minutes: Set(60),
            digest_minute: Set(Some(minute)),
            quiet_from_minute: Set(None),
            quiet_to_minute: Set(None),
            created_at: Set(now),
            updated_at: Set(now),
        });
        for day in calendar::local_day(now, &tz).iter_days().take(5) {
            tasks.push(due_at(&platform, id, calendar::at_minute(day, 720, &tz).expect("noon"), now));
        }
        jobs.push(job::ActiveModel {
            id: Set(entity::JobId::from_uuid(platform.new_uuid())),
            kind: Set("reminders.digest".into()),
            subject_id: Set(id),
            user_id: Set(Some(UserId::from_uuid(id))),
            state: Set(job::State::Ready),
            available_at: Set(now),
            due_at: Set(now),
            fence: Set(0),
            attempts: Set(0),
            crashes: Set(0),
            last_error: Set(None),
            first_failed_at: Set(None),
            created_at: Set(now),
        });
        people.push((email, zone, minute));
    }
    let written = platform.db.write::<_, Fault, _, _>(move |tx| async move {
        user::Entity::insert_many(users).exec_without_returning(&*tx).await?;
        for tasks in tasks.chunks(100) {
            task::Entity::insert_many(tasks.to_vec()).exec_without_returning(&*tx).await?;
        }
        job::Entity::insert_many(jobs).exec_without_returning(&*tx).await?;
        Ok(())
    });
    written.await.expect("written");
    people
}

fn due_at(
    platform: &spacedly::platform::Platform,
    user: uuid::Uuid,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> task::ActiveModel {
    task::ActiveModel {
        id: Set(TaskId::from_uuid(platform.new_uuid())),
        user_id: Set(UserId::from_uuid(user)),
        title: Set("Noon".into()),
        title_key: Set("noon".into()),
        description: Set(None),
        link: Set(None),
        due_at: Set(Some(at)),
        due_on: Set(None),
        due_key: Set(at),
        priority: Set(task::Priority::Medium),
        category: Set(None),
        status: Set(task::Status::Todo),
        completed_at: Set(None),
        first_completed_at: Set(None),
        version: Set(1),
        created_at: Set(now.with_nanosecond(0).unwrap_or(now)),
        updated_at: Set(now),
        deleted_at: Set(None),
    }
}

both! {
    async fn a_digest_whose_day_is_over_is_not_sent(server, "ACCESS_TOKEN_LIFETIME" = "60d", "SESSION_IDLE_LIFETIME" = "60d") {
        let ada = server.person("Ada").await;
        let tomorrow = server.clock.now().date_naive() + TimeDelta::days(1);
        task(server, &ada, json!({ "title": "Due", "due": { "at": format!("{tomorrow}T12:00:00Z") } })).await;
        let mailbox = server.app.platform.config.server.data_dir.join("mailbox");
        // The mail cannot go out on its day.
        let aside = mailbox.with_extension("aside");
        std::fs::rename(&mailbox, &aside).expect("moved");
        std::fs::write(&mailbox, "in the way").expect("written");
        go_to_held(server, tomorrow).await;
        std::fs::remove_file(&mailbox).expect("removed");
        std::fs::rename(&aside, &mailbox).expect("moved back");
        server.advance(TimeDelta::days(1));
        until("the job to end", || async {
            let jobs = job::Entity::find().filter(job::Column::Kind.eq("reminders.digest_mail"));
            jobs.all(server.app.platform.db.read()).await.expect("read").is_empty().then_some(())
        }).await;
        assert_eq!(digests(server, &ada.email).await, Vec::<String>::new());
    }
}

/// Moves to five o'clock, and waits until a digest could not be sent.
async fn go_to_held(server: &Server, day: NaiveDate) {
    let at = day.and_hms_opt(5, 0, 1).expect("a time").and_utc();
    server.advance(at - server.clock.now());
    until("a failed try", || async {
        let tried = job::Column::LastError.is_not_null();
        let jobs = job::Entity::find().filter(job::Column::Kind.eq("reminders.digest_mail")).filter(tried);
        jobs.one(server.app.platform.db.read()).await.expect("read")
    })
    .await;
}
