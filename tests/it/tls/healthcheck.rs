//! `countersign healthcheck` without a word, as the image runs it: it speaks what the service's own configuration says.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use super::eventually;
use crate::support::database::free_port;
use crate::support::replica::Deployment;
use crate::support::tls::Authority;

/// Replicas whose operations port is fixed, because whoever asks has nothing but the configuration.
fn deployment(data: &TempDir) -> Deployment {
    let database = format!("sqlite://{}", data.path().join("countersign.db").display());
    let deployment = Deployment::on(&database, None);
    deployment.prepare();
    deployment.with("OPERATIONS__LISTEN", &format!("0.0.0.0:{}", free_port()))
}

/// With TLS on the operations port, of `server.pem` and `server.key` in this directory.
fn with_tls(deployment: Deployment, files: &Path) -> Deployment {
    let path = |name: &str| files.join(name).to_str().unwrap().to_owned();
    deployment
        .with("OPERATIONS__TLS__CERTIFICATE_FILE", &path("server.pem"))
        .with("OPERATIONS__TLS__KEY_FILE", &path("server.key"))
}

/// With more time than an image's check has: on a busy machine a handshake of the debug build may take its two seconds.
fn healthcheck(deployment: &Deployment) -> Command {
    deployment.command(&["healthcheck", "--timeout", "30s"])
}

fn ask(deployment: &Deployment, arguments: &[&str]) -> Output {
    healthcheck(deployment).args(arguments).output().expect("the binary starts")
}

async fn becomes_healthy(deployment: &Deployment, arguments: &[&str]) {
    eventually("it is healthy", async || ask(deployment, arguments).status.success()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_speaks_tls_where_the_service_does_and_an_expired_certificate_is_not_ill_health() {
    let (data, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    authority.issue_for(&["operations.example"], Duration::ZERO).write(data.path(), "server");
    let deployment = with_tls(deployment(&data), data.path());
    let replica = deployment.spawn(&[]);
    becomes_healthy(&deployment, &[]).await;

    // Whoever names authorities wants to know more.
    let ca = data.path().join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let strict = ["--ca-file", ca.to_str().unwrap(), "--server-name", "operations.example"];
    eventually("the certificate has expired", async || {
        String::from_utf8_lossy(&ask(&deployment, &strict).stderr).contains("expired")
    })
    .await;
    let lenient = ask(&deployment, &[]);
    assert!(lenient.status.success(), "{}", String::from_utf8_lossy(&lenient.stderr));
    replica.kill();
    assert_eq!(ask(&deployment, &[]).status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_shows_the_services_own_certificate_where_one_is_wanted_or_another_that_it_is_given() {
    let (data, authority, stranger) = (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    let ca = data.path().join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let deployment = with_tls(deployment(&data), data.path())
        .with("OPERATIONS__TLS__CLIENT_CA_FILE", ca.to_str().unwrap())
        .with("OPERATIONS__TLS__CLIENT_CERTIFICATES", "required");
    authority.issue(&["operations.example"]).write(data.path(), "server");
    let replica = deployment.spawn(&[]);
    becomes_healthy(&deployment, &[]).await;
    replica.kill();

    // A server's certificate that the clients' authority knows nothing of.
    stranger.issue(&["operations.example"]).write(data.path(), "server");
    let client = authority.issue(&["spiffe://example.org/probe"]).write(data.path(), "client");
    let [certificate, key] = [&client.0, &client.1].map(|path| path.to_str().unwrap());
    let replica = deployment.spawn(&[]);
    becomes_healthy(&deployment, &["--certificate-file", certificate, "--key-file", key]).await;
    let refused = ask(&deployment, &[]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("--certificate-file"), "it says what is missing: {told}");
    replica.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_that_the_environment_names_is_the_services_and_the_checks() {
    let (data, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    authority.issue(&["operations.example"]).write(data.path(), "server");
    let [certificate, key] = ["server.pem", "server.key"].map(|name| data.path().join(name));
    let file = data.path().join("countersign.toml");
    let text = format!("[operations.tls]\ncertificate_file = {certificate:?}\nkey_file = {key:?}\n");
    std::fs::write(&file, text).unwrap();
    let (deployment, variable) = (deployment(&data), ("COUNTERSIGN_CONFIG", file.to_str().unwrap()));
    let replica = deployment.spawn(&[variable]);
    eventually("it is healthy", async || {
        let check =
            deployment.command(&["healthcheck"]).envs([variable]).output().expect("the binary starts");
        check.status.success()
    })
    .await;
    assert_eq!(ask(&deployment, &[]).status.code(), Some(1), "without the file it speaks no TLS");
    replica.kill();
}
