//! What a person wishes of notifications: by which ways, and when not.

use chrono::{TimeDelta, Timelike};
use support::{Client, Json, Person, Server, both, json, process::Script, until};

async fn prefer(server: &Server, person: &Person, preferences: Json) -> Json {
    let update =
        "mutation($input: NotificationPreferencesUpdateInput!) { notificationPreferencesUpdate(input: $input) {
        preferences { type inApp email push } userErrors { code path } } }";
    let answer = server.data(person, update, json!({ "input": { "preferences": preferences } })).await;
    answer["notificationPreferencesUpdate"]["preferences"].clone()
}

async fn profile(server: &Server, person: &Person, input: Json) -> Json {
    let update = "mutation($input: ProfileUpdateInput!) { profileUpdate(input: $input) {
        user { quietHours { startsAt endsAt } } userErrors { code path } } }";
    server.data(person, update, json!({ "input": input })).await["profileUpdate"].take()
}

/// Quiet hours from an hour ago to so many minutes from now, in UTC; and when they end.
async fn quiet_for(server: &Server, person: &Person, minutes: i64) -> String {
    let time = |from_now: i64| {
        let at = server.clock.now() + TimeDelta::minutes(from_now);
        format!("{:02}:{:02}", at.hour(), at.minute())
    };
    let (starts_at, ends_at) = (time(-60), time(minutes));
    let made = profile(server, person, json!({ "quietHours": { "startsAt": starts_at, "endsAt": ends_at } })).await;
    assert_eq!(made["user"]["quietHours"], json!({ "startsAt": starts_at, "endsAt": ends_at }));
    ends_at
}

