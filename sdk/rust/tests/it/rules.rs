//! What an accepted token says, in which order the rules are asked, and what revocation does.

use std::time::Duration;

use countersign_verifier::{
    Epoch, InvalidReason, KeySet, RevocationIndex, Rules, SessionId, UnixMillis, authenticate, verify,
};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

use crate::support::{
    AUDIENCE, ISSUER, NOW, SESSION, Signer, USER, WORLD, base64url, claims, signing_input, with,
};

const FOREVER: UnixMillis = UnixMillis(i64::MAX);

#[test]
fn a_verified_token_says_what_was_signed() {
    for signer in &WORLD.signers {
        let token = WORLD.verify(&signer.valid()).unwrap();
        assert_eq!((token.subject, token.session, token.epoch), (USER, SESSION, Epoch(3)));
        assert_eq!((token.issued_at, token.expires_at), (NOW, NOW + 900));
        assert_eq!((token.auth_time, token.session_expires_at), (NOW - 60, NOW + 86_400));
        assert_eq!((token.username.as_str(), token.token_id.as_str()), ("ada", "AAAAAAAAAAAAAAAAAAAAAA"));
        assert_eq!(token.roles, ["admin", "ops"]);
        assert_eq!(token.audiences, [AUDIENCE, "billing"]);
        assert_eq!(token.amr, ["pwd"]);
        assert_eq!(Value::Object(token.custom), json!({"tenant": {"id": 7}}));
    }
}

/// The defects in the order of the rules: each with its reason.
pub(crate) const DEFECTS: [InvalidReason; 12] = [
    InvalidReason::Malformed,
    InvalidReason::WrongType,
    InvalidReason::UnknownKey,
    InvalidReason::BadSignature,
    InvalidReason::Malformed,
    InvalidReason::BadSignature,
    InvalidReason::Malformed,
    InvalidReason::WrongIssuer,
    InvalidReason::WrongAudience,
    InvalidReason::Expired,
    InvalidReason::NotYetValid,
    InvalidReason::Revoked,
];

/// A token with every defect from number `first` on.
pub(crate) fn token_with_defects_from(signer: &Signer, first: usize) -> String {
    let has = |defect: usize| defect >= first;
    let choose = |defect: usize, bad: Value, good: Value| if has(defect) { bad } else { good };
    let mut header = signer.header();
    header["typ"] = choose(1, json!("JWT"), json!("at+jwt"));
    header["kid"] = choose(2, json!("unknown"), json!(signer.kid));
    header["alg"] = choose(3, json!("HS256"), json!(signer.algorithm.name()));
    let header = with(header, "crit", choose(4, json!(["exp"]), json!(null)));
    let mut body = claims();
    body["epoch"] = choose(6, json!("3"), json!(3));
    body["iss"] = choose(7, json!("https://evil.example"), json!(ISSUER));
    body["aud"] = choose(8, json!("mail"), json!(AUDIENCE));
    body["exp"] = choose(9, json!(NOW - 1), json!(NOW + 1));
    body["iat"] = choose(10, json!(NOW + 60), json!(NOW));
    let other = SessionId::from_bytes([0; 16]).to_string();
    body["sid"] = choose(11, json!(SESSION.to_string()), json!(other));
    let input = signing_input(header.to_string(), body.to_string());
    let message = if has(5) { "something else" } else { &input };
    let end = if has(0) { "." } else { "" };
    format!("{input}.{}{end}", base64url(signer.sign(message.as_bytes())))
}

#[test]
fn of_several_defects_the_first_in_the_order_of_the_rules_is_told() {
    let revocations = RevocationIndex::new();
    revocations.revoke_session(SESSION, FOREVER);
    for signer in &WORLD.signers {
        for first in 0..=DEFECTS.len() {
            let token = token_with_defects_from(signer, first);
            let answer =
                verify(&token, &WORLD.rules, &WORLD.keys, &[], &revocations, UnixMillis::from_secs(NOW))
                    .map(|_| ());
            assert_eq!(answer.err(), DEFECTS.get(first).copied(), "defects from number {first} on");
        }
    }
}

