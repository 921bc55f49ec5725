"""The YAML format as a JSON Schema for editors (completion, hints, red underlines), made from the reader's own limits.

A convenience: what is accepted is said by `agents.spec`, which knows more rules than a schema can say.
docs/reference/pipeline.schema.json is what `editor_schema` returns; a test holds the two together.
"""

from __future__ import annotations

from typing import Any

from agents.spec.fields import IDENTIFIER, NAME
from agents.spec.inventory import INLINE, MAX_WORDS, ROLES, TOOLS
from agents.spec.model_agents import DEFAULT_MAX_TOKENS, MAX_MODEL, MAX_TOKENS, PROVIDERS
from agents.spec.nodes import DEFAULT_CONCURRENCY, DEFAULT_ROUNDS, MAX_CONCURRENCY, MAX_RETRIES, MAX_ROUNDS, MAX_SPREAD
from agents.spec.notices import EVENTS, FORMATS, MOST_WEBHOOKS
from agents.spec.pace import MOST_FAILURES
from agents.spec.permissions import EFFECTS, MAX_PERMISSIONS, REQUIRE_APPROVAL
from agents.spec.pipelines import PRIORITIES
from agents.spec.policies import DENY, MOST_DECIDERS

Schema = dict[str, Any]

NAMED: Schema = {"type": "string", "pattern": f"^(?:{NAME.pattern})$"}
IDENTIFIED: Schema = {"type": "string", "pattern": f"^(?:{IDENTIFIER.pattern})$"}
DURATION: Schema = {"type": "string", "pattern": "^(?:[0-9]+(?:ms|s|m|h|d))+$", "examples": ["500ms", "10s", "15m", "2h"]}
RATE: Schema = {"type": "string", "pattern": "^[0-9]+/(?:(?:[0-9]+(?:ms|s|m|h|d))+|second|minute|hour|day)$"}
MONEY: Schema = {"type": "string", "pattern": r"^[0-9]+(?:\.[0-9]{1,9})? ?USD$", "examples": ["0.50 USD"]}
CONDITION: Schema = {"type": "string", "description": "a CEL condition, without a leading ="}
TEXT: Schema = {"type": "string"}
REFERENCE: Schema = {"type": "string", "pattern": "^(?:env|file):"}
TEXTS: Schema = {"type": "array", "items": TEXT}
CONTRACT: Schema = {"type": "object", "description": "JSON Schema 2020-12"}
WITH: Schema = {"type": "object", "description": "values; a string that begins with = is an expression, == is a literal ="}
NODES: Schema = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/node"}}
MIN_SUCCESS: Schema = {"anyOf": [{"enum": ["all", "any"]}, {"type": "integer", "minimum": 1}]}
JUDGEMENT: Schema = {"agent": NAMED, "with": WITH, "timeout": DURATION}
PERMITTED: Schema = {"$ref": "#/$defs/permissions"}
COMMON: Schema = {"on_failure": {"enum": ["stop", "degrade"]}, "when": CONDITION}


def editor_schema() -> Schema:
    """One document of a YAML file."""
    kinds = {"team": team(), "agent": agent(), "pipeline": pipeline(), "model": model(), "policy": policy()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Orchestra: a team, agent, pipeline, model or policy",
        "type": "object",
        "required": ["kind", "name"],
        "properties": {"kind": {"enum": list(kinds)}},
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in kinds],
        "$defs": {**kinds, "node": node(), "permissions": permissions()},
    }


def team() -> Schema:
    """Who owns."""
    words: Schema = {"type": "array", "items": NAMED, "maxItems": MAX_WORDS}
    events: Schema = {"type": "array", "items": {"enum": list(EVENTS)}}
    webhook: Schema = {"webhook": TEXT, "secret": REFERENCE, "format": {"enum": list(FORMATS), "default": FORMATS[0]}, "events": events}
    notices: Schema = {"type": "array", "maxItems": MOST_WEBHOOKS, "items": _object(webhook, ["webhook"])}
    own: Schema = {"permissions": PERMITTED, "observe": {"type": "boolean"}, "verbs": words, "resources": words, "notices": notices}
    own |= {"publishing": NAMED, "resuming": NAMED}
    return _object({"kind": {"const": "team"}, "name": NAMED, "accountable": TEXT, **own}, ["kind", "name"])


