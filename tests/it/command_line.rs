//! The command line, as the real binary answers it.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it set it up")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/countersign.example.toml");

/// The binary with these arguments, and of this process's environment only what is named.
fn countersign(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    read(countersign(arguments).output().unwrap())
}

fn read(Output { status, stdout, stderr }: Output) -> (i32, String, String) {
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn help_and_version_are_told_on_standard_output() {
    let (code, out, err) = run(&["--help"]);
    assert_eq!((code, err.as_str()), (0, ""));
    for command in [
        "dev",
        "serve",
        "test-server",
        "migrate",
        "user",
        "key",
        "config",
        "healthcheck",
        "login-check",
        "completions",
    ] {
        assert!(out.contains(&format!("\n  {command} ")), "{command}: {out}");
        assert_eq!(run(&[command, "--help"]).0, 0, "{command} --help");
    }
    assert_eq!(run(&["--version"]).1, format!("countersign {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_command_line_that_cannot_be_understood_exits_with_2() {
    for arguments in [
        &[][..],
        &["unknown"],
        &["serve", "--port", "1"],
        &["serve", "--grpc-listen", "nowhere"],
        &["key", "generate"],
        &["key", "generate", "--kind", "other"],
        &["key", "generate", "--kind", "signing", "--activate-in", "soon"],
        &["healthcheck", "--url", "ftp://127.0.0.1/"],
        &["login-check", "--grpc", "https://127.0.0.1:50051"],
        &["login-check", "--certificate-file", "client.pem"],
        &["completions", "tcsh"],
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(!err.is_empty());
    }
}

#[test]
fn the_first_keys_of_replicas_are_made_one_by_one() {
    let data = TempDir::new().unwrap();
    let generate = |kind| {
        let mut command = countersign(&["key", "generate", "--kind", kind, "--activate-in", "0s"]);
        command
            .env("COUNTERSIGN__DATABASE__URL", "postgres://localhost/countersign")
            .env("COUNTERSIGN__KEYS__DIRECTORY", data.path().join("keys"));
        read(command.output().unwrap())
    };
    for (kind, algorithm) in [("signing", "EdDSA"), ("refresh", "HS256")] {
        let (code, out, err) = generate(kind);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.starts_with(&format!("made {kind} key ")) && out.contains(algorithm), "{out}");
    }
}

#[test]
fn config_check_says_yes_to_the_example_and_names_what_is_wrong_in_one_line() {
    let (code, out, err) = run(&["config", "check", "--config", EXAMPLE]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "the configuration is valid\n", ""));

    let wrong = countersign(&["config", "check", "--config", EXAMPLE])
        .env("COUNTERSIGN__GRPC__MAX_CONNECTIONS", "0")
        .output()
        .unwrap();
    let expected = "error: grpc.max_connections: 0 is not between 1 and 1000000 \
                    (from COUNTERSIGN__GRPC__MAX_CONNECTIONS)\n";
    assert_eq!(read(wrong), (2, String::new(), expected.to_owned()));

    let (code, _, err) = run(&["config", "check", "--config", "absent.toml"]);
    assert_eq!(code, 2);
    assert!(
        err.starts_with("error: the configuration file absent.toml cannot be read\n  caused by: "),
        "{err}"
    );
    assert_eq!(err.lines().count(), 2);
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_named_and_one_of_somebody_else_is_none_of_ours() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let check = |name: &str| {
        let mut command = countersign(&["config", "check", "--config", EXAMPLE]);
        read(command.env(name, OsStr::from_bytes(b"\xFF")).output().unwrap())
    };
    assert_eq!(check("SOMEBODY_ELSES").0, 0);
    let (code, _, err) = check("COUNTERSIGN__DATABASE__URL");
    assert_eq!(code, 2);
    assert!(err.contains("COUNTERSIGN__DATABASE__URL") && err.contains("UTF-8"), "{err}");
}

#[test]
fn config_print_shows_what_is_in_force_without_secrets() {
    let printed = countersign(&["config", "print", "--config", EXAMPLE])
        .env("COUNTERSIGN__DATABASE__URL", "sqlite:///s3cret.db")
        .env("COUNTERSIGN__LOG__LEVEL", "debug")
        .output()
        .unwrap();
    let (code, out, err) = read(printed);
    assert_eq!(code, 0, "{err}");
    let printed: toml::Table = out.parse().unwrap();
    assert_eq!(printed["database"]["url"].as_str(), Some("(redacted)"));
    assert_eq!(printed["log"]["level"].as_str(), Some("debug"));
    assert_eq!(printed["rotation"]["grace"].as_str(), Some("10s"));
    assert!(!out.contains("s3cret"));
}

#[test]
fn a_bad_configuration_stops_every_command_that_needs_one() {
    for arguments in [
        &["serve"][..],
        &["migrate"],
        &["config", "print"],
        &["key", "list"],
        &["user", "list"],
        &["user", "delete", "ada"],
        &["user", "create", "ada", "--password-stdin"],
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.starts_with("error: database.url: is required"), "{arguments:?}: {err}");
        let works_on_dev_data = ["user", "key"].contains(&arguments[0]);
        assert_eq!(err.ends_with("give --data-dir DIR\n"), works_on_dev_data, "{arguments:?}: {err}");
    }
}

#[test]
fn completions_are_written_for_each_shell() {
    for (shell, part) in
        [("bash", "complete -F"), ("zsh", "#compdef countersign"), ("fish", "complete -c countersign")]
    {
        let (code, out, err) = run(&["completions", shell]);
        assert_eq!((code, err.as_str()), (0, ""), "{shell}");
        assert!(out.contains(part) && out.contains("set-password"), "{shell}");
    }
}

/// Arguments are seen by everybody on the machine.
#[test]
fn a_password_is_never_taken_from_an_argument() {
    for subcommand in ["create", "set-password"] {
        for password in
            [&["--password", "correct-horse"][..], &["--password=correct-horse"], &["correct-horse"]]
        {
            let arguments = [&["user", subcommand, "ada"], password].concat();
            let (code, _, err) = run(&arguments);
            assert_eq!(code, 2, "{arguments:?}");
            assert!(err.contains("unexpected argument"), "{arguments:?}: {err}");
        }
        let (_, help, _) = run(&["user", subcommand, "--help"]);
        assert!(help.contains("--password-file <FILE>") && help.contains("--password-stdin"), "{help}");
        assert!(!help.contains("--password <"), "{help}");
    }
}

#[test]
fn a_password_that_is_too_long_is_refused_without_reading_on() {
    let data = TempDir::new().unwrap();
    let directory = data.path().to_str().unwrap();
    let mut child = countersign(&["user", "create", "ada", "--data-dir", directory, "--password-stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&[b'x'; 2000]).unwrap();
    // Standard input stays open: whoever waits for its end, waits for ever.
    let (code, _, err) = read(child.wait_with_output().unwrap());
    assert_eq!(code, 2);
    assert_eq!(err, "error: the password from standard input is longer than 1024 bytes\n");
}

#[test]
fn a_service_that_hangs_up_is_not_healthy() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/readyz", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let (code, out, err) = run(&["healthcheck", "--url", &url]);
    server.join().unwrap();
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with(&format!("error: {url} does not answer\n  caused by: ")), "{err}");
}
