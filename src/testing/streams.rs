//! The streams of a world, which a test may hold up or end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// What is decided about every stream.
#[derive(Debug)]
pub struct Streams {
    open: Arc<AtomicUsize>,
    stalled: watch::Sender<bool>,
    /// How often the streams were ended.
    ended: watch::Sender<u64>,
}

impl Default for Streams {
    fn default() -> Self {
        Self { open: Arc::default(), stalled: watch::Sender::new(false), ended: watch::Sender::new(0) }
    }
}

impl Streams {
    /// How many are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Whether nothing is sent on them.
    pub fn is_stalled(&self) -> bool {
        *self.stalled.borrow()
    }

    /// Sends nothing from now on, or goes on.
    pub fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    /// Ends those that are open.
    pub fn end(&self) -> usize {
        let open = self.open();
        self.ended.send_modify(|times| *times += 1);
        open
    }

    /// One more stream.
    pub fn begin(&self) -> Hold {
        self.open.fetch_add(1, Ordering::SeqCst);
        Hold {
            open: Arc::clone(&self.open),
            stalled: self.stalled.subscribe(),
            ended: self.ended.subscribe(),
        }
    }
}

/// An open stream's view of it.
#[derive(Debug)]
pub struct Hold {
    open: Arc<AtomicUsize>,
    stalled: watch::Receiver<bool>,
    ended: watch::Receiver<u64>,
}

impl Hold {
    /// Whether nothing may be sent now.
    pub fn is_stalled(&mut self) -> bool {
        *self.stalled.borrow_and_update()
    }

    /// Returns when that has changed, with `false`, or when the stream must end, with `true`.
    pub async fn changed(&mut self) -> bool {
        let Self { stalled, ended, .. } = self;
        tokio::select! {
            biased;
            // An error says that the world is gone.
            _ = ended.changed() => true,
            Ok(()) = stalled.changed() => false,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_stream_is_told_when_it_stalls_goes_on_and_ends() {
        let streams = Streams::default();
        let mut hold = streams.begin();
        assert!(!hold.is_stalled() && hold.changed().now_or_never().is_none());
        streams.stall(true);
        assert_eq!(hold.changed().now_or_never(), Some(false));
        assert!(hold.is_stalled() && hold.changed().now_or_never().is_none());
        assert_eq!((streams.open(), streams.is_stalled(), streams.end()), (1, true, 1));
        assert_eq!(hold.changed().now_or_never(), Some(true));
        drop(hold);
        assert_eq!(streams.open(), 0);
    }

    #[test]
    fn a_stream_that_begins_after_the_end_of_others_goes_on_until_its_world_is_gone() {
        let streams = Streams::default();
        streams.end();
        let mut hold = streams.begin();
        assert_eq!(hold.changed().now_or_never(), None);
        drop(streams);
        assert_eq!(hold.changed().now_or_never(), Some(true));
    }
}
