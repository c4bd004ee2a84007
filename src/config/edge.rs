//! `[edge]`

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::tls::{self, Tls};
use super::{Grpc, Operations, bounds, duration, error_codes, origins, secret};
use crate::reason::Reason;

/// The HTTP edge: JSON for browsers, gateways and OAuth tools. How long its calls may take is what `[grpc]` and
/// `[rotation]` say.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch that an operator sets, independent of the others"
)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// Whether there is one. `COUNTERSIGN__EDGE__ENABLED`
    pub enabled: bool,
    /// The address to serve on; port 0 takes any free one. `COUNTERSIGN__EDGE__LISTEN`
    #[serde(deserialize_with = "bounds::address")]
    pub listen: SocketAddr,
    /// The most connections at once, 1 to 1,000,000; one more is closed. `COUNTERSIGN__EDGE__MAX_CONNECTIONS`
    pub max_connections: u32,
    /// How refresh tokens travel. `COUNTERSIGN__EDGE__REFRESH_TRANSPORT`
    pub refresh_transport: RefreshTransport,
    /// How the refresh token's cookie is called behind its prefix, 1 to 64 of `A-Z a-z 0-9 _ -`. The prefix is
    /// `__Secure-`, and `__Host-` where `cookie_path` is `/`. `COUNTERSIGN__EDGE__COOKIE_NAME`
    pub cookie_name: String,
    /// The paths that browsers send it to: those that the edge's `/v1/auth` has for them.
    /// `COUNTERSIGN__EDGE__COOKIE_PATH`
    pub cookie_path: String,
    /// Which pages' requests it goes with. `COUNTERSIGN__EDGE__COOKIE_SAME_SITE`
    pub cookie_same_site: SameSite,
    /// Whether browsers come by plain HTTP, so that cookies must do without `Secure`; loopback only.
    /// `COUNTERSIGN__EDGE__PLAIN_HTTP`
    pub plain_http: bool,
    /// Whether the demonstration page is at `/`. `COUNTERSIGN__EDGE__DEMONSTRATION`
    pub demonstration: bool,
    /// In which shape errors are told. `COUNTERSIGN__EDGE__ERRORS`
    pub errors: ErrorShape,
    /// Whether every answer under `/v1/auth` is `{code, message, data, timestamp}` with status 200.
    /// `COUNTERSIGN__EDGE__ENVELOPE`
    pub envelope: bool,
    /// How points in time are written in answers. `COUNTERSIGN__EDGE__TIMES`
    pub times: Times,
    /// `[edge.error_codes]`: the application's own number for a reason of docs/errors.md, in the place of the catalogue's.
    /// `COUNTERSIGN__EDGE__ERROR_CODES`, as `TOKEN_MISSING=1001,ACCESS_TOKEN_EXPIRED=1002`
    pub error_codes: BTreeMap<String, u32>,
    /// The origins whose pages may call, beside the edge's own: `https://app.example`. At most 64.
    /// `COUNTERSIGN__EDGE__ALLOWED_ORIGINS`, separated by commas
    pub allowed_origins: Vec<String>,
    /// Whether a request with the refresh cookie needs the double-submit token, too. `COUNTERSIGN__EDGE__CSRF`
    pub csrf: bool,
    /// `Strict-Transport-Security` on what came over HTTPS, here or by `X-Forwarded-Proto`; 0s to 3650d, 0s for none.
    /// `COUNTERSIGN__EDGE__HSTS`
    #[serde(with = "duration")]
    pub hsts: Duration,
    /// The proxies whose `X-Forwarded-For` is believed: addresses and networks, `10.0.0.0/8`. At most 64.
    /// `COUNTERSIGN__EDGE__TRUSTED_PROXIES`, separated by commas
    pub trusted_proxies: Vec<String>,
    /// Who may call `/oauth2/…`: a line for each, with its id, its secret and its audiences, blanks in between. A
    /// secret. `COUNTERSIGN__EDGE__CLIENTS`, or a file that holds it: `COUNTERSIGN__EDGE__CLIENTS_FILE`
    #[serde(serialize_with = "secret::redacted")]
    pub clients: SecretString,
    /// `[edge.tls]`
    pub tls: Tls,
}

/// How a refresh token travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshTransport {
    /// In a cookie that no script can read.
    Cookie,
    /// In the bodies.
    Body,
}

/// Which pages' requests a cookie goes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SameSite {
    /// Those of the site alone.
    Strict,
    /// And those that a link from elsewhere leads to.
    Lax,
    /// All, where the browser permits it.
    None,
}

/// In which shape an error is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorShape {
    /// A problem (RFC 9457).
    Problem,
    /// A `google.rpc.Status`, as a transcoding gateway tells it.
    Status,
}

/// How a point in time is written in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// As text by RFC 3339, as proto3 JSON has it.
    Rfc3339,
    /// As a number: milliseconds since 1970.
    EpochMillis,
}

/// A program that may call `/oauth2/…`.
#[derive(Debug, Clone)]
pub struct EdgeClient {
    /// What it is called.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
    /// The audiences that it goes by; the configured default when empty.
    pub audiences: Vec<String>,
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            max_connections: 10_000,
            refresh_transport: RefreshTransport::Cookie,
            cookie_name: "countersign_refresh".to_owned(),
            cookie_path: "/v1/auth".to_owned(),
            cookie_same_site: SameSite::Strict,
            plain_http: false,
            demonstration: false,
            errors: ErrorShape::Problem,
            envelope: false,
            times: Times::Rfc3339,
            error_codes: BTreeMap::new(),
            allowed_origins: Vec::new(),
            csrf: false,
            hsts: Duration::from_hours(365 * 24),
            trusted_proxies: Vec::new(),
            clients: SecretString::default(),
            tls: Tls::default(),
        }
    }
}

