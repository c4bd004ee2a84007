//! The keys that there are, their defaults and the types that those have.

use std::collections::{BTreeMap, BTreeSet};

use figment::value::{Dict, Value};

use super::environment::PREFIX;
use super::secret::SECRETS;
use super::{Config, ConfigError};
use crate::spelling::nearest;

/// The tables whose keys are the operator's own, each with a whole number. A variable has all of one: `web=1,mobile=2`.
const OPEN_TABLES: [&str; 2] = ["edge.error_codes", "sessions.limits"];

/// The environment variable that sets `key`.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// Every known key with its default, from which the type that it must have is seen.
pub(super) struct Schema(BTreeMap<String, Dict>);

impl Schema {
    pub(super) fn new() -> Result<Self, ConfigError> {
        let defaults =
            Value::serialize(Config::default()).map_err(|error| ConfigError::from_extraction(&error))?;
        let sections = defaults.into_dict().unwrap_or_default().into_iter();
        Ok(Self(sections.filter_map(|(section, keys)| Some((section, keys.into_dict()?))).collect()))
    }

    /// Every section with the defaults of its keys.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&String, &Dict)> {
        self.0.iter()
    }

    pub(super) fn has_section(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Every key with its section before it.
    pub(super) fn keys(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().flat_map(|(section, keys)| leaves(section, keys))
    }

    fn default_of(&self, key: &str) -> Option<&Value> {
        let (section, key) = key.split_once('.')?;
        let mut keys = key.split('.');
        let first = self.0.get(section)?.get(keys.next()?)?;
        keys.try_fold(first, |value, key| value.as_dict()?.get(key))
    }

    /// Every variable that sets a key, those that name a secret's file too.
    pub(super) fn variables(&self) -> BTreeSet<String> {
        let files = SECRETS.iter().map(|key| format!("{}_FILE", variable_of(key)));
        self.keys().map(|key| variable_of(&key)).chain(files).collect()
    }

    /// The error for `key`, with the known key that was probably meant: the same in another case, the one with the same
    /// last part in another section, or else the nearest.
    pub(super) fn unknown(&self, key: &str, origin: &str) -> ConfigError {
        let last = key.rsplit('.').next().unwrap_or(key);
        let files = SECRETS.iter().map(|key| format!("{key}_file"));
        let known: BTreeSet<String> = self.keys().chain(self.tables()).chain(files).collect();
        let suggestion = known.iter().find(|known| *known == key);
        let suggestion =
            suggestion.or_else(|| known.iter().find(|known| known.rsplit('.').next() == Some(last)));
        let suggestion = suggestion.map(String::as_str);
        let suggestion = suggestion.or_else(|| nearest(key, known.iter().map(String::as_str)));
        ConfigError::UnknownKey {
            key: key.to_owned(),
            origin: origin.to_owned(),
            suggestion: suggestion.map(str::to_owned),
        }
    }

    /// The same for a section.
    pub(super) fn unknown_section(&self, section: &str, is_table: bool, origin: &str) -> ConfigError {
        match nearest(section, self.0.keys().map(String::as_str)).filter(|_| is_table) {
            Some(meant) => ConfigError::UnknownKey {
                key: section.to_owned(),
                origin: origin.to_owned(),
                suggestion: Some(format!("[{meant}]")),
            },
            None => self.unknown(section, origin),
        }
    }

    /// The tables in sections, such as `grpc.tls`.
    fn tables(&self) -> impl Iterator<Item = String> + '_ {
        let of = |(section, keys): (&String, &Dict)| {
            let tables = keys.iter().filter(|(_, value)| value.as_dict().is_some());
            tables.map(|(key, _)| format!("{section}.{key}")).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of)
    }

    /// Refuses what is not known in a section, or of another type than the default.
    pub(super) fn check_section(&self, section: &str, keys: &Dict, origin: &str) -> Result<(), ConfigError> {
        for (key, value) in keys {
            let key = format!("{section}.{key}");
            match (self.default_of(&key), value) {
                (Some(Value::Dict(..)), Value::Dict(_, entries)) if OPEN_TABLES.contains(&key.as_str()) => {
                    entries.iter().try_for_each(|(name, value)| numbered(&key, name, value, origin))?;
                }
                (Some(Value::Dict(..)), Value::Dict(_, keys)) => self.check_section(&key, keys, origin)?,
                _ => self.check_type(&key, value, origin)?,
            }
        }
        Ok(())
    }

    /// Refuses a value of another type than the default's.
    fn check_type(&self, key: &str, value: &Value, origin: &str) -> Result<(), ConfigError> {
        let default = self.default_of(key).ok_or_else(|| self.unknown(key, origin))?;
        let (expected, found) = (type_name(default), type_name(value));
        if expected == found {
            return Ok(());
        }
        let problem = format!("must be {expected}, not {found}");
        Err(ConfigError::Invalid { key: key.to_owned(), problem, origin: format!(" (from {origin})") })
    }

    /// Reads the text of a variable or a flag as the type that the key has.
    pub(super) fn parse_text(&self, key: &str, text: &str, origin: &str) -> Result<Value, ConfigError> {
        let invalid = |problem: String| ConfigError::Invalid {
            key: key.to_owned(),
            problem,
            origin: format!(" (from {origin})"),
        };
        match self.default_of(key) {
            None => Err(self.unknown(key, origin)),
            Some(Value::Num(..)) => text
                .parse::<i64>()
                .map(Value::from)
                .map_err(|_| invalid(format!("{text:?} is not a whole number"))),
            Some(Value::Bool(..)) => text
                .parse::<bool>()
                .map(Value::from)
                .map_err(|_| invalid(format!("{text:?} is neither true nor false"))),
            Some(Value::Dict(..)) => {
                let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
                let entries = entries.map(|entry| {
                    let (name, number) = entry.split_once('=')?;
                    Some((name.trim().to_owned(), Value::from(number.trim().parse::<i64>().ok()?)))
                });
                let entries: Option<Dict> = entries.collect();
                let bad =
                    || invalid(format!("{text:?} is not written as name=1,other=2, with whole numbers"));
                Ok(Value::from(entries.ok_or_else(bad)?))
            }
            Some(Value::Array(..)) if text.trim_start().starts_with("[{") => {
                let table = toml::from_str::<toml::Table>(&format!("it = {text}"));
                let table = table.map_err(|error| invalid(error.message().replace('\n', ", ")))?;
                Value::serialize(table.get("it")).map_err(|error| ConfigError::from_extraction(&error))
            }
            Some(Value::Array(..)) => {
                Ok(Value::from(text.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>()))
            }
            Some(_) => Ok(Value::from(text)),
        }
    }
}

/// Every key of a section with its name before it, those of its tables too.
fn leaves(section: &str, keys: &Dict) -> Vec<String> {
    let leaves = keys.iter().flat_map(|(key, value)| {
        let key = format!("{section}.{key}");
        let table = value.as_dict().filter(|_| !OPEN_TABLES.contains(&key.as_str()));
        table.map_or_else(|| vec![key.clone()], |keys| leaves(&key, keys))
    });
    leaves.collect()
}

/// Refuses what is no number in a table whose keys are the operator's own.
fn numbered(table: &str, name: &str, value: &Value, origin: &str) -> Result<(), ConfigError> {
    if matches!(value, Value::Num(..)) {
        return Ok(());
    }
    let problem = format!("must be a number, not {}", type_name(value));
    Err(ConfigError::Invalid { key: format!("{table}.{name}"), problem, origin: format!(" (from {origin})") })
}

const fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(..) | Value::Char(..) => "a string",
        Value::Bool(..) => "true or false",
        Value::Num(..) => "a number",
        Value::Array(..) => "a list",
        Value::Dict(..) => "a table",
        Value::Empty(..) => "nothing",
    }
}
