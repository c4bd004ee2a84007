"""Tokens that were found authentic lately."""

from __future__ import annotations

import threading

from ._claims import Claims


class TokenCache:
    """Remembers tokens under the whole token, signature included, so that another spelling of a token is another token.

    It has two halves. Tokens come into the young one; when that is full it becomes the old one, and what was in the old one
    and was not asked for since is forgotten. So it is bounded, a look-up takes no lock, and those that are in use stay.

    A str is found by its hash, which has a random key, and is compared only where all 64 bits of the hash are equal. So how
    long a look-up takes says nothing about the tokens that are remembered, and only tokens with a good signature come in.
    """

    __slots__ = ("_half", "_old", "_writing", "_young")

    def __init__(self, tokens: int) -> None:
        self._half = tokens // 2
        self._young: dict[str, Claims] = {}
        self._old: dict[str, Claims] = {}
        self._writing = threading.Lock()

    def get(self, token: str, withdrawals: int) -> Claims | None:
        """What is known of a token, unless a key was withdrawn since it was verified."""
        claims = self._young.get(token)
        if claims is None:
            claims = self._old.get(token)
            if claims is None:
                return None
            self.put(token, claims)
        return claims if claims.withdrawals == withdrawals else None

    def put(self, token: str, claims: Claims) -> None:
        """Remembers a token."""
        if self._half <= 0:
            return
        with self._writing:
            if len(self._young) >= self._half and token not in self._young:
                self._old = self._young
                self._young = {}
            self._young[token] = claims

    def __len__(self) -> int:
        """How many tokens there are, the dead ones too. One in both halves counts twice."""
        return len(self._young) + len(self._old)

    def after_fork(self) -> None:
        """A thread that held the lock is not there any more."""
        self._writing = threading.Lock()
