//! A wall clock that is set while the service runs, or is wrong when it starts: what was revoked stays revoked, and an
//! honest client stays logged in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign::grpc::proto::v1::{InvalidReason, Tokens};

use crate::support::client::{Client, Verified};
use crate::support::database::Server as _;
use crate::support::postgres::Postgres;
use crate::support::replica::{Deployment, PASSWORD, Replica};
use crate::support::tool;

/// Longer than any step of these tests takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The clock of one process: a file that libfaketime reads at each question.
struct Wall {
    library: PathBuf,
    file: tempfile::NamedTempFile,
}

impl Wall {
    /// Ahead by so many seconds; none where faketime is not installed.
    fn ahead(test: &str, seconds: i64) -> Option<Self> {
        let library = tool::faketime(test)?;
        let wall = Self { library, file: tempfile::NamedTempFile::new().unwrap() };
        wall.set(seconds);
        Some(wall)
    }

    /// Steps to so many seconds ahead of the right time.
    fn set(&self, seconds: i64) {
        // In place of the file, all at once: a half-written one would be a third time.
        let next = tempfile::NamedTempFile::new_in(self.file.path().parent().unwrap()).unwrap();
        std::fs::write(next.path(), format!("{seconds:+}s\n")).unwrap();
        next.persist(self.file.path()).unwrap();
    }

