//! Clients that log in, refresh, verify and log out for as long as they are let, and note what they are answered.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::grpc::proto::v1::Tokens;
use countersign::model::{Clock as _, SystemClock};
use tokio::task::JoinSet;
use tonic::Code;

use super::fleet::{Fleet, USERS, pause};
use super::history::{Answer, Ask, Call};
use crate::support::client::{Client, Refused, Verified};
use crate::support::replica::{PASSWORD, Replica};

const CLIENTS: usize = 12;
/// Between two turns of a client.
const PAUSE: Duration = Duration::from_millis(20);
/// Every third client logs out after so many turns, and in again.
const TURNS: usize = 20;

/// The clients at work.
pub(super) struct Traffic {
    pub(super) clock: Arc<SystemClock>,
    notes: Notes,
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Traffic {
    pub(super) fn begin(fleet: &Fleet) -> Self {
        let clock = Arc::new(SystemClock::new());
        let notes = Notes { clock: clock.clone(), calls: Arc::default(), sessions: Arc::default() };
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let browser = Browser {
                number,
                replicas: fleet.replicas.each_ref().map(Replica::client),
                notes: notes.clone(),
                turn: number * TURNS / CLIENTS,
                held: None,
                leaving: false,
                left: Vec::new(),
            };
            clients.spawn(browser.browse(stop.clone()));
        }
        Self { clock, notes, stop, clients }
    }

    /// Ends it; every client has looked once more at all that it ever held.
    pub(super) async fn end(self) -> Vec<Call> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.join_all().await;
        std::mem::take(&mut *self.notes.calls.lock().unwrap())
    }
}

/// Where all clients write down what they live through.
#[derive(Clone)]
struct Notes {
    clock: Arc<SystemClock>,
    calls: Arc<Mutex<Vec<Call>>>,
    sessions: Arc<AtomicUsize>,
}

impl Notes {
    async fn take<T>(
        &self,
        (ask, session, replica): (Ask, usize, usize),
        call: impl Future<Output = Result<T, Refused>>,
        read: impl FnOnce(&T) -> Answer,
    ) -> Result<T, Refused> {
        let sent = self.clock.monotonic();
        let outcome = call.await;
        let answered = self.clock.monotonic();
        let answer = outcome.as_ref().map_or_else(|refused| Answer::Refused(refused.clone()), read);
        self.calls.lock().unwrap().push(Call { ask, session, replica, sent, answered, answer });
        outcome
    }
}

/// A session, as a client holds it.
#[derive(Clone)]
struct Held {
    session: usize,
    access: String,
    refresh: String,
}

/// One client, which does one thing after the other, as a well-behaved one does.
struct Browser {
    number: usize,
    replicas: [Client; 2],
    notes: Notes,
    turn: usize,
    held: Option<Held>,
    /// It has asked for a logout and was not answered yes.
    leaving: bool,
    /// The sessions that it was told are over.
    left: Vec<Held>,
}

impl Browser {
    async fn browse(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            self.turn += 1;
            // A load balancer that knows nothing.
            let replica = (self.turn / 2 + self.number) % 2;
            match self.held.take() {
                None => self.login(replica).await,
                Some(held) if self.leaving => self.logout(replica, held).await,
                Some(held) => self.refresh(replica, held).await,
            }
            if self.number.is_multiple_of(3) && self.turn.is_multiple_of(TURNS) && self.held.is_some() {
                self.leaving = true;
            }
            if let Some(left) = self.left.get(self.turn % 5 * self.left.len() / 5).cloned() {
                self.look_at(replica, &left).await;
            }
            pause(PAUSE).await;
        }
        for left in self.left.clone() {
            for replica in [0, 1] {
                self.look_at(replica, &left).await;
            }
        }
    }

    async fn login(&mut self, replica: usize) {
        let session = self.notes.sessions.fetch_add(1, Ordering::Relaxed);
        let login = self.replicas[replica].login(USERS[self.number % USERS.len()], PASSWORD);
        let read = |_: &Tokens| Answer::Done { moved: false };
        if let Ok(tokens) = self.notes.take((Ask::Login, session, replica), login, read).await {
            self.held = Some(Held { session, access: tokens.access_token, refresh: tokens.refresh_token });
        }
    }

    /// Refreshes, and has the new access token verified by the other replica.
    async fn refresh(&mut self, replica: usize, held: Held) {
        let kept = match self.present(replica, &held).await {
            Ok(tokens) => {
                Held { access: tokens.access_token, refresh: tokens.refresh_token, session: held.session }
            }
            // Its session is over, whether it should be or not.
            Err(refused) if refused.code == Code::Unauthenticated => return,
            Err(_) => held,
        };
        self.verify(1 - replica, &kept).await;
        self.held = Some(kept);
    }

    async fn logout(&mut self, replica: usize, held: Held) {
        let logout = self.replicas[replica].logout(&held.refresh);
        let asked = (Ask::Logout, held.session, replica);
        if self.notes.take(asked, logout, |()| Answer::Done { moved: false }).await.is_ok() {
            self.leaving = false;
            self.look_at(replica, &held).await;
            self.left.push(held);
        } else {
            self.held = Some(held);
        }
    }

    /// Tries whether a session is alive.
    async fn look_at(&mut self, replica: usize, held: &Held) {
        self.verify(replica, held).await;
        // What a wrong answer holds, nobody goes on with.
        let _ = self.present(replica, held).await;
    }

    async fn present(&mut self, replica: usize, held: &Held) -> Result<Tokens, Refused> {
        let refresh = self.replicas[replica].refresh(&held.refresh);
        let read = |tokens: &Tokens| Answer::Done { moved: tokens.refresh_token != held.refresh };
        self.notes.take((Ask::Refresh, held.session, replica), refresh, read).await
    }

    async fn verify(&mut self, replica: usize, held: &Held) {
        let verify = self.replicas[replica].verify(&held.access);
        let read = |verified: &Verified| match verified {
            Verified::As { .. } => Answer::Done { moved: false },
            Verified::Invalid(reason) => Answer::Invalid(*reason),
        };
        let _ = self.notes.take((Ask::Verify, held.session, replica), verify, read).await;
    }
}
