//! What a user is called in another system.

use super::user::InvalidAttribute;

/// A user's id in another system, an integer as text for instance: the claim `ext` of their access tokens. At most one
/// user has it. Compared byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExternalId(String);

impl ExternalId {
    /// The longest one, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 128;

    /// Checks what somebody wrote. White space at either end is refused: a header loses it on its way, and not every
    /// database tells a text with it from one without.
    pub fn parse(text: &str) -> Result<Self, InvalidAttribute> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(InvalidAttribute::new(format!(
                "an external id has 1 to {} bytes of UTF-8",
                Self::MAX_BYTES
            )));
        }
        if text.chars().any(char::is_control) || text.trim() != text {
            return Err(InvalidAttribute::new(
                "an external id must not contain control characters, nor begin or end with white space",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_id_is_bounded_and_survives_headers_and_databases() {
        for good in ["0", "42", "a b", "北京-7", &"x".repeat(ExternalId::MAX_BYTES), "\"\\"] {
            assert_eq!(ExternalId::parse(good).unwrap().as_str(), good);
        }
        let long = "北".repeat(ExternalId::MAX_BYTES / 3 + 1);
        for bad in ["", " ", " 7", "7 ", "7\u{a0}", "a\nb", "a\0", "\u{85}", &long] {
            assert!(ExternalId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
