"""The interceptor of ``grpc.aio.server``."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Collection
from typing import Any, NoReturn

import grpc
import grpc.aio

from .._context import token_in_context
from .._errors import InvalidTokenError, TokenError
from .._token import InvalidReason, Token
from ..asgi import AsyncVerifier
from ._refusal import Open, behaviour_of, presented, refusal_of, replaced


class AioInterceptor(grpc.aio.ServerInterceptor):
    """Does what `Interceptor` does, for asyncio.

    A stream whose session is revoked is cancelled at once, wherever it waits, and its caller is answered UNAUTHENTICATED
    SESSION_REVOKED. Handlers must be asynchronous.
    """

    def __init__(
        self,
        verifier: AsyncVerifier,
        *,
        audiences: Collection[str] | None = None,
        open: Open = lambda method: False,
    ) -> None:
        """Expects ``audiences`` instead of the verifier's own.

        ``open`` says which methods (``/package.Service/Method``) everybody may call: health checks, for example.
        """
        self._verifier = verifier
        self._audiences = audiences
        self._open = open

    async def intercept_service(self, continuation: Any, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Puts itself before a handler."""
        handler = await continuation(handler_call_details)
        if handler is None or self._open(handler_call_details.method):
            return handler
        inner = behaviour_of(handler)
        if not (inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner)):
            raise TypeError(f"the handler of {handler_call_details.method} is not asynchronous")
        if not handler.request_streaming and not handler.response_streaming:

            async def unary(request: Any, context: Any) -> Any:
                with token_in_context(await self._authenticate(context)):
                    return await inner(request, context)

            return replaced(handler, unary)

        async def streaming(request: Any, context: Any) -> Any:
            return await self._guarded(inner, request, context)

        return replaced(handler, streaming)

    async def _authenticate(self, context: Any) -> Token:
        try:
            return await self._verifier.verify(presented(context.invocation_metadata()), self._audiences)
        except TokenError as error:
            await _abort(context, error)

    async def _guarded(self, inner: Callable[..., Any], request: Any, context: Any) -> Any:
        token = await self._authenticate(context)
        async with self._verifier.watch(token) as watch:
            with token_in_context(token):
                # A task takes the context along.
                handling = asyncio.ensure_future(_handle(inner, request, context))
            revoked = asyncio.ensure_future(watch.wait())
            try:
                await asyncio.wait([handling, revoked], return_when=asyncio.FIRST_COMPLETED)
            finally:
                revoked.cancel()
                if not handling.done():
                    handling.cancel()
                    # Its own end is no answer any more.
                    await asyncio.wait([handling])
            if watch.revoked:
                await _abort(context, InvalidTokenError(InvalidReason.REVOKED))
            return handling.result()


async def _handle(inner: Callable[..., Any], request: Any, context: Any) -> Any:
    if inspect.isasyncgenfunction(inner):
        async for response in inner(request, context):
            await context.write(response)
        return None
    return await inner(request, context)


async def _abort(context: Any, error: TokenError) -> NoReturn:
    refusal = refusal_of(error)
    await context.abort(refusal.code, refusal.details, refusal.trailing_metadata)
    raise AssertionError("abort raises")
