use serde::Deserialize;

use super::*;
use crate::password::argon2id::InvalidHashParameters;

/// Made by the other systems' own code, see `make.py` and `Make.java` beside it.
const MADE: &str = include_str!("../../../tests/fixtures/password_hashes/made.jsonl");
/// Published by those who made them.
const PUBLISHED: &str = include_str!("../../../tests/fixtures/password_hashes/published.jsonl");

#[derive(Deserialize)]
struct Vector {
    origin: String,
    password: String,
    hash: String,
    wrapped: bool,
}

fn vectors() -> Vec<Vector> {
    let lines = MADE.lines().chain(PUBLISHED.lines());
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn password(text: &str) -> Password {
    Password::new(text.to_owned()).unwrap()
}

fn small() -> HashParameters {
    HashParameters::new(8, 1, 1).unwrap()
}

fn stored(text: &str) -> Result<Stored, CorruptHash> {
    Stored::parse(&PasswordHash::from_phc(text.to_owned()))
}

/// What is stored of a hash that is imported.
fn imported(text: &str, memory: &mut WorkingMemory) -> (&'static str, String, bool) {
    match Imported::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")) {
        Imported::Own(hash) => ("argon2id", hash.to_phc().as_phc().to_owned(), false),
        Imported::Foreign(hash) if hash.is_fast() => {
            let format = hash.format();
            (format, hash.wrap([7; 16], small(), memory).to_stored().as_phc().to_owned(), true)
        }
        Imported::Foreign(hash) => (hash.format(), text.to_owned(), false),
        Imported::Wrapped(_) | Imported::Plain(_) => panic!("{text} is no hash of another system"),
    }
}

#[test]
fn hashes_that_other_systems_made_let_their_passwords_in_and_no_others() {
    let mut memory = WorkingMemory::new(small());
    let mut last = String::new();
    for Vector { origin, password: text, hash, wrapped } in vectors() {
        let (format, kept, was_wrapped) = imported(&hash, &mut memory);
        assert_eq!((format, was_wrapped), (origin.as_str(), wrapped), "{hash}");
        let kept_hash = stored(&kept).unwrap_or_else(|error| panic!("{kept}: {error}"));
        assert!(kept_hash.matches(&password(&text), &mut memory), "{hash}");
        assert!(kept_hash.needs_rehash(small()), "{hash}");
        if last != origin {
            assert!(!kept_hash.matches(&password(&format!("{}x", &text[..1])), &mut memory), "{hash}");
            assert!(!kept_hash.matches(&password(""), &mut memory), "{hash}");
        }
        last = origin;
    }
}

#[test]
fn a_fast_hash_is_stored_in_argon2id_and_by_itself_lets_nobody_in() {
    let mut memory = WorkingMemory::new(small());
    for Vector { hash, wrapped, .. } in vectors() {
        let (_, kept, _) = imported(&hash, &mut memory);
        assert_eq!(kept.contains("$argon2id$v=19$m=8,t=1,p=1$"), wrapped, "{kept}");
        if wrapped && !hash.starts_with("$argon2id$v=19$") {
            assert_ne!(kept, hash);
            let refused = stored(&hash).unwrap_err();
            assert!(
                matches!(refused, CorruptHash::Foreign(Unusable::NotWrapped { .. })),
                "{hash}: {refused}"
            );
        }
    }
    let kept = imported("md5:password+salt:s:0123456789abcdef0123456789abcdef", &mut memory).1;
    assert!(kept.starts_with("$wrapped$v=1$md5$c=password+salt,i=1$cw$argon2id$v=19$m=8,t=1,p=1$"), "{kept}");
    assert!(!kept.contains("ASNFZ4mrze8BI0VniavN7w"), "the digest itself is not in it: {kept}");
}

