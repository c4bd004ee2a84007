//! Redis and PostgreSQL frozen for half a minute: what is connected stays connected, and gets no answer.

use std::time::Duration;

use countersign::model::SystemClock;

use super::fleet::{Fleet, meanwhile, pause};
use crate::support::database::Server as _;
use crate::support::postgres::Postgres;
use crate::support::redis::{Server as Redis, is_installed};

const SILENCE: Duration = Duration::from_secs(30);

/// Each of two fleets loses another one of its stores, at the same time, so that it takes half a minute and not a whole
/// one. Once a store is known to be silent nobody waits for it any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_and_postgres_fall_silent_for_half_a_minute() {
    let test = "redis_and_postgres_fall_silent_for_half_a_minute";
    if !is_installed(test) {
        return;
    }
    let Some(postgres) = Postgres::start(test) else { return };
    let Some(other_postgres) = Postgres::shared(test) else { return };
    let (redis, other_redis) = (Redis::start(), Redis::start());
    let without_postgres = Fleet::start(&postgres, &other_redis.url(), &[]).await;
    let without_redis = Fleet::start_beside(other_postgres, &redis.url(), &[]).await;

    let freeze_postgres = async |clock: &SystemClock| {
        meanwhile(clock, async {
            tokio::task::block_in_place(|| postgres.process().freeze());
            pause(SILENCE).await;
            postgres.process().thaw();
        })
        .await
    };
    let freeze_redis = async |clock: &SystemClock| {
        meanwhile(clock, async {
            redis.signal("STOP");
            pause(SILENCE).await;
            redis.signal("CONT");
        })
        .await
    };
    tokio::join!(
        without_postgres.lives_through_silence("PostgreSQL SIGSTOP", freeze_postgres),
        without_redis.lives_through_silence("Redis SIGSTOP", freeze_redis),
    );
}
