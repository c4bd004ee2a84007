//! Whom a client's certificate names.

use std::sync::Arc;

use x509_parser::extensions::GeneralName;

/// The most names of one certificate that are looked at, and how long one may be (SPIFFE allows 2,048 bytes).
const MOST_NAMES: usize = 64;
const LONGEST_NAME: usize = 2048;

/// The subject alternative names of a certificate that was verified, each in one writing:
/// `spiffe://trust.domain/path` for a URI, `dns:name.example` in lower case for a DNS name. What cannot be
/// written so without being taken for another is left out; the common name is not looked at (RFC 6125 §6.4.4).
pub type CertificateNames = Arc<[String]>;

/// The names in a certificate, URIs first.
pub(super) fn names(certificate: &[u8]) -> CertificateNames {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else {
        return CertificateNames::default();
    };
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return CertificateNames::default();
    };
    let names = &extension.value.general_names;
    let uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => uri_name(uri),
        _ => None,
    });
    let hosts = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(host) => dns_name(host),
        _ => None,
    });
    uris.chain(hosts).take(MOST_NAMES).collect()
}

fn uri_name(uri: &str) -> Option<String> {
    let visible = uri.bytes().all(|byte| byte.is_ascii_graphic());
    (visible && uri.len() <= LONGEST_NAME && uri.contains("://") && !uri.starts_with("dns:"))
        .then(|| uri.to_owned())
}

fn dns_name(host: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_*".contains(&byte);
    (!host.is_empty() && host.len() <= 253 && host.bytes().all(allowed))
        .then(|| format!("dns:{}", host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_can_be_taken_for_one_of_another_kind_or_forge_a_line_of_the_log() {
        assert_eq!(uri_name("spiffe://example/ns/a").as_deref(), Some("spiffe://example/ns/a"));
        for uri in ["dns:gateway.example", "dns://x/gateway", "urn:x", "spiffe://a/\nb", "spiffe://a b", ""] {
            assert_eq!(uri_name(uri), None, "{uri:?}");
        }
        assert_eq!(dns_name("Gateway.Example").as_deref(), Some("dns:gateway.example"));
        for host in ["spiffe://example/a", "a b", "", "gateway\n"] {
            assert_eq!(dns_name(host), None, "{host:?}");
        }
    }
}
