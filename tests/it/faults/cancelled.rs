//! Callers that go away in the middle, by the thousand.

use std::time::Duration;

use countersign::grpc::proto::v1::Tokens;
use countersign::model::{Clock as _, SystemClock};
use sqlx::Row as _;
use tokio::task::JoinSet;

use super::fleet::{Fleet, USERS, pause};
use crate::support::client::{Client, Refused, Verified};
use crate::support::database::Server as _;
use crate::support::http::Http;
use crate::support::postgres::Postgres;
use crate::support::redis::{Server, is_installed};
use crate::support::replica::{PASSWORD, Replica};

const CALLS: usize = 2000;
/// How many of them are under way at once.
const AT_ONCE: usize = 50;
/// Of the pool of each replica.
const CONNECTIONS: usize = 4;

/// Most callers reset their stream, and some their whole connection. Every connection to the stores is there
/// afterwards, and the sessions go on with the tokens that their clients hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_thousand_callers_go_away_and_the_pools_are_whole() {
    let test = "two_thousand_callers_go_away_and_the_pools_are_whole";
    if !is_installed(test) {
        return;
    }
    let Some(postgres) = Postgres::shared(test) else { return };
    let redis = Server::start();
    let few = [("DATABASE__CONNECTIONS", "4"), ("ROTATION__GRACE", "2s"), ("ROTATION__DEADLINE", "2s")];
    let fleet = Fleet::start(postgres, &redis.url(), &few).await;
    let mut sessions = Vec::new();
    for caller in 0..AT_ONCE {
        let mut client = fleet.replicas[caller % 2].client();
        let tokens = client.login(USERS[caller % USERS.len()], PASSWORD).await.unwrap();
        sessions.push((client, tokens));
    }

    let mut callers = JoinSet::new();
    for (caller, (client, tokens)) in sessions.iter().enumerate() {
        let (address, client, tokens) = (fleet.replicas[caller % 2].grpc, client.clone(), tokens.clone());
        callers.spawn(async move {
            let mut cut_off = 0;
            for turn in 0..CALLS / AT_ONCE {
                // One connection in ten is gone with its call.
                let client = if turn % 10 == 9 { Client::connect(address) } else { client.clone() };
                cut_off += usize::from(goes_away(client, &tokens, caller + AT_ONCE * turn).await);
            }
            cut_off
        });
    }
    let cut_off: usize = callers.join_all().await.into_iter().sum();
    println!("{cut_off} of {CALLS} callers went away before they were answered");
    assert!(cut_off > CALLS / 2, "{cut_off}");
    // What they began ends by itself.
    come_to_rest(&fleet).await;
    every_place_is_free(&fleet, sessions, postgres).await;
    come_to_rest(&fleet).await;
}

/// Asks for something and does not wait for the answer; says whether it would have had to.
async fn goes_away(mut client: Client, tokens: &Tokens, number: usize) -> bool {
    let patience = Duration::from_micros(u64::try_from(number * 7919 % 40_000).unwrap());
    let call = async {
        match number % 5 {
            0 => drop(client.login(USERS[0], PASSWORD).await),
            1 => drop(client.verify(&tokens.access_token).await),
            2 => {
                if let Ok(other) = client.login(USERS[1], PASSWORD).await {
                    drop(client.logout(&other.refresh_token).await);
                }
            }
            _ => drop(client.refresh(&tokens.refresh_token).await),
        }
    };
    tokio::time::timeout(patience, call).await.is_err()
}

/// Waits until no connection to a store is in use and nobody waits for one: a place that was lost would be taken for ever.
async fn come_to_rest(fleet: &Fleet) {
    for replica in &fleet.replicas {
        let rest = async {
            while let Some(busy) = busy(replica).await.first() {
                println!("{busy}");
                pause(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), rest).await.expect("a replica comes to rest");
    }
}

/// The pools in which something goes on.
async fn busy(replica: &Replica) -> Vec<String> {
    let answer = Http(replica.operations).get("/metrics", &[]).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let gauges = ["countersign_store_in_flight{", "countersign_store_waiting{"];
    let pools: Vec<_> =
        text.lines().filter(|line| gauges.iter().any(|gauge| line.starts_with(gauge))).collect();
    assert!(!pools.is_empty(), "{text}");
    pools.into_iter().filter(|line| !line.ends_with(" 0")).map(str::to_owned).collect()
}

/// As many calls at once as there were callers, several times, and each is answered as it should be.
async fn every_place_is_free(fleet: &Fleet, sessions: Vec<(Client, Tokens)>, postgres: &Postgres) {
    let clock = SystemClock::new();
    let mut callers = JoinSet::new();
    for (mut client, tokens) in sessions {
        callers.spawn(async move {
            let mut held = tokens.refresh_token;
            for _ in 0..4 {
                let next = patiently(|| refresh(client.clone(), held.clone())).await?;
                assert!(matches!(client.verify(&next.access_token).await?, Verified::As { .. }));
                held = next.refresh_token;
            }
            patiently(|| logout(client.clone(), held.clone())).await
        });
    }
    let refused: Vec<Refused> = callers.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(refused.is_empty(), "{} refused: {:?}", refused.len(), refused.first());
    println!("{} calls at full pools took {:?}", AT_ONCE * 9, clock.monotonic().0);

    let count = sqlx::query("SELECT count(*) FROM pg_stat_activity WHERE datname = $1")
        .bind(&fleet.database)
        .fetch_one(&mut postgres.connect("postgres").await)
        .await
        .unwrap();
    let open = usize::try_from(count.get::<i64, _>(0)).unwrap();
    println!("{open} connections to PostgreSQL are open");
    assert!(open <= 2 * CONNECTIONS, "{open}");
    assert!(fleet.replicas.iter().all(Replica::is_ready));
}

async fn refresh(mut client: Client, held: String) -> Result<Tokens, Refused> {
    client.refresh(&held).await
}

async fn logout(mut client: Client, held: String) -> Result<(), Refused> {
    client.logout(&held).await
}

/// A client that is told to wait does: its predecessor's answer may be under way, and fifty at once may be more than four
/// connections of a busy machine serve in time.
async fn patiently<T, A: Future<Output = Result<T, Refused>>>(ask: impl Fn() -> A) -> Result<T, Refused> {
    for _ in 0..5 {
        match ask().await {
            Err(Refused { retry_after: Some(wait), .. }) => pause(wait).await,
            answer => return answer,
        }
    }
    ask().await
}
