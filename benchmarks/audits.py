"""The security audit of this project: its fanned-out scanners as a governed run, and the same scanners by themselves, one after the other.

Knows what a round is, not how many there are. Used by the measures; run as a script it is one bare scanner.
"""

import importlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "examples" / "security-audit"
EXCLUDE = [".venv", ".venvs", "var"]
SCANNERS = ("code", "secrets", "licences")


def prepare(environment: Mapping[str, str]) -> None:
    _manage(environment, "migrate", "--no-input", "--verbosity", "0")
    _manage(environment, "apply", "-f", str(FOLDER), "--publish")


def governed(environment: Mapping[str, str], report: Path) -> tuple[float, float]:
    """Seconds from the first scanner's start to the last one's end, and of the whole run."""
    given = [f"--input={name}={value}" for name, value in (("path", ROOT), ("exclude", json.dumps(EXCLUDE)), ("report", report))]
    said = json.loads(_manage(environment, "runpipeline", "security-audit", *given, "--json"))
    if said["outcome"] != "verified":
        raise AssertionError(f"the audit is to be verified and is {said['outcome']}: {said['failure'] or said['verdict']}")
    scans = [step for step in said["steps"] if step["key"].startswith("scan/")]
    return _between(min(step["started_at"] for step in scans), max(step["finished_at"] for step in scans)), _between(
        said["started_at"], said["finished_at"]
    )


def bound() -> float:
    """Seconds: the slowest scanner alone, or the processor time of all of them divided among the processors, whichever is more."""
    walls, work = [], 0.0
    for name in SCANNERS:
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, __file__, name], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(time.perf_counter() - begun)
        work += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return max(*walls, work / (os.cpu_count() or 1))


def _manage(environment: Mapping[str, str], *arguments: str) -> str:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ORCHESTRA_", "DJANGO_", "PYTHON"))}
    argv = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(argv, cwd=ROOT, env={**inherited, **environment}, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"manage.py {arguments[0]} ended with {done.returncode}: {done.stdout[-500:]}")
    return done.stdout


def _between(begun: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds()


def _scan(name: str) -> Any:
    """One scanner over everything, in this process."""
    sys.path[:0] = [str(FOLDER), str(ROOT / "sdk")]
    survey, scan_code, leaks, licences = map(importlib.import_module, ("survey", "scan_code", "leaks", "licences"))
    seen = survey.survey(str(ROOT), EXCLUDE, "")
    if name == "code":
        return scan_code.scan(seen["root"], [path for portion in seen["code"] for path in portion])
    if name == "secrets":
        return leaks.find(seen["root"], [path for portion in seen["text"] for path in portion])
    return licences.licences(seen["root"], seen["declarations"])


if __name__ == "__main__":
    json.dump(_scan(sys.argv[1]), sys.stdout)
