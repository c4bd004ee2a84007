//! Keys in the database: replicas over one store whose clock a test moves.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use countersign::auth::{
    Caller, DatabaseKeys, KeeperError, KeeperOptions, KeyAdmin, KeyAdminError, KeyEntry, KeyKeeper, KeyState,
    KeyTelling,
};
use countersign::model::{
    Actor, Generation, KeyKind, KeyPolicy, ManualClock, Presented, ReplicaId, UnixMillis, UserId,
};
use countersign::readiness::Readiness;
use countersign::revocation::follower::Follower;
use countersign::revocation::{LoadKeys, Revocations};
use countersign::store::sqlite::{SqliteOptions, SqliteStore};
use countersign::store::{KeyChange, KeyReport, KeyStore as _, Ledger as _, LedgerPoll, StoreError};
use countersign::token::{KeyDirectory, KeyEncryption, Permissions, SessionSecret};
use countersign_verifier::{Algorithm, KeySet};
use tempfile::TempDir;

mod decisions;

const START: UnixMillis = UnixMillis::from_secs(1_700_000_000);
const ACCESS: Duration = Duration::from_secs(90);
const REFRESH: Duration = Duration::from_mins(40);
const ANNOUNCE: Duration = Duration::from_mins(1);
const EVERY: Duration = Duration::from_mins(5);
const LEASE: Duration = Duration::from_mins(1);

fn options(name: &str) -> KeeperOptions {
    KeeperOptions {
        name: name.to_owned(),
        algorithm: Algorithm::EdDSA,
        policy: KeyPolicy {
            rotate_every: Some(EVERY),
            announce: ANNOUNCE,
            margin: Duration::from_secs(20),
            remember: Duration::from_hours(1),
        },
        lease: LEASE,
        patience: Duration::from_secs(30),
        access_life: ACCESS,
        refresh_life: REFRESH,
        create_first: true,
    }
}

struct World {
    clock: Arc<ManualClock>,
    store: Arc<SqliteStore>,
    key: String,
    files: TempDir,
}

impl World {
    async fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let mut options = SqliteOptions::new(files.path().join("countersign.db"));
        // As long as a busy machine needs.
        options.deadline = Duration::from_secs(20);
        options.busy_timeout = Duration::from_secs(10);
        let store = Arc::new(SqliteStore::open(options, clock.clone()).await.unwrap());
        store.migrate().await.unwrap();
        Self { clock, store, key: KeyEncryption::generate().to_string(), files }
    }

    fn encryption(&self) -> Arc<KeyEncryption> {
        Arc::new(KeyEncryption::new(&self.key, None).unwrap())
    }

    async fn start_with(
        &self,
        name: &str,
        encryption: &Arc<KeyEncryption>,
    ) -> Result<KeyKeeper, KeeperError> {
        KeyKeeper::start(self.store.clone(), Arc::clone(encryption), options(name)).await
    }

    async fn start(&self, name: &str) -> KeyKeeper {
        self.start_with(name, &self.encryption()).await.unwrap()
    }

    fn stored(&self, encryption: Arc<KeyEncryption>) -> DatabaseKeys {
        let (store, options) = (self.store.clone(), options("operator"));
        DatabaseKeys { store, encryption, options, telling: KeyTelling::Replicas(None) }
    }

    fn admin(&self) -> KeyAdmin {
        KeyAdmin::Database(Box::new(self.stored(self.encryption())))
    }

    async fn list(&self) -> Vec<KeyEntry> {
        self.admin().list().await.unwrap()
    }

    async fn ids(&self, kind: KeyKind, state: KeyState) -> Vec<String> {
        let keys = self.list().await.into_iter();
        keys.filter(|key| key.kind == kind && key.state == state).map(|key| key.id).collect()
    }

    fn now(&self) -> UnixMillis {
        use countersign::model::Clock as _;
        self.clock.now()
    }

    /// Every byte that the database has on disk.
    fn dump(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.files.path()).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).unwrap()).collect()
    }
}

