"""Types of the services in countersign/test/v1/test_service.proto."""

# Made by scripts/generate_stubs.py.
from collections.abc import AsyncIterator, Iterator
from typing import Any, Union

import grpc
import grpc.aio

from countersign.test.v1 import test_service_pb2

class TestServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    MintToken: grpc.UnaryUnaryMultiCallable[test_service_pb2.MintTokenRequest, test_service_pb2.MintTokenResponse]
    AdvanceClock: grpc.UnaryUnaryMultiCallable[test_service_pb2.AdvanceClockRequest, test_service_pb2.AdvanceClockResponse]
    GetWorld: grpc.UnaryUnaryMultiCallable[test_service_pb2.GetWorldRequest, test_service_pb2.GetWorldResponse]
    FailMethod: grpc.UnaryUnaryMultiCallable[test_service_pb2.FailMethodRequest, test_service_pb2.FailMethodResponse]
    ClearFailures: grpc.UnaryUnaryMultiCallable[test_service_pb2.ClearFailuresRequest, test_service_pb2.ClearFailuresResponse]
    StallStreams: grpc.UnaryUnaryMultiCallable[test_service_pb2.StallStreamsRequest, test_service_pb2.StallStreamsResponse]
    ResumeStreams: grpc.UnaryUnaryMultiCallable[test_service_pb2.ResumeStreamsRequest, test_service_pb2.ResumeStreamsResponse]
    EndStreams: grpc.UnaryUnaryMultiCallable[test_service_pb2.EndStreamsRequest, test_service_pb2.EndStreamsResponse]
    ResetWorld: grpc.UnaryUnaryMultiCallable[test_service_pb2.ResetWorldRequest, test_service_pb2.ResetWorldResponse]
    CreateWorld: grpc.UnaryUnaryMultiCallable[test_service_pb2.CreateWorldRequest, test_service_pb2.CreateWorldResponse]
    DeleteWorld: grpc.UnaryUnaryMultiCallable[test_service_pb2.DeleteWorldRequest, test_service_pb2.DeleteWorldResponse]

class TestServiceAsyncStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    MintToken: grpc.aio.UnaryUnaryMultiCallable[test_service_pb2.MintTokenRequest, test_service_pb2.MintTokenResponse]
    AdvanceClock: grpc.aio.UnaryUnaryMultiCallable[test_service_pb2.AdvanceClockRequest, test_service_pb2.AdvanceClockResponse]
    GetWorld: grpc.aio.UnaryUnaryMultiCallable[test_service_pb2.GetWorldRequest, test_service_pb2.GetWorldResponse]
    FailMethod: grpc.aio.UnaryUnaryMultiCallable[test_service_pb2.FailMethodRequest, test_service_pb2.FailMethodResponse]
    ClearFailures: grpc.aio.UnaryUnaryMultiCallable[test_service_pb2.ClearFailuresRequest, test_service_pb2.ClearFailuresResponse]
    StallStreams: grpc.aio.UnaryUnaryMultiCallable[test_service_pb2.StallStreamsRequest, test_service_pb2.StallStreamsResponse]
    ResumeStreams: grpc.aio.UnaryUnaryMultiCallable[test_service_pb2.ResumeStreamsRequest, test_service_pb2.ResumeStreamsResponse]
    EndStreams: grpc.aio.UnaryUnaryMultiCallable[test_service_pb2.EndStreamsRequest, test_service_pb2.EndStreamsResponse]
    ResetWorld: grpc.aio.UnaryUnaryMultiCallable[test_service_pb2.ResetWorldRequest, test_service_pb2.ResetWorldResponse]
    CreateWorld: grpc.aio.UnaryUnaryMultiCallable[test_service_pb2.CreateWorldRequest, test_service_pb2.CreateWorldResponse]
    DeleteWorld: grpc.aio.UnaryUnaryMultiCallable[test_service_pb2.DeleteWorldRequest, test_service_pb2.DeleteWorldResponse]

class TestServiceServicer:
    def MintToken(self, request: test_service_pb2.MintTokenRequest, context: Any) -> Any: ...
    def AdvanceClock(self, request: test_service_pb2.AdvanceClockRequest, context: Any) -> Any: ...
    def GetWorld(self, request: test_service_pb2.GetWorldRequest, context: Any) -> Any: ...
    def FailMethod(self, request: test_service_pb2.FailMethodRequest, context: Any) -> Any: ...
    def ClearFailures(self, request: test_service_pb2.ClearFailuresRequest, context: Any) -> Any: ...
    def StallStreams(self, request: test_service_pb2.StallStreamsRequest, context: Any) -> Any: ...
    def ResumeStreams(self, request: test_service_pb2.ResumeStreamsRequest, context: Any) -> Any: ...
    def EndStreams(self, request: test_service_pb2.EndStreamsRequest, context: Any) -> Any: ...
    def ResetWorld(self, request: test_service_pb2.ResetWorldRequest, context: Any) -> Any: ...
    def CreateWorld(self, request: test_service_pb2.CreateWorldRequest, context: Any) -> Any: ...
    def DeleteWorld(self, request: test_service_pb2.DeleteWorldRequest, context: Any) -> Any: ...

def add_TestServiceServicer_to_server(
    servicer: TestServiceServicer, server: Union[grpc.Server, grpc.aio.Server]
) -> None: ...
