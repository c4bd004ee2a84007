//! `countersign user …` against a service that only writes down what it was asked.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use clap::Parser as _;
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

use super::*;
use crate::auth::{
    Explanation, ImportBatch, ImportRun, NewCredential, RevokedSessions, RowResult, SessionEnd,
    UserAdminError, UserRef,
};
use crate::cli::audit::AuditReading;
use crate::cli::key::KeyKeeping;
use crate::cli::program::{BoxError, Page};
use crate::cli::service_account::ServiceAccountAdministration;
use crate::cli::session::SessionAdministration;
use crate::cli::{Cli, DevData, run};
use crate::config::Config;
use crate::model::{
    ClientFacts, Credential, EndCause, Epoch, PasswordHash, Position, SessionFacts, SessionId, UnixMillis,
    User as StoredUser, UserFacts, UserId,
};

/// Takes every order, and has users `user000` and so on.
#[derive(Clone, Default)]
struct Recorder {
    orders: Arc<Mutex<Vec<String>>>,
    users: usize,
    reach: Option<Reach>,
}

impl Recorder {
    fn ended(&self) -> Ended {
        Ended { reach: Some(self.reach.clone().unwrap_or(Reach::Polled)), position: POSITION }
    }
    fn note(&self, order: String) {
        self.orders.lock().unwrap().push(order);
    }
}

const POSITION: Position = Position { seq: 7, mark: 0xab };

