//! A private key that access tokens are signed with.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use countersign_verifier::{Algorithm, InvalidKey, KeyId, VerifyingKey};
use zeroize::Zeroizing;

use super::pem_block::{self, InvalidPem};
use super::schedule::{Activation, Scheduled};

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

/// The cryptographic library failed; no caller can do anything about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library failed at {0}")]
pub struct SigningFailed(&'static str);

enum KeyPair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    // Several times as large as the others' handles.
    Rsa(Box<RsaKeyPair>),
}

/// A private key, parsed once, used by any number of threads.
pub struct SigningKey {
    pair: KeyPair,
    verifying: Arc<VerifyingKey>,
    activation: Activation,
}

impl SigningKey {
    /// Reads the PEM text of a PKCS#8 private key, version 1 (RFC 5208, what OpenSSL writes) or, for Ed25519,
    /// version 2 (RFC 5958) too. The kind of key decides the algorithm. In use since ever, unless
    /// [`Self::active_from`] says otherwise.
    pub fn from_pkcs8_pem(id: KeyId, pem: &str) -> Result<Self, InvalidSigningKey> {
        let der = pem_block::decode(pem, pem_block::PRIVATE_KEY)?;
        let pair = if let Ok(pair) = Ed25519KeyPair::from_pkcs8(&der) {
            KeyPair::Ed25519(pair)
        } else if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der) {
            KeyPair::P256(pair)
        } else if let Ok(pair) = RsaKeyPair::from_pkcs8(&der) {
            KeyPair::Rsa(Box::new(pair))
        } else {
            return Err(InvalidSigningKey::Unsupported);
        };
        Self::new(id, pair)
    }

    /// A new key, in use since ever unless [`Self::active_from`] says otherwise. RSA keys get 2048 bits: longer
    /// ones sign several times slower.
    pub fn generate(id: KeyId, algorithm: Algorithm) -> Result<Self, SigningFailed> {
        const FAILED: SigningFailed = SigningFailed("making a key");
        let pair = match algorithm {
            Algorithm::EdDSA => KeyPair::Ed25519(Ed25519KeyPair::generate().map_err(|_| FAILED)?),
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
                KeyPair::P256(pair.map_err(|_| FAILED)?)
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048);
                KeyPair::Rsa(Box::new(pair.map_err(|_| FAILED)?))
            }
        };
        Self::new(id, pair).map_err(|_| FAILED)
    }

    fn new(id: KeyId, pair: KeyPair) -> Result<Self, InvalidSigningKey> {
        let (algorithm, spki) = match &pair {
            KeyPair::Ed25519(pair) => (Algorithm::EdDSA, pair.public_key().as_der()),
            KeyPair::P256(pair) => (Algorithm::Es256, pair.public_key().as_der()),
            KeyPair::Rsa(pair) => (Algorithm::Rs256, pair.public_key().as_der()),
        };
        let spki: PublicKeyX509Der<'_> = spki.map_err(|_| InvalidSigningKey::Unsupported)?;
        let verifying = Arc::new(VerifyingKey::from_spki_der(id, algorithm, spki.as_ref())?);
        Ok(Self { pair, verifying, activation: Activation::Always })
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

    /// The signature over `message`, in the form that JWS asks for (RFC 7518 §3.3 and §3.4, RFC 8037 §3.1).
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        const FAILED: SigningFailed = SigningFailed("signing");
        match &self.pair {
            KeyPair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(|_| FAILED)?.as_ref().to_vec()),
            KeyPair::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| FAILED)?;
                Ok(signature.as_ref().to_vec())
            }
            KeyPair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| FAILED)?;
                Ok(signature)
            }
        }
    }

    /// The PEM text of the private key as PKCS#8 version 1, which OpenSSL reads too.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, SigningFailed> {
        const FAILED: SigningFailed = SigningFailed("encoding a key");
        match &self.pair {
            KeyPair::Ed25519(pair) => pkcs8_pem(pair).ok_or(FAILED),
            KeyPair::P256(pair) => {
                let der = pair.to_pkcs8v1().map_err(|_| FAILED)?;
                Ok(pem_block::encode(pem_block::PRIVATE_KEY, der.as_ref()))
            }
            KeyPair::Rsa(pair) => pkcs8_pem(&**pair).ok_or(FAILED),
        }
    }
}

fn pkcs8_pem<K: AsDer<Pkcs8V1Der<'static>>>(pair: &K) -> Option<Zeroizing<String>> {
    let der = pair.as_der().ok()?;
    Some(pem_block::encode(pem_block::PRIVATE_KEY, der.as_ref()))
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
