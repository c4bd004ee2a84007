//! Files as Windows' editors and shells write them: with a byte order mark, with CRLF, or in UTF-16. What is text is
//! read as it looks; what cannot be is refused by its name, and never taken byte for byte.

use std::path::{Path, PathBuf};

use countersign::config::Config;
use countersign_verifier::client::{AuthClient, CallOptions, ClientTls, Server};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use crate::support::cli::{Outcome, check, run, run_with_input};
use crate::support::client::Client;
use crate::support::process::Dev;
use crate::support::tls::Authority;

const MARK: &str = "\u{feff}";

/// What `>` of Windows' shell writes.
fn utf16(text: &str) -> Vec<u8> {
    format!("{MARK}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn write(directory: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_logs_in_with_the_password_that_is_seen_in_its_file() {
    const PASSWORD: &str = "a long enough pässword";
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dev = Dev::start(data.path());
    let mut client = Client::connect(dev.grpc);
    for (number, content) in
        [format!("{MARK}{PASSWORD}"), format!("{MARK}{PASSWORD}\r\n"), format!("{PASSWORD}\r\n")]
            .iter()
            .enumerate()
    {
        let file = write(&files, "password", content);
        for (how, input) in
            [(&["--password-file", text(&file)][..], &b""[..]), (&["--password-stdin"], content.as_bytes())]
        {
            let user = format!("user{number}{}", how.len());
            let arguments = [&["user", "create", &user, "--data-dir", text(data.path())], how].concat();
            let created = run_with_input(&arguments, &[], input);
            assert_eq!(created.code, 0, "{content:?} {how:?}: {}", created.err);
            let login = client.login(&user, PASSWORD).await;
            assert!(login.is_ok(), "{content:?} {how:?}: {:?}", login.err());
        }
    }
    for (content, what) in [
        (utf16(PASSWORD), "is UTF-16 text, as Windows PowerShell writes it: save it as UTF-8"),
        (utf16(PASSWORD)[2..].to_vec(), "NUL byte"),
        (b"caf\xe9 caf\xe9 caf\xe9".to_vec(), "is not UTF-8"),
    ] {
        let file = write(&files, "password", &content);
        let set = ["user", "set-password", "admin", "--data-dir", text(data.path())];
        let from_file = run(&[&set[..], &["--password-file", text(&file)]].concat(), &[]);
        let from_input = run_with_input(&[&set[..], &["--password-stdin"]].concat(), &[], &content);
        for Outcome { code, err, .. } in [from_file, from_input] {
            assert_eq!((code, err.lines().count()), (2, 1), "{err}");
            assert!(err.contains(what) && !err.contains("caf"), "{err}");
        }
    }
}

#[test]
fn every_secret_is_read_from_its_file_as_it_is_seen_there() {
    let files = tempfile::tempdir().unwrap();
    let line = "gateway at-least-16-characters\r\norders another-secret-of-orders billing";
    let secrets = [
        ("DATABASE__URL", "sqlite:test.db"),
        ("REDIS__URL", "redis://ada:p@cache/1"),
        ("REDIS__SENTINEL_PASSWORD", "of the Sentinels"),
        ("CAPTCHA__SECRET", "of the captcha"),
        ("EDGE__CLIENTS", line),
    ];
    for (head, tail) in [(MARK, ""), (MARK, "\n"), (MARK, "\r\n"), ("", "\r\n")] {
        let mut variables = vec![("COUNTERSIGN__KEYS__DIRECTORY".to_owned(), "keys".to_owned())];
        let mut values = variables.clone();
        for (key, value) in secrets {
            let content = format!("{head}{value}{tail}");
            let file = write(&files, key, &content);
            variables.push((format!("COUNTERSIGN__{key}_FILE"), text(&file).to_owned()));
            values.push((format!("COUNTERSIGN__{key}"), content));
        }
        for environment in [variables, values] {
            let config = Config::load(None, environment, &[]).unwrap();
            let read = [
                &config.database.url,
                &config.redis.url,
                &config.redis.sentinel_password,
                &config.captcha.secret,
                &config.edge.clients,
            ];
            for (read, (key, value)) in read.into_iter().zip(secrets) {
                assert_eq!(read.expose_secret(), value, "{key} {head:?} {tail:?}");
            }
            let clients: Vec<_> =
                config.edge.clients().unwrap().into_iter().map(|client| client.id).collect();
            assert_eq!(clients, ["gateway", "orders"]);
        }
    }
    for (key, value) in secrets {
        let file = write(&files, key, utf16(value));
        let variable = format!("COUNTERSIGN__{key}_FILE");
        let mut variables = vec![(variable.as_str(), text(&file)), ("COUNTERSIGN__KEYS__DIRECTORY", "keys")];
        if key != "DATABASE__URL" {
            variables.push(("COUNTERSIGN__DATABASE__URL", "sqlite:test.db"));
        }
        let refused = run(&["config", "check"], &variables);
        assert_eq!(refused.code, 2, "{key}");
        assert!(refused.err.contains("is UTF-16 text") && refused.err.contains(key), "{}", refused.err);
    }
}

#[test]
fn a_configuration_file_is_read_with_a_mark_and_refused_in_utf_16() {
    let files = tempfile::tempdir().unwrap();
    let toml = "[database]\r\nurl = \"sqlite:test.db\"\r\n[keys]\r\ndirectory = \"keys\"\r\n";
    let marked = write(&files, "marked.toml", format!("{MARK}{toml}"));
    let checked = run(&["config", "check", "--config", text(&marked)], &[]);
    assert_eq!((checked.code, checked.err.as_str()), (0, ""));
    let wide = write(&files, "wide.toml", utf16(toml));
    let checked = run(&["config", "check", "--config", text(&wide)], &[]);
    assert_eq!(checked.code, 2);
    assert!(checked.err.contains("is UTF-16 text"), "{}", checked.err);
}

#[test]
fn claims_are_read_with_a_mark_and_refused_in_utf_16() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let _dev = Dev::start(data.path());
    let set = |content: &[u8]| {
        let file = write(&files, "claims.json", content);
        let file = text(&file);
        run(&["user", "set-claims", "admin", "--claims-file", file, "--data-dir", text(data.path())], &[])
    };
    let marked = set(format!("{MARK}{{\"tenant\":\"acme\"}}\r\n").as_bytes());
    assert_eq!(marked.code, 0, "{}", marked.err);
    let wide = set(&utf16("{}"));
    assert_eq!(wide.code, 2);
    assert!(wide.err.contains("is UTF-16 text"), "{}", wide.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_keys_are_read_with_a_mark() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let authority = Authority::new();
    let server = authority.issue(&["localhost"]);
    let client = authority.issue(&["spiffe://example.org/web"]);
    // Where its first block were passed over, this file would hold nothing.
    let marked = |name: &str, pem: &str| write(&files, name, format!("{MARK}{}", pem.replace('\n', "\r\n")));
    let [certificate, key] = [marked("s.pem", &server.certificate), marked("s.key", &server.key)];
    let [client_certificate, client_key] =
        [marked("c.pem", &client.certificate), marked("c.key", &client.key)];
    let ca = marked("ca.pem", &authority.pem);
    let dev = Dev::start_with_env(
        data.path(),
        &[
            ("COUNTERSIGN__OPERATIONS__TLS__CERTIFICATE_FILE", text(&certificate)),
            ("COUNTERSIGN__OPERATIONS__TLS__KEY_FILE", text(&key)),
            ("COUNTERSIGN__OPERATIONS__TLS__CLIENT_CA_FILE", text(&ca)),
            ("COUNTERSIGN__OPERATIONS__TLS__CLIENT_CERTIFICATES", "required"),
        ],
    );
    let url = format!("https://localhost:{}/readyz", dev.operations.port());
    let asked = [
        ["healthcheck", "--url", &url],
        ["--ca-file", text(&ca), "--certificate-file"],
        [text(&client_certificate), "--key-file", text(&client_key)],
    ];
    let healthy = run(&asked.concat(), &[]);
    assert_eq!(healthy.code, 0, "{}", healthy.err);

    // The authorities of the captcha's verifier and of Redis, and those of a service that verifies in its own process.
    let checked = check(&[
        ("COUNTERSIGN__CAPTCHA__MODE", "always"),
        ("COUNTERSIGN__CAPTCHA__SECRET", "s"),
        ("COUNTERSIGN__CAPTCHA__VERIFY_URL", "https://captcha.example/"),
        ("COUNTERSIGN__CAPTCHA__CA_FILE", text(&ca)),
        ("COUNTERSIGN__REDIS__URL", "rediss://cache"),
        ("COUNTERSIGN__REDIS__CA_FILE", text(&ca)),
    ]);
    assert_eq!((checked.code, checked.err.as_str()), (0, ""));
    let data = tempfile::tempdir().unwrap();
    let grpc = Dev::start_with_env(
        data.path(),
        &[
            ("COUNTERSIGN__GRPC__TLS__CERTIFICATE_FILE", text(&certificate)),
            ("COUNTERSIGN__GRPC__TLS__KEY_FILE", text(&key)),
            ("COUNTERSIGN__GRPC__TLS__CLIENT_CA_FILE", text(&ca)),
            ("COUNTERSIGN__GRPC__TLS__CLIENT_CERTIFICATES", "required"),
        ],
    );
    let tls =
        ClientTls { ca_file: ca, certificate: Some((client_certificate, client_key)), server_name: None };
    let server = Server::with_tls(&format!("https://localhost:{}", grpc.grpc.port()), tls).unwrap();
    let auth = AuthClient::new(server.channel(), CallOptions::default());
    auth.login("admin", &grpc.password().unwrap(), &[]).await.unwrap();
}

#[test]
fn keys_are_read_with_a_mark_and_refused_in_utf_16() {
    let data = tempfile::tempdir().unwrap();
    assert_eq!(Dev::start(data.path()).terminate(), Some(0));
    let list = || run(&["key", "list", "--data-dir", text(data.path())], &[]);
    let before = list();
    for kind in ["signing", "refresh"] {
        let folder = data.path().join("keys").join(kind);
        let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
        let pem = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{MARK}{}", pem.replace('\n', "\r\n"))).unwrap();
        let after = list();
        assert_eq!((after.code, &after.out), (0, &before.out), "{kind}: {}", after.err);
        std::fs::write(&file, utf16(&pem)).unwrap();
        let wide = list();
        assert!(wide.code == 1 && wide.err.contains("UTF-16 text"), "{kind}: {}", wide.err);
        std::fs::write(&file, pem).unwrap();
    }
}

/// The drivers of databases read these by themselves, and pass over a block that has a mark before it.
#[test]
fn what_a_driver_reads_by_itself_is_refused_with_a_mark() {
    let files = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let plain = write(&files, "plain.pem", &authority.pem);
    let marked = write(&files, "marked.pem", format!("{MARK}{}", authority.pem));
    let wide = write(&files, "wide.pem", utf16(&authority.pem));
    let absent = files.path().join("absent.pem");
    let keys = tempfile::tempdir().unwrap();
    let directory = keys.path().join("keys");
    let checked = |url: &str| {
        let variables =
            [("COUNTERSIGN__DATABASE__URL", url), ("COUNTERSIGN__KEYS__DIRECTORY", text(&directory))];
        run(&["key", "init"], &variables);
        check(&variables)
    };
    for (base, parameter) in [
        ("postgres://h/d?sslmode=verify-full", "sslrootcert"),
        ("postgres://h/d?sslmode=verify-full", "ssl-cert"),
        ("mysql://h/d?ssl-mode=VERIFY_CA", "ssl-ca"),
        ("mysql://h/d?ssl-mode=VERIFY_CA", "sslkey"),
    ] {
        let with = |file: &Path| checked(&format!("{base}&{parameter}={}", file.display()));
        assert_eq!(with(&plain).code, 0, "{}", with(&plain).err);
        for (file, what) in
            [(&marked, "begins with a byte order mark"), (&wide, "is UTF-16 text"), (&absent, "No such file")]
        {
            let Outcome { code, err, .. } = with(file);
            assert_eq!(code, 2, "{parameter}: {err}");
            assert!(err.starts_with("error: database.url: ") && err.contains(text(file)), "{err}");
            assert!(err.contains(what), "{err}");
        }
    }
    let refused =
        check(&[("COUNTERSIGN__REDIS__URL", "rediss://h"), ("COUNTERSIGN__REDIS__CA_FILE", text(&wide))]);
    assert!(refused.code == 2 && refused.err.contains("redis.ca_file"), "{}", refused.err);
    assert!(refused.err.contains("is UTF-16 text"), "{}", refused.err);
}
