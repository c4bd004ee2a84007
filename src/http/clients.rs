//! The programs that may ask about tokens, and how they prove that they are it.

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use super::refusal::Refused;
use crate::reason::Reason;

/// A program with a secret (RFC 6749 §2.3.1).
#[derive(Debug, Clone)]
pub struct Client {
    /// What it is called.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
    /// The audiences that it goes by: it is told of tokens that are meant for one of them. The configured default
    /// when empty.
    pub audiences: Vec<String>,
}

/// Every such program. Of the secrets only digests are kept.
#[derive(Debug, Default)]
pub struct Clients(Vec<Known>);

#[derive(Debug)]
struct Known {
    credentials: [u8; SHA256_OUTPUT_LEN],
    audiences: Vec<String>,
}

impl FromIterator<Client> for Clients {
    fn from_iter<I: IntoIterator<Item = Client>>(clients: I) -> Self {
        let known = |client: Client| {
            let credentials = format!("{}:{}", client.id, client.secret.expose_secret());
            Known { credentials: fingerprint(credentials.as_bytes()), audiences: client.audiences }
        };
        Self(clients.into_iter().map(known).collect())
    }
}

fn fingerprint(credentials: &[u8]) -> [u8; SHA256_OUTPUT_LEN] {
    let mut fingerprint = [0; SHA256_OUTPUT_LEN];
    fingerprint.copy_from_slice(digest(&SHA256, credentials).as_ref());
    fingerprint
}

impl Clients {
    /// Whether there are any.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The audiences of the client that a request authenticates as, by HTTP Basic (RFC 7617). How long the
    /// answer takes tells nothing of how near a guess was: digests are compared, all of them, to their end.
    pub(super) fn authenticate(&self, headers: &HeaderMap) -> Result<&[String], Refused> {
        let refused = || Refused::from(Reason::ClientUnauthenticated);
        let credentials = basic(headers).ok_or_else(refused)?;
        // RFC 6749 has both halves form-encoded first, which most programs leave out: either is right.
        let spellings = [fingerprint(&credentials), fingerprint(&decoded(&credentials))];
        let mut found = None;
        for client in &self.0 {
            let equal = |spelling: &[u8; SHA256_OUTPUT_LEN]| spelling.ct_eq(&client.credentials);
            let equal: Choice = equal(&spellings[0]) | equal(&spellings[1]);
            if bool::from(equal) {
                found = Some(client.audiences.as_slice());
            }
        }
        found.ok_or_else(refused)
    }
}

/// The id and the secret that a request authenticates with by HTTP Basic, form-decoded (RFC 6749 §2.3.1).
pub(super) fn basic_credentials(headers: &HeaderMap) -> Option<(String, SecretString)> {
    let credentials = Zeroizing::new(basic(headers)?);
    let colon = credentials.iter().position(|byte| *byte == b':')?;
    let text = |half: &[u8]| String::from_utf8(decoded(half)).ok().filter(|text| !text.is_empty());
    Some((text(&credentials[..colon])?, text(&credentials[colon + 1..])?.into()))
}

fn basic(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    STANDARD.decode(encoded.trim()).ok()
}

fn decoded(credentials: &[u8]) -> Vec<u8> {
    let plus = credentials.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect::<Vec<_>>();
    percent_encoding::percent_decode(&plus).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients() -> Clients {
        let client = |id: &str, secret: &str| Client {
            id: id.to_owned(),
            secret: secret.into(),
            audiences: vec![id.to_owned()],
        };
        [client("gateway", "a+b%c/d:e"), client("orders", "other")].into_iter().collect()
    }

    fn authenticate(header: &str) -> Option<Vec<String>> {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, header.parse().unwrap())]);
        clients().authenticate(&headers).ok().map(<[String]>::to_vec)
    }

    #[test]
    fn a_client_proves_who_it_is_by_its_secret() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(authenticate(&basic("gateway:a+b%c/d:e")), Some(vec!["gateway".to_owned()]));
        assert_eq!(authenticate(&basic("gateway:a%2Bb%25c%2Fd%3Ae")), Some(vec!["gateway".to_owned()]));
        assert_eq!(authenticate(&basic("orders:other")), Some(vec!["orders".to_owned()]));
        for wrong in ["gateway:other", "orders:a+b%c/d:e", "gateway:", "gateway", ":", "", "nobody:x"] {
            assert_eq!(authenticate(&basic(wrong)), None, "{wrong}");
        }
        for wrong in ["Basic !", "Basic", "Bearer b3JkZXJzOm90aGVy"] {
            assert_eq!(authenticate(wrong), None, "{wrong}");
        }
        assert!(Clients::default().authenticate(&HeaderMap::new()).is_err());
    }
}
