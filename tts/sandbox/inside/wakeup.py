"""What stands for a pair of sockets where programs may make none.

Every pipe and socket gets a number from a counter of the whole machine, and anyone may ask for it: a program that made
pipes until the number suited it would leave a message to the next. So they are refused. An event loop needs a pair of
sockets all the same, to wake itself; an eventfd, which has no such number, does as well.
"""

from __future__ import annotations

import errno
import os

_WORD = b"\0"


class End:
    """One end: it passes nothing on but how often the word of event loops was sent."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def setblocking(self, flag: bool) -> None:
        """Let reading wait, or not."""
        os.set_blocking(self._descriptor, flag)

    def send(self, data: bytes) -> int:
        """Wake the other end. Raises PermissionError for any other word."""
        if data != _WORD:
            raise PermissionError(errno.EPERM, "this sandbox has no sockets")
        os.eventfd_write(self._descriptor, 1)
        return 1

    def recv(self, _: int) -> bytes:
        """Return one word, however often it was sent."""
        os.eventfd_read(self._descriptor)
        return _WORD

    def close(self) -> None:
        """Close this end."""
        os.close(self._descriptor)


def pair(*_: object) -> tuple[End, End]:
    """Return two ends, in the place of `socket.socketpair`."""
    one = os.eventfd(0, os.EFD_CLOEXEC)
    return End(one), End(os.dup(one))
