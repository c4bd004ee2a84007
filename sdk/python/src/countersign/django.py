"""Lets only requests with a good access token through to a project of Django."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._context import token_in_context
from ._errors import TokenError
from ._refusal import refusal_of
from .wsgi import SyncVerifier, authenticate

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


class Middleware:
    """For ``MIDDLEWARE``: lets requests with a good token in ``Authorization: Bearer`` through.

    The token is in ``request.token`` and `countersign.current_token`. Others are answered 401, or 503 where nothing can be
    known about their token. Settings:

    - ``COUNTERSIGN_VERIFIER``: a `countersign.Verifier`, or the dotted path of one. It may be made in the settings: it begins
      to follow the server with the first request of each process.
    - ``COUNTERSIGN_OPEN``: paths that everybody may use, each with all below it where it ends with a slash.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Reads the settings."""
        from django.conf import settings
        from django.utils.module_loading import import_string

        verifier: Any = settings.COUNTERSIGN_VERIFIER
        self._verifier: SyncVerifier = import_string(verifier) if isinstance(verifier, str) else verifier
        self._open = tuple(getattr(settings, "COUNTERSIGN_OPEN", ()))
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answers a request."""
        from django.http import HttpResponse

        if self._is_open(request.path_info):
            return self._get_response(request)
        try:
            token = authenticate(self._verifier, request.META.get("HTTP_AUTHORIZATION"), None)
        except TokenError as error:
            refusal = refusal_of(error)
            return HttpResponse(refusal.body, status=refusal.status, headers=dict(refusal.headers))
        request.token = token
        with token_in_context(token):
            return self._get_response(request)

    def _is_open(self, path: str) -> bool:
        return any(path == open or (open.endswith("/") and path.startswith(open)) for open in self._open)
