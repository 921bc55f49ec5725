"""Samples this machine: CPU, memory, disk, network, load.

Owns the samples. Counters are kept as the kernel has them, since boot, so that somebody else can look at the same counters afterwards.
A network namespace of its own would hide the machine's interfaces from psutil; sysfs still shows those of the namespace it was mounted in.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import psutil
from instants import parse_stamp, to_text, to_us
from repair import as_series, untouched
from shapes import HostEvidence, HostSample, Reading, Series

import orchestra

INTERVAL_S = 0.2
MAX_SAMPLES = 150
MAX_SECONDS = 60
SYSFS_NET = Path("/sys/class/net")

COUNTERS = {
    "disk_read_bytes_per_s": "disk_read_bytes",
    "disk_write_bytes_per_s": "disk_write_bytes",
    "net_received_bytes_per_s": "net_received_bytes",
    "net_sent_bytes_per_s": "net_sent_bytes",
}


def read(seconds: float) -> Reading:
    """The machine over the next `seconds`. There is no sampling the past: as of another time the feed is missing."""
    if orchestra.as_of() is not None:
        raise orchestra.Missing("feed=host can't be sampled as of a past time")
    if not 1 <= seconds <= MAX_SECONDS:
        raise ValueError(f"seconds is {seconds:g}; feed=host samples for 1 to {MAX_SECONDS} s")
    evidence: HostEvidence = {
        "boot_at": to_text(int(psutil.boot_time()) * 1_000_000),
        "cores": psutil.cpu_count() or 1,
        "memory_total": psutil.virtual_memory().total,
        "samples": _samples(seconds),
    }
    series = series_of(evidence)
    return {
        "as_of": evidence["samples"][-1]["at"],
        "feed": "host",
        "names": [one["name"] for one in series],
        "series": series,
        "evidence": evidence,
    }


def series_of(evidence: HostEvidence) -> list[Series]:
    """One series per measure; each value belongs to the interval that ends at its stamp."""
    samples, total = evidence["samples"], evidence["memory_total"]
    series = [
        _series("cpu_percent", samples, _cpu_percent),
        _series("load_1m", samples, lambda _, sample: sample["load_1m"]),
        _series("memory_used_percent", samples, lambda _, sample: 100 * (total - sample["memory_available"]) / total),
    ]
    for name, counter in COUNTERS.items():
        if all(sample.get(counter) is not None for sample in samples):
            series.append(_series(name, samples, lambda before, after, counter=counter: _rate(counter, before, after)))  # type: ignore[misc]
    return sorted(series, key=lambda one: one["name"])


def _series(name: str, samples: list[HostSample], value: Callable[[HostSample, HostSample], float]) -> Series:
    stamps = [parse_stamp(sample["at"]) for sample in samples[1:]]
    return as_series(name, stamps, [value(before, after) for before, after in pairwise(samples)], [], untouched())


def _cpu_percent(before: HostSample, after: HostSample) -> float:
    total = after["cpu_total_s"] - before["cpu_total_s"]
    busy = after["cpu_busy_s"] - before["cpu_busy_s"]
    return min(100.0, max(0.0, 100 * busy / total)) if total > 0 else 0.0  # Linux lets iowait run backwards now and then


def _rate(counter: str, before: HostSample, after: HostSample) -> float:
    elapsed_us = parse_stamp(after["at"]) - parse_stamp(before["at"])
    advance: int = after[counter] - before[counter]  # type: ignore[literal-required]
    return advance * 1_000_000 / elapsed_us


def _samples(seconds: float) -> list[HostSample]:
    interval = max(INTERVAL_S, seconds / MAX_SAMPLES)
    count = round(seconds / interval)
    begun = time.monotonic()
    samples = [_sample()]
    for number in range(1, count + 1):
        time.sleep(max(0.0, begun + number * interval - time.monotonic()))
        samples.append(_sample())
        orchestra.progress(f"sample {number} of {count}", number / count)
    return samples


def _sample() -> HostSample:
    cpu = psutil.cpu_times()
    # guest time is in user time already: counting it would count it twice
    total = sum(getattr(cpu, field) for field in cpu._fields if not field.startswith("guest"))
    disk = psutil.disk_io_counters(nowrap=False)
    received, sent = _network()
    return {
        "at": to_text(to_us(datetime.now(UTC))),
        "cpu_busy_s": total - cpu.idle - getattr(cpu, "iowait", 0.0),
        "cpu_total_s": total,
        "memory_available": psutil.virtual_memory().available,
        "disk_read_bytes": disk.read_bytes if disk else None,
        "disk_write_bytes": disk.write_bytes if disk else None,
        "net_received_bytes": received,
        "net_sent_bytes": sent,
        "load_1m": psutil.getloadavg()[0],
    }


def _network() -> tuple[int | None, int | None]:
    if SYSFS_NET.is_dir():
        devices = [device / "statistics" for device in SYSFS_NET.iterdir() if device.name != "lo" and (device / "statistics").is_dir()]
        if not devices:
            return None, None
        return _summed(devices, "rx_bytes"), _summed(devices, "tx_bytes")
    counters = [counter for name, counter in psutil.net_io_counters(pernic=True, nowrap=False).items() if not name.startswith("lo")]
    if not counters:
        return None, None
    return sum(counter.bytes_recv for counter in counters), sum(counter.bytes_sent for counter in counters)


def _summed(devices: list[Path], counter: str) -> int:
    return sum(int((device / counter).read_text()) for device in devices)
