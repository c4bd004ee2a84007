//! `countersign login-check`: a login for real, for images in which there is nothing else to log in with.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::Uri;
use secrecy::{ExposeSecret as _, SecretString};

use super::Failure;
use super::data::Data;
use super::program::{BoxError, Program};
use crate::config::duration;
use crate::grpc::{Target, login_check};
use crate::model::{CustomClaims, Username};
use crate::secret;

/// Logs in for real, as a user that exists for as long as the check lasts.
#[derive(Debug, Args)]
pub struct LoginCheck {
    /// The gRPC service to log in at; https:// for TLS
    #[arg(long, default_value = "http://127.0.0.1:50051", value_parser = address)]
    pub grpc: Uri,
    /// The authorities to trust, in PEM; required for https://
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// A client certificate of our own, in PEM
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub certificate_file: Option<PathBuf>,
    /// The key of the client certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    pub key_file: Option<PathBuf>,
    /// How long connecting, and each call, may take, such as 10s
    #[arg(long, default_value = "10s", value_parser = duration::parse)]
    pub timeout: Duration,
    /// Which data to create the user in.
    #[command(flatten)]
    pub data: Data,
}

fn address(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none_or(str::is_empty) {
        return Err("must begin with http:// or https:// and a host".to_owned());
    }
    Ok(url)
}

impl LoginCheck {
    pub(super) async fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        let Self { grpc, ca_file, certificate_file, key_file, timeout, data } = self;
        if grpc.scheme_str() == Some("https") && ca_file.is_none() {
            return Err(Failure::Usage("https:// needs --ca-file".to_owned()));
        }
        let target = Target { address: grpc, ca_file, identity: certificate_file.zip(key_file), timeout };
        let users = program.users(&data.load()?).await?;

        let name = format!("login-check-{}", hex::encode(secret::random::<8>()));
        let username = Username::parse(&name).map_err(BoxError::from)?;
        let password = SecretString::from(hex::encode(secret::random::<16>()));
        users
            .create(username.clone(), password.clone(), Vec::new(), CustomClaims::default())
            .await
            .map_err(BoxError::from)?;
        let outcome = login_check(&target, &name, password.expose_secret()).await;
        // Whatever came of it, the user must not stay behind.
        let forgotten = users.delete(&username).await;
        outcome.map_err(BoxError::from)?;
        forgotten.map_err(BoxError::from)?;
        writeln!(out, "{} takes logins: logged in, verified, refreshed, logged out", target.address)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_grpc_services_can_be_asked() {
        for bad in ["127.0.0.1:50051", "ftp://h/", "", "http:///x"] {
            assert!(address(bad).is_err(), "{bad:?}");
        }
        assert!(address("https://[::1]:50051").is_ok());
    }
}
