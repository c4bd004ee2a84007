"""Time, and how old what is known may be."""

from __future__ import annotations

import time
from typing import Protocol

# By how many milliseconds the wall clock may differ from where the monotonic one says that it should be before nothing is
# known any more. Revocations are remembered for longer than they matter by more than this, so a smaller step does no harm.
CLOCK_STEP = 10_000


class Clock(Protocol):
    """Where a verifier gets the time from. Tests pass their own, so that no test of an expiry needs to sleep."""

    def wall(self) -> int:
        """Milliseconds since 1970, for what is compared with times that other machines wrote."""
        ...

    def monotonic(self) -> int:
        """Nanoseconds since an arbitrary origin by a clock that is never set, for how old something is."""
        ...


class SystemClock:
    """The operating system's clocks."""

    def wall(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> int:
        """Nanoseconds since an arbitrary origin."""
        return time.monotonic_ns()


class Freshness:
    """How old the view of revocations may be.

    It is proven by a question that was answered and never by a message that arrives: counted from when the last answered
    question was sent, on the monotonic clock, plus the age that the answer itself had.
    """

    __slots__ = ("_known_up_to", "_offset")

    def __init__(self) -> None:
        # On the monotonic clock, in nanoseconds.
        self._known_up_to: int | None = None
        # By how many milliseconds the wall clock was ahead of the monotonic one when loading began.
        self._offset: int | None = None

    def record_answer(self, sent: int, age: int) -> None:
        """A question that was sent at ``sent`` was answered by a server whose own view was at most ``age`` ns old.

        An answer that proves less than an earlier one changes nothing.
        """
        known = self._known_up_to
        if known is None or known < sent - age:
            self._known_up_to = sent - age

    def anchor(self, wall: int, monotonic: int) -> None:
        """Loading begins at this moment of both clocks.

        What is left out of what is loaded, and what is forgotten later, is decided by the wall clock, so both hold for as
        long as it goes on from here without a step.
        """
        self._offset = wall - monotonic // 1_000_000

    def drift(self, wall: int, monotonic: int) -> int:
        """By how many ms the wall clock differs from where it should be; 0 before loading began."""
        offset = self._offset
        return 0 if offset is None else abs(wall - monotonic // 1_000_000 - offset)

    def invalidate(self) -> None:
        """Everything must be loaded again."""
        self._known_up_to = None

    def staleness(self, wall: int, monotonic: int) -> int | None:
        """How many nanoseconds old the view is at most.

        None when nothing was loaded, or when the wall clock has stepped by more than CLOCK_STEP since loading began.

        Ask before the revocations are looked at: what comes in between makes the answer better than was said, never worse.
        """
        known = self._known_up_to
        if known is None or self.drift(wall, monotonic) > CLOCK_STEP:
            return None
        return max(monotonic - known, 0)
