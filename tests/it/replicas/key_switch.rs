//! Keys that are switched while sessions go on.

use std::time::Duration;

use crate::support::client::{Client, Verified};
use crate::support::replica::Deployment;

use super::fleet::{Fleet, login};
use super::token_parts::{mac_key, signing_key};

const SETTINGS: [(&str, &str); 3] =
    [("KEYS__RELOAD_INTERVAL", "100ms"), ("ROTATION__GRACE", "10s"), ("ROTATION__DEADLINE", "1s")];
/// Longer than a replica takes to look for new keys.
const ACTIVATE_IN: &str = "2s";
const STEP: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_identical_successor_survives_a_new_mac_key() {
    let Some(fleet) = Fleet::start("the_identical_successor_survives_a_new_mac_key", &SETTINGS).await else {
        return;
    };
    let mut clients = fleet.clients();
    let before = login(&mut clients[0]).await.refresh_token;
    let new_key = generate(&fleet.deployment, "refresh");
    assert_ne!(mac_key(&before), new_key);
    let successor = clients[0].refresh(&before).await.unwrap().refresh_token;
    for client in &mut clients {
        until(async || mac_key(&login(client).await.refresh_token) == new_key).await;
    }
    // The retry of a refresh whose answer was lost, on both replicas.
    for client in &mut clients {
        assert_eq!(client.refresh(&before).await.unwrap().refresh_token, successor);
        assert_eq!(client.refresh(&successor).await.unwrap().refresh_token, successor);
    }
    // Once it may move again, the line goes on with the new key, and is the same on both.
    let mut next = String::new();
    until(async || {
        next = clients[1].refresh(&successor).await.unwrap().refresh_token;
        next != successor
    })
    .await;
    assert_eq!(mac_key(&next), new_key);
    assert_eq!(clients[0].refresh(&successor).await.unwrap().refresh_token, next);
    assert_eq!(clients[0].refresh(&next).await.unwrap().refresh_token, next);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_tokens_survive_a_new_signing_key() {
    let Some(fleet) = Fleet::start("access_tokens_survive_a_new_signing_key", &SETTINGS).await else {
        return;
    };
    let mut clients = fleet.clients();
    let before = login(&mut clients[0]).await;
    let new_key = generate(&fleet.deployment, "signing");
    assert_ne!(signing_key(&before.access_token), new_key);
    let refreshed = clients[0].refresh(&before.refresh_token).await.unwrap();
    for here in 0..2 {
        let mut made = String::new();
        until(async || {
            made = clients[here].refresh(&before.refresh_token).await.unwrap().access_token;
            signing_key(&made) == new_key
        })
        .await;
        for client in &mut clients {
            for token in [&made, &before.access_token, &refreshed.access_token] {
                assert_verified(client, token).await;
            }
        }
    }
    let again = clients[1].refresh(&before.refresh_token).await.unwrap();
    assert_eq!(again.refresh_token, refreshed.refresh_token, "the session has not noticed");
}

/// Makes a key; returns its name.
fn generate(deployment: &Deployment, kind: &str) -> String {
    let made = deployment.generate_key(kind, ACTIVATE_IN);
    made.strip_prefix(&format!("made {kind} key ")).unwrap().split(' ').next().unwrap().to_owned()
}

async fn until(mut yes: impl AsyncFnMut() -> bool) {
    for _ in 0..300 {
        if yes().await {
            return;
        }
        tokio::time::sleep(STEP).await;
    }
    panic!("it did not come to hold");
}

async fn assert_verified(client: &mut Client, token: &str) {
    let verified = client.verify(token).await.unwrap();
    assert!(matches!(verified, Verified::As { .. }), "{verified:?}");
}
