//! The real service behind the command line.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

use super::audit::AuditReading;
use super::dev_banner::{BannerTls, DevBanner};
use super::key::KeyKeeping;
use super::place::Ended;
use super::program::{BoxError, DevData, Page, Program};
use super::service_account::ServiceAccountAdministration;
use super::session::SessionAdministration;
use super::user::{UserAdministration, UserTransfer};
use crate::app::{Administration, App, Stores};
use crate::auth::{
    Caller, ChangeUser, CreateUser, Explanation, ImportBatch, ImportRun, RevokedSessions, RowResult,
    SessionAdmin, SessionsEnded, UserAdmin, UserRef,
};
use crate::config::{ClientCertificates, Config, KeyStore, ignored_variables, process_environment};
use crate::lifecycle;
use crate::model::{
    Clock, Credential, CustomClaims, ExternalId, Role, SessionFacts, SessionId, SystemClock, UnixMillis,
    UserFacts, Username,
};
use crate::secret;
use crate::telemetry;

mod audit;
mod keys;
mod service_accounts;
#[cfg(feature = "test-server")]
mod test_server;

use keys::{DirectoryKeys, StoredKeys};

/// How many users or service accounts are asked for at once.
const PAGE: u32 = 500;
/// The first user of `dev`.
const FIRST_USER: &str = "admin";

/// Countersign itself.
#[derive(Debug)]
pub struct Service;

#[async_trait]
impl Program for Service {
    async fn dev(&self, config: Config, data: DevData) -> Result<(), BoxError> {
        telemetry::init(&config)?;
        log_ignored_variables();
        let wants_certificate = config.grpc.tls.client_certificates == ClientCertificates::Required;
        let app = App::build(config, true).await?;
        let tls = app.tls();
        let tls = BannerTls {
            grpc: tls.grpc.is_some(),
            grpc_wants_certificate: wants_certificate,
            http: tls.edge.is_some(),
            operations: tls.operations.is_some(),
        };
        let password = create_first_user(&app.user_admin()?).await?;
        let banner = DevBanner {
            data: (!data.ephemeral).then_some(data.directory),
            grpc: app.grpc_address()?,
            http: app.http_address()?,
            operations: app.operations_address()?,
            tls,
            username: FIRST_USER.to_owned(),
            password,
        };
        let mut ready = app.readiness().subscribe();
        let asked_to_stop = lifecycle::signal();
        let announce = async move {
            // Whoever reads the banner may paste its lines at once.
            if ready.wait_for(|ready| *ready).await.is_ok() {
                let _ = writeln!(std::io::stdout(), "{banner}");
            }
            asked_to_stop.await;
        };
        finish(app.run(announce).await)
    }

    #[cfg(feature = "test-server")]
    async fn test_server(&self, config: Config, run: super::program::TestRun) -> Result<(), BoxError> {
        test_server::run(config, run).await
    }

    async fn serve(&self, config: Config, migrate: bool) -> Result<(), BoxError> {
        telemetry::init(&config)?;
        log_ignored_variables();
        lifecycle::survive_hangup();
        let app = App::build(config, migrate).await?;
        let (grpc, operations) = (app.grpc_address()?, app.operations_address()?);
        let http = app.http_address()?.map(|http| http.to_string());
        tracing::info!(%grpc, http, %operations, version = env!("CARGO_PKG_VERSION"), "listening");
        finish(app.run(lifecycle::signal()).await)
    }

    fn check(&self, config: &Config) -> Result<(), BoxError> {
        Ok(App::check(config)?)
    }

