//! SIGHUP, as `systemctl reload` and deployment tools send it: the certificates are read again at once.

use std::process::Command;
use std::time::Duration;

use countersign_verifier::client::{ClientTls, Server};

use super::eventually;
use super::rotation::{Watch, files};
use crate::support::replica::{Deployment, Replica};
use crate::support::tls::{Authority, MountedSecret, Offer, presents};

/// How often certificates are replaced. By the service's own looks, one in two seconds, that would take longer than
/// [`BY_HANGUPS`], and by hangups it takes a fraction of that.
const REPLACEMENTS: usize = 20;
const BY_HANGUPS: Duration = Duration::from_secs(30);

fn hang_up(replica: &Replica) {
    let status = Command::new("kill").args(["-HUP", &replica.pid().to_string()]).status().expect("kill runs");
    assert!(status.success());
}

/// A database of its own, with its schema and keys.
fn deployment(data: &tempfile::TempDir) -> Deployment {
    let database = format!("sqlite://{}", data.path().join("countersign.db").display());
    let deployment = Deployment::on(&database, None);
    deployment.prepare();
    deployment
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_brings_the_new_certificate_at_once_and_a_stream_goes_on() {
    let (data, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let secret = MountedSecret::new(&files(&authority.issue(&["localhost"])));
    let deployment = deployment(&data)
        .with("GRPC__TLS__CERTIFICATE_FILE", secret.path("tls.crt").to_str().unwrap())
        .with("GRPC__TLS__KEY_FILE", secret.path("tls.key").to_str().unwrap());
    let replica = deployment.start();
    let ca_file = data.path().join("ca.pem");
    std::fs::write(&ca_file, &authority.pem).unwrap();
    let tls = ClientTls { ca_file, certificate: None, server_name: None };
    let server = Server::with_tls(&format!("https://localhost:{}", replica.grpc.port()), tls).unwrap();
    let mut stream = Watch::start(server.channel()).await;
    stream.beats().await;

    let offer = Offer::trusting(&authority);
    let replace = async {
        for _ in 0..REPLACEMENTS {
            let next = authority.issue(&["localhost"]);
            secret.replace(&files(&next));
            hang_up(&replica);
            eventually("a new connection gets the new certificate", async || {
                presents(&offer.connect(replica.grpc).await.unwrap(), &next)
            })
            .await;
            stream.beats().await;
        }
    };
    tokio::time::timeout(BY_HANGUPS, replace).await.expect("it is the signal that they come by");
    assert_eq!(replica.terminate(), Some(0));
}

#[test]
fn a_hangup_ends_no_service_that_has_nothing_to_read_again() {
    let data = tempfile::tempdir().unwrap();
    let replica = deployment(&data).start();
    hang_up(&replica);
    // Had it died of the first signal, there were no exit code.
    assert_eq!(replica.terminate(), Some(0));
}
