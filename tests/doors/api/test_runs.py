"""Runs over REST: started once, watched, read, cancelled, judged again; and what is refused."""

import pytest

from runs.models import Run
from tests import pipelines
from tests.rest import Caller

pytestmark = pytest.mark.django_db(transaction=True)

START = {"pipeline": "sample", "input": {"number": 3}}


def test_a_run_is_started_and_shown_as_the_run_document(caller: Caller) -> None:
    started = caller.post("/runs/", START)
    assert (started.status, started.body["state"], started.body["started_by"], started.body["trigger"]) == (201, "queued", "person:alice", "api")
    said = pipelines.drive(Run.objects.get())
    shown = caller.get(started.headers["Location"])
    assert (shown.status, shown.body) == (200, said)
    assert shown.body["outcome"] == "verified"