#[test]
fn time_counts_in_milliseconds_and_only_iat_and_nbf_have_leeway() {
    let token = WORLD.signers[0].with_claim("nbf", json!(NOW + 2));
    let at = |millis: i64| {
        verify(&token, &WORLD.rules, &WORLD.keys, &[], &WORLD.revocations, UnixMillis(millis))
            .map(|_| ())
            .err()
    };
    assert_eq!(at((NOW + 2 - 5) * 1000 - 1), Some(InvalidReason::NotYetValid));
    assert_eq!(at((NOW + 2 - 5) * 1000), None);
    assert_eq!(at((NOW + 900) * 1000 - 1), None);
    assert_eq!(at((NOW + 900) * 1000), Some(InvalidReason::Expired));
    assert_eq!(at(i64::MIN), Some(InvalidReason::NotYetValid));
    assert_eq!(at(i64::MAX), Some(InvalidReason::Expired));

    let rules = Rules { leeway: Duration::ZERO, ..WORLD.rules.clone() };
    let strict = |millis| verify(&token, &rules, &WORLD.keys, &[], &WORLD.revocations, UnixMillis(millis));
    assert_eq!(strict((NOW + 2) * 1000 - 1).err(), Some(InvalidReason::NotYetValid));
    assert!(strict((NOW + 2) * 1000).is_ok());
}

#[test]
fn a_caller_may_expect_another_audience_and_none_is_never_any() {
    let token = WORLD.signers[0].valid();
    let ask = |rules: &Rules, audiences: &[&str]| {
        let audiences: Vec<String> = audiences.iter().map(|&audience| audience.to_owned()).collect();
        verify(&token, rules, &WORLD.keys, &audiences, &WORLD.revocations, UnixMillis::from_secs(NOW))
            .map(|_| ())
    };
    assert_eq!(ask(&WORLD.rules, &[]), Ok(()));
    assert_eq!(ask(&WORLD.rules, &["billing"]), Ok(()));
    assert_eq!(ask(&WORLD.rules, &["mail", "billing"]), Ok(()));
    assert_eq!(ask(&WORLD.rules, &["mail"]), Err(InvalidReason::WrongAudience), "the default does not help");
    assert_eq!(ask(&WORLD.rules, &[""]), Err(InvalidReason::WrongAudience));
    let none = Rules::new(ISSUER, Vec::new());
    assert_eq!(ask(&none, &[]), Err(InvalidReason::WrongAudience));
}

#[test]
fn a_revoked_session_and_a_raised_epoch_end_a_token() {
    let now = UnixMillis::from_secs(NOW);
    for signer in &WORLD.signers {
        let token = signer.valid();
        let revocations = RevocationIndex::new();
        let answer = || verify(&token, &WORLD.rules, &WORLD.keys, &[], &revocations, now).map(|_| ());
        revocations.raise_epoch(USER, Epoch(3), FOREVER);
        assert_eq!(answer(), Ok(()), "its own epoch");
        revocations.raise_epoch(USER, Epoch(4), FOREVER);
        assert_eq!(answer(), Err(InvalidReason::Revoked));

        let revocations = RevocationIndex::new();
        revocations.revoke_session(SESSION, FOREVER);
        assert_eq!(
            verify(&token, &WORLD.rules, &WORLD.keys, &[], &revocations, now).map(|_| ()),
            Err(InvalidReason::Revoked)
        );
    }
}

/// n − s for the order n of P-256 (FIPS 186-5): (r, n − s) verifies wherever (r, s) does.
pub(crate) fn twin(signature: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (r, s) = signature.split_at(32);
    let mut other = [0; 32];
    let mut borrow = false;
    for place in (0..32).rev() {
        let (difference, first) = ORDER[place].overflowing_sub(s[place]);
        let (difference, second) = difference.overflowing_sub(u8::from(borrow));
        other[place] = difference;
        borrow = first || second;
    }
    [r, &other].concat()
}

