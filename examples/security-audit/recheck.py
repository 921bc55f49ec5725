"""The verifier: reads the report back from the disk, opens every cited line again, and holds all of it against tree, scanners and metadata.

Of another team, and shares no module with those who did the work (a test holds that). What the scanners said reaches it as they said it.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import recheck_licences
import recheck_tree
from recheck_tree import Tree

import orchestra

Claim = dict[str, Any]
Key = tuple[str, str, str, int]  # kind, rule, path, line

GRADES = ["high", "medium", "low"]
SHOWN = 5
LARGEST_REPORT = 64 << 20
LONGEST_LINE = 2_000
UNSURE = ("Secret Keyword", "Basic Auth Credentials", "Base64 High Entropy String", "Hex High Entropy String", "JSON Web Token")
OFF_DUTY = {"test", "tests", "testing", "doc", "docs", "fixtures", "conftest.py"}
OF_LICENCES = {"copyleft": "high", "unknown": "medium", "weak copyleft": "low"}


@dataclass
class Case:
    """Everything that is looked at. `wrong` collects what doesn't hold, by criterion; `held` counts what does."""

    claim: Claim
    scan: dict[str, Any]
    severity: str
    tree: Tree
    report: dict[str, Any] = field(default_factory=dict)
    page: str = ""
    read: list[orchestra.Source] = field(default_factory=list)

    def findings(self) -> list[dict[str, Any]]:
        return list(self.report.get("findings", []))


def verify(
    path: str, claim: Claim, scan: dict[str, Any], exclude: list[str], severity: str, criteria: list[dict[str, str]] | None = None
) -> orchestra.Verdict:
    """Judges the written report by each criterion that is not an expression (the engine checks those)."""
    case = Case(claim, scan, severity, recheck_tree.look(path, exclude))
    problems = list(_report_is_the_one_claimed(case))
    names = [one["name"] for one in criteria or [{"name": name} for name in JUDGES] if "expression" not in one]
    checks = [_check(name, case, problems if name == "report-is-the-one-claimed" else None) for name in names]
    files = len({one["path"] for one in case.findings() if one.get("path")})
    return orchestra.Verdict(
        checks=checks,
        summary=f"read {len(case.findings()):,} findings back and opened {files:,} cited {'file' if files == 1 else 'files'} again",
    )


def _check(name: str, case: Case, known: list[str] | None) -> orchestra.Check:
    if name not in JUDGES:
        return orchestra.Check(name, "inconclusive", "this verifier does not know the criterion", case.read)
    problems = known if known is not None else list(JUDGES[name](case))
    read = [*case.read, *case.tree.read[:50]]
    if not problems:
        return orchestra.Check(name, "pass", "it holds", read)
    more = f" (and {len(problems) - SHOWN:,} more)" if len(problems) > SHOWN else ""
    blames = "scan" if name in {"the-whole-tree-was-scanned", "licences-match-the-metadata"} else "write"
    return orchestra.Check(name, "fail", "; ".join(problems[:SHOWN]) + more, read, blames=blames)


# --- the report on the disk -----------------------------------------------------------------------------------------------------------


def _report_is_the_one_claimed(case: Case) -> Iterator[str]:
    page, document = _file(case, "report"), _file(case, "json")
    for name, data in (("report", page), ("json", document)):
        if data is None:
            yield f"there is no file {case.claim.get(name)!r}"
        elif hashlib.sha256(data).hexdigest() != case.claim.get(f"{name}_digest"):
            yield f"{case.claim[name]!r} has another digest than the one that was claimed"
    try:
        case.report, case.page = json.loads(document or b"{}"), (page or b"").decode()
    except ValueError:
        yield f"{case.claim.get('json')!r} is not JSON"
        return
    yield from _page_lists_the_findings(case)
    yield from _says_what_was_claimed(case)


def _says_what_was_claimed(case: Case) -> Iterator[str]:
    if case.report.get("root") != case.claim.get("root") or case.claim.get("root") != recheck_tree.shown(bytes(case.tree.root)):
        yield f"the report is about {case.report.get('root')!r}, not about the tree that was to be audited"
    for name in ("counts", "missing"):
        if case.report.get(name) != case.claim.get(name):
            yield f"the report's {name} are not those that were claimed"
    if case.claim.get("listed") != len(case.findings()):
        yield f"{case.claim.get('listed')} findings were claimed, the report lists {len(case.findings())}"


def _page_lists_the_findings(case: Case) -> Iterator[str]:
    lines = [line for line in case.page.splitlines() if line.startswith("- **")]
    wanted = [_where(one) for one in case.findings()]
    if len(lines) != len(wanted):
        yield f"the page lists {len(lines)} findings, the JSON {len(wanted)}"
    for line, where in zip(lines, wanted, strict=False):
        if where not in line:
            yield f"the page does not list {where} at its place"


