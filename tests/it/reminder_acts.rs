//! What a person does with reminders: changing, putting off, completing, reopening, deleting, sending again.

use chrono::TimeDelta;
use entity::{completion, delivery};
use sea_orm::EntityTrait;
use support::{Json, Person, Server, both, json, until};

const SHOWN: &str = "id status message scheduledAt type overdue version completedAt cancelledAt whyNotDelivered
    deliveries { channel state dueAt error latenessMs }";

async fn act(server: &Server, person: &Person, name: &str, input: Json) -> Json {
    let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
    let query = format!(
        "mutation($input: {kind}!) {{ {name}(input: $input) {{ reminder {{ {SHOWN} }} userErrors {{ code path }} }} }}"
    );
    server.data(person, &query, json!({ "input": input })).await[name].take()
}

async fn look(server: &Server, person: &Person, id: &str) -> Json {
    let query = format!("query($id: ID!) {{ reminder(id: $id) {{ {SHOWN} }} }}");
    server.data(person, &query, json!({ "id": id })).await["reminder"].take()
}

async fn completions(server: &Server) -> i32 {
    let all = completion::Entity::find().all(server.app.platform.db.read()).await.expect("read");
    all.iter().filter(|entry| entry.subject == completion::Subject::Reminder).map(|entry| i32::from(entry.delta)).sum()
}

fn state(reminder: &Json, channel: &str) -> String {
    let all = reminder["deliveries"].as_array().expect("a ledger").iter();
    let found = all.filter(|delivery| delivery["channel"] == channel).map(|delivery| delivery["state"].as_str());
    found.flatten().next().unwrap_or("none").to_owned()
}

async fn reminded(server: &Server, person: &Person) -> usize {
    let list = server
        .data(person, "{ viewer { notifications(filter: { type: [REMINDER] }) { nodes { id } } } }", json!({}))
        .await;
    list["viewer"]["notifications"]["nodes"].as_array().expect("a list").len()
}

