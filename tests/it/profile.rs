//! The profile, the export of an account, and its end.

use hyper::Method;
use sea_orm::EntityTrait;
use support::{Json, Person, Server, both, json, sessions::SOON, text};

const UPDATE: &str = "mutation($input: ProfileUpdateInput!) { profileUpdate(input: $input) {
    user { name username bio timeZone locale emailLeadMinutes } userErrors { code path } } }";

async fn update(server: &Server, person: &Person, input: Json) -> Json {
    server.ask(person, UPDATE, json!({ "input": input })).await
}

async fn export(server: &Server, person: &Person) -> Json {
    let bearer = format!("Bearer {}", person.token);
    let answer = server.client.send(Method::GET, "/graphql/export", &[("authorization", &bearer)], "").await;
    assert!(answer.header("content-disposition").contains("attachment"), "{}", answer.text());
    answer.json()
}

both! {
    async fn a_profile_is_changed_in_part_and_cleared(server) {
        let ada = server.person("Ada").await;
        let input = json!({ "name": "Ada Lovelace", "username": "Ada.L", "bio": "Numbers\nand engines", "timeZone": "Europe/London", "locale": "en-GB", "emailLeadMinutes": 15 });
        let changed = update(server, &ada, input).await;
        assert_eq!(changed["data"]["profileUpdate"]["user"], json!({
            "name": "Ada Lovelace", "username": "Ada.L", "bio": "Numbers\nand engines", "timeZone": "Europe/London", "locale": "en-GB", "emailLeadMinutes": 15,
        }), "{changed}");
        let cleared = update(server, &ada, json!({ "bio": null, "username": null, "timeZone": null })).await;
        assert_eq!(cleared["data"]["profileUpdate"]["user"], json!({
            "name": "Ada Lovelace", "username": null, "bio": null, "timeZone": null, "locale": "en-GB", "emailLeadMinutes": 15,
        }));
        for (field, value, code) in [
            ("name", json!("A"), "TOO_SHORT"), ("username", json!("ab"), "TOO_SHORT"), ("username", json!("a".repeat(31)), "TOO_LONG"),
            ("username", json!("аda"), "INVALID_VALUE"), ("username", json!("a b c"), "INVALID_VALUE"), ("bio", json!("b".repeat(151)), "TOO_LONG"),
            ("bio", json!("a\u{0}b"), "INVALID_VALUE"), ("locale", json!("english"), "INVALID_VALUE"), ("emailLeadMinutes", json!(-1), "INVALID_VALUE"),
            ("emailLeadMinutes", json!(10_081), "INVALID_VALUE"),
        ] {
            let refused = update(server, &ada, json!({ field: value })).await;
            assert_eq!(refused["data"]["profileUpdate"]["userErrors"][0], json!({ "code": code, "path": ["input", field] }), "{refused}");
        }
        let zone = update(server, &ada, json!({ "timeZone": "Mars/Olympus" })).await;
        assert_eq!(zone["errors"][0]["extensions"]["code"], "BAD_REQUEST", "a scalar of its own: {zone}");
    }

    async fn a_username_that_two_want_in_the_same_instant_goes_to_one(server) {
        let people = [server.person("Ada").await, server.person("Eve").await, server.person("Bob").await, server.person("Kim").await];
        let names = ["Countess", "countess", "COUNTESS", "counTess"];
        let tries = people.iter().zip(names).map(|(person, name)| update(server, person, json!({ "username": name })));
        let answers = futures_util::future::join_all(tries).await;
        let (mut won, mut taken) = (0, 0);
        for answer in &answers {
            let payload = &answer["data"]["profileUpdate"];
            won += i32::from(payload["user"].is_object());
            taken += i32::from(payload["userErrors"][0]["code"] == "TAKEN");
        }
        assert_eq!((won, taken), (1, 3), "{answers:?}");
    }

    async fn an_export_holds_everything_of_ones_own_and_nothing_that_opens_anything(server, "EXPORT_LIMIT" = "2") {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        let task = server.task(&ada, "Ada's \"quoted\" task").await;
        server.reminder(&ada, &task, chrono::TimeDelta::days(1)).await;
        server.data(&ada, "mutation($id: ID!) { taskComplete(input: { id: $id }) { task { id } } }", json!({ "id": task })).await;
        let gone = server.task(&ada, "Deleted").await;
        server.data(&ada, "mutation($id: ID!) { taskDelete(input: { id: $id }) { task { id } } }", json!({ "id": gone })).await;
        server.task(&eve, "Eve's secret").await;
        let all = export(server, &ada).await;
        let count = |list: &str| all[list].as_array().map(Vec::len);
        assert_eq!(all["account"][0]["email"], ada.email.as_str());
        assert_eq!((count("tasks"), count("reminders"), count("deliveries"), count("notifications"), count("completions")), (Some(2), Some(1), Some(2), Some(1), Some(1)), "{all}");
        assert_eq!(all["tasks"][0]["title"], "Ada's \"quoted\" task");
        let whole = all.to_string();
        for secret in ["argon2", "Hash", "hash\"", "Eve", &ada.token] {
            assert!(!whole.contains(secret), "{secret} in {whole}");
        }
        export(server, &ada).await;
        let bearer = format!("Bearer {}", ada.token);
        let third = server.client.send(Method::GET, "/graphql/export", &[("authorization", &bearer)], "").await;
        assert_eq!((third.status.as_u16(), third.header("retry-after").is_empty()), (429, false), "{}", third.text());
        let nobody = server.client.get("/graphql/export").await;
        assert_eq!((nobody.status.as_u16(), nobody.json()["errors"][0]["extensions"]["code"].clone()), (401, json!("UNAUTHENTICATED")));
    }

    async fn an_export_of_many_rows_is_whole(server) {
        let ada = server.person("Ada").await;
        let user = ada.id.parse().expect("an id");
        for number in 0..1_203 {
            crate::tasks::insert_task(server, user, number).await;
        }
        let all = export(server, &ada).await;
        let mut ids: Vec<&str> = all["tasks"].as_array().expect("a list").iter().map(|task| task["id"].as_str().expect("an id")).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1_203, "each once, over several pages");
    }

    async fn a_deleted_account_leaves_nothing_and_its_tokens_end(server) {
        let (ada, eve) = (server.person("Ada").await, server.person("Eve").await);
        for person in [&ada, &eve] {
            let task = server.task(person, "A task").await;
            server.reminder(person, &task, chrono::TimeDelta::days(1)).await;
            server.data(person, "mutation($id: ID!) { taskComplete(input: { id: $id }) { task { id } } }", json!({ "id": task })).await;
        }
        let other = server.client.log_in(&ada.email).await;
        let mut socket = server.socket(Some(&ada)).await;
        let gone = server.data(&ada, "mutation { accountDelete { deletedUserId userErrors { code } } }", json!({})).await;
        assert_eq!(gone["accountDelete"]["deletedUserId"], ada.id.as_str());
        assert_eq!(socket.close_code().await, 4403);
        for access in [&ada.token, &other.access] {
            assert!(server.client.time_until_refused(access).await < SOON);
        }
        assert!(server.client.refresh(&other.refresh).await.is_err());
        let login = server.client.log_in_answer(&ada.email, support::sessions::PASSWORD).await;
        assert_eq!(text(&login, "/data/sessionCreate/userErrors/0/code"), "INVALID_CREDENTIALS");
        server.mail_to(&ada.email, "Your Spacedly account is deleted").await;
        server.jobs_are_done().await;
        let left = (
            server.count::<entity::user::Entity>().await, server.count::<entity::task::Entity>().await, server.count::<entity::reminder::Entity>().await,
            server.count::<entity::notification::Entity>().await, server.count::<entity::completion::Entity>().await, server.count::<entity::session::Entity>().await,
        );
        assert_eq!(left, (1, 1, 1, 1, 1, 1), "Eve's, and nothing else");
        assert_eq!(server.count::<entity::account_mail::Entity>().await, 0);
        let jobs = entity::job::Entity::find().all(server.app.platform.db.read()).await.expect("read");
        assert!(jobs.iter().all(|job| job.user_id.is_none_or(|user| user.to_string() == eve.id)), "{jobs:?}");
    }
}
