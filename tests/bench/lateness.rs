//! How late reminders are: all due within a few seconds, measured from each channel's own moment. Goal: 99 of 100 come
//! within a second.

use chrono::TimeDelta;
use entity::delivery;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use spacedly::platform::error::Fault;
use support::{Database, Server, until};

use crate::{percentile, verdict};

const GOAL_MS: f64 = 1_000.0;

pub async fn run(reminders: u64, seconds: u64) -> bool {
    println!(
        "lateness: {reminders} reminders of 10 people, due within {seconds} s, in the app and by mail at the moment itself"
    );
    let mut met = true;
    for database in [Database::Sqlite, Database::Postgres] {
        let settings = [("LOG", "off"), ("ACCESS_TOKEN_LIFETIME", "1d"), ("REMINDERS_PER_TASK", "100000")];
        let server = Server::start_plain(database, &settings).await;
        let mut people = Vec::new();
        for number in 0..10 {
            let person = server.person(&format!("Person{number}")).await;
            let task = server.task(&person, "Many").await;
            people.push((person, task));
        }
        no_lead(&server).await;
        // Everything is written down before the first falls due.
        let head_start = TimeDelta::seconds(10 + i64::try_from(reminders / 200).unwrap_or(0));
        let begin = server.clock.now() + head_start;
        for number in 0..reminders {
            let (person, task) = &people[(number % 10) as usize];
            let at = begin + TimeDelta::milliseconds((number * seconds * 1_000 / reminders) as i64);
            server.reminder(person, task, at - server.clock.now()).await;
        }
        assert!(server.clock.now() < begin, "the reminders were not written down in time: raise the head start");
        server.clock_sleep_until(begin + TimeDelta::seconds(seconds as i64)).await;
        until("all deliveries", || async { (sent(&server, None).await.len() as u64 == reminders * 2).then_some(()) })
            .await;
        for channel in [delivery::Channel::InApp, delivery::Channel::Email] {
            met &= tell(database, channel, &sent(&server, Some(channel)).await);
        }
        server.finish().await;
    }
    met
}

fn tell(database: Database, channel: delivery::Channel, late: &[f64]) -> bool {
    let p99 = percentile(late, 0.99);
    let met = p99 <= GOAL_MS;
    println!(
        "lateness {database:?} {channel:?}: n={} p50 {:.0} ms, p99 {p99:.0} ms, most {:.0} ms, goal p99 {GOAL_MS} ms: {}",
        late.len(),
        percentile(late, 0.5),
        percentile(late, 1.0),
        verdict(met)
    );
    met
}

async fn no_lead(server: &Server) {
    server
        .app
        .platform
        .db
        .write::<_, Fault, _, _>(|tx| async move {
            entity::user::Entity::update_many()
                .col_expr(entity::user::Column::EmailLeadMinutes, Expr::value(0))
                .exec(&*tx)
                .await?;
            Ok(())
        })
        .await
        .expect("set");
}

/// The latenesses of what was sent, in milliseconds, sorted.
async fn sent(server: &Server, channel: Option<delivery::Channel>) -> Vec<f64> {
    let rows = delivery::Entity::find()
        .filter(delivery::Column::State.eq(delivery::State::Sent))
        .all(server.app.platform.db.read())
        .await
        .expect("rows");
    let wanted = rows.into_iter().filter(|row| channel.is_none_or(|channel| row.channel == channel));
    let mut late: Vec<f64> =
        wanted.filter_map(|row| Some((row.sent_at? - row.due_at).num_microseconds()? as f64 / 1_000.0)).collect();
    late.sort_by(f64::total_cmp);
    late
}
