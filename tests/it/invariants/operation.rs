//! The operations, each with what it may be answered with.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use countersign::auth::{
    AuthError, Authenticate as _, Caller, ChangeUser, LoginRequest, LogoutRequest, LogoutToken,
    RefreshRequest, UserAdminError, UserRef,
};
use countersign::model::{ClientFacts, Clock as _, Epoch, Presented, Role, Username};
use countersign::reason::Reason;
use proptest::sample::Index;
use secrecy::ExposeSecret as _;

use super::model::{Chain, Minted, Outage, Reach, Worth};
use super::run::Run;
use super::service::{DEADLINE, call, revocation};
use super::{Change, Heard, Means, Patience, Typed};
use crate::conformance;
use crate::support::landscape::Landscape;

impl<L: Landscape> Run<L> {
    pub(super) async fn login(&mut self, account: usize, typed: Typed, patience: Patience) {
        let wrong = self.new_password();
        let user = &self.model.accounts[account];
        let right = user.passwords.last().unwrap();
        let password = match typed {
            Typed::Right => right,
            Typed::Wrong => &wrong,
            Typed::First => &user.passwords[0],
        };
        let good = password == right && !user.disabled;
        let request = LoginRequest {
            username: user.username.to_owned(),
            password: password.clone().into(),
            audiences: Vec::new(),
            client: ClientFacts::default(),
        };
        let answer = attempt(patience, self.service.auth.login(call(&self.clock), request)).await;
        let Some(answer) = answer else { return self.settle().await };
        let reach = if good { Reach::Writes } else { Reach::Reads };
        let Some(answer) = self.told(answer, reach) else { return };
        if !good {
            assert_eq!(answer.unwrap_err(), Reason::InvalidCredentials);
            return;
        }
        let login = answer.unwrap();
        let user = &self.model.accounts[account];
        let token = login.tokens.refresh_token.expose_secret().to_owned();
        let (now, place) = (self.clock.now(), self.place(&token));
        assert_eq!((login.session.user, login.session.created_at), (user.id, now));
        let mut chain = Chain {
            id: login.session.id,
            account,
            epoch: user.epoch,
            expires_at: now + conformance::ABSOLUTE,
            idle_expires_at: now + conformance::IDLE,
            minted: vec![Minted { token: Some(token), place, parent: None }],
            access: Vec::new(),
            revoked: false,
            known: false,
            held: 0,
            disturbed: false,
        };
        chain.issued(&login.tokens, &user.roles);
        self.model.chains.push(chain);
    }

    /// Invariant 2: while nobody else has moved the line and nothing has ended the session, the honest client
    /// goes on.
    pub(super) async fn refresh(&mut self, chain: usize, heard: Heard) {
        let session = &self.model.chains[chain];
        let held = session.held;
        let entitled = self.outage == Outage::None
            && !session.disturbed
            && self.model.stands(session)
            && self.model.is_fresh(self.clock.monotonic());
        let mut answer = self.present(chain, held, Patience::Stays).await.unwrap();
        // As it is told to, the client waits for the refresh deadline and asks again, twice at the most.
        for _ in 0..2 {
            if answer == Err(Reason::RefreshInProgress) {
                self.clock.advance(conformance::DEADLINE);
                self.poll().await;
                answer = self.present(chain, held, Patience::Stays).await.unwrap();
            }
        }
        let session = &mut self.model.chains[chain];
        let idle = session.idle_expires_at <= self.clock.now();
        assert!(!entitled || answer.is_ok() || idle, "an honest client is logged out: {answer:?}");
        if let (Ok(index), Heard::Yes) = (answer, heard) {
            session.held = index;
        }
    }

    /// Somebody presents any token.
    pub(super) async fn steal(&mut self, chain: usize, index: usize, patience: Patience) {
        let before = self.model.chains[chain].minted.len();
        self.present(chain, index, patience).await;
        let session = &mut self.model.chains[chain];
        session.disturbed |= session.minted.len() > before && index != session.held;
    }

