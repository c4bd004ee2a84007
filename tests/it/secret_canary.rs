//! Plants secrets in every input, at the most talkative log level, and then looks for them wherever they must not be.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use countersign::grpc::proto::v1;
use countersign::grpc::proto::v1::service_account_service_client::ServiceAccountServiceClient;
use countersign::grpc::proto::v1::user_service_client::UserServiceClient;
use serde_json::json;
use tonic::transport::Channel;

use crate::support::client::Client;
use crate::support::http::{Answer, Http, access_token, bearer, request};
use crate::support::otlp::Collector;
use crate::support::process::Dev;

/// Every way in which a secret might be written down: as it is, in base64, in hexadecimal.
pub(crate) fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = hex::encode(secret);
    // Base64 inside a longer text starts at any of three alignments; the middle is the same for each.
    let aligned = |engine: &base64::engine::GeneralPurpose| {
        (0..3)
            .map(|skip| engine.encode(&secret[skip.min(secret.len())..]))
            .map(|text| {
                let whole = text.len() / 4 * 4;
                text[..whole.saturating_sub(4)].to_owned().into_bytes()
            })
            .collect::<Vec<_>>()
    };
    let mut all = vec![secret.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    all.extend(aligned(&URL_SAFE_NO_PAD));
    all.extend(aligned(&STANDARD_NO_PAD));
    all.push(STANDARD.encode(secret).into_bytes());
    all.retain(|spelling| spelling.len() >= 8);
    all
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// The files under `folder`, less those whose path contains `except`.
pub(crate) fn files(folder: &Path, except: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains(except) {
            continue;
        }
        if path.is_dir() { found.extend(files(&path, except)) } else { found.push(path) }
    }
    found
}

/// A refresh token is its prefix, 68 bytes that are worth nothing alone, and a MAC over them, all in base64url; the
/// session's secret stands at bytes 20 to 36.
pub(crate) fn session_secret(refresh_token: &str) -> Vec<u8> {
    let bytes = URL_SAFE_NO_PAD.decode(&refresh_token["csgn_rt_".len()..]).unwrap();
    bytes[20..36].to_vec()
}

/// What went over HTTP.
struct OverHttp {
    secrets: Vec<(String, Vec<u8>)>,
    refusals: String,
}

/// Logs in and on, and makes every mistake that has a secret in it.
async fn over_http(http: Http, password: &str, wrong: &str) -> OverHttp {
    let of = |password: &str| json!({ "username": "admin", "password": password });
    let login = http.post("/v1/auth/login", &[], &of(password)).await;
    let refreshed = http.refresh(&login.cookie()).await;
    let access = bearer(&access_token(&refreshed));
    assert_eq!(http.get("/v1/auth/session", &[("authorization", &access)]).await.status, 200);
    let json_type = [("content-type", "application/json")];
    let torn = of(password).to_string().replace('}', "");
    let mistyped = json!({ "username": "admin", "password": [password] }).to_string();
    let forged = format!("{}AAAA", &refreshed.cookie()[..refreshed.cookie().len() - 4]);
    let refused: [Answer; 5] = [
        http.post("/v1/auth/login", &[], &of(wrong)).await,
        http.send(request("POST", "/v1/auth/login", &json_type, &torn)).await,
        http.send(request("POST", "/v1/auth/login", &json_type, &mistyped)).await,
        http.refresh(&forged).await,
        http.get("/v1/auth/session", &[("authorization", &format!("{access}AAAA"))]).await,
    ];
    assert!(refused.iter().all(|answer| answer.status.is_client_error()), "{refused:?}");
    let mut secrets = Vec::new();
    for answer in [&login, &refreshed] {
        let cookie = answer.cookie();
        let (_, token) = cookie.split_once('=').unwrap();
        secrets.push(("a refresh cookie".to_owned(), token.as_bytes()["csgn_rt_".len()..].to_vec()));
        secrets.push(("session secret in a cookie".to_owned(), session_secret(token)));
        let access = access_token(answer);
        let signature = access.rsplit('.').next().unwrap();
        secrets.push(("an access token's signature over HTTP".to_owned(), signature.as_bytes().to_vec()));
    }
    OverHttp { secrets, refusals: format!("{refused:?}") }
}

