//! A running service that does what a command says, asked over gRPC.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::Uri;
use secrecy::SecretString;

use super::Failure;
use super::connect::{address, target};
use super::program::BoxError;
use super::tls::Tls;
use crate::config::duration;
use crate::grpc::Administrator;
use crate::text;

mod audit;
mod keys;
mod service_accounts;
mod sessions;
mod users;

/// Holds the access token or service key of whoever asks.
const TOKEN_VARIABLE: &str = "COUNTERSIGN_TOKEN";
/// The longest token, in bytes: more than the service reads.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Which service to ask, as whom, and how.
#[derive(Debug, Args)]
pub struct RemoteArgs {
    /// Ask a running service over gRPC, such as `https://auth.example.com:50051`, instead of opening its stores; no configuration
    /// is read then. Who asks is said by --token-file, by the variable `COUNTERSIGN_TOKEN`, or by --certificate-file
    #[arg(long, value_name = "URL", value_parser = address, conflicts_with = "data_dir")]
    pub server: Option<Uri>,
    /// With --server: a file with the service key or access token to ask with; - for standard input
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// With --server: how TLS is spoken with it.
    #[command(flatten)]
    pub tls: Tls,
    /// With --server: how long connecting, and each call, may take, such as 10s
    #[arg(long, default_value = "10s", value_parser = duration::parse)]
    pub timeout: Duration,
}

impl RemoteArgs {
    /// The service that is meant; `None` where the stores are.
    pub(super) fn load(self) -> Result<Option<Remote>, Failure> {
        let Self { server, token_file, tls, timeout } = self;
        let Some(server) = server else {
            let tls = [&tls.ca_file, &tls.certificate_file, &tls.key_file];
            if token_file.is_some() || tls.iter().any(|file| file.is_some()) {
                let what =
                    "--token-file, --ca-file and --certificate-file are for a service: give --server, too";
                return Err(Failure::Usage(what.to_owned()));
            }
            return Ok(None);
        };
        // What is wrong with them is better known before a password is typed.
        target(&server, &tls, timeout)?;
        let token = match token_file {
            Some(file) => Some(read(&file)?),
            None => {
                std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty()).map(SecretString::from)
            }
        };
        Ok(Some(Remote { server, token, tls, timeout }))
    }
}

fn read(file: &std::path::Path) -> Result<SecretString, Failure> {
    let (name, text) = if file.as_os_str() == "-" {
        ("standard input".to_owned(), text::text(std::io::stdin().lock(), MAX_TOKEN_BYTES))
    } else {
        (file.display().to_string(), text::file_text(file, MAX_TOKEN_BYTES))
    };
    let text = text.map_err(|invalid| Failure::Usage(format!("{name} {invalid}")))?;
    match text.trim() {
        "" => Err(Failure::Usage(format!("{name} is empty: a service key or an access token is expected"))),
        token => Ok(token.to_owned().into()),
    }
}

/// A service that is not connected yet.
pub(super) struct Remote {
    server: Uri,
    token: Option<SecretString>,
    tls: Tls,
    timeout: Duration,
}

impl Remote {
    /// Connects.
    pub(super) async fn connect(&self) -> Result<Administrator, Failure> {
        let target = target(&self.server, &self.tls, self.timeout)?;
        Ok(Administrator::connect(target, self.token.as_ref()).await.map_err(BoxError::from)?)
    }
}
