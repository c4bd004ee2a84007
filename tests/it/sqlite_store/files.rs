//! The files under a store that is open: deleted, replaced, or on a disk that is full.

use std::fs::File as OsFile;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use countersign::model::{Epoch, UnixMillis, new_user_id};
use countersign::store::sqlite::SqliteStore;
use countersign::store::{Ledger as _, Probe as _, SessionStore, StoreError, UserStore};

use super::{File, clock, revoking};
use crate::conformance::{OPERATOR, POLICY, new_session, new_user};
use crate::support::process::Dev;
use crate::support::replica::readyz;

/// Neither reads nor writes are answered, and the probe says what has happened and what to do.
async fn assert_refused(store: &SqliteStore, parts: &[&str]) {
    let written = store.revoke_sessions(&[revoking()]).await;
    assert!(matches!(written, Err(StoreError::Unavailable { .. })), "{written:?}");
    let begun = SessionStore::create(store, new_session(new_user_id(), Epoch(0)), &POLICY).await;
    assert!(matches!(begun, Err(StoreError::Unavailable { .. })), "{begun:?}");
    let read = store.snapshot(UnixMillis(0)).await;
    assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
    let said = store.check().await.unwrap_err().to_string();
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
}

async fn open_with_a_user() -> (File, SqliteStore) {
    let file = File::new();
    let store = file.open(clock()).await;
    UserStore::create(&store, new_user("ada")).await.unwrap();
    store.check().await.unwrap();
    (file, store)
}

#[tokio::test]
async fn nothing_is_written_into_a_database_that_was_deleted() {
    for (suffix, name) in
        [("", "countersign.db "), ("-wal", "countersign.db-wal "), ("-shm", "countersign.db-shm ")]
    {
        let (file, store) = open_with_a_user().await;
        std::fs::remove_file(file.beside(suffix)).unwrap();
        assert_refused(&store, &[name, "was deleted or moved", "restart"]).await;
        assert!(!file.beside(suffix).exists(), "it is not made again");
    }
}

#[tokio::test]
async fn nothing_is_written_into_a_database_that_was_replaced() {
    for suffix in ["", "-wal"] {
        let (file, store) = open_with_a_user().await;
        let other = file.beside(".other");
        std::fs::copy(file.beside(suffix), &other).unwrap();
        std::fs::rename(&other, file.beside(suffix)).unwrap();
        assert_refused(&store, &["was replaced", "restart"]).await;
    }
}

#[tokio::test]
async fn a_database_that_is_put_back_is_used_again() {
    let (file, store) = open_with_a_user().await;
    let user = UserStore::list(&store, None, 1).await.unwrap()[0].id;
    std::fs::rename(file.path(), file.beside(".away")).unwrap();
    assert_refused(&store, &["was deleted or moved"]).await;
    std::fs::rename(file.beside(".away"), file.path()).unwrap();
    store.check().await.unwrap();
    store.revoke_all(user, OPERATOR).await.unwrap().unwrap();
    assert_eq!(store.snapshot(UnixMillis(0)).await.unwrap().rows.len(), 1, "what was refused left nothing");
}

#[tokio::test]
async fn an_open_database_may_be_used_by_other_programs() {
    use sqlx::Connection as _;
    let (file, store) = open_with_a_user().await;
    for statement in ["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA optimize", "REINDEX"] {
        let mut other = file.connect().await;
        sqlx::raw_sql(statement).execute(&mut other).await.unwrap();
        other.close().await.unwrap();
        store.check().await.unwrap();
        store.revoke_sessions(&[revoking()]).await.unwrap();
    }
}

/// A file system of so many KiB, which goes away with it.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None, and SKIPPED, where neither this process nor sudo may mount one.
    fn mount(test: &str, kib: u32) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let options = format!("size={kib}k,mode=777");
        let arguments = ["mount", "-t", "tmpfs", "-o", &options, "none", directory.path().to_str().unwrap()];
        if as_root(&arguments) {
            return Some(Self(directory));
        }
        assert!(std::env::var("CI").as_deref() != Ok("true"), "a tmpfs cannot be mounted");
        println!("SKIPPED {test}: a tmpfs cannot be mounted (it takes root)");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no room.
    fn fill(&self) -> std::path::PathBuf {
        let path = self.path().join("filler");
        let mut filler = OsFile::create(&path).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        as_root(&["umount", "-l", self.path().to_str().unwrap()]);
    }
}

fn as_root(arguments: &[&str]) -> bool {
    let run = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    run(Command::new(arguments[0]).args(&arguments[1..]))
        || run(Command::new("sudo").arg("-n").args(arguments))
}

#[tokio::test]
async fn a_full_disk_is_said_by_the_probe_until_there_is_room_again() {
    let Some(disk) = SmallDisk::mount("a_full_disk_is_said_by_the_probe", 2048) else { return };
    let options = countersign::store::sqlite::SqliteOptions::new(disk.path().join("countersign.db"));
    let store = SqliteStore::open(options, clock()).await.unwrap();
    store.migrate().await.unwrap();
    store.check().await.unwrap();
    let filler = disk.fill();
    // What the log was given before it may still be used.
    let mut refused = false;
    for _ in 0..1000 {
        refused |= SessionStore::create(&store, new_session(new_user_id(), Epoch(0)), &POLICY).await.is_err();
        if refused {
            break;
        }
    }
    assert!(refused, "the disk is full");
    for _ in 0..3 {
        let said = store.check().await.unwrap_err().to_string();
        assert!(said.contains("full"), "{said}");
    }
    store.snapshot(UnixMillis(0)).await.expect("reading goes on");
    std::fs::remove_file(filler).unwrap();
    store.check().await.unwrap();
    SessionStore::create(&store, new_session(new_user_id(), Epoch(0)), &POLICY).await.unwrap();
}

#[tokio::test]
async fn a_running_service_says_that_its_database_was_deleted() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let mut client = crate::support::client::Client::connect(dev.grpc);
    let password = dev.password().unwrap();
    client.login("admin", &password).await.unwrap();
    std::fs::remove_file(data.path().join("countersign.db")).unwrap();
    assert_eq!(client.login("admin", &password).await.unwrap_err().reason, "STORE_UNAVAILABLE");
    for _ in 0..600 {
        let report = readyz(dev.operations).unwrap().1["stores"]["sqlite"].to_string();
        if report.contains("was deleted or moved") && report.contains("restart") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("/readyz does not say it: {:?}", readyz(dev.operations));
}