async fn remind(server: &Server, person: &Person, input: Json) -> String {
    let create = "mutation($input: ReminderCreateInput!) { reminderCreate(input: $input) { reminder { id } userErrors { code message } } }";
    let made = server.data(person, create, json!({ "input": input })).await;
    made["reminderCreate"]["reminder"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

async fn look(server: &Server, person: &Person, id: &str) -> Json {
    let query = "query($id: ID!) { reminder(id: $id) { status whyNotDelivered deliveries { channel state error nextAttemptAt late } } }";
    server.data(person, query, json!({ "id": id })).await["reminder"].take()
}

fn state(reminder: &Json, channel: &str) -> String {
    let all = reminder["deliveries"].as_array().expect("a ledger").iter();
    let found = all.filter(|delivery| delivery["channel"] == channel).map(|delivery| delivery["state"].as_str());
    found.flatten().next().unwrap_or("none").to_owned()
}

async fn subjects(server: &Server, person: &Person) -> Vec<String> {
    let mails = server.mails(&person.email).await;
    mails.into_iter().rev().map(|mail| mail.subject).filter(|subject| !subject.contains("code")).collect()
}

async fn waits_for(server: &Server, person: &Person, id: &str, channel: &str, wanted: &str) -> Json {
    until(&format!("{channel} to be {wanted}"), || async {
        let seen = look(server, person, id).await;
        (state(&seen, channel) == wanted).then_some(seen)
    })
    .await
}

/// A push service with a browser of somebody.
async fn browser(server: &Server, person: &Person) -> Script {
    let (script, first) = Script::start(&["push.mjs"]);
    let key = server.ask_as_nobody("{ pushPublicKey }", json!({})).await["data"]["pushPublicKey"].clone();
    let path = format!("/subscribe?key={}&", key.as_str().expect("a key"));
    let made = Client::new(first["origin"].as_str().expect("an origin")).get(&path).await.json();
    let input = json!({ "endpoint": made["endpoint"], "p256dh": made["keys"]["p256dh"], "auth": made["keys"]["auth"] });
    let subscribe = "mutation($input: PushSubscriptionCreateInput!) { pushSubscriptionCreate(input: $input) { userErrors { code } } }";
    let answer = server.data(person, subscribe, json!({ "input": input })).await;
    assert_eq!(answer["pushSubscriptionCreate"]["userErrors"], json!([]));
    script
}

both! {
    async fn quiet_hours_hold_mail_and_push_and_tell_them_in_one_mail(server, "ACCESS_TOKEN_LIFETIME" = "30d", "PUSH_ALLOW_PRIVATE" = "true", "REMINDER_LATE_AFTER" = "1h") {
        let ada = server.person("Ada").await;
        let _service = browser(server, &ada).await;
        let report = server.task(&ada, "Write the report").await;
        quiet_for(server, &ada, 120).await;
        let mailed = remind(server, &ada, json!({ "taskId": report, "scheduledAt": server.at(TimeDelta::minutes(10)) })).await;
        let both = remind(server, &ada, json!({ "message": "Call <Bob>", "type": "BOTH", "scheduledAt": server.at(TimeDelta::minutes(20)), "completeOnDelivery": true })).await;
        let gone = remind(server, &ada, json!({ "message": "Not any more", "scheduledAt": server.at(TimeDelta::minutes(30)) })).await;
        let seen = waits_for(server, &ada, &mailed, "EMAIL", "HELD").await;
        assert!(seen["whyNotDelivered"].as_str().expect("said").contains("quiet hours"), "{seen}");
        assert!(seen["deliveries"].as_array().expect("a ledger").iter().any(|it| it["state"] == "HELD" && it["nextAttemptAt"].is_string()));
        server.advance(TimeDelta::minutes(31));
        waits_for(server, &ada, &both, "PUSH", "HELD").await;
        let seen = waits_for(server, &ada, &both, "IN_APP", "SENT").await;
        assert_eq!(seen["status"], "PENDING", "what is held is not delivered");
        server.data(&ada, "mutation($id: ID!) { reminderComplete(input: { id: $id }) { userErrors { code } } }", json!({ "id": gone })).await;
        assert_eq!(state(&look(server, &ada, &gone).await, "EMAIL"), "CANCELLED");
        assert_eq!(subjects(server, &ada).await, Vec::<String>::new(), "nothing goes out in quiet hours");
        server.advance(TimeDelta::minutes(90));
        let mail = server.mail_to(&ada.email, "In your quiet hours: 2 messages").await;
        assert!(mail.html.contains("Call &#60;Bob&#62;") && mail.text.contains("Write the report") && !mail.text.contains("Not any more"), "{}", mail.text);
        server.jobs_are_done().await;
        let seen = look(server, &ada, &both).await;
        assert_eq!((state(&seen, "PUSH").as_str(), seen["status"].as_str()), ("SKIPPED", Some("COMPLETED")), "{seen}");
        assert!(seen["deliveries"].as_array().expect("a ledger").iter().all(|it| it["late"] == false), "{seen}");
        assert_eq!(state(&look(server, &ada, &mailed).await, "EMAIL"), "SENT");
        assert_eq!(subjects(server, &ada).await.len(), 1);
        assert_eq!(server.count::<entity::message::Entity>().await, 0);
    }

    async fn what_is_held_goes_out_when_the_hours_are_given_up(server, "ACCESS_TOKEN_LIFETIME" = "30d") {
        let ada = server.person("Ada").await;
        quiet_for(server, &ada, 300).await;
        let id = remind(server, &ada, json!({ "message": "Call Bob", "scheduledAt": server.at(TimeDelta::minutes(10)) })).await;
        waits_for(server, &ada, &id, "EMAIL", "HELD").await;
        quiet_for(server, &ada, 200).await;
        server.jobs_are_done().await;
        assert_eq!(state(&look(server, &ada, &id).await, "EMAIL"), "HELD", "until the new end");
        let given_up = profile(server, &ada, json!({ "quietHours": null })).await;
        assert_eq!(given_up["user"]["quietHours"], Json::Null);
        server.mail_to(&ada.email, "In your quiet hours: Reminder").await;
        waits_for(server, &ada, &id, "EMAIL", "SENT").await;
        let wrong = profile(server, &ada, json!({ "quietHours": { "startsAt": "22:00", "endsAt": "22:00" } })).await;
        assert_eq!(wrong["userErrors"], json!([{ "code": "INVALID_VALUE", "path": ["input", "quietHours"] }]));
        let misread = server.ask(&ada, "mutation { profileUpdate(input: { quietHours: { startsAt: \"24:00\", endsAt: \"7:00\" } }) { user { id } } }", json!({})).await;
        assert_eq!(misread["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{misread}");
    }

    async fn what_is_muted_does_not_go_out_and_the_ledger_says_so(server, "ACCESS_TOKEN_LIFETIME" = "30d") {
        let ada = server.person("Ada").await;
        let default = server.data(&ada, "{ viewer { notificationPreferences { type inApp email push } } }", json!({})).await;
        assert_eq!(default["viewer"]["notificationPreferences"], json!([
            { "type": "OVERDUE", "inApp": true, "email": false, "push": true },
            { "type": "UPCOMING", "inApp": true, "email": false, "push": true },
            { "type": "REMINDER", "inApp": true, "email": true, "push": true },
            { "type": "GENERAL", "inApp": true, "email": false, "push": false },
        ]));
        let chosen = prefer(server, &ada, json!([{ "type": "REMINDER", "email": false, "inApp": false }, { "type": "OVERDUE", "email": true }])).await;
        assert_eq!(chosen[2], json!({ "type": "REMINDER", "inApp": false, "email": false, "push": true }));
        let id = remind(server, &ada, json!({ "message": "Call Bob", "scheduledAt": server.at(TimeDelta::minutes(10)) })).await;
        server.advance(TimeDelta::minutes(11));
        waits_for(server, &ada, &id, "EMAIL", "SKIPPED").await;
        let seen = waits_for(server, &ada, &id, "IN_APP", "SKIPPED").await;
        assert!(seen["whyNotDelivered"].as_str().expect("said").contains("muted"), "{seen}");
        let list = server.data(&ada, "{ viewer { unreadNotificationCount notifications { nodes { id } } } }", json!({})).await;
        assert_eq!(list["viewer"], json!({ "unreadNotificationCount": 0, "notifications": { "nodes": [] } }));
        assert_eq!(subjects(server, &ada).await, Vec::<String>::new());
        // A type that nobody muted goes on, and one that was chosen by mail comes by mail.
        let create = "mutation($input: TaskCreateInput!) { taskCreate(input: $input) { task { id } } }";
        server.data(&ada, create, json!({ "input": { "title": "Pay the rent", "due": { "at": server.at(TimeDelta::minutes(5)) } } })).await;
        server.advance(TimeDelta::minutes(6));
        server.mail_to(&ada.email, "Overdue: Pay the rent").await;
        server.jobs_are_done().await;
        assert_eq!(server.count::<entity::message::Entity>().await, 0, "nothing is left to go out");
        let back = prefer(server, &ada, json!([{ "type": "REMINDER", "email": true }, { "type": "REMINDER", "inApp": true, "email": true }])).await;
        assert_eq!(back, default["viewer"]["notificationPreferences"].as_array().map(|all| {
            let mut all = all.clone();
            all[0]["email"] = json!(true);
            Json::Array(all)
        }).expect("a list"));
    }

    async fn who_wishes_no_mail_hears_of_what_was_held_by_one_push(server, "ACCESS_TOKEN_LIFETIME" = "30d", "PUSH_ALLOW_PRIVATE" = "true") {
        let ada = server.person("Ada").await;
        let mut service = browser(server, &ada).await;
        prefer(server, &ada, json!([{ "type": "REMINDER", "email": false }])).await;
        quiet_for(server, &ada, 120).await;
        let mut ids = Vec::new();
        for minutes in [10, 20] {
            let input = json!({ "message": format!("At {minutes}"), "type": "PUSH", "scheduledAt": server.at(TimeDelta::minutes(minutes)) });
            ids.push(remind(server, &ada, input).await);
        }
        server.advance(TimeDelta::minutes(21));
        for id in &ids {
            waits_for(server, &ada, id, "PUSH", "HELD").await;
        }
        server.advance(TimeDelta::minutes(100));
        let pushed = service.next_line();
        assert!(pushed["text"].as_str().expect("a text").contains("2 messages"), "{pushed}");
        for id in &ids {
            waits_for(server, &ada, id, "PUSH", "SENT").await;
        }
        assert_eq!(subjects(server, &ada).await, Vec::<String>::new());
    }

    async fn a_late_reminder_says_so(server, "ACCESS_TOKEN_LIFETIME" = "30d") {
        let ada = server.person("Ada").await;
        let id = remind(server, &ada, json!({ "message": "Call Bob", "scheduledAt": server.at(TimeDelta::minutes(90)) })).await;
        server.advance(TimeDelta::hours(30));
        // Each way is handed over by itself; one that was not yet is not late yet.
        waits_for(server, &ada, &id, "IN_APP", "SENT").await;
        let seen = waits_for(server, &ada, &id, "EMAIL", "SENT").await;
        assert!(seen["deliveries"].as_array().expect("a ledger").iter().all(|it| it["late"] == true), "{seen}");
        let list = server.data(&ada, "{ viewer { notifications { nodes { message } } } }", json!({})).await;
        let message = list["viewer"]["notifications"]["nodes"][0]["message"].as_str().expect("a message").to_owned();
        assert!(message.starts_with("Call Bob\nLate: this was due "), "{message}");
        let mail = server.mail_to(&ada.email, "Reminder: Your reminder is due soon").await;
        assert!(mail.text.contains("comes late"), "{}", mail.text);
    }
}
