//! What may be a password. In the spirit of NIST SP 800-63B-4 §3.1.1.2: a length, a list of what is tried first,
//! and no rules of composition.

use std::fmt;
use std::sync::LazyLock;

use zeroize::{Zeroize as _, Zeroizing};

use super::breached::BreachedPasswords;
use crate::model::Username;

/// The best-known passwords, lower case, sorted, one a line.
static COMMON: LazyLock<Vec<&'static str>> = LazyLock::new(|| include_str!("common.txt").lines().collect());

/// What a finger slides along: the digits, the alphabet, the rows and columns of keyboards. Each is a circle, so
/// that `7890123` is a run too.
const ROWS: [&str; 8] = [
    "0123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "qwertyuiop[]asdfghjkl;'zxcvbnm,./",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "!@#$%^&*()",
];

/// Why a password was refused. `Display` is a sentence for the person who chose it, and says nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// Shorter than [`PasswordPolicy::min_bytes`].
    #[error("a password is at least {min} bytes long")]
    TooShort {
        /// How long it must be, in bytes of UTF-8.
        min: usize,
    },
    /// Longer than [`Password::MAX_BYTES`].
    #[error("a password is at most {} bytes long", Password::MAX_BYTES)]
    TooLong,
    /// Some clients cut text off at NUL, and would log in with less than was set.
    #[error("a password must not contain NUL")]
    ContainsNul,
    /// On the list of common passwords, perhaps with digits or `!` behind it.
    #[error("this password is one of the most common; choose one that others do not use")]
    Common,
    /// In a file of passwords that are known from breaches.
    #[error("this password is known from a breach; choose one that is used nowhere else")]
    Breached,
    /// A spelling of the username, or the username with little more.
    #[error("a password must not be the username, or little more than that")]
    LikeUsername,
    /// One character over and over.
    #[error("a password must not be one character repeated")]
    Repeated,
    /// A run along the alphabet, the digits or a keyboard, in either direction.
    #[error("a password must not be a plain sequence of letters, digits or keys")]
    Sequence,
}

impl InvalidPassword {
    /// The name that programs are told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooShort { .. } => "TOO_SHORT",
            Self::TooLong => "TOO_LONG",
            Self::ContainsNul => "CONTAINS_NUL",
            Self::Common => "COMMON",
            Self::Breached => "BREACHED",
            Self::LikeUsername => "LIKE_USERNAME",
            Self::Repeated => "REPEATED",
            Self::Sequence => "SEQUENCE",
        }
    }
}

/// A password in plain text: its exact bytes, shown nowhere, wiped from memory when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The shortest password that may be set, in bytes of UTF-8.
    pub const MIN_BYTES: usize = 8;
    /// The longest password, set or presented, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 1024;

    /// Takes what somebody presents, of any length that could have been set. Fails only with
    /// [`InvalidPassword::TooLong`], and wipes the text then too. Whether it may *become* a password, [`PasswordPolicy::check`] says.
    pub fn new(mut text: String) -> Result<Self, InvalidPassword> {
        if text.len() > Self::MAX_BYTES {
            text.zeroize();
            return Err(InvalidPassword::TooLong);
        }
        Ok(Self(Zeroizing::new(text)))
    }

    /// The plain text, for what is computed from it and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What may become a password.
#[derive(Debug)]
pub struct PasswordPolicy {
    /// The shortest that may be set, in bytes of UTF-8.
    pub min_bytes: usize,
    /// Those that are known from breaches, and so may not be set.
    pub breached: Option<BreachedPasswords>,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { min_bytes: Password::MIN_BYTES, breached: None }
    }
}

/// A password may not be set, or it cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It may not.
    #[error(transparent)]
    Invalid(#[from] InvalidPassword),
    /// The file of breached passwords cannot be read.
    #[error("the file of breached passwords cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
}

