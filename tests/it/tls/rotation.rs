//! Certificates that are replaced while connections stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::auth_service_client::AuthServiceClient;
use countersign::grpc::proto::v1::revocation_service_client::RevocationServiceClient;
use countersign::grpc::proto::v1::watch_revocations_request::Message as Say;
use countersign::grpc::proto::v1::watch_revocations_response::Message as Told;
use countersign_verifier::client::{ClientTls, Server};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use tonic::transport::Channel;

use super::{PATIENCE, eventually, warnings};
use crate::support::http::{PASSWORD, USERNAME, service};
use crate::support::tls::{Authority, MountedSecret, Offer, Pair, presents};

/// A stream of revocations that asks for heartbeats.
pub(super) struct Watch {
    say: mpsc::Sender<v1::WatchRevocationsRequest>,
    told: Streaming<v1::WatchRevocationsResponse>,
    nonce: u64,
}

impl Watch {
    pub(super) async fn start(channel: Channel) -> Self {
        let (say, said) = mpsc::channel(16);
        let mut client = RevocationServiceClient::new(channel);
        let told = client.watch_revocations(ReceiverStream::new(said)).await.unwrap().into_inner();
        let watch = Self { say, told, nonce: 0 };
        watch.say(Say::Start(v1::WatchStart::default())).await;
        watch
    }

    async fn say(&self, message: Say) {
        self.say.send(v1::WatchRevocationsRequest { message: Some(message) }).await.unwrap();
    }

    /// Asks for a heartbeat and waits for it; returns the sessions that were told as revoked before it came.
    pub(super) async fn beats(&mut self) -> usize {
        self.nonce += 1;
        self.say(Say::Ping(v1::WatchPing { nonce: self.nonce, ..Default::default() })).await;
        let mut revoked = 0;
        loop {
            let told = tokio::time::timeout(PATIENCE, self.told.message()).await.expect("an answer");
            match told.expect("the stream goes on").expect("the stream goes on").message {
                Some(Told::Heartbeat(heartbeat)) if heartbeat.nonce == self.nonce => return revoked,
                Some(Told::Revoked(news)) => revoked += news.sessions.len(),
                _ => {}
            }
        }
    }
}

/// Verifies over one connection, again and again; counts answers and failures.
struct Caller {
    answered: Arc<AtomicU32>,
    failed: Arc<AtomicU32>,
    stop: CancellationToken,
}

impl Caller {
    fn start(channel: Channel, access_token: String) -> Self {
        let caller =
            Self { answered: Arc::default(), failed: Arc::default(), stop: CancellationToken::new() };
        let (answered, failed) = (caller.answered.clone(), caller.failed.clone());
        let work = async move {
            let mut client = AuthServiceClient::new(channel);
            loop {
                let request = v1::VerifyAccessTokenRequest {
                    access_token: access_token.clone(),
                    ..v1::VerifyAccessTokenRequest::default()
                };
                let counter =
                    if client.verify_access_token(request).await.is_ok() { &answered } else { &failed };
                counter.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::spawn(caller.stop.clone().run_until_cancelled_owned(work));
        caller
    }
}

/// What a Secret with this certificate holds.
pub(super) fn files(pair: &Pair) -> [(&'static str, &str); 2] {
    [("tls.crt", &pair.certificate), ("tls.key", &pair.key)]
}

/// As Kubernetes replaces a mounted Secret. Prints what was seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_connections_get_the_new_certificate_and_those_that_stream_go_on() {
    let authority = Authority::new();
    let [first, second, third] = [(); 3].map(|()| authority.issue(&["localhost"]));
    let secret = MountedSecret::new(&files(&first));
    let (certificate, key) = (secret.path("tls.crt"), secret.path("tls.key"));
    let service = service(&[
        ("GRPC__TLS__CERTIFICATE_FILE", certificate.to_str().unwrap()),
        ("GRPC__TLS__KEY_FILE", key.to_str().unwrap()),
    ])
    .await;
    let ca_file = service.data.path().join("ca.pem");
    std::fs::write(&ca_file, &authority.pem).unwrap();
    let server = |name: Option<&str>| {
        let server_name = name.map(str::to_owned);
        let tls = ClientTls { ca_file: ca_file.clone(), certificate: None, server_name };
        Server::with_tls(&format!("https://localhost:{}", service.grpc.port()), tls).unwrap()
    };
    let channel = server(None).channel();
    let login = v1::LoginRequest {
        username: USERNAME.to_owned(),
        password: PASSWORD.to_owned(),
        ..v1::LoginRequest::default()
    };
    let tokens = AuthServiceClient::new(channel.clone()).login(login).await.unwrap().into_inner().tokens;
    let tokens = tokens.unwrap();
    let mut watch = Watch::start(server(Some("localhost")).channel()).await;
    let caller = Caller::start(channel, tokens.access_token.clone());
    watch.beats().await;

    let offer = Offer::trusting(&authority);
    let has = async |pair: &Pair| presents(&offer.connect(service.grpc).await.unwrap(), pair);
    assert!(has(&first).await);
    secret.replace(&files(&second));
    eventually("new connections get the second", async || has(&second).await).await;
    let before = caller.answered.load(Ordering::Relaxed);
    watch.beats().await;
    eventually("the caller goes on", async || caller.answered.load(Ordering::Relaxed) > before).await;

    secret.replace(&[("tls.crt", &third.certificate), ("tls.key", &first.key)]);
    eventually("the broken pair is a warning", async || {
        warnings(&service).await.iter().any(|warning| {
            warning.starts_with("grpc.tls: the new files are not used") && warning.contains("tls.key")
        })
    })
    .await;
    assert!(has(&second).await, "the old one is kept");
    secret.replace(&files(&third));
    eventually("the right pair is taken", async || has(&third).await).await;
    eventually("the warning goes", async || warnings(&service).await.is_empty()).await;

    let end = v1::LogoutRequest {
        token: Some(v1::logout_request::Token::AccessToken(tokens.access_token)),
        everywhere: false,
    };
    AuthServiceClient::new(server(None).channel()).logout(end).await.unwrap();
    let mut revoked = watch.beats().await;
    while revoked == 0 {
        revoked = watch.beats().await;
    }
    caller.stop.cancel();
    let (answered, failed) = (caller.answered.load(Ordering::Relaxed), caller.failed.load(Ordering::Relaxed));
    println!(
        "two replacements, {answered} Verify answered on one connection, {failed} failed; the stream went on"
    );
    assert_eq!(failed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_about_to_expire_is_a_warning() {
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let pair = authority.issue_for(&["localhost"], Duration::from_hours(1));
    let (certificate, key) = pair.write(files.path(), "server");
    let service = service(&[
        ("GRPC__TLS__CERTIFICATE_FILE", certificate.to_str().unwrap()),
        ("GRPC__TLS__KEY_FILE", key.to_str().unwrap()),
    ])
    .await;
    eventually("it is told", async || {
        warnings(&service)
            .await
            .iter()
            .any(|warning| warning.contains("expires") && warning.contains("was not renewed"))
    })
    .await;
    authority.issue(&["localhost"]).write(files.path(), "server");
    eventually("it was renewed", async || warnings(&service).await.is_empty()).await;
}