fn signer(keeper: &KeyKeeper, now: UnixMillis) -> String {
    keeper.keyring().current().signing.signer(now).id().to_string()
}

fn trusts(keeper: &KeyKeeper, id: &str) -> bool {
    keeper.keyring().trusted().current().get(id).is_some()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_at_once_agree_on_the_first_keys() {
    let world = World::new().await;
    let (a, b, c) = tokio::join!(world.start("a"), world.start("b"), world.start("c"));
    assert_eq!(world.list().await.len(), 2, "one for access tokens, one for refresh tokens");
    let first = signer(&a, world.now());
    for keeper in [&b, &c] {
        assert_eq!(signer(keeper, world.now()), first);
        let mac = |keeper: &KeyKeeper| keeper.keyring().current().mac.active(world.now());
        assert_eq!(mac(keeper), mac(&a));
    }
}

#[tokio::test]
async fn a_wrong_key_encryption_key_is_one_clear_error_and_loses_nothing() {
    let world = World::new().await;
    let first = signer(&world.start("a").await, world.now());
    let before = world.store.keys().await.unwrap().keys;

    let wrong = Arc::new(KeyEncryption::new(&KeyEncryption::generate(), None).unwrap());
    let error = world.start_with("b", &wrong).await.err().expect("it must not start").to_string();
    for part in ["keys.encryption_key", "keys.previous_encryption_key", " key "] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!error.contains(&world.key), "{error}");
    assert_eq!(world.store.keys().await.unwrap().keys, before);
    assert_eq!(signer(&world.start("c").await, world.now()), first);
}

#[tokio::test]
async fn where_no_key_may_be_made_none_is() {
    let world = World::new().await;
    let options = KeeperOptions { create_first: false, ..options("a") };
    let error = KeyKeeper::start(world.store.clone(), world.encryption(), options).await;
    assert!(matches!(error, Err(KeeperError::NoKeys)));
    assert!(world.list().await.is_empty());
}

#[tokio::test]
async fn keys_are_encrypted_anew_under_the_next_key_encryption_key() {
    let world = World::new().await;
    let first = signer(&world.start("a").await, world.now());
    let next = KeyEncryption::generate();
    let both = Arc::new(KeyEncryption::new(&next, Some(&world.key)).unwrap());
    assert_eq!(signer(&world.start_with("b", &both).await.unwrap(), world.now()), first);
    let only = Arc::new(KeyEncryption::new(&next, None).unwrap());
    assert!(world.start_with("c", &only).await.is_err(), "not yet");

    let stored = world.stored(both);
    assert_eq!(stored.rewrap(&Caller::operator()).await.unwrap(), 2);
    assert_eq!(stored.rewrap(&Caller::operator()).await.unwrap(), 0);
    assert_eq!(signer(&world.start_with("d", &only).await.unwrap(), world.now()), first);
    assert!(world.start_with("e", &world.encryption()).await.is_err(), "the old one is of no use any more");
}

#[tokio::test]
async fn a_key_that_a_replica_cannot_decrypt_waits_for_it_and_a_withdrawn_one_is_gone_all_the_same() {
    let world = World::new().await;
    let old = world.start("old").await;
    let first = signer(&old, world.now());
    let next = KeyEncryption::generate();
    let both = Arc::new(KeyEncryption::new(&next, Some(&world.key)).unwrap());
    let admin = KeyAdmin::Database(Box::new(world.stored(both.clone())));
    let made = admin.rotate(&Caller::operator(), KeyKind::Signing, None).await.unwrap();
    let new = world.start_with("new", &both).await.unwrap();
    for _ in 0..20 {
        world.clock.advance(Duration::from_secs(20));
        old.step().await.unwrap();
        new.step().await.unwrap();
    }
    assert_eq!(world.ids(KeyKind::Signing, KeyState::Upcoming).await, [made.id.as_str()]);
    assert!(trusts(&new, &made.id) && !trusts(&old, &made.id));
    assert_eq!(new.lagging(), ["old"]);

    admin.withdraw(&Caller::operator(), &first).await.unwrap();
    old.load().await.unwrap_err();
    drop(old);
    // Where another key is left that can be used, the withdrawn one is given up.
    let world = World::new().await;
    let old = world.start("old").await;
    let first = signer(&old, world.now());
    let admin = world.admin();
    let second = admin.rotate(&Caller::operator(), KeyKind::Signing, None).await.unwrap().id;
    old.load().await.unwrap();
    admin.withdraw(&Caller::operator(), &first).await.unwrap();
    let both = Arc::new(KeyEncryption::new(&next, Some(&world.key)).unwrap());
    let admin = KeyAdmin::Database(Box::new(world.stored(both)));
    let third = admin.rotate(&Caller::operator(), KeyKind::Signing, None).await.unwrap().id;
    old.load().await.unwrap();
    assert_eq!([&first, &second, &third].map(|id| trusts(&old, id)), [false, true, false]);
}

