//! The trials of sessions in full: on SQLite, on PostgreSQL, and on two instances with PostgreSQL and Redis.

use std::time::Duration;

use support::{
    Database, Server, Two,
    sessions::{parallel_refreshes, races, replays},
};

/// How many of each.
#[derive(Clone, Copy)]
pub struct Counts {
    pub rounds: usize,
    pub replays: usize,
    pub races: usize,
}

/// Runs all; panics when one is not stood.
pub async fn run(counts: Counts) {
    for database in [Database::Sqlite, Database::Postgres] {
        println!("sessions on {database:?}:");
        let server = Server::start_plain(database, &[]).await;
        parallel_refreshes(&[&server], counts.rounds).await;
        server.finish().await;
        for grandparent in [false, true] {
            let server = Server::start_plain(database, &[]).await;
            assert!(replays(&[&server], counts.replays, grandparent).await < Duration::from_secs(1));
            server.finish().await;
        }
        let server = Server::start_plain(database, &[]).await;
        races(&[&server], counts.races).await;
        server.finish().await;
    }
    println!("sessions on two instances, PostgreSQL and Redis:");
    let two = Two::on_shared_redis(&[]).await;
    parallel_refreshes(&two.servers(), counts.rounds).await;
    two.finish().await;
    for grandparent in [false, true] {
        let two = Two::on_shared_redis(&[]).await;
        assert!(replays(&two.servers(), counts.replays, grandparent).await < Duration::from_secs(1));
        two.finish().await;
    }
    let two = Two::on_shared_redis(&[]).await;
    races(&two.servers(), counts.races).await;
    two.finish().await;
}
