//! The captcha before Login, against a siteverify service on this machine.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use countersign::auth::AuthError;
use countersign::http::captcha::{Authorities, OnUnavailable, When};
use countersign::http::{Captcha, CaptchaOptions, HttpOptions};
use countersign::model::{ManualClock, UnixMillis};
use countersign::reason::Reason;
use http::StatusCode;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::http::{Alone, Answer, Http, alone, credentials, options, service};
use crate::support::stub::Stub;

const SECRET: &str = "s3cret of the site";
const WINDOW: Duration = Duration::from_mins(10);

/// What the service was asked, and how it answers.
#[derive(Clone, Default)]
struct Verifier {
    asked: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<Option<(StatusCode, &'static str)>>>,
}

impl Verifier {
    fn answers(&self, status: StatusCode, body: &'static str) {
        *self.answer.lock().unwrap() = Some((status, body));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn router(&self) -> Router {
        async fn verify(State(verifier): State<Verifier>, form: String) -> (StatusCode, &'static str) {
            verifier.asked.lock().unwrap().push(form);
            let answer = *verifier.answer.lock().unwrap();
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }
        Router::new().route("/siteverify", post(verify)).with_state(self.clone())
    }

    /// Serves; where no answer was set, none comes.
    async fn serve(&self) -> http::Uri {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/siteverify", listener.local_addr().unwrap());
        let router = self.router();
        let stop = tokio_util::sync::CancellationToken::new();
        let limits = countersign::listener::Limits::default();
        tokio::spawn(countersign::listener::serve(
            "siteverify",
            listener,
            router,
            |_, _| {},
            limits,
            stop.clone(),
            stop,
        ));
        url.parse().unwrap()
    }

    /// The same over TLS, with a certificate of this authority for `localhost`.
    async fn serve_tls(&self, authority: &Authority) -> http::Uri {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (router, acceptor) = (self.router(), authority.acceptor("localhost"));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (router, acceptor) = (router.clone(), acceptor.clone());
                tokio::spawn(async move {
                    // A client that does not trust the certificate hangs up.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let connection = auto::Builder::new(TokioExecutor::new());
                    let service = TowerToHyperService::new(router);
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        format!("https://localhost:{port}/siteverify").parse().unwrap()
    }
}

/// A certification authority of the test's own.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(parameters, key) }
    }

    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let tls = tls.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
        TlsAcceptor::from(Arc::new(tls))
    }