    async fn migrate(&self, config: &Config) -> Result<Option<String>, BoxError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let stores = Stores::open(config, &clock, true, None).await?;
        stores.close().await;
        Ok(stores.schema_warning)
    }

    async fn users(&self, config: &Config) -> Result<Box<dyn UserAdministration>, BoxError> {
        telemetry::init_log(config.log.format, &config.log.level)?;
        let administration = Administration::open(config).await?;
        Ok(Box::new(Users { administration, config: config.clone() }))
    }

    async fn transfer(&self, config: &Config) -> Result<Box<dyn UserTransfer>, BoxError> {
        telemetry::init_log(config.log.format, &config.log.level)?;
        Ok(Box::new(Administration::open(config).await?.users))
    }

    async fn sessions(&self, config: &Config) -> Result<Box<dyn SessionAdministration>, BoxError> {
        telemetry::init_log(config.log.format, &config.log.level)?;
        Ok(Box::new(Administration::open(config).await?.sessions))
    }

    async fn service_accounts(
        &self,
        config: &Config,
    ) -> Result<Box<dyn ServiceAccountAdministration>, BoxError> {
        telemetry::init_log(config.log.format, &config.log.level)?;
        Ok(Box::new(Administration::open(config).await?.service_accounts))
    }

    async fn audit(&self, config: &Config) -> Result<Box<dyn AuditReading>, BoxError> {
        telemetry::init_log(config.log.format, &config.log.level)?;
        Ok(Box::new(Administration::open(config).await?.events))
    }

    async fn keys(&self, config: &Config) -> Result<Box<dyn KeyKeeping>, BoxError> {
        if config.keys.store == KeyStore::Directory {
            return Ok(Box::new(DirectoryKeys { keys: config.keys.clone(), clock: SystemClock::new() }));
        }
        telemetry::init_log(config.log.format, &config.log.level)?;
        let stored = Administration::open_keys(config).await?;
        Ok(Box::new(StoredKeys { stored, keys: config.keys.clone() }))
    }
}

/// Says which variables of the environment decide nothing, though they look as if they did.
fn log_ignored_variables() {
    let environment = process_environment().unwrap_or_default();
    for ignored in ignored_variables(&environment) {
        tracing::warn!("{ignored}");
    }
    if let Some(ignored) = telemetry::ignored_variables() {
        tracing::info!("{ignored}");
    }
}

/// Calls that had to be cut off make the exit code say so.
fn finish(finished: bool) -> Result<(), BoxError> {
    if finished { Ok(()) } else { Err("calls were still under way when the time to finish was over".into()) }
}

/// Creates the first user of `dev`, unless there is one, and returns the password.
async fn create_first_user(users: &UserAdmin) -> Result<Option<String>, BoxError> {
    if !users.list(None, 1).await?.is_empty() {
        return Ok(None);
    }
    let password = random_password();
    let roles = vec![Role::parse("admin")?, Role::parse(Role::ADMIN)?];
    let username = Username::parse(FIRST_USER)?;
    let first = CreateUser { roles, ..CreateUser::new(username, password.clone()) };
    users.create(&operator(), first, None).await?;
    Ok(Some(password))
}

/// 100 bits in four groups of letters and digits that are not taken for one another, and that no shell minds.
fn random_password() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letters = secret::random::<20>().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    letters.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// Whoever works at this command line: the account is what the shell says that it is, for the audit log alone.
pub(super) fn operator() -> Caller {
    let account = ["SUDO_USER", "LOGNAME", "USER"].into_iter().find_map(|name| std::env::var(name).ok());
    let account = account.unwrap_or_default();
    let account: String = account.chars().filter(char::is_ascii_graphic).take(LONGEST_ACCOUNT).collect();
    if account.is_empty() { Caller::operator() } else { Caller::operator_named(&account) }
}

/// The longest name of an account that is written down.
const LONGEST_ACCOUNT: usize = 64;

fn named(username: &Username) -> UserRef {
    UserRef::Name(username.clone())
}

fn ended(SessionsEnded { reach, position }: SessionsEnded) -> Ended {
    Ended { reach: Some(reach), position }
}

/// Where a page of users ended.
fn place(after: Option<&str>) -> Option<Username> {
    after.map(|name| Username::from_normalized(name.to_owned()))
}

/// A page that was read of [`PAGE`] users at most.
fn page<T>(items: Vec<T>, username: impl Fn(&T) -> &Username) -> Page<T> {
    let last = items.last().filter(|_| items.len() >= PAGE as usize);
    let next = last.map(|last| username(last).as_str().to_owned());
    Page { items, next }
}

/// Users, for operators.
struct Users {
    administration: Administration,
    config: Config,
}

