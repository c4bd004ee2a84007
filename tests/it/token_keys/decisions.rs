//! The pure decision, over tables that it has made by itself and others that nobody would.

use std::time::Duration;

use countersign::model::{
    KeyEnd, KeyKind, KeyPolicy, KeyReplica, KeyStep, KeyTable, ReplicaId, SealedKey, TokenKey, UnixMillis,
    Withdrawal, next_step, withdrawal,
};
use proptest::prelude::*;

const LIFE: Duration = Duration::from_mins(5);

const POLICY: KeyPolicy = KeyPolicy {
    rotate_every: Some(Duration::from_hours(1)),
    announce: Duration::from_mins(10),
    margin: Duration::from_mins(1),
    remember: Duration::from_hours(2),
};

/// A table, and what each replica has of it.
#[derive(Debug)]
struct Model {
    table: KeyTable,
    /// What each replica has loaded: the key that it makes tokens with.
    signs: Vec<Option<String>>,
    /// Until when a token of a key is good: key and time.
    good_until: Vec<(String, UnixMillis)>,
    made: u32,
}

#[derive(Debug, Clone)]
enum Event {
    /// Time goes by.
    Wait(u64),
    /// A replica loads, and says so.
    Load(usize),
    /// Every replica makes a token.
    Sign,
    /// The replica with the lease acts.
    Act,
    /// Somebody withdraws the key at this place.
    Withdraw(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => (1_u64..900).prop_map(Event::Wait),
        1 => (0_usize..3).prop_map(Event::Load),
        1 => Just(Event::Sign),
        3 => Just(Event::Act),
        1 => (0_usize..12).prop_map(Event::Withdraw),
    ]
}

impl Model {
    fn new() -> Self {
        let replica = |number: u8| KeyReplica {
            id: ReplicaId::from_bytes([number; 16]),
            name: number.to_string(),
            revision: 0,
        };
        let table = KeyTable {
            now: UnixMillis::from_secs(1_000_000),
            revision: 0,
            leader: None,
            keys: Vec::new(),
            replicas: (1..4).map(replica).collect(),
        };
        let mut model = Self { table, signs: vec![None; 3], good_until: Vec::new(), made: 0 };
        for kind in KeyKind::ALL {
            model.apply(KeyStep::CreateFirst(kind));
        }
        (0..3).for_each(|replica| model.load(replica));
        model
    }

    fn load(&mut self, replica: usize) {
        self.table.replicas[replica].revision = self.table.revision;
        self.signs[replica] = self.table.active(KeyKind::Signing).map(|key| key.id.clone());
    }

    fn key(&mut self, id: &str) -> &mut TokenKey {
        self.table.keys.iter_mut().find(|key| key.id == id).unwrap()
    }

    fn add(&mut self, kind: KeyKind, at: Option<UnixMillis>) {
        self.made += 1;
        self.table.keys.push(TokenKey {
            id: format!("{}-{:04}", kind.as_str(), self.made),
            kind,
            algorithm: String::new(),
            verify_only: false,
            sealed: SealedKey::gone(),
            life: LIFE,
            revision: self.table.revision,
            created_at: self.table.now,
            activate_at: at,
            settled_at: at,
            ended: None,
            request: String::new(),
        });
    }

    fn apply(&mut self, step: KeyStep) {
        self.table.revision += 1;
        let (now, revision) = (self.table.now, self.table.revision);
        match step {
            KeyStep::CreateFirst(kind) => self.add(kind, Some(now)),
            KeyStep::Announce(kind) => self.add(kind, None),
            KeyStep::Activate(id) => {
                let key = self.key(&id);
                assert!(key.is_announced());
                (key.activate_at, key.revision, key.settled_at) = (Some(now), revision, None);
            }
            KeyStep::Settle(id) => self.key(&id).settled_at = Some(now),
            KeyStep::Retire(id) => self.key(&id).ended = Some((now, KeyEnd::Retired)),
            KeyStep::Forget(id) => {
                assert!(self.key(&id).ended.is_some());
                self.table.keys.retain(|key| key.id != id);
            }
        }
    }

