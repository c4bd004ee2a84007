//! Configuration: the layers and their order, secrets in files, and what a mistake is answered with.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it set it up")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign::config::{Config, DatabaseLocation, LogFormat, Override};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

/// What has no default.
const REQUIRED: &str = "[database]\nurl = 'sqlite:///d/c.db'\n[keys]\ndirectory = '/d/keys'\n";
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/countersign.example.toml");

fn write(directory: &TempDir, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Loads a file with this text, and says in one line what is wrong with it.
fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let directory = TempDir::new().unwrap();
    let file = write(&directory, "test.toml", toml);
    Config::load(Some(&file), variables(environment), &[]).map_err(|error| error.to_string())
}

fn with_required(toml: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let mut environment = environment.to_vec();
    environment.push(("COUNTERSIGN__DATABASE__URL", "sqlite:///d/c.db"));
    environment.push(("COUNTERSIGN__KEYS__DIRECTORY", "/d/keys"));
    load(toml, &environment)
}

#[test]
fn each_layer_overrides_the_one_before_it_key_by_key() {
    let toml =
        format!("[grpc]\nlisten = '127.0.0.1:1'\nmax_connections = 7\nlogin_timeout = '7s'\n{REQUIRED}");
    let environment = variables(&[
        ("COUNTERSIGN__GRPC__LISTEN", "127.0.0.1:2"),
        ("COUNTERSIGN__GRPC__MAX_CONNECTIONS", "8"),
    ]);
    let flag = Override { key: "grpc.listen", flag: "--grpc-listen", value: "127.0.0.1:3".to_owned() };
    let directory = TempDir::new().unwrap();
    let file = write(&directory, "c.toml", toml);

    let config = Config::load(Some(&file), environment, &[flag]).unwrap();
    assert_eq!(config.grpc.listen.port(), 3, "the flag");
    assert_eq!(config.grpc.max_connections, 8, "the environment");
    assert_eq!(config.grpc.login_timeout, Duration::from_secs(7), "the file");
    assert_eq!(config.grpc.logout_timeout, Duration::from_secs(5), "the default");
}

