//! How tokens are forged.

use std::collections::HashSet;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use countersign_verifier::{Algorithm, SessionId, UserId};
use serde_json::{Value, json};

use crate::numbers::Numbers;
use crate::support::{NOW, Signer, base64url, claims, signing_input, with};

/// Keys that are trusted and keys that are not, and valid tokens to start from.
pub(super) struct Forge {
    pub(super) trusted: [Signer; 3],
    /// Of the same algorithms; the first three go by the names of the trusted ones.
    foreign: [Signer; 4],
    pub(super) valid: Vec<String>,
    known: HashSet<String>,
}

impl Forge {
    pub(super) fn new() -> Self {
        use Algorithm::{EdDSA, Es256, Rs256};
        let of = |(kid, algorithm)| Signer::generate(kid, algorithm);
        let trusted = [("ed-1", EdDSA), ("es-1", Es256), ("rs-1", Rs256)].map(of);
        let foreign = [("ed-1", EdDSA), ("es-1", Es256), ("rs-1", Rs256), ("ed-2", EdDSA)].map(of);
        let valid = trusted.iter().flat_map(|signer| (0..8).map(|number| valid(signer, number)));
        let valid: Vec<String> = valid.collect();
        Self { trusted, foreign, known: valid.iter().cloned().collect(), valid }
    }

    /// A token that must be refused.
    pub(super) fn token(&self, numbers: &mut Numbers) -> String {
        loop {
            let mut token = self.forged(numbers);
            if numbers.below(8) == 0 {
                token = edited(numbers, &token);
            }
            // Chance may put a valid token together again.
            if !self.known.contains(&token) {
                return token;
            }
        }
    }

    fn forged(&self, numbers: &mut Numbers) -> String {
        let valid = numbers.one_of(&self.valid);
        match numbers.below(20) {
            0..=2 => bits_flipped(numbers, valid),
            3 | 4 => edited(numbers, valid),
            5..=7 => self.spliced(numbers),
            8..=10 => part_changed(numbers, valid),
            11 | 12 => spelled_otherwise(numbers, valid),
            13..=15 => says_otherwise(numbers, valid),
            16 => self.signed_by_another(numbers),
            17 => self.signed_without_a_key(numbers),
            18 => self.signed_but_invalid(numbers),
            _ => of_another_shape(numbers, valid),
        }
    }

    /// The parts of several tokens, put together.
    fn spliced(&self, numbers: &mut Numbers) -> String {
        let mut part = |place: usize| {
            let token: &String = numbers.one_of(&self.valid);
            parts(token)[place].to_owned()
        };
        [part(0), part(1), part(2)].join(".")
    }

    /// Properly signed, with a key that nobody trusts, under its own name or that of one that is trusted.
    fn signed_by_another(&self, numbers: &mut Numbers) -> String {
        // RSA signs so slowly that it gets a smaller share.
        let signer = match numbers.below(40) {
            0 => &self.foreign[2],
            choice => &self.foreign[[0, 1, 3][choice % 3]],
        };
        let mut header = signer.header();
        match numbers.below(4) {
            0 => header = with(header, "kid", json!(numbers.one_of(&self.trusted).kid)),
            1 => header = with(header, "jwk", json!({"kty": "OKP", "x": base64url(&signer.spki)})),
            2 => header = with(header, "x5c", json!([STANDARD.encode(&signer.spki)])),
            _ => {}
        }
        signer.token(header.to_string(), claimed(numbers).to_string())
    }

