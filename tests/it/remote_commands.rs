//! The commands for users, sessions and service accounts with `--server`: at a running service, over gRPC, as from another
//! machine, which has neither its configuration nor its stores.

use std::path::Path;

use countersign::grpc::proto::v1::InvalidReason;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::cli::{Outcome, on_data, run_with_input, service_key};
use crate::support::client::{Client, Verified};
use crate::support::process::Dev;
use crate::support::tls::Authority;

const PASSWORD: &str = "correct horse battery";

/// A machine that knows a service and somebody who may administer it, and nothing else.
struct Machine {
    server: String,
    /// Holds `token`.
    files: TempDir,
}

impl Machine {
    fn new(server: String, token: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("token"), format!("{token}\n")).unwrap();
        Self { server, files }
    }

    fn outcome(&self, arguments: &[&str], input: &str) -> Outcome {
        let token = self.files.path().join("token");
        let mut all = arguments.to_vec();
        all.extend(["--server", &self.server, "--token-file", token.to_str().unwrap()]);
        run_with_input(&all, &[], input.as_bytes())
    }

    /// What a command printed, which must succeed and complain of nothing.
    #[track_caller]
    fn run(&self, arguments: &str, input: &str) -> String {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let Outcome { code, out, err } = self.outcome(&arguments, input);
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
        out
    }

    /// Why a command failed.
    #[track_caller]
    fn refused(&self, arguments: &str) -> String {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let Outcome { code, out, err } = self.outcome(&arguments, PASSWORD);
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}: {err}");
        err
    }
}

