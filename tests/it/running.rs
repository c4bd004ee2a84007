//! Running it: readiness, health, stopping, and operators' changes while it runs.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use countersign::grpc::proto::v1::InvalidReason;
use sqlx::Connection as _;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::cli::on_data;
use crate::support::client::{Client, Verified};
use crate::support::process::Dev;

fn countersign(arguments: &[&str], stdin: &str) -> Output {
    use std::io::Write as _;
    let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

async fn serving(dev: &Dev, service: &str) -> ServingStatus {
    let endpoint = Endpoint::from_shared(format!("http://{}", dev.grpc)).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    let request = HealthCheckRequest { service: service.to_owned() };
    health.check(request).await.unwrap().into_inner().status()
}

/// Waits for what a poll brings, within a bound that no working machine needs.
async fn eventually<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    for _ in 0..300 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not come to hold");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ready_service_says_so_on_every_channel_and_stops_when_asked() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let url = format!("http://{}/readyz", dev.operations);
    assert!(countersign(&["healthcheck", "--url", &url], "").status.success());
    for service in ["", "countersign.v1.AuthService"] {
        assert_eq!(serving(&dev, service).await, ServingStatus::Serving, "{service:?}");
    }
    let grpc = format!("http://{}", dev.grpc);
    let checked = on_data(&data, &["login-check", "--grpc", &grpc], "");
    assert_eq!(checked, format!("{grpc}/ takes logins: logged in, verified, refreshed, logged out\n"));
    assert!(!on_data(&data, &["user", "list"], "").contains("login-check"), "its user is gone");
    assert_eq!(dev.terminate(), Some(0));
    let gone = countersign(&["healthcheck", "--url", &url], "");
    assert_eq!(gone.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_under_way_finishes_when_the_service_is_asked_to_stop() {
    let data = tempfile::tempdir().unwrap();
    // Many passes, so that the hash is surely under way when the signal comes.
    let dev = Dev::start_with_env(data.path(), &[("COUNTERSIGN__PASSWORDS__ITERATIONS", "12")]);
    let mut client = Client::connect(dev.grpc);
    let password = dev.password().unwrap();
    client.verify("warm up").await.unwrap();
    let login = tokio::spawn(async move { client.login("admin", &password).await });
    tokio::time::sleep(Duration::from_millis(30)).await;
    let stopped = tokio::task::spawn_blocking(move || dev.terminate());
    assert!(login.await.unwrap().is_ok(), "the login was cut off");
    assert_eq!(stopped.await.unwrap(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_changes_users_while_the_service_runs() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let created = on_data(
        &data,
        &[
            "user",
            "create",
            "Ａda",
            "--role",
            "editor",
            "--claims",
            r#"{"tenant":"acme"}"#,
            "--password-stdin",
        ],
        "a long enough password\n",
    );
    assert!(created.starts_with("ada is created"), "{created}");
    let mut client = Client::connect(dev.grpc);
    let session = client.login("ADA", "a long enough password").await.unwrap();
    match client.verify(&session.access_token).await.unwrap() {
        Verified::As { username, roles, .. } => {
            assert_eq!((username.as_str(), roles), ("ada", vec!["editor".to_owned()]));
        }
        invalid @ Verified::Invalid(_) => panic!("{invalid:?}"),
    }

    on_data(&data, &["user", "set-roles", "ada", "--role", "owner"], "");
    let refreshed = client.refresh(&session.refresh_token).await.unwrap();
    let Verified::As { roles, .. } = client.verify(&refreshed.access_token).await.unwrap() else { panic!() };
    assert_eq!(roles, ["owner"], "the next refresh reads the user anew");

    let said = on_data(&data, &["user", "disable", "ada"], "");
    assert!(said.contains("within 1s (revocation.poll_interval)"), "{said}");
    assert_eq!(client.refresh(&refreshed.refresh_token).await.unwrap_err().reason, "SESSION_REVOKED");
    let revoked = Verified::Invalid(InvalidReason::Revoked);
    eventually(|| {
        let (mut client, token, revoked) = (client.clone(), refreshed.access_token.clone(), revoked.clone());
        async move { client.verify(&token).await.unwrap() == revoked }
    })
    .await;
    let refused = client.login("ada", "a long enough password").await.unwrap_err();
    assert_eq!(refused.reason, "INVALID_CREDENTIALS");

    on_data(&data, &["user", "enable", "ada"], "");
    on_data(&data, &["user", "set-password", "ada", "--password-stdin"], "another long password\n");
    assert_eq!(
        client.login("ada", "a long enough password").await.unwrap_err().reason,
        "INVALID_CREDENTIALS"
    );
    let again = client.login("ada", "another long password").await.unwrap();
    on_data(&data, &["user", "delete", "ada"], "");
    assert_eq!(client.refresh(&again.refresh_token).await.unwrap_err().reason, "SESSION_REVOKED");
    assert!(!on_data(&data, &["user", "list"], "").contains("ada"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logging_out_everywhere_needs_a_token_that_the_line_has_not_left_behind() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let password = dev.password().unwrap();
    let mut client = Client::connect(dev.grpc);
    let phone = client.login("admin", &password).await.unwrap();
    let laptop = client.login("admin", &password).await.unwrap();
    let revoked = Verified::Invalid(InvalidReason::Revoked);

    client.logout_everywhere(&phone.refresh_token).await.unwrap();
    for session in [&phone, &laptop] {
        assert_eq!(client.verify(&session.access_token).await.unwrap(), revoked);
        assert_eq!(client.refresh(&session.refresh_token).await.unwrap_err().reason, "SESSION_REVOKED");
    }
    client.logout_everywhere(&phone.refresh_token).await.expect("idempotent");
    client.logout_everywhere("csgn_rt_unknown").await.expect("an unknown token succeeds (RFC 7009)");

    let ended = client.login("admin", &password).await.unwrap();
    let kept = client.login("admin", &password).await.unwrap();
    client.logout(&ended.refresh_token).await.unwrap();
    client.logout(&ended.refresh_token).await.expect("idempotent");
    assert_eq!(client.logout_everywhere(&ended.refresh_token).await.unwrap_err().reason, "SESSION_REVOKED");
    assert!(matches!(client.verify(&kept.access_token).await.unwrap(), Verified::As { .. }));
    client.logout_with_access_token(&kept.access_token).await.unwrap();
    assert_eq!(client.verify(&kept.access_token).await.unwrap(), revoked);
}

/// Invariant 5: a store that does not answer is never told as news about a token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_does_not_answer_is_unavailable_and_costs_nobody_the_session() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start_with_env(data.path(), &[("COUNTERSIGN__DATABASE__TIMEOUT", "200ms")]);
    let password = dev.password().unwrap();
    let mut client = Client::connect(dev.grpc);
    let session = client.login("admin", &password).await.unwrap();

    let url = format!("sqlite://{}", data.path().join("countersign.db").display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    for refused in [
        client.refresh(&session.refresh_token).await.unwrap_err(),
        client.logout(&session.refresh_token).await.unwrap_err(),
        client.login("admin", &password).await.unwrap_err(),
    ] {
        assert_eq!((refused.code, refused.reason.as_str()), (tonic::Code::Unavailable, "STORE_UNAVAILABLE"));
        assert!(refused.retry_after.is_some(), "{refused:?}");
    }
    assert!(matches!(client.verify(&session.access_token).await.unwrap(), Verified::As { .. }), "no I/O");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();

    // The writes that were waiting may have gone through after all: the logout among them.
    eventually(|| {
        let (mut client, password) = (client.clone(), password.clone());
        async move { client.login("admin", &password).await.is_ok() }
    })
    .await;
    let after = client.refresh(&session.refresh_token).await;
    assert!(after.is_ok() || after.unwrap_err().reason == "SESSION_REVOKED");
}

/// A collector of logs that dies closes the pipe: what cannot be written is lost, and costs no call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_log_is_read_no_more_goes_on() {
    use std::io::{BufRead as _, BufReader};
    for traced in [false, true] {
        let data = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        let free =
            ["--grpc-listen", "--http-listen", "--operations-listen"].map(|flag| [flag, "127.0.0.1:0"]);
        command.arg("dev").args(free.concat()).arg("--data-dir").arg(data.path());
        if traced {
            command.env("COUNTERSIGN__TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:1");
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stderr.take());
        let (mut grpc, mut password) = (None, None);
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            match *line.split_whitespace().collect::<Vec<_>>() {
                ["gRPC", address] => grpc = address.parse().ok(),
                ["password", word, ..] => password = Some(word.to_owned()),
                ["Ready.", ..] => break,
                _ => {}
            }
        }
        let login = match (grpc, password) {
            (Some(grpc), Some(password)) => Client::connect(grpc).login("admin", &password).await.map(drop),
            started => panic!("{started:?}"),
        };
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(login.is_ok(), "traced: {traced}: {login:?}");
    }
}