    /// Presents a refresh token; says at which place the one is that it was answered with. None when the caller
    /// went away.
    pub(super) async fn present(
        &mut self,
        chain: usize,
        index: usize,
        patience: Patience,
    ) -> Option<Result<usize, Reason>> {
        let session = &self.model.chains[chain];
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        let (worth, reach) = self.model.worth(session, index, now, monotonic);
        let presented = session.minted[index].place;
        let request = RefreshRequest { refresh_token: session.token(index).into() };
        let answer = attempt(patience, self.service.auth.refresh(call(&self.clock), request)).await;
        let Some(answer) = answer else {
            self.look(chain).await;
            let moved = self.model.chains[chain].current().parent == Some(presented);
            assert!(worth != Worth::Next || moved || self.model.chains[chain].current().place == presented);
            return None;
        };
        let Some(answer) = self.told(answer, reach) else { return Some(Err(Reason::StoreUnavailable)) };
        let refresh = match (worth, answer) {
            (Worth::Refused(reason), Err(told)) => {
                assert_eq!(told, reason);
                return Some(Err(told));
            }
            (Worth::Over(reason), Err(told)) => {
                assert!([reason, Reason::RefreshTokenInvalid].contains(&told), "{told:?}");
                return Some(Err(told));
            }
            (Worth::Reuse, Err(told)) => {
                assert_eq!(told, Reason::RefreshTokenReused);
                let session = &mut self.model.chains[chain];
                (session.revoked, session.known) = (true, true);
                return Some(Err(told));
            }
            (Worth::Current { .. } | Worth::Next, Ok(refresh)) => refresh,
            (worth, answer) => panic!("{worth:?} was expected and {answer:?} was told"),
        };
        assert_eq!(refresh.unchanged, worth == Worth::Current { unchanged: true });
        let token = refresh.tokens.refresh_token.expose_secret().to_owned();
        let place = self.place(&token);
        let session = &mut self.model.chains[chain];
        if worth == Worth::Next {
            session.moved(presented, place, now);
        }
        session.answered(&refresh, &token, place, &self.model.accounts[session.account].roles);
        Some(Ok(session.minted.len() - 1))
    }

    pub(super) async fn logout(&mut self, chain: usize, token: Index, means: Means, patience: Patience) {
        let session = &self.model.chains[chain];
        let index = *token.get(&session.heard());
        let token = match means {
            Means::Access => LogoutToken::Access(token.get(&session.access).token.clone().into()),
            Means::Refresh | Means::Everywhere => LogoutToken::Refresh(session.token(index).into()),
        };
        let everywhere = means == Means::Everywhere;
        let request = LogoutRequest { token, everywhere };
        let (end, reach) = self.end(session, index, everywhere);
        let answer = attempt(patience, self.service.auth.logout(call(&self.clock), request)).await;
        let Some(answer) = answer else { return self.look(chain).await };
        let Some(answer) = self.told(answer, reach) else { return };
        let answer = answer.map(drop);
        let session = &mut self.model.chains[chain];
        let account = &mut self.model.accounts[session.account];
        match end {
            End::Session => {
                assert_eq!(answer, Ok(()));
                (session.revoked, session.known) = (true, true);
            }
            End::Reuse => {
                assert_eq!(answer, Err(Reason::RefreshTokenReused));
                (session.revoked, session.known) = (true, true);
            }
            End::All => {
                assert_eq!(answer, Ok(()));
                account.epoch = Epoch(account.epoch.0 + 1);
                account.known_epoch = account.epoch;
            }
            End::Nothing(expected) => assert_eq!(answer, expected),
            End::Superseded => {
                assert!([Ok(()), Err(Reason::RefreshTokenInvalid)].contains(&answer), "{answer:?}");
            }
        }
    }

    /// What a logout ends.
    fn end(&self, session: &Chain, index: usize, everywhere: bool) -> (End, Reach) {
        if !everywhere {
            let reach = if session.revoked { Reach::MemoryOrStore } else { Reach::Writes };
            return (End::Session, reach);
        }
        let (current, presented) = (session.current(), session.minted[index].place);
        if session.revoked {
            (End::Nothing(Err(Reason::SessionRevoked)), Reach::Reads)
        } else if session.idle_expires_at <= self.clock.now() {
            (End::Nothing(Err(Reason::RefreshTokenInvalid)), Reach::Reads)
        } else if session.epoch != self.model.accounts[session.account].epoch {
            (End::Superseded, Reach::Reads)
        } else if presented != current.place && Some(presented) != current.parent {
            (End::Reuse, Reach::Writes)
        } else {
            (End::All, Reach::Writes)
        }
    }

