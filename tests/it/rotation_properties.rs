//! Random histories of clients, thieves, lost responses and lost writes over every kind of store, checked at every
//! step against a model in memory and against the invariants 1 to 4 of the design.
//!
//! Writes of sessions may be lost, while the ledger keeps what it acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use countersign::model::{
    Clock as _, Decision, Epoch, Generation, MacKeyId, ManualClock, Presented, Session, SessionId,
    UnixMillis, UserId, decide,
};
use countersign::store::{Honoured, Presentation, Rotation, SessionRevocation};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::conformance::{
    ABSOLUTE, DEADLINE, GRACE, IDLE, MS, OPERATOR, POLICY, SETTLED, START, began, just_before, new_session,
    new_user, presentation,
};
use crate::support::histories::histories;
use crate::support::landscape::{Landscape, Opened, on_every_landscape};

/// What may happen next.
#[derive(Debug, Clone)]
enum Step {
    Login,
    /// The client refreshes with the token that it holds, and hears the answer or not.
    Refresh(Index, Heard),
    /// Somebody presents any token that was ever issued for a session.
    Present(Index, Index),
    Advance(Duration),
    /// The session store is copied aside.
    Save,
    /// The copy takes its place: all writes since are lost.
    Restore,
    Logout(Index),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Yes,
    No,
}

fn step() -> impl Strategy<Value = Step> {
    let heard = prop_oneof![2 => Just(Heard::Yes), 1 => Just(Heard::No)];
    prop_oneof![
        2 => Just(Step::Login),
        14 => (any::<Index>(), heard).prop_map(|(session, heard)| Step::Refresh(session, heard)),
        5 => (any::<Index>(), any::<Index>()).prop_map(|(session, token)| Step::Present(session, token)),
        12 => pause().prop_map(Step::Advance),
        2 => Just(Step::Save),
        1 => Just(Step::Restore),
        1 => any::<Index>().prop_map(Step::Logout),
    ]
}

/// Pauses that meet the boundaries of the table often.
fn pause() -> impl Strategy<Value = Duration> {
    let edges = [GRACE, SETTLED, DEADLINE, IDLE].map(|edge| [just_before(edge), edge, edge + MS]).concat();
    let up_to =
        |longest: Duration| (0..=u64::try_from(longest.as_millis()).unwrap()).prop_map(Duration::from_millis);
    prop_oneof![
        8 => proptest::sample::select(edges),
        2 => Just(MS),
        3 => up_to(2 * SETTLED),
        2 => up_to(IDLE),
        1 => up_to(2 * IDLE),
    ]
}

/// What the session store should hold, and what led to it. A copy of the store goes with a copy of this.
#[derive(Debug, Clone, Default)]
struct Model {
    sessions: BTreeMap<SessionId, Session>,
    /// Every token minted in this history of the store, in order, each with the one that it was minted from.
    minted: BTreeMap<SessionId, Vec<(Presented, Option<Presented>)>>,
}

impl Model {
    fn begin(&mut self, session: &Session) {
        self.minted.insert(session.id, vec![(session.current(), None)]);
        self.sessions.insert(session.id, session.clone());
    }

    fn alive(&self, session: SessionId, now: UnixMillis) -> Option<&Session> {
        self.sessions.get(&session).filter(|session| session.idle_expires_at > now)
    }

    /// The contract of [`SessionStore::rotate`] in a few lines.
    fn rotate(&mut self, ask: &Presentation, now: UnixMillis) -> Rotation {
        let Some(session) = self.sessions.get_mut(&ask.session) else { return Rotation::Unknown };
        if session.idle_expires_at <= now {
            return Rotation::Idle;
        }
        let decision = decide(&session.line, ask.presented, now, &POLICY.rotation);
        let honoured = match decision {
            Decision::Rotate(_) => Honoured::Rotated,
            Decision::Unchanged => Honoured::Unchanged,
            Decision::Replay => Honoured::Replayed,
            Decision::Withdraw(_) => Honoured::Withdrawn,
            Decision::Adopt(_) => Honoured::Adopted,
            Decision::InProgress => return Rotation::InProgress,
            Decision::Reuse => return Rotation::Reused,
        };
        if let Some(line) = decision.next_line() {
            session.line = line;
            session.mac_key = ask.mac_key;
            session.idle_expires_at = session.idle_end_moved(&line, now, IDLE);
            let minted = self.minted.entry(session.id).or_default();
            minted.push((session.current(), Some(ask.presented)));
        } else {
            session.idle_expires_at = session.idle_end_unmoved(now, IDLE);
        }
        Rotation::Honoured(honoured, Box::new(session.clone()))
    }
}

