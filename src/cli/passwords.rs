//! `countersign passwords`

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::Failure;
use super::program::BoxError;
use crate::password::build_breached;

/// Prepares what passwords are checked against.
#[derive(Debug, Subcommand)]
pub enum Passwords {
    /// Make the file for `passwords.breached_file` of a list of SHA-1 hashes, ordered by hash
    BuildBreached(BuildBreached),
}

/// Makes the file of breached passwords.
#[derive(Debug, Args)]
pub struct BuildBreached {
    /// The file to make; one that is there is replaced once the new one is whole
    pub file: PathBuf,
    /// The list as Have I Been Pwned publishes it, a hash and a count on each line; standard input when missing
    #[arg(long, value_name = "LIST")]
    pub from: Option<PathBuf>,
}

impl Passwords {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        let Self::BuildBreached(BuildBreached { file, from }) = self;
        let entries = build(&file, from.as_deref()).map_err(Failure::from)?;
        writeln!(out, "{}: {entries} passwords", file.display())?;
        Ok(())
    }
}

/// Beside the file that is wanted, and in its place at the end: a service that has the old one open goes on with it.
fn build(file: &Path, from: Option<&Path>) -> Result<u64, BoxError> {
    let list: Box<dyn Read> = match from {
        Some(path) => Box::new(File::open(path).map_err(|error| format!("{}: {error}", path.display()))?),
        None => Box::new(std::io::stdin().lock()),
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let told = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut made = tempfile::NamedTempFile::new_in(folder).map_err(told)?;
    let entries = build_breached(BufReader::new(list), BufWriter::new(made.as_file_mut()))?;
    made.as_file().sync_all().map_err(told)?;
    made.persist(file).map_err(|error| told(error.error))?;
    Ok(entries)
}
