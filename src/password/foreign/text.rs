//! The small parts that stored hashes are written in.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::alphabet::Alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, STANDARD_NO_PAD};

use super::Unusable;

/// Standard base64, padded or not: some of the systems leave the padding out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A format's name, for what is wrong with a hash of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named(pub(super) &'static str);

impl Named {
    pub(super) const fn malformed(self, what: &'static str) -> Unusable {
        Unusable::Malformed { format: self.0, what }
    }

    /// A decimal number as a program writes it: no sign, no zeros in front.
    pub(super) fn number(self, text: &str, what: &'static str) -> Result<u64, Unusable> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        if text.is_empty() || !plain {
            return Err(self.malformed(what));
        }
        text.parse().map_err(|_| self.malformed(what))
    }

    /// The same, within what a login may cost.
    pub(super) fn cost(
        self,
        text: &str,
        what: &'static str,
        bounds: &RangeInclusive<u64>,
    ) -> Result<u64, Unusable> {
        self.within(self.number(text, what)?, what, bounds)
    }

    pub(super) fn within(
        self,
        given: u64,
        what: &'static str,
        bounds: &RangeInclusive<u64>,
    ) -> Result<u64, Unusable> {
        let most = *bounds.end();
        if given > most {
            return Err(Unusable::TooCostly { format: self.0, what, given, most });
        }
        if given < *bounds.start() {
            return Err(Unusable::TooLittle { format: self.0, what, given, least: *bounds.start() });
        }
        Ok(given)
    }

    pub(super) fn hex(
        self,
        text: &str,
        what: &'static str,
        bytes: RangeInclusive<usize>,
    ) -> Result<Vec<u8>, Unusable> {
        self.sized(hex::decode(text).map_err(|_| self.malformed(what))?, what, bytes)
    }

    pub(super) fn base64(
        self,
        text: &str,
        what: &'static str,
        bytes: RangeInclusive<usize>,
    ) -> Result<Vec<u8>, Unusable> {
        self.sized(LENIENT.decode(text).map_err(|_| self.malformed(what))?, what, bytes)
    }

    /// passlib's own base64, which has `.` for `+`.
    pub(super) fn adapted_base64(
        self,
        text: &str,
        what: &'static str,
        bytes: RangeInclusive<usize>,
    ) -> Result<Vec<u8>, Unusable> {
        let standard = text.replace('.', "+");
        if text.contains(['+', '=']) {
            return Err(self.malformed(what));
        }
        let decoded = STANDARD_NO_PAD.decode(standard).map_err(|_| self.malformed(what))?;
        self.sized(decoded, what, bytes)
    }

    /// A digest of a length that is made on purpose: one of another length was cut off on the way.
    pub(super) fn tag(self, bytes: Vec<u8>) -> Result<Vec<u8>, Unusable> {
        if [16, 20, 24, 32, 48, 64].contains(&bytes.len()) {
            Ok(bytes)
        } else {
            Err(self.malformed("the length of its digest"))
        }
    }

    pub(super) fn sized(
        self,
        bytes: Vec<u8>,
        what: &'static str,
        wanted: RangeInclusive<usize>,
    ) -> Result<Vec<u8>, Unusable> {
        if wanted.contains(&bytes.len()) { Ok(bytes) } else { Err(self.malformed(what)) }
    }
}

/// How much of a password is looked at where each round takes all of it in, so that a long guess costs no more than a few
/// others: no password of more bytes is theirs.
const LONGEST_ITERATED: usize = 256;

/// What of a password is looked at in each round, and whether that is all of it.
pub(super) fn iterated(password: &[u8]) -> (&[u8], bool) {
    let end = password.len().min(LONGEST_ITERATED);
    (&password[..end], end == password.len())
}

/// Bytes in a wrapped hash.
pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

/// Text of exactly so many parts.
pub(super) fn parts<const N: usize>(text: &str, separator: char) -> Option<[&str; N]> {
    let mut split = text.split(separator);
    let mut parts = [""; N];
    for part in &mut parts {
        *part = split.next()?;
    }
    split.next().is_none().then_some(parts)
}

/// Padded base64 alone, for what is told apart by it.
pub(super) fn padded_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// A base64 of its own alphabet without padding, where bits beyond the last byte may be anything.
pub(super) const fn loose(alphabet: &Alphabet) -> GeneralPurpose {
    GeneralPurpose::new(
        alphabet,
        GeneralPurposeConfig::new()
            .with_encode_padding(false)
            .with_decode_padding_mode(DecodePaddingMode::RequireNone)
            .with_decode_allow_trailing_bits(true),
    )
}
