//! A forge: keys of every algorithm, and tokens that say whatever a test wants them to.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_verifier::{
    Algorithm, InvalidReason, KeyId, KeySet, RevocationIndex, Rules, SessionId, UnixMillis, UserId,
    VerifiedToken, VerifyingKey, verify,
};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://auth.example";
pub(crate) const AUDIENCE: &str = "orders";
pub(crate) const NOW: i64 = 1_700_000_000;
pub(crate) const USER: UserId = UserId::from_bytes([0x42; 16]);
pub(crate) const SESSION: SessionId = SessionId::from_bytes([0x53; 16]);

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A key pair and its name.
pub(crate) struct Signer {
    pub(crate) kid: &'static str,
    pub(crate) algorithm: Algorithm,
    pub(crate) spki: Vec<u8>,
    pub(crate) pkcs8: Vec<u8>,
    pair: Pair,
}

impl Signer {
    pub(crate) fn generate(kid: &'static str, algorithm: Algorithm) -> Self {
        let (pair, spki, pkcs8): (Pair, PublicKeyX509Der<'_>, Vec<u8>) = match algorithm {
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::generate().unwrap();
                let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
                let (spki, pkcs8) = (pair.public_key().as_der().unwrap(), pkcs8.as_ref().to_vec());
                (Pair::Ed25519(pair), spki, pkcs8)
            }
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
                let pkcs8 = pair.to_pkcs8v1().unwrap().as_ref().to_vec();
                let spki = pair.public_key().as_der().unwrap();
                (Pair::P256(pair), spki, pkcs8)
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
                let (spki, pkcs8) = (pair.public_key().as_der().unwrap(), pkcs8.as_ref().to_vec());
                (Pair::Rsa(pair), spki, pkcs8)
            }
        };
        Self { kid, algorithm, spki: spki.as_ref().to_vec(), pkcs8, pair }
    }

    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::from_spki_der(KeyId::parse(self.kid).unwrap(), self.algorithm, &self.spki).unwrap()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A properly signed token with this header and these claims, whatever they are.
    pub(crate) fn token(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        let input = signing_input(header, claims);
        format!("{input}.{}", base64url(self.sign(input.as_bytes())))
    }

    /// The header of a token that is accepted.
    pub(crate) fn header(&self) -> Value {
        json!({"typ": "at+jwt", "alg": self.algorithm.name(), "kid": self.kid})
    }

    /// A token that is accepted.
    pub(crate) fn valid(&self) -> String {
        self.token(self.header().to_string(), claims().to_string())
    }

    /// A token that is accepted but for one member of its header; `null` takes the member out.
    pub(crate) fn with_header(&self, name: &str, value: Value) -> String {
        self.token(with(self.header(), name, value).to_string(), claims().to_string())
    }

    /// A token that is accepted but for one claim; `null` takes the claim out.
    pub(crate) fn with_claim(&self, name: &str, value: Value) -> String {
        self.token(self.header().to_string(), with(claims(), name, value).to_string())
    }
}

/// The claims of a token that is accepted at [`NOW`].
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "sub": USER.to_string(),
        "aud": [AUDIENCE, "billing"],
        "exp": NOW + 900,
        "iat": NOW,
        "jti": "AAAAAAAAAAAAAAAAAAAAAA",
        "sid": SESSION.to_string(),
        "username": "ada",
        "roles": ["admin", "ops"],
        "auth_time": NOW - 60,
        "amr": ["pwd"],
        "epoch": 3,
        "sxp": NOW + 86_400,
        "tenant": {"id": 7},
    })
}

pub(crate) fn with(mut object: Value, name: &str, value: Value) -> Value {
    let members = object.as_object_mut().unwrap();
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
    object
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn signing_input(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    format!("{}.{}", base64url(header), base64url(claims))
}

/// A verifier with one key of each algorithm.
pub(crate) struct World {
    pub(crate) signers: [Signer; 3],
    pub(crate) keys: KeySet,
    pub(crate) rules: Rules,
    pub(crate) revocations: RevocationIndex,
}

impl World {
    fn new() -> Self {
        let signers = [
            Signer::generate("ed-1", Algorithm::EdDSA),
            Signer::generate("es-1", Algorithm::Es256),
            Signer::generate("rs-1", Algorithm::Rs256),
        ];
        let keys = KeySet::new(signers.iter().map(Signer::verifying_key)).unwrap();
        let rules = Rules::new(ISSUER, vec![AUDIENCE.to_owned()]);
        Self { signers, keys, rules, revocations: RevocationIndex::new() }
    }

    pub(crate) fn verify(&self, token: &str) -> Result<VerifiedToken, InvalidReason> {
        verify(token, &self.rules, &self.keys, &[], &self.revocations, UnixMillis::from_secs(NOW))
    }

    /// Each bad token gets exactly its reason, and the token that it was made from is accepted.
    pub(crate) fn check(&self, control: &str, cases: impl IntoIterator<Item = Case>) {
        assert_eq!(self.verify(control).map(|token| token.subject), Ok(USER), "the control must be accepted");
        let wrong: Vec<String> = cases
            .into_iter()
            .filter_map(|Case { name, token, reason }| {
                let answer = self.verify(&token).map(|_| ());
                (answer != Err(reason)).then(|| format!("{name}: {answer:?} instead of {reason}"))
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// Made once: an RSA key takes a while.
pub(crate) static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// A token and why it is not accepted.
pub(crate) struct Case {
    name: String,
    token: String,
    reason: InvalidReason,
}

pub(crate) fn case(name: impl Into<String>, token: String, reason: InvalidReason) -> Case {
    Case { name: name.into(), token, reason }
}
