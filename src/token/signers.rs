//! What `jsonwebtoken` signs with: its own signers over `aws-lc-rs`, kept once they are made. Left to itself it makes a
//! signer for every token, and so parses the private key again, which costs about as much as the signature.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER as AWS_LC;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Signer};
use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey};

/// How many signers a thread keeps: one signs, and a rotation has two for a while. They go with the thread, or when as many
/// others were used since.
const KEPT_PER_THREAD: usize = 4;

/// From now on this process signs with signers that are kept. If another provider came first, tokens are signed as well, and
/// slower.
pub(super) fn keep() {
    static PROVIDER: LazyLock<CryptoProvider> = LazyLock::new(|| CryptoProvider {
        signer_factory: |algorithm, key| kept_signer(*algorithm, key),
        ..AWS_LC.clone()
    });
    let _ = PROVIDER.install_default();
}

thread_local! {
    /// The one that was used last comes first.
    static KEPT: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

struct Kept {
    algorithm: Algorithm,
    key: EncodingKey,
    signer: Rc<dyn JwtSigner>,
}

impl Kept {
    fn is_for(&self, algorithm: Algorithm, key: &EncodingKey) -> bool {
        // Keys are compared with each other and never with anything a caller sent: time tells nobody anything.
        self.algorithm == algorithm
            && self.key.family() == key.family()
            && self.key.as_bytes() == key.as_bytes()
    }
}

fn kept_signer(algorithm: Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    KEPT.with_borrow_mut(|kept| {
        let place = kept.iter().position(|kept| kept.is_for(algorithm, key));
        if let Some(place) = place {
            kept[..=place].rotate_right(1);
        } else {
            let signer = new_signer(algorithm, key)?;
            kept.truncate(KEPT_PER_THREAD - 1);
            kept.insert(0, Kept { algorithm, key: key.clone(), signer });
        }
        Ok(Box::new(KeptSigner(Rc::clone(&kept[0].signer))) as Box<dyn JwtSigner>)
    })
}

fn new_signer(algorithm: Algorithm, key: &EncodingKey) -> Result<Rc<dyn JwtSigner>, Error> {
    if (algorithm, key.family()) == (Algorithm::RS256, AlgorithmFamily::Rsa) {
        let pair = RsaKeyPair::from_der(key.as_bytes());
        let pair = pair.map_err(|error| ErrorKind::InvalidRsaKey(error.to_string()))?;
        return Ok(Rc::new(Rs256Signer(pair)));
    }
    (AWS_LC.signer_factory)(&algorithm, key).map(Rc::from)
}

struct KeptSigner(Rc<dyn JwtSigner>);

impl Signer<Vec<u8>> for KeptSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        self.0.try_sign(message)
    }
}

impl JwtSigner for KeptSigner {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }
}

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3). jsonwebtoken's own signer parses its key at every signature.
struct Rs256Signer(RsaKeyPair);

impl Signer<Vec<u8>> for Rs256Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(signature::Error::from_source)?;
        Ok(signature)
    }
}

impl JwtSigner for Rs256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

#[cfg(test)]
mod tests {
    use countersign_verifier::KeyId;
    use serde_json::json;

    use super::*;
    use crate::token::SigningKey;

    fn kept() -> Vec<Vec<u8>> {
        KEPT.with_borrow(|kept| kept.iter().map(|kept| kept.key.as_bytes().to_vec()).collect())
    }

    /// Tests have threads of their own, so what is kept is what the test used.
    #[test]
    fn a_signer_is_made_once_and_the_one_unused_for_longest_goes() {
        let claims = json!({ "sub": "ada" });
        let algorithms = countersign_verifier::Algorithm::ALL;
        let generate = |number: usize| {
            let id = KeyId::parse(&format!("key-{number}")).unwrap();
            SigningKey::generate(id, algorithms[number % algorithms.len()])
        };
        let keys: Vec<SigningKey> = (0..=KEPT_PER_THREAD).map(generate).collect();
        for key in &keys[..KEPT_PER_THREAD] {
            key.sign(&claims).unwrap();
        }
        let full = kept();
        assert_eq!(full.len(), KEPT_PER_THREAD);

        keys[0].sign(&claims).unwrap();
        keys[0].sign(&claims).unwrap();
        let again = kept();
        assert_eq!(
            (again.len(), &again[0]),
            (KEPT_PER_THREAD, &full[KEPT_PER_THREAD - 1]),
            "the first key's"
        );

        keys[KEPT_PER_THREAD].sign(&claims).unwrap();
        let after = kept();
        assert_eq!((after.len(), &after[1]), (KEPT_PER_THREAD, &full[KEPT_PER_THREAD - 1]));
        assert!(!after.contains(&full[KEPT_PER_THREAD - 2]), "the second key's");
    }

    #[test]
    fn a_key_of_another_kind_than_the_algorithm_makes_no_signer() {
        let ed25519 = EncodingKey::from_ed_der(&[0; 48]);
        for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256] {
            assert!(kept_signer(algorithm, &ed25519).is_err(), "{algorithm:?}");
        }
        let rsa = EncodingKey::from_rsa_der(&[0; 48]);
        assert!(kept_signer(Algorithm::RS256, &rsa).is_err());
        assert!(kept().is_empty());
    }
}
