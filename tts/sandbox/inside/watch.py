"""Watches over the program's process from outside: feeds it, reads what it writes, and ends it at its limits.

How it works. This is the supervisor's side. The program is another process, made beside it by the forker and handed
over as five descriptors: the wire (a socket for frames of plain data), stdin, stdout, stderr, and a pidfd that becomes
readable when the process has ended.

1. `start` takes the clocks' zeros, makes all ends non-blocking, and sends the frame that lets the program begin.
2. `receive` (a frame is wanted) and `wait` (the end is wanted) both turn `_step`: one `poll` over everything, with the
   time until a limit can be reached at the earliest as its timeout. What has come is read, what there is room for is
   written, and nothing blocks but that one `poll`.
3. At the pidfd's news, `_drain` takes what is left in the pipes, without waiting for an end of file: children of the
   program may hold the other ends, and what they still write does not count.
4. The forker buries the process, and `close` judges by what it reports.

What holds, and why:

- Limits are measured here and never asked of the program. Processor time is that of its process. Wall time leaves out
  what its threads together spent waiting for a processor, so that a loaded machine changes no verdict; a tenth of what
  has passed counts in any case, so that it ends. The forker knows those waits, and is asked only where a limit seems
  to be reached.
- All four limits are looked at with every call, and at the time at which the nearest of them can be reached: calls
  that are each short enough do not get past what they may use together.
- A limit counts only where nothing came in time: when one is first found exceeded while `poll` has news, the news is
  handled, and the limit is looked at once more (`_is_overdue`).
- What ends the program early is raised as `Stopped`, a BaseException, and kept in `stopped` as well: test code that
  runs between two frames may swallow it with a bare `except`, and must not win by that.
- Every buffer has a bound: `output_kb` for each of stdout and stderr, `wire.MAX_FRAME` for a frame.
- `_judge` trusts causes in this order: a forbidden system call, the kernel's limit of processor time, what was stopped
  here, another signal, the exit status.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import frames, wire
from .settings import MEGABYTE, Bounds, RunRequest

_CHUNK = 2**16
_SHORTEST_WAIT = 0.005
_WORTH_ASKING = 0.1
"""Seconds; a shorter run counts in full."""

_LEAST_PART = 10
"""At least this part of the time that passes counts, however the program waits for a processor."""

_OUT_OF_MEMORY = re.compile(r"(\w+\.)*_?(Array)?MemoryError\b")
"""How the last line of a traceback begins; numpy has an error of its own."""
_ABORTED = b"Fatal Python error: Aborted"
_ENDED = "ended"
"""The program is no more though an answer is waited for; how it died says why."""


class Stopped(BaseException):
    """The program was stopped, or has ended by itself. No `except Exception` of test code catches this."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(outcome, reason)
        self.outcome = outcome
        self.reason = reason


