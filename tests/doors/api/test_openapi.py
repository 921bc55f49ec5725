"""The OpenAPI document: valid, whole, and enough for a reader who has nothing else."""

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from tests import documents

ROOT = documents.ROOT


@pytest.fixture(scope="module")
def document() -> Any:
    answer = Client().get("/api/v1/schema/")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/vnd.oai.openapi+json;version=3.1")
    return json.loads(answer.content)


def operations(document: Any) -> list[tuple[str, str, Any]]:
    return [(path, method, each) for path, methods in document["paths"].items() for method, each in methods.items()]


def test_the_document_is_valid_without_a_warning(tmp_path: Any) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml"))
    assert (tmp_path / "schema.yaml").read_text().startswith("openapi: 3.1.0\n")
