//! `countersign service-account`

use std::io::Write;

use clap::{Args, Subcommand};

use super::Failure;
use super::place::{Loaded, Place};
use super::program::Program;
use super::user::{RequiredRoles, Roles};
use crate::model::{Note, Position, ServiceAccountName};

mod administration;
mod key;
mod listing;

pub use administration::ServiceAccountAdministration;
pub use key::Key;

/// Creates, shows and changes service accounts.
#[derive(Debug, Subcommand)]
pub enum ServiceAccount {
    /// Create a service account, without keys
    Create(Create),
    /// List all service accounts
    List(List),
    /// Show a service account
    Show(Show),
    /// Replace the roles of a service account
    SetRoles(SetRoles),
    /// Take the keys of a disabled service account again
    Enable(Named),
    /// Refuse every key of a service account
    Disable(Named),
    /// Forget a service account and its keys
    Delete(Named),
    /// Make, list and revoke the keys of a service account
    #[command(subcommand)]
    Key(Key),
}

/// Creates a service account.
#[derive(Debug, Args)]
pub struct Create {
    /// Which one, and where.
    #[command(flatten)]
    pub account: Named,
    /// What it may do.
    #[command(flatten)]
    pub roles: Roles,
    /// What it is for
    #[arg(long, value_name = "TEXT", value_parser = note, default_value = "")]
    pub description: Note,
}

/// Lists service accounts.
#[derive(Debug, Args)]
pub struct List {
    /// One JSON object on each line
    #[arg(long)]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub place: Place,
}

/// Shows a service account.
#[derive(Debug, Args)]
pub struct Show {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Which one, and where.
    #[command(flatten)]
    pub account: Named,
}

/// Sets roles.
#[derive(Debug, Args)]
pub struct SetRoles {
    /// Which one, and where.
    #[command(flatten)]
    pub account: Named,
    /// The roles.
    #[command(flatten)]
    pub roles: RequiredRoles,
}

/// A service account.
#[derive(Debug, Args)]
pub struct Named {
    /// Its name
    #[arg(value_parser = name)]
    pub name: ServiceAccountName,
    /// Where.
    #[command(flatten)]
    pub place: Place,
}

fn name(typed: &str) -> Result<ServiceAccountName, String> {
    ServiceAccountName::parse(typed).map_err(|error| error.to_string())
}

fn note(typed: &str) -> Result<Note, String> {
    Note::parse(typed).map_err(|error| error.to_string())
}

impl ServiceAccount {
    pub(super) async fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Create(Create { account: Named { name, place }, roles, description }) => {
                let (roles, loaded) = (roles.into_roles()?, place.load()?);
                let accounts = loaded.service_accounts(program).await?;
                let account = accounts.create(name, description, roles).await?;
                done(out, &account.name, &format!("is created, with the id {}", account.id))
            }
            Self::List(List { json, place }) => {
                let accounts = place.load()?.service_accounts(program).await?;
                listing::write_all(accounts.as_ref(), out, json).await
            }
            Self::Show(Show { json, account: Named { name, place } }) => {
                let accounts = place.load()?.service_accounts(program).await?;
                listing::write_one(out, &accounts.show(&name).await?, json)
            }
            Self::SetRoles(SetRoles { account: Named { name, place }, roles }) => {
                let (roles, loaded) = (roles.into_roles()?, place.load()?);
                loaded.service_accounts(program).await?.set_roles(&name, roles).await?;
                done(out, &name, "has other roles, which hold for its keys from the next call on")
            }
            Self::Enable(Named { name, place }) => {
                place.load()?.service_accounts(program).await?.enable(&name).await?;
                done(out, &name, "is enabled")
            }
            Self::Disable(Named { name, place }) => {
                let loaded = place.load()?;
                let position = loaded.service_accounts(program).await?.disable(&name).await?;
                over(
                    out,
                    &name,
                    "is disabled; every replica refuses its keys from the next call on",
                    &loaded,
                    position,
                )
            }
            Self::Delete(Named { name, place }) => {
                let loaded = place.load()?;
                let position = loaded.service_accounts(program).await?.delete(&name).await?;
                over(
                    out,
                    &name,
                    "is deleted; every replica refuses its keys from the next call on",
                    &loaded,
                    position,
                )
            }
            Self::Key(command) => command.run(program, out).await,
        }
    }
}

/// Says what was done to an account whose access tokens have ended, and by when every replica knows.
fn over(
    out: &mut dyn Write,
    name: &ServiceAccountName,
    what: &str,
    loaded: &Loaded,
    position: Position,
) -> Result<(), Failure> {
    done(out, name, &format!("{what}; {}", loaded.refused_within(position)))
}

fn done(out: &mut dyn Write, name: &ServiceAccountName, what: &str) -> Result<(), Failure> {
    writeln!(out, "{} {what}", name.as_str())?;
    Ok(())
}
