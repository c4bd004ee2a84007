//! Where a password comes from: a prompt, standard input or a file. Never an argument, because arguments are seen by
//! everybody on the machine and stay in the shell's history.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use super::Failure;
use super::program::BoxError;
use crate::text::{self, InvalidText};

/// The longest password, in bytes.
const MAX_BYTES: usize = 1024;

/// Where to read the password; with neither flag it is asked for, twice.
#[derive(Debug, Args)]
pub struct PasswordInput {
    /// Read the password from this file; one newline at its end is left out
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    pub password_file: Option<PathBuf>,
    /// Read the password from standard input; one newline at its end is left out
    #[arg(long)]
    pub password_stdin: bool,
}

impl PasswordInput {
    /// The password, byte for byte. Whether it is a good one is for others to say.
    pub(super) fn read(&self) -> Result<SecretString, Failure> {
        if let Some(path) = &self.password_file {
            let name = path.display().to_string();
            return File::open(path)
                .map_err(|error| failed(&name, error))
                .and_then(|file| read_bounded(file, &name));
        }
        if self.password_stdin {
            return read_bounded(io::stdin().lock(), "standard input");
        }
        let ask = |prompt| {
            rpassword::prompt_password(prompt).map(SecretString::from).map_err(|error| {
                let what = "cannot ask for a password here; use --password-stdin or --password-file";
                Failure::Usage(format!("{what} ({error})"))
            })
        };
        let password = ask("Password: ")?;
        let again = ask("The same again: ")?;
        if password.expose_secret() != again.expose_secret() {
            return Err(Failure::Usage("the two passwords differ".to_owned()));
        }
        check_length(password.expose_secret().len(), "the prompt")?;
        Ok(password)
    }
}

fn failed(source: &str, error: io::Error) -> Failure {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the password from {from}")]
    struct Unreadable {
        from: String,
        source: io::Error,
    }
    Failure::from(BoxError::from(Unreadable { from: source.to_owned(), source: error }))
}

fn check_length(bytes: usize, source: &str) -> Result<(), Failure> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    Err(Failure::Usage(format!("the password from {source} is longer than {MAX_BYTES} bytes")))
}

/// Reads no more than it takes to see that a password is too long.
fn read_bounded(reader: impl Read, source: &str) -> Result<SecretString, Failure> {
    const NEWLINE_BYTES: usize = 2;
    let password = match text::text(reader, MAX_BYTES + NEWLINE_BYTES) {
        Ok(password) => password,
        Err(InvalidText::Io(error)) => return Err(failed(source, error)),
        Err(InvalidText::TooLarge(_)) => return check_length(usize::MAX, source).map(|()| "".into()),
        Err(invalid) => return Err(Failure::Usage(format!("the password from {source} {invalid}"))),
    };
    let password = text::without_line_break(&password);
    check_length(password.len(), source)?;
    Ok(SecretString::from(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, String> {
        read_bounded(bytes, "a test")
            .map(|password| password.expose_secret().to_owned())
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn exactly_one_newline_is_left_out() {
        for (given, password) in [
            ("s3cret", "s3cret"),
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            ("s3cret\n\n", "s3cret\n"),
            (" s3cret \n", " s3cret "),
            ("\ns3cret\r", "\ns3cret\r"),
            ("", ""),
        ] {
            assert_eq!(read(given.as_bytes()).as_deref(), Ok(password));
        }
    }

    #[test]
    fn a_password_is_bounded_and_utf_8_and_not_shown_in_the_error() {
        let longest = "x".repeat(MAX_BYTES);
        assert_eq!(read(format!("{longest}\r\n").as_bytes()).as_ref(), Ok(&longest));
        for too_long in
            [format!("{longest}x"), format!("{longest}x\n"), format!("{longest}\n\n"), "x".repeat(9999)]
        {
            assert!(read(too_long.as_bytes()).unwrap_err().contains("longer than 1024 bytes"));
        }
        let error = read(b"s3cret\xFF").unwrap_err();
        assert!(error.contains("not UTF-8") && !error.contains("s3cret"));
    }

    #[test]
    fn a_long_input_is_not_read_to_its_end() {
        let mut long = io::repeat(b'x').take(1 << 20);
        assert!(read_bounded(&mut long, "a test").is_err());
        assert!(long.limit() > (1 << 20) - 4096, "{} bytes are left", long.limit());
    }
}
