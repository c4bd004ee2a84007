//! `countersign user import`

use std::fs::File;
use std::io::{BufRead, BufWriter, IsTerminal as _, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::UserTransfer;
use crate::auth::{ImportBatch, ImportRun, RawRow, RowOutcome, RowRefusal};
use crate::cli::Failure;
use crate::cli::data::Data;
use crate::cli::output::json_line;
use crate::cli::program::Program;
use crate::cli::service::operator;
use crate::model::{Clock as _, Monotonic, SystemClock};
use crate::text;

mod csv;
mod fields;
mod json_lines;

/// The largest row, in bytes.
const MOST_BYTES: usize = 64 * 1024;
/// How many refused rows are shown where no file is given for them.
const MOST_SHOWN: u64 = 20;
/// How many rows of a dry run are compared with those that come later.
const REMEMBERED: usize = 5_000_000;
/// How often the line of progress is written.
const PROGRESS: Duration = Duration::from_millis(200);

/// Imports users.
#[derive(Debug, Args)]
pub struct Import {
    /// The file with a user on each line; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How it is written; otherwise a file that begins with `{` is JSON Lines, and any other CSV
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Store nothing, and say what would happen
    #[arg(long)]
    pub dry_run: bool,
    /// Where to write the rows that are refused, as JSON Lines
    #[arg(long, value_name = "FILE")]
    pub refused: Option<PathBuf>,
    /// Which data.
    #[command(flatten)]
    pub data: Data,
}

/// How a file of users is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A JSON object on each line
    Jsonl,
    /// Comma-separated values, with the names of the columns in the first line
    Csv,
}

/// A row of a file, with the number of the line that it begins on.
type Row = (u64, Result<RawRow, RowRefusal>);

/// A file of users, row by row.
trait Rows {
    /// The next row; `None` at the end. Fails when the file cannot be read on.
    fn next_row(&mut self) -> Result<Option<Row>, Failure>;
}

impl Import {
    pub(super) async fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        let config = self.data.load()?;
        let mut rows = self.open()?;
        let mut refused = Refused::create(self.refused.as_ref())?;
        let users = program.transfer(&config).await?;
        let by = operator();
        let run = if self.dry_run { ImportRun::dry(&by, REMEMBERED) } else { ImportRun::new(&by) };
        let mut progress = Progress::new();
        let outcome = import_all(users.as_ref(), &run, rows.as_mut(), &mut refused, &mut progress, out).await;
        progress.clear();
        refused.finish(out)?;
        let [created, unchanged, rejected] = run.totals();
        let total = created + unchanged + rejected;
        let would = if self.dry_run { "dry run, nothing is stored: " } else { "" };
        writeln!(out, "{would}{total} rows: {created} created, {unchanged} unchanged, {rejected} refused")?;
        outcome?;
        if rejected > 0 { Err(Failure::RowsRefused(rejected)) } else { Ok(()) }
    }

    fn open(&self) -> Result<Box<dyn Rows>, Failure> {
        let from = if self.file.as_os_str() == "-" {
            "standard input".to_owned()
        } else {
            format!("the file {}", self.file.display())
        };
        let unreadable = |error: text::InvalidText| Failure::Usage(format!("{from} {error}"));
        let mut text: Box<dyn BufRead> = if self.file.as_os_str() == "-" {
            Box::new(text::stream(std::io::stdin()).map_err(unreadable)?)
        } else {
            let file = File::open(&self.file).map_err(|error| unreadable(error.into()))?;
            Box::new(text::stream(file).map_err(unreadable)?)
        };
        let first = first_byte(text.as_mut())?;
        let format = self.format.unwrap_or(if first == Some(b'{') { Format::Jsonl } else { Format::Csv });
        match (format, first) {
            (_, Some(b'[')) => Err(Failure::Usage(format!(
                "{from} is an array of JSON: write one object on each line, with `jq -c '.[]'` for example"
            ))),
            (Format::Jsonl, _) => Ok(Box::new(json_lines::JsonLines::new(text))),
            (Format::Csv, _) => Ok(Box::new(csv::Csv::new(text)?)),
        }
    }
}

/// The first byte that is no white space, among those that are read first. Takes nothing away.
fn first_byte(text: &mut dyn BufRead) -> Result<Option<u8>, Failure> {
    let head = text.fill_buf().map_err(|error| cut_off(&error))?;
    Ok(head.iter().copied().find(|byte| !byte.is_ascii_whitespace()))
}

