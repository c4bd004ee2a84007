use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keys/", $name))
    };
}

impl SigningKey {
    /// A new key, in use since ever.
    pub(crate) fn generate(id: KeyId, algorithm: Algorithm) -> Self {
        Self::from_pkcs8_pem(id, &Self::generate_pem(algorithm).unwrap()).unwrap()
    }
}

fn id() -> KeyId {
    KeyId::parse("k").unwrap()
}

fn read(pem: &str) -> Result<SigningKey, InvalidSigningKey> {
    SigningKey::from_pkcs8_pem(id(), pem)
}

/// What it signs is verified by its public half, and nothing else is.
fn assert_signs(key: &SigningKey) {
    let token = key.sign(&json!({ "sub": "ada" })).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = key.verifying_key();
    assert!(public.verify(signed.as_bytes(), &signature), "{}", key.algorithm());
    assert!(!public.verify(format!("{signed}x").as_bytes(), &signature), "{}", key.algorithm());
}

#[test]
fn a_generated_key_signs_is_written_and_read_again() {
    for algorithm in Algorithm::ALL {
        let pem = SigningKey::generate_pem(algorithm).unwrap();
        let key = read(&pem).unwrap();
        assert_eq!((key.id(), key.algorithm()), (&id(), algorithm));
        assert_signs(&key);
        let again = read(&pem).unwrap();
        assert_eq!(again.verifying_key().spki_der(), key.verifying_key().spki_der());
        assert_signs(&again);
    }
}

#[test]
fn keys_that_openssl_wrote_are_read() {
    for (pem, algorithm) in [
        (fixture!("ed25519.pem"), Algorithm::EdDSA),
        (fixture!("p256.pem"), Algorithm::Es256),
        (fixture!("rsa2048.pem"), Algorithm::Rs256),
    ] {
        let key = read(pem).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert_signs(&key);
    }
}

#[test]
fn an_ed25519_key_of_pkcs8_version_2_is_read() {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    assert_eq!(der.as_ref()[4], 1, "the version number of a v2 document");
    let key = read(&pem_block::encode(pem_block::PRIVATE_KEY, der.as_ref())).unwrap();
    assert_eq!(key.algorithm(), Algorithm::EdDSA);
    assert_signs(&key);
}

#[test]
fn keys_of_other_kinds_are_refused() {
    for pem in [fixture!("p384.pem"), fixture!("rsa1024.pem"), fixture!("x25519.pem")] {
        assert_eq!(read(pem).unwrap_err(), InvalidSigningKey::Unsupported);
    }
    let der = pem_block::decode(fixture!("ed25519.pem"), pem_block::PRIVATE_KEY).unwrap();
    for length in 0..der.len() {
        let cut = pem_block::encode(pem_block::PRIVATE_KEY, &der[..length]);
        assert!(read(&cut).is_err(), "{length}");
    }
    let error = read(fixture!("sec1.pem")).unwrap_err().to_string();
    assert!(error.ends_with("convert it with: openssl pkcs8 -topk8 -nocrypt"), "{error}");
    assert!(read("").is_err());
}

#[test]
fn a_key_is_not_shown() {
    let shown = format!("{:?}", read(fixture!("ed25519.pem")).unwrap());
    assert_eq!(shown, "SigningKey { id: KeyId(k), algorithm: EdDSA, activation: Always, .. }");
}
