//! Settings of the server: those that are warned of, ACL users, TLS.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use countersign::model::{Epoch, new_user_id};
use countersign::store::redis::{RedisOptions, RedisStore, RedisThrottle, RedisTls, TimeSource};
use countersign::store::{LoginThrottle as _, Probe as _, Push as _, Rotation, SessionStore as _};

use super::options;
use crate::conformance::{POLICY, began, new_session, presentation};
use crate::login_throttle;
use crate::support::redis::{Server, free_port, is_installed, until};
use crate::support::tool;

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

/// A certificate for 127.0.0.1, and its key.
fn certificate(directory: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(directory.join("key.pem"))
        .arg("-out")
        .arg(directory.join("cert.pem"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test]
async fn tls_is_spoken_to_whom_it_trusts_alone() {
    let test = "tls_is_spoken_to_whom_it_trusts_alone";
    if !is_installed(test) || tool::find("openssl", test).is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    certificate(directory.path());
    let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    let server = Server::start();
    let tls_port = free_port().to_string();
    let (cert_file, key_file) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let files = ["CONFIG", "SET", "tls-cert-file", cert_file, "tls-key-file", key_file];
    let port = ["CONFIG", "SET", "tls-auth-clients", "no", "tls-port", &tls_port];
    for setting in [files, port] {
        let set = server.cli(&setting);
        if set != "OK" {
            println!("SKIPPED {test}: this Redis cannot be given TLS while it runs: {set}");
            return;
        }
    }
    let url = format!("rediss://127.0.0.1:{tls_port}");
    let authorities = Some(std::fs::read(&cert).unwrap());
    let trusting = RedisOptions { tls: RedisTls { authorities, client: None }, ..options(&url) };
    let store = RedisStore::open(&trusting, TimeSource::Server);
    began(store.create(new_session(new_user_id(), Epoch(0)), &POLICY).await.unwrap());

    let wary = RedisOptions { deadline: Duration::from_millis(500), ..options(&url) };
    let error = RedisStore::open(&wary, TimeSource::Server).check().await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
}
