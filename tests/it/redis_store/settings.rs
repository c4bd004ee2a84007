//! Settings of the server: those that are warned of, ACL users, TLS.

use std::path::Path;
use std::time::Duration;

use countersign::model::{Epoch, new_user_id};
use countersign::store::redis::{RedisOptions, RedisStore, RedisThrottle, RedisTls, TimeSource};
use countersign::store::{LoginThrottle as _, Probe as _, Push as _, Rotation, SessionStore as _};

use super::options;
use crate::conformance::{POLICY, began, new_session, presentation};
use crate::login_throttle;
use crate::support::redis::{Server, free_port, is_installed, until};
use crate::support::tls::Authority;

async fn warnings(server: &Server) -> Vec<String> {
    RedisStore::open(&options(&server.url()), TimeSource::Server).warnings().await
}

#[tokio::test]
async fn settings_that_may_lose_sessions_are_named() {
    if !is_installed("settings_that_may_lose_sessions_are_named") {
        return;
    }
    let server = Server::start_with(&["--appendonly", "yes"]);
    assert_eq!(warnings(&server).await, Vec::<String>::new());

    server.cli(&["CONFIG", "SET", "appendonly", "no"]);
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &server.port.to_string()]);
    until("the replica follows", || replica.cli(&["INFO", "replication"]).contains("master_link_status:up"));
    let named = warnings(&server).await;
    for setting in ["appendonly yes", "maxmemory-policy noeviction", "min-replicas-to-write 1"] {
        assert!(named.iter().any(|warning| warning.contains(setting)), "{setting}: {named:?}");
    }
    assert_eq!(named.len(), 3);
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert_eq!(warnings(&server).await.len(), 2);
}

/// The least that an ACL user needs, as the documentation gives it.
#[tokio::test]
async fn an_acl_user_needs_little() {
    if !is_installed("an_acl_user_needs_little") {
        return;
    }
    let server = Server::start();
    let prefix = options(&server.url()).prefix;
    let made = server.cli(
        &[
            &[
                "ACL",
                "SETUSER",
                "countersign",
                "on",
                ">s3cret@/",
                &format!("~{prefix}*"),
                &format!("&{prefix}*"),
            ],
            &["+eval", "+evalsha", "+ping", "+hello", "+publish", "+subscribe"][..],
            &["+time", "+get", "+set", "+setrange", "+del", "+pttl", "+pexpire", "+persist"],
            &["+hget", "+hset", "+hdel", "+hvals", "+hrandfield"],
        ]
        .concat(),
    );
    assert_eq!(made, "OK");
    server.cli(&["ACL", "SETUSER", "default", "off"]);
    let url = format!("redis://countersign:s3cret%40%2F@127.0.0.1:{}", server.port);
    let store = RedisStore::open(&RedisOptions { prefix, ..options(&url) }, TimeSource::Server);
    let (session, _) = began(store.create(new_session(new_user_id(), Epoch(0)), &POLICY).await.unwrap());
    let answer = store.rotate(presentation(&session, session.current()), &POLICY).await.unwrap();
    assert!(matches!(answer, Rotation::Honoured(..)));
    assert_eq!(store.list(session.user).await.unwrap().len(), 1);
    store.delete(session.user, &[session.id]).await.unwrap();
    assert_eq!(store.find(session.user, session.id).await.unwrap(), None);
    store.publish(&[]).await.unwrap();
    store.check().await.unwrap();
    let throttle = RedisThrottle::new(store.clone(), login_throttle::POLICY);
    let attempt = login_throttle::attempt("ada", "192.0.2.1");
    throttle.admit(attempt).await.unwrap();
    throttle.succeeded(attempt).await.unwrap();
    let warnings = store.warnings().await;
    assert!(warnings[0].contains("could not be checked"), "{warnings:?}");

    let wrong = format!("redis://countersign:wrong@127.0.0.1:{}", server.port);
    let options = RedisOptions { deadline: Duration::from_millis(300), ..options(&wrong) };
    let error = RedisStore::open(&options, TimeSource::Server).check().await.unwrap_err().to_string();
    assert!(error.contains("auth") || error.contains("WRONGPASS"), "{error}");
    assert!(!error.contains(":wrong"), "{error}");
}

/// Starts a server that speaks TLS beside its plain port, and asks for certificates of the same authority; returns
/// its URL.
fn with_tls(server: &Server, authority: &Authority, directory: &Path, test: &str) -> Option<String> {
    let (certificate, key) = authority.issue(&["127.0.0.1"]).write(directory, "server");
    let ca = directory.join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let tls_port = free_port().to_string();
    let set = server.cli(&[
        "CONFIG",
        "SET",
        "tls-cert-file",
        certificate.to_str().unwrap(),
        "tls-key-file",
        key.to_str().unwrap(),
        "tls-ca-cert-file",
        ca.to_str().unwrap(),
        "tls-auth-clients",
        "optional",
        "tls-port",
        &tls_port,
    ]);
    if set != "OK" {
        println!("SKIPPED {test}: this Redis cannot be given TLS while it runs: {set}");
        return None;
    }
    Some(format!("rediss://127.0.0.1:{tls_port}"))
}

async fn refusal(options: RedisOptions) -> String {
    let options = RedisOptions { deadline: Duration::from_millis(500), ..options };
    RedisStore::open(&options, TimeSource::Server).check().await.unwrap_err().to_string()
}

#[tokio::test]
async fn tls_is_spoken_to_whom_it_trusts_alone() {
    let test = "tls_is_spoken_to_whom_it_trusts_alone";
    if !is_installed(test) {
        return;
    }
    let (directory, server) = (tempfile::tempdir().unwrap(), Server::start());
    let Some(url) = with_tls(&server, &Authority::new(), directory.path(), test) else { return };
    let ca_file = Some(directory.path().join("ca.pem"));
    let trusting = RedisOptions { tls: RedisTls { ca_file, client: None }, ..options(&url) };
    let store = RedisStore::open(&trusting, TimeSource::Server);
    began(store.create(new_session(new_user_id(), Epoch(0)), &POLICY).await.unwrap());

    let error = refusal(options(&url)).await;
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_the_one_that_lies_there_now() {
    let test = "a_server_that_wants_a_certificate_gets_the_one_that_lies_there_now";
    if !is_installed(test) {
        return;
    }
    let (directory, server) = (tempfile::tempdir().unwrap(), Server::start());
    let authority = Authority::new();
    let Some(url) = with_tls(&server, &authority, directory.path(), test) else { return };
    assert_eq!(server.cli(&["CONFIG", "SET", "tls-auth-clients", "yes"]), "OK");
    let ca_file = Some(directory.path().join("ca.pem"));

    let nobody = RedisOptions { tls: RedisTls { ca_file: ca_file.clone(), client: None }, ..options(&url) };
    refusal(nobody).await;
    let client = Authority::new().issue(&["countersign"]).write(directory.path(), "client");
    let stranger = RedisOptions { tls: RedisTls { ca_file, client: Some(client) }, ..options(&url) };
    refusal(stranger.clone()).await;

    let store =
        RedisStore::open(&RedisOptions { deadline: Duration::from_secs(2), ..stranger }, TimeSource::Server);
    store.check().await.unwrap_err();
    authority.issue(&["countersign"]).write(directory.path(), "client");
    // It is dialled again and again; until it answers, calls are refused at once.
    let until_it_is_back = async {
        while store.check().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), until_it_is_back).await.unwrap();
}