#[test]
fn a_hash_that_is_cut_off_or_garbled_never_lets_its_password_in() {
    let mut memory = WorkingMemory::new(small());
    let mut formats = std::collections::BTreeSet::new();
    for Vector { origin, password: text, hash, .. } in vectors() {
        if !formats.insert(origin) {
            continue;
        }
        // base64 may come without its padding.
        let whole = hash.trim_end_matches('=').len();
        for end in (0..whole).filter(|end| hash.is_char_boundary(*end)) {
            let Ok(Imported::Foreign(cut)) = Imported::parse(&hash[..end]) else { continue };
            // A salt that stands at the end may have become another one.
            let near = end + 5 > whole;
            assert!(!near || cut.is_fast(), "{hash} is read with {end} of its bytes");
            assert!(!near || !cut.matches(&password(&text), &mut memory), "{hash} to {end}");
        }
        for garbled in [
            format!("{hash}$"),
            format!("{hash}\n"),
            format!(" {hash}"),
            format!("{hash}\0"),
            hash.replacen('$', "$$", 1),
            hash.replacen('=', "", 1),
            hash.to_uppercase(),
        ] {
            if garbled == hash {
                continue;
            }
            if let Ok(Imported::Foreign(other)) = Imported::parse(&garbled)
                && other.is_fast()
            {
                assert!(
                    !other.matches(&password(&text), &mut memory) || hash.eq_ignore_ascii_case(&garbled),
                    "{garbled:?}"
                );
            }
        }
    }
}

#[test]
fn bcrypt_looks_at_72_bytes_and_no_further() {
    let mut memory = WorkingMemory::new(small());
    let long = "0123456789".repeat(8);
    let of = |text: &str| {
        let vector = vectors().into_iter().find(|v| v.origin == "bcrypt" && v.password == text).unwrap();
        stored(&vector.hash).unwrap()
    };
    let whole = of(&long);
    assert!(whole.matches(&password(&long[..72]), &mut memory), "what is beyond 72 bytes counts for nothing");
    assert!(whole.matches(&password(&format!("{}other", &long[..72])), &mut memory));
    assert!(!whole.matches(&password(&long[..71]), &mut memory));
    assert!(!of(&long[..71]).matches(&password(&long[..72]), &mut memory), "up to there each byte counts");
    let with_nul = "123456\0more";
    let short = vectors().into_iter().find(|v| v.origin == "bcrypt" && v.password == "123456").unwrap();
    assert!(!stored(&short.hash).unwrap().matches(&password(with_nul), &mut memory), "nothing ends at NUL");
}

/// Each of their rounds takes in the whole password, so that a long guess would cost a multiple.
#[test]
fn a_password_of_more_than_256_bytes_is_none_of_phpass_or_sha_crypt() {
    let mut memory = WorkingMemory::new(small());
    for (text, lets_in) in [("x".repeat(256), true), ("x".repeat(257), false)] {
        for recipe in ["phpass$i=7$MTIzNDU2Nzg", "drupal7$i=7$MTIzNDU2Nzg", "sha512-crypt$i=1000$c2FsdA"] {
            let (name, rest) = recipe.split_once('$').unwrap();
            let (parameters, salt) = rest.split_once('$').unwrap();
            let salt = text::Named("").base64(salt, "", 0..=64).unwrap();
            let recipe =
                phpass::read(name, parameters, &salt).or_else(|| crypt::read(name, parameters, &salt));
            let digest = recipe.unwrap().unwrap().digest(text.as_bytes(), &mut memory);
            assert_eq!(digest.is_some(), lets_in, "{name}");
        }
    }
}