fn user(username: Username) -> UserFacts {
    UserFacts {
        id: UserId::from_bytes([1; 16]),
        username,
        roles: Role::parse_all(["admin", "ops"]).unwrap(),
        claims: CustomClaims::parse(r#"{"tenant":"acme"}"#).unwrap(),
        external_id: Some(ExternalId::parse("42").unwrap()),
        disabled: false,
        created_at: UnixMillis(0),
        updated_at: UnixMillis(1000),
    }
}

#[async_trait]
impl Program for Recorder {
    async fn dev(&self, config: Config, data: DevData) -> Result<(), BoxError> {
        let there = data.directory.is_dir();
        self.note(format!("dev {} {} there={there}", config.grpc.listen, data.ephemeral));
        Ok(())
    }
    async fn serve(&self, config: Config, migrate: bool) -> Result<(), BoxError> {
        self.note(format!("serve {} {migrate}", config.log.level));
        Ok(())
    }
    fn check(&self, _config: &Config) -> Result<(), BoxError> {
        Ok(())
    }
    async fn migrate(&self, _config: &Config) -> Result<Option<String>, BoxError> {
        self.note("migrate".to_owned());
        Ok(None)
    }
    async fn users(&self, _config: &Config) -> Result<Box<dyn UserAdministration>, BoxError> {
        Ok(Box::new(self.clone()))
    }
    async fn transfer(&self, _config: &Config) -> Result<Box<dyn UserTransfer>, BoxError> {
        Ok(Box::new(self.clone()))
    }
    async fn sessions(&self, _config: &Config) -> Result<Box<dyn SessionAdministration>, BoxError> {
        Ok(Box::new(self.clone()))
    }
    async fn service_accounts(
        &self,
        _config: &Config,
    ) -> Result<Box<dyn ServiceAccountAdministration>, BoxError> {
        Err("no service accounts here".into())
    }
    async fn audit(&self, _config: &Config) -> Result<Box<dyn AuditReading>, BoxError> {
        Err("no audit log here".into())
    }
    async fn keys(&self, _config: &Config) -> Result<Box<dyn KeyKeeping>, BoxError> {
        Err("no keys here".into())
    }
}

#[async_trait]
impl SessionAdministration for Recorder {
    async fn list(&self, username: &Username) -> Result<Vec<SessionFacts>, BoxError> {
        self.note(format!("sessions of {}", username.as_str()));
        Ok(vec![SessionFacts {
            id: SessionId::from_bytes([2; 16]),
            created_at: UnixMillis(0),
            refreshed_at: UnixMillis(60_000),
            expires_at: UnixMillis(120_000),
            client: ClientFacts {
                address: "192.0.2.7".to_owned(),
                class: "mobile".to_owned(),
                ..ClientFacts::default()
            },
        }])
    }
    async fn revoke(
        &self,
        username: &Username,
        ids: &BTreeSet<SessionId>,
    ) -> Result<RevokedSessions, BoxError> {
        self.note(format!("revoke {} of {}", ids.len(), username.as_str()));
        Ok(RevokedSessions { count: 1, position: POSITION })
    }
    async fn revoke_all(&self, username: &Username) -> Result<RevokedSessions, BoxError> {
        self.note(format!("revoke all of {}", username.as_str()));
        Ok(RevokedSessions { count: 3, position: POSITION })
    }
    async fn explain(&self, user: &UserRef, session: SessionId) -> Result<Explanation, BoxError> {
        self.note(format!("explain {session} of {user}"));
        if matches!(user, UserRef::Id(_)) {
            return Ok(Explanation::Unknown);
        }
        Ok(Explanation::Revoked(Some(SessionEnd {
            cause: Some(EndCause::RevokedByAdministrator),
            actor: "operator".to_owned(),
            at: UnixMillis(60_000),
        })))
    }
}

#[async_trait]
impl UserAdministration for Recorder {
    async fn create(&self, new: CreateUser) -> Result<UserFacts, BoxError> {
        let roles: Vec<&str> = new.roles.iter().map(Role::as_str).collect();
        let NewCredential::Password(password) = &new.credential else { panic!("a password is asked for") };
        let (password, claims) = (password.expose_secret(), new.claims.to_json());
        let external = new.external_id.as_ref().map_or("-", ExternalId::as_str);
        let name = new.username.as_str();
        self.note(format!("create {name} {password} {} {claims} {external}", roles.join(",")));
        Ok(user(new.username))
    }
    async fn list(&self, after: Option<&str>) -> Result<Page<UserFacts>, BoxError> {
        let from = after.map_or(0, |next| next.parse::<usize>().unwrap());
        let to = self.users.min(from + 500);
        let items = (from..to).map(|n| user(Username::parse(&format!("user{n:04}")).unwrap())).collect();
        Ok(Page { items, next: (to < self.users).then(|| to.to_string()) })
    }
    async fn show(&self, username: &Username) -> Result<UserFacts, BoxError> {
        if username.as_str() == "nobody" {
            return Err(UserAdminError::NotFound(username.clone().into()).into());
        }
        Ok(user(username.clone()))
    }
    async fn set_password(&self, username: &Username, password: SecretString) -> Result<Ended, BoxError> {
        self.note(format!("set_password {} {}", username.as_str(), password.expose_secret()));
        Ok(self.ended())
    }
    async fn set_roles(&self, username: &Username, roles: Vec<Role>) -> Result<(), BoxError> {
        let roles: Vec<&str> = roles.iter().map(Role::as_str).collect();
        self.note(format!("set_roles {} [{}]", username.as_str(), roles.join(",")));
        Ok(())
    }
    async fn set_claims(&self, username: &Username, claims: CustomClaims) -> Result<(), BoxError> {
        self.note(format!("set_claims {} {}", username.as_str(), claims.to_json()));
        Ok(())
    }
    async fn set_external_id(
        &self,
        username: &Username,
        external_id: Option<ExternalId>,
    ) -> Result<(), BoxError> {
        let external = external_id.as_ref().map_or("-", ExternalId::as_str);
        self.note(format!("set_external_id {} {external}", username.as_str()));
        Ok(())
    }
    async fn create_reset(
        &self,
        username: &Username,
        ttl: Duration,
    ) -> Result<(SecretString, UnixMillis), BoxError> {
        self.note(format!("reset {} {ttl:?}", username.as_str()));
        Ok((SecretString::from("csgn_pr_token"), UnixMillis(0)))
    }
    async fn enable(&self, username: &Username) -> Result<(), BoxError> {
        self.note(format!("enable {}", username.as_str()));
        Ok(())
    }
    async fn disable(&self, username: &Username) -> Result<Ended, BoxError> {
        self.note(format!("disable {}", username.as_str()));
        Ok(self.ended())
    }
    async fn delete(&self, username: &Username) -> Result<Ended, BoxError> {
        self.note(format!("delete {}", username.as_str()));
        Ok(self.ended())
    }
}

#[async_trait]
impl UserTransfer for Recorder {
    async fn import(&self, _: &ImportRun, _: ImportBatch) -> Result<Vec<RowResult>, BoxError> {
        Ok(Vec::new())
    }
    async fn list_credentials(&self, after: Option<&str>) -> Result<Page<Credential>, BoxError> {
        let Page { items, next } = UserAdministration::list(self, after).await?;
        let credential = |facts| {
            let UserFacts { id, username, roles, claims, external_id, disabled, created_at, updated_at } =
                facts;
            let epoch = Epoch(0);
            let user = StoredUser {
                id,
                username,
                roles,
                claims,
                external_id,
                disabled,
                epoch,
                created_at,
                updated_at,
            };
            Credential { user, password_hash: PasswordHash::from_phc("$argon2id$secret".to_owned()) }
        };
        Ok(Page { items: items.into_iter().map(credential).collect(), next })
    }
}

/// Runs a command line on a data directory, which holds a password in `password` and claims in `claims`.
async fn order(recorder: &Recorder, arguments: &str) -> Result<String, String> {
    let data = TempDir::new().unwrap();
    std::fs::write(data.path().join("password"), "correct horse\n").unwrap();
    std::fs::write(data.path().join("empty"), "\n").unwrap();
    std::fs::write(data.path().join("claims"), "{ \"plan\": 1 }\n").unwrap();
    let directory = data.path().to_str().unwrap();
    let arguments = arguments.replace("DATA", directory);
    let cli = Cli::try_parse_from(std::iter::once("countersign").chain(arguments.split_whitespace()))
        .map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    run(cli, recorder, &mut out).await.map_err(|failure| failure.report())?;
    Ok(String::from_utf8(out).unwrap())
}

async fn ordered(arguments: &str) -> String {
    let recorder = Recorder::default();
    order(&recorder, arguments).await.unwrap();
    let mut orders = recorder.orders.lock().unwrap();
    assert_eq!(orders.len(), 1, "{orders:?}");
    orders.remove(0)
}

#[tokio::test]
async fn sessions_are_shown_for_people_and_for_programs() {
    let recorder = Recorder::default();
    let table = order(&recorder, "session list ada --data-dir DATA").await.unwrap();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "CREATED", "REFRESHED", "ADDRESS", "CLASS", "CLIENT"]);
    let times = ["1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z"];
    assert_eq!(lines[1], ["AgICAgICAgICAgICAgICAg", times[0], times[1], "192.0.2.7", "mobile"]);
    let json = order(&recorder, "session list ada --json --data-dir DATA").await.unwrap();
    let session: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(session["class"], "mobile");
    assert_eq!((&session["id"], &session["refreshed_at"]), (&lines[1][0].into(), &times[1].into()));

    let explained =
        order(&recorder, "session explain ada AgICAgICAgICAgICAgICAg --data-dir DATA").await.unwrap();
    assert_eq!(explained, "REVOKED: REVOKED_BY_ADMINISTRATOR by operator at 1970-01-01T00:01:00Z\n");
    let unknown =
        "session explain 0197a2c4-0000-7000-8000-000000000001 AgICAgICAgICAgICAgICAg --data-dir DATA";
    assert!(order(&recorder, unknown).await.unwrap().starts_with("UNKNOWN: "));

    let ended = order(&recorder, "session revoke ada --all --data-dir DATA").await.unwrap();
    assert!(ended.starts_with("ada: 3 sessions are over; every replica refuses"), "{ended}");
    for wrong in ["ada", "ada --all AgICAgICAgICAgICAgICAg", "ada short"] {
        assert!(
            order(&recorder, &format!("session revoke {wrong} --data-dir DATA")).await.is_err(),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn each_command_orders_what_it_says() {
    for (arguments, expected) in [
        (
            "user create ada --data-dir DATA --password-file DATA/password --role ops --role admin --claims {\"a\":1} --external-id 42",
            "create ada correct horse admin,ops {\"a\":1} 42",
        ),
        ("user create ada --data-dir DATA --password-file DATA/password", "create ada correct horse  {} -"),
        (
            "user set-password ada --data-dir DATA --password-file DATA/password",
            "set_password ada correct horse",
        ),
        ("user set-roles ada --data-dir DATA --role ops", "set_roles ada [ops]"),
        ("user set-roles ada --data-dir DATA --none", "set_roles ada []"),
        ("user set-claims ada --data-dir DATA --claims-file DATA/claims", "set_claims ada {\"plan\":1}"),
        ("user set-external-id ada 42 --data-dir DATA", "set_external_id ada 42"),
        ("user set-external-id ada --none --data-dir DATA", "set_external_id ada -"),
        ("user enable ada --data-dir DATA", "enable ada"),
        ("user reset-link ada --data-dir DATA", "reset ada 3600s"),
        ("user reset-link ada --ttl 1d --data-dir DATA", "reset ada 86400s"),
        ("user disable ada --data-dir DATA", "disable ada"),
        ("user delete ada --data-dir DATA", "delete ada"),
        ("session list ada --data-dir DATA", "sessions of ada"),
        ("session revoke ada --all --data-dir DATA", "revoke all of ada"),
        (
            "session revoke ada AgICAgICAgICAgICAgICAg AwMDAwMDAwMDAwMDAwMDAw --data-dir DATA",
            "revoke 2 of ada",
        ),
        (
            "session explain --data-dir DATA ada -wMDAwMDAwMDAwMDAwMDAw",
            "explain -wMDAwMDAwMDAwMDAwMDAw of \"ada\"",
        ),
        (
            "session explain 0197a2c4-0000-7000-8000-000000000001 AgICAgICAgICAgICAgICAg --data-dir DATA",
            "explain AgICAgICAgICAgICAgICAg of 0197a2c4-0000-7000-8000-000000000001",
        ),
        ("dev --data-dir DATA --grpc-listen 127.0.0.1:7", "dev 127.0.0.1:7 false there=true"),
        ("dev --ephemeral", "dev 127.0.0.1:50051 true there=true"),
    ] {
        assert_eq!(ordered(arguments).await, expected, "{arguments}");
    }
}

/// An operator who locks somebody out hears when that holds everywhere.
#[tokio::test]
async fn a_command_that_ends_sessions_says_by_when_every_replica_knows() {
    let within = "every replica refuses their access tokens within 1s (revocation.poll_interval)";
    for (reach, parts) in [
        (Reach::Polled, vec![within]),
        (Reach::Pushed, vec!["pushed to the replicas that listen", within]),
        (
            Reach::NotPushed("redis is down".to_owned()),
            vec!["not pushed to the replicas (redis is down)", within],
        ),
    ] {
        let recorder = Recorder { reach: Some(reach), ..Recorder::default() };
        for command in ["disable ada", "delete ada", "set-password ada --password-file DATA/password"] {
            let said = order(&recorder, &format!("user {command} --data-dir DATA")).await.unwrap();
            assert!(said.contains("all their sessions are over"), "{command}: {said}");
            assert!(
                said.contains("verifies nothing after 1m (revocation.max_staleness)"),
                "{command}: {said}"
            );
            assert!(parts.iter().all(|part| said.contains(part)), "{command}: {said}");
        }
    }
    for command in ["set-roles ada --role ops", "set-claims ada --claims {\"a\":1}", "set-external-id ada 42"]
    {
        let said = order(&Recorder::default(), &format!("user {command} --data-dir DATA")).await.unwrap();
        assert!(said.contains("(tokens.access_ttl)"), "{command}: {said}");
    }
}

#[tokio::test]
async fn a_wrong_order_reaches_nobody() {
    for (arguments, expected) in [
        ("user set-roles ada --data-dir DATA", "--role"),
        ("user set-roles ada --data-dir DATA --none --role ops", "cannot be used with"),
        ("user set-roles ada --data-dir DATA --role a,b", "ASCII letters"),
        ("user set-external-id ada --data-dir DATA", "EXTERNAL_ID"),
        ("user set-external-id ada 42 --none --data-dir DATA", "cannot be used with"),
        ("user set-claims ada --data-dir DATA --claims {\"ext\":1}", "reserved"),
        ("user set-claims ada --data-dir DATA", "--claims"),
        ("user set-claims ada --data-dir DATA --claims {\"sub\":1}", "reserved"),
        ("user set-claims ada --data-dir DATA --claims-file DATA/absent", "absent"),
        ("user set-claims ada --data-dir DATA --claims-file DATA/password", "must be a JSON object"),
        ("user set-password ada --data-dir DATA --password-file DATA/absent", "absent"),
        ("user set-password ada --data-dir DATA --password-file x --password-stdin", "cannot be used with"),
        ("user set-password ada correct-horse --data-dir DATA", "unexpected argument"),
        ("user create ada --password correct-horse --data-dir DATA", "unexpected argument '--password'"),
        ("user create ada --data-dir DATA --config x --password-stdin", "cannot be used with"),
        ("user disable ada --data-dir DATA/absent", "there is no data directory"),
        ("user disable --data-dir DATA", "USERNAME"),
        ("user reset-link ada --ttl 25h --data-dir DATA", "must be 1s to 1d"),
        ("user disable ada --server localhost:1", "must begin with http"),
        ("user disable ada --server http://localhost:1 --data-dir DATA", "cannot be used with"),
        ("user disable ada --server https://localhost:1", "needs --ca-file"),
        ("user disable ada --data-dir DATA --token-file DATA/password", "--server"),
        ("user disable ada --server http://localhost:1 --token-file DATA/absent", "absent"),
        ("user disable ada --server http://localhost:1 --token-file DATA/empty", "is empty"),
        ("user disable ada --server http://localhost:1 --timeout never", "--timeout"),
        ("dev --ephemeral --data-dir DATA", "cannot be used with"),
        ("dev --grpc-listen localhost:1", "invalid socket address"),
    ] {
        let recorder = Recorder::default();
        let error = order(&recorder, arguments).await.expect_err(arguments);
        assert!(error.contains(expected), "{arguments}: {error}");
        assert!(recorder.orders.lock().unwrap().is_empty(), "{arguments}");
    }
}

#[tokio::test]
async fn a_user_is_shown_for_people_and_for_programs() {
    let recorder = Recorder::default();
    let line = order(&recorder, "user show ada --json --data-dir DATA").await.unwrap();
    assert_eq!(
        line,
        concat!(
            r#"{"id":"01010101-0101-0101-0101-010101010101","username":"ada","external_id":"42","disabled":false,"#,
            r#""roles":["admin","ops"],"claims":{"tenant":"acme"},"#,
            r#""created_at":"1970-01-01T00:00:00Z","updated_at":"1970-01-01T00:00:01Z"}"#,
            "\n"
        )
    );
    let text = order(&recorder, "user show ada --data-dir DATA").await.unwrap();
    for part in [
        "username  ada\n",
        "external  42\n",
        "status    enabled\n",
        "roles     admin,ops\n",
        r#"{"tenant":"acme"}"#,
    ] {
        assert!(text.contains(part), "{text}");
    }
    let error = order(&recorder, "user show nobody --data-dir DATA").await.unwrap_err();
    assert_eq!(error, "error: there is no user \"nobody\"\n");
}

#[tokio::test]
async fn a_link_for_a_new_password_is_shown_for_people_and_for_programs() {
    let recorder = Recorder::default();
    let said = order(&recorder, "user reset-link ada --data-dir DATA").await.unwrap();
    assert!(
        said.contains("until 1970-01-01T00:00:00Z, once") && said.ends_with("\ncsgn_pr_token\n"),
        "{said}"
    );
    let url = "--url https://app.example.com/reset#";
    let said = order(&recorder, &format!("user reset-link ada {url} --data-dir DATA")).await.unwrap();
    assert!(said.ends_with("\nhttps://app.example.com/reset#csgn_pr_token\n"), "{said}");
    let said = order(&recorder, &format!("user reset-link ada {url} --json --data-dir DATA")).await.unwrap();
    assert_eq!(
        said,
        concat!(
            r#"{"reset_token":"csgn_pr_token","expires_at":"1970-01-01T00:00:00Z","#,
            r#""link":"https://app.example.com/reset#csgn_pr_token"}"#,
            "\n"
        )
    );
}

#[tokio::test]
async fn every_user_is_listed_once_however_many_there_are() {
    for users in [0, 1, 499, 500, 501, 1000, 1203] {
        let recorder = Recorder { users, ..Recorder::default() };
        let lines = order(&recorder, "user list --json --data-dir DATA").await.unwrap();
        let names: Vec<String> = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["username"].to_string())
            .collect();
        let expected: Vec<String> = (0..users).map(|n| format!("\"user{n:04}\"")).collect();
        assert_eq!(names, expected);
        let table = order(&recorder, "user list --data-dir DATA").await.unwrap();
        assert_eq!(table.lines().count(), users + 1, "and a head");
    }
}
