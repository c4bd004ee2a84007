//! `countersign user`

use std::io::Write;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::Failure;
use super::output::{json_line, rfc3339};
use super::password_input::PasswordInput;
use super::place::{Ended, Loaded, Place};
use super::program::Program;
use crate::auth::{CreateUser, LONGEST_RESET, Reach};
use crate::config::duration;
use crate::model::{CustomClaims, ExternalId, Role, Username};

mod administration;
mod attributes;
mod export;
mod import;
mod listing;

pub use administration::{UserAdministration, UserTransfer};
pub use attributes::{ClaimsInput, RequiredClaims, RequiredExternalId, RequiredRoles, Roles};
pub use export::Export;
pub use import::{Format, Import};

/// Creates, shows and changes users.
#[derive(Debug, Subcommand)]
pub enum User {
    /// Create a user
    Create(Create),
    /// List all users
    List(List),
    /// Show a user
    Show(Show),
    /// Set another password, and end all sessions of the user
    SetPassword(SetPassword),
    /// Make a link, or a token for one, with which somebody who has forgotten their password sets another
    ResetLink(ResetLink),
    /// Replace the roles of a user
    SetRoles(SetRoles),
    /// Replace the custom claims of a user
    SetClaims(SetClaims),
    /// Replace what a user is called in another system
    SetExternalId(SetExternalId),
    /// Let a disabled user in again
    Enable(Named),
    /// Lock a user out, and end all their sessions
    Disable(Named),
    /// Forget a user, and end all their sessions
    Delete(Named),
    /// Bring users from another system, with their password hashes: exit code 3 when rows were refused
    Import(Import),
    /// Write all users as `user import` reads them
    Export(Export),
}

/// Creates a user.
#[derive(Debug, Args)]
pub struct Create {
    /// Who, and where.
    #[command(flatten)]
    pub user: Named,
    /// What they may do.
    #[command(flatten)]
    pub roles: Roles,
    /// What else their access tokens say.
    #[command(flatten)]
    pub claims: ClaimsInput,
    /// What the user is called in another system: the claim `ext` of their access tokens
    #[arg(long, value_name = "ID", value_parser = attributes::external_id)]
    pub external_id: Option<ExternalId>,
    /// Where their password is read.
    #[command(flatten)]
    pub password: PasswordInput,
}

/// Lists users.
#[derive(Debug, Args)]
pub struct List {
    /// One JSON object on each line
    #[arg(long)]
    pub json: bool,
    /// Where.
    #[command(flatten)]
    pub place: Place,
}

/// Shows a user.
#[derive(Debug, Args)]
pub struct Show {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Who, and where.
    #[command(flatten)]
    pub user: Named,
}

/// Sets a password.
#[derive(Debug, Args)]
pub struct SetPassword {
    /// Who, and where.
    #[command(flatten)]
    pub user: Named,
    /// Where the password is read.
    #[command(flatten)]
    pub password: PasswordInput,
}

/// Makes a token for a new password.
#[derive(Debug, Args)]
pub struct ResetLink {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Who, and where.
    #[command(flatten)]
    pub user: Named,
    /// How long it is good: 1s to 1d
    #[arg(long, value_name = "DURATION", value_parser = reset_ttl, default_value = "1h")]
    pub ttl: Duration,
    /// What stands before the token in the link, such as `https://app.example.com/reset#`; without it the token alone is printed
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    pub url: String,
}

fn reset_ttl(typed: &str) -> Result<Duration, String> {
    duration_within(typed, Duration::from_secs(1)..=LONGEST_RESET, "1s to 1d")
}

/// A duration within bounds, which are said as `said`.
pub(super) fn duration_within(
    typed: &str,
    bounds: RangeInclusive<Duration>,
    said: &str,
) -> Result<Duration, String> {
    let duration = duration::parse(typed).map_err(|error| error.to_string())?;
    Some(duration).filter(|duration| bounds.contains(duration)).ok_or_else(|| format!("must be {said}"))
}

/// A token for a new password as programs read it.
#[derive(Serialize)]
struct ResetLine<'a> {
    reset_token: &'a str,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
}

/// Sets roles.
#[derive(Debug, Args)]
pub struct SetRoles {
    /// Who, and where.
    #[command(flatten)]
    pub user: Named,
    /// The roles.
    #[command(flatten)]
    pub roles: RequiredRoles,
}

/// Sets claims.
#[derive(Debug, Args)]
pub struct SetClaims {
    /// Who, and where.
    #[command(flatten)]
    pub user: Named,
    /// The claims.
    #[command(flatten)]
    pub claims: RequiredClaims,
}

/// Sets an external id.
#[derive(Debug, Args)]
pub struct SetExternalId {
    /// Who, and where.
    #[command(flatten)]
    pub user: Named,
    /// The external id.
    #[command(flatten)]
    pub external_id: RequiredExternalId,
}

