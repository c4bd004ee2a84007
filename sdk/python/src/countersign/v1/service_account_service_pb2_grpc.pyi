"""Types of the services in countersign/v1/service_account_service.proto."""

# Made by scripts/generate_stubs.py.
from collections.abc import AsyncIterator, Iterator
from typing import Any, Union

import grpc
import grpc.aio

from countersign.v1 import service_account_service_pb2

class ServiceAccountServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    CreateServiceAccount: grpc.UnaryUnaryMultiCallable[service_account_service_pb2.CreateServiceAccountRequest, service_account_service_pb2.CreateServiceAccountResponse]
    GetServiceAccount: grpc.UnaryUnaryMultiCallable[service_account_service_pb2.GetServiceAccountRequest, service_account_service_pb2.GetServiceAccountResponse]
    ListServiceAccounts: grpc.UnaryUnaryMultiCallable[service_account_service_pb2.ListServiceAccountsRequest, service_account_service_pb2.ListServiceAccountsResponse]
    UpdateServiceAccount: grpc.UnaryUnaryMultiCallable[service_account_service_pb2.UpdateServiceAccountRequest, service_account_service_pb2.UpdateServiceAccountResponse]
    DisableServiceAccount: grpc.UnaryUnaryMultiCallable[service_account_service_pb2.DisableServiceAccountRequest, service_account_service_pb2.DisableServiceAccountResponse]
    EnableServiceAccount: grpc.UnaryUnaryMultiCallable[service_account_service_pb2.EnableServiceAccountRequest, service_account_service_pb2.EnableServiceAccountResponse]
    DeleteServiceAccount: grpc.UnaryUnaryMultiCallable[service_account_service_pb2.DeleteServiceAccountRequest, service_account_service_pb2.DeleteServiceAccountResponse]
    CreateKey: grpc.UnaryUnaryMultiCallable[service_account_service_pb2.CreateKeyRequest, service_account_service_pb2.CreateKeyResponse]
    ListKeys: grpc.UnaryUnaryMultiCallable[service_account_service_pb2.ListKeysRequest, service_account_service_pb2.ListKeysResponse]
    RevokeKey: grpc.UnaryUnaryMultiCallable[service_account_service_pb2.RevokeKeyRequest, service_account_service_pb2.RevokeKeyResponse]

class ServiceAccountServiceAsyncStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    CreateServiceAccount: grpc.aio.UnaryUnaryMultiCallable[service_account_service_pb2.CreateServiceAccountRequest, service_account_service_pb2.CreateServiceAccountResponse]
    GetServiceAccount: grpc.aio.UnaryUnaryMultiCallable[service_account_service_pb2.GetServiceAccountRequest, service_account_service_pb2.GetServiceAccountResponse]
    ListServiceAccounts: grpc.aio.UnaryUnaryMultiCallable[service_account_service_pb2.ListServiceAccountsRequest, service_account_service_pb2.ListServiceAccountsResponse]
    UpdateServiceAccount: grpc.aio.UnaryUnaryMultiCallable[service_account_service_pb2.UpdateServiceAccountRequest, service_account_service_pb2.UpdateServiceAccountResponse]
    DisableServiceAccount: grpc.aio.UnaryUnaryMultiCallable[service_account_service_pb2.DisableServiceAccountRequest, service_account_service_pb2.DisableServiceAccountResponse]
    EnableServiceAccount: grpc.aio.UnaryUnaryMultiCallable[service_account_service_pb2.EnableServiceAccountRequest, service_account_service_pb2.EnableServiceAccountResponse]
    DeleteServiceAccount: grpc.aio.UnaryUnaryMultiCallable[service_account_service_pb2.DeleteServiceAccountRequest, service_account_service_pb2.DeleteServiceAccountResponse]
    CreateKey: grpc.aio.UnaryUnaryMultiCallable[service_account_service_pb2.CreateKeyRequest, service_account_service_pb2.CreateKeyResponse]
    ListKeys: grpc.aio.UnaryUnaryMultiCallable[service_account_service_pb2.ListKeysRequest, service_account_service_pb2.ListKeysResponse]
    RevokeKey: grpc.aio.UnaryUnaryMultiCallable[service_account_service_pb2.RevokeKeyRequest, service_account_service_pb2.RevokeKeyResponse]

class ServiceAccountServiceServicer:
    def CreateServiceAccount(self, request: service_account_service_pb2.CreateServiceAccountRequest, context: Any) -> Any: ...
    def GetServiceAccount(self, request: service_account_service_pb2.GetServiceAccountRequest, context: Any) -> Any: ...
    def ListServiceAccounts(self, request: service_account_service_pb2.ListServiceAccountsRequest, context: Any) -> Any: ...
    def UpdateServiceAccount(self, request: service_account_service_pb2.UpdateServiceAccountRequest, context: Any) -> Any: ...
    def DisableServiceAccount(self, request: service_account_service_pb2.DisableServiceAccountRequest, context: Any) -> Any: ...
    def EnableServiceAccount(self, request: service_account_service_pb2.EnableServiceAccountRequest, context: Any) -> Any: ...
    def DeleteServiceAccount(self, request: service_account_service_pb2.DeleteServiceAccountRequest, context: Any) -> Any: ...
    def CreateKey(self, request: service_account_service_pb2.CreateKeyRequest, context: Any) -> Any: ...
    def ListKeys(self, request: service_account_service_pb2.ListKeysRequest, context: Any) -> Any: ...
    def RevokeKey(self, request: service_account_service_pb2.RevokeKeyRequest, context: Any) -> Any: ...

def add_ServiceAccountServiceServicer_to_server(
    servicer: ServiceAccountServiceServicer, server: Union[grpc.Server, grpc.aio.Server]
) -> None: ...
