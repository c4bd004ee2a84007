//! The parameters of a database's URL, looked at before any driver is.
//!
//! A driver goes on without a parameter that it does not know, and may log it with its value. Both are wrong here: a
//! misspelt `sslmode` is a connection that is not verified, and `sslpassword` is a secret. So a parameter that is not
//! known is refused by its name, and no value is ever shown.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::spelling::nearest;

/// What kind of server a URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
}

/// Why a URL is refused. Shows names of parameters, and nothing else of the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidParameter {
    /// There is no such parameter.
    #[error("the parameter {name} is not known{hint}")]
    Unknown {
        /// Its name.
        name: String,
        /// What to do instead.
        hint: String,
    },
    /// The same parameter twice, perhaps spelt in two ways.
    #[error("the parameter {0} is given twice")]
    Twice(String),
    /// The value is none of those that there are.
    #[error("the parameter {name} is none of {}{}", .known.join(", "), did_you_mean(*.meant))]
    Value {
        /// The parameter's name.
        name: String,
        /// What it may be.
        known: &'static [&'static str],
        /// Which of them was probably meant.
        meant: Option<&'static str>,
    },
    /// A `/`, `?` or `#` that belongs to the password ends it early, and the rest is taken for something else.
    #[error("a {0} in the user or password must be written as {escaped}", escaped = escaped(*.0))]
    Unescaped(char),
}

fn did_you_mean(meant: Option<&str>) -> String {
    meant.map(|meant| format!(": did you mean {meant}?")).unwrap_or_default()
}

const fn escaped(mark: char) -> &'static str {
    match mark {
        '/' => "%2F",
        '?' => "%3F",
        _ => "%23",
    }
}

