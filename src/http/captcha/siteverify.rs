//! The siteverify protocol, as Turnstile, hCaptcha and reCAPTCHA speak it: a form is posted, JSON comes back.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::Authorities;
use crate::telemetry::traces;

/// The largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Why a response is not taken for a solved captcha.
#[derive(Debug, thiserror::Error)]
pub(super) enum SiteverifyError {
    /// It was not solved.
    #[error("the captcha was not solved: {codes}")]
    Rejected {
        /// The verifier's own words for it.
        codes: String,
    },
    /// The verifier does not take our secret, or not our request: for the operator to mend.
    #[error("the captcha's verifier refuses to work with us: {codes}")]
    Misconfigured {
        /// The verifier's own words for it.
        codes: String,
    },
    /// No answer in time.
    #[error("the captcha's verifier did not answer in time")]
    Elapsed,
    /// No connection, or one that broke.
    #[error("the captcha's verifier cannot be reached")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// An answer that is none.
    #[error("the captcha's verifier answered {0} and no verdict")]
    NoVerdict(StatusCode),
}

/// What comes back. Other members differ between the services.
#[derive(Debug, Deserialize)]
struct Verdict {
    success: bool,
    #[serde(default, rename = "error-codes")]
    codes: Vec<String>,
}

/// One verifier.
pub(super) struct Siteverify {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Uri,
    secret: SecretString,
    timeout: Duration,
}

impl Siteverify {
    /// Asks a verifier whose certificate is of one of these authorities; of one that browsers trust, without any.
    pub(super) fn new(
        url: Uri,
        secret: SecretString,
        authorities: Option<Authorities>,
        timeout: Duration,
    ) -> Self {
        const VERSIONS: &str = "the provider has the default protocol versions";
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let builder = HttpsConnectorBuilder::new();
        let builder = match authorities {
            None => builder.with_provider_and_webpki_roots(provider).expect(VERSIONS),
            Some(Authorities(roots)) => {
                let tls = ClientConfig::builder_with_provider(provider.into());
                let tls = tls.with_safe_default_protocol_versions().expect(VERSIONS);
                builder.with_tls_config(tls.with_root_certificates(roots).with_no_client_auth())
            }
        };
        let connector = builder.https_or_http().enable_http1().build();
        Self { client: Client::builder(TokioExecutor::new()).build(connector), url, secret, timeout }
    }

    /// Asks whether the response is that of a captcha that was solved, just now and once.
    pub(super) async fn verify(&self, response: &str, client: Option<IpAddr>) -> Result<(), SiteverifyError> {
        match tokio::time::timeout(self.timeout, self.ask(response, client)).await {
            Ok(verdict) => verdict,
            Err(_elapsed) => Err(SiteverifyError::Elapsed),
        }
    }

    fn form(&self, response: &str, client: Option<IpAddr>) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("secret", self.secret.expose_secret()).append_pair("response", response);
        if let Some(client) = client {
            form.append_pair("remoteip", &client.to_string());
        }
        form.finish()
    }

    async fn ask(&self, response: &str, client: Option<IpAddr>) -> Result<(), SiteverifyError> {
        let mut request = Request::post(self.url.clone())
            .header(CONTENT_TYPE, crate::http::body::FORM)
            .header(ACCEPT, crate::http::body::JSON)
            .body(Full::from(self.form(response, client)))
            .map_err(|error| SiteverifyError::Unreachable(error.into()))?;
        traces::inject(request.headers_mut());
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| SiteverifyError::Unreachable(error.into()))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(SiteverifyError::Unreachable)?.to_bytes();
        let verdict: Verdict =
            serde_json::from_slice(&body).map_err(|_| SiteverifyError::NoVerdict(status))?;
        verdict.judge(status)
    }
}

impl Verdict {
    fn judge(self, status: StatusCode) -> Result<(), SiteverifyError> {
        if status.is_server_error() {
            return Err(SiteverifyError::NoVerdict(status));
        }
        if self.success {
            return Ok(());
        }
        let ours =
            |code: &String| code.contains("secret") || code == "internal-error" || code == "bad-request";
        let misconfigured = self.codes.iter().any(ours);
        let mut codes = self.codes.join(", ");
        codes.truncate(codes.floor_char_boundary(200));
        if misconfigured {
            Err(SiteverifyError::Misconfigured { codes })
        } else {
            Err(SiteverifyError::Rejected { codes })
        }
    }
}
