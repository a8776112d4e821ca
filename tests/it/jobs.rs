//! The job engine: leases, fences, retries, poison, and a clean stop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use entity::job as row;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use spacedly::platform::{
    Platform,
    error::Fault,
    jobs::{self, Engine, Failure, Held, NewJob},
};
use support::{Server, both, until};
use tokio_util::sync::CancellationToken;

const KIND: &str = "tests.job";

async fn enqueue(server: &Server, due_in: TimeDelta) -> uuid::Uuid {
    let platform = server.app.platform.clone();
    let subject_id = platform.new_uuid();
    let due_at = platform.clock.now() + due_in;
    let parts = platform.clone();
    platform
        .db
        .write::<_, Fault, _, _>(move |tx| async move {
            let job = NewJob { kind: KIND, subject_id, user_id: None, due_at };
            Ok(jobs::enqueue(&parts, &tx, &[job]).await?)
        })
        .await
        .expect("enqueued");
    subject_id
}

async fn rows(server: &Server) -> Vec<row::Model> {
    row::Entity::find().filter(row::Column::Kind.eq(KIND)).all(server.app.platform.db.read()).await.expect("rows")
}

async fn finish(platform: &Platform, job: Held) -> usize {
    let done = platform.db.write::<_, Fault, _, _>(move |tx| async move { Ok(jobs::finish(&tx, &[job]).await?) });
    done.await.expect("finished").len()
}

/// An engine with one kind, running until the token is cancelled.
fn engine<F, Fut>(server: &Server, handler: F) -> (CancellationToken, tokio::task::JoinHandle<()>)
where
    F: Fn(Platform, Held) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let stop = CancellationToken::new();
    let mut engine = Engine::new(server.app.platform.clone());
    engine.singles(KIND, handler);
    (stop.clone(), tokio::spawn(engine.run(stop)))
}

