//! How service accounts are shown.

use std::io::Write;

use serde::Serialize;

use super::ServiceAccountAdministration;
use crate::cli::Failure;
use crate::cli::output::{json_line, rfc3339};
use crate::cli::program::Page;
use crate::model::{Role, ServiceAccount};

/// A service account as programs read it.
#[derive(Serialize)]
struct AccountLine<'a> {
    id: String,
    name: &'a str,
    description: &'a str,
    disabled: bool,
    roles: Vec<&'a str>,
    created_at: String,
    updated_at: String,
}

impl<'a> From<&'a ServiceAccount> for AccountLine<'a> {
    fn from(account: &'a ServiceAccount) -> Self {
        Self {
            id: account.id.to_string(),
            name: account.name.as_str(),
            description: account.description.as_str(),
            disabled: account.disabled,
            roles: account.roles.iter().map(Role::as_str).collect(),
            created_at: rfc3339(account.created_at),
            updated_at: rfc3339(account.updated_at),
        }
    }
}

impl AccountLine<'_> {
    const fn status(&self) -> &'static str {
        if self.disabled { "disabled" } else { "enabled" }
    }
}

/// Writes every account, page by page.
pub(super) async fn write_all(
    accounts: &dyn ServiceAccountAdministration,
    out: &mut dyn Write,
    json: bool,
) -> Result<(), Failure> {
    let mut page = accounts.list(None).await?;
    if !json {
        writeln!(out, "{:<36} {:<8} {:<20} {:<24} ROLES", "ID", "STATUS", "CREATED", "NAME")?;
    }
    loop {
        let Page { items, next } = page;
        for account in &items {
            let line = AccountLine::from(account);
            if json {
                json_line(out, &line)?;
                continue;
            }
            let (status, roles) = (line.status(), line.roles.join(","));
            let AccountLine { id, name, created_at, .. } = line;
            writeln!(out, "{id:<36} {status:<8} {created_at:<20} {name:<24} {roles}")?;
        }
        let Some(next) = next else { return Ok(()) };
        page = accounts.list(Some(&next)).await?;
    }
}

/// Writes one account.
pub(super) fn write_one(out: &mut dyn Write, account: &ServiceAccount, json: bool) -> Result<(), Failure> {
    let line = AccountLine::from(account);
    if json {
        return json_line(out, &line);
    }
    let lines = [
        ("id", line.id.as_str()),
        ("name", line.name),
        ("about", line.description),
        ("status", line.status()),
        ("roles", &line.roles.join(",")),
        ("created", &line.created_at),
        ("updated", &line.updated_at),
    ];
    for (name, value) in lines {
        writeln!(out, "{name:<9} {value}")?;
    }
    Ok(())
}
