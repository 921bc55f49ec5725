"""What decided a verdict that doesn't pass, and what would change it: whether judging again can, or only another result or another criterion.

Pure over a run's document. Used by the page of a run and by the terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ENGINE: Final = "engine"
AGAIN: Final = "judge again with `manage.py reverify` when it can"
SAME: Final = "judging again gives the same"


def deciding(verdict: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The first check that says what the verdict says; None where it passes, or no check says so."""
    if verdict is None or verdict["verdict"] == "pass":
        return None
    return next((check for check in verdict["checks"] if check["verdict"] == verdict["verdict"]), None)


def why_not_passed(verdict: Mapping[str, Any]) -> str:
    """Which criterion, by whom, and what was found: a clause. Of several the first, and how many more."""
    check = deciding(verdict)
    if check is None:
        return f"'{verdict['by']}' gave no check of its own"
    others = sum(each["verdict"] == check["verdict"] for each in verdict["checks"]) - 1
    failed = "fails" if check["verdict"] == "fail" else "could not be judged"
    return f"criterion '{check['criterion']}' {failed}: {check['why']}{f' (and {others} more)' if others else ''}"


def what_would_pass(verdict: Mapping[str, Any]) -> str:
    """What to do about it: a clause."""
    check = deciding(verdict)
    if check is None or check["by"] != ENGINE:
        again = f"'{verdict['by']}' has to be able to say it: {AGAIN}"
        return again if check is None or check["verdict"] != "fail" else _otherwise(check)
    return f"{SAME}, for it is held against the stored values: {_otherwise(check)}"


def _otherwise(check: Mapping[str, Any]) -> str:
    """The result, or the criterion where it is one that the engine holds."""
    blamed = f"mend what step '{check['blames']}' gives" if check.get("blames") else "start it with another input"
    criterion = ", or the criterion in the pipeline (apply it with --publish)" if check.get("expression") else ""
    return f"{blamed}{criterion}, then run again"