#[async_trait]
impl UserAdministration for Users {
    async fn create(&self, new: CreateUser) -> Result<UserFacts, BoxError> {
        Ok(self.administration.users.create(&operator(), new, None).await?.into())
    }

    async fn list(&self, after: Option<&str>) -> Result<Page<UserFacts>, BoxError> {
        let users = self.administration.users.list(place(after).as_ref(), PAGE).await?;
        let Page { items, next } = page(users, |user| &user.username);
        Ok(Page { items: items.into_iter().map(Into::into).collect(), next })
    }

    async fn show(&self, username: &Username) -> Result<UserFacts, BoxError> {
        Ok(self.administration.users.find(&named(username)).await?.into())
    }

    async fn set_password(&self, username: &Username, password: SecretString) -> Result<Ended, BoxError> {
        let (operator, user) = (operator(), named(username));
        Ok(ended(self.administration.users.set_password(&operator, &user, password, None).await?))
    }

    async fn set_roles(&self, username: &Username, roles: Vec<Role>) -> Result<(), BoxError> {
        let change = ChangeUser { roles: Some(roles), ..ChangeUser::default() };
        self.administration.users.change(&operator(), &named(username), change).await?;
        Ok(())
    }

    async fn set_claims(&self, username: &Username, claims: CustomClaims) -> Result<(), BoxError> {
        let change = ChangeUser { claims: Some(claims), ..ChangeUser::default() };
        self.administration.users.change(&operator(), &named(username), change).await?;
        Ok(())
    }

    async fn set_external_id(
        &self,
        username: &Username,
        external_id: Option<ExternalId>,
    ) -> Result<(), BoxError> {
        let change = ChangeUser { external_id: Some(external_id), ..ChangeUser::default() };
        self.administration.users.change(&operator(), &named(username), change).await?;
        Ok(())
    }

    async fn create_reset(
        &self,
        username: &Username,
        ttl: Duration,
    ) -> Result<(SecretString, UnixMillis), BoxError> {
        let resets = self.administration.password_resets(&self.config).await?;
        let (token, expires_at) = resets.create(&operator(), &named(username), ttl).await?;
        Ok((token.expose().to_owned().into(), expires_at))
    }

    async fn enable(&self, username: &Username) -> Result<(), BoxError> {
        Ok(self.administration.users.enable(&operator(), &named(username)).await?)
    }

    async fn disable(&self, username: &Username) -> Result<Ended, BoxError> {
        Ok(ended(self.administration.users.disable(&operator(), &named(username)).await?))
    }

    async fn delete(&self, username: &Username) -> Result<Ended, BoxError> {
        Ok(ended(self.administration.users.delete(&operator(), &named(username)).await?))
    }
}

#[async_trait]
impl UserTransfer for Arc<UserAdmin> {
    async fn import(&self, run: &ImportRun, batch: ImportBatch) -> Result<Vec<RowResult>, BoxError> {
        Ok(UserAdmin::import(self, &operator(), run, batch).await?)
    }

    async fn list_credentials(&self, after: Option<&str>) -> Result<Page<Credential>, BoxError> {
        let users = UserAdmin::list_credentials(self, place(after).as_ref(), PAGE).await?;
        Ok(page(users, |credential| &credential.user.username))
    }
}

#[async_trait]
impl SessionAdministration for SessionAdmin {
    async fn list(&self, username: &Username) -> Result<Vec<SessionFacts>, BoxError> {
        let page = self.page(&named(username), None, usize::MAX).await?;
        Ok(page.sessions.into_iter().map(Into::into).collect())
    }

    async fn revoke(
        &self,
        username: &Username,
        sessions: &BTreeSet<SessionId>,
    ) -> Result<RevokedSessions, BoxError> {
        Ok(SessionAdmin::revoke(self, &operator(), &named(username), sessions).await?)
    }

    async fn revoke_all(&self, username: &Username) -> Result<RevokedSessions, BoxError> {
        Ok(SessionAdmin::revoke_all(self, &operator(), &named(username)).await?)
    }

    async fn explain(&self, user: &UserRef, session: SessionId) -> Result<Explanation, BoxError> {
        Ok(SessionAdmin::explain(self, user, session).await?)
    }
}
