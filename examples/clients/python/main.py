"""Logs in, verifies the access token, refreshes once and logs out.

PASSWORD is the user's; ADDRESS and ACCOUNT may be set.
"""

import os
import sys

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from countersign.v1 import auth_service_pb2 as messages
from countersign.v1.auth_service_pb2_grpc import AuthServiceStub

# The only reasons to forget tokens. On every other error keep them.
ENDED = {"REFRESH_TOKEN_INVALID", "REFRESH_TOKEN_EXPIRED", "REFRESH_TOKEN_REUSED", "SESSION_REVOKED"}

# Every call has a deadline.
TIMEOUT = 5


def reason(error: grpc.RpcError) -> str:
    """The reason in google.rpc.ErrorInfo, among the details of the status."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    # The error did not come from the service: the connection failed, for example.
    return error.code().name


def explain(error: grpc.RpcError) -> str:
    name = reason(error)
    rest = "the session is over: forget the tokens" if name in ENDED else "keep any tokens"
    return f"refused: {name} ({rest})"


def session(auth: AuthServiceStub) -> None:
    login = auth.Login(
        messages.LoginRequest(username=os.environ.get("ACCOUNT", "admin"), password=os.environ["PASSWORD"]),
        timeout=TIMEOUT,
    )
    tokens = login.tokens
    print(f"logged in: {login.session.username}")

    # A token that is not good is an answer and not an error.
    answer = auth.VerifyAccessToken(
        messages.VerifyAccessTokenRequest(access_token=tokens.access_token), timeout=TIMEOUT
    )
    if answer.WhichOneof("result") == "verified":
        print(f"verified: {answer.verified.username}")
    else:
        print(f"not verified: {answer.invalid.reason}")

    tokens = auth.Refresh(messages.RefreshRequest(refresh_token=tokens.refresh_token), timeout=TIMEOUT).tokens
    print(f"refreshed: the access token is good for {tokens.expires_in} s")

    auth.Logout(messages.LogoutRequest(refresh_token=tokens.refresh_token), timeout=TIMEOUT)
    print("logged out")

    try:
        auth.Refresh(messages.RefreshRequest(refresh_token=tokens.refresh_token), timeout=TIMEOUT)
    except grpc.RpcError as error:
        print(explain(error))


# Where the service speaks TLS: grpc.secure_channel(address, grpc.ssl_channel_credentials()).
with grpc.insecure_channel(os.environ.get("ADDRESS", "127.0.0.1:50051")) as channel:
    try:
        session(AuthServiceStub(channel))
    except grpc.RpcError as error:
        print(explain(error))
        sys.exit(1)
