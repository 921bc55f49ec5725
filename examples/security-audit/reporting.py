"""The writer: a report for people (Markdown) and the same for programs (JSON) beside it, at the place that was asked for and nowhere else.

Writes over nothing that is not an older report of its own. Writing the same again leaves the same, so it may be sent twice.
"""

import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

from records import Finding, Ranked, Written
from tree import as_text, is_ours

import orchestra

MARK = "<!-- made by the pipeline security-audit -->"
START = '{"made_by": "security-audit",'
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def write(report: str, ranked: Ranked) -> Written:
    """`report` is an absolute path; the JSON goes to the same with .json behind it."""
    beside = f"{report}.json"
    if os.path.dirname(report).endswith(f"security-audit-{os.getuid()}"):
        os.makedirs(os.path.dirname(report), mode=0o700, exist_ok=True)
        if not is_ours(os.path.dirname(report)):
            raise orchestra.Failure("refused", f"{os.path.dirname(report)!r} is somebody else's; say another place with report=FILE")
    for path in (report, beside):
        _refuse_if_foreign(path)
    document = START.encode() + json.dumps(ranked, indent=1, ensure_ascii=False)[1:].encode() + b"\n"
    page = "\n".join(_page(ranked)).encode() + b"\n"
    _put(beside, document)
    _put(report, page)
    return {
        "root": ranked["root"],
        "report": report,
        "json": beside,
        "report_digest": hashlib.sha256(page).hexdigest(),
        "json_digest": hashlib.sha256(document).hexdigest(),
        "listed": len(ranked["findings"]),
        "counts": ranked["counts"],
        "missing": ranked["missing"],
    }


def _refuse_if_foreign(path: str) -> None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        raise orchestra.Failure("refused", f"{as_text(os.fsencode(path))} exists and is no file; say another place with report=FILE")
    with open(path, "rb") as file:
        start = file.read(len(MARK))
    if not start.startswith((MARK.encode(), START.encode())):
        raise orchestra.Failure(
            "refused", f"{as_text(os.fsencode(path))} exists and is no report of this pipeline; say another place with report=FILE"
        )


def _put(path: str, data: bytes) -> None:
    """Whole or not at all: under a new name beside it first, which nobody else has."""
    folder, name = os.path.split(path)
    descriptor, unfinished = tempfile.mkstemp(prefix=f".{name[:100]}.", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise


def _page(ranked: Ranked) -> Iterator[str]:
    counts = ranked["counts"]
    yield from (MARK, "# Security audit", "", f"Of `{_code(ranked['root'])}`.", "")
    yield f"{counts['high']:,} high, {counts['medium']:,} medium, {counts['low']:,} low."
    yield f"Listed: {len(ranked['findings']):,}, {ranked['severity']} and above."
    if ranked["missing"]:
        yield from ("", f"**Not looked at, because the scanner failed: {', '.join(ranked['missing'])}.**")
    yield from ("", "## Findings", "")
    yield from [_finding(one) for one in ranked["findings"]] or ["None."]
    yield from _table("Below that, by rule", ("severity", "kind", "rule", "count"), ranked["below"])
    yield from ("", "## What was looked at", "")
    yield from (f"- {name}: {count:,}" for name, count in ranked["looked_at"].items())
    yield from (f"- left out: `{_code(path)}`" for path in ranked["excluded"])
    yield from _table("What was not, or not wholly", ("path", "why"), ranked["gaps"])
    flagged = [{**one, "needed by the tree": one["needed"]} for one in ranked["dependencies"] if one["grade"] != "permissive"]
    yield from _table("Licences that are not permissive", ("name", "version", "licence", "grade", "needed by the tree"), flagged)
    if flagged:
        needed = f"Needed: `{_code(ranked['root'])}` declares it, or what it declares depends on it."
        yield from ("", f"{needed} The others are only installed beside this pipeline.")


def _finding(one: Finding) -> str:
    where = f"`{_code(one['path'])}:{one['line']}`" if one["path"] else "not declared by the tree itself"
    hashes = f" SHA-256 of it: {', '.join(one['hashes'])}." if one["hashes"] else ""
    return f"- **{one['severity']}** {one['kind']} {where} {_plain(', '.join(one['rules']))}: {_plain(one['what'])}{hashes}"


def _table(title: str, columns: tuple[str, ...], rows: Any) -> Iterator[str]:
    if not rows:
        return
    yield from ("", f"## {title}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}")
    for row in rows:
        yield f"| {' | '.join(_plain(_worded(row[column])) for column in columns)} |"


def _worded(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _plain(text: str) -> str:
    """Text from files and scanners as text: on one line, and no Markdown."""
    return _SPECIAL.sub(r"\\\1", "".join(letter if letter.isprintable() else "�" for letter in text))


def _code(text: str) -> str:
    """For inside backquotes, where a backslash escapes nothing."""
    return text.replace("`", "%60")
