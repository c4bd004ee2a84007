//! A URL of the configuration is shown without user, password and query: printed, in errors, and in the log.

use crate::support::cli::{REQUIRED, check, run};
use crate::support::process::Dev;

const SECRETS: [&str; 3] = ["ada", "hunter2", "k3y"];

#[track_caller]
fn assert_hidden(shown: &str) {
    for secret in SECRETS {
        assert!(!shown.contains(secret), "{secret} is shown: {shown}");
    }
}

#[test]
fn config_print_shows_no_url_with_what_may_be_secret_in_it() {
    let urls = [
        ("COUNTERSIGN__CAPTCHA__VERIFY_URL", "https://ada:hunter2@captcha.example/verify?key=k3y"),
        ("COUNTERSIGN__TELEMETRY__OTLP_ENDPOINT", "https://ada:hunter2@collector:4317/?key=k3y"),
        ("COUNTERSIGN__TOKENS__ISSUER", "https://ada:hunter2@issuer.example/?key=k3y"),
        ("COUNTERSIGN__REDIS__URL", "redis://ada:hunter2@cache"),
        ("COUNTERSIGN__CAPTCHA__SECRET", "hunter2"),
        ("COUNTERSIGN__REDIS__SENTINEL_PASSWORD", "hunter2"),
        ("COUNTERSIGN__EDGE__CLIENTS", "gateway hunter2hunter2hunter2"),
    ];
    let printed = run(&["config", "print"], &[&REQUIRED[..], &urls].concat());
    assert_eq!(printed.code, 0, "{}", printed.err);
    assert_hidden(&printed.out);
    for part in [
        r#"verify_url = "https://(redacted)@captcha.example/verify?(redacted)""#,
        r#"otlp_endpoint = "https://(redacted)@collector:4317/?(redacted)""#,
        r#"issuer = "https://(redacted)@issuer.example/?(redacted)""#,
    ] {
        assert!(printed.out.contains(part), "{part}: {}", printed.out);
    }
    // What is printed is not taken for a value.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &printed.out).unwrap();
    let again: Vec<_> = urls.into_iter().filter(|(name, _)| !name.contains("TOKENS")).collect();
    let refused = run(
        &["config", "check", "--config", file.path().to_str().unwrap()],
        &[&REQUIRED[..], &again].concat(),
    );
    assert!(refused.code == 2 && refused.err.contains("tokens.issuer: was redacted"), "{}", refused.err);
}

#[test]
fn no_error_shows_such_a_url() {
    let always = [("COUNTERSIGN__CAPTCHA__MODE", "always"), ("COUNTERSIGN__CAPTCHA__SECRET", "s")];
    for (name, url) in [
        ("COUNTERSIGN__CAPTCHA__VERIFY_URL", "https://ada:hunt er2@captcha.example/?key=k3y"),
        ("COUNTERSIGN__CAPTCHA__VERIFY_URL", "ftp://ada:hunter2@captcha.example/?key=k3y"),
        ("COUNTERSIGN__CAPTCHA__VERIFY_URL", "ada:hunter2@captcha.example"),
        ("COUNTERSIGN__TELEMETRY__OTLP_ENDPOINT", "ada:hunter2@collector:4317"),
        ("COUNTERSIGN__TELEMETRY__OTLP_ENDPOINT", "udp://ada:hunter2@collector:4317?key=k3y"),
    ] {
        let refused = check(&[&always[..], &[(name, url)]].concat());
        assert_eq!(refused.code, 2, "{url}: {}", refused.err);
        assert_hidden(&refused.err);
        assert!(!refused.err.contains("er2"), "{}", refused.err);
    }
    let data = tempfile::tempdir().unwrap();
    for name in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
        let variables = [(name, "udp://ada:hunter2@collector:4317?key=k3y")];
        let arguments = ["dev", "--data-dir", data.path().to_str().unwrap()];
        let refused = run(&arguments, &variables);
        assert_eq!(refused.code, 1, "{}", refused.err);
        assert!(refused.err.contains(name), "{}", refused.err);
        assert_hidden(&refused.err);
    }
    let asked = run(&["healthcheck", "--url", "http://ada:hunter2@127.0.0.1:1/readyz?key=k3y"], &[]);
    assert_eq!(asked.code, 1);
    assert_hidden(&asked.err);
}

#[test]
fn the_log_shows_no_such_url_at_any_level() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start_with_env(
        data.path(),
        &[
            ("COUNTERSIGN__LOG__LEVEL", "trace"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://ada:hunter2@127.0.0.1:1/?key=k3y"),
            ("COUNTERSIGN__TELEMETRY__TRACES_PER_THOUSAND", "1000"),
            ("COUNTERSIGN__CAPTCHA__MODE", "always"),
            ("COUNTERSIGN__CAPTCHA__SECRET", "s"),
            ("COUNTERSIGN__CAPTCHA__VERIFY_URL", "http://ada:hunter2@127.0.0.1:1/verify?key=k3y"),
        ],
    );
    // A login with a captcha that cannot be verified, which is traced, and the trace cannot be sent.
    let body = r#"{"username":"admin","password":"a wrong password"}"#;
    let login = std::process::Command::new("curl")
        .args(["-s", "-H", "content-type: application/json", "-H", "x-captcha-response: solved", "-d", body])
        .arg(format!("http://{}/v1/auth/login", dev.http))
        .output();
    let answer = login.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    assert_hidden(&answer);
    assert_eq!(dev_log_at_the_end(dev).matches("hunter2").count(), 0);
}

/// What it has logged when it has stopped, and with that tried to send its traces.
fn dev_log_at_the_end(dev: Dev) -> String {
    let log = dev.log_handle();
    assert_eq!(dev.terminate(), Some(0));
    let log = log.lock().unwrap().clone();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "{log}");
    for secret in ["hunter2", "k3y"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is logged: {line:?}");
    }
    log
}
