"""The auditor: re-reads the feed, recomputes every number, instant, flag and sentence of a digest, and says per criterion what it found.

Shares no module with the reader, the detector or the writer (a test holds that); never sees what they reported to each other, except a
host's raw samples, which it holds against the kernel first.
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

import audit_host
import audit_lines
from audit_measure import expected, text
from audit_source import Document, Track, documents, duration, gap_limit, instant, observations, track

import orchestra

RELATIVE, ABSOLUTE = 1e-7, 1e-12
ARRIVAL = timedelta(minutes=5)  # samples that came in while the run was under way need not be in the digest
SHOWN = 10
ABSENT = "absent"
HOST_ORIGIN = "the reader's samples, held against the kernel's counters"
JUDGED = {
    "numbers-match-the-feed": "number",
    "flags-match-the-feed": "flag",
    "repairs-match-the-feed": "repair",
    "as-of-is-the-newest-observation": "instant of the newest observation",
    "sentences-say-what-the-feed-says": "statement in the text",
    "rests-on-the-source": "fact about the source",
}


class Point(NamedTuple):
    """One value of the digest: where, what it claims, what the source says."""

    where: str
    claimed: Any
    found: Any
    holds: bool


@dataclass
class Basis:
    """What the auditor read for itself."""

    series: list[dict[str, Any]]
    read: list[orchestra.Source]
    facts: list[Point] = field(default_factory=list)
    origin: str = ""
    unknowable: str = ""


def audit(
    feed: str,
    claim: dict[str, Any],
    max_gap: str = "",
    evidence: dict[str, Any] | None = None,
    criteria: list[dict[str, str]] | None = None,
) -> orchestra.Verdict:
    """Judges the digest `claim` of `feed` by each criterion that is not an expression (the engine checks those)."""
    basis = _host(evidence or {}) if feed == "host" else _files(feed, max_gap, claim)
    true = {"as_of": min(one["newest"] for one in basis.series), "feed": feed, "series": basis.series}
    points = _compared(claim, true, basis)
    names = [one["name"] for one in criteria or [{"name": name} for name in JUDGED] if "expression" not in one]
    return orchestra.Verdict(
        checks=[_check(name, points, basis) for name in names],
        as_of=instant(true["as_of"]),
        summary=basis.unknowable or _summary(points, basis),
    )


def _summary(points: dict[str, list[Point]], basis: Basis) -> str:
    every = [point for kind, group in points.items() if kind != JUDGED["rests-on-the-source"] for point in group]
    differing = sum(not point.holds for point in every)
    recomputed = sum(point.found != ABSENT for point in every)
    origin = basis.origin or f"{len(basis.read):,} {'source' if len(basis.read) == 1 else 'sources'}, read again"
    outcome = f"{differing:,} differ" if differing else "all agree"
    return f"recomputed {recomputed:,} of {len(every):,} numbers from {origin}: {outcome}"


def _files(feed: str, max_gap: str, claim: dict[str, Any]) -> Basis:
    found, limit = documents(feed), duration(max_gap)
    newest = {one.get("name"): one.get("newest") for one in _entries(claim) if isinstance(one, dict)}
    tracks = [_track(document, newest.get(document.name), limit) for document in found]
    facts = [Point(f"{document.source.source}, read again", True, True, holds=True) for document in found]
    return Basis([expected(one) for one in tracks], [document.source for document in found], facts)


def _track(document: Document, claimed_newest: Any, limit: timedelta | None) -> Track:
    """The series as of the judged time; for a live feed, up to the digest's newest sample if only fresh ones came after it."""
    rows, until = observations(document), orchestra.as_of()
    whole = track(document.name, rows, until, limit)
    if until is not None or not isinstance(claimed_newest, str):
        return whole
    stamps = [stamp for stamp, observed in zip(whole.stamps, whole.observed, strict=True) if observed]
    left_out = [stamp for stamp in stamps if text(stamp) > claimed_newest]
    if not left_out or len(left_out) == len(stamps) or min(left_out) < orchestra.now() - ARRIVAL - gap_limit(stamps, limit):
        return whole
    known = [row for row in rows if text(row[0]) <= claimed_newest]
    return track(document.name, known, None, limit)


