//! A stream that notes what is read from it, and since when it takes nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;
use super::{BodyRefused, Ended};

/// See the module.
pub(super) struct Watched<T> {
    stream: T,
    activity: Arc<Activity>,
    blocked: bool,
}

impl<T> Watched<T> {
    /// Notes it there.
    pub(super) const fn new(stream: T, activity: Arc<Activity>) -> Self {
        Self { stream, activity, blocked: false }
    }

    /// Notes whether the peer's window, or the socket's buffer, has room.
    fn note<R>(&mut self, outcome: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        match (&outcome, self.blocked) {
            (Poll::Pending, false) => {
                self.blocked = true;
                self.activity.blocked.set(self.activity.ticks.now());
            }
            (Poll::Ready(_), true) => {
                self.blocked = false;
                self.activity.blocked.clear();
            }
            _ => {}
        }
        outcome
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if self.activity.read(buffer.filled().len() - before) {
            return Poll::Ready(Ok(()));
        }
        self.activity.close(Ended::NoRoom);
        Poll::Ready(Err(BodyRefused::NoRoom.into()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.note(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.note(outcome)
    }
}
