"""The pure checks that Orchestra ships and runs in its own process: `noop` and `same`.

They read nothing and act on nothing, so they need no child and no intent row. Called by the boundary only.
"""

from collections.abc import Callable, Mapping
from typing import Any

from audit import canonical, clock


def noop(arguments: Mapping[str, Any]) -> Any:
    """Gives back what it was given."""
    return dict(arguments)


def same(arguments: Mapping[str, Any]) -> Any:
    """A verifier: passes when `left` and `right` have the same canonical bytes."""
    left, right = canonical.digest(arguments["left"]), canonical.digest(arguments["right"])
    at = clock.to_text(clock.now())
    read = [{"source": name, "digest": digest, "at": at} for name, digest in (("left", left), ("right", right))]
    word, why = ("pass", "left and right are the same") if left == right else ("fail", "left and right differ")
    return {"checks": [{"criterion": "same", "verdict": word, "why": why, "read": read}]}


CHECKS: dict[str, Callable[[Mapping[str, Any]], Any]] = {"noop": noop, "same": same}
