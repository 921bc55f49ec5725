"""The auditor's look at the machine that a host digest is about.

The samples lie in the past and can't be taken again, so they are held against the same kernel's counters now. On Linux these are read
from /proc and /sys without psutil, which the reader uses; elsewhere psutil is the only way to them.
"""

import hashlib
import json
import math
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from audit_source import Track, instant

import orchestra

PROC = Path("/proc")
TOO_OLD = timedelta(minutes=10)
SLACK_S = 0.5  # per core: ticks are hundredths, and iowait may run backwards
COUNTERS = ("disk_read_bytes", "disk_write_bytes", "net_received_bytes", "net_sent_bytes")


@dataclass(frozen=True)
class Kernel:
    """What the kernel says at one instant. A counter is None where the system shows none."""

    at: datetime
    boot_at: datetime
    cores: int
    memory_total: int
    cpu_busy_s: float
    cpu_total_s: float
    load_1m: float
    counters: dict[str, int | None]

    def source(self) -> orchestra.Source:
        """This look, for the verdict."""
        values = {name: str(value) for name, value in vars(self).items()}
        return orchestra.Source("the kernel's counters", hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest(), self.at)


@dataclass(frozen=True)
class Agreement:
    """How the samples stand to the kernel: contradictions, and why nothing can be said where that is so."""

    compared: int
    contradictions: list[str]
    unknowable: str = ""


def look() -> Kernel:
    """The machine as it is now."""
    return _linux() if (PROC / "stat").exists() else _psutil()


def tracks(evidence: dict[str, Any]) -> list[Track]:
    """The series that the samples make, recomputed from the raw counters."""
    samples, total = evidence["samples"], evidence["memory_total"]
    stamps = [instant(sample["at"]) for sample in samples[1:]]
    found = {
        "cpu_percent": [_cpu_percent(early, late) for early, late in pairwise(samples)],
        "load_1m": [sample["load_1m"] for sample in samples[1:]],
        "memory_used_percent": [100 * (1 - sample["memory_available"] / total) for sample in samples[1:]],
    }
    for counter in COUNTERS:
        if all(sample[counter] is not None for sample in samples):
            found[f"{counter}_per_s"] = [
                (late[counter] - early[counter]) / (instant(late["at"]) - instant(early["at"])).total_seconds() for early, late in pairwise(samples)
            ]
    return [Track(name, stamps, values, [True] * len(values)) for name, values in sorted(found.items())]


def agreement(evidence: dict[str, Any], kernel: Kernel) -> Agreement:
    """Holds the samples against the kernel's present state."""
    samples = evidence["samples"]
    if abs(instant(evidence["boot_at"]) - kernel.boot_at) > timedelta(seconds=2):
        return Agreement(1, [], "the auditor runs on another machine than the reader did, or it was restarted in between")
    last = instant(samples[-1]["at"])
    if kernel.at - last > TOO_OLD:
        return Agreement(1, [], f"the samples are {kernel.at - last} old; the kernel's counters confirm at most {TOO_OLD}")
    facts = {
        "the number of cores": evidence["cores"] == kernel.cores,
        "the size of the memory": evidence["memory_total"] == kernel.memory_total,
        "the order of the stamps": all(early["at"] < late["at"] for early, late in pairwise(samples)) and last <= kernel.at,
        "the start of the stamps": kernel.boot_at <= instant(samples[0]["at"]),
        "memory available within the total": all(0 <= sample["memory_available"] <= kernel.memory_total for sample in samples),
        "cpu time only growing, up to now": _cpu_grows(samples, kernel),
        "cpu time within cores × elapsed time": _cpu_fits(samples[0], kernel),
        "load that can have decayed to the present one": all(_load_fits(sample, kernel) for sample in samples),
        **{f"{counter} only growing, up to now": _grows(samples, counter, kernel) for counter in COUNTERS},
    }
    return Agreement(len(facts) + 1, [name for name, holds in facts.items() if not holds])


def _cpu_percent(early: dict[str, Any], late: dict[str, Any]) -> float:
    busy, total = (late[name] - early[name] for name in ("cpu_busy_s", "cpu_total_s"))
    return float(max(0.0, min(1.0, busy / total)) * 100) if total > 0 else 0.0


