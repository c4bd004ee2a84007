"""ASGI, WSGI, Flask and Django."""

from __future__ import annotations

import asyncio
import json
import sys
import types
from collections.abc import Callable, Collection
from typing import Any

import pytest

import countersign.asgi
import countersign.django
import countersign.flask
import countersign.wsgi
from countersign import InvalidReason, InvalidTokenError, Token, UnknownTokenError, current_token
from support import PATIENCE

ADA = Token("", "ada", None, "s1", ("admin",), ("orders",), "", 0, 0, 0, (), 0, 0, {})


class Answers:
    """A verifier that answers by the token's text."""

    def verify(self, token: str, audiences: Collection[str] | None = None) -> Token:
        if token == "good":
            return ADA
        raise InvalidTokenError(InvalidReason.EXPIRED) if token == "expired" else UnknownTokenError(None)


class AioWatch:
    """One that the test revokes."""

    def __init__(self, revoked: asyncio.Event) -> None:
        self.wait = revoked.wait
        self._event = revoked

    @property
    def revoked(self) -> bool:
        return self._event.is_set()

    async def __aenter__(self) -> AioWatch:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


class AioAnswers:
    def __init__(self) -> None:
        self.revoked = asyncio.Event()

    async def verify(self, token: str, audiences: Collection[str] | None = None) -> Token:
        return Answers().verify(token)

    def watch(self, token: Token) -> Any:
        return AioWatch(self.revoked)


CASES = [
    (["Bearer good"], 200, "", ""),
    ([], 401, "TOKEN_MISSING", "Bearer"),
    (["Bearer good", "Bearer good"], 401, "TOKEN_MISSING", "Bearer"),
    (["Bearer expired"], 401, "ACCESS_TOKEN_EXPIRED", 'Bearer error="invalid_token"'),
    (["Bearer other"], 503, "REVOCATIONS_STALE", ""),
    (["Bearer \u00e9"], 503, "REVOCATIONS_STALE", ""),
]


def holds(status: int, headers: dict[str, str], body: bytes, expected: tuple[int, str, str]) -> None:
    """Compares an answer; ``headers`` have names in lower case."""
    assert status == expected[0]
    if status == 200:
        assert body == b"ada"
        return
    assert json.loads(body) == json.loads(body) | {"status": status, "reason": expected[1], "type": "about:blank"}
    assert headers["content-type"] == "application/problem+json" and headers["cache-control"] == "no-store"
    assert headers.get("www-authenticate", "") == expected[2] and ("retry-after" in headers) == (status == 503)


# ASGI


async def hello(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        return
    token = current_token()
    assert scope.get("state", {}).get("token") is token
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"nobody" if token is None else token.username.encode()})


def get(app: Any, authorization: list[str], path: str = "/") -> tuple[int, dict[str, str], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    headers = [(b"authorization", value.encode("latin-1")) for value in authorization]
    scope = {"type": "http", "path": path, "headers": headers, "state": {"other": 1}}
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}, sent[1]["body"]


@pytest.mark.parametrize(("authorization", "status", "reason", "challenge"), CASES)
def test_asgi(authorization: list[str], status: int, reason: str, challenge: str) -> None:
    app = countersign.asgi.Middleware(hello, AioAnswers())
    holds(*get(app, authorization), (status, reason, challenge))
    assert current_token() is None


def test_asgi_open_paths_roles_and_lifespan() -> None:
    app = countersign.asgi.Middleware(hello, AioAnswers(), open=lambda scope: scope["path"] == "/health")

    async def anonymous(scope: Any, receive: Any, send: Any) -> None:
        assert current_token() is None and "token" not in scope["state"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ada"})

    assert get(countersign.asgi.Middleware(anonymous, AioAnswers(), open=lambda _: True), [])[0] == 200
    assert get(app, [], "/other")[0] == 401
    for role, status in (("admin", 200), ("root", 403)):
        guarded = countersign.asgi.Middleware(countersign.asgi.RequireRole(hello, role), AioAnswers())
        assert get(guarded, ["Bearer good"])[0] == status
    assert get(countersign.asgi.RequireRole(hello, "admin"), [])[0] == 401

    async def lifespan() -> None:
        for it in (app, countersign.asgi.RequireRole(hello, "admin")):
            await it({"type": "lifespan"}, None, None)  # type: ignore[arg-type]

    asyncio.run(lifespan())


def test_a_websocket_is_closed_when_its_session_is_revoked() -> None:
    async def run() -> None:
        verifier, sent, incoming, heard = AioAnswers(), list[Any](), asyncio.Queue[Any](), list[Any]()

        async def echo(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] != "websocket.disconnect":
                heard.append(message)
                await send({"type": "websocket.send", "text": message["text"]})
            heard.append(message)
            await send({"type": "websocket.send", "text": "after the end"})
            assert (await receive())["type"] == "websocket.disconnect"

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/", "headers": [(b"authorization", b"Bearer good")]}
        app = asyncio.ensure_future(countersign.asgi.Middleware(echo, verifier)(scope, incoming.get, send))
        await incoming.put({"type": "websocket.receive", "text": "hello"})
        while not heard:
            await asyncio.sleep(0)
        # It waits for a message that never comes.
        verifier.revoked.set()
        await asyncio.wait_for(app, PATIENCE)
        assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
        assert sent[-1]["code"] == 1008 and heard[-1]["reason"] == "SESSION_REVOKED"

    asyncio.run(run())


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}], ids=["closed", "answered"])
def test_a_websocket_without_a_token_is_refused(extensions: dict[str, Any]) -> None:
    async def run() -> None:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/", "headers": [], "extensions": extensions}
        await countersign.asgi.Middleware(hello, AioAnswers())(scope, None, send)  # type: ignore[arg-type]
        kinds = [message["type"] for message in sent]
        if extensions:
            assert kinds == ["websocket.http.response.start", "websocket.http.response.body"] and sent[0]["status"] == 401
        else:
            assert kinds == ["websocket.close"]

    asyncio.run(run())


