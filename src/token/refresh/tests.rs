use proptest::prelude::*;

use super::*;
use crate::token::Activation;

fn key(id: u8, byte: u8) -> MacKey {
    MacKey::new(MacKeyId::from_bytes([id; 4]), &Secret::new([byte; 32]))
}

fn keys() -> MacKeys {
    let later = Activation::At(UnixMillis(1));
    MacKeys::new(vec![key(1, 0x11), key(2, 0x22).active_from(later)]).unwrap()
}

fn first_key() -> MacKeyId {
    MacKeyId::from_bytes([1; 4])
}

fn presented() -> Presented {
    Presented { generation: Generation(7), issued_at: UnixMillis(1_700_000_000_123) }
}

fn token() -> RefreshToken {
    let secret = SessionSecret(Secret::new([0x33; 16]));
    let user = UserId::from_bytes([0x44; 16]);
    keys().mint(&secret, user, first_key(), presented(), UnixMillis(1_702_592_000_123)).unwrap()
}

fn defect(text: &str) -> RefreshTokenDefect {
    keys().open(text).unwrap_err().defect()
}

#[test]
fn the_format_never_changes() {
    // Computed apart from this program, with another HMAC. If this fails, every session out there is lost.
    let golden = "csgn_rt_AQEBAUREREREREREREREREREREQzMzMzMzMzMzMzMzMzMzMzAAAABwAA\
                  AYvP5Wh7AAABjGpkMHt58db9qDfAiysDZcg-aJvA";
    assert_eq!(token().expose(), golden);
    assert_eq!(golden.len(), RefreshToken::LEN);
    let session = SessionSecret(Secret::new([0x33; 16])).session_id();
    assert_eq!(session.to_string(), "JiezKnyd6vAeCzne-DL6eg");
}

#[test]
fn a_token_changed_in_any_bit_is_refused() {
    let token = token();
    let bytes = decode(token.expose()).unwrap();
    for bit in 0..TOKEN_LEN * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(changed.as_slice()));
        let key_changed = bit < 32;
        match defect(&text) {
            RefreshTokenDefect::UnknownMacKey(_) => assert!(key_changed, "bit {bit}"),
            other => assert_eq!((other, key_changed), (RefreshTokenDefect::Forged, false), "bit {bit}"),
        }
    }
    for bit in (0..RefreshToken::LEN * 8).filter(|bit| bit % 8 != 7) {
        let mut changed = token.expose().as_bytes().to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let text = String::from_utf8(changed).unwrap();
        assert!(keys().open(&text).is_err(), "bit {bit}: {text:?}");
    }
}

#[test]
fn a_token_cut_short_or_made_longer_is_refused() {
    let token = token();
    let text = token.expose();
    for length in 0..text.len() {
        assert_eq!(defect(&text[..length]), RefreshTokenDefect::Malformed);
        assert_eq!(defect(&text[text.len() - length..]), RefreshTokenDefect::Malformed);
    }
    for extra in ["=", "==", "A", "AAAA", " ", "\n", "\0", "é", text] {
        assert_eq!(defect(&format!("{text}{extra}")), RefreshTokenDefect::Malformed, "{extra:?}");
        assert_eq!(defect(&format!("{extra}{text}")), RefreshTokenDefect::Malformed, "{extra:?}");
    }
    assert_eq!(defect(&text.replace(PREFIX, "")), RefreshTokenDefect::Malformed);
    assert_eq!(defect(&text.replace(PREFIX, "csgn_at_")), RefreshTokenDefect::Malformed);
    assert_eq!(defect(&"A".repeat(1 << 20)), RefreshTokenDefect::Malformed);
}

#[test]
fn a_token_of_one_key_is_not_taken_for_one_of_another() {
    let token = token();
    let mut bytes = decode(token.expose()).unwrap();
    bytes[..4].fill(2);
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.as_slice()));
    assert_eq!(defect(&text), RefreshTokenDefect::Forged);

    let without = MacKeys::new(vec![key(2, 0x22)]).unwrap();
    let error = without.open(token.expose()).unwrap_err();
    assert_eq!(error.defect(), RefreshTokenDefect::UnknownMacKey(first_key()));
    let imposter = MacKeys::new(vec![key(1, 0x12)]).unwrap();
    assert_eq!(imposter.open(token.expose()).unwrap_err().defect(), RefreshTokenDefect::Forged);
}

#[test]
fn callers_are_told_the_same_whatever_is_wrong() {
    let token = token();
    let forged = token.expose().replace('w', "x");
    let unknown = MacKeys::new(vec![key(2, 0x22)]).unwrap().open(token.expose()).unwrap_err();
    let told: Vec<_> = ["", &forged].map(|text| keys().open(text).unwrap_err().to_string()).into();
    assert_eq!(told, [unknown.to_string(), unknown.to_string()]);
}

#[test]
fn a_token_made_with_a_key_that_is_gone_cannot_be_made() {
    let gone = MacKeyId::from_bytes([9; 4]);
    let secret = SessionSecret::generate();
    let error =
        keys().mint(&secret, UserId::from_bytes([0; 16]), gone, presented(), UnixMillis(0)).unwrap_err();
    assert_eq!(error, UnknownMacKey(gone));
}

#[test]
fn nothing_secret_is_shown() {
    let token = token();
    let claims = keys().open(token.expose()).unwrap();
    let shown = format!("{token:?} {claims:?} {:?}", claims.secret());
    // 0x33 is 51, or '3': the secret as a list of bytes, as hex and as text.
    for secret in ["51, 51", "3333", &token.expose()[20..60]] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("RefreshToken(…)"), "{shown}");
}

proptest! {
    #[test]
    fn what_is_minted_opens_with_what_went_in(
        second in any::<bool>(),
        user in any::<[u8; 16]>(),
        secret in any::<[u8; 16]>(),
        generation in any::<u32>(),
        issued_at in any::<i64>(),
        expires_at in any::<i64>(),
    ) {
        let mac_key = MacKeyId::from_bytes([if second { 2 } else { 1 }; 4]);
        let secret = SessionSecret(Secret::new(secret));
        let presented =
            Presented { generation: Generation(generation), issued_at: UnixMillis(issued_at) };
        let mint = |secret: &SessionSecret| {
            keys()
                .mint(secret, UserId::from_bytes(user), mac_key, presented, UnixMillis(expires_at))
                .unwrap()
        };
        let token = mint(&secret);
        prop_assert_eq!(token.expose().len(), RefreshToken::LEN);

        let claims = keys().open(token.expose()).unwrap();
        prop_assert_eq!(claims.mac_key, mac_key);
        prop_assert_eq!(*claims.user.as_bytes(), user);
        prop_assert_eq!(claims.presented, presented);
        prop_assert_eq!(claims.expires_at, UnixMillis(expires_at));
        prop_assert_eq!(claims.session(), secret.session_id());
        let again = mint(claims.secret());
        prop_assert_eq!(again.expose(), token.expose());
    }

    #[test]
    fn arbitrary_text_is_refused(text in ".{0,128}", tail in "[A-Za-z0-9_-]{96}") {
        prop_assert!(keys().open(&text).is_err());
        let tail = format!("{PREFIX}{tail}");
        prop_assert!(keys().open(&tail).is_err());
    }
}
