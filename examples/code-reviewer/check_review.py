"""The checker of another team: reads the change and the comments by itself, with rules of its own writing, and believes no number that it is told."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orchestra

ABOUT, MISSED = "comments-are-about-the-change", "nothing-was-missed"
_TRACES = ("print(", "breakpoint(", "pdb.set_trace(", "console.log(")


def check(patch: str, comments: str, claim: dict[str, Any]) -> orchestra.Verdict:
    change, written = Path(patch).read_bytes(), Path(comments).read_bytes()
    sources = [_source(patch, change), _source(comments, written)]
    lines = _added_lines(change.decode("utf-8", errors="replace"))
    made = json.loads(written)["comments"]
    strange = [f"{one['file']}:{one['line']}" for one in made if lines.get((one["file"], one["line"])) != one["cited"]]
    if claim.get("added") != len(lines):
        strange.append(f"{claim.get('added')} added lines were claimed, and there are {len(lines)}")
    there = {(one["file"], one["line"]) for one in made}
    missed = [f"{file}:{line}" for (file, line), text in sorted(lines.items()) if _breaks_a_rule(text) and (file, line) not in there]
    checks = [
        _check(ABOUT, strange, f"{len(made)} comments cite what the change adds", sources),
        _check(MISSED, missed, f"{len(lines)} added lines were looked at again", sources),
    ]
    return orchestra.Verdict(checks, summary="; ".join(check.why for check in checks))


def _check(criterion: str, wrong: list[str], right: str, sources: list[orchestra.Source]) -> orchestra.Check:
    if wrong:
        return orchestra.Check(criterion, "fail", f"{len(wrong)}: {', '.join(wrong[:10])}", sources, blames="review")
    return orchestra.Check(criterion, "pass", right, sources)


def _added_lines(text: str) -> dict[tuple[str, int], str]:
    found: dict[tuple[str, int], str] = {}
    file, at = "", 0
    for raw in text.split("\n"):
        if raw.startswith("+++ "):
            name = raw[4:].split("\t")[0]
            file = name.removeprefix("b/")
        elif raw.startswith("@@ "):
            at = int(raw.split(" ")[2][1:].split(",")[0])
        elif raw[:1] == "+":
            found[(file, at)] = raw[1:]
            at += 1
        elif raw[:1] == " ":
            at += 1
    return found


def _breaks_a_rule(text: str) -> bool:
    words = "".join(each if each.isalnum() or each == "_" else " " for each in text).split()
    left_over = bool({"TODO", "FIXME", "XXX"}.intersection(words))
    return left_over or len(text) > 120 or any(trace in text for trace in _TRACES) or text.strip() == "except:"


def _source(name: str, data: bytes) -> orchestra.Source:
    return orchestra.Source(name, hashlib.sha256(data).hexdigest(), datetime.now(UTC))