#[test]
fn what_is_written_otherwise_is_refused_by_its_name() {
    let bcrypt = "$2b$10$e3.qnd8KukY1RwztNd/4sOOOOMzZi8FzUhOZP0pAVovs3k6xZrBEW";
    let argon2 =
        "$argon2i$v=19$m=16384,t=3,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
    let scrypt = "$scrypt$ln=14,r=8,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
    let digest = "0123456789abcdef0123456789abcdef";
    let keycloak = |iterations: u64| {
        format!(
            r#"{{"credentialData":{{"hashIterations":{iterations},"algorithm":"pbkdf2-sha256"}},"secretData":{{"value":"MDEyMzQ1Njc4OWFiY2RlZg==","salt":"AA=="}}}}"#
        )
    };
    for (text, name) in [
        (String::new(), "UNKNOWN_FORMAT"),
        ("password".to_owned(), "UNKNOWN_FORMAT"),
        ("$1$salt$qJH7.N4xYta3aEG/dfqo/0".to_owned(), "UNKNOWN_FORMAT"),
        ("{MD5X}AAAA".to_owned(), "UNKNOWN_FORMAT"),
        (bcrypt.replace("2b", "2x"), "UNSUPPORTED"),
        (bcrypt.replace("2b", "2z"), "MALFORMED"),
        (bcrypt.replace("$10$", "$1$"), "MALFORMED"),
        (bcrypt.replace("$10$", "$15$"), "TOO_COSTLY"),
        (bcrypt.replace("$10$", "$99$"), "TOO_COSTLY"),
        (bcrypt.replace("$10$", "$03$"), "TOO_LITTLE"),
        (bcrypt.replace("EW", "E="), "MALFORMED"),
        (argon2.replace("m=16384", "m=1048576"), "TOO_COSTLY"),
        (argon2.replace("m=16384,t=3", "m=262144,t=20"), "TOO_COSTLY"),
        (argon2.replace("t=3", "t=4294967295"), "TOO_COSTLY"),
        (argon2.replace("p=1", "p=1,keyid=AAAA"), "UNSUPPORTED"),
        (argon2.replace("p=1", "p=1,p=1"), "MALFORMED"),
        (argon2.replace("m=16384", "m=1"), "TOO_LITTLE"),
        (argon2.replace("v=19", "v=18"), "MALFORMED"),
        (scrypt.replace("ln=14", "ln=18"), "TOO_COSTLY"),
        (scrypt.replace("p=1", "p=17"), "TOO_COSTLY"),
        (scrypt.replace("ln=14", "ln=99999999999999999999"), "MALFORMED"),
        (scrypt.replace("ln=14", "ln=0"), "TOO_LITTLE"),
        ("scrypt:32767:8:1$salt$00112233445566778899aabbccddeeff".to_owned(), "MALFORMED"),
        ("pbkdf2:md5:1000$salt$00112233445566778899aabbccddeeff".to_owned(), "UNSUPPORTED"),
        ("pbkdf2_sha256$5000000$salt$MDEyMzQ1Njc4OWFiY2RlZg==".to_owned(), "TOO_COSTLY"),
        ("pbkdf2_sha256$0$salt$MDEyMzQ1Njc4OWFiY2RlZg==".to_owned(), "TOO_LITTLE"),
        ("pbkdf2_sha256$1000$salt$".to_owned(), "MALFORMED"),
        ("$6$rounds=1000001$salt$x".to_owned(), "TOO_COSTLY"),
        ("$6$rounds=999$salt$x".to_owned(), "TOO_LITTLE"),
        ("$6$salt$x".to_owned(), "MALFORMED"),
        ("$P$Z12345678".to_owned() + &"a".repeat(22), "TOO_COSTLY"),
        ("$S$412345678".to_owned() + &"a".repeat(43), "TOO_LITTLE"),
        (digest.to_owned(), "UNSUPPORTED"),
        (format!("md5:pepper+password::{digest}"), "MALFORMED"),
        (format!("md5:password:salt:{digest}"), "MALFORMED"),
        (format!("md5:password+salt::{digest}"), "MALFORMED"),
        (format!("sha1:password::{digest}"), "MALFORMED"),
        (keycloak(5_000_000), "TOO_COSTLY"),
        (keycloak(1000).replace("pbkdf2-sha256", "md5"), "UNSUPPORTED"),
        (keycloak(1000).replace("secretData", "secret"), "MALFORMED"),
        ("plain:".to_owned(), "MALFORMED"),
        ("{SSHA}AAAA".to_owned(), "MALFORMED"),
        ("{CRYPT}ab1fbjCTJ4JqQ".to_owned(), "UNSUPPORTED"),
        (format!("{bcrypt}{}", "A".repeat(MAX_HASH_BYTES)), "TOO_LONG"),
    ] {
        let error = Imported::parse(&text).expect_err(&text);
        assert_eq!(error.name(), name, "{text:.100}: {error}");
        let told = error.to_string();
        assert!(text.is_empty() || text == "password" || !told.contains(&text), "{told}");
    }
}

