//! What a replica knows of a position: by its follower and, where it is older than what that remembers, by the ledger.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign::model::{Position, SystemClock};
use countersign::readiness::Readiness;
use countersign::revocation::Revocations;
use countersign::revocation::follower::Follower;
use countersign::store::sqlite::{SqliteOptions, SqliteStore};
use countersign::store::{Ledger as _, SessionRevocation};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::conformance::OPERATOR;
use crate::support::in_process::{session, user_id};

const HOUR: Duration = Duration::from_hours(1);
/// Far longer than a poll takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A ledger, and a replica that polls it once an hour unless somebody waits.
struct World {
    store: Arc<SqliteStore>,
    revocations: Revocations,
    _follows: DropGuard,
}

impl World {
    /// Over the database in this folder. At first only what was revoked within the `horizon` is loaded.
    async fn open(folder: &Path, horizon: Duration) -> Self {
        let clock = Arc::new(SystemClock::new());
        let options = SqliteOptions::new(folder.join("countersign.db"));
        let store = Arc::new(SqliteStore::open(options, clock.clone()).await.unwrap());
        store.migrate().await.unwrap();
        let revocations = Revocations::new(store.clone(), None, clock, horizon);
        let mut follower = Follower::new(revocations.clone(), Readiness::new(None), HOUR);
        follower.step().await;
        let stop = CancellationToken::new();
        tokio::spawn(follower.run(stop.clone()));
        Self { store, revocations, _follows: stop.drop_guard() }
    }

    /// Revokes a session as another replica does.
    async fn revoke_elsewhere(&self, number: u32) -> Position {
        let revocation = SessionRevocation { session: session(number), user: user_id(), cause: OPERATOR };
        self.store.revoke_sessions(&[revocation]).await.unwrap()[0].position()
    }

    fn knows(&self, number: u32) -> bool {
        self.revocations.view().index.is_session_revoked(session(number))
    }

    async fn reach(&self, position: Position) -> bool {
        self.revocations.reach_within(position, PATIENCE).await
    }
}

#[tokio::test]
async fn who_waits_for_a_position_has_the_ledger_polled() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path(), HOUR).await;
    let first = world.revoke_elsewhere(1).await;
    let second = world.revoke_elsewhere(2).await;
    assert_eq!((first.seq + 1, world.store.head().await.unwrap()), (second.seq, second));
    assert!(world.reach(first).await);
    assert!(world.knows(1) && world.knows(2));
    let third = world.revoke_elsewhere(3).await;
    let all = [first, second, third, first];
    let reached = futures_util::future::join_all(all.map(|position| world.reach(position))).await;
    assert_eq!(reached, [true; 4]);
    assert!(world.knows(3));
}

#[tokio::test]
async fn a_position_that_the_ledger_does_not_have_is_said_so_after_one_poll() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path(), HOUR).await;
    let row = world.revoke_elsewhere(1).await;
    let wrong = |seq, mark| world.reach(Position { seq, mark });
    assert!(!wrong(row.seq + 1, row.mark).await, "ahead of the ledger");
    assert!(!wrong(u64::MAX, 0).await);
    assert!(!wrong(row.seq, row.mark ^ 1).await, "another row has the number");
    assert!(!wrong(0, row.mark).await, "another birth");
    assert!(world.reach(row).await);
}

#[tokio::test]
async fn the_empty_ledger_has_a_position() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path(), HOUR).await;
    let birth = world.store.head().await.unwrap();
    assert_eq!(birth.seq, 0);
    assert!(world.reach(birth).await);
    world.revoke_elsewhere(1).await;
    assert!(world.reach(birth).await, "everything up to there is still known");
}

#[tokio::test]
async fn a_position_that_is_older_than_what_was_loaded_is_looked_up() {
    let folder = tempfile::tempdir().unwrap();
    let old = {
        let world = World::open(folder.path(), HOUR).await;
        [world.revoke_elsewhere(1).await, world.revoke_elsewhere(2).await]
    };
    // Nothing is within this horizon.
    let world = World::open(folder.path(), Duration::ZERO).await;
    assert!(!world.knows(1));
    for _ in 0..2 {
        assert!(world.reach(old[0]).await);
        assert!(!world.reach(Position { mark: old[0].mark ^ 1, ..old[0] }).await);
    }
    assert!(world.reach(old[1]).await);
    world.store.close().await;
    let unknown = world.revocations.reach_within(Position { mark: 0, ..old[0] }, PATIENCE).await;
    assert!(!unknown, "a ledger that cannot be asked is not news");
    assert!(world.reach(old[0]).await, "what was found once is remembered");
}

#[tokio::test]
async fn a_position_that_a_restored_backup_has_lost_is_not_taken_for_the_row_that_has_its_number_now() {
    let (lived, restored) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let world = World::open(lived.path(), HOUR).await;
    let kept = world.revoke_elsewhere(1).await;
    world.store.close().await;
    for file in std::fs::read_dir(lived.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), restored.path().join(file.file_name())).unwrap();
    }
    let world = World::open(lived.path(), HOUR).await;
    let lost = world.revoke_elsewhere(2).await;
    assert!(world.reach(lost).await);

    let world = World::open(restored.path(), HOUR).await;
    assert!(world.reach(kept).await);
    assert!(!world.reach(lost).await, "not there yet");
    let other = world.revoke_elsewhere(3).await;
    assert_eq!(other.seq, lost.seq);
    assert!(world.reach(other).await);
    assert!(!world.reach(lost).await);
}
