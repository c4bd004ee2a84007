"""Which calls are made again."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

import countersign.aio
from countersign import CallError, Client, Tokens, session_ended
from countersign._errors import make_details
from countersign.v1 import auth_service_pb2, auth_service_pb2_grpc, user_service_pb2, user_service_pb2_grpc
from deployment import free_port
from support import PATIENCE

UNAVAILABLE, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED

Answer = Callable[[int, Any, Any], None]


class Scripted(auth_service_pb2_grpc.AuthServiceServicer, user_service_pb2_grpc.UserServiceServicer):
    """Answers each call with what the test says, and counts."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.calls = 0

    def next(self, request: Any, context: Any) -> None:
        self.calls += 1
        self.answer(self.calls, request, context)

    def Login(self, request: Any, context: Any) -> Any:
        self.next(request, context)
        answer = auth_service_pb2.LoginResponse()
        answer.tokens.access_token, answer.tokens.refresh_token, answer.tokens.expires_in = "secret-a", "secret-r", 300
        return answer

    def Refresh(self, request: Any, context: Any) -> Any:
        self.next(request, context)
        answer = auth_service_pb2.RefreshResponse()
        answer.tokens.access_token = "access 2"
        return answer

    def Logout(self, request: Any, context: Any) -> Any:
        self.next(request, context)
        return auth_service_pb2.LogoutResponse(position="p1")

    def CreateUser(self, request: Any, context: Any) -> Any:
        self.next(request, context)
        return user_service_pb2.CreateUserResponse()

    def UpdateUser(self, request: Any, context: Any) -> Any:
        self.next(request, context)
        return user_service_pb2.UpdateUserResponse()

    def DeleteUser(self, request: Any, context: Any) -> Any:
        self.next(request, context)
        return user_service_pb2.DeleteUserResponse()


@contextmanager
def serving(scripted: Scripted, address: str = "127.0.0.1:0") -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(max_workers=8), options=[("grpc.so_reuseport", 0)])
    auth_service_pb2_grpc.add_AuthServiceServicer_to_server(scripted, server)
    user_service_pb2_grpc.add_UserServiceServicer_to_server(scripted, server)
    port = server.add_insecure_port(address)
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait(PATIENCE)


def arguments(address: str) -> dict[str, Any]:
    return {
        "endpoint": f"http://{address}", "credential": lambda: "operator", "deadline": 1.0, "attempt_timeout": 0.3,
        "max_backoff": 0.01,
    }  # fmt: skip


def refuse(context: Any, code: grpc.StatusCode, reason: str, wait: float = 0) -> None:
    from countersign.grpc._refusal import Refusal

    details = make_details(code.value[0], "no", reason, None) if reason else b""
    if reason:
        from google.rpc import error_details_pb2, status_pb2

        status = status_pb2.Status.FromString(details)
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(int(wait * 1000))
        status.details.add().Pack(retry)
        info = error_details_pb2.ErrorInfo()
        status.details[0].Unpack(info)
        info.metadata["cause"] = "LOGGED_OUT"
        status.details[0].Pack(info)
        details = status.SerializeToString()
    context.abort_with_status(Refusal(code, "no", (("grpc-status-details-bin", details),)))


CASES = [
    ("refresh, a store is down", "refresh", UNAVAILABLE, "STORE_UNAVAILABLE", 0, 2),
    ("refresh, the connection broke", "refresh", UNAVAILABLE, "", 0, 2),
    ("logout, a store is down", "logout", UNAVAILABLE, "STORE_UNAVAILABLE", 0, 2),
    ("login, a store is down", "login", UNAVAILABLE, "STORE_UNAVAILABLE", 0, 1),
    ("login, the queue is full", "login", EXHAUSTED, "LOGIN_OVERLOADED", 0, 2),
    ("login, no room", "login", EXHAUSTED, "SERVER_OVERLOADED", 0, 2),
    ("login, too many attempts", "login", EXHAUSTED, "RATE_LIMIT_EXCEEDED", 0, 1),
    ("login, refused", "login", UNAUTHENTICATED, "INVALID_CREDENTIALS", 0, 1),
    ("refresh, reused", "refresh", UNAUTHENTICATED, "REFRESH_TOKEN_REUSED", 0, 1),
    ("refresh, a defect", "refresh", grpc.StatusCode.INTERNAL, "INTERNAL", 0, 1),
    ("refresh, longer than there is time", "refresh", UNAVAILABLE, "REFRESH_IN_PROGRESS", 60, 1),
    ("delete, a store is down", "delete", UNAVAILABLE, "STORE_UNAVAILABLE", 0, 1),
    ("delete, no room", "delete", EXHAUSTED, "SERVER_OVERLOADED", 0, 2),
    ("update, a store is down", "update", UNAVAILABLE, "STORE_UNAVAILABLE", 0, 2),
    ("update with an etag, a store is down", "etag", UNAVAILABLE, "STORE_UNAVAILABLE", 0, 1),
]


