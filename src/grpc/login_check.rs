//! A login as a client makes it: over the network, with TLS where the address says so, and to its end.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tonic::transport::{Channel, Endpoint, Uri};

use super::proto::v1::auth_service_client::AuthServiceClient;
use super::proto::v1::logout_request::Token;
use super::proto::v1::verify_access_token_response::Result as Verdict;
use super::proto::v1::{
    InvalidReason, LoginRequest, LogoutRequest, RefreshRequest, Tokens, VerifyAccessTokenRequest,
};

/// Any error; its text is for the operator.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The service that is asked, and how it is reached.
#[derive(Debug, Clone)]
pub struct Target {
    /// `http://host:port` or `https://host:port`.
    pub address: Uri,
    /// The authorities that the server's certificate is held against, in PEM; required for `https`.
    pub ca_file: Option<PathBuf>,
    /// The client's own certificate and its key, in PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The longest that connecting, and each call, may take.
    pub timeout: Duration,
}

/// Which step failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{step} failed")]
pub struct LoginCheckFailed {
    step: &'static str,
    source: BoxError,
}

impl LoginCheckFailed {
    fn at<E: Into<BoxError>>(step: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self { step, source: source.into() }
    }
}

/// Logs in, verifies, refreshes and logs out, and sees that the access token is refused afterwards. All of it goes over
/// one connection, and so to one replica.
pub async fn login_check(target: &Target, username: &str, password: &str) -> Result<(), LoginCheckFailed> {
    let channel = connect(target).await.map_err(LoginCheckFailed::at("connecting"))?;
    let mut client = AuthServiceClient::new(channel);

    let credentials =
        LoginRequest { username: username.into(), password: password.into(), ..LoginRequest::default() };
    let answer = client.login(credentials).await.map_err(LoginCheckFailed::at("Login"))?;
    let tokens = required("Login", answer.into_inner().tokens)?;
    expect_verified(&mut client, &tokens, username).await?;

    let request = RefreshRequest { refresh_token: tokens.refresh_token };
    let answer = client.refresh(request).await.map_err(LoginCheckFailed::at("Refresh"))?;
    let tokens = required("Refresh", answer.into_inner().tokens)?;
    expect_verified(&mut client, &tokens, username).await?;

    let token = Some(Token::RefreshToken(tokens.refresh_token));
    let logout = LogoutRequest { token, everywhere: false };
    client.logout(logout).await.map_err(LoginCheckFailed::at("Logout"))?;
    match verdict(&mut client, tokens.access_token).await? {
        Verdict::Invalid(invalid) if invalid.reason() == InvalidReason::Revoked => Ok(()),
        _ => Err(LoginCheckFailed::at("refusing the access token after Logout")(
            "VerifyAccessToken does not answer that it is revoked",
        )),
    }
}

fn required(step: &'static str, tokens: Option<Tokens>) -> Result<Tokens, LoginCheckFailed> {
    tokens.ok_or("the answer has no tokens").map_err(LoginCheckFailed::at(step))
}

async fn expect_verified(
    client: &mut AuthServiceClient<Channel>,
    tokens: &Tokens,
    username: &str,
) -> Result<(), LoginCheckFailed> {
    match verdict(client, tokens.access_token.clone()).await? {
        Verdict::Verified(token) if token.username == username => Ok(()),
        Verdict::Verified(_) => Err(LoginCheckFailed::at("VerifyAccessToken")("it names somebody else")),
        Verdict::Invalid(invalid) => {
            let why = format!("a new access token is invalid: {}", invalid.reason().as_str_name());
            Err(LoginCheckFailed::at("VerifyAccessToken")(why))
        }
    }
}

async fn verdict(
    client: &mut AuthServiceClient<Channel>,
    access_token: String,
) -> Result<Verdict, LoginCheckFailed> {
    const STEP: &str = "VerifyAccessToken";
    let request = VerifyAccessTokenRequest { access_token, ..VerifyAccessTokenRequest::default() };
    let answer = client.verify_access_token(request).await.map_err(LoginCheckFailed::at(STEP))?;
    answer.into_inner().result.ok_or("the answer says nothing").map_err(LoginCheckFailed::at(STEP))
}

/// Either kind of connection.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn connect(target: &Target) -> Result<Channel, BoxError> {
    let tls = if target.address.scheme_str() == Some("https") { Some(tls(target)?) } else { None };
    let host = target.address.host().unwrap_or_default().to_owned();
    let authority = format!("{host}:{}", target.address.port_u16().unwrap_or(50051));
    let connector = tower::service_fn(move |_: Uri| {
        let (tls, host, authority) = (tls.clone(), host.clone(), authority.clone());
        async move {
            let stream = TcpStream::connect(authority).await?;
            let stream: Box<dyn Stream> = match tls {
                None => Box::new(stream),
                Some(tls) => {
                    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
                    let name = name.map_err(io::Error::other)?;
                    Box::new(tls.connect(name, stream).await?)
                }
            };
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    let endpoint = Endpoint::from(target.address.clone()).timeout(target.timeout);
    let connecting = endpoint.connect_with_connector(connector);
    Ok(tokio::time::timeout(target.timeout, connecting).await??)
}

fn tls(target: &Target) -> Result<TlsConnector, BoxError> {
    let ca_file = target.ca_file.as_ref().ok_or("https needs the file of an authority")?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file)? {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match &target.identity {
        None => config.with_no_client_auth(),
        Some((certificates, key)) => {
            let chain = CertificateDer::pem_file_iter(certificates)?.collect::<Result<Vec<_>, _>>()?;
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key)?)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