impl PasswordPolicy {
    /// Whether `password` may be set as the password of the user `username`. Reads the file of breached passwords, where there
    /// is one: not to be called where nothing may block.
    pub fn check(&self, password: &Password, username: &Username) -> Result<(), Unfit> {
        check_new(password, username, self.min_bytes)?;
        match &self.breached {
            Some(breached) if breached.contains(password)? => Err(InvalidPassword::Breached.into()),
            _ => Ok(()),
        }
    }
}

fn check_new(password: &Password, username: &Username, min: usize) -> Result<(), InvalidPassword> {
    let text = password.expose();
    if text.len() < min {
        return Err(InvalidPassword::TooShort { min });
    }
    if text.contains('\0') {
        return Err(InvalidPassword::ContainsNul);
    }
    // What would be left is too short for a password.
    if username.is_spelled_by(text) || username.is_most_of(text, Password::MIN_BYTES) {
        return Err(InvalidPassword::LikeUsername);
    }
    let lower = Zeroizing::new(text.to_lowercase());
    if is_repetition(&lower) {
        return Err(InvalidPassword::Repeated);
    }
    if ROWS.iter().any(|row| is_run(&lower, row)) {
        return Err(InvalidPassword::Sequence);
    }
    if is_common(&lower) {
        return Err(InvalidPassword::Common);
    }
    Ok(())
}

fn is_repetition(text: &str) -> bool {
    text.chars().zip(text.chars().skip(1)).all(|(one, next)| one == next)
}

fn is_run(text: &str, row: &str) -> bool {
    let place = |character: char| row.chars().position(|c| c == character);
    let steps = || {
        text.chars().zip(text.chars().skip(1)).map(|(one, next)| {
            let (one, next) = (place(one)?, place(next)?);
            Some((next + row.len() - one) % row.len())
        })
    };
    steps().all(|step| step == Some(1)) || steps().all(|step| step == Some(row.len() - 1))
}

