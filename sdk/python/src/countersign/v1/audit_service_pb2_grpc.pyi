"""Types of the services in countersign/v1/audit_service.proto."""

# Made by scripts/generate_stubs.py.
from collections.abc import AsyncIterator, Iterator
from typing import Any, Union

import grpc
import grpc.aio

from countersign.v1 import audit_service_pb2

class AuditServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    ListEvents: grpc.UnaryUnaryMultiCallable[audit_service_pb2.ListEventsRequest, audit_service_pb2.ListEventsResponse]
    WatchEvents: grpc.UnaryStreamMultiCallable[audit_service_pb2.WatchEventsRequest, audit_service_pb2.WatchEventsResponse]

class AuditServiceAsyncStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    ListEvents: grpc.aio.UnaryUnaryMultiCallable[audit_service_pb2.ListEventsRequest, audit_service_pb2.ListEventsResponse]
    WatchEvents: grpc.aio.UnaryStreamMultiCallable[audit_service_pb2.WatchEventsRequest, audit_service_pb2.WatchEventsResponse]

class AuditServiceServicer:
    def ListEvents(self, request: audit_service_pb2.ListEventsRequest, context: Any) -> Any: ...
    def WatchEvents(self, request: audit_service_pb2.WatchEventsRequest, context: Any) -> Any: ...

def add_AuditServiceServicer_to_server(
    servicer: AuditServiceServicer, server: Union[grpc.Server, grpc.aio.Server]
) -> None: ...
