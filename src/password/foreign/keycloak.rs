//! Keycloak's credentials: an object with `credentialData` and `secretData`, as in its database and in exported realms,
//! where each is an object in a string.

use argon2::{Algorithm, Version};
use serde_json::{Map, Value};

use super::argon2::Argon2;
use super::pbkdf2::{Pbkdf2, Prf, TAG_BYTES};
use super::text::Named;
use super::{ForeignHash, Found, Unusable};

const FORMAT: Named = Named("keycloak");

/// A JSON object.
pub(super) fn parse(text: &str) -> Found {
    if !text.starts_with('{') {
        return None;
    }
    // What merely begins with a brace, such as `{SSHA}…`, is no JSON.
    let Ok(Value::Object(object)) = serde_json::from_str(text) else { return None };
    Some(read(&object))
}

fn read(object: &Map<String, Value>) -> Result<ForeignHash, Unusable> {
    let (data, secret) = (inner(object, "credentialData")?, inner(object, "secretData")?);
    let text = |map: &Map<String, Value>, name: &str| {
        map.get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| FORMAT.malformed("a member is missing"))
    };
    let iterations = data.get("hashIterations").and_then(Value::as_u64);
    let iterations = iterations.ok_or_else(|| FORMAT.malformed("hashIterations"))?;
    let salt = FORMAT.base64(&text(&secret, "salt")?, "its salt", 1..=1024)?;
    let value = text(&secret, "value")?;
    let prf = match text(&data, "algorithm")?.as_str() {
        "pbkdf2" => Prf::Sha1,
        "pbkdf2-sha256" => Prf::Sha256,
        "pbkdf2-sha512" => Prf::Sha512,
        "argon2" => return argon2(&data, iterations, salt, &value),
        _ => {
            let why = "its algorithm is none of pbkdf2, pbkdf2-sha256, pbkdf2-sha512 and argon2";
            return Err(Unusable::Unsupported { format: FORMAT.0, why });
        }
    };
    Pbkdf2::with_tag(FORMAT, prf, iterations, salt, FORMAT.base64(&value, "value", TAG_BYTES)?)
}

fn inner(object: &Map<String, Value>, name: &str) -> Result<Map<String, Value>, Unusable> {
    let missing = || FORMAT.malformed("it needs credentialData and secretData");
    match object.get(name) {
        Some(Value::Object(inner)) => Ok(inner.clone()),
        Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| missing()),
        _ => Err(missing()),
    }
}

/// Each of the further parameters is a list of one text.
fn argon2(
    data: &Map<String, Value>,
    iterations: u64,
    salt: Vec<u8>,
    value: &str,
) -> Result<ForeignHash, Unusable> {
    let more = inner(data, "additionalParameters").map_err(|_| FORMAT.malformed("additionalParameters"))?;
    let first = |name: &str| {
        let first = more.get(name).and_then(|list| list.get(0)).and_then(Value::as_str);
        first.ok_or_else(|| FORMAT.malformed("a parameter of argon2 is missing"))
    };
    let number = |name: &str| FORMAT.number(first(name)?, "a parameter of argon2");
    let algorithm = match first("type")? {
        "id" => Algorithm::Argon2id,
        "i" => Algorithm::Argon2i,
        "d" => Algorithm::Argon2d,
        _ => return Err(FORMAT.malformed("the type of argon2 is id, i or d")),
    };
    let version = match first("version")? {
        "1.3" => Version::V0x13,
        "1.0" => Version::V0x10,
        _ => return Err(FORMAT.malformed("the version of argon2 is 1.0 or 1.3")),
    };
    let tag = FORMAT.tag(FORMAT.base64(value, "value", 16..=64)?)?;
    let costs = [number("memory")?, iterations, number("parallelism")?];
    let recipe = Argon2::new(FORMAT, (algorithm, version), costs, salt, tag.len())?;
    Ok(ForeignHash::new(FORMAT.0, recipe, tag))
}
