"""The system calls that Python does not offer, through ctypes. Each raises OSError where the kernel refuses."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import sys
from collections.abc import Sequence
from functools import cache

NEW_NS, NEW_UTS, NEW_IPC, NEW_USER, NEW_PID, NEW_NET = (
    0x00020000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, NOATIME, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 1024, 4096, 16384, 1 << 18
DETACH = 2

_MACHINES = {"x86_64": 0, "aarch64": 1}
_PIVOT_ROOT = (155, 41)
_CAPSET = (126, 91)
_SECCOMP = (317, 277)
_NOT_RANDOM = 0x0040000
_KILL_PROCESS = ctypes.c_uint32(0x80000000)
_MOUNT_SETATTR = (442, 442)
_VERSION_3 = (ctypes.c_uint32 * 2)(0x20080522, 0)
_NO_CAPABILITIES = (ctypes.c_uint32 * 6)()
_libc = ctypes.CDLL(None, use_errno=True)


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


@cache
def machine() -> int:
    """Return the column of this machine in the tables of system calls: 0 for x86_64, 1 for aarch64."""
    name = platform.machine()
    if name not in _MACHINES:
        raise OSError(errno.ENOSYS, f"the sandbox has no table of system calls for {name}")
    return _MACHINES[name]


def syscall(number: int, *arguments: object) -> int:
    """Make a raw system call; integers go as long."""
    prepared = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *prepared), f"system call {number}")


def unshare(flags: int) -> None:
    """Move this process (for NEW_PID: its future children) into new namespaces."""
    _checked(_libc.unshare(flags), f"unshare({flags:#x})")


def setns(descriptor: int, kind: int) -> None:
    """Move this process (for NEW_PID: its future children) into a namespace that exists."""
    _checked(_libc.setns(descriptor, kind), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount `source` on `target`."""
    arguments = [os.fsencode(text) if text else None for text in (source, target, kind)]
    result = _libc.mount(*arguments, ctypes.c_ulong(flags), os.fsencode(options) if options else None)
    _checked(result, f"mount on {target}")


def bind_read_only(source: str, target: str, points: Sequence[str]) -> None:
    """Show `source` and what is mounted below it at `target`, where nothing can be written, set-uid or a device.

    `points` are all mount points of the host, for kernels that cannot restrict a tree of mounts at once.
    """
    mount(source, target, flags=BIND | REC)
    below = os.path.realpath(source) + "/"
    trees = [target, *(f"{target}/{point.removeprefix(below)}" for point in points if point.startswith(below))]
    _restrict(target, RDONLY | NOSUID | NODEV, trees)


def bind_device(source: str, target: str) -> None:
    """Show a device: it is read and written as ever, but nothing can be done to its inode."""
    mount(source, target, flags=BIND)
    _restrict(target, RDONLY | NOSUID | NOEXEC, [target])


def mount_points() -> list[str]:
    """Return where something is mounted."""
    with open("/proc/self/mountinfo", "rb") as lines:
        escaped = [line.split()[4] for line in lines]
    return [os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8)]), path)) for path in escaped]


def _restrict(target: str, flags: int, trees: Sequence[str]) -> None:
    """Add these flags to the mount at `target` and to those below it, which with it are the `trees`."""
    wanted = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    recursive = 0x8000
    path = ctypes.c_char_p(os.fsencode(target))
    try:
        syscall(_MOUNT_SETATTR[machine()], -100, path, recursive, ctypes.byref(wanted), ctypes.sizeof(wanted))
    except OSError as error:
        if error.errno != errno.ENOSYS:  # before Linux 5.12
            raise
        for tree in trees:
            kept = os.statvfs(tree).f_flag & (RDONLY | NOSUID | NODEV | NOEXEC)  # a user namespace takes none off
            mount("none", tree, flags=REMOUNT | BIND | flags | kept)


def unmount(target: str) -> None:
    """Take the topmost mount off `target`; what still uses it keeps it alive."""
    _checked(_libc.umount2(os.fsencode(target), DETACH), f"unmount of {target}")


def pivot_root(root: str) -> None:
    """Make the mount point `root` the root of this mount namespace, and drop the old root."""
    os.chdir(root)
    here = ctypes.c_char_p(b".")
    syscall(_PIVOT_ROOT[machine()], here, here)
    unmount(".")
    os.chdir("/")


def drop_capabilities() -> None:
    """Give up every capability, for good (`no_new_privs` must be set)."""
    syscall(_CAPSET[machine()], ctypes.byref(_VERSION_3), ctypes.byref(_NO_CAPABILITIES))


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process."""
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero), f"prctl({option})")


def die_with_parent() -> None:
    """Be killed when the parent ends."""
    prctl(1, 9)


def forbid_core_dumps_and_tracing() -> None:
    """Make the process undumpable: no core file, and nobody of the same user may trace it."""
    prctl(4, 0)


def forbid_new_privileges() -> None:
    """Set `no_new_privs`: no program started from here gains rights."""
    prctl(38, 1)


def look_for_filters() -> None:
    """Raise OSError where the kernel has no seccomp filters."""
    is_action_available = 2
    syscall(_SECCOMP[machine()], is_action_available, 0, ctypes.byref(_KILL_PROCESS))


def fix_addresses() -> None:
    """Start this interpreter anew where its memory is not laid out at random, if the system lets it.

    What goes by addresses, such as the place of None or of a class in a set, then is the same in every sandbox.
    """
    persona, ask = _libc.personality, ctypes.c_ulong(0xFFFFFFFF)
    now = persona(ask)
    if not now & _NOT_RANDOM and persona(ctypes.c_ulong(now | _NOT_RANDOM)) >= 0 and persona(ask) & _NOT_RANDOM:
        os.execv(sys.executable, sys.orig_argv)


def install_filter(program: bytes) -> None:
    """Install a seccomp filter, eight bytes an instruction."""
    filled = _FilterProgram(len(program) // 8, program)
    set_mode_filter = 1
    syscall(_SECCOMP[machine()], set_mode_filter, 0, ctypes.byref(filled))


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return int(result)
