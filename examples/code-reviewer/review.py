"""The reviewer: reads a unified diff, and writes a comment on each added line that breaks one of four rules. It changes nothing else."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import orchestra

MOST_BYTES = 4 * 1024 * 1024
LONGEST = 120
RULES = {
    "debugging": (re.compile(r"\b(print|breakpoint|pdb\.set_trace|console\.log)\s*\("), "This looks like a trace of debugging; take it out."),
    "swallowed": (
        re.compile(r"except\s*:|except\s+Exception\s*:\s*pass"),
        "Whatever goes wrong here, nobody will learn of it; name what you expect.",
    ),
    "left-over": (re.compile(r"\b(TODO|FIXME|XXX)\b"), "Say in a ticket what is left to do, or do it."),
    "long": (re.compile(rf".{{{LONGEST + 1},}}"), f"Longer than {LONGEST} characters."),
}
_HUNK = re.compile(r"@@ -[0-9]+(?:,[0-9]+)? \+([0-9]+)")


class Comment(TypedDict):
    """`line` counts in the changed file, from 1."""

    file: str
    line: int
    rule: str
    said: str
    cited: str


class Reviewed(TypedDict):
    repo: str
    comments: str
    added: int
    commented: int


def review(repo: str, patch: str, comments: str) -> Reviewed:
    """Writes the comments as JSON, whole or not at all. Doing it again leaves the same."""
    added = list(_added(_text(patch)))
    found = [comment for file, line, text in added for comment in _judged(file, line, text)]
    _put(Path(comments), json.dumps({"repo": repo, "comments": found}, indent=1, ensure_ascii=False) + "\n")
    return {"repo": repo, "comments": comments, "added": len(added), "commented": len({(one["file"], one["line"]) for one in found})}


def _text(patch: str) -> str:
    try:
        data = Path(patch).read_bytes()
    except FileNotFoundError:
        raise orchestra.Failure("missing", f"there is no file {patch!r}") from None
    if len(data) > MOST_BYTES:
        raise orchestra.Failure("refused", f"the change has {len(data):,} bytes; at most {MOST_BYTES:,} are read")
    return data.decode("utf-8", errors="replace")


def _added(text: str) -> Iterator[tuple[str, int, str]]:
    file, line = "", 0
    for raw in text.split("\n"):
        if raw.startswith("+++ "):
            file = raw[4:].partition("\t")[0].removeprefix("b/")
        elif (hunk := _HUNK.match(raw)) is not None:
            line = int(hunk[1])
        elif raw.startswith("+"):
            yield file, line, raw[1:]
            line += 1
        elif raw.startswith(" "):
            line += 1


def _judged(file: str, line: int, text: str) -> Iterator[Comment]:
    for rule, (pattern, said) in RULES.items():
        if pattern.search(text):
            yield {"file": file, "line": line, "rule": rule, "said": said, "cited": text}


def _put(place: Path, text: str) -> None:
    descriptor, unfinished = tempfile.mkstemp(prefix=".review-", dir=place.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(unfinished, place)
