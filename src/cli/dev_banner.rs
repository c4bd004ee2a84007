//! What `countersign dev` prints: where it listens, the first password, and lines that work when pasted.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::text::shell_word;

/// Everything that a newcomer needs for a first login.
pub(super) struct DevBanner {
    /// Where the state is; none when it is thrown away in the end.
    pub(super) data: Option<PathBuf>,
    /// Where gRPC is served.
    pub(super) grpc: SocketAddr,
    /// Where HTTP is served, unless it is switched off.
    pub(super) http: Option<SocketAddr>,
    /// Where health is served.
    pub(super) operations: SocketAddr,
    /// Which ports speak TLS.
    pub(super) tls: BannerTls,
    /// The admin's name.
    pub(super) username: String,
    /// The admin's password, when this start made it.
    pub(super) password: Option<String>,
}

/// Which ports speak TLS.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each port, independent of the others")]
pub(super) struct BannerTls {
    pub(super) grpc: bool,
    /// Whether gRPC is served to those alone who bring a certificate.
    pub(super) grpc_wants_certificate: bool,
    pub(super) http: bool,
    pub(super) operations: bool,
}

/// The scheme of a port.
const fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

impl fmt::Display for DevBanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { grpc, operations, username, .. } = self;
        writeln!(f, "Countersign {} in development mode, on loopback only.", env!("CARGO_PKG_VERSION"))?;
        match &self.data {
            Some(data) => writeln!(f, "Its state is in {} and survives a restart.", data.display())?,
            None => writeln!(f, "It is ephemeral: everything is forgotten when it stops.")?,
        }
        writeln!(f, "\n  gRPC        {grpc}")?;
        if let Some(http) = self.http {
            writeln!(f, "  HTTP        {}://{http}", scheme(self.tls.http))?;
        }
        writeln!(f, "  operations  {}://{operations}/readyz", scheme(self.tls.operations))?;
        writeln!(f, "  user        {username}")?;
        match &self.password {
            Some(password) => writeln!(f, "  password    {password}   (shown only this once)")?,
            None => writeln!(
                f,
                "  password    as shown on the first start; another one: {}",
                self.set_password()
            )?,
        }
        writeln!(
            f,
            "\nReady. A first login, to be pasted into another terminal; the second Refresh is a retry, and gets the same \
             tokens:\n"
        )?;
        self.lines().iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        if let Some(http) = self.http {
            writeln!(
                f,
                "\nThe same login over HTTP; a cookie holds the refresh token:\n\n  {}",
                self.curl(http)
            )?;
        }
        Ok(())
    }
}

impl DevBanner {
    /// The lines to paste, in order: login, verify, a list of all users, refresh, the same refresh again, logout, verify.
    /// They are for every shell: dash has no `<<<`, an interactive zsh no comments.
    fn lines(&self) -> Vec<String> {
        let password = self.password.clone().unwrap_or_else(|| "the password".to_owned());
        let grpcurl = |more: &str, service: &str, rpc: &str| {
            format!("grpcurl {}{more} {} countersign.v1.{service}/{rpc}", self.grpcurl_flags(), self.grpc)
        };
        let call = |data: &str, rpc: &str| grpcurl(&format!(" -d {data}"), "AuthService", rpc);
        let bearer = r#" -H "authorization: Bearer $ACCESS""#;
        let username = &self.username;
        let login = call(&format!(r#"'{{"username":"{username}","password":"{password}"}}'"#), "Login");
        let of_login = |variable: &str, member: &str| {
            format!(r#"{variable}=$(printf '%s\n' "$OUT" | grep -o '"{member}": "[^"]*' | cut -d'"' -f4)"#)
        };
        let with_refresh_token = r#""{\"refreshToken\":\"$REFRESH\"}""#;
        let verify = call(r#""{\"accessToken\":\"$ACCESS\"}""#, "VerifyAccessToken");
        vec![
            format!("OUT=$({login}) && echo \"$OUT\""),
            of_login("ACCESS", "accessToken"),
            of_login("REFRESH", "refreshToken"),
            verify.clone(),
            grpcurl(bearer, "UserService", "ListUsers"),
            call(with_refresh_token, "Refresh"),
            call(with_refresh_token, "Refresh"),
            call(with_refresh_token, "Logout"),
            verify,
        ]
    }

    /// The files are the reader's own: what issued the server's certificate is not known here.
    const fn grpcurl_flags(&self) -> &'static str {
        match (self.tls.grpc, self.tls.grpc_wants_certificate) {
            (false, _) => "-plaintext",
            (true, false) => "-cacert ca.pem",
            (true, true) => "-cacert ca.pem -cert client.pem -key client.key",
        }
    }

    /// A login over HTTP, to be pasted.
    fn curl(&self, http: SocketAddr) -> String {
        let Self { username, .. } = self;
        let password = self.password.as_deref().unwrap_or("the password");
        let (scheme, ca) = (scheme(self.tls.http), if self.tls.http { " --cacert ca.pem" } else { "" });
        format!(
            r#"curl -i{ca} -H 'content-type: application/json' -d '{{"username":"{username}","password":"{password}"}}' {scheme}://{http}/v1/auth/login"#
        )
    }

    fn set_password(&self) -> String {
        let data =
            self.data.as_ref().map_or_else(String::new, |data| format!(" --data-dir {}", shell_word(data)));
        format!("countersign user set-password {}{data}", self.username)
    }
}
