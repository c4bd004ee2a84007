//! Why a connection or a body was ended by us.

use std::{fmt, io};

/// Why a connection was ended before its peer ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// No request came in time, or a head that had begun did not end.
    NoRequest,
    /// It was silent for longer than connections are kept alive.
    Idle,
    /// Its peer read nothing of an answer.
    UnreadAnswer,
    /// It held memory that others needed, or more than it may.
    NoRoom,
    /// It did nothing, and a new one needed its place.
    GaveWay,
    /// It was asked to go because of its age, and did not.
    Age,
}

impl Ended {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::NoRequest, Self::Idle, Self::UnreadAnswer, Self::NoRoom, Self::GaveWay, Self::Age];

    /// As it is called in metrics and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRequest => "no_request",
            Self::Idle => "idle",
            Self::UnreadAnswer => "unread_answer",
            Self::NoRoom => "no_room",
            Self::GaveWay => "gave_way",
            Self::Age => "age",
        }
    }

    /// Whether an operator should read of it.
    pub(super) const fn is_abuse(self) -> bool {
        matches!(self, Self::UnreadAnswer | Self::NoRoom | Self::GaveWay)
    }
}

/// Why the body of a request cannot be read on. As an [`io::Error`] it is of the kind `TimedOut` or `QuotaExceeded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyRefused {
    /// It did not come in time.
    Late,
    /// There is no room for it.
    NoRoom,
}

impl fmt::Display for BodyRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Late => "the message did not arrive in time",
            Self::NoRoom => "the service holds as much for its callers as it may",
        })
    }
}

impl std::error::Error for BodyRefused {}

impl From<BodyRefused> for io::Error {
    fn from(refused: BodyRefused) -> Self {
        let kind = match refused {
            BodyRefused::Late => io::ErrorKind::TimedOut,
            BodyRefused::NoRoom => io::ErrorKind::QuotaExceeded,
        };
        Self::new(kind, refused)
    }
}
