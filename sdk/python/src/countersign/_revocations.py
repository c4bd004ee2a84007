"""What is revoked."""

from __future__ import annotations

import threading

# Ids, and what is known of each, lie in so many short byte strings. 2^16 of them hold 15 each when a million are revoked.
_BUCKETS = 1 << 16
_ID = 16
_NEVER = (1 << 63) - 1


class _Records:
    """Fixed-size records by their first 16 bytes, in some 30 bytes each. A dict of the same takes five times as much.

    A bucket is a byte string that is replaced as a whole, so a reader takes no lock and sees all of a change or nothing.
    The buckets are chosen by the hash of bytes, which has a random key: ids cannot be chosen for one bucket.
    """

    __slots__ = ("_buckets", "_earliest", "_size", "count")

    def __init__(self, size: int) -> None:
        self._size = size
        self._buckets: list[bytes] = [b""] * _BUCKETS
        # The earliest time in each bucket, so that a purge need not look into most of them.
        self._earliest: list[int] = [_NEVER] * _BUCKETS
        self.count = 0

    def find(self, id: bytes) -> bytes | None:
        bucket = self._buckets[hash(id) & (_BUCKETS - 1)]
        if not bucket:
            return None
        at = bucket.find(id)
        while at >= 0:
            # The same bytes may also lie across two records.
            if at % self._size == 0:
                return bucket[at : at + self._size]
            at = bucket.find(id, at + 1)
        return None

    def put(self, known: bytes | None, record: bytes, forget_at: int) -> None:
        """Adds a record, in the place of the known one."""
        index = hash(record[:_ID]) & (_BUCKETS - 1)
        bucket = self._buckets[index]
        if known is None:
            self.count += 1
            self._buckets[index] = bucket + record
        else:
            size = self._size
            at = next(at for at in range(0, len(bucket), size) if bucket.startswith(known, at))
            self._buckets[index] = bucket[:at] + record + bucket[at + size :]
        self._earliest[index] = min(self._earliest[index], forget_at)

    def purge(self, now: int) -> None:
        size = self._size
        for index, earliest in enumerate(self._earliest):
            if earliest > now:
                continue
            kept, earliest = [], _NEVER
            bucket = self._buckets[index]
            for at in range(0, len(bucket), size):
                record = bucket[at : at + size]
                forget_at = _time(record)
                if forget_at > now:
                    kept.append(record)
                    earliest = min(earliest, forget_at)
            self._buckets[index] = b"".join(kept)
            self._earliest[index] = earliest
            self.count -= len(bucket) // size - len(kept)


class Revocations:
    """What is revoked. It is only added to, and forgets what cannot matter any more. Times are milliseconds since 1970."""

    __slots__ = ("_sessions", "_users", "_writing")

    def __init__(self) -> None:
        # A session: its id, and until when it is remembered. A user: the same, and the smallest epoch that is accepted.
        self._sessions = _Records(_ID + 8)
        self._users = _Records(_ID + 16)
        self._writing = threading.Lock()

    def is_revoked(self, user: bytes, session: bytes, epoch: int) -> bool:
        """Whether the session is revoked, or the user's epoch was raised above this one."""
        if self._sessions.find(session) is not None:
            return True
        raised = self._users.find(user)
        return raised is not None and epoch < _epoch(raised)

    def revoke_session(self, session: bytes, forget_at: int) -> bool:
        """Refuses a session, and remembers it at least until ``forget_at``. Says whether it was not refused before."""
        with self._writing:
            known = self._sessions.find(session)
            if known is None or _time(known) < forget_at:
                self._sessions.put(known, session + _signed(forget_at), forget_at)
            return known is None

    def raise_epoch(self, user: bytes, epoch: int, forget_at: int) -> bool:
        """Refuses smaller epochs of a user, and remembers that at least until ``forget_at``.

        Says whether a token is refused now that was not before.
        """
        with self._writing:
            known = self._users.find(user)
            before = 0 if known is None else _epoch(known)
            if known is not None:
                forget_at = max(forget_at, _time(known))
            raised = max(epoch, before).to_bytes(8, "big")
            self._users.put(known, user + _signed(forget_at) + raised, forget_at)
            return epoch > before

    def purge(self, now: int) -> None:
        """Forgets what need not be remembered at ``now``."""
        with self._writing:
            self._sessions.purge(now)
            self._users.purge(now)

    def __len__(self) -> int:
        """How many sessions and users are remembered."""
        return self._sessions.count + self._users.count

    def after_fork(self) -> None:
        """A thread that held the lock is not there any more."""
        self._writing = threading.Lock()


def _signed(milliseconds: int) -> bytes:
    return max(min(milliseconds, _NEVER), -_NEVER).to_bytes(8, "big", signed=True)


def _time(record: bytes) -> int:
    return int.from_bytes(record[_ID : _ID + 8], "big", signed=True)


def _epoch(record: bytes) -> int:
    return int.from_bytes(record[_ID + 8 :], "big")
