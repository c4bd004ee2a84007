//! What a hashing thread does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;

use super::queue::{Job, Reply, Task};
use super::{PoolError, Shared, Verdict};
use crate::model::PasswordHash;
use crate::password::argon2id::{Argon2idHash, HashParameters, WorkingMemory};
use crate::password::policy::Password;
use crate::secret::random;

/// Does one job after the other until the queue is closed.
pub(super) fn run(shared: &Shared) {
    yield_to_others();
    let mut memory = WorkingMemory::default();
    while let Some(Job { password, task, .. }) = next(shared, &mut memory) {
        match task {
            Task::Hash { reply } => {
                answer(shared, reply, &mut memory, |memory| Ok(hash(shared, &password, memory)));
            }
            Task::Verify { against, reply } => {
                answer(shared, reply, &mut memory, |memory| {
                    verify(shared, &password, against.as_ref(), memory)
                });
            }
        }
    }
}

/// Hashing yields to everything else: a login takes a little longer under load, and whoever asks for a microsecond of
/// a processor need not wait for one who takes milliseconds. Where it is not granted, all are equal.
fn yield_to_others() {
    const NICENESS: i32 = 10;
    #[cfg(target_os = "linux")] // elsewhere it would be the whole process that yields
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// Waits for a job. Before it waits, it wipes what the last hash left in memory: under load the next hash
/// overwrites that anyway, so only an idle thread takes the time. When it has waited for long enough, it gives the
/// memory back.
fn next(shared: &Shared, memory: &mut WorkingMemory) -> Option<Job> {
    let mut queue = shared.queue();
    loop {
        if let Some(job) = queue.take(shared.clock.monotonic()) {
            return Some(job);
        }
        if queue.is_closed() {
            return None;
        }
        if memory.is_dirty() {
            drop(queue);
            memory.wipe();
            queue = shared.queue();
        } else if memory.bytes() == 0 {
            queue = shared.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        } else {
            let waited = shared.work.wait_timeout(queue, shared.keep_memory);
            let (locked, wait) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = locked;
            if wait.timed_out() {
                drop(queue);
                let bytes = memory.bytes();
                memory.release();
                queue = shared.queue();
                queue.hold_memory(bytes, 0);
            }
        }
    }
}

/// Does the work, whatever becomes of it counts it, and only then tells the caller.
fn answer<T>(
    shared: &Shared,
    reply: Reply<T>,
    memory: &mut WorkingMemory,
    work: impl FnOnce(&mut WorkingMemory) -> Result<T, PoolError>,
) {
    let (hashes, bytes) = (memory.hashes(), memory.bytes());
    let started = shared.clock.monotonic();
    // The memory is the only thing that a panic could leave half done, and every hash fills it anew.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        #[cfg(test)]
        (shared.before_hash)();
        work(memory)
    }));
    let took = shared.clock.monotonic().since(started);
    memory.shrink_to(shared.parameters);
    let mut queue = shared.queue();
    queue.hold_memory(bytes, memory.bytes());
    queue.finish(took, memory.hashes() - hashes, outcome.is_err());
    drop(queue);
    // Whoever has gone meanwhile needs no answer.
    let _ = reply.send(outcome.unwrap_or(Err(PoolError::Panicked)));
}

fn hash(shared: &Shared, password: &Password, memory: &mut WorkingMemory) -> PasswordHash {
    Argon2idHash::compute(password, random(), shared.parameters, memory).to_phc()
}

fn verify(
    shared: &Shared,
    password: &Password,
    against: Option<&PasswordHash>,
    memory: &mut WorkingMemory,
) -> Result<Verdict, PoolError> {
    match against.map(Argon2idHash::parse) {
        Some(Ok(hash)) => {
            let matches = hash.matches(password, memory);
            make_up_for(hash.parameters(), shared, password, memory);
            Ok(Verdict { matches, needs_rehash: matches && hash.needs_rehash(shared.parameters) })
        }
        Some(Err(corrupt)) => {
            shared.decoy.matches(password, memory);
            Err(corrupt.into())
        }
        None => {
            shared.decoy.matches(password, memory);
            Ok(Verdict { matches: false, needs_rehash: false })
        }
    }
}

/// A hash that costs less than today's took less time, which would tell that there is such a user: what is missing is done
/// for nothing, whatever the verdict. (One that costs more takes longer until its owner logs in, which replaces it.)
fn make_up_for(took: HashParameters, shared: &Shared, password: &Password, memory: &mut WorkingMemory) {
    if let Some(missing) = shared.parameters.beyond(took) {
        Argon2idHash::decoy(missing).matches(password, memory);
    }
}
