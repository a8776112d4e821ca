//! Reminders: what follows from their task, and what becomes of deliveries.

use chrono::TimeDelta;
use entity::{delivery, reminder};
use sea_orm::EntityTrait;
use support::{Json, Person, Server, both, json, until};

async fn act(server: &Server, person: &Person, name: &str, id: &str) -> Json {
    let query =
        format!("mutation($id: ID!) {{ {name}(input: {{ id: $id }}) {{ task {{ status }} userErrors {{ code }} }} }}");
    server.data(person, &query, json!({ "id": id })).await
}

async fn reminders(server: &Server) -> Vec<reminder::Model> {
    reminder::Entity::find().all(server.app.platform.db.read()).await.expect("rows")
}

async fn deliveries(server: &Server) -> Vec<delivery::Model> {
    delivery::Entity::find().all(server.app.platform.db.read()).await.expect("rows")
}

async fn delivered(server: &Server, count: usize) {
    until("deliveries", || async {
        let sent =
            deliveries(server).await.into_iter().filter(|delivery| delivery.state == delivery::State::Sent).count();
        (sent >= count).then_some(())
    })
    .await;
}

both! {
    async fn completing_a_task_ends_its_reminders_and_reopening_revives_them(server, "ACCESS_TOKEN_LIFETIME" = "30d") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        server.reminder(&ada, &task, TimeDelta::minutes(10)).await;
        server.reminder(&ada, &task, TimeDelta::hours(5)).await;
        server.advance(TimeDelta::minutes(11));
        delivered(server, 2).await;
        act(server, &ada, "taskComplete", &task).await;
        let mut states: Vec<reminder::Status> = reminders(server).await.into_iter().map(|reminder| reminder.status).collect();
        states.sort_by_key(|status| format!("{status:?}"));
        assert_eq!(states, [reminder::Status::Cancelled, reminder::Status::Completed], "overdue is done, ahead is cancelled");
        assert!(deliveries(server).await.iter().all(|delivery| delivery.state != delivery::State::Pending));
        act(server, &ada, "taskReopen", &task).await;
        assert!(reminders(server).await.iter().all(|reminder| reminder.status == reminder::Status::Pending));
        server.advance(TimeDelta::hours(6));
        delivered(server, 4).await;
        let list = server.data(&ada, "{ viewer { notifications { nodes { type } } } }", json!({})).await;
        let kinds = list["viewer"]["notifications"]["nodes"].as_array().expect("a list").iter().filter(|n| n["type"] == "REMINDER").count();
        assert_eq!(kinds, 2, "each moment once");
    }

    async fn a_deleted_task_reminds_nobody(server) {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        server.reminder(&ada, &task, TimeDelta::minutes(5)).await;
        server.mail_to(&ada.email, "Reminder: Write the report is due soon").await;
        act(server, &ada, "taskDelete", &task).await;
        let other = server.task(&ada, "Another").await;
        server.reminder(&ada, &other, TimeDelta::minutes(6)).await;
        server.advance(TimeDelta::minutes(7));
        until("the other reminder", || async {
            let list = server.data(&ada, "{ viewer { notifications { nodes { title } } } }", json!({})).await;
            (list["viewer"]["notifications"]["nodes"] == json!([{ "title": "Another" }])).then_some(())
        }).await;
    }

    async fn a_reminder_may_complete_by_itself_and_push_says_that_it_has_no_address(server) {
        let ada = server.person("Ada").await;
        let create = "mutation($input: ReminderCreateInput!) { reminderCreate(input: $input) { reminder { id } userErrors { code } } }";
        let input = json!({ "message": "Call Bob", "scheduledAt": server.at(TimeDelta::minutes(1)), "type": "BOTH", "completeOnDelivery": true });
        let id = server.data(&ada, create, json!({ "input": input })).await["reminderCreate"]["reminder"]["id"].clone();
        server.advance(TimeDelta::minutes(2));
        let look = "query($id: ID!) { reminder(id: $id) { status completedAt deliveries { channel state error sentAt } } }";
        let done = until("the reminder to complete", || async {
            let found = server.data(&ada, look, json!({ "id": id })).await["reminder"].take();
            (found["status"] == "COMPLETED").then_some(found)
        }).await;
        let push = done["deliveries"].as_array().expect("a ledger").iter().find(|d| d["channel"] == "PUSH").expect("push").clone();
        assert_eq!((push["state"].as_str(), push["sentAt"].clone()), (Some("SKIPPED"), Json::Null));
        assert_eq!(push["error"], "No browser is registered for push.");
        assert_eq!(server.count::<entity::completion::Entity>().await, 1);
    }

    async fn a_notification_leads_to_its_reminder(server, "SESSION_CACHE" = "10m") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        let of_task = server.reminder(&ada, &task, TimeDelta::minutes(5)).await;
        let create = "mutation($input: ReminderCreateInput!) { reminderCreate(input: $input) { reminder { id } userErrors { code } } }";
        let input = json!({ "message": "Call Bob", "scheduledAt": server.at(TimeDelta::minutes(6)) });
        let made = server.data(&ada, create, json!({ "input": input })).await;
        let alone = made["reminderCreate"]["reminder"]["id"].as_str().expect("an id").to_owned();
        // Their mails are due at once.
        delivered(server, 2).await;
        server.advance(TimeDelta::minutes(7));
        delivered(server, 4).await;
        server.jobs_are_done().await;
        let list = "{ viewer { notifications { nodes { task { id } reminder { id version } } } } }";
        let told = server.data(&ada, list, json!({})).await["viewer"]["notifications"]["nodes"].take();
        let look = "query($id: ID!) { reminder(id: $id) { id version } }";
        for (id, task) in [(&of_task, json!({ "id": task })), (&alone, Json::Null)] {
            let found = told.as_array().expect("a list").iter().find(|it| it["reminder"]["id"] == id.as_str());
            let reminder = server.data(&ada, look, json!({ "id": id })).await["reminder"].take();
            assert_eq!(found, Some(&json!({ "task": task, "reminder": reminder })), "{told}");
        }
        let statements = async |fields: &str| {
            let query = format!("{{ viewer {{ notifications {{ nodes {{ id {fields} }} }} }} }}");
            server.data(&ada, &query, json!({})).await;
            server.forget_statements();
            server.data(&ada, &query, json!({})).await;
            server.statements().len()
        };
        let without = statements("").await;
        assert_eq!(statements("reminder { id version }").await, without + 1, "one for both of them");
        let delete = "mutation($id: ID!) { reminderDelete(input: { id: $id }) { reminder { id } userErrors { code } } }";
        server.data(&ada, delete, json!({ "id": alone })).await;
        let left = server.data(&ada, list, json!({})).await["viewer"]["notifications"]["nodes"].take();
        let gone = left.as_array().expect("a list").iter().filter(|it| it["reminder"].is_null()).count();
        assert_eq!((left.as_array().map(Vec::len), gone), (Some(2), 1), "what it told stays: {left}");
    }

    async fn many_reminders_come_once_each_and_the_count_never_drifts(server) {
        let ada = server.person("Ada").await;
        let eve = server.person("Eve").await;
        for person in [&ada, &eve] {
            let task = server.task(person, "Many").await;
            let made = (0..40).map(|n| server.reminder(person, &task, TimeDelta::minutes(5) + TimeDelta::milliseconds(n)));
            futures_util::future::join_all(made).await;
        }
        // Their mails are due at once. Moving the clock while some are being sent would end the leases of their jobs.
        delivered(server, 80).await;
        server.advance(TimeDelta::minutes(6));
        delivered(server, 160).await;
        for person in [&ada, &eve] {
            let found = server.data(person, "{ viewer { unreadNotificationCount notifications { totalCount } } }", json!({})).await;
            assert_eq!((found["viewer"]["unreadNotificationCount"].as_i64(), found["viewer"]["notifications"]["totalCount"].as_i64()), (Some(40), Some(40)));
            assert_eq!(server.mails(&person.email).await.iter().filter(|mail| mail.subject.starts_with("Reminder")).count(), 40);
        }
        let events = entity::notification_event::Entity::find().all(server.app.platform.db.read()).await.expect("events");
        let mut seqs: Vec<(entity::UserId, i64, i32)> = events.into_iter().map(|e| (e.user_id, e.seq, e.unread)).collect();
        seqs.sort();
        for chunk in seqs.chunks(40) {
            assert!(chunk.iter().enumerate().all(|(index, (_, seq, unread))| *seq == index as i64 + 1 && *unread == index as i32 + 1), "{chunk:?}");
        }
    }

    async fn a_task_has_so_many_reminders_and_no_more(server, "REMINDERS_PER_TASK" = "3") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        let create = "mutation($input: ReminderCreateInput!) { reminderCreate(input: $input) { reminder { id } userErrors { code } } }";
        let at = server.at(TimeDelta::days(1));
        let asks = (0..8).map(|_| server.ask(&ada, create, json!({ "input": { "taskId": task, "scheduledAt": at } })));
        let answers = futures_util::future::join_all(asks).await;
        let refused = answers.iter().filter(|a| a["data"]["reminderCreate"]["userErrors"][0]["code"] == "LIMIT_REACHED").count();
        assert_eq!((refused, server.count::<reminder::Entity>().await), (5, 3), "{answers:?}");
        act(server, &ada, "taskComplete", &task).await;
        let late = server.ask(&ada, create, json!({ "input": { "taskId": task, "scheduledAt": at } })).await;
        assert_eq!(late["data"]["reminderCreate"]["userErrors"][0]["code"], "WRONG_STATE");
    }

    async fn what_is_old_is_swept_with_its_count(server, "ACCESS_TOKEN_LIFETIME" = "200d", "SESSION_IDLE_LIFETIME" = "200d", "SESSION_TOTAL_LIFETIME" = "300d") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        act(server, &ada, "taskComplete", &task).await;
        server.advance(TimeDelta::days(91));
        spacedly::worker::sweep(&server.app.platform).await.expect("swept");
        let found = server.data(&ada, "{ viewer { unreadNotificationCount notifications { totalCount } } }", json!({})).await;
        assert_eq!(found["viewer"], json!({ "unreadNotificationCount": 0, "notifications": { "totalCount": 0 } }));
        // Who was away for so long cannot go on from there, and is told so; nor from a place that is none.
        let mut socket = server.socket(Some(&ada)).await;
        for (id, after, code) in [("old", "0", "CURSOR_EXPIRED"), ("ahead", "99", "CURSOR_EXPIRED"), ("none", "x", "BAD_REQUEST")] {
            socket.subscribe(id, "subscription($after: Cursor) { notificationEvents(after: $after) { cursor } }", json!({ "after": after })).await;
            let told = socket.next().await;
            assert_eq!(told["payload"]["errors"][0]["extensions"]["code"], code, "{after}: {told}");
            assert_eq!(socket.next().await["type"], "complete");
        }
    }
}
