//! Callers that need to know nothing of their answers.

use std::sync::Arc;

use prost::bytes::Bytes;

use crate::load::{Answer, Caller, OK};

/// Draws numbers that are spread evenly, the same in each run (`SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Draw(u64);

impl Draw {
    /// Each seed draws others.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// A number below this one.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 16).unwrap() % bound
    }
}

/// Sends messages that were made before, drawn at random, whatever is answered.
pub(crate) struct Replay {
    frames: Arc<[Bytes]>,
    draw: Draw,
}

impl Replay {
    /// So many callers that share these messages.
    pub(crate) fn callers(frames: &Arc<[Bytes]>, callers: usize) -> Vec<Self> {
        let of = |seed| Self { frames: frames.clone(), draw: Draw::new(seed) };
        (0..u64::try_from(callers).unwrap()).map(of).collect()
    }
}

impl Caller for Replay {
    fn request(&mut self) -> Option<Bytes> {
        Some(self.frames[self.draw.below(self.frames.len())].clone())
    }

    fn answer(&mut self, answer: Answer) -> bool {
        answer.code == OK
    }
}

/// Sends each of some messages once.
pub(crate) struct Once {
    frames: Arc<[Bytes]>,
    next: usize,
    stride: usize,
}

impl Once {
    /// So many callers that have these messages among them.
    pub(crate) fn callers(frames: &Arc<[Bytes]>, callers: usize) -> Vec<Self> {
        (0..callers).map(|next| Self { frames: frames.clone(), next, stride: callers }).collect()
    }
}

impl Caller for Once {
    fn request(&mut self) -> Option<Bytes> {
        let frame = self.frames.get(self.next)?.clone();
        self.next += self.stride;
        Some(frame)
    }

    fn answer(&mut self, answer: Answer) -> bool {
        answer.code == OK
    }
}
