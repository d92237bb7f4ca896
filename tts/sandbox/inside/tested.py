"""What runs beside the program, in another process: calls of its functions, and test code that makes them."""

from __future__ import annotations

import dis
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from types import CodeType
from typing import Any, TypeAlias

from . import wire
from .peer import RAISED, Peer, RemoteError, describe
from .settings import RunRequest
from .watch import Watched

Result: TypeAlias = "tuple[str, Any, str]"
"""The fields of `records.Returned`: outcome, value, reason."""

_SETUP, _TEST = "setup.py", "test.py"
_STATELESS = frozenset(
    (
        *("bisect", "cmath", "collections", "copy", "datetime", "fractions", "functools", "heapq", "itertools"),
        *("math", "numbers", "operator", "re", "statistics", "string", "typing"),
    )
)
_RISKY = sys.stdlib_module_names - _STATELESS
_RISKY |= {"getattr", "setattr", "delattr", "exec", "eval", "globals", "vars", "attrgetter", "methodcaller"}
_RISKY |= {"register", "dispatch_table", "total_ordering", "update_wrapper", "wraps"}
_IMPORT = dis.opmap["IMPORT_NAME"]
_SETTERS = frozenset((dis.opmap["STORE_ATTR"], dis.opmap["DELETE_ATTR"]))
_SHOWN = 300


class Recorder(Peer):
    """Keeps what the program answers: values, None for what stays there, and the names of exceptions."""

    answers: tuple[Any, ...] = ()

    def request(self, op: str, target: str | int, rest: Any) -> Any:
        """Ask as ever; of a call, its arguments are kept as well, which it may have changed."""
        try:
            value = super().request(op, target, rest)
        except RAISED as error:
            self.answers += (type(error).__name__,)
            raise
        self.answers += tuple(_copied(each) for each in (value, rest if op == "call" else None))
        return value


def _copied(value: Any) -> Any:
    try:
        return wire.decode(wire.encode(value))
    except wire.NotPlainError:
        return None


