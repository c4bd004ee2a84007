//! The layers that a configuration is made of. Each is checked against the known keys by itself, so that an error
//! can name the file, the variable or the flag that is to blame.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use super::environment::{self, PREFIX};
use super::secret::{self, SECRETS};
use super::{Config, ConfigError};
use crate::spelling::nearest;
use crate::text;

/// The name of the lowest layer.
pub(super) const DEFAULTS: &str = "the defaults";

/// The largest configuration file.
const MAX_FILE_BYTES: usize = 1024 * 1024;

/// The environment variable that sets `key`.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// A value from the command line.
#[derive(Debug, Clone)]
pub struct Override {
    /// The key with its section, such as `grpc.listen`.
    pub key: &'static str,
    /// What the user wrote it as, such as `--grpc-listen`: named in errors.
    pub flag: &'static str,
    /// The value as an environment variable would have it.
    pub value: String,
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

    fn keys(&self) -> impl Iterator<Item = String> + '_ {
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
    fn unknown(&self, key: &str, origin: &str) -> ConfigError {
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
    fn unknown_section(&self, section: &str, is_table: bool, origin: &str) -> ConfigError {
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
    fn check_section(&self, section: &str, keys: &Dict, origin: &str) -> Result<(), ConfigError> {
        for (key, value) in keys {
            let key = format!("{section}.{key}");
            match (self.default_of(&key), value) {
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
    fn parse_text(&self, key: &str, text: &str, origin: &str) -> Result<Value, ConfigError> {
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
        value.as_dict().map_or_else(|| vec![key.clone()], |keys| leaves(&key, keys))
    });
    leaves.collect()
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

/// Values with one origin.
pub(super) struct Layer {
    origin: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

impl Layer {
    /// The lowest layer, with a value for every key.
    pub(super) fn defaults(schema: &Schema) -> Self {
        let values = schema.0.iter().map(|(section, keys)| (section.clone(), Value::from(keys.clone())));
        Self { origin: DEFAULTS.to_owned(), values: values.collect() }
    }

    /// One value.
    fn single(origin: String, key: &str, value: Value) -> Self {
        Self { origin, values: figment::util::nest(key, value).into_dict().unwrap_or_default() }
    }

    /// A secret that stands in a file of its own.
    fn secret(key: &str, file: &str, named_by: &str) -> Result<Self, ConfigError> {
        let path = PathBuf::from(file);
        let text = secret::read(&path).map_err(|problem| ConfigError::SecretFile {
            key: key.to_owned(),
            file: path,
            problem,
            named_by: named_by.to_owned(),
        })?;
        Ok(Self::single(format!("{file}, named by {named_by}"), key, Value::from(text)))
    }

    /// A layer for each flag.
    pub(super) fn overrides(overrides: &[Override], schema: &Schema) -> Result<Vec<Self>, ConfigError> {
        let layers = overrides.iter().map(|Override { key, flag, value }| {
            Ok(Self::single((*flag).to_owned(), key, schema.parse_text(key, value, flag)?))
        });
        layers.collect()
    }

    /// A layer for each variable of ours. A secret's file is as good as its value, but both are one too many.
    pub(super) fn environment(
        variables: impl IntoIterator<Item = (String, String)>,
        schema: &Schema,
    ) -> Result<Vec<Self>, ConfigError> {
        let names: BTreeMap<String, String> = schema.keys().map(|key| (variable_of(&key), key)).collect();
        let files: BTreeMap<String, &str> =
            SECRETS.iter().map(|key| (format!("{}_FILE", variable_of(key)), *key)).collect();
        let (variables, others): (BTreeMap<String, String>, BTreeMap<String, String>) =
            variables.into_iter().partition(|(name, _)| name.starts_with(PREFIX));
        let known = schema.variables();
        for name in others.keys() {
            // One that is set beside the right one may be what that was made of.
            let meant = environment::misspelt(name, &known).filter(|meant| !variables.contains_key(*meant));
            if let Some(meant) = meant {
                return Err(ConfigError::Variable { name: name.clone(), meant: meant.to_owned() });
            }
        }

        let layers = variables.iter().map(|(name, text)| {
            if let Some(key) = files.get(name) {
                let value = variable_of(key);
                if variables.contains_key(&value) {
                    let (key, file) = ((*key).to_owned(), name.clone());
                    let origin = "the environment".to_owned();
                    return Err(ConfigError::SecretTwice { key, value, file, origin });
                }
                return Self::secret(key, text, name);
            }
            let Some(key) = names.get(name) else {
                let key = name.trim_start_matches(PREFIX).replace("__", ".").to_ascii_lowercase();
                return Err(schema.unknown(&key, name));
            };
            let text = if SECRETS.contains(&key.as_str()) { text::value(text) } else { text };
            Ok(Self::single(name.clone(), key, schema.parse_text(key, text, name)?))
        });
        layers.collect()
    }

    /// The layer of a TOML file, and above it one for each secret whose file it names.
    pub(super) fn file(path: &Path, schema: &Schema) -> Result<Vec<Self>, ConfigError> {
        let origin = path.display().to_string();
        let mut values = read_toml(path)?;
        let mut secrets = Vec::new();
        for (section, keys) in &mut values {
            if !schema.0.contains_key(section) {
                return Err(schema.unknown_section(section, keys.as_dict().is_some(), &origin));
            }
            let Value::Dict(_, keys) = keys else {
                let problem = format!("must be a section, written [{section}]");
                let origin = format!(" (from {origin})");
                return Err(ConfigError::Invalid { key: section.clone(), problem, origin });
            };
            for secret in SECRETS.iter().filter_map(|key| key.strip_prefix(&format!("{section}."))) {
                let (key, named_by) = (format!("{section}.{secret}"), format!("{secret}_file"));
                let Some(file) = keys.remove(&named_by) else { continue };
                if keys.contains_key(secret) {
                    let (value, file) = (secret.to_owned(), named_by);
                    return Err(ConfigError::SecretTwice { key, value, file, origin });
                }
                let Value::String(_, file) = file else {
                    let (key, problem) = (format!("{section}.{named_by}"), "must be a string".to_owned());
                    return Err(ConfigError::Invalid { key, problem, origin: format!(" (from {origin})") });
                };
                secrets.push(Self::secret(&key, &file, &format!("{section}.{named_by} in {origin}"))?);
            }
            schema.check_section(section, keys, &origin)?;
        }
        let mut layers = vec![Self { origin, values }];
        layers.append(&mut secrets);
        Ok(layers)
    }
}

/// Reads a TOML file. Errors say where and what, and do not quote the line: a secret may stand in it.
fn read_toml(path: &Path) -> Result<Dict, ConfigError> {
    let file_error = |source| ConfigError::File { path: path.to_owned(), source };
    let text = text::file_text(path, MAX_FILE_BYTES).map_err(|invalid| file_error(invalid.into()))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count()),
        message: error.message().replace('\n', ", "),
    })?;
    let values = Value::serialize(table).map_err(|error| ConfigError::from_extraction(&error))?;
    Ok(values.into_dict().unwrap_or_default())
}
