"""Folders of files to apply: a small pipeline that could be published, and ways to spoil it."""

from pathlib import Path

TEAM = "kind: team\nname: platform\n"

READER = """\
kind: agent
name: reader
team: platform
role: gather
purpose: Read a number.
run: {python: "reading:read"}
timeout: 5s
permissions: ["allow read file:*"]
"""

AUDITOR = """\
kind: agent
name: auditor
team: platform
role: check
purpose: Read it again.
run: {python: "auditing:audit"}
timeout: 5s
"""

PIPELINE = """\
kind: pipeline
name: numbers
team: platform
purpose: Say a number.
input: {type: object, required: [file], properties: {file: {type: string}}, additionalProperties: false}
criteria:
  is-positive: result.number > 0
steps:
  - {id: read, agent: reader, with: {file: =input.file}}
verify: {agent: auditor, with: {file: =input.file, claim: =result}}
limits: {timeout: 1m}
"""

READING = """\
from typing import TypedDict


class Found(TypedDict):
    number: int


def read(file: str) -> Found:
    return {"number": 1}
"""

AUDITING = """\
from typing import Any

import orchestra


def audit(file: str, claim: dict[str, Any]) -> orchestra.Verdict:
    return orchestra.Verdict([])
"""


def numbers(
    folder: Path, *, team: str = TEAM, reader: str = READER, auditor: str = AUDITOR, pipeline: str = PIPELINE, reading: str = READING
) -> Path:
    """A folder that publishes, with the parts that a test cares about replaced; called again, it overwrites."""
    folder.mkdir(exist_ok=True)
    documents = [document for document in (team, reader, auditor, pipeline) if document]
    (folder / "numbers.yaml").write_text("---\n".join(documents), encoding="utf-8")
    (folder / "reading.py").write_text(reading, encoding="utf-8")
    (folder / "auditing.py").write_text(AUDITING, encoding="utf-8")
    return folder
