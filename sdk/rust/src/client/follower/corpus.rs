//! The scripts of `sdk/conformance/streams.jsonl`: what a server tells, and what is known after each word of it. Played to
//! this follower, which says what the verifiers in other languages must answer.
//!
//! `UPDATE_CORPUS=1 cargo test -p countersign-verifier --features client` writes the file.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tonic::transport::Endpoint;

use super::*;
use crate::client::OnStale;
use crate::client::error::VerifyError;
use crate::client::live_verifier::verify_here;
use crate::{Clock as _, ManualClock, RevocationView, Rules, TrustedKeys};

mod play;
mod scripts;
mod told;

use play::Play;

#[tokio::test]
async fn the_scripts_say_what_this_follower_knows() {
    let play = |(name, about, script): &scripts::Script| {
        let mut play = Play::new();
        script(&mut play);
        play.written(name, about).to_string()
    };
    let text = scripts::ALL.iter().map(play).collect::<Vec<_>>().join("\n") + "\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/streams.jsonl");
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        return;
    }
    let written = fs::read_to_string(file).unwrap_or_default();
    assert!(written == text, "sdk/conformance/streams.jsonl differs: UPDATE_CORPUS=1 writes it anew");
}
