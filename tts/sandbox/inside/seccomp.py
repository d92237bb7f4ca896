"""A seccomp filter of our own: an allow-list, assembled into classic BPF.

How it works. The filter sees a call's number and its arguments as integers; what lies in memory (a path, the flags of
`openat2` or `clone3`, an address) it cannot see, so calls that can only be judged by that are refused whole. Its code
is a row of tests for the calls whose arguments count, and then a search by halves for the action of a number. It
answers in one of these ways:

- *allowed*: the kernel makes the call.
- *refused*: EPERM, as the kernel itself would say it. All that is not listed, so whatever later kernels bring.
- *absent*, *unsupported*: ENOSYS, where the C library then takes a way that the filter can judge; ENOTSUP for what not
  every file system has, which programs then do without.
- *pretended*: the call answers 0 and is not made. Locks and advice about pages are marks on an inode that every program
  sees, and the kernel lets who may only read set them: a lock that is not made tells nobody anything, not even on a
  device. In a program of one process it would have kept nobody out either. F_GETLK is real: it answers «not locked».
- *again*: EAGAIN, to who would wait at a word of shared memory.
- *killed*: no honest program makes it.
"""

from __future__ import annotations

import errno
import struct
from functools import lru_cache

from . import calls

_ARCHITECTURES = (0xC000003E, 0xC00000B7)
_X32 = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_REFUSE, _ABSENT, _PRETEND = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS, _ERRNO
_NO_LOCKS, _UNSUPPORTED = _ERRNO | errno.ENOLCK, _ERRNO | errno.ENOTSUP
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

_AGAIN = _ERRNO | errno.EAGAIN

_PRIVATE = 128
_SHARED_WAITS = (0, 256, 9, 265, 11, 267)  # FUTEX_WAIT, _WAIT_BITSET, _WAIT_REQUEUE_PI, by either clock
_OTHER_FUTEXES = (1, 3, 4, 5, 6, 7, 8, 10, 12)  # wake, requeue, PI locks
_CLOCKS = (*range(12), 2**32 - 6, 2**32 - 2)  # the last two: of this process, of this thread
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
_FCNTLS = (0, 1, 2, 3, 4, 5, 36, 1030, 1031, 1032, 1033, 1034)  # descriptors, flags, F_GETLK, pipe sizes, seals
_LOCKS = (6, 7, 37, 38)  # F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW
_ADVICE = (0, 1, 2, 4, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19)  # about memory of the program's own
_PAGE_ADVICE = (3, 20, 21)  # WILLNEED, COLD, PAGEOUT: about the page cache, which is everybody's
_NAMES = (15, 16)  # PR_SET_NAME, PR_GET_NAME
_AF_UNIX = 1
_SOCKET_OPTIONS = (3, 4, 7, 8, 30, 38, 39)  # type, error, buffers, listening, protocol, family; no SO_COOKIE: it counts
_STREAMS = (1, 0x801, 0x80001, 0x80801)  # a pair of datagram sockets could send to any other socket that has a name


@lru_cache(maxsize=4)
def program(column: int, may_fork: bool, only_pid: int, own_root: bool) -> bytes:
    """Return the filter for the machine of this column of the tables.

    `may_fork` lets the program start processes as well as threads. With `only_pid` it may send signals to that process
    alone. With `own_root` whatever it can name is its own or read-only.
    """
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
    return b"".join(code) + _table(column, own_root)


def _conditional(may_fork: bool, only_pid: int) -> dict[str, list[bytes]]:
    fork = [_return(_ALLOW if may_fork else _REFUSE)]
    lock = _NO_LOCKS if may_fork else _PRETEND  # between processes a lock that is not made would be a lie
    to_one = _by_argument(0, {_ALLOW: (only_pid,)}) if only_pid else [_return(_ALLOW)]
    of_one = _by_argument(0, {_ALLOW: (0, only_pid)}) if only_pid else [_return(_ALLOW)]
    own_clocks = _by_argument(0, {_ALLOW: _CLOCKS}) if only_pid else [_return(_ALLOW)]
    return {
        "clock_gettime": own_clocks,  # others count what another process has done, long after
        "clone": _clone(may_fork),
        "clone3": [_return(_ABSENT)],  # its flags lie in memory; the C library then uses clone
        "fadvise64": [_return(_PRETEND)],
        "fcntl": _by_argument(1, {_ALLOW: _FCNTLS, lock: _LOCKS}),
        "flock": [_return(lock)],
        "fork": fork,
        "futex": _futex(),
        "getpgid": of_one,  # what another program has set would be a message
        "getsid": of_one,
        "getsockopt": _by_argument(2, {_ALLOW: _SOCKET_OPTIONS}),
        "ioctl": _by_argument(1, {_ALLOW: _IOCTLS}),
        "kill": to_one,
        "madvise": _by_argument(2, {_ALLOW: _ADVICE, _PRETEND: _PAGE_ADVICE}),
        "pipe": fork,  # only processes need pipes, and their numbers would be a message to the next program
        "pipe2": fork,
        "prctl": _by_argument(0, {_ALLOW: _NAMES}),
        "prlimit64": _by_argument(0, {_ALLOW: (0,)}),
        "sendmsg": fork,  # it can send descriptors, and how many of a user are under way is counted
        "socketpair": _socketpair() if may_fork else fork,
        "tgkill": to_one,
        "tkill": to_one,
        "vfork": fork,
    }


def _clone(may_fork: bool) -> list[bytes]:
    block = [_argument(0), _jump(_ANY_BIT, _NEW_NAMESPACES, 0, 1), _return(_KILL)]
    if not may_fork:
        block += [_jump(_ANY_BIT, _CLONE_THREAD, 1, 0), _return(_REFUSE)]
    return [*block, _return(_ALLOW)]


def _futex() -> list[bytes]:
    """Return code that lets nobody wait at a word that others may have in their memory, too, as that of a shown file.

    Who waits there could be counted, and woken. He is told to look again, which is all that joining a thread needs.
    """
    block = [_argument(1), _jump(_ANY_BIT, _PRIVATE, 0, 1), _return(_ALLOW)]
    return [*block, *_by_argument(1, {_AGAIN: _SHARED_WAITS, _ALLOW: _OTHER_FUTEXES})]


def _socketpair() -> list[bytes]:
    return [
        _argument(0),
        _jump(_EQUAL, _AF_UNIX, 1, 0),
        _return(_REFUSE),
        *_by_argument(1, {_ALLOW: _STREAMS}),
    ]


def _by_argument(argument: int, values: dict[int, tuple[int, ...]]) -> list[bytes]:
    """Return code that takes the action under which the argument is listed, and refuses the call where it is not."""
    code = [_argument(argument)]
    for action, listed in values.items():
        code += [_jump(_EQUAL, value, len(listed) - index - 1, 0) for index, value in enumerate(listed[:-1])]
        code += [_jump(_EQUAL, listed[-1], 0, 1), _return(action)]
    return [*code, _return(_REFUSE)]


@lru_cache(maxsize=2)
def _table(column: int, own_root: bool) -> bytes:
    """Return code that decides by number. It halves the table at each step: the kernel runs it for every number."""
    allowed = calls.HARMLESS | calls.CHANGING if own_root else calls.HARMLESS
    actions = {numbers[column]: _ALLOW for numbers in allowed.values()}
    actions |= {numbers[column]: _UNSUPPORTED for numbers in calls.ATTRIBUTES.values()}
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
