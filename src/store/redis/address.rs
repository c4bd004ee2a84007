//! Where Redis is: one URL for each way of running it.

use std::fmt;
use std::str::FromStr;

use secrecy::SecretString;

use crate::connection_url;

/// One server's host (a name or an address, IPv6 without brackets) and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// A name or an address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// How the servers stand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    Standalone(Server),
    /// A master that these Sentinels name.
    Sentinel {
        /// Some of the Sentinels; any of them will do.
        sentinels: Vec<Server>,
        /// What they call the master.
        service: String,
    },
    /// A Cluster, found through these nodes.
    Cluster(Vec<Server>),
}

/// A Redis URL. `Debug` shows no password.
///
/// - `redis://[user[:password]@]host[:port][/database]`
/// - `redis-sentinel://[user[:password]@]host[:port][,host[:port]…]/service[/database]`, Sentinels named
/// - `redis-cluster://[user[:password]@]host[:port][,host[:port]…]`
///
/// With `rediss` for `redis`, TLS. User and password may be percent-encoded (RFC 3986 §2.1).
#[derive(Debug, Clone)]
pub struct RedisUrl {
    /// Which servers.
    pub topology: Topology,
    /// Whether TLS is spoken to all of them.
    pub tls: bool,
    /// The ACL user; `default` when there is none.
    pub username: Option<String>,
    /// Their password.
    pub password: Option<SecretString>,
    /// The database's number; 0 in a Cluster.
    pub database: i64,
}

/// What is wrong with a Redis URL; none of the URL is in it, as it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedisUrl {
    /// Another scheme, or none.
    #[error(
        "a Redis URL begins with redis://, redis-sentinel:// or redis-cluster://, or with rediss… for TLS"
    )]
    Scheme,
    /// A part of user and password cannot be read.
    #[error("the user or password of a Redis URL is not well percent-encoded")]
    Credentials,
    /// A host is missing, a port is no port, or there are several servers where there can be one.
    #[error("a Redis URL names host[:port], and several of them only for Sentinel and Cluster")]
    Server,
    /// It has a parameter, which may hold a password, and would decide nothing.
    #[error("a Redis URL takes no parameters, and has {0}; settings of their own are in [redis]")]
    Parameter(String),
    /// What follows the servers does not fit the scheme.
    #[error("after the servers stands /database; for Sentinel /service[/database]; for Cluster nothing")]
    Path,
}

impl FromStr for RedisUrl {
    type Err = InvalidRedisUrl;

    fn from_str(url: &str) -> Result<Self, InvalidRedisUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(InvalidRedisUrl::Scheme)?;
        let (kind, tls) = match scheme.strip_prefix("rediss") {
            Some(kind) => (kind, true),
            None => (scheme.strip_prefix("redis").ok_or(InvalidRedisUrl::Scheme)?, false),
        };
        // A password may hold an unencoded @; a host cannot.
        let (credentials, rest) =
            rest.rsplit_once('@').map_or((None, rest), |(left, right)| (Some(left), right));
        if rest.contains('?') {
            let parameters = connection_url::parameters(rest).unwrap_or_default();
            let name = parameters.first().map_or("", |(name, _)| name);
            return Err(InvalidRedisUrl::Parameter(connection_url::shown(name)));
        }
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (topology, database) = match kind {
            "" => (Topology::Standalone(one(servers(hosts, 6379)?)?), path),
            "-sentinel" => {
                let (service, database) = path.split_once('/').unwrap_or((path, ""));
                if service.is_empty() {
                    return Err(InvalidRedisUrl::Path);
                }
                let sentinels = servers(hosts, 26379)?;
                (Topology::Sentinel { sentinels, service: service.to_owned() }, database)
            }
            "-cluster" if path.is_empty() => (Topology::Cluster(servers(hosts, 6379)?), ""),
            "-cluster" => return Err(InvalidRedisUrl::Path),
            _ => return Err(InvalidRedisUrl::Scheme),
        };
        let database = match database {
            "" => 0,
            number => i64::from(number.parse::<u16>().map_err(|_| InvalidRedisUrl::Path)?),
        };
        let (username, password) = credentials.map_or(Ok((None, None)), split_credentials)?;
        Ok(Self { topology, tls, username, password: password.map(SecretString::from), database })
    }
}

fn one(servers: Vec<Server>) -> Result<Server, InvalidRedisUrl> {
    <[Server; 1]>::try_from(servers).map(|[server]| server).map_err(|_| InvalidRedisUrl::Server)
}

