"""Every model provider passes the same suite: the one behind the SDK against a server on this machine, and the one with recorded replies."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.prices import Tokens
from runs.adapters.asking import OVERHEAD_TOKENS, Answered, Provider, Question, Unanswered
from runs.adapters.messages import Received
from runs.adapters.providers.anthropic import Anthropic
from runs.adapters.providers.scripted import Scripted
from tests import messages_server as server

QUESTION = Question(
    model="some-model",
    endpoint="",
    secret_ref="",
    instructions="Say something.",
    turns=(("user", '{"about":"rain"}'),),
    schema={"type": "object"},
    max_tokens=500,
    stream=False,
    timeout_s=5.0,
)
USED = Tokens(1_000, 40, 8, 200)
GOOD = {"words": "it will rain", "grüße": "☂"}

Asking = Callable[[Question], Any]
CASES: dict[str, tuple[Callable[[server.Exchange], None], dict[str, Any]]] = {
    "value": (server.replies(GOOD), {"value": GOOD, "usage": {"input": 1_000, "cache_read": 40, "cache_write": 8, "output": 200}}),
    "words": (server.replies("no tool for me", stop="end_turn"), {"text": "no tool for me"}),
    "silent on usage": (server.replies(GOOD, usage=None), {"value": GOOD}),
    "declined": (server.replies(GOOD, stop="refusal"), {"value": GOOD, "end": "declined"}),
    "cut": (server.replies(GOOD, stop="max_tokens"), {"value": GOOD, "end": "cut"}),
    "busy": (server.fails(429, retry_after=7), {"fails": "busy", "free": True, "pause_s": 7}),
    "broken": (server.fails(500), {"fails": "broken"}),
    "never": (server.never, {"value": GOOD, "after_s": 60}),
}


@pytest.fixture(params=["anthropic", "anthropic streamed", "scripted"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    @contextmanager
    def giving(case: str) -> Iterator[tuple[Provider, Question]]:
        behave, recorded = CASES[case]
        if request.param == "scripted":
            file = tmp_path / "replies.json"
            file.write_text(json.dumps({"replies": {QUESTION.digest(): recorded}}), encoding="utf-8")
            yield Scripted(), replace(QUESTION, endpoint=str(file))
            return
        with server.serving(behave) as there:
            yield Anthropic(), replace(QUESTION, endpoint=there.url, stream=request.param.endswith("streamed"))

    return giving


async def ask(giving: Any, case: str, **changes: Any) -> Answered | Unanswered:
    with giving(case) as (provider, question):
        try:
            return await provider.ask(replace(question, **changes))
        finally:
            await provider.close()


async def test_a_value_comes_with_what_it_used(provider: Any) -> None:
    answer = await ask(provider, "value")
    assert isinstance(answer, Answered)
    assert (json.loads(answer.text), answer.end, answer.tokens) == (GOOD, "complete", USED)


async def test_words_instead_of_a_value_are_handed_on_as_they_are(provider: Any) -> None:
    answer = await ask(provider, "words")
    assert isinstance(answer, Answered)
    assert (answer.text, answer.end) == ("no tool for me", "complete")


async def test_no_usage_is_not_zero(provider: Any) -> None:
    answer = await ask(provider, "silent on usage")
    assert isinstance(answer, Answered)
    assert answer.tokens is None


@pytest.mark.parametrize("end", ["declined", "cut"])
async def test_an_answer_that_ends_otherwise_says_so(provider: Any, end: str) -> None:
    answer = await ask(provider, end)
    assert isinstance(answer, Answered)
    assert answer.end == end


async def test_a_busy_server_did_nothing_and_asks_to_be_left_alone(provider: Any) -> None:
    answer = await ask(provider, "busy")
    assert isinstance(answer, Unanswered)
    assert (answer.cause, answer.free, answer.pause_s) == ("upstream", True, 7.0)


async def test_what_a_broken_server_has_done_nobody_knows(provider: Any) -> None:
    answer = await ask(provider, "broken")
    assert isinstance(answer, Unanswered)
    assert (answer.cause, answer.free, answer.tokens) == ("upstream", False, None)


async def test_an_answer_that_does_not_come_ends_at_its_bound(provider: Any) -> None:
    answer = await ask(provider, "never", timeout_s=0.3)
    assert isinstance(answer, Unanswered)
    assert (answer.cause, answer.free) == ("upstream", False)
    assert "within 0.3 s" in answer.message


# --- what only one of them has ---


async def test_the_question_goes_out_as_a_tool_that_must_be_used(tmp_path: Path) -> None:
    with server.serving(server.replies(GOOD)) as there:
        provider = Anthropic()
        await provider.ask(replace(QUESTION, endpoint=there.url + "/under/a/path"))
        await provider.close()
    (asked,) = there.asked
    assert asked.path == "/under/a/path/v1/messages"
    assert asked.body == {
        "model": "some-model",
        "max_tokens": 500,
        "stream": False,
        "system": "Say something.",
        "messages": [{"role": "user", "content": '{"about":"rain"}'}],
        "tools": [{"name": "answer", "description": "Give the whole answer here.", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "answer"},
    }


@pytest.mark.parametrize(
    ("headers", "body"),
    [({"Content-Encoding": "gzip"}, b"x"), ({"Location": "http://127.0.0.1:9/elsewhere"}, b""), ({}, b" " * (9 * 1024 * 1024))],
    ids=["compressed", "redirect", "endless"],
)
async def test_an_answer_that_would_lead_elsewhere_or_has_no_end_is_not_read(headers: dict[str, str], body: bytes) -> None:
    with server.serving(lambda exchange: exchange.send(302 if "Location" in headers else 200, body, headers)) as there:
        provider = Anthropic()
        answer = await provider.ask(replace(QUESTION, endpoint=there.url))
        await provider.close()
    assert isinstance(answer, Unanswered)
    assert (answer.cause, answer.tokens, len(there.asked)) == ("upstream", None, 1)


@pytest.mark.parametrize(
    "event",
    [b'data: {"no": "type"}\n\n', b"data: [1]\n\n", b"data: {nope\n\n", b'data: {"type": "content_block_delta", "index": 3, "delta": {}}\n\n'],
)
async def test_events_that_make_no_sense_are_the_servers_failure(event: bytes) -> None:
    def behave(exchange: server.Exchange) -> None:
        exchange.begin_stream()
        exchange.handler.wfile.write(b"event: message_start\n" + event)

    with server.serving(behave) as there:
        provider = Anthropic()
        answer = await provider.ask(replace(QUESTION, endpoint=there.url, stream=True))
        await provider.close()
    assert isinstance(answer, Unanswered)
    assert "Messages protocol" in answer.message


async def test_recorded_replies_answer_by_place_where_none_was_recorded_for_the_question(tmp_path: Path) -> None:
    file = tmp_path / "replies.json"
    file.write_text(json.dumps({"otherwise": [{"value": {"n": 1}}, {"value": {"n": 2}}]}))
    provider, first = Scripted(), replace(QUESTION, endpoint=str(file))
    repair = replace(first, turns=(*first.turns, ("assistant", "{}"), ("user", "again")))
    said = [await provider.ask(each) for each in (first, repair, first)]
    assert [json.loads(each.text)["n"] for each in said if isinstance(each, Answered)] == [1, 2, 1]
    third = await provider.ask(replace(repair, turns=(*repair.turns, *repair.turns[1:])))
    assert isinstance(third, Unanswered)
    assert third.free and "no reply was recorded for " in third.message


@pytest.mark.parametrize("content", ["[]", "{", '{"otherwise": [{}]}', '{"otherwise": [{"value": 1, "usage": {"inputs": 1}}]}', '{"otherwise": 5}'])
async def test_recorded_replies_that_cant_be_read_are_a_failure_and_not_a_crash(tmp_path: Path, content: str) -> None:
    file = tmp_path / "replies.json"
    file.write_text(content)
    answer = await Scripted().ask(replace(QUESTION, endpoint=str(file)))
    assert isinstance(answer, Unanswered)
    assert (answer.cause, answer.free) == ("upstream", True)


@pytest.mark.parametrize("text", ["rain", "☂☂☂☂", "ﷺ" * 100, "\u0958" * 50])
def test_no_more_tokens_can_go_in_than_the_bound(text: str) -> None:
    import unicodedata

    asked = replace(QUESTION, turns=(("user", text),))
    assert asked.most_tokens() >= len(unicodedata.normalize("NFKC", text).encode()) + OVERHEAD_TOKENS
    assert asked.most_tokens() >= len(text.encode()) + OVERHEAD_TOKENS


async def test_whatever_goes_wrong_while_an_answer_is_read_counts_what_was_received(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: Received) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Received, "answer", failing)
    with server.serving(server.replies(GOOD)) as there:
        provider = Anthropic()
        answer = await provider.ask(replace(QUESTION, endpoint=there.url))
        await provider.close()
    assert isinstance(answer, Unanswered)
    assert (answer.cause, answer.message) == ("upstream", "its answer could not be read (ZeroDivisionError)")
    assert answer.tokens is not None and answer.tokens.input == USED.input


async def test_a_cookie_that_a_server_sets_is_sent_to_nobody() -> None:
    headers = {"Set-Cookie": "who=you; Path=/"}
    with server.serving(lambda exchange: exchange.send(200, json.dumps(server.message(GOOD)).encode(), headers)) as there:
        provider = Anthropic()
        for _ in range(2):
            assert isinstance(await provider.ask(replace(QUESTION, endpoint=there.url)), Answered)
        await provider.close()
    assert ["cookie" in asked.headers for asked in there.asked] == [False, False]
