//! Origins (RFC 6454 §6.2) in the sections that name whose pages may call.

use super::error::Problem;

/// The most that a key may name.
const MOST: usize = 64;

/// Origins as browsers write them; at most 64.
pub(super) fn check(key: &'static str, origins: &[String]) -> Result<(), Problem> {
    if origins.len() > MOST {
        return Err(Problem::new(key, format!("names more than {MOST}")));
    }
    for origin in origins {
        if !is_origin(origin) {
            let what = format!(
                "{origin:?} is not an origin as browsers write it, such as \"https://app.example\": scheme, host \
                 in lower case, the port where it is not the scheme's own, and nothing else{}",
                meant_origin(origin)
            );
            return Err(Problem::new(key, what));
        }
    }
    Ok(())
}

/// Whether this is the serialization of an origin (RFC 6454 §6.2), which is what is compared.
fn is_origin(text: &str) -> bool {
    let (rest, own_port) = match text.split_once("://") {
        Some(("https", rest)) => (rest, ":443"),
        Some(("http", rest)) => (rest, ":80"),
        _ => return false,
    };
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]_".contains(&byte);
    !rest.is_empty()
        && rest.bytes().all(allowed)
        && !rest.ends_with([':', '.'])
        && !rest.ends_with(own_port)
        && text.parse::<http::Uri>().is_ok_and(|uri| has_host(&uri))
}

/// A host, and a port that is one where there is any.
fn has_host(uri: &http::Uri) -> bool {
    let Some(authority) = uri.authority() else { return false };
    let rest = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    !authority.host().is_empty() && (rest.is_empty() || authority.port_u16().is_some())
}

/// The origin that a page at this address has, if it has another one than is written.
fn meant_origin(text: &str) -> String {
    let lower = text.trim().to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://").unwrap_or(("https", &lower));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default().trim_end_matches('.');
    let host = host.strip_suffix(if scheme == "https" { ":443" } else { ":80" }).unwrap_or(host);
    let origin = format!("{scheme}://{host}");
    if is_origin(&origin) { format!(": did you mean {origin:?}?") } else { String::new() }
}