    fn start(&self, deployment: &Deployment) -> Replica {
        deployment.start_with(&[
            ("LD_PRELOAD", self.library.to_str().unwrap()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.path().to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ])
    }
}

/// What ends sessions: a logout, and an operator who disables a user or sets a password.
async fn revoke_all(deployment: &Deployment, client: &mut Client) -> Vec<Tokens> {
    let mut ended = Vec::new();
    for username in ["ada", "bob", "eve"] {
        deployment.create_user(username);
        ended.push(client.login(username, PASSWORD).await.unwrap());
    }
    client.logout(&ended[0].refresh_token).await.unwrap();
    deployment.run(&["user", "disable", "bob"], "");
    deployment.run(&["user", "set-password", "eve", "--password-stdin"], "another horse battery\n");
    for tokens in &ended {
        until_revoked(client, tokens).await;
    }
    ended
}

async fn until_revoked(client: &mut Client, tokens: &Tokens) {
    let refused = async {
        while client.verify(&tokens.access_token).await != Ok(Verified::Invalid(InvalidReason::Revoked)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("the token is refused");
}

/// Asks of every token until each was answered as revoked or expired so many times: never is one verified.
async fn never_verified(client: &mut Client, ended: &[Tokens], answers: usize) {
    let asked = async {
        for tokens in ended {
            let mut answered = 0;
            while answered < answers {
                match client.verify(&tokens.access_token).await {
                    Ok(Verified::Invalid(InvalidReason::Revoked | InvalidReason::Expired)) => answered += 1,
                    Ok(other) => panic!("{other:?}"),
                    // It knows that it does not know.
                    Err(refused) => {
                        assert_eq!(refused.reason, "REVOCATIONS_STALE");
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("it knows again");
}

async fn verified(client: &mut Client, tokens: &Tokens) {
    let answered = async {
        loop {
            match client.verify(&tokens.access_token).await {
                Ok(Verified::As { .. }) => return,
                Ok(other) => panic!("{other:?}"),
                Err(refused) => assert_eq!(refused.reason, "REVOCATIONS_STALE"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("it knows again");
}

async fn refreshed(client: &mut Client, tokens: &Tokens) -> Tokens {
    let answered = async {
        loop {
            match client.refresh(&tokens.refresh_token).await {
                Ok(tokens) => return tokens,
                Err(refused) => assert_eq!(refused.reason, "REVOCATIONS_STALE"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("it knows again")
}

/// Steps to so many seconds ahead, and returns when the step was noticed and the ledger polled twice: what is forgotten
/// at a poll is forgotten.
async fn step_for_two_polls(wall: &Wall, seconds: i64, replica: &Replica) {
    let noticed = || replica.log().matches("the wall clock has stepped").count();
    let before = noticed();
    wall.set(seconds);
    let stepped = async {
        while noticed() == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, stepped).await.expect("the step is noticed and said");
    tokio::time::sleep(Duration::from_millis(300)).await;
}

fn configured(deployment: Deployment) -> Deployment {
    deployment.with("REVOCATION__POLL_INTERVAL", "100ms").with("TOKENS__ACCESS_TTL", "5m")
}

async fn the_clock_steps(test: &str, deployment: Deployment) {
    let deployment = configured(deployment);
    deployment.prepare();
    let Some(wall) = Wall::ahead(test, 0) else { return };
    let replica = wall.start(&deployment);
    let mut client = replica.client();
    let ended = revoke_all(&deployment, &mut client).await;
    deployment.create_user("honest");
    let honest = client.login("honest", PASSWORD).await.unwrap();

    for away in [420, -600, 400 * 86_400, -400 * 86_400] {
        step_for_two_polls(&wall, away, &replica).await;
        wall.set(0);
        never_verified(&mut client, &ended, 20).await;
        verified(&mut client, &honest).await;
    }
    let honest = refreshed(&mut client, &honest).await;
    verified(&mut client, &honest).await;
    never_verified(&mut client, &ended, 1).await;
}

async fn the_clock_is_wrong_at_the_start(test: &str, deployment: Deployment) {
    let deployment = configured(deployment);
    deployment.prepare();
    let Some(right) = Wall::ahead(test, 0) else { return };
    let replica = right.start(&deployment);
    let mut client = replica.client();
    let ended = revoke_all(&deployment, &mut client).await;
    deployment.create_user("honest");
    let honest = client.login("honest", PASSWORD).await.unwrap();
    drop(replica);

    for away in [600, -600, 400 * 86_400, -400 * 86_400] {
        let wall = Wall::ahead(test, away).unwrap();
        let replica = wall.start(&deployment);
        let mut client = replica.client();
        wall.set(0);
        never_verified(&mut client, &ended, 20).await;
        verified(&mut client, &honest).await;
    }
}

/// The clock is wrong for one Refresh, whichever way; what an honest client was given then is good when it is right.
async fn an_honest_client_refreshes_meanwhile(test: &str, deployment: Deployment) {
    let deployment = configured(deployment);
    deployment.prepare();
    deployment.create_user("honest");
    let Some(wall) = Wall::ahead(test, 0) else { return };
    let replica = wall.start(&deployment);
    let mut client = replica.client();
    for away in [-400 * 86_400, -600, 600, 400 * 86_400] {
        let login = client.login("honest", PASSWORD).await.unwrap();
        step_for_two_polls(&wall, away, &replica).await;
        // Where the machine's clock is the only one there is, it may have to wait; it is never told to log in again.
        let answered = refreshed_or_asked_to_wait(&mut client, &login).await;
        wall.set(0);
        let tokens = refreshed(&mut client, &answered.unwrap_or(login)).await;
        verified(&mut client, &tokens).await;
    }
}

/// The answer of a replica that knows again which revocations there are: tokens, or that the client should ask again.
async fn refreshed_or_asked_to_wait(client: &mut Client, tokens: &Tokens) -> Option<Tokens> {
    let answered = async {
        loop {
            match client.refresh(&tokens.refresh_token).await {
                Ok(tokens) => return Some(tokens),
                Err(refused) if refused.reason == "REVOCATIONS_STALE" => {}
                Err(refused) => {
                    assert_eq!(refused.reason, "STORE_UNAVAILABLE");
                    return None;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("it knows again")
}

/// One replica's clock is wrong and stays so; the database's is right.
async fn the_clock_stays_wrong(test: &str, deployment: Deployment) {
    let deployment = configured(deployment);
    deployment.prepare();
    let away = 600;
    let Some(wall) = Wall::ahead(test, away) else { return };
    let replica = wall.start(&deployment);
    let mut client = replica.client();
    let ended = revoke_all(&deployment, &mut client).await;
    // What is forgotten at a poll is forgotten by now.
    tokio::time::sleep(Duration::from_millis(500)).await;
    never_verified(&mut client, &ended, 20).await;

    let again = wall.start(&deployment);
    never_verified(&mut again.client(), &ended, 20).await;
}

fn on_sqlite(directory: &Path) -> Deployment {
    Deployment::on(&format!("sqlite://{}", directory.join("countersign.db").display()), None)
}

async fn on_postgres(test: &str) -> Option<Deployment> {
    let postgres = Postgres::shared(test)?;
    let database = postgres.create_database().await;
    Some(Deployment::on(&postgres.url(&database), None))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_stays_revoked_when_the_clock_steps_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let test = "what_is_revoked_stays_revoked_when_the_clock_steps_on_sqlite";
    the_clock_steps(test, on_sqlite(directory.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_stays_revoked_when_the_clock_steps_on_postgres() {
    let test = "what_is_revoked_stays_revoked_when_the_clock_steps_on_postgres";
    let Some(deployment) = on_postgres(test).await else { return };
    the_clock_steps(test, deployment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_stays_revoked_when_the_clock_was_wrong_at_the_start_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let test = "what_is_revoked_stays_revoked_when_the_clock_was_wrong_at_the_start_on_sqlite";
    the_clock_is_wrong_at_the_start(test, on_sqlite(directory.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_stays_revoked_when_the_clock_was_wrong_at_the_start_on_postgres() {
    let test = "what_is_revoked_stays_revoked_when_the_clock_was_wrong_at_the_start_on_postgres";
    let Some(deployment) = on_postgres(test).await else { return };
    the_clock_is_wrong_at_the_start(test, deployment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_client_stays_logged_in_when_the_clock_is_wrong_for_one_refresh_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let test = "an_honest_client_stays_logged_in_when_the_clock_is_wrong_for_one_refresh_on_sqlite";
    an_honest_client_refreshes_meanwhile(test, on_sqlite(directory.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_client_stays_logged_in_when_the_clock_is_wrong_for_one_refresh_on_postgres() {
    let test = "an_honest_client_stays_logged_in_when_the_clock_is_wrong_for_one_refresh_on_postgres";
    let Some(deployment) = on_postgres(test).await else { return };
    an_honest_client_refreshes_meanwhile(test, deployment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_whose_clock_stays_ahead_of_the_databases_forgets_no_revocation() {
    let test = "a_replica_whose_clock_stays_ahead_of_the_databases_forgets_no_revocation";
    let Some(deployment) = on_postgres(test).await else { return };
    the_clock_stays_wrong(test, deployment).await;
}
