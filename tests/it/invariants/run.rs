//! One history: the service, the stores, the clock, and the model beside them.

use std::path::PathBuf;
use std::sync::Arc;

use countersign::auth::{
    Authenticate as _, Caller, CreateUser, RefreshRequest, UserAdmin, Verification, VerifyRequest,
};
use countersign::model::{Clock as _, ManualClock, UnixMillis, Username};
use countersign::reason::Reason;
use countersign::token::KeyDirectory;
use countersign_verifier::{Algorithm, InvalidReason};
use tempfile::TempDir;

use super::model::{Access, Account, Answer, Chain, Model, Outage};
use super::service::{self, Service, call};
use super::traces::Traces;
use super::{Patience, Step, Typed};
use crate::support::landscape::{Landscape, Opened};

pub(super) struct Run<L> {
    pub(super) clock: Arc<ManualClock>,
    pub(super) service: Service,
    /// The stores as other processes see them.
    pub(super) elsewhere: Opened,
    pub(super) operator: UserAdmin,
    pub(super) model: Model,
    pub(super) outage: Outage,
    pub(super) traces: Traces,
    landscape: L,
    keys: TempDir,
    passwords: u32,
}

impl<L: Landscape> Run<L> {
    /// None when what the stores need is not installed.
    pub(super) async fn new(test: &str, start: UnixMillis) -> Option<Self> {
        let clock = Arc::new(ManualClock::new(start));
        let (landscape, keys) = (L::new(test).await?, tempfile::tempdir().unwrap());
        let key_files = Self::key_files(&keys);
        KeyDirectory::create_missing(&key_files, Algorithm::EdDSA, start).unwrap();
        let elsewhere = landscape.open(clock.clone()).await;
        let operator = service::operator(elsewhere.users.clone(), clock.clone());
        let service = Service::start(&landscape, &key_files, clock.clone()).await;
        let mut run = Self {
            clock,
            service,
            elsewhere,
            operator,
            model: Model::default(),
            outage: Outage::None,
            traces: Traces::default(),
            landscape,
            keys,
            passwords: 0,
        };
        for username in ["ada", "grace"] {
            run.add_account(username).await;
        }
        run.poll().await;
        run.login(0, Typed::Right, Patience::Stays).await;
        Some(run)
    }

    fn key_files(keys: &TempDir) -> PathBuf {
        keys.path().join("keys")
    }

    async fn add_account(&mut self, username: &'static str) {
        let password = self.new_password();
        let name = Username::parse(username).unwrap();
        let typed = password.clone();
        let user =
            self.operator.create(&Caller::operator(), CreateUser::new(name, typed), None).await.unwrap();
        self.model.accounts.push(Account {
            id: user.id,
            username,
            passwords: vec![password],
            disabled: false,
            roles: Vec::new(),
            epoch: user.epoch,
            known_epoch: user.epoch,
        });
    }

    pub(super) fn new_password(&mut self) -> String {
        self.passwords += 1;
        let password = format!("password canary {}", self.passwords);
        self.traces.add("a password", password.as_bytes());
        password
    }

    pub(super) async fn step(&mut self, step: Step) {
        let (accounts, chains) = (self.model.accounts.len(), self.model.chains.len());
        match step {
            Step::Login(..) if chains == 4 => {}
            Step::Login(account, typed, patience) => {
                self.login(account.index(accounts), typed, patience).await;
            }
            Step::Refresh(chain, heard) => self.refresh(chain.index(chains), heard).await,
            Step::Present(chain, token, patience) => {
                let chain = chain.index(chains);
                let token = *token.get(&self.model.chains[chain].heard());
                self.steal(chain, token, patience).await;
            }
            Step::Logout(chain, token, means, patience) => {
                self.logout(chain.index(chains), token, means, patience).await;
            }
            Step::Operator(account, change) => self.change(account.index(accounts), change).await,
            Step::RevokeElsewhere(chain) => self.revoke_elsewhere(chain.index(chains)).await,
            Step::Advance(by, polled) => {
                self.clock.advance(by);
                if polled {
                    self.poll().await;
                }
            }
            Step::Poll => self.poll().await,
            Step::Restart => {
                self.mend().await;
                self.restart().await;
            }
            Step::Lock if self.outage == Outage::None => {
                self.landscape.set_writable(false).await;
                self.outage = Outage::Locked;
            }
            Step::Close if self.outage == Outage::None => {
                self.service.stores.close().await;
                self.outage = Outage::Closed;
            }
            Step::Lock | Step::Close => {}
            Step::Mend => self.mend().await,
        }
    }