both! {
    async fn a_job_runs_at_its_moment_and_once(server) {
        let ran = Arc::new(AtomicUsize::new(0));
        let counter = ran.clone();
        let (stop, running) = engine(server, move |platform, job| { let ran = counter.clone(); async move {
            ran.fetch_add(1, Ordering::SeqCst);
            finish(&platform, job).await;
            Ok(())
        } });
        for _ in 0..50 { enqueue(server, TimeDelta::minutes(10)).await; }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(ran.load(Ordering::SeqCst), 0, "not before its moment");
        server.advance(TimeDelta::minutes(10));
        until("the jobs to be done", || async { rows(server).await.is_empty().then_some(()) }).await;
        assert_eq!(ran.load(Ordering::SeqCst), 50);
        stop.cancel();
        running.await.expect("stops");
    }

    async fn a_worker_that_stalls_loses_its_job_and_its_fence(server, "JOB_LEASE" = "30s") {
        // Two claims of the same row: the first holder is taken for dead when its lease ends.
        let (seen, held) = tokio::sync::mpsc::unbounded_channel::<Held>();
        let mut held = held;
        let never = seen.clone();
        let (stop, running) = engine(server, move |_, job| { let seen = never.clone(); async move {
            seen.send(job).expect("heard");
            std::future::pending::<()>().await;
            Ok(())
        } });
        enqueue(server, TimeDelta::zero()).await;
        let first = held.recv().await.expect("claimed");
        // Its process is gone: no heartbeat.
        running.abort();
        let _ = running.await;
        stop.cancel();
        server.advance(TimeDelta::seconds(31));
        let (stop, running) = engine(server, move |_, job| { let seen = seen.clone(); async move {
            seen.send(job).expect("heard");
            std::future::pending::<()>().await;
            Ok(())
        } });
        let second = held.recv().await.expect("claimed again");
        assert_eq!((second.id, second.crashes, second.fence), (first.id, 1, first.fence + 1));
        assert_eq!(finish(&server.app.platform, first).await, 0, "the fence of the first is void");
        assert_eq!(finish(&server.app.platform, second).await, 1);
        stop.cancel();
        running.abort();
    }

    async fn a_refused_job_is_tried_again_later_and_given_up_in_the_end(server, "JOB_ATTEMPTS" = "3", "JOB_RETRY_FIRST" = "1m") {
        server.expect_dead_jobs();
        let (stop, running) = engine(server, |_, _| async { Err(Failure::Refused("not now".into(), None)) });
        enqueue(server, TimeDelta::zero()).await;
        for attempts in 1..=2 {
            let job = until("a failed try", || async { rows(server).await.into_iter().find(|job| job.attempts == attempts && job.state == row::State::Ready) }).await;
            let wait = (job.available_at - server.clock.now()).num_seconds();
            let expected = 60 * i64::from(attempts);
            assert!((expected * 85 / 100..=expected * 112 / 100).contains(&wait), "{attempts}: {wait} s");
            assert_eq!(job.last_error.as_deref(), Some("not now"));
            server.advance(TimeDelta::minutes(3));
        }
        let dead = until("it to be put aside", || async { rows(server).await.into_iter().find(|job| job.state == row::State::Dead) }).await;
        assert_eq!(dead.last_error.as_deref(), Some("not now"), "dead rows stay visible");
        stop.cancel();
        running.await.expect("stops");
    }

    async fn an_unreachable_server_costs_no_attempt(server) {
        let (stop, running) = engine(server, |_, _| async { Err(Failure::Unreachable("gone".into())) });
        enqueue(server, TimeDelta::zero()).await;
        for _ in 0..15 {
            until("a failed try", || async { rows(server).await.into_iter().find(|job| job.state == row::State::Ready && job.last_error.is_some() && job.available_at > server.clock.now()) }).await;
            // It waits as long as it has waited: a minute, then twice as long each time, an hour at most.
            server.advance(TimeDelta::minutes(70));
        }
        assert!(rows(server).await.iter().all(|job| job.attempts == 0 && job.state != row::State::Dead));
        stop.cancel();
        running.await.expect("stops");
    }

    async fn a_defect_of_ours_is_tried_later_and_later_and_is_given_up_after_a_week(server) {
        server.expect_dead_jobs();
        let (stop, running) = engine(server, |_, _| async { Err(Fault::Internal("a defect".into()).into()) });
        enqueue(server, TimeDelta::zero()).await;
        let tried = || async { rows(server).await.into_iter().find(|job| job.state == row::State::Ready && job.last_error.is_some() && job.available_at > server.clock.now()) };
        let first = until("a failed try", tried).await;
        assert!((first.available_at - server.clock.now()).num_seconds() > 45, "not at once again: whatever it does would be done each second");
        server.advance(TimeDelta::minutes(70));
        let second = until("the next one", tried).await;
        assert!((second.available_at - server.clock.now()).num_seconds() > 45 * 60);
        assert_eq!(second.attempts, 0, "nobody answered");
        server.advance(TimeDelta::days(8));
        let dead = until("it to be put aside", || async { rows(server).await.into_iter().find(|job| job.state == row::State::Dead) }).await;
        assert_eq!(dead.last_error.as_deref(), Some("Something went wrong on our side."));
        stop.cancel();
        running.await.expect("stops");
    }

    /// A ledger that says PENDING while the job is put aside would promise what nobody does.
    async fn a_job_is_not_put_aside_before_its_room_has_written_it_down(server) {
        server.expect_dead_jobs();
        let told = Arc::new(AtomicUsize::new(0));
        let stop = CancellationToken::new();
        let mut engine = Engine::new(server.app.platform.clone());
        engine.singles(KIND, |_, _| async { Err(Failure::Permanent("never".into())) });
        let counter = told.clone();
        engine.when_failed(move |_, _, failed| {
            let first = counter.fetch_add(1, Ordering::SeqCst) == 0;
            assert!(failed.next_attempt_at.is_none());
            Box::pin(async move { if first { Err(Fault::Internal("the ledger is broken".into())) } else { Ok(()) } })
        });
        let running = tokio::spawn(engine.run(stop.clone()));
        enqueue(server, TimeDelta::zero()).await;
        until("the first try", || async { (told.load(Ordering::SeqCst) == 1).then_some(()) }).await;
        assert!(rows(server).await.iter().all(|job| job.state == row::State::Running), "it is held until its lease ends");
        until("it to be put aside", || async {
            server.advance(TimeDelta::seconds(31));
            tokio::time::sleep(Duration::from_millis(50)).await;
            rows(server).await.into_iter().find(|job| job.state == row::State::Dead)
        }).await;
        assert_eq!(told.load(Ordering::SeqCst), 2);
        stop.cancel();
        running.await.expect("stops");
    }

    async fn a_job_that_kills_its_workers_is_put_aside(server, "JOB_CRASHES" = "3") {
        server.expect_dead_jobs();
        let (stop, running) = engine(server, |_, _| async { panic!("poison") });
        enqueue(server, TimeDelta::zero()).await;
        until("it to be put aside", || async {
            server.advance(TimeDelta::seconds(31));
            tokio::time::sleep(Duration::from_millis(50)).await;
            rows(server).await.into_iter().find(|job| job.state == row::State::Dead)
        }).await;
        stop.cancel();
        running.await.expect("stops");
    }

    async fn a_worker_that_stops_hands_back_what_it_holds(server, "SHUTDOWN_TIMEOUT" = "100ms") {
        let started = Arc::new(AtomicUsize::new(0));
        let counter = started.clone();
        let (stop, running) = engine(server, move |_, _| { counter.fetch_add(1, Ordering::SeqCst); async {
            std::future::pending::<()>().await;
            Ok(())
        } });
        enqueue(server, TimeDelta::zero()).await;
        until("it to be held", || async { (started.load(Ordering::SeqCst) == 1).then_some(()) }).await;
        stop.cancel();
        running.await.expect("stops");
        let left = rows(server).await;
        assert!(left.iter().all(|job| job.state == row::State::Ready && job.available_at <= server.clock.now()), "{left:?}");
    }

    async fn many_workers_share_without_doing_anything_twice(server) {
        let ran = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..4).map(|_| { let counter = ran.clone(); engine(server, move |platform, job| { let ran = counter.clone(); async move {
            ran.fetch_add(finish(&platform, job).await, Ordering::SeqCst);
            Ok(())
        } }) }).collect();
        for _ in 0..100 { enqueue(server, TimeDelta::zero()).await; }
        until("the jobs to be done", || async { rows(server).await.is_empty().then_some(()) }).await;
        // A job is gone a moment before whoever did it has counted it.
        until("all to be counted", || async { (ran.load(Ordering::SeqCst) >= 100).then_some(()) }).await;
        for (stop, running) in workers {
            stop.cancel();
            running.await.expect("stops");
        }
        assert_eq!(ran.load(Ordering::SeqCst), 100, "none twice");
    }
}
