//! Tools that are not made by cargo.

use std::path::PathBuf;
use std::process::Command;

/// The tool's path. Without it the test says SKIPPED and returns, except in CI, where nothing may be missing.
pub(crate) fn find(name: &'static str, test: &str) -> Option<PathBuf> {
    let local = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".tools/bin").join(name);
    let found = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .map(|folder| folder.join(name))
        .chain([local])
        .find(|path| path.is_file());
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{name} is missing: `make tools` installs it");
        println!("SKIPPED {test}: {name} is not installed (`make tools`)");
    }
    found
}

/// Runs a line as a shell would run it when pasted; returns what it printed, and panics when it failed.
pub(crate) fn paste(line: &str) -> String {
    let (output, ok) = try_paste(line);
    assert!(ok, "`{line}` failed:\n{output}");
    output
}

/// Runs a line as a shell would run it when pasted; returns what it printed and whether it succeeded.
pub(crate) fn try_paste(line: &str) -> (String, bool) {
    let tools = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".tools/bin");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .args(["-c", line])
        .env("PATH", format!("{}:{path}", tools.display()))
        .output()
        .expect("bash runs");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (text, output.status.success())
}
