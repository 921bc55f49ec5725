"""What the performers hand each other: a reading, findings per series, and the digest.

Owns no behaviour. The auditor must not import it: a mistake in a shape would then be made twice.
Instants are RFC 3339 text in UTC, spans are integer microseconds.
"""

from typing_extensions import TypedDict


class Stretch(TypedDict):
    """`times` consecutive steps of the same length: 4,031 steps of five minutes are one stretch."""

    step_us: int
    times: int


class Gap(TypedDict):
    """`points` values were put, evenly spaced, between the observations at `after` and `before`."""

    after: str
    before: str
    points: int


class Repairs(TypedDict):
    """What the reader did to the rows, counted and named."""

    reordered: int
    later: int
    duplicates: int
    duplicate_stamps: list[str]
    interpolated: int
    gaps: list[Gap]


class Series(TypedDict):
    """A repaired series: value k stands at `start` plus the first k steps; `filled` are the places of interpolated values."""

    name: str
    start: str
    stretches: list[Stretch]
    values: list[float]
    filled: list[int]
    repairs: Repairs


class HostSample(TypedDict):
    """One look at the machine: counters since boot (null where the system shows none), and what is true at the moment."""

    at: str
    cpu_busy_s: float
    cpu_total_s: float
    memory_available: int
    disk_read_bytes: int | None
    disk_write_bytes: int | None
    net_received_bytes: int | None
    net_sent_bytes: int | None
    load_1m: float


class HostEvidence(TypedDict):
    """The raw samples behind the series of a host, for whoever checks them."""

    boot_at: str
    cores: int
    memory_total: int
    samples: list[HostSample]


class Reading(TypedDict):
    """The reader's output. `as_of` is the newest observation of the series that is furthest behind."""

    as_of: str
    feed: str
    names: list[str]
    series: list[Series]
    evidence: HostEvidence | None


class Anomaly(TypedDict):
    """A window that stands out, or a level shift (a window of one stamp). `value` against `usual`, at `at`."""

    kind: str
    start: str
    end: str
    at: str
    points: int
    direction: str
    value: float
    usual: float
    score: float


class Finding(TypedDict):
    """One series in numbers. `threshold` is the score from which a point counts; null where it was not judged."""

    name: str
    observations: int
    mean: float
    min: float
    max: float
    p95: float
    last: float
    oldest: str
    newest: str
    judged: bool
    threshold: float | None
    anomalies: list[Anomaly]
    repairs: Repairs


class Digest(TypedDict):
    """What the pipeline delivers: every number in `lines` is also in `series`."""

    as_of: str
    feed: str
    headline: str
    lines: list[str]
    series: list[Finding]