#[test]
fn variables_are_read_as_the_type_that_the_key_has() {
    let config = with_required(
        "",
        &[
            ("COUNTERSIGN__TOKENS__ISSUER", "1234"),
            ("COUNTERSIGN__TOKENS__AUDIENCES", "true, 17"),
            ("COUNTERSIGN__ROTATION__STRICT", "true"),
            ("COUNTERSIGN__PASSWORDS__QUEUE", "9"),
            ("COUNTERSIGN_SERVICE_PORT", "what Kubernetes sets for a service of this name"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.tokens.issuer, "1234");
    assert_eq!(config.tokens.audiences, ["true", "17"]);
    assert_eq!(config.tokens.default_audience(), "true");
    assert!(config.rotation.strict);
    assert_eq!(config.passwords.queue, 9);
}

#[test]
fn the_environment_alone_is_enough() {
    let environment =
        [("COUNTERSIGN__DATABASE__URL", "sqlite:c.db"), ("COUNTERSIGN__KEYS__DIRECTORY", "keys")];
    let config = Config::load(None, variables(&environment), &[]).unwrap();
    assert_eq!(config.database.location(), Ok(DatabaseLocation::Sqlite("c.db".into())));
    assert!(config.create_missing_keys(), "nobody else has this database");
}

/// Every wrong value: the layer that has it, and what the one line must say.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_bad_value_is_named_with_its_key_and_its_source() {
    let cases: &[(&str, &[&str])] = &[
        ("[grpc]\nlisten = 'localhost:1'", &["grpc.listen", "localhost:1", "IP address"]),
        ("[grpc]\nlisten = 50051", &["grpc.listen", "must be a string, not a number"]),
        ("[grpc]\nreflection = 'yes'", &["grpc.reflection", "must be true or false, not a string"]),
        ("[grpc]\nmax_connections = 0", &["grpc.max_connections", "0 is not between 1 and 1000000"]),
        ("[grpc]\nmax_connections = -1", &["grpc.max_connections", "-1 is not a whole number from 0"]),
        ("[grpc]\nmax_message_bytes = 1", &["grpc.max_message_bytes", "between 16384 and 4194304"]),
        ("[grpc]\nlogin_timeout = '0s'", &["grpc.login_timeout", "0s is not between 100ms and 1m"]),
        ("[grpc]\nverify_timeout = '2m'", &["grpc.verify_timeout", "between 10ms and 1m"]),
        ("[grpc]\nlogout_timeout = '1'", &["grpc.logout_timeout", "\"1\" is not a duration"]),
        ("[operations]\nlisten = '127.0.0.1:50051'", &["operations.listen", "grpc.listen, too"]),
        ("[tokens]\nissuer = ''", &["tokens.issuer", "must not be empty"]),
        ("[tokens]\nissuer = 'a b'", &["tokens.issuer", "blank"]),
        ("[tokens]\naudiences = []", &["tokens.audiences", "1 to 32"]),
        ("[tokens]\naudiences = 'a'", &["tokens.audiences", "must be a list, not a string"]),
        ("[tokens]\naudiences = [1]", &["tokens.audiences", "must be a string, not the number 1"]),
        ("[tokens]\naudiences = ['a', 'a']", &["tokens.audiences", "twice"]),
        ("[tokens]\ndefault_audience = 'b'", &["tokens.default_audience", "not one of tokens.audiences"]),
        ("[tokens]\naccess_ttl = '2d'", &["tokens.access_ttl", "between 1s and 1d"]),
        ("[tokens]\naccess_ttl = '1500ms'", &["tokens.access_ttl", "whole number of seconds"]),
        ("[tokens]\nleeway = '2m'", &["tokens.leeway", "between 0s and 1m"]),
        ("[sessions]\nidle = '91d'", &["sessions.idle", "longer than sessions.absolute, which is 90d"]),
        ("[sessions]\nidle = '14s'", &["sessions.idle", "rotation.grace and twice rotation.deadline", "14s"]),
        ("[sessions]\nidle = '1m'\nabsolute = '2m'", &["tokens.access_ttl", "sessions.absolute from"]),
        ("[sessions]\nmax_per_user = 10001", &["sessions.max_per_user", "between 0 and 10000"]),
        ("[sessions]\non_limit = 'x'", &["sessions.on_limit", "\"x\" is none of evict_oldest, deny"]),
        ("[rotation]\ndeadline = '11s'", &["rotation.deadline", "rotation.grace, which is 10s"]),
        ("[rotation]\ngrace = '1s'", &["rotation.deadline", "rotation.grace from"]),
        ("[rotation]\ngrace = '1h'", &["rotation.grace", "between 0s and 5m"]),
        ("[grpc.tls]\nkey_file = 'k'", &["grpc.tls.certificate_file", "give both or none"]),
        ("[grpc.tls]\nkeyfile = 'k'", &["grpc.tls.keyfile", "no such key"]),
        ("[grpc.tsl]\nkey_file = 'k'", &["grpc.tsl", "no such key"]),
        ("[grpc]\ntls = 'on'", &["grpc.tls", "must be a table, not a string"]),
        ("[grpc.tls]\nkey_file = 1", &["grpc.tls.key_file", "must be a string, not a number"]),
        ("[operations.tls]\nclient_certificates = 'required'", &["operations.tls.client_cert", "needs TLS"]),
        (
            "[edge.tls]\ncertificate_file = 'c'\nkey_file = 'k'\nclient_certificates = 'required'",
            &["edge.tls.client_ca_file", "neither without the other"],
        ),
        (
            "[edge.tls]\ncertificate_file = 'c'\nkey_file = 'k'\nhandshake_timeout = '2m'",
            &["edge.tls.handshake_timeout", "between 100ms and 1m"],
        ),
        (
            "[edge]\nplain_http = true\n[edge.tls]\ncertificate_file = 'c'\nkey_file = 'k'",
            &["edge.plain_http", "must be false where edge.tls is set"],
        ),
        ("[grpc.tls]\nclient_certificates = 'maybe'", &["grpc.tls", "none of none, optional, required"]),
        ("[[grpc.allow]]\nmethods = ['*']\nsans = ['*']", &["grpc.allow", "goes by clients' certificates"]),
        ("[[grpc.allow]]\nmethods = ['a']\nsans = ['*']", &["grpc.allow", "rule 1 names \"a\""]),
        (
            "[[grpc.allow]]\nmethods = ['*']\nsans = ['a.example']",
            &["grpc.allow", "rule 1 names \"a.example\""],
        ),
        ("[[grpc.allow]]\nmethods = []\nsans = ['*']", &["grpc.allow", "1 to 64 methods"]),
        ("[revocation]\nmax_staleness = '1s'", &["revocation.max_staleness", "poll_interval, which is 1s"]),
        ("[revocation]\npoll_interval = '1ms'", &["revocation.poll_interval", "between 10ms and 1m"]),
        ("[revocation]\non_stale = 'ignore'", &["revocation.on_stale", "none of fail, serve"]),
        ("[passwords]\nparallelism = 0", &["passwords.parallelism", "between 1 and 16"]),
        ("[passwords]\nmemory_kib = 7", &["passwords.memory_kib", "between 8 and 1048576"]),
        ("[passwords]\niterations = 0", &["passwords.iterations", "between 1 and 100"]),
        ("[passwords]\nthreads = 5000", &["passwords.threads", "between 0 and 1024"]),
        ("[passwords]\nqueue = 0", &["passwords.queue", "between 1 and 100000"]),
        ("[database]\nreaders = 0", &["database.readers", "between 1 and 64"]),
        ("[database]\nreaders = 1.5", &["database.readers", "1.5 is not a whole number"]),
        ("[database]\ntimeout = 2020-01-01", &["database.timeout", "must be a string"]),
        ("[keys]\nalgorithm = 'HS256'", &["keys.algorithm", "HS256", "none of EdDSA, ES256, RS256"]),
        ("[keys]\ncreate_missing = true", &["keys.create_missing", "must be a string"]),
        ("[keys]\npermissions = '0644'", &["keys.permissions", "none of strict, mounted"]),
        ("[keys]\nreload_interval = '1ms'", &["keys.reload_interval", "between 100ms and 1h"]),
        ("[keys]\nstore = 'vault'", &["keys.store", "vault", "none of directory, database"]),
        ("[keys]\nencryption_key = 'short'", &["keys.encryption_key", "32 random bytes in base64"]),
        (
            "[keys]\nprevious_encryption_key = 'short'",
            &["keys.previous_encryption_key", "32 random bytes in base64"],
        ),
        ("[keys]\nrotate_every = '1ms'", &["keys.rotate_every", "between 1s and 3650d"]),
        (
            "[keys]\nstore = 'database'\nannounce = '29s'\nencryption_key = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='",
            &["keys.announce", "29s is shorter than 30s", "reload_interval"],
        ),
        ("[log]\nformat = 0", &["log.format", "must be a string, not a number"]),
        ("[log]\nformat = 'xml'", &["log.format", "xml", "none of json, text"]),
        ("[log]\nlevel = 'a=b=c'", &["log.level", "a=b=c"]),
        ("[shutdown]\ndrain_delay = '1h'", &["shutdown.drain_delay", "between 0s and 10m"]),
        ("[shutdown]\ngrace = '1h'", &["shutdown.grace", "between 0s and 10m"]),
        ("[grpc]\nlissen = 'x'", &["grpc.lissen", "no such key"]),
        ("[operations]\nreflection = true", &["operations.reflection", "did you mean grpc.reflection?"]),
        ("[nowhere]\na = 1", &["nowhere", "no such key"]),
        ("grpc = 1", &["grpc", "must be a section, written [grpc]"]),
        ("listen = 'x'", &["listen", "did you mean edge.listen?"]),
        ("[ext_authz]\ncookie = 'a b'", &["ext_authz.cookie", "blank"]),
        ("[ext_authz]\ncookie = 'a;b'", &["ext_authz.cookie", "not the name of a cookie"]),
        ("[ext_authz]\nallowed_origins = ['*']", &["ext_authz.allowed_origins", "\"*\" is not an origin"]),
        ("[grpc]\ntrusted_proxies = ['10.0.0.0/33']", &["grpc.trusted_proxies", "10.0.0.0/33"]),
        ("[redis]\nprefix = 'a{b}'", &["redis.prefix", "braces"]),
        ("[sessions]\nstore = 'redis'", &["redis.url", "is required"]),
        ("[throttle]\naccount_longest_wait = '10ms'", &["throttle.account_longest_wait", "shorter"]),
        (
            "[captcha]\nmode = 'always'\nsecret = 's'\nverify_url = 'http://c.example/'",
            &["captcha.verify_url", "https://"],
        ),
        ("[captcha]\nfailures = 0", &["captcha.failures", "between 1 and 1000"]),
        ("[grpc", &["line 1"]),
        ("[grpc]\nlisten = 'a'\nlisten = 'b'", &["line 3", "duplicate key"]),
    ];
    assert_named(cases);
}

/// A network that holds other addresses than it seems to, or none.
#[test]
fn a_network_of_proxies_is_read_as_what_it_means_or_refused() {
    let networks = |text: &str| {
        let toml = format!("[grpc]\ntrusted_proxies = ['{text}']\n[edge]\ntrusted_proxies = ['{text}']");
        let config = with_required(&toml, &[])?;
        let networks = config.edge.trusted_networks().unwrap();
        assert_eq!(networks, config.grpc.trusted_networks().unwrap());
        Ok::<_, String>(networks)
    };
    for (text, address, bits) in [
        ("127.0.0.1", "127.0.0.1", 32),
        ("10.0.0.0/8", "10.0.0.0", 8),
        ("0.0.0.0/0", "0.0.0.0", 0),
        ("fd00::/8", "fd00::", 8),
        ("::/0", "::", 0),
        ("2001:db8::1", "2001:db8::1", 128),
        ("::ffff:127.0.0.1", "127.0.0.1", 32),
        ("::ffff:127.0.0.0/104", "127.0.0.0", 8),
        ("::ffff:0:0/96", "0.0.0.0", 0),
        ("::ffff:7f00:1/128", "127.0.0.1", 32),
    ] {
        assert_eq!(networks(text), Ok(vec![(address.parse().unwrap(), bits)]), "{text}");
    }
    for (text, parts) in [
        ("::ffff:0:0/95", &["wider than /96", "10.0.0.0/8"][..]),
        ("::ffff:127.0.0.0/80", &["wider than /96"]),
        ("10.0.0.1/8", &["bits behind its prefix", "10.0.0.0/8", "10.0.0.1"]),
        ("fd00::1/8", &["bits behind its prefix", "fd00::/8"]),
        ("::ffff:127.0.0.1/104", &["bits behind its prefix", "127.0.0.0/8"]),
        ("10.0.0.0/+8", &["neither"]),
        ("10.0.0.0/", &["neither"]),
        ("10.0.0.0/8/8", &["neither"]),
        ("10.0.0.0/255.0.0.0", &["neither"]),
        ("10.0.0", &["neither"]),
        ("", &["neither"]),
    ] {
        let error = networks(text).expect_err(text);
        let named = parts.iter().chain(&["trusted_proxies"]).all(|part| error.contains(part));
        assert!(named, "{text}: {error}");
    }
}

/// What cannot work in a browser, or not together.
#[test]
fn an_edge_that_no_browser_could_use_is_refused() {
    assert_named(&[
        ("[edge]\nlisten = '127.0.0.1:50051'", &["edge.listen", "grpc.listen, too"]),
        ("[edge]\nlisten = '0.0.0.0:1'\nplain_http = true", &["edge.plain_http", "loopback only"]),
        ("[edge]\nrefresh_transport = 'header'", &["edge.refresh_transport", "none of cookie, body"]),
        ("[edge]\nallowed_origins = ['*']", &["edge.allowed_origins", "\"*\" is not an origin"]),
        ("[edge]\nallowed_origins = ['https://a.example/']", &["edge.allowed_origins", "not an origin"]),
        ("[edge]\nallowed_origins = ['https://a.example:443']", &["edge.allowed_origins", "not an origin"]),
        ("[edge]\nhsts = '4000d'", &["edge.hsts", "between 0s and 3650d"]),
        ("[edge]\ntrusted_proxies = ['10.0.0.0/33']", &["edge.trusted_proxies", "10.0.0.0/33"]),
        ("[edge]\nclients = 'gateway short'", &["edge.clients", "line 1 has a secret"]),
        ("[edge]\nclients = 'gateway'", &["edge.clients", "line 1 is not an id"]),
        ("[edge]\ncookie_name = '__Host-x'", &["edge.cookie_name", "the prefix is added"]),
        ("[edge]\ncookie_name = 'a;b'", &["edge.cookie_name", "1 to 64 of"]),
        ("[edge]\ncookie_path = '/v1/auth; Domain=x'", &["edge.cookie_path", "must be a path"]),
        ("[edge]\ncookie_path = 'v1'", &["edge.cookie_path", "must be a path"]),
        ("[edge]\ncookie_path = '/v1/auth/refresh'", &["edge.cookie_path", "narrower than /v1/auth"]),
        ("[edge]\ncookie_same_site = 'none'", &["edge.cookie_same_site", "edge.allowed_origins"]),
        (
            "[edge]\nplain_http = true\ncookie_same_site = 'none'\nallowed_origins = ['https://a.example']",
            &["edge.cookie_same_site", "HTTPS only"],
        ),
        ("[edge]\nenvelope = true\nerrors = 'status'", &["edge.envelope", "edge.errors"]),
    ]);
}

/// Numbers for reasons that there are not would be numbers that nobody is ever told.
#[test]
fn a_number_for_a_reason_that_there_is_not_is_refused() {
    assert_named(&[
        ("[edge.error_codes]\nTOKEN_MISING = 1", &["edge.error_codes", "did you mean \"TOKEN_MISSING\"?"]),
        ("[edge.error_codes]\ntoken_missing = 1", &["edge.error_codes", "did you mean \"TOKEN_MISSING\"?"]),
        ("[edge.error_codes]\nNO_LUCK_AT_ALL = 1", &["edge.error_codes", "docs/errors.md"]),
        ("[edge.error_codes]\nTOKEN_MISSING = 0", &["edge.error_codes", "0 is not between 1 and 2147483647"]),
        (
            "[edge.error_codes]\nTOKEN_MISSING = 2147483648",
            &["edge.error_codes", "2147483648 is not between"],
        ),
        ("[edge.error_codes]\nTOKEN_MISSING = 'x'", &["edge.error_codes.TOKEN_MISSING", "must be a number"]),
        ("[edge]\nerror_codes = 1", &["edge.error_codes", "must be a table, not a number"]),
        ("[edge]\ntimes = 'unix'", &["edge.times", "none of rfc3339, epoch_millis"]),
    ]);
    let variable = |text| with_required("", &[("COUNTERSIGN__EDGE__ERROR_CODES", text)]);
    let config = variable("TOKEN_MISSING=1001, INTERNAL=9001").unwrap();
    assert_eq!(config.edge.error_codes().unwrap().len(), 2);
    for bad in ["TOKEN_MISSING", "TOKEN_MISSING=x", "1001=TOKEN_MISSING"] {
        let error = variable(bad).unwrap_err();
        assert!(
            error.contains("COUNTERSIGN__EDGE__ERROR_CODES") && error.contains("name=1,other=2"),
            "{error}"
        );
    }
}

#[test]
fn requests_are_bounded_where_that_is_asked_for_and_never_more_freely() {
    let config =
        |number: u32| with_required(&format!("[throttle]\nrequests = {number}"), &[]).unwrap().throttle;
    assert_eq!(config(0).request_rate(), None);
    for (number, interval_ms) in [(1, 60_000), (7, 8_572), (100, 600), (60_000, 1)] {
        let rate = config(number).request_rate().unwrap();
        assert_eq!((rate.burst.get(), rate.interval.as_millis()), (number, interval_ms));
    }
    assert_named(&[("[throttle]\nrequests = 60001", &["throttle.requests", "between 0 and 60000"])]);
}

#[track_caller]
fn assert_named(cases: &[(&str, &[&str])]) {
    for (toml, expected) in cases {
        let error = with_required(toml, &[]).expect_err(toml);
        for part in expected.iter().chain(&["test.toml"]) {
            assert!(error.contains(part), "{toml:?}: {part:?} is missing in: {error}");
        }
        assert!(!error.contains('\n'), "one line: {error}");
    }
}

#[test]
fn tables_of_a_section_and_rules_are_set_by_variables_too() {
    let config = with_required(
        "[grpc.tls]\ncertificate_file = 'a.pem'\nkey_file = 'a.key'",
        &[
            ("COUNTERSIGN__GRPC__TLS__CERTIFICATE_FILE", "b.pem"),
            ("COUNTERSIGN__GRPC__TLS__CLIENT_CA_FILE", "ca.pem"),
            ("COUNTERSIGN__GRPC__TLS__CLIENT_CERTIFICATES", "required"),
            ("COUNTERSIGN__GRPC__ALLOW", r#"[{ methods = ["*"], sans = ["dns:a", "dns:b"] }]"#),
        ],
    )
    .unwrap();
    assert_eq!(config.grpc.tls.certificate_file, Path::new("b.pem"));
    assert_eq!(config.grpc.tls.key_file, Path::new("a.key"), "the rest of the table stays");
    assert_eq!(config.grpc.allow[0].sans, ["dns:a", "dns:b"]);
    assert!(config.grpc.tls.is_enabled() && !config.edge.tls.is_enabled());
    for bad in ["[{ methods = ", "[{ sans = ['*'] }]", "countersign.v1.AuthService/Login"] {
        let error = with_required("", &[("COUNTERSIGN__GRPC__ALLOW", bad)]).unwrap_err();
        assert!(error.contains("grpc.allow") && error.contains("COUNTERSIGN__GRPC__ALLOW"), "{bad}: {error}");
    }
}

#[test]
fn a_table_of_classes_is_set_by_a_file_or_by_one_variable() {
    let file = "[sessions.limits]\nweb = 1\nmobile = 2";
    let config = with_required(file, &[]).unwrap();
    assert_eq!(config.sessions.limits, [("mobile".to_owned(), 2), ("web".to_owned(), 1)].into());
    let variable = |text| with_required(file, &[("COUNTERSIGN__SESSIONS__LIMITS", text)]);
    let config = variable(" tv=3, web = 0,").unwrap();
    assert_eq!((config.sessions.limits["tv"], config.sessions.limits["web"]), (3, 0));
    for bad in ["web", "web=x", "web=1=2", "web:1"] {
        let error = variable(bad).unwrap_err();
        let parts = ["sessions.limits", "COUNTERSIGN__SESSIONS__LIMITS", "name=1,other=2"];
        assert!(parts.iter().all(|part| error.contains(part)), "{bad}: {error}");
    }
    let many = (0..17).map(|number| format!("c{number} = 1")).collect::<Vec<_>>().join("\n");
    assert_named(&[
        ("[sessions.limits]\nWeb = 1", &["sessions.limits", "\"Web\" is not 1 to 32 of a-z 0-9 _ -"]),
        ("[sessions.limits]\nweb = 10001", &["sessions.limits", "10001 is not between 0 and 10000"]),
        ("[sessions.limits]\nweb = '1'", &["sessions.limits.web", "must be a number, not a string"]),
        ("[sessions]\nlimits = 1", &["sessions.limits", "must be a table, not a number"]),
        ("[sessions.limit]\nweb = 1", &["sessions.limit", "did you mean"]),
        (&format!("[sessions.limits]\n{many}"), &["sessions.limits", "more than 16 classes"]),
    ]);
}

#[test]
fn a_bad_variable_is_named() {
    let cases = [
        ("COUNTERSIGN__GRPC__MAX_CONNECTIONS", "many", "\"many\" is not a whole number"),
        ("COUNTERSIGN__GRPC__REFLECTION", "yes", "\"yes\" is neither true nor false"),
        ("COUNTERSIGN__GRPC__LISTEN", "nowhere", "IP address"),
        ("COUNTERSIGN__TOKENS__AUDIENCES", "a,,b", "must not be empty"),
        ("COUNTERSIGN__LOG__FORMAT", "xml", "none of json, text"),
        ("COUNTERSIGN__GRPC__LISSEN", "x", "no such key"),
        ("COUNTERSIGN__LISTEN", "x", "no such key"),
        ("COUNTERSIGN__grpc__listen", "127.0.0.1:1", "did you mean grpc.listen?"),
        ("COUNTERSIGN__", "", "no such key"),
        ("COUNTERSIGN__REDIS__URI", "redis://u:s3cret@h", "no such key"),
        ("COUNTERSIGN__TOKENS__ISSUER_FILE", "/run/x", "no such key"),
    ];
    for (name, value, expected) in cases {
        let error = with_required("", &[(name, value)]).expect_err(name);
        assert!(error.contains(name) && error.contains(expected), "{name}={value}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn a_bad_flag_is_named() {
    let flag = Override { key: "log.level", flag: "--log-level", value: "a=b=c".to_owned() };
    let error = Config::load_dev(Path::new("data"), [], &[flag]).unwrap_err().to_string();
    assert!(error.starts_with("log.level: ") && error.ends_with("(from --log-level)"), "{error}");
}

#[test]
fn what_has_no_default_is_asked_for_with_every_way_to_give_it() {
    let error = load("[keys]\ndirectory = 'k'", &[]).unwrap_err();
    for part in
        ["database.url: is required", "COUNTERSIGN__DATABASE__URL,", "COUNTERSIGN__DATABASE__URL_FILE"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = load("[database]\nurl = 'sqlite:c.db'", &[]).unwrap_err();
    assert!(error.contains("keys.directory: is required") && !error.contains("_FILE"), "{error}");
    let error = with_required("[keys]\nstore = 'database'", &[]).unwrap_err();
    assert!(error.contains("keys.encryption_key: is required") && error.contains("KEY_FILE"), "{error}");
    let error = with_required("[captcha]\nmode = 'always'", &[]).unwrap_err();
    assert!(error.contains("captcha.verify_url: is required"), "{error}");
    let error =
        with_required("[captcha]\nmode = 'always'\nverify_url = 'https://c.example/'", &[]).unwrap_err();
    assert!(error.contains("captcha.secret: is required") && error.contains("SECRET_FILE"), "{error}");
}

#[test]
fn the_configuration_file_must_be_there_and_readable() {
    let directory = TempDir::new().unwrap();
    for path in [directory.path().join("absent.toml"), directory.path().to_owned()] {
        let error = Config::load(Some(&path), [], &[]).unwrap_err();
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert!(std::error::Error::source(&error).is_some(), "with the system's reason");
    }
    let large = write(&directory, "large.toml", "#".repeat(1024 * 1024 + 1));
    let error = Config::load(Some(&large), [], &[]).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("larger"), "{error}");
}

#[test]
fn a_secret_is_read_from_the_file_that_a_key_or_a_variable_names() {
    let directory = TempDir::new().unwrap();
    for (content, url) in [
        ("sqlite:///s/a.db", "sqlite:///s/a.db"),
        ("sqlite:///s/a.db\n", "sqlite:///s/a.db"),
        ("sqlite:///s/a.db\r\n", "sqlite:///s/a.db"),
        ("sqlite:///s/a.db\n\n", "sqlite:///s/a.db\n"),
    ] {
        let file = write(&directory, "url", content);
        let file = file.to_str().unwrap();
        let by_variable = [("COUNTERSIGN__DATABASE__URL_FILE", file)];
        let config = load("[keys]\ndirectory = 'k'", &by_variable).unwrap();
        assert_eq!(config.database.url.expose_secret(), url);

        let by_key = load(&format!("[keys]\ndirectory = 'k'\n[database]\nurl_file = '{file}'"), &[]).unwrap();
        assert_eq!(by_key.database.url.expose_secret(), url);

        let over_the_file = load(REQUIRED, &by_variable).unwrap();
        assert_eq!(over_the_file.database.url.expose_secret(), url, "the environment overrides the file");
    }
    let below = format!(
        "[keys]\ndirectory = 'k'\n[database]\nurl_file = '{}'",
        directory.path().join("url").display()
    );
    let config = load(&below, &[("COUNTERSIGN__DATABASE__URL", "sqlite:///v/a.db")]).unwrap();
    assert_eq!(config.database.url.expose_secret(), "sqlite:///v/a.db");
}

#[test]
fn a_secret_file_that_cannot_be_used_is_named_with_its_key() {
    let directory = TempDir::new().unwrap();
    let files = [
        (directory.path().join("absent"), "cannot be read"),
        (write(&directory, "empty", "\n"), "is empty"),
        (write(&directory, "large", "s3cret".repeat(11_000)), "is larger than 65536 bytes"),
        (write(&directory, "binary", b"\xFFs3cret"), "is not UTF-8"),
    ];
    for (file, expected) in files {
        let file = file.to_str().unwrap();
        let by_variable = with_file_variable(file);
        let by_key = load(&format!("[database]\nurl_file = '{file}'"), &[]).unwrap_err();
        for error in [&by_variable, &by_key] {
            assert!(error.starts_with("database.url: ") && error.contains(file), "{error}");
            assert!(error.contains(expected) && !error.contains("s3cret"), "{error}");
        }
        assert!(by_variable.contains("COUNTERSIGN__DATABASE__URL_FILE"), "{by_variable}");
        assert!(by_key.contains("database.url_file in ") && by_key.contains("test.toml"), "{by_key}");
    }
    let wrong_inside = write(&directory, "url", "s3cret://h");
    let error = with_file_variable(wrong_inside.to_str().unwrap());
    assert!(error.contains("COUNTERSIGN__DATABASE__URL_FILE") && !error.contains("s3cret"), "{error}");
}

fn with_file_variable(file: &str) -> String {
    load("[keys]\ndirectory = 'k'", &[("COUNTERSIGN__DATABASE__URL_FILE", file)]).unwrap_err()
}

#[test]
fn a_secret_by_value_and_by_file_at_once_is_an_error() {
    let error = load("[database]\nurl = 's3cret'\nurl_file = '/run/x'", &[]).unwrap_err();
    for part in ["database.url: given twice", "url_file", "test.toml"] {
        assert!(error.contains(part) && !error.contains("s3cret"), "{error}");
    }
    let both =
        [("COUNTERSIGN__DATABASE__URL", "s3cret"), ("COUNTERSIGN__DATABASE__URL_FILE", "/run/secrets/x")];
    let error = load("", &both).unwrap_err();
    for part in ["given twice", "COUNTERSIGN__DATABASE__URL and", "COUNTERSIGN__DATABASE__URL_FILE"] {
        assert!(error.contains(part) && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn no_error_shows_the_value_of_a_secret() {
    for toml in [
        "[database]\nurl = s3cret://h",
        "[database]\nurl = 's3cret",
        "[database]\nurl = 's3cret' 'x'",
        "[database]\nurl = ['s3cret']",
        "[database]\nurl = 's3cret'",
        "[database]\nurl = { s3cret = 's3cret' }",
        "[database]\nurl_file = ['s3cret']",
        "[database]\nurl = '''\ns3cret",
    ] {
        let error = load(toml, &[]).expect_err(toml);
        assert!(!error.contains("s3cret"), "{toml:?}: {error}");
    }
}

#[test]
fn dev_keeps_everything_in_one_directory_and_is_still_configured_by_the_environment() {
    let config = Config::dev(Path::new("data/")).unwrap();
    assert_eq!(config.database.location(), Ok(DatabaseLocation::Sqlite("data/countersign.db".into())));
    assert_eq!(config.keys.directory, Path::new("data/keys"));
    assert_eq!(config.log.format, LogFormat::Text);
    assert!(config.grpc.reflection && config.create_missing_keys());
    assert!(config.grpc.listen.ip().is_loopback() && config.operations.listen.ip().is_loopback());

    let absolute = Config::dev(Path::new("/srv/data")).unwrap();
    assert_eq!(absolute.database.location(), Ok(DatabaseLocation::Sqlite("/srv/data/countersign.db".into())));

    let environment = variables(&[("COUNTERSIGN__GRPC__LISTEN", "127.0.0.1:7")]);
    assert_eq!(Config::load_dev(Path::new("d"), environment, &[]).unwrap().grpc.listen.port(), 7);
    assert!(Config::dev(Path::new("")).is_err());
}

#[test]
fn what_is_printed_loads_again_and_shows_no_secret() {
    let config = with_required("[tokens]\naudiences = ['a', 'b']\naccess_ttl = '90s'", &[]).unwrap();
    let printed = config.to_toml().unwrap();
    assert!(printed.contains("url = \"(redacted)\"") && !printed.contains("c.db"), "{printed}");

    let error = load(&printed, &[]).unwrap_err();
    assert!(error.starts_with("database.url: "), "what is redacted is not taken for a value: {error}");
    let again = load(&printed, &[("COUNTERSIGN__DATABASE__URL", "sqlite:///d/c.db")]).unwrap();
    assert_eq!(again.to_toml().unwrap(), printed);
    assert_eq!(again.tokens.access_ttl, Duration::from_secs(90));
}

/// `section.key` with its value, of every key in a document, those of tables in a section too.
fn entries(document: &toml::Table) -> Vec<(String, toml::Value)> {
    let of = |(key, value): (&String, &toml::Value)| match value {
        toml::Value::Table(keys) => {
            entries(keys).into_iter().map(|(inner, value)| (format!("{key}.{inner}"), value)).collect()
        }
        _ => vec![(key.clone(), value.clone())],
    };
    document.iter().flat_map(of).collect()
}

#[test]
fn the_example_loads_and_shows_every_key_with_its_default() {
    let config = Config::load(Some(Path::new(EXAMPLE)), [], &[]).unwrap();
    let required = BTreeSet::from(["database.url".to_owned(), "keys.directory".to_owned()]);
    let defaults: toml::Table = Config::default().to_toml().unwrap().parse().unwrap();
    let loaded: toml::Table = config.to_toml().unwrap().parse().unwrap();
    let differing: BTreeSet<String> = entries(&defaults)
        .into_iter()
        .zip(entries(&loaded))
        .filter(|(default, loaded)| default != loaded)
        .map(|((key, _), _)| key)
        .collect();
    assert_eq!(differing, required, "only what has no default differs from it");

    let text = std::fs::read_to_string(EXAMPLE).unwrap();
    let written: BTreeSet<String> = entries(&text.parse().unwrap()).into_iter().map(|(key, _)| key).collect();
    let known: BTreeSet<String> = entries(&defaults).into_iter().map(|(key, _)| key).collect();
    assert_eq!(written, known);
}

/// The documentation of each field is where people look for its variable.
#[test]
fn every_field_names_its_variable() {
    let defaults: toml::Table = Config::default().to_toml().unwrap().parse().unwrap();
    for (key, _) in entries(&defaults) {
        let parts: Vec<_> = key.split('.').collect();
        let section = parts[parts.len() - 2];
        let source = format!("{}/src/config/{section}.rs", env!("CARGO_MANIFEST_DIR"));
        let variable = format!("`COUNTERSIGN__{}`", key.replace('.', "__").to_uppercase());
        let text = std::fs::read_to_string(&source).unwrap();
        assert!(text.contains(&variable), "{source} does not name {variable}");
    }
}
