//! Passwords that are known from breaches, in a file that is searched where it lies.
//!
//! Have I Been Pwned publishes the SHA-1 of some 900 million of them as lines of text, in order. Made into 20 bytes each, behind
//! a header of 20, they are a file in which a digest is found with a few reads, and nothing of it is loaded: a list of any length
//! costs no memory. The answer is exact: no other password is taken for one of these.

use std::fs::File;
use std::io::{BufRead, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::Password;

/// What the file begins with: as long as an entry, so that entries stand at multiples of their length.
const HEADER: [u8; ENTRY] = *b"countersign.breach\x00\x01";
/// A SHA-1 (FIPS 180-4), in bytes.
const ENTRY: usize = 20;
/// The longest line of the list that is read: a digest in hexadecimal, a colon and a number.
const LONGEST_LINE: u64 = 128;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBreachedFile {
    /// It cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// It is something else.
    #[error(
        "{} is no file of `countersign passwords build-breached`: the list as it is published has to be made into one first",
        path.display()
    )]
    Unknown {
        /// Where it is.
        path: PathBuf,
    },
}

/// The file, open.
#[derive(Debug)]
pub struct BreachedPasswords {
    file: File,
    entries: u64,
}

impl BreachedPasswords {
    /// Opens a file that [`build`] has made.
    pub fn open(path: &Path) -> Result<Self, InvalidBreachedFile> {
        let unreadable = |error| InvalidBreachedFile::Unreadable { path: path.to_owned(), error };
        let unknown = || InvalidBreachedFile::Unknown { path: path.to_owned() };
        let file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let mut header = [0; ENTRY];
        file.read_exact_at(&mut header, 0).map_err(|error| {
            if error.kind() == std::io::ErrorKind::UnexpectedEof { unknown() } else { unreadable(error) }
        })?;
        if header != HEADER || length % ENTRY as u64 != 0 {
            return Err(unknown());
        }
        Ok(Self { file, entries: length / ENTRY as u64 - 1 })
    }

