//! The variables of the environment: which are ours, which look as if they were meant to be, and which say nothing.

use std::collections::BTreeSet;

use super::ConfigError;
use super::schema::Schema;
use crate::spelling::nearest;

/// What every environment variable of ours begins with.
pub(super) const PREFIX: &str = "COUNTERSIGN__";
/// The same without what a typing mistake leaves out.
const NAME: &str = "COUNTERSIGN";
/// Ours, and no keys of the configuration: the command line reads the first, scripts the second.
const OTHERS: [&str; 2] = ["COUNTERSIGN_CONFIG", "COUNTERSIGN_BIN"];

/// The variables of this process that are ours, and those that may have been meant for us.
pub fn process_environment() -> Result<Vec<(String, String)>, ConfigError> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| may_be_meant(name))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) if name.starts_with(PREFIX) => Err(ConfigError::NotUnicode { name }),
            Err(_) => Ok((name, String::new())),
        })
        .collect()
}

fn may_be_meant(name: &str) -> bool {
    name.starts_with(PREFIX) || is_of_our_name(name) || before_section(name).is_some() || name == "RUST_LOG"
}

/// `COUNTERSIGN_…` in any case.
fn is_of_our_name(name: &str) -> bool {
    name.split_at_checked(NAME.len())
        .is_some_and(|(head, rest)| head.eq_ignore_ascii_case(NAME) && rest.starts_with('_'))
}

/// The part after a first word that is nearly ours: `GRPC__LISTEN` of `COUNTERSING__GRPC__LISTEN`.
fn before_section(name: &str) -> Option<&str> {
    let (first, rest) = name.split_once("__")?;
    nearest(first, [NAME]).map(|_| rest)
}

/// The variable that a misspelt one was meant to be: the same but for underscores, case, or letters of our name.
pub(super) fn misspelt<'a>(name: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    if name.starts_with(PREFIX) || OTHERS.contains(&name) {
        return None;
    }
    let plain = |name: &str| name.replace('_', "").to_ascii_uppercase();
    let rest = if is_of_our_name(name) { &name[NAME.len()..] } else { before_section(name)? };
    let found = plain(rest);
    known.iter().map(String::as_str).find(|known| plain(&known[NAME.len()..]) == found)
}

/// What Kubernetes and Docker set in every container beside a service that has our name, or one that begins with it.
fn is_service_link(name: &str) -> bool {
    let is_port = |text: &str| {
        let mut words = text.split('_');
        let number = words.next().is_some_and(|port| port.parse::<u16>().is_ok());
        let protocol = matches!(words.next(), Some("TCP" | "UDP" | "SCTP"));
        number && protocol && matches!(words.next(), None | Some("PROTO" | "PORT" | "ADDR"))
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.ends_with("_PORT")
        || name.split("_PORT_").skip(1).any(is_port)
        || name == "COUNTERSIGN_NAME"
        || name.starts_with("COUNTERSIGN_ENV_")
}

/// What to say of variables that are set and decide nothing. Shows no values.
pub fn ignored_variables(environment: &[(String, String)]) -> Vec<String> {
    let known = Schema::new().map(|schema| schema.variables()).unwrap_or_default();
    let of_no_use = |name: &str| {
        if name == "RUST_LOG" {
            return Some("RUST_LOG is ignored: the level of the log is log.level".to_owned());
        }
        let ours = is_of_our_name(name) && !name.starts_with(PREFIX);
        if !ours || OTHERS.contains(&name) || is_service_link(name) {
            return None;
        }
        let plain = |name: &str| name.trim_start_matches(NAME).replace('_', "");
        let rests: Vec<_> = known.iter().map(|known| plain(known)).collect();
        let meant = nearest(&plain(&name.to_ascii_uppercase()), rests.iter().map(String::as_str));
        let meant = meant.and_then(|meant| known.iter().find(|known| plain(known) == meant));
        let meant = meant.map(|meant| format!(": did you mean {meant}?")).unwrap_or_default();
        Some(format!("{name} is no setting, and is ignored{meant}"))
    };
    environment.iter().filter_map(|(name, _)| of_no_use(name)).collect()
}
