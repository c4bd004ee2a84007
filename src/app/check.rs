//! What `countersign config check` looks at beside the values themselves: the files that they name.

use super::{
    App, ListenersTls, StartError, Stores, allow_list, edge, hash_parameters, keys, password_policy,
};
use crate::config::Config;
use crate::token::KeyDirectoryError;

impl App {
    /// Finds what would stop a start, without asking a store, opening a port, or making anything.
    pub fn check(config: &Config) -> Result<(), StartError> {
        // What is wrong with a value is worth more than that a file is not there yet.
        hash_parameters(config)?;
        allow_list(config)?;
        password_policy(config)?;
        Stores::check(config)?;
        check_keys(config)?;
        ListenersTls::load(config)?;
        edge::captcha(config).map(drop)
    }
}

/// None are needed where they are in the database, or where missing keys are made at the start.
fn check_keys(config: &Config) -> Result<(), KeyDirectoryError> {
    if keys::are_stored(config) {
        return Ok(());
    }
    match keys::open_directory(config) {
        Err(error) if config.create_missing_keys() && error.is_missing() => Ok(()),
        outcome => outcome.map(drop),
    }
}
