"""Finds on a CPU what would make the host wait for a GPU.

How it works. On CUDA the host waits where it reads a value (`.item()`, `bool(t)`, `.tolist()`, `.cpu()`), where the
size of an output depends on values (`nonzero`, a boolean mask as an index, `unique`), and where it copies from or to
memory that is not pinned, which includes a device's tensor made from a list. On a CPU nothing waits, so one must be
told which tensors stand for the device's: here all do that are there already, or are made while the mode is on, but for
those made of numbers without a device, which are the host's. A sender that pins its memory is put in as a clone.

It does not see `synchronize`, events, or pinning itself.
"""

from __future__ import annotations

import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tts.plugins.esamp.member_table import MemberTable

aten = torch.ops.aten
READS = (aten._local_scalar_dense.default, aten.equal.default, aten.is_nonzero.default)
SIZED_BY_VALUES = (
    aten.nonzero.default, aten.masked_select.default, aten._unique2.default, aten.unique_dim.default,
    aten.unique_consecutive.default, aten.repeat_interleave.Tensor, aten.bincount.default,
)  # fmt: skip
INDEXED = (aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default)


class HostWait(AssertionError):  # noqa: N818  # what happens, not what went wrong
    """The host would wait."""


@contextmanager
def pinned() -> Iterator[None]:
    """Let the member table send as it does on CUDA: from pinned memory, without waiting."""
    sent = MemberTable.sent
    MemberTable.sent = staticmethod(torch.clone)
    try:
        yield
    finally:
        MemberTable.sent = sent


class NoHostWaits(TorchDispatchMode):
    """Raises HostWait with file, line and function where the host would wait; with `collect` only counts `places`."""

    def __init__(self, *, collect: bool = False) -> None:
        super().__init__()
        self.places: Counter[str] = Counter()
        self._collect = collect
        self._host: dict[int, weakref.ref[torch.Tensor]] = {}
        self._calls = Calls(self)

    def __enter__(self) -> NoHostWaits:
        self._calls.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._calls.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in READS + SIZED_BY_VALUES and not all(map(self.is_host, tensors_of(args))):
            self.found(str(func))
        elif func in INDEXED:
            for index in args[1] or ():
                if index is not None and index.dtype in (torch.bool, torch.uint8):
                    self.found(f"{func} with a boolean mask")
                elif index is not None and self.is_host(index):
                    self.found(f"{func} with the host's index")
        elif func is aten.copy_.default and self.is_host(args[0]) != self.is_host(args[1]):
            self.found(f"{func} from or to memory that is not pinned")
        return func(*args, **(kwargs or {}))

    def is_host(self, tensor: torch.Tensor) -> bool:
        known = self._host.get(id(tensor))
        return known is not None and known() is tensor

    def is_made_by_host(self, tensor: torch.Tensor) -> None:
        self._host[id(tensor)] = weakref.ref(tensor)

    def found(self, what: str) -> None:
        frame = sys._getframe(1)
        while frame.f_back and ("/torch/" in frame.f_code.co_filename or frame.f_code.co_filename == __file__):
            frame = frame.f_back
        place = f"{what} at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        self.places[place] += 1
        if not self._collect:
            raise HostWait(f"{place} makes the host wait for the device")


class Calls(TorchFunctionMode):
    """What cannot be told from the operators: whose memory a tensor is in, and what leaves the device whole."""

    def __init__(self, waits: NoHostWaits) -> None:
        super().__init__()
        self._waits = waits

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        waits, kwargs, name = self._waits, kwargs or {}, getattr(func, "__name__", "")
        mine = next(iter(tensors_of(args)), None)
        from_numbers = name in ("tensor", "as_tensor", "from_numpy") and mine is None
        if name in ("tolist", "numpy", "cpu") and mine is not None and not waits.is_host(mine):
            waits.found(f"Tensor.{name}")
        if name in ("__getitem__", "__setitem__") and has_list(args[1]):
            waits.found(f"Tensor.{name} with a list")
        if from_numbers and kwargs.get("device") is not None:
            waits.found(f"torch.{name} of numbers on the device")
        if name in ("to", "cuda") and mine is not None and waits.is_host(mine) and moves([*args[1:], *kwargs.values()]):
            waits.found("Tensor.to(device) from memory that is not pinned")
        made = func(*args, **kwargs)
        if from_numbers and kwargs.get("device") is None:
            waits.is_made_by_host(made)
        return made


def tensors_of(args: Any) -> list[torch.Tensor]:
    return [one for one in args if isinstance(one, torch.Tensor)]


def has_list(index: Any) -> bool:
    return any(isinstance(part, list) for part in (index if isinstance(index, tuple) else (index,)))


def moves(wanted: list[Any]) -> bool:
    return any(isinstance(one, torch.device | str) for one in wanted)
