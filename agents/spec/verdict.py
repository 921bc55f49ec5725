"""The shape of a verdict: the output contract of every `check` agent. (Shared by the readers and the contracts.)

A value only; must not know who judges it. Re-exported by agents.contracts, which everybody else imports.
"""

from typing import Any

_INSTANT: dict[str, Any] = {"type": "string", "format": "date-time"}

VERDICT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["checks"],
    "properties": {
        "as_of": {"anyOf": [_INSTANT, {"type": "null"}]},
        "summary": {"type": "string"},
        "checks": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["criterion", "verdict", "why", "read"],
                "properties": {
                    "criterion": {"type": "string", "minLength": 1},
                    "verdict": {"enum": ["pass", "fail", "inconclusive"]},
                    "why": {"type": "string"},
                    "read": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["source", "digest", "at"],
                            "properties": {
                                "source": {"type": "string"},
                                "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                                "at": _INSTANT,
                            },
                        },
                    },
                    "claimed": True,
                    "found": True,
                    "blames": {"type": ["string", "null"]},
                },
            },
        },
    },
}
