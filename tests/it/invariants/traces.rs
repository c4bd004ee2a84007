//! Looks for secrets where they must not be.

use std::collections::HashMap;

use crate::secret_canary::{session_secret, spellings};

/// What is looked for first; no spelling is shorter.
const HEAD: usize = 8;

/// Secrets in every spelling, so that one pass over a file finds any of them.
#[derive(Default)]
pub(super) struct Traces {
    by_head: HashMap<[u8; HEAD], Vec<(&'static str, Vec<u8>)>>,
}

impl Traces {
    pub(super) fn add(&mut self, name: &'static str, secret: &[u8]) {
        for spelling in spellings(secret) {
            let head = *spelling.first_chunk().unwrap();
            self.by_head.entry(head).or_default().push((name, spelling));
        }
    }

    pub(super) fn add_refresh_token(&mut self, token: &str) {
        self.add("a refresh token", token.as_bytes());
        self.add("a session secret", &session_secret(token));
    }

    pub(super) fn add_access_token(&mut self, token: &str) {
        self.add("an access token", token.as_bytes());
        self.add("an access token's signature", token.rsplit('.').next().unwrap().as_bytes());
    }

    /// The names of the secrets that the text holds.
    pub(super) fn found_in(&self, text: &[u8]) -> Vec<&'static str> {
        let mut found = Vec::new();
        for start in 0..text.len().saturating_sub(HEAD - 1) {
            let Some(candidates) = self.by_head.get(&text[start..start + HEAD]) else { continue };
            let at = |(name, spelling): &(&'static str, Vec<u8>)| {
                text[start..].starts_with(spelling).then_some(*name)
            };
            found.extend(candidates.iter().filter_map(at));
        }
        found
    }

    /// None of these texts holds any of them.
    pub(super) fn assert_none_in(&self, texts: &[Vec<u8>]) {
        // The PHC strings are where they belong, so the search does find things.
        let mut control = Self::default();
        control.add("a PHC string", b"$argon2id$v=19$");
        let mut phc_strings = 0;
        for text in texts {
            assert_eq!(self.found_in(text), [""; 0], "a secret was written down");
            phc_strings += control.found_in(text).len();
        }
        assert!(phc_strings > 0, "the users are among them");
    }
}
