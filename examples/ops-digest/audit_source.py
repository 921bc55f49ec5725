"""The auditor's own reader: the feed as observations in order, and a record of what was read.

Shares nothing with the performers' reader but the file format; works on datetimes where that one counts microseconds.
Raises Missing or Malformed where the feed gives no basis for any digest; the run is then unverified.
"""

import hashlib
import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path, PurePosixPath

import orchestra


@dataclass(frozen=True)
class Filling:
    """Values that stand in for absent ones between two observations."""

    after: datetime
    before: datetime
    points: int


@dataclass(frozen=True)
class Track:
    """A series as the auditor understands it; `observed[k]` says whether value k is in the feed."""

    name: str
    stamps: list[datetime]
    values: list[float]
    observed: list[bool]
    reordered: int = 0
    later: int = 0
    duplicates: int = 0
    duplicate_stamps: list[datetime] = field(default_factory=list)
    fillings: list[Filling] = field(default_factory=list)


@dataclass(frozen=True)
class Document:
    """One file or page, as it is now."""

    name: str
    text: str
    source: orchestra.Source


def documents(feed: str) -> list[Document]:
    """Reads the feed again: a URL, a file, or every .csv below a folder."""
    if address := re.match(r"([A-Za-z0-9]+)://", feed):
        if address[1].lower() not in {"http", "https"}:
            raise orchestra.Malformed(f"the auditor can't read {address[1]}:// addresses, only http and https")
        return [_fetched(feed)]
    root = Path(feed)
    if not root.is_dir():
        return [_opened(root.stem, root)]
    found = [_opened("/".join(path.relative_to(root).parts).removesuffix(".csv"), path) for path in root.glob("**/*.csv") if not path.is_dir()]
    if not found:
        raise orchestra.Missing(f"the auditor finds no .csv file in {feed}")
    return found


def observations(document: Document) -> list[tuple[datetime, float]]:
    """The rows of a document, in its order. What can't be read is not quoted: the path may be a wrong one, and complaints are kept."""
    lines = document.text.removesuffix("\n").split("\n")
    place = f"the auditor can't read {document.source.source}, line"
    if lines != [""] and (header := _cells(lines[0])) != ["timestamp", "value"]:
        raise orchestra.Malformed(f"{place} 1: expected the columns timestamp and value, found {_columns(header)}")
    if len(lines) < 2:
        raise orchestra.Missing(f"the auditor finds no sample in {document.source.source}")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        cells = _cells(line)
        try:
            stamp, value = cells
            rows.append((instant(stamp), _finite(value)))
        except ValueError:  # its text would quote the line
            raise orchestra.Malformed(f"{place} {number}: expected a timestamp and a finite number, found {_columns(cells)}") from None
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip().removeprefix('"').removesuffix('"').strip() for cell in line.split(",")]


def _columns(cells: list[str]) -> str:
    return "1 column" if len(cells) == 1 else f"{len(cells)} columns" if len(cells) != 2 else "2 columns with something else"


def track(name: str, rows: list[tuple[datetime, float]], until: datetime | None, max_gap: timedelta | None) -> Track:
    """Sorts, keeps the last row of each stamp, fills gaps; counts all of it."""
    within = [row for row in rows if until is None or row[0] <= until]
    if not within:
        raise orchestra.Missing(f"the auditor finds no sample of {name} up to {until}")
    by_stamp: dict[datetime, list[float]] = {}
    reordered, newest = 0, within[0][0]
    for stamp, value in within:
        by_stamp.setdefault(stamp, []).append(value)
        if stamp < newest:
            reordered += 1
        newest = max(newest, stamp)
    merged = [(stamp, by_stamp[stamp][-1]) for stamp in sorted(by_stamp)]
    stamps, values, observed, fillings = _filled(name, merged, max_gap)
    return Track(
        name, stamps, values, observed, reordered, len(rows) - len(within), sum(len(same) - 1 for same in by_stamp.values()),
        [stamp for stamp in sorted(by_stamp) if len(by_stamp[stamp]) > 1], fillings,
    )  # fmt: skip


def usual_step(stamps: list[datetime]) -> timedelta:
    """The lower median of the steps between stamps."""
    steps = sorted(late - early for early, late in pairwise(stamps))
    return steps[(len(steps) - 1) // 2]


def gap_limit(stamps: list[datetime], max_gap: timedelta | None) -> timedelta:
    """The longest gap that may be filled: as given, or three usual steps."""
    if max_gap is not None:
        return max_gap
    return 3 * usual_step(stamps) if len(stamps) > 1 else timedelta(0)


def instant(text: str) -> datetime:
    """An ISO 8601 stamp, UTC where it says no offset."""
    stamp = datetime.fromisoformat(text)
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).astimezone(UTC)


def duration(text: str) -> timedelta | None:
    """The span that "90s", "15m" or "2h" says; None for no text."""
    if not text:
        return None
    unit = text.lstrip("0123456789")
    names = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    return timedelta(**{names[unit]: int(text.removesuffix(unit))})


def _filled(
    name: str, merged: list[tuple[datetime, float]], max_gap: timedelta | None
) -> tuple[list[datetime], list[float], list[bool], list[Filling]]:
    stamps, values, observed, fillings = [merged[0][0]], [merged[0][1]], [True], []
    step = usual_step([stamp for stamp, _ in merged]) if len(merged) > 1 else timedelta(0)
    limit = gap_limit([stamp for stamp, _ in merged], max_gap)
    for (early, low), (late, high) in pairwise(merged):
        steps = math.floor((late - early) / step + 0.5)
        if steps > 1:
            if late - early > limit:
                raise orchestra.Malformed(f"the auditor finds a gap of {late - early} after {early} in {name}; the limit is {limit}")
            fillings.append(Filling(early, late, steps - 1))
            for part in range(1, steps):
                stamps.append(early + (late - early) * part // steps)
                values.append((low * (steps - part) + high * part) / steps)
                observed.append(False)
        stamps.append(late)
        values.append(high)
        observed.append(True)
    return stamps, values, observed, fillings


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("not finite")
    return value


def _opened(name: str, path: Path) -> Document:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise orchestra.Missing(f"the auditor can't read {path}: {error.strerror}") from error
    source = orchestra.Source(str(path), hashlib.sha256(data).hexdigest(), datetime.now(UTC))
    return Document(name, data.decode("utf-8-sig"), source)


def _fetched(url: str) -> Document:
    reply = orchestra.call("fetch", {"url": url})
    if reply["status"] != 200:
        raise orchestra.Missing(f"the auditor asked {url} and was answered {reply['status']}")
    file = PurePosixPath(re.sub(r"[?#].*", "", url.partition("://")[2]).partition("/")[2])
    source = orchestra.Source(url, reply["digest"], instant(reply["fetched_at"]))
    return Document(file.stem or "feed", str(reply["body"]).removeprefix("\ufeff"), source)
