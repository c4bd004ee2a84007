//! How things are written for people and for programs.

use std::io::Write;

use serde::Serialize;
use time::OffsetDateTime;

use super::Failure;
use super::program::BoxError;
use crate::model::UnixMillis;

/// Writes an object of JSON on a line of its own.
pub(super) fn json_line<T: Serialize>(out: &mut dyn Write, value: &T) -> Result<(), Failure> {
    let line = serde_json::to_string(value).map_err(BoxError::from)?;
    writeln!(out, "{line}")?;
    Ok(())
}

/// A time as RFC 3339 writes it, in UTC, to the second.
pub(super) fn rfc3339(time: UnixMillis) -> String {
    let time = OffsetDateTime::from_unix_timestamp(time.as_secs()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}

/// The same to the millisecond, where it is not a whole second.
pub(super) fn rfc3339_millis(time: UnixMillis) -> String {
    let whole = rfc3339(time);
    match time.0.rem_euclid(1000) {
        0 => whole,
        millis => format!("{}.{millis:03}Z", whole.trim_end_matches('Z')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(UnixMillis::from_secs(seconds)), text);
        }
    }
}
