//! What is not a compact JWS of ours at all.

use std::iter::repeat_n;

use countersign_verifier::InvalidReason::{BadSignature, Malformed};
use countersign_verifier::{Algorithm, Rules, UnixMillis, verify};
use serde_json::json;

use crate::support::{Case, NOW, Signer, WORLD, World, base64url, case, claims, held_to, with};

fn a_token_is_three_parts_and_nothing_else(world: &World) {
    for signer in &world.signers {
        let valid = signer.valid();
        let parts: Vec<&str> = valid.split('.').collect();
        let (header, payload, signature) = (parts[0], parts[1], parts[2]);
        let cases = [
            ("nothing", String::new()),
            ("a dot", ".".to_owned()),
            ("two dots", "..".to_owned()),
            ("one part", header.to_owned()),
            ("two parts", format!("{header}.{payload}")),
            ("an empty signature", format!("{header}.{payload}.")),
            ("an empty payload", format!("{header}..{signature}")),
            ("an empty header", format!(".{payload}.{signature}")),
            ("four parts", format!("{valid}.{signature}")),
            ("a dot at the end", format!("{valid}.")),
            ("a dot at the start", format!(".{valid}")),
            ("a dot in the middle", format!("{header}..{payload}.{signature}")),
            ("five parts, as a JWE has", format!("{valid}.{payload}.{signature}")),
            (
                "the JSON serialization",
                json!({"protected": header, "payload": payload, "signature": signature}).to_string(),
            ),
            ("twice", format!("{valid}{valid}")),
            ("the scheme before it", format!("Bearer {valid}")),
            ("a payload that is not encoded", format!("{header}.{}.{signature}", claims())),
            ("a refresh token", format!("csgn_rt_{}", base64url([7; 80]))),
        ]
        .map(|(name, token)| case(name, token, Malformed));
        world.check(&valid, cases);
    }
}

fn an_unencoded_payload_is_not_read(world: &World) {
    for signer in &world.signers {
        let header = with(with(signer.header(), "b64", json!(false)), "crit", json!(["b64"])).to_string();
        let payload = claims().to_string().replace("https://auth.example", "iss");
        let input = format!("{}.{payload}", base64url(header));
        let token = format!("{input}.{}", base64url(signer.sign(input.as_bytes())));
        world.check(&signer.valid(), [case("b64=false (RFC 7797)", token, Malformed)]);
    }
}

fn each_part_has_one_spelling(world: &World) {
    for signer in &world.signers {
        let valid = signer.valid();
        let parts: Vec<&str> = valid.split('.').collect();
        let mut cases = Vec::new();
        for place in 0..3 {
            let with_part = |part: String| {
                let mut parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
                parts[place] = part;
                parts.join(".")
            };
            let part = parts[place];
            for (name, part) in [
                ("padding", format!("{part}=")),
                ("more padding", format!("{part}==")),
                ("escaped padding", format!("{part}%3D")),
                ("a space before", format!(" {part}")),
                ("a space after", format!("{part} ")),
                ("a line break after", format!("{part}\n")),
                ("a line break inside", format!("{}\r\n{}", &part[..8], &part[8..])),
                ("a tab inside", format!("{}\t{}", &part[..8], &part[8..])),
                ("a NUL after", format!("{part}\0")),
                ("a letter that is not ASCII", format!("{part}é")),
                ("a full-width letter", format!("Ａ{}", &part[1..])),
                ("a byte order mark", format!("\u{feff}{part}")),
                ("the other base64 alphabet", format!("+/{}", &part[2..])),
            ] {
                cases.push(case(format!("part {place}: {name}"), with_part(part), Malformed));
            }
            cases.extend(
                with_trailing_bits(part)
                    .map(|part| case(format!("part {place}: trailing bits"), with_part(part), Malformed)),
            );
        }
        world.check(&valid, cases);
    }
}

/// The same bytes spelled with the unused bits of the last character set, where there are unused bits.
fn with_trailing_bits(part: &str) -> Option<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (head, last) = part.split_at(part.len() - 1);
    let index = ALPHABET.find(last).unwrap();
    (!part.len().is_multiple_of(4)).then(|| format!("{head}{}", &ALPHABET[index + 1..index + 2]))
}

#[test]
fn some_part_of_a_control_has_unused_bits() {
    for signer in &WORLD.signers {
        assert!(signer.valid().split('.').any(|part| with_trailing_bits(part).is_some()));
    }
}

