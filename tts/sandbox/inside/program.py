"""The program's process: takes the program from the wire, runs it, and answers calls of its functions."""

from __future__ import annotations
import __future__

import _io
import ast
import atexit
import builtins
import faulthandler
import gc
import io
import linecache
import os
import random
import socket
import sys
import threading
import traceback
from contextlib import suppress
from functools import partial
from types import CodeType, ModuleType, TracebackType
from typing import Any

from . import frames, wire
from .confine import Confinement
from .peer import Peer
from .settings import Bounds, Complaint

WIRE = 3
"""The descriptor of the wire; 0, 1 and 2 are the program's standard streams, and there are no others."""

_FUTURE = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
_MOST_CUTS = 100

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
    action, text, functions, bounds = wire.decode(frames.receive(connection))
    confinement.limit(Bounds.load(bounds))
    _renew_streams()
    faulthandler.enable(file=2, all_threads=False)  # tells an abort from a crash, which look alike to the kernel
    module = _new_module("__main__" if action == "run" else IMPORTED, text)
    if action == "run":
        connection.close()
        status = _status_of(lambda: exec(compile(text, NAME, "exec", dont_inherit=True), vars(module)))
    else:
        status = _status_of(lambda: _load(text, vars(module), functions[0]))
        if status is None:
            frames.send(connection, wire.encode(("ready",)))
            _serve(connection, module)
            return 0
    ending = _status_of(_end)
    return status or ending or 0


def _serve(connection: socket.socket, module: ModuleType) -> None:
    """Answer calls of the program's functions until the other side is gone."""

    Peer(
        lambda data: frames.send(connection, data),
        lambda: frames.receive(connection),
        lambda name: _find(name, vars(module)),
        shares_objects=True,
    ).serve()


def _find(name: str, names: dict[str, Any]) -> Any:
    """Return the function `name`, or `Class.method` of a new instance. Raises NameError where there is none.

    Who is asked for a method may write a function of that name alone, and who is asked for a function, a method of
    `Solution`, as some sites want it.
    """
    owner, _, method = name.partition(".")
    if owner in names:
        return getattr(names[owner](), method) if method else names[owner]
    alone, solution = names.get(method), names.get("Solution")
    if callable(alone) and alone.__module__ == IMPORTED:  # what is imported is no answer
        code = getattr(alone, "__code__", None)
        return partial(alone, None) if code and code.co_varnames[:1] == ("self",) else alone
    if not method and isinstance(solution, type) and hasattr(solution, name):
        return getattr(solution(), name)
    raise NameError(f"name '{owner}' is not defined")


def _has(name: str, names: dict[str, Any]) -> bool:
    """Tell whether `_find` has something to find."""
    with suppress(NameError):
        return name.partition(".")[0] in names or bool(_find(name, names))
    return False


def _new_module(name: str, text: str) -> ModuleType:
    """Return a fresh module in the place of `__main__`, in which tracebacks can show the program's lines."""
    module = ModuleType(name)
    vars(module)["__builtins__"] = sys.modules["builtins"]
    sys.modules[name] = sys.modules["__main__"] = module
    sys.argv = [NAME]
    vars(builtins).update(exit=sys.exit, quit=sys.exit)  # the `site` module brings these, and programs use them
    if "/dev/stdin" in text:
        builtins.open = io.open = _open
    linecache.cache[NAME] = (len(text), None, text.splitlines(keepends=True), NAME)
    random.seed(0)  # as the seed of hashes: a program's verdict is the same in every run
    gc.enable()
    return module


def _open(file: Any, *arguments: Any, **keywords: Any) -> Any:
    """Open a file. `/dev/stdin` leads through /proc, which is not there: it is the descriptor."""
    return _io.open(os.dup(0) if file == "/dev/stdin" else file, *arguments, **keywords)


def _load(text: str, names: dict[str, Any], wanted: str) -> None:
    """Run a program that is to be called. What fails below the definition of `wanted` is left out.

    Examples of use, a main part that reads input, and words below the code are none of the function's business. What
    reaches a limit is.
    """
    read, text, failure = _readable(text)
    code: CodeType | None = read
    statements: list[ast.stmt] | None = None
    while code:
        try:
            exec(code, names)
            break
        except MemoryError:
            raise
        except BaseException as error:
            if not _has(wanted, names):
                raise
            _report(error)
            # Go on below the statement that raised it.
            trace = error.__traceback__
            while trace and trace.tb_frame.f_code is not code:
                trace = trace.tb_next
            line = trace.tb_lineno if trace else sys.maxsize
            statements = [each for each in statements or ast.parse(text).body if _first_line(each) > line]
            rest = ast.Module(statements, type_ignores=[])
            code = compile(rest, NAME, "exec", code.co_flags & _FUTURE, dont_inherit=True) if statements else None
    if failure and not _has(wanted, names):
        raise failure


def _readable(text: str) -> tuple[CodeType, str, SyntaxError | None]:
    """Return the program up to the last line at its top level above what is no Python, and the error, if there is one.

    Where nothing above can be compiled either, the error is raised.
    """
    try:
        return compile(text, NAME, "exec", dont_inherit=True), text, None
    except SyntaxError as error:
        failure = error
    lines = text.split("\n")
    starts = [
        number for number, line in enumerate(lines[: failure.lineno]) if line[:1].strip() and line[0] not in "#)]}"
    ]
    for start in starts[:-_MOST_CUTS:-1]:
        with suppress(SyntaxError):
            head = "\n".join(lines[:start])
            return compile(head, NAME, "exec", dont_inherit=True), head, failure
    raise failure


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(each.lineno for each in decorators)])


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
