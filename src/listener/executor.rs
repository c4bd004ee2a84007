//! Where the calls of an HTTP/2 connection run.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use hyper::rt::Executor;
use tokio::task::coop;

/// Tries a call as soon as its request is read, within the task of its connection: one that has nothing to wait for is
/// answered there and then, and takes no task of its own. Any other goes on in its own task.
///
/// What one turn of the connection may answer so is bounded by Tokio's budget for a task, lest its neighbours wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct AtOnce;

impl<F> Executor<F> for AtOnce
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        let mut call = Box::pin(call);
        if !within_budget() || poll_once(call.as_mut()).is_pending() {
            tokio::spawn(call);
        }
    }
}

/// Whoever polls next brings a waker: a task that is spawned is always polled once.
fn poll_once<F: Future<Output = ()>>(call: Pin<&mut F>) -> Poll<()> {
    call.poll(&mut Context::from_waker(Waker::noop()))
}

/// Takes one unit of the budget, if there is one.
fn within_budget() -> bool {
    match coop::poll_proceed(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(unit) => {
            unit.made_progress();
            true
        }
        Poll::Pending => false,
    }
}
