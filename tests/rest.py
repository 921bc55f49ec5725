"""REST as a program meets it: requests with a token through the whole site, answers as values."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from audit.actors import Actor
from audit.api.doors import Door
from orchestra_site.tokens import create_token

V1 = "/api/v1"


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: Any

    @property
    def code(self) -> str:
        """Which problem it is; it says so in both places."""
        assert self.headers["Content-Type"] == "application/problem+json", self.headers["Content-Type"]
        assert self.body["status"] == self.status and self.body["type"] == f"urn:orchestra:problem:{self.body['code']}"
        return str(self.body["code"])


class Caller:
    """Sends what a test says, as the holder of a token, or as nobody."""

    def __init__(self, token: str | None = None) -> None:
        self.client, self.token = Client(raise_request_exception=False), token

    @classmethod
    def of(cls, person: User) -> "Caller":
        return cls(create_token(person.username, actor=Actor.system("test")).text)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """`path` below /api/v1, or a whole one; `body` is written as JSON, bytes are sent as they are."""
        said = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        kind = headers.pop("content_type", "application/json")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        whole = path if path.startswith("/api/") else V1 + path
        response = self.client.generic(method, whole, data, content_type=kind, headers={**said, **named})
        content = bytes(response.content)
        return Answer(response.status_code, json.loads(content) if "json" in response.headers.get("Content-Type", "") else content, response.headers)

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.send("POST", path, body, **headers)

    def delete(self, path: str) -> Answer:
        return self.send("DELETE", path)


def addresses() -> Iterator[tuple[str, str]]:
    """(method, address below /api/v1/) of every door."""
    api = next(each for each in get_resolver().url_patterns if str(each.pattern) == "api/")
    v1 = next(each for each in api.url_patterns if str(each.pattern) == "v1/")
    for path, view in below(v1.url_patterns):
        yield from ((method, path) for method in ("get", "post", "delete") if hasattr(view, method))


def below(patterns: list[URLPattern | URLResolver], at: str = "") -> Iterator[tuple[str, type[Door]]]:
    for each in patterns:
        path = at + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from below(each.url_patterns, path)
        else:
            yield path, each.callback.view_class