/// A login, seen from outside the store: nothing of it is ever rolled back.
#[derive(Debug)]
struct Client {
    session: Session,
    /// Every token that was ever issued to anybody.
    issued: Vec<Presented>,
    /// The token that the client holds.
    held: Presented,
    /// The answer that it did not hear, and when that was given.
    unheard: Option<(Session, UnixMillis)>,
    /// Whether somebody else has moved the line.
    stolen: bool,
    revoked: bool,
}

/// The stores, the model and the clients.
struct Run<L> {
    clock: Arc<ManualClock>,
    landscape: L,
    stores: Opened,
    user: UserId,
    model: Model,
    saved: Option<Model>,
    clients: Vec<Client>,
    presentations: u32,
}

impl<L: Landscape> Run<L> {
    async fn new(test: &str) -> Option<Self> {
        let clock = Arc::new(ManualClock::new(START));
        let landscape = L::new(test).await?;
        let stores = landscape.open(clock.clone()).await;
        let user = stores.users.create(new_user("ada")).await.unwrap().id;
        Some(Self {
            clock,
            landscape,
            stores,
            user,
            model: Model::default(),
            saved: None,
            clients: Vec::new(),
            presentations: 0,
        })
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Login if self.clients.len() < 3 => self.login().await,
            Step::Login => {}
            Step::Advance(by) => self.clock.advance(by),
            Step::Save => {
                self.landscape.save().await;
                self.saved = Some(self.model.clone());
                self.clock.advance(MS);
            }
            Step::Restore => self.restore().await,
            Step::Refresh(..) | Step::Present(..) | Step::Logout(_) if self.clients.is_empty() => {}
            Step::Refresh(client, heard) => {
                let client = client.index(self.clients.len());
                self.refresh(client, heard).await;
            }
            Step::Present(client, token) => {
                let client = client.index(self.clients.len());
                let token = *token.get(&self.clients[client].issued);
                if token == self.clients[client].held {
                    self.refresh(client, Heard::No).await;
                } else {
                    self.steal(client, token).await;
                }
            }
            Step::Logout(client) => self.revoke(client.index(self.clients.len())).await,
        }
        for client in &self.clients {
            let found = self.stores.sessions.find(self.user, client.session.id).await.unwrap();
            assert_eq!(found.as_ref(), self.model.alive(client.session.id, self.clock.now()));
        }
    }

    async fn login(&mut self) {
        let new = new_session(self.user, Epoch(0));
        let (session, _) = began(self.stores.sessions.create(new, &POLICY).await.unwrap());
        assert_eq!(session.expires_at, self.clock.now() + ABSOLUTE);
        self.model.begin(&session);
        self.clients.push(Client {
            issued: vec![session.current()],
            held: session.current(),
            session,
            unheard: None,
            stolen: false,
            revoked: false,
        });
    }

    async fn restore(&mut self) {
        let Some(saved) = self.saved.clone() else { return };
        self.landscape.restore().await;
        self.model = saved;
        self.clock.advance(MS);
        for client in &mut self.clients {
            client.unheard = None;
        }
    }

    async fn revoke(&mut self, client: usize) {
        let session = self.clients[client].session.id;
        let revocation = SessionRevocation { session, user: self.user, cause: OPERATOR };
        self.stores.ledger.revoke_sessions(&[revocation]).await.unwrap();
        self.clients[client].revoked = true;
    }

    /// What Refresh does: asks the ledger, then the session store; revokes where a token is reused. `None` when
    /// the session is revoked.
    async fn present(&mut self, client: usize, presented: Presented) -> Option<Rotation> {
        let session = self.clients[client].session.clone();
        let standing = self.stores.ledger.standing(self.user, session.id).await.unwrap();
        assert_eq!(standing.session_revoked, self.clients[client].revoked, "what is revoked stays revoked");
        if standing.session_revoked {
            return None;
        }
        self.presentations += 1;
        let mac_key = MacKeyId::from_bytes(self.presentations.to_be_bytes());
        let ask = Presentation { mac_key, ..presentation(&session, presented) };

        let before = self.model.clone();
        let wanted = self.model.rotate(&ask, self.clock.now());
        let mut answer = self.stores.sessions.rotate(ask, &POLICY).await.unwrap();
        if (&answer, &wanted) == (&Rotation::Unknown, &Rotation::Idle) {
            // A store may forget what is over.
            answer = Rotation::Idle;
        }
        assert_eq!(answer, wanted, "the store answers as the model");
        assert_one_line(&before, session.id, presented, &answer);

        if let Rotation::Honoured(_, session) = &answer {
            self.clients[client].issued.push(session.current());
        }
        if answer == Rotation::Reused {
            self.revoke(client).await;
        }
        Some(answer)
    }

    async fn refresh(&mut self, client: usize, heard: Heard) {
        let now = self.clock.now();
        let Client { session, held, unheard, stolen, .. } = &self.clients[client];
        let (id, held, unheard, stolen) = (session.id, *held, unheard.clone(), *stolen);
        let alive = self.model.alive(id, now).is_some();
        let Some(mut answer) = self.present(client, held).await else { return };
        if answer == Rotation::InProgress {
            // As it is told to, the client waits for the refresh deadline and asks again, twice at the most.
            for _ in 0..2 {
                if answer == Rotation::InProgress {
                    self.clock.advance(DEADLINE);
                    let Some(later) = self.present(client, held).await else { return };
                    answer = later;
                }
            }
            assert!(
                matches!(answer, Rotation::Honoured(..) | Rotation::Idle),
                "told to wait in vain: {answer:?}"
            );
        } else if alive && !stolen {
            assert!(matches!(answer, Rotation::Honoured(..)), "an honest client is logged out: {answer:?}");
        }
        let Rotation::Honoured(_, session) = answer else { return };
        if let Some((successor, at)) = unheard
            && !stolen
            && now.since(at) <= GRACE
        {
            assert_eq!(*session, successor, "within the grace window it is the identical successor");
        }
        let client = &mut self.clients[client];
        match heard {
            Heard::Yes => {
                client.held = session.current();
                client.unheard = None;
            }
            Heard::No => {
                let minted_at = session.line.rotated_at;
                client.unheard = (session.current() != held).then_some((*session, minted_at));
            }
        }
    }

    /// Somebody else presents a token that the client does not hold.
    async fn steal(&mut self, client: usize, token: Presented) {
        if let Some(Rotation::Honoured(honoured, _)) = self.present(client, token).await {
            let moved = matches!(honoured, Honoured::Rotated | Honoured::Withdrawn | Honoured::Adopted);
            self.clients[client].stolen |= moved;
        }
    }
}

