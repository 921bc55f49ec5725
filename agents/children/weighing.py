"""How much memory the processes of one child hold together (Linux): what RLIMIT_AS, which bounds each by itself, does not say.

Must not import anything heavy, and is asked only about as many processes as the keeper lets a child have.
Called by the keeper.
"""

import time
from collections.abc import Collection

_STRETCH_S = 0.005
_REST = 4  # times what a stretch took: the keeper runs before every ordinary process, and has to count


class Scale:
    """The scale of one child. `limit` is in bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._shares: dict[int, int] = {}
        self._rests_until = 0.0

    def too_much(self, pids: Collection[int]) -> int | None:
        """Bytes, where these processes together hold more than the limit.

        Their resident sum counts a page that n of them share n times: it is never too low, and where it is within the limit
        that decides. Where it isn't, their proportional shares do, in which such a page counts 1/n for each, so that a pool of
        forked workers pays once for what they inherit. For those the kernel walks every page, so they are asked for in
        stretches, one process at least, until all who live have been weighed; then it begins anew.
        """
        began = time.monotonic()
        if len(pids) < 2 or began < self._rests_until:  # one process alone is bounded by its address space
            return None
        held = sum(map(_resident, pids))
        if held > self._limit:
            held = self._shares_of(pids, began + _STRETCH_S)
        ended = time.monotonic()
        self._rests_until = ended + _REST * (ended - began)
        return held if held > self._limit else None

    def _shares_of(self, pids: Collection[int], until: float) -> int:
        """What is known so far; those who have ended count no more."""
        known = {pid: share for pid, share in self._shares.items() if pid in pids}
        for pid in [pid for pid in pids if pid not in known]:
            known[pid] = _proportional(pid)
            if time.monotonic() > until:
                break
        self._shares = known if len(known) < len(pids) else {}
        return sum(known.values())


def _resident(pid: int) -> int:
    return _sum_of(f"/proc/{pid}/status", ("VmRSS:", "VmSwap:")) or 0


def _proportional(pid: int) -> int:
    """Where the kernel doesn't tell (an old one, or a process that may not be looked into), all that is resident counts."""
    found = _sum_of(f"/proc/{pid}/smaps_rollup", ("Pss:", "SwapPss:"))
    return _resident(pid) if found is None else found


def _sum_of(path: str, names: tuple[str, ...]) -> int | None:
    """Bytes in these lines; None where there is no such file or it may not be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(names))
