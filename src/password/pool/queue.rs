//! Which jobs are let in, and which are still worth doing when their turn comes.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{PoolError, PoolStats, Verdict};
use crate::model::{Monotonic, PasswordHash};
use crate::password::foreign::{ForeignHash, Tally};
use crate::password::policy::Password;

/// The bounds of what a refused caller is told to wait.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How many hashes the moving average remembers.
const AVERAGED: u32 = 8;

pub(super) type Reply<T> = oneshot::Sender<Result<T, PoolError>>;

/// What is to be done, and who waits for it.
pub(super) enum Task {
    Hash { password: Password, reply: Reply<PasswordHash> },
    Verify { password: Password, against: Option<PasswordHash>, may_enter: bool, reply: Reply<Verdict> },
    Wrap { hash: ForeignHash, reply: Reply<PasswordHash> },
}

pub(super) struct Job {
    pub(super) deadline: Monotonic,
    pub(super) task: Task,
}

impl Job {
    fn is_abandoned(&self) -> bool {
        match &self.task {
            Task::Hash { reply, .. } | Task::Wrap { reply, .. } => reply.is_closed(),
            Task::Verify { reply, .. } => reply.is_closed(),
        }
    }

    fn refuse(self, error: PoolError) {
        // Whoever has gone needs no answer.
        match self.task {
            Task::Hash { reply, .. } | Task::Wrap { reply, .. } => drop(reply.send(Err(error))),
            Task::Verify { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}

/// Jobs in the order in which they came.
pub(super) struct Queue {
    waiting: VecDeque<Job>,
    /// Places that are kept for jobs yet to come.
    reserved: usize,
    capacity: usize,
    closed: bool,
    stats: PoolStats,
}

impl Queue {
    pub(super) fn new(capacity: usize, threads: usize) -> Self {
        let stats = PoolStats { threads, ..PoolStats::default() };
        Self { waiting: VecDeque::new(), reserved: 0, capacity, closed: false, stats }
    }

    /// Keeps a place for a job that will come, or says at once why not.
    pub(super) fn reserve(&mut self, deadline: Monotonic, now: Monotonic) -> Result<(), PoolError> {
        self.check_open_until(deadline, now)?;
        if !self.has_room_until(deadline, now) {
            // Dead jobs are in nobody's way until the queue seems too long: a thread drops them in no time.
            self.discard_dead(now);
            if !self.has_room_until(deadline, now) {
                self.stats.refused += 1;
                let (shortest, longest) = RETRY_AFTER;
                let retry_after = self.time_for(self.length()).clamp(shortest, longest);
                return Err(PoolError::Overloaded { retry_after });
            }
        }
        self.reserved += 1;
        Ok(())
    }

    /// No job will come to a place that was kept.
    pub(super) const fn give_back(&mut self) {
        self.reserved -= 1;
    }

    /// The job comes that a place was kept for.
    pub(super) fn admit(&mut self, job: Job, now: Monotonic) -> Result<(), PoolError> {
        self.give_back();
        self.check_open_until(job.deadline, now)?;
        self.waiting.push_back(job);
        Ok(())
    }

    /// Whether jobs are taken at all, and one with this deadline is not too late.
    fn check_open_until(&mut self, deadline: Monotonic, now: Monotonic) -> Result<(), PoolError> {
        if self.closed {
            return Err(PoolError::Closed);
        }
        if deadline <= now {
            self.stats.expired += 1;
            return Err(PoolError::Deadline);
        }
        Ok(())
    }

    /// How many jobs wait, or will.
    fn length(&self) -> usize {
        self.waiting.len() + self.reserved
    }

    /// Whether one more job would be finished by `deadline`, as far as the past tells. What an idle thread can
    /// take is always let in: otherwise an average that a stopped machine has spoilt would never mend.
    fn has_room_until(&self, deadline: Monotonic, now: Monotonic) -> bool {
        let idle = self.stats.threads - self.stats.busy;
        let Some(ahead) = self.length().checked_sub(idle) else {
            return true;
        };
        ahead < self.capacity && self.time_for(ahead + 1) + self.stats.average <= deadline.since(now)
    }

    /// How long all threads together take for so many jobs.
    fn time_for(&self, jobs: usize) -> Duration {
        let jobs = u32::try_from(jobs).unwrap_or(u32::MAX);
        let threads = u32::try_from(self.stats.threads).unwrap_or(u32::MAX);
        self.stats.average.saturating_mul(jobs) / threads
    }

    /// The next job that somebody still waits for and that is still in time; its thread is busy from now on,
    /// until it calls [`Queue::finish`].
    pub(super) fn take(&mut self, now: Monotonic) -> Option<Job> {
        while let Some(job) = self.waiting.pop_front() {
            if let Some(job) = self.unless_dead(job, now) {
                self.stats.busy += 1;
                return Some(job);
            }
        }
        None
    }

    /// A thread is idle again, `took` after it took a job for which it computed so many hashes, which took so much together.
    pub(super) fn finish(&mut self, took: Duration, (hashes, work): (u64, Tally), panicked: bool) {
        self.stats.busy -= 1;
        self.stats.hashed += hashes;
        self.stats.work.add_all(&work);
        if panicked {
            self.stats.panicked += 1;
            return;
        }
        self.stats.took.observe(took);
        self.stats.average = if self.stats.average.is_zero() {
            took
        } else {
            self.stats.average * (AVERAGED - 1) / AVERAGED + took / AVERAGED
        };
    }

    /// The memory of one thread is of another size than before, in bytes.
    pub(super) const fn hold_memory(&mut self, before: usize, now: usize) {
        self.stats.memory_bytes = self.stats.memory_bytes - before + now;
    }

    /// Lets nothing more in, and answers whoever waits.
    pub(super) fn close(&mut self) {
        self.closed = true;
        for job in self.waiting.drain(..) {
            job.refuse(PoolError::Closed);
        }
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn stats(&self) -> PoolStats {
        PoolStats { queued: self.length(), ..self.stats }
    }

    fn discard_dead(&mut self, now: Monotonic) {
        for job in std::mem::take(&mut self.waiting) {
            if let Some(job) = self.unless_dead(job, now) {
                self.waiting.push_back(job);
            }
        }
    }

    fn unless_dead(&mut self, job: Job, now: Monotonic) -> Option<Job> {
        if job.is_abandoned() {
            self.stats.abandoned += 1;
        } else if job.deadline <= now {
            self.stats.expired += 1;
            job.refuse(PoolError::Deadline);
        } else {
            return Some(job);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = oneshot::Receiver<Result<Verdict, PoolError>>;

    const fn at(millis: u64) -> Monotonic {
        Monotonic(Duration::from_millis(millis))
    }

    fn job(deadline: Monotonic) -> (Job, Answer) {
        let password = Password::new("secret".to_owned()).unwrap();
        let (reply, answer) = oneshot::channel();
        (Job { deadline, task: Task::Verify { password, against: None, may_enter: true, reply } }, answer)
    }

    fn enter(queue: &mut Queue, job: Job, now: Monotonic) -> Result<(), PoolError> {
        queue.reserve(job.deadline, now)?;
        queue.admit(job, now)
    }

    /// A queue whose threads are all busy with hashes of 100 ms.
    fn busy(capacity: usize, threads: usize) -> Queue {
        let mut queue = Queue::new(capacity, threads);
        let mut answers = Vec::new();
        for _ in 0..=threads {
            let (job, answer) = job(at(u64::MAX));
            enter(&mut queue, job, at(0)).unwrap();
            queue.take(at(0)).unwrap();
            answers.push(answer);
            if answers.len() == 1 {
                queue.finish(Duration::from_millis(100), (1, Tally::default()), false);
            }
        }
        assert_eq!(queue.stats().busy, threads);
        queue
    }

    #[test]
    fn a_full_queue_refuses_and_says_when_to_come_back() {
        let mut queue = busy(3, 2);
        let answers: Vec<Answer> = (0..3)
            .map(|_| {
                let (job, answer) = job(at(60_000));
                enter(&mut queue, job, at(0)).unwrap();
                answer
            })
            .collect();
        let refused = enter(&mut queue, job(at(60_000)).0, at(0));
        assert_eq!(refused, Err(PoolError::Overloaded { retry_after: Duration::from_millis(150) }));
        assert_eq!(queue.stats().refused, 1);
        assert_eq!(queue.stats().queued, answers.len());
    }

    #[test]
    fn what_would_not_be_finished_in_time_is_refused_at_once() {
        let mut queue = busy(100, 2);
        // The first to wait starts after half a hash on average, and then takes a whole one.
        assert!(matches!(enter(&mut queue, job(at(149)).0, at(0)), Err(PoolError::Overloaded { .. })));
        let (first, _first) = job(at(150));
        assert_eq!(enter(&mut queue, first, at(0)), Ok(()));
        assert!(matches!(enter(&mut queue, job(at(199)).0, at(0)), Err(PoolError::Overloaded { .. })));
        let (second, _second) = job(at(200));
        assert_eq!(enter(&mut queue, second, at(0)), Ok(()));
        assert_eq!((queue.stats().queued, queue.stats().refused), (2, 2));
    }

    #[test]
    fn an_idle_thread_is_never_refused_so_that_a_spoilt_average_mends() {
        let mut queue = busy(100, 1);
        queue.finish(Duration::from_hours(1), (1, Tally::default()), false);
        assert!(queue.stats().average > Duration::from_mins(1));
        for _ in 0..60 {
            let (job, _answer) = job(at(2000));
            enter(&mut queue, job, at(0)).unwrap();
            queue.take(at(0)).unwrap();
            queue.finish(Duration::from_millis(10), (1, Tally::default()), false);
        }
        assert!(queue.stats().average < Duration::from_secs(1), "{:?}", queue.stats().average);
    }

    #[test]
    fn a_passed_deadline_is_refused_without_a_place_in_the_queue() {
        let mut queue = Queue::new(1, 1);
        assert_eq!(enter(&mut queue, job(at(5)).0, at(5)), Err(PoolError::Deadline));
        assert_eq!((queue.stats().expired, queue.stats().queued), (1, 0));
    }

    #[test]
    fn the_dead_are_neither_hashed_nor_in_the_way() {
        let mut queue = busy(2, 1);
        let (gone, answer) = job(at(60_000));
        enter(&mut queue, gone, at(0)).unwrap();
        drop(answer);
        let (late, mut late_answer) = job(at(1000));
        enter(&mut queue, late, at(0)).unwrap();

        let (alive, _answer) = job(at(60_000));
        enter(&mut queue, alive, at(1000)).expect("the places of the dead are free");
        assert_eq!(late_answer.try_recv(), Ok(Err(PoolError::Deadline)));
        let stats = queue.stats();
        assert_eq!((stats.queued, stats.abandoned, stats.expired, stats.refused), (1, 1, 1, 0));

        let (gone, answer) = job(at(60_000));
        enter(&mut queue, gone, at(1000)).unwrap();
        drop(answer);
        assert!(queue.take(at(1000)).is_some());
        assert!(queue.take(at(1000)).is_none(), "the one who has gone is skipped");
        assert_eq!(queue.stats().abandoned, 2);
    }

    #[test]
    fn a_place_that_is_kept_is_nobody_elses_until_it_is_given_back() {
        let mut queue = busy(2, 1);
        let deadline = at(60_000);
        queue.reserve(deadline, at(0)).unwrap();
        queue.reserve(deadline, at(0)).unwrap();
        let refused = queue.reserve(deadline, at(0));
        assert_eq!(refused, Err(PoolError::Overloaded { retry_after: Duration::from_millis(200) }));
        assert_eq!(queue.stats().queued, 2);
        queue.give_back();
        let (coming, _answer) = job(deadline);
        queue.admit(coming, at(0)).expect("its place was kept");
        queue.reserve(deadline, at(0)).expect("one was given back");
        let (late, _answer) = job(at(5));
        assert_eq!(queue.admit(late, at(5)), Err(PoolError::Deadline), "its caller has gone meanwhile");
        assert_eq!(queue.stats().queued, 1);
    }

    #[test]
    fn closing_answers_all_who_wait_and_lets_nobody_in() {
        let mut queue = Queue::new(1, 1);
        let (waiting, mut answer) = job(at(1000));
        enter(&mut queue, waiting, at(0)).unwrap();
        queue.close();
        assert_eq!(answer.try_recv(), Ok(Err(PoolError::Closed)));
        assert_eq!(enter(&mut queue, job(at(1000)).0, at(0)), Err(PoolError::Closed));
        assert!(queue.take(at(0)).is_none());
    }
}
