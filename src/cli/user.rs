//! `countersign user`

use std::io::Write;

use clap::{Args, Subcommand};

use super::Failure;
use super::data::Data;
use super::password_input::PasswordInput;
use super::program::{BoxError, Program};
use crate::auth::{CreateUser, Reach, UserAdminError};
use crate::config::{Config, OnStale, duration};
use crate::model::{CustomClaims, ExternalId, Role, Username};

mod administration;
mod attributes;
mod listing;

pub use administration::UserAdministration;
pub use attributes::{ClaimsInput, RequiredClaims, RequiredExternalId, RequiredRoles, Roles};

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
}

/// Creates a user.
#[derive(Debug, Args)]
pub struct Create {
    /// Who, and which data.
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
    /// Which data.
    #[command(flatten)]
    pub data: Data,
}

/// Shows a user.
#[derive(Debug, Args)]
pub struct Show {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Who, and which data.
    #[command(flatten)]
    pub user: Named,
}

/// Sets a password.
#[derive(Debug, Args)]
pub struct SetPassword {
    /// Who, and which data.
    #[command(flatten)]
    pub user: Named,
    /// Where the password is read.
    #[command(flatten)]
    pub password: PasswordInput,
}

/// Sets roles.
#[derive(Debug, Args)]
pub struct SetRoles {
    /// Who, and which data.
    #[command(flatten)]
    pub user: Named,
    /// The roles.
    #[command(flatten)]
    pub roles: RequiredRoles,
}

/// Sets claims.
#[derive(Debug, Args)]
pub struct SetClaims {
    /// Who, and which data.
    #[command(flatten)]
    pub user: Named,
    /// The claims.
    #[command(flatten)]
    pub claims: RequiredClaims,
}

/// Sets an external id.
#[derive(Debug, Args)]
pub struct SetExternalId {
    /// Who, and which data.
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
    /// Which data.
    #[command(flatten)]
    pub data: Data,
}

pub(super) fn username(typed: &str) -> Result<Username, String> {
    Username::parse(typed).map_err(|error| error.to_string())
}

impl User {
    pub(super) async fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Create(command) => command.run(program, out).await,
            Self::List(List { json, data }) => {
                let users = program.users(&data.load()?).await?;
                listing::write_all(users.as_ref(), out, json).await
            }
            Self::Show(Show { json, user: Named { username, data } }) => {
                let user = program.users(&data.load()?).await?.show(&username).await.map_err(failed)?;
                listing::write_one(out, &user, json)
            }
            Self::SetPassword(SetPassword { user: Named { username, data }, password }) => {
                let config = data.load()?;
                let password = password.read()?;
                let users = program.users(&config).await?;
                let reach = users.set_password(&username, password).await.map_err(failed)?;
                over(out, &username, "has another password", &reach, &config)
            }
            Self::SetRoles(SetRoles { user: Named { username, data }, roles }) => {
                let (roles, config) = (roles.into_roles()?, data.load()?);
                program.users(&config).await?.set_roles(&username, roles).await.map_err(failed)?;
                done(out, &username, &format!("has other roles {}", from_next_refresh(&config)))
            }
            Self::SetClaims(SetClaims { user: Named { username, data }, claims }) => {
                let (claims, config) = (claims.into_claims()?, data.load()?);
                program.users(&config).await?.set_claims(&username, claims).await.map_err(failed)?;
                done(out, &username, &format!("has other claims {}", from_next_refresh(&config)))
            }
            Self::SetExternalId(SetExternalId { user: Named { username, data }, external_id }) => {
                let config = data.load()?;
                let users = program.users(&config).await?;
                users.set_external_id(&username, external_id.external_id).await.map_err(failed)?;
                done(out, &username, &format!("has another external id {}", from_next_refresh(&config)))
            }
            Self::Enable(Named { username, data }) => {
                program.users(&data.load()?).await?.enable(&username).await.map_err(failed)?;
                done(out, &username, "is enabled")
            }
            Self::Disable(Named { username, data }) => {
                let config = data.load()?;
                let reach = program.users(&config).await?.disable(&username).await.map_err(failed)?;
                over(out, &username, "is disabled", &reach, &config)
            }
            Self::Delete(Named { username, data }) => {
                let config = data.load()?;
                let reach = program.users(&config).await?.delete(&username).await.map_err(failed)?;
                over(out, &username, "is deleted", &reach, &config)
            }
        }
    }
}

impl Create {
    async fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        let Self { user: Named { username, data }, roles, claims, external_id, password } = self;
        let roles: Vec<Role> = roles.into_roles()?;
        let claims: CustomClaims = claims.into_claims()?;
        // A configuration that cannot be used is better known before a password is typed twice.
        let config = data.load()?;
        let password = password.read()?;
        let users = program.users(&config).await?;
        let new = CreateUser { roles, claims, external_id, ..CreateUser::new(username, password) };
        let user = users.create(new).await.map_err(failed)?;
        done(out, &user.username, &format!("is created, with the id {}", user.id))
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
    reach: &Reach,
    config: &Config,
) -> Result<(), Failure> {
    let told = match reach {
        Reach::Polled => String::new(),
        Reach::Pushed => {
            "pushed to the replicas that listen, which refuse their access tokens now; ".to_owned()
        }
        Reach::NotPushed(why) => format!("not pushed to the replicas ({why}); "),
    };
    let within = refused_within(config);
    done(out, username, &format!("{what}; all their sessions are over: {told}{within}"))
}

/// By when every replica refuses the access tokens of a session that is over.
pub(super) fn refused_within(config: &Config) -> String {
    let interval = duration::format(config.revocation.poll_interval);
    let bound =
        format!("every replica refuses their access tokens within {interval} (revocation.poll_interval)");
    let cut_off = match config.revocation.on_stale {
        OnStale::Fail => {
            let most = duration::format(config.revocation.max_staleness);
            format!("verifies nothing after {most} (revocation.max_staleness)")
        }
        OnStale::Serve => "goes on with what it knew (revocation.on_stale)".to_owned(),
    };
    format!("{bound}; one that cannot read the ledger {cut_off}")
}

fn from_next_refresh(config: &Config) -> String {
    let life = duration::format(config.tokens.access_ttl);
    format!(
        "from their next refresh on; access tokens that they have say the old ones until they expire, within {life} \
         (tokens.access_ttl)"
    )
}

pub(super) fn failed(error: UserAdminError) -> Failure {
    Failure::from(BoxError::from(error))
}

#[cfg(test)]
mod tests;
