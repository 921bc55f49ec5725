"""Reads the document of a pipeline into its normal form: input, criteria, verify, limits; its steps are read beside it.

Must not judge what publishing judges. Used by `read`.
"""

import re
from typing import Any

from agents.spec.fields import Fields, described
from agents.spec.nodes import NodeReader
from agents.spec.permissions import read_permissions

PRIORITIES = ("low", "normal", "high")
DEFAULT_RUN_TIMEOUT_MS = 3_600_000

_CRITERION = re.compile(r"[a-z][a-z0-9_-]{0,62}")


def read_pipeline(fields: Fields) -> dict[str, Any]:
    """The normal form of a pipeline; `input` and `verify` are None where the file has none."""
    spec: dict[str, Any] = {
        "name": fields.name("name", required="name: my-pipeline"),
        "team": fields.name("team", required="team: the team that owns it"),
        "accountable": fields.text_or_empty("accountable"),
        "purpose": fields.text("purpose") or "",
        "input": fields.mapping("input"),
        "criteria": _criteria(fields),
        "steps": _steps(fields),
        "verify": _verify(fields),
        "limits": _limits(fields),
        "replayable": fields.boolean("replayable"),
    }
    if fields.has("priority"):  # only what is said: others keep their digests
        spec["priority"] = fields.choice("priority", PRIORITIES, default="normal")
    if fields.has("permissions"):  # an upper bound for its runs; none said is none
        spec["permissions"] = read_permissions(fields)
    return spec


def _criteria(fields: Fields) -> dict[str, dict[str, str]]:
    if fields.get("criteria") is None:
        return {}
    inner = fields.inner("criteria")
    criteria = {}
    for name in inner.value:
        if not _CRITERION.fullmatch(name):
            inner.page.note((*inner.raw, name), f"the criterion {name[:80]!r} must be named with small letters, digits and hyphens")
        criterion = _criterion(inner, name)
        if criterion is not None:
            criteria[name] = criterion
    return criteria


def _criterion(fields: Fields, name: str) -> dict[str, str] | None:
    value = fields.get(name, required="a condition such as size(result.items) > 0")
    if isinstance(value, str) and value.strip():
        if value.startswith("="):
            fields.wrong(name, "is a condition already; leave the = at its beginning out")
        return {"expression": value.strip()}
    if isinstance(value, dict):
        inner = fields.inner(name)
        judged = inner.text("judged", required="judged: a sentence that the verifier must judge")
        inner.finish()
        return None if judged is None else {"judged": judged}
    if value is not None:
        fields.wrong(name, f"must be a condition or {{judged: sentence}}, not {described(value)}")
    return None


def _steps(fields: Fields) -> list[dict[str, Any]]:
    value = fields.get("steps", required="steps: a list of {id: …, agent: …}")
    if value is None:
        return []
    return NodeReader(fields.page).sequence(value, raw=(*fields.raw, "steps"), spec=(*fields.spec, "steps"), what="'steps'")


def _verify(fields: Fields) -> dict[str, Any] | None:
    if fields.get("verify") is None:
        return None
    inner = fields.inner("verify")
    verify = {
        "agent": inner.name("agent", required="agent: the agent that verifies"),
        "with": inner.mapping("with") or {},
        "timeout_ms": inner.duration("timeout"),
    }
    inner.finish(elsewhere={"approve_when": "belongs to a step: a verdict is nobody's to approve"})
    return verify


def _limits(fields: Fields) -> dict[str, Any]:
    if fields.get("limits") is None:
        return {"timeout_ms": DEFAULT_RUN_TIMEOUT_MS, "cost_nano": None, "calls": None}
    inner = fields.inner("limits")
    limits = {
        "timeout_ms": inner.duration("timeout", default=DEFAULT_RUN_TIMEOUT_MS),
        "cost_nano": inner.money("cost"),
        "calls": inner.integer("calls", least=1, most=1_000_000),
    }
    if inner.has("max_lifetime"):
        limits["max_lifetime_ms"] = inner.duration("max_lifetime")
    inner.finish({"tokens": "limit cost and calls"})
    return limits
