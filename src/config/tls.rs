//! `[grpc.tls]`, `[edge.tls]`, `[operations.tls]`, and `[[grpc.allow]]`

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Problem;
use super::{bounds, duration};
use crate::model::Role;

/// The TLS of a listener: 1.2 and 1.3. The files are looked at every few seconds, and what they hold then is what
/// new connections get; those that are there go on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// A PEM file: the certificate, and those between it and the authority. Empty: no TLS.
    /// `COUNTERSIGN__GRPC__TLS__CERTIFICATE_FILE`, `COUNTERSIGN__EDGE__TLS__CERTIFICATE_FILE`,
    /// `COUNTERSIGN__OPERATIONS__TLS__CERTIFICATE_FILE`
    pub certificate_file: PathBuf,
    /// A PEM file: its private key. `COUNTERSIGN__GRPC__TLS__KEY_FILE`, `COUNTERSIGN__EDGE__TLS__KEY_FILE`,
    /// `COUNTERSIGN__OPERATIONS__TLS__KEY_FILE`
    pub key_file: PathBuf,
    /// A PEM file: the authorities that clients' certificates must come from.
    /// `COUNTERSIGN__GRPC__TLS__CLIENT_CA_FILE`, `COUNTERSIGN__EDGE__TLS__CLIENT_CA_FILE`,
    /// `COUNTERSIGN__OPERATIONS__TLS__CLIENT_CA_FILE`
    pub client_ca_file: PathBuf,
    /// Whether clients bring certificates. `COUNTERSIGN__GRPC__TLS__CLIENT_CERTIFICATES`,
    /// `COUNTERSIGN__EDGE__TLS__CLIENT_CERTIFICATES`, `COUNTERSIGN__OPERATIONS__TLS__CLIENT_CERTIFICATES`
    pub client_certificates: ClientCertificates,
    /// How long a handshake may take; 100ms to 1m. `COUNTERSIGN__GRPC__TLS__HANDSHAKE_TIMEOUT`,
    /// `COUNTERSIGN__EDGE__TLS__HANDSHAKE_TIMEOUT`, `COUNTERSIGN__OPERATIONS__TLS__HANDSHAKE_TIMEOUT`
    #[serde(with = "duration")]
    pub handshake_timeout: Duration,
}

/// Whether clients bring certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificates {
    /// They are not asked for.
    #[default]
    None,
    /// They are asked for, and those without are served too.
    Optional,
    /// Those without are refused.
    Required,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate_file: PathBuf::new(),
            key_file: PathBuf::new(),
            client_ca_file: PathBuf::new(),
            client_certificates: ClientCertificates::None,
            handshake_timeout: Duration::from_secs(5),
        }
    }
}

/// The keys of one listener's TLS, as people write them.
pub(super) struct Keys {
    certificate: &'static str,
    key: &'static str,
    authority: &'static str,
    clients: &'static str,
    timeout: &'static str,
}

macro_rules! keys {
    ($section:literal) => {
        Keys {
            certificate: concat!($section, ".tls.certificate_file"),
            key: concat!($section, ".tls.key_file"),
            authority: concat!($section, ".tls.client_ca_file"),
            clients: concat!($section, ".tls.client_certificates"),
            timeout: concat!($section, ".tls.handshake_timeout"),
        }
    };
}

impl Keys {
    pub(super) const GRPC: Self = keys!("grpc");
    pub(super) const EDGE: Self = keys!("edge");
    pub(super) const OPERATIONS: Self = keys!("operations");
}

impl Tls {
    /// Whether TLS is spoken.
    pub fn is_enabled(&self) -> bool {
        is_given(&self.certificate_file)
    }

    pub(super) fn check(&self, keys: &Keys) -> Result<(), Problem> {
        if is_given(&self.certificate_file) != is_given(&self.key_file) {
            let what = format!("and {} go together: give both or none", keys.key);
            return Err(Problem::between(keys.certificate, keys.key, what));
        }
        let asked = self.client_certificates != ClientCertificates::None;
        if asked && !self.is_enabled() {
            let what = format!("needs TLS: set {} and {}", keys.certificate, keys.key);
            return Err(Problem::new(keys.clients, what));
        }
        if asked != is_given(&self.client_ca_file) {
            let what = format!(
                "goes with {} \"optional\" or \"required\", and neither without the other",
                keys.clients
            );
            return Err(Problem::between(keys.authority, keys.clients, what));
        }
        bounds::time(keys.timeout, self.handshake_timeout, ["100ms", "1m"])
    }
}

