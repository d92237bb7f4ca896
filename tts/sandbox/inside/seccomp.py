"""A seccomp filter of our own: an allow-list, assembled into classic BPF."""

from __future__ import annotations

import errno
import struct
from functools import lru_cache

from . import calls, kernel

_ARCHITECTURES = (0xC000003E, 0xC00000B7)
_X32 = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_REFUSE, _ABSENT = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

_NEW_NAMESPACES = 0x7E020000
_CLONE_THREAD = 0x00010000
_IOCTLS = (
    0x5401,
    0x5413,
    0x541B,
    0x5421,
    0x5450,
    0x5451,
)  # terminal? window size, bytes waiting, non-blocking, close-on-exec
_FOREIGN_SIGNALS = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: signals to others by way of a file descriptor
_NAMES = (15, 16)  # PR_SET_NAME, PR_GET_NAME
_LOCAL_SOCKETS = (1,)  # AF_UNIX


@lru_cache(maxsize=4)
def program(may_fork: bool, only_pid: int) -> bytes:
    """Return the filter: system calls that programs need pass, hostile ones kill, all others are refused.

    `may_fork` lets it start processes as well as threads. With `only_pid` it may send signals to that process alone.
    """
    column = kernel.machine()
    code = [
        _statement(_LOAD | 0, _ARCHITECTURE),
        _jump(_EQUAL, _ARCHITECTURES[column], 1, 0),
        _return(_KILL),
        _statement(_LOAD, _NUMBER),
        _jump(_AT_LEAST, _X32, 0, 1),
        _return(_KILL),
    ]
    for name, block in _conditional(may_fork, only_pid).items():
        number = calls.CONDITIONAL[name][column]
        if number is not None:
            code += [_jump(_EQUAL, number, 0, len(block)), *block]
    return b"".join(code) + _table(column)


def _conditional(may_fork: bool, only_pid: int) -> dict[str, list[bytes]]:
    fork = [_return(_ALLOW if may_fork else _REFUSE)]
    to_one = _only(0, (only_pid,)) if only_pid else [_return(_ALLOW)]
    return {
        "clone": _clone(may_fork),
        "clone3": [
            _return(_ABSENT)
        ],  # its flags lie in memory, out of the filter's sight; the C library then uses clone
        "fork": fork,
        "vfork": fork,
        "kill": to_one,
        "tgkill": to_one,
        "tkill": to_one,
        "ioctl": _only(1, _IOCTLS),
        "fcntl": _except(1, _FOREIGN_SIGNALS),
        "prctl": _only(0, _NAMES),
        "prlimit64": _only(0, (0,)),
        "socketpair": _only(0, _LOCAL_SOCKETS),
    }


def _clone(may_fork: bool) -> list[bytes]:
    block = [_argument(0), _jump(_ANY_BIT, _NEW_NAMESPACES, 0, 1), _return(_KILL)]
    if not may_fork:
        block += [_jump(_ANY_BIT, _CLONE_THREAD, 1, 0), _return(_REFUSE)]
    return [*block, _return(_ALLOW)]


def _only(argument: int, values: tuple[int, ...]) -> list[bytes]:
    return _either(argument, values, _ALLOW, _REFUSE)


def _except(argument: int, values: tuple[int, ...]) -> list[bytes]:
    return _either(argument, values, _REFUSE, _ALLOW)


def _either(argument: int, values: tuple[int, ...], listed: int, otherwise: int) -> list[bytes]:
    tests = [_jump(_EQUAL, value, len(values) - index, 0) for index, value in enumerate(values)]
    return [_argument(argument), *tests, _return(otherwise), _return(listed)]


@lru_cache(maxsize=1)
def _table(column: int) -> bytes:
    """Return code that decides by number. It halves the table at each step: the kernel runs it for every number."""
    actions = {numbers[column]: _ALLOW for numbers in calls.HARMLESS.values()}
    actions |= {numbers[column]: _KILL for numbers in calls.HOSTILE.values()}
    changes = [(0, actions.get(0, _REFUSE))]
    for number in range(1, max(number for number in actions if number is not None) + 2):
        action = actions.get(number, _REFUSE)
        if action != changes[-1][1]:
            changes.append((number, action))
    return b"".join(_search(changes))


def _search(changes: list[tuple[int, int]]) -> list[bytes]:
    """Return code for these numbers, from each of which on another action holds."""
    if len(changes) == 1:
        return [_return(changes[0][1])]
    middle = len(changes) // 2
    below, above = _search(changes[:middle]), _search(changes[middle:])
    return [_jump(_AT_LEAST, changes[middle][0], len(below), 0), *below, *above]


def _statement(code: int, value: int) -> bytes:
    return struct.pack("<HBBI", code, 0, 0, value)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _return(action: int) -> bytes:
    return _statement(_RETURN, action)


def _argument(index: int) -> bytes:
    """Load the lower half of an argument; all that are looked at are 32-bit integers to the kernel."""
    return _statement(_LOAD, _ARGUMENTS + 8 * index)
