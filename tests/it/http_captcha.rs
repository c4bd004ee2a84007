//! The captcha before Login, against a siteverify service on this machine.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use countersign::auth::AuthError;
use countersign::http::captcha::{OnUnavailable, When};
use countersign::http::{Captcha, CaptchaOptions, HttpOptions};
use countersign::model::{ManualClock, UnixMillis};
use countersign::reason::Reason;
use http::StatusCode;
use tokio::net::TcpListener;

use crate::support::http::{Alone, Answer, Http, alone, credentials, options};
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

    /// Serves; where no answer was set, none comes.
    async fn serve(&self) -> http::Uri {
        async fn verify(State(verifier): State<Verifier>, form: String) -> (StatusCode, &'static str) {
            verifier.asked.lock().unwrap().push(form);
            let answer = *verifier.answer.lock().unwrap();
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/siteverify", listener.local_addr().unwrap());
        let router = Router::new().route("/siteverify", post(verify)).with_state(self.clone());
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
        when,
        timeout: Duration::from_millis(200),
        on_unavailable,
    };
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
