"""Types of the services in countersign/v1/session_service.proto."""

# Made by scripts/generate_stubs.py.
from collections.abc import AsyncIterator, Iterator
from typing import Any, Union

import grpc
import grpc.aio

from countersign.v1 import session_service_pb2

class SessionServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    ListSessions: grpc.UnaryUnaryMultiCallable[session_service_pb2.ListSessionsRequest, session_service_pb2.ListSessionsResponse]
    RevokeSessions: grpc.UnaryUnaryMultiCallable[session_service_pb2.RevokeSessionsRequest, session_service_pb2.RevokeSessionsResponse]
    ExplainSession: grpc.UnaryUnaryMultiCallable[session_service_pb2.ExplainSessionRequest, session_service_pb2.ExplainSessionResponse]

class SessionServiceAsyncStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    ListSessions: grpc.aio.UnaryUnaryMultiCallable[session_service_pb2.ListSessionsRequest, session_service_pb2.ListSessionsResponse]
    RevokeSessions: grpc.aio.UnaryUnaryMultiCallable[session_service_pb2.RevokeSessionsRequest, session_service_pb2.RevokeSessionsResponse]
    ExplainSession: grpc.aio.UnaryUnaryMultiCallable[session_service_pb2.ExplainSessionRequest, session_service_pb2.ExplainSessionResponse]

class SessionServiceServicer:
    def ListSessions(self, request: session_service_pb2.ListSessionsRequest, context: Any) -> Any: ...
    def RevokeSessions(self, request: session_service_pb2.RevokeSessionsRequest, context: Any) -> Any: ...
    def ExplainSession(self, request: session_service_pb2.ExplainSessionRequest, context: Any) -> Any: ...

def add_SessionServiceServicer_to_server(
    servicer: SessionServiceServicer, server: Union[grpc.Server, grpc.aio.Server]
) -> None: ...
