//! docs/administration.md, pasted line by line into a shell beside the real binary.

use std::path::Path;

use crate::support::process::Dev;
use crate::support::tool;

/// The lines of the document that are to be pasted, in order.
fn lines() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/administration.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(|block| block.lines().map(str::to_owned)).collect()
}

#[test]
fn every_line_of_the_page_does_what_the_page_says() {
    const TEST: &str = "every_line_of_the_page_does_what_the_page_says";
    if tool::find("grpcurl", TEST).is_none() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let lines = lines();
    let files = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_countersign")).parent().unwrap();
    // What the page writes into files is not to stay here.
    let mut script = format!("export PATH=\"{}:$PATH\"\ncd {}\n", programs.display(), files.path().display());
    for line in &lines {
        let line = line.replace("127.0.0.1:50051", &dev.grpc.to_string());
        let line = line.replace("--data-dir DATA", &format!("--data-dir {}", data.path().display()));
        script += &line.replace("PASSWORD", &dev.password().unwrap());
        script += "\necho \"next-line $?\"\n";
    }
    for (shell, arguments) in tool::SHELLS {
        let Some(path) = tool::find(shell, TEST) else { continue };
        let (printed, complaints) = tool::type_into(&path, arguments, &script);
        let answers: Vec<&str> = printed.split("next-line ").collect();
        assert_eq!(answers.len(), lines.len() + 1, "{shell}: {printed}\n{complaints}");
        for (line, answer) in lines.iter().zip(&answers[1..]) {
            assert!(answer.starts_with('0'), "{shell}: {line}\n{printed}\n{complaints}");
        }
        let after = |marker: &str, number: usize| {
            let place = lines.iter().enumerate().filter(|(_, line)| line.contains(marker)).nth(number);
            answers[place.unwrap_or_else(|| panic!("{marker} {number}")).0]
        };
        assert!(after("UserService/CreateUser", 0).contains("\"username\": \"ada\""), "{shell}: {printed}");
        let disabled = after("countersign user disable hopper", 0);
        assert!(
            disabled.contains("hopper is disabled") && disabled.contains("at_least"),
            "{shell}: {printed}"
        );
        assert!(after("UserService/ListUsers", 0).contains("\"admin\""), "{shell}: {printed}");
        assert!(after("UserService/UpdateUser", 0).contains("\"billing\""), "{shell}: {printed}");
        assert!(
            after("SessionService/ListSessions", 0).contains("\"name\": \"phone\""),
            "{shell}: {printed}"
        );
        let explained = after("SessionService/ExplainSession", 0);
        assert!(explained.contains("SESSION_END_CAUSE_REVOKED_BY_ADMINISTRATOR"), "{shell}: {printed}");
        let made = after("ServiceAccountService/CreateServiceAccount", 0);
        assert!(made.contains("\"name\": \"shop-backend\""), "{shell}: {printed}");
        let by_key = lines.iter().position(|line| line.contains("Bearer $KEY")).unwrap();
        assert!(answers[by_key].contains("\"username\": \"margaret\""), "{shell}: {printed}");
        let listed = after("ServiceAccountService/ListKeys", 0);
        assert!(listed.contains("\"label\": \"production\""), "{shell}: {printed}");
        assert!(complaints.contains("The service key is not valid."), "{shell}: {printed}\n{complaints}");
        let given = after("ServiceAccountService/UpdateServiceAccount", 0);
        assert!(given.contains("\"countersign:sessions\""), "{shell}: {printed}");
        let verified = after("AuthService/VerifyAccessToken", 0);
        assert!(verified.contains("INVALID_REASON_REVOKED"), "{shell}: {printed}");
    }
    assert_eq!(dev.terminate(), Some(0));
}

/// The page says so: each refusal is an event in the audit log.
#[test]
fn whoever_is_refused_is_named_in_the_audit_log() {
    const TEST: &str = "whoever_is_refused_is_named_in_the_audit_log";
    if tool::find("grpcurl", TEST).is_none() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let dev = Dev::start(data.path());
    let call = |token: &str, service: &str, body: &str| {
        let (address, header) = (dev.grpc, format!("-H 'authorization: Bearer {token}'"));
        tool::try_paste(&format!(
            "grpcurl -plaintext {header} -d '{body}' {address} countersign.v1.{service}"
        ))
        .0
    };
    let login = |name: &str, password: &str| {
        let body = format!(r#"{{"username":"{name}","password":"{password}"}}"#);
        let answer: serde_json::Value = serde_json::from_str(&call("", "AuthService/Login", &body)).unwrap();
        answer["tokens"]["accessToken"].as_str().unwrap().to_owned()
    };
    let admin = login("admin", &dev.password().unwrap());
    let body = r#"{"username":"grace","password":"correct horse battery","roles":["countersign:users"]}"#;
    let made: serde_json::Value =
        serde_json::from_str(&call(&admin, "UserService/CreateUser", body)).unwrap();
    let grace = login("grace", "correct horse battery");
    call(&grace, "UserService/DisableUser", r#"{"user":{"username":"admin"}}"#);
    call(&grace, "SessionService/ListSessions", r#"{"user":{"username":"admin"}}"#);
    let log = dev.log();
    let refused = |with: &[&str]| {
        let line = |line: &&str| line.contains("call.not_allowed") && with.iter().all(|it| line.contains(it));
        assert!(log.lines().any(|it| line(&it)), "{with:?} in\n{log}");
    };
    let id = format!("user:{}", made["user"]["id"].as_str().unwrap());
    refused(&["UserService/DisableUser", &id, "CALLER_NOT_ALLOWED"]);
    refused(&["SessionService/ListSessions", "CALLER_NOT_ALLOWED"]);
    assert!(login("admin", &dev.password().unwrap()).len() > 100, "nothing was done");
    assert_eq!(dev.terminate(), Some(0));
}
