//! Settings that are misspelt: each is answered with one line that names what was probably meant, and nothing is
//! ignored without a word.

use crate::support::cli::{check, refusal, run};
use crate::support::process::Dev;

const LEVEL: &str = "COUNTERSIGN__LOG__LEVEL";

#[test]
fn a_log_level_that_there_is_not_is_refused_with_the_one_that_is_meant() {
    for (level, meant) in [
        ("warning", "did you mean \"warn\"?"),
        ("WARNING", "did you mean \"warn\"?"),
        ("information", "did you mean \"info\"?"),
        ("verbose", "did you mean \"debug\"?"),
        ("inof", "did you mean \"info\"?"),
        ("eror", "did you mean \"error\"?"),
        ("critical", "did you mean \"error\"?"),
        ("none", "did you mean \"off\"?"),
        ("info,hyper=warning", "did you mean \"warn\"?"),
        ("loud", "is none of off, error, warn, info, debug, trace"),
        ("info,countersing=debug", "did you mean \"countersign\"?"),
        ("info,countersign::gprc=debug", "did you mean \"countersign::grpc\"?"),
        ("info,hypr=debug", "did you mean \"hyper\"?"),
        ("info,nothing_of_ours=debug", "no part of this program logs as \"nothing_of_ours\""),
        ("countersign::grpc", "countersign::grpc=trace"),
        ("hyper=", "is none of off, error"),
        ("=debug", "=debug"),
    ] {
        let error = refusal(&[(LEVEL, level)]);
        assert!(error.starts_with("error: log.level: ") && error.contains(meant), "{level}: {error}");
        assert!(error.contains(LEVEL), "{level}: where it came from: {error}");
    }
}

#[test]
fn every_log_level_that_there_is_is_taken() {
    for level in [
        "info",
        "WARN",
        "off",
        "3",
        " info , hyper=debug,",
        "info,countersign::grpc=debug,countersign::audit=trace,countersign_verifier=off",
        "warn,sqlx::query=debug,opentelemetry-otlp=error,opentelemetry_sdk=error",
        "info,[grpc{method=x}]=debug,countersign::grpc[grpc]=trace",
    ] {
        let checked = check(&[(LEVEL, level)]);
        assert_eq!((checked.code, checked.err.as_str()), (0, ""), "{level}");
    }
}

/// Every crate that logs can be named; the list in `src/config/log_level.rs` is held to `Cargo.lock`.
#[test]
fn every_crate_that_logs_can_be_named_in_the_log_level() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
    let lock: toml::Table = lock.parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let logs = |package: &&toml::Value| {
        let dependencies = package.get("dependencies").and_then(toml::Value::as_array);
        dependencies.is_some_and(|all| all.iter().any(|it| matches!(it.as_str(), Some("log" | "tracing"))))
    };
    let names: Vec<_> = packages.iter().filter(logs).filter_map(|it| it["name"].as_str()).collect();
    assert!(names.contains(&"rustls") && names.contains(&"tonic"), "{names:?}");
    for name in names.into_iter().filter(|name| *name != "prost-build") {
        let level = format!("info,{}=debug", name.replace('-', "_"));
        let checked = check(&[(LEVEL, &level)]);
        assert_eq!((checked.code, checked.err.as_str()), (0, ""), "{level}");
    }
    let library = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
    let modules = library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let level: Vec<_> = modules.map(|module| format!("countersign::{module}=debug")).collect();
    let checked = check(&[(LEVEL, &level.join(","))]);
    assert_eq!((checked.code, checked.err.as_str()), (0, ""));
}

#[test]
fn a_key_or_a_section_that_is_misspelt_is_answered_with_the_one_that_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    for (toml, meant) in [
        ("[grpc]\nlissen = 'x'", "did you mean grpc.listen?"),
        ("[grpc]\nlogin-timeout = '1s'", "did you mean grpc.login_timeout?"),
        ("[grcp]\nlisten = 'x'", "did you mean [grpc]?"),
        ("[edge.tsl]\nkey_file = 'x'", "did you mean edge.tls?"),
        ("[grpc.tls]\nkeyfile = 'x'", "did you mean grpc.tls.key_file?"),
        ("[database]\nurl_fiel = 'x'", "did you mean database.url_file?"),
        ("[databse]\nurl = 's3cret'", "did you mean [database]?"),
        ("[[grpc.allow]]\nmethods = ['*']\nsan = ['*']", "\"san\" is none of methods, sans"),
        ("[edge]\nallowed_origins = ['https://App.example/']", "did you mean \"https://app.example\"?"),
        ("[edge]\nallowed_origins = ['https://app.example:443']", "did you mean \"https://app.example\"?"),
        ("[edge]\nallowed_origins = ['https://app.example:99999']", "not an origin"),
    ] {
        let file = folder.path().join("test.toml");
        std::fs::write(&file, toml).unwrap();
        let checked = run(&["config", "check", "--config", file.to_str().unwrap()], &[]);
        assert_eq!(checked.code, 2, "{toml}: {}", checked.err);
        assert!(checked.err.contains(meant) && !checked.err.contains("s3cret"), "{toml}: {}", checked.err);
    }
    let error = refusal(&[("COUNTERSIGN__GRPC__LISSEN", "x")]);
    assert!(error.contains("did you mean grpc.listen?"), "{error}");
}

