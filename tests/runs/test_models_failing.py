"""Models that fail: each ends at its bound with its cause and owner, is charged for what is known or at the bound, and nothing else suffers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.prices import Tokens
from audit.wording import money
from tests import messages_server as server
from tests import models, pipelines

pytestmark = pytest.mark.django_db(transaction=True)

GOOD = {"words": "it will rain"}
BAD = {"words": ""}
REPORTED = models.PRICE.cost_nano(Tokens(1_000, 40, 8, 200))


@pytest.fixture(autouse=True)
def price(transactional_db: None) -> None:
    models.priced()


def asked(
    behave: Callable[[server.Exchange], None], folder: Path, *, stream: bool = False, **parts: Any
) -> tuple[dict[str, Any], server.MessagesServer]:
    """A run of one step against a server that behaves so."""
    agent = {name: parts.pop(name) for name in ("timeout", "max_tokens") if name in parts}
    with server.serving(behave) as there:
        models.publish(folder, models.alias(endpoint=there.url), models.agent(stream=stream, **agent), **parts)
        return models.run(), there


def reserved(said: dict[str, Any]) -> int:
    """What was held for the run's first call, as its intent says."""
    from audit.models import Entry

    entry = Entry.objects.filter(run=pipelines.id_of(said), verb="runs.call.dispatched").order_by("seq").first()
    return int(entry.envelope()["facts"]["reserved_nano"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("behave", "words", "free"),
    [
        (server.fails(429), "status 429: not now", True),
        (server.fails(529), "status 529", True),
        (server.fails(400), "status 400", True),
        (server.fails(500), "status 500", False),
        (server.nonsense, "Messages protocol", False),
        (server.hangs_up, "the connection failed", False),
        (server.never, "no whole answer within", False),
    ],
    ids=["429", "529", "400", "500", "nonsense", "hangs-up", "never"],
)
def test_a_server_that_fails_is_its_aliases_failure(tmp_path: Path, behave: Any, words: str, free: bool, stream: bool) -> None:
    said, there = asked(behave, tmp_path, stream=stream, timeout="5s" if behave is server.never else "60s")
    failure = said["failure"]
    assert (said["outcome"], failure["cause"], failure["owner"], failure["team"]) == ("failed", "upstream", "alias:reasoning", "platform")
    assert words in failure["message"]
    assert len(there.asked) == 1  # the SDK doesn't try again by itself
    (charge,) = models.charges(said)
    assert (charge.amount_nano, charge.estimated) == ((0, False) if free else (reserved(said), True))
    assert charge.amount_nano == int(said["cost_nano"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("stop", "words"), [("refusal", "declined"), ("max_tokens", "cut at its limit"), ("model_context_window_exceeded", "cut")])
def test_a_model_that_declines_or_is_cut_is_refused_and_its_tokens_are_paid(tmp_path: Path, stop: str, words: str, stream: bool) -> None:
    said, there = asked(server.replies(GOOD, stop=stop), tmp_path, stream=stream)
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("refused", "agent:writer")
    assert words in said["failure"]["message"]
    assert len(there.asked) == 1
    (charge,) = models.charges(said)
    assert (charge.amount_nano, charge.estimated) == (REPORTED, False)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("stop", [["end_turn"], {"end": "turn"}, 1, "unheard-of", None], ids=repr)
def test_a_reason_to_stop_that_nobody_knows_is_the_servers_failure(tmp_path: Path, stop: Any, stream: bool) -> None:
    said, _ = asked(server.replies(GOOD, stop=stop), tmp_path, stream=stream)
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("upstream", "alias:reasoning")
    assert "it stopped for a reason that nobody here knows" in said["failure"]["message"]
    (charge,) = models.charges(said)
    assert (charge.amount_nano, charge.estimated) == (REPORTED, True)


@pytest.mark.parametrize("stream", [False, True])
def test_where_no_usage_is_reported_the_bound_is_charged_and_marked(tmp_path: Path, stream: bool) -> None:
    said, _ = asked(server.replies(GOOD, usage=None), tmp_path, stream=stream)
    assert said["label"] == "verified"
    (charge,) = models.charges(said)
    assert (charge.amount_nano, charge.estimated) == (reserved(said), True)


@pytest.mark.parametrize(
    "last",
    [{}, {"usage": None}, {"usage": {}}, {"usage": {"input_tokens": 1_000}}, {"usage": {"output_tokens": None}}, {"usage": {"output_tokens": -1}}],
    ids=str,
)
def test_the_count_with_which_a_stream_begins_is_no_usage_of_its_whole(tmp_path: Path, last: dict[str, Any]) -> None:
    said, _ = asked(lambda exchange: server.stream(exchange, GOOD, last=last), tmp_path, stream=True)
    assert said["label"] == "verified"
    (charge,) = models.charges(said)
    assert (charge.amount_nano, charge.estimated) == (reserved(said), True)


def test_a_count_on_the_way_is_no_usage_of_the_whole_stream(tmp_path: Path) -> None:
    def behave(exchange: server.Exchange) -> None:
        event = exchange.event

        def with_a_count_before_its_end(said: Any) -> None:
            if said["type"] == "message_delta":
                event({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 5}})
            event(said)

        exchange.event = with_a_count_before_its_end  # type: ignore[method-assign]
        server.stream(exchange, GOOD, last={})

    said, _ = asked(behave, tmp_path, stream=True)
    (charge,) = models.charges(said)
    assert (charge.amount_nano, charge.estimated) == (reserved(said), True)


def test_the_last_event_of_a_stream_corrects_every_count_that_it_gives(tmp_path: Path) -> None:
    last = {"usage": {"input_tokens": 900, "cache_read_input_tokens": 30, "cache_creation_input_tokens": None, "output_tokens": 150}}
    said, _ = asked(lambda exchange: server.stream(exchange, GOOD, last=last), tmp_path, stream=True)
    (charge,) = models.charges(said)
    assert (charge.amount_nano, charge.estimated) == (models.PRICE.cost_nano(Tokens(900, 30, 8, 150)), False)


def test_counts_that_no_answer_can_have_are_no_usage(tmp_path: Path) -> None:
    said, _ = asked(server.replies(GOOD, usage={"input_tokens": 2**70, "output_tokens": -1}), tmp_path)
    (charge,) = models.charges(said)
    assert (charge.amount_nano, charge.estimated) == (reserved(said), True)


def test_a_broken_stream_counts_what_was_received(tmp_path: Path) -> None:
    said, _ = asked(server.cuts_stream(GOOD, after=2), tmp_path, stream=True)
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("upstream", "alias:reasoning")
    (charge,) = models.charges(said)
    received = Tokens(1_000, 40, 8, 20)  # two pieces of ten bytes, and no token is shorter than a byte
    assert (charge.output_tokens, charge.amount_nano, charge.estimated) == (20, models.PRICE.cost_nano(received), True)
    assert charge.amount_nano < reserved(said)


def test_a_stream_that_its_server_ends_with_an_error_says_why_and_counts_what_was_received(tmp_path: Path) -> None:
    def behave(exchange: server.Exchange) -> None:
        server.stream(exchange, GOOD, cut_after=1)
        exchange.event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})

    said, _ = asked(behave, tmp_path, stream=True)
    assert "it ended its stream with an error (Overloaded)" in said["failure"]["message"]
    (charge,) = models.charges(said)
    assert (charge.output_tokens, charge.estimated) == (10, True)


