"""Pauses between attempts."""

from __future__ import annotations

import random

# The longest that the first pause can be, in seconds.
FIRST = 0.1


class Pauses:
    """They double, and each is drawn at random from the upper half of what it may be."""

    __slots__ = ("_longest", "_next")

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self.reset()

    def reset(self) -> None:
        """Begins anew, when things go well."""
        self._next = min(FIRST, self._longest)

    def draw(self) -> float:
        """The next pause, in seconds."""
        upper = self._next
        self._next = min(upper * 2, self._longest)
        return random.uniform(upper / 2, upper)
