//! Keeps what browsers say of themselves in a third of the space: more than half of a session's record would be
//! phrases that nearly all of them share.

/// Each phrase, and the byte that stands for it: one that occurs in no UTF-8 (RFC 3629 §3). Sessions outlive the
/// program that wrote them, so a phrase never changes.
const PHRASES: [(u8, &str); 13] = [
    (0xC0, "Mozilla/5.0 ("),
    (0xC1, "Windows NT 10.0; Win64; x64"),
    (0xF5, "Macintosh; Intel Mac OS X 10_15_7"),
    (0xF6, "X11; Linux x86_64"),
    (0xF7, "Linux; Android "),
    (0xF8, "iPhone; CPU iPhone OS "),
    (0xF9, " like Mac OS X"),
    (0xFA, ") AppleWebKit/537.36 (KHTML, like Gecko) Chrome/"),
    (0xFB, ") AppleWebKit/605.1.15 (KHTML, like Gecko) Version/"),
    (0xFC, ".0.0.0 Safari/537.36"),
    (0xFD, ".0.0.0 Mobile Safari/537.36"),
    (0xFE, " Mobile/15E148 Safari/604.1"),
    (0xFF, ") Gecko/20100101 Firefox/"),
];

/// The text with each phrase as its byte.
pub(super) fn shorten(text: &str) -> Vec<u8> {
    let mut short = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if let Some((byte, phrase)) = PHRASES.iter().find(|(_, phrase)| rest.starts_with(phrase)) {
            short.push(*byte);
            rest = &rest[phrase.len()..];
        } else {
            short.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[character.len_utf8()..];
        }
    }
    short
}

/// The text again; nothing when it is not what [`shorten`] made.
pub(super) fn lengthen(short: &[u8]) -> Option<String> {
    let mut text = Vec::with_capacity(short.len() * 3);
    for byte in short {
        match PHRASES.iter().find(|(code, _)| code == byte) {
            Some((_, phrase)) => text.extend_from_slice(phrase.as_bytes()),
            None => text.push(*byte),
        }
    }
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn browsers_shrink_to_a_third() {
        for text in [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
        ] {
            let short = shorten(text);
            assert!(short.len() * 3 <= text.len(), "{}", short.len());
            assert_eq!(lengthen(&short).as_deref(), Some(text));
        }
    }

    #[test]
    fn every_phrase_is_found_and_no_byte_stands_twice() {
        for (byte, phrase) in PHRASES {
            assert_eq!(shorten(phrase), [byte]);
            assert_eq!(PHRASES.iter().filter(|(other, _)| *other == byte).count(), 1);
            assert!(String::from_utf8(vec![byte]).is_err());
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_comes_back(text in "(\\PC|Mozilla/5\\.0 \\(|\\.0\\.0\\.0 |é){0,40}") {
            prop_assert_eq!(lengthen(&shorten(&text)), Some(text));
        }

        #[test]
        fn nonsense_is_no_panic(bytes: Vec<u8>) {
            lengthen(&bytes);
        }
    }
}