def _where(one: dict[str, Any]) -> str:
    place = f"`{str(one['path']).replace('`', '%60')}:{one['line']}`" if one["path"] else "not declared by the tree itself"
    return f"- **{one['severity']}** {one['kind']} {place} "


def _file(case: Case, name: str) -> bytes | None:
    place = Path(str(case.claim.get(name)))
    if place.is_symlink() or not place.is_file():
        return None
    with place.open("rb") as file:
        data = file.read(LARGEST_REPORT)
    case.read.append(orchestra.Source(str(place), hashlib.sha256(data).hexdigest(), datetime.now(UTC)))
    return data


# --- what it cites --------------------------------------------------------------------------------------------------------------------


def _citations_hold(case: Case) -> Iterator[str]:
    places = [(one["path"], one["line"], one["digest"]) for one in case.findings() if one["path"]]
    places += [(one["path"], one["line"], one["digest"]) for dependency in case.report.get("dependencies", []) for one in dependency["declared"]]
    for path, line, digest in places:
        found = case.tree.digest_of(path, line)
        if found is None:
            yield f"there is no {path}:{line}"
        elif found != digest:
            yield f"{path}:{line} is not what is cited"


def _no_secret_is_repeated(case: Case) -> Iterator[str]:
    """Looks for each secret in its line, by its digest, and then for it in the report."""
    written = case.page + json.dumps(case.report, ensure_ascii=False)
    for portion in case.scan.get("secrets") or []:
        for one in portion["findings"]:
            line = case.tree.line(one["path"], one["line"])
            secret = _with_digest((line or b"").decode("utf-8", "replace")[:LONGEST_LINE], one["hash"])
            if secret is not None and not _is_a_word(secret) and secret in written:
                yield f"the secret of {one['path']}:{one['line']} stands in the report"


def _is_a_word(secret: str) -> bool:
    """Too short or too plain to say that it was repeated: a password that reads "secrets" stands in every report."""
    return len(secret) < 6 or (secret.isalpha() and len(secret) < 16)


def _with_digest(line: str, digest: str) -> str | None:
    """The part of a line that has this digest, where it begins and ends at a word's edge."""
    edges = [at for at in range(len(line) + 1) if at in {0, len(line)} or not (line[at - 1].isalnum() and line[at].isalnum())][:200]
    pieces = (line[start:end] for start in edges for end in edges if start < end)
    return next((piece for piece in pieces if hashlib.sha256(piece.encode()).hexdigest() == digest), None)


# --- what the scanners said -----------------------------------------------------------------------------------------------------------


def _expected(case: Case) -> dict[Key, str]:
    """Every finding of every scanner with the severity that the README's table gives it."""
    found: dict[Key, str] = {}
    for portion in case.scan.get("secrets") or []:
        for one in portion["findings"]:
            grade = "low" if one["kind"].startswith("Public IP") else "medium" if one["kind"] in UNSURE else "high"
            found["secret", one["kind"], one["path"], one["line"]] = _eased(grade, one["path"])
    for portion in case.scan.get("code") or []:
        for one in portion["findings"]:
            kind = "secret" if one["rule"] in ("B105", "B106", "B107") else "code"
            grade = one["severity"] if one["severity"] in GRADES else "low"
            found[kind, one["rule"], one["path"], one["line"]] = _eased(grade, one["path"])
    for one in (case.scan.get("licences") or {}).get("dependencies", []):
        if one["needed"] and one["grade"] in OF_LICENCES:
            path, line = (one["declared"][0]["path"], one["declared"][0]["line"]) if one["declared"] else ("", 0)
            found["licence", f"{one['grade']}: {one['name']}", path, line] = OF_LICENCES[one["grade"]]
    return found


def _eased(grade: str, path: str) -> str:
    parts = path.split("/")
    return GRADES[min(2, GRADES.index(grade) + 1)] if any(part.lower() in OFF_DUTY or part.startswith("test_") for part in parts) else grade


def _together(expected: dict[Key, str]) -> dict[tuple[str, str, int, str], tuple[str, set[str]]]:
    """What the report must hold: secrets by line, with their worst severity and all rules; everything else by rule and line."""
    found: dict[tuple[str, str, int, str], tuple[str, set[str]]] = {}
    for (kind, rule, path, line), grade in expected.items():
        key = kind, path, line, "" if kind == "secret" else rule
        before, rules = found.get(key, (grade, set()))
        found[key] = min(before, grade, key=GRADES.index), rules | {rule}
    return found


