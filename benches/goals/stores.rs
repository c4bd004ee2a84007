//! Services on PostgreSQL and Redis, and what these hold before a measurement begins.

use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::model::{
    ClientFacts, Clock as _, Epoch, MacKeyId, NewSession, Presented, RotationPolicy, Session, SessionId,
    SessionLimit, SystemClock, UserId,
};
use countersign::password::{Argon2idHash, HashParameters, Password, WorkingMemory};
use countersign::store::redis::{RedisOptions, RedisStore, RedisUrl, TimeSource};
use countersign::store::{Created, SessionPolicy, SessionStore as _};
use countersign::token::{LoadedKeys, SessionSecret};
use deadpool_redis::redis::{self, aio::MultiplexedConnection};
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::support::database::Server as _;
use crate::support::postgres::Postgres;
use crate::support::redis::{Server as Redis, is_installed};
use crate::support::replica::{Deployment, PASSWORD};
use crate::world::{Keys, user};

/// What a browser says of itself.
const USER_AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                          Chrome/126.0.0.0 Safari/537.36";

/// A database and a Redis of their own, and the service's configuration for them.
pub(crate) struct Backed {
    pub(crate) deployment: Deployment,
    pub(crate) redis: Redis,
    pub(crate) database: String,
    keys: Keys,
}

impl Backed {
    /// None when a server is not installed.
    pub(crate) async fn prepare(row: &str, configuration: &[(&str, &str)]) -> Option<Self> {
        is_installed(row).then_some(())?;
        let postgres = postgres(row)?;
        let database = postgres.url(&postgres.create_database().await);
        let (redis, keys) = (Redis::start(), Keys::new());
        let mut deployment = Deployment::on(&database, Some(&redis.url()))
            .with("KEYS__DIRECTORY", keys.path().to_str().unwrap())
            // On a machine that the load generator keeps busy a store may answer later than the defaults allow. What
            // takes long is in the figures; what fails is not.
            .with("DATABASE__TIMEOUT", "10s")
            .with("REDIS__TIMEOUT", "2s")
            .with("GRPC__LOGIN_TIMEOUT", "30s");
        for (key, value) in configuration {
            deployment = deployment.with(key, value);
        }
        deployment.prepare();
        Some(Self { deployment, redis, database, keys })
    }

    pub(crate) fn keys(&self) -> LoadedKeys {
        self.keys.load()
    }

    /// Makes `user0` and so many more, whose password is [`PASSWORD`], with one hash for all.
    pub(crate) async fn create_users(&self, number: u64, hash: HashParameters) {
        let password = Password::new(PASSWORD.to_owned()).unwrap();
        let hash = Argon2idHash::compute(&password, [7; 16], hash, &mut WorkingMemory::new(hash)).to_phc();
        let mut connection = PgConnection::connect(&self.database).await.unwrap();
        sqlx::query(
            r#"INSERT INTO users SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), 'user' || n, $1,
                   '["member","editor"]', '{}', false, 0, 0, 0 FROM generate_series(0, $2 - 1) AS n"#,
        )
        .bind(hash.as_phc())
        .bind(number.cast_signed())
        .execute(&mut connection)
        .await
        .unwrap();
        sqlx::raw_sql("VACUUM ANALYZE users").execute(&mut connection).await.unwrap();
    }

    /// How many transactions the database has ended. Waits until nobody is connected, because a connection may tell of
    /// its own only when it ends.
    pub(crate) async fn transactions(&self) -> i64 {
        let mut connection = PgConnection::connect(&self.database).await.unwrap();
        let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = \
                      'client backend' AND pid <> pg_backend_pid()";
        while sqlx::query(others).fetch_one(&mut connection).await.unwrap().get::<i64, _>(0) > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        sqlx::query("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
            .fetch_one(&mut connection)
            .await
            .unwrap()
            .get(0)
    }

    /// A connection to Redis of another program.
    pub(crate) async fn redis_connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.redis.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Puts one session of each of so many users, `user0` being the first, into Redis, as a login leaves it there.
    pub(crate) async fn fill_sessions(&self, number: u64) -> Filled {
        let keys = self.keys();
        let (template, record) = self.template(&keys).await;
        let (mac_key, current) = (template.mac_key, template.current());
        let lives = template.idle_expires_at.0 - SystemClock::new().now().0;
        let mut connection = self.redis_connection().await;
        let mut held = Vec::with_capacity(usize::try_from(number).unwrap());
        for first in (0..number).step_by(1000) {
            let mut pipeline = redis::pipe();
            for number in first..(first + 1000).min(number) {
                let (secret, user) = (SessionSecret::generate(), user(number).id);
                let session = secret.session_id();
                let mut record = record.clone();
                record[3..19].copy_from_slice(session.as_bytes());
                pipeline.cmd("SET").arg(redis_key(user)).arg(record).arg("PX").arg(lives).ignore();
                let token = keys.mac.mint(&secret, user, mac_key, current, template.expires_at).unwrap();
                held.push(Held { user, session, token: token.expose().to_owned() });
            }
            pipeline.query_async::<()>(&mut connection).await.unwrap();
        }
        Filled { held, current, mac_key }
    }

    /// A session that the service's own store has made, as it knows it and as Redis has it.
    async fn template(&self, keys: &LoadedKeys) -> (Session, Vec<u8>) {
        let url: RedisUrl = self.redis.url().parse().unwrap();
        let store = RedisStore::open(&RedisOptions::new(url), TimeSource::Server);
        let policy = SessionPolicy {
            idle: Duration::from_hours(24 * 14),
            absolute: Duration::from_hours(24 * 90),
            limit: SessionLimit::Unlimited,
            class_limit: SessionLimit::Unlimited,
            rotation: RotationPolicy {
                grace: Duration::ZERO,
                deadline: Duration::from_secs(2),
                strict: false,
            },
        };
        let client = ClientFacts {
            address: "203.0.113.195".to_owned(),
            user_agent: USER_AGENT.to_owned(),
            ..ClientFacts::default()
        };
        let new = NewSession {
            id: SessionSecret::generate().session_id(),
            user: user(u64::MAX).id,
            epoch: Epoch(0),
            audiences: Vec::new(),
            mac_key: keys.mac.active(SystemClock::new().now()),
            client,
        };
        let created = loop {
            // Until there is a connection.
            if let Ok(created) = store.create(new.clone(), &policy).await {
                break created;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let Created::Session(session, _) = created else { panic!("the first session of its user") };
        let key = redis_key(session.user);
        let mut connection = self.redis_connection().await;
        let record = redis::cmd("GETDEL").arg(key).query_async(&mut connection).await.unwrap();
        (*session, record)
    }
}

/// Sessions that were put into Redis.
pub(crate) struct Filled {
    pub(crate) held: Vec<Held>,
    /// Where the line of each stands.
    pub(crate) current: Presented,
    pub(crate) mac_key: MacKeyId,
}

/// One session, and the refresh token that its client holds.
pub(crate) struct Held {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    pub(crate) token: String,
}

/// The key of a user's sessions in Redis.
pub(crate) fn redis_key(user: UserId) -> String {
    format!("countersign:{{{}}}", URL_SAFE_NO_PAD.encode(user.as_bytes()))
}

/// The one PostgreSQL of this run, with its usual settings, `fsync` included; none when it is not installed.
fn postgres(row: &str) -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start_with(row, &["shared_buffers=512MB"])).as_ref()
}
