//! Which jobs are let in, and which are still worth doing when their turn comes.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{PoolError, PoolStats, Verdict};
use crate::model::{Monotonic, PasswordHash};
use crate::password::foreign::{ForeignHash, Imported, Tally};
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
    Check { hash: Imported, password: Password, reply: Reply<bool> },
}

pub(super) struct Job {
    pub(super) deadline: Monotonic,
    pub(super) task: Task,
}

/// A job for a thread to do now.
pub(super) struct Turn {
    pub(super) task: Task,
    /// Whether it has waited for the others to have none.
    pub(super) in_background: bool,
}

impl Job {
    fn is_abandoned(&self) -> bool {
        match &self.task {
            Task::Hash { reply, .. } | Task::Wrap { reply, .. } => reply.is_closed(),
            Task::Verify { reply, .. } => reply.is_closed(),
            Task::Check { reply, .. } => reply.is_closed(),
        }
    }

    fn refuse(self, error: PoolError) {
        // Whoever has gone needs no answer.
        match self.task {
            Task::Hash { reply, .. } | Task::Wrap { reply, .. } => drop(reply.send(Err(error))),
            Task::Verify { reply, .. } => drop(reply.send(Err(error))),
            Task::Check { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}

/// Jobs in the order in which they came, and those that are done while there are none.
pub(super) struct Queue {
    waiting: VecDeque<Job>,
    /// Of whom nobody waits at a login: taken while nothing else waits, by at most half of the threads. As many as have a
    /// permit of the pool.
    background: VecDeque<Job>,
    background_busy: usize,
    /// Places that are kept for jobs yet to come.
    reserved: usize,
    capacity: usize,
    closed: bool,
    stats: PoolStats,
}

impl Queue {
    pub(super) fn new(capacity: usize, threads: usize) -> Self {
        let stats = PoolStats { threads, ..PoolStats::default() };
        Self {
            waiting: VecDeque::new(),
            background: VecDeque::new(),
            background_busy: 0,
            reserved: 0,
            capacity,
            closed: false,
            stats,
        }
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

    /// A job comes that is done when there is no other.
    pub(super) fn admit_to_background(&mut self, job: Job, now: Monotonic) -> Result<(), PoolError> {
        self.check_open_until(job.deadline, now)?;
        self.background.push_back(job);
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
    pub(super) fn take(&mut self, now: Monotonic) -> Option<Turn> {
        while let Some(job) = self.waiting.pop_front() {
            if let Some(Job { task, .. }) = self.unless_dead(job, now) {
                self.stats.busy += 1;
                // They need not wait for a thread that has time for them to hear that it is too late.
                self.discard_dead_background(now);
                return Some(Turn { task, in_background: false });
            }
        }
        if self.background_busy >= (self.stats.threads / 2).max(1) {
            return None;
        }
        while let Some(job) = self.background.pop_front() {
            if let Some(Job { task, .. }) = self.unless_dead(job, now) {
                self.stats.busy += 1;
                self.background_busy += 1;
                return Some(Turn { task, in_background: true });
            }
        }
        None
    }

    fn discard_dead_background(&mut self, now: Monotonic) {
        while self.background.front().is_some_and(|job| job.deadline <= now) {
            if let Some(job) = self.background.pop_front() {
                self.unless_dead(job, now);
            }
        }
    }

    /// A thread is idle again, `took` after it took a job in the background for which it computed so many hashes.
    pub(super) fn finish_background(&mut self, took: Duration, (hashes, work): (u64, Tally), panicked: bool) {
        self.background_busy -= 1;
        // What is done here says nothing of how long the next login takes.
        let average = self.stats.average;
        self.finish(took, (hashes, work), panicked);
        self.stats.average = average;
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
        for job in self.waiting.drain(..).chain(self.background.drain(..)) {
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
    fn what_waits_in_the_background_goes_last_and_takes_half_of_the_threads() {
        let mut queue = Queue::new(4, 4);
        let mut answers = Vec::new();
        let mut background = |queue: &mut Queue| {
            let (job, answer) = job(at(5000));
            queue.admit_to_background(job, at(0)).unwrap();
            answers.push(answer);
        };
        for _ in 0..5 {
            background(&mut queue);
        }
        let (login, _answer) = job(at(1000));
        enter(&mut queue, login, at(0)).unwrap();
        let taken: Vec<bool> =
            std::iter::from_fn(|| queue.take(at(0)).map(|turn| turn.in_background)).collect();
        assert_eq!(taken, [false, true, true], "the login first, and two threads of four for the rest");
        queue.finish_background(Duration::from_secs(9), (1, Tally::default()), false);
        assert_eq!(queue.stats().average, Duration::ZERO, "a login is not expected to take as long");
        assert!(queue.take(at(0)).unwrap().in_background);

        // A thread that has none but logins to do all the same tells them that it is too late.
        let (login, _answer) = job(at(9000));
        enter(&mut queue, login, at(4999)).unwrap();
        assert!(!queue.take(at(5000)).unwrap().in_background);
        let late = answers.iter_mut().filter_map(|answer| answer.try_recv().ok()).collect::<Vec<_>>();
        assert_eq!(late, [Err(PoolError::Deadline), Err(PoolError::Deadline)]);
    }

    #[test]
    fn one_thread_has_time_for_the_background_too() {
        let mut queue = Queue::new(4, 1);
        let (first, _first) = job(at(5000));
        queue.admit_to_background(first, at(0)).unwrap();
        assert!(queue.take(at(0)).unwrap().in_background);
        let (second, mut second_answer) = job(at(5000));
        queue.admit_to_background(second, at(0)).unwrap();
        queue.close();
        assert_eq!(second_answer.try_recv(), Ok(Err(PoolError::Closed)));
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