def permissions() -> Schema:
    """What somebody may, as texts or with bounds as mappings."""
    what: Schema = {"type": "string", "pattern": r"^\S+ \S+$", "examples": ["write deploy:staging"]}
    instant: Schema = {"type": "string", "examples": ["2027-01-01", "2027-01-01T08:00:00Z"]}
    bounds = {"from": instant, "until": instant, "rate": {**RATE, "examples": ["10/hour"]}, "observe": {"type": "boolean"}, "when": CONDITION}
    also: dict[str, Schema] = {REQUIRE_APPROVAL: {"policy": NAMED}}
    mapped: Schema = {"oneOf": [_object({effect: what, **bounds, **also.get(effect, {})}, [effect]) for effect in EFFECTS]}
    plain: Schema = {"type": "string", "pattern": f"^(?:{'|'.join(EFFECTS)}) "}
    return {"type": "array", "maxItems": MAX_PERMISSIONS, "items": {"anyOf": [plain, mapped]}}


def model() -> Schema:
    """A name for a model."""
    values = {"provider": {"enum": list(PROVIDERS)}, "model": {**TEXT, "maxLength": MAX_MODEL}, "endpoint": TEXT, "secret": REFERENCE}
    return _object({"kind": {"const": "model"}, "name": NAMED, "team": NAMED, **values}, ["kind", "name", "team", "provider", "model"])


def policy() -> Schema:
    """Who decides what a permission leaves to people."""
    who = {"anyOf": [_object({"people": TEXTS, "teams": {"type": "array", "items": NAMED}}, [required]) for required in ("people", "teams")]}
    stage: Schema = {"approvers": who, "required": {"type": "integer", "minimum": 1, "maximum": MOST_DECIDERS, "default": 1}, "within": DURATION}
    silence = {"oneOf": [{"const": DENY}, _object({"escalate": _object(stage, ["approvers"])}, ["escalate"])], "default": DENY}
    own = {"name": NAMED, "team": NAMED, **stage, "silence": silence, "reason": {"type": "boolean"}, "edits": {"type": "boolean"}}
    return _object({"kind": {"const": "policy"}, **own}, ["kind", "name", "team", "approvers"])


def agent() -> Schema:
    """One agent."""
    words = {"type": "array", "items": TEXT, "minItems": 1, "maxItems": MAX_WORDS, "examples": [["python", "scan.py"]]}
    ways: Schema = {"python": TEXT, "command": words, "inline": {"enum": list(INLINE)}, "tool": {"enum": list(TOOLS)}, "model": model_run()}
    run = {"oneOf": [_object({name: value}, [name]) for name, value in ways.items()]}
    idempotent = _object({"idempotent": {"type": "string", "pattern": "^=input\\."}}, ["idempotent"])
    return _object(
        {
            "kind": {"const": "agent"},
            "name": NAMED,
            "team": NAMED,
            "accountable": TEXT,
            "role": {"enum": list(ROLES)},
            "purpose": TEXT,
            "run": run,
            "input": CONTRACT,
            "output": CONTRACT,
            "freshness": _object({"field": TEXT, "max_age": DURATION}, ["field", "max_age"]),
            "timeout": DURATION,
            "memory": {"type": "string", "pattern": "^[0-9]+ ?(?:MB|MiB|GB|GiB)$"},
            "mode": {"anyOf": [{"enum": ["read", "at_most_once"]}, idempotent]},
            "uses": TEXTS,
            "permissions": PERMITTED,
            "cost": MONEY,
            "rate": {**RATE, "examples": ["60/1m", "60/minute"]},
            "breaker": _object({"failures": {"type": "integer", "minimum": 1, "maximum": MOST_FAILURES}, "rest": DURATION}, ["failures", "rest"]),
            "derived_from": NAMED,
            "risk_tier": TEXT,
            "data_classes": TEXTS,
            "review_by": {"type": "string", "format": "date"},
        },
        ["kind", "name", "team", "role", "purpose", "run"],
    )


def model_run() -> Schema:
    """What a model agent asks, and how."""
    most = {"type": "integer", "minimum": 1, "maximum": MAX_TOKENS, "default": DEFAULT_MAX_TOKENS}
    told = {"type": "string", "description": "a file of the folder"}
    return _object({"alias": NAMED, "instructions": told, "max_tokens": most, "stream": {"type": "boolean"}}, ["alias", "instructions"])


