"""Virtual environments of the peers: .venvs/<peer>, made from benchmarks/peers/<peer>.lock and again only when that changed."""

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / "peers"


class Unavailable(Exception):
    """The peer's environment can't be made here; the message says why."""


def python_of(peer: str) -> Path:
    """The interpreter of the peer's environment. The first time this downloads; Unavailable where it can't."""
    lock, folder = PEERS / f"{peer}.lock", ROOT / ".venvs" / peer
    stamp, python = folder / "lock.sha256", folder / "bin" / "python"
    said = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="ascii") == said and _runs(python):
        return python
    print(f"  making .venvs/{peer} from {lock.name} …", file=sys.stderr)
    _do([sys.executable, "-m", "venv", "--clear", str(folder)])
    _do([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes", "-r", str(lock)])
    stamp.write_text(said, encoding="ascii")
    return python


def version_of(peer: str, package: str) -> str:
    """As its lock pins it."""
    lines = (PEERS / f"{peer}.lock").read_text(encoding="utf-8").splitlines()
    return next(line.split("==")[1].split()[0] for line in lines if line.startswith(f"{package}=="))


def _runs(python: Path) -> bool:
    try:
        return subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def _do(argv: list[str]) -> None:
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"{' '.join(argv[1:4])} failed: {done.stderr.strip()[-300:]}")
