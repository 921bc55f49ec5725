"""The shapes that the audit's steps hand to each other. Paths are texts as tree.as_text writes them, lines count from 1."""

from typing import TypedDict


class Gap(TypedDict):
    """A file that was not looked at, or not wholly, and why."""

    path: str
    why: str


class Survey(TypedDict):
    """What there is to look at, in portions of about equal size, and what is left out."""

    root: str
    report: str
    files: int
    python: int
    binary: int
    links: int
    excluded: list[str]
    code: list[list[str]]
    text: list[list[str]]
    declarations: list[str]
    gaps: list[Gap]


class Cited(TypedDict):
    """A line of a file, with the SHA-256 of its bytes. Line 0 is the whole file."""

    path: str
    line: int
    digest: str


class Weakness(Cited):
    """What bandit says of a line."""

    rule: str
    severity: str
    what: str


class Secret(Cited):
    """What looks like a secret: its kind and the SHA-256 of its text, never the text."""

    kind: str
    hash: str


class CodeScan(TypedDict):
    paths: list[str]
    findings: list[Weakness]
    gaps: list[Gap]


class SecretScan(TypedDict):
    paths: list[str]
    findings: list[Secret]
    gaps: list[Gap]


class Dependency(TypedDict):
    """A distribution that is declared in the tree or installed beside us. `needed`: declared, or needed by one that is."""

    name: str
    version: str
    licence: str
    grade: str
    declared: list[Cited]
    needed: bool


class LicenceScan(TypedDict):
    dependencies: list[Dependency]
    gaps: list[Gap]


class Scan(TypedDict):
    """Null where a scanner failed."""

    code: list[CodeScan] | None
    secrets: list[SecretScan] | None
    licences: LicenceScan | None


class Finding(Cited):
    """One line of the report. `hashes`: of the secrets on it."""

    severity: str
    kind: str
    rules: list[str]
    what: str
    hashes: list[str]


class Below(TypedDict):
    """Findings under the asked severity: counted by rule, not listed."""

    severity: str
    kind: str
    rule: str
    count: int


class Ranked(TypedDict):
    root: str
    severity: str
    findings: list[Finding]
    below: list[Below]
    counts: dict[str, int]
    missing: list[str]
    gaps: list[Gap]
    looked_at: dict[str, int]
    excluded: list[str]
    dependencies: list[Dependency]


class Written(TypedDict):
    """What the writer claims: two files, their digests, and what they count."""

    root: str
    report: str
    json: str
    report_digest: str
    json_digest: str
    listed: int
    counts: dict[str, int]
    missing: list[str]
