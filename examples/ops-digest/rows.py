"""Rows of a `timestamp,value` file: text in, (stamp, value) pairs in file order out.

Owns what counts as malformed. Every complaint names file and line, and quotes next to nothing: a wrong path may lead to a file of secrets, and
complaints are shown and kept. Knows nothing of order, gaps or time of day.
"""

import csv
import re
from collections.abc import Iterator

from instants import parse_stamp

import orchestra

HEADER = ["timestamp", "value"]
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
MAX_MAGNITUDE = 1e100
MAX_ROWS = 50_000
MAX_SHOWN = 24  # a stamp fits

Row = tuple[int, float]


def parse_rows(file: str, data: bytes) -> list[Row]:
    """All rows of one file. Malformed names the line; a file without a single row is Missing."""
    lines = csv.reader(_lines(file, data), strict=True)
    rows: list[Row] = []
    try:
        for number, fields in enumerate(lines, start=1):
            if lines.line_num != number:
                raise orchestra.Malformed(f"{file}, line {number}: a quoted field goes on over the line's end")
            if number == 1:
                _check_header(file, fields)
            else:
                rows.append(_row(f"{file}, line {lines.line_num}", fields))
            if len(rows) > MAX_ROWS:
                raise orchestra.Malformed(f"{file}, line {lines.line_num}: more than {MAX_ROWS:,} rows in one series; split the file")
    except csv.Error as error:
        raise orchestra.Malformed(f"{file}, line {lines.line_num}: not CSV ({error})") from error
    if not rows:
        raise orchestra.Missing(f"{file} is empty: it holds no sample")
    return rows


def _lines(file: str, data: bytes) -> Iterator[str]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise orchestra.Malformed(f"{file}, line {line}: not UTF-8 (byte {data[error.start]:#04x})") from error
    return iter(text.split("\n")[: None if not text.endswith("\n") else -1] if text else [])


def _check_header(file: str, fields: list[str]) -> None:
    if [field.strip() for field in fields] != HEADER:
        found = "2 with other names" if len(fields) == 2 else f"found {len(fields)}"
        raise orchestra.Malformed(f"{file}, line 1: expected the 2 columns timestamp,value; {found}; is this a metric feed?")


def _row(place: str, fields: list[str]) -> Row:
    if len(fields) != 2:
        raise orchestra.Malformed(f"{place}: {len(fields)} columns, expected 2 (timestamp,value)")
    return _stamp(place, fields[0].strip()), _number(place, fields[1].strip())


def _stamp(place: str, text: str) -> int:
    try:
        return parse_stamp(text)
    except (ValueError, OverflowError):
        raise orchestra.Malformed(f"{place}: {_shown(text)} is not a timestamp like 2014-02-28 14:25:00") from None


def _number(place: str, text: str) -> float:
    if not NUMBER.fullmatch(text):
        raise orchestra.Malformed(f"{place}: {_shown(text)} is not a finite number")
    value = float(text)
    if abs(value) > MAX_MAGNITUDE:
        raise orchestra.Malformed(f"{place}: {_shown(text)} is beyond ±{MAX_MAGNITUDE:g}")
    return value


def _shown(text: str) -> str:
    return repr(text[:MAX_SHOWN]) + (f"… (cut, {len(text):,} characters)" if len(text) > MAX_SHOWN else "")
