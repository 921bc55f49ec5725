"""Hosts of a network that is nobody else's: a bridge, and for each host a process in a network namespace of its own, plugged into it.

Knows `ip`, `unshare` and `nsenter` only. Everything lies within the namespace of whoever calls it, which is made by `ALONE` and ends with
its last process: whatever happens, nothing is left on the machine.
"""

import shutil
import subprocess
from typing import Final

ALONE: Final = ("unshare", "--net", "--")
"""Before a command: it is alone in a network namespace, with what it starts."""
ADDRESS: Final = "198.18.0.1"
"""Of the bridge: one of those that are kept for measurements, and nobody's."""
_BRIDGE: Final = "hub"
_PROGRAMS: Final = ("ip", "unshare", "nsenter")


def why_not() -> str | None:
    """None where hosts can be made here, else the reason."""
    if absent := [name for name in _PROGRAMS if shutil.which(name) is None]:
        return f"{', '.join(absent)} not found: install iproute2 and util-linux"
    made = f"ip link add name {_BRIDGE} type bridge && ip link add name port0 type veth peer name eth0"
    tried = subprocess.run([*ALONE, "sh", "-c", made], capture_output=True, check=False)
    if tried.returncode:
        return f"no network namespace can be made here ({tried.stderr.decode(errors='replace').strip()[-120:]})"
    return None


class Network:
    """Make it in a process that is `ALONE`. Hosts are numbered as they are plugged in."""

    def __init__(self) -> None:
        self._hosts: dict[str, int] = {}
        _ip("link", "set", "lo", "up")
        # An address of its own: else it has that of one of its ports, and another when that port is gone, which its hosts would have to learn first.
        _ip("link", "add", "name", _BRIDGE, "address", "02:00:00:00:00:01", "type", "bridge")
        _ip("addr", "add", f"{ADDRESS}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")

    def plug_in(self, name: str, pid: int) -> None:
        """The process is alone in its namespace by now."""
        number = self._hosts[name] = len(self._hosts) + 1
        _ip("link", "add", "name", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        _ip("link", "set", f"port{number}", "master", _BRIDGE, "up")
        within = ("nsenter", "--net", "--target", str(pid))
        _ip("link", "set", "lo", "up", under=within)
        _ip("addr", "add", f"198.18.0.{number + 1}/24", "dev", "eth0", under=within)
        _ip("link", "set", "eth0", "up", under=within)

    def cut_off(self, name: str) -> None:
        """Its cable is pulled: nobody hears it and it hears nobody, and no connection is told."""
        _ip("link", "set", f"port{self._hosts[name]}", "nomaster", "down")

    def heal(self, name: str) -> None:
        _ip("link", "set", f"port{self._hosts[name]}", "master", _BRIDGE, "up")


def _ip(*words: str, under: tuple[str, ...] = ()) -> None:
    subprocess.run([*under, "ip", *words], check=True, capture_output=True)