# WSGI


def greet(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    token = environ.get(countersign.wsgi.TOKEN)
    assert token is current_token()
    start_response("200 OK", [])
    return [b"nobody" if token is None else token.username.encode()]


def environ_of(authorization: list[str]) -> dict[str, Any]:
    return {"HTTP_AUTHORIZATION": authorization[0]} if authorization else {}


def fetch(app: Any, environ: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    answer: list[Any] = []
    body = b"".join(app(environ, lambda status, headers: answer.extend((status, headers))))
    return int(answer[0].split()[0]), {name.lower(): value for name, value in answer[1]}, body


@pytest.mark.parametrize(("authorization", "status", "reason", "challenge"), [case for case in CASES if len(case[0]) < 2])
def test_wsgi(authorization: list[str], status: int, reason: str, challenge: str) -> None:
    environ = environ_of(authorization) | {countersign.wsgi.TOKEN: "planted"}
    holds(*fetch(countersign.wsgi.Middleware(greet, Answers()), environ), (status, reason, challenge))
    assert current_token() is None


def test_wsgi_open_paths_and_roles() -> None:
    app = countersign.wsgi.Middleware(greet, Answers(), open=lambda environ: environ["PATH_INFO"] == "/health")
    assert fetch(app, {"PATH_INFO": "/health", countersign.wsgi.TOKEN: ADA})[2] == b"nobody"
    assert fetch(app, {"PATH_INFO": "/"})[0] == 401
    for role, status in (("admin", 200), ("root", 403)):
        guarded = countersign.wsgi.Middleware(countersign.wsgi.RequireRole(greet, role), Answers())
        assert fetch(guarded, {"HTTP_AUTHORIZATION": "Bearer good"})[0] == status
    assert fetch(countersign.wsgi.RequireRole(greet, "admin"), {})[0] == 401


# Flask


@pytest.mark.parametrize(("authorization", "status", "reason", "challenge"), [case for case in CASES if len(case[0]) < 2])
def test_flask(authorization: list[str], status: int, reason: str, challenge: str) -> None:
    flask = pytest.importorskip("flask")
    app = flask.Flask("test")

    @app.get("/")
    @countersign.flask.require_token(Answers())
    def view() -> str:
        assert flask.g.token is current_token()
        token: Any = flask.g.token
        return str(token.username)

    @app.get("/<int:number>")
    @countersign.flask.require_token(Answers(), role="root")
    def other(number: int) -> str:
        return str(number)

    headers = dict.fromkeys(["Authorization"][: len(authorization)], "".join(authorization))
    answer = app.test_client().get("/", headers=headers)
    holds(answer.status_code, {k.lower(): v for k, v in answer.headers}, answer.data, (status, reason, challenge))
    assert app.test_client().get("/1", headers=headers).status_code == (403 if status == 200 else status)


# Django


def test_django(monkeypatch: pytest.MonkeyPatch) -> None:
    django = pytest.importorskip("django")
    from django.conf import settings
    from django.http import HttpResponse
    from django.test import Client
    from django.urls import path

    def view(request: Any, **_: str) -> HttpResponse:
        token = getattr(request, "token", None)
        assert token is current_token()
        return HttpResponse(b"nobody" if token is None else token.username)

    urls = types.ModuleType("countersign_test_urls")
    urls.urlpatterns = [path("", view), path("health", view), path("public/<str:name>", view)]  # type: ignore[attr-defined]
    urls.verifier = Answers()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "countersign_test_urls", urls)
    settings.configure(
        ROOT_URLCONF="countersign_test_urls", MIDDLEWARE=["countersign.django.Middleware"], SECRET_KEY="test",
        ALLOWED_HOSTS=["testserver"], COUNTERSIGN_VERIFIER="countersign_test_urls.verifier",
        COUNTERSIGN_OPEN=["/health", "/public/"],
    )  # fmt: skip
    django.setup()
    for authorization, status, reason, challenge in CASES:
        if len(authorization) > 1:
            continue
        answer = Client().get("/", **environ_of(authorization))
        headers = {name.lower(): value for name, value in answer.headers.items()}
        holds(answer.status_code, headers, answer.content, (status, reason, challenge))
    for open, status in (("/health", 200), ("/public/a", 200), ("/", 401), ("/healthy", 401)):
        assert Client().get(open).status_code == status