/// The file cannot be read on.
fn cut_off(error: &std::io::Error) -> Failure {
    Failure::Failed(format!("the file cannot be read to its end: {error}").into())
}

async fn import_all(
    users: &dyn UserTransfer,
    run: &ImportRun,
    rows: &mut dyn Rows,
    refused: &mut Refused,
    progress: &mut Progress,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    loop {
        let mut batch = ImportBatch::default();
        let mut names = Vec::new();
        let mut read = Ok(());
        while !batch.is_full() {
            match rows.next_row() {
                Ok(Some((line, row))) => {
                    names.push(row.as_ref().ok().map(|row| row.username.clone()));
                    batch.push(line, row);
                }
                Ok(None) => break,
                // What came before is not lost.
                Err(error) => {
                    read = Err(error);
                    break;
                }
            }
        }
        if batch.is_empty() {
            return read;
        }
        let last = batch.last_number();
        let results = users.import(run, batch).await.map_err(|error| {
            progress.clear();
            stopped(last, error.into())
        })?;
        for (result, username) in results.into_iter().zip(names) {
            if let RowOutcome::Refused(refusal) = result.outcome {
                progress.clear();
                refused.write(result.number, username.as_deref(), &refusal, out)?;
            }
        }
        progress.show(run.totals());
        read?;
    }
}

fn stopped(last: Option<u64>, failure: Failure) -> Failure {
    let line = last.map(|line| format!(" at line {line}")).unwrap_or_default();
    let what = format!("the import has stopped{line}; the same command goes on from there");
    Failure::Failed(Box::new(Stopped { what, source: failure }))
}

#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct Stopped {
    what: String,
    source: Failure,
}

/// Where refused rows go.
struct Refused {
    file: Option<BufWriter<File>>,
    shown: u64,
}

/// A refused row as programs read it.
#[derive(Serialize)]
struct RefusedLine<'a> {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    reason: &'static str,
    fields: &'a [&'static str],
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_problem: Option<&'static str>,
}

impl Refused {
    fn create(path: Option<&PathBuf>) -> Result<Self, Failure> {
        let file = path.map(|path| {
            let created = File::create(path);
            created.map_err(|error| Failure::Usage(format!("cannot write {}: {error}", path.display())))
        });
        Ok(Self { file: file.transpose()?.map(BufWriter::new), shown: 0 })
    }

    fn write(
        &mut self,
        line: u64,
        username: Option<&str>,
        refusal: &RowRefusal,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        const MOST_OF_A_NAME: usize = 128;
        let username = username.map(|name| &name[..name.floor_char_boundary(MOST_OF_A_NAME)]);
        let reason = refusal.reason.as_str();
        if let Some(file) = &mut self.file {
            let RowRefusal { fields, description, hash_problem, .. } = refusal;
            let written =
                RefusedLine { line, username, reason, fields, description, hash_problem: *hash_problem };
            return json_line(file, &written);
        }
        self.shown += 1;
        if self.shown <= MOST_SHOWN {
            let fields = refusal.fields.join(", ");
            let separator = if fields.is_empty() { "" } else { ": " };
            writeln!(out, "line {line}: {reason}: {fields}{separator}{}", refusal.description)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> Result<(), Failure> {
        if let Some(file) = &mut self.file {
            file.flush()?;
        } else if self.shown > MOST_SHOWN {
            let more = self.shown - MOST_SHOWN;
            writeln!(out, "and {more} more; --refused FILE writes them all")?;
        }
        Ok(())
    }
}

/// A line on the terminal that tells how far the import is; nothing where standard error is none.
struct Progress {
    clock: SystemClock,
    shown_at: Option<Monotonic>,
    is_terminal: bool,
    on_screen: bool,
}

impl Progress {
    fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { clock: SystemClock::new(), shown_at: None, is_terminal, on_screen: false }
    }

    fn show(&mut self, [created, unchanged, refused]: [u64; 3]) {
        let now = self.clock.monotonic();
        if !self.is_terminal || self.shown_at.is_some_and(|before| now.since(before) < PROGRESS) {
            return;
        }
        self.shown_at = Some(now);
        self.on_screen = true;
        let total = created + unchanged + refused;
        // Whoever cannot see it misses nothing.
        let _ = write!(
            std::io::stderr(),
            "\r\x1b[K{total} rows: {created} created, {unchanged} unchanged, {refused} refused"
        );
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.on_screen) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests;
