//! `countersign user export`

use std::io::Write;

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::UserTransfer;
use crate::cli::Failure;
use crate::cli::data::Data;
use crate::cli::output::{json_line, rfc3339_millis};
use crate::cli::program::Page;
use crate::model::{Credential, ExternalId, Role};

/// Exports users.
#[derive(Debug, Args)]
pub struct Export {
    /// With the password hashes: whoever has them can try passwords
    #[arg(long)]
    pub with_hashes: bool,
    /// Which data.
    #[command(flatten)]
    pub data: Data,
}

/// A user as `countersign user import` reads them.
#[derive(Serialize)]
struct ExportLine<'a> {
    username: &'a str,
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_hash: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_password: bool,
    roles: Vec<&'a str>,
    custom_claims: &'a Map<String, Value>,
    disabled: bool,
    created_at: String,
}

/// Writes every user, page by page, so that there may be more of them than memory holds.
pub(super) async fn write_all(
    users: &dyn UserTransfer,
    out: &mut dyn Write,
    with_hashes: bool,
) -> Result<(), Failure> {
    let mut page = users.list_credentials(None).await?;
    loop {
        let Page { items, next } = page;
        for Credential { user, password_hash } in &items {
            let has_hash = with_hashes && !password_hash.is_none();
            let line = ExportLine {
                username: user.username.as_str(),
                user_id: user.id.to_string(),
                external_id: user.external_id.as_ref().map(ExternalId::as_str),
                password_hash: has_hash.then(|| password_hash.as_phc()),
                no_password: !has_hash,
                roles: user.roles.iter().map(Role::as_str).collect(),
                custom_claims: user.claims.as_map(),
                disabled: user.disabled,
                created_at: rfc3339_millis(user.created_at),
            };
            json_line(out, &line)?;
        }
        let Some(next) = next else { return Ok(()) };
        page = users.list_credentials(Some(&next)).await?;
    }
}
