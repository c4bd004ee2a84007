//! Usernames: one normal form for all the spellings that people take for the same name.

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};
use zeroize::Zeroizing;

/// Why a username was refused. `Display` is a sentence for the person who typed it; it names a character that
/// cannot be shown by its code point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUsername {
    /// Nothing was typed.
    #[error("a username must not be empty")]
    Empty,
    /// More was typed than is looked at, or the normal form is longer than a store keeps.
    #[error(
        "a username is at most {} characters and {} bytes long",
        Username::MAX_CHARACTERS,
        Username::MAX_BYTES
    )]
    TooLong,
    /// The normal form has a character that no username may have.
    #[error("a username must not contain {kind} (U+{:04X})", u32::from(*.character))]
    ForbiddenCharacter {
        /// The first such character.
        character: char,
        /// What is wrong with it.
        kind: ForbiddenKind,
    },
    /// The normal form begins with a character that would be drawn on top of whatever stands before it.
    #[error("a username must not begin with a combining mark (U+{:04X})", u32::from(*.character))]
    LeadingMark {
        /// The mark.
        character: char,
    },
    /// Normalising changed the text again each time.
    #[error("a username must have a normal form")]
    NoNormalForm,
}

/// Which characters no username may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenKind {
    /// `Cc`: NUL, line feed, escape…
    #[error("a control character")]
    Control,
    /// `Zs`, `Zl`, `Zp`, and what normalises to a space.
    #[error("white space")]
    WhiteSpace,
    /// `Cf` and default ignorables: joiners, bidirectional controls, variation selectors, fillers; and the blank
    /// Braille pattern.
    #[error("an invisible character")]
    Invisible,
    /// `Co`: everybody draws it as they like.
    #[error("a private-use character")]
    PrivateUse,
    /// `Cn`: it has no normal form yet that would stay the same in the next version of Unicode.
    #[error("an unassigned character")]
    Unassigned,
}

/// A username in its one normal form: two spellings that people take for the same are the same user.
///
/// The form is a fixed point of NFKD, full case folding without a locale and NFKC (UAX #15; Unicode §3.13, D146):
/// what `NFKC_Casefold` gives, except that default-ignorable characters are refused and not dropped. A name
/// that needs an invisible character is either a mistake or an attempt to look like somebody else, and whoever
/// typed it should hear so rather than become another user. What is allowed is decided on the normal form,
/// because normalising makes forbidden characters out of permitted ones (U+00A8 becomes a space and a mark).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Username(String);

impl Username {
    /// The longest normal form, in characters.
    pub const MAX_CHARACTERS: usize = 128;
    /// The longest normal form, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 255;
    /// The longest text that is looked at, in bytes: one character may become eighteen, so the work is bounded
    /// before it begins.
    pub const MAX_TYPED_BYTES: usize = 1024;

    /// Normalises and checks what somebody typed.
    pub fn parse(typed: &str) -> Result<Self, InvalidUsername> {
        let normal = normal_form(typed)?;
        check(&normal)?;
        Ok(Self(normal.to_string()))
    }

