//! kill −9 in the middle of what is done to users: each change has happened wholly or not at all, what was acknowledged
//! holds, and the audit log has an event, one, of what has happened and of nothing else.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::grpc::proto::v1::{Event, EventType, InvalidReason, Tokens};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::next;
use crate::support::administrator::Administrator;
use crate::support::cli::{on_data, service_key};
use crate::support::client::{Client, Refused, Verified};
use crate::support::process::Dev;

/// `KILLS=200 make crash` kills more often.
const KILLS: usize = 40;
const WORKERS: usize = 6;
/// Far more than any step needs, for busy machines.
const PATIENCE: Duration = Duration::from_mins(1);
const PASSWORDS: [&str; 2] = ["the first long password", "the second long password"];

/// What is done to a user who has one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    SetRoles,
    SetPassword,
    OwnPassword,
    ResetPassword,
    RevokeSessions,
    Disable,
    Delete,
}

impl Change {
    const ALL: [Self; 7] = [
        Self::SetRoles,
        Self::SetPassword,
        Self::OwnPassword,
        Self::ResetPassword,
        Self::RevokeSessions,
        Self::Disable,
        Self::Delete,
    ];

    /// The event of it.
    const fn event(self) -> EventType {
        match self {
            Self::SetRoles => EventType::UserUpdated,
            Self::SetPassword | Self::OwnPassword => EventType::PasswordChanged,
            Self::ResetPassword => EventType::PasswordReset,
            Self::RevokeSessions => EventType::SessionRevoked,
            Self::Disable => EventType::UserDisabled,
            Self::Delete => EventType::UserDeleted,
        }
    }

    /// What can be seen of the user once it has happened.
    fn after(self) -> Seen {
        let before = Seen::before();
        match self {
            Self::SetRoles => Seen { roles: Some(vec!["ops".to_owned()]), ..before },
            Self::SetPassword | Self::OwnPassword | Self::ResetPassword => {
                Seen { session: false, logs_in: [false, true], ..before }
            }
            Self::RevokeSessions => Seen { session: false, ..before },
            Self::Disable => Seen { session: false, logs_in: [false, false], ..before },
            Self::Delete => Seen { session: false, logs_in: [false, false], roles: None },
        }
    }
}

/// What can be seen of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    /// Whether the session that they had goes on.
    session: bool,
    /// Which password lets them in.
    logs_in: [bool; 2],
    /// None of somebody who is not there.
    roles: Option<Vec<String>>,
}

impl Seen {
    fn before() -> Self {
        Self { session: true, logs_in: [true, false], roles: Some(vec!["editor".to_owned()]) }
    }
}

/// How far the change to a user had come when the process died.
#[derive(Debug, Clone)]
enum Stage {
    Creating,
    Created,
    Changing(Change, Tokens),
    /// With the session that the change began, where it began one.
    Changed(Change, Tokens, Option<Tokens>),
}

type Users = Arc<Mutex<BTreeMap<String, Stage>>>;

/// What the workers need.
struct Work {
    client: Client,
    administrator: Administrator,
    users: Users,
    acknowledged: Arc<Notify>,
}

impl Work {
    fn note(&self, name: &str, stage: Stage) {
        self.users.lock().unwrap().insert(name.to_owned(), stage);
    }

    /// Creates a user and makes one change to them, until a call is not answered because the process is gone.
    async fn go(mut self, kill: usize, worker: usize) {
        for turn in 0.. {
            if self
                .one(&format!("user-{kill}-{worker}-{turn}"), Change::ALL[(kill + worker + turn) % 7])
                .await
                .is_err()
            {
                return;
            }
        }
    }

