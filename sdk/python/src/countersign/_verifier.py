"""Verification for services of threads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from types import TracebackType

from ._clock import Clock, SystemClock
from ._endpoint import TLS
from ._errors import InvalidTokenError
from ._following import Following
from ._options import Credential, OnStale, Options
from ._token import Revocation, Token
from ._watch import Watch


class Verifier:
    """Verifies access tokens in this process, with the keys and revocations of a server that it follows until it is closed.

    It knows how old its knowledge is, and past ``max_staleness`` acts by policy. Any thread may call it. It follows the server
    from `start`, or the first call of any other method, on. A process that is forked from this one begins to follow with its
    own first call, so a verifier may be made before a server forks its workers.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        issuer: str,
        audiences: Sequence[str],
        tls: TLS | None = None,
        credential: Credential | None = None,
        max_staleness: float = 10.0,
        on_stale: OnStale = OnStale.FAIL_CLOSED,
        on_revoked: Callable[[Revocation], None] | None = None,
        ping_interval: float = 1.0,
        patience: float = 5.0,
        max_backoff: float = 5.0,
        ask_timeout: float = 1.0,
        leeway: float = 5.0,
        cached_tokens: int = 65_536,
        clock: Clock | None = None,
    ) -> None:
        """Durations are in seconds. Raises ValueError and OSError that say what is wrong with the arguments.

        Args:
            endpoint: The server's gRPC address: ``https://host:port``, or ``http://host:port`` without TLS.
            issuer: The one issuer that is accepted, exactly: the server's ``tokens.issuer``.
            audiences: The names that this service goes by. A token must be meant for one of them, unless a call names others.
            tls: Which certificates to use with https. The default trusts the system's authorities.
            credential: The key of a service account (``csgn_sk_…``), or what returns one, for a server that tells of
                revocations only to those who have a role.
            max_staleness: The oldest view of revocations that is answered from. It should be several times ``ping_interval``
                and the server's ``revocation.poll_interval`` together, so that a busy moment is not taken for an outage.
            on_stale: What happens beyond ``max_staleness``.
            on_revoked: Called for each revocation that was not known before, by the thread that follows the server. It must
                return soon; see also `watch`.
            ping_interval: How often the server is asked to prove that the view is fresh.
            patience: How long a ping may go unanswered before the connection is given up, and how long connecting may take.
            max_backoff: The longest pause before connecting again. Each pause is drawn at random.
            ask_timeout: How long the server may take to answer where ``on_stale`` is ASK_SERVER, how long `verify_at_least`
                waits for a position, and how long the first calls wait until everything is loaded.
            leeway: How far another machine's clock may be ahead, for ``iat`` and ``nbf``. ``exp`` has never any.
            cached_tokens: How many verified tokens are remembered.
            clock: Where the time comes from.
        """
        options = Options(
            endpoint=endpoint, issuer=issuer, audiences=audiences, tls=tls, credential=credential,
            max_staleness=max_staleness, on_stale=on_stale, ping_interval=ping_interval, patience=patience,
            max_backoff=max_backoff, ask_timeout=ask_timeout, leeway=leeway, cached_tokens=cached_tokens,
            clock=clock or SystemClock(),
        )  # fmt: skip
        self._following = Following(options, on_revoked)

    def start(self) -> None:
        """Begins to follow the server and returns at once: the server need not be there yet.

        Until everything is loaded no token is accepted; `ready` waits for that.
        """
        self._following.start()

    def ready(self, timeout: float | None = None) -> bool:
        """Waits until keys and revocations were loaded in this process, for a service that is not to start before.

        Returns False where that takes longer than ``timeout`` seconds.
        """
        return self._following.wait_until_ready(timeout)

    def staleness(self) -> float | None:
        """How old the view of revocations is at most, in seconds; None when there is none, or the wall clock was set.

        It is for readiness and metrics.
        """
        self._following.start()
        staleness = self._following.staleness()
        return None if staleness is None else staleness / 1e9

    def verify(self, token: str, audiences: Collection[str] | None = None) -> Token:
        """Decides whether an access token may be used with this service, or with one that goes by one of ``audiences``.

        It does no I/O, unless the view is too old and ``on_stale`` is ASK_SERVER.

        Raises:
            InvalidTokenError: The token must be refused, and why.
            UnknownTokenError: It cannot be known now. Ask the caller to try again; never log a user out for it.
        """
        following = self._following
        answer = following.verify(token, audiences)
        if isinstance(answer, Token):
            return answer
        if answer is None and (wait := following.first_wait()) > 0:
            self.ready(wait)
            answer = following.verify(token, audiences)
            if isinstance(answer, Token):
                return answer
        if answer is not None:
            raise InvalidTokenError(answer)
        if following.options.on_stale is OnStale.ASK_SERVER:
            return following.ask(token, "", audiences)
        raise following.unknown()

    def verify_at_least(self, position: str, token: str, audiences: Collection[str] | None = None) -> Token:
        """Does as `verify`, once everything is known here up to a position.

        A position is the text that the answer to a logout, to a change of a password or to the end of sessions carries. So
        whoever made the change, or was handed its position, can be sure on the first call. It takes a round trip to the server
        on the stream that is open already, and nothing the next time with the same position; an empty one asks for nothing.

        It waits for ``ask_timeout`` at most. Where the position is not reached by then, or is none of the server's ledger,
        UnknownTokenError is raised, also with SERVE; with ASK_SERVER the server is asked for the token then.
        """
        following = self._following
        if not position or self._reach(position):
            return self.verify(token, audiences)
        if following.options.on_stale is OnStale.ASK_SERVER:
            return following.ask(token, position, audiences)
        raise following.unknown()

    def _reach(self, position: str) -> bool:
        following = self._following
        following.start()
        if following.positions.is_known(position):
            return True
        asked = following.positions.ask(position)
        if asked is None:
            return False
        following.wake()
        try:
            reached = asked.reached.result(following.options.ask_timeout)
        except (TimeoutError, FutureTimeoutError, CancelledError):
            asked.give_up()
            return False
        if reached:
            following.positions.remember(position)
        return reached

    def watch(self, token: Token, call: Callable[[], None] | None = None) -> Watch:
        """Says when a token is revoked, for what stays open longer than a request: streams, WebSockets, server-sent events.

        ``call`` is called by the thread that follows the server, once, and must return soon. That the token expires is not
        told. The watch is a context manager.
        """
        return self._following.watch(token, call)

    def close(self) -> None:
        """Stops following the server. From then on the view grows older, as if the server could not be heard."""
        self._following.close()

    def __enter__(self) -> Verifier:
        """Begins to follow the server."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Stops following it."""
        self.close()