/// Service keys that were made, used, replaced and revoked, and every mistake that has one in it: the keys, and the refusals.
async fn service_keys(address: SocketAddr, admin: &str) -> (Vec<(String, Vec<u8>)>, String) {
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let mut accounts = ServiceAccountServiceClient::new(channel.clone());
    let mut users = UserServiceClient::new(channel);
    let roles = vec!["countersign:users".to_owned()];
    let new = v1::CreateServiceAccountRequest { name: "shop".to_owned(), roles, ..Default::default() };
    let account = accounts.create_service_account(by(admin, new)).await.unwrap().into_inner().service_account;
    let id = v1::service_account_ref::ServiceAccount::ServiceAccountId(account.unwrap().id);
    let service_account = Some(v1::ServiceAccountRef { service_account: Some(id) });
    let new = || v1::CreateKeyRequest {
        service_account: service_account.clone(),
        request_id: "again".to_owned(),
        ..Default::default()
    };
    let replaced = accounts.create_key(by(admin, new())).await.unwrap().into_inner();
    let made = accounts.create_key(by(admin, new())).await.unwrap().into_inner();
    let list = v1::ListUsersRequest::default;
    users.list_users(by(&made.secret, list())).await.unwrap();
    let mut refusals = Vec::new();
    let mistyped = format!("{}A", made.secret);
    for key in [&replaced.secret, &mistyped] {
        refusals.push(users.list_users(by(key, list())).await.unwrap_err());
    }
    // In the wrong field.
    let key_id = made.secret.clone();
    let ask = v1::RevokeKeyRequest { service_account: service_account.clone(), key_id };
    refusals.push(accounts.revoke_key(by(admin, ask)).await.unwrap_err());
    let ask = v1::ListKeysRequest { service_account: service_account.clone() };
    let listed = accounts.list_keys(by(admin, ask)).await.unwrap().into_inner().keys;
    let ask = v1::RevokeKeyRequest { service_account, key_id: listed[0].id.clone() };
    accounts.revoke_key(by(admin, ask)).await.unwrap();
    refusals.push(users.list_users(by(&made.secret, list())).await.unwrap_err());
    let mut secrets = Vec::new();
    for key in [replaced.secret, made.secret] {
        let body = key["csgn_sk_".len()..].to_owned();
        // The first 16 bytes are the id, and the last 6 the checksum.
        let bytes = URL_SAFE_NO_PAD.decode(&body).unwrap();
        secrets.push(("the random bytes of a service key".to_owned(), bytes[16..48].to_vec()));
        secrets.push(("the body of a service key".to_owned(), body.into_bytes()));
        secrets.push(("a service key".to_owned(), key.into_bytes()));
    }
    (secrets, format!("{refusals:?} {listed:?}"))
}

/// Passwords and hashes that are tried and imported, and refused with what is wrong: the secrets, and the answers.
async fn imported(address: SocketAddr, admin: &str) -> (Vec<(String, Vec<u8>)>, String) {
    use v1::import_row::Credential;

    let mut users =
        UserServiceClient::new(Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy());
    let plain = "imported-password-canary-90fe".to_owned();
    let broken = "$2b$10$broken-hash-canary-41cd".to_owned();
    let fast = "md5:password::fedcba98765432100123456789abcdef".to_owned();
    let row = |number: u64, credential| v1::ImportRow {
        number,
        username: format!("imported{number}"),
        credential: Some(credential),
        ..Default::default()
    };
    let rows = [
        row(1, Credential::Password(plain.clone())),
        row(2, Credential::PasswordHash(broken.clone())),
        row(3, Credential::PasswordHash(fast.clone())),
        row(4, Credential::PasswordHash(format!("plain:{plain}"))),
    ];
    let start = v1::import_users_request::Message::Start(v1::ImportStart::default());
    let rows = v1::import_users_request::Message::Rows(v1::ImportRows { rows: rows.into() });
    let messages = [start, rows].map(|message| v1::ImportUsersRequest { message: Some(message) });
    let messages = tokio_stream::iter(messages);
    let mut answers = users.import_users(by(admin, messages)).await.unwrap().into_inner();
    let mut told = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        told.push(answer);
    }
    assert_eq!(told.len(), 4);
    for hash in [&fast, &broken] {
        let ask = v1::CheckPasswordHashRequest { password_hash: hash.clone(), password: Some(plain.clone()) };
        told.push(v1::ImportUsersResponse {
            user_id: format!("{:?}", users.check_password_hash(by(admin, ask)).await.unwrap()),
            ..Default::default()
        });
    }
    let secrets = vec![
        ("an imported password".to_owned(), plain.into_bytes()),
        ("a hash that was refused".to_owned(), broken.into_bytes()),
        ("a fast hash".to_owned(), fast.as_bytes()["md5:password::".len()..].to_vec()),
        ("the bytes of a fast hash".to_owned(), hex::decode(&fast["md5:password::".len()..]).unwrap()),
    ];
    (secrets, format!("{told:?}"))
}

