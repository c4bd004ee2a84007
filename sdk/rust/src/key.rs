use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use jsonwebtoken::DecodingKey;
// Called by its name and never installed: which cryptography jsonwebtoken uses in this process is for the
// application to say, which may have enabled another.
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER as AWS_LC;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use serde_json::Value;

/// How a token is signed: the `alg` of its header (RFC 7518 §3.1, RFC 8037 §3.1). Every one is asymmetric, so
/// that whoever can verify cannot sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `EdDSA` over Ed25519 (RFC 8037); the default.
    EdDSA,
    /// ECDSA over P-256 with SHA-256 (RFC 7518 §3.4).
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3), 2048 bits or more.
    Rs256,
}

/// Text that names no [`Algorithm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an algorithm: one of EdDSA, ES256, RS256 is meant")]
pub struct UnknownAlgorithm;

impl Algorithm {
    /// Every algorithm there is.
    pub const ALL: [Self; 3] = [Self::EdDSA, Self::Es256, Self::Rs256];

    /// The name in a token's header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDSA => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm with exactly this name (names are case-sensitive, RFC 7515 §4.1.1).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The algorithm that a public key is for, by the `AlgorithmIdentifier` in its `SubjectPublicKeyInfo`
    /// (RFC 5280 §4.1.2.7); none for keys of other kinds. The key itself is not looked at.
    pub fn of_spki_der(der: &[u8]) -> Option<Self> {
        let identifier = der_sequence_body(der)?;
        Self::ALL.into_iter().find(|algorithm| identifier.starts_with(algorithm.identifier()))
    }

    /// The DER of the `AlgorithmIdentifier`: RFC 8410 §3, RFC 5480 §2.1.1, RFC 3279 §2.3.1.
    const fn identifier(self) -> &'static [u8] {
        match self {
            Self::EdDSA => &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70],
            Self::Es256 => &[
                0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
                0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
            ],
            Self::Rs256 => {
                &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00]
            }
        }
    }

    /// The same for jsonwebtoken.
    const fn of_jsonwebtoken(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::EdDSA => jsonwebtoken::Algorithm::EdDSA,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::EdDSA => &ED25519,
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        Self::from_name(text).ok_or(UnknownAlgorithm)
    }
}

/// What follows the tag and the length of a DER SEQUENCE.
fn der_sequence_body(der: &[u8]) -> Option<&[u8]> {
    let (&[0x30, length], rest) = der.split_first_chunk()? else { return None };
    match length {
        0x00..=0x7f => Some(rest),
        // 0x80 means an indefinite length, which DER does not have.
        0x80 => None,
        long => rest.get(usize::from(long & 0x7f)..),
    }
}

/// Text that cannot name a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key id is 1 to {max} characters out of A-Z a-z 0-9 . _ -", max = KeyId::MAX_LEN)]
pub struct InvalidKeyId;

/// Names a key: the `kid` of a token's header (RFC 7515 §4.1.4).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// The longest key id, in characters.
    pub const MAX_LEN: usize = 64;

    /// Checks that the text can name a key: safe in a file name, a URL and a log line.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyId> {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(safe) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidKeyId)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.0)
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        Self::parse(text)
    }
}

impl Borrow<str> for KeyId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Why a public key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Not a DER `SubjectPublicKeyInfo`, or not its one canonical encoding.
    #[error("not a DER SubjectPublicKeyInfo (RFC 5280 §4.1) in its canonical form")]
    Malformed,
    /// A key of another kind or on another curve than the algorithm asks for.
    #[error("a key of another kind or curve than {expected} asks for")]
    WrongKind {
        /// The algorithm that the key was to be used with.
        expected: Algorithm,
    },
    /// An RSA key whose modulus is too short to be safe (RFC 7518 §3.3) or too long to be checked fast.
    #[error(
        "an RSA key of {bits} bits; {min} to {max} are allowed",
        min = VerifyingKey::MIN_RSA_BITS,
        max = VerifyingKey::MAX_RSA_BITS
    )]
    RsaSize {
        /// The length of the modulus.
        bits: u32,
    },
}

/// A public key that verifies the tokens which name it. Parsed once, used by any number of threads.
#[derive(Clone)]
pub struct VerifyingKey {
    id: KeyId,
    algorithm: Algorithm,
    spki: Arc<[u8]>,
    key: Arc<DecodingKey>,
    jwk: Arc<Value>,
}

impl VerifyingKey {
    /// The shortest RSA modulus, in bits.
    pub const MIN_RSA_BITS: u32 = 2048;
    /// The longest RSA modulus, in bits.
    pub const MAX_RSA_BITS: u32 = 8192;