fn a_signature_is_whole_and_over_this_very_token(world: &World) {
    for signer in &world.signers {
        let valid = signer.valid();
        let (input, signature) = valid.rsplit_once('.').unwrap();
        let bytes = signer.sign(input.as_bytes());
        let bad = |name: &str, signature: &[u8]| -> Case {
            case(name, format!("{input}.{}", base64url(signature)), BadSignature)
        };
        let other = signer.with_claim("epoch", json!(4));
        let (_, others) = other.rsplit_once('.').unwrap();
        let mut cases = vec![
            bad("truncated by a byte", &bytes[..bytes.len() - 1]),
            bad("its first half", &bytes[..bytes.len() / 2]),
            bad("one byte", &bytes[..1]),
            bad("a byte too many", &[bytes.as_slice(), &[0]].concat()),
            bad("a zero before", &[&[0], bytes.as_slice()].concat()),
            bad("zeros (CVE-2022-21449)", &vec![0; bytes.len()]),
            bad("ones", &vec![0xff; bytes.len()]),
            bad("its bytes reversed", &bytes.iter().rev().copied().collect::<Vec<_>>()),
            case("of another token", format!("{input}.{others}"), BadSignature),
            case(
                "its text truncated",
                format!("{input}.{}", &signature[..signature.len() / 8 * 4]),
                BadSignature,
            ),
        ];
        if signer.algorithm == Algorithm::Es256 {
            cases.push(bad("ES256 in ASN.1", &asn1(&bytes)));
        }
        world.check(&valid, cases);
    }
}

/// r ‖ s as the `SEQUENCE` of two `INTEGER`s that X.509 uses (RFC 3279 §2.2.3).
fn asn1(signature: &[u8]) -> Vec<u8> {
    let integers: Vec<u8> =
        signature.chunks(32).flat_map(|half| [&[0x02, 0x21, 0x00], half].concat()).collect();
    [&[0x30, u8::try_from(integers.len()).unwrap()], integers.as_slice()].concat()
}

fn a_token_of_8192_bytes_is_read_and_one_of_8193_is_not(world: &World) {
    for signer in &world.signers {
        let largest = token_of_length(signer, Rules::MAX_TOKEN_BYTES);
        let too_large = token_of_length(signer, Rules::MAX_TOKEN_BYTES + 1);
        let cases = [
            case("8193 bytes", too_large, Malformed),
            case("a megabyte", token_of_length(signer, 1 << 20), Malformed),
            case("a megabyte of dots", ".".repeat(1 << 20), Malformed),
        ];
        world.check(&largest, cases);
    }
}

/// A properly signed token of exactly this length: one pad in the header, one in the claims.
fn token_of_length(signer: &Signer, length: usize) -> String {
    let token = |header: usize, payload: usize| {
        let pad = |count| json!(repeat_n('x', count).collect::<String>());
        let header = with(signer.header(), "pad", pad(header)).to_string();
        signer.token(header, with(claims(), "pad", pad(payload)).to_string())
    };
    let room = (length - token(0, 0).len()) * 3 / 4;
    (0..4)
        .flat_map(|header| (room.saturating_sub(8)..=room).map(move |payload| (header, payload)))
        .map(|(header, payload)| token(header, payload))
        .find(|token| token.len() == length)
        .expect("two pads reach every length")
}

#[test]
fn a_hundred_thousand_levels_of_json_do_not_exhaust_the_stack() {
    let rules = Rules { max_token_bytes: 1 << 22, ..WORLD.rules.clone() };
    let verify = |token: &str| {
        verify(token, &rules, &WORLD.keys, &[], &WORLD.revocations, UnixMillis::from_secs(NOW)).map(|_| ())
    };
    let (open, close) = ("{\"a\":".repeat(100_000), "}".repeat(100_000));
    for deep in [format!("{open}1{close}"), open, "[".repeat(100_000)] {
        for signer in &WORLD.signers {
            assert_eq!(verify(&signer.valid()), Ok(()));
            let claims = format!("{{\"deep\":{deep},{}", &claims().to_string()[1..]);
            assert_eq!(verify(&signer.token(signer.header().to_string(), claims)), Err(Malformed));
            let header = format!("{{\"deep\":{deep},{}", &signer.header().to_string()[1..]);
            assert_eq!(verify(&signer.token(header, crate::support::claims().to_string())), Err(Malformed));
        }
    }
}

held_to! {
    a_token_is_three_parts_and_nothing_else,
    an_unencoded_payload_is_not_read,
    each_part_has_one_spelling,
    a_signature_is_whole_and_over_this_very_token,
    a_token_of_8192_bytes_is_read_and_one_of_8193_is_not,
}
