//! What helm shows after an install: its lines work when they are pasted.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::rendered::Chart;
use crate::support::process::Dev;
use crate::support::tool;

/// The lines for a login ask for a password: what is pasted after them must not be taken for it, and `read` is what
/// every shell has.
#[test]
fn the_login_of_the_notes_works_in_every_shell() {
    const TEST: &str = "the_login_of_the_notes_works_in_every_shell";
    let Some(chart) = Chart::find(TEST) else { return };
    if tool::find("curl", TEST).is_none() {
        return;
    }
    let notes = chart.notes("values.yaml", &[]);
    let from = notes.find("  { printf").expect("the notes have such lines");
    let to = from + notes[from..].find("; }\n").unwrap() + "; }\n".len();
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let lines =
        notes[from..to].replace("\"ada\"", "\"admin\"").replace("127.0.0.1:8080", &dev.http.to_string());
    assert!(lines.contains(&dev.http.to_string()), "{lines}");
    for (shell, _) in tool::SHELLS {
        let Some(shell) = tool::find(shell, TEST) else { continue };
        let mut child = Command::new(&shell)
            .args(["-c", &lines])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let typed = format!("{}\n", dev.password().unwrap());
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(out.contains("HTTP/1.1 200 OK"), "{}: {out}{err}", shell.display());
    }
    for (shell, _) in tool::SHELLS {
        let Some(shell) = tool::find(shell, TEST) else { continue };
        for example in super::EXAMPLES {
            let notes = chart.notes(example, &[]);
            let indented: Vec<_> = notes.lines().filter(|line| line.starts_with("  ")).collect();
            let commands = ["  kubectl", "  helm", "  curl", "  {", "    "];
            let typed = indented.iter().filter(|line| commands.iter().any(|it| line.starts_with(it)));
            let script: String = typed.flat_map(|line| [line, "\n"]).collect();
            let checked = Command::new(&shell).args(["-n", "-c", &script]).output().unwrap();
            let complaint = String::from_utf8(checked.stderr).unwrap();
            assert!(checked.status.success(), "{example}: {}: {complaint}\n{script}", shell.display());
        }
    }
}