    fn trusted(&self) -> Authorities {
        Authorities::from_pem(self.pem.as_bytes()).unwrap()
    }
}

struct Setup {
    edge: Alone,
    clock: Arc<ManualClock>,
    stub: Arc<Stub>,
}

async fn edge(url: http::Uri, when: When, on_unavailable: OnUnavailable, stub: Stub) -> Setup {
    let captcha = CaptchaOptions {
        verify_url: url,
        secret: SECRET.into(),
        authorities: None,
        when,
        timeout: Duration::from_millis(200),
        on_unavailable,
    };
    with(captcha, stub).await
}

async fn with(captcha: CaptchaOptions, stub: Stub) -> Setup {
    let clock = Arc::new(ManualClock::new(UnixMillis(1_000)));
    let options = HttpOptions { clock: clock.clone(), captcha: Some(Captcha::new(captcha)), ..options() };
    let stub = Arc::new(stub);
    Setup { edge: alone(stub.clone(), options).await, clock, stub }
}

async fn login(http: Http, response: &str) -> Answer {
    let headers = [("x-captcha-response", response)];
    let headers: &[(&str, &str)] = if response.is_empty() { &[] } else { &headers };
    http.post("/v1/auth/login", headers, &credentials()).await
}

#[tokio::test]
async fn a_login_waits_for_a_solved_captcha() {
    let verifier = Verifier::default();
    let url = verifier.serve().await;
    let setup = edge(url, When::Always, OnUnavailable::Deny, Stub::default()).await;
    let http = setup.edge.http;

    login(http, "").await.assert_refused(403, "CAPTCHA_REQUIRED");
    assert!(verifier.asked().is_empty(), "without a response nobody is asked");
    verifier.answers(StatusCode::OK, r#"{"success":false,"error-codes":["invalid-input-response"]}"#);
    login(http, "guessed").await.assert_refused(403, "CAPTCHA_REJECTED");
    assert!(setup.stub.contexts.lock().unwrap().is_empty(), "no password was looked at");

    verifier.asked();
    verifier.answers(StatusCode::OK, r#"{"success":true,"hostname":"app.example","challenge_ts":"x"}"#);
    assert_eq!(login(http, "so&lved").await.status, 200);
    let asked = verifier.asked();
    let form: Vec<_> = form_urlencoded::parse(asked[0].as_bytes()).collect();
    let expected = [("secret", SECRET), ("response", "so&lved"), ("remoteip", "127.0.0.1")];
    assert_eq!(form, expected.map(|(name, value)| (name.into(), value.into())));

    // Refresh and logout are none of its business.
    let refresh =
        http.post("/v1/auth/refresh", &[("authorization", "Bearer r")], &serde_json::json!({})).await;
    assert_eq!(refresh.status, 200);
}

#[tokio::test]
async fn the_secret_goes_over_tls_to_a_verifier_whose_authority_is_trusted() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let verifier = Verifier::default();
    verifier.answers(StatusCode::OK, r#"{"success":true}"#);
    let url = verifier.serve_tls(&authority).await;
    for (authorities, status) in
        [(Some(authority.trusted()), 200), (Some(stranger.trusted()), 503), (None, 503)]
    {
        let captcha = CaptchaOptions {
            verify_url: url.clone(),
            secret: SECRET.into(),
            authorities,
            when: When::Always,
            timeout: Duration::from_secs(10),
            on_unavailable: OnUnavailable::Deny,
        };
        let setup = with(captcha, Stub::default()).await;
        assert_eq!(login(setup.edge.http, "solved").await.status, status);
        assert_eq!(verifier.asked().len(), usize::from(status == 200), "the secret is shown to nobody else");
    }
}

#[tokio::test]
async fn the_authorities_are_read_from_the_file_that_the_configuration_names() {
    let authority = Authority::new();
    let verifier = Verifier::default();
    verifier.answers(StatusCode::OK, r#"{"success":true}"#);
    let url = verifier.serve_tls(&authority).await.to_string();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("authorities.pem");
    std::fs::write(&file, &authority.pem).unwrap();
    let service = service(&[
        ("CAPTCHA__MODE", "always"),
        ("CAPTCHA__VERIFY_URL", &url),
        ("CAPTCHA__SECRET", SECRET),
        ("CAPTCHA__CA_FILE", file.to_str().unwrap()),
        ("CAPTCHA__TIMEOUT", "10s"),
    ])
    .await;
    login(service.http, "").await.assert_refused(403, "CAPTCHA_REQUIRED");
    assert_eq!(login(service.http, "solved").await.status, 200);
}

#[tokio::test]
async fn a_verifier_that_is_down_is_answered_as_configured() {
    let silent = Verifier::default();
    let silent_url = silent.serve().await;
    let closed: http::Uri = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap()
    };
    let mut urls = vec![silent_url, closed];
    for (status, body) in [
        (StatusCode::INTERNAL_SERVER_ERROR, r#"{"success":true}"#),
        (StatusCode::OK, "<html>"),
        (StatusCode::OK, r#"{"success":false,"error-codes":["invalid-input-secret"]}"#),
    ] {
        let verifier = Verifier::default();
        verifier.answers(status, body);
        urls.push(verifier.serve().await);
    }
    for url in urls {
        let denying = edge(url.clone(), When::Always, OnUnavailable::Deny, Stub::default()).await;
        let answer = login(denying.edge.http, "solved").await;
        answer.assert_refused(503, "CAPTCHA_UNAVAILABLE");
        assert_eq!(answer.header("retry-after"), "1");
        let allowing = edge(url.clone(), When::Always, OnUnavailable::Allow, Stub::default()).await;
        assert_eq!(login(allowing.edge.http, "solved").await.status, 200, "{url}");
        // To leave the response out is no way around.
        login(allowing.edge.http, "").await.assert_refused(403, "CAPTCHA_REQUIRED");
    }
}

#[tokio::test]
async fn after_failures_a_captcha_is_asked_for_and_nobody_is_locked_out() {
    let verifier = Verifier::default();
    verifier.answers(StatusCode::OK, r#"{"success":true}"#);
    let url = verifier.serve().await;
    let when = When::AfterFailures { failures: 2, window: WINDOW };
    let wrong = Stub::failing(|| AuthError::new(Reason::InvalidCredentials));
    let setup = edge(url, when, OnUnavailable::Deny, wrong).await;
    let http = setup.edge.http;
    for _ in 0..2 {
        login(http, "").await.assert_refused(401, "INVALID_CREDENTIALS");
    }
    login(http, "").await.assert_refused(403, "CAPTCHA_REQUIRED");
    login(http, "solved").await.assert_refused(401, "INVALID_CREDENTIALS");
    assert_eq!(verifier.asked().len(), 1);
    setup.clock.advance(WINDOW);
    login(http, "").await.assert_refused(401, "INVALID_CREDENTIALS");
}

/// Sixty guesses at once are looked at no more often than sixty in turn, and right logins at once are all let in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_once_need_a_captcha_as_soon_as_guesses_in_turn() {
    let verifier = Verifier::default();
    verifier.answers(StatusCode::OK, r#"{"success":false,"error-codes":["invalid-input-response"]}"#);
    let url = verifier.serve().await.to_string();
    let service = service(&[
        ("CAPTCHA__MODE", "after_failures"),
        ("CAPTCHA__FAILURES", "3"),
        ("CAPTCHA__VERIFY_URL", &url),
        ("CAPTCHA__SECRET", SECRET),
        ("THROTTLE__ENABLED", "false"),
    ])
    .await;
    let http = service.http;
    let right: tokio::task::JoinSet<_> =
        (0..12).map(|_| async move { login(http, "").await.status.as_u16() }).collect();
    assert_eq!(right.join_all().await, [200; 12]);
    let guesses: tokio::task::JoinSet<_> = (0..60)
        .map(|number| async move {
            let guess =
                serde_json::json!({ "username": "ada", "password": format!("a wrong guess {number}") });
            http.post("/v1/auth/login", &[], &guess).await.status.as_u16()
        })
        .collect();
    let answers = guesses.join_all().await;
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), 3, "{answers:?}");
    assert!(answers.iter().all(|status| [401, 403].contains(status)), "{answers:?}");
}

#[tokio::test]
async fn junk_for_a_captcha_is_not_passed_on_without_a_bound() {
    let verifier = Verifier::default();
    verifier.answers(StatusCode::OK, r#"{"success":false,"error-codes":["invalid-input-response"]}"#);
    let url = verifier.serve().await;
    let setup = edge(url, When::Always, OnUnavailable::Deny, Stub::default()).await;
    for _ in 0..50 {
        login(setup.edge.http, "junk").await.assert_refused(403, "CAPTCHA_REJECTED");
    }
    for _ in 0..70 {
        login(setup.edge.http, "junk").await.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    }
    assert_eq!(verifier.asked().len(), 50);
    setup.clock.advance(Duration::from_secs(1));
    login(setup.edge.http, "junk").await.assert_refused(403, "CAPTCHA_REJECTED");
}
