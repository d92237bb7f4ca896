"""Calls between the program's process and the one that tests it. Both sides speak the same words.

A request is `(op, target, rest)`: `call` with a name or a function's number, arguments and keywords; `next` with an
iterator's number; one of `QUESTIONS` with an object's number and what it needs. The answer is
`("return", value, arguments)`, the arguments only where the call has changed them, or `("raise", names, arguments)`
with the name of the exception's class and of those built-in classes that it is derived from.
Before it, the other side may send requests of its own (a function that was passed as an argument is called back). What
is no plain data stays where it is, and the other side gets a `Remote` for it.
"""

from __future__ import annotations

import builtins
import operator
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import wire

QUESTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "attribute": getattr,
    "item": operator.getitem,
    "items": lambda thing, _: iter(thing),
    "size": lambda thing, _: len(thing),
    "truth": lambda thing, _: bool(thing),
}
"""What the test code may ask of a thing that stays with the program."""

RAISED = (Exception, SystemExit, KeyboardInterrupt, GeneratorExit)
"""What a program's function may raise in test code, which may catch it."""

MAX_REFERENCES = 100_000
_MAX_ERROR = 2**16
NOT_PLAIN = "not plain data: "


class RemoteError(Exception):
    """The other side raised something that is no built-in exception."""


class Remote:
    """A thing that stays on the other side. Nothing can be done with it but what its kind allows."""

    __slots__ = ("_kind", "_number", "_peer")

    def __init__(self, peer: Peer, kind: str, number: int) -> None:
        self._peer = peer
        self._kind = kind
        self._number = number

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._peer.request("attribute", self._number, name)

    def __bool__(self) -> bool:
        return bool(self._peer.request("truth", self._number, None))

    def __iter__(self) -> Any:
        return self._peer.request("items", self._number, None)

    def __len__(self) -> int:
        return self._peer.request("size", self._number, None)  # type: ignore[no-any-return]  # `len` checks it

    def __getitem__(self, key: Any) -> Any:
        return self._peer.request("item", self._number, key)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        raise wire.NotPlainError(NOT_PLAIN + "it was compared")

    __hash__ = object.__hash__