fn servers(hosts: &str, default_port: u16) -> Result<Vec<Server>, InvalidRedisUrl> {
    hosts.split(',').map(|host| server(host, default_port)).collect()
}

fn server(text: &str, default_port: u16) -> Result<Server, InvalidRedisUrl> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or(InvalidRedisUrl::Server)?,
        None => text.find(':').map_or((text, ""), |colon| text.split_at(colon)),
    };
    let port = match port {
        "" => default_port,
        port => {
            let digits = port.strip_prefix(':').ok_or(InvalidRedisUrl::Server)?;
            digits.parse().ok().filter(|port| *port != 0).ok_or(InvalidRedisUrl::Server)?
        }
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '?') {
        return Err(InvalidRedisUrl::Server);
    }
    Ok(Server { host: host.to_owned(), port })
}

type Credentials = (Option<String>, Option<String>);

fn split_credentials(text: &str) -> Result<Credentials, InvalidRedisUrl> {
    let (username, password) = match text.split_once(':') {
        Some((username, password)) => (username, Some(password)),
        None => (text, None),
    };
    let username = Some(percent_decoded(username)?).filter(|name| !name.is_empty());
    let password = password.map(percent_decoded).transpose()?.filter(|password| !password.is_empty());
    Ok((username, password))
}

fn percent_decoded(text: &str) -> Result<String, InvalidRedisUrl> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(InvalidRedisUrl::Credentials)?;
        let mut byte = [0];
        hex::decode_to_slice(digits, &mut byte).map_err(|_| InvalidRedisUrl::Credentials)?;
        bytes.extend_from_slice(&byte);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| InvalidRedisUrl::Credentials)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn server(host: &str, port: u16) -> Server {
        Server { host: host.to_owned(), port }
    }

    #[test]
    fn each_scheme_is_a_topology() {
        let url: RedisUrl = "redis://cache".parse().unwrap();
        assert_eq!(
            (url.topology, url.tls, url.database),
            (Topology::Standalone(server("cache", 6379)), false, 0)
        );

        let url: RedisUrl = "rediss-sentinel://[2001:db8::1]:7,b/main/3".parse().unwrap();
        let sentinels = vec![server("2001:db8::1", 7), server("b", 26379)];
        assert_eq!(url.topology, Topology::Sentinel { sentinels, service: "main".to_owned() });
        assert_eq!((url.tls, url.database), (true, 3));

        let url: RedisUrl = "redis-cluster://a:1,b:2,c".parse().unwrap();
        assert_eq!(url.topology, Topology::Cluster(vec![server("a", 1), server("b", 2), server("c", 6379)]));
    }

    #[test]
    fn credentials_are_decoded_and_not_shown() {
        let url: RedisUrl = "redis://ada:p%40ss%3aw@ord@cache/1".parse().unwrap();
        assert_eq!(url.username.as_deref(), Some("ada"));
        assert_eq!(url.password.as_ref().unwrap().expose_secret(), "p@ss:w@ord");
        assert!(!format!("{url:?}").contains("ss:w"));
        let url: RedisUrl = "redis://:secret@cache".parse().unwrap();
        assert_eq!((url.username, url.password.is_some()), (None, true));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (url, wrong) in [
            ("cache:6379", InvalidRedisUrl::Scheme),
            ("http://cache", InvalidRedisUrl::Scheme),
            ("redis-ring://cache", InvalidRedisUrl::Scheme),
            ("redis://", InvalidRedisUrl::Server),
            ("redis://a,b", InvalidRedisUrl::Server),
            ("redis://a:0", InvalidRedisUrl::Server),
            ("redis://a:65536", InvalidRedisUrl::Server),
            ("redis://[::1", InvalidRedisUrl::Server),
            ("redis://a?x=1", InvalidRedisUrl::Parameter("\"x\"".to_owned())),
            ("redis://u:p@a/0?db=1", InvalidRedisUrl::Parameter("\"db\"".to_owned())),
            ("redis-sentinel://a/main?", InvalidRedisUrl::Parameter("whose name is not shown".to_owned())),
            ("redis://a/x", InvalidRedisUrl::Path),
            ("redis-sentinel://a", InvalidRedisUrl::Path),
            ("redis-cluster://a/0", InvalidRedisUrl::Path),
            ("redis://u:%4@a", InvalidRedisUrl::Credentials),
            ("redis://u:%ff@a", InvalidRedisUrl::Credentials),
        ] {
            assert_eq!(url.parse::<RedisUrl>().unwrap_err(), wrong, "{url}");
        }
    }
}
