"""Those who want to know when a token is revoked."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from types import TracebackType

from ._token import Revocation, Token

logger = logging.getLogger("countersign")


class Watch:
    """Says when a token is revoked, for what stays open longer than a request.

    It is a context manager; end it when what it is for is over.
    """

    def __init__(self, watchers: Watchers, token: Token, call: Callable[[], None] | None) -> None:
        """Made by `Verifier.watch`."""
        self.token = token
        """The token that is watched."""
        self._watchers = watchers
        self._call = call
        self._process = os.getpid()
        self._revoked = threading.Event()

    @property
    def revoked(self) -> bool:
        """Whether the token's session, or every session of its user, was revoked."""
        return self._revoked.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the token is revoked, at most ``timeout`` seconds. Returns whether it is."""
        return self._revoked.wait(timeout)

    def tell(self) -> None:
        """Called when the token is revoked."""
        already = self._revoked.is_set()
        self._revoked.set()
        # What a callback of the parent process would end is not open in its child.
        if self._call is not None and not already and self._process == os.getpid():
            try:
                self._call()
            except Exception:
                logger.exception("the callback of a watch failed")

    def after_fork(self) -> None:
        """A thread that was setting it is not there any more."""
        revoked, self._revoked = self._revoked, threading.Event()
        if revoked.is_set():
            self._revoked.set()

    def close(self) -> None:
        """Stops watching."""
        self._watchers.forget(self)

    def __enter__(self) -> Watch:
        """Watches already."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Stops watching."""
        self.close()


class Watchers:
    """All watches, by session and by user."""

    __slots__ = ("_lock", "sessions", "subjects")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sessions: dict[str, set[Watch]] = {}
        self.subjects: dict[str, set[Watch]] = {}

    def add(self, watch: Watch) -> None:
        """Tells ``watch`` from now on, until it is forgotten."""
        with self._lock:
            self.sessions.setdefault(watch.token.session_id, set()).add(watch)
            self.subjects.setdefault(watch.token.subject, set()).add(watch)

    def forget(self, watch: Watch) -> None:
        """Tells it no more."""
        with self._lock:
            for all, name in ((self.sessions, watch.token.session_id), (self.subjects, watch.token.subject)):
                watches = all.get(name)
                if watches is not None:
                    watches.discard(watch)
                    if not watches:
                        del all[name]

    def tell(self, revocation: Revocation) -> None:
        """Tells everybody whose token is refused now."""
        with self._lock:
            if revocation.session_id is not None:
                concerned = self.sessions.get(revocation.session_id, set())
            else:
                concerned = self.subjects.get(revocation.subject or "", set())
            told = [watch for watch in concerned if revocation.covers(watch.token)]
        for watch in told:
            watch.tell()

    def after_fork(self) -> None:
        """A thread that held the lock is not there any more."""
        self._lock = threading.Lock()
        for watches in self.sessions.values():
            for watch in watches:
                watch.after_fork()
