"""Lets only requests with a good access token through to an ASGI application (Starlette, FastAPI, Quart, …)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, Protocol

from ._context import bearer_token, current_token, token_in_context
from ._errors import MissingTokenError, TokenError
from ._refusal import Refusal, refusal_of, role_required
from ._token import Token
from .aio._verifier import Watch

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# "Policy violation" (RFC 6455 section 7.4.1).
_POLICY_VIOLATION = 1008


class AsyncVerifier(Protocol):
    """What decides: a `countersign.aio.Verifier`, or in tests something else."""

    async def verify(self, token: str, audiences: Collection[str] | None = None) -> Token:
        """Returns who is calling, or raises a TokenError."""
        ...

    def watch(self, token: Token) -> Watch:
        """Says when the token is revoked."""
        ...


class Middleware:
    """Lets HTTP requests and WebSockets with a good token in ``Authorization: Bearer`` through.

    The token is in ``scope["state"]["token"]`` (``request.state.token`` of Starlette) and `countersign.current_token`. Others
    are answered 401, or 503 where nothing can be known about their token. A WebSocket whose session is revoked is closed.
    """

    def __init__(
        self,
        app: App,
        verifier: AsyncVerifier,
        *,
        audiences: Collection[str] | None = None,
        open: Callable[[Scope], bool] = lambda scope: False,
    ) -> None:
        """Expects ``audiences`` instead of the verifier's own, and lets everybody through where ``open`` is true."""
        self._app = app
        self._verifier = verifier
        self._audiences = audiences
        self._open = open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] not in ("http", "websocket") or self._open(scope):
            await self._app(scope, receive, send)
            return
        try:
            token = await self._authenticate(scope)
        except TokenError as error:
            await _refuse(refusal_of(error), scope, send)
            return
        scope["state"] = {**scope.get("state", {}), "token": token}
        with token_in_context(token):
            if scope["type"] == "websocket":
                await self._until_revoked(token, scope, receive, send)
            else:
                await self._app(scope, receive, send)

    async def _authenticate(self, scope: Scope) -> Token:
        values = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"authorization"]
        token = bearer_token(values)
        if token is None:
            raise MissingTokenError
        return await self._verifier.verify(token, self._audiences)

    async def _until_revoked(self, token: Token, scope: Scope, receive: Receive, send: Send) -> None:
        """Closes a WebSocket when its session is revoked: the application hears that it is disconnected, and nothing more."""
        async with self._verifier.watch(token) as watch:
            socket = _GuardedSocket(receive, send)
            closing = asyncio.ensure_future(socket.close_when_revoked(watch))
            try:
                await self._app(scope, socket.receive, socket.send)
            finally:
                closing.cancel()
                socket.forget()


class _GuardedSocket:
    """A WebSocket that hands on nothing more once it is closed here."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        # One message at a time, so that nothing is sent behind the close.
        self._sending = asyncio.Lock()
        self._closed = asyncio.Event()
        self._incoming: asyncio.Future[Message] | None = None

    async def close_when_revoked(self, watch: Watch) -> None:
        await watch.wait()
        async with self._sending:
            self._closed.set()
            try:
                await self._send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": "SESSION_REVOKED"})
            except (OSError, RuntimeError):
                pass  # It is closed already.

    async def receive(self) -> Message:
        if self._incoming is None:
            self._incoming = asyncio.ensure_future(self._receive())
        closed = asyncio.ensure_future(self._closed.wait())
        either: list[asyncio.Future[Any]] = [self._incoming, closed]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
        if self._closed.is_set():
            return {"type": "websocket.disconnect", "code": _POLICY_VIOLATION, "reason": "SESSION_REVOKED"}
        received, self._incoming = self._incoming, None
        return received.result()

    async def send(self, message: Message) -> None:
        async with self._sending:
            if not self._closed.is_set():
                await self._send(message)

    def forget(self) -> None:
        if self._incoming is not None:
            self._incoming.cancel()


class RequireRole:
    """Lets only callers with a role through to an application behind `Middleware`. Others are answered 403."""

    def __init__(self, app: App, role: str) -> None:
        """Puts itself before ``app``."""
        self._app = app
        self._role = role

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        token = current_token()
        if scope["type"] not in ("http", "websocket") or (token is not None and token.has_role(self._role)):
            await self._app(scope, receive, send)
        elif token is None:
            await _refuse(refusal_of(MissingTokenError()), scope, send)
        else:
            await _refuse(role_required(), scope, send)


async def _refuse(refusal: Refusal, scope: Scope, send: Send) -> None:
    kind = scope["type"]
    if kind == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            # The server answers 403.
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        kind = "websocket.http"
    headers = [(name.lower().encode(), value.encode()) for name, value in refusal.headers]
    await send({"type": f"{kind}.response.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": refusal.body})
