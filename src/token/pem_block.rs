//! PEM files that hold exactly one block (RFC 7468).

use pem::{EncodeConfig, LineEnding, Pem};
use zeroize::Zeroizing;

/// Why a file's text was refused; says nothing of what the block holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPem {
    /// No PEM, garbled PEM, or more blocks than one.
    #[error("not a PEM file with exactly one block (RFC 7468)")]
    NotOneBlock,
    /// A block of another label. What to do about the two that people have most often is said here.
    #[error("holds a {found:?} block where {expected:?} is needed{}", remedy(.expected, .found))]
    Label {
        /// The label that was asked for.
        expected: &'static str,
        /// The label that is there.
        found: String,
    },
}

fn remedy(expected: &str, found: &str) -> &'static str {
    if expected == PRIVATE_KEY && found.ends_with(PRIVATE_KEY) {
        "; convert it with: openssl pkcs8 -topk8 -nocrypt"
    } else {
        ""
    }
}

/// The label of a PKCS#8 private key in the clear (RFC 7468 §10).
pub(super) const PRIVATE_KEY: &str = "PRIVATE KEY";
/// The label of a `SubjectPublicKeyInfo` (RFC 7468 §13).
pub(super) const PUBLIC_KEY: &str = "PUBLIC KEY";
/// The label of a key for refresh tokens.
pub(super) const MAC_KEY: &str = "COUNTERSIGN MAC KEY";

/// What the text's only block holds, if it has this label.
pub(super) fn decode(text: &str, expected: &'static str) -> Result<Zeroizing<Vec<u8>>, InvalidPem> {
    let mut blocks = pem::parse_many(text).map_err(|_| InvalidPem::NotOneBlock)?;
    let found = blocks.pop().ok_or(InvalidPem::NotOneBlock)?;
    let label = found.tag().to_owned();
    let contents = Zeroizing::new(found.into_contents());
    // What `openssl ecparam -genkey` writes has two blocks; the last one says best what is wrong with it.
    if label != expected {
        return Err(InvalidPem::Label { expected, found: label });
    }
    if blocks.is_empty() { Ok(contents) } else { Err(InvalidPem::NotOneBlock) }
}

/// The text of a file that holds this one block.
pub(super) fn encode(label: &'static str, contents: &[u8]) -> Zeroizing<String> {
    let block = Pem::new(label, contents);
    let text = pem::encode_config(&block, EncodeConfig::new().set_line_ending(LineEnding::LF));
    drop(Zeroizing::new(block.into_contents()));
    Zeroizing::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_again() {
        let text = encode(MAC_KEY, &[7; 32]);
        assert!(text.starts_with("-----BEGIN COUNTERSIGN MAC KEY-----\nBwcH"), "{}", *text);
        assert_eq!(*decode(&text, MAC_KEY).unwrap(), [7; 32]);
    }

    #[test]
    fn another_label_is_told_with_what_to_do_about_it() {
        let text = encode("EC PRIVATE KEY", &[7; 32]);
        let error = decode(&text, PRIVATE_KEY).unwrap_err().to_string();
        assert_eq!(
            error,
            "holds a \"EC PRIVATE KEY\" block where \"PRIVATE KEY\" is needed; convert it with: \
             openssl pkcs8 -topk8 -nocrypt"
        );
        let error = decode(&text, PUBLIC_KEY).unwrap_err().to_string();
        assert_eq!(error, "holds a \"EC PRIVATE KEY\" block where \"PUBLIC KEY\" is needed");
    }

    #[test]
    fn anything_but_one_block_is_refused() {
        let one = encode(MAC_KEY, &[7; 32]);
        let two = format!("{}{}", *one, *one);
        for bad in ["", "hello", &one[..one.len() - 10], &two, &one.replace("BwcH", "!!!!")] {
            assert_eq!(decode(bad, MAC_KEY).unwrap_err(), InvalidPem::NotOneBlock, "{bad}");
        }
    }
}
