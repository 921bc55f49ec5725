"""Precision and recall of the detector against labelled windows: `python examples/ops-digest/evaluate.py FOLDER`.

FOLDER holds CSV series and anomaly_windows.json, {file: [[start, end], ...]}. Nothing here feeds back into the method.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "sdk"))

from anomalies import find, stamps_of
from instants import parse_duration, parse_stamp
from repair import repair
from rows import parse_rows

Window = tuple[int, int]


@dataclass(frozen=True)
class Score:
    """Counts of one series. A flagged window is right if it meets a label; a label is found if a flagged window meets it."""

    name: str
    flagged: int
    right: int
    labels: int
    met: int
    points: int
    points_right: int
    points_labelled: int
    elapsed_s: float

    def row(self) -> str:
        """One line of the table."""
        windows = f"{self.flagged:7} {_part(self.right, self.flagged)} {_part(self.met, self.labels)}"
        points = f"{self.points:6} {_part(self.points_right, self.points)} {_part(self.points_right, self.points_labelled)}"
        return f"{self.name:58} {windows}  {points}  {self.elapsed_s:6.2f}"


def evaluate(file: Path, name: str, labels: list[Window], max_gap: str) -> Score:
    """One series, as of its own last stamp."""
    begun = time.perf_counter()
    series = repair(name, parse_rows(name, file.read_bytes()), max_gap_us=parse_duration(max_gap), until_us=None)
    found = [(parse_stamp(one["start"]), parse_stamp(one["end"])) for one in find(series)["anomalies"]]
    elapsed = time.perf_counter() - begun
    filled = set(series["filled"])
    stamps = [stamp for place, stamp in enumerate(stamps_of(series)) if place not in filled]
    flagged = {stamp for stamp in stamps if _inside(stamp, found)}
    labelled = {stamp for stamp in stamps if _inside(stamp, labels)}
    right = sum(_meets(one, labels) for one in found)
    met = sum(_meets(one, found) for one in labels)
    return Score(name, len(found), right, len(labels), met, len(flagged), len(flagged & labelled), len(labelled), elapsed)


def total(scores: list[Score]) -> Score:
    """All series as one."""
    sums = {field: sum(getattr(score, field) for score in scores) for field in Score.__dataclass_fields__ if field != "name"}
    return Score(name="all", **sums)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--max-gap", default="2h")
    options = parser.parse_args()
    truth = json.loads((options.folder / "anomaly_windows.json").read_text())
    scores = [
        evaluate(options.folder / name, name, [(parse_stamp(start), parse_stamp(end)) for start, end in windows], options.max_gap)
        for name, windows in truth.items()
    ]
    print(f"{'series':58} {'windows':>7} {'prec.':>11} {'recall':>11}  {'points':>6} {'prec.':>11} {'recall':>11}  {'s':>6}")
    print("\n".join(score.row() for score in [*scores, total(scores)]))


def _inside(stamp: int, windows: list[Window]) -> bool:
    return any(start <= stamp <= end for start, end in windows)


def _meets(window: Window, others: list[Window]) -> bool:
    return any(window[0] <= end and start <= window[1] for start, end in others)


def _part(part: int, whole: int) -> str:
    return f"{f'{part}/{whole}':>8} {part / whole:.2f}" if whole else f"{'0/0':>8}  n/a"


if __name__ == "__main__":
    main()
