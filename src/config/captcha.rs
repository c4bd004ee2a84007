//! `[captcha]`

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{ConfiguredUrl, bounds, duration, secret};

/// The captcha before a Login over HTTP. Any service does that speaks the siteverify protocol: Turnstile, hCaptcha,
/// reCAPTCHA.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Captcha {
    /// When one is needed. `COUNTERSIGN__CAPTCHA__MODE`
    pub mode: CaptchaMode,
    /// Where the service verifies; required unless `mode` is `off`. `COUNTERSIGN__CAPTCHA__VERIFY_URL`
    pub verify_url: ConfiguredUrl,
    /// The site's secret; required unless `mode` is `off`. `COUNTERSIGN__CAPTCHA__SECRET`, or a file that holds it:
    /// `COUNTERSIGN__CAPTCHA__SECRET_FILE`
    #[serde(serialize_with = "secret::redacted")]
    pub secret: SecretString,
    /// A PEM file of authorities to trust with the service's TLS instead of those that browsers trust; empty for
    /// those. `COUNTERSIGN__CAPTCHA__CA_FILE`
    pub ca_file: PathBuf,
    /// How many failures an account or an address has before one is needed, 1 to 1000.
    /// `COUNTERSIGN__CAPTCHA__FAILURES`
    pub failures: u32,
    /// How long failures count, from the first of them; 1m to 1d. `COUNTERSIGN__CAPTCHA__WINDOW`
    #[serde(with = "duration")]
    pub window: Duration,
    /// How long the service may take; 100ms to 30s. `COUNTERSIGN__CAPTCHA__TIMEOUT`
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// What happens when it takes longer, or fails. `COUNTERSIGN__CAPTCHA__ON_UNAVAILABLE`
    pub on_unavailable: OnUnavailable,
}

/// When a captcha is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptchaMode {
    /// Never.
    Off,
    /// For every Login.
    Always,
    /// When logins have failed.
    AfterFailures,
}

/// What happens while the service cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnavailable {
    /// Nobody logs in who would need a captcha.
    Deny,
    /// The password alone decides.
    Allow,
}

impl Default for Captcha {
    fn default() -> Self {
        Self {
            mode: CaptchaMode::Off,
            verify_url: ConfiguredUrl::default(),
            secret: SecretString::default(),
            ca_file: PathBuf::new(),
            failures: 3,
            window: Duration::from_mins(15),
            timeout: Duration::from_secs(3),
            on_unavailable: OnUnavailable::Deny,
        }
    }
}

impl Captcha {
    /// Where the service verifies. A loaded configuration that needs it does not fail here.
    pub fn url(&self) -> Result<http::Uri, Problem> {
        const KEY: &str = "captcha.verify_url";
        let url = self.verify_url.parse(KEY)?;
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_local =
            host == "localhost" || host.parse().is_ok_and(|host: std::net::IpAddr| host.is_loopback());
        match url.scheme_str() {
            Some("https") => Ok(url),
            Some("http") if is_local => Ok(url),
            _ => {
                Err(Problem::new(KEY, "must begin with https://, except on loopback: the secret goes there"))
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        bounds::number("captcha.failures", self.failures, &(1..=1000))?;
        bounds::time("captcha.window", self.window, ["1m", "1d"])?;
        bounds::time("captcha.timeout", self.timeout, ["100ms", "30s"])?;
        if self.mode == CaptchaMode::Off {
            return Ok(());
        }
        if self.verify_url.is_empty() {
            return Err(Problem::required("captcha.verify_url"));
        }
        self.url()?;
        if self.secret.expose_secret().is_empty() {
            return Err(Problem::required("captcha.secret"));
        }
        Ok(())
    }
}
