//! What happens between two steps of one call.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign::auth::Verification;
use countersign::model::{ManualClock, SessionLimit, UserId};
use countersign::reason::Reason;
use countersign::store::UserStore;
use countersign_verifier::InvalidReason;
use tokio::sync::Semaphore;

use super::interposed::{Interposed, Meanwhile};
use super::parts::World;
use crate::conformance::{DEADLINE, MS, OPERATOR, SETTLED, just_before};

/// All sessions of a user are ended.
struct EndAll(Arc<dyn UserStore>, UserId);

#[async_trait]
impl Meanwhile for EndAll {
    async fn before_session(&self) {
        self.0.revoke_all(self.1, OPERATOR).await.unwrap().unwrap();
    }
}

/// Everybody is logged out after the password was found right and before the session begins: it is over from the
/// start, for it bears the epoch that was read with the password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_does_not_outlive_the_revocation_that_overtook_its_login() {
    let test = "a_session_does_not_outlive_the_revocation_that_overtook_its_login";
    let Some(world) = World::new(test).await else { return };
    let end_all = Arc::new(EndAll(world.users.clone(), world.user));
    let sessions = Arc::new(Interposed(world.sessions().await, end_all));
    let tokens = world.replica_on(world.ledger.clone(), sessions).await.login().await;

    let replica = world.replica().await;
    assert_eq!(replica.verify(&tokens.access), Verification::Invalid(InvalidReason::Revoked));
    assert_eq!(replica.refresh(&tokens.refresh).await, Err(Reason::SessionRevoked));
    let next = replica.login().await;
    replica.refresh(&next.refresh).await.unwrap();
}

/// The process stands still for ever when it is about to write to the ledger.
struct Killed(Semaphore);

#[async_trait]
impl Meanwhile for Killed {
    async fn before_revocation(&self) {
        self.0.add_permits(1);
        std::future::pending::<()>().await;
    }
}

/// The store found the reuse, and the process that asked it is gone before the ledger has a row: whoever presents an
/// old token next finds the same reuse, and this time the session dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reuse_that_was_found_by_a_process_that_died_is_found_again() {
    let test = "a_reuse_that_was_found_by_a_process_that_died_is_found_again";
    let Some(world) = World::new(test).await else { return };
    let replica = world.replica().await;
    let stolen = replica.login().await;
    let second = replica.refresh(&stolen.refresh).await.unwrap();
    world.clock.advance(SETTLED + MS);
    let third = replica.refresh(&second.refresh).await.unwrap();

    let killed = Arc::new(Killed(Semaphore::new(0)));
    let ledger = Arc::new(Interposed(world.ledger.clone(), killed.clone()));
    let dying = world.replica_on(ledger, world.sessions().await).await;
    tokio::select! {
        answer = dying.refresh(&stolen.refresh) => panic!("it was answered: {answer:?}"),
        reached = killed.0.acquire() => drop(reached.unwrap()),
    }
    drop(dying);

    // Nobody was told of a reuse, and nothing has happened.
    assert!(matches!(replica.verify(&third.access), Verification::Verified(_)));
    assert_eq!(replica.refresh(&third.refresh).await.unwrap().refresh, third.refresh);
    assert_eq!(replica.refresh(&stolen.refresh).await, Err(Reason::RefreshTokenReused));
    for replica in [replica, world.replica().await] {
        assert_eq!(replica.verify(&third.access), Verification::Invalid(InvalidReason::Revoked));
        assert_eq!(replica.refresh(&third.refresh).await, Err(Reason::SessionRevoked));
        assert_eq!(replica.refresh(&stolen.refresh).await, Err(Reason::SessionRevoked));
    }
}

/// The login began its session, and the process is gone before it has ended the one that must make room: that one
/// lives, with all its tokens, until a login is heard of; then it is dead, with all its tokens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_died_before_it_made_room_has_ended_nothing() {
    let test = "a_login_that_died_before_it_made_room_has_ended_nothing";
    let Some(mut world) = World::new(test).await else { return };
    world.limit = SessionLimit::EvictOldest(NonZeroU32::MIN);
    let replica = world.replica().await;
    let held = replica.login().await;
    world.clock.advance(SETTLED + MS);

    let killed = Arc::new(Killed(Semaphore::new(0)));
    let ledger = Arc::new(Interposed(world.ledger.clone(), killed.clone()));
    let dying = world.replica_on(ledger, world.sessions().await).await;
    tokio::select! {
        _ = dying.login() => panic!("it was answered"),
        reached = killed.0.acquire() => drop(reached.unwrap()),
    }
    drop(dying);

    assert!(matches!(replica.verify(&held.access), Verification::Verified(_)));
    let held = replica.refresh(&held.refresh).await.unwrap();
    let next = replica.login().await;
    for replica in [replica, world.replica().await] {
        assert_eq!(replica.verify(&held.access), Verification::Invalid(InvalidReason::Revoked));
        assert_eq!(replica.refresh(&held.refresh).await, Err(Reason::SessionRevoked));
        replica.refresh(&next.refresh).await.unwrap();
    }
}

/// The database takes its time.
struct Slow(Arc<ManualClock>, Duration);

#[async_trait]
impl Meanwhile for Slow {
    async fn after_standing(&self) {
        self.0.advance(self.1);
    }
}

/// The rules of rotation rest on it that no Refresh is decided later than its deadline: by then its client has been
/// told to ask again, and may be several tokens further, so that its own first request would look like theft.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_that_is_held_up_beyond_its_deadline_decides_nothing() {
    let test = "a_refresh_that_is_held_up_beyond_its_deadline_decides_nothing";
    let Some(world) = World::new(test).await else { return };
    let first = world.replica().await.login().await;
    let slow = async |by| {
        let ledger = Arc::new(Interposed(world.ledger.clone(), Arc::new(Slow(world.clock.clone(), by))));
        world.replica_on(ledger, world.sessions().await).await
    };
    let late = slow(DEADLINE).await.refresh(&first.refresh).await;
    assert_eq!(late, Err(Reason::DeadlineExceeded));

    let second = slow(just_before(DEADLINE)).await.refresh(&first.refresh).await.unwrap();
    world.clock.advance(SETTLED + MS);
    let third = slow(Duration::ZERO).await.refresh(&second.refresh).await.unwrap();
    assert_ne!(third.refresh, second.refresh);
    // Held up for so long that the line has moved on twice meanwhile: no news about the token.
    let late = slow(SETTLED).await.refresh(&first.refresh).await;
    assert_eq!(late, Err(Reason::DeadlineExceeded));
    let replica = world.replica().await;
    assert!(matches!(replica.verify(&third.access), Verification::Verified(_)));
    replica.refresh(&third.refresh).await.unwrap();
}
