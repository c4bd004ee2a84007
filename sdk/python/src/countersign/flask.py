"""Lets only requests with a good access token through to a view of Flask."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ._context import token_in_context
from ._errors import TokenError
from ._refusal import Refusal, refusal_of, role_required
from .wsgi import SyncVerifier, authenticate

if TYPE_CHECKING:
    from flask import Response

_View = TypeVar("_View", bound=Callable[..., Any])


def require_token(
    verifier: SyncVerifier, *, role: str | None = None, audiences: Collection[str] | None = None
) -> Callable[[_View], _View]:
    """Decorates a view: only requests with a good token in ``Authorization: Bearer`` come through, and with ``role``.

    The token is in ``flask.g.token`` and `countersign.current_token`. Others are answered 401, 403 without the role, or 503
    where nothing can be known about their token. For all views of an application put `countersign.wsgi.Middleware` before
    ``app.wsgi_app``.
    """

    def decorate(view: _View) -> _View:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            import flask

            try:
                token = authenticate(verifier, flask.request.headers.get("Authorization"), audiences)
            except TokenError as error:
                return _response(refusal_of(error))
            if role is not None and not token.has_role(role):
                return _response(role_required())
            flask.g.token = token
            with token_in_context(token):
                return flask.current_app.ensure_sync(view)(*args, **kwargs)

        return cast("_View", guarded)

    return decorate


def _response(refusal: Refusal) -> Response:
    import flask

    return flask.Response(refusal.body, refusal.status, list(refusal.headers))
