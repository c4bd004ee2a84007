//! kill −9 in the middle of an import, and the same file again.

use std::process::{Command, Stdio};

use serde_json::json;
use sqlx::postgres::PgConnection;

use super::{BCRYPT, CHEAP};
use crate::support::database::Server as _;
use crate::support::postgres::Postgres;

/// How many rows: several transactions.
pub(super) const ROWS: usize = 6_000;

/// A command on a database, with this on its standard input.
pub(super) fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .args(arguments)
        .env_clear()
        .envs(CHEAP)
        .env("COUNTERSIGN__DATABASE__URL", url)
        .env("COUNTERSIGN__KEYS__DIRECTORY", "keys-that-are-not-there")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
pub(super) fn run(url: &str, arguments: &[&str]) -> (i32, String) {
    let output = command(url, arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

/// Whether every row was created or found. How many are which is not certain: where the answer of the database was late,
/// the same batch is stored again, and finds what it has created.
fn all_are_there(said: &str) -> bool {
    let numbers: Vec<usize> =
        said.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    matches!(numbers[..], [rows, created, unchanged, 0] if rows == ROWS && created + unchanged == ROWS)
}

async fn count(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(connection).await.unwrap()
}

/// Every user with everything that is stored of them but the times.
async fn users(connection: &mut PgConnection) -> Vec<(Vec<u8>, String, String, Option<String>)> {
    let all = "SELECT id, username, password_hash, external_id FROM users ORDER BY username";
    sqlx::query_as(all).fetch_all(connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_was_killed_is_given_again_and_creates_nobody_twice() {
    const TEST: &str = "an_import_that_was_killed_is_given_again_and_creates_nobody_twice";
    const KILLS: i64 = 8;
    let Some(server) = Postgres::shared(TEST) else { return };
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: String = (0..ROWS)
        .map(|n| {
            json!({"username": format!("user{n:05}"), "password_hash": BCRYPT, "external_id": n}).to_string()
                + "\n"
        })
        .collect();
    std::fs::write(file.path(), lines).unwrap();
    let path = file.path().to_str().unwrap();
    let mut databases = Vec::new();
    for _ in 0..2 {
        let url = server.url(&server.create_database().await);
        assert_eq!(run(&url, &["migrate"]).0, 0);
        databases.push(url);
    }
    let (whole, killed) = (&databases[0], &databases[1]);
    let (code, said) = run(whole, &["user", "import", path]);
    assert_eq!((code, all_are_there(&said)), (0, true), "{said}");

    let mut connection = <PgConnection as sqlx::Connection>::connect(killed).await.unwrap();
    let mut seen = Vec::new();
    for kill in 0..KILLS {
        let before = count(&mut connection).await;
        let mut child = command(killed, &["user", "import", path]).spawn().unwrap();
        // Some are killed before they have stored anything, others soon after they have.
        let enough = if kill % 3 == 0 { before } else { before + 1 };
        while count(&mut connection).await < enough && child.try_wait().unwrap().is_none() {}
        child.kill().unwrap();
        child.wait().unwrap();
        seen.push(count(&mut connection).await);
    }
    assert!(
        seen.iter().any(|&there| there > 0 && there < i64::try_from(ROWS).unwrap()),
        "no kill was in the middle: {seen:?}"
    );
    let there = count(&mut connection).await;
    let (code, said) = run(killed, &["user", "import", path]);
    assert_eq!(
        (code, all_are_there(&said)),
        (0, true),
        "after kills at {seen:?}, with {there} stored: {said}"
    );
    let mut other = <PgConnection as sqlx::Connection>::connect(whole).await.unwrap();
    assert_eq!(users(&mut connection).await, users(&mut other).await);
    println!("{KILLS} kills with {seen:?} of {ROWS} users stored: the same users, none twice");
}