    pub(super) async fn poll(&mut self) {
        self.service.poll().await;
        if self.outage != Outage::Closed {
            self.model.polled(self.clock.monotonic());
        }
    }

    async fn mend(&mut self) {
        match self.outage {
            Outage::None => {}
            Outage::Locked => {
                self.landscape.set_writable(true).await;
                self.outage = Outage::None;
            }
            Outage::Closed => self.restart().await,
        }
    }

    /// Everything in memory is lost. Nothing is said to be good before the ledger is loaded.
    async fn restart(&mut self) {
        self.service.stores.close().await;
        let keys = Self::key_files(&self.keys);
        self.service = Service::start(&self.landscape, &keys, self.clock.clone()).await;
        self.outage = Outage::None;
        self.model.polled_at = None;
        self.verify_everything();
        self.poll().await;
    }

    /// What must hold in every state.
    pub(super) async fn check(&mut self) {
        self.verify_everything();
        for chain in 0..self.model.chains.len() {
            self.check_kinds(chain).await;
            if !self.model.stands(&self.model.chains[chain]) {
                for index in
                    [self.model.chains[chain].held, *self.model.chains[chain].heard().last().unwrap()]
                {
                    let answer = self.present(chain, index, Patience::Stays).await.unwrap();
                    assert!(answer.is_err(), "a session that has ended goes on");
                }
            }
        }
    }

    /// Invariant 4, and what is good must be told, too.
    fn verify_everything(&self) {
        for chain in &self.model.chains {
            for access in &chain.access {
                let answer = self.verify(&access.token, Some((chain, access)));
                let allowed =
                    self.model.verification(chain, access, self.clock.now(), self.clock.monotonic());
                assert!(allowed.contains(&answer), "{answer:?} is not one of {allowed:?} for {chain:?}");
            }
        }
    }

    fn verify(&self, token: &str, of: Option<(&Chain, &Access)>) -> Answer {
        let request =
            VerifyRequest { access_token: token.into(), audiences: Vec::new(), max_staleness: None };
        match self.service.auth.verify(&call(&self.clock), &request) {
            Err(error) => {
                assert_eq!(error.reason, Reason::RevocationsStale);
                Answer::Stale
            }
            Ok(verify) => match verify.verification {
                Verification::Invalid(reason) => Answer::Invalid(reason),
                Verification::Verified(token) => {
                    let (chain, access) = of.unwrap();
                    assert_eq!(token.subject, self.model.accounts[chain.account].id);
                    assert_eq!((token.session, &token.roles), (chain.id, &access.roles));
                    Answer::Verified
                }
            },
        }
    }

    /// Invariant 7: no token is taken for one of the other kind.
    async fn check_kinds(&self, chain: usize) {
        let chain = &self.model.chains[chain];
        let refresh_token = chain.token(*chain.heard().last().unwrap());
        assert_eq!(self.verify(&refresh_token, None), Answer::Invalid(InvalidReason::Malformed));
        let access_token = chain.access.last().unwrap().token.clone();
        let request = RefreshRequest { refresh_token: access_token.into() };
        let refused = self.service.auth.refresh(call(&self.clock), request).await.unwrap_err();
        assert_eq!(refused.reason, Reason::RefreshTokenInvalid);
    }

    /// The store works again for everybody, and holds no secret.
    pub(super) async fn finish(mut self) {
        self.mend().await;
        self.poll().await;
        for account in 0..self.model.accounts.len() {
            self.change(account, super::Change::Enable).await;
            self.login(account, Typed::Right, Patience::Stays).await;
        }
        self.check().await;
        for chain in &self.model.chains {
            for index in chain.heard() {
                self.traces.add_refresh_token(&chain.token(index));
            }
            for access in &chain.access {
                self.traces.add_access_token(&access.token);
            }
        }
        // As it is while the service runs, and when everything has been put in its place.
        self.traces.assert_none_in(&self.landscape.contents().await);
        self.service.stores.close().await;
        self.elsewhere.close().await;
        self.traces.assert_none_in(&self.landscape.contents().await);
    }
}
