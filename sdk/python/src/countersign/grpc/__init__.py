"""Lets only calls with a good access token through to a gRPC server.

`Interceptor` is for ``grpc.server``, `AioInterceptor` for ``grpc.aio.server``.
"""

from ._aio import AioInterceptor
from ._sync import Interceptor

__all__ = ["AioInterceptor", "Interceptor"]
