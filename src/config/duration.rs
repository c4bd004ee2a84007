//! Durations as people write them: `1500ms`, `10s`, `5m`, `12h`, `30d`.

use std::time::Duration;

use serde::{Deserialize as _, Deserializer, Serializer};

/// The units, the largest first, with their length in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration: write a whole number and one of ms, s, m, h, d, such as \"10s\"")]
pub struct InvalidDuration(String);

/// Parses a whole number with a unit.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis = UNITS
        .into_iter()
        .find(|(name, _)| *name == unit)
        .and_then(|(_, length)| number.parse::<u64>().ok()?.checked_mul(length));
    millis.map(Duration::from_millis).ok_or_else(|| InvalidDuration(text.chars().take(40).collect()))
}

/// Writes a duration in the largest unit that it is a multiple of; what is finer than a millisecond is left out.
pub fn format(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    UNITS
        .into_iter()
        .find(|(_, length)| millis.is_multiple_of(*length))
        .map_or_else(|| format!("{millis}ms"), |(name, length)| format!("{}{name}", millis / length))
}

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["0s", "1ms", "1500ms", "10s", "5m", "90m", "12h", "30d"] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
        assert_eq!(parse("60s"), Ok(Duration::from_mins(1)));
        assert_eq!(format(Duration::from_hours(48)), "2d");
    }

    #[test]
    fn what_is_not_a_whole_number_with_a_unit_is_refused() {
        for text in
            ["", "10", "s", "1.5s", "-1s", " 1s", "1 s", "1s ", "1w", "1h30m", "99999999999999999999s"]
        {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("is not a duration"), "{text:?}: {error}");
        }
        assert!(parse("18446744073709551615d").is_err(), "too long for the clock");
    }
}
