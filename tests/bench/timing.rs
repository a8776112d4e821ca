//! Whether the time of an answer tells if an address has an account: known and unknown addresses in turns, at login,
//! register and forgot, with the product's own password parameters. Goal: medians within 2 ms.

use std::time::Instant;

use chrono::Utc;
use entity::{UserId, user};
use sea_orm::{ActiveValue::Set, EntityTrait};
use support::{Database, Json, Server, json};
use uuid::Uuid;

use crate::{median, verdict};

const GOAL_MS: f64 = 2.0;

pub async fn run(pairs: u64) -> bool {
    let mut met = true;
    for database in [Database::Sqlite, Database::Postgres] {
        met &= on(database, pairs).await;
    }
    met
}

async fn on(database: Database, pairs: u64) -> bool {
    let settings = [("PASSWORD_MEMORY_KIB", "19456"), ("PASSWORD_PASSES", "2")];
    let server = Server::start_plain(database, &settings).await;
    people(&server, pairs).await;
    let mut met = true;
    for (name, query) in [
        (
            "login",
            "mutation($email: String!) { sessionCreate(input: { email: $email, password: \"wrong horse battery\" }) { userErrors { code message path } } }",
        ),
        (
            "register",
            "mutation($email: String!) { accountRegister(input: { name: \"Ada\", email: $email, password: \"correct horse battery\" }) { userErrors { code message path } } }",
        ),
        (
            "forgot",
            "mutation($email: String!) { passwordForgot(input: { email: $email }) { userErrors { code message path } } }",
        ),
    ] {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for number in 0..pairs {
            // Each pair in the other order, so that nothing that drifts favours one side.
            let order = if number % 2 == 0 { ["known", "unknown"] } else { ["unknown", "known"] };
            let mut said: Vec<(&str, Json)> = Vec::new();
            for side in order {
                let email = format!("{side}{number}@example.org");
                let began = Instant::now();
                let answer = server.ask_as_nobody(query, json!({ "email": email })).await;
                let took = began.elapsed().as_secs_f64() * 1_000.0;
                if side == "known" {
                    known.push(took)
                } else {
                    unknown.push(took)
                }
                said.push((side, answer));
            }
            assert_eq!(said[0].1.to_string(), said[1].1.to_string(), "{name}: the same bytes");
        }
        let (known, unknown) = (median(known), median(unknown));
        let apart = (known - unknown).abs();
        println!(
            "timing {database:?} {name}: known {known:.2} ms, unknown {unknown:.2} ms (medians of {pairs} pairs), apart {apart:.2} ms, goal {GOAL_MS}: {}",
            verdict(apart <= GOAL_MS)
        );
        met &= apart <= GOAL_MS;
    }
    server.finish().await;
    met
}

/// So many people, made in the database with the hash of one password.
async fn people(server: &Server, count: u64) {
    server.person("Ada").await;
    let db = server.app.platform.db.for_migrations();
    let ada = user::Entity::find().one(db).await.expect("read").expect("Ada");
    let rows = (0..count).map(|number| {
        let email = format!("known{number}@example.org");
        user::ActiveModel {
            id: Set(UserId::from_uuid(Uuid::from_u128(u128::from(number) + 1))),
            name: Set("Ada".into()),
            email: Set(email.clone()),
            email_key: Set(email),
            password_hash: Set(ada.password_hash.clone()),
            username: Set(None),
            username_key: Set(None),
            bio: Set(None),
            locale: Set(None),
            time_zone: Set(None),
            email_lead_minutes: Set(60),
            digest_minute: Set(None),
            quiet_from_minute: Set(None),
            quiet_to_minute: Set(None),
            created_at: Set(Utc::now()),
            updated_at: Set(Utc::now()),
        }
    });
    user::Entity::insert_many(rows).exec_without_returning(db).await.expect("inserted");
}