#[test]
fn plain_text_is_a_password_of_any_length_and_not_shown() {
    for (text, plain) in [("plain:123456", "123456"), ("{noop}a:b$c", "a:b$c"), ("{CLEARTEXT} x ", " x ")] {
        match Imported::parse(text) {
            Ok(Imported::Plain(password)) => assert_eq!(password.expose(), plain),
            other => panic!("{other:?}"),
        }
        assert!(stored(text).is_err(), "it is never stored");
    }
    assert!(!format!("{:?}", Imported::parse("plain:123456")).contains("123456"));
    let hash = Imported::parse("{SSHA}AZKja92fbuuB9SpRlHqaoXxbTc43Mzc2MDM1Ng==");
    assert_eq!(format!("{hash:?}"), r#"Ok(Foreign(ForeignHash { format: "ldap-ssha", .. }))"#);
}

#[test]
fn a_wrapped_hash_that_is_changed_lets_nobody_in() {
    let mut memory = WorkingMemory::new(small());
    let kept = imported("md5:password::e10adc3949ba59abbe56e057f20f883e", &mut memory).1;
    assert!(stored(&kept).unwrap().matches(&password("123456"), &mut memory), "the control");
    for changed in [
        kept.replace("md5", "sha1"),
        kept.replace("c=password", "c=hex(password)"),
        kept.replace("i=1$", "i=2$"),
        kept.replace(",i=1$", ",i=1$c2FsdA"),
    ] {
        let other = stored(&changed).is_ok_and(|hash| hash.matches(&password("123456"), &mut memory));
        assert!(!other || changed.contains("c2FsdA"), "{changed}");
    }
    for bad in [
        kept.replace("v=1$md5", "v=2$md5"),
        kept.replace("i=1$", "i=1025$"),
        kept.replace("i=1$", "i=0$"),
        kept.replace("md5", "md6"),
        kept.replace("$argon2id$", "$argon2i$"),
        kept.replace("m=8", "m=262145"),
        kept[..kept.len() - 24].to_owned(),
        "$wrapped$v=1$".to_owned(),
    ] {
        assert!(stored(&bad).is_err(), "{bad}");
    }
    let costly = stored(&kept.replace("m=8", "m=262145")).unwrap_err();
    assert_eq!(costly, CorruptHash::Parameters(InvalidHashParameters::Memory));
}

#[test]
fn a_wrapped_hash_of_an_export_is_taken_as_it_is_unless_it_is_weak_or_dear() {
    let wrapped = |outer: &str| {
        let text = format!(
            "$wrapped$v=1$md5$c=password,i=1$$argon2id$v=19${outer}$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"
        );
        Imported::parse(&text).map(|hash| (hash.format(), hash.takes_hashing()))
    };
    assert_eq!(wrapped("m=19456,t=2,p=1"), Ok(("wrapped", false)));
    assert!(matches!(wrapped("m=8,t=1,p=1"), Err(Unusable::TooLittle { .. })));
    assert!(wrapped("m=1048576,t=2,p=1").is_err());
    assert!(matches!(wrapped("m=19456,t=2"), Err(Unusable::Malformed { .. })));
}

#[test]
fn a_user_without_a_password_has_none_that_matches() {
    let stored = Stored::parse(&PasswordHash::none()).unwrap();
    let mut memory = WorkingMemory::default();
    for typed in ["", "$none$", "x"] {
        assert!(!stored.matches(&Password::new(typed.to_owned()).unwrap(), &mut memory));
    }
    assert!(Imported::parse(PasswordHash::none().as_phc()).is_err(), "it is no hash that somebody brings");
}