    /// An operator's command, in a process of its own: the service hears of it by polling.
    pub(super) async fn change(&mut self, account: usize, change: Change) {
        let password = self.new_password();
        let username = Username::parse(self.model.accounts[account].username).unwrap();
        let role = format!("role-{}", password.len() + self.model.chains.len());
        let (by, user) = (Caller::operator(), UserRef::Name(username));
        let done = match change {
            Change::SetPassword => {
                let password = password.clone();
                self.operator.set_password(&by, &user, password.into(), None).await.map(drop)
            }
            Change::Disable => self.operator.disable(&by, &user).await.map(drop),
            Change::Enable => self.operator.enable(&by, &user).await,
            Change::SetRoles => {
                let roles = Some(vec![Role::parse(&role).unwrap()]);
                let change = ChangeUser { roles, ..ChangeUser::default() };
                self.operator.change(&by, &user, change).await.map(drop)
            }
        };
        if self.outage == Outage::Locked {
            assert!(matches!(done, Err(UserAdminError::Store(_))), "{done:?}");
            return;
        }
        done.unwrap();
        let account = &mut self.model.accounts[account];
        let raised = Epoch(account.epoch.0 + 1);
        match change {
            Change::SetPassword => {
                account.passwords.push(password);
                account.epoch = raised;
            }
            Change::Disable => (account.disabled, account.epoch) = (true, raised),
            Change::Enable => account.disabled = false,
            Change::SetRoles => account.roles = vec![role],
        }
    }

    pub(super) async fn revoke_elsewhere(&mut self, chain: usize) {
        let session = &mut self.model.chains[chain];
        let user = self.model.accounts[session.account].id;
        let revocation = revocation(session.id, user, &self.clock);
        let done = self.elsewhere.ledger.revoke_sessions(&[revocation]).await;
        assert_eq!(done.is_err(), self.outage == Outage::Locked);
        session.revoked |= done.is_ok();
    }

    /// Invariant 5: what must fail fails as unavailable, and nothing else does. None when it failed.
    fn told<T: std::fmt::Debug>(
        &self,
        answer: Result<T, AuthError>,
        reach: Reach,
    ) -> Option<Result<T, Reason>> {
        let (must, may) = self.outage.fails(reach);
        let unavailable = answer.as_ref().is_err_and(|error| error.reason == Reason::StoreUnavailable);
        assert!(unavailable || !must, "the store cannot have answered: {answer:?}");
        assert!(!unavailable || must || may, "the store works: {answer:?}");
        (!unavailable).then(|| answer.map_err(|error| error.reason))
    }

    /// Waits for what was left under way. Invariant 8: it is in nobody's way.
    async fn settle(&self) {
        let users = self.model.accounts.iter().map(|account| account.id);
        let settled = tokio::time::timeout(2 * DEADLINE, self.service.settle(&self.clock, users)).await;
        assert_eq!(settled.expect("it is answered"), self.outage == Outage::None, "the store works on");
    }

    /// Takes from the store what became of a call that nobody waited for.
    async fn look(&mut self, chain: usize) {
        self.settle().await;
        let (now, session) = (self.clock.now(), &mut self.model.chains[chain]);
        let account = &mut self.model.accounts[session.account];
        let standing = self.elsewhere.ledger.standing(account.id, session.id).await.unwrap();
        assert!(standing.session_revoked || !session.revoked, "what is revoked stays revoked");
        session.revoked = standing.session_revoked;
        let epoch = standing.user.unwrap().epoch;
        assert!((account.epoch.0..=account.epoch.0 + 1).contains(&epoch.0));
        account.epoch = epoch;
        let found = self.elsewhere.sessions.find(account.id, session.id).await.unwrap();
        let Some(found) = found.filter(|found| found.current() != session.current().place) else { return };
        let mut places = session.minted.iter().map(|minted| minted.place);
        let parent = places.find(|place| Some(place.generation) == found.line.predecessor).unwrap();
        session.moved(parent, found.current(), now);
        assert_eq!(found.idle_expires_at, session.idle_expires_at);
    }

    fn place(&self, refresh_token: &str) -> Presented {
        self.service.keys.current().mac.open(refresh_token).unwrap().presented
    }
}

/// What a logout ends.
enum End {
    Session,
    /// The session, for an old token came back.
    Reuse,
    /// Every session of the user.
    All,
    Nothing(Result<(), Reason>),
    /// Nothing that has not ended; or the store has forgotten the session, and cannot say whether the token is one
    /// that it would honour.
    Superseded,
}

/// The answer, which comes within the store's deadline; none where the caller goes away before it.
async fn attempt<F: Future>(patience: Patience, call: F) -> Option<F::Output> {
    let mut polls = match patience {
        Patience::Stays => {
            // A use case asks the store a few times.
            let bound = 4 * DEADLINE;
            return Some(tokio::time::timeout(bound, call).await.expect("every call is answered"));
        }
        Patience::Leaves(polls) => polls,
    };
    let mut call = pin!(call);
    poll_fn(|task| match call.as_mut().poll(task) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if polls == 0 => Poll::Ready(None),
        Poll::Pending => {
            polls -= 1;
            Poll::Pending
        }
    })
    .await
}
