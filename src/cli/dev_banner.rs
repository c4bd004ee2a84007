//! What `countersign dev` prints: where it listens, the first password, and lines that work when pasted.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// The admin's name.
    pub(super) username: String,
    /// The admin's password, when this start made it.
    pub(super) password: Option<String>,
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
            writeln!(f, "  HTTP        http://{http}")?;
        }
        writeln!(f, "  operations  http://{operations}/readyz")?;
        writeln!(f, "  user        {username}")?;
        match &self.password {
            Some(password) => writeln!(f, "  password    {password}   (shown only this once)")?,
            None => writeln!(
                f,
                "  password    as shown on the first start; another one: {}",
                self.set_password()
            )?,
        }
        writeln!(f, "\nReady. A first login, to be pasted into another terminal:\n")?;
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
    /// The lines to paste, in order: login, verify, refresh, the same refresh again, logout, verify.
    fn lines(&self) -> Vec<String> {
        let password = self.password.clone().unwrap_or_else(|| "the password".to_owned());
        let call = |data: &str, rpc: &str| {
            format!("grpcurl -plaintext -d {data} {} countersign.v1.AuthService/{rpc}", self.grpc)
        };
        let username = &self.username;
        let login = call(&format!(r#"'{{"username":"{username}","password":"{password}"}}'"#), "Login");
        let with_refresh_token = r#""{\"refreshToken\":\"$REFRESH\"}""#;
        let verify = call(r#""{\"accessToken\":\"$ACCESS\"}""#, "VerifyAccessToken");
        vec![
            format!("OUT=$({login}) && echo \"$OUT\""),
            r#"ACCESS=$(grep -o '"accessToken": "[^"]*' <<<"$OUT" | cut -d'"' -f4)"#.to_owned(),
            r#"REFRESH=$(grep -o '"refreshToken": "[^"]*' <<<"$OUT" | cut -d'"' -f4)"#.to_owned(),
            verify.clone(),
            call(with_refresh_token, "Refresh"),
            format!("{}   # the same again: the identical successor", call(with_refresh_token, "Refresh")),
            call(with_refresh_token, "Logout"),
            verify,
        ]
    }

    /// A login over HTTP, to be pasted.
    fn curl(&self, http: SocketAddr) -> String {
        let Self { username, .. } = self;
        let password = self.password.as_deref().unwrap_or("the password");
        format!(
            r#"curl -i -H 'content-type: application/json' -d '{{"username":"{username}","password":"{password}"}}' http://{http}/v1/auth/login"#
        )
    }

    fn set_password(&self) -> String {
        let data =
            self.data.as_ref().map_or_else(String::new, |data| format!(" --data-dir {}", data.display()));
        format!("countersign user set-password {}{data}", self.username)
    }
}