#[test]
fn a_rule_that_names_no_method_is_found_by_config_check() {
    let pair = [("CERTIFICATE_FILE", "c"), ("KEY_FILE", "k"), ("CLIENT_CA_FILE", "a")];
    let names = pair.map(|(key, value)| (format!("COUNTERSIGN__GRPC__TLS__{key}"), value));
    let mut variables: Vec<_> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    variables.push(("COUNTERSIGN__GRPC__TLS__CLIENT_CERTIFICATES", "required"));
    let rule = r#"[{ methods = ["countersign.v1.AuthService/Logn"], sans = ["*"] }]"#;
    variables.push(("COUNTERSIGN__GRPC__ALLOW", rule));
    let error = refusal(&variables);
    assert!(error.contains("grpc.allow") && error.contains("did you mean"), "{error}");
    assert!(error.contains("countersign.v1.AuthService/Login"), "{error}");
}

#[test]
fn a_parameter_of_a_url_that_is_not_known_is_refused_by_its_name_and_without_its_value() {
    const URL: &str = "COUNTERSIGN__DATABASE__URL";
    for (url, parts) in [
        ("postgres://u:p@h/d?sslpassword=hunter2", &["\"sslpassword\""][..]),
        ("postgres://u:p@h/d?ssl_mode=hunter2", &["\"ssl_mode\"", "did you mean sslmode?"]),
        ("postgres://u:p@h/d?sslmode=verify_ful", &["did you mean verify-full?"]),
        ("postgres://u:p@h/d?sslmode=require&sslmode=disable", &["sslmode is given twice"]),
        ("postgres://u:hunter2@h:port/d", &["database.url"]),
        ("postgres://u:hunt#er2@h/d", &["%23"]),
        ("mysql://u:p@h/d?ssl_mode=hunter2", &["\"ssl_mode\"", "did you mean ssl-mode?"]),
        ("mysql://u:p@h/d?allowCleartextPasswords=hunter2", &["\"allowCleartextPasswords\""]),
        ("sqlite:test.db?mode=hunter2", &["no parameters", "\"mode\""]),
    ] {
        let error = refusal(&[(URL, url)]);
        assert!(error.starts_with("error: database.url: "), "{error}");
        for part in parts {
            assert!(error.contains(part), "{url}: {part}: {error}");
        }
        assert!(!error.contains("hunter2") && !error.contains("er2"), "{url}: {error}");
    }
    for (url, part) in [
        ("redis://h/0?password=hunter2", "\"password\""),
        ("redis://h?timeout=hunter2", "\"timeout\""),
        ("redis-sentinel://h/main?db=hunter2", "\"db\""),
        ("redis-cluster://a,b?protocol=hunter2", "\"protocol\""),
        ("http://u:hunter2@h", "begins with redis://"),
    ] {
        let error = refusal(&[("COUNTERSIGN__REDIS__URL", url)]);
        assert!(error.starts_with("error: redis.url: ") && error.contains(part), "{url}: {error}");
        assert!(!error.contains("hunter2"), "{url}: {error}");
    }
}

/// What the driver takes from the environment, and would take for the default when it is misspelt.
#[test]
fn a_mode_of_tls_that_the_environment_misspells_is_refused() {
    let url = ("COUNTERSIGN__DATABASE__URL", "postgres://h/d");
    let error = refusal(&[url, ("PGSSLMODE", "verify_full")]);
    assert!(error.contains("PGSSLMODE") && error.contains("did you mean verify-full?"), "{error}");
}

/// The driver must never see what it would log with its value.
#[test]
fn a_service_that_is_started_with_such_a_url_logs_no_value_of_it() {
    for command in [&["serve"][..], &["migrate"], &["user", "list"]] {
        let variables = [
            ("COUNTERSIGN__DATABASE__URL", "postgres://u:p@127.0.0.1:1/d?sslpassword=hunter2"),
            ("COUNTERSIGN__KEYS__DIRECTORY", "keys-that-are-not-there"),
            (LEVEL, "trace"),
        ];
        let outcome = run(command, &variables);
        assert_eq!(outcome.code, 2, "{command:?}: {}", outcome.err);
        assert!(outcome.err.contains("sslpassword") && !outcome.err.contains("hunter2"), "{}", outcome.err);
    }
}