/// Invariants 1 and 3, by what was minted in this history of the store and not by the rules: only the last token
/// rotates; only the one that it was minted from is honoured beside it; every other one of this history kills.
fn assert_one_line(before: &Model, session: SessionId, presented: Presented, answer: &Rotation) {
    let minted = before.minted.get(&session).map_or(&[][..], Vec::as_slice);
    let Some(&(current, predecessor)) = minted.last() else {
        assert_eq!(*answer, Rotation::Unknown);
        return;
    };
    if *answer == Rotation::Idle {
        return;
    }
    let of_this_history = minted.iter().any(|&(token, _)| token == presented);
    if of_this_history && presented != current && Some(presented) != predecessor {
        assert_eq!(*answer, Rotation::Reused, "withdrawn, or older than the predecessor");
    }
    let Rotation::Honoured(honoured, session) = answer else { return };
    let after = session.current();
    match honoured {
        Honoured::Rotated => assert_eq!(presented, current, "only the current token rotates"),
        Honoured::Unchanged => assert_eq!((presented, after), (current, current)),
        Honoured::Replayed => assert_eq!(after, current),
        Honoured::Withdrawn => {}
        Honoured::Adopted => assert!(!of_this_history, "nothing was lost that could be adopted"),
    }
    if matches!(honoured, Honoured::Rotated | Honoured::Withdrawn | Honoured::Adopted) {
        let highest = minted.iter().map(|(token, _)| token.generation).max().unwrap_or(Generation::FIRST);
        assert!(after.generation > highest, "no number is minted twice in one history");
    }
}

/// How many histories there are for each kind of store.
const HISTORIES: u32 = 20;

fn no_history_forks_a_session_or_logs_an_honest_client_out<L: Landscape>(test: &str) {
    histories(HISTORIES, 40, step(), async |steps| {
        let Some(mut run) = Run::<L>::new(test).await else { return };
        run.login().await;
        for step in steps {
            run.step(step).await;
        }
        run.stores.close().await;
    });
}

on_every_landscape!(no_history_forks_a_session_or_logs_an_honest_client_out);
