//! Revocations from one replica to another.

use std::time::Duration;

use countersign::model::{Epoch, Revocation, RevocationReason, RevocationScope, UnixMillis, new_user_id};
use countersign::store::Push as _;
use countersign::store::redis::{RedisOptions, RedisStore, TimeSource};
use tokio::sync::mpsc::Receiver;

use super::options;
use crate::conformance::session_id;
use crate::support::redis::{Cluster, Server, is_installed};

fn row(seq: u64) -> Revocation {
    let user = new_user_id();
    let scope = match seq % 3 {
        0 => RevocationScope::User { user, epoch: Epoch(seq) },
        1 => RevocationScope::Session { session: session_id(), user },
        _ => RevocationScope::UserChanged { user },
    };
    let reason = RevocationReason::Logout;
    Revocation { seq, mark: !seq, scope, reason, at: UnixMillis(1), until: UnixMillis(2) }
}

/// Publishes a row again and again until the receiver hears one: that it listens is not known before.
async fn hears(from: &RedisStore, to: &mut Receiver<Revocation>) {
    for seq in 0..1000 {
        let _ = from.publish(&[row(seq)]).await;
        if tokio::time::timeout(Duration::from_millis(20), to.recv()).await.is_ok() {
            while tokio::time::timeout(Duration::from_millis(200), to.recv()).await.is_ok() {}
            return;
        }
    }
    panic!("nothing is heard");
}

async fn rows_arrive_in_milliseconds(options: &RedisOptions) {
    let (here, there) =
        (RedisStore::open(options, TimeSource::Server), RedisStore::open(options, TimeSource::Server));
    let mut heard = there.subscribe();
    hears(&here, &mut heard).await;
    let rows: Vec<_> = (0..1000).map(row).collect();
    here.publish(&rows).await.unwrap();
    for row in &rows {
        assert_eq!(heard.recv().await.as_ref(), Some(row));
    }
    let mut waits = Vec::new();
    for seq in 0..200 {
        let row = row(seq);
        #[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
        let began = std::time::Instant::now();
        here.publish(&[row]).await.unwrap();
        assert_eq!(heard.recv().await, Some(row));
        waits.push(began.elapsed());
    }
    waits.sort();
    println!("publish to receive: p50 {:?}, p99 {:?}", waits[100], waits[198]);
}

#[tokio::test]
async fn rows_are_told_to_the_other_replicas() {
    if is_installed("rows_are_told_to_the_other_replicas") {
        let server = Server::start();
        rows_arrive_in_milliseconds(&options(&server.url())).await;
    }
}

#[tokio::test]
async fn a_cluster_tells_them_in_the_channels_slot_alone() {
    if is_installed("a_cluster_tells_them_in_the_channels_slot_alone") {
        let cluster = Cluster::start();
        rows_arrive_in_milliseconds(&options(&cluster.url())).await;
        let told: Vec<u64> = cluster.nodes.iter().map(|node| node.calls("spublish")).collect();
        assert_eq!(told.iter().filter(|calls| **calls > 0).count(), 1, "{told:?}");
        assert!(cluster.nodes.iter().all(|node| node.calls("publish") == 0));
    }
}

#[tokio::test]
async fn listening_goes_on_after_an_outage() {
    if !is_installed("listening_goes_on_after_an_outage") {
        return;
    }
    let mut server = Server::start();
    let options = RedisOptions { deadline: Duration::from_millis(150), ..options(&server.url()) };
    let store = RedisStore::open(&options, TimeSource::Server);
    let mut heard = store.subscribe();
    hears(&store, &mut heard).await;
    server.kill();
    assert!(store.publish(&[row(1)]).await.is_err());
    server.restart();
    hears(&store, &mut heard).await;
    server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    hears(&store, &mut heard).await;
}

#[tokio::test]
async fn listening_ends_with_the_receiver() {
    if !is_installed("listening_ends_with_the_receiver") {
        return;
    }
    let server = Server::start();
    let store = RedisStore::open(&options(&server.url()), TimeSource::Server);
    let mut heard = store.subscribe();
    hears(&store, &mut heard).await;
    assert_ne!(server.cli(&["PUBSUB", "CHANNELS"]), "");
    drop(heard);
    while !server.cli(&["PUBSUB", "CHANNELS"]).is_empty() {
        tokio::task::yield_now().await;
    }
}
