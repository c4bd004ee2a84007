//! The names of key files.

use countersign_verifier::KeyId;

use super::error::KeyFileDefect;
use crate::model::{MacKeyId, UnixMillis};
use crate::token::schedule::{Activation, format_timestamp, looks_like_timestamp, parse_timestamp};

/// What files in `signing/` may be called.
pub(super) const SIGNING_NAMES: &str = "<kid>.pem (private) or <kid>.pub.pem (public)";
/// What files in `refresh/` may be called.
pub(super) const REFRESH_NAMES: &str =
    "<yyyymmddThhmmssZ>-<8 digits>.key or <8 digits>.key, with lower-case hexadecimal digits";

/// What the name of a file in `signing/` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FileName {
    /// A private key and from when on it signs.
    Private(KeyId, Activation),
    /// A public key.
    Public(KeyId),
}

pub(super) fn signing(name: &str) -> Result<FileName, KeyFileDefect> {
    let kid = |stem: &str| KeyId::parse(stem).map_err(KeyFileDefect::KeyId);
    if let Some(stem) = name.strip_suffix(".pub.pem") {
        return Ok(FileName::Public(kid(stem)?));
    }
    let stem = name.strip_suffix(".pem").ok_or(KeyFileDefect::Name { expected: SIGNING_NAMES })?;
    let (activation, _) = split_activation(stem)?;
    Ok(FileName::Private(kid(stem)?, activation))
}

pub(super) fn refresh(name: &str) -> Result<(MacKeyId, Activation), KeyFileDefect> {
    const DEFECT: KeyFileDefect = KeyFileDefect::Name { expected: REFRESH_NAMES };
    let (activation, digits) = split_activation(name.strip_suffix(".key").ok_or(DEFECT)?)?;
    let id: MacKeyId = digits.parse().map_err(|_| DEFECT)?;
    // One key has one name.
    if id.to_string() == digits { Ok((id, activation)) } else { Err(DEFECT) }
}

/// Takes off the time that a name begins with. What has the shape of a time must be one: taken for a plain name
/// it would be in use since ever.
fn split_activation(stem: &str) -> Result<(Activation, &str), KeyFileDefect> {
    let Some((time, rest)) = stem.split_at_checked(16).filter(|(time, _)| looks_like_timestamp(time)) else {
        return Ok((Activation::Always, stem));
    };
    let at = parse_timestamp(time).ok_or(KeyFileDefect::Time)?;
    let rest = rest.strip_prefix('-').filter(|rest| !rest.is_empty()).ok_or(KeyFileDefect::Time)?;
    Ok((Activation::At(at), rest))
}

/// The name, without an ending, of a new key.
pub(super) fn compose(activate_at: UnixMillis, digits: MacKeyId) -> Option<String> {
    Some(format!("{}-{digits}", format_timestamp(activate_at)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private(id: &str, activation: Activation) -> FileName {
        FileName::Private(KeyId::parse(id).unwrap(), activation)
    }

    #[test]
    fn a_name_says_what_the_key_is_and_from_when_on() {
        let at = Activation::At(UnixMillis::from_secs(86_400));
        let name = "19700102T000000Z-0a1b2c3d";
        assert_eq!(signing(&format!("{name}.pem")).unwrap(), private(name, at));
        assert_eq!(signing("mine.pem").unwrap(), private("mine", Activation::Always));
        let public = FileName::Public(KeyId::parse(name).unwrap());
        assert_eq!(signing(&format!("{name}.pub.pem")).unwrap(), public);

        let id = MacKeyId::from_bytes([0x0a, 0x1b, 0x2c, 0x3d]);
        assert_eq!(refresh(&format!("{name}.key")).unwrap(), (id, at));
        assert_eq!(refresh("0a1b2c3d.key").unwrap(), (id, Activation::Always));
        assert_eq!(compose(UnixMillis(86_400_999), id).as_deref(), Some(name));
    }

    #[test]
    fn every_other_name_is_refused() {
        for bad in ["key", "key.PEM", "key.der", ".pem", ".pub.pem", "a b.pem", "ä.pem", "a.key"] {
            assert!(signing(bad).is_err(), "{bad}");
        }
        for bad in ["0a1b2c3d", "0A1B2C3D.key", "0a1b2c3.key", "x.key", ".key", "0a1b2c3d.pem"] {
            assert!(refresh(bad).is_err(), "{bad}");
        }
        for bad in
            ["20260230T000000Z-0a1b2c3d", "20260101T000000Z", "20260101T000000Z-", "20260101T000000Z0a"]
        {
            assert_eq!(signing(&format!("{bad}.pem")).unwrap_err(), KeyFileDefect::Time, "{bad}");
            assert_eq!(refresh(&format!("{bad}.key")).unwrap_err(), KeyFileDefect::Time, "{bad}");
        }
    }
}