#[test]
fn a_variable_that_lacks_an_underscore_is_refused_with_the_one_that_is_meant() {
    for (name, meant) in [
        ("COUNTERSIGN_GRPC__LISTEN", "COUNTERSIGN__GRPC__LISTEN"),
        ("COUNTERSIGN_GRPC_LISTEN", "COUNTERSIGN__GRPC__LISTEN"),
        ("COUNTERSIGN_LOG_LEVEL", "COUNTERSIGN__LOG__LEVEL"),
        ("COUNTERSIGN_GRPC_TLS_KEY_FILE", "COUNTERSIGN__GRPC__TLS__KEY_FILE"),
        ("COUNTERSIGN_REDIS_URL_FILE", "COUNTERSIGN__REDIS__URL_FILE"),
        ("countersign__grpc__listen", "COUNTERSIGN__GRPC__LISTEN"),
        ("COUNTERSING__GRPC__LISTEN", "COUNTERSIGN__GRPC__LISTEN"),
    ] {
        let error = refusal(&[(name, "s3cret")]);
        let expected = format!("error: {name}: there is no such variable: did you mean {meant}?");
        assert!(error.starts_with(&expected), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    let own = [("COUNTERSIGN_GRPC_LISTEN", "127.0.0.1:1"), ("COUNTERSIGN__GRPC__LISTEN", "127.0.0.1:1")];
    assert_eq!(check(&own).code, 0, "what the right variable is made of, in a compose file, say");
}

/// Kubernetes sets these for each Service, and they say nothing about the configuration.
#[test]
fn what_kubernetes_sets_for_a_service_of_this_name_is_no_mistake() {
    let checked = check(&[
        ("COUNTERSIGN_SERVICE_HOST", "10.0.0.1"),
        ("COUNTERSIGN_SERVICE_PORT", "50051"),
        ("COUNTERSIGN_SERVICE_PORT_GRPC", "50051"),
        ("COUNTERSIGN_PORT", "tcp://10.0.0.1:50051"),
        ("COUNTERSIGN_PORT_50051_TCP", "tcp://10.0.0.1:50051"),
        ("COUNTERSIGN_PORT_50051_TCP_ADDR", "10.0.0.1"),
        ("COUNTERSIGN_PORT_50051_TCP_PORT", "50051"),
        ("COUNTERSIGN_PORT_50051_TCP_PROTO", "tcp"),
        ("COUNTERSIGN_GRPC_SERVICE_HOST", "10.0.0.1"),
        ("COUNTERSIGN_OPERATIONS_PORT_9090_TCP_ADDR", "10.0.0.1"),
        ("PATH", "/bin"),
        ("RUST_BACKTRACE", "1"),
    ]);
    assert_eq!((checked.code, checked.err.as_str()), (0, ""));
}

#[test]
fn a_variable_that_is_ignored_is_named() {
    let checked = check(&[("COUNTERSIGN_VERSION", "1"), ("COUNTERSIGN_GRPC_LISTN", "x"), ("RUST_LOG", "s3")]);
    assert_eq!((checked.code, checked.out.as_str()), (0, "the configuration is valid\n"));
    for part in [
        "warning: COUNTERSIGN_VERSION is no setting, and is ignored\n",
        "COUNTERSIGN_GRPC_LISTN is no setting, and is ignored: did you mean COUNTERSIGN__GRPC__LISTEN?\n",
        "RUST_LOG is ignored: the level of the log is log.level",
    ] {
        assert!(checked.err.contains(part), "{part}: {}", checked.err);
    }
    assert!(!checked.err.contains("s3"), "{}", checked.err);
}

#[test]
fn a_service_says_in_its_log_which_variables_it_ignores() {
    let data = tempfile::tempdir().unwrap();
    let variables = [
        ("RUST_LOG", "debug"),
        ("COUNTERSIGN_GRPC_LISTN", "x"),
        ("OTEL_TRACES_SAMPLER", "always_on"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b"),
    ];
    let dev = Dev::start_with_env(data.path(), &variables);
    let log = dev.log();
    assert!(log.contains("RUST_LOG is ignored: the level of the log is log.level"), "{log}");
    assert!(log.contains("did you mean COUNTERSIGN__GRPC__LISTEN?"), "{log}");
    assert!(log.contains("OTEL_TRACES_SAMPLER is ignored"), "{log}");
    assert!(!log.contains("OTEL_RESOURCE_ATTRIBUTES"), "that one is honoured: {log}");
    assert!(!log.contains("DEBUG"), "RUST_LOG does not decide: {log}");
}
