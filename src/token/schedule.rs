//! Which of several keys is the one in use: a key is announced first and used from a moment on that lies after
//! every replica has heard of it (design §4, "Keys").

use std::fmt;

use time::{Date, Month, OffsetDateTime};

use crate::model::UnixMillis;

/// From when on a key is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Activation {
    /// Since ever.
    Always,
    /// From this moment on.
    At(UnixMillis),
    /// Not before somebody decides when.
    Pending,
}

impl Activation {
    /// Whether the moment has come.
    pub fn is_reached(self, now: UnixMillis) -> bool {
        self <= Self::At(now)
    }

    /// The moment, if there is one.
    pub const fn at(self) -> Option<UnixMillis> {
        match self {
            Self::At(at) => Some(at),
            Self::Always | Self::Pending => None,
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("always"),
            Self::Pending => f.write_str("pending"),
            Self::At(at) => match format_timestamp(*at) {
                Some(text) => f.write_str(&text),
                None => fmt::Debug::fmt(at, f),
            },
        }
    }
}

/// `yyyymmddThhmmssZ` (ISO 8601, basic format, UTC), rounded down to whole seconds; none outside the years 0 to
/// 9999.
pub(super) fn format_timestamp(at: UnixMillis) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp(at.as_secs()).ok().filter(|at| at.year() >= 0)?;
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute, second) = at.to_hms();
    Some(format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z"))
}

/// Whether the text has the shape of a timestamp: then it must be one.
pub(super) fn looks_like_timestamp(text: &str) -> bool {
    text.len() == 16
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        })
}

/// The moment that a timestamp names; none when there is no such day or hour.
pub(super) fn parse_timestamp(text: &str) -> Option<UnixMillis> {
    if !looks_like_timestamp(text) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u8>().ok();
    let year = text.get(0..4)?.parse().ok()?;
    let month = Month::try_from(number(4..6)?).ok()?;
    let date = Date::from_calendar_date(year, month, number(6..8)?).ok()?;
    let at = date.with_hms(number(9..11)?, number(11..13)?, number(13..15)?).ok()?;
    Some(UnixMillis::from_secs(at.assume_utc().unix_timestamp()))
}

/// What can stand in a [`Schedule`].
pub(super) trait Scheduled {
    /// What an operator knows it by.
    fn name(&self) -> String;
    /// From when on it is in use.
    fn activation(&self) -> Activation;
}

/// Why keys make no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// No key could ever be used.
    #[error("there is no key to make tokens with")]
    Empty,
    /// Replicas could not agree which of two keys is in use.
    #[error(
        "{first} and {second} come into use at the same moment ({activation}); name one of them \
         <yyyymmddThhmmssZ>-<8 hexadecimal digits>, with a time of its own, or take it away"
    )]
    Tied {
        /// One key.
        first: String,
        /// The other.
        second: String,
        /// The moment.
        activation: Activation,
    },
}

/// Keys in the order in which they come into use: at least one, and never two at once.
#[derive(Debug)]
pub(super) struct Schedule<K>(Vec<K>);

impl<K: Scheduled> Schedule<K> {
    /// Puts keys in order.
    pub(super) fn new(mut keys: Vec<K>) -> Result<Self, InvalidSchedule> {
        if keys.is_empty() {
            return Err(InvalidSchedule::Empty);
        }
        keys.sort_by_key(Scheduled::activation);
        let tied = keys.windows(2).find_map(|pair| match pair {
            [a, b] if a.activation() == b.activation() && a.activation() != Activation::Pending => {
                Some((a, b))
            }
            _ => None,
        });
        if let Some((first, second)) = tied {
            return Err(InvalidSchedule::Tied {
                first: first.name(),
                second: second.name(),
                activation: first.activation(),
            });
        }
        Ok(Self(keys))
    }

    /// The key in use: the one that came into use last. When none has yet, as on a machine whose clock is
    /// behind the one that made the first key, the first that will: there is nothing better to be had.
    pub(super) fn active(&self, now: UnixMillis) -> &K {
        let reached = self.0.partition_point(|key| key.activation().is_reached(now));
        &self.0[reached.saturating_sub(1)]
    }

    /// Every key, in the order in which they come into use.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, K> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Key(&'static str, Activation);

    impl Scheduled for Key {
        fn name(&self) -> String {
            self.0.to_owned()
        }
        fn activation(&self) -> Activation {
            self.1
        }
    }

    fn at(seconds: i64) -> Activation {
        Activation::At(UnixMillis::from_secs(seconds))
    }

    #[test]
    fn a_key_is_in_use_from_its_moment_on_until_the_next_one_is() {
        let schedule =
            Schedule::new(vec![Key("c", at(20)), Key("a", Activation::Always), Key("b", at(10))]).unwrap();
        for (seconds, expected) in [(0, "a"), (9, "a"), (10, "b"), (19, "b"), (20, "c"), (99, "c")] {
            assert_eq!(schedule.active(UnixMillis::from_secs(seconds)).0, expected, "{seconds}");
        }
        assert_eq!(schedule.active(UnixMillis(19_999)).0, "b");
    }

    #[test]
    fn with_nothing_in_use_yet_the_first_to_come_is_taken() {
        let schedule = Schedule::new(vec![Key("late", at(20)), Key("early", at(10))]).unwrap();
        assert_eq!(schedule.active(UnixMillis::from_secs(5)).0, "early");
    }

    #[test]
    fn ties_and_emptiness_are_refused() {
        assert_eq!(Schedule::<Key>::new(vec![]).unwrap_err(), InvalidSchedule::Empty);
        for activation in [at(10), Activation::Always] {
            let keys = vec![Key("a", activation), Key("z", at(99)), Key("b", activation)];
            let error = Schedule::new(keys).unwrap_err();
            assert!(error.to_string().starts_with("a and b come into use at the same moment"), "{error}");
        }
    }

    #[test]
    fn timestamps_read_as_they_are_written() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_827_696, "20000229T123456Z"),
            (-1, "19691231T235959Z"),
            (253_402_300_799, "99991231T235959Z"),
        ] {
            assert_eq!(format_timestamp(UnixMillis::from_secs(seconds)).as_deref(), Some(text));
            assert_eq!(parse_timestamp(text), Some(UnixMillis::from_secs(seconds)));
        }
        assert_eq!(format_timestamp(UnixMillis(1999)).as_deref(), Some("19700101T000001Z"));
        assert_eq!(format_timestamp(UnixMillis(i64::MAX)), None);
    }

    #[test]
    fn no_other_text_is_a_timestamp() {
        for bad in ["", "20260230T000000Z", "20260101T240000Z", "20261301T000000Z", "20260101T000060Z"] {
            assert_eq!(parse_timestamp(bad), None, "{bad}");
        }
        for bad in ["20260101t000000Z", "20260101T000000", "2026-01-01T0000Z", "+0260101T000000Z"] {
            assert_eq!(parse_timestamp(bad), None, "{bad}");
        }
    }
}
