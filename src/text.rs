//! Text that people save and this service reads: configuration, passwords, secrets, PEM, from files and from standard
//! input.
//!
//! Every reader goes through here, so that one rule holds for all of them. A byte order mark in UTF-8, which Windows'
//! editors put at the head of a file, is removed. UTF-16, which Windows `PowerShell` writes by default, is refused by
//! its name: taken byte for byte, it would be a password or a key that nobody has typed. No more is read than may be
//! there, and the buffer is wiped when it is dropped.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// The largest file in PEM: a bundle of several hundred authorities.
pub const MAX_PEM_BYTES: usize = 1024 * 1024;

/// U+FEFF in UTF-8.
const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";
/// U+FEFF in UTF-16, the low byte first and the high byte first.
const UTF16_MARKS: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];

/// Why text was not taken. The message completes "the file F …", and shows nothing of the text.
#[derive(Debug, thiserror::Error)]
pub enum InvalidText {
    /// The operating system refused.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Larger than what it should hold can be.
    #[error("is larger than {0} bytes")]
    TooLarge(usize),
    /// It begins with the byte order mark of UTF-16.
    #[error("is UTF-16 text, as Windows PowerShell writes it: save it as UTF-8")]
    Utf16,
    /// It begins with the byte order mark of UTF-8, where that cannot be removed.
    #[error("begins with a byte order mark: save it as UTF-8 without one")]
    Marked,
    /// Not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// NUL stands in no text; UTF-16 without its mark is full of it.
    #[error("has a NUL byte in it, so it is not text, or text in UTF-16: save it as UTF-8")]
    Nul,
}

impl From<InvalidText> for io::Error {
    fn from(invalid: InvalidText) -> Self {
        match invalid {
            InvalidText::Io(error) => error,
            InvalidText::TooLarge(_) => Self::new(io::ErrorKind::FileTooLarge, format!("it {invalid}")),
            _ => Self::new(io::ErrorKind::InvalidData, format!("it {invalid}")),
        }
    }
}

/// Reads bytes that hold text, such as PEM with remarks in some other encoding: at most `most` of them.
pub fn bytes(reader: impl Read, most: usize) -> Result<Zeroizing<Vec<u8>>, InvalidText> {
    read(reader, most, most)
}

/// The same for a file.
pub fn file_bytes(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, InvalidText> {
    let file = File::open(path)?;
    let expected = usize::try_from(file.metadata()?.len()).unwrap_or(most).min(most);
    read(file, most, expected)
}

fn read(reader: impl Read, most: usize, expected: usize) -> Result<Zeroizing<Vec<u8>>, InvalidText> {
    // Of full size from the start: growing would leave copies behind that nobody wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected + UTF8_MARK.len() + 1));
    reader.take((most + UTF8_MARK.len()) as u64 + 1).read_to_end(&mut bytes)?;
    if UTF16_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        return Err(InvalidText::Utf16);
    }
    if bytes.starts_with(UTF8_MARK) {
        bytes.drain(..UTF8_MARK.len());
    }
    if bytes.len() > most { Err(InvalidText::TooLarge(most)) } else { Ok(bytes) }
}

/// A long text that is read piece by piece, without the byte order mark at its head. UTF-16 is refused.
pub fn stream(reader: impl Read) -> Result<impl BufRead, InvalidText> {
    let mut head = Vec::new();
    let mut reader = reader;
    reader.by_ref().take(UTF8_MARK.len() as u64).read_to_end(&mut head)?;
    if UTF16_MARKS.iter().any(|mark| head.starts_with(mark)) {
        return Err(InvalidText::Utf16);
    }
    if head == UTF8_MARK {
        head.clear();
    }
    Ok(BufReader::new(io::Cursor::new(head).chain(reader)))
}

/// Reads text in UTF-8: at most `most` bytes.
pub fn text(reader: impl Read, most: usize) -> Result<Zeroizing<String>, InvalidText> {
    decoded(&bytes(reader, most)?)
}

/// The same for a file.
pub fn file_text(path: &Path, most: usize) -> Result<Zeroizing<String>, InvalidText> {
    decoded(&file_bytes(path, most)?)
}

fn decoded(bytes: &[u8]) -> Result<Zeroizing<String>, InvalidText> {
    if bytes.contains(&0) {
        return Err(InvalidText::Nul);
    }
    let text = str::from_utf8(bytes).map_err(|_| InvalidText::NotUtf8)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Looks at a file that is left to others to read, who would stumble over a byte order mark: it must be there, and have
/// none.
pub fn check_unmarked(path: &Path) -> Result<(), InvalidText> {
    let mut head = Vec::new();
    File::open(path)?.take(UTF8_MARK.len() as u64).read_to_end(&mut head)?;
    if head == UTF8_MARK {
        return Err(InvalidText::Marked);
    }
    if UTF16_MARKS.iter().any(|mark| head.starts_with(mark)) { Err(InvalidText::Utf16) } else { Ok(()) }
}

/// The text without the one line break that ends it: `\n` or `\r\n`. Editors and `echo` add one, and no more.
pub fn without_line_break(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line))
}

/// A secret that came as a value, in a variable of the environment, say: what was copied from a file along with it is
/// left out as it is from the file.
pub fn value(text: &str) -> &str {
    without_line_break(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The path as one word of a POSIX shell, for commands that are shown to be pasted.
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    // zsh takes a word that begins with = for the name of a program.
    if !text.is_empty() && !text.starts_with(['-', '=']) && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, String> {
        text(bytes, 16).map(|text| (*text).clone()).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn the_mark_that_editors_put_at_the_head_is_no_part_of_the_text() {
        assert_eq!(read(b"\xEF\xBB\xBFtext").as_deref(), Ok("text"));
        assert_eq!(read(b"\xEF\xBB\xBF").as_deref(), Ok(""));
        assert_eq!(read("te\u{feff}xt".as_bytes()).as_deref(), Ok("te\u{feff}xt"), "elsewhere it is text");
        assert_eq!(read(b"\xEF\xBB\xBF0123456789abcdef").as_deref(), Ok("0123456789abcdef"));
    }

    #[test]
    fn what_is_not_utf_8_is_refused_by_its_name() {
        for (bytes, what) in [
            (&b"\xFF\xFEt\0e\0"[..], "UTF-16"),
            (b"\xFE\xFF\0t\0e", "UTF-16"),
            (b"t\0e\0", "NUL byte"),
            (b"t\xFFe", "not UTF-8"),
            (b"0123456789abcdefg", "larger than 16 bytes"),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(what), "{bytes:?}: {error}");
        }
    }

    #[test]
    fn one_line_break_at_the_end_is_left_out() {
        for (given, left) in
            [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a\r"), ("\n", ""), ("", "")]
        {
            assert_eq!(without_line_break(given), left);
        }
        assert_eq!(value("\u{feff}a\r\n"), "a");
    }

    #[test]
    fn a_path_is_one_word_to_the_shell() {
        for (path, word) in [
            ("/var/lib/keys-1.d", "/var/lib/keys-1.d"),
            ("my keys", "'my keys'"),
            ("it's; rm", r"'it'\''s; rm'"),
            ("$HOME", "'$HOME'"),
            ("=keys", "'=keys'"),
        ] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }
}