    async fn one(&mut self, name: &str, change: Change) -> Result<(), Refused> {
        self.note(name, Stage::Creating);
        self.administrator.create(name, PASSWORDS[0], &["editor"], name).await?;
        self.note(name, Stage::Created);
        let tokens = self.client.login(name, PASSWORDS[0]).await?;
        let reset = match change {
            Change::ResetPassword => self.administrator.create_reset(name).await?,
            _ => String::new(),
        };
        self.note(name, Stage::Changing(change, tokens.clone()));
        let mut new = None;
        match change {
            Change::SetRoles => drop(self.administrator.set_roles(name, &["ops"], "").await?),
            Change::SetPassword => drop(self.administrator.set_password(name, PASSWORDS[1]).await?),
            Change::ResetPassword => self.client.reset_password(&reset, PASSWORDS[1]).await?,
            Change::RevokeSessions => drop(self.administrator.revoke_all(name).await?),
            Change::Disable => drop(self.administrator.disable(name).await?),
            Change::Delete => drop(self.administrator.delete(name).await?),
            Change::OwnPassword => {
                let [from, to] = PASSWORDS;
                new = Some(self.client.change_password(&tokens.refresh_token, from, to).await?.0);
            }
        }
        self.note(name, Stage::Changed(change, tokens, new));
        self.acknowledged.notify_one();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_to_a_user_happens_wholly_or_not_at_all() {
    let kills = std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let data = tempfile::tempdir().unwrap();
    start(data.path()).kill();
    let roles = ["countersign:users", "countersign:sessions", "countersign:auditor"];
    let key = service_key(|arguments| on_data(data.path(), arguments, ""), &roles);
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    let mut left = BTreeMap::<String, Stage>::new();
    let mut held = BTreeMap::<Change, [usize; 3]>::new();
    let mut created = [0; 2];
    let mut since = None;
    for kill in 0..=kills {
        let dev = start(data.path());
        let mut judge = Work {
            client: Client::connect(dev.grpc),
            administrator: Administrator::connect(dev.grpc, &key),
            users: Users::default(),
            acknowledged: Arc::default(),
        };
        let events = judge.administrator.events(since).await;
        since = events.first().and_then(|newest| newest.time).or(since);
        let events = Events::of(&events);
        for (name, stage) in left {
            judge.look(&name, stage, &events, &mut held, &mut created).await;
        }
        if kill == kills {
            break;
        }
        let (users, acknowledged) = (Users::default(), Arc::<Notify>::default());
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            let administrator = Administrator::connect(dev.grpc, &key);
            let (client, users, acknowledged) =
                (Client::connect(dev.grpc), users.clone(), acknowledged.clone());
            let work = Work { client, administrator, users, acknowledged };
            workers.spawn(work.go(kill, worker));
        }
        // However busy the machine is: something was acknowledged, and something is under way.
        tokio::time::timeout(PATIENCE, acknowledged.notified()).await.expect("something is acknowledged");
        tokio::time::sleep(Duration::from_millis(next(&mut seed) % 100)).await;
        dev.kill();
        while workers.join_next().await.is_some() {}
        left = std::mem::take(&mut *users.lock().unwrap());
    }
    println!("{kills} kills; acknowledged, in doubt and made, in doubt and not made: {held:?}");
    println!("in doubt whether they were created: {} were, {} were not", created[0], created[1]);
    assert!(held.values().map(|[acknowledged, ..]| acknowledged).sum::<usize>() >= kills);
}

/// How many events of each type there are of each user, by the name that they were created with.
struct Events(BTreeMap<(String, i32), usize>);

impl Events {
    fn of(events: &[Event]) -> Self {
        let created = events.iter().filter(|event| event.r#type() == EventType::UserCreated);
        let names: BTreeMap<_, _> = created.map(|event| (&event.user_id, &event.name)).collect();
        let mut counts = BTreeMap::new();
        for event in events {
            if let Some(name) = names.get(&event.user_id) {
                *counts.entry(((*name).clone(), event.r#type)).or_default() += 1;
            }
        }
        Self(counts)
    }

    fn count(&self, name: &str, of: EventType) -> usize {
        self.0.get(&(name.to_owned(), of.into())).copied().unwrap_or_default()
    }
}

fn start(data: &Path) -> Dev {
    Dev::start_with_env(
        data,
        &[
            ("COUNTERSIGN__THROTTLE__ENABLED", "false"),
            ("COUNTERSIGN__PASSWORDS__MEMORY_KIB", "64"),
            ("COUNTERSIGN__PASSWORDS__ITERATIONS", "1"),
        ],
    )
}

impl Work {
    /// Looks at a user after the restart.
    async fn look(
        &mut self,
        name: &str,
        stage: Stage,
        events: &Events,
        held: &mut BTreeMap<Change, [usize; 3]>,
        created: &mut [usize; 2],
    ) {
        let created_once = events.count(name, EventType::UserCreated);
        match stage {
            Stage::Creating => {
                let found = self.administrator.get(name).await.ok();
                assert_eq!(created_once, usize::from(found.is_some()), "{name}");
                created[usize::from(found.is_none())] += 1;
                let again = self.administrator.create(name, PASSWORDS[0], &["editor"], name).await.unwrap();
                assert!(found.is_none_or(|found| found == again), "{name}: one request, one user");
                assert_eq!(self.logs_in(name).await, [true, false], "{name}");
            }
            Stage::Created => {
                assert_eq!(created_once, 1, "{name}");
                assert_eq!(self.administrator.get(name).await.unwrap().roles, ["editor"], "{name}");
                assert_eq!(self.logs_in(name).await, [true, false], "{name}");
            }
            Stage::Changing(change, tokens) => {
                let seen = self.see(name, &tokens).await;
                let (before, after) = (Seen::before(), change.after());
                assert!(seen == before || seen == after, "{name}: {change:?} happened in part: {seen:?}");
                let happened = usize::from(seen == after);
                assert_eq!(events.count(name, change.event()), happened, "{name}: {change:?}");
                held.entry(change).or_default()[if seen == after { 1 } else { 2 }] += 1;
            }
            Stage::Changed(change, tokens, new) => {
                assert_eq!(self.see(name, &tokens).await, change.after(), "{name}: {change:?} was undone");
                assert_eq!(events.count(name, change.event()), 1, "{name}: {change:?} is one event");
                if let Some(new) = new {
                    self.client
                        .refresh(&new.refresh_token)
                        .await
                        .expect("the session that was begun goes on");
                }
                held.entry(change).or_default()[0] += 1;
            }
        }
    }

    async fn see(&mut self, name: &str, tokens: &Tokens) -> Seen {
        let verified = self.client.verify(&tokens.access_token).await.unwrap();
        let session = self.client.refresh(&tokens.refresh_token).await;
        match &session {
            Ok(_) => assert!(matches!(verified, Verified::As { .. }), "{name}: {verified:?}"),
            Err(refused) => {
                assert_eq!(refused.reason, "SESSION_REVOKED", "{name}");
                assert_eq!(verified, Verified::Invalid(InvalidReason::Revoked), "{name}");
            }
        }
        let roles = match self.administrator.get(name).await {
            Ok(user) => Some(user.roles),
            Err(refused) => {
                assert_eq!(refused.reason, "USER_NOT_FOUND", "{name}");
                None
            }
        };
        Seen { session: session.is_ok(), logs_in: self.logs_in(name).await, roles }
    }

    async fn logs_in(&mut self, name: &str) -> [bool; 2] {
        let mut good = [false; 2];
        for (password, good) in PASSWORDS.into_iter().zip(&mut good) {
            *good = match self.client.login(name, password).await {
                Ok(_) => true,
                Err(refused) => {
                    assert_eq!(refused.reason, "INVALID_CREDENTIALS", "{name}");
                    false
                }
            };
        }
        good
    }
}
