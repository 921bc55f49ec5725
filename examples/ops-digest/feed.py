"""The reader: one metric feed, repaired, with the age of its newest observation.

Owns where samples come from (file, folder, URL, this machine). Judges neither freshness (the engine does) nor values (the detector does).
"""

from pathlib import Path
from urllib.parse import urlsplit

from instants import parse_duration, parse_stamp, to_text, to_us
from repair import repair
from rows import parse_rows
from shapes import Reading, Series

import orchestra

MAX_FILE_BYTES = 5 * 1024 * 1024
MAX_SERIES = 200


def read(feed: str, max_gap: str = "", seconds: float = 5.0) -> Reading:
    """Reads `feed`: a CSV file, a folder of them, an http(s) URL, or "host" (sampled for `seconds`)."""
    if feed == "host":
        import host  # noqa: PLC0415  psutil costs 35 ms, which a CSV feed needn't pay

        return host.read(seconds)
    limit = parse_duration(max_gap) if max_gap else None
    until = orchestra.as_of()
    series = [repair(name, parse_rows(file, data), max_gap_us=limit, until_us=to_us(until) if until else None) for name, file, data in _sources(feed)]
    return {
        "as_of": to_text(min(_newest(one) for one in series)),
        "feed": feed,
        "names": [one["name"] for one in series],
        "series": series,
        "evidence": None,
    }


def _newest(series: Series) -> int:
    from_start = sum(stretch["step_us"] * stretch["times"] for stretch in series["stretches"])
    return parse_stamp(series["start"]) + from_start


def _sources(feed: str) -> list[tuple[str, str, bytes]]:
    """(series name, what to call the file in a message, bytes) of each series."""
    scheme = _scheme(feed)
    if scheme in {"http", "https"}:
        return [(Path(urlsplit(feed).path).stem or "feed", feed, _fetched(feed))]
    if scheme:
        raise orchestra.Malformed(f"{scheme}:// is no feed that can be read; of addresses, only http and https")
    path = Path(feed)
    if not path.exists():
        raise orchestra.Missing(f"{feed} does not exist")
    if not path.is_dir():
        return [(path.stem, feed, _bytes(path))]
    files = sorted(file for file in path.rglob("*.csv") if file.is_file())
    if not files:
        raise orchestra.Missing(f"{feed} is empty: it holds no .csv file")
    if len(files) > MAX_SERIES:
        raise orchestra.Malformed(f"{feed}: {len(files)} files, at most {MAX_SERIES} in one digest; split the folder")
    return [(file.relative_to(path).with_suffix("").as_posix(), str(file), _bytes(file)) for file in files]


def _scheme(feed: str) -> str:
    scheme, mark, _ = feed.partition("://")
    return scheme.lower() if mark and scheme.isalnum() else ""


def _bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise orchestra.Malformed(f"{path}: {size:,} bytes, at most {MAX_FILE_BYTES:,}; split the file")
        return path.read_bytes()
    except OSError as error:
        raise orchestra.Missing(f"{path} can't be read: {error.strerror}") from error


def _fetched(url: str) -> bytes:
    reply = orchestra.call("fetch", {"url": url})
    if reply["status"] != 200:
        raise orchestra.Missing(f"{url} answered {reply['status']}")
    return str(reply["body"]).encode()
