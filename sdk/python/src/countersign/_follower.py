"""What a server has sent, and what to say next. Without I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable

from google.protobuf.timestamp_pb2 import Timestamp

from ._claims import format_session_id, format_user_id
from ._clock import CLOCK_STEP, Clock
from ._key import PublicKey
from ._positions import MAX_WAITING, Asked
from ._rules import Engine
from ._token import Revocation
from .v1 import revocation_service_pb2 as pb

logger = logging.getLogger("countersign")

# Seconds of a time that is beyond every clock.
_FAR = 1 << 53


class StreamEndedError(Exception):
    """A stream must be left."""


class SilentError(StreamEndedError):
    """The server does not answer pings."""


class BeginAnewError(StreamEndedError):
    """A stream has come to an end from which the next one must not go on: it begins with a snapshot."""


class ResynchroniseError(BeginAnewError):
    """The subscriber fell behind; the snapshot must be reloaded."""


class ClockSetError(BeginAnewError):
    """The wall clock was set."""


class NonsenseError(BeginAnewError):
    """The server broke the protocol."""


class Conversation:
    """What is known of one stream."""

    __slots__ = ("has_begun", "incarnation", "latest_part", "monotonic", "nonce", "pings", "positions", "wall")

    def __init__(self, wall: int, monotonic: int) -> None:
        # When the stream began.
        self.wall = wall
        self.monotonic = monotonic
        # When the last part of a snapshot came.
        self.latest_part = monotonic
        self.has_begun = False
        self.incarnation = 0
        self.nonce = 0
        # The pings that were not answered yet, the earliest first: the nonce, and when it was sent.
        self.pings: list[tuple[int, int]] = []
        # The pings that ask for a position and were not answered yet, the earliest first.
        self.positions: list[tuple[int, Asked]] = []

    def ask_position(self, asked: Asked) -> tuple[pb.WatchPing, Callable[[], None]]:
        """Makes the question for a position, and what to call once it is sent.

        One too many takes the place of the oldest, as it does at the server.
        """
        self.nonce += 1
        nonce = self.nonce

        def sent() -> None:
            if len(self.positions) >= MAX_WAITING:
                self.positions.pop(0)[1].give_up()
            self.positions.append((nonce, asked))

        return pb.WatchPing(nonce=nonce, at_least=asked.position), sent

    def answer_position(self, heartbeat: pb.WatchHeartbeat) -> bool:
        """Passes on whether a position is reached. False for the heartbeat of any other ping.

        The server may answer a question that was given up here: it may have begun to look for it before it heard of the
        one too many, so that the oldest there is not the oldest here.
        """
        for index, (nonce, asked) in enumerate(self.positions):
            if nonce == heartbeat.nonce:
                del self.positions[index]
                asked.answer(heartbeat.reached)
                return True
        is_ping = any(nonce == heartbeat.nonce for nonce, _ in self.pings)
        return heartbeat.HasField("reached") and heartbeat.nonce <= self.nonce and not is_ping

    def answered(self, nonce: int) -> int | None:
        """When the ping was sent. The earlier ones need no answer any more."""
        for index, (asked, sent) in enumerate(self.pings):
            if asked == nonce:
                del self.pings[: index + 1]
                return sent
        return None

    def give_up(self) -> None:
        """Answers those who wait for a position on a stream that has ended."""
        while self.positions:
            self.positions.pop()[1].give_up()


class Follower:
    """Takes in what a server sends. Used by one thread."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        patience: float,
        revoked: Callable[[Revocation], None],
        proven: Callable[[], None],
    ) -> None:
        """``revoked`` is called for what was not refused before, ``proven`` when a heartbeat has proven something."""
        self._engine = engine
        self._clock = clock
        self._patience = int(patience * 1e9)
        self._revoked = revoked
        self._proven = proven
        # How far everything was taken in; None when a stream must begin with a snapshot.
        self._position: pb.WatchPosition | None = None

    def start(self) -> tuple[pb.WatchStart, Conversation]:
        """What a new stream begins with."""
        conversation = Conversation(self._clock.wall(), self._clock.monotonic())
        return pb.WatchStart(resume=self._position), conversation

    def end(self, why: BaseException) -> None:
        """Forgets the position where the next stream must begin with a snapshot."""
        if isinstance(why, BeginAnewError):
            self._position = None

    def ping(self, conversation: Conversation) -> tuple[pb.WatchPing, Callable[[], None]]:
        """Makes the question that asks the server to prove that the view is fresh, and what to call once it is sent.

        Raises SilentError when the server owes an answer for too long, and ClockSetError.
        """
        wall, monotonic = self._clock.wall(), self._clock.monotonic()
        # Before it has begun, the stream is measured by what an earlier one began with.
        if conversation.has_begun:
            self._look_at_the_clock(wall, monotonic)
        # For as long as a snapshot comes the server owes no answer: it stands behind it, and a large one takes longer.
        if conversation.pings and monotonic - max(conversation.pings[0][1], conversation.latest_part) > self._patience:
            raise SilentError("the server does not answer pings")
        conversation.nonce += 1
        nonce = conversation.nonce
        return pb.WatchPing(nonce=nonce), lambda: conversation.pings.append((nonce, monotonic))

    def _look_at_the_clock(self, wall: int, monotonic: int) -> None:
        """Ends the stream when the wall clock was set, because what is forgotten is forgotten by it.

        After a step nothing is known until everything was loaded again; after a slow correction what is known holds meanwhile.
        """
        drift = self._engine.freshness.drift(wall, monotonic)
        if drift <= CLOCK_STEP // 2:
            return
        if drift > CLOCK_STEP:
            self._engine.freshness.invalidate()
        raise ClockSetError(f"the wall clock was set: it differs by {drift} ms")

    def take_in(self, message: pb.WatchRevocationsResponse, conversation: Conversation) -> None:
        """Takes in what the server sends. After an error the stream must be left."""
        told = message.WhichOneof("message")
        if told == "begin":
            self._begin(message.begin, conversation)
        elif told == "key_set":
            self._trust(message.key_set)
        elif told == "revoked":
            self._revoke(message.revoked, conversation)
        elif told == "heartbeat":
            self._prove(message.heartbeat, conversation)
        elif told == "resynchronise":
            raise ResynchroniseError("the subscriber fell behind; the snapshot must be reloaded")
        # Else a newer server says something that this release does not know.

    def _begin(self, begin: pb.WatchBegin, conversation: Conversation) -> None:
        if not begin.resumed:
            self._position = None
            self._engine.freshness.anchor(conversation.wall, conversation.monotonic)
        conversation.has_begun = True
        conversation.incarnation = begin.incarnation

    def _trust(self, told: pb.WatchKeySet) -> None:
        """A key that this release cannot read is left out: its tokens are signed by a key that is not trusted."""
        keys: dict[str, PublicKey] = {}
        for each in told.keys:
            try:
                key = PublicKey(each.id, each.algorithm, each.spki)
            except ValueError as error:
                logger.warning("a key of the server cannot be used: %.64r: %s", each.id, error)
                continue
            if key.id in keys:
                raise NonsenseError(f"two keys are called {key.id}")
            keys[key.id] = key
        before = self._engine.keys
        following = before.replaced_by(keys.values())
        self._engine.keys = following
        withdrawn = following.withdrawals != before.withdrawals
        logger.info("the server's keys: %d%s", len(keys), ", and a key was withdrawn" if withdrawn else "")

    def _revoke(self, told: pb.WatchRevoked, conversation: Conversation) -> None:
        """Only ever adds: what was learned from another server stays true, and is forgotten in its time."""
        if self._position is None:
            conversation.latest_part = self._clock.monotonic()
        revocations = self._engine.revocations
        for session in told.sessions:
            if len(session.session_id) != 16 or not session.HasField("forget_at"):
                raise NonsenseError("a session without a name or an end")
            if revocations.revoke_session(session.session_id, _milliseconds(session.forget_at)):
                self._revoked(Revocation(session_id=format_session_id(session.session_id)))
        for user in told.users:
            if len(user.subject) != 16 or not user.HasField("forget_at"):
                raise NonsenseError("a user without a name or an end")
            if revocations.raise_epoch(user.subject, user.epoch, _milliseconds(user.forget_at)):
                self._revoked(Revocation(subject=format_user_id(user.subject), epoch=user.epoch))
        if told.HasField("sequence") and conversation.has_begun:
            self._position = pb.WatchPosition(incarnation=conversation.incarnation, sequence=told.sequence)

    def _prove(self, heartbeat: pb.WatchHeartbeat, conversation: Conversation) -> None:
        """Takes a heartbeat.

        It proves that everything is known that the server knew when the ping came: as of when the ping was sent, less what
        the server's own knowledge lagged behind.
        """
        if self._position is None or self._position.sequence < heartbeat.sequence:
            raise NonsenseError("a heartbeat for more than it had sent")
        if conversation.answer_position(heartbeat):
            return
        sent = conversation.answered(heartbeat.nonce)
        if sent is None:
            raise NonsenseError("an answer to no ping")
        if not heartbeat.HasField("staleness"):
            return
        age = heartbeat.staleness.seconds * 1_000_000_000 + heartbeat.staleness.nanos
        if age < 0:
            return
        self._engine.freshness.record_answer(sent, age)
        self._proven()


def _milliseconds(at: Timestamp) -> int:
    """Milliseconds since 1970, rounded up: to forget later than was said does no harm."""
    seconds: int = max(min(at.seconds, _FAR), -_FAR)
    return seconds * 1000 + -(-at.nanos // 1_000_000)
