"""How many kernels a card would be told to run, counted on any device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tts.plugins.esamp import fused

NO_KERNEL = {"empty", "empty_like", "new_empty", "scalar_tensor"}
"""These make tensors without a kernel; so does whatever returns a view of what it is given."""

LAUNCHES = {"take_rows": 2, "mix_rows": 1, "gated": 1, "gated_backward": 1, "adam_step": 1}
"""How many kernels the functions of `fused_triton` launch."""


class Launches(TorchDispatchMode):
    """Counts operators that are a kernel each on a card; `as_kernels`: those of `fused` as `fused_triton` has them."""

    def __init__(self, *, as_kernels: bool) -> None:
        super().__init__()
        self.number, self._is_counting = 0, True
        self._theirs = {name: getattr(fused, name) for name in (LAUNCHES if as_kernels else ())}

    def __enter__(self):
        for name, function in self._theirs.items():
            setattr(fused, name, self.counted_as(LAUNCHES[name], function))
        return super().__enter__()

    def __exit__(self, *error):
        for name, function in self._theirs.items():
            setattr(fused, name, function)
        return super().__exit__(*error)

    def counted_as(self, number: int, function: Callable) -> Callable:
        """Return the function, which counts as so many launches whatever it does."""

        def counted(*args, **keys):
            self.number, self._is_counting = self.number + number, False
            try:
                return function(*args, **keys)
            finally:
                self._is_counting = True

        return counted

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        result = operator(*args, **(kwargs or {}))
        self.number += self._is_counting and is_kernel(operator.__name__.split(".")[0], result, args)
        return result


def is_kernel(name: str, result: Any, args: tuple[Any, ...]) -> bool:
    """Tell whether a kernel was needed for the result of an operator."""
    if name.endswith("_") or name in NO_KERNEL:
        return name not in NO_KERNEL
    first = result[0] if isinstance(result, list | tuple) and result else result
    tensors = [one for one in (first, *args[:1]) if isinstance(one, torch.Tensor)]
    return len(tensors) < 2 or tensors[0].untyped_storage().data_ptr() != tensors[1].untyped_storage().data_ptr()
