//! From a connection to one that speaks TLS, or not.

use std::net::SocketAddr;
use std::time::Duration;

use http::Request;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{PATIENCE, Secured, verify};
use crate::support::http::service;
use crate::support::tls::{Authority, Offer};

/// Everything that comes until the connection ends; an error when it is not ended cleanly.
async fn rest(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    read.expect("the connection is closed").map(|_| rest)
}

/// What the server says to these bytes until it hangs up.
async fn answer(address: SocketAddr, said: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(said).await.unwrap();
    rest(&mut stream).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_takes_too_long_is_cut_and_holds_up_nobody() {
    let secured = Secured::start(&[("GRPC__TLS__HANDSHAKE_TIMEOUT", "1s")]).await;
    let address = secured.service.grpc;
    let mut silent = Vec::new();
    for begun in 0..100_u8 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Some say nothing at all, some begin a record and leave it.
        let record = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01];
        stream.write_all(&record[..usize::from(begun % 7)]).await.unwrap();
        silent.push(stream);
    }
    // The very same moment: none of the hundred has been cut when this one is answered.
    let answered = async {
        verify(secured.channel("quick", None)).await.unwrap();
        "answered"
    };
    let cut = async {
        silent[0].readable().await.unwrap();
        "cut"
    };
    let first = tokio::select! {
        biased;
        first = answered => first,
        first = cut => first,
    };
    assert_eq!(first, "answered");
    for mut stream in silent {
        rest(&mut stream).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_tls_is_told_so_and_closed_cleanly() {
    let secured = Secured::start(&[]).await;
    for said in [
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".as_slice(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        &[0; 64],
    ] {
        let told = answer(secured.service.grpc, said).await.expect("it is not reset");
        assert_eq!(told.first(), Some(&0x15), "an alert (RFC 8446 §6): {told:?}");
    }
    verify(secured.channel("after", None)).await.unwrap();
}

/// A first message as TLS 1.0 to 1.2 have it (RFC 5246 §7.4.1.2), which offers no version but `3.minor`.
fn hello(minor: u8) -> Vec<u8> {
    // The groups x25519 and secp256r1; ECDSA and RSA signatures with SHA-256; uncompressed points.
    let extensions =
        [&[0, 10, 0, 6, 0, 4, 0, 29, 0, 23][..], &[0, 13, 0, 6, 0, 4, 4, 3, 8, 4], &[0, 11, 0, 2, 1, 0]]
            .concat();
    let random = [7; 32];
    let one_suite = [0, 0, 2, 0xc0, 0x2b, 1, 0, 0, u8::try_from(extensions.len()).unwrap()];
    let hello = [&[3, minor], random.as_slice(), &one_suite, &extensions].concat();
    let length = u8::try_from(hello.len()).unwrap();
    [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length], hello.as_slice()].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_tls_1_2_and_1_3_are_spoken_and_http_2_alone_on_the_grpc_port() {
    let secured = Secured::start(&[]).await;
    let address = secured.service.grpc;
    for version in rustls::ALL_VERSIONS {
        let offer = Offer { versions: &[version], ..Offer::trusting(&secured.authority) };
        let stream = offer.connect(address).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    }
    for minor in [1, 2] {
        let told = answer(address, &hello(minor)).await.unwrap();
        assert_eq!((told[0], told[told.len() - 1]), (0x15, 70), "protocol_version (RFC 8446 §6.2): {told:?}");
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&hello(3)).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 0x16, "the same message with a version that is spoken");
    let browser = Offer { protocols: &["http/1.1"], ..Offer::trusting(&secured.authority) };
    let refused = browser.connect(address).await.unwrap_err().to_string();
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");
    Offer::trusting(&Authority::new()).connect(address).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_edge_and_the_operations_port_speak_tls_too() {
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.issue(&["localhost"]).write(files.path(), "server");
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let service = service(&[
        ("EDGE__TLS__CERTIFICATE_FILE", certificate),
        ("EDGE__TLS__KEY_FILE", key),
        ("OPERATIONS__TLS__CERTIFICATE_FILE", certificate),
        ("OPERATIONS__TLS__KEY_FILE", key),
    ])
    .await;
    let old = Offer { protocols: &["http/1.1"], ..Offer::trusting(&authority) };
    for (address, path) in [(service.http.0, "/.well-known/jwks.json"), (service.operations.0, "/readyz")] {
        let new = Offer::trusting(&authority).connect(address).await.unwrap();
        assert_eq!(new.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let stream = old.connect(address).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        if address == service.http.0 {
            let hsts = answer.headers().get("strict-transport-security").expect("it came over HTTPS");
            assert_eq!(hsts, "max-age=31536000");
        }
    }
}

/// As many as there could be handshakes at once before 0.2 say nothing; one more is served while all of them are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_handshakes_hold_up_no_other_however_many_they_are() {
    use countersign::listener::tls::{ClientCertificates, Tls, TlsOptions};
    const SILENT: usize = 520;

    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let (certificate_file, key_file) = authority.issue(&["localhost"]).write(files.path(), "server");
    let options = TlsOptions {
        certificate_file,
        key_file,
        client_ca_file: files.path().join("ca.pem"),
        client_certificates: ClientCertificates::Ignored,
        protocols: TlsOptions::HTTP2,
        handshake_timeout: Duration::from_secs(20),
    };
    let tls = std::sync::Arc::new(Tls::load(options).unwrap());
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (mut peers, mut handshakes) = (Vec::new(), Vec::new());
    for _ in 0..SILENT {
        peers.push(TcpStream::connect(address).await.unwrap());
        let (accepted, _) = socket.accept().await.unwrap();
        let tls = tls.clone();
        handshakes.push(tokio::spawn(async move { tls.accept(accepted).await.map(drop) }));
    }
    tokio::task::yield_now().await;
    let offer = Offer::trusting(&authority);
    let one_more = async {
        let (accepted, _) = socket.accept().await.unwrap();
        tls.accept(accepted).await.map(drop)
    };
    let (connected, served) = tokio::join!(offer.connect(address), one_more);
    connected.unwrap();
    served.unwrap();
    assert!(handshakes.iter().all(|handshake| !handshake.is_finished()), "served before any was cut");
    drop(peers);
}