/// `dev`, and a machine that has a service key with these roles.
fn with_key(data: &Path, roles: &[&str]) -> (Dev, Machine) {
    let dev = Dev::start(data);
    let key = service_key(|arguments| on_data(data, arguments, ""), roles);
    let machine = Machine::new(format!("http://{}", dev.grpc), &key);
    (dev, machine)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_administered_from_another_machine_from_first_to_last() {
    let data = tempfile::tempdir().unwrap();
    let (dev, machine) = with_key(data.path(), &["countersign:users", "countersign:sessions"]);
    let mut client = Client::connect(dev.grpc);

    let create =
        "user create ada --role editor --external-id 42 --claims {\"tenant\":\"acme\"} --password-stdin";
    let created = machine.run(create, PASSWORD);
    assert!(created.starts_with("ada is created, with the id "), "{created}");
    let shown: Value = serde_json::from_str(&machine.run("user show ada --json", "")).unwrap();
    assert_eq!(shown["external_id"], "42");
    assert_eq!(shown["claims"]["tenant"], "acme");
    let here = ["user", "show", "ada", "--json", "--data-dir", data.path().to_str().unwrap()];
    assert_eq!(
        serde_json::from_str::<Value>(&run_with_input(&here, &[], b"").out).unwrap(),
        shown,
        "the same here and there"
    );
    let listed = machine.run("user list", "");
    assert!(listed.contains(" ada ") && listed.contains(" admin "), "{listed}");

    let said = machine.run("user set-roles ada --role ops --role editor", "");
    assert_eq!(
        said,
        "ada has other roles from their next refresh on; access tokens that they have say the old ones until they expire\n"
    );
    machine.run("user set-claims ada --claims {\"tenant\":\"other\"}", "");
    machine.run("user set-external-id ada --none", "");
    let shown = machine.run("user show ada", "");
    assert!(shown.contains("roles     editor,ops\n") && shown.contains("external  -\n"), "{shown}");
    assert!(shown.contains(r#"{"tenant":"other"}"#), "{shown}");

    let [first, second] =
        [client.login("ada", PASSWORD).await.unwrap(), client.login("ada", PASSWORD).await.unwrap()];
    let sessions = machine.run("session list ada --json", "");
    let ids: Vec<String> = sessions
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 2, "{sessions}");
    let said = machine.run(&format!("session revoke ada {}", ids[1]), "");
    let position = position_in(&said, "ada: 1 session is over; ");
    let invalid = client.verify_at_least(&first.access_token, &position).await.unwrap();
    assert!(matches!(invalid, Verified::Invalid(InvalidReason::Revoked)), "{invalid:?}");
    assert!(matches!(client.verify(&second.access_token).await.unwrap(), Verified::As { .. }));
    let explained = machine.run(&format!("session explain ada {}", ids[1]), "");
    assert!(explained.starts_with("REVOKED: REVOKED_BY_ADMINISTRATOR by service:"), "{explained}");
    assert_eq!(machine.run(&format!("session explain ada {}", ids[0]), ""), "ALIVE\n");

    let said = machine.run("user set-password ada --password-stdin", "another long password");
    let position = position_in(&said, "ada has another password; all their sessions are over: ");
    let invalid = client.verify_at_least(&second.access_token, &position).await.unwrap();
    assert!(matches!(invalid, Verified::Invalid(InvalidReason::Revoked)), "{invalid:?}");
    let said = machine.run("user reset-link ada --ttl 10m --url https://app.example.com/reset#", "");
    let token =
        said.lines().last().unwrap().strip_prefix("https://app.example.com/reset#").unwrap().to_owned();
    client.reset_password(&token, PASSWORD).await.unwrap();
    client.login("ada", PASSWORD).await.unwrap();
    assert!(machine.run("session revoke ada --all", "").starts_with("ada: 1 session is over; "));

    position_in(&machine.run("user disable ada", ""), "ada is disabled; all their sessions are over: ");
    assert_eq!(client.login("ada", PASSWORD).await.unwrap_err().reason, "INVALID_CREDENTIALS");
    assert_eq!(machine.run("user enable ada", ""), "ada is enabled\n");
    client.login("ada", PASSWORD).await.unwrap();
    position_in(&machine.run("user delete ada", ""), "ada is deleted; all their sessions are over: ");
    let gone = machine.refused("user show ada");
    assert!(gone.contains("USER_NOT_FOUND"), "{gone}");
}

/// The position that a command told after these words, and says what it is good for.
#[track_caller]
fn position_in(said: &str, begin: &str) -> String {
    let rest = said.strip_prefix(begin).unwrap_or_else(|| panic!("{said}"));
    let position = rest.strip_prefix("whoever asks with at_least ").and_then(|rest| rest.split(' ').next());
    position.unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_accounts_are_administered_from_another_machine() {
    let data = tempfile::tempdir().unwrap();
    let (_dev, machine) = with_key(data.path(), &["countersign:admin"]);
    let created =
        machine.run("service-account create till --role countersign:auditor --description tills", "");
    assert!(created.starts_with("till is created, with the id "), "{created}");
    let made = machine.run("service-account key create till --ttl 1h --label till-7 --json", "");
    let made: Value = serde_json::from_str(&made).unwrap();
    let till = Machine::new(machine.server.clone(), made["secret"].as_str().unwrap());
    assert!(till.run("user list", "").contains("admin"));
    let refused = till.refused("user create ada --password-stdin");
    assert!(refused.contains("CALLER_NOT_ALLOWED"), "{refused}");

    machine.run("service-account set-roles till --role countersign:users", "");
    till.run("user create ada --password-stdin", PASSWORD);
    machine.run("service-account disable till", "");
    let refused = till.refused("user list");
    assert!(refused.contains("SERVICE_KEY_INVALID"), "{refused}");
    machine.run("service-account enable till", "");
    till.run("user list", "");
    let keys = machine.run("service-account key list till", "");
    assert!(keys.contains("till-7") && keys.contains(made["id"].as_str().unwrap()), "{keys}");
    machine.run(&format!("service-account key revoke till {}", made["id"].as_str().unwrap()), "");
    till.refused("user list");
    assert!(machine.run("service-account list", "").contains(" till "));
    assert!(machine.run("service-account show till --json", "").contains("\"description\":\"tills\""));
    machine.run("service-account delete till", "");
    let gone = machine.refused("service-account show till");
    assert!(gone.contains("SERVICE_ACCOUNT_NOT_FOUND"), "{gone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_asked_is_said_in_one_line() {
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let password = dev.password().unwrap();
    let server = format!("http://{}", dev.grpc);
    let tokens = Client::connect(dev.grpc).login("admin", &password).await.unwrap();

    // An access token is as good as a service key, from the environment and from standard input too.
    let list = ["user", "list", "--server", &server];
    let of_environment = run_with_input(&list, &[("COUNTERSIGN_TOKEN", &tokens.access_token)], b"");
    assert_eq!(of_environment.code, 0, "{}", of_environment.err);
    let from_input = ["user", "list", "--server", &server, "--token-file", "-"];
    assert_eq!(run_with_input(&from_input, &[], tokens.access_token.as_bytes()).code, 0);

    for (token, expected) in [
        ("", "(TOKEN_MISSING); say who asks with --token-file"),
        (tokens.refresh_token.as_str(), "(ACCESS_TOKEN_INVALID)"),
        ("csgn_sk_mistyped", "(SERVICE_KEY_INVALID)"),
        ("two\nlines", "neither a service key nor an access token"),
    ] {
        let Outcome { code, out, err } = run_with_input(&list, &[("COUNTERSIGN_TOKEN", token)], b"");
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(err.contains(expected), "{token}: {err}");
        assert!(token.is_empty() || !err.contains(token), "{err}");
    }
    let short = run_with_input(
        &["user", "create", "ada", "--password-stdin", "--server", &server],
        &[("COUNTERSIGN_TOKEN", &tokens.access_token)],
        b"short",
    );
    assert!(short.err.contains("PASSWORD_REJECTED") && short.err.lines().count() == 1, "{}", short.err);
    assert_eq!(dev.terminate(), Some(0));
    let gone = run_with_input(&list, &[("COUNTERSIGN_TOKEN", &tokens.access_token)], b"");
    assert_eq!(gone.code, 1);
    assert!(gone.err.starts_with("error: cannot connect\n"), "{}", gone.err);
}

/// With a certificate that a rule names, no token is needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_says_who_asks() {
    let authority = Authority::new();
    let files = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.issue(&["localhost"]).write(files.path(), "server");
    let (own_certificate, own_key) = authority.issue(&["console.example.com"]).write(files.path(), "console");
    let ca = files.path().join("ca.pem");
    std::fs::write(&ca, &authority.pem).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let rules = r#"[{ sans = ["dns:console.example.com"], methods = ["countersign.v1.UserService/*"] }]"#;
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start_with_env(
        data.path(),
        &[
            ("COUNTERSIGN__GRPC__TLS__CERTIFICATE_FILE", &text(&certificate)),
            ("COUNTERSIGN__GRPC__TLS__KEY_FILE", &text(&key)),
            ("COUNTERSIGN__GRPC__TLS__CLIENT_CA_FILE", &text(&ca)),
            ("COUNTERSIGN__GRPC__TLS__CLIENT_CERTIFICATES", "required"),
            ("COUNTERSIGN__GRPC__ALLOW", rules),
        ],
    );
    let server = format!("https://localhost:{}", dev.grpc.port());
    let (ca, own_certificate, own_key) = (text(&ca), text(&own_certificate), text(&own_key));
    let mut list = vec!["user", "list", "--server", &server, "--ca-file", &ca];
    let strangers = run_with_input(&list, &[], b"");
    assert_eq!(strangers.code, 1, "{}", strangers.out);
    list.extend(["--certificate-file", &own_certificate, "--key-file", &own_key]);
    let Outcome { code, out, err } = run_with_input(&list, &[], b"");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains(" admin "), "{out}");
}