#[tokio::test]
async fn a_rotation_waits_for_a_replica_that_is_alive_and_names_it() {
    let world = World::new().await;
    let leader = world.start("leader").await;
    let first = signer(&leader, world.now());
    let slow = |revision| {
        let report = KeyReport {
            id: ReplicaId::from_bytes([7; 16]),
            name: "slow".to_owned(),
            revision,
            lease: LEASE,
            access_life: ACCESS,
            refresh_life: REFRESH,
        };
        world.store.report(report)
    };
    for _ in 0..60 {
        world.clock.advance(Duration::from_secs(20));
        slow(1).await.unwrap();
        leader.step().await.unwrap();
    }
    assert_eq!(signer(&leader, world.now()), first, "twenty minutes later");
    let next = world.ids(KeyKind::Signing, KeyState::Upcoming).await;
    assert_eq!(next.len(), 1);
    assert_eq!(leader.lagging(), ["slow"]);
    let missing = |key: &KeyEntry| key.missing_on == ["slow"];
    assert!(world.list().await.iter().any(|key| key.id == next[0] && missing(key)));

    // From now on everybody is told of it; a moment ago somebody may have been told of the keys without it.
    let almost_half = (ANNOUNCE / 2).saturating_sub(Duration::from_millis(1));
    for wait in [ANNOUNCE / 2, almost_half, Duration::from_millis(1)] {
        slow(u64::from(u32::MAX)).await.unwrap();
        leader.step().await.unwrap();
        assert_eq!(signer(&leader, world.now()), first);
        world.clock.advance(wait);
    }
    slow(u64::from(u32::MAX)).await.unwrap();
    leader.step().await.unwrap();
    assert_eq!(signer(&leader, world.now()), next[0]);
    assert_eq!(leader.lagging(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_replica_that_is_gone_is_waited_for_until_its_lease_is_over() {
    let world = World::new().await;
    let (dead, alive) = (world.start("dead").await, world.start("alive").await);
    world.clock.advance(EVERY);
    alive.step().await.unwrap();
    dead.step().await.unwrap();
    assert_eq!(
        world.ids(KeyKind::Signing, KeyState::Upcoming).await.len(),
        1,
        "whoever has the lease has made it"
    );
    drop(dead);
    for _ in 0..3 {
        world.clock.advance(ANNOUNCE.max(LEASE));
        alive.step().await.unwrap();
    }
    assert_eq!(world.ids(KeyKind::Signing, KeyState::Upcoming).await.len(), 0, "the other goes on");
}

/// Two replicas decide on the same table, at every step of some rotations.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_replicas_that_race_one_acts() {
    let world = World::new().await;
    let (a, b) = tokio::join!(world.start("a"), world.start("b"));
    let mut signers = BTreeSet::new();
    for _ in 0..75 {
        world.clock.advance(Duration::from_secs(20));
        let (of_a, of_b) = tokio::join!(a.step(), b.step());
        of_a.unwrap();
        of_b.unwrap();
        for kind in KeyKind::ALL {
            let upcoming = world.ids(kind, KeyState::Upcoming).await;
            assert!(upcoming.len() <= 1, "{upcoming:?}");
            assert_eq!(world.ids(kind, KeyState::Active).await.len(), 1);
        }
        signers.insert(signer(&a, world.now()));
    }
    assert!(signers.len() >= 4, "{signers:?}");
}

/// What others that cache the key set have of it.
struct Cache {
    keys: Arc<KeySet>,
    until: UnixMillis,
}

/// A token that was made: with which key, and until when it is good.
struct Made {
    key: String,
    until: UnixMillis,
}

/// Numbers that look random, and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// Three replicas, each of which looks now and then; some are killed and others take their place; keys are withdrawn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_rotations_refuse_no_good_token_and_accept_none_of_a_withdrawn_key() {
    let (world, mut dice) = (World::new().await, Dice(15));
    let mut replicas = vec![world.start("0").await, world.start("1").await, world.start("2").await];
    let (mut access, mut refresh): (Vec<Made>, Vec<(Made, String)>) = Default::default();
    let (mut signers, mut withdrawn) = (BTreeSet::new(), BTreeSet::new());
    let mut cache = Cache { keys: Arc::default(), until: UnixMillis(0) };
    let (mut checked, mut killed) = (0_u64, 0);
    while signers.len() < 51 {
        world.clock.advance(Duration::from_secs(15));
        let now = world.now();
        for replica in &mut replicas {
            match dice.roll(40) {
                0 => {
                    *replica = world.start(&format!("{now:?}")).await;
                    killed += 1;
                }
                1..30 => drop(replica.step().await.unwrap()),
                _ => {}
            }
        }
        if cache.until <= now {
            let keys = replicas[dice.roll(3)].keyring().trusted().current();
            cache = Cache { keys, until: now + ANNOUNCE };
        }
        for replica in &replicas {
            let keys = replica.keyring().current();
            let key = keys.signing.signer(now).id().to_string();
            assert!(!withdrawn.contains(&key), "{key} makes tokens, and was withdrawn");
            signers.insert(key.clone());
            access.push(Made { key, until: now + ACCESS });
            if dice.roll(6) > 0 {
                continue;
            }
            let mac = keys.mac.active(now);
            let presented = Presented { generation: Generation(1), issued_at: now };
            let (secret, until) = (SessionSecret::generate(), now + REFRESH);
            let token = keys.mac.mint(&secret, UserId::from_bytes([1; 16]), mac, presented, until).unwrap();
            refresh.push((Made { key: mac.to_string(), until }, token.expose().to_owned()));
        }
        access.retain(|token| token.until > now);
        refresh.retain(|(token, _)| token.until > now);
        for replica in &replicas {
            let keys = replica.keyring().current();
            for token in &access {
                assert_eq!(trusts(replica, &token.key), !withdrawn.contains(&token.key), "{}", token.key);
            }
            for (token, text) in &refresh {
                assert_eq!(keys.mac.open(text).is_ok(), !withdrawn.contains(&token.key), "{}", token.key);
            }
            checked += (access.len() + refresh.len()) as u64;
        }
        for token in access.iter().filter(|token| !withdrawn.contains(&token.key)) {
            assert!(cache.keys.get(&token.key).is_some(), "whoever caches the key set refuses {}", token.key);
        }
        // A key that has just come into use leaks: the one before is still there, and in every cache.
        for kind in KeyKind::ALL {
            let (active, before) =
                (world.ids(kind, KeyState::Active).await, world.ids(kind, KeyState::VerifyOnly).await);
            if before.is_empty() || dice.roll(8) > 0 || withdrawn.len() > 24 {
                continue;
            }
            world.admin().withdraw(&Caller::operator(), &active[0]).await.unwrap();
            withdrawn.insert(active[0].clone());
            // As each does before it says that it has read the ledger up to the position.
            for replica in &replicas {
                replica.load().await.unwrap();
            }
        }
    }
    assert!(checked > 50_000 && killed > 10 && withdrawn.len() > 6, "{checked} {killed} {}", withdrawn.len());
    println!(
        "{} keys, {checked} tokens checked, {killed} killed, {} withdrawn",
        signers.len(),
        withdrawn.len()
    );
}

/// Each step is done by a replica that is killed right after it.
#[tokio::test]
async fn the_next_replica_goes_on_where_one_was_killed() {
    let world = World::new().await;
    let mut signers = BTreeSet::new();
    for number in 0..60 {
        let replica = world.start(&number.to_string()).await;
        replica.step().await.unwrap();
        signers.insert(signer(&replica, world.now()));
        assert!(world.list().await.len() < 40, "old keys are forgotten");
        drop(replica);
        world.clock.advance(LEASE + Duration::from_secs(1));
    }
    assert!(signers.len() >= 10, "{signers:?}");
    let trusted = world.ids(KeyKind::Signing, KeyState::VerifyOnly).await;
    assert!(trusted.len() <= 2, "old keys are retired: {trusted:?}");
}

#[tokio::test]
async fn the_same_request_again_finds_the_key_that_it_made() {
    let (world, by) = (World::new().await, Caller::operator());
    world.start("a").await;
    let admin = world.admin();
    let made = admin.rotate(&by, KeyKind::Signing, Some("incident 7")).await.unwrap();
    assert_eq!(made.state, KeyState::Upcoming);
    assert_eq!(admin.rotate(&by, KeyKind::Signing, Some("incident 7")).await.unwrap().id, made.id);
    let other = admin.rotate(&by, KeyKind::Signing, Some("incident 8")).await;
    assert!(matches!(&other, Err(KeyAdminError::Announced { id, .. }) if *id == made.id), "{other:?}");
    let mac = admin.rotate(&by, KeyKind::Refresh, Some("incident 7")).await.unwrap();
    assert_ne!(mac.id, made.id, "another kind is another request");
    assert!(!contains(&world.dump(), b"incident"), "what callers say is not stored");
}

#[tokio::test]
async fn the_last_key_is_not_withdrawn_without_a_successor() {
    let (world, by) = (World::new().await, Caller::operator());
    let replica = world.start("a").await;
    let (admin, first) = (world.admin(), signer(&replica, world.now()));
    let refused = admin.withdraw(&by, &first).await;
    assert!(matches!(refused, Err(KeyAdminError::NoSuccessor(KeyKind::Signing))), "{refused:?}");
    let unknown = admin.withdraw(&by, "nothing").await;
    assert!(matches!(unknown, Err(KeyAdminError::NotFound(_))), "{unknown:?}");
    assert!(trusts(&replica, &first));

    let next = admin.rotate(&by, KeyKind::Signing, None).await.unwrap().id;
    let withdrawn = admin.withdraw(&by, &first).await.unwrap();
    replica.load().await.unwrap();
    assert_eq!((signer(&replica, world.now()), trusts(&replica, &first)), (next, false));
    let head = world.store.head().await.unwrap();
    assert_eq!(head, withdrawn.position);
    assert!(admin.withdraw(&by, &first).await.unwrap().position.seq > head.seq, "idempotent");
    let table = world.store.keys().await.unwrap();
    let gone = table.keys.iter().find(|key| key.id == first).unwrap();
    assert!(gone.sealed.bytes.is_empty(), "the secret is deleted");
}

#[tokio::test]
async fn whoever_reads_the_ledger_hears_of_every_change_of_the_keys() {
    let world = World::new().await;
    let before = world.store.head().await.unwrap();
    world.start("a").await;
    world.admin().rotate(&Caller::operator(), KeyKind::Signing, None).await.unwrap();
    let LedgerPoll::Rows(rows, _) = world.store.poll(before, 10).await.unwrap() else { panic!() };
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.scope == countersign::model::RevocationScope::KeysChanged));
}

