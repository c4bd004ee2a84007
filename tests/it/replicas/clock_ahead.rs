//! A replica whose clock is three seconds ahead of the other's and of the stores'.

use std::time::Duration;

use countersign::grpc::proto::v1::{InvalidReason, Tokens};
use countersign::model::{Clock as _, SystemClock, UnixMillis};

use super::fleet::{Fleet, login};
use super::token_parts::issued_at;
use crate::support::client::{Client, Verified};
use crate::support::tool;

const AHEAD: i64 = 3;
const IDLE: Duration = Duration::from_hours(14 * 24);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_whose_clock_is_ahead_mints_tokens_that_the_other_takes() {
    let test = "a_replica_whose_clock_is_ahead_mints_tokens_that_the_other_takes";
    let Some(preload) = tool::faketime(test) else { return };
    let Some(fleet) = Fleet::start(test, &[]).await else { return };
    let ahead = fleet.deployment.start_with(&[
        ("LD_PRELOAD", preload.to_str().unwrap()),
        ("FAKETIME", &format!("+{AHEAD}s")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ]);
    let [mut ahead, mut right] = [ahead.client(), fleet.replicas[0].client()];

    let clock = SystemClock::new();
    let begun = clock.now();
    let session = login(&mut ahead).await;
    let by_its_clock = issued_at(&session.access_token) - begun.as_secs();
    assert!(by_its_clock >= AHEAD, "the clock is ahead by {by_its_clock} s");
    assert_verified(&mut right, &session).await;
    assert_verified(&mut ahead, &session).await;
    assert_minted_by_the_stores_time(&session, begun, clock.now());

    // Whoever rotates, the other gives the identical successor: by its own clock, 3 s would have gone by.
    for first in [true, false] {
        let presented = login(&mut ahead).await.refresh_token;
        let [one, other] = if first { [&mut ahead, &mut right] } else { [&mut right, &mut ahead] };
        let begun = clock.now();
        let successor = one.refresh(&presented).await.unwrap();
        assert_minted_by_the_stores_time(&successor, begun, clock.now());
        assert_eq!(other.refresh(&presented).await.unwrap().refresh_token, successor.refresh_token);
        assert_eq!(
            other.refresh(&successor.refresh_token).await.unwrap().refresh_token,
            successor.refresh_token
        );
        assert_verified(other, &successor).await;
        one.logout(&successor.refresh_token).await.unwrap();
        assert_eq!(other.refresh(&successor.refresh_token).await.unwrap_err().reason, "SESSION_REVOKED");
        until_revoked(other, &successor.access_token).await;
    }
}

/// The idle life of the refresh token began when it was minted, and that was between these two moments by the clock
/// of the machine that the stores run on.
fn assert_minted_by_the_stores_time(tokens: &Tokens, from: UnixMillis, to: UnixMillis) {
    let expires_at = tokens.refresh_expires_at.unwrap();
    let minted = UnixMillis(expires_at.seconds * 1000 + i64::from(expires_at.nanos) / 1_000_000) - IDLE;
    assert!(from <= minted && minted <= to, "{from:?} <= {minted:?} <= {to:?}");
}

async fn assert_verified(client: &mut Client, tokens: &Tokens) {
    let verified = client.verify(&tokens.access_token).await.unwrap();
    assert!(matches!(verified, Verified::As { .. }), "{verified:?}");
}

async fn until_revoked(client: &mut Client, access_token: &str) {
    for _ in 0..300 {
        if client.verify(access_token).await.unwrap() == Verified::Invalid(InvalidReason::Revoked) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the session lives on");
}
