//! A service key that the command line made, on two replicas: what becomes of it holds on both from the next call on.

use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::user_service_client::UserServiceClient;
use tonic::Request;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use super::fleet::Fleet;
use crate::secret_canary::{files, spellings};

/// The reason that each replica refuses the key for; `OK` where it does not.
async fn outcomes(fleet: &Fleet, key: &str) -> [String; 2] {
    let mut outcomes = [String::new(), String::new()];
    for (replica, outcome) in fleet.replicas.iter().zip(&mut outcomes) {
        let endpoint = Channel::from_shared(format!("http://{}", replica.grpc)).unwrap();
        let mut request = Request::new(v1::ListUsersRequest::default());
        request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        let answer = UserServiceClient::new(endpoint.connect_lazy()).list_users(request).await;
        *outcome = answer.map_or_else(
            |status| status.get_error_details().error_info().unwrap().reason.clone(),
            |_| "OK".to_owned(),
        );
    }
    outcomes
}

fn both(outcome: &str) -> [String; 2] {
    [outcome.to_owned(), outcome.to_owned()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_good_and_is_refused_on_every_replica_from_the_next_call_on() {
    let test = "a_key_is_good_and_is_refused_on_every_replica_from_the_next_call_on";
    // The poll is far too slow to help.
    let Some(fleet) = Fleet::start(test, &[("REVOCATION__POLL_INTERVAL", "30s")]).await else { return };
    let run = |arguments: &str| {
        let arguments: Vec<&str> = std::iter::once("service-account").chain(arguments.split(' ')).collect();
        fleet.deployment.run(&arguments, "")
    };
    let create_key = || {
        let printed = run("key create shop --ttl 1h --label till-7 --json");
        let made: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let [id, secret] = ["id", "secret"].map(|name| made[name].as_str().unwrap().to_owned());
        (id, secret)
    };
    run("create shop --role countersign:users --description tills");
    let (id, key) = create_key();
    let (_, other) = create_key();
    assert_eq!(outcomes(&fleet, &key).await, both("OK"));
    run(&format!("key revoke shop {id}"));
    assert_eq!(outcomes(&fleet, &key).await, both("SERVICE_KEY_INVALID"));
    assert_eq!(outcomes(&fleet, &other).await, both("OK"));
    run("disable shop");
    assert_eq!(outcomes(&fleet, &other).await, both("SERVICE_KEY_INVALID"));
    run("enable shop");
    assert_eq!(outcomes(&fleet, &other).await, both("OK"));
    run("set-roles shop --none");
    assert_eq!(outcomes(&fleet, &other).await, both("CALLER_NOT_ALLOWED"));
    run("set-roles shop --role countersign:auditor");
    assert_eq!(outcomes(&fleet, &other).await, both("OK"));

    let shown = run("show shop");
    assert!(shown.contains("countersign:auditor") && shown.contains("tills"), "{shown}");
    assert!(run("list").contains("shop") && run("list --json").contains("\"name\":\"shop\""));
    let keys = run("key list shop");
    assert!(keys.contains("till-7") && !keys.contains(&id), "{keys}");
    run("delete shop");
    assert_eq!(outcomes(&fleet, &other).await, both("SERVICE_KEY_INVALID"));

    let copy = fleet.redis.copy();
    let mut places: Vec<Vec<u8>> = fleet.replicas.iter().map(|replica| replica.log().into_bytes()).collect();
    places.extend(files(copy.path(), "/no-exception").into_iter().map(|file| std::fs::read(file).unwrap()));
    places.push([shown, keys].concat().into_bytes());
    for secret in [&key, &other] {
        for spelling in spellings(&secret.as_bytes()["csgn_sk_".len()..]) {
            let found =
                places.iter().any(|place| place.windows(spelling.len()).any(|window| window == spelling));
            assert!(!found, "a key is written down");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_says_what_is_wrong() {
    let test = "the_command_line_says_what_is_wrong";
    let Some((deployment, _redis)) = super::fleet::stores(test, &[]).await else { return };
    let fails = |arguments: &[&str], expected: &str| {
        let output = deployment.command(arguments).output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && complaint.contains(expected), "{arguments:?}: {complaint}");
    };
    fails(&["service-account", "show", "shop"], "there is no service account shop");
    fails(&["service-account", "create", "Shop"], "lower-case");
    deployment.run(&["service-account", "create", "shop"], "");
    fails(&["service-account", "create", "shop"], "there is a service account shop already");
    fails(&["service-account", "key", "create", "shop", "--ttl", "2h 1s"], "ttl");
    fails(&["service-account", "key", "create", "shop", "--ttl", "366d"], "1m to 365d");
    let id = "0197a2c4-0000-7000-8000-000000000001";
    fails(&["service-account", "key", "revoke", "shop", id], "has no key");
    fails(&["service-account", "set-roles", "shop", "--role", "countersign:user"], "there is no role");
}
