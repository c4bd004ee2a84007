//! CSV (RFC 4180) with the names of the columns in its first line. Read with the parser of the `csv` crate, record by record,
//! so that a field that does not end takes no more memory than any other.

use std::io::{BufRead, ErrorKind};

use csv_core::{ReadRecordResult, Reader};
use serde_json::Map;

use super::fields::{self, NAMES};
use super::{Failure, MOST_BYTES, Row, Rows, cut_off};
use crate::auth::{RawCredential, RawRow, RowRefusal};

/// The most columns that a record is read with: more than there are names.
const MOST_COLUMNS: usize = 64;

pub(super) struct Csv {
    text: Box<dyn BufRead>,
    parser: Reader,
    /// The bytes of all fields of a record, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    columns: Vec<&'static str>,
    /// The line that is read.
    line: u64,
}

/// A record, or what is wrong with it as a whole.
type Record = Result<Vec<Vec<u8>>, RowRefusal>;

impl Csv {
    /// Reads the names of the columns.
    pub(super) fn new(text: Box<dyn BufRead>) -> Result<Self, Failure> {
        let (bytes, ends) = (vec![0; MOST_BYTES], vec![0; MOST_COLUMNS]);
        let mut csv = Self { text, parser: Reader::new(), bytes, ends, columns: Vec::new(), line: 1 };
        let Some((_, header)) = csv.next_record()? else {
            return Err(Failure::Usage("there are no rows: not even the names of the columns".to_owned()));
        };
        let header = header.map_err(|refused| {
            Failure::Usage(format!(
                "the first line must have the names of the columns: {}",
                refused.description
            ))
        })?;
        for name in header {
            csv.columns.push(column(&name)?);
        }
        let twice = csv.columns.iter().enumerate().find(|(place, name)| csv.columns[..*place].contains(name));
        if let Some((_, name)) = twice {
            return Err(Failure::Usage(format!("the column {name} stands there twice")));
        }
        if !csv.columns.contains(&"username") {
            return Err(Failure::Usage("there is no column username".to_owned()));
        }
        Ok(csv)
    }

    /// Goes to the beginning of the next record: past the end of the line before, and past empty lines.
    fn skip_line_ends(&mut self) -> Result<(), Failure> {
        loop {
            let input = match self.text.fill_buf() {
                Ok(input) => input,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(cut_off(&error)),
            };
            let ends = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if ends == 0 {
                return Ok(());
            }
            self.line += line_feeds(&input[..ends]);
            self.text.consume(ends);
        }
    }

    /// The next record and the line that it begins on; `None` at the end of the file.
    fn next_record(&mut self) -> Result<Option<(u64, Record)>, Failure> {
        self.skip_line_ends()?;
        let begins = self.line;
        let (mut filled, mut fields, mut too_large) = (0, 0, false);
        loop {
            let input = match self.text.fill_buf() {
                Ok(input) => input,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(cut_off(&error)),
            };
            let (result, read, written, ended) =
                self.parser.read_record(input, &mut self.bytes[filled..], &mut self.ends[fields..]);
            self.line += line_feeds(&input[..read]);
            self.text.consume(read);
            filled += written;
            fields += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                // What does not fit is read to its end and thrown away.
                ReadRecordResult::OutputFull => (filled, too_large) = (0, true),
                ReadRecordResult::OutputEndsFull => (fields, too_large) = (0, true),
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record => break,
            }
        }
        if too_large {
            let what = format!(
                "the row is larger than {MOST_BYTES} bytes or {MOST_COLUMNS} columns, and goes on to line {}: \
                 perhaps a quote is never closed",
                self.line
            );
            return Ok(Some((begins, Err(RowRefusal::unreadable(what)))));
        }
        let mut from = 0;
        let fields = self.ends[..fields].iter().map(|&end| {
            let field = self.bytes[from..end].to_vec();
            from = end;
            field
        });
        Ok(Some((begins, Ok(fields.collect()))))
    }
}

fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

fn column(name: &[u8]) -> Result<&'static str, Failure> {
    let text = String::from_utf8_lossy(name);
    NAMES.into_iter().find(|known| *known == text.trim()).ok_or_else(|| {
        let shown = &text[..text.floor_char_boundary(64)];
        Failure::Usage(format!("there is no column {shown:?}; the columns are {}", NAMES.join(", ")))
    })
}

impl Rows for Csv {
    fn next_row(&mut self) -> Result<Option<Row>, Failure> {
        let Some((line, record)) = self.next_record()? else { return Ok(None) };
        Ok(Some((line, record.and_then(|record| read(&self.columns, record)))))
    }
}

fn read(columns: &[&'static str], record: Vec<Vec<u8>>) -> Result<RawRow, RowRefusal> {
    if record.len() != columns.len() {
        let (fields, wanted) = (record.len(), columns.len());
        return Err(RowRefusal::unreadable(format!(
            "the row has {fields} fields, and there are {wanted} columns"
        )));
    }
    let mut row = RawRow {
        username: String::new(),
        credential: RawCredential::Nothing,
        roles: Vec::new(),
        claims: Map::new(),
        user_id: String::new(),
        external_id: String::new(),
        disabled: false,
        created_at: None,
    };
    let (mut hash, mut password, mut no_password) = (None, None, false);
    for (name, bytes) in columns.iter().zip(record) {
        let text = String::from_utf8(bytes).map_err(|_| RowRefusal::invalid(name, "is not UTF-8"))?;
        match *name {
            "username" => row.username = text,
            "password_hash" => hash = Some(text).filter(|hash| !hash.is_empty()),
            "password" => password = Some(text).filter(|password| !password.is_empty()),
            "no_password" => no_password = flag(name, &text)?,
            "roles" => row.roles = roles(&text),
            "custom_claims" if text.is_empty() => {}
            "custom_claims" => {
                row.claims = serde_json::from_str(&text)
                    .map_err(|_| RowRefusal::invalid("custom_claims", "must be an object of JSON"))?;
            }
            "user_id" => row.user_id = text,
            "external_id" => row.external_id = text,
            "disabled" => row.disabled = flag(name, &text)?,
            _ => row.created_at = fields::created_at(&text)?,
        }
    }
    row.credential = fields::credential(hash, password, no_password)?;
    Ok(row)
}

/// Roles with commas, semicolons or blanks between them, also in the braces of PostgreSQL's arrays.
fn roles(text: &str) -> Vec<String> {
    let text = text.trim();
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    inner.split([',', ';', ' ']).filter(|role| !role.is_empty()).map(str::to_owned).collect()
}

/// A truth value as databases write it.
fn flag(name: &'static str, text: &str) -> Result<bool, RowRefusal> {
    match text.to_ascii_lowercase().as_str() {
        "" | "0" | "f" | "false" | "n" | "no" => Ok(false),
        "1" | "t" | "true" | "y" | "yes" => Ok(true),
        _ => Err(RowRefusal::invalid(name, "must be true or false")),
    }
}