class RemoteFunction(Remote):
    """A function on the other side."""

    __slots__ = ()

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call it there."""
        return self._peer.request("call", self._number, (arguments, keywords))


class RemoteIterator(Remote):
    """An iterator on the other side; each item is fetched when it is asked for."""

    __slots__ = ()

    def __iter__(self) -> RemoteIterator:
        return self

    def __next__(self) -> Any:
        return self._peer.request("next", self._number, None)


_REMOTES: dict[str, type[Remote]] = {"f": RemoteFunction, "g": RemoteIterator, "o": Remote}


class Peer:
    """One end of the wire. `send` and `receive` move whole frames; `serve` answers the other side's requests."""

    def __init__(
        self,
        send: Callable[[bytes], None],
        receive: Callable[[], bytes],
        find: Callable[[str], Any],
        shares_objects: bool,
    ) -> None:
        self._send = send
        self._receive = receive
        self._find = find
        self._shares_objects = shares_objects
        self._things: list[Any] = []

    def request(self, op: str, target: str | int, rest: Any) -> Any:
        """Ask the other side and return what it returns; raises what it raises, if that is a built-in exception."""
        self._send(wire.encode((op, target, rest), self._reference))
        while True:
            answer = self._read()
            if answer[0] == "return":
                if op == "call" and answer[2] is not None:
                    update(rest[0], answer[2])
                return answer[1]
            if answer[0] == "raise":
                raise self._exception(answer, op)
            self._answer(answer)

    def serve(self) -> None:
        """Answer requests until the other side is gone."""
        while True:
            self._answer(self._read())

    def _read(self) -> tuple[Any, ...]:
        message = wire.decode(self._receive(), self._resolve)
        if not isinstance(message, tuple) or len(message) != 3:
            raise wire.NotPlainError("malformed message")
        return message

    def _answer(self, message: tuple[Any, ...]) -> None:
        try:
            value, changed = self._perform(*message)
            encoded = wire.encode(("return", value, changed), self._reference)
        except wire.NotPlainError as error:
            encoded = wire.encode(("raise", ("NotPlainError",), (str(error),)))
        except BaseException as error:
            if not (self._shares_objects or isinstance(error, Exception)):
                raise  # what stops the test code
            encoded = _encoded_error(error)
        self._send(encoded)

    def _perform(self, op: str, target: Any, rest: Any) -> tuple[Any, Any]:
        thing = self._find(target) if isinstance(target, str) else self._things[target]
        if op == "call":
            arguments, keywords = rest
            before = self._snapshot(arguments)
            value = thing(*arguments, **keywords)
            return value, arguments if self._snapshot(arguments) != before else None
        if op == "next":
            return next(thing), None
        if op in QUESTIONS and self._shares_objects:
            return QUESTIONS[op](thing, rest), None
        raise wire.NotPlainError("malformed message")

    def _snapshot(self, arguments: tuple[Any, ...]) -> bytes:
        """Return what shows whether a call has changed its arguments."""
        try:
            return wire.encode(arguments, lambda thing: ("B", id(thing) % 2**32))
        except wire.NotPlainError:
            return b""

    def _reference(self, thing: object) -> tuple[str, int]:
        if isinstance(thing, Remote) and thing._peer is self:
            return "B", thing._number
        kind = "f" if callable(thing) else "g" if hasattr(type(thing), "__next__") else "o"
        if len(self._things) >= MAX_REFERENCES or (kind == "o" and not self._shares_objects):
            raise wire.NotPlainError(f"{type(thing).__name__} is not plain data")
        self._things.append(thing)
        return kind, len(self._things) - 1

    def _resolve(self, kind: str, number: int) -> object:
        if kind == "B" and number < len(self._things):
            return self._things[number]
        if kind in _REMOTES:
            return _REMOTES[kind](self, kind, number)
        raise wire.NotPlainError("malformed reference")

    def _exception(self, answer: tuple[Any, ...], op: str) -> BaseException:
        """Return what the other side raised. A call's StopIteration must not end a loop of the test's own early."""
        _, names, arguments = answer
        if not (isinstance(names, tuple) and names and all(isinstance(name, str) for name in names)):
            raise wire.NotPlainError("malformed message")
        if names[0] == "NotPlainError":
            return wire.NotPlainError(*arguments)
        ends_loops = "StopIteration" in names and op != "next" and not self._shares_objects
        for known in () if ends_loops else names:
            kind = getattr(builtins, known, None)
            if isinstance(kind, type) and issubclass(kind, RAISED):
                with suppress(TypeError, ValueError):  # of a name or arguments that the class does not take
                    derived: type[BaseException] = kind if known == names[0] else type(names[0], (kind,), {})
                    return derived(*arguments)
        return RemoteError(": ".join(map(str, (names[0], *arguments))))


def _encoded_error(error: BaseException) -> bytes:
    """Return the answer that tells of an exception. One that is no built-in goes with its text."""
    kinds = [kind for kind in type(error).__mro__ if getattr(builtins, kind.__name__, None) is kind]
    names = dict.fromkeys((type(error).__name__, *(kind.__name__ for kind in kinds[:-1])))  # the last is `object`
    if type(error) in kinds:
        with suppress(Exception):
            encoded = wire.encode(("raise", tuple(names), error.args))
            if len(encoded) <= _MAX_ERROR:
                return encoded
    return wire.encode(("raise", tuple(names), (describe(error),)))


def update(old: Any, new: Any) -> None:
    """Make the containers in `old` equal to those in `new`, in place, as the call on the other side did."""
    if type(old) is not type(new):
        return
    if isinstance(old, list):
        old[:] = [_merged(*pair) for pair in zip(old, new, strict=False)] + new[len(old) :]
    elif isinstance(old, dict):
        merged = {key: _merged(old[key], value) if key in old else value for key, value in new.items()}
        old.clear()
        old.update(merged)
    elif isinstance(old, set):
        old.clear()
        old.update(new)
    elif isinstance(old, bytearray | deque):
        old.clear()
        old.extend(new)
    elif isinstance(old, tuple):
        for pair in zip(old, new, strict=False):
            update(*pair)


def _merged(old: Any, new: Any) -> Any:
    """Return `old`, made equal to `new`, where it is a container that can be; else `new`."""
    if type(old) is type(new) and isinstance(old, list | dict | set | bytearray | deque):
        update(old, new)
        return old
    return new


def describe(error: BaseException) -> str:
    """Return the exception's text; its own `__str__` may raise or lie."""
    try:
        return str(error)[:1000]
    except Exception:
        return "(no text)"
