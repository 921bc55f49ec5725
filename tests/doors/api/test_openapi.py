"""The OpenAPI document: valid, whole, and enough for a reader who has nothing else."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from audit.api import errors
from audit.api.doors import SCOPES
from audit.errors import NotFound, NotSetUp, Refused, Unavailable
from tests import documents, pipelines, rest
from tests.rest import Caller

REFERENCE = documents.ROOT / "docs" / "reference" / "rest-api.md"


@pytest.fixture
def document() -> Any:
    answer = Client().get("/api/v1/schema/")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/vnd.oai.openapi+json;version=3.1")
    return json.loads(answer.content)


def operations(document: Any) -> list[tuple[str, str, Any]]:
    return [(path, method, each) for path, methods in document["paths"].items() for method, each in methods.items()]


def codes(document: Any) -> set[str]:
    """Every code that an operation publishes, or that any request may meet."""
    published = {code for *_, said in operations(document) for code in re.findall(r"^- \d+ `([a-z-]+)`", said["description"], re.MULTILINE)}
    doors = {each.code for each in vars(errors).values() if isinstance(each, type) and each.__module__ == errors.__name__}
    return published | doors | {NotFound.code, NotSetUp.code, Refused.code, Unavailable.code}


def test_the_document_is_valid_without_a_warning(tmp_path: Path) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml"))
    assert (tmp_path / "schema.yaml").read_text().startswith("openapi: 3.1.0\n")


def test_every_door_is_in_the_document_and_nothing_else(document: Any) -> None:
    doors = [(method, path) for method, path in rest.addresses() if path not in ("schema/", "docs/")]
    served = {(method, "/api/v1/" + re.sub(r"<\w+:(\w+)>", r"{\1}", path)) for method, path in doors}
    assert {(method, path) for path, method, _ in operations(document)} == served


@pytest.mark.parametrize(("kind", "state"), [("agents/{agent}", "suspended"), ("pipelines/{pipeline}", "active")])
def test_what_is_reinstated_comes_back_as_the_document_says(document: Any, kind: str, state: str) -> None:
    said = document["paths"][f"/api/v1/{kind}/reinstate/"]["post"]["description"]
    assert [each for each in ("suspended", "active") if re.search(rf"(is|back) {each}", said)] == [state]


def test_every_kind_of_wait_is_explained(document: Any) -> None:
    kind = document["components"]["schemas"]["Wait"]["properties"]["kind"]
    assert {part.split(":")[0].strip() for part in kind["description"].split(";")} == set(kind["enum"])


def test_every_operation_says_what_it_does_needs_and_refuses(document: Any) -> None:
    for path, method, said in operations(document):
        at = f"{method} {path}"
        assert said["summary"] and said["operationId"] and said["tags"] and len(said["description"]) > 60, at
        keys = [{"agentKey": []}] if SCOPES in said else []
        assert said["security"] == [{"token": []}, {"cookieAuth": []}, *keys], at
        assert {"400", "401"} <= set(said["responses"]), at
        assert method == "get" or "403" in said["responses"], at
        for status, response in said["responses"].items():
            assert response["description"], at
            kind = "application/json" if status < "300" else "application/problem+json"
            assert status == "204" or list(response["content"]) == [kind], f"{at} {status}"
        assert all(each.get("description") for each in said.get("parameters", [])), at
        if "requestBody" in said:
            assert said["requestBody"]["content"]["application/json"]["schema"]["examples"], at


def test_every_reference_leads_to_a_component(document: Any) -> None:
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named <= set(document["components"]["schemas"])
    assert set(document["components"]["securitySchemes"]) == {"token", "cookieAuth", "agentKey"}


def test_a_key_of_an_agent_opens_these_and_nothing_else(document: Any) -> None:
    """An operation that names no scope is for people, so that a new one is closed to agents until somebody opens it."""
    own, runs = "/api/v1/agents/{agent}/", "/api/v1/runs/"
    assert {(method, path): said[SCOPES] for path, method, said in operations(document) if SCOPES in said} == {
        **{("get", path): ["*"] for path in ("/api/v1/", "/api/v1/me/")},
        **{("get", f"{own}{of}"): ["read"] for of in ("", "versions/", "versions/{number}/", "permissions/")},
        ("get", f"{own}may/"): ["can"],
        **{("get", f"{runs}{of}"): ["read", "start"] for of in ("", "{run}/", "{run}/events/")},
        **{("post", f"{runs}{of}"): ["start"] for of in ("", "{run}/cancel/")},
    }


def test_the_page_leads_through_the_life_of_a_run(document: Any) -> None:
    """Whoever has this page alone finds each step of it, in order, as an operation that exists."""
    told = document["info"]["description"]
    steps = [
        "POST /api/v1/tokens/",
        "GET /api/v1/pipelines/{pipeline}/",
        "POST /api/v1/runs/",
        "GET /api/v1/runs/{run}/events/",
        "GET /api/v1/runs/{run}/",
    ]
    steps += ["POST /api/v1/runs/{run}/cancel/", "POST /api/v1/runs/{run}/reverify/"]
    assert all(step in told for step in steps)
    for step in re.findall(r"`(GET|POST) (/api/v1/[^`?]*)", told):
        assert step[0].lower() in document["paths"][step[1]], step


def test_the_page_is_served_whole_by_this_site_under_a_strict_policy() -> None:
    page = Client().get("/api/v1/docs/")
    policy, text = page.headers["Content-Security-Policy"], page.content.decode()
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "http" not in re.sub(r"<!DOCTYPE[^>]*>", "", text) and not re.findall(r"<script>|<style| on\w+=", text)
    for asset in re.findall(r'(?:src|href)="([^"]+)"', text):
        assert Client().get(asset).status_code == 200, asset


def test_the_reference_page_has_every_code(document: Any) -> None:
    assert {row[0] for row in documents.table_rows(REFERENCE, "code")} == codes(document)


def test_the_reference_page_has_every_operation(document: Any) -> None:
    page = REFERENCE.read_text(encoding="utf-8")
    assert [at for path, method, _ in operations(document) if (at := f"`{method.upper()} {path.removeprefix('/api/v1')}`") not in page] == []


@pytest.mark.django_db(transaction=True)
def test_the_shape_of_a_run_has_every_member_of_the_run_document(document: Any, caller: Caller) -> None:
    said = pipelines.run(input={"number": 1})
    schemas = document["components"]["schemas"]
    assert set(schemas["Run"]["properties"]) == set(said)
    assert set(schemas["Step"]["properties"]) == set(said["steps"][0])
    assert set(schemas["Call"]["properties"]) == set(said["steps"][0]["calls"][0])
