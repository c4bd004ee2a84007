use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

/// A public key and a signature that a standard prints.
struct Example {
    algorithm: Algorithm,
    spki: Vec<u8>,
    jwk: Value,
    message: &'static str,
    signature: Vec<u8>,
}

fn unbase64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn id(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

/// RFC 8037 appendix A.4.
fn rfc8037_a4() -> Example {
    let mut spki = vec![0x30, 0x2a];
    spki.extend_from_slice(Algorithm::EdDSA.identifier());
    spki.extend_from_slice(&[0x03, 0x21, 0x00]);
    spki.extend(unbase64("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
    Example {
        algorithm: Algorithm::EdDSA,
        spki,
        jwk: json!({
            "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "use": "sig", "alg": "EdDSA", "kid": "k",
        }),
        message: "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        signature: unbase64(
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    }
}

/// RFC 7515 appendix A.3.
fn rfc7515_a3() -> Example {
    let mut spki = vec![0x30, 0x59];
    spki.extend_from_slice(Algorithm::Es256.identifier());
    spki.extend_from_slice(&[0x03, 0x42, 0x00, 0x04]);
    spki.extend(unbase64("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"));
    spki.extend(unbase64("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"));
    Example {
        algorithm: Algorithm::Es256,
        spki,
        jwk: json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "use": "sig", "alg": "ES256", "kid": "k",
        }),
        message: "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                  cGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        signature: unbase64(
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
    }
}

/// RFC 7515 appendix A.2.
fn rfc7515_a2() -> Example {
    let modulus = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR\
         T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB\
         dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia\
         GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    Example {
        algorithm: Algorithm::Rs256,
        spki: rsa_spki(unbase64(modulus)),
        jwk: json!({ "kty": "RSA", "n": modulus, "e": "AQAB", "use": "sig", "alg": "RS256", "kid": "k" }),
        message: "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                  cGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        signature: unbase64(
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujG\
             bds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K\
             0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6\
             LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
    }
}

fn rsa_spki(modulus: Vec<u8>) -> Vec<u8> {
    let components = PublicKeyComponents { n: modulus, e: vec![1, 0, 1] };
    let key = components.to_parsed_public_key(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY).unwrap();
    let der: PublicKeyX509Der<'_> = key.as_der().unwrap();
    der.as_ref().to_vec()
}

#[test]
fn the_signatures_that_the_rfcs_print_verify_and_no_change_of_one_bit_does() {
    for example in [rfc8037_a4(), rfc7515_a3(), rfc7515_a2()] {
        let Example { algorithm, spki, jwk, message, mut signature } = example;
        let key = VerifyingKey::from_spki_der(id("k"), algorithm, &spki).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.spki_der(), spki);
        assert_eq!(*key.jwk(), jwk, "{algorithm}");
        assert!(key.verify(message.as_bytes(), &signature), "{algorithm}");

        assert!(!key.verify(&message.as_bytes()[1..], &signature), "{algorithm}");
        assert!(!key.verify(message.as_bytes(), &signature[1..]), "{algorithm}");
        assert!(!key.verify(message.as_bytes(), &[]), "{algorithm}");
        for bit in 0..signature.len() * 8 {
            signature[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verify(message.as_bytes(), &signature), "{algorithm} bit {bit}");
            signature[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_key_is_taken_for_no_other_algorithm_than_its_own() {
    for example in [rfc8037_a4(), rfc7515_a3(), rfc7515_a2()] {
        assert_eq!(Algorithm::of_spki_der(&example.spki), Some(example.algorithm));
        for other in Algorithm::ALL.into_iter().filter(|other| *other != example.algorithm) {
            let error = VerifyingKey::from_spki_der(id("k"), other, &example.spki).unwrap_err();
            assert_eq!(error, InvalidKey::WrongKind { expected: other });
        }
    }
}

#[test]
fn a_key_on_another_curve_is_refused() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let error = VerifyingKey::from_spki_der(id("k"), Algorithm::Es256, spki.as_ref()).unwrap_err();
    assert_eq!(error, InvalidKey::WrongKind { expected: Algorithm::Es256 });
}

#[test]
fn an_rsa_key_below_2048_bits_is_refused() {
    let mut modulus = vec![0xff; 128];
    modulus[0] = 0x80;
    let error = VerifyingKey::from_spki_der(id("k"), Algorithm::Rs256, &rsa_spki(modulus)).unwrap_err();
    assert_eq!(error, InvalidKey::RsaSize { bits: 1024 });
    assert_eq!(error.to_string(), "an RSA key of 1024 bits; 2048 to 8192 are allowed");
}

#[test]
fn only_a_whole_and_canonical_key_is_taken() {
    for Example { algorithm, spki, .. } in [rfc8037_a4(), rfc7515_a3(), rfc7515_a2()] {
        for length in 0..spki.len() {
            assert!(VerifyingKey::from_spki_der(id("k"), algorithm, &spki[..length]).is_err(), "{length}");
        }
        let trailing = [&spki[..], &[0]].concat();
        let error = VerifyingKey::from_spki_der(id("k"), algorithm, &trailing).unwrap_err();
        assert_eq!(error, InvalidKey::Malformed);
    }
    // aws-lc takes a bare point and a bare Ed25519 key too; here a key always says what it is.
    for (algorithm, raw) in [(Algorithm::EdDSA, vec![9; 32]), (Algorithm::Es256, vec![4; 65])] {
        assert_eq!(VerifyingKey::from_spki_der(id("k"), algorithm, &raw).unwrap_err(), InvalidKey::Malformed);
    }
}

#[test]
fn algorithms_have_exactly_one_name() {
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.name().parse(), Ok(algorithm));
    }
    for other in ["none", "HS256", "es256", "EDDSA", "RS512", ""] {
        assert_eq!(Algorithm::from_name(other), None);
    }
}

#[test]
fn a_key_id_is_short_and_plain() {
    assert_eq!(id("20260101T000000Z-0a1b2c3d").as_str(), "20260101T000000Z-0a1b2c3d");
    assert!(KeyId::parse(&"x".repeat(64)).is_ok());
    for bad in ["", "a b", "a/b", "ä", "a\0", &"x".repeat(65)] {
        assert_eq!(KeyId::parse(bad), Err(InvalidKeyId), "{bad:?}");
    }
}

#[test]
fn a_set_finds_keys_by_id_and_refuses_two_of_one_name() {
    let key = |name: &str| {
        let Example { algorithm, spki, .. } = rfc8037_a4();
        VerifyingKey::from_spki_der(id(name), algorithm, &spki).unwrap()
    };
    let set = KeySet::new([key("b"), key("a")]).unwrap();
    assert_eq!(set.get("a").unwrap().id().as_str(), "a");
    assert!(set.get("c").is_none());
    assert_eq!(set.iter().map(|key| key.id().as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(KeySet::new([key("a"), key("b"), key("a")]).unwrap_err(), DuplicateKeyId(id("a")));
}