/// A user.
#[derive(Debug, Args)]
pub struct Named {
    /// What they log in with
    #[arg(value_parser = username)]
    pub username: Username,
    /// Where.
    #[command(flatten)]
    pub place: Place,
}

pub(super) fn username(typed: &str) -> Result<Username, String> {
    Username::parse(typed).map_err(|error| error.to_string())
}

impl User {
    pub(super) async fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Create(command) => command.run(program, out).await,
            Self::List(List { json, place }) => {
                let users = place.load()?.users(program).await?;
                listing::write_all(users.as_ref(), out, json).await
            }
            Self::Show(Show { json, user: Named { username, place } }) => {
                let user = place.load()?.users(program).await?.show(&username).await?;
                listing::write_one(out, &user, json)
            }
            Self::SetPassword(SetPassword { user: Named { username, place }, password }) => {
                let loaded = place.load()?;
                let password = password.read()?;
                let ended = loaded.users(program).await?.set_password(&username, password).await?;
                over(out, &username, "has another password", &ended, &loaded)
            }
            Self::ResetLink(command) => command.run(program, out).await,
            Self::SetRoles(SetRoles { user: Named { username, place }, roles }) => {
                let (roles, loaded) = (roles.into_roles()?, place.load()?);
                loaded.users(program).await?.set_roles(&username, roles).await?;
                done(out, &username, &format!("has other roles {}", loaded.since_next_refresh()))
            }
            Self::SetClaims(SetClaims { user: Named { username, place }, claims }) => {
                let (claims, loaded) = (claims.into_claims()?, place.load()?);
                loaded.users(program).await?.set_claims(&username, claims).await?;
                done(out, &username, &format!("has other claims {}", loaded.since_next_refresh()))
            }
            Self::SetExternalId(SetExternalId { user: Named { username, place }, external_id }) => {
                let loaded = place.load()?;
                let users = loaded.users(program).await?;
                users.set_external_id(&username, external_id.external_id).await?;
                done(out, &username, &format!("has another external id {}", loaded.since_next_refresh()))
            }
            Self::Enable(Named { username, place }) => {
                place.load()?.users(program).await?.enable(&username).await?;
                done(out, &username, "is enabled")
            }
            Self::Disable(Named { username, place }) => {
                let loaded = place.load()?;
                let ended = loaded.users(program).await?.disable(&username).await?;
                over(out, &username, "is disabled", &ended, &loaded)
            }
            Self::Delete(Named { username, place }) => {
                let loaded = place.load()?;
                let ended = loaded.users(program).await?.delete(&username).await?;
                over(out, &username, "is deleted", &ended, &loaded)
            }
            Self::Import(command) => command.run(program, out).await,
            Self::Export(Export { with_hashes, data }) => {
                let users = program.transfer(&data.load()?).await?;
                export::write_all(users.as_ref(), out, with_hashes).await
            }
        }
    }
}

impl Create {
    async fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        let Self { user: Named { username, place }, roles, claims, external_id, password } = self;
        let roles: Vec<Role> = roles.into_roles()?;
        let claims: CustomClaims = claims.into_claims()?;
        let loaded = place.load()?;
        let password = password.read()?;
        let users = loaded.users(program).await?;
        let new = CreateUser { roles, claims, external_id, ..CreateUser::new(username, password) };
        let user = users.create(new).await?;
        done(out, &user.username, &format!("is created, with the id {}", user.id))
    }
}

impl ResetLink {
    async fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        let Self { json, user: Named { username, place }, ttl, url } = self;
        let users = place.load()?.users(program).await?;
        let (token, expires_at) = users.create_reset(&username, ttl).await?;
        let expires_at = rfc3339(expires_at);
        let link = [url.as_str(), token.expose_secret()].concat();
        if json {
            let link = Some(link.as_str()).filter(|_| !url.is_empty());
            return json_line(out, &ResetLine { reset_token: token.expose_secret(), expires_at, link });
        }
        let what = "can set a password with this";
        done(out, &username, &format!("{what} until {expires_at}, once; it is shown this once:"))?;
        writeln!(out, "{link}")?;
        Ok(())
    }
}

fn done(out: &mut dyn Write, username: &Username, what: &str) -> Result<(), Failure> {
    writeln!(out, "{} {what}", username.as_str())?;
    Ok(())
}

/// Says what was done to a user whose sessions have ended, and by when every replica knows.
fn over(
    out: &mut dyn Write,
    username: &Username,
    what: &str,
    ended: &Ended,
    loaded: &Loaded,
) -> Result<(), Failure> {
    let told = match &ended.reach {
        None | Some(Reach::Polled) => String::new(),
        Some(Reach::Pushed) => {
            "pushed to the replicas that listen, which refuse their access tokens now; ".to_owned()
        }
        Some(Reach::NotPushed(why)) => format!("not pushed to the replicas ({why}); "),
    };
    let within = loaded.refused_within(ended.position);
    done(out, username, &format!("{what}; all their sessions are over: {told}{within}"))
}

#[cfg(test)]
mod tests;