def _host(evidence: dict[str, Any]) -> Basis:
    if len(evidence.get("samples", ())) < 2:
        raise orchestra.Missing("the auditor was given no samples of the host")
    kernel = audit_host.look()
    agreed = audit_host.agreement(evidence, kernel)
    facts = [Point(name, "as sampled", "contradicted by the kernel", holds=False) for name in agreed.contradictions]
    facts += [Point("fact about the machine", True, True, holds=True)] * (agreed.compared - len(agreed.contradictions))
    samples = json.dumps(evidence, sort_keys=True).encode()
    read = [kernel.source(), orchestra.Source("the reader's samples of the host", hashlib.sha256(samples).hexdigest(), kernel.at)]
    return Basis([expected(one) for one in audit_host.tracks(evidence)], read, facts, HOST_ORIGIN, agreed.unknowable)


def _compared(claim: dict[str, Any], true: dict[str, Any], basis: Basis) -> dict[str, list[Point]]:
    """Every point of the digest, by kind."""
    points: dict[str, list[Point]] = {kind: [] for kind in JUDGED.values()}
    claimed, found = _flat({name: claim.get(name) for name in true}), _flat(true)
    for where in sorted({*claimed, *found}):
        pair = claimed.get(where, ABSENT), found.get(where, ABSENT)
        points[_kind(where)].append(Point(where, *pair, _same(*pair)))
    lines = [line for line in claim.get("lines", ()) if isinstance(line, str)]
    statements = [*audit_lines.headline(str(claim.get("headline", "")), true), *audit_lines.sentences(lines, basis.series)]
    points[JUDGED["sentences-say-what-the-feed-says"]] = [
        Point(one.where, one.said, ABSENT if one.true is None else one.true, one.holds) for one in statements
    ]
    points[JUDGED["rests-on-the-source"]] = basis.facts
    return points


def _flat(value: Any, where: str = "") -> dict[str, Any]:
    """Leaves by path; series by name (a name that comes again gets a place of its own), so that their order is free."""
    if isinstance(value, dict):
        children = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        names = [item.get("name") if isinstance(item, dict) else None for item in value]
        children = [(str(name) if name is not None and names.index(name) == place else str(place), value[place]) for place, name in enumerate(names)]
    else:
        return {where: value}
    leaves: dict[str, Any] = {}
    for key, item in children:
        leaves |= _flat(item, f"{where} / {key}" if where else key)
    return leaves


def _entries(claim: dict[str, Any]) -> list[Any]:
    series = claim.get("series")
    return series if isinstance(series, list) else []


def _kind(where: str) -> str:
    if where == "as_of" or where.endswith(" / newest"):
        return JUDGED["as-of-is-the-newest-observation"]
    if " / repairs / " in where:
        return JUDGED["repairs-match-the-feed"]
    if " / anomalies / " in where or where.endswith((" / threshold", " / judged")):
        return JUDGED["flags-match-the-feed"]
    return JUDGED["numbers-match-the-feed"]


def _same(claimed: Any, found: Any) -> bool:
    """Texts, whole numbers and truth values exactly; fractions up to the rounding of another order of operations."""
    if isinstance(claimed, bool) or isinstance(found, bool) or not (isinstance(claimed, int | float) and isinstance(found, int | float)):
        return type(claimed) is type(found) and bool(claimed == found)
    if isinstance(found, int):
        return claimed == found
    return abs(claimed - found) <= max(RELATIVE * abs(found), ABSOLUTE)


def _check(name: str, points: dict[str, list[Point]], basis: Basis) -> orchestra.Check:
    if name not in JUDGED:
        return orchestra.Check(name, "inconclusive", "this auditor does not know the criterion", basis.read)
    if basis.unknowable:
        return orchestra.Check(name, "inconclusive", basis.unknowable, basis.read)
    group = points[JUDGED[name]]
    wrong = [point for point in group if not point.holds]
    if not wrong:
        return orchestra.Check(name, "pass", f"{len(group):,} of {len(group):,} hold ({JUDGED[name]})", basis.read)
    first = wrong[0]
    why = f"{first.where}: the digest says {first.claimed!r}, the source says {first.found!r}"
    if len(wrong) == 1:
        return orchestra.Check(name, "fail", why, basis.read, claimed=first.claimed, found=first.found)
    return orchestra.Check(
        name, "fail", f"{len(wrong):,} of {len(group):,} differ ({JUDGED[name]}); {why}", basis.read,
        claimed={point.where: point.claimed for point in wrong[:SHOWN]}, found={point.where: point.found for point in wrong[:SHOWN]},
    )  # fmt: skip
