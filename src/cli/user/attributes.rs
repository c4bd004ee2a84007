//! Roles and claims on the command line.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};

use crate::cli::Failure;
use crate::cli::program::BoxError;
use crate::model::{CustomClaims, ExternalId, Role};
use crate::text::{self, InvalidText};

/// The largest file with claims, in bytes: more room than claims have, for those who write them with blanks.
const MAX_FILE_BYTES: usize = 64 * 1024;

/// The roles of a new user or service account.
#[derive(Debug, Args)]
pub struct Roles {
    /// A role; may be given several times
    #[arg(long = "role", value_name = "ROLE", value_parser = role)]
    pub roles: Vec<Role>,
}

/// The roles that replace those of a user or service account.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("new_roles").args(["roles", "none"]).required(true))]
pub struct RequiredRoles {
    /// A role; may be given several times
    #[arg(long = "role", value_name = "ROLE", value_parser = role)]
    pub roles: Vec<Role>,
    /// Take all roles away
    #[arg(long)]
    pub none: bool,
}

/// The custom claims of a new user.
#[derive(Debug, Args)]
pub struct ClaimsInput {
    /// Claims for the user's access tokens, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = claims, conflicts_with = "claims_file")]
    pub claims: Option<CustomClaims>,
    /// A file with such an object
    #[arg(long, value_name = "FILE")]
    pub claims_file: Option<PathBuf>,
}

/// The custom claims that replace those of a user.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("new_claims").args(["claims", "claims_file"]).required(true))]
pub struct RequiredClaims {
    /// The claims; `{}` takes all away.
    #[command(flatten)]
    pub input: ClaimsInput,
}

/// The external id that replaces a user's.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("new_external_id").args(["external_id", "none"]).required(true))]
pub struct RequiredExternalId {
    /// What the user is called in another system: the claim `ext` of their access tokens
    #[arg(value_name = "EXTERNAL_ID", value_parser = external_id)]
    pub external_id: Option<ExternalId>,
    /// Take the external id away
    #[arg(long)]
    pub none: bool,
}

pub(super) fn external_id(text: &str) -> Result<ExternalId, String> {
    ExternalId::parse(text).map_err(|error| error.to_string())
}

fn role(name: &str) -> Result<Role, String> {
    Role::parse(name).map_err(|error| error.to_string())
}

fn claims(json: &str) -> Result<CustomClaims, String> {
    CustomClaims::parse(json).map_err(|error| error.to_string())
}

/// Sorts roles, and looks at how many there are.
fn together(roles: &[Role]) -> Result<Vec<Role>, Failure> {
    Role::parse_all(roles.iter().map(Role::as_str)).map_err(|error| Failure::Usage(error.to_string()))
}

impl Roles {
    pub(in crate::cli) fn into_roles(self) -> Result<Vec<Role>, Failure> {
        together(&self.roles)
    }
}

impl RequiredRoles {
    pub(in crate::cli) fn into_roles(self) -> Result<Vec<Role>, Failure> {
        together(&self.roles)
    }
}

impl ClaimsInput {
    pub(super) fn into_claims(self) -> Result<CustomClaims, Failure> {
        match (self.claims, self.claims_file) {
            (Some(claims), _) => Ok(claims),
            (None, Some(file)) => read(&file),
            (None, None) => Ok(CustomClaims::default()),
        }
    }
}

impl RequiredClaims {
    pub(super) fn into_claims(self) -> Result<CustomClaims, Failure> {
        self.input.into_claims()
    }
}

fn read(path: &Path) -> Result<CustomClaims, Failure> {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the claims from {}", path.display())]
    struct Unreadable {
        path: PathBuf,
        source: std::io::Error,
    }
    let text = text::file_text(path, MAX_FILE_BYTES).map_err(|invalid| match invalid {
        InvalidText::Io(source) => BoxError::from(Unreadable { path: path.to_owned(), source }).into(),
        invalid => Failure::Usage(format!("{} {invalid}", path.display())),
    })?;
    claims(&text).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}
