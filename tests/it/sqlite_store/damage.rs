//! Rows and files that no version of the program wrote: an error each, never a panic, and nothing of the data shown.

use std::path::Path;

use countersign::model::{Epoch, UnixMillis, new_user_id};
use countersign::store::{Ledger as _, Probe as _, SessionStore, StoreError, UserStore};
use sqlx::{AssertSqlSafe, Connection as _};

use super::{File, clock, revoking};
use crate::conformance::{OPERATOR, POLICY, hash, new_session, new_user, presentation, session_id, username};

/// Damages the file as no version of the program would, past the schema's own checks.
async fn damage(file: &File, statement: &str) {
    let mut other = file.connect().await;
    sqlx::query("PRAGMA ignore_check_constraints = ON").execute(&mut other).await.unwrap();
    let done = sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut other).await.unwrap();
    assert!(done.rows_affected() > 0, "{statement}");
    other.close().await.unwrap();
}

fn is_corrupt<T: std::fmt::Debug>(answer: Result<T, StoreError>, damage: &str) {
    match answer {
        Err(StoreError::Corrupt { what, .. }) => assert!(!what.contains("MARKER"), "{what} shows the data"),
        other => panic!("{damage}: {other:?}"),
    }
}

#[tokio::test]
async fn a_damaged_user_is_an_error_and_no_panic() {
    let file = File::new();
    let store = file.open(clock()).await;
    let user = UserStore::create(&store, new_user("ada")).await.unwrap();
    for column in [
        "roles = 'MARKER'",
        "roles = '{}'",
        "roles = '[1]'",
        "roles = '[\"MARKER role\"]'",
        "claims = 'MARKER'",
        "claims = '[]'",
        "claims = '{\"sub\":\"MARKER\"}'",
        "epoch = -1",
        "username = CAST(x'FF4D41524B4552' AS TEXT)",
    ] {
        damage(&file, &format!("UPDATE users SET {column}")).await;
        is_corrupt(UserStore::find(&store, user.id).await, column);
        is_corrupt(UserStore::list(&store, None, 10).await, column);
        is_corrupt(store.standing(user.id, session_id()).await, column);
        if !column.starts_with("username") {
            is_corrupt(store.credential(&username("ada")).await, column);
        }
        let mend = "UPDATE users SET roles = '[]', claims = '{}', epoch = 0, username = 'ada'";
        damage(&file, mend).await;
        assert!(UserStore::find(&store, user.id).await.unwrap().is_some(), "it is mended");
    }
    damage(&file, "UPDATE users SET epoch = 9223372036854775807").await;
    assert!(store.revoke_all(user.id, OPERATOR).await.is_err(), "an epoch has nowhere to go");
    assert!(store.set_password(user.id, &hash("new"), None, OPERATOR).await.is_err());
    assert_eq!(store.snapshot(UnixMillis(0)).await.unwrap().cursor.seq, 0, "and nothing is half done");
}

#[tokio::test]
async fn a_damaged_session_is_an_error_and_no_panic() {
    let file = File::new();
    let store = file.open(clock()).await;
    let new = new_session(new_user_id(), Epoch(0));
    SessionStore::create(&store, new.clone(), &POLICY).await.unwrap();
    let session = SessionStore::find(&store, new.user, new.id).await.unwrap().unwrap();
    for column in [
        "generation = -1",
        "generation = 4294967296",
        "predecessor = 4294967296",
        "epoch = -1",
        "mac_key = x'4D41524B4552'",
        "mac_key = x''",
        "client = CAST(x'FF4D41524B4552' AS TEXT)",
        "client = 'MARKER'",
        "client = '{\"name\":\"MARKER\"}'",
    ] {
        damage(&file, &format!("UPDATE sessions SET {column}")).await;
        is_corrupt(SessionStore::find(&store, new.user, new.id).await, column);
        is_corrupt(SessionStore::list(&store, new.user).await, column);
        is_corrupt(store.rotate(presentation(&session, session.current()), &POLICY).await, column);
        let mend = "UPDATE sessions SET generation = 0, predecessor = NULL, epoch = 0,
                    mac_key = x'00000000', client = '{\"address\":\"\",\"user_agent\":\"\",\"name\":\"\"}'";
        damage(&file, mend).await;
        assert!(SessionStore::find(&store, new.user, new.id).await.unwrap().is_some(), "it is mended");
    }
}

#[tokio::test]
async fn a_damaged_ledger_is_an_error_and_no_panic() {
    let file = File::new();
    let store = file.open(clock()).await;
    let birth = store.snapshot(UnixMillis(0)).await.unwrap().cursor;
    store.revoke_sessions(&[revoking()]).await.unwrap();
    for column in [
        "scope = 'MARKER'",
        "scope = 'user'",
        "scope = 'session', session_id = NULL",
        "scope = 'session', session_id = x'4D41524B4552'",
        "scope = 'user', epoch = -1",
        "scope = 'user_changed', user_id = x''",
        "scope = 'user_changed', reason = 'MARKER'",
    ] {
        damage(&file, &format!("UPDATE ledger SET {column}")).await;
        is_corrupt(store.snapshot(UnixMillis(0)).await, column);
        is_corrupt(store.poll(birth, 10).await, column);
        damage(
            &file,
            "UPDATE ledger SET scope = 'user_changed', user_id = zeroblob(16), reason = 'operator'",
        )
        .await;
        store.poll(birth, 10).await.unwrap();
    }
    damage(&file, "DELETE FROM ledger_head").await;
    is_corrupt(store.snapshot(UnixMillis(0)).await, "no head");
    is_corrupt(store.poll(birth, 10).await, "no head");
    is_corrupt(store.revoke_sessions(&[revoking()]).await, "no head");
    is_corrupt(store.check().await, "no head");
}

#[tokio::test]
async fn a_file_damaged_under_an_open_store_is_an_error_and_no_panic() {
    let file = File::new();
    file.open(clock()).await.close().await;
    let store = file.open(clock()).await;
    overwrite(&file.path());
    let answer = SessionStore::list(&store, new_user_id()).await;
    assert!(answer.is_err(), "{answer:?}");
}

/// Fills everything behind the first page with nonsense.
fn overwrite(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[4096..].fill(0x5A);
    std::fs::write(path, bytes).unwrap();
}
