//! JSON Lines: an object on each line. What is wrong with a line is told without what stands in it: it may be a password.

use std::fmt;
use std::io::{BufRead, ErrorKind};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::fields::{self, NAMES};
use super::{Failure, MOST_BYTES, Row, Rows, cut_off};
use crate::auth::{RawRow, RowRefusal};

pub(super) struct JsonLines {
    text: Box<dyn BufRead>,
    line: u64,
}

impl JsonLines {
    pub(super) fn new(text: Box<dyn BufRead>) -> Self {
        Self { text, line: 0 }
    }

    /// The next line without its end, as much of it as a row may have and one byte more; `None` at the end of the file.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let (mut line, mut any) = (Vec::new(), false);
        loop {
            let piece = match self.text.fill_buf() {
                Ok(piece) => piece,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(cut_off(&error)),
            };
            if piece.is_empty() {
                self.line += u64::from(any);
                return Ok(any.then_some(line));
            }
            any = true;
            let end = piece.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(piece.len());
            let room = (MOST_BYTES + 1).saturating_sub(line.len());
            line.extend_from_slice(&piece[..taken.min(room)]);
            self.text.consume(taken + usize::from(end.is_some()));
            if end.is_some() {
                self.line += 1;
                return Ok(Some(line));
            }
        }
    }
}

impl Rows for JsonLines {
    fn next_row(&mut self) -> Result<Option<Row>, Failure> {
        while let Some(line) = self.next_line()? {
            if !line.trim_ascii().is_empty() {
                return Ok(Some((self.line, read(&line))));
            }
        }
        Ok(None)
    }
}

fn read(line: &[u8]) -> Result<RawRow, RowRefusal> {
    if line.len() > MOST_BYTES {
        return Err(RowRefusal::unreadable(format!("the line is longer than {MOST_BYTES} bytes")));
    }
    let text = std::str::from_utf8(line).map_err(|_| RowRefusal::unreadable("the line is not UTF-8"))?;
    let Members(members) = serde_json::from_str(text).map_err(|error| {
        RowRefusal::unreadable(format!("the line is not an object of JSON: column {}", error.column()))
    })?;
    let mut row = Fields::default();
    for (name, value) in members {
        row.set(&name, value)?;
    }
    row.into_row()
}

/// The members of an object in their order, each as often as it stands there.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// What a line has said so far.
#[derive(Default)]
struct Fields {
    seen: Vec<&'static str>,
    values: Map<String, Value>,
}

impl Fields {
    fn set(&mut self, name: &str, value: Value) -> Result<(), RowRefusal> {
        let Some(name) = NAMES.into_iter().find(|known| *known == name) else {
            let name = &name[..name.floor_char_boundary(64)];
            return Err(RowRefusal::unreadable(format!("there is no field {name:?}")));
        };
        if self.seen.contains(&name) {
            return Err(RowRefusal::invalid(name, "the field stands there twice"));
        }
        self.seen.push(name);
        if !value.is_null() {
            self.values.insert(name.to_owned(), value);
        }
        Ok(())
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, RowRefusal> {
        match self.values.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(RowRefusal::invalid(name, "must be a text")),
        }
    }

    /// A text, or a whole number as text.
    fn text_or_number(&mut self, name: &'static str) -> Result<String, RowRefusal> {
        match self.values.remove(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
            Some(_) => Err(RowRefusal::invalid(name, "must be a text, or a whole number")),
        }
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, RowRefusal> {
        match self.values.remove(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(RowRefusal::invalid(name, "must be true or false")),
        }
    }

    fn roles(&mut self) -> Result<Vec<String>, RowRefusal> {
        let bad = || RowRefusal::invalid("roles", "must be a list of texts");
        let Some(value) = self.values.remove("roles") else { return Ok(Vec::new()) };
        let Value::Array(list) = value else { return Err(bad()) };
        list.into_iter()
            .map(|role| match role {
                Value::String(role) => Ok(role),
                _ => Err(bad()),
            })
            .collect()
    }

    fn claims(&mut self) -> Result<Map<String, Value>, RowRefusal> {
        match self.values.remove("custom_claims") {
            None => Ok(Map::new()),
            Some(Value::Object(claims)) => Ok(claims),
            Some(_) => Err(RowRefusal::invalid("custom_claims", "must be an object")),
        }
    }

    fn into_row(mut self) -> Result<RawRow, RowRefusal> {
        let username = self.text("username")?.unwrap_or_default();
        let (hash, password) = (self.text("password_hash")?, self.text("password")?);
        let credential = fields::credential(hash, password, self.flag("no_password")?)?;
        Ok(RawRow {
            username,
            credential,
            roles: self.roles()?,
            claims: self.claims()?,
            user_id: self.text("user_id")?.unwrap_or_default(),
            external_id: self.text_or_number("external_id")?,
            disabled: self.flag("disabled")?,
            created_at: fields::created_at(&self.text_or_number("created_at")?)?,
        })
    }
}
