//! What a hashing thread does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;

use super::queue::{Reply, Task, Turn};
use super::{PoolError, Shared, Verdict};
use crate::model::PasswordHash;
use crate::password::argon2id::{Argon2idHash, WorkingMemory};
use crate::password::foreign::{Family, Stored, Tally, Work, work};
use crate::password::policy::Password;
use crate::secret::random;

/// Does one job after the other until the queue is closed.
pub(super) fn run(shared: &Shared) {
    yield_to_others();
    let mut memory = WorkingMemory::default();
    while let Some(Turn { task, in_background }) = next(shared, &mut memory) {
        let reply_of = (shared, in_background);
        match task {
            Task::Hash { password, reply } => {
                answer(reply_of, reply, &mut memory, |memory| Ok(hash(shared, &password, memory)));
            }
            Task::Verify { password, against, may_enter, reply } => {
                answer(reply_of, reply, &mut memory, |memory| {
                    verify(shared, &password, against.as_ref(), may_enter, memory)
                });
            }
            Task::Wrap { hash, reply } => {
                answer(reply_of, reply, &mut memory, |memory| {
                    Ok(hash.wrap(random(), shared.parameters, memory).to_stored())
                });
            }
            Task::Check { hash, password, reply } => {
                answer(reply_of, reply, &mut memory, |memory| Ok(hash.matches(&password, memory)));
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
fn next(shared: &Shared, memory: &mut WorkingMemory) -> Option<Turn> {
    let mut queue = shared.queue();
    loop {
        if let Some(turn) = queue.take(shared.clock.monotonic()) {
            return Some(turn);
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
    (shared, in_background): (&Shared, bool),
    reply: Reply<T>,
    memory: &mut WorkingMemory,
    work: impl FnOnce(&mut WorkingMemory) -> Result<T, PoolError>,
) {
    let (hashes, tally, bytes) = (memory.hashes(), memory.tally(), memory.bytes());
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
    let done = (memory.hashes() - hashes, memory.tally().since(&tally));
    if in_background {
        queue.finish_background(took, done, outcome.is_err());
    } else {
        queue.finish(took, done, outcome.is_err());
    }
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
    may_enter: bool,
    memory: &mut WorkingMemory,
) -> Result<Verdict, PoolError> {
    let before = memory.tally();
    let stored = against.map(Stored::parse).transpose();
    if let Ok(Some(hash)) = &stored {
        shared.met(&hash.work());
    }
    let matches = matches!(&stored, Ok(Some(hash)) if hash.matches(password, memory));
    if !(matches && may_enter) {
        make_up(shared, &memory.tally().since(&before), password, memory);
    }
    let stored = stored?;
    let needs_rehash = matches && stored.is_some_and(|hash| hash.needs_rehash(shared.parameters));
    Ok(Verdict { matches, needs_rehash })
}

/// Hashes of one kind take longer than those of another, which would tell that there is such a user, and of which kind
/// their hash is. So before a login is refused, it does for nothing whatever it has not done of the dearest hash of each
/// family that was met here: in the end every refused login has done the same, whether there was such a user or not. (One that
/// is let in may tell what it likes.)
fn make_up(shared: &Shared, done: &Tally, password: &Password, memory: &mut WorkingMemory) {
    let dearest = shared.dearest();
    for family in Family::ALL {
        let units = dearest.of(family).saturating_sub(done.of(family));
        if units > 0 {
            work::do_for_nothing(
                Work { family, units },
                password.expose().as_bytes(),
                shared.parameters,
                memory,
            );
        }
    }
}
