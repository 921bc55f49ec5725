"""The code scanner, a command: {"root", "paths"} on stdin, bandit's findings on stdout.

Takes bandit as a library, so that any number of files is one process. What a comment in the tree would excuse (# nosec) is reported all the same.
"""

import json
import logging
import os
import sys
from collections import defaultdict
from typing import Any

from bandit.core import config, manager
from records import CodeScan, Gap, Weakness
from tree import Unreadable, line_digest, lines_of, place, read

AT_ONCE = 40
MOST_OF_ONE_FILE = 500
PASSWORDS = frozenset({"B105", "B106", "B107"})  # their text repeats what they found


def scan(root: str, paths: list[str]) -> CodeScan:
    """Findings and gaps of these files; says on stderr how far it is."""
    logging.getLogger("bandit").setLevel(logging.CRITICAL + 1)  # its log would repeat hostile names
    findings: list[Weakness] = []
    gaps: list[Gap] = []
    contents: dict[str, bytes] = {}
    for path in paths:
        try:
            contents[path] = read(root, path)
        except Unreadable as why:
            gaps.append({"path": path, "why": str(why)})
    readable = list(contents)
    for start in range(0, len(readable), AT_ONCE):
        portion = readable[start : start + AT_ONCE]
        issues, problems = _bandit(root, portion)
        gaps += problems
        for path in portion:
            findings += _weaknesses(path, contents[path], issues[path], gaps)
        print(f"{start + len(portion)} of {len(readable)} files", file=sys.stderr)
    return {"paths": readable, "findings": findings, "gaps": gaps}


def _bandit(root: str, portion: list[str]) -> tuple[dict[str, list[Any]], list[Gap]]:
    """What it says of each file, and of which it could say nothing."""
    names = {os.fsdecode(place(root, path)): path for path in portion}
    bandit = manager.BanditManager(config.BanditConfig(), "file", ignore_nosec=True)
    bandit.files_list = list(names)
    bandit.run_tests()
    issues: dict[str, list[Any]] = defaultdict(list)
    for issue in bandit.get_issue_list():
        issues[names[issue.fname]].append(issue)
    return issues, [{"path": names[name], "why": f"bandit: {why}"} for name, why in bandit.get_skipped()]


def _weaknesses(path: str, data: bytes, issues: list[Any], gaps: list[Gap]) -> list[Weakness]:
    if len(issues) > MOST_OF_ONE_FILE:
        gaps.append({"path": path, "why": f"bandit finds {len(issues):,} weaknesses in it; the first {MOST_OF_ONE_FILE} are kept"})
    lines = lines_of(data)
    found: list[Weakness] = []
    for issue in sorted(issues, key=lambda issue: (issue.lineno, issue.test_id))[:MOST_OF_ONE_FILE]:
        line, digest = line_digest(data, lines, issue.lineno)
        what = "Possible hardcoded password." if issue.test_id in PASSWORDS else str(issue.text)
        found.append({"path": path, "line": line, "digest": digest, "rule": issue.test_id, "severity": issue.severity.lower(), "what": what[:300]})
    return found


if __name__ == "__main__":
    given = json.load(sys.stdin)
    json.dump(scan(given["root"], given["paths"]), sys.stdout)
