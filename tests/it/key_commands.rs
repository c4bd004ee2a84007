//! `countersign key …` on keys in the database, and the way there from a directory.

use std::process::Output;

use countersign::grpc::proto::v1::VerifyAccessTokenRequest;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::grpc::proto::v1::verify_access_token_response::Result as Answer;
use countersign::token::KeyEncryption;
use tempfile::TempDir;

use crate::support::cli::{run_with_input, service_key};
use crate::support::client::Verified;
use crate::support::replica::{Deployment, PASSWORD};

fn read(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn database() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/countersign.db", directory.path().display());
    (directory, url)
}

/// Sessions and access tokens of before outlive the move, a rotation of the key-encryption key, and a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_move_into_the_database_and_no_session_ends() {
    let (_files, url) = database();
    let deployment = Deployment::on(&url, None);
    deployment.prepare();
    deployment.create_user("ada");
    let replica = deployment.start();
    let before = replica.client().login("ada", PASSWORD).await.unwrap();
    assert_eq!(replica.terminate(), Some(0));

    let key = KeyEncryption::generate();
    let deployment = deployment.with("KEYS__STORE", "database").with("KEYS__ENCRYPTION_KEY", &key);
    let moved = deployment.run(&["key", "move"], "");
    assert!(moved.contains("the 2 keys of the directory"), "{moved}");
    assert_eq!(deployment.run(&["key", "move"], ""), moved, "again");
    let replica = deployment.start();
    assert!(matches!(replica.client().verify(&before.access_token).await, Ok(Verified::As { .. })));
    let after = replica.client().refresh(&before.refresh_token).await.unwrap();
    assert_eq!(replica.terminate(), Some(0));

    let next = KeyEncryption::generate();
    let deployment =
        deployment.with("KEYS__ENCRYPTION_KEY", &next).with("KEYS__PREVIOUS_ENCRYPTION_KEY", &key);
    let rewrapped = deployment.run(&["key", "rewrap"], "");
    assert!(rewrapped.starts_with("encrypted 2 keys anew"), "{rewrapped}");
    assert!(deployment.run(&["key", "rewrap"], "").starts_with("encrypted 0 keys anew"));
    let deployment = deployment.with("KEYS__PREVIOUS_ENCRYPTION_KEY", "");
    let replica = deployment.start();
    assert!(matches!(replica.client().verify(&after.access_token).await, Ok(Verified::As { .. })));
    replica.client().refresh(&after.refresh_token).await.unwrap();
    let reset = deployment.run(&["user", "reset-link", "ada"], "");
    replica.client().reset_password(reset.lines().last().unwrap(), "another long password").await.unwrap();
    assert!(!replica.log().contains(next.as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_rotated_and_withdrawn_from_the_command_line() {
    let (_files, url) = database();
    let key = KeyEncryption::generate();
    let deployment = Deployment::on(&url, None)
        .with("KEYS__STORE", "database")
        .with("KEYS__ENCRYPTION_KEY", &key)
        .with("REVOCATION__POLL_INTERVAL", "100ms");
    deployment.run(&["migrate"], "");
    deployment.create_user("ada");
    let replica = deployment.start();
    let before = replica.client().login("ada", PASSWORD).await.unwrap();
    let listed = deployment.run(&["key", "list"], "");
    let first = listed.lines().find(|line| line.starts_with("signing")).unwrap();
    let first = first.split_whitespace().nth(4).unwrap();

    let failed = deployment.command(&["key", "withdraw", first]).output().unwrap();
    let (code, why) = read(&failed);
    assert!(code == Some(1) && why.contains("rotate first"), "{code:?} {why}");
    let made = deployment.run(&["key", "rotate", "--kind", "signing", "--request-id", "x"], "");
    assert_eq!(deployment.run(&["key", "rotate", "--kind", "signing", "--request-id", "x"], ""), made);
    let withdrawn = deployment.run(&["key", "withdraw", first], "");
    assert!(withdrawn.starts_with(&format!("withdrew {first} at position ")), "{withdrawn}");
    let position = withdrawn.split("position ").nth(1).unwrap().split(';').next().unwrap();
    let ask = VerifyAccessTokenRequest {
        access_token: before.access_token.clone(),
        at_least: position.to_owned(),
        ..Default::default()
    };
    let mut client = AuthServiceClient::connect(format!("http://{}", replica.grpc)).await.unwrap();
    let answer = client.verify_access_token(ask).await.unwrap().into_inner();
    assert!(matches!(answer.result, Some(Answer::Invalid(_))), "{answer:?}");
    let after = replica.client().refresh(&before.refresh_token).await.unwrap();
    assert!(matches!(replica.client().verify(&after.access_token).await, Ok(Verified::As { .. })));

    let generate = deployment.command(&["key", "generate", "--kind", "signing"]).output().unwrap();
    let (code, why) = read(&generate);
    assert!(code == Some(1) && why.contains("countersign key rotate"), "{code:?} {why}");
}

/// From a machine that has neither the database nor the key-encryption key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_rotated_and_withdrawn_from_another_machine() {
    let (files, url) = database();
    let deployment = Deployment::on(&url, None)
        .with("KEYS__STORE", "database")
        .with("KEYS__ENCRYPTION_KEY", &KeyEncryption::generate())
        .with("REVOCATION__POLL_INTERVAL", "100ms");
    deployment.run(&["migrate"], "");
    deployment.create_user("ada");
    let replica = deployment.start();
    let before = replica.client().login("ada", PASSWORD).await.unwrap();
    let token = files.path().join("token");
    std::fs::write(&token, service_key(|arguments| deployment.run(arguments, ""), &["countersign:admin"]))
        .unwrap();
    let server = format!("http://{}", replica.grpc);
    let asked = |arguments: &[&str]| {
        let place = ["--server", &server, "--token-file", token.to_str().unwrap()];
        run_with_input(&[arguments, &place].concat(), &[], b"")
    };
    let run = |arguments: &[&str]| {
        let outcome = asked(arguments);
        assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{arguments:?}");
        outcome.out
    };

    let listed = run(&["key", "list"]);
    assert_eq!(listed, deployment.run(&["key", "list"], ""), "the same here and there");
    assert_eq!(run(&["key", "list", "--json"]), deployment.run(&["key", "list", "--json"], ""));
    let first = listed.lines().find(|line| line.starts_with("signing")).unwrap();
    let first = first.split_whitespace().nth(4).unwrap();
    let refused = asked(&["key", "withdraw", first]);
    assert!(refused.code == 1 && refused.err.contains("KEY_HAS_NO_SUCCESSOR"), "{}", refused.err);
    let made = run(&["key", "rotate", "--kind", "signing", "--request-id", "x"]);
    assert!(made.starts_with("the next signing key is "), "{made}");
    assert_eq!(run(&["key", "rotate", "--kind", "signing", "--request-id", "x"]), made, "again");
    let withdrawn = run(&["key", "withdraw", first]);
    let position = withdrawn.strip_prefix(&format!("withdrew {first} at position ")).unwrap();
    let position = position.split(';').next().unwrap();
    let answer = replica.client().verify_at_least(&before.access_token, position).await.unwrap();
    assert!(matches!(answer, Verified::Invalid(_)), "{answer:?}");

    // What is done where the keys are kept is not asked of a service.
    for arguments in [&["key", "init"][..], &["key", "move"], &["key", "rewrap"]] {
        let unknown = asked(arguments);
        assert!(unknown.code == 2 && unknown.err.contains("--server"), "{arguments:?}: {}", unknown.err);
    }
    let long = "x".repeat(129);
    let refused = asked(&["key", "rotate", "--kind", "signing", "--request-id", &long]);
    assert!(refused.code == 2 && refused.err.contains("1 to 128 bytes"), "{}", refused.err);
}

#[test]
fn without_the_right_key_encryption_key_no_port_is_bound_and_nothing_is_lost() {
    let (_files, url) = database();
    let key = KeyEncryption::generate();
    let deployment =
        Deployment::on(&url, None).with("KEYS__STORE", "database").with("KEYS__ENCRYPTION_KEY", &key);
    deployment.run(&["migrate"], "");
    let first = deployment.run(&["key", "init"], "");
    for (wrong, code, says) in [
        ("", 2, "keys.encryption_key: is required"),
        ("c2hvcnQ=", 2, "keys.encryption_key: must be 32 random bytes in base64"),
        (&KeyEncryption::generate(), 1, "keys.previous_encryption_key"),
    ] {
        let mut serve = deployment.command(&["serve"]);
        let output = serve.env("COUNTERSIGN__KEYS__ENCRYPTION_KEY", wrong).output().unwrap();
        let (found, why) = read(&output);
        assert!(found == Some(code) && why.contains(says), "{found:?} {why}");
        assert!(!why.contains("listening"), "{why}");
        assert!(wrong.is_empty() || !why.contains(wrong), "{why}");
    }
    assert_eq!(first.lines().count(), 3, "{first}");
    assert_eq!(deployment.run(&["key", "list"], ""), first);
    deployment.start();
    assert_eq!(deployment.run(&["key", "list"], ""), first);
}

#[test]
fn commands_for_the_database_say_what_to_do_about_a_directory() {
    let (_files, url) = database();
    let deployment = Deployment::on(&url, None);
    deployment.prepare();
    for (arguments, says) in [
        (&["key", "rotate", "--kind", "signing"][..], "countersign key generate"),
        (&["key", "withdraw", "x"], "keys.store = \"database\""),
        (&["key", "rewrap"], "keys.store = \"database\""),
        (&["key", "move"], "keys.store = \"database\""),
    ] {
        let (code, why) = read(&deployment.command(arguments).output().unwrap());
        assert!(code == Some(1) && why.contains(says), "{arguments:?}: {code:?} {why}");
    }
}

#[test]
fn a_key_encryption_key_is_made_without_any_configuration() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_countersign"));
    let output = command.args(["key", "make-encryption-key"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(KeyEncryption::check(text.trim()), Ok(()));
}