#[test]
fn the_twin_of_an_es256_signature_is_revoked_with_the_original() {
    let signer = &WORLD.signers[1];
    let token = signer.valid();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let original = base64url(twin(&twin(&decode(signature))));
    assert_eq!(original, signature);
    let twin = format!("{input}.{}", base64url(twin(&decode(signature))));
    assert_ne!(twin, token);
    assert_eq!(WORLD.verify(&twin), WORLD.verify(&token), "it is as authentic and says the same");
    assert!(WORLD.verify(&twin).is_ok());

    let revocations = RevocationIndex::new();
    revocations.revoke_session(WORLD.verify(&token).unwrap().session, FOREVER);
    for token in [&token, &twin] {
        let answer = verify(token, &WORLD.rules, &WORLD.keys, &[], &revocations, UnixMillis::from_secs(NOW));
        assert_eq!(answer.err(), Some(InvalidReason::Revoked));
    }
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text).unwrap()
}

#[test]
fn a_logout_honours_any_authentic_access_token_and_no_other() {
    let ask = |token: &str| authenticate(token, &WORLD.rules, &WORLD.keys).map(|claims| claims.session);
    for signer in &WORLD.signers {
        for (name, value) in [("exp", json!(1)), ("aud", json!("mail")), ("nbf", json!(NOW + 9_000))] {
            assert_eq!(ask(&signer.with_claim(name, value)), Ok(SESSION), "{name}");
        }
        assert_eq!(ask(&signer.with_claim("iss", json!("other"))), Err(InvalidReason::WrongIssuer));
        assert_eq!(ask(&signer.with_header("typ", json!("JWT"))), Err(InvalidReason::WrongType));
        let stranger = WORLD.stranger(signer);
        assert_eq!(ask(&stranger.valid()), Err(InvalidReason::BadSignature));
        let none = authenticate(&signer.valid(), &WORLD.rules, &KeySet::default());
        assert_eq!(none.err(), Some(InvalidReason::UnknownKey));
    }
}

#[test]
fn jsonwebtoken_reads_the_same_and_writes_what_is_accepted() {
    for signer in &WORLD.signers {
        let (algorithm, encoding, decoding) = match signer.kid {
            "ed-1" => {
                (jsonwebtoken::Algorithm::EdDSA, EncodingKey::from_ed_der(&signer.pkcs8), &signer.spki[12..])
            }
            "es-1" => {
                (jsonwebtoken::Algorithm::ES256, EncodingKey::from_ec_der(&signer.pkcs8), &signer.spki[26..])
            }
            _ => (
                jsonwebtoken::Algorithm::RS256,
                EncodingKey::from_rsa_der(&signer.pkcs8[26..]),
                &signer.spki[24..],
            ),
        };
        let header = Header {
            typ: Some("at+jwt".to_owned()),
            kid: Some(signer.kid.to_owned()),
            ..Header::new(algorithm)
        };
        let theirs = jsonwebtoken::encode(&header, &claims(), &encoding).unwrap();
        assert_eq!(WORLD.verify(&theirs), WORLD.verify(&signer.valid()));
        assert!(WORLD.verify(&theirs).is_ok());

        let decoding = match algorithm {
            jsonwebtoken::Algorithm::EdDSA => DecodingKey::from_ed_der(decoding),
            jsonwebtoken::Algorithm::ES256 => DecodingKey::from_ec_der(decoding),
            _ => DecodingKey::from_rsa_der(decoding),
        };
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[AUDIENCE]);
        validation.validate_exp = false;
        let ours = jsonwebtoken::decode::<Value>(&signer.valid(), &decoding, &validation).unwrap();
        assert_eq!(ours.claims, claims());
    }
}

#[test]
fn a_key_that_is_withdrawn_is_unknown() {
    let mine = [WORLD.signers[0].verifying_key()];
    let keys = KeySet::new(mine).unwrap();
    let ask = |signer: &Signer| {
        verify(&signer.valid(), &WORLD.rules, &keys, &[], &WORLD.revocations, UnixMillis::from_secs(NOW))
            .map(|_| ())
    };
    assert_eq!(ask(&WORLD.signers[0]), Ok(()));
    assert_eq!(ask(&WORLD.signers[1]), Err(InvalidReason::UnknownKey));
}
