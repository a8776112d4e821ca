//! People take turns: whoever has thousands of due reminders does not hold up the others.

use chrono::TimeDelta;
use entity::{DeliveryId, JobId, ReminderId, UserId, delivery, job, notification, reminder};
use sea_orm::{ActiveValue::Set, EntityTrait, QueryOrder};
use spacedly::platform::{clock::Instant, error::Fault};
use support::{Person, Server, both, until};

/// Writes reminders down that are due from a moment on, a microsecond apart.
async fn due(server: &Server, person: &Person, count: usize, from: Instant) {
    let platform = server.app.platform.clone();
    let user_id: UserId = person.id.parse().expect("an id");
    let now = platform.clock.now();
    let (mut reminders, mut deliveries, mut jobs) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..count {
        let at = from + TimeDelta::microseconds(n as i64);
        let (id, delivery_id) = (platform.new_uuid(), platform.new_uuid());
        reminders.push(reminder::ActiveModel {
            id: Set(ReminderId::from_uuid(id)),
            user_id: Set(user_id),
            task_id: Set(None),
            message: Set(Some(format!("{n}"))),
            scheduled_at: Set(at),
            kind: Set(reminder::Kind::Push),
            status: Set(reminder::Status::Pending),
            completes_on_delivery: Set(false),
            round: Set(1),
            completed_at: Set(None),
            cancelled_at: Set(None),
            ended_by_task: Set(false),
            version: Set(1),
            created_at: Set(now),
            updated_at: Set(now),
        });
        deliveries.push(delivery::ActiveModel {
            id: Set(DeliveryId::from_uuid(delivery_id)),
            user_id: Set(user_id),
            reminder_id: Set(ReminderId::from_uuid(id)),
            round: Set(1),
            channel: Set(delivery::Channel::InApp),
            state: Set(delivery::State::Pending),
            due_at: Set(at),
            attempts: Set(0),
            next_attempt_at: Set(Some(at)),
            sent_at: Set(None),
            error: Set(None),
            created_at: Set(now),
            updated_at: Set(now),
        });
        jobs.push(job::ActiveModel {
            id: Set(JobId::from_uuid(platform.new_uuid())),
            kind: Set("reminders.in_app".into()),
            subject_id: Set(delivery_id),
            user_id: Set(Some(user_id)),
            state: Set(job::State::Ready),
            available_at: Set(at),
            due_at: Set(at),
            fence: Set(0),
            attempts: Set(0),
            crashes: Set(0),
            last_error: Set(None),
            first_failed_at: Set(None),
            created_at: Set(now),
        });
    }
    let written = platform.db.write::<_, Fault, _, _>(move |tx| async move {
        for part in 0..count.div_ceil(500) {
            let rows = part * 500..count.min((part + 1) * 500);
            reminder::Entity::insert_many(reminders[rows.clone()].to_vec()).exec_without_returning(&*tx).await?;
            delivery::Entity::insert_many(deliveries[rows.clone()].to_vec()).exec_without_returning(&*tx).await?;
            job::Entity::insert_many(jobs[rows].to_vec()).exec_without_returning(&*tx).await?;
        }
        Ok(())
    });
    written.await.expect("written");
}

both! {
    async fn who_has_thousands_due_does_not_hold_up_the_others(server, "JOB_CONCURRENCY" = "1") {
        let (ada, eve, bob) = (server.person("Ada").await, server.person("Eve").await, server.person("Bob").await);
        let at = server.clock.now() + TimeDelta::minutes(5);
        due(server, &ada, 1_000, at).await;
        due(server, &eve, 30, at + TimeDelta::seconds(1)).await;
        due(server, &bob, 30, at + TimeDelta::seconds(1)).await;
        server.advance(TimeDelta::minutes(6));
        until("all", || async { (server.count::<notification::Entity>().await == 1_060).then_some(()) }).await;
        let arrived = notification::Entity::find().order_by_asc(notification::Column::CreatedAt);
        let arrived = arrived.all(server.app.platform.db.read()).await.expect("read");
        let place = |person: &Person, n: usize| {
            let mine = |row: &notification::Model| row.user_id.to_string() == person.id;
            arrived.iter().enumerate().filter(|(_, row)| mine(row)).nth(n).expect("there").0
        };
        // Batches are of fifty, and every second look passes over Ada: without that the two would wait for a thousand.
        for person in [&eve, &bob] {
            assert!(place(person, 0) < 300, "the first is {}th", place(person, 0));
            assert!(place(person, 29) < 500, "the last is {}th", place(person, 29));
        }
        let order: Vec<&str> = arrived.iter().filter(|row| row.user_id.to_string() == eve.id).map(|row| row.message.as_str()).collect();
        let mut sorted: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        assert_eq!(order.len(), 30);
        sorted.sort_by_key(|n| n.parse::<u32>().expect("a number"));
        assert_eq!(order.iter().map(|text| text.split('\n').next().unwrap_or_default()).collect::<Vec<_>>(), sorted, "each person's in order of their due time");
    }
}