    /// With no signature, or with one that needs no private key: an HMAC with what everybody knows (RFC 8725 §2.1).
    fn signed_without_a_key(&self, numbers: &mut Numbers) -> String {
        let signer = numbers.one_of(&self.trusted);
        let algorithm = *numbers.one_of(&["none", "None", "nOnE", "HS256", "HS512", "", "EdDSA", "ES256"]);
        let header = with(signer.header(), "alg", json!(algorithm));
        let input = signing_input(header.to_string(), claimed(numbers).to_string());
        let secret: &[u8] = match numbers.below(3) {
            0 => &signer.spki,
            1 => signer.kid.as_bytes(),
            _ => b"",
        };
        match numbers.below(4) {
            0 => format!("{input}."),
            1 => format!("{input}.{}", base64url(vec![0; 64])),
            _ => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                format!("{input}.{}", base64url(hmac::sign(&key, input.as_bytes())))
            }
        }
    }

    /// Signed by a key that is trusted, and still nothing that may be accepted: for somebody else, of another time, of
    /// another kind, or not what a token must be.
    fn signed_but_invalid(&self, numbers: &mut Numbers) -> String {
        let signer = &self.trusted[usize::from(numbers.below(2) == 0)];
        let (mut header, mut body) = (signer.header(), claims());
        let ahead = i64::from(numbers.byte()) + 6;
        match numbers.below(8) {
            0 => body = with(body, "exp", json!(NOW - i64::from(numbers.byte()))),
            1 => body = with(body, "nbf", json!(NOW + ahead)),
            2 => body = with(body, "iat", json!(NOW + ahead)),
            3 => body = with(body, "aud", json!(["billing", "Orders", ""])),
            4 => body = with(body, "aud", json!("orders ")),
            5 => body = with(body, "iss", json!("https://auth.example/")),
            6 => header = with(header, "typ", json!(*numbers.one_of(&["JWT", "rt+jwt", "refresh+jwt", ""]))),
            _ => {
                let claim =
                    *numbers.one_of(&["iss", "sub", "aud", "exp", "iat", "sid", "epoch", "sxp", "jti"]);
                let wrong = [json!(null), json!({}), json!(true), json!(""), json!(1.5), json!([[]])];
                body = with(body, claim, numbers.one_of(&wrong).clone());
            }
        }
        signer.token(header.to_string(), body.to_string())
    }
}

fn valid(signer: &Signer, number: u8) -> String {
    let body = with(claims(), "jti", json!(format!("token-{number}")));
    let body = with(body, "sub", json!(UserId::from_bytes([number; 16]).to_string()));
    let body = with(body, "sid", json!(SessionId::from_bytes([number; 16]).to_string()));
    signer.token(signer.header().to_string(), body.to_string())
}

fn parts(token: &str) -> [&str; 3] {
    let mut parts = token.split('.');
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

fn bits_flipped(numbers: &mut Numbers, token: &str) -> String {
    let mut bytes = token.as_bytes().to_vec();
    for _ in 0..=numbers.below(3) {
        let place = numbers.below(bytes.len());
        bytes[place] ^= 1 << numbers.below(7);
    }
    String::from_utf8(bytes).unwrap()
}

/// With characters changed, added or taken out, cut short, or with a piece of it repeated.
fn edited(numbers: &mut Numbers, token: &str) -> String {
    let mut characters: Vec<char> = token.chars().collect();
    for _ in 0..=numbers.below(3) {
        let place = numbers.below(characters.len().max(1)).min(characters.len());
        match numbers.below(5) {
            0 => characters.insert(place, numbers.character()),
            1 => characters.truncate(place),
            2 => characters.rotate_left(place),
            3 => characters.extend_from_within(place..),
            _ => {
                characters.splice(place..(place + 1).min(characters.len()), [numbers.character()]);
            }
        }
    }
    characters.into_iter().collect()
}

/// With the bytes that one part stands for changed, and properly encoded again.
fn part_changed(numbers: &mut Numbers, token: &str) -> String {
    let mut parts = parts(token).map(str::to_owned);
    let part = numbers.one_of(&[0, 1, 1, 2, 2]);
    let mut bytes = URL_SAFE_NO_PAD.decode(&parts[*part]).unwrap();
    for _ in 0..=numbers.below(3) {
        let place = numbers.below(bytes.len().max(1)).min(bytes.len());
        match numbers.below(4) {
            0 => bytes.insert(place, numbers.byte()),
            1 => bytes.truncate(place),
            2 => bytes.extend_from_within(place..),
            _ => bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << numbers.below(8)),
        }
    }
    parts[*part] = base64url(bytes);
    parts.join(".")
}

