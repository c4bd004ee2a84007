//! The scripts that install what the tests need.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// On a fresh machine another package manager often holds the lock; without a word to the contrary apt gives up at once.
#[test]
fn every_call_of_apt_waits_for_whoever_holds_its_lock() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut calls = 0;
    for entry in std::fs::read_dir(scripts).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            for call in line
                .split("apt-get ")
                .skip(1)
                .filter(|call| call.starts_with("install -") || call.starts_with("update -"))
            {
                calls += 1;
                assert!(call.contains("DPkg::Lock::Timeout="), "{}: {line}", path.display());
            }
        }
    }
    assert!(calls >= 4, "{calls} calls were found");
}

/// With a package manager that keeps failing, CI must not go on as if all were there.
#[test]
fn servers_that_cannot_be_installed_are_named_and_fail_ci() {
    let folder = tempfile::tempdir().unwrap();
    let stub = folder.path().join("apt-get");
    std::fs::write(&stub, "#!/bin/sh\necho \"E: nothing to be had: $*\"\nexit 100\n").unwrap();
    std::fs::set_permissions(&stub, std::fs::Permissions::from_mode(0o755)).unwrap();
    // A root file system on which nothing is installed yet.
    let script =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/install-servers"));
    let elsewhere = script.unwrap().replace("compgen -G \"$2\"", "compgen -G \"/nowhere$2\"");
    let script = folder.path().join("install-servers");
    std::fs::write(&script, elsewhere).unwrap();
    for (ci, expected) in [("true", Some(1)), ("", Some(0))] {
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let output = Command::new("bash").arg(&script).env("PATH", path).env("CI", ci).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("postgresql") && said.contains("could not be installed"), "{said}");
        assert_eq!(output.status.code(), expected, "CI={ci:?}: {said}");
    }
}
