"""A model's turn: what its reply means, and the one repair that a reply which breaks its contract gets. Pure.

The worker carries each call through intent, boundary and settlement; here it is only read.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

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
        return replace(reply, value=json.loads(reply.value["text"]))
    except (ValueError, RecursionError):
        return replace(reply, cause=Cause.CONTRACT, message=f"the reply of '{request.agent.name}' is not JSON, and its repair isn't either")


def recalled(receipt: Mapping[str, Any]) -> Reply:
    """A reply that was written down before the worker died."""
    return Reply(value=dict(receipt))


def _violations(request: Request, text: str) -> list[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ["the answer is not JSON"]
    return list(request.agent.gives.violations(value))