fn files_below(directory: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for part in ["signing", "refresh"] {
        for file in std::fs::read_dir(directory.join(part)).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if !name.starts_with('.') {
                files.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    files
}

/// The keys are known here, so that they can be looked for in all that the database has on disk.
#[tokio::test]
async fn keys_move_from_a_directory_and_nothing_of_them_is_in_the_database() {
    let world = World::new().await;
    let directory = world.files.path().join("keys");
    let now = world.now();
    KeyDirectory::create_missing(&directory, Algorithm::Es256, now).unwrap();
    let later = now + Duration::from_mins(10);
    KeyDirectory::generate_signing_key(&directory, Algorithm::EdDSA, later).unwrap();
    let before = KeyDirectory::open(&directory, Permissions::Strict).unwrap();

    let stored = world.stored(world.encryption());
    assert_eq!(stored.move_from(&Caller::operator(), &directory, Permissions::Strict).await.unwrap(), 3);
    assert_eq!(
        stored.move_from(&Caller::operator(), &directory, Permissions::Strict).await.unwrap(),
        3,
        "again"
    );
    let replica = world.start("a").await;
    let after = replica.keyring().current();
    for at in [now, later] {
        assert_eq!(after.signing.signer(at).id(), before.signing.signer(at).id());
        assert_eq!(after.mac.active(at), before.mac.active(at));
    }
    for key in before.signing.key_set().iter() {
        assert!(after.signing.key_set().trusts(key), "the same key under the same name");
    }

    let dump = world.dump();
    let files = files_below(&directory);
    assert_eq!(files.len(), 3);
    for (name, text) in files {
        let line = text.lines().nth(1).unwrap();
        let secret = pem::parse(&text).unwrap().into_contents();
        let middle = &secret[secret.len() / 4..];
        for part in [line.as_bytes(), &secret, &middle[..16]] {
            assert!(!contains(&dump, part), "{name} is in the database");
        }
        let id = name.rsplit('-').next().unwrap();
        assert!(contains(&dump, id.as_bytes()), "its name {id} is");
    }
    assert!(!contains(&dump, world.key.as_bytes()));

    KeyDirectory::generate_mac_key(&directory, later).unwrap();
    let refused = stored.move_from(&Caller::operator(), &directory, Permissions::Strict).await;
    assert!(matches!(refused, Err(KeyAdminError::NotEmpty(_))), "{refused:?}");
}

/// Keys that cannot always be loaded.
#[derive(Default)]
struct Loads {
    fail: AtomicBool,
    loaded: AtomicU32,
}

#[async_trait]
impl LoadKeys for Loads {
    async fn load(&self) -> Result<(), StoreError> {
        if self.fail.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { store: "keys", source: "down".into() });
        }
        self.loaded.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// So that whoever waits for the position of a withdrawal waits for the keys.
#[tokio::test]
async fn no_replica_is_where_the_ledger_is_before_it_has_loaded_the_keys() {
    let (world, loads) = (World::new().await, Arc::new(Loads::default()));
    let revocations = Revocations::new(world.store.clone(), None, world.clock.clone(), REFRESH);
    let revocations = revocations.with_keys(loads.clone());
    let mut follower = Follower::new(revocations.clone(), Readiness::new(None), Duration::from_secs(1));
    let loaded = || loads.loaded.load(Ordering::SeqCst);
    follower.step().await;
    assert_eq!((loaded(), revocations.staleness()), (1, Some(Duration::ZERO)));

    let changed = world.store.change(0, vec![KeyChange::Tell], Actor::System).await.unwrap().unwrap();
    let seq = changed.row.unwrap().seq;
    loads.fail.store(true, Ordering::SeqCst);
    let wait = Duration::from_secs(5);
    for late in 1..3 {
        world.clock.advance(wait);
        follower.step().await;
        assert!(revocations.sequence() < seq);
        assert_eq!(revocations.staleness(), Some(wait * late), "and nothing is fresh");
    }
    loads.fail.store(false, Ordering::SeqCst);
    follower.step().await;
    assert_eq!((loaded(), revocations.sequence()), (2, seq));
    assert_eq!(revocations.staleness(), Some(Duration::ZERO));
    follower.step().await;
    assert_eq!(loaded(), 2, "once for each change");
}
