"""Landlock: which paths a process may use, no TCP, no signals and no abstract sockets beyond its own kind."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence

from .kernel import syscall

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_READ = 0b1100  # files, folders
_LIST = 0b1000
_BITS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}


def abi() -> int:
    """Return the version that the kernel speaks, 0 where it has none. Asked of the system call, not of a file."""
    try:
        return syscall(_CREATE, None, 0, 1)
    except OSError:
        return 0


def ruleset(
    readable: Sequence[str], writable: Sequence[str] = (), listed: Sequence[str] = (), may_signal: bool = False
) -> int:
    """Return a descriptor of rules under which only these paths exist; of what is in `listed`, the names.

    Raises OSError where there is no Landlock.
    """
    version = abi()
    rights = (1 << _BITS_BY_ABI.get(version, 16)) - 1
    network = 0b11 if version >= 4 else 0
    scoped = (0b01 if may_signal else 0b11) if version >= 6 else 0
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = ctypes.create_string_buffer(struct.pack("<QQQ", rights, network, scoped), 24)
    rules = syscall(_CREATE, ctypes.byref(attributes), size, 0)
    for path in readable:
        _allow(rules, path, _READ)
    for path in listed:
        _allow(rules, path, _LIST)
    for path in writable:
        _allow(rules, path, rights & ~1)
    return rules


def restrict(rules: int) -> None:
    """Put this process and its future children under the rules, for good (`no_new_privs` must be set)."""
    syscall(_RESTRICT, rules, 0)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:  # it is no more, and needs no rule
        return
    try:
        if not os.path.isdir(path):
            rights &= 0b100_0000_0000_0110
        rule = ctypes.create_string_buffer(struct.pack("<Qi", rights, descriptor), 12)
        syscall(_ADD_RULE, rules, 1, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)
