"""Types of the services in countersign/v1/user_service.proto."""

# Made by scripts/generate_stubs.py.
from collections.abc import AsyncIterator, Iterator
from typing import Any, Union

import grpc
import grpc.aio

from countersign.v1 import user_service_pb2

class UserServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    CreateUser: grpc.UnaryUnaryMultiCallable[user_service_pb2.CreateUserRequest, user_service_pb2.CreateUserResponse]
    ImportUsers: grpc.StreamStreamMultiCallable[user_service_pb2.ImportUsersRequest, user_service_pb2.ImportUsersResponse]
    CheckPasswordHash: grpc.UnaryUnaryMultiCallable[user_service_pb2.CheckPasswordHashRequest, user_service_pb2.CheckPasswordHashResponse]
    GetUser: grpc.UnaryUnaryMultiCallable[user_service_pb2.GetUserRequest, user_service_pb2.GetUserResponse]
    ListUsers: grpc.UnaryUnaryMultiCallable[user_service_pb2.ListUsersRequest, user_service_pb2.ListUsersResponse]
    UpdateUser: grpc.UnaryUnaryMultiCallable[user_service_pb2.UpdateUserRequest, user_service_pb2.UpdateUserResponse]
    SetPassword: grpc.UnaryUnaryMultiCallable[user_service_pb2.SetPasswordRequest, user_service_pb2.SetPasswordResponse]
    CreatePasswordReset: grpc.UnaryUnaryMultiCallable[user_service_pb2.CreatePasswordResetRequest, user_service_pb2.CreatePasswordResetResponse]
    DisableUser: grpc.UnaryUnaryMultiCallable[user_service_pb2.DisableUserRequest, user_service_pb2.DisableUserResponse]
    EnableUser: grpc.UnaryUnaryMultiCallable[user_service_pb2.EnableUserRequest, user_service_pb2.EnableUserResponse]
    DeleteUser: grpc.UnaryUnaryMultiCallable[user_service_pb2.DeleteUserRequest, user_service_pb2.DeleteUserResponse]

class UserServiceAsyncStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    CreateUser: grpc.aio.UnaryUnaryMultiCallable[user_service_pb2.CreateUserRequest, user_service_pb2.CreateUserResponse]
    ImportUsers: grpc.aio.StreamStreamMultiCallable[user_service_pb2.ImportUsersRequest, user_service_pb2.ImportUsersResponse]
    CheckPasswordHash: grpc.aio.UnaryUnaryMultiCallable[user_service_pb2.CheckPasswordHashRequest, user_service_pb2.CheckPasswordHashResponse]
    GetUser: grpc.aio.UnaryUnaryMultiCallable[user_service_pb2.GetUserRequest, user_service_pb2.GetUserResponse]
    ListUsers: grpc.aio.UnaryUnaryMultiCallable[user_service_pb2.ListUsersRequest, user_service_pb2.ListUsersResponse]
    UpdateUser: grpc.aio.UnaryUnaryMultiCallable[user_service_pb2.UpdateUserRequest, user_service_pb2.UpdateUserResponse]
    SetPassword: grpc.aio.UnaryUnaryMultiCallable[user_service_pb2.SetPasswordRequest, user_service_pb2.SetPasswordResponse]
    CreatePasswordReset: grpc.aio.UnaryUnaryMultiCallable[user_service_pb2.CreatePasswordResetRequest, user_service_pb2.CreatePasswordResetResponse]
    DisableUser: grpc.aio.UnaryUnaryMultiCallable[user_service_pb2.DisableUserRequest, user_service_pb2.DisableUserResponse]
    EnableUser: grpc.aio.UnaryUnaryMultiCallable[user_service_pb2.EnableUserRequest, user_service_pb2.EnableUserResponse]
    DeleteUser: grpc.aio.UnaryUnaryMultiCallable[user_service_pb2.DeleteUserRequest, user_service_pb2.DeleteUserResponse]

class UserServiceServicer:
    def CreateUser(self, request: user_service_pb2.CreateUserRequest, context: Any) -> Any: ...
    def ImportUsers(self, request_iterator: Union[Iterator[user_service_pb2.ImportUsersRequest], AsyncIterator[user_service_pb2.ImportUsersRequest]], context: Any) -> Any: ...
    def CheckPasswordHash(self, request: user_service_pb2.CheckPasswordHashRequest, context: Any) -> Any: ...
    def GetUser(self, request: user_service_pb2.GetUserRequest, context: Any) -> Any: ...
    def ListUsers(self, request: user_service_pb2.ListUsersRequest, context: Any) -> Any: ...
    def UpdateUser(self, request: user_service_pb2.UpdateUserRequest, context: Any) -> Any: ...
    def SetPassword(self, request: user_service_pb2.SetPasswordRequest, context: Any) -> Any: ...
    def CreatePasswordReset(self, request: user_service_pb2.CreatePasswordResetRequest, context: Any) -> Any: ...
    def DisableUser(self, request: user_service_pb2.DisableUserRequest, context: Any) -> Any: ...
    def EnableUser(self, request: user_service_pb2.EnableUserRequest, context: Any) -> Any: ...
    def DeleteUser(self, request: user_service_pb2.DeleteUserRequest, context: Any) -> Any: ...

def add_UserServiceServicer_to_server(
    servicer: UserServiceServicer, server: Union[grpc.Server, grpc.aio.Server]
) -> None: ...