    /// Takes what [`Username::as_str`] gave, from a store.
    pub const fn from_normalized(text: String) -> Self {
        Self(text)
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` is one of this name's spellings. The text may be a secret: nothing of it stays in memory
    /// that this function could wipe.
    pub fn is_spelled_by(&self, text: &str) -> bool {
        normal_form(text).is_ok_and(|normal| *normal == self.0)
    }

    /// Whether the normal form of `text` has this name in it, or what stands before its `@`, with fewer than `rest` bytes
    /// beside it. Names of fewer than 4 bytes are not looked for: they stand in many words by chance. Treats the text as
    /// [`Self::is_spelled_by`] does.
    pub fn is_most_of(&self, text: &str, rest: usize) -> bool {
        const SHORTEST: usize = 4;
        let Ok(normal) = normal_form(text) else { return false };
        let local = self.0.split_once('@').map_or(self.as_str(), |(local, _)| local);
        [self.as_str(), local].into_iter().any(|name| {
            name.len() >= SHORTEST && normal.contains(name) && normal.len().saturating_sub(name.len()) < rest
        })
    }
}

/// Text that is stable after this many rounds has its normal form. No single character needs more than two (a
/// test tries all); the rest is for sequences that nobody has thought of.
const MAX_ROUNDS: usize = 8;

fn normal_form(typed: &str) -> Result<Zeroizing<String>, InvalidUsername> {
    if typed.len() > Username::MAX_TYPED_BYTES {
        return Err(InvalidUsername::TooLong);
    }
    let mut text = Zeroizing::new(typed.to_owned());
    for _ in 0..MAX_ROUNDS {
        let next = fold_once(&text);
        if next == text {
            return Ok(text);
        }
        text = next;
    }
    Err(InvalidUsername::NoNormalForm)
}

/// Decomposes first, so that canonically equivalent texts are one text before case is folded: U+0345 folds to a
/// letter, and marks must be in their canonical order by then.
fn fold_once(text: &str) -> Zeroizing<String> {
    let decomposed = Zeroizing::new(DecomposingNormalizerBorrowed::new_nfkd().normalize(text).into_owned());
    let folded = Zeroizing::new(CaseMapper::new().fold_string(&decomposed).into_owned());
    Zeroizing::new(ComposingNormalizerBorrowed::new_nfkc().normalize(&folded).into_owned())
}

fn check(normal: &str) -> Result<(), InvalidUsername> {
    let first = normal.chars().next().ok_or(InvalidUsername::Empty)?;
    if normal.len() > Username::MAX_BYTES || normal.chars().count() > Username::MAX_CHARACTERS {
        return Err(InvalidUsername::TooLong);
    }
    for character in normal.chars() {
        if let Some(kind) = forbidden(character) {
            return Err(InvalidUsername::ForbiddenCharacter { character, kind });
        }
    }
    if GeneralCategoryGroup::Mark.contains(category(first)) {
        return Err(InvalidUsername::LeadingMark { character: first });
    }
    Ok(())
}

fn forbidden(character: char) -> Option<ForbiddenKind> {
    const BLANK_BRAILLE_PATTERN: char = '\u{2800}';
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    if character == BLANK_BRAILLE_PATTERN || ignorable.contains(character) {
        return Some(ForbiddenKind::Invisible);
    }
    match category(character) {
        GeneralCategory::Control => Some(ForbiddenKind::Control),
        GeneralCategory::SpaceSeparator
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator => Some(ForbiddenKind::WhiteSpace),
        GeneralCategory::Format => Some(ForbiddenKind::Invisible),
        GeneralCategory::PrivateUse => Some(ForbiddenKind::PrivateUse),
        GeneralCategory::Unassigned | GeneralCategory::Surrogate => Some(ForbiddenKind::Unassigned),
        _ => None,
    }
}

fn category(character: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(character)
}

#[cfg(test)]
mod tests {
    use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
    use proptest::prelude::*;

    use super::*;

    fn name(typed: &str) -> String {
        Username::parse(typed).unwrap_or_else(|error| panic!("{typed:?}: {error}")).as_str().to_owned()
    }

    fn refused(typed: &str) -> InvalidUsername {
        Username::parse(typed).expect_err(typed)
    }

    #[test]
    fn spellings_that_people_take_for_the_same_are_one_user() {
        for (spellings, normal) in [
            (&["admin", "ADMIN", "Ａdmin", "ⓐⒹⓂⒾⓃ", "𝐚𝐝𝐦𝐢𝐧"][..], "admin"),
            (&["straße", "STRASSE", "STRAẞE", "ſtraſſe"], "strasse"),
            (&["ΟΔΟΣ", "οδος", "οδοσ"], "οδοσ"),
            (&["한글", "\u{1112}\u{1161}\u{11AB}\u{1100}\u{1173}\u{11AF}"], "한글"),
            (&["\u{212A}elvin", "kelvin"], "kelvin"),
            (&["\u{FB03}x", "ﬀix", "FFIX"], "ffix"),
            (&["\u{E9}a", "e\u{301}a", "\u{C9}A", "E\u{301}A"], "\u{E9}a"),
            (&["\u{212B}", "\u{C5}", "a\u{30A}"], "\u{E5}"),
            (&["ｶﾞ", "ガ"], "ガ"),
            (&["１２", "12", "①②"], "12"),
            (&["\u{1FB3}\u{301}", "\u{3B1}\u{301}\u{345}", "\u{1FB4}", "άι"], "άι"),
            (&["o.b-r_i'an+x@example.com", "O.B-R_I'AN+X@EXAMPLE.COM"], "o.b-r_i'an+x@example.com"),
        ] {
            for spelling in spellings {
                assert_eq!(name(spelling), normal, "{spelling:?}");
                assert!(Username::from_normalized(normal.to_owned()).is_spelled_by(spelling), "{spelling:?}");
            }
        }
    }

    #[test]
    fn case_is_folded_without_a_locale() {
        assert_eq!(name("TITLE"), "title", "I is i, in Turkey too");
        assert_eq!(name("tıtle"), "tıtle", "dotless i is a letter of its own");
        assert_eq!(name("İ"), "i\u{307}", "I with a dot keeps the dot");
        assert_ne!(name("İ"), name("I"));
    }

    #[test]
    fn what_cannot_be_seen_or_told_apart_is_refused_and_shown_by_its_code_point() {
        use ForbiddenKind::{Control, Invisible, PrivateUse, Unassigned, WhiteSpace};
        for (typed, character, kind) in [
            ("a\0b", '\0', Control),
            ("a\u{1b}[2Jb", '\u{1b}', Control),
            ("a\nb", '\n', Control),
            ("a\u{85}b", '\u{85}', Control),
            ("a b", ' ', WhiteSpace),
            (" a", ' ', WhiteSpace),
            ("a\u{A0}", ' ', WhiteSpace),
            ("a\u{3000}b", ' ', WhiteSpace),
            ("a\u{2028}b", '\u{2028}', WhiteSpace),
            ("a\u{A8}", ' ', WhiteSpace),
            ("a\u{200D}b", '\u{200D}', Invisible),
            ("a\u{200B}b", '\u{200B}', Invisible),
            ("a\u{AD}b", '\u{AD}', Invisible),
            ("\u{FEFF}a", '\u{FEFF}', Invisible),
            ("a\u{202E}b", '\u{202E}', Invisible),
            ("a\u{2067}b", '\u{2067}', Invisible),
            ("a\u{61C}b", '\u{61C}', Invisible),
            ("a\u{FE0F}", '\u{FE0F}', Invisible),
            ("a\u{34F}b", '\u{34F}', Invisible),
            ("a\u{3164}b", '\u{1160}', Invisible),
            ("a\u{FFA0}b", '\u{1160}', Invisible),
            ("a\u{2800}b", '\u{2800}', Invisible),
            ("a\u{E0061}", '\u{E0061}', Invisible),
            ("a\u{E000}", '\u{E000}', PrivateUse),
            ("a\u{10FFFD}", '\u{10FFFD}', PrivateUse),
            ("a\u{378}", '\u{378}', Unassigned),
            ("a\u{FFFF}", '\u{FFFF}', Unassigned),
        ] {
            let error = refused(typed);
            assert_eq!(error, InvalidUsername::ForbiddenCharacter { character, kind }, "{typed:?}");
            let sentence = error.to_string();
            assert!(sentence.is_ascii() && !sentence.contains(char::is_control), "{sentence:?}");
            assert!(sentence.contains(&format!("U+{:04X}", u32::from(character))), "{sentence}");
        }
        assert_eq!(refused("a\0").to_string(), "a username must not contain a control character (U+0000)");
    }

    #[test]
    fn a_leading_mark_is_refused_and_a_later_one_is_not() {
        assert_eq!(refused("\u{301}a"), InvalidUsername::LeadingMark { character: '\u{301}' });
        assert_eq!(refused("\u{20DD}"), InvalidUsername::LeadingMark { character: '\u{20DD}' });
        assert_eq!(name("x\u{301}"), "x\u{301}");
    }

    #[test]
    fn the_length_is_that_of_the_normal_form_and_the_work_is_bounded() {
        assert_eq!(refused(""), InvalidUsername::Empty);
        assert_eq!(name(&"x".repeat(128)).len(), 128);
        assert_eq!(refused(&"x".repeat(129)), InvalidUsername::TooLong);
        assert_eq!(name(&"ж".repeat(127)).len(), 254);
        assert_eq!(refused(&"ж".repeat(128)), InvalidUsername::TooLong, "256 bytes");
        assert_eq!(name(&"e\u{301}".repeat(120)).chars().count(), 120, "composes to fit");
        assert_eq!(refused(&"ß".repeat(65)), InvalidUsername::TooLong, "unfolds to 130");
        assert_eq!(refused(&"\u{FDFA}".repeat(341)), InvalidUsername::TooLong);
        assert_eq!(refused(&"\0".repeat(1025)), InvalidUsername::TooLong, "not even normalised");
    }

    #[test]
    fn two_rounds_are_enough_for_every_character() {
        let all: Vec<char> = ('\0'..=char::MAX).collect();
        for characters in all.chunks(1024) {
            let apart: String = characters.iter().flat_map(|character| [*character, ' ']).collect();
            let twice = fold_once(&fold_once(&apart));
            assert_eq!(fold_once(&twice), twice, "U+{:04X} and after", u32::from(characters[0]));
        }
    }

    /// Letters whose folding or composition is not plain, marks that reorder, and a few that are refused.
    fn awkward() -> impl Strategy<Value = String> {
        let characters: Vec<char> =
            "aAiIkKsSſßẞıİΣσςΐΰ\u{345}\u{1FB3}\u{1FBC}\u{301}\u{307}\u{323}\u{30A}\u{1E9E}\u{212A}\u{FB01}\u{1F0}\
             한\u{1112}\u{1161}\u{11AB}ｶ\u{FF9E}\u{149}\u{390}\u{FDFA}Ａ①\u{200D}\u{A8} ᏸᏰꭰ\u{1E97}\u{587}\u{10A0}"
                .chars()
                .collect();
        proptest::collection::vec(proptest::sample::select(characters), 0..24)
            .prop_map(|characters| characters.into_iter().collect())
    }

    proptest! {
        #[test]
        fn the_normal_form_is_its_own_normal_form(typed in prop_oneof![awkward(), any::<String>(), "\\PC{0,60}"]) {
            if let Ok(username) = Username::parse(&typed) {
                prop_assert_eq!(Username::parse(username.as_str()), Ok(username.clone()));
                prop_assert!(username.is_spelled_by(&typed));
            }
        }

        #[test]
        fn canonically_equivalent_texts_are_the_same_user(typed in prop_oneof![awkward(), any::<String>(), "\\PC{0,60}"]) {
            let composed = ComposingNormalizerBorrowed::new_nfc().normalize(&typed).into_owned();
            let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(&typed).into_owned();
            prop_assume!(composed.len().max(decomposed.len()).max(typed.len()) <= Username::MAX_TYPED_BYTES);
            prop_assert_eq!(Username::parse(&typed), Username::parse(&composed));
            prop_assert_eq!(Username::parse(&typed), Username::parse(&decomposed));
        }

        #[test]
        fn an_accepted_name_holds_no_upper_case(typed in prop_oneof![awkward(), "\\PC{0,60}"]) {
            if let Ok(username) = Username::parse(&typed) {
                prop_assert!(!username.as_str().contains(|c: char| c.is_ascii_uppercase()));
            }
        }
    }
}
