"""ops-digest with its words from a model: recorded, and through the real SDK against a server that words them; the auditor recomputes all of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import digest
import pytest

from agents import registry
from agents.models import Price
from agents.prices import Tokens
from tests import messages_server as server
from tests import models, pipelines

pytestmark = pytest.mark.django_db(transaction=True)

AS_OF = pipelines.instant("2014-02-28T14:25:00Z")
RECORDED = "provider: scripted\nmodel: recorded\nendpoint: replies.json\n"
USAGE = {"input_tokens": 1_234, "cache_read_input_tokens": 567, "cache_creation_input_tokens": 89, "output_tokens": 321}


def worded(change: Callable[[dict[str, Any]], None] = lambda words: None) -> Callable[[server.Exchange], None]:
    """A model that is good at this: it words what it is given as the writer of the example would, and then changes something."""

    def behave(exchange: server.Exchange) -> None:
        asked = json.loads(exchange.server.asked[exchange.number].body["messages"][0]["content"])
        said = digest.write("", asked["as_of"], asked["findings"])
        words = {"headline": said["headline"], "lines": said["lines"]}
        change(words)
        server.replies(words, usage=USAGE)(exchange)

    return behave


def published(there: server.MessagesServer, shipped: Path, folder: Path, *, stream: bool = True) -> None:
    """The example with its alias swapped for a live model, as the comment in its file says."""
    shutil.copytree(shipped, folder)
    text = (folder / "worded.yaml").read_text()
    live = f"provider: anthropic\nmodel: claude-sonnet-5\nendpoint: {there.url}\n"
    text = text.replace(RECORDED, live).replace("stream: true", f"stream: {str(stream).lower()}")
    (folder / "worded.yaml").write_text(text if stream else text.replace("    progress_timeout: 20s\n", ""))
    registry.apply_folder(folder, actor=pipelines.SYSTEM, publish=True)


def run(feed: str) -> dict[str, Any]:
    return pipelines.run("ops-digest-worded", input={"feed": feed}, as_of=AS_OF)


def test_recorded_words_are_verified_without_a_key(ops_digest: Path, shipped: str) -> None:
    registry.apply_folder(ops_digest, actor=pipelines.SYSTEM, publish=True)
    said = run(shipped)
    assert said["label"] == "verified as of 2014-02-28T14:25:00Z"
    assert "47 of 47 numbers" in said["verdict"]["summary"]
    assert pipelines.step(said, "word")["calls"][0]["kind"] == "model"


def test_words_for_another_feed_were_not_recorded(ops_digest: Path, csv_of: Any) -> None:
    registry.apply_folder(ops_digest, actor=pipelines.SYSTEM, publish=True)
    said = pipelines.run("ops-digest-worded", input={"feed": csv_of([1.0, 2.0, 3.0])}, as_of=pipelines.instant("2026-01-05T00:05:00Z"))
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("upstream", "alias:wording")
    assert "no reply was recorded for" in said["failure"]["message"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_live_models_words_are_recomputed_and_charged_by_the_price_row(ops_digest: Path, shipped: str, tmp_path: Path, stream: bool) -> None:
    with server.serving(worded()) as there:
        published(there, ops_digest, tmp_path / "live", stream=stream)
        said = run(shipped)
    assert said["label"] == "verified as of 2014-02-28T14:25:00Z"
    assert "47 of 47 numbers" in said["verdict"]["summary"]
    assert [bool(request.body["stream"]) for request in there.asked] == [stream]
    (charge,) = models.charges(said)
    row = Price.objects.get(provider="anthropic", model="claude-sonnet-5")
    whole = 1_234 * row.input_nano + 567 * row.cache_read_nano + 89 * row.cache_write_nano + 321 * row.output_nano
    assert charge.amount_nano == -(-whole // 10**6) == row.value.cost_nano(Tokens(1_234, 567, 89, 321))
    assert (charge.price_version, charge.agent, charge.step, charge.estimated) == ("anthropic/claude-sonnet-5 1", "digest-wording", "word", False)
    assert int(said["cost_nano"]) == charge.amount_nano


def flatters(words: dict[str, Any]) -> None:
    words["lines"][0] = words["lines"][0].replace("max 68.09", "max 61.28")


def forgets(words: dict[str, Any]) -> None:
    del words["lines"][1:]


def embellishes(words: dict[str, Any]) -> None:
    words["lines"].append("ec2_cpu_utilization_5f5533: all in all a quiet fortnight")


@pytest.mark.parametrize("change", [flatters, forgets, embellishes])
def test_a_model_that_states_something_else_is_rejected_by_the_auditor(ops_digest: Path, shipped: str, tmp_path: Path, change: Any) -> None:
    with server.serving(worded(change)) as there:
        published(there, ops_digest, tmp_path / "live")
        said = run(shipped)
    assert (said["outcome"], said["exit_status"]) == ("rejected", 11)
    failed = {check["criterion"] for check in said["verdict"]["checks"] if check["verdict"] == "fail"}
    assert failed == {"sentences-say-what-the-feed-says"}
