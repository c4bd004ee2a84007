//! `countersign login-check`: a login for real, for images in which there is nothing else to log in with.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use http::Uri;
use secrecy::{ExposeSecret as _, SecretString};

use super::Failure;
use super::connect::{address, target};
use super::data::Data;
use super::program::{BoxError, Program};
use super::tls::Tls;
use crate::auth::CreateUser;
use crate::config::{duration, shown_url};
use crate::grpc::login_check;
use crate::model::Username;
use crate::secret;

/// Logs in for real, as a user that exists for as long as the check lasts.
#[derive(Debug, Args)]
pub struct LoginCheck {
    /// The gRPC service to log in at; https:// for TLS
    #[arg(long, default_value = "http://127.0.0.1:50051", value_parser = address)]
    pub grpc: Uri,
    /// How TLS is spoken with it.
    #[command(flatten)]
    pub tls: Tls,
    /// How long connecting, and each call, may take, such as 10s
    #[arg(long, default_value = "10s", value_parser = duration::parse)]
    pub timeout: Duration,
    /// Which data to create the user in.
    #[command(flatten)]
    pub data: Data,
}

impl LoginCheck {
    pub(super) async fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        let Self { grpc, tls, timeout, data } = self;
        let target = target(&grpc, &tls, timeout)?;
        let users = program.users(&data.load()?).await?;

        let name = format!("login-check-{}", hex::encode(secret::random::<8>()));
        let username = Username::parse(&name).map_err(BoxError::from)?;
        let password = SecretString::from(hex::encode(secret::random::<16>()));
        let new = CreateUser::new(username.clone(), password.clone());
        users.create(new).await?;
        let outcome = login_check(target, &name, password.expose_secret()).await;
        // Whatever came of it, the user must not stay behind.
        let forgotten = users.delete(&username).await;
        outcome.map_err(BoxError::from)?;
        forgotten?;
        let grpc = shown_url(&grpc.to_string());
        writeln!(out, "{grpc} takes logins: logged in, verified, refreshed, logged out")?;
        Ok(())
    }
}
