//! What can be wrong with a configuration.

use std::path::PathBuf;

use figment::Figment;
use figment::error::{Actual, Kind};

use super::layers::DEFAULTS;
use super::schema::variable_of;
use super::secret::SECRETS;

/// The configuration cannot be used. The text is one line for the operator, and never holds the value of a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration file is not TOML.
    #[error("{}, line {line}: {message}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// What the parser expected.
        message: String,
    },
    /// There is no such key, or no such section.
    #[error("{key}: there is no such key (from {origin}){}", did_you_mean(suggestion.as_deref()))]
    UnknownKey {
        /// The key with its section.
        key: String,
        /// The file or variable that sets it.
        origin: String,
        /// The key that was probably meant.
        suggestion: Option<String>,
    },
    /// A value cannot be used.
    #[error("{key}: {problem}{origin}")]
    Invalid {
        /// The key with its section.
        key: String,
        /// What is wrong with the value.
        problem: String,
        /// Where it was set, in parentheses; empty when nowhere.
        origin: String,
    },
    /// A secret was given by value and by file at once.
    #[error("{key}: given twice, as {value} and as {file} (from {origin})")]
    SecretTwice {
        /// The key with its section.
        key: String,
        /// The name of the key or variable with the value.
        value: String,
        /// The name of the key or variable with the file.
        file: String,
        /// The layer that has both.
        origin: String,
    },
    /// The file that should hold a secret does not.
    #[error("{key}: the file {} {problem} (named by {named_by})", file.display())]
    SecretFile {
        /// The key with its section.
        key: String,
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// The key or variable that names it.
        named_by: String,
    },
    /// A variable of the environment that is none of ours, and was meant to be.
    #[error("{name}: there is no such variable: did you mean {meant}?")]
    Variable {
        /// Its name.
        name: String,
        /// The variable that it is but for underscores, case or a letter.
        meant: String,
    },
    /// An environment variable of ours is not UTF-8.
    #[error("{name}: the value of this environment variable is not UTF-8")]
    NotUnicode {
        /// Which variable.
        name: String,
    },
    /// The data directory of `dev` has a name that cannot be written in a configuration.
    #[error("the data directory {} must have a name, in UTF-8", directory.display())]
    DataDirectory {
        /// The directory.
        directory: PathBuf,
    },
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|key| format!(": did you mean {key}?")).unwrap_or_default()
}

/// Says what deserializing said, without the names of Rust's types.
fn describe(kind: &Kind) -> String {
    match kind {
        Kind::UnknownVariant(found, expected) | Kind::UnknownField(found, expected) => {
            let found: String = found.chars().take(40).collect();
            format!("{found:?} is none of {}", expected.join(", "))
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            let number = match found {
                Actual::Signed(number) => number.to_string(),
                Actual::Unsigned(number) => number.to_string(),
                Actual::Float(number) => number.to_string(),
                _ => return format!("must be {expected}, not {found}"),
            };
            match expected.as_str() {
                "u32" | "usize" => format!("{number} is not a whole number from 0 to {}", u32::MAX),
                _ => format!("must be {expected}, not the number {number}"),
            }
        }
        other => other.to_string(),
    }
}

impl ConfigError {
    /// Translates what deserializing said. The value of a secret is left out.
    pub(super) fn from_extraction(error: &figment::Error) -> Self {
        let key = error.path.join(".");
        let problem =
            if SECRETS.contains(&key.as_str()) { "cannot be used".to_owned() } else { describe(&error.kind) };
        let origin = error.metadata.as_ref().map(|metadata| format!(" (from {})", metadata.name));
        Self::Invalid { key, problem, origin: origin.unwrap_or_default() }
    }
}

/// A value that no section can work with, before it is known where the value came from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {what}")]
pub struct Problem {
    key: &'static str,
    other: Option<&'static str>,
    what: String,
}

impl Problem {
    /// `what` is wrong with the value of `key`.
    pub(super) fn new(key: &'static str, what: impl Into<String>) -> Self {
        Self { key, other: None, what: what.into() }
    }

    /// `what` is wrong between the values of two keys.
    pub(super) fn between(key: &'static str, other: &'static str, what: impl Into<String>) -> Self {
        Self { key, other: Some(other), what: what.into() }
    }

    /// The value of `key` has no default and was not given.
    pub(super) fn required(key: &'static str) -> Self {
        let variable = variable_of(key);
        let file = if SECRETS.contains(&key) {
            format!(", or in the file that {variable}_FILE names")
        } else {
            String::new()
        };
        Self::new(key, format!("is required: set it in the configuration file or in {variable}{file}"))
    }

    /// Adds where the values came from; what is a default is not worth saying.
    pub(super) fn located(self, figment: &Figment) -> ConfigError {
        let origin = |key| Some(figment.find_metadata(key)?.name.as_ref()).filter(|name| *name != DEFAULTS);
        let origins: Vec<String> = match self.other {
            None => origin(self.key).map(|name| format!("from {name}")).into_iter().collect(),
            Some(other) => [self.key, other]
                .into_iter()
                .filter_map(|key| Some(format!("{key} from {}", origin(key)?)))
                .collect(),
        };
        let origin = if origins.is_empty() { String::new() } else { format!(" ({})", origins.join(", ")) };
        ConfigError::Invalid { key: self.key.to_owned(), problem: self.what, origin }
    }
}