def test_where_nothing_could_be_sent_nothing_is_charged(tmp_path: Path) -> None:
    with server.serving(server.replies(GOOD)) as gone:
        endpoint = gone.url
    models.publish(tmp_path, models.alias(endpoint=endpoint), models.agent())
    said = models.run()
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("upstream", "alias:reasoning")
    assert (said["cost_nano"], [charge.estimated for charge in models.charges(said)]) == ("0", [False])


def test_a_reply_that_breaks_its_contract_is_repaired_once_in_a_call_of_its_own(tmp_path: Path) -> None:
    said, there = asked(server.replies(BAD, GOOD), tmp_path)
    assert (said["label"], said["result"], said["calls"]) == ("verified", GOOD, 3)  # two of the model, one of the verifier
    assert [(call["ordinal"], call["state"]) for call in pipelines.step(said, "only")["calls"]] == [(0, "confirmed"), (1, "confirmed")]
    first, second = (request.body["messages"] for request in there.asked)
    assert second[:1] == first
    assert "shorter than 3" in second[2]["content"]
    assert [charge.amount_nano for charge in models.charges(said)] == [REPORTED, REPORTED]


@pytest.mark.parametrize("bad", [BAD, "I would rather talk", {"wörds": "\ud800"}])
def test_a_reply_that_stays_wrong_breaks_the_contract(tmp_path: Path, bad: Any) -> None:
    said, there = asked(server.replies(bad), tmp_path)
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("contract", "agent:writer")
    assert len(there.asked) == 2
    assert [charge.estimated for charge in models.charges(said)] == [False, False]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ('{"words": "sun", "words": "rain"}', "the key 'words' twice"),
        ('{"words": "rain\\ud800"}', "can't be written"),
        ('{"words": "rain", "more": NaN}', "can't be written"),
    ],
    ids=["a key twice", "half a character", "NaN"],
)
def test_a_reply_that_means_no_one_thing_is_repaired_and_its_repair_is_told_why(tmp_path: Path, bad: str, words: str, stream: bool) -> None:
    def behave(exchange: server.Exchange) -> None:
        if exchange.number:
            server.replies(GOOD)(exchange)
        elif stream:
            server.stream(exchange, bad)
        else:
            exchange.send(200, json.dumps(server.message({})).replace('"input": {}', f'"input": {bad}').encode())

    said, there = asked(behave, tmp_path, stream=stream)
    assert (said["label"], said["result"], len(there.asked)) == ("verified", GOOD, 2)
    assert words in there.asked[1].body["messages"][2]["content"]


