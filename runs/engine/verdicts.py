"""Judging: the verifier's checks and the engine's own, put together into one verdict.

The verifier is believed only where it says what it read; expressions are checked here, over the stored result. Knows no rows.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from agents import contracts, expressions
from audit import canonical
from runs.engine.values import FUTURE_TOLERANCE, Criterion, Held

PASS: Final = "pass"  # noqa: S105 - the word of a verdict, no secret
FAIL: Final = "fail"
INCONCLUSIVE: Final = "inconclusive"
FRESHNESS: Final = "as-of"


def judged(
    said: Mapping[str, Any],
    *,
    by: str,
    criteria: Sequence[Criterion],
    scope: Mapping[str, Any],
    result: Held | None,
    blames: str | None,
    now: datetime,
) -> dict[str, Any]:
    """The verdict of record: every check with who made it, and one word over all. `scope` is what criteria may name."""
    checks = [_believed(check, by, blames, now) for check in said["checks"]]
    has_judged = bool(checks)
    checks += [_unanswered(criterion, by, blames) for criterion in criteria if _is_unanswered(criterion, checks)]
    checks += [_expressed(criterion, scope, blames) for criterion in criteria if criterion.expression is not None]
    checks += _recomputed_age(said, result, by, blames)
    word = overall(checks, has_judged=has_judged)
    return {"verdict": word, "by": by, "as_of": said.get("as_of"), "checks": checks, "summary": str(said.get("summary") or "")}


def overall(checks: Sequence[Mapping[str, Any]], *, has_judged: bool) -> str:
    """One failed check fails; passing takes at least one check by the verifier itself (`has_judged`), and none left open."""
    words = {check["verdict"] for check in checks}
    if FAIL in words:
        return FAIL
    if INCONCLUSIVE in words or not has_judged:
        return INCONCLUSIVE
    return PASS


def _believed(check: Mapping[str, Any], by: str, blames: str | None, now: datetime) -> dict[str, Any]:
    record = {**check, "by": by}
    if check["verdict"] == FAIL and not check.get("blames"):
        record["blames"] = blames
    if check["verdict"] == PASS and not check["read"]:
        record |= {"verdict": INCONCLUSIVE, "why": f"it says pass and names nothing that it read: {check['why']}"}
    elif check["verdict"] == PASS and (odd := next((one["at"] for one in check["read"] if not _can_have_been(one, now)), None)) is not None:
        record |= {"verdict": INCONCLUSIVE, "why": f"it says pass and that it read something at {odd}, when nobody can have by now: {check['why']}"}
    return record


def _can_have_been(read: Mapping[str, Any], now: datetime) -> bool:
    try:
        at = contracts.observed_at(read, "at")
    except ValueError:  # an instant that no calendar here has, such as one of the year 0
        return False
    return at is not None and at <= now + FUTURE_TOLERANCE


def _is_unanswered(criterion: Criterion, checks: Sequence[Mapping[str, Any]]) -> bool:
    return criterion.judged is not None and all(check["criterion"] != criterion.name for check in checks)


def _unanswered(criterion: Criterion, by: str, blames: str | None) -> dict[str, Any]:
    why = f"'{by}' gave no check named '{criterion.name}'"
    return {"criterion": criterion.name, "verdict": INCONCLUSIVE, "why": why, "read": [], "by": by, "blames": blames}


def _expressed(criterion: Criterion, scope: Mapping[str, Any], blames: str | None) -> dict[str, Any]:
    source = criterion.expression or ""
    try:
        holds = expressions.holds(source, scope)
    except expressions.ExpressionError as error:
        word, why = INCONCLUSIVE, str(error)
    else:
        word, why = (PASS if holds else FAIL), f"{source} is {'true' if holds else 'false'}"
    record: dict[str, Any] = {"criterion": criterion.name, "verdict": word, "why": why, "read": [], "by": "engine", "expression": source}
    return record if word == PASS else record | {"blames": _blamed(source, scope, blames)}


def _blamed(source: str, scope: Mapping[str, Any], last: str | None) -> str | None:
    """The step whose result an expression looks at: the last of several, and nobody where it only looks at what the run was given."""
    roots = expressions.references(source)
    named = {reference[1] for reference in roots if reference[0] == "steps" and len(reference) > 1}
    if named and not any(reference[0] == "result" for reference in roots):
        return next((step for step in reversed(list(scope.get("steps", ()))) if step in named), max(named))
    return None if roots and all(reference[0] in ("input", "run") for reference in roots) else last


def _recomputed_age(said: Mapping[str, Any], result: Held | None, by: str, blames: str | None) -> list[dict[str, Any]]:
    """A result must not claim to be newer than what the verifier found in the source."""
    if result is None or result.as_of is None or said.get("as_of") is None:
        return []
    try:
        found = contracts.observed_at(said, "as_of")
    except ValueError as error:
        return [{"criterion": FRESHNESS, "verdict": INCONCLUSIVE, "why": str(error), "read": [], "by": "engine", "blames": blames}]
    if found is None or result.as_of <= found + FUTURE_TOLERANCE:
        return []
    why = f"the result claims {result.as_of.isoformat()}, '{by}' found {found.isoformat()} in the source"
    return [{"criterion": FRESHNESS, "verdict": FAIL, "why": why, "read": [], "by": "engine", "blames": blames}]


def digest(verdict: Mapping[str, Any]) -> str:
    return canonical.digest(verdict)