def _cpu_grows(samples: list[dict[str, Any]], kernel: Kernel) -> bool:
    slack = SLACK_S * kernel.cores
    rows = [(sample["cpu_busy_s"], sample["cpu_total_s"]) for sample in samples] + [(kernel.cpu_busy_s, kernel.cpu_total_s)]
    steady = all(early[0] <= late[0] + slack and early[1] <= late[1] + slack for early, late in pairwise(rows))
    return steady and all(0 <= busy <= total for busy, total in rows)


def _cpu_fits(first: dict[str, Any], kernel: Kernel) -> bool:
    room = kernel.cores * ((kernel.at - instant(first["at"])).total_seconds() * 1.1 + SLACK_S)
    return bool(kernel.cpu_total_s - first["cpu_total_s"] <= room and kernel.cpu_busy_s - first["cpu_busy_s"] <= room)


def _load_fits(sample: dict[str, Any], kernel: Kernel) -> bool:
    """The kernel's one-minute load can't fall faster than exp(-t / 60 s), computed every 5 s."""
    elapsed = max(0.0, (kernel.at - instant(sample["at"])).total_seconds()) + 10
    return bool(sample["load_1m"] >= 0 and kernel.load_1m + 0.1 >= 0.9 * sample["load_1m"] * math.exp(-elapsed / 60))


def _grows(samples: list[dict[str, Any]], counter: str, kernel: Kernel) -> bool:
    row = [sample[counter] for sample in samples] + [kernel.counters[counter]]
    if all(value is None for value in row):
        return True
    return None not in row and all(0 <= early <= late for early, late in pairwise(row))


def _linux() -> Kernel:
    lines = (PROC / "stat").read_text().splitlines()
    ticks = [int(part) / os.sysconf("SC_CLK_TCK") for part in lines[0].split()[1:9]]
    boot = next(int(line.split()[1]) for line in lines if line.startswith("btime"))
    memory = next(int(line.split()[1]) for line in (PROC / "meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return Kernel(
        at=datetime.now(UTC),
        boot_at=datetime.fromtimestamp(boot, UTC),
        cores=sum(line.startswith("cpu") and line[3].isdigit() for line in lines),
        memory_total=memory * 1024,
        cpu_busy_s=sum(ticks) - ticks[3] - ticks[4],
        cpu_total_s=sum(ticks),
        load_1m=float((PROC / "loadavg").read_text().split()[0]),
        counters=_linux_counters(),
    )


def _linux_counters() -> dict[str, int | None]:
    devices = [device / "statistics" for device in Path("/sys/class/net").glob("*") if device.name != "lo" and (device / "statistics").is_dir()]
    received, sent = ([int((device / name).read_text()) for device in devices] for name in ("rx_bytes", "tx_bytes"))
    disks = PROC / "diskstats"
    rows = [line.split() for line in disks.read_text().splitlines()] if disks.exists() else []
    whole = [row for row in rows if (Path("/sys/block") / row[2].replace("/", "!")).exists()]
    return {
        "disk_read_bytes": 512 * sum(int(row[5]) for row in whole) if whole else None,
        "disk_write_bytes": 512 * sum(int(row[9]) for row in whole) if whole else None,
        "net_received_bytes": sum(received) if received else None,
        "net_sent_bytes": sum(sent) if sent else None,
    }


def _psutil() -> Kernel:
    import psutil  # noqa: PLC0415  only where there is no /proc

    cpu, disk = psutil.cpu_times(), psutil.disk_io_counters(nowrap=False)
    nets = [counter for name, counter in psutil.net_io_counters(pernic=True, nowrap=False).items() if not name.startswith("lo")]
    return Kernel(
        at=datetime.now(UTC),
        boot_at=datetime.fromtimestamp(psutil.boot_time(), UTC),
        cores=os.cpu_count() or 1,
        memory_total=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        cpu_busy_s=sum(cpu) - cpu.idle,
        cpu_total_s=sum(cpu),
        load_1m=os.getloadavg()[0],
        counters={
            "disk_read_bytes": disk.read_bytes if disk else None,
            "disk_write_bytes": disk.write_bytes if disk else None,
            "net_received_bytes": sum(one.bytes_recv for one in nets) if nets else None,
            "net_sent_bytes": sum(one.bytes_sent for one in nets) if nets else None,
        },
    )
