//! What holds for tokens that nobody thought of.

use std::fmt::Write as _;

use crate::numbers::Numbers;
use crate::support::{Signer, WORLD, base64url, claims};

#[test]
fn no_change_of_one_byte_is_accepted() {
    for signer in &WORLD.signers {
        let valid = signer.valid();
        assert!(WORLD.verify(&valid).is_ok());
        for place in 0..valid.len() {
            let old = valid.as_bytes()[place];
            let flipped = (0..7).map(|bit| old ^ (1 << bit));
            for new in flipped.chain(*b"A_.=\0").filter(|new| *new != old) {
                let mut bytes = valid.clone().into_bytes();
                bytes[place] = new;
                let changed = String::from_utf8(bytes).unwrap();
                assert!(WORLD.verify(&changed).is_err(), "byte {place} changed to {new:#x} in {valid}");
            }
            let mut shorter = valid.clone();
            shorter.remove(place);
            assert!(WORLD.verify(&shorter).is_err(), "byte {place} removed from {valid}");
        }
    }
}

#[test]
fn garbage_and_mutated_tokens_are_refused_and_never_panic() {
    let mut numbers = Numbers::new(1);
    let valid: Vec<String> = WORLD.signers.iter().map(Signer::valid).collect();
    for round in 0..20_000 {
        let token = if round % 4 == 0 { garbage(&mut numbers) } else { mutated(&mut numbers, &valid) };
        if !valid.contains(&token) {
            assert!(WORLD.verify(&token).is_err(), "round {round}: {token}");
        }
    }
}

fn garbage(numbers: &mut Numbers) -> String {
    let mut token = String::new();
    for part in 0..=numbers.below(4) {
        let bytes: Vec<u8> = (0..numbers.below(200)).map(|_| numbers.byte()).collect();
        let separator = if part == 0 { "" } else { "." };
        match numbers.below(3) {
            0 => write!(token, "{separator}{}", base64url(bytes)).unwrap(),
            1 => write!(token, "{separator}{}", String::from_utf8_lossy(&bytes)).unwrap(),
            _ => {
                token.push_str(separator);
                token.extend((0..numbers.below(100)).map(|_| numbers.character()));
            }
        }
    }
    token
}

/// A token with some characters changed, added or taken out, or with parts of another.
fn mutated(numbers: &mut Numbers, valid: &[String]) -> String {
    let mut characters: Vec<char> = valid[numbers.below(valid.len())].chars().collect();
    for _ in 0..=numbers.below(4) {
        let place = numbers.below(characters.len());
        match numbers.below(5) {
            0 => characters[place] = numbers.character(),
            1 => characters.insert(place, numbers.character()),
            2 => characters.truncate(place + 1),
            3 => {
                characters.remove(place);
                characters.push(numbers.character());
            }
            _ => {
                let other: Vec<char> = valid[numbers.below(valid.len())].chars().collect();
                characters.truncate(place);
                characters.extend(&other[place.min(other.len() - 1)..]);
            }
        }
    }
    characters.into_iter().collect()
}

#[test]
fn authentic_nonsense_never_panics() {
    let mut numbers = Numbers::new(2);
    let signer = &WORLD.signers[0];
    let (header, body) = (signer.header().to_string(), claims().to_string());
    let mut accepted = 0;
    for _ in 0..5_000 {
        let mut parts = [header.clone().into_bytes(), body.clone().into_bytes()];
        let part = &mut parts[numbers.below(2)];
        for _ in 0..=numbers.below(2) {
            let place = numbers.below(part.len());
            part[place] =
                if numbers.below(2) == 0 { numbers.byte() } else { b"{}[]\",:0-.e\\un"[numbers.below(14)] };
        }
        let token = signer.token(&parts[0], &parts[1]);
        accepted += usize::from(WORLD.verify(&token).is_ok());
    }
    assert!((1..2_500).contains(&accepted), "{accepted}: most is refused, changes to free texts are not");
}