    /// Does what the decision says, and checks that it may be done.
    fn act(&mut self) -> bool {
        let Some(step) = next_step(&self.table, &POLICY) else { return false };
        match &step {
            KeyStep::Announce(kind) => assert!(self.table.announced(*kind).is_none()),
            KeyStep::CreateFirst(_) => panic!("there is always a key"),
            KeyStep::Activate(id) => {
                let table = self.table.clone();
                let key = self.key(id);
                let everywhere = key.settled_at.expect("a replica lacks it");
                assert!(table.now >= everywhere + POLICY.announce, "others may not have it yet");
            }
            KeyStep::Retire(id) => {
                let now = self.table.now;
                let good = self.good_until.iter().find(|(key, until)| key == id && *until > now);
                assert!(good.is_none(), "a token of {id} is good: {good:?}");
                assert!(
                    KeyKind::ALL.iter().all(|kind| self.table.active(*kind).is_some_and(|key| key.id != *id))
                );
            }
            KeyStep::Settle(id) => {
                let table = self.table.clone();
                assert!(table.is_everywhere(self.key(id).revision), "a replica lacks it");
            }
            KeyStep::Forget(_) => {}
        }
        self.apply(step);
        true
    }

    fn withdraw(&mut self, place: usize) {
        let Some(id) = self.table.keys.get(place).map(|key| key.id.clone()) else { return };
        if let Withdrawal::Possible { activate } = withdrawal(&self.table, &id) {
            self.table.revision += 1;
            let (now, revision) = (self.table.now, self.table.revision);
            if let Some(next) = activate {
                let key = self.key(&next);
                (key.activate_at, key.revision, key.settled_at) = (Some(now), revision, None);
            }
            self.key(&id).ended = Some((now, KeyEnd::Withdrawn));
            // Whoever makes a token has read the ledger up to here.
            (0..3).for_each(|replica| self.load(replica));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_no_key_ends_before_its_tokens_and_there_is_always_one(
        events in proptest::collection::vec(event(), 1..200)
    ) {
        let mut model = Model::new();
        for event in events {
            match event {
                Event::Wait(seconds) => model.table.now = model.table.now + Duration::from_secs(seconds),
                Event::Load(replica) => model.load(replica),
                Event::Sign => {
                    let until = model.table.now + LIFE;
                    let signers: Vec<_> = model.signs.iter().flatten().cloned().collect();
                    for id in signers {
                        let trusted = model.table.keys.iter().any(|key| key.id == id && key.is_trusted());
                        prop_assert!(trusted, "{id} makes a token, and is not trusted");
                        model.good_until.push((id, until));
                    }
                }
                Event::Act => drop(model.act()),
                Event::Withdraw(place) => model.withdraw(place),
            }
            for kind in KeyKind::ALL {
                prop_assert!(model.table.active(kind).is_some());
                let announced = model.table.of(kind).filter(|key| key.is_announced()).count();
                prop_assert!(announced <= 1);
            }
        }
    }

    #[test]
    fn at_one_moment_there_is_an_end_of_steps(
        events in proptest::collection::vec(event(), 1..60)
    ) {
        let mut model = Model::new();
        for event in events {
            match event {
                Event::Wait(seconds) => model.table.now = model.table.now + Duration::from_secs(seconds),
                Event::Load(replica) => model.load(replica),
                Event::Withdraw(place) => model.withdraw(place),
                Event::Sign | Event::Act => {}
            }
            let mut steps = 0;
            while model.act() {
                (0..3).for_each(|replica| model.load(replica));
                steps += 1;
                prop_assert!(steps < 40);
            }
        }
    }
}

#[test]
fn a_rotation_takes_its_time() {
    let mut model = Model::new();
    let mut log = Vec::new();
    for minute in 0..=150 {
        loop {
            let step = next_step(&model.table, &POLICY);
            let Some(step) = step else { break };
            if !matches!(&step, KeyStep::Announce(KeyKind::Refresh))
                && !format!("{step:?}").contains("refresh-")
            {
                log.push(format!("{minute} {step:?}"));
            }
            model.apply(step);
            (0..3).for_each(|replica| model.load(replica));
        }
        model.table.now = model.table.now + Duration::from_mins(1);
    }
    assert_eq!(
        log,
        [
            "50 Announce(Signing)",
            "50 Settle(\"signing-0003\")",
            "60 Activate(\"signing-0003\")",
            "60 Settle(\"signing-0003\")",
            "66 Retire(\"signing-0001\")",
            "110 Announce(Signing)",
            "110 Settle(\"signing-0005\")",
            "120 Activate(\"signing-0005\")",
            "120 Settle(\"signing-0005\")",
            "126 Retire(\"signing-0003\")",
        ]
    );
}

#[test]
fn without_a_time_to_rotate_nothing_happens_by_itself() {
    let mut model = Model::new();
    let never = KeyPolicy { rotate_every: None, ..POLICY };
    model.table.now = model.table.now + Duration::from_hours(24 * 3650);
    assert_eq!(next_step(&model.table, &never), None);
}
