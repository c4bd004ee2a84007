//! The house as `CONTRIBUTING.md` draws it: imports run one way, and a driver stays behind its wall.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules of the crate each top-level module may name. What is missing here may name nothing but itself.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("secret", &[]),
    ("spelling", &[]),
    ("text", &[]),
    ("connection_url", &["spelling"]),
    ("reason", &[]),
    ("store", &["model", "secret", "connection_url", "text"]),
    ("token", &["model", "secret", "text"]),
    ("password", &["model", "secret", "telemetry"]),
    ("readiness", &[]),
    ("revocation", &["model", "store", "readiness", "secret", "telemetry"]),
    ("auth", &["model", "store", "token", "password", "revocation", "reason", "secret"]),
    ("testing", &["model", "auth", "revocation", "reason", "secret", "store", "token"]),
    ("transport", &["auth", "reason", "secret", "telemetry"]),
    (
        "grpc",
        &["model", "auth", "revocation", "reason", "secret", "spelling", "telemetry", "testing", "transport"],
    ),
    ("http", &["model", "auth", "reason", "secret", "telemetry", "testing", "transport"]),
    ("operations", &["readiness", "telemetry"]),
    ("cores", &[]),
    ("listener", &["cores", "text"]),
    ("lifecycle", &[]),
    ("telemetry", &["config"]),
    ("config", &["model", "reason", "token", "connection_url", "spelling", "text"]),
    (
        "app",
        &[
            "model",
            "reason",
            "secret",
            "store",
            "token",
            "password",
            "revocation",
            "auth",
            "grpc",
            "http",
            "operations",
            "cores",
            "listener",
            "lifecycle",
            "readiness",
            "config",
            "telemetry",
            "testing",
            "transport",
            "connection_url",
            "text",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "auth",
            "config",
            "grpc",
            "lifecycle",
            "model",
            "password",
            "secret",
            "telemetry",
            "text",
            "token",
        ],
    ),
];