fn is_given(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

/// Who may call some methods. A method that some rule names may be called by those alone whom such a rule names;
/// a method that no rule names, by everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowRule {
    /// `package.Service/Method`, `package.Service/*`, or `*` for all.
    pub methods: Vec<String>,
    /// The names in their certificates (subject alternative names): `spiffe://trust.domain/path` or another URI,
    /// one that ends in `/*` for all below it; `dns:name.example`; `*` for any certificate that is good; or `anyone`,
    /// with a certificate or without.
    #[serde(default)]
    pub sans: Vec<String>,
    /// The roles in their access tokens, sent as `authorization: Bearer …`: one of them is enough, whatever their
    /// certificate.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// The key of the rules.
const ALLOW: &str = "grpc.allow";
/// In the place of a certificate's name: every caller, with a certificate or without.
const ANYONE: &str = "anyone";
/// The most rules, and the most that one names.
const MOST: usize = 64;

/// Checks the rules.
pub(super) fn check_allow(rules: &[AllowRule], tls: &Tls) -> Result<(), Problem> {
    if rules.len() > MOST {
        return Err(Problem::new(ALLOW, format!("has more than {MOST} rules")));
    }
    for (rule, number) in rules.iter().zip(1..) {
        let refuse = |what: String| Err(Problem::new(ALLOW, format!("rule {number} {what}")));
        if !(1..=MOST).contains(&rule.methods.len()) {
            return refuse(format!("must have 1 to {MOST} methods"));
        }
        if !(1..=MOST).contains(&(rule.sans.len() + rule.roles.len())) {
            return refuse(format!("must have 1 to {MOST} sans and roles"));
        }
        if let Some(error) = rule.roles.iter().find_map(|role| Role::parse(role).err()) {
            return refuse(format!("names a {error}"));
        }
        if let Some(method) = rule.methods.iter().find(|method| !is_method(method)) {
            return refuse(format!(
                "names {method:?}, which is none of \"package.Service/Method\", \"package.Service/*\" and \"*\""
            ));
        }
        if let Some(san) = rule.sans.iter().find(|san| !is_san(san)) {
            return refuse(format!(
                "names {san:?}, which is none of \"spiffe://domain/path\", \"spiffe://domain/path/*\", \
                 \"dns:name\" in lower case, \"*\" and \"anyone\""
            ));
        }
    }
    let by_certificate = |rule: &AllowRule| rule.sans.iter().any(|san| san != ANYONE);
    if rules.iter().any(by_certificate) && tls.client_certificates == ClientCertificates::None {
        let what =
            "goes by clients' certificates: set grpc.tls.client_certificates to \"optional\" or \"required\"";
        return Err(Problem::between(ALLOW, "grpc.tls.client_certificates", what));
    }
    Ok(())
}

fn is_method(text: &str) -> bool {
    let word = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    text == "*"
        || text
            .split_once('/')
            .is_some_and(|(service, method)| word(service, b"._") && (method == "*" || word(method, b"_")))
}

fn is_san(text: &str) -> bool {
    if text == "*" || text == ANYONE {
        return true;
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    if let Some(host) = text.strip_prefix("dns:") {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_*".contains(&byte);
        return !host.is_empty() && host.bytes().all(allowed);
    }
    // A star stands for a whole rest of the path, below a host that is named.
    let whole = text.strip_suffix("/*").unwrap_or(text);
    let parts = whole.split_once("://");
    parts.is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty() && !rest.starts_with('/'))
        && !whole.contains('*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_methods_and_names_that_can_be_meant() {
        for good in ["*", "countersign.v1.RevocationService/*", "a.B/C", "grpc.health.v1.Health/Check"] {
            assert!(is_method(good), "{good}");
        }
        for bad in ["", "/", "a.B", "/a.B/C", "a.B/", "a.*/C", "a.B/C*", "**", "a.B/C/D"] {
            assert!(!is_method(bad), "{bad}");
        }
        for good in
            ["*", "spiffe://td/ns/a", "spiffe://td/ns/*", "spiffe://td/*", "dns:a.example", "https://a/b"]
        {
            assert!(is_san(good), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "dns:",
            "dns:A",
            "spiffe://",
            "spiffe:///a",
            "spiffe://*",
            "spiffe://td/a*",
            "a b",
        ] {
            assert!(!is_san(bad), "{bad}");
        }
    }
}
