//! One PostgreSQL: silent, its connections ended, restarted, locked, and with no connection left to give.

use std::time::Duration;

use countersign::model::SystemClock;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::fleet::{Fleet, meanwhile, pause};
use crate::support::database::Server as _;
use crate::support::postgres::Postgres;
use crate::support::redis::{Server as Redis, is_installed};

struct Scene {
    fleet: Fleet,
    postgres: Postgres,
    redis: Redis,
}

impl Scene {
    /// A PostgreSQL of the test's own with these settings, and replicas with this configuration.
    async fn set(test: &str, settings: &[&str], configuration: &[(&str, &str)]) -> Option<Self> {
        is_installed(test).then_some(())?;
        let settings = [&["fsync=off"], settings].concat();
        let postgres = Postgres::start_with(test, &settings)?;
        let redis = Redis::start();
        let fleet = Fleet::start(&postgres, &redis.url(), configuration).await;
        Some(Self { fleet, postgres, redis })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_ends_every_connection() {
    let test = "postgres_ends_every_connection";
    let Some(Scene { fleet, postgres, redis: _redis }) = Scene::set(test, &[], &[]).await else { return };
    let hurt = async |clock: &SystemClock| {
        meanwhile(clock, async {
            let mut ended = 0;
            for _ in 0..10 {
                ended += postgres.kick(&fleet.database).await;
                pause(Duration::from_millis(200)).await;
            }
            println!("{ended} connections ended");
            assert!(ended >= 20, "there were connections to end");
        })
        .await
    };
    fleet.lives_through("PostgreSQL pg_terminate_backend, ten times", hurt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_is_restarted() {
    let test = "postgres_is_restarted";
    let Some(Scene { fleet, mut postgres, redis: _redis }) = Scene::set(test, &[], &[]).await else { return };
    let hurt = async |clock: &SystemClock| {
        meanwhile(clock, async {
            tokio::task::block_in_place(|| postgres.process_mut().kill());
            pause(Duration::from_secs(1)).await;
            postgres.process_mut().spawn();
            postgres.ready().await;
        })
        .await
    };
    fleet.lives_through("PostgreSQL SIGKILL and restart", hurt).await;
}

/// Another program holds every connection that the server has to give, those of the replicas included.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_has_no_connection_left() {
    let test = "postgres_has_no_connection_left";
    let Some(Scene { fleet, postgres, redis: _redis }) = Scene::set(test, &["max_connections=50"], &[]).await
    else {
        return;
    };
    let hurt = async |clock: &SystemClock| {
        let mut watcher = postgres.connect("postgres").await;
        let mut taken = Vec::new();
        let fault = meanwhile(clock, async {
            let database = &fleet.database;
            let kick = format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
            );
            for _ in 0..20 {
                sqlx::raw_sql(AssertSqlSafe(kick.clone())).execute(&mut watcher).await.unwrap();
                while let Ok(connection) = PgConnection::connect(&postgres.url("postgres")).await {
                    taken.push(connection);
                }
            }
            pause(Duration::from_secs(2)).await;
            println!("{} of 50 connections were held by another program", taken.len() + 1);
            assert!(taken.len() >= 40);
            taken.clear();
        })
        .await;
        watcher.close().await.unwrap();
        fault
    };
    fleet.lives_through("PostgreSQL without a free connection", hurt).await;
}

/// All at once or none: whoever waits for the second table with the first one locked has a deadlock with the service.
async fn lock_every_table(other: &mut PgConnection) {
    let lock = "BEGIN; LOCK TABLE users, ledger, ledger_head IN ACCESS EXCLUSIVE MODE NOWAIT";
    while let Err(refused) = sqlx::raw_sql(lock).execute(&mut *other).await {
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("55P03"), "{refused}");
        sqlx::raw_sql("ROLLBACK").execute(&mut *other).await.unwrap();
    }
}

/// Every connection of the replicas' own pools waits for a lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_connection_to_postgres_waits_for_a_lock() {
    let test = "every_connection_to_postgres_waits_for_a_lock";
    let few = [("DATABASE__CONNECTIONS", "3")];
    let Some(Scene { fleet, postgres, redis: _redis }) = Scene::set(test, &[], &few).await else { return };
    let hurt = async |clock: &SystemClock| {
        let mut other = postgres.connect(&fleet.database).await;
        let fault = meanwhile(clock, async {
            lock_every_table(&mut other).await;
            pause(Duration::from_secs(3)).await;
            sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
        })
        .await;
        other.close().await.unwrap();
        fault
    };
    fleet.lives_through("PostgreSQL pools of 3, all waiting for a lock", hurt).await;
}
