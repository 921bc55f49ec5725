"""A verdict for the page of a run: the checks, failures first, and once and numbered what was read for them.

Pure: a run document's verdict in, rows out. Judges nothing; the words are those of whoever checked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MOST_CHECKS: Final = 200
MOST_SOURCES: Final = 200
MOST_CITED: Final = 30
FEW: Final = 5
"""As many sources are shown at once; a longer list is folded."""

_ORDER: Final = {"fail": 0, "inconclusive": 1}


@dataclass(frozen=True, slots=True)
class Source:
    number: int
    source: str
    digest: str
    at: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A check with the numbers of what was read for it; `by` is empty where the verdict's own author checked."""

    check: Mapping[str, Any]
    cited: str
    by: str


@dataclass(frozen=True, slots=True)
class Findings:
    rows: Sequence[Finding]
    sources: Sequence[Source]
    more_checks: int
    more_sources: int

    @property
    def folded(self) -> bool:
        return len(self.sources) > FEW


def findings(verdict: Mapping[str, Any] | None) -> Findings:
    """Nothing where there is no verdict. Numbers follow the order in which the page names the sources."""
    checks = sorted((verdict or {}).get("checks", ()), key=lambda check: _ORDER.get(str(check["verdict"]), 2))
    numbers: dict[tuple[str, str, str], int] = {}
    for read in (read for check in checks[:MOST_CHECKS] for read in check.get("read") or ()):
        numbers.setdefault(_key(read), len(numbers) + 1)
    by = (verdict or {}).get("by")
    rows = [Finding(check, _cited(check, numbers), "" if check.get("by") == by else str(check.get("by") or "?")) for check in checks[:MOST_CHECKS]]
    sources = [Source(number, *key) for key, number in list(numbers.items())[:MOST_SOURCES]]
    return Findings(rows, sources, max(len(checks) - MOST_CHECKS, 0), max(len(numbers) - MOST_SOURCES, 0))


def _key(read: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(read["source"]), str(read["digest"]), str(read["at"])


def _cited(check: Mapping[str, Any], numbers: Mapping[tuple[str, str, str], int]) -> str:
    """`1, 2, 5–9`: neighbours as a range, so that who read everything says so in a few signs."""
    cited = sorted({numbers[_key(read)] for read in check.get("read") or ()})
    ranges: list[list[int]] = []
    for number in cited:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1].append(number)
        else:
            ranges.append([number])
    said = [f"{one[0]}–{one[-1]}" if len(one) > 2 else ", ".join(map(str, one)) for one in ranges]
    return ", ".join(said[:MOST_CITED]) + (" …" if len(said) > MOST_CITED else "")
