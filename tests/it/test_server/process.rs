//! How the process starts, tells where it is, and ends.

#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use countersign::grpc::proto::test_v1::{TokenKind, TokenState};

use super::support::{PASSWORD, PATIENCE, TestServer};
use crate::support::cli::run;
use crate::support::http::Http;

/// Waits for the end of the process.
fn ended(server: &mut TestServer) -> Option<i32> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = server.child.try_wait().unwrap() {
            return status.code();
        }
        thread::yield_now();
    }
    panic!("it still runs");
}

#[test]
fn one_line_says_where_everything_is() {
    let server = TestServer::start(&[
        "--issuer",
        "https://auth.test",
        "--audience",
        "orders",
        "--audience",
        "billing",
    ]);
    let said = &server.announcement;
    assert!(server.grpc.ip().is_loopback() && server.http.ip().is_loopback() && server.grpc != server.http);
    assert_eq!(said["issuer"], "https://auth.test");
    assert_eq!((said["audience"].as_str(), said["audiences"][1].as_str()), (Some("orders"), Some("billing")));
    assert_eq!(
        said["jwksUrl"].as_str(),
        Some(format!("http://{}/.well-known/jwks.json", server.http).as_str())
    );
    assert_eq!(said["jwks"]["keys"][0]["alg"], "EdDSA");
    assert_eq!(said["worldHeader"], "x-countersign-world");
    assert_eq!(said["pid"], server.child.id());
    assert_eq!(said["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn it_ends_when_its_standard_input_is_closed_and_with_sigterm() {
    let mut server = TestServer::start(&["--until-stdin-closes"]);
    assert!(server.child.try_wait().unwrap().is_none());
    drop(server.child.stdin.take());
    assert_eq!(ended(&mut server), Some(0));

    let mut server = TestServer::start(&[]);
    let id = server.child.id().to_string();
    assert!(Command::new("kill").arg(id).status().unwrap().success());
    assert_eq!(ended(&mut server), Some(0));
}

/// What a test run that is killed leaves behind: nothing.
#[test]
fn it_ends_when_the_program_is_killed_that_has_started_it() {
    // The shell holds the one end of the pipe that is the server's standard input.
    let script =
        r#"mkfifo "$2/in"; exec 3<>"$2/in"; "$1" test-server --until-stdin-closes <"$2/in" 3>&- & wait"#;
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh")
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_countersign")])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, lines) = channel();
    let out = BufReader::new(shell.stdout.take().unwrap());
    thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let line = lines.recv_timeout(PATIENCE).unwrap();
    let announcement: serde_json::Value = serde_json::from_str(&line).unwrap();
    shell.kill().unwrap();
    shell.wait().unwrap();
    // Standard output is at its end when its last writer is gone.
    let end = lines.recv_timeout(PATIENCE);
    if end != Err(RecvTimeoutError::Disconnected) {
        let _ = Command::new("kill").arg(announcement["pid"].to_string()).status();
        panic!("it still runs: {end:?}");
    }
}

#[test]
fn nothing_but_loopback_is_served_and_nothing_but_memory_is_used() {
    for arguments in [
        ["--listen", "0.0.0.0:0"],
        ["--http-listen", "[::]:0"],
        ["--listen", "192.0.2.7:50051"],
        ["--max-worlds", "0"],
        ["--world-idle", "soon"],
    ] {
        let outcome = run(&[&["test-server", "--until-stdin-closes"][..], &arguments].concat(), &[]);
        assert_eq!((outcome.code, outcome.out.as_str()), (2, ""), "{arguments:?}: {}", outcome.err);
        assert!(!outcome.err.is_empty());
    }
    let folder = tempfile::tempdir().unwrap();
    for (what, text) in [
        ("database.url", "[database]\nurl = \"postgres://h/d\"\n"),
        ("redis.url", "[redis]\nurl = \"redis://h\"\n"),
        ("keys.store", "[keys]\nstore = \"directory\"\ndirectory = \"keys\"\n"),
        ("edge.enabled", "[edge]\nenabled = false\n"),
    ] {
        let file = folder.path().join("test.toml");
        std::fs::write(&file, text).unwrap();
        let outcome = run(&["test-server", "--until-stdin-closes", "--config", file.to_str().unwrap()], &[]);
        assert_eq!(outcome.code, 2, "{what}: {}", outcome.err);
        assert!(outcome.err.contains(what), "{what}: {}", outcome.err);
    }
}

/// What is meant for a deployment does not change what tests see.
#[tokio::test]
async fn a_file_configures_it_and_the_environment_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.toml");
    std::fs::write(&file, "[tokens]\naccess_ttl = \"90s\"\n\n[edge]\nrefresh_transport = \"body\"\n")
        .unwrap();
    let server = TestServer::start(&["--config", file.to_str().unwrap()]);
    assert_eq!(server.announcement["accessTtlSeconds"], 90);
    let mut world = server.world("");
    world.create_user("ada", &[]).await.unwrap();
    let body = serde_json::json!({ "username": "ada", "password": PASSWORD });
    let answer = Http(server.http).post("/v1/auth/login", &[], &body).await;
    assert!(answer.json()["tokens"]["refreshToken"].is_string(), "{answer:?}");
}

/// Prints how long it takes, so that the documents can say it.
#[tokio::test]
async fn a_token_can_be_had_soon_after_the_start() {
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        let server = TestServer::start(&[]);
        let mut world = server.world("");
        let minted = world.mint(TokenKind::Access, TokenState::Good, |_| ()).await.unwrap();
        fastest = fastest.min(begun.elapsed());
        assert_eq!(world.verify(&minted.token).await.unwrap(), Ok(minted.username));
    }
    println!("from the start to the first token: {fastest:?}");
    assert!(fastest < Duration::from_secs(5), "{fastest:?}");
}
