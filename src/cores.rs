//! One thread with a runtime of its own for each processor, to serve connections on.
//!
//! A connection stays on the thread that it was given to, so its calls are answered without a lock, without a queue
//! that others share and without waking anybody. What a call starts, such as a change that is carried through, runs
//! there too. There may be few connections, all of them busy, so each goes to the thread that has the fewest.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// The threads. They end when this is dropped, and what still runs on them with them.
#[derive(Debug)]
pub struct Cores {
    cores: Vec<Core>,
    end: CancellationToken,
}

#[derive(Debug)]
struct Core {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Cores {
    /// Starts so many threads, at least one. Fails when the operating system gives no more of them.
    pub fn start(threads: usize) -> io::Result<Self> {
        let mut cores = Self { cores: Vec::new(), end: CancellationToken::new() };
        for number in 0..threads.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (handle, end) = (runtime.handle().clone(), cores.end.clone());
            let thread = std::thread::Builder::new().name(format!("serving-{number}"));
            let thread = thread.spawn(move || runtime.block_on(end.cancelled()))?;
            cores.cores.push(Core { runtime: handle, connections: Arc::default(), thread: Some(thread) });
        }
        Ok(cores)
    }

    /// The threads' runtimes.
    pub fn runtimes(&self) -> Vec<Handle> {
        self.cores.iter().map(|core| core.runtime.clone()).collect()
    }

    /// The thread with the fewest connections, which has one more until the place is dropped.
    pub fn place(&self) -> Place {
        let least = self.cores.iter().min_by_key(|core| core.connections.load(Ordering::Relaxed));
        let Core { runtime, connections, .. } = least.expect("there is at least one");
        connections.fetch_add(1, Ordering::Relaxed);
        Place { runtime: runtime.clone(), connections: Arc::clone(connections) }
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        self.end.cancel();
        for thread in self.cores.iter_mut().filter_map(|core| core.thread.take()) {
            // A thread that panicked has nothing to tell that was not told when it did.
            let _ = thread.join();
        }
    }
}

/// A connection's place on a thread.
#[derive(Debug)]
pub struct Place {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

impl Place {
    /// The runtime to serve the connection on.
    pub const fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_spread_evenly_and_their_places_are_taken_again() {
        let cores = Cores::start(3).unwrap();
        let loads = || cores.cores.iter().map(|core| core.connections.load(Ordering::Relaxed));
        let mut places: Vec<_> = (0..6).map(|_| cores.place()).collect();
        assert_eq!(loads().collect::<Vec<_>>(), [2, 2, 2]);
        places.truncate(4);
        assert_eq!(loads().sum::<usize>(), 4);
        places.extend((0..2).map(|_| cores.place()));
        assert_eq!(loads().collect::<Vec<_>>(), [2, 2, 2]);
    }

    #[test]
    fn each_thread_runs_what_it_is_given_and_all_end() {
        let cores = Cores::start(2).unwrap();
        let name = |place: &Place| {
            let (sender, receiver) = std::sync::mpsc::channel();
            place.runtime().spawn(async move {
                sender.send(std::thread::current().name().map(str::to_owned)).unwrap();
            });
            receiver.recv().unwrap()
        };
        let (first, second) = (cores.place(), cores.place());
        assert_eq!(name(&first).as_deref(), Some("serving-0"));
        assert_eq!(name(&second).as_deref(), Some("serving-1"));
        drop(cores);
    }
}
