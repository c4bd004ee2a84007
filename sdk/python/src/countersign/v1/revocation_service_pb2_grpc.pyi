"""Types of the services in countersign/v1/revocation_service.proto."""

# Made by scripts/generate_stubs.py.
from collections.abc import AsyncIterator, Iterator
from typing import Any, Union

import grpc
import grpc.aio

from countersign.v1 import revocation_service_pb2

class RevocationServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    WatchRevocations: grpc.StreamStreamMultiCallable[revocation_service_pb2.WatchRevocationsRequest, revocation_service_pb2.WatchRevocationsResponse]

class RevocationServiceAsyncStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    WatchRevocations: grpc.aio.StreamStreamMultiCallable[revocation_service_pb2.WatchRevocationsRequest, revocation_service_pb2.WatchRevocationsResponse]

class RevocationServiceServicer:
    def WatchRevocations(self, request_iterator: Union[Iterator[revocation_service_pb2.WatchRevocationsRequest], AsyncIterator[revocation_service_pb2.WatchRevocationsRequest]], context: Any) -> Any: ...

def add_RevocationServiceServicer_to_server(
    servicer: RevocationServiceServicer, server: Union[grpc.Server, grpc.aio.Server]
) -> None: ...
