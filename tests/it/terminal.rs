//! What a terminal is shown: colours, unless somebody asked for none (<https://no-color.org>,
//! <https://bixense.com/clicolors/>).

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::support::tool;

/// The first lines that `dev` logs on a terminal of its own, with these variables.
fn logged_on_a_terminal(variables: &[(&str, &str)]) -> String {
    let data = tempfile::tempdir().unwrap();
    let line = format!(
        "{} dev --grpc-listen 127.0.0.1:0 --http-listen 127.0.0.1:0 --operations-listen 127.0.0.1:0 --data-dir {}",
        env!("CARGO_BIN_EXE_countersign"),
        data.path().display(),
    );
    // `script` gives the command a terminal, and hands on what is written to it.
    let mut child = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", &format!("exec {line}"), "/dev/null"])
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR")
        .env_remove("CLICOLOR_FORCE")
        .env("TERM", "xterm")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        shown += &line;
        shown.push('\n');
        if line.contains("INFO") || line.contains("WARN") {
            break;
        }
    }
    // The terminal goes with it, and the service with the terminal.
    let _ = child.kill();
    let _ = child.wait();
    shown
}

#[test]
fn a_terminal_is_shown_colours_unless_somebody_asked_for_none() {
    if tool::find("script", "a_terminal_is_shown_colours_unless_somebody_asked_for_none").is_none() {
        return;
    }
    for (variables, coloured) in [
        (&[][..], true),
        (&[("NO_COLOR", "")], true),
        (&[("NO_COLOR", "1")], false),
        (&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false),
        (&[("TERM", "dumb")], false),
        (&[("CLICOLOR", "0")], false),
        (&[("CLICOLOR", "0"), ("CLICOLOR_FORCE", "1")], true),
    ] {
        let shown = logged_on_a_terminal(variables);
        assert!(shown.contains("INFO") || shown.contains("WARN"), "{variables:?}: {shown}");
        assert_eq!(shown.contains('\x1b'), coloured, "{variables:?}: {shown:?}");
    }
}
