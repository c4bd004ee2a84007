//! The layers that a configuration is made of. Each is checked against the known keys by itself, so that an error
//! can name the file, the variable or the flag that is to blame.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use super::ConfigError;
use super::environment::{self, PREFIX};
use super::schema::{Schema, variable_of};
use super::secret::{self, SECRETS};
use crate::text;

/// The name of the lowest layer.
pub(super) const DEFAULTS: &str = "the defaults";

/// The largest configuration file.
const MAX_FILE_BYTES: usize = 1024 * 1024;

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
        let values = schema.sections().map(|(section, keys)| (section.clone(), Value::from(keys.clone())));
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
            if !schema.has_section(section) {
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
