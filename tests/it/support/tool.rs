//! Tools that are not made by cargo.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// Where `make tools` has built the example client in this language, libraries and stubs included; without it the test
/// says SKIPPED, except in CI.
pub(crate) fn example_client(language: &str, test: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".tools/clients").join(language);
    if folder.join("built").is_file() {
        return Some(folder);
    }
    let what = format!("the example client in {language} is not built");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what}: `make tools` builds it");
    println!("SKIPPED {test}: {what} (`make tools`)");
    None
}

/// libfaketime, which Debian has as a package; without it the test says SKIPPED.
pub(crate) fn faketime(test: &str) -> Option<PathBuf> {
    find("faketime", test)?;
    let library = |folder: &str| PathBuf::from(folder).join("faketime/libfaketimeMT.so.1");
    ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/lib"]
        .map(library)
        .into_iter()
        .find(|path| path.is_file())
        .or_else(|| panic!("the library of faketime is not where Debian puts it"))
}

/// The shells that people paste into, and what makes one read its standard input as a terminal's, without the files
/// that it is set up by.
pub(crate) const SHELLS: [(&str, &[&str]); 3] =
    [("dash", &["-i"]), ("bash", &["--norc", "--noprofile", "-i"]), ("zsh", &["-f", "-i"])];

/// Types these lines into an interactive shell, and returns what they printed: standard output, and standard error with
/// the shell's prompts in it.
pub(crate) fn type_into(shell: &Path, arguments: &[&str], lines: &str) -> (String, String) {
    let mut child = Command::new(shell)
        .args(arguments)
        .env("PATH", path_with_tools())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the shell starts");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    stdin.write_all(lines.as_bytes()).expect("the shell reads");
    drop(stdin);
    let output = child.wait_with_output().expect("the shell ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(output.stdout), text(output.stderr))
}

/// `PATH` with what `make tools` installs in front.
pub(crate) fn path_with_tools() -> String {
    let tools = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".tools/bin");
    format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default())
}

/// Runs a line as a shell would run it when pasted; returns what it printed, and panics when it failed.
pub(crate) fn paste(line: &str) -> String {
    let (output, ok) = try_paste(line);
    assert!(ok, "`{line}` failed:\n{output}");
    output
}

/// Runs a line as a shell would run it when pasted; returns what it printed and whether it succeeded.
pub(crate) fn try_paste(line: &str) -> (String, bool) {
    let output =
        Command::new("bash").args(["-c", line]).env("PATH", path_with_tools()).output().expect("bash runs");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (text, output.status.success())
}
