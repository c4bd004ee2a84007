//! One Redis: silent, killed, emptied, set back, demoted, full.

use std::time::Duration;

use countersign::model::{Clock as _, Monotonic, SystemClock};
use tokio::task::block_in_place;

use super::fleet::{Fleet, meanwhile, pause};
use super::history::Fault;
use crate::support::database::Server as _;
use crate::support::postgres::Postgres;
use crate::support::redis::{Server, is_installed, until};

/// Its log is on disk before anybody is answered.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];
/// How long a store is away that could be back at once.
const AWAY: Duration = Duration::from_secs(1);

async fn scene(test: &str, settings: &[&str]) -> Option<(Fleet, Server)> {
    is_installed(test).then_some(())?;
    let postgres = Postgres::shared(test)?;
    let redis = Server::start_with(settings);
    let fleet = Fleet::start(postgres, &redis.url(), &[]).await;
    Some((fleet, redis))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_is_killed_and_reads_its_log_again() {
    let Some((fleet, mut redis)) = scene("redis_is_killed_and_reads_its_log_again", &DURABLE).await else {
        return;
    };
    let hurt = async |clock: &SystemClock| {
        meanwhile(clock, async {
            block_in_place(|| redis.kill());
            pause(AWAY).await;
            block_in_place(|| redis.restart());
        })
        .await
    };
    fleet.lives_through("Redis SIGKILL, restart on its AOF", hurt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_is_emptied() {
    let Some((fleet, redis)) = scene("redis_is_emptied", &[]).await else { return };
    let hurt = async |clock: &SystemClock| {
        let flushed = meanwhile(clock, async { drop(block_in_place(|| redis.cli(&["FLUSHALL"]))) }).await;
        Fault { lost: Some((Monotonic::default(), flushed.returned)), ..flushed }
    };
    fleet.lives_through("Redis FLUSHALL", hurt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_comes_back_empty() {
    let Some((fleet, mut redis)) = scene("redis_comes_back_empty", &[]).await else { return };
    let hurt = async |clock: &SystemClock| {
        let restarted = meanwhile(clock, async {
            block_in_place(|| redis.kill());
            pause(AWAY).await;
            block_in_place(|| redis.restart());
        })
        .await;
        Fault { lost: Some((Monotonic::default(), restarted.returned)), ..restarted }
    };
    fleet.lives_through("Redis SIGKILL, restart empty", hurt).await;
}

/// Sessions that it never heard of need a login; all others go on, and those that were logged out stay so.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_comes_back_as_it_was_before() {
    let test = "redis_comes_back_as_it_was_before";
    let Some((fleet, mut redis)) = scene(test, &DURABLE).await else { return };
    let hurt = async |clock: &SystemClock| {
        let copied = clock.monotonic();
        let copy = block_in_place(|| redis.copy());
        pause(3 * AWAY).await;
        let restarted = meanwhile(clock, async {
            block_in_place(|| redis.kill());
            pause(AWAY).await;
            block_in_place(|| {
                redis.fall_back_to(&copy);
                redis.restart();
            });
        })
        .await;
        Fault { lost: Some((copied, restarted.returned)), ..restarted }
    };
    fleet.lives_through("Redis restarted from a snapshot 3 s old", hurt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_becomes_a_replica() {
    let Some((fleet, redis)) = scene("redis_becomes_a_replica", &[]).await else { return };
    let hurt = async |clock: &SystemClock| {
        meanwhile(clock, async {
            // Of a master that does not answer: it keeps what it has.
            block_in_place(|| redis.cli(&["REPLICAOF", "127.0.0.1", "1"]));
            pause(2 * AWAY).await;
            block_in_place(|| redis.cli(&["REPLICAOF", "NO", "ONE"]));
        })
        .await
    };
    fleet.lives_through("Redis REPLICAOF", hurt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_is_full() {
    let Some((fleet, redis)) = scene("redis_is_full", &[]).await else { return };
    let hurt = async |clock: &SystemClock| {
        meanwhile(clock, async {
            block_in_place(|| redis.cli(&["CONFIG", "SET", "maxmemory", "1"]));
            pause(2 * AWAY).await;
            block_in_place(|| redis.cli(&["CONFIG", "SET", "maxmemory", "0"]));
        })
        .await
    };
    fleet.lives_through("Redis maxmemory 1", hurt).await;
    until("it answers", || redis.cli(&["PING"]) == "PONG");
}
