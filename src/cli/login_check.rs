//! `countersign login-check`: a login for real, for images in which there is nothing else to log in with.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use http::Uri;
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::Failure;
use super::data::Data;
use super::program::{BoxError, Program};
use super::tls::Tls;
use crate::auth::CreateUser;
use crate::config::{duration, shown_url};
use crate::grpc::{Target, login_check};
use crate::model::Username;
use crate::secret;

/// Where gRPC is served unless the address says otherwise.
const PORT: u16 = 50051;

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

fn address(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none_or(str::is_empty) {
        return Err("must begin with http:// or https:// and a host".to_owned());
    }
    Ok(url)
}

impl LoginCheck {
    pub(super) async fn run(self, program: &dyn Program, out: &mut dyn Write) -> Result<(), Failure> {
        let Self { grpc, tls, timeout, data } = self;
        if grpc.scheme_str() == Some("https") && tls.ca_file.is_none() {
            return Err(Failure::Usage("https:// needs --ca-file".to_owned()));
        }
        let address = grpc.clone();
        let connector = tower::service_fn(move |_| connect(address.clone(), tls.clone()));
        let target = Target { address: grpc.clone(), connector, timeout };
        let users = program.users(&data.load()?).await?;

        let name = format!("login-check-{}", hex::encode(secret::random::<8>()));
        let username = Username::parse(&name).map_err(BoxError::from)?;
        let password = SecretString::from(hex::encode(secret::random::<16>()));
        let new = CreateUser::new(username.clone(), password.clone());
        users.create(new).await.map_err(BoxError::from)?;
        let outcome = login_check(target, &name, password.expose_secret()).await;
        // Whatever came of it, the user must not stay behind.
        let forgotten = users.delete(&username).await;
        outcome.map_err(BoxError::from)?;
        forgotten.map_err(BoxError::from)?;
        let grpc = shown_url(&grpc.to_string());
        writeln!(out, "{grpc} takes logins: logged in, verified, refreshed, logged out")?;
        Ok(())
    }
}

/// Either kind of connection.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn connect(address: Uri, tls: Tls) -> Result<TokioIo<Box<dyn Stream>>, BoxError> {
    let host = address.host().unwrap_or_default();
    let stream = TcpStream::connect(format!("{host}:{}", address.port_u16().unwrap_or(PORT))).await?;
    let stream: Box<dyn Stream> = match address.scheme_str() {
        Some("https") => Box::new(tls.connect(host, stream, &[b"h2"]).await?),
        _ => Box::new(stream),
    };
    Ok(TokioIo::new(stream))
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
