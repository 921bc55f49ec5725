"""What only Linux offers a keeper: parent-death signals, subreaping, namespaces, fewer capabilities.

Must not decide anything; each function asks the kernel for one thing and raises OSError if it refuses.
Called by the keeper, before any code of a team is near. Numbers are those of the kernel's headers.
"""

import contextlib
import ctypes
import os
import sys

HERE = sys.platform == "linux"

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWNS = 0x0002_0000
_CLONE_NEWUSER = 0x1000_0000
_CLONE_NEWPID = 0x2000_0000
_CLONE_NEWNET = 0x4000_0000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 4, 8, 0x20, 0x1000, 0x4000, 0x4_0000
_CAPABILITY_VERSION_3 = 0x2008_0522
_SIGKILL = 9

# dac_read_search net_admin net_raw sys_module sys_rawio sys_ptrace sys_admin sys_boot sys_time sys_resource mknod audit_control
# setfcap mac_override mac_admin syslog perfmon bpf checkpoint_restore: what a root worker's child could use to leave
# its namespaces, lift its limits, read the worker or open a hidden file by its handle. What else concerns files (chown,
# dac_override, fowner…) stays.
_DROPPED_OF_ROOT = (2, 12, 13, 16, 17, 19, 21, 22, 25, 24, 27, 30, 31, 32, 33, 34, 38, 39, 40)
_ALL = tuple(range(64))

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """SIGKILL for this process when the thread that started it ends."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def adopt_orphans() -> None:
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def separate(*, processes: bool, network: bool) -> None:
    """New namespaces: of processes and mounts for the children to come, of the network at once.

    Root does it as root, so that its rights over other people's files stay; anybody else through a user namespace in
    which they are themselves.
    """
    flags = (_CLONE_NEWPID | _CLONE_NEWNS if processes else 0) | (_CLONE_NEWNET if network else 0)
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _unshare(flags)
        return
    _unshare(flags | _CLONE_NEWUSER)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")


def mount_own_proc() -> None:
    """/proc of this process namespace: without it, a child would read (and kill by) other processes' numbers."""
    _check(_libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None))
    _check(_libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(_MS_NOSUID | _MS_NODEV | _MS_NOEXEC), None))


def hide(path: str) -> None:
    """An empty device over a file, in this mount namespace only (mount_own_proc made it private). None there: none to hide.

    Not mounted twice: a file that was deleted and made anew has lost its cover, one that was not still has it.
    """
    with contextlib.suppress(FileNotFoundError):
        if not os.path.samefile(path, os.devnull):
            _check(_libc.mount(os.fsencode(os.devnull), os.fsencode(path), None, ctypes.c_ulong(_MS_BIND), None))
            if os.geteuid() == 0:  # else root's chmod of the path would change the device that everybody shares
                _check(_libc.mount(None, os.fsencode(path), None, ctypes.c_ulong(_MS_REMOUNT | _MS_BIND | _MS_RDONLY), None))


def go_first() -> None:
    """Before every ordinary process, where the system lets us: a fork bomb must not keep its keeper from the processor. Not inherited."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def drop_privileges() -> None:
    """No new privileges by exec; no capability that leads out. Nobody else than root keeps any."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    dropped = _DROPPED_OF_ROOT if os.geteuid() == 0 else _ALL
    _drop_capabilities(sum(1 << number for number in dropped))


def _drop_capabilities(mask: int) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    words = (ctypes.c_uint32 * 6)()  # (effective, permitted, inheritable) of capabilities 0-31, then of 32-63
    _check(_libc.capget(header, words))
    for position in range(6):
        words[position] &= ~(mask >> (32 * (position // 3))) & 0xFFFF_FFFF
    for number in _ALL:
        if mask >> number & 1:
            _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(number), 0, 0, 0)  # refused to non-root: no_new_privs covers it
    _check(_libc.capset(header, words))


def _prctl(option: int, value: int) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)))


def _unshare(flags: int) -> None:
    if flags & ~_CLONE_NEWUSER:
        _check(_libc.unshare(flags))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