class Watched:
    """The process of a program, seen from the one that reads its other ends.

    `descriptors` are the wire, stdin, stdout, stderr and the process itself (a pidfd); `host` is the connection whose
    end is the end of everything. A program that is the `init` of its namespace cannot kill itself. `waited` says how
    many seconds its threads had to wait for a processor.
    """

    def __init__(self, pid: int, descriptors: list[int], host: int, is_init: bool, waited: Callable[[], float]) -> None:
        wire_end, self._stdin, self._stdout, self._stderr, self._ended = descriptors
        self._pid = pid
        self._wire = socket.socket(fileno=wire_end)
        self._host = host
        self._is_init = is_init
        self._outputs = {self._stdout: bytearray(), self._stderr: bytearray()}
        self._poll = select.poll()
        for descriptor in (self._stdout, self._stderr, self._ended):
            self._poll.register(descriptor, select.POLLIN)
        self._poll.register(host, 0)
        self._to_stdin = memoryview(b"")
        self._to_wire = memoryview(b"")
        self._from_wire = bytearray()
        self._has_ended = False
        self._is_overdue = False
        self._look_again = 0.0
        self._ask_waited = waited
        self._waited = 0.0
        self._used_wall = 0.0
        self.stopped: Stopped | None = None

    def stop(self, outcome: str, reason: str) -> Stopped:
        """Return what to raise, and keep it: test code with a bare `except` swallows it."""
        self.stopped = self.stopped or Stopped(outcome, reason)
        return self.stopped

    def start(self, request: RunRequest, bounds: Bounds) -> None:
        """Let the program begin, with these limits."""
        self._bounds = bounds
        self._zero_cpu, self._begin = self._cpu(), time.monotonic()
        self.new_call()
        for descriptor in (self._stdin, self._stdout, self._stderr, self._wire.fileno()):
            os.set_blocking(descriptor, False)
        self._to_stdin = memoryview(request.stdin)
        if request.stdin:
            self._poll.register(self._stdin, select.POLLOUT)
        else:
            self._close_stdin()
        self.send(wire.encode((request.action, request.program, request.functions, bounds.dump())))

    def new_call(self) -> None:
        """Count time anew for the limits of one call. Raises Stopped where all calls together are at theirs."""
        self._call_cpu, self._call_begin, self._call_waited = self._cpu(), time.monotonic(), self._waited
        self._look_at_limits(False)

    def send(self, payload: bytes) -> None:
        """Write a frame to the program, as far as there is room; the rest is written while waiting."""
        self._to_wire = self._write(self._wire.fileno(), memoryview(bytes(self._to_wire) + frames.pack(payload)))
        self._poll.register(self._wire, select.POLLIN | (select.POLLOUT if self._to_wire else 0))

    def receive(self) -> bytes:
        """Wait for a frame from the program. Raises Stopped where none comes."""
        while True:
            try:
                frame = frames.unpack(self._from_wire, wire.MAX_FRAME)
            except ValueError as error:
                is_possible = frames.length(self._from_wire) <= self._bounds.memory_mb * MEGABYTE
                raise self.stop("output_limit" if is_possible else "not_plain_data", f"it returned {error}") from None
            if frame is not None:
                return frame
            if self._has_ended:
                raise self.stop(_ENDED, "the program ended before it answered")
            self._step()

    def wait(self) -> None:
        """Wait until the program has ended. Raises Stopped where it must be ended."""
        while not self._has_ended:
            self._step()

    def settle(self) -> None:
        """Note the wall time that the run has taken, while its process is there to tell how long it had to wait."""
        if time.monotonic() - self._begin > _WORTH_ASKING:
            self._waited = max(self._waited, self._ask_waited())
        self._used_wall = self._wall(self._begin, 0.0)

    def close(self, stopped: Stopped | None, code: int, memory_kb: int, cpu: float) -> tuple[Any, ...]:
        """Return the fields of `records.ProgramRun`, given what became of the process, which is no more."""
        cpu = max(0.0, cpu - self._zero_cpu)
        stdout, stderr = (bytes(self._outputs[key]) for key in (self._stdout, self._stderr))
        if self._is_init and code == -signal.SIGSEGV and _ABORTED in stderr:
            code = -signal.SIGABRT  # which kills no init: what ends it is the crash that `abort` falls back on
        outcome, reason = self._judge(stopped, code, cpu, stderr)
        for descriptor in (self._stdout, self._stderr, self._ended, self._stdin):
            if descriptor >= 0:
                os.close(descriptor)
        self._wire.close()
        died = (None, -code) if code < 0 else (code, 0)
        return outcome, stdout, stderr, *died, cpu, self._used_wall, memory_kb / 1024, reason

    def _judge(self, stopped: Stopped | None, code: int, cpu: float, stderr: bytes) -> tuple[str, str]:
        if code == -signal.SIGSYS:
            return "sandbox_violation", "a system call that only attacks make"
        if stopped and stopped.outcome != _ENDED:
            return stopped.outcome, stopped.reason
        if cpu >= self._bounds.total_cpu_seconds and code in (-signal.SIGXCPU, -signal.SIGKILL):
            return "timeout", f"more than {self._bounds.total_cpu_seconds:g} s of processor time"
        if code < 0:
            if code == -signal.SIGKILL and self._is_init:
                return "harness_error", "killed from outside, perhaps because the host ran out of memory"
            return "runtime_error", f"killed by {signal.Signals(-code).name}"
        last = stderr.rstrip().rpartition(b"\n")[2].decode("utf-8", "replace")
        outcome = "memory_limit" if code and _OUT_OF_MEMORY.match(last) else "runtime_error"
        reason = (last or f"exit status {code}") if code else stopped.reason if stopped else ""
        return (outcome, reason) if reason else ("ok", "")

    def _step(self) -> None:
        """Wait for the next thing to happen, and do what it asks for. Raises Stopped where a limit comes first."""
        wait = self._look_again - time.monotonic()
        happened = self._poll.poll(1000 * max(wait, 0))
        if wait <= 0:
            self._look_at_limits(bool(happened))
        for descriptor, events in happened:
            if descriptor == self._ended:
                self._drain()
            elif descriptor in self._outputs:
                self._read_output(descriptor)
            elif descriptor == self._stdin:
                self._to_stdin = self._write(descriptor, self._to_stdin)
                if not self._to_stdin:
                    self._poll.unregister(descriptor)
                    self._close_stdin()
            elif descriptor == self._host:
                raise EOFError("the host is gone")
            else:
                self._exchange(events)

    def _exchange(self, events: int) -> None:
        if events & select.POLLOUT:
            self._to_wire = self._write(self._wire.fileno(), self._to_wire)
            if not self._to_wire:
                self._poll.modify(self._wire, select.POLLIN)
        if events & ~select.POLLOUT and not self._receive_some():
            self._poll.unregister(self._wire)

    def _receive_some(self) -> bool:
        """Take what has come over the wire; false where nothing will come any more."""
        try:
            data = self._wire.recv(_CHUNK)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        self._from_wire += data
        return bool(data)

    def _drain(self) -> None:
        """Take what the ended program has left in its pipes; what its children still write does not count."""
        for descriptor in list(self._outputs):
            while self._read_output(descriptor):
                pass
        while self._receive_some() and len(self._from_wire) <= wire.MAX_FRAME:
            if not select.select([self._wire], [], [], 0)[0]:
                break
        self._has_ended = True

    def _read_output(self, descriptor: int) -> bool:
        """Take some output; false where there is none now."""
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            with suppress(KeyError):
                self._poll.unregister(descriptor)
            return False
        output = self._outputs[descriptor]
        room = self._bounds.output_kb * 1024 - len(output)
        output += data[:room]
        if len(data) > room:
            name = "stdout" if descriptor == self._stdout else "stderr"
            raise self.stop("output_limit", f"more than {self._bounds.output_kb} KB on {name}")
        return True

    def _write(self, descriptor: int, data: memoryview) -> memoryview:
        try:
            return data[os.write(descriptor, data[:_CHUNK]) :]
        except BlockingIOError:
            return data
        except (BrokenPipeError, ConnectionError):
            return memoryview(b"")  # it does not want to know more

    def _close_stdin(self) -> None:
        os.close(self._stdin)
        self._stdin = -1

    def _cpu(self) -> float:
        """Return the processor time of the program's process so far, its threads included."""
        try:
            return time.clock_gettime((~self._pid << 3) | 2)
        except OSError:
            return 0.0

    def _wall(self, begin: float, waited: float) -> float:
        """Return the wall time since `begin`, less what the program waited for a processor beyond `waited`."""
        passed = time.monotonic() - begin
        return max(passed - (self._waited - waited), passed / _LEAST_PART)

    def _look_at_limits(self, has_news: bool) -> None:
        """Raise Stopped where a limit is reached; not yet where there is news that may have come in time."""
        left, what = self._left()
        if left <= 0:
            self._waited = max(self._waited, self._ask_waited())  # threads take theirs with them when they end
            left, what = self._left()
        if left <= 0 and (self._is_overdue or not has_news):
            raise self.stop("timeout", f"more than {what}")
        self._is_overdue = left <= 0
        self._look_again = time.monotonic() + max(left, 0 if self._is_overdue else _SHORTEST_WAIT)

    def _left(self) -> tuple[float, str]:
        """Return how many seconds must pass before a limit can be reached, and which."""
        cpu, bounds = self._cpu(), self._bounds
        wall, wall_of_call = self._wall(self._begin, 0.0), self._wall(self._call_begin, self._call_waited)
        return min(
            (bounds.cpu_seconds - cpu + self._call_cpu, f"{bounds.cpu_seconds:g} s of processor time"),
            (bounds.wall_seconds - wall_of_call, f"{bounds.wall_seconds:g} s"),
            (bounds.total_cpu_seconds - cpu + self._zero_cpu, f"{bounds.total_cpu_seconds:g} s of processor time"),
            (bounds.total_wall_seconds - wall, f"{bounds.total_wall_seconds:g} s"),
        )
