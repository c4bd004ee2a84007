//! The files: what can be used, and what is left in place when it cannot.

use std::path::Path;
use std::time::Duration;

use countersign::listener::tls::{ClientCertificates, Reload, Tls, TlsError, TlsOptions};
use countersign::model::{Clock as _, SystemClock};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::support::tls::{Authority, Offer, Pair, presents};

fn options(directory: &Path) -> TlsOptions {
    TlsOptions {
        certificate_file: directory.join("server.pem"),
        key_file: directory.join("server.key"),
        client_ca_file: directory.join("ca.pem"),
        client_certificates: ClientCertificates::Required,
        protocols: TlsOptions::HTTP2,
        handshake_timeout: Duration::from_secs(10),
    }
}

/// Whether the server takes this client's certificate, and the server's own.
async fn shake_hands(tls: &Tls, server: &Authority, server_pair: &Pair, client: &Pair) -> Result<(), String> {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let offer = Offer { pair: Some(client), ..Offer::trusting(server) };
    let accept = async {
        let (stream, _) = socket.accept().await.unwrap();
        tls.accept(stream).await
    };
    let connect = async {
        let mut stream = offer.connect(socket.local_addr().unwrap()).await.map_err(|it| it.to_string())?;
        let is_right = presents(&stream, server_pair);
        // Until the server has judged.
        let _ = stream.read(&mut [0]).await;
        if is_right { Ok(()) } else { Err("another certificate".to_owned()) }
    };
    let accept = async { accept.await.map(|(stream, names)| drop((stream, names))) };
    let (accepted, connected) = tokio::join!(accept, connect);
    accepted.map_err(|error| error.to_string())?;
    connected
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_cannot_be_used_leave_what_was_loaded_last() {
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let path = |name: &str| files.path().join(name);
    let first = authority.issue(&["localhost"]);
    first.write(files.path(), "server");
    std::fs::write(path("ca.pem"), &authority.pem).unwrap();
    let tls = Tls::load(options(files.path())).unwrap();
    let client = authority.issue(&["spiffe://example.org/orders"]);
    assert_eq!(tls.reload().unwrap(), Reload::Unchanged);
    shake_hands(&tls, &authority, &first, &client).await.unwrap();

    let other = authority.issue(&["localhost"]);
    let broken = [
        ("server.key", other.key.as_str(), "cannot be used together"),
        ("server.pem", "", "holds no certificate"),
        ("server.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read"),
        ("server.key", "-----BEGIN PRIVATE", "holds no private key"),
        ("ca.pem", "nothing", "holds no certificate"),
    ];
    for (name, content, told) in broken {
        let before = std::fs::read(path(name)).unwrap();
        std::fs::write(path(name), content).unwrap();
        let error = tls.reload().unwrap_err().to_string();
        assert!(error.contains(told) && error.contains(name), "{name}: {error}");
        assert!(!error.contains("AAAA") && !error.contains("BEGIN"), "{error}");
        shake_hands(&tls, &authority, &first, &client).await.unwrap();
        std::fs::write(path(name), before).unwrap();
    }
    std::fs::remove_file(path("ca.pem")).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Unreadable { .. })));
    std::fs::write(path("ca.pem"), &authority.pem).unwrap();
    assert_eq!(tls.reload().unwrap(), Reload::Unchanged);

    other.write(files.path(), "server");
    assert_eq!(tls.reload().unwrap(), Reload::Replaced);
    shake_hands(&tls, &authority, &other, &client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_authority_for_clients_takes_the_place_of_the_old_one() {
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let pair = authority.issue(&["localhost"]);
    pair.write(files.path(), "server");
    let (old, new) = (Authority::new(), Authority::new());
    let (of_old, of_new) = (old.issue(&["dns.example"]), new.issue(&["dns.example"]));
    let judge = async |tls: &Tls| {
        (
            shake_hands(tls, &authority, &pair, &of_old).await.is_ok(),
            shake_hands(tls, &authority, &pair, &of_new).await.is_ok(),
        )
    };
    let ca = files.path().join("ca.pem");
    std::fs::write(&ca, &old.pem).unwrap();
    let tls = Tls::load(options(files.path())).unwrap();
    assert_eq!(judge(&tls).await, (true, false));
    std::fs::write(&ca, old.pem.clone() + &new.pem).unwrap();
    tls.reload().unwrap();
    assert_eq!(judge(&tls).await, (true, true), "a bundle, while clients change over");
    std::fs::write(&ca, &new.pem).unwrap();
    tls.reload().unwrap();
    assert_eq!(judge(&tls).await, (false, true));
}

#[test]
fn it_is_known_when_the_certificate_expires() {
    let files = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue_for(&["localhost"], Duration::from_hours(1)).write(files.path(), "server");
    std::fs::write(files.path().join("ca.pem"), &authority.pem).unwrap();
    let tls = Tls::load(options(files.path())).unwrap();
    let left = tls.certificate_not_after().0 - SystemClock::new().now().0;
    assert!((3_500_000..=3_600_000).contains(&left), "{left} ms");
    assert!(tls.certificate_not_before() < SystemClock::new().now());
}
