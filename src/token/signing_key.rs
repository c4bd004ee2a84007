//! A private key that access tokens are signed with.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use countersign_verifier::{Algorithm, InvalidKey, KeyId, VerifyingKey};
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;
use zeroize::Zeroizing;

use super::pem_block::{self, InvalidPem};
use super::schedule::{Activation, Scheduled};
use super::signers;

/// Why a private key was refused; says nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSigningKey {
    /// Not a PEM file with one `PRIVATE KEY` block.
    #[error(transparent)]
    Pem(#[from] InvalidPem),
    /// Not PKCS#8, garbled, of another kind, on another curve or too short.
    #[error("not a PKCS#8 private key for Ed25519, P-256 or RSA of 2048 to 8192 bits")]
    Unsupported,
    /// Its public half cannot be used to verify.
    #[error(transparent)]
    Public(#[from] InvalidKey),
}

/// No key could be made: the cryptographic library failed, and no caller can do anything about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library failed to make a key")]
pub struct GeneratingFailed;

/// A private key, used by any number of threads.
pub struct SigningKey {
    key: EncodingKey,
    header: Header,
    verifying: Arc<VerifyingKey>,
    activation: Activation,
}

impl SigningKey {
    /// Reads the PEM text of a PKCS#8 private key, version 1 (RFC 5208, what OpenSSL writes) or, for Ed25519,
    /// version 2 (RFC 5958) too. The kind of key decides the algorithm. In use since ever, unless
    /// [`Self::active_from`] says otherwise.
    pub fn from_pkcs8_pem(id: KeyId, pem: &str) -> Result<Self, InvalidSigningKey> {
        let der = pem_block::decode(pem, pem_block::PRIVATE_KEY)?;
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(&der) {
            Self::ed25519(id, &pair)
        } else if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der) {
            Self::p256(id, &pair)
        } else if let Ok(pair) = RsaKeyPair::from_pkcs8(&der) {
            Self::rsa(id, &pair)
        } else {
            Err(InvalidSigningKey::Unsupported)
        }
    }

    /// The PEM text of a new private key as PKCS#8 version 1, which OpenSSL reads too. RSA keys get 2048 bits: longer ones
    /// sign several times slower.
    pub fn generate_pem(algorithm: Algorithm) -> Result<Zeroizing<String>, GeneratingFailed> {
        let pem = match algorithm {
            Algorithm::EdDSA => pkcs8_v1_pem(&Ed25519KeyPair::generate().map_err(|_| GeneratingFailed)?),
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
                p256_pem(&pair.map_err(|_| GeneratingFailed)?)
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048);
                pkcs8_v1_pem(&pair.map_err(|_| GeneratingFailed)?)
            }
        };
        pem.map_err(|_| GeneratingFailed)
    }

    fn ed25519(id: KeyId, pair: &Ed25519KeyPair) -> Result<Self, InvalidSigningKey> {
        let pem = pkcs8_v1_pem(pair)?;
        let key = EncodingKey::from_ed_pem(pem.as_bytes());
        Self::new(id, Algorithm::EdDSA, key, pair.public_key())
    }

    fn p256(id: KeyId, pair: &EcdsaKeyPair) -> Result<Self, InvalidSigningKey> {
        let pem = p256_pem(pair)?;
        let key = EncodingKey::from_ec_pem(pem.as_bytes());
        Self::new(id, Algorithm::Es256, key, pair.public_key())
    }

    fn rsa(id: KeyId, pair: &RsaKeyPair) -> Result<Self, InvalidSigningKey> {
        let pem = pkcs8_v1_pem(pair)?;
        let key = EncodingKey::from_rsa_pem(pem.as_bytes());
        Self::new(id, Algorithm::Rs256, key, pair.public_key())
    }

    fn new<P: AsDer<PublicKeyX509Der<'static>>>(
        id: KeyId,
        algorithm: Algorithm,
        key: jsonwebtoken::errors::Result<EncodingKey>,
        public: &P,
    ) -> Result<Self, InvalidSigningKey> {
        let key = key.map_err(|_| InvalidSigningKey::Unsupported)?;
        let spki = public.as_der().map_err(|_| InvalidSigningKey::Unsupported)?;
        let header = Header {
            typ: Some("at+jwt".to_owned()),
            kid: Some(id.to_string()),
            ..Header::new(match algorithm {
                Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
                Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
                Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            })
        };
        let verifying = Arc::new(VerifyingKey::from_spki_der(id, algorithm, spki.as_ref())?);
        signers::keep();
        Ok(Self { key, header, verifying, activation: Activation::Always })
    }

    /// The same key, in use from then on.
    #[must_use]
    pub fn active_from(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// From when on it is in use.
    pub const fn activation(&self) -> Activation {
        self.activation
    }

    /// What the header of a token signed with it says in `kid`.
    pub fn id(&self) -> &KeyId {
        self.verifying.id()
    }

    /// What the header of a token signed with it says in `alg`.
    pub fn algorithm(&self) -> Algorithm {
        self.verifying.algorithm()
    }

    /// Its public half.
    pub const fn verifying_key(&self) -> &Arc<VerifyingKey> {
        &self.verifying
    }

    /// An access token with these claims: a JWS in compact serialization (RFC 7515 §7.1) whose header has `typ`
    /// (RFC 9068 §2.1), `alg` and `kid`.
    pub fn sign<C: Serialize>(&self, claims: &C) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&self.header, claims, &self.key)
    }
}

fn p256_pem(pair: &EcdsaKeyPair) -> Result<Zeroizing<String>, InvalidSigningKey> {
    let der = pair.to_pkcs8v1().map_err(|_| InvalidSigningKey::Unsupported)?;
    Ok(pem_block::encode(pem_block::PRIVATE_KEY, der.as_ref()))
}

fn pkcs8_v1_pem(pair: &impl AsDer<Pkcs8V1Der<'static>>) -> Result<Zeroizing<String>, InvalidSigningKey> {
    let der = pair.as_der().map_err(|_| InvalidSigningKey::Unsupported)?;
    Ok(pem_block::encode(pem_block::PRIVATE_KEY, der.as_ref()))
}

impl Scheduled for SigningKey {
    fn name(&self) -> String {
        self.id().to_string()
    }

    fn activation(&self) -> Activation {
        self.activation
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", self.id())
            .field("algorithm", &self.algorithm())
            .field("activation", &self.activation)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