def test_a_declared_retry_waits_as_long_as_the_server_asks(tmp_path: Path) -> None:
    behave = server.in_turn(server.fails(429, retry_after=2), server.replies(GOOD))
    steps = "- {id: only, agent: writer, with: {about: =input.about}, retry: {max: 1, backoff: 10ms}}"
    said, there = asked(behave, tmp_path, steps=steps)
    assert (said["label"], len(there.asked)) == ("verified", 2)
    first, second = there.asked
    assert second.at - first.at >= 2  # and without the header some hundredths


def test_a_stream_that_goes_silent_has_stalled(tmp_path: Path) -> None:
    steps = "- {id: only, agent: writer, with: {about: =input.about}, progress_timeout: 500ms}"
    said, _ = asked(lambda exchange: server.stream(exchange, GOOD, hang_after=1), tmp_path, stream=True, steps=steps)
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("stalled", "alias:reasoning")
    assert models.charges(said)[0].estimated


def test_every_event_of_a_stream_is_progress(tmp_path: Path) -> None:
    steps = "- {id: only, agent: writer, with: {about: =input.about}, progress_timeout: 3s}"
    said, _ = asked(lambda exchange: server.stream(exchange, GOOD, pause_s=1.2), tmp_path, stream=True, steps=steps)
    assert said["label"] == "verified"


def test_a_progress_timeout_needs_a_stream(tmp_path: Path) -> None:
    from agents.errors import NotPublishable

    steps = "- {id: only, agent: writer, with: {about: =input.about}, progress_timeout: 500ms}"
    with pytest.raises(NotPublishable) as refused:
        asked(server.replies(GOOD), tmp_path, steps=steps)
    assert "`stream: true`" in str(refused.value.details["problems"][0])


def test_the_runs_cost_limit_refuses_before_anything_is_sent(tmp_path: Path) -> None:
    said, there = asked(server.replies(GOOD), tmp_path, more="limits: {cost: 0.001 USD}")
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("budget", "pipeline:sample")
    assert "cost limit of 0.001 USD (limits.cost; spent and reserved 0 USD, asked 0.0" in said["failure"]["message"]
    assert (there.asked, models.charges(said), said["cost_nano"]) == ([], [], "0")


def test_a_repair_is_held_against_the_cost_limit_too(tmp_path: Path) -> None:
    with server.serving(server.replies(BAD, GOOD)) as there:
        models.publish(tmp_path / "one", models.alias(endpoint=there.url), models.agent())
        bound = reserved(models.run())
        models.publish(tmp_path / "two", models.alias(endpoint=there.url), models.agent(), more=f"limits: {{cost: {money(bound + REPORTED)}}}")
        there.asked.clear()
        said = models.run()
    assert (said["failure"]["cause"], len(there.asked)) == ("budget", 1)
    assert [charge.amount_nano for charge in models.charges(said)] == [REPORTED]


def test_without_a_price_nothing_is_sent(tmp_path: Path) -> None:
    with server.serving(server.replies(GOOD)) as there:
        models.publish(tmp_path, models.alias(endpoint=there.url, model="unheard-of"), models.agent())
        said = models.run()
    assert (said["failure"]["cause"], said["failure"]["owner"], said["failure"]["team"]) == ("budget", "alias:reasoning", "platform")
    assert "manage.py prices set anthropic unheard-of" in said["failure"]["message"]
    assert there.asked == []


def test_a_call_larger_than_its_price_is_known_for_is_not_made(tmp_path: Path) -> None:
    from dataclasses import replace

    models.priced(replace(models.PRICE, input_limit=2_100))
    said, there = asked(server.replies(GOOD), tmp_path)
    assert (said["failure"]["cause"], there.asked) == ("budget", [])
    assert "its price is known up to 2,100" in said["failure"]["message"]


def test_a_live_provider_is_never_asked_where_that_is_switched_off(tmp_path: Path) -> None:
    models.publish(tmp_path, models.alias(endpoint="https://api.example.com"), models.agent())
    said = models.run()
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("denied", "alias:reasoning")
    assert "ORCHESTRA_LIVE_MODELS is off" in said["failure"]["message"]
    assert models.charges(said)[0].amount_nano == 0


def test_one_branch_whose_server_is_silent_costs_the_others_nothing(tmp_path: Path) -> None:
    functions = "def work() -> dict:\n    return {'words': 'by hand'}\n"
    steps = "- {id: both, min_success: any, parallel: {asks: [{id: ask, agent: writer, with: {}}], works: [{id: do, agent: worker}]}}"
    with server.serving(server.never) as there:
        documents = [models.alias(endpoint=there.url), models.agent(timeout="5s"), pipelines.agent("worker", "work:work")]
        models.publish(tmp_path, *documents, steps=steps, functions=functions)
        said = models.run()
    assert (said["label"], said["result"]) == ("degraded", {"asks": None, "works": {"words": "by hand"}})
    assert [part["owner"] for part in said["missing"]] == ["alias:reasoning"]
