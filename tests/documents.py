"""Reads our Markdown: fenced blocks with the directive before them, links, headings, commands, and table rows.

Knows Markdown only as far as docs/ uses it. Used by the tests that hold the documentation against the product.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_DIRECTIVE = re.compile(r"<!-- (?P<key>[a-z ]+?)(?:: (?P<value>.+?))? -->")
_FENCE = re.compile(r"(?P<marks>```+)(?P<language>\w*)")
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"#+ +(?P<text>.+)")
_COMMAND = re.compile(r"(?:^|[\s`])(?:python )?manage\.py (?P<rest>[a-z][^`#\n]*)")


@dataclass(frozen=True)
class Block:
    """A fenced block; `key` and `value` are those of a `<!-- key: value -->` on the line before it."""

    line: int
    language: str
    text: str
    key: str = ""
    value: str = ""


def pages() -> list[Path]:
    """Every page that is ours to keep true."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    directive: re.Match[str] | None = None
    number = 0
    while number < len(lines):
        fence = _FENCE.fullmatch(lines[number].strip())
        if fence is None:
            directive = _DIRECTIVE.fullmatch(lines[number].strip())
            number += 1
            continue
        end = next(at for at in range(number + 1, len(lines)) if lines[at].strip() == fence["marks"])
        text = "".join(f"{line}\n" for line in lines[number + 1 : end])
        said = (directive["key"], directive["value"] or "") if directive else ("", "")
        yield Block(number + 1, fence["language"], text, *said)
        directive, number = None, end + 1


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def links(page: Path) -> list[str]:
    return [found["target"] for found in _LINK.finditer(prose(page))]


def anchors(page: Path) -> set[str]:
    """The fragments that a page's headings can be reached by."""
    headings = (_HEADING.fullmatch(line) for line in prose(page).splitlines())
    return {re.sub(r"[^\w\- ]", "", found["text"].lower()).replace(" ", "-") for found in headings if found}


def commands(page: Path) -> list[str]:
    """What stands behind `manage.py`, in blocks and in prose, up to a comment or a closing quote."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    return [found["rest"].strip() for line in text.splitlines() for found in _COMMAND.finditer(line)]


def table_rows(page: Path, header: str) -> list[list[str]]:
    """The cells of the table whose header row begins with `header`, without backquotes."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {header} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("`", "") for cell in line.strip("|").split("|")])
    return rows
