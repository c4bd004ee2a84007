//! A forge: keys of every algorithm, and tokens that say whatever a test wants them to.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
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
    memory: Option<Memory>,
}

/// Signatures of one signer, by which it signs the same in the same way again.
struct Memory {
    before: Vec<(Vec<u8>, Vec<u8>)>,
    signed: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
}

impl Memory {
    /// The signature that came with this message, or with another: some tokens, short ones, have a signature of something
    /// else.
    fn find(&self, key: &VerifyingKey, message: &[u8]) -> Option<Vec<u8>> {
        let with_it = self.before.iter().filter(|(other, _)| other == message);
        let short = message.len() < 2048;
        let without = self
            .before
            .iter()
            .filter(|(other, signature)| short && other != message && signature.len() == 64);
        with_it.chain(without).map(|(_, signature)| signature).find(|it| key.verify(message, it)).cloned()
    }
}

impl Signer {
    pub(crate) fn generate(kid: &'static str, algorithm: Algorithm) -> Self {
        let der = |pkcs8: Pkcs8V1Der<'_>| pkcs8.as_ref().to_vec();
        let pkcs8 = match algorithm {
            Algorithm::EdDSA => der(Ed25519KeyPair::generate().unwrap().as_der().unwrap()),
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
                pair.to_pkcs8v1().unwrap().as_ref().to_vec()
            }
            Algorithm::Rs256 => der(RsaKeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap()),
        };
        Self::from_pkcs8(kid, algorithm, &pkcs8)
    }

    fn from_pkcs8(kid: &'static str, algorithm: Algorithm, pkcs8: &[u8]) -> Self {
        let (pair, spki): (Pair, PublicKeyX509Der<'_>) = match algorithm {
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8).unwrap();
                let spki = pair.public_key().as_der().unwrap();
                (Pair::Ed25519(pair), spki)
            }
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).unwrap();
                let spki = pair.public_key().as_der().unwrap();
                (Pair::P256(pair), spki)
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8).unwrap();
                let spki = pair.public_key().as_der().unwrap();
                (Pair::Rsa(pair), spki)
            }
        };
        Self { kid, algorithm, spki: spki.as_ref().to_vec(), pkcs8: pkcs8.to_vec(), pair, memory: None }
    }

    /// The key of a file of `keys/`, which every run has: what it signs can be written down.
    fn of_file(kid: &'static str, algorithm: Algorithm, pem: &str) -> Self {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        Self::from_pkcs8(kid, algorithm, &STANDARD.decode(body).unwrap())
    }

    /// Signs each message in one way from now on, and as it did before where that is among these messages and signatures: an
    /// ES256 signature is another one each time.
    pub(crate) fn remember(&mut self, before: &[(Vec<u8>, Vec<u8>)]) {
        let before = if self.algorithm == Algorithm::Es256 { before.to_vec() } else { Vec::new() };
        self.memory = Some(Memory { before, signed: Mutex::default() });
    }

    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::from_spki_der(KeyId::parse(self.kid).unwrap(), self.algorithm, &self.spki).unwrap()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let Some(memory) = &self.memory else { return self.sign_anew(message) };
        let mut signed = memory.signed.lock().unwrap();
        let sign = || memory.find(&self.verifying_key(), message).unwrap_or_else(|| self.sign_anew(message));
        signed.entry(message.to_vec()).or_insert_with(sign).clone()
    }

    fn sign_anew(&self, message: &[u8]) -> Vec<u8> {
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
    /// Keys of the same names that nobody trusts.
    pub(crate) strangers: [Signer; 3],
    pub(crate) keys: KeySet,
    pub(crate) rules: Rules,
    pub(crate) revocations: RevocationIndex,
    /// What was looked at, in order: the corpus is made of it.
    pub(crate) seen: Mutex<Vec<Seen>>,
}

/// A token, and what was answered.
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) answer: Result<VerifiedToken, InvalidReason>,
}

impl World {
    pub(crate) fn new() -> Self {
        use Algorithm::{EdDSA, Es256, Rs256};
        let signers = [
            Signer::of_file("ed-1", EdDSA, include_str!("keys/trusted-eddsa.pem")),
            Signer::of_file("es-1", Es256, include_str!("keys/trusted-es256.pem")),
            Signer::of_file("rs-1", Rs256, include_str!("keys/trusted-rs256.pem")),
        ];
        let strangers = [
            Signer::of_file("ed-1", EdDSA, include_str!("keys/stranger-eddsa.pem")),
            Signer::of_file("es-1", Es256, include_str!("keys/stranger-es256.pem")),
            Signer::of_file("rs-1", Rs256, include_str!("keys/stranger-rs256.pem")),
        ];
        let keys = KeySet::new(signers.iter().map(Signer::verifying_key)).unwrap();
        let rules = Rules::new(ISSUER, vec![AUDIENCE.to_owned()]);
        Self { signers, strangers, keys, rules, revocations: RevocationIndex::new(), seen: Mutex::default() }
    }

    /// A key of the same name as this one that nobody trusts.
    pub(crate) fn stranger(&self, signer: &Signer) -> &Signer {
        self.strangers.iter().find(|stranger| stranger.kid == signer.kid).unwrap()
    }

    pub(crate) fn verify(&self, token: &str) -> Result<VerifiedToken, InvalidReason> {
        verify(token, &self.rules, &self.keys, &[], &self.revocations, UnixMillis::from_secs(NOW))
    }

    fn look_at(&self, name: &str, token: &str) -> Result<UserId, InvalidReason> {
        let answer = self.verify(token);
        let subject = answer.as_ref().map(|token| token.subject).map_err(|reason| *reason);
        self.seen.lock().unwrap().push(Seen { name: name.to_owned(), token: token.to_owned(), answer });
        subject
    }

    /// Each bad token gets exactly its reason, and the token that it was made from is accepted.
    pub(crate) fn check(&self, control: &str, cases: impl IntoIterator<Item = Case>) {
        self.accepts("the control", control);
        let wrong: Vec<String> = cases
            .into_iter()
            .filter_map(|Case { name, token, reason }| {
                let answer = self.look_at(&name, &token);
                (answer != Err(reason)).then(|| format!("{name}: {answer:?} instead of {reason}"))
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// This token is accepted.
    pub(crate) fn accepts(&self, name: &str, token: &str) {
        assert_eq!(self.look_at(name, token), Ok(USER), "{name} must be accepted");
    }
}

/// Shared by the tests that only look.
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

/// Rules that tokens of every algorithm are held to: each is a test, and its cases are in the corpus.
macro_rules! held_to {
    ($($rule:ident),+ $(,)?) => {
        /// Every rule of this file.
        pub(crate) const RULES: &[(&str, fn(&$crate::support::World))] = &[$((stringify!($rule), $rule)),+];

        mod tests {
            $(
                #[test]
                fn $rule() {
                    super::$rule(&$crate::support::WORLD);
                }
            )+
        }
    };
}

pub(crate) use held_to;
