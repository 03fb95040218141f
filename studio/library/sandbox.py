"""Fences for a process that reads strangers' files: of the disk only its own libraries, no network, bounded memory and time.

Linux has them without any privilege: Landlock (5.13 and later) by its three system calls, a network namespace, resource limits.
Elsewhere what exists is used, and `survey` says what is missing. A fence cannot be taken down again, and children inherit it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Landlock, from linux/landlock.h: the numbers of its system calls are the same on every machine Python runs on today
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION, PATH_BENEATH = 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
FILE_RIGHTS = {
    1: 13,
    2: 14,
    3: 15,
    5: 16,
}  # version → how many rights it knows; what is not granted is denied
CONNECT_AND_BIND, SOCKETS_AND_SIGNALS = 3, 3
NO_NEW_PRIVILEGES, DEATH_SIGNAL = 38, 1  # prctl
NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # unshare
CAPABILITIES_V3 = 0x20080522


@dataclass(frozen=True)
class Fences:
    """What holds on this machine and what does not, each as a few words for people."""

    held: tuple[str, ...]
    missing: tuple[str, ...]


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def landlock_version() -> int:
    """The version of Landlock this kernel has; 0 for none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ASK_VERSION)))


def leave_network() -> bool:
    """Move this process into a network of its own that leads nowhere; False where the system does not allow it."""
    if sys.platform != "linux":
        return False
    # alone for who runs as root, with a user namespace for everyone else
    return any(_libc().unshare(flags) == 0 for flags in (NEW_NETWORK, NEW_USER | NEW_NETWORK))


def fence_files(readable: Iterable[Path]) -> bool:
    """From here on only these files and folders can be opened, for reading and running; False where there is no Landlock.

    Files that are open already stay usable. From version 4 on TCP is denied too, from 6 on signals to other processes.
    """
    version = landlock_version()
    if not version:
        return False
    rights = (1 << max(bits for since, bits in FILE_RIGHTS.items() if since <= version)) - 1
    asked = _Ruleset(rights, CONNECT_AND_BIND * (version >= 4), SOCKETS_AND_SIGNALS * (version >= 6))
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _checked(_libc().syscall(CREATE_RULESET, ctypes.byref(asked), ctypes.c_size_t(size), 0))
    for path in readable:
        _allow(ruleset, path, READ_FILE | EXECUTE | (READ_DIR if path.is_dir() else 0))
    _allow(ruleset, Path(os.devnull), READ_FILE | WRITE_FILE)
    _checked(_libc().prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _checked(_libc().syscall(RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)
    return True


def drop_privileges() -> None:
    """Give up every capability of root, which Landlock alone would leave (loading a kernel module, for one)."""
    if sys.platform == "linux":
        _checked(_libc().prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        header = (ctypes.c_uint32 * 2)(CAPABILITIES_V3, 0)
        _checked(_libc().capset(header, (ctypes.c_uint32 * 6)()))


def limit(cpu_seconds: int, memory_bytes: int, file_bytes: int = 0) -> None:
    """Bound this process and, each by itself, its children. Not how many: that limit is one per user, not per process."""
    if os.name != "posix":
        return
    import resource

    wanted = {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform == "linux":  # elsewhere the system refuses or ignores it
        wanted[resource.RLIMIT_AS] = memory_bytes
    for what, most in wanted.items():
        ceiling = resource.getrlimit(what)[1]
        most = most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)
        # at the ceiling of time it is SIGKILL that comes, which tells nobody why; a second earlier it is SIGXCPU
        spare = 1 if what == resource.RLIMIT_CPU and most != ceiling else 0
        resource.setrlimit(what, (most, most + spare))


def die_with_parent() -> None:
    """On Linux the kernel ends this process when the thread that made it ends."""
    if sys.platform == "linux":
        _libc().prctl(DEATH_SIGNAL, 9, 0, 0, 0)


def survey(network_left: bool) -> Fences:
    """Which fences hold here; network_left: what `leave_network` answered."""
    version = landlock_version()
    told = {
        f"other files out of reach (Landlock {version})" if version else "other files out of reach": bool(version),
        "no network": network_left or version >= 4,
        "bounded memory": sys.platform == "linux",
        "bounded time": True,
    }  # fmt: skip
    return Fences(
        tuple(word for word, holds in told.items() if holds),
        tuple(word for word, holds in told.items() if not holds),
    )


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        handle = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no permission
    rule = _Beneath(rights, handle)
    _checked(_libc().syscall(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0))
    os.close(handle)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(answer: int) -> int:
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return answer
