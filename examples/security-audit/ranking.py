"""The ranker: what the scanners found as one list, each thing once, the worst first; what is under the asked severity is counted by rule.

Pure. The same input gives the same list, in the same order.
"""

from collections import Counter
from typing import Literal

from records import Below, Dependency, Finding, Gap, Ranked, Scan, Secret, Survey, Weakness

SEVERITIES = ("high", "medium", "low")
KINDS = ("secret", "code", "licence")
SCANNERS = ("code", "secrets", "licences")
PASSWORDS = frozenset({"B105", "B106", "B107"})
GUESSES = frozenset({"Secret Keyword", "Basic Auth Credentials", "Base64 High Entropy String", "Hex High Entropy String", "JSON Web Token"})
HARMLESS = frozenset({"Public IP (ipv4)"})
ASIDE = frozenset({"test", "tests", "testing", "doc", "docs", "fixtures", "conftest.py"})
LICENCES = {"copyleft": "high", "unknown": "medium", "weak copyleft": "low"}


def rank(survey: Survey, scan: Scan, severity: Literal["high", "medium", "low"]) -> Ranked:
    """`severity`: the lowest that is listed."""
    everything = _merged([*_secrets(scan), *_weaknesses(scan), *_licences(scan)])
    listed = [one for one in everything if SEVERITIES.index(one["severity"]) <= SEVERITIES.index(severity)]
    below = Counter((one["severity"], one["kind"], rule) for one in everything if one not in listed for rule in one["rules"])
    return {
        "root": survey["root"],
        "severity": severity,
        "findings": listed,
        "below": [_below(key, count) for key, count in sorted(below.items(), key=lambda item: (SEVERITIES.index(item[0][0]), item[0]))],
        "counts": {name: sum(one["severity"] == name for one in everything) for name in SEVERITIES},
        "missing": [name for name, part in zip(SCANNERS, (scan["code"], scan["secrets"], scan["licences"]), strict=True) if part is None],
        "gaps": _gaps(survey, scan),
        "looked_at": _looked_at(survey, scan),
        "excluded": survey["excluded"],
        "dependencies": scan["licences"]["dependencies"] if scan["licences"] is not None else [],
    }


def lowered(severity: str, path: str) -> str:
    """One grade less in tests and documents: what stands there is mostly made up, and runs nowhere."""
    aside = any(part.lower() in ASIDE or part.startswith("test_") for part in path.split("/"))
    return SEVERITIES[min(SEVERITIES.index(severity) + 1, 2)] if aside else severity


def _secrets(scan: Scan) -> list[Finding]:
    return [_secret(one) for portion in scan["secrets"] or () for one in portion["findings"]]


def _secret(one: Secret) -> Finding:
    severity = "low" if one["kind"] in HARMLESS else "medium" if one["kind"] in GUESSES else "high"
    return {
        "severity": lowered(severity, one["path"]),
        "kind": "secret",
        "path": one["path"],
        "line": one["line"],
        "digest": one["digest"],
        "rules": [one["kind"]],
        "what": f"Looks like a secret ({one['kind']}).",
        "hashes": [one["hash"]],
    }


def _weaknesses(scan: Scan) -> list[Finding]:
    return [_weakness(one) for portion in scan["code"] or () for one in portion["findings"]]


def _weakness(one: Weakness) -> Finding:
    """A hardcoded password is a secret, so that both scanners' words about one line become one finding."""
    return {
        "severity": lowered(one["severity"] if one["severity"] in SEVERITIES else "low", one["path"]),
        "kind": "secret" if one["rule"] in PASSWORDS else "code",
        "path": one["path"],
        "line": one["line"],
        "digest": one["digest"],
        "rules": [one["rule"]],
        "what": one["what"],
        "hashes": [],
    }


def _licences(scan: Scan) -> list[Finding]:
    dependencies = scan["licences"]["dependencies"] if scan["licences"] is not None else []
    return [_licence(one) for one in dependencies if one["needed"] and one["grade"] in LICENCES]


def _licence(one: Dependency) -> Finding:
    place = one["declared"][0] if one["declared"] else {"path": "", "line": 0, "digest": ""}
    named = f"{one['name']} {one['version']}".strip()
    what = f"{named} is under {one['licence']}." if one["licence"] != "unknown" else f"The licence of {named} is unknown."
    if not one["version"]:
        what = f"{one['name']} is declared and not installed here, so its licence is unknown."
    return {"severity": LICENCES[one["grade"]], "kind": "licence", "rules": [f"{one['grade']}: {one['name']}"], "what": what, "hashes": [], **place}


def _merged(findings: list[Finding]) -> list[Finding]:
    """One per kind and line, with all rules that met it; different weaknesses of one line stay apart."""
    found: dict[tuple[str, str, int, str], Finding] = {}
    for one in findings:
        key = one["kind"], one["path"], one["line"], "" if one["kind"] == "secret" else one["rules"][0]
        found[key] = _together(found[key], one) if key in found else one
    return sorted(found.values(), key=_order)


def _together(one: Finding, other: Finding) -> Finding:
    worse = min(one, other, key=lambda each: SEVERITIES.index(each["severity"]))
    return {**worse, "rules": sorted({*one["rules"], *other["rules"]}), "hashes": sorted({*one["hashes"], *other["hashes"]})}


def _order(one: Finding) -> tuple[int, int, str, int, list[str]]:
    return SEVERITIES.index(one["severity"]), KINDS.index(one["kind"]), one["path"], one["line"], one["rules"]


def _below(key: tuple[str, str, str], count: int) -> Below:
    severity, kind, rule = key
    return {"severity": severity, "kind": kind, "rule": rule, "count": count}


def _gaps(survey: Survey, scan: Scan) -> list[Gap]:
    gaps = [*survey["gaps"]]
    for portion in [*(scan["code"] or ()), *(scan["secrets"] or ())]:
        gaps += portion["gaps"]
    gaps += scan["licences"]["gaps"] if scan["licences"] is not None else []
    once = {(gap["path"], gap["why"]) for gap in gaps}
    return [{"path": path, "why": why} for path, why in sorted(once)]


def _looked_at(survey: Survey, scan: Scan) -> dict[str, int]:
    return {
        "files": survey["files"],
        "binary files, passed over": survey["binary"],
        "links, not followed": survey["links"],
        "files searched for weak code": sum(len(portion["paths"]) for portion in scan["code"] or ()),
        "files searched for secrets": sum(len(portion["paths"]) for portion in scan["secrets"] or ()),
        "dependencies": len(scan["licences"]["dependencies"]) if scan["licences"] is not None else 0,
    }
