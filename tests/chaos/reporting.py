"""Results as figures: a report for each database, one line of JSON over all of them, and a table to read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.chaos.arena import LEASE_S
from tests.chaos.results import Result

RECOVERS_WITHIN_S = LEASE_S + 5


def report(database: str, seed: int, results: Sequence[Result]) -> dict[str, Any]:
    recovery = sorted(second for result in results for second in result.recovery_s)
    played = [result for result in results if not result.skipped]
    return {
        "database": database,
        "seed": seed,
        "cases": len(played),
        "runs": sum(result.runs for result in played),
        "faults": dict(sorted(Counter(kind for result in played for kind in result.faults).items())),
        "lost": sum(len(result.lost) for result in played),
        "duplicated": sum(len(result.duplicated) for result in played),
        "unsound": sum(len(result.unsound) for result in played),
        "failed_as_lost": sum(result.failed_as_lost for result in played),
        "recovery_p50_s": _quantile(recovery, 0.5),
        "recovery_p99_s": _quantile(recovery, 0.99),
        "recoveries": len(recovery),
        "recovered_in_time": sum(second <= RECOVERS_WITHIN_S for second in recovery),
        "took_s": round(sum(result.took_s for result in played), 1),
        "problems": [f"{result.name}: {problem}" for result in played for problem in result.problems],
        "skipped_cases": [f"{result.name}: {result.skipped}" for result in results if result.skipped],
        "table": [[result.name, line(result)] for result in results],
    }


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 2) if ordered else None


def line(result: Result) -> str:
    if result.skipped:
        return f"skipped: {result.skipped}"
    worst = f", recovered within {max(result.recovery_s):.1f} s" if result.recovery_s else ""
    ends = "ok" if not result.problems else f"{len(result.lost)} lost, {len(result.duplicated)} duplicated, {len(result.unsound)} unsound"
    return f"{ends}: {result.runs} runs, faults {', '.join(result.faults) or 'none'}{worst} ({result.took_s:.0f} s)"


def merged(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The one line: sums over the databases, and the figures of each without its table."""
    played = [report for report in reports if "skipped" not in report and "cases" in report]
    faults: Counter[str] = Counter()
    for each in played:
        faults.update(each["faults"])
    sums = {name: sum(each[name] for each in played) for name in ("cases", "runs", "lost", "duplicated", "unsound", "failed_as_lost")}
    worst = {name: max((each[name] for each in played if each[name] is not None), default=None) for name in ("recovery_p50_s", "recovery_p99_s")}
    apart = [{name: value for name, value in each.items() if name != "table"} for each in reports]
    return {"measure": "chaos", **sums, "faults": dict(sorted(faults.items())), **worst, "bound_s": RECOVERS_WITHIN_S, "databases": apart}


def has_problems(report: Mapping[str, Any]) -> bool:
    return bool(report.get("problems"))


def table(reports: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for each in reports:
        lines.append(f"\n{each['database']}: " + (f"skipped: {each['skipped']}" if "skipped" in each else _headline(each)))
        lines += [f"  {name:<34} {said}" for name, said in each.get("table", ())]
        lines += [f"  PROBLEM {problem}" for problem in each.get("problems", ())]
    return "\n".join(lines)


def _headline(each: Mapping[str, Any]) -> str:
    if "cases" not in each:
        return "nothing was measured"
    faults = ", ".join(f"{count} {kind}" for kind, count in each["faults"].items())
    recovery = f"recovery p50 {each['recovery_p50_s']} s, p99 {each['recovery_p99_s']} s of {each['recoveries']} (bound {RECOVERS_WITHIN_S:g} s)"
    return f"{each['cases']} cases, {each['runs']} runs, {faults}; {each['lost']} lost, {each['duplicated']} duplicated; {recovery}"