def pipeline() -> Schema:
    """One pipeline."""
    judged = _object({"judged": {"type": "string", "description": "a sentence that the verifier must judge"}}, ["judged"])
    limits = _object({"timeout": DURATION, "cost": MONEY, "calls": {"type": "integer", "minimum": 1}, "max_lifetime": DURATION}, [])
    return _object(
        {
            "kind": {"const": "pipeline"},
            "name": NAMED,
            "team": NAMED,
            "accountable": TEXT,
            "purpose": TEXT,
            "input": CONTRACT,
            "criteria": {"type": "object", "additionalProperties": {"anyOf": [CONDITION, judged]}},
            "steps": NODES,
            "verify": _object(JUDGEMENT, ["agent"]),
            "limits": limits,
            "replayable": {"type": "boolean"},
            "priority": {"enum": list(PRIORITIES), "default": "normal"},
            "permissions": PERMITTED,
        },
        ["kind", "name", "team", "input", "steps", "verify"],
    )


def node() -> Schema:
    """A step, or what holds steps."""
    retries = {"type": "integer", "minimum": 0, "maximum": MAX_RETRIES}
    retry = {"anyOf": [retries, _object({"max": {**retries, "minimum": 1}, "backoff": DURATION}, ["max"])]}
    concurrency = {"type": "integer", "minimum": 1, "maximum": MAX_CONCURRENCY, "default": DEFAULT_CONCURRENCY}
    spread = {"type": "integer", "minimum": 2, "maximum": MAX_SPREAD, "description": "child runs that the items are shared among"}
    case = {"oneOf": [_object({"when": CONDITION, "do": NODES}, ["when", "do"]), _object({"default": NODES}, ["default"])]}
    step = {
        "id": IDENTIFIED,
        **JUDGEMENT,
        "progress_timeout": DURATION,
        "retry": retry,
        "fallback": NAMED,
        "compensate": _object(JUDGEMENT, ["agent"]),
        "lookup": NAMED,
        "approve_when": _gate(),
        **COMMON,
    }
    branches = {"type": "object", "minProperties": 1, "additionalProperties": NODES}
    loop = {"for_each": {"type": "string", "pattern": "^="}, "as": IDENTIFIED, "max_concurrency": concurrency, "spread": spread, "do": NODES}
    return {
        "oneOf": [
            _object(step, ["id", "agent"]),
            _object({"id": IDENTIFIED, "parallel": branches, "min_success": MIN_SUCCESS, **COMMON}, ["parallel"]),
            _object({"id": IDENTIFIED, **loop, "min_success": MIN_SUCCESS, **COMMON}, ["for_each", "as", "do"]),
            _object({"id": IDENTIFIED, "switch": {"type": "array", "minItems": 1, "items": case}, **COMMON}, ["switch"]),
            _object({"id": IDENTIFIED, "verify": _object(JUDGEMENT, ["agent"])}, ["verify"]),
            _object({"id": IDENTIFIED, "wait": _wait(), **COMMON}, ["wait"]),
            _object({"id": IDENTIFIED, "approval": _approval(), **COMMON}, ["approval"]),
            _object({"id": IDENTIFIED, "pipeline": NAMED, "with": WITH, "timeout": DURATION, **COMMON}, ["pipeline"]),
        ]
    }


def _wait() -> Schema:
    """A span, an instant, or a signal with the time it has."""
    signal = {"signal": NAMED, "timeout": DURATION, "on_expiry": {"enum": ["fail", "continue"], "default": "fail"}, "output": CONTRACT}
    return {"oneOf": [_object({"for": DURATION}, ["for"]), _object({"until": TEXT}, ["until"]), _object(signal, ["signal", "timeout"])]}


def _approval() -> Schema:
    """What people are asked to say yes to, and under which policy."""
    return _object({"subject": {**WITH, "minProperties": 1}, "policy": NAMED, "output": CONTRACT, "timeout": DURATION}, ["subject"])


def _gate() -> Schema:
    """Which results of a step people look at first."""
    rounds = {"type": "integer", "minimum": 0, "maximum": MAX_ROUNDS, "default": DEFAULT_ROUNDS}
    return {"anyOf": [CONDITION, _object({"when": CONDITION, "policy": NAMED, "rounds": rounds}, ["when"])]}


def _object(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}
