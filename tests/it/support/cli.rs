//! The real binary for one command, with an environment of its own.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a command did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// What a configuration needs at least; of keys none are there yet, and on SQLite the first start makes them.
pub(crate) const REQUIRED: [(&str, &str); 2] = [
    ("COUNTERSIGN__DATABASE__URL", "sqlite:unused.db"),
    ("COUNTERSIGN__KEYS__DIRECTORY", "keys-that-are-not-there"),
];

/// Runs the binary with these arguments and variables, and nothing on its standard input.
pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
    run_with_input(arguments, variables, b"")
}

/// The same, with these bytes on its standard input.
pub(crate) fn run_with_input(arguments: &[&str], variables: &[(&str, &str)], input: &[u8]) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing of it may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Makes the service account `console` with these roles, by commands that `run` gives the data they are for, and a key of it.
pub(crate) fn service_key(run: impl Fn(&[&str]) -> String, roles: &[&str]) -> String {
    let mut create = vec!["service-account", "create", "console"];
    create.extend(roles.iter().flat_map(|role| ["--role", role]));
    run(&create);
    let made = run(&["service-account", "key", "create", "console", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    made["secret"].as_str().unwrap().to_owned()
}

/// Runs a command on the data of `dev`, with this on its standard input, which must succeed; returns what it printed.
pub(crate) fn on_data(data: impl AsRef<Path>, arguments: &[&str], input: &str) -> String {
    let mut all = arguments.to_vec();
    all.extend(["--data-dir", data.as_ref().to_str().unwrap()]);
    let Outcome { code, out, err } = run_with_input(&all, &[], input.as_bytes());
    assert_eq!(code, 0, "{arguments:?}: {err}");
    out
}

/// `config check` with what is required and these variables.
pub(crate) fn check(variables: &[(&str, &str)]) -> Outcome {
    let given = |name: &str| variables.iter().any(|(given, _)| *given == name);
    let required = REQUIRED.into_iter().filter(|(name, _)| !given(name));
    let variables: Vec<_> = required.chain(variables.iter().copied()).collect();
    run(&["config", "check"], &variables)
}

/// The one line that says why `config check` refuses these variables.
#[track_caller]
pub(crate) fn refusal(variables: &[(&str, &str)]) -> String {
    let Outcome { code, out, err } = check(variables);
    assert_eq!((code, out.as_str()), (2, ""), "{variables:?}: {err}");
    assert_eq!(err.lines().count(), 1, "{variables:?}: {err}");
    err
}