/// Which crates may be named only where.
const WALLS: &[(&str, &[&str])] = &[
    ("tonic", &["grpc"]),
    ("tonic_health", &["grpc"]),
    ("tonic_types", &["grpc"]),
    ("prost", &["grpc"]),
    ("prost_types", &["grpc"]),
    ("jsonwebtoken", &["token"]),
    ("sqlx", &["store"]),
    ("redis", &["store"]),
    ("deadpool", &["store"]),
    ("deadpool_redis", &["store"]),
    ("axum", &["grpc", "http", "operations", "listener"]),
    ("prost_reflect", &["http"]),
    ("hyper_rustls", &["http"]),
    ("tokio_rustls", &["listener", "cli"]),
    ("x509_parser", &["listener"]),
    ("argon2", &["password"]),
    ("bcrypt", &["password"]),
    ("md5", &["password"]),
    ("scrypt", &["password"]),
    ("sha_crypt", &["password"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("opentelemetry_otlp", &["telemetry"]),
    ("tracing_opentelemetry", &["telemetry"]),
    ("clap", &["cli"]),
    ("csv_core", &["cli"]),
    ("figment", &["config"]),
];

#[test]
fn imports_run_one_way() {
    let mut broken = Vec::new();
    for (module, file, code) in sources() {
        let allowed = MAY_NAME.iter().find(|(name, _)| *name == module);
        let Some((_, allowed)) = allowed else {
            broken.push(format!("{}: module {module} has no place in MAY_NAME", file.display()));
            continue;
        };
        for named in names_after(&code, "crate::") {
            if named != module
                && !allowed.contains(&named.as_str())
                && MAY_NAME.iter().any(|(m, _)| *m == named)
            {
                broken.push(format!("{}: {module} must not name {named}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn drivers_stay_behind_their_walls() {
    let mut broken = Vec::new();
    for (module, file, code) in sources() {
        for (driver, places) in WALLS {
            if !places.contains(&module.as_str()) && names_crate(&code, driver) {
                broken.push(format!("{}: {driver} belongs in {}", file.display(), places.join(", ")));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// What people have saved is read by `src/text.rs` alone, which knows of byte order marks; the system's own files may be
/// read anywhere.
#[test]
fn files_that_people_save_are_read_in_one_place() {
    const READERS: [&str; 5] =
        ["read_to_string(", "read_to_end(", "fs::read(", "pem_file_iter(", "from_pem_file("];
    let mut broken = Vec::new();
    for (module, file, code) in sources() {
        let of_the_system = |line: &&str| !line.contains("\"/proc/");
        let reads = code.lines().filter(of_the_system).any(|line| READERS.iter().any(|it| line.contains(it)));
        if reads && module != "text" && !file.ends_with("tests.rs") {
            broken.push(file.display().to_string());
        }
    }
    assert!(broken.is_empty(), "these read files by themselves: {}", broken.join(", "));
}

/// Nothing else of redis-rs opens a connection, and the pool's manager alone may call what does.
#[test]
fn connections_to_redis_are_opened_by_a_deadpool_manager_alone() {
    const OPENS: [&str; 11] = [
        "Client::open(",
        "Client::build",
        "get_connection",
        "get_multiplexed",
        "get_async_",
        "MultiplexedConnection::new",
        "ConnectionManager",
        "ClusterClient",
        "ClusterConnection",
        "SentinelClient",
        "deadpool_redis::Pool",
    ];
    const CALLS: [&str; 2] = ["dialer.dial(", "dialer.listen("];
    let (dial, manager) =
        (Path::new("store/redis/connection/pool/dial.rs"), "store/redis/connection/pool.rs");
    let mut opening = Vec::new();
    let mut broken = Vec::new();
    for (module, file, code) in sources() {
        let names = |names: &[&str]| names.iter().any(|name| code.contains(name));
        if module != "store" || file.starts_with("store/sql") {
            continue;
        }
        if names(&OPENS) {
            opening.push(file.clone());
        }
        if file == Path::new(manager) {
            assert!(code.contains("impl Manager for Connector") && names(&CALLS), "{manager} is no manager");
        } else if names(&CALLS) {
            broken.push(format!("{} dials by itself", file.display()));
        }
    }
    assert_eq!(opening, [dial], "these open connections to Redis");
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn redis_is_reached_through_deadpool_in_production() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let line = |name: &str| dependencies.lines().find(|line| line.starts_with(&format!("{name} = ")));
    let pool = line("deadpool-redis").expect("deadpool-redis is a dependency");
    assert!(!pool.contains("optional"), "{pool}");
    assert_eq!(line("redis"), None, "redis-rs is reached as deadpool_redis::redis");
}

#[test]
fn the_verifier_depends_on_nothing_of_the_server() {
    let manifest = fs::read_to_string(root().join("sdk/rust/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for server in ["sqlx", "redis", "deadpool", "figment", "axum", "argon2"] {
        assert!(!dependencies.lines().any(|line| line.starts_with(server)), "{server} in sdk/rust");
    }
    assert!(!dependencies.contains("path ="), "sdk/rust must stand alone");
}

/// Access tokens are signed by `jsonwebtoken::encode`, with signers that one file keeps, and checked by its verifiers.
/// Whatever else could sign or check one is named in those files alone.
#[test]
fn jsonwebtoken_signs_and_checks_and_nothing_else_does() {
    const ABLE: [&str; 6] =
        ["Ed25519KeyPair", "EcdsaKeyPair", "RsaKeyPair", ".try_sign(", "UnparsedPublicKey", ".verify_sig("];
    const FILES: [&str; 2] = ["token/signing_key.rs", "token/signers.rs"];
    let mut broken = Vec::new();
    let mut signing = Vec::new();
    for (_, file, code) in sources().into_iter().filter(|(_, file, _)| !file.ends_with("tests.rs")) {
        let named = ABLE.iter().filter(|able| code.contains(**able));
        if !FILES.iter().any(|allowed| file == Path::new(allowed)) {
            broken.extend(named.map(|able| format!("src/{} names {able}", file.display())));
        }
        signing.extend(vec![file.display().to_string(); code.matches("jsonwebtoken::encode(").count()]);
    }
    assert_eq!(signing, ["token/signing_key.rs"]);
    let key = fs::read_to_string(root().join("src").join(FILES[0])).unwrap();
    assert!(!key.contains("SystemRandom") && !key.contains("try_sign("), "{} signs by itself", FILES[0]);

    let mut verifier = BTreeMap::new();
    collect(&root().join("sdk/rust/src"), &mut verifier);
    let mut checking = 0;
    // The corpus is made by tests, which sign its tokens.
    let is_test = |path: &Path| path.ends_with("tests.rs") || path.iter().any(|part| part == "corpus");
    for (path, code) in verifier.iter().filter(|(path, _)| !is_test(path)) {
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        checking += code.matches("verifier_factory)(").count();
        // `install_default` would take the choice of the cryptography from the application that links the crate.
        let named =
            ABLE.iter().chain(&["install_default", "jsonwebtoken::decode", "jsonwebtoken::crypto::verify"]);
        broken.extend(
            named.filter(|able| code.contains(**able)).map(|able| format!("{} names {able}", path.display())),
        );
    }
    assert_eq!(checking, 1);
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file of the library: its top-level module, its path, and its code without comments and tests.
fn sources() -> Vec<(String, PathBuf, String)> {
    let mut files = BTreeMap::new();
    collect(&root().join("src"), &mut files);
    files
        .into_iter()
        .filter_map(|(path, code)| {
            let relative = path.strip_prefix(root().join("src")).unwrap().to_path_buf();
            let module =
                relative.components().next().unwrap().as_os_str().to_string_lossy().replace(".rs", "");
            let code = code.split("#[cfg(test)]").next().unwrap_or_default();
            let lines: Vec<_> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let code = lines.join("\n");
            (!["lib", "main"].contains(&module.as_str())).then_some((module, relative, code))
        })
        .collect()
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(path.clone(), fs::read_to_string(&path).unwrap());
        }
    }
}

/// The identifiers that follow `prefix`, those inside one level of braces too.
fn names_after(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let list = list.split(';').next().unwrap_or_default();
            names.extend(list.split([',', '{', '}']).map(|item| first_identifier(item.trim())));
        } else {
            names.push(first_identifier(rest));
        }
    }
    names
}

fn first_identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(&format!("{name}::"))
        .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
}
