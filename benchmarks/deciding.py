"""What it takes to decide: one permission out of a thousand, and all stages of the boundary for one call. No database, no call.

A script of its own, since the boundary needs Django: prints one JSON object of seconds for one decision or one admission.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from runs.boundary import Request

ROOT = Path(__file__).resolve().parent.parent
AT = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
MANY = 1_000
TIMES = 20_000
ROUNDS = 7


def best(work: Callable[[int], object]) -> float:
    """Seconds of one, in the quickest of some rounds."""
    took = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for number in range(TIMES):
            work(number)
        took.append((time.perf_counter() - begun) / TIMES)
    return min(took)


def main() -> None:
    sys.path[:0] = [str(ROOT)]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra_site.settings")
    import django

    django.setup()
    print(json.dumps(deciding() | admitting()))


def rules(condition: str = "") -> tuple[str, ...]:
    """A thousand, of which one in a hundred denies."""
    return tuple(f"{'deny' if number % 100 == 99 else 'allow'} read feed:area-{number}/*{condition}" for number in range(MANY))


def deciding() -> dict[str, float]:
    from agents import grants

    plain, conditional, args = rules(), rules(" when args.version != ''"), {"version": "1.4.2"}
    asked = [f"feed:area-{number}/cpu" for number in range(MANY)]
    assert [grants.decide(plain, "read", asked[number], now=AT).allowed for number in (1, 99)] == [True, False]
    return {
        "plain": best(lambda number: grants.decide(plain, "read", asked[number % MANY], now=AT)),
        "condition": best(lambda number: grants.decide(conditional, "read", asked[number % MANY], now=AT, args=args)),
    }


def admitting() -> dict[str, float]:
    from runs.boundary import Account, Standing, admit

    account, held = Account(0, 1_000_000, 0, 1_000_000_000), {"bare": (), "few": rules()[:10], "many": rules()}
    took = {}
    for name, permissions in held.items():
        request, standing = _request((("read", "feed:area-7/cpu"),) if permissions else ()), Standing("active", permissions)
        admitted = partial(admit, request, standing=standing, account=account, own={}, now=AT)
        assert admitted() is None
        took[f"admit.{name}"] = best(lambda _, admitted=admitted: admitted())  # type: ignore[misc]
    return took


def _request(uses: tuple[tuple[str, str], ...]) -> "Request":
    from agents import contracts
    from runs.boundary import Request
    from runs.engine.states import CallKind, Mode
    from runs.engine.values import Agent

    free = contracts.compiled({"type": "object"})
    agent = Agent("worker", "platform", 1, "0" * 64, "decide", {"mode": "read"}, free, free)
    return Request(
        run=uuid4(), step="work", attempt=1, ordinal=0, agent=agent, kind=CallKind.FUNCTION, name="work:run", arguments={"version": "1.4.2"},
        mode=Mode.READ, not_after=AT + timedelta(hours=1), bound_nano=0, uses=uses,
    )  # fmt: skip


if __name__ == "__main__":
    main()
