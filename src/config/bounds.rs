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

/// Addresses, and networks as an address with the length of its prefix in bits; at most 64. IPv4 addresses that are
/// mapped into IPv6 (RFC 4291 §2.5.5.2) become the IPv4 addresses that they stand for.
pub(super) fn networks(key: &'static str, texts: &[String]) -> Result<Vec<(IpAddr, u8)>, Problem> {
    const MOST: usize = 64;
    if texts.len() > MOST {
        return Err(Problem::new(key, format!("names more than {MOST}")));
    }
    texts
        .iter()
        .map(|text| network(text).map_err(|what| Problem::new(key, format!("{text:?} {what}"))))
        .collect()
}

fn network(text: &str) -> Result<(IpAddr, u8), String> {
    const MAPPED: u8 = 96;
    let neither = || "is neither an IP address nor a network such as 10.0.0.0/8".to_owned();
    let (address, prefix) = text.split_once('/').map_or((text, None), |(it, bits)| (it, Some(bits)));
    let address: IpAddr = address.parse().map_err(|_| neither())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits: u8 = match prefix {
        Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
            bits.parse().map_err(|_| neither())?
        }
        Some(_) => return Err(neither()),
        None => most,
    };
    if bits > most {
        return Err(neither());
    }
    let (address, bits) = match address.to_canonical() {
        mapped if mapped.is_ipv4() && address.is_ipv6() => match bits.checked_sub(MAPPED) {
            Some(bits) => (mapped, bits),
            None => {
                return Err(format!(
                    "has IPv4 addresses in an IPv6 network that is wider than /{MAPPED}: write the IPv4 network, such \
                     as \"10.0.0.0/8\", and any IPv6 network by itself"
                ));
            }
        },
        address => (address, bits),
    };
    let whole = first_address(address, bits);
    if whole == address {
        return Ok((address, bits));
    }
    Err(format!(
        "has bits behind its prefix: write \"{whole}/{bits}\" for the network, or \"{address}\" for that one address"
    ))
}

/// An address with nothing but zeros behind the first `bits` bits.
fn first_address(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let rest = u32::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & !rest).into())
        }
        IpAddr::V6(address) => {
            let rest = u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & !rest).into())
        }
    }
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
