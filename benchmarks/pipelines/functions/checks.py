"""A verifier that compares two numbers, in a module of its own."""

import hashlib
from typing import Any


def same(left: int, right: int) -> dict[str, Any]:
    at = "2026-11-20T12:00:00Z"
    read = [{"source": name, "digest": hashlib.sha256(str(number).encode()).hexdigest(), "at": at} for name, number in (("left", left), ("right", right))]
    return {"checks": [{"criterion": "same", "verdict": "pass" if left == right else "fail", "why": "two numbers were compared", "read": read}]}