def call(client: Any, name: str) -> Any:
    match name:
        case "login":
            return client.login("ada", "password")
        case "refresh":
            return client.refresh("refresh")
        case "logout":
            return client.logout("refresh")
        case "delete":
            return client.users.DeleteUser(user_service_pb2.DeleteUserRequest())
        case "update":
            return client.users.UpdateUser(user_service_pb2.UpdateUserRequest())
        case _:
            return client.users.UpdateUser(user_service_pb2.UpdateUserRequest(etag="1"))


@pytest.mark.parametrize(("what", "name", "code", "reason", "wait", "calls"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_what_is_tried_again(
    kind: str, what: str, name: str, code: grpc.StatusCode, reason: str, wait: float, calls: int
) -> None:
    scripted = Scripted(lambda number, _, context: refuse(context, code, reason, wait) if number == 1 else None)
    error: CallError | None = None
    with serving(scripted) as address:
        try:
            if kind == "threads":
                with Client(**arguments(address)) as client:
                    call(client, name)
            else:

                async def run() -> None:
                    async with countersign.aio.Client(**arguments(address)) as client:
                        await call(client, name)

                asyncio.run(run())
        except CallError as caught:
            error = caught
    assert scripted.calls == calls
    if calls == 2:
        assert error is None
    else:
        assert error is not None and (error.reason, error.status, error.cause) == (reason, code, "LOGGED_OUT")
        assert session_ended(error) == (reason == "REFRESH_TOKEN_REUSED") and error.code() is code
        assert (error.retry_after or 0) == wait and error.details() == "no"
        assert str(error) == f"{code.name} {reason}: no" and isinstance(error, grpc.RpcError)
        again = pickle.loads(pickle.dumps(error))
        assert (again.reason, again.status, str(again)) == (error.reason, error.status, str(error))


def test_refresh_waits_as_long_as_the_server_says() -> None:
    def answer(number: int, _: Any, context: Any) -> None:
        if number == 1:
            refuse(context, UNAVAILABLE, "REFRESH_IN_PROGRESS", 0.15)

    scripted = Scripted(answer)
    with serving(scripted) as address, Client(**arguments(address)) as client:
        begun = time.monotonic()
        assert client.refresh("refresh").access_token == "access 2" and scripted.calls == 2
        assert time.monotonic() - begun >= 0.15


def test_an_attempt_that_is_not_answered_is_made_again() -> None:
    over = threading.Event()

    def answer(number: int, *_: Any) -> None:
        if number == 1:
            over.wait(PATIENCE)

    scripted = Scripted(answer)
    with serving(scripted) as address, Client(**arguments(address)) as client:
        client.refresh("refresh")
        assert scripted.calls == 2
        # A login may have succeeded.
        scripted.calls = 0
        with pytest.raises(CallError) as caught:
            client.login("ada", "password")
        assert caught.value.status is grpc.StatusCode.DEADLINE_EXCEEDED and scripted.calls == 1
        over.set()


def test_a_login_waits_for_the_server() -> None:
    address = f"127.0.0.1:{free_port()}"
    with Client(**arguments(address) | {"deadline": PATIENCE}) as client, ThreadPoolExecutor(1) as pool:
        tokens = pool.submit(client.login, "ada", "password")
        assert not wait([tokens], 0.1).done
        with serving(Scripted(lambda *_: None), address):
            assert tokens.result(PATIENCE).expires_in == 300


def test_create_user_has_a_request_id_that_stays() -> None:
    seen: list[tuple[str, str]] = []

    def answer(number: int, request: Any, context: Any) -> None:
        seen.append((request.request_id, dict(context.invocation_metadata())["authorization"]))
        if number == 1:
            refuse(context, UNAVAILABLE, "STORE_UNAVAILABLE")

    with serving(Scripted(answer)) as address, Client(**arguments(address)) as client:
        request = user_service_pb2.CreateUserRequest(username="ada")
        client.users.CreateUser(request)
    assert len(seen) == 2 and seen[0] == seen[1] and seen[0][0] and seen[0][1] == "Bearer operator"
    assert not request.request_id


def test_the_credential_goes_nowhere_else() -> None:
    def answer(_: int, __: Any, context: Any) -> None:
        assert "authorization" not in dict(context.invocation_metadata())

    with serving(Scripted(answer)) as address, Client(**arguments(address)) as client:
        assert client.logout("refresh", everywhere=True) == "p1"
        assert client.login("ada", "password").refresh_token == "secret-r"


def test_tokens_are_not_shown() -> None:
    tokens = Tokens("secret-a", "secret-r", 300, 0)
    assert "secret" not in f"{tokens} {tokens!r} {[tokens]}"


@pytest.mark.parametrize("changed", [{"endpoint": ""}, {"endpoint": "a:1"}, {"deadline": -1}, {"max_backoff": 0}], ids=str)
def test_client_options_are_checked(changed: dict[str, Any]) -> None:
    for make in (Client, countersign.aio.Client):
        with pytest.raises(ValueError, match=r"."):
            make(**arguments("127.0.0.1:1") | changed)
