"""The program's process: takes the program from the wire, runs it, and answers calls of its functions."""

from __future__ import annotations

import atexit
import builtins
import faulthandler
import gc
import io
import linecache
import os
import socket
import sys
import threading
import traceback
from types import ModuleType, TracebackType
from typing import Any

from . import frames, wire
from .confine import Confinement
from .peer import Peer
from .settings import Bounds, Complaint

WIRE = 3
"""The descriptor of the wire; 0, 1 and 2 are the program's standard streams, and there are no others."""

NAME = "main.py"
IMPORTED = "main"
"""The `__name__` of a program whose functions are called: what only a script should do is not done."""

_STREAMS = (("stdin", "rb", "strict"), ("stdout", "wb", "strict"), ("stderr", "wb", "backslashreplace"))


def main(confinement: Confinement, wire_descriptor: int, streams: tuple[int, int, int]) -> int:
    """Confine this process and say so to the forker, then do what the first frame says; return the exit status."""
    os.setsid()
    with socket.socket(fileno=os.dup(wire_descriptor)) as connection:
        try:
            threads = os.open("self/task", os.O_RDONLY | os.O_DIRECTORY, dir_fd=confinement.proc)
            confinement.confine_program()
        except OSError as error:
            connection.sendall(wire.encode(Complaint.of(error).dump()))
            return 1
        socket.send_fds(connection, [b"c"], [threads])
    for number, descriptor in enumerate((*streams, wire_descriptor)):
        os.dup2(descriptor, number)
    os.closerange(WIRE + 1, 4096)
    connection = socket.socket(fileno=WIRE)
    action, text, bounds = wire.decode(frames.receive(connection))
    confinement.limit(Bounds.load(bounds))
    _renew_streams()
    faulthandler.enable(file=2, all_threads=False)  # tells an abort from a crash, which look alike to the kernel
    module = _new_module("__main__" if action == "run" else IMPORTED, text)
    if action == "run":
        connection.close()
        return _guarded(text, module, finish=True) or 0
    status = _guarded(text, module, finish=False)
    if status is None:
        frames.send(connection, wire.encode(("ready",)))
        _serve(connection, module)
    return status or 0


def _serve(connection: socket.socket, module: ModuleType) -> None:
    """Answer calls of the program's functions until the other side is gone."""

    def find(name: str) -> Any:
        owner, _, method = name.partition(".")
        thing = vars(module)[owner] if owner in vars(module) else _missing(owner)
        return getattr(thing(), method) if method else thing

    Peer(
        lambda data: frames.send(connection, data),
        lambda: frames.receive(connection),
        find,
        shares_objects=True,
    ).serve()


def _missing(name: str) -> Any:
    raise NameError(f"name '{name}' is not defined")


def _new_module(name: str, text: str) -> ModuleType:
    """Return a fresh module in the place of `__main__`, in which tracebacks can show the program's lines."""
    module = ModuleType(name)
    vars(module)["__builtins__"] = sys.modules["builtins"]
    sys.modules[name] = sys.modules["__main__"] = module
    sys.argv = [NAME]
    vars(builtins).update(exit=sys.exit, quit=sys.exit)  # the `site` module brings these, and programs use them
    linecache.cache[NAME] = (len(text), None, text.splitlines(keepends=True), NAME)
    gc.enable()
    return module


def _guarded(text: str, module: ModuleType, finish: bool) -> int | None:
    """Run the program as Python would; return the exit status, None where it goes on (`finish` false) to be called."""
    status = _status_of(lambda: exec(compile(text, NAME, "exec", dont_inherit=True), vars(module)))
    if status is None and not finish:
        return None
    ending = _status_of(_end)
    return status or ending or 0


def _status_of(run: Any) -> int | None:
    """Run; return None where it came to its end, else the status that Python would exit with."""
    try:
        run()
    except SystemExit as error:
        return _exit_status(error.code)
    except BaseException as error:
        _report(error)
        return 1
    return None


def _end() -> None:
    """Do what Python does at its end: wait for threads, call what was registered, write out what is buffered."""
    threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter itself calls
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def _exit_status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return int.__index__(code) & 255
    print(code, file=sys.stderr)
    return 1


def _report(error: BaseException) -> None:
    """Write the traceback, without the frames that are ours."""
    trace: TracebackType | None = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename.startswith(os.path.dirname(__file__)):
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)


def _renew_streams() -> None:
    """Give Python new objects for the standard streams: the old ones belong to the fork server."""
    for descriptor, (name, mode, errors) in enumerate(_STREAMS):
        raw = open(descriptor, mode, closefd=False)  # noqa: SIM115 - stays open
        stream = io.TextIOWrapper(raw, "utf-8", errors, line_buffering=name == "stderr")
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
