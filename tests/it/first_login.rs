//! The newcomer's first five minutes: the real binary, the real grpcurl, and the very lines that `dev` prints.

use std::path::Path;

use crate::support::process::Dev;
use crate::support::tool;

/// The value of a string member in grpcurl's JSON.
fn member(json: &str, name: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    value.pointer(name)?.as_str().map(str::to_owned)
}

/// Types the lines one after the other into one shell, and returns what each printed.
fn paste_all(shell: &Path, arguments: &[&str], lines: &[String]) -> Vec<String> {
    let separator = "next-line";
    let script: Vec<_> = lines.iter().map(|line| format!("{line}\necho {separator}\n")).collect();
    let (printed, complaints) = tool::type_into(shell, arguments, &script.concat());
    let mut parts: Vec<_> = printed.split(separator).map(|part| part.trim().to_owned()).collect();
    parts.pop();
    assert_eq!(parts.len(), lines.len(), "{}: {printed}\n{complaints}", shell.display());
    parts
}

#[test]
fn the_lines_that_dev_prints_work_when_pasted_into_any_shell() {
    const TEST: &str = "the_lines_that_dev_prints_work_when_pasted_into_any_shell";
    if tool::find("grpcurl", TEST).is_none() || tool::find("curl", TEST).is_none() {
        return;
    }
    for (shell, arguments) in tool::SHELLS {
        let Some(path) = tool::find(shell, TEST) else { continue };
        let data = tempfile::tempdir().unwrap();
        let dev = Dev::start(data.path());
        assert!(dev.password().is_some(), "{}", dev.banner);
        let banner = dev.rest_of_banner(11);
        let mut lines: Vec<_> = banner.iter().map(|line| line.trim().to_owned()).collect();
        // Between the lines for grpcurl and the one for curl stands a sentence.
        lines.remove(9);
        assert!(lines.last().unwrap().starts_with("curl "), "{banner:?}");
        let printed = paste_all(&path, arguments, &lines);
        let [login, _, _, verified, users, refreshed, replayed, logout, revoked, http] = printed.as_slice()
        else {
            panic!("{shell}: {printed:?}")
        };
        assert!(member(login, "/tokens/accessToken").is_some(), "{shell}: {login}");
        assert_eq!(member(verified, "/verified/username").as_deref(), Some("admin"), "{shell}: {verified}");
        assert_eq!(member(users, "/users/0/username").as_deref(), Some("admin"), "{shell}: {users}");
        let successor = member(refreshed, "/tokens/refreshToken");
        assert!(successor.is_some(), "{shell}: {refreshed}");
        let again = member(replayed, "/tokens/refreshToken");
        assert_eq!(successor, again, "{shell}: the identical successor");
        assert!(member(logout, "/position").is_some(), "{shell}: {logout}");
        assert!(revoked.contains("INVALID_REASON_REVOKED"), "{shell}: {revoked}");
        assert!(http.contains("HTTP/1.1 200 OK"), "{shell}: {http}");
        assert!(http.contains("set-cookie: countersign_refresh=csgn_rt_"), "{shell}: {http}");
        assert!(http.contains("\"accessToken\":"), "{shell}: {http}");
        assert_eq!(dev.terminate(), Some(0));
    }
}

/// The command that sets another password is shown with a path, which may have a blank in it.
#[test]
fn a_data_directory_with_a_blank_in_its_name_is_one_word_in_what_dev_prints() {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().join("it's my data");
    assert_eq!(Dev::start(&directory).terminate(), Some(0));
    let second = Dev::start(&directory);
    let line = second.banner.lines().find_map(|line| line.split_once("another one: ")).unwrap().1;
    let (_, words) = line.split_once("--data-dir ").unwrap();
    let (word, ok) = tool::try_paste(&format!("printf %s {words}"));
    assert!(ok);
    assert_eq!(Path::new(&word), directory, "{line}");
}

#[test]
fn a_restart_keeps_users_sessions_and_revocations() {
    if tool::find("grpcurl", "a_restart_keeps_users_sessions_and_revocations").is_none() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let first = Dev::start(data.path());
    let password = first.password().unwrap();
    let call = |dev: &Dev, rpc: &str, body: &str| {
        tool::try_paste(&format!(
            "grpcurl -plaintext -d '{body}' {} countersign.v1.AuthService/{rpc}",
            dev.grpc
        ))
    };
    let credentials = format!(r#"{{"username":"admin","password":"{password}"}}"#);
    let (kept, _) = call(&first, "Login", &credentials);
    let (ended, _) = call(&first, "Login", &credentials);
    let token = |login: &str, name: &str| member(login, &format!("/tokens/{name}")).unwrap();
    let refresh_body = |login: &str| format!(r#"{{"refreshToken":"{}"}}"#, token(login, "refreshToken"));
    let verify_body = |login: &str| format!(r#"{{"accessToken":"{}"}}"#, token(login, "accessToken"));
    assert!(call(&first, "Logout", &refresh_body(&ended)).1);
    assert_eq!(first.terminate(), Some(0));

    let second = Dev::start(data.path());
    assert!(second.password().is_none(), "the password is shown only once: {}", second.banner);
    assert!(call(&second, "VerifyAccessToken", &verify_body(&kept)).0.contains("verified"));
    let (revoked, _) = call(&second, "VerifyAccessToken", &verify_body(&ended));
    assert!(revoked.contains("INVALID_REASON_REVOKED"), "{revoked}");
    let (refused, ok) = call(&second, "Refresh", &refresh_body(&ended));
    assert!(!ok && refused.contains("SESSION_REVOKED"), "{refused}");
    assert!(call(&second, "Refresh", &refresh_body(&kept)).1);
    assert!(call(&second, "Login", &credentials).1, "the user is still there");
}