/// The same bytes in another spelling (RFC 4648 §3).
fn spelled_otherwise(numbers: &mut Numbers, token: &str) -> String {
    let mut parts = parts(token).map(str::to_owned);
    let part = &mut parts[numbers.below(3)];
    let bytes = URL_SAFE_NO_PAD.decode(&*part).unwrap();
    match numbers.below(6) {
        0 => *part = format!("{}=", URL_SAFE.encode(bytes)),
        1 => *part = format!("{} ", STANDARD.encode(bytes)),
        2 => part.insert(numbers.below(part.len()), *numbers.one_of(&[' ', '\n', '\t', '\r', '\0', '='])),
        3 => *part = part.replace(*numbers.one_of(&['e', 'J', 'I', 'a']), "%65"),
        4 => {
            // The bits that no byte needs.
            let last = part.pop().unwrap();
            part.push(*numbers.one_of(&['A', 'B', 'Q', 'g', 'w', '_', '9']));
            if part.ends_with(last) {
                part.push('A');
            }
        }
        _ => *part = hex(&bytes),
    }
    parts.join(".")
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// With another header or other claims, and the signature as it was.
fn says_otherwise(numbers: &mut Numbers, token: &str) -> String {
    let [header, payload, signature] = parts(token);
    let read = |part| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let (mut header, mut body) = (read(header), read(payload));
    match numbers.below(10) {
        0 => body = claimed(numbers),
        1 => body = with(body, "exp", json!(NOW + 1_000_000)),
        2 => body = with(body, "roles", json!(["admin", "root"])),
        3 => body = with(body, "sub", json!(UserId::from_bytes([numbers.byte(); 16]).to_string())),
        4 => {
            header =
                with(header, "alg", json!(*numbers.one_of(&["EdDSA", "ES256", "RS256", "none", "HS256"])));
        }
        5 => {
            header =
                with(header, "kid", json!(*numbers.one_of(&["ed-1", "es-1", "rs-1", "ed-2", "../ed-1", ""])));
        }
        6 => header = with(header, "crit", json!(["exp"])),
        7 => header = with(header, "typ", json!(*numbers.one_of(&["AT+JWT", "application/at+jwt", "JWT"]))),
        8 => header = with(header, "jku", json!("https://evil.example/jwks")),
        _ => {
            // A name that stands twice: which of them counts?
            let text = body.to_string();
            let doubled = text.replacen('{', r#"{"sub":"018f4e5c-0000-7000-8000-000000000001","#, 1);
            return format!("{}.{}.{signature}", base64url(header.to_string()), base64url(doubled));
        }
    }
    format!("{}.{signature}", signing_input(header.to_string(), body.to_string()))
}

/// What somebody would like to be true.
fn claimed(numbers: &mut Numbers) -> Value {
    let body = with(claims(), "roles", json!(["admin"]));
    let body = with(body, "exp", json!(NOW + 1 + i64::from(numbers.byte())));
    with(body, "sub", json!(UserId::from_bytes([numbers.byte(); 16]).to_string()))
}

/// Not three parts, or not a compact token at all.
fn of_another_shape(numbers: &mut Numbers, token: &str) -> String {
    let [header, payload, signature] = parts(token);
    match numbers.below(10) {
        0 => format!("{token}.{signature}"),
        1 => format!(".{token}"),
        2 => format!("{header}.{payload}"),
        3 => format!("{header}..{signature}"),
        4 => format!("{header}.{payload}.{signature}.{payload}.{signature}"),
        5 => json!({"protected": header, "payload": payload, "signature": signature}).to_string(),
        6 => format!("Bearer {token}"),
        7 => token.repeat(2 + numbers.below(40)),
        8 => format!("{header}.{payload}.{}", base64url(vec![numbers.byte(); numbers.below(9000)])),
        _ => ".".repeat(numbers.below(5)),
    }
}