impl Edge {
    const CLIENTS: &str = "edge.clients";
    const MOST: usize = 64;

    /// The programs that may call `/oauth2/…`. A loaded configuration has been through this, and does not fail here.
    pub fn clients(&self) -> Result<Vec<EdgeClient>, Problem> {
        let lines = self.clients.expose_secret().lines().zip(1..);
        let lines = lines.filter(|(line, _)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        let mut seen = BTreeSet::new();
        lines
            .map(|(line, number)| {
                let refuse = |what: &str| Problem::new(Self::CLIENTS, format!("line {number} {what}"));
                let mut words = line.split_whitespace();
                let (Some(id), Some(secret)) = (words.next(), words.next()) else {
                    return Err(refuse("is not an id, a secret and audiences, with blanks in between"));
                };
                let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
                if !id.bytes().all(safe) || id.len() > 64 {
                    return Err(refuse("has an id that is not 1 to 64 of A-Z a-z 0-9 . _ -"));
                }
                if !(16..=256).contains(&secret.len()) || !secret.bytes().all(|byte| byte.is_ascii_graphic())
                {
                    return Err(refuse("has a secret that is not 16 to 256 visible ASCII characters"));
                }
                if !seen.insert(id) {
                    return Err(refuse("has the id of a line before it"));
                }
                let audiences = words.map(str::to_owned).collect();
                Ok(EdgeClient { id: id.to_owned(), secret: secret.into(), audiences })
            })
            .collect()
    }

    /// The application's own numbers. A loaded configuration does not fail here.
    pub fn error_codes(&self) -> Result<BTreeMap<Reason, u32>, Problem> {
        error_codes::numbers(&self.error_codes)
    }

    /// The networks whose proxies are believed. A loaded configuration does not fail here.
    pub fn trusted_networks(&self) -> Result<Vec<(IpAddr, u8)>, Problem> {
        bounds::networks("edge.trusted_proxies", &self.trusted_proxies)
    }

    pub(super) fn check(&self, grpc: &Grpc, operations: &Operations) -> Result<(), Problem> {
        for (other, address) in [("grpc.listen", grpc.listen), ("operations.listen", operations.listen)] {
            if self.enabled && self.listen == address && self.listen.port() != 0 {
                let what = format!("{} is the address of {other}, too", self.listen);
                return Err(Problem::between("edge.listen", other, what));
            }
        }
        bounds::number("edge.max_connections", self.max_connections, &(1..=1_000_000))?;
        if self.plain_http && !self.listen.ip().is_loopback() {
            let what = format!("is for loopback only, and edge.listen is {}", self.listen);
            return Err(Problem::between("edge.plain_http", "edge.listen", what));
        }
        if self.envelope && self.errors != ErrorShape::Problem {
            let what = "has a shape of its own for errors: leave edge.errors at \"problem\"";
            return Err(Problem::between("edge.envelope", "edge.errors", what));
        }
        self.check_cookie()?;
        if self.plain_http && self.tls.is_enabled() {
            let what = "must be false where edge.tls is set: then browsers come by HTTPS";
            return Err(Problem::between("edge.plain_http", "edge.tls.certificate_file", what));
        }
        self.tls.check(&tls::Keys::EDGE)?;
        origins::check("edge.allowed_origins", &self.allowed_origins)?;
        bounds::time("edge.hsts", self.hsts, ["0s", "3650d"])?;
        self.trusted_networks()?;
        self.error_codes()?;
        let clients = self.clients()?;
        if clients.len() > Self::MOST {
            return Err(Problem::new(Self::CLIENTS, format!("names more than {}", Self::MOST)));
        }
        clients
            .iter()
            .flat_map(|client| &client.audiences)
            .try_for_each(|audience| bounds::word(Self::CLIENTS, audience, 256))
    }

    fn check_cookie(&self) -> Result<(), Problem> {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let name = &self.cookie_name;
        if name.is_empty() || name.len() > 64 || !name.bytes().all(safe) {
            return Err(Problem::new("edge.cookie_name", "must be 1 to 64 of A-Z a-z 0-9 _ -"));
        }
        if name.starts_with("__") || name == "countersign_csrf" {
            let what = "must not begin with \"__\", for the prefix is added, nor be \"countersign_csrf\"";
            return Err(Problem::new("edge.cookie_name", what));
        }
        let path = &self.cookie_path;
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"/._~-".contains(&byte);
        let is_path = path.starts_with('/') && !path.contains("//") && path.bytes().all(safe);
        if !is_path || path.len() > 256 || (path.len() > 1 && path.ends_with('/')) {
            let what =
                "must be a path such as \"/v1/auth\", of 256 bytes at most, without a slash at its end";
            return Err(Problem::new("edge.cookie_path", what));
        }
        if path.contains("/v1/auth/") {
            let what = "is narrower than /v1/auth, where Login sets the cookie and Logout deletes it";
            return Err(Problem::new("edge.cookie_path", what));
        }
        if self.cookie_same_site == SameSite::None {
            const KEY: &str = "edge.cookie_same_site";
            if self.plain_http {
                let what = "is \"none\", which browsers take over HTTPS only";
                return Err(Problem::between(KEY, "edge.plain_http", what));
            }
            if self.allowed_origins.is_empty() {
                let what = "is \"none\" for pages of another site, and edge.allowed_origins names none";
                return Err(Problem::between(KEY, "edge.allowed_origins", what));
            }
        }
        Ok(())
    }
}
