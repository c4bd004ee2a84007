//! What a Refresh tells of the end of its session, when Redis has forgotten the session, or the ledger does not say.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use countersign::model::RevocationReason;
use countersign::reason::Reason;
use countersign::store::{Cause, SessionStore as _, StoreError};

use super::interposed::{Interposed, Meanwhile};
use super::parts::{DAY, Replica, World};
use crate::conformance::{MS, OPERATOR, SETTLED, just_before};

/// How the ledger answers what ended a session.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answering {
    Truly,
    WithAnError,
    Never,
}

/// Counts how often the ledger is asked.
struct Asked(Answering, AtomicUsize);

#[async_trait]
impl Meanwhile for Asked {
    async fn before_ending(&self) -> Result<(), StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        match self.0 {
            Answering::Truly => Ok(()),
            Answering::WithAnError => {
                Err(StoreError::Unavailable { store: "postgres", source: "it is down".into() })
            }
            Answering::Never => std::future::pending().await,
        }
    }
}

/// A replica, and how often it has asked what ended a session.
async fn replica(world: &World, answering: Answering) -> (Replica, Arc<Asked>) {
    let asked = Arc::new(Asked(answering, AtomicUsize::new(0)));
    let ledger = Arc::new(Interposed(world.ledger.clone(), asked.clone()));
    (world.replica_on(ledger, world.sessions().await).await, asked)
}

impl World {
    /// Ends every session, as a new password does.
    async fn end_all(&self) {
        let cause = Cause { reason: RevocationReason::PasswordChanged, ..OPERATOR };
        self.users.revoke_all(self.user, cause).await.unwrap().unwrap();
    }
}

/// The user logs in where they have changed the password, at once; that makes Redis forget the sessions of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_redis_has_forgotten_is_told_what_ended_it() {
    let test = "a_session_that_redis_has_forgotten_is_told_what_ended_it";
    let Some(world) = World::new(test).await else { return };
    let replica = world.replica().await;
    let (forgotten, lost) = (replica.login().await, replica.login().await);
    world.clock.advance(MS);
    world.end_all().await;
    assert_eq!(
        replica.refused(&forgotten.refresh).await,
        (Reason::SessionRevoked, Some("PASSWORD_CHANGED")),
        "Redis knows it yet"
    );
    world.clock.advance(MS);
    let next = replica.login().await;
    let sessions = world.sessions().await;
    assert_eq!(sessions.list(world.user).await.unwrap().len(), 1, "Redis has forgotten the others");
    for tokens in [&forgotten, &lost] {
        let refused = replica.refused(&tokens.refresh).await;
        assert_eq!(refused, (Reason::SessionRevoked, Some("PASSWORD_CHANGED")));
    }

    // One that nothing ended is not known, and no more can be said of it.
    let id = sessions.list(world.user).await.unwrap()[0].id;
    sessions.delete(world.user, &[id]).await.unwrap();
    assert_eq!(replica.refused(&next.refresh).await, (Reason::RefreshTokenInvalid, None));
}

/// Redis tells a session that is past its idle life from no other that it has forgotten, and neither does a Refresh.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_past_its_idle_life_is_not_told_of_another_end() {
    let test = "a_session_that_is_past_its_idle_life_is_not_told_of_another_end";
    let Some(world) = World::new(test).await else { return };
    let replica = world.replica().await;
    let idle = replica.login().await;
    world.clock.advance(MS);
    let ended = replica.login().await;
    world.clock.advance(MS);
    world.end_all().await;
    // The first is past its idle life, and the second is not.
    world.clock.advance(just_before(just_before(30 * DAY)));
    let replica = world.replica().await;
    replica.login().await;
    assert_eq!(world.sessions().await.list(world.user).await.unwrap().len(), 1, "Redis has forgotten both");
    assert_eq!(replica.refused(&idle.refresh).await, (Reason::RefreshTokenInvalid, None));
    assert_eq!(replica.refused(&ended.refresh).await, (Reason::SessionRevoked, Some("PASSWORD_CHANGED")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_refresh_that_is_refused_asks_what_ended_its_session() {
    let test = "only_a_refresh_that_is_refused_asks_what_ended_its_session";
    let Some(world) = World::new(test).await else { return };
    let (replica, asked) = replica(&world, Answering::Truly).await;
    let mut tokens = replica.login().await;
    for _ in 0..3 {
        world.clock.advance(SETTLED + MS);
        tokens = replica.refresh(&tokens.refresh).await.unwrap();
        assert_eq!(replica.refresh(&tokens.refresh).await.unwrap().refresh, tokens.refresh);
    }
    assert_eq!(asked.1.load(Ordering::SeqCst), 0);
    world.end_all().await;
    assert_eq!(replica.refused(&tokens.refresh).await, (Reason::SessionRevoked, Some("PASSWORD_CHANGED")));
    assert_eq!(asked.1.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_neither_waits_for_its_cause_nor_fails_without_it() {
    let test = "a_refusal_neither_waits_for_its_cause_nor_fails_without_it";
    let Some(world) = World::new(test).await else { return };
    for answering in [Answering::WithAnError, Answering::Never] {
        let (replica, asked) = replica(&world, answering).await;
        let (ended, logged_out) = (replica.login().await, replica.login().await);
        replica.logout(&logged_out.refresh).await;
        world.clock.advance(MS);
        world.end_all().await;
        for tokens in [&logged_out, &ended] {
            let refused = replica.refused(&tokens.refresh).await;
            assert_eq!(refused, (Reason::SessionRevoked, None), "{answering:?}");
        }
        world.clock.advance(MS);
        replica.login().await;
        assert_eq!(replica.refused(&ended.refresh).await, (Reason::RefreshTokenInvalid, None), "forgotten");
        assert_eq!(asked.1.load(Ordering::SeqCst), 3);
    }
}
