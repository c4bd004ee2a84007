//! A Refresh that is refused because its MAC key is gone: what the log says of it, under the id that the caller knows.

use std::time::Duration;

use countersign::grpc::proto::v1::RefreshRequest;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use tonic::Request;
use tonic_types::StatusExt as _;

use crate::support::client::Client;
use crate::support::process::Dev;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mac_key_that_was_taken_away_too_early_is_named_in_the_log() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let password = dev.password().unwrap();
    let tokens = Client::connect(dev.grpc).login("admin", &password).await.unwrap();
    assert_eq!(dev.terminate(), Some(0));
    let keys = std::fs::read_dir(data.path().join("keys/refresh")).unwrap();
    let [key] = keys.map(|key| key.unwrap().path()).collect::<Vec<_>>().try_into().expect("one key");
    std::fs::remove_file(&key).unwrap();
    let id = key.file_stem().unwrap().to_str().unwrap().rsplit_once('-').unwrap().1;

    // It makes a new key.
    let dev = Dev::start(data.path());
    let mut request = Request::new(RefreshRequest { refresh_token: tokens.refresh_token.clone() });
    request.metadata_mut().insert("x-request-id", "trace-7".parse().unwrap());
    let mut client = AuthServiceClient::connect(format!("http://{}", dev.grpc)).await.unwrap();
    let refused = client.refresh(request).await.unwrap_err();
    assert_eq!(refused.get_error_details().error_info().unwrap().reason, "REFRESH_TOKEN_INVALID");
    assert_eq!(refused.metadata().get("x-request-id").unwrap(), "trace-7");
    let log = dev.log_handle();
    assert_eq!(dev.terminate(), Some(0));
    // What it wrote last comes through a thread that reads.
    let written = async {
        while !log.lock().unwrap().contains("stopped") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), written).await.expect("it says that it has stopped");
    let log = log.lock().unwrap().clone();
    let line = log.lines().find(|line| line.contains("session.unknown_mac_key"));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains(id) && line.contains("trace-7"), "{line}");
    assert!(!log.contains(&tokens.refresh_token), "{log}");
}