/// Tries the text itself and what is left of it as digits and `!` are taken off its end.
fn is_common(mut text: &str) -> bool {
    let on_list = |text: &str| COMMON.binary_search(&text).is_ok();
    while let Some(stem) = text.strip_suffix(|c: char| c.is_ascii_digit() || c == '!') {
        if on_list(text) {
            return true;
        }
        text = stem;
    }
    on_list(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), InvalidPassword> {
        let username = Username::parse("straßenbahn").unwrap();
        check_new(&Password::new(text.to_owned()).unwrap(), &username, Password::MIN_BYTES)
    }

    #[test]
    fn any_text_of_8_to_1024_bytes_that_nobody_would_guess_may_be_set() {
        for good in [
            "q8#xLm2v",
            "correct horse battery staple",
            "        two words",
            "пароль-из-слов",
            "\u{1F511}\u{1F511}\u{1F512}",
            "line\nfeed and\ttab",
            "abcdefg!zyx",
            "passwordpasswordpassword",
            "1qaz2wsx3edd",
            &"ab".repeat(512),
        ] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn a_long_password_may_have_the_username_in_it_and_so_may_one_of_a_short_name() {
        let fits = |username: &str, text: &str| {
            let password = Password::new(text.to_owned()).unwrap();
            check_new(&password, &Username::parse(username).unwrap(), Password::MIN_BYTES)
        };
        assert_eq!(fits("margaret", "margaret walks by the sea"), Ok(()));
        assert_eq!(fits("margaret", "margaret123!"), Err(InvalidPassword::LikeUsername));
        assert_eq!(fits("ada", "adamant9x!"), Ok(()));
        assert_eq!(fits("margaret@example.org", "margaret123!"), Err(InvalidPassword::LikeUsername));
        assert_eq!(fits("margaret@example.org", "margaret@example.org"), Err(InvalidPassword::LikeUsername));
    }

    #[test]
    fn what_is_known_from_a_breach_or_too_short_for_the_operator_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("breached");
        let list = "ABF7AAD6438836DBE526AA231ABDE2D0EEF74D42:17\n";
        super::super::build_breached(list.as_bytes(), std::fs::File::create(&path).unwrap()).unwrap();
        let breached = Some(BreachedPasswords::open(&path).unwrap());
        let policy = PasswordPolicy { min_bytes: 20, breached };
        let username = Username::parse("ada").unwrap();
        let check = |text: &str| policy.check(&Password::new(text.to_owned()).unwrap(), &username);
        let why = |text: &str| match check(text) {
            Err(Unfit::Invalid(why)) => why.name(),
            other => panic!("{other:?}"),
        };
        assert_eq!(why("correct horse battery staple"), "BREACHED");
        assert_eq!(why("q8#xLm2v"), "TOO_SHORT");
        assert!(check("correct horse battery stable").is_ok());
    }

    #[test]
    fn the_length_is_counted_in_bytes() {
        assert_eq!(check(""), Err(InvalidPassword::TooShort { min: 8 }));
        assert_eq!(check("q8#xLm2"), Err(InvalidPassword::TooShort { min: 8 }));
        assert_eq!(check("żółwąęść"), Ok(()));
        assert!(Password::new("x".repeat(1024)).is_ok());
        assert_eq!(Password::new("x".repeat(1025)).unwrap_err(), InvalidPassword::TooLong);
        assert!(Password::new(String::new()).is_ok(), "a short one may be presented, though never set");
    }

    #[test]
    fn what_is_tried_first_is_refused() {
        for (bad, reason) in [
            ("password", InvalidPassword::Common),
            ("PassWord", InvalidPassword::Common),
            ("Password2024!", InvalidPassword::Common),
            ("iloveyou!!11", InvalidPassword::Common),
            ("P@ssw0rd", InvalidPassword::Common),
            ("q1w2e3r4", InvalidPassword::Common),
            ("welcome123", InvalidPassword::Common),
            ("qwerty\0uiop", InvalidPassword::ContainsNul),
            ("straßenbahn", InvalidPassword::LikeUsername),
            ("STRASSENBAHN", InvalidPassword::LikeUsername),
            ("straßenbahn2024", InvalidPassword::LikeUsername),
            ("!!straßenbahn!!", InvalidPassword::LikeUsername),
            ("zzzzzzzz", InvalidPassword::Repeated),
            ("ZzZzZzZz", InvalidPassword::Repeated),
            ("\u{1F511}\u{1F511}\u{1F511}", InvalidPassword::Repeated),
            ("        ", InvalidPassword::Repeated),
            ("12345678", InvalidPassword::Sequence),
            ("78901234567", InvalidPassword::Sequence),
            ("9876543210", InvalidPassword::Sequence),
            ("abcdefghij", InvalidPassword::Sequence),
            ("hgfedcba", InvalidPassword::Sequence),
            ("QwertyUiop", InvalidPassword::Sequence),
            ("poiuytrewq", InvalidPassword::Sequence),
            ("qwertzuiop", InvalidPassword::Sequence),
            ("1qaz2wsx3edc", InvalidPassword::Sequence),
            ("!@#$%^&*", InvalidPassword::Sequence),
        ] {
            assert_eq!(check(bad), Err(reason), "{bad:?}");
        }
    }

    #[test]
    fn the_list_is_sorted_lower_case_and_holds_nothing_that_is_too_short_anyway() {
        assert!(COMMON.len() >= 400);
        assert!(COMMON.is_sorted_by(|one, next| one < next));
        for line in COMMON.iter() {
            assert_eq!(**line, line.to_lowercase());
            assert!(line.len() >= Password::MIN_BYTES, "{line}");
            assert!(!line.contains(char::is_whitespace), "{line:?}");
            assert!(check(line).is_err(), "{line}");
            assert!(check(&format!("{}2024!", line.to_uppercase())).is_err(), "{line}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let password = Password::new("a secret".to_owned()).unwrap();
        assert_eq!(format!("{password:?} {:?}", password.clone()), "Password(…) Password(…)");
    }
}
