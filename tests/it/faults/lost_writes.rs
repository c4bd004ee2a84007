//! Redis falls back to what it held earlier; the ledger in PostgreSQL does not.

use countersign::auth::Verification;
use countersign::reason::Reason;
use countersign_verifier::InvalidReason;
use tempfile::TempDir;

use super::parts::{DAY, Replica, Tokens, World};
use crate::conformance::{MS, SETTLED};

impl World {
    /// Redis is restarted on an earlier copy of its files; the answer is a replica that starts after that.
    async fn fall_back_to(&mut self, copy: &TempDir) -> Replica {
        self.redis.kill();
        self.redis.fall_back_to(copy);
        self.redis.restart();
        self.replica().await
    }

    /// Refreshes when the line has settled.
    async fn later(&self, replica: &Replica, tokens: &Tokens) -> Tokens {
        self.clock.advance(SETTLED + MS);
        let next = replica.refresh(&tokens.refresh).await.unwrap();
        assert_ne!(next.refresh, tokens.refresh);
        next
    }
}

/// The view in memory has long forgotten the logout, and Redis never heard of it: the ledger remembers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_of_twenty_days_ago_holds_against_an_older_snapshot() {
    let test = "a_logout_of_twenty_days_ago_holds_against_an_older_snapshot";
    let Some(mut world) = World::new(test).await else { return };
    let replica = world.replica().await;
    let (ended, honest) = (replica.login().await, replica.login().await);
    let (ended, honest) = (world.later(&replica, &ended).await, world.later(&replica, &honest).await);
    let copy = world.redis.copy();
    replica.logout(&ended.refresh).await;
    assert_eq!(replica.verify(&ended.access), Verification::Invalid(InvalidReason::Revoked));
    world.clock.advance(20 * DAY);
    world.ledger.purge(countersign::model::Clock::now(world.clock.as_ref()), 1000).await.unwrap();

    let replica = world.fall_back_to(&copy).await;
    assert_eq!(replica.refresh(&ended.refresh).await, Err(Reason::SessionRevoked));
    assert_eq!(replica.refresh(&ended.refresh).await, Err(Reason::SessionRevoked));
    let honest = replica.refresh(&honest.refresh).await.unwrap();
    assert!(matches!(replica.verify(&honest.access), Verification::Verified(_)));
    // The copy did hold the session: nothing else turned its token away.
    let known = countersign::store::SessionStore::list(&*world.sessions().await, world.user).await.unwrap();
    assert_eq!(known.len(), 2);
}

/// The owner comes first: the line follows the owner's token, and the thief's is too old.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rollback_a_thief_that_comes_second_ends_the_session() {
    let test = "after_a_rollback_a_thief_that_comes_second_ends_the_session";
    let Some(mut world) = World::new(test).await else { return };
    let (stolen, held, copy) = a_theft_before_two_lost_rotations(&world).await;
    let replica = world.fall_back_to(&copy).await;

    let held = replica.refresh(&held.refresh).await.expect("the owner goes on");
    assert_eq!(replica.refresh(&stolen.refresh).await, Err(Reason::RefreshTokenReused));
    both_are_out(&world, &[&held, &stolen]).await;
}

/// The thief comes first: the store believes what it is shown, until the owner shows that the line had gone on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rollback_a_thief_that_comes_first_is_thrown_out_by_the_owner() {
    let test = "after_a_rollback_a_thief_that_comes_first_is_thrown_out_by_the_owner";
    let Some(mut world) = World::new(test).await else { return };
    let (stolen, held, copy) = a_theft_before_two_lost_rotations(&world).await;
    let replica = world.fall_back_to(&copy).await;

    world.clock.advance(SETTLED + MS);
    let taken = replica.refresh(&stolen.refresh).await.expect("nobody can know yet");
    assert_ne!(taken.refresh, stolen.refresh);
    assert_eq!(replica.refresh(&held.refresh).await, Err(Reason::RefreshTokenReused));
    both_are_out(&world, &[&held, &stolen, &taken]).await;
}

/// A token was copied while it was current, Redis was backed up, and the owner refreshed twice: what the thief holds,
/// what the owner holds, and the backup.
async fn a_theft_before_two_lost_rotations(world: &World) -> (Tokens, Tokens, TempDir) {
    let replica = world.replica().await;
    let login = replica.login().await;
    let stolen = world.later(&replica, &login).await;
    let copy = world.redis.copy();
    let held = world.later(&replica, &stolen).await;
    let held = world.later(&replica, &held).await;
    (stolen, held, copy)
}

async fn both_are_out(world: &World, all: &[&Tokens]) {
    let replica = world.replica().await;
    for tokens in all {
        assert_eq!(replica.refresh(&tokens.refresh).await, Err(Reason::SessionRevoked));
        assert!(matches!(replica.verify(&tokens.access), Verification::Invalid(_)));
    }
}
