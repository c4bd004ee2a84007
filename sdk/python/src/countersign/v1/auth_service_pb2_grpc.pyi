"""Types of the services in countersign/v1/auth_service.proto."""

# Made by scripts/generate_stubs.py.
from collections.abc import AsyncIterator, Iterator
from typing import Any, Union

import grpc
import grpc.aio

from countersign.v1 import auth_service_pb2

class AuthServiceStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    Login: grpc.UnaryUnaryMultiCallable[auth_service_pb2.LoginRequest, auth_service_pb2.LoginResponse]
    Refresh: grpc.UnaryUnaryMultiCallable[auth_service_pb2.RefreshRequest, auth_service_pb2.RefreshResponse]
    Logout: grpc.UnaryUnaryMultiCallable[auth_service_pb2.LogoutRequest, auth_service_pb2.LogoutResponse]
    VerifyAccessToken: grpc.UnaryUnaryMultiCallable[auth_service_pb2.VerifyAccessTokenRequest, auth_service_pb2.VerifyAccessTokenResponse]
    BatchVerifyAccessTokens: grpc.UnaryUnaryMultiCallable[auth_service_pb2.BatchVerifyAccessTokensRequest, auth_service_pb2.BatchVerifyAccessTokensResponse]
    VerifyStream: grpc.StreamStreamMultiCallable[auth_service_pb2.VerifyStreamRequest, auth_service_pb2.VerifyStreamResponse]
    ChangePassword: grpc.UnaryUnaryMultiCallable[auth_service_pb2.ChangePasswordRequest, auth_service_pb2.ChangePasswordResponse]
    ResetPassword: grpc.UnaryUnaryMultiCallable[auth_service_pb2.ResetPasswordRequest, auth_service_pb2.ResetPasswordResponse]
    IssueServiceToken: grpc.UnaryUnaryMultiCallable[auth_service_pb2.IssueServiceTokenRequest, auth_service_pb2.IssueServiceTokenResponse]
    ListOwnSessions: grpc.UnaryUnaryMultiCallable[auth_service_pb2.ListOwnSessionsRequest, auth_service_pb2.ListOwnSessionsResponse]
    RevokeOwnSessions: grpc.UnaryUnaryMultiCallable[auth_service_pb2.RevokeOwnSessionsRequest, auth_service_pb2.RevokeOwnSessionsResponse]

class AuthServiceAsyncStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    Login: grpc.aio.UnaryUnaryMultiCallable[auth_service_pb2.LoginRequest, auth_service_pb2.LoginResponse]
    Refresh: grpc.aio.UnaryUnaryMultiCallable[auth_service_pb2.RefreshRequest, auth_service_pb2.RefreshResponse]
    Logout: grpc.aio.UnaryUnaryMultiCallable[auth_service_pb2.LogoutRequest, auth_service_pb2.LogoutResponse]
    VerifyAccessToken: grpc.aio.UnaryUnaryMultiCallable[auth_service_pb2.VerifyAccessTokenRequest, auth_service_pb2.VerifyAccessTokenResponse]
    BatchVerifyAccessTokens: grpc.aio.UnaryUnaryMultiCallable[auth_service_pb2.BatchVerifyAccessTokensRequest, auth_service_pb2.BatchVerifyAccessTokensResponse]
    VerifyStream: grpc.aio.StreamStreamMultiCallable[auth_service_pb2.VerifyStreamRequest, auth_service_pb2.VerifyStreamResponse]
    ChangePassword: grpc.aio.UnaryUnaryMultiCallable[auth_service_pb2.ChangePasswordRequest, auth_service_pb2.ChangePasswordResponse]
    ResetPassword: grpc.aio.UnaryUnaryMultiCallable[auth_service_pb2.ResetPasswordRequest, auth_service_pb2.ResetPasswordResponse]
    IssueServiceToken: grpc.aio.UnaryUnaryMultiCallable[auth_service_pb2.IssueServiceTokenRequest, auth_service_pb2.IssueServiceTokenResponse]
    ListOwnSessions: grpc.aio.UnaryUnaryMultiCallable[auth_service_pb2.ListOwnSessionsRequest, auth_service_pb2.ListOwnSessionsResponse]
    RevokeOwnSessions: grpc.aio.UnaryUnaryMultiCallable[auth_service_pb2.RevokeOwnSessionsRequest, auth_service_pb2.RevokeOwnSessionsResponse]

class AuthServiceServicer:
    def Login(self, request: auth_service_pb2.LoginRequest, context: Any) -> Any: ...
    def Refresh(self, request: auth_service_pb2.RefreshRequest, context: Any) -> Any: ...
    def Logout(self, request: auth_service_pb2.LogoutRequest, context: Any) -> Any: ...
    def VerifyAccessToken(self, request: auth_service_pb2.VerifyAccessTokenRequest, context: Any) -> Any: ...
    def BatchVerifyAccessTokens(self, request: auth_service_pb2.BatchVerifyAccessTokensRequest, context: Any) -> Any: ...
    def VerifyStream(self, request_iterator: Union[Iterator[auth_service_pb2.VerifyStreamRequest], AsyncIterator[auth_service_pb2.VerifyStreamRequest]], context: Any) -> Any: ...
    def ChangePassword(self, request: auth_service_pb2.ChangePasswordRequest, context: Any) -> Any: ...
    def ResetPassword(self, request: auth_service_pb2.ResetPasswordRequest, context: Any) -> Any: ...
    def IssueServiceToken(self, request: auth_service_pb2.IssueServiceTokenRequest, context: Any) -> Any: ...
    def ListOwnSessions(self, request: auth_service_pb2.ListOwnSessionsRequest, context: Any) -> Any: ...
    def RevokeOwnSessions(self, request: auth_service_pb2.RevokeOwnSessionsRequest, context: Any) -> Any: ...

def add_AuthServiceServicer_to_server(
    servicer: AuthServiceServicer, server: Union[grpc.Server, grpc.aio.Server]
) -> None: ...
