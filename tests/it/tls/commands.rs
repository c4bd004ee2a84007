//! The binary itself: its banner, `healthcheck`, and its log.

use std::process::Command;

use countersign_verifier::client::{AuthClient, CallOptions, ClientTls, Server};

use super::eventually;
use crate::support::process::Dev;
use crate::support::tls::{Authority, Offer, presents};

fn healthcheck(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .arg("healthcheck")
        .args(arguments)
        .output()
        .expect("the binary starts");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_speaks_tls_on_every_port_and_its_log_names_the_caller() {
    let (authority, files, data) =
        (Authority::new(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = authority.issue(&["localhost"]);
    let (certificate, key) = first.write(files.path(), "server");
    let client = authority.issue(&["spiffe://example.org/web"]).write(files.path(), "client");
    let ca = files.path().join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let [certificate, key, ca, client_certificate, client_key] =
        [&certificate, &key, &ca, &client.0, &client.1].map(|path| path.to_str().unwrap());
    let mut variables =
        vec![("COUNTERSIGN__EDGE__PLAIN_HTTP", "false"), ("COUNTERSIGN__LOG__FORMAT", "json")];
    let names: Vec<[String; 4]> = ["GRPC", "EDGE", "OPERATIONS"]
        .map(|section| {
            ["CERTIFICATE_FILE", "KEY_FILE", "CLIENT_CA_FILE", "CLIENT_CERTIFICATES"]
                .map(|key| format!("COUNTERSIGN__{section}__TLS__{key}"))
        })
        .into();
    for names in &names {
        variables.extend(names.iter().map(String::as_str).zip([certificate, key, ca, "required"]));
    }
    let dev = Dev::start_with_env(data.path(), &variables);
    for shown in [
        format!("HTTP        https://{}", dev.http),
        format!("operations  https://{}/readyz", dev.operations),
    ] {
        assert!(dev.banner.contains(&shown), "{shown}: {}", dev.banner);
    }
    let login = dev.rest_of_banner(1).remove(0);
    assert!(login.contains("grpcurl -cacert ca.pem -cert client.pem -key client.key -d"), "{login}");

    let url = format!("https://localhost:{}/readyz", dev.operations.port());
    let whole =
        ["--url", &url, "--ca-file", ca, "--certificate-file", client_certificate, "--key-file", client_key];
    let (ok, said) = healthcheck(&whole);
    assert!(ok, "{said}");
    let by_address = format!("https://{}/readyz", dev.operations);
    let by_name = [&["--url", &by_address, "--server-name", "localhost"], &whole[2..]].concat();
    assert!(healthcheck(&by_name).0);
    for wrong in [&whole[..4], &whole[..2], &[&["--url", by_address.as_str()], &whole[2..]].concat()] {
        assert!(!healthcheck(wrong).0, "{wrong:?}");
    }

    let tls = ClientTls { ca_file: ca.into(), certificate: Some(client), server_name: None };
    let server = Server::with_tls(&format!("https://localhost:{}", dev.grpc.port()), tls).unwrap();
    let auth = AuthClient::new(server.channel(), CallOptions::default());
    auth.login("admin", &dev.password().unwrap(), &[]).await.unwrap();
    eventually("the audit event names the caller", async || {
        let log = dev.log();
        let mut events = log.lines().filter(|line| line.contains("login.succeeded"));
        events.any(|line| line.contains(r#""caller":"spiffe://example.org/web""#))
    })
    .await;

    let second = authority.issue(&["localhost"]);
    second.write(files.path(), "server");
    let pair = authority.issue(&["spiffe://example.org/web"]);
    let offer = Offer { pair: Some(&pair), ..Offer::trusting(&authority) };
    eventually("new connections get the new certificate", async || {
        presents(&offer.connect(dev.grpc).await.unwrap(), &second)
    })
    .await;
    assert_eq!(dev.terminate(), Some(0));
}