    /// How many passwords are in it.
    pub const fn len(&self) -> u64 {
        self.entries
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Whether the password is one of them. Reads the file.
    pub fn contains(&self, password: &Password) -> std::io::Result<bool> {
        let wanted = digest(&SHA1_FOR_LEGACY_USE_ONLY, password.expose().as_bytes());
        let (mut from, mut to) = (0, self.entries);
        while from < to {
            let middle = from.midpoint(to);
            let mut entry = [0; ENTRY];
            self.file.read_exact_at(&mut entry, (middle + 1) * ENTRY as u64)?;
            match entry.as_slice().cmp(wanted.as_ref()) {
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        Ok(false)
    }
}

/// A list cannot be made into a file.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBreachedList {
    /// A line of it is none.
    #[error("line {line} is not 40 hexadecimal digits, alone or with a colon and a number behind them")]
    Line {
        /// Which one, the first being 1.
        line: u64,
    },
    /// It is out of order.
    #[error(
        "line {line} does not come after the one before it: the list must be ordered by hash, as it is published"
    )]
    Order {
        /// Which one, the first being 1.
        line: u64,
    },
    /// It cannot be read, or the file cannot be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Makes a list as it is published, ordered by hash, into the file, and says how many passwords are in it. A hash that comes
/// more than once is taken once.
pub fn build(mut list: impl BufRead, mut file: impl Write) -> Result<u64, InvalidBreachedList> {
    file.write_all(&HEADER)?;
    let mut before: Option<[u8; ENTRY]> = None;
    let (mut line, mut entries) = (0, 0);
    let mut text = Vec::new();
    loop {
        text.clear();
        if std::io::Read::take(&mut list, LONGEST_LINE).read_until(b'\n', &mut text)? == 0 {
            file.flush()?;
            return Ok(entries);
        }
        line += 1;
        let entry = entry_of(text.trim_ascii()).ok_or(InvalidBreachedList::Line { line })?;
        if before.is_some_and(|before| before > entry) {
            return Err(InvalidBreachedList::Order { line });
        }
        if before != Some(entry) {
            file.write_all(&entry)?;
            entries += 1;
        }
        before = Some(entry);
    }
}

fn entry_of(line: &[u8]) -> Option<[u8; ENTRY]> {
    let (digest, rest) = line.split_at_checked(2 * ENTRY)?;
    let count = rest.strip_prefix(b":").unwrap_or_default();
    if !rest.is_empty() && (count.is_empty() || !count.iter().all(u8::is_ascii_digit)) {
        return None;
    }
    let mut entry = [0; ENTRY];
    hex::decode_to_slice(digest, &mut entry).ok()?;
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha1(password: &str) -> String {
        hex::encode_upper(digest(&SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()))
    }

    fn file_of(passwords: &[String]) -> (tempfile::TempDir, BreachedPasswords) {
        let mut lines: Vec<_> = passwords.iter().map(|password| sha1(password) + ":3\r\n").collect();
        lines.sort();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("breached");
        let entries = build(lines.concat().as_bytes(), File::create(&path).unwrap()).unwrap();
        let opened = BreachedPasswords::open(&path).unwrap();
        assert_eq!((entries, opened.len()), (passwords.len() as u64, passwords.len() as u64));
        (folder, opened)
    }

    fn contains(file: &BreachedPasswords, password: &str) -> bool {
        file.contains(&Password::new(password.to_owned()).unwrap()).unwrap()
    }

    #[test]
    fn what_is_in_it_is_found_and_nothing_else_whatever_its_length() {
        assert_eq!(sha1("password"), "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8", "as it is published");
        for length in [0, 1, 2, 3, 7, 64, 1000] {
            let passwords: Vec<_> = (0..length).map(|number| format!("password {number}")).collect();
            let (_folder, file) = file_of(&passwords);
            for password in &passwords {
                assert!(contains(&file, password), "{password} of {length}");
            }
            for other in ["password", "password -1", &format!("password {length}"), ""] {
                assert!(!contains(&file, other), "{other} of {length}");
            }
        }
    }

    #[test]
    fn a_list_that_is_none_is_refused_by_its_line() {
        let one = "00".repeat(20);
        let two = "01".repeat(20);
        let refused = |text: &str| build(text.as_bytes(), std::io::sink()).unwrap_err().to_string();
        for bad in
            ["x", &one[1..], &format!("{one}:"), &format!("{one}:x"), &format!("{one} 3"), &format!("{one}0")]
        {
            assert!(refused(&format!("{one}:1\n{bad}\n")).starts_with("line 2 is not"), "{bad}");
        }
        assert!(refused(&format!("{one}\n\n{two}\n")).starts_with("line 2 is not"));
        assert!(refused(&"0".repeat(1000)).starts_with("line 1 is not"));
        assert!(refused(&format!("{two}\n{one}\n")).starts_with("line 2 does not come after"));
        let twice = format!("{one}:1\n{one}:2\n{two}");
        assert_eq!(build(twice.as_bytes(), std::io::sink()).unwrap(), 2, "without a line break at the end");
    }

    #[test]
    fn another_file_is_not_taken_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("breached");
        for other in ["", "x", &(sha1("password") + ":3\n"), &"x".repeat(40)] {
            std::fs::write(&path, other).unwrap();
            let error = BreachedPasswords::open(&path).unwrap_err();
            assert!(matches!(error, InvalidBreachedFile::Unknown { .. }), "{error}");
        }
        let cut = [&HEADER[..], &[0; 19]].concat();
        std::fs::write(&path, cut).unwrap();
        assert!(BreachedPasswords::open(&path).is_err(), "an entry is cut off");
        let missing = BreachedPasswords::open(&folder.path().join("none")).unwrap_err();
        assert!(matches!(missing, InvalidBreachedFile::Unreadable { .. }), "{missing}");
    }
}
