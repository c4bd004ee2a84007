//! A user's whole life, by grpcurl alone, on two replicas of `serve` with PostgreSQL and Redis, by somebody who has a service key.

use std::path::Path;

use serde_json::{Value, json};

use super::fleet::Fleet;
use crate::support::cli::service_key;
use crate::support::tool;

/// Calls replicas as an operator does: reflection is off where `serve` is concerned.
struct Grpcurl<'a> {
    fleet: &'a Fleet,
    key: String,
}

impl Grpcurl<'_> {
    /// What is printed, and whether the call was answered.
    fn call(&self, replica: usize, method: &str, body: &Value) -> (String, bool) {
        let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
        let services =
            ["auth", "user", "session"].map(|it| format!("-proto countersign/v1/{it}_service.proto"));
        tool::try_paste(&format!(
            "grpcurl -plaintext -import-path '{}' {} -H 'authorization: Bearer {}' -d '{body}' {} countersign.v1.{method}",
            protos.display(),
            services.join(" "),
            self.key,
            self.fleet.replicas[replica].grpc,
        ))
    }

    #[track_caller]
    fn answer(&self, replica: usize, method: &str, body: &Value) -> Value {
        let (printed, answered) = self.call(replica, method, body);
        assert!(answered, "{method}: {printed}");
        serde_json::from_str(&printed).unwrap()
    }

    #[track_caller]
    fn refused(&self, replica: usize, method: &str, body: &Value, code: &str) {
        let (printed, answered) = self.call(replica, method, body);
        assert!(!answered && printed.contains(&format!("Code: {code}")), "{method}: {printed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_users_whole_life_by_grpcurl_and_a_service_key() {
    let test = "a_users_whole_life_by_grpcurl_and_a_service_key";
    if tool::find("grpcurl", test).is_none() {
        return;
    }
    // Polling is far too slow to help.
    let Some(fleet) = Fleet::start(test, &[("REVOCATION__POLL_INTERVAL", "30s")]).await else { return };
    let roles = ["countersign:users", "countersign:sessions"];
    let key = service_key(|arguments| fleet.deployment.run(arguments, ""), &roles);
    let grpcurl = Grpcurl { fleet: &fleet, key };
    let user = json!({ "user": { "username": "grace" } });
    let login = |password: &str| json!({ "username": "grace", "password": password });

    grpcurl.answer(0, "UserService/CreateUser", &login("correct horse battery"));
    let tokens = grpcurl.answer(0, "AuthService/Login", &login("correct horse battery"));
    let access_token = &tokens["tokens"]["accessToken"];
    let session = &grpcurl.answer(1, "SessionService/ListSessions", &user)["sessions"][0]["id"];
    let verify = json!({ "access_token": access_token });
    assert_eq!(grpcurl.answer(1, "AuthService/VerifyAccessToken", &verify)["verified"]["username"], "grace");

    let kick = json!({ "user": { "username": "grace" }, "session_ids": [session] });
    let kicked = grpcurl.answer(0, "SessionService/RevokeSessions", &kick);
    assert_eq!(kicked["revoked"], 1);
    let verify = json!({ "access_token": access_token, "at_least": kicked["position"] });
    let verdict = grpcurl.answer(1, "AuthService/VerifyAccessToken", &verify);
    assert_eq!(verdict["invalid"]["reason"], "INVALID_REASON_REVOKED", "on the first call");
    let explain = json!({ "user": { "username": "grace" }, "session_id": session });
    let explained = grpcurl.answer(1, "SessionService/ExplainSession", &explain);
    assert_eq!(explained["cause"], "SESSION_END_CAUSE_REVOKED_BY_ADMINISTRATOR", "{explained}");
    assert!(explained["actor"].as_str().unwrap().starts_with("service:"), "{explained}");

    let reset = grpcurl.answer(0, "UserService/CreatePasswordReset", &user);
    let reset = json!({ "reset_token": reset["resetToken"], "new_password": "another horse battery" });
    grpcurl.answer(1, "AuthService/ResetPassword", &reset);
    grpcurl.refused(0, "AuthService/ResetPassword", &reset, "Unauthenticated");
    grpcurl.refused(0, "AuthService/Login", &login("correct horse battery"), "Unauthenticated");
    let tokens = grpcurl.answer(0, "AuthService/Login", &login("another horse battery"));

    let disabled = grpcurl.answer(1, "UserService/DisableUser", &user);
    let verify = json!({ "access_token": tokens["tokens"]["accessToken"], "at_least": disabled["position"] });
    let verdict = grpcurl.answer(0, "AuthService/VerifyAccessToken", &verify);
    assert_eq!(verdict["invalid"]["reason"], "INVALID_REASON_REVOKED", "on the first call");
    grpcurl.refused(0, "AuthService/Login", &login("another horse battery"), "Unauthenticated");
    grpcurl.answer(0, "UserService/DeleteUser", &user);
    grpcurl.refused(1, "UserService/GetUser", &user, "NotFound");
    fleet.deployment.run(&["service-account", "disable", "console"], "");
    grpcurl.refused(1, "UserService/ListUsers", &json!({}), "Unauthenticated");
}