/// Each parameter in all its spellings; the first one is suggested.
type Spellings = &'static [&'static [&'static str]];

const POSTGRES: Spellings = &[
    &["sslmode", "ssl-mode"],
    &["sslrootcert", "ssl-root-cert", "ssl-ca"],
    &["sslcert", "ssl-cert"],
    &["sslkey", "ssl-key"],
    &["host", "hostaddr"],
    &["port"],
    &["dbname"],
    &["user"],
    &["password"],
    &["application_name"],
    &["options"],
    &["statement-cache-capacity"],
];
const MYSQL: Spellings = &[
    &["ssl-mode", "sslmode"],
    &["ssl-ca", "sslca"],
    &["ssl-cert", "sslcert"],
    &["ssl-key", "sslkey"],
    &["socket"],
    &["charset"],
    &["collation"],
    &["timezone", "time-zone"],
    &["statement-cache-capacity"],
];
const POSTGRES_MODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
const MYSQL_MODES: &[&str] = &["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"];

/// What other programs take in such a URL, and what takes its place here.
const INSTEAD: &[(&str, &str)] = &[
    ("sslpassword", "a key that is encrypted cannot be used: decrypt it"),
    ("connect_timeout", "see database.timeout"),
    ("pool_timeout", "see database.timeout"),
    ("connection_limit", "see database.connections"),
    ("channel_binding", "sslmode=verify-full makes sure of the server"),
    ("search_path", "write options=-csearch_path%3DNAME"),
    ("schema", "write options=-csearch_path%3DNAME"),
    ("currentSchema", "write options=-csearch_path%3DNAME"),
];

/// Looks at every parameter of the URL, which begins with a scheme.
pub fn check(url: &str, kind: Kind) -> Result<(), InvalidParameter> {
    let known = if kind == Kind::Postgres { POSTGRES } else { MYSQL };
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let before = rest.split(['?', '#']).next().unwrap_or_default();
    if before.split_once('/').is_some_and(|(authority, path)| !authority.contains('@') && path.contains('@'))
    {
        return Err(InvalidParameter::Unescaped('/'));
    }
    let mut seen = Vec::new();
    for (name, value) in parameters(url)? {
        // PostgreSQL's own settings; each adds to those before it.
        if kind == Kind::Postgres && (name == "options" || is_option(&name)) {
            continue;
        }
        let Some(spellings) = known.iter().find(|spellings| spellings.contains(&name.as_str())) else {
            return Err(unknown(&name, known));
        };
        if seen.contains(spellings) {
            return Err(InvalidParameter::Twice(name));
        }
        seen.push(spellings);
        if spellings.contains(&"sslmode") {
            check_mode(name, &value, kind)?;
        }
    }
    Ok(())
}

/// Looks at the mode of TLS that the environment asks for, which PostgreSQL's clients take where a URL names none. The
/// driver takes one that it does not know for the default, which verifies nothing.
pub fn check_environment(url: &str, mode: Option<&str>) -> Result<(), InvalidParameter> {
    let in_url = parameters(url)?.iter().any(|(name, _)| POSTGRES[0].contains(&name.as_str()));
    match mode {
        Some(mode) if !in_url => check_mode("PGSSLMODE of the environment".to_owned(), mode, Kind::Postgres),
        _ => Ok(()),
    }
}

/// The URL with a user where it names none: `user`, as PostgreSQL's clients take the one who runs them.
pub fn with_user(url: &str, user: Option<&str>) -> Zeroizing<String> {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let is_named = authority.contains('@')
        || parameters(url).is_ok_and(|parameters| parameters.iter().any(|(name, _)| name == "user"));
    let mut named = Zeroizing::new(url.to_owned());
    if let Some(user) = user.filter(|user| !user.is_empty() && !is_named) {
        let user: String = form_urlencoded::byte_serialize(user.as_bytes()).collect();
        *named += if url.contains('?') { "&user=" } else { "?user=" };
        *named += &user;
    }
    named
}

/// The parameters of a URL, decoded; an error where a password was probably not encoded.
pub fn parameters(url: &str) -> Result<Vec<(String, String)>, InvalidParameter> {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (before, after) = url.split_at(end);
    let stray = after.contains('@') && !before.contains('@');
    match after.chars().next() {
        Some(mark) if stray => Err(InvalidParameter::Unescaped(mark)),
        Some('#') => Err(InvalidParameter::Unescaped('#')),
        Some(_) if after.contains('#') => Err(InvalidParameter::Unescaped('#')),
        _ => Ok(form_urlencoded::parse(after.trim_start_matches('?').as_bytes()).into_owned().collect()),
    }
}

/// The files that the URL names: authorities, a certificate and its key. What holds PEM itself names none.
pub fn files(url: &str) -> Vec<PathBuf> {
    const NAMES: [&str; 8] =
        ["sslrootcert", "ssl-root-cert", "ssl-ca", "sslca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];
    let parameters = parameters(url).unwrap_or_default().into_iter();
    let named = parameters.filter(|(name, value)| NAMES.contains(&name.as_str()) && !value.is_empty());
    named.filter(|(_, value)| !value.contains("-----BEGIN")).map(|(_, value)| value.into()).collect()
}

/// The name of a parameter as it may be shown: only when it looks like one.
pub fn shown(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if (1..=40).contains(&name.len()) && name.chars().all(plain) {
        format!("{name:?}")
    } else {
        "whose name is not shown".to_owned()
    }
}

fn is_option(name: &str) -> bool {
    name.strip_prefix("options[").is_some_and(|name| name.ends_with(']'))
}

fn unknown(name: &str, known: Spellings) -> InvalidParameter {
    let instead = INSTEAD.iter().find(|(other, _)| *other == name).map(|(_, what)| format!(": {what}"));
    let meant = || nearest(name, known.iter().flat_map(|spellings| spellings.iter().copied()));
    let hint = instead.unwrap_or_else(|| did_you_mean(meant()));
    InvalidParameter::Unknown { name: shown(name), hint }
}

fn check_mode(name: String, value: &str, kind: Kind) -> Result<(), InvalidParameter> {
    let known = if kind == Kind::Postgres { POSTGRES_MODES } else { MYSQL_MODES };
    if known.iter().any(|mode| mode.eq_ignore_ascii_case(value)) {
        return Ok(());
    }
    Err(InvalidParameter::Value { name, known, meant: nearest(value, known.iter().copied()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str, kind: Kind) -> String {
        let error = check(url, kind).expect_err(url).to_string();
        for secret in ["hunter2", "er2", "ada"] {
            assert!(!error.contains(secret), "{url}: {error}");
        }
        error
    }

    #[test]
    fn what_the_drivers_know_is_taken() {
        for good in [
            "postgres://ada:hunter2@h/d",
            "postgres:///d?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=c&sslkey=k",
            "postgres://h/d?ssl-mode=VERIFY-CA&host=/run/postgresql&port=1&user=a%40b&password=hunter2&dbname=d",
            "postgres://ada@h/d?user=a@b&application_name=x&statement-cache-capacity=0",
            "postgres://h/d?options=-c%20a%3Db&options[b]=c&options[c]=d&options=-c%20d%3De",
        ] {
            assert_eq!(check(good, Kind::Postgres), Ok(()), "{good}");
        }
        let mysql = "mysql://h/d?ssl-mode=verify_identity&ssl-ca=c&charset=utf8mb4&collation=x&time-zone=UTC&socket=s";
        assert_eq!(check(mysql, Kind::Mysql), Ok(()));
    }

    #[test]
    fn a_user_is_added_where_there_is_none() {
        for (url, with) in [
            ("postgres:///d", "postgres:///d?user=a+b"),
            ("postgres://h/d?sslmode=require", "postgres://h/d?sslmode=require&user=a+b"),
            ("postgres://ada@h/d", "postgres://ada@h/d"),
            ("postgres://h/d?user=ada", "postgres://h/d?user=ada"),
        ] {
            assert_eq!(*with_user(url, Some("a b")), with);
            assert_eq!(*with_user(url, None), url);
        }
    }

    #[test]
    fn what_they_do_not_know_is_refused_by_its_name_and_without_its_value() {
        for (url, parts) in [
            ("postgres://h/d?ssl_mode=hunter2", &["\"ssl_mode\"", "did you mean sslmode?"][..]),
            ("postgres://h/d?sslmod=hunter2", &["\"sslmod\"", "did you mean sslmode?"]),
            ("postgres://h/d?sslpassword=hunter2", &["\"sslpassword\"", "decrypt it"]),
            ("postgres://h/d?connect_timeout=hunter2", &["\"connect_timeout\"", "database.timeout"]),
            ("postgres://h/d?sslmode=verify_ful", &["sslmode is none of", "did you mean verify-full?"]),
            ("postgres://h/d?sslmode=hunter2", &["sslmode is none of disable, allow"]),
            ("postgres://h/d?sslmode=", &["sslmode is none of"]),
            ("postgres://h/d?sslmode=require&ssl-mode=disable", &["ssl-mode is given twice"]),
            ("postgres://h/d?password=hunter2&password=hunter2", &["password is given twice"]),
            ("postgres://h/d?hunter2%20x", &["whose name is not shown"]),
            ("postgres://ada:hunt/er2@h/d", &["%2F"]),
            ("postgres://ada:5432/hunter2@h/d", &["%2F"]),
            ("postgres://ada:hunt?er2@h/d", &["%3F"]),
            ("postgres://ada:hunt#er2@h/d", &["%23"]),
            ("postgres://h/d?sslmode=require#hunter2", &["%23"]),
        ] {
            let error = refused(url, Kind::Postgres);
            assert!(parts.iter().all(|part| error.contains(part)), "{url}: {error}");
        }
        let mode = check_environment("postgres://h/d", Some("verify_full")).unwrap_err().to_string();
        assert!(mode.contains("PGSSLMODE") && mode.contains("did you mean verify-full?"), "{mode}");
        assert_eq!(check_environment("postgres://h/d?sslmode=require", Some("verify_full")), Ok(()));
        assert_eq!(check_environment("postgres://h/d", Some("verify-full")), Ok(()));
        assert_eq!(check_environment("postgres://h/d", None), Ok(()));
        for (url, part) in [
            ("mysql://h/d?ssl_mode=hunter2", "did you mean ssl-mode?"),
            ("mysql://h/d?sslrootcert=hunter2", "\"sslrootcert\" is not known"),
            ("mysql://h/d?ssl-mode=VERIFY-IDENTITY", "did you mean VERIFY_IDENTITY?"),
            ("mysql://h/d?ssl-ca=a&sslca=b", "sslca is given twice"),
        ] {
            let error = refused(url, Kind::Mysql);
            assert!(error.contains(part), "{url}: {error}");
        }
    }
}
