//! The most sessions of a user, across replicas.

use countersign::grpc::proto::v1::InvalidReason;

use super::fleet::{Fleet, login};
use crate::support::client::{Client, Verified};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_session_for_each_user_a_login_on_one_replica_ends_the_session_of_the_other() {
    let test = "with_one_session_for_each_user_a_login_on_one_replica_ends_the_session_of_the_other";
    let settings = [("SESSIONS__MAX_PER_USER", "1"), ("SESSIONS__ON_LIMIT", "evict_oldest")];
    let Some(fleet) = Fleet::start(test, &settings).await else { return };
    let mut clients = fleet.clients();
    let mut held = login(&mut clients[0]).await;
    for turn in 1..=4 {
        let [mut here, there] = [&clients[turn % 2], &clients[(turn + 1) % 2]].map(Client::clone);
        let next = login(&mut here).await;
        let at_once = here.verify(&held.access_token).await.unwrap();
        assert_eq!(at_once, Verified::Invalid(InvalidReason::Revoked), "turn {turn}");
        for mut client in [here, there] {
            let refused = client.refresh(&held.refresh_token).await.unwrap_err();
            assert_eq!(refused.reason, "SESSION_REVOKED", "turn {turn}");
            until_revoked(&mut client, &held.access_token).await;
            let verified = client.verify(&next.access_token).await.unwrap();
            assert!(matches!(verified, Verified::As { .. }), "turn {turn}: {verified:?}");
        }
        held = next;
    }
    clients[0].refresh(&held.refresh_token).await.unwrap();
}

/// At once by push, or else by the next poll.
async fn until_revoked(client: &mut Client, access_token: &str) {
    for _ in 0..300 {
        if client.verify(access_token).await.unwrap() == Verified::Invalid(InvalidReason::Revoked) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the session lives on");
}
