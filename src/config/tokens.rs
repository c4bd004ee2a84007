//! `[tokens]`

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{bounds, duration, url};

/// What access tokens say, and how long they live.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// The `iss` claim (RFC 7519 §4.1.1), 1 to 256 bytes. `COUNTERSIGN__TOKENS__ISSUER`
    #[serde(serialize_with = "url::redacted")]
    pub issuer: String,
    /// The audiences that a Login may ask for: the `aud` claim (RFC 7519 §4.1.3). 1 to 32, each of 1 to 256 bytes.
    /// `COUNTERSIGN__TOKENS__AUDIENCES`, separated by commas
    pub audiences: Vec<String>,
    /// The audience of a Login or a Verify that names none; when empty, the first of `audiences`.
    /// `COUNTERSIGN__TOKENS__DEFAULT_AUDIENCE`
    pub default_audience: String,
    /// How long an access token lives; whole seconds, 1s to 1d. `COUNTERSIGN__TOKENS__ACCESS_TTL`
    #[serde(with = "duration")]
    pub access_ttl: Duration,
    /// How far the clocks of two replicas may be apart, for `iat` and `nbf`; `exp` gets none. At most 1m.
    /// `COUNTERSIGN__TOKENS__LEEWAY`
    #[serde(with = "duration")]
    pub leeway: Duration,
    /// How many tokens Verify remembers, so that their signature is checked once; at most 16777216, rounded up to
    /// eight times a power of two, 0 remembers none. A usual token takes about 2 KiB of memory once it was seen, one
    /// with the most claims about 30 KiB. `COUNTERSIGN__TOKENS__VERIFIED_CACHE`
    pub verified_cache: usize,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            issuer: "countersign".to_owned(),
            audiences: vec!["countersign".to_owned()],
            default_audience: String::new(),
            access_ttl: Duration::from_mins(5),
            leeway: Duration::from_secs(5),
            verified_cache: 65_536,
        }
    }
}

impl Tokens {
    /// The audience of a request that names none.
    pub fn default_audience(&self) -> &str {
        match self.audiences.first() {
            Some(first) if self.default_audience.is_empty() => first,
            _ => &self.default_audience,
        }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        bounds::word("tokens.issuer", &self.issuer, 256)?;
        if self.issuer.contains(url::REDACTED) {
            return Err(Problem::new(
                "tokens.issuer",
                "was redacted where it was printed: write the URL itself",
            ));
        }
        if !(1..=32).contains(&self.audiences.len()) {
            return Err(Problem::new("tokens.audiences", "must name 1 to 32 audiences"));
        }
        let mut seen = BTreeSet::new();
        for audience in &self.audiences {
            bounds::word("tokens.audiences", audience, 256)?;
            if !seen.insert(audience) {
                return Err(Problem::new("tokens.audiences", format!("names {audience:?} twice")));
            }
        }
        if !self.audiences.iter().any(|audience| audience == self.default_audience()) {
            let what = format!("{:?} is not one of tokens.audiences", self.default_audience);
            return Err(Problem::between("tokens.default_audience", "tokens.audiences", what));
        }
        bounds::time("tokens.access_ttl", self.access_ttl, ["1s", "1d"])?;
        if self.access_ttl.subsec_nanos() != 0 {
            let what = format!("{} is not a whole number of seconds", duration::format(self.access_ttl));
            return Err(Problem::new("tokens.access_ttl", what));
        }
        bounds::time("tokens.leeway", self.leeway, ["0s", "1m"])?;
        bounds::number("tokens.verified_cache", self.verified_cache, &(0..=16_777_216))
    }
}
