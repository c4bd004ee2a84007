"""The positions of the ledger that callers wait for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

# How many positions are waited for at once, here and at the server.
MAX_WAITING = 64
# How many positions that were reached are remembered: revocations are only ever added, so they stay reached.
MAX_REACHED = 64
# The longest position there is.
MAX_POSITION_BYTES = 64


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A position that a caller waits for."""

    position: str
    # Whether everything up to there is known here. Cancelled where that could not be found out, and by the caller when it
    # does not wait any more.
    reached: Future[bool] = field(default_factory=Future)

    def answer(self, reached: bool) -> None:
        """Says whether it is reached."""
        if self.reached.set_running_or_notify_cancel():
            self.reached.set_result(reached)

    def give_up(self) -> None:
        """Says that it could not be found out."""
        self.reached.cancel()


class Positions:
    """Those that are to be asked for, and those that were reached."""

    __slots__ = ("_asked", "_reached")

    def __init__(self) -> None:
        self._asked: deque[Asked] = deque()
        self._reached: deque[str] = deque(maxlen=MAX_REACHED)

    def is_known(self, position: str) -> bool:
        """Whether it was reached before."""
        return position in tuple(self._reached)

    def remember(self, position: str) -> None:
        """Remembers that it was reached."""
        self._reached.append(position)

    def ask(self, position: str) -> Asked | None:
        """Asks for a position. None where it is none, or too many are asked for."""
        if len(position.encode()) > MAX_POSITION_BYTES or len(self._asked) >= MAX_WAITING:
            return None
        asked = Asked(position)
        self._asked.append(asked)
        return asked

    def take(self) -> Iterator[Asked]:
        """Takes those that somebody still waits for."""
        while self._asked:
            asked = self._asked.popleft()
            if not asked.reached.cancelled():
                yield asked

    def after_fork(self) -> None:
        """Forgets what threads of the parent wait for."""
        self._asked = deque()
