//! Checks that the sections share.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize as _, Deserializer};

use super::duration;
use super::error::Problem;
use super::shown_url;

/// A number must lie in `range`.
pub(super) fn number<T: PartialOrd + Display + Copy>(
    key: &'static str,
    value: T,
    range: &RangeInclusive<T>,
) -> Result<(), Problem> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Problem::new(key, format!("{value} is not between {} and {}", range.start(), range.end())))
}

/// A duration must lie in `range`, both ends written as in the file.
pub(super) fn time(key: &'static str, value: Duration, range: [&str; 2]) -> Result<(), Problem> {
    let [least, most] = range.map(duration::parse);
    let within = least.is_ok_and(|least| value >= least) && most.is_ok_and(|most| value <= most);
    if within {
        return Ok(());
    }
    let [least, most] = range;
    Err(Problem::new(key, format!("{} is not between {least} and {most}", duration::format(value))))
}

/// Text must be there, of at most `most` bytes, without blanks and control characters.
pub(super) fn word(key: &'static str, value: &str, most: usize) -> Result<(), Problem> {
    if value.is_empty() {
        return Err(Problem::new(key, "must not be empty"));
    }
    if value.len() > most {
        return Err(Problem::new(key, format!("is longer than {most} bytes")));
    }
    if value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let value = shown_url(value);
        return Err(Problem::new(key, format!("{value:?} has a blank or a control character in it")));
    }
    Ok(())
}

/// Addresses, and networks as an address with the length of its prefix in bits; at most 64.
pub(super) fn networks(key: &'static str, texts: &[String]) -> Result<Vec<(IpAddr, u8)>, Problem> {
    const MOST: usize = 64;
    if texts.len() > MOST {
        return Err(Problem::new(key, format!("names more than {MOST}")));
    }
    let network = |text: &String| {
        let (address, bits) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = if text.contains('/') { bits.parse().ok()? } else { most };
        (bits <= most).then_some((address, bits))
    };
    let refuse = |text: &String| {
        Problem::new(key, format!("{text:?} is neither an IP address nor a network such as 10.0.0.0/8"))
    };
    texts.iter().map(|text| network(text).ok_or_else(|| refuse(text))).collect()
}

/// Reads an IP address and a port. Host names are not looked up: which address they mean would depend on when.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(80).collect();
        serde::de::Error::custom(format!(
            "{shown:?} is not an IP address with a port, such as \"127.0.0.1:50051\" or \"[::]:50051\""
        ))
    })
}
