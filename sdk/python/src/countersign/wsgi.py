"""Lets only requests with a good access token through to a WSGI application (Flask, Django, Pyramid, …)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Protocol

from ._context import bearer_token, token_in_context
from ._errors import MissingTokenError, TokenError
from ._refusal import Refusal, refusal_of, role_required
from ._token import Token

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

TOKEN = "countersign.token"
"""Where the token is in the environ."""


class SyncVerifier(Protocol):
    """What decides: a `countersign.Verifier`, or in tests something else."""

    def verify(self, token: str, audiences: Collection[str] | None = None) -> Token:
        """Returns who is calling, or raises a TokenError."""
        ...


def authenticate(verifier: SyncVerifier, authorization: str | None, audiences: Collection[str] | None) -> Token:
    """Verifies the token of an Authorization header. Raises a TokenError."""
    token = bearer_token([] if authorization is None else [authorization])
    if token is None:
        raise MissingTokenError
    return verifier.verify(token, audiences)


class Middleware:
    """Lets requests with a good token in ``Authorization: Bearer`` through.

    The token is in ``environ["countersign.token"]``, and in `countersign.current_token` until the application has returned.
    Others are answered 401, or 503 where nothing can be known about their token.
    """

    def __init__(
        self,
        app: App,
        verifier: SyncVerifier,
        *,
        audiences: Collection[str] | None = None,
        open: Callable[[Environ], bool] = lambda environ: False,
    ) -> None:
        """Expects ``audiences`` instead of the verifier's own, and lets everybody through where ``open`` is true."""
        self._app = app
        self._verifier = verifier
        self._audiences = audiences
        self._open = open

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answers a request."""
        # What a client sends cannot have this name, but an application before this one might.
        environ.pop(TOKEN, None)
        if self._open(environ):
            return self._app(environ, start_response)
        try:
            token = authenticate(self._verifier, environ.get("HTTP_AUTHORIZATION"), self._audiences)
        except TokenError as error:
            return _refuse(refusal_of(error), start_response)
        environ[TOKEN] = token
        with token_in_context(token):
            return self._app(environ, start_response)


class RequireRole:
    """Lets only callers with a role through to an application behind `Middleware`. Others are answered 403."""

    def __init__(self, app: App, role: str) -> None:
        """Puts itself before ``app``."""
        self._app = app
        self._role = role

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answers a request."""
        token: Token | None = environ.get(TOKEN)
        if token is None:
            return _refuse(refusal_of(MissingTokenError()), start_response)
        if not token.has_role(self._role):
            return _refuse(role_required(), start_response)
        return self._app(environ, start_response)


def _refuse(refusal: Refusal, start_response: StartResponse) -> Iterable[bytes]:
    start_response(refusal.status_line, list(refusal.headers))
    return [refusal.body]
