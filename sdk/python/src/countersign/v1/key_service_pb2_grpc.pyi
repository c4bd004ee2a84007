"""Types of the services in countersign/v1/key_service.proto."""

# Made by scripts/generate_stubs.py.
from collections.abc import AsyncIterator, Iterator
from typing import Any, Union

import grpc
import grpc.aio

from countersign.v1 import key_service_pb2

class KeyServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    ListKeys: grpc.UnaryUnaryMultiCallable[key_service_pb2.KeyServiceListKeysRequest, key_service_pb2.KeyServiceListKeysResponse]
    RotateKey: grpc.UnaryUnaryMultiCallable[key_service_pb2.RotateKeyRequest, key_service_pb2.RotateKeyResponse]
    WithdrawKey: grpc.UnaryUnaryMultiCallable[key_service_pb2.WithdrawKeyRequest, key_service_pb2.WithdrawKeyResponse]

class KeyServiceAsyncStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    ListKeys: grpc.aio.UnaryUnaryMultiCallable[key_service_pb2.KeyServiceListKeysRequest, key_service_pb2.KeyServiceListKeysResponse]
    RotateKey: grpc.aio.UnaryUnaryMultiCallable[key_service_pb2.RotateKeyRequest, key_service_pb2.RotateKeyResponse]
    WithdrawKey: grpc.aio.UnaryUnaryMultiCallable[key_service_pb2.WithdrawKeyRequest, key_service_pb2.WithdrawKeyResponse]

class KeyServiceServicer:
    def ListKeys(self, request: key_service_pb2.KeyServiceListKeysRequest, context: Any) -> Any: ...
    def RotateKey(self, request: key_service_pb2.RotateKeyRequest, context: Any) -> Any: ...
    def WithdrawKey(self, request: key_service_pb2.WithdrawKeyRequest, context: Any) -> Any: ...

def add_KeyServiceServicer_to_server(
    servicer: KeyServiceServicer, server: Union[grpc.Server, grpc.aio.Server]
) -> None: ...