    /// Parses a DER `SubjectPublicKeyInfo` (RFC 5280 §4.1): what a `PUBLIC KEY` block of a PEM file holds.
    ///
    /// The key is bound to the one algorithm: a token's header has no say in how it is used (RFC 8725 §3.1).
    pub fn from_spki_der(id: KeyId, algorithm: Algorithm, der: &[u8]) -> Result<Self, InvalidKey> {
        if der_sequence_body(der).is_none() {
            return Err(InvalidKey::Malformed);
        }
        if Algorithm::of_spki_der(der) != Some(algorithm) {
            return Err(InvalidKey::WrongKind { expected: algorithm });
        }
        let key = decoding_key(algorithm, der)?;
        let parsed =
            ParsedPublicKey::new(algorithm.verification(), der).map_err(|_| InvalidKey::Malformed)?;
        // The parser overlooks trailing bytes; one key must have one encoding.
        let canonical: PublicKeyX509Der<'_> = parsed.as_der().map_err(|_| InvalidKey::Malformed)?;
        if canonical.as_ref() != der {
            return Err(InvalidKey::Malformed);
        }
        let jwk = jwk(&id, algorithm, &key).ok_or(InvalidKey::Malformed)?;
        Ok(Self { id, algorithm, spki: der.into(), key: Arc::new(key), jwk: Arc::new(jwk) })
    }

    /// Its name in a token's header.
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// The one algorithm that it is used with.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The DER `SubjectPublicKeyInfo`.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The key as a member of a JWK set (RFC 7517 §4), with `use`, `alg` and `kid`: after RFC 8037 §2 for Ed25519,
    /// RFC 7518 §6.2 for P-256, §6.3 for RSA.
    pub fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// Whether `signature` is this key's over `message`. Signatures are in the form of RFC 7518 §3 (for ES256
    /// the 64 bytes of r ‖ s) and RFC 8037 §3.1.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let verifier = (AWS_LC.verifier_factory)(&self.algorithm.of_jsonwebtoken(), &self.key);
        verifier.is_ok_and(|verifier| verifier.verify(message, &signature.to_vec()).is_ok())
    }
}

/// The key as jsonwebtoken takes it: for Ed25519 and P-256 the bare bits, which end the `SubjectPublicKeyInfo`.
fn decoding_key(algorithm: Algorithm, spki: &[u8]) -> Result<DecodingKey, InvalidKey> {
    let key = match algorithm {
        Algorithm::EdDSA => spki.last_chunk::<32>().map(|point| DecodingKey::from_ed_der(point)),
        Algorithm::Es256 => spki.last_chunk::<65>().map(|point| DecodingKey::from_ec_der(point)),
        Algorithm::Rs256 => {
            let components = (AWS_LC.key_utils.rsa_pub_components_from_public_key)(spki);
            let (modulus, exponent) = components.map_err(|_| InvalidKey::Malformed)?;
            check_rsa_size(&modulus)?;
            Some(DecodingKey::from_rsa_raw_components(&modulus, &exponent))
        }
    };
    key.ok_or(InvalidKey::Malformed)
}

fn jwk(id: &KeyId, algorithm: Algorithm, key: &DecodingKey) -> Option<Value> {
    let mut jwk = Jwk::from_decoding_key(key, Some(algorithm.of_jsonwebtoken())).ok()?;
    jwk.common.key_id = Some(id.to_string());
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    serde_json::to_value(jwk).ok()
}

/// `modulus` is big-endian, without leading zeros.
fn check_rsa_size(modulus: &[u8]) -> Result<(), InvalidKey> {
    let leading = modulus.first().map_or(0, |first| first.leading_zeros());
    let bits = u32::try_from(modulus.len()).map_or(u32::MAX, |bytes| bytes.saturating_mul(8)) - leading;
    if (VerifyingKey::MIN_RSA_BITS..=VerifyingKey::MAX_RSA_BITS).contains(&bits) {
        Ok(())
    } else {
        Err(InvalidKey::RsaSize { bits })
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Two keys have one id, so that it cannot be told which of them a token means.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two keys are called {0}")]
pub struct DuplicateKeyId(pub KeyId);

/// The keys that tokens are accepted from (RFC 7517 §5).
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: BTreeMap<KeyId, Arc<VerifyingKey>>,
}

impl KeySet {
    /// A set of these keys; no two may have one id.
    pub fn new<K: Into<Arc<VerifyingKey>>>(
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Self, DuplicateKeyId> {
        let mut set = Self::default();
        for key in keys {
            let key = key.into();
            if let Some(other) = set.keys.insert(key.id().clone(), key) {
                return Err(DuplicateKeyId(other.id().clone()));
            }
        }
        Ok(set)
    }

    /// The key that a token's `kid` names.
    pub fn get(&self, kid: &str) -> Option<&Arc<VerifyingKey>> {
        self.keys.get(kid)
    }

    /// Every key, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<VerifyingKey>> {
        self.keys.values()
    }

    /// Whether it trusts this very key under its name.
    pub fn trusts(&self, key: &VerifyingKey) -> bool {
        let own = self.get(key.id().as_str());
        own.is_some_and(|own| own.algorithm == key.algorithm && own.spki_der() == key.spki_der())
    }

    /// Whether the two trust the same keys under the same names.
    pub fn has_the_keys_of(&self, other: &Self) -> bool {
        self.len() == other.len() && other.iter().all(|key| self.trusts(key))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no token at all is accepted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests;