def _nothing_was_dropped(case: Case) -> Iterator[str]:
    expected = _together(_expected(case))
    bar = GRADES.index(case.severity)
    wanted = {key: value for key, value in expected.items() if GRADES.index(value[0]) <= bar}
    listed = {_key(one): (one["severity"], set(one["rules"])) for one in case.findings()}
    for kind, path, line, rule in wanted.keys() - listed.keys():
        yield f"{kind} {rule} at {path}:{line} is not in the report"
    for kind, path, line, rule in listed.keys() - wanted.keys():
        yield f"{kind} {rule} at {path}:{line} is in the report and no scanner found it"
    for key in wanted.keys() & listed.keys():
        if wanted[key] != listed[key]:
            yield f"{key[1]}:{key[2]} is reported as {listed[key]}, the scanners' findings give {wanted[key]}"
    below = Counter((grade, kind, rule) for (kind, *_), (grade, rules) in expected.items() if GRADES.index(grade) > bar for rule in rules)
    if below != {(one["severity"], one["kind"], one["rule"]): one["count"] for one in case.report.get("below", [])}:
        yield "what is only counted is counted otherwise than the scanners found it"
    order = [(GRADES.index(one["severity"]), ["secret", "code", "licence"].index(one["kind"])) for one in case.findings()]
    if order != sorted(order):
        yield "the findings are not in the order of their severity"
    missing = [name for name in ("code", "secrets", "licences") if case.scan.get(name) is None]
    if case.report.get("missing") != missing:
        yield f"the scanners that failed are {missing}, the report says {case.report.get('missing')}"


def _key(one: dict[str, Any]) -> tuple[str, str, int, str]:
    return one["kind"], one["path"], one["line"], "" if one["kind"] == "secret" else one["rules"][0]


def _counts_match(case: Case) -> Iterator[str]:
    counted = Counter(grade for grade, _ in _together(_expected(case)).values())
    for grade in GRADES:
        said = (case.report.get("counts") or {}).get(grade)
        if said != counted[grade]:
            yield f"the report counts {said} of severity {grade}, the scanners' findings give {counted[grade]}"


def _the_whole_tree_was_scanned(case: Case) -> Iterator[str]:
    gaps = {gap["path"] for gap in case.report.get("gaps", [])}
    for name, wanted in (("secrets", case.tree.texts), ("code", {path for path in case.tree.texts if path.endswith((".py", ".pyi"))})):
        if case.scan.get(name) is None:
            continue  # declared as missing, which nothing-was-dropped holds
        scanned = {path for portion in case.scan[name] for path in portion["paths"]}
        yield from (f"{path} was not searched ({name})" for path in sorted(wanted - scanned - gaps))
        yield from (f"{path} was searched ({name}) and is not in the tree" for path in sorted(scanned - case.tree.texts - case.tree.passed_over))


# --- licences -------------------------------------------------------------------------------------------------------------------------


def _licences_match(case: Case) -> Iterator[str]:
    if case.scan.get("licences") is None:
        return
    if case.report.get("dependencies") != case.scan["licences"]["dependencies"]:
        yield "the report's dependencies are not those of the licence reader"
    found, said = recheck_licences.installed(), {one["name"]: one for one in case.report.get("dependencies", [])}
    yield from _declared_is_needed(case, said)
    yield from (f"{name} is installed and not in the report" for name in sorted(found.keys() - said.keys()))
    for name, one in said.items():
        version, licence = found.get(name, ("", "unknown"))
        if (one["version"], one["licence"]) != (version, licence):
            yield f"{name}: the report says {one['version']!r} under {one['licence']!r}, its metadata {version!r} under {licence!r}"
        elif one["grade"] != recheck_licences.grade_of(licence):
            yield f"{name}: {licence!r} is {recheck_licences.grade_of(licence)}, not {one['grade']}"


def _declared_is_needed(case: Case, said: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Every name in a requirements file stands in the report, and counts unless each line of it has a condition."""
    for path in sorted(case.tree.texts):
        if not recheck_licences.declares(path):
            continue
        for line, name in recheck_licences.names_in(case.tree.content(path) or b""):
            one = said.get(name)
            if one is None or {"path": path, "line": line} not in [{"path": place["path"], "line": place["line"]} for place in one["declared"]]:
                yield f"{path}:{line} declares {name}, which the report does not say"
    for one in said.values():
        lines = [case.tree.line(place["path"], place["line"]) or b";" for place in one["declared"]]
        if not one["needed"] and any(b";" not in line for line in lines):
            yield f"{one['name']} is declared without a condition and left out of the findings"


JUDGES: dict[str, Callable[[Case], Iterator[str]]] = {
    "report-is-the-one-claimed": _report_is_the_one_claimed,
    "citations-hold": _citations_hold,
    "nothing-was-dropped": _nothing_was_dropped,
    "counts-match": _counts_match,
    "licences-match-the-metadata": _licences_match,
    "the-whole-tree-was-scanned": _the_whole_tree_was_scanned,
    "no-secret-is-repeated": _no_secret_is_repeated,
}
