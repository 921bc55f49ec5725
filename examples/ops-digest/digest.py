"""The writer: puts findings into words for whoever is on call, worst series first, next to the numbers themselves.

Owns the wording. Computes nothing: each number in a line is one of the structure's, shortened to four digits.
"""

from shapes import Anomaly, Digest, Finding, Gap

SHOWN = 5  # anomalies, and gaps, per series that get a line of their own; the structure holds all


def write(feed: str, as_of: str, findings: list[Finding]) -> Digest:
    """The digest of one feed. `as_of` is the reading's."""
    worst_first = sorted(findings, key=lambda one: -max((anomaly["score"] for anomaly in one["anomalies"]), default=0.0))
    return {
        "as_of": as_of,
        "feed": feed,
        "headline": headline(as_of, findings),
        "lines": [f"{one['name']}: {line}" for one in worst_first for line in _lines(one)],
        "series": findings,
    }


def headline(as_of: str, findings: list[Finding]) -> str:
    """What stands out, in how much, complete up to when."""
    anomalies = sum(len(one["anomalies"]) for one in findings)
    touched = sum(bool(one["anomalies"]) for one in findings)
    observations = sum(one["observations"] for one in findings)
    return (
        f"{anomalies:,} {'anomaly' if anomalies == 1 else 'anomalies'} in {touched:,} of {len(findings):,} series; "
        f"{observations:,} observations; complete up to {instant(as_of)}"
    )


def number(value: float) -> str:
    """Four significant digits, whole from a thousand on: 43.11, 12,345, 0.001234."""
    if isinstance(value, int) or 1_000 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def instant(text: str) -> str:
    """2014-02-28 14:22:00Z; the fraction only where there is one."""
    return text.replace("T", " ").replace(".000000Z", "Z")


def _lines(finding: Finding) -> list[str]:
    return [_summary(finding), *_anomalies(finding), *_repairs(finding)]


def _summary(finding: Finding) -> str:
    return (
        f"{finding['observations']:,} observations from {instant(finding['oldest'])} to {instant(finding['newest'])}; "
        f"mean {number(finding['mean'])}, min {number(finding['min'])}, max {number(finding['max'])}, "
        f"p95 {number(finding['p95'])}, last {number(finding['last'])}"
    )


def _anomalies(finding: Finding) -> list[str]:
    if finding["threshold"] is None:
        return ["too few observations to look for anomalies"]
    anomalies = sorted(finding["anomalies"], key=lambda one: -one["score"])
    if not anomalies:
        return [f"nothing stands out: no score above {number(finding['threshold'])}"]
    lines = [_anomaly(one) for one in anomalies[:SHOWN]]
    if len(anomalies) > SHOWN:
        lines.append(f"{len(anomalies) - SHOWN:,} more with lower scores")
    return lines


def _anomaly(one: Anomaly) -> str:
    if one["kind"] == "level shift":
        return (
            f"level shift {one['direction']} at {instant(one['at'])}: "
            f"from {number(one['usual'])} to {number(one['value'])} (score {number(one['score'])})"
        )
    return (
        f"excursion {one['direction']} at {instant(one['at'])}: {number(one['value'])}, usually {number(one['usual'])} "
        f"(score {number(one['score'])}; {one['points']:,} flagged from {instant(one['start'])} to {instant(one['end'])})"
    )


def _repairs(finding: Finding) -> list[str]:
    repairs = finding["repairs"]
    lines = [_gap(gap) for gap in repairs["gaps"][:SHOWN]]
    if len(repairs["gaps"]) > SHOWN:
        lines.append(f"{len(repairs['gaps']) - SHOWN:,} more gaps, {repairs['interpolated']:,} points interpolated in all")
    if repairs["duplicates"]:
        stamps = repairs["duplicate_stamps"]
        lines.append(
            f"{repairs['duplicates']:,} duplicate rows at {len(stamps):,} stamps, the first at {instant(stamps[0])}; the last row of each counts"
        )
    if repairs["reordered"]:
        lines.append(f"{repairs['reordered']:,} rows were out of order and were sorted")
    if repairs["later"]:
        lines.append(f"{repairs['later']:,} samples later than the judged time were ignored")
    return lines


def _gap(gap: Gap) -> str:
    return f"gap after {instant(gap['after'])} until {instant(gap['before'])}: {gap['points']:,} interpolated linearly"