both! {
    async fn a_moved_reminder_comes_at_its_new_moment_and_only_then(server, "ACCESS_TOKEN_LIFETIME" = "30d") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        let id = server.reminder(&ada, &task, TimeDelta::hours(2)).await;
        let moved = act(server, &ada, "reminderUpdate", json!({ "id": id, "expectedVersion": 1, "scheduledAt": server.at(TimeDelta::hours(5)), "message": "Bring it" })).await;
        assert_eq!((moved["reminder"]["version"].as_i64(), moved["reminder"]["message"].as_str()), (Some(2), Some("Bring it")), "{moved}");
        let stale = act(server, &ada, "reminderUpdate", json!({ "id": id, "expectedVersion": 1, "message": "Other" })).await;
        assert_eq!((stale["userErrors"][0]["code"].as_str(), stale["reminder"]["message"].as_str()), (Some("CONFLICT"), Some("Bring it")));
        server.advance(TimeDelta::hours(3));
        server.jobs_are_done().await;
        assert_eq!((reminded(server, &ada).await, server.mails(&ada.email).await.len()), (0, 1), "not at the old moment (and the code's mail)");
        server.advance(TimeDelta::hours(3));
        until("the reminder", || async { (reminded(server, &ada).await == 1).then_some(()) }).await;
        server.mail_to(&ada.email, "Reminder: Write the report is due soon").await;
        let over = act(server, &ada, "reminderUpdate", json!({ "id": id, "scheduledAt": server.at(TimeDelta::hours(-1)) })).await;
        assert_eq!(over["userErrors"], json!([{ "code": "IN_THE_PAST", "path": ["input", "scheduledAt"] }]));
        let same = act(server, &ada, "reminderUpdate", json!({ "id": id, "message": null })).await;
        assert_eq!(same["reminder"]["message"], Json::Null, "a task's reminder needs none");
    }

    async fn a_conflict_changes_nothing_and_the_reminder_comes(server, "ACCESS_TOKEN_LIFETIME" = "30d") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        type Input = fn(&Server) -> Json;
        let acts: [(&str, Input); 5] = [
            ("reminderUpdate", |server| json!({ "scheduledAt": server.at(TimeDelta::hours(9)) })),
            ("reminderUpdate", |_| json!({ "type": "BOTH" })),
            ("reminderSnooze", |_| json!({ "for": { "minutes": 5 } })),
            ("reminderComplete", |_| json!({})),
            ("reminderDelete", |_| json!({})),
        ];
        for (name, rest) in acts {
            let id = server.reminder(&ada, &task, TimeDelta::hours(2)).await;
            let mut input = rest(server);
            input["id"] = id.into();
            input["expectedVersion"] = 99.into();
            let told = act(server, &ada, name, input).await;
            assert_eq!((told["userErrors"][0]["code"].as_str(), told["reminder"]["version"].as_i64()), (Some("CONFLICT"), Some(1)), "{name}: {told}");
            assert_eq!((state(&told["reminder"], "IN_APP"), state(&told["reminder"], "EMAIL")), ("PENDING".into(), "PENDING".into()), "{name}");
        }
        server.advance(TimeDelta::minutes(121));
        until("all of them", || async { (reminded(server, &ada).await == 5).then_some(()) }).await;
    }

    async fn tasks_that_fall_due_while_they_are_completed_hold_nobody_up(server) {
        let ada = server.person("Ada").await;
        let due = server.at(TimeDelta::seconds(3));
        let mut ids = Vec::new();
        for number in 0..30 {
            let create = "mutation($input: TaskCreateInput!) { taskCreate(input: $input) { task { id } userErrors { message } } }";
            let made = server.data(&ada, create, json!({ "input": { "title": format!("Task {number}"), "due": { "at": due } } })).await;
            ids.push(made["taskCreate"]["task"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned());
        }
        server.advance(TimeDelta::seconds(4));
        let one_by_one = ids[..20].iter().map(|id| server.ask(&ada, "mutation($id: ID!) { taskComplete(input: { id: $id }) { task { status } } }", json!({ "id": id })));
        let together = server.ask(&ada, "mutation($ids: [ID!]!) { taskBulkComplete(input: { ids: $ids }) { tasks { status } } }", json!({ "ids": ids[20..] }));
        let (answers, bulk) = tokio::join!(futures_util::future::join_all(one_by_one), together);
        for answer in answers.iter().chain([&bulk]) {
            assert!(answer.get("errors").is_none(), "{answer}");
        }
        server.jobs_are_done().await;
        let now = server.data(&ada, "{ viewer { unreadNotificationCount notifications(first: 100) { nodes { type title } } } }", json!({})).await;
        let all = now["viewer"]["notifications"]["nodes"].as_array().expect("a list");
        let completed = all.iter().filter(|n| n["title"] == "Task Completed").count();
        assert_eq!((completed, now["viewer"]["unreadNotificationCount"].as_u64()), (30, Some(all.len() as u64)));
    }

    async fn a_due_moment_is_told_once_before_and_once_after(server, "ACCESS_TOKEN_LIFETIME" = "30d") {
        let ada = server.person("Ada").await;
        let create = "mutation($input: TaskCreateInput!) { taskCreate(input: $input) { task { id } } }";
        let due = |hours| json!({ "at": server.at(TimeDelta::hours(hours)) });
        let task = server.data(&ada, create, json!({ "input": { "title": "Write the report", "due": due(30) } })).await["taskCreate"]["task"]["id"].as_str().expect("an id").to_owned();
        let soon = server.data(&ada, create, json!({ "input": { "title": "Within the day", "due": due(2) } })).await["taskCreate"]["task"]["id"].as_str().expect("an id").to_owned();
        let told = async || {
            server.jobs_are_done().await;
            let now = server.data(&ada, "{ viewer { notifications { nodes { type message task { id } } } } }", json!({})).await;
            let mut all: Vec<String> = now["viewer"]["notifications"]["nodes"].as_array().expect("a list").iter().map(|n| format!("{} {}", n["type"].as_str().expect("a type"), n["message"].as_str().expect("a message"))).collect();
            all.sort();
            all
        };
        server.advance(TimeDelta::hours(7));
        assert_eq!(told().await, ["OVERDUE Overdue: Within the day", "UPCOMING Due soon: Write the report"]);
        server.data(&ada, "mutation($id: ID!, $due: TaskDueInput!) { taskUpdate(input: { id: $id, due: $due }) { task { id } } }", json!({ "id": task, "due": due(48) })).await;
        server.advance(TimeDelta::hours(30));
        assert_eq!(told().await.len(), 3, "told anew of the new moment, and not overdue at the old one");
        server.data(&ada, "mutation($id: ID!) { taskComplete(input: { id: $id }) { task { id } } }", json!({ "id": task })).await;
        server.data(&ada, "mutation($id: ID!) { taskDelete(input: { id: $id }) { task { id } } }", json!({ "id": soon })).await;
        server.advance(TimeDelta::hours(48));
        assert_eq!(told().await.iter().filter(|n| n.starts_with("OVERDUE")).count(), 1, "what is done is not overdue");
    }

    async fn a_reminder_can_go_out_by_another_way(server, "ACCESS_TOKEN_LIFETIME" = "30d") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        let id = server.reminder(&ada, &task, TimeDelta::minutes(30)).await;
        server.mail_to(&ada.email, "Reminder: Write the report is due soon").await;
        server.jobs_are_done().await;
        let both = act(server, &ada, "reminderUpdate", json!({ "id": id, "type": "BOTH" })).await["reminder"].take();
        assert_eq!((state(&both, "EMAIL"), state(&both, "PUSH"), state(&both, "IN_APP")), ("SENT".into(), "PENDING".into(), "PENDING".into()), "what was sent stays sent");
        let push = act(server, &ada, "reminderUpdate", json!({ "id": id, "type": "PUSH" })).await["reminder"].take();
        assert_eq!((state(&push, "EMAIL"), state(&push, "PUSH")), ("SENT".into(), "PENDING".into()));
        server.advance(TimeDelta::minutes(31));
        until("the reminder", || async { (reminded(server, &ada).await == 1).then_some(()) }).await;
        let mails = server.mails(&ada.email).await.into_iter().filter(|mail| mail.subject.starts_with("Reminder")).count();
        assert_eq!(mails, 1);
    }

    async fn a_snoozed_reminder_comes_again_with_its_mail_at_that_moment(server, "ACCESS_TOKEN_LIFETIME" = "30d") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        let id = server.reminder(&ada, &task, TimeDelta::minutes(10)).await;
        server.mail_to(&ada.email, "Reminder: Write the report is due soon").await;
        // Else the clock would move over the lease of whoever is sending it.
        server.jobs_are_done().await;
        server.advance(TimeDelta::minutes(11));
        until("the reminder", || async { (reminded(server, &ada).await == 1).then_some(()) }).await;
        let snoozed = act(server, &ada, "reminderSnooze", json!({ "id": id, "for": { "minutes": 90 } })).await["reminder"].take();
        assert_eq!((snoozed["status"].as_str(), snoozed["overdue"].as_bool(), state(&snoozed, "EMAIL")), (Some("PENDING"), Some(false), "PENDING".into()));
        let mails = async || server.mails(&ada.email).await.into_iter().filter(|mail| mail.subject.starts_with("Reminder")).collect::<Vec<_>>();
        server.advance(TimeDelta::minutes(60));
        server.jobs_are_done().await;
        assert_eq!(mails().await.len(), 1, "not an hour before");
        server.advance(TimeDelta::minutes(31));
        until("both again", || async { (reminded(server, &ada).await == 2 && mails().await.len() == 2).then_some(()) }).await;
        let all = mails().await;
        assert_ne!(all[0].message_id, all[1].message_id, "a new round, a new Message-ID");
        let wrong = act(server, &ada, "reminderSnooze", json!({ "id": id, "for": { "minutes": 0 } })).await;
        assert_eq!(wrong["userErrors"][0]["code"], "INVALID_VALUE");
        let past = act(server, &ada, "reminderSnooze", json!({ "id": id, "for": { "until": server.at(TimeDelta::minutes(-1)) } })).await;
        assert_eq!(past["userErrors"], json!([{ "code": "IN_THE_PAST", "path": ["input", "for"] }]));
    }

    async fn completing_counts_once_and_reopening_takes_it_back(server, "ACCESS_TOKEN_LIFETIME" = "30d") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        let id = server.reminder(&ada, &task, TimeDelta::hours(3)).await;
        for _ in 0..2 {
            let done = act(server, &ada, "reminderComplete", json!({ "id": id })).await["reminder"].take();
            assert_eq!((done["status"].as_str(), done["completedAt"].is_string()), (Some("COMPLETED"), true), "{done}");
        }
        assert_eq!(completions(server).await, 1);
        let refused = act(server, &ada, "reminderSnooze", json!({ "id": id, "for": { "minutes": 5 } })).await;
        assert_eq!(refused["userErrors"][0]["code"], "WRONG_STATE");
        server.advance(TimeDelta::hours(4));
        server.jobs_are_done().await;
        assert_eq!(reminded(server, &ada).await, 0, "what is done is not told");
        let open = act(server, &ada, "reminderReopen", json!({ "id": id })).await["reminder"].take();
        assert_eq!((open["status"].as_str(), open["overdue"].as_bool(), completions(server).await), (Some("PENDING"), Some(true), 0));
        assert!(open["whyNotDelivered"].as_str().is_some_and(|why| why.contains("Snooze")), "{open}");
        server.data(&ada, "mutation($id: ID!) { taskComplete(input: { id: $id }) { task { id } } }", json!({ "id": task })).await;
        let closed = act(server, &ada, "reminderReopen", json!({ "id": id })).await;
        assert_eq!(closed["userErrors"][0]["code"], "WRONG_STATE", "its task is complete: {closed}");
    }

    async fn a_deleted_reminder_is_gone_and_tells_nothing(server, "ACCESS_TOKEN_LIFETIME" = "30d") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        let id = server.reminder(&ada, &task, TimeDelta::hours(2)).await;
        let gone = act(server, &ada, "reminderDelete", json!({ "id": id, "expectedVersion": 2 })).await;
        assert_eq!(gone["userErrors"][0]["code"], "CONFLICT");
        act(server, &ada, "reminderDelete", json!({ "id": id, "expectedVersion": 1 })).await;
        assert_eq!(look(server, &ada, &id).await, Json::Null);
        server.advance(TimeDelta::hours(3));
        server.jobs_are_done().await;
        assert_eq!(reminded(server, &ada).await, 0);
        assert!(delivery::Entity::find().all(server.app.platform.db.read()).await.expect("read").is_empty());
    }

    async fn reminders_are_listed_and_filtered(server, "ACCESS_TOKEN_LIFETIME" = "30d") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        let mut ids = Vec::new();
        for hours in [1, 2, 3, 4] {
            ids.push(server.reminder(&ada, &task, TimeDelta::hours(hours)).await);
        }
        act(server, &ada, "reminderComplete", json!({ "id": ids[1] })).await;
        server.advance(TimeDelta::minutes(61));
        let list = async |arguments: &str| {
            let query = format!("{{ viewer {{ reminders({arguments}) {{ totalCount nodes {{ id }} pageInfo {{ endCursor }} }} }} }}");
            let answer = server.data(&ada, &query, json!({})).await;
            let page = answer["viewer"]["reminders"].clone();
            let found: Vec<String> = page["nodes"].as_array().expect("a list").iter().map(|n| n["id"].as_str().expect("an id").to_owned()).collect();
            (found, page["totalCount"].as_i64(), page["pageInfo"]["endCursor"].as_str().unwrap_or_default().to_owned())
        };
        assert_eq!(list("first: 100").await.0, ids);
        assert_eq!(list("orderBy: SCHEDULED_AT_DESC, first: 1").await.0, ids[3..]);
        assert_eq!(list("filter: { status: [COMPLETED] }").await.0, ids[1..2]);
        assert_eq!(list("filter: { overdue: true }").await.0, ids[..1]);
        assert_eq!(list("filter: { overdue: false }").await.0, ids[1..]);
        assert_eq!(list("filter: { type: [PUSH] }").await.0, Vec::<String>::new());
        let (page, total, cursor) = list("first: 2").await;
        assert_eq!((page, total), (ids[..2].to_vec(), Some(4)));
        assert_eq!(list(&format!("first: 2, after: \"{cursor}\"")).await.0, ids[2..]);
        let until = server.at(TimeDelta::hours(2));
        assert_eq!(list(&format!("filter: {{ scheduledFrom: \"{}\", scheduledBefore: \"{until}\" }}", server.at(TimeDelta::zero()))).await.0, ids[1..3]);
    }

    async fn what_failed_is_said_in_words_and_sent_again(server, "ACCESS_TOKEN_LIFETIME" = "30d") {
        let ada = server.person("Ada").await;
        let task = server.task(&ada, "Write the report").await;
        let id = server.reminder(&ada, &task, TimeDelta::minutes(5)).await;
        server.mail_to(&ada.email, "Reminder: Write the report is due soon").await;
        server.jobs_are_done().await;
        let fine = look(server, &ada, &id).await;
        assert_eq!(fine["whyNotDelivered"], Json::Null, "{fine}");
        let none = act(server, &ada, "deliveryRetry", json!({ "id": id })).await;
        assert_eq!(none["userErrors"][0]["code"], "WRONG_STATE");
        let platform = server.app.platform.clone();
        platform.db.write::<_, spacedly::platform::error::Fault, _, _>(|tx| async move {
            use sea_orm::{ColumnTrait, QueryFilter, sea_query::Expr};
            delivery::Entity::update_many()
                .col_expr(delivery::Column::State, Expr::value(delivery::State::Failed))
                .col_expr(delivery::Column::Error, Expr::value("The mail server refused it: no such mailbox."))
                .filter(delivery::Column::Channel.eq(delivery::Channel::Email)).exec(&*tx).await?;
            Ok(())
        }).await.expect("written");
        let failed = look(server, &ada, &id).await;
        assert_eq!(failed["whyNotDelivered"], "By mail: given up. The mail server refused it: no such mailbox. Send it again with deliveryRetry.");
        act(server, &ada, "deliveryRetry", json!({ "id": id })).await;
        until("the mail again", || async { (state(&look(server, &ada, &id).await, "EMAIL") == "SENT").then_some(()) }).await;
        let mails = server.mails(&ada.email).await.into_iter().filter(|mail| mail.subject.starts_with("Reminder")).collect::<Vec<_>>();
        assert_eq!((mails.len(), mails[0].message_id == mails[1].message_id), (2, true), "the same mail, the same Message-ID");
    }

    async fn notifications_are_marked_deleted_and_cleared_and_the_badge_follows(server, "ACCESS_TOKEN_LIFETIME" = "30d") {
        let ada = server.person("Ada").await;
        for number in 0..6 {
            let task = server.task(&ada, &format!("Task {number}")).await;
            server.data(&ada, "mutation($id: ID!) { taskComplete(input: { id: $id }) { task { id } } }", json!({ "id": task })).await;
        }
        let mut socket = server.socket(Some(&ada)).await;
        socket.subscribe("1", "subscription { notificationEvents(after: \"6\") { cursor kind unreadNotificationCount notificationId notification { id } } }", json!({})).await;
        let list = async |filter: &str| {
            let query = format!("{{ viewer {{ unreadNotificationCount notifications{filter} {{ nodes {{ id }} }} }} }}");
            let answer = server.data(&ada, &query, json!({})).await["viewer"].take();
            let ids: Vec<String> = answer["notifications"]["nodes"].as_array().expect("a list").iter().map(|n| n["id"].as_str().expect("an id").to_owned()).collect();
            (ids, answer["unreadNotificationCount"].as_i64().expect("a count"))
        };
        let (ids, unread) = list("").await;
        assert_eq!((ids.len(), unread), (6, 6));
        let run = async |what: &str| server.data(&ada, &format!("mutation {{ {what} }}"), json!({})).await;
        // What is different of the person is told in the same answer.
        let now = |unread: i32| json!({ "unreadNotificationCount": unread });
        let read = run(&format!("notificationMarkRead(input: {{ id: \"{}\" }}) {{ notification {{ id }} user {{ unreadNotificationCount }} }}", ids[0])).await;
        assert_eq!(read["notificationMarkRead"], json!({ "notification": { "id": ids[0] }, "user": now(5) }));
        let wrong = run("notificationMarkRead(input: { id: \"nonsense\" }) { user { id } userErrors { code } }").await;
        assert_eq!(wrong["notificationMarkRead"], json!({ "user": null, "userErrors": [{ "code": "INVALID_ID" }] }));
        assert_eq!(list("(filter: { unread: true })").await.0, ids[1..]);
        let gone = run(&format!("notificationDelete(input: {{ id: \"{}\" }}) {{ deletedNotificationId user {{ unreadNotificationCount }} userErrors {{ code }} }}", ids[1])).await;
        assert_eq!(gone["notificationDelete"], json!({ "deletedNotificationId": ids[1], "user": now(4), "userErrors": [] }));
        assert_eq!(list("(filter: { type: [GENERAL], unread: true })").await, (ids[2..].to_vec(), 4));
        assert_eq!(list("(filter: { type: [REMINDER] })").await.0, Vec::<String>::new());
        let marked = run("notificationMarkAllRead { markedCount user { unreadNotificationCount } userErrors { code } }").await;
        assert_eq!(marked["notificationMarkAllRead"], json!({ "markedCount": 4, "user": now(0), "userErrors": [] }));
        let cleared = run("notificationClear { deletedCount user { notifications { totalCount } } userErrors { code } }").await;
        assert_eq!(cleared["notificationClear"]["user"], json!({ "notifications": { "totalCount": 0 } }));
        assert_eq!((cleared["notificationClear"]["deletedCount"].as_i64(), list("").await), (Some(5), (Vec::new(), 0)));
        run("notificationMarkAllRead { markedCount } ").await;
        let mut seen = Vec::new();
        while seen.len() < 4 {
            let event = socket.next().await["payload"]["data"]["notificationEvents"].take();
            let which = event["notificationId"].as_str().map(str::to_owned);
            seen.push((event["kind"].as_str().expect("a kind").to_owned(), event["unreadNotificationCount"].as_i64().expect("a count"), which));
        }
        let told = |kind: &str, count: i64, which: Option<&String>| (kind.to_owned(), count, which.cloned());
        assert_eq!(seen, [told("READ", 5, Some(&ids[0])), told("DELETED", 4, Some(&ids[1])), told("READ", 0, None), told("DELETED", 0, None)], "also which is gone");
    }

    async fn acts_at_the_same_time_never_drift_the_badge(server) {
        let ada = server.person("Ada").await;
        for number in 0..20 {
            let task = server.task(&ada, &format!("Task {number}")).await;
            server.data(&ada, "mutation($id: ID!) { taskComplete(input: { id: $id }) { task { id } } }", json!({ "id": task })).await;
        }
        let ids = server.data(&ada, "{ viewer { notifications { nodes { id } } } }", json!({})).await;
        let ids: Vec<String> = ids["viewer"]["notifications"]["nodes"].as_array().expect("a list").iter().map(|n| n["id"].as_str().expect("an id").to_owned()).collect();
        let acts = ids.iter().enumerate().map(|(at, id)| {
            let what = match at % 4 {
                0 => format!("notificationDelete(input: {{ id: \"{id}\" }}) {{ userErrors {{ code }} }}"),
                1 => "notificationMarkAllRead { markedCount }".to_owned(),
                2 => "notificationClear { deletedCount }".to_owned(),
                _ => format!("notificationMarkRead(input: {{ id: \"{id}\" }}) {{ userErrors {{ code }} }}"),
            };
            let ada = &ada;
            async move { server.ask(ada, &format!("mutation {{ {what} }}"), json!({})).await }
        });
        for answer in futures_util::future::join_all(acts).await {
            let code = &answer["errors"][0]["extensions"]["code"];
            assert!(code.is_null() || code == "NOT_FOUND", "{answer}");
        }
        let now = server.data(&ada, "{ viewer { unreadNotificationCount notifications(filter: { unread: true }) { nodes { id } } } }", json!({})).await;
        let unread = now["viewer"]["notifications"]["nodes"].as_array().expect("a list").len();
        assert_eq!(now["viewer"]["unreadNotificationCount"].as_u64(), Some(unread as u64));
    }
}
