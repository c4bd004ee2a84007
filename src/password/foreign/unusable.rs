//! Why a hash is not taken.

use super::MAX_HASH_BYTES;

/// Why a hash of another system cannot be taken. Says nothing of the hash itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is written like none that is known here.
    #[error("the format of the hash is not known")]
    UnknownFormat,
    /// It begins like one of these, and goes on otherwise.
    #[error("not a well-formed {format} hash: {what}")]
    Malformed {
        /// Which format it seems to be.
        format: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// To check one password would cost more than a login may.
    #[error("{format}: {what} is {given}, and a login may cost at most {most}")]
    TooCostly {
        /// Which format.
        format: &'static str,
        /// Which of its costs.
        what: &'static str,
        /// What it is.
        given: u64,
        /// What it may be.
        most: u64,
    },
    /// It costs less than the format allows.
    #[error("{format}: {what} is {given}, and is never less than {least}")]
    TooLittle {
        /// Which format.
        format: &'static str,
        /// Which of its costs.
        what: &'static str,
        /// What it is.
        given: u64,
        /// What it is at least.
        least: u64,
    },
    /// It is known, and not taken.
    #[error("{format}: {why}")]
    Unsupported {
        /// Which format.
        format: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// Longer than any hash is.
    #[error("a hash has at most {MAX_HASH_BYTES} bytes")]
    TooLong,
    /// It is in the database as it came, though it could be guessed quickly.
    #[error("{format}: too fast to be stored as it is; import it, which wraps it in Argon2id")]
    NotWrapped {
        /// Which format.
        format: &'static str,
    },
}

impl Unusable {
    /// The name that programs are told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownFormat => "UNKNOWN_FORMAT",
            Self::Malformed { .. } => "MALFORMED",
            Self::TooCostly { .. } => "TOO_COSTLY",
            Self::TooLittle { .. } => "TOO_LITTLE",
            Self::Unsupported { .. } => "UNSUPPORTED",
            Self::TooLong => "TOO_LONG",
            Self::NotWrapped { .. } => "NOT_WRAPPED",
        }
    }
}
