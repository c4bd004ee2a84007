//! The newcomer's first five minutes: the real binary, the real grpcurl, and the very lines that `dev` prints.

use crate::support::process::Dev;
use crate::support::tool;

/// The lines to paste, as they stand in the banner.
fn lines(dev: &Dev) -> Vec<String> {
    let after = dev.rest_of_banner(8);
    after.iter().map(|line| line.trim().to_owned()).collect()
}

/// The value of a string member in grpcurl's JSON.
fn member(json: &str, name: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    value.pointer(name)?.as_str().map(str::to_owned)
}

/// Runs the lines one after the other in one shell, and returns what each printed.
fn paste_all(lines: &[String]) -> Vec<String> {
    let separator = "==next==";
    let script: Vec<_> = lines.iter().map(|line| format!("{line}\necho {separator}")).collect();
    let printed = tool::paste(&script.join("\n"));
    let mut parts: Vec<_> = printed.split(separator).map(|part| part.trim().to_owned()).collect();
    parts.pop();
    assert_eq!(parts.len(), lines.len(), "{printed}");
    parts
}

#[test]
fn the_lines_that_dev_prints_work_when_pasted() {
    if tool::find("grpcurl", "the_lines_that_dev_prints_work_when_pasted").is_none() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    assert!(dev.password().is_some(), "{}", dev.banner);
    let lines = lines(&dev);
    let printed = paste_all(&lines);
    let [login, _, _, verified, refreshed, replayed, logout, revoked] = printed.as_slice() else {
        panic!("{printed:?}")
    };
    assert!(member(login, "/tokens/accessToken").is_some(), "{login}");
    assert_eq!(member(verified, "/verified/username").as_deref(), Some("admin"), "{verified}");
    let successor = member(refreshed, "/tokens/refreshToken");
    assert!(successor.is_some(), "{refreshed}");
    assert_eq!(successor, member(replayed, "/tokens/refreshToken"), "the identical successor");
    assert_eq!(logout, "{}");
    assert!(revoked.contains("INVALID_REASON_REVOKED"), "{revoked}");
    assert_eq!(dev.terminate(), Some(0));
}

#[test]
fn the_curl_line_that_dev_prints_works_when_pasted() {
    if tool::find("curl", "the_curl_line_that_dev_prints_works_when_pasted").is_none() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let lines = dev.rest_of_banner(10);
    let curl = lines.last().unwrap().trim();
    assert!(curl.starts_with("curl "), "{lines:?}");
    let printed = tool::paste(curl);
    assert!(printed.contains("HTTP/1.1 200 OK"), "{printed}");
    assert!(printed.contains("set-cookie: countersign_refresh=csgn_rt_"), "{printed}");
    assert!(printed.contains("\"accessToken\":"), "{printed}");
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
