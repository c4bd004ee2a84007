//! How users are shown.

use std::io::Write;

use serde::Serialize;
use serde_json::{Map, Value};

use super::UserAdministration;
use crate::cli::Failure;
use crate::cli::output::{json_line, rfc3339};
use crate::cli::program::Page;
use crate::model::{ExternalId, Role, UserFacts};

/// A user as programs read them.
#[derive(Serialize)]
struct UserLine<'a> {
    id: String,
    username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
    disabled: bool,
    roles: Vec<&'a str>,
    claims: &'a Map<String, Value>,
    created_at: String,
    updated_at: String,
}

impl<'a> From<&'a UserFacts> for UserLine<'a> {
    fn from(user: &'a UserFacts) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username.as_str(),
            external_id: user.external_id.as_ref().map(ExternalId::as_str),
            disabled: user.disabled,
            roles: user.roles.iter().map(Role::as_str).collect(),
            claims: user.claims.as_map(),
            created_at: rfc3339(user.created_at),
            updated_at: rfc3339(user.updated_at),
        }
    }
}

const fn status(user: &UserFacts) -> &'static str {
    if user.disabled { "disabled" } else { "enabled" }
}

fn roles(user: &UserFacts) -> String {
    user.roles.iter().map(Role::as_str).collect::<Vec<_>>().join(",")
}

fn external_id(user: &UserFacts) -> &str {
    user.external_id.as_ref().map_or("-", ExternalId::as_str)
}

/// Writes every user, page by page, so that there may be more of them than memory holds.
pub(super) async fn write_all(
    users: &dyn UserAdministration,
    out: &mut dyn Write,
    json: bool,
) -> Result<(), Failure> {
    let mut page = users.list(None).await?;
    if !json {
        writeln!(
            out,
            "{:<36} {:<8} {:<20} {:<24} {:<16} ROLES",
            "ID", "STATUS", "CREATED", "USERNAME", "EXTERNAL ID"
        )?;
    }
    loop {
        let Page { items, next } = page;
        for user in &items {
            if json {
                json_line(out, &UserLine::from(user))?;
            } else {
                let (created, username) = (rfc3339(user.created_at), user.username.as_str());
                let (id, status, roles) = (user.id.to_string(), status(user), roles(user));
                let external = external_id(user);
                writeln!(out, "{id:<36} {status:<8} {created:<20} {username:<24} {external:<16} {roles}")?;
            }
        }
        let Some(next) = next else { return Ok(()) };
        page = users.list(Some(&next)).await?;
    }
}

/// Writes one user.
pub(super) fn write_one(out: &mut dyn Write, user: &UserFacts, json: bool) -> Result<(), Failure> {
    if json {
        return json_line(out, &UserLine::from(user));
    }
    let lines = [
        ("id", user.id.to_string()),
        ("username", user.username.as_str().to_owned()),
        ("external", external_id(user).to_owned()),
        ("status", status(user).to_owned()),
        ("roles", roles(user)),
        ("claims", user.claims.to_json()),
        ("created", rfc3339(user.created_at)),
        ("updated", rfc3339(user.updated_at)),
    ];
    for (name, value) in lines {
        writeln!(out, "{name:<9} {value}")?;
    }
    Ok(())
}