class Tested:
    """The program, ready to be called. `last_call` shows the last call and what came of it."""

    def __init__(self, watched: Watched, peer: type[Peer] = Peer) -> None:
        self._watched = watched
        self.peer = peer(watched.send, watched.receive, _find_nothing, shares_objects=False)
        self.last_call = ""
        self.last_error: BaseException | None = None

    def call(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Call the program's function. Raises what it raises, or Stopped."""
        return self._ask(f"{name}({', '.join(map(_shown, arguments))})", "call", name, (arguments, keywords))

    def attribute(self, name: str, attribute: str) -> Any:
        """Return an attribute of the program's function or class `name`. Raises as `call` does."""
        return self._ask(f"{name}.{attribute}", "attribute", name, attribute)

    def _ask(self, shown: str, op: str, name: str, rest: Any) -> Any:
        self._watched.new_call()
        self.last_call, self.last_error = shown, None
        try:
            value = self.peer.request(op, name, rest)
        except RAISED as error:
            self.last_error = error
            self.last_call += f" raised {type(error).__name__}: {describe(error)}"
            raise
        self.last_call += f" returned {_shown(value)}"
        return value


class Named:
    """What stands for the program's function, or class, of this name in test code."""

    def __init__(self, tested: Tested, name: str) -> None:
        self._tested = tested
        self.__name__ = self.__qualname__ = name

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call it in the program."""
        return self._tested.call(self.__name__, arguments, keywords)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._tested.attribute(self.__name__, name)


def calls(watched: Watched, request: RunRequest) -> Iterator[Result]:
    """Call the first function with each of the arguments; yield what comes back, until the program is stopped."""
    tested = Tested(watched)
    room = wire.MAX_FRAME
    for arguments in request.arguments:
        try:
            value = tested.call(request.functions[0], arguments, {})
            room -= len(wire.encode(value))
        except RAISED as error:
            yield _outcome_of(error), None, f"{type(error).__name__}: {describe(error)}"
        else:
            if room < 0:
                most = wire.MAX_FRAME // 2**20
                raise watched.stop("output_limit", f"the calls together returned more than {most} MB")
            yield "ok", value, ""


def checks(watched: Watched, request: RunRequest) -> Iterator[Result]:
    """Run each test; yield its outcome, up to the first that fails (all of them, if `keep_going`).

    The value of a test that is a single expression comes with it, or the reason why it is no plain data. Where the
    program is observed, a test's value is all that it answered, right or wrong.
    """
    tested = Tested(watched, Recorder if request.action == "observe" else Peer)
    namespace: dict[str, Any] = {"__name__": "test"}
    try:
        exec(_compiled(request.setup, _SETUP), namespace)
        codes = [_compiled(test, _TEST) for test in request.tests]
    except Exception as error:
        yield "harness_error", None, f"the tests' own code fails: {type(error).__name__}: {describe(error)}"
        return
    namespace |= {name: Named(tested, name) for name in request.functions}
    for test, code in zip(request.tests, codes, strict=True):
        result = _check(tested, test, code, namespace)
        if watched.stopped:
            raise watched.stopped
        yield result
        if result[0] != "ok" and not request.keep_going:
            return


def leaves_traces(request: RunRequest) -> bool:
    """Tell whether test code may have changed what outlives it in this process: another module, a built-in, a class.

    Code that sets no attribute, imports nothing but modules without a state, and names no other and nothing that can
    reach one, nothing private, has not.
    """
    if request.action not in ("check", "observe"):
        return False
    try:
        codes = [_compiled(request.setup, _SETUP), *(_compiled(test, _TEST) for test in request.tests)]
    except Exception:  # it has not run either
        return False
    while codes:
        code = codes.pop()
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
        numbers, arguments = code.co_code[::2], code.co_code[1::2]
        if not _SETTERS.isdisjoint(numbers):
            return True
        for place in (place for place, number in enumerate(numbers) if number == _IMPORT):
            more = arguments[place - 1] if place and numbers[place - 1] == dis.EXTENDED_ARG else 0
            if code.co_names[256 * more + arguments[place]].partition(".")[0] not in _STATELESS:
                return True
        if not _RISKY.isdisjoint(code.co_names) or any(name[0] == "_" and name != "_" for name in code.co_names):
            return True
    return False


@lru_cache(maxsize=256)
def _compiled(source: str, name: str) -> CodeType:
    """Return the code, of a line that is an expression to be evaluated; one problem's candidates share their tests."""
    if "\n" not in source:
        with suppress(SyntaxError):
            return compile(source, name, "eval", dont_inherit=True)
    return compile(source, name, "exec", dont_inherit=True)


def _check(tested: Tested, test: str, code: Any, namespace: dict[str, Any]) -> Result:
    tested.last_call = ""
    failed: Result | None = None
    try:
        value = eval(code, namespace)  # None for statements
    except RAISED as error:
        failed = _failure(tested, test, error)
    if isinstance(tested.peer, Recorder) and (not failed or failed[0] == "wrong_answer"):
        value, failed, tested.peer.answers = tested.peer.answers, None, ()
    if failed:
        return failed
    try:
        wire.encode(value)
    except wire.NotPlainError as error:
        return "ok", None, str(error)
    return "ok", value, ""


def _failure(tested: Tested, test: str, error: BaseException) -> Result:
    """Say which line of the test failed, and on what. What the program raised in its last call is its error."""
    if not tested.last_call:
        return "harness_error", None, f"the tests' own code fails: {type(error).__name__}: {describe(error)}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _TEST]
    source = test.splitlines()
    failed = source[lines[-1] - 1].strip() if lines and lines[-1] and lines[-1] <= len(source) else ""
    outcome = "wrong_answer"
    if error is tested.last_error or isinstance(error, wire.NotPlainError):
        outcome = _outcome_of(error)
    said = "" if isinstance(error, AssertionError) else f" ({type(error).__name__}: {describe(error)})"
    return outcome, None, f"{failed[:_SHOWN]}: {tested.last_call}{said}"


def _outcome_of(error: BaseException) -> str:
    if isinstance(error, wire.NotPlainError):
        return "not_plain_data"
    return "memory_limit" if isinstance(error, MemoryError) else "runtime_error"


def _find_nothing(name: str) -> Any:
    raise RemoteError(f"the program may not ask for {name}")


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # integers of many digits
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def ready(watched: Watched) -> None:
    """Wait until the program has been run and can be called. Raises Stopped where it does not come to that."""
    if wire.decode(watched.receive()) != ("ready",):
        raise watched.stop("not_plain_data", "malformed message")
