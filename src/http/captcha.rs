//! The captcha before Login: who must solve one, and who says whether it was solved.
//!
//! Whoever guesses passwords is slowed down without locking anybody out: an account under attack asks for a captcha,
//! and still lets its owner in.

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use secrecy::SecretString;

use crate::auth::AuthError;
use crate::model::Monotonic;
use crate::reason::Reason;
use crate::transport::Chain;

mod authorities;
mod calls;
mod failures;
mod siteverify;
mod under_way;

pub use authorities::{Authorities, InvalidAuthorities};
use calls::Calls;
pub(super) use failures::Attempt;
use failures::Failures;
use siteverify::{Siteverify, SiteverifyError};
pub(super) use under_way::Looking;
use under_way::{Limit, UnderWay};

/// Carries the response of the captcha's widget.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-captcha-response");

/// When a login needs a captcha.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// When this many logins of the same account or from the same address have failed within the window.
    AfterFailures {
        /// How many.
        failures: u32,
        /// Counted from the first of them.
        window: Duration,
    },
}

/// What happens while the verifier cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnavailable {
    /// Nobody logs in who would need a captcha.
    Deny,
    /// The password alone decides.
    Allow,
}

/// How captchas are checked.
#[derive(Debug, Clone)]
pub struct CaptchaOptions {
    /// Where the verifier is asked: the siteverify protocol of Turnstile, hCaptcha and reCAPTCHA.
    pub verify_url: http::Uri,
    /// The site's secret.
    pub secret: SecretString,
    /// The authorities that the verifier's certificate may come from; none for those that browsers trust.
    pub authorities: Option<Authorities>,
    /// When a captcha is needed.
    pub when: When,
    /// How long the verifier may take.
    pub timeout: Duration,
    /// What happens when it takes longer, or fails.
    pub on_unavailable: OnUnavailable,
}

/// The hook before Login.
pub struct Captcha {
    when: When,
    on_unavailable: OnUnavailable,
    failures: Failures,
    under_way: UnderWay,
    calls: Calls,
    verifier: Siteverify,
}

impl Captcha {
    /// Checks by these rules. Asks nobody yet.
    pub fn new(options: CaptchaOptions) -> Self {
        let CaptchaOptions { verify_url, secret, authorities, timeout, .. } = options;
        let verifier = Siteverify::new(verify_url, secret, authorities, timeout);
        let (when, on_unavailable) = (options.when, options.on_unavailable);
        Self {
            when,
            on_unavailable,
            failures: Failures::default(),
            under_way: UnderWay::default(),
            calls: Calls::default(),
            verifier,
        }
    }

    /// Refuses an attempt that needs a captcha and has none that was solved. One that needs none is under way until what is
    /// returned is dropped; it may wait for others for as long as `patience`.
    pub(super) async fn check(
        &self,
        attempt: &Attempt,
        response: Option<&str>,
        now: Monotonic,
        patience: Duration,
    ) -> Result<Option<Looking>, AuthError> {
        if let When::AfterFailures { failures, window } = self.when {
            let limit = Limit { failures, window };
            let looking = self.under_way.begin(&self.failures, attempt, limit, now, patience).await;
            if looking.is_some() {
                return Ok(looking);
            }
        }
        let Some(response) = response else { return Err(Reason::CaptchaRequired.into()) };
        let _call = self.calls.begin(attempt.address.map(network), now)?;
        match (self.verifier.verify(response, attempt.address).await, self.on_unavailable) {
            (Ok(()), _) => Ok(None),
            (Err(SiteverifyError::Rejected { codes }), _) => {
                tracing::debug!(codes, "captcha not solved");
                Err(Reason::CaptchaRejected.into())
            }
            (Err(error), OnUnavailable::Deny) => {
                Err(AuthError::new(Reason::CaptchaUnavailable).caused_by(error))
            }
            (Err(error), OnUnavailable::Allow) => {
                tracing::warn!(error = %Chain(&error), "captcha not checked; the login goes on without it");
                Ok(None)
            }
        }
    }

    /// The password was wrong.
    pub(super) fn failed(&self, attempt: &Attempt, now: Monotonic) {
        if let When::AfterFailures { window, .. } = self.when {
            self.failures.count(attempt, window, now);
        }
    }

    /// The password was right: the account is in its owner's hands. The address is not forgiven, for somebody may
    /// have an account of their own and guess at others.
    pub(super) fn succeeded(&self, attempt: &Attempt) {
        self.failures.forget_account(attempt);
    }
}

/// The response that came with a login. No widget's is longer than the limit.
pub(super) fn response(headers: &HeaderMap) -> Option<&str> {
    const LONGEST: usize = 8 * 1024;
    let value = headers.get(HEADER)?.to_str().ok()?.trim();
    (!value.is_empty() && value.len() <= LONGEST).then_some(value)
}

/// The address that stands for a client: in IPv6 anybody has as many as they like within their /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        address @ IpAddr::V4(_) => address,
    }
}
