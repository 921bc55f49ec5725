"""A model behind the Messages API, through its SDK: one request, never repeated here, its answer read as bytes and believed in nothing.

The answer is asked for as the input of a tool that must be used: every server that speaks this protocol knows that, and it takes any schema.
The SDK is imported when a run that needs it is taken (a second, 61 MiB). Knows neither runs nor prices.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, Final

import httpx2
from django.conf import settings

from runs.adapters import secrets
from runs.adapters.asking import Answered, Question, Unanswered, said
from runs.adapters.messages import AsSent, Ended, Nonsense, Received
from runs.adapters.transport import bounded_client

log = logging.getLogger(__name__)

OFFICIAL: Final = "https://api.anthropic.com"
CONNECT_S: Final = 10.0
LONGEST_PAUSE_S: Final = 3_600.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_NOT_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_DID_NOTHING: Final = frozenset({*range(400, 500), 503, 529})
"""Statuses by which a server says that it has not done the work; after any other nobody knows whether it is billed."""


class Anthropic:
    """One per engine process; holds the connections, never a key."""

    def __init__(self) -> None:
        self._http: httpx2.AsyncClient | None = None

    async def get_ready(self) -> None:
        await asyncio.to_thread(_sdk)

    async def ask(self, question: Question) -> Answered | Unanswered:
        endpoint = question.endpoint or OFFICIAL
        if not settings.ORCHESTRA_LIVE_MODELS and httpx2.URL(endpoint).host not in _LOOPBACK:
            return Unanswered("denied", "ORCHESTRA_LIVE_MODELS is off here, so only recorded replies and this machine are asked", free=True)
        try:
            secret = await asyncio.to_thread(secrets.resolve, question.secret_ref) if question.secret_ref else ""
        except secrets.NoSecret as missing:
            return Unanswered("upstream", f"it was not asked: {missing}", free=True)
        answer = await self._bounded(question, endpoint, secret)
        return _without(secret, answer)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def _bounded(self, question: Question, endpoint: str, secret: str) -> Answered | Unanswered:
        """Whatever the other side does is an answer, or a reason why there is none with what came before it."""
        sdk = await asyncio.to_thread(_sdk)
        received, limit, silence = Received(question.max_tokens, secret), asyncio.timeout(question.timeout_s), asyncio.timeout(question.silence_s)
        try:
            async with limit, silence:
                await self._talk(sdk, question, endpoint, secret, received, silence)
            return received.answer()
        except TimeoutError:
            if silence.expired():
                return received.broken("stalled", f"the stream has been silent for {question.silence_s:g} s (progress_timeout)")
            if not limit.expired():
                raise
            return received.broken("upstream", f"it gave no whole answer within {question.timeout_s:.3g} s")
        except (Nonsense, Ended) as error:
            return received.broken("upstream", str(error))
        except sdk.APIStatusError as error:
            return _refused(error, secret)
        except (sdk.APIConnectionError, httpx2.HTTPError) as error:
            cause = error.__cause__ or error
            broken = received.broken("upstream", f"the connection failed ({type(cause).__name__}: {said(cause, secret=secret)})")
            return replace(broken, free=isinstance(cause, _NOT_SENT))
        except Exception as error:  # noqa: BLE001 - a last resort; its own words may hold the key, so no log gets them
            log.warning("an answer in the Messages protocol could not be read (%s)", type(error).__name__)
            return received.broken("upstream", f"its answer could not be read ({type(error).__name__})")

    async def _talk(self, sdk: Any, question: Question, endpoint: str, secret: str, received: Received, silence: asyncio.Timeout) -> None:
        if self._http is None:
            self._http = bounded_client()
        client = sdk.AsyncAnthropic(
            api_key=secret or "none",  # explicit, so that no key of the environment is sent to an endpoint it isn't meant for
            base_url=endpoint,
            max_retries=0,  # each try is a call with its own intent, reservation and charge
            timeout=httpx2.Timeout(question.timeout_s, connect=min(CONNECT_S, question.timeout_s), pool=question.timeout_s * 0.95),
            http_client=self._http,
            open_telemetry=False,
        )
        async with client.messages.with_streaming_response.create(**_body(question)) as response:
            if not question.stream:
                received.take_whole(_json(await response.read()))
                return
            async for event in _events(sdk, response.http_response):
                _go_on(silence, question.silence_s)
                received.take(event)


def _sdk() -> Any:
    import anthropic  # noqa: PLC0415 - heavy, see above

    return anthropic


def _body(question: Question) -> dict[str, Any]:
    return {
        "model": question.model,
        "max_tokens": question.max_tokens,
        "stream": question.stream,
        "system": question.instructions,
        "messages": [{"role": role, "content": text} for role, text in question.turns],
        "tools": [{"name": "answer", "description": "Give the whole answer here.", "input_schema": dict(question.schema)}],
        "tool_choice": {"type": "tool", "name": "answer"},
    }


async def _events(sdk: Any, response: httpx2.Response) -> AsyncIterator[Mapping[str, Any]]:
    """Every event with data; pings too, for they are progress."""
    async for event in sdk.AsyncStream.raw_events(response):
        if event.data:
            yield _json(event.data)


def _json(data: bytes | str) -> Mapping[str, Any]:
    try:
        value = json.loads(data, object_pairs_hook=AsSent)
    except (ValueError, RecursionError):
        raise Nonsense("it is not JSON") from None
    if not isinstance(value, Mapping):
        raise Nonsense("it is no object")
    return value


def _go_on(silence: asyncio.Timeout, silence_s: float | None) -> None:
    if silence_s is not None:
        silence.reschedule(asyncio.get_running_loop().time() + silence_s)


def _refused(error: Any, secret: str) -> Unanswered:
    status, words = int(error.status_code), said(getattr(error, "api_message", None) or "", secret=secret)
    message = f"it answered with status {status}" + (f": {words}" if words else "")
    return Unanswered("upstream", message, {"status": status}, free=status in _DID_NOTHING, pause_s=_pause(error.response.headers.get("retry-after")))


def _pause(header: str | None) -> float:
    """Seconds that the server asks to be left alone; a date is not understood, and counts as nothing."""
    text = header.strip() if header else ""
    return min(float(text), LONGEST_PAUSE_S) if text.isascii() and text.isdigit() and len(text) < 9 else 0.0


def _without(secret: str, answer: Answered | Unanswered) -> Answered | Unanswered:
    """A server that repeats the key must not bring it into the ledger."""
    if not secret:
        return answer
    if isinstance(answer, Answered):
        return replace(answer, text=answer.text.replace(secret, "[secret]"))
    return replace(answer, message=answer.message.replace(secret, "[secret]"))
