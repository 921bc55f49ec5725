"""A model's turn: what its reply means, and the one repair that a reply which breaks its contract gets. Pure.

The worker carries each call through intent, boundary and settlement; here it is only read.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from audit import canonical
from runs.boundary import Reply, Request, with_bound
from runs.engine.states import Cause

_DECLINED: Final = {
    "declined": "the model declined to answer",
    "cut": "the answer was cut at its limit (max_tokens {most:,}); allow more, or ask for less",
}


def following(request: Request, reply: Reply) -> Request | None:
    """The repair of a reply that breaks its contract, as a call of its own; None where there is nothing to repair, or it was one already."""
    if reply.cause is not None or reply.value["end"] != "complete" or request.repair is not None:
        return None
    violations = _violations(request, reply.value["text"])
    if not violations:
        return None
    repair = {"reply": reply.value["text"], "violations": violations}
    return with_bound(replace(request, ordinal=request.ordinal + 1, repair=repair))


def meaning(request: Request, reply: Reply) -> Reply:
    """The last reply as a step's: the value that the model gave, or why there is none."""
    if reply.cause is not None:
        return reply
    end = reply.value["end"]
    if end in _DECLINED:
        return replace(reply, cause=Cause.REFUSED, message=_DECLINED[end].format(most=request.agent.spec["run"]["model"]["max_tokens"]))
    try:
        return replace(reply, value=_read(reply.value["text"]))
    except _NotJson as wrong:
        return replace(
            reply, cause=Cause.CONTRACT, message=f"the reply of '{request.agent.name}' can't be taken, and its repair can't either: {wrong}"
        )


def recalled(receipt: Mapping[str, Any]) -> Reply:
    """A reply that was written down before the worker died."""
    return Reply(value=dict(receipt))


def _violations(request: Request, text: str) -> list[str]:
    try:
        value = _read(text)
    except _NotJson as wrong:
        return [str(wrong)]
    return list(request.agent.gives.violations(value))


class _NotJson(Exception):
    """Nothing that could be taken; the message is for whoever gave it."""


def _read(text: str) -> Any:
    """What a text means, if it means one thing, to everybody, and can be written down."""
    try:
        value = json.loads(text, object_pairs_hook=_once)
        canonical.canonical_bytes(value, depth=canonical.MAX_DEPTH)
    except canonical.NotCanonical as error:
        raise _NotJson(f"the answer can't be written as JSON: {error}") from None
    except (ValueError, RecursionError):
        raise _NotJson("the answer is not JSON") from None
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _NotJson(f"the answer has the key {key[:80]!a} twice in one object")
        found[key] = value
    return found