fn by<T>(credential: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {credential}").parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_a_log_line_an_error_a_trace_a_metric_or_the_database() {
    let data = tempfile::tempdir().unwrap();
    let collector = Collector::start().await;
    let endpoint = collector.endpoint();
    let variables = [
        ("COUNTERSIGN__LOG__LEVEL", "trace"),
        ("COUNTERSIGN__TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()),
        ("COUNTERSIGN__TELEMETRY__TRACES_PER_THOUSAND", "1000"),
    ];
    let dev = Dev::start_with_env(data.path(), &variables);
    let mut client = Client::connect(dev.grpc);
    let password = dev.password().unwrap();
    let wrong = "wrong-password-canary-5c1f9e";
    let typed_into_the_wrong_field = "password-as-username-canary-77d0";
    let mut errors = Vec::new();
    let mut secrets: Vec<(String, Vec<u8>)> = vec![
        ("the password".to_owned(), password.clone().into_bytes()),
        ("a wrong password".to_owned(), wrong.as_bytes().to_vec()),
        ("a password typed as username".to_owned(), typed_into_the_wrong_field.as_bytes().to_vec()),
    ];

    let login = client.login("admin", &password).await.unwrap();
    let next = client.refresh(&login.refresh_token).await.unwrap();
    client.verify(&login.access_token).await.unwrap();
    client.verify(&next.refresh_token).await.unwrap();
    let (keys, refused) = service_keys(dev.grpc, &next.access_token).await;
    secrets.extend(keys);
    let (brought, told) = imported(dev.grpc, &next.access_token).await;
    secrets.extend(brought);
    errors.push(client.login("admin", wrong).await.unwrap_err());
    errors.push(client.login(typed_into_the_wrong_field, wrong).await.unwrap_err());
    errors.push(client.refresh(&next.access_token).await.unwrap_err());
    let forged = format!("{}AAAA", &next.refresh_token[..next.refresh_token.len() - 4]);
    errors.push(client.refresh(&forged).await.unwrap_err());
    client.logout(&next.refresh_token).await.unwrap();
    errors.push(client.refresh(&next.refresh_token).await.unwrap_err());
    client.logout_with_access_token(&next.access_token).await.unwrap();

    let by_http = over_http(Http(dev.http), &password, wrong).await;
    secrets.extend(by_http.secrets);

    for (name, token) in
        [("refresh token", &login.refresh_token), ("next refresh token", &next.refresh_token)]
    {
        secrets.push((name.to_owned(), token.clone().into_bytes()));
        secrets.push((format!("body of the {name}"), token.as_bytes()["csgn_rt_".len()..].to_vec()));
        secrets.push((format!("session secret in the {name}"), session_secret(token)));
    }
    for token in [&login.access_token, &next.access_token] {
        secrets.push(("access token".to_owned(), token.clone().into_bytes()));
        let signature = token.rsplit('.').next().unwrap();
        secrets.push(("an access token's signature".to_owned(), signature.as_bytes().to_vec()));
    }
    for file in files(&data.path().join("keys"), "/.") {
        let text = fs::read_to_string(&file).unwrap();
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let bytes = STANDARD.decode(&body).unwrap();
        // The private part of a PKCS#8 document, or all of a MAC key, is in its last 32 bytes or before a public key;
        // any 24 bytes of either would do, so look for the middle.
        secrets.push((
            format!("key {}", file.display()),
            bytes[bytes.len() / 2 - 8..bytes.len() / 2 + 8].to_vec(),
        ));
    }

    let metrics = Http(dev.operations).get("/metrics", &[]).await.body;
    let log = dev.log();
    let errors = format!("{errors:?} {refused} {told}");
    assert!(log.contains("users imported"), "{log}");
    assert!(log.contains("service key created") && log.contains("service key revoked"), "{log}");
    assert!(log.contains("login succeeded") && log.contains("login failed"), "the log was captured:\n{log}");
    assert_eq!(dev.terminate(), Some(0));
    let mut places = vec![("log".to_owned(), log.into_bytes()), ("errors".to_owned(), errors.into_bytes())];
    // The last spans are sent when the process stops.
    let traces = collector.text();
    assert!(traces.contains("AuthService/Logout") && traces.contains("sessions.rotate"), "{traces}");
    places.push(("traces".to_owned(), traces.into_bytes()));
    places.push(("metrics".to_owned(), metrics.to_vec()));
    places.push(("refusals over HTTP".to_owned(), by_http.refusals.into_bytes()));
    for file in files(data.path(), "/keys") {
        places.push((file.display().to_string(), fs::read(&file).unwrap()));
    }
    assert!(places.len() >= 3, "the database was found: {places:?}");
    let mut found = Vec::new();
    for (secret, bytes) in &secrets {
        for spelling in spellings(bytes) {
            for (place, content) in &places {
                if contains(content, &spelling) {
                    found.push(format!("{secret} as {:?} in {place}", String::from_utf8_lossy(&spelling)));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    let events = places.iter().any(|(_, content)| contains(content, b"LOGIN_FAILED"));
    assert!(events, "the audit log is in the database, and was looked at");
    let database = places.iter().any(|(_, content)| contains(content, b"$argon2id$"));
    assert!(database, "the PHC string is where it belongs, so the search does find things");
}
