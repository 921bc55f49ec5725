"""The checker of another team: shares nothing with the deployer and does not believe it. It reads the build and the environment itself."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orchestra

CRITERION = "environment-holds-the-build"


def check(build: str, environment: str, root: str, claim: dict[str, Any]) -> orchestra.Verdict:
    live = Path(root).resolve() / environment / "current"
    wanted, found = _read(Path(build)), _read(live)
    sources = [_source(str(Path(build)), wanted), _source(str(live), found)]
    wrong = [name for name in sorted(wanted.keys() | found.keys()) if wanted.get(name) != found.get(name)]
    if claim.get("files") != wanted:
        wrong.append("what the deployer says that it put there")
    if wrong:
        why = f"{len(wrong)} differ: {', '.join(wrong[:10])}"
        return orchestra.Verdict([orchestra.Check(CRITERION, "fail", why, sources, blames="deploy")], summary=why)
    why = f"{len(found)} of {len(wanted)} files are in {environment} as the build has them"
    return orchestra.Verdict([orchestra.Check(CRITERION, "pass", why, sources)], summary=why)


def _read(folder: Path) -> dict[str, str]:
    """Digest by name; a link is read as what it is, not as what it leads to."""
    found = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        if path.is_file() or path.is_symlink():
            data = f"link to {path.readlink()}".encode() if path.is_symlink() else path.read_bytes()
            found[path.relative_to(folder).as_posix()] = hashlib.sha256(data).hexdigest()
    return found


def _source(name: str, files: dict[str, str]) -> orchestra.Source:
    whole = "\n".join(f"{name} {digest}" for name, digest in sorted(files.items()))
    return orchestra.Source(name, hashlib.sha256(whole.encode()).hexdigest(), datetime.now(UTC))
