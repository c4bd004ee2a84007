//! What `countersign test-server` is configured with, where nobody says otherwise.

use secrecy::ExposeSecret as _;

use super::error::Problem;
use super::{Config, KeyStore, Override};

/// A name that no file has: the database is in memory.
const DATABASE: &str = "sqlite:in-memory";

/// The defaults, above those of the service. Nobody decrypts the keys but the process that makes them.
pub(super) fn preset(encryption_key: &str) -> Vec<Override> {
    let preset = [
        ("grpc.listen", "127.0.0.1:0"),
        ("grpc.reflection", "true"),
        ("edge.enabled", "true"),
        ("edge.listen", "127.0.0.1:0"),
        ("edge.plain_http", "true"),
        ("operations.listen", "127.0.0.1:0"),
        ("database.url", DATABASE),
        // A machine that runs as many tests as it can is slow, and that is no outage.
        ("database.timeout", "10s"),
        ("keys.store", "database"),
        ("keys.encryption_key", encryption_key),
        // The least that Argon2id allows: what a password is worth is none of a test's business.
        ("passwords.memory_kib", "8"),
        ("passwords.iterations", "1"),
        ("passwords.queue", "10000"),
        ("throttle.enabled", "false"),
        ("log.format", "text"),
        ("log.level", "error"),
        // For each world.
        ("tokens.verified_cache", "1024"),
    ];
    let of = |(key, value): (&'static str, &str)| Override {
        key,
        flag: "the defaults of `countersign test-server`",
        value: value.to_owned(),
    };
    preset.into_iter().map(of).collect()
}

/// Finds what a file asks for and a test server does not do.
pub(super) fn check(config: &Config) -> Result<(), Problem> {
    for (key, address) in [("grpc.listen", config.grpc.listen), ("edge.listen", config.edge.listen)] {
        if !address.ip().is_loopback() {
            let what =
                format!("{address} is reached from other machines: a test server hands tokens to anybody");
            return Err(Problem::new(key, what));
        }
    }
    let unlike = [
        ("database.url", config.database.url.expose_secret() != DATABASE),
        ("redis.url", config.redis.is_configured()),
        ("keys.store", config.keys.store != KeyStore::Database),
        ("edge.enabled", !config.edge.enabled),
        ("grpc.tls", config.grpc.tls.is_enabled()),
        ("edge.tls", config.edge.tls.is_enabled()),
    ];
    match unlike.into_iter().find(|(_, is_unlike)| *is_unlike) {
        None => Ok(()),
        Some((key, _)) => Err(Problem::new(
            key,
            "is decided by the test server, which keeps everything in memory and speaks plain HTTP: leave it out",
        )),
    }
}
