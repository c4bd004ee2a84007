//! A follower in the hands of a script, which writes down what happens.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

pub(super) const NOW: i64 = 1_700_000_000;
pub(super) const ADA: [u8; 16] = [0x42; 16];
pub(super) const BOB: [u8; 16] = [0x62; 16];
/// Sessions of Ada's, of hers, and of Bob's.
pub(super) const A: [u8; 16] = [0xa1; 16];
pub(super) const B: [u8; 16] = [0xb2; 16];
pub(super) const C: [u8; 16] = [0xc3; 16];

const ISSUER: &str = "https://auth.example";
const AUDIENCE: &str = "orders";

pub(super) struct Play {
    follower: Follower,
    clock: Arc<ManualClock>,
    session: Option<Session>,
    say: mpsc::Sender<v1::WatchRevocationsRequest>,
    said: mpsc::Receiver<v1::WatchRevocationsRequest>,
    loaded: watch::Receiver<bool>,
    /// Positions that are waited for.
    waiting: Vec<(String, oneshot::Receiver<bool>)>,
    tokens: BTreeMap<&'static str, String>,
    steps: Vec<Value>,
}

impl Play {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(UnixMillis::from_secs(NOW)));
        // Five minutes after its start, so that what is older than the process is told apart.
        clock.advance(Duration::from_mins(5));
        clock.set_wall(UnixMillis::from_secs(NOW));
        let rules = Rules::new(ISSUER, vec![AUDIENCE.to_owned()]);
        let options = ConnectOptions { clock: clock.clone(), ..ConnectOptions::new(rules.clone()) };
        let keys = Arc::new(TrustedKeys::new(KeySet::default()));
        let verifier = Arc::new(Verifier::new(rules, keys, Arc::new(RevocationView::new())));
        let (loading, loaded) = watch::channel(false);
        let (_, asked) = mpsc::channel(1);
        let channel = Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
        let follower = Follower::new(channel, verifier, options, loading, asked);
        let (say, said) = mpsc::channel(UNSENT);
        let tokens = BTreeMap::from([
            ("ada", token("k1", 0, ADA, A, 900)),
            ("ada-elsewhere", token("k1", 0, ADA, B, 900)),
            ("bob", token("k1", 0, BOB, C, 90_000)),
            ("bob-by-k2", token("k2", 1, BOB, C, 90_000)),
            ("garbage", "a.b.c".to_owned()),
        ]);
        Self {
            follower,
            clock,
            session: None,
            say,
            said,
            loaded,
            waiting: Vec::new(),
            tokens,
            steps: Vec::new(),
        }
    }

    fn step(&mut self, step: Value) {
        self.steps.push(step);
    }

    /// Opens a stream, and writes down what it begins with.
    pub(super) fn connect(&mut self) {
        let (start, session) = self.follower.start();
        self.session = Some(session);
        let resume = start.resume.map(|position| {
            json!({
                "incarnation": position.incarnation.to_string(), "sequence": position.sequence.to_string(),
            })
        });
        self.step(json!({"connect": {"resume": resume}}));
    }

    /// The server tells something.
    pub(super) fn tell(&mut self, message: Told) {
        self.tell_perhaps(Some(message));
    }

    /// The server tells something that is not known to this release.
    pub(super) fn tell_something_new(&mut self) {
        self.tell_perhaps(None);
    }

    fn tell_perhaps(&mut self, message: Option<Told>) {
        let mut step = json!({"tell": told::written(message.as_ref())});
        let mut session = self.session.take().expect("a stream");
        let before = self.known();
        let outcome = self.follower.take_in(message, &mut session);
        let news: Vec<Value> = self.known().into_iter().filter(|it| !before.contains(it)).collect();
        if !news.is_empty() {
            step["on_revoked"] = json!(news);
        }
        match outcome {
            Ok(()) => self.session = Some(session),
            Err(ended) => {
                drop(session);
                step["ends"] = self.end(&ended);
            }
        }
        self.answer_positions(&mut step);
        self.step(step);
    }

    /// Somebody asks for a position.
    pub(super) fn ask_position(&mut self, position: &str) {
        let (answer, waiting) = oneshot::channel();
        let session = self.session.as_mut().expect("a stream");
        session.ask(&self.say, Asked { position: position.to_owned(), answer });
        let ping = v1::WatchPing { nonce: session.nonce, at_least: position.to_owned() };
        let step = json!({"ask_position": position, "ping": session.nonce});
        assert!(self.said.try_recv().unwrap().message == Some(Say::Ping(ping)));
        self.waiting.push((position.to_owned(), waiting));
        self.step(step);
    }

    /// Writes down which positions are found out by this step: whether they are reached, or given up.
    fn answer_positions(&mut self, step: &mut Value) {
        let mut found = serde_json::Map::new();
        self.waiting.retain_mut(|(position, waiting)| {
            let reached = match waiting.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => return true,
                found => found.unwrap_or(false),
            };
            found.insert(position.clone(), json!(reached));
            false
        });
        if !found.is_empty() {
            step["positions"] = Value::Object(found);
        }
    }

    /// What is revoked: without until when.
    fn known(&self) -> Vec<Value> {
        let mut known: Vec<Value> =
            self.follower.verifier.revocations().index.entries().into_iter().map(written).collect();
        known.sort_by_key(Value::to_string);
        known
    }

    /// The moment for a ping has come.
    pub(super) fn ping(&mut self) {
        let mut session = self.session.take().expect("a stream");
        let mut step = json!({"ping": session.nonce + 1});
        match self.follower.ping(&self.say, &mut session) {
            Ok(()) => {
                let said = self.said.try_recv().unwrap().message;
                let ping = v1::WatchPing { nonce: session.nonce, at_least: String::new() };
                assert!(said == Some(Say::Ping(ping)));
                self.session = Some(session);
            }
            Err(ended) => step = json!({"ping": Value::Null, "ends": self.end(&ended)}),
        }
        self.step(step);
    }

    /// The connection is lost, or the server ends the stream.
    pub(super) fn lose(&mut self) {
        self.session = None;
        self.end(&Ended::Closed);
        let mut step = json!({"lost": true});
        self.answer_positions(&mut step);
        self.step(step);
    }

    fn end(&mut self, ended: &Ended) -> Value {
        self.follower.end(ended);
        json!(match ended {
            Ended::Closed => "closed",
            Ended::Failed(_) => "failed",
            Ended::Silent => "silent",
            Ended::Resynchronise => "resynchronise",
            Ended::ClockSet(_) => "clock_set",
            Ended::Nonsense(_) => "nonsense",
        })
    }

    /// Time passes, by both clocks.
    pub(super) fn advance(&mut self, milliseconds: u64) {
        self.clock.advance(Duration::from_millis(milliseconds));
        self.step(json!({"advance_ms": milliseconds}));
    }

    /// The wall clock alone is moved.
    pub(super) fn step_wall_clock(&mut self, milliseconds: i64) {
        self.clock.set_wall(UnixMillis(self.clock.now().0 + milliseconds));
        self.step(json!({"step_wall_clock_ms": milliseconds}));
    }

    /// What need not be remembered any more is forgotten.
    pub(super) fn purge(&mut self) {
        self.follower.verifier.revocations().index.purge(self.clock.now());
        self.step(json!({"purge": true}));
    }

    /// Asks for what is known, and for these tokens under both policies.
    pub(super) fn ask(&mut self, tokens: &[&str]) {
        let answer = |name: &str, on_stale| {
            let options = ConnectOptions { on_stale, ..self.follower.options.clone() };
            match verify_here(&self.follower.verifier, &options, &self.tokens[name], &[]) {
                Ok(_) => json!("verified"),
                Err(VerifyError::Invalid(reason)) => json!({"invalid": reason.as_str()}),
                Err(_) => json!("unknown"),
            }
        };
        let answers: serde_json::Map<String, Value> = tokens
            .iter()
            .map(|name| {
                let answers = json!({
                    "fail_closed": answer(name, OnStale::FailClosed), "serve": answer(name, OnStale::Serve),
                });
                ((*name).to_owned(), answers)
            })
            .collect();
        let staleness = self.follower.verifier.revocations().staleness(self.clock.as_ref());
        let staleness = staleness.map(|age| u64::try_from(age.as_millis()).unwrap());
        let ready = *self.loaded.borrow();
        self.step(json!({"expect": {"ready": ready, "staleness_ms": staleness, "answers": answers}}));
    }

    pub(super) fn written(self, name: &str, about: &str) -> Value {
        let options = &self.follower.options;
        let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap();
        json!({
            "name": name,
            "about": about,
            "start_ms": NOW * 1000,
            "issuer": ISSUER,
            "default_audiences": [AUDIENCE],
            "max_staleness_ms": milliseconds(options.max_staleness),
            "patience_ms": milliseconds(options.patience),
            "tokens": self.tokens,
            "steps": self.steps,
        })
    }
}

fn written(revoked: Revoked) -> Value {
    match revoked {
        Revoked::Session { session, .. } => json!({"session_id": session.to_string()}),
        Revoked::User { user, epoch, .. } => json!({"subject": user.to_string(), "epoch": epoch.0}),
    }
}

/// A token that is good for so many seconds.
fn token(kid: &str, key: usize, user: [u8; 16], session: [u8; 16], seconds: i64) -> String {
    let header = json!({"typ": "at+jwt", "alg": "EdDSA", "kid": kid}).to_string();
    let claims = json!({
        "iss": ISSUER, "sub": UserId::from_bytes(user).to_string(), "aud": [AUDIENCE],
        "exp": NOW + seconds, "iat": NOW, "jti": "AAAAAAAAAAAAAAAAAAAAAA",
        "sid": SessionId::from_bytes(session).to_string(), "username": "somebody", "roles": [],
        "auth_time": NOW, "amr": ["pwd"], "epoch": 3, "sxp": NOW + 100_000,
    });
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = told::pair(key).sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}
