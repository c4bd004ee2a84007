//! How long a call may take: the shorter of what the caller said and what the operator allows.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::administration::{IMPORT, WATCH_EVENTS};
use super::allow::is_administrative;
use super::ext_authz::CHECK;
use crate::transport::Deadlines;

/// The metadata in which a caller says how long it will wait.
pub(super) const HEADER: HeaderName = HeaderName::from_static("grpc-timeout");

impl Deadlines {
    /// The limit for a method; `None` for methods that stream, and for those of other services.
    pub(super) fn limit(&self, path: &str) -> Option<Duration> {
        if path == CHECK {
            return Some(self.verify);
        }
        if path == IMPORT || path == WATCH_EVENTS {
            return None;
        }
        if is_administrative(path) {
            return Some(self.login);
        }
        match path.strip_prefix("/countersign.v1.AuthService/")? {
            "Login" | "ChangePassword" | "ResetPassword" | "IssueServiceToken" => Some(self.login),
            "Refresh" => Some(self.refresh),
            "Logout" | "ListOwnSessions" | "RevokeOwnSessions" => Some(self.logout),
            "VerifyAccessToken" | "BatchVerifyAccessTokens" => Some(self.verify),
            _ => None,
        }
    }
}

/// `grpc-timeout` is not what the gRPC specification says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MalformedTimeout;

/// How long the call may take; `None` is for ever. Takes the header away, so that nothing further in cuts the
/// call off in a way of its own.
pub(super) fn take_budget(
    headers: &mut HeaderMap,
    limit: Option<Duration>,
) -> Result<Option<Duration>, MalformedTimeout> {
    let several = headers.get_all(HEADER).iter().nth(1).is_some();
    let asked = headers.remove(HEADER).map(|value| parse(&value)).transpose()?;
    if several {
        return Err(MalformedTimeout);
    }
    Ok(match (asked, limit) {
        (Some(asked), Some(limit)) => Some(asked.min(limit)),
        (asked, limit) => asked.or(limit),
    })
}

/// Whether the caller waits for an answer that comes at once. One that says so in a way of its own is told by
/// [`take_budget`].
pub(super) fn allows_an_instant(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(HEADER).iter();
    values.next().is_none_or(|value| parse(value).is_ok_and(|budget| !budget.is_zero()))
        && values.next().is_none()
}

/// One to eight digits and a unit: `Timeout` in the gRPC over HTTP/2 specification.
fn parse(value: &HeaderValue) -> Result<Duration, MalformedTimeout> {
    let text = value.to_str().map_err(|_| MalformedTimeout)?;
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(MalformedTimeout)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(MalformedTimeout);
    }
    let amount = digits.parse::<u64>().map_err(|_| MalformedTimeout)?;
    match unit {
        "H" => Ok(Duration::from_secs(amount * 60 * 60)),
        "M" => Ok(Duration::from_secs(amount * 60)),
        "S" => Ok(Duration::from_secs(amount)),
        "m" => Ok(Duration::from_millis(amount)),
        "u" => Ok(Duration::from_micros(amount)),
        "n" => Ok(Duration::from_nanos(amount)),
        _ => Err(MalformedTimeout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(header: &str, limit: Option<Duration>) -> Result<Option<Duration>, MalformedTimeout> {
        let mut headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_str(header).unwrap())]);
        let budget = take_budget(&mut headers, limit);
        assert!(headers.is_empty(), "the header is taken away");
        budget
    }

    #[test]
    fn every_unit_is_understood() {
        for (header, expected) in [
            ("2H", Duration::from_hours(2)),
            ("3M", Duration::from_mins(3)),
            ("4S", Duration::from_secs(4)),
            ("5m", Duration::from_millis(5)),
            ("6u", Duration::from_micros(6)),
            ("7n", Duration::from_nanos(7)),
            ("0n", Duration::ZERO),
            ("99999999H", Duration::from_hours(99_999_999)),
        ] {
            assert_eq!(budget(header, None), Ok(Some(expected)), "{header}");
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        for header in ["", "S", "1", "1s", "1h", "123456789S", "-1S", "+1S", "1.5S", " 1S", "1 S", "1SS"] {
            assert_eq!(budget(header, None), Err(MalformedTimeout), "{header:?}");
        }
        let mut headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_bytes(b"1\xC3").unwrap())]);
        assert_eq!(take_budget(&mut headers, None), Err(MalformedTimeout));
        let mut twice = HeaderMap::new();
        twice.append(HEADER, HeaderValue::from_static("1S"));
        twice.append(HEADER, HeaderValue::from_static("9S"));
        assert!(!allows_an_instant(&twice));
        assert_eq!(take_budget(&mut twice, None), Err(MalformedTimeout), "which of the two would count?");
    }

    #[test]
    fn the_shorter_limit_counts() {
        let limit = Some(Duration::from_secs(2));
        assert_eq!(budget("1S", limit), Ok(Some(Duration::from_secs(1))));
        assert_eq!(budget("1H", limit), Ok(limit));
        assert_eq!(take_budget(&mut HeaderMap::new(), limit), Ok(limit));
        assert_eq!(take_budget(&mut HeaderMap::new(), None), Ok(None));
    }

    #[test]
    fn every_method_has_a_limit_unless_it_streams() {
        use prost::Message as _;

        let files = prost_types::FileDescriptorSet::decode(crate::grpc::proto::DESCRIPTORS).unwrap();
        let package = files.file.iter().filter(|file| file.package() == "countersign.v1");
        for service in package.flat_map(|file| &file.service) {
            for method in &service.method {
                let path = format!("/countersign.v1.{}/{}", service.name(), method.name());
                let limited = Deadlines::default().limit(&path).is_some();
                assert_eq!(limited, !method.server_streaming(), "{path}");
            }
        }
        assert_eq!(Deadlines::default().limit(CHECK), Some(Deadlines::default().verify));
        assert_eq!(Deadlines::default().limit("/grpc.health.v1.Health/Watch"), None);
    }
}
