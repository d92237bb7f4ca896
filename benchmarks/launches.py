"""How many kernels a card would be told to run, counted on any device."""

from __future__ import annotations

from collections.abc import Callable

from torch.utils._python_dispatch import TorchDispatchMode

from tts.plugins.esamp import fused

NOT_A_KERNEL = {
    "alias", "as_strided", "detach", "empty", "empty_like", "expand", "new_empty", "permute", "select", "slice",
    "split", "split_with_sizes", "squeeze", "t", "transpose", "unbind", "unsqueeze", "view", "_unsafe_view",
    "scalar_tensor",
}  # fmt: skip
LAUNCHES = {"take_rows": 2, "mix_rows": 1, "gated": 1, "gated_backward": 1, "adam_step": 1}


class Launches(TorchDispatchMode):
    """Counts operators that are a kernel each on a card; `as_kernels`: those of `fused` as `fused_triton` has them."""

    def __init__(self, *, as_kernels: bool) -> None:
        super().__init__()
        self.number, self._as_kernels, self._within = 0, as_kernels, False
        self._theirs = {name: getattr(fused, name) for name in LAUNCHES}

    def __enter__(self):
        for name in LAUNCHES if self._as_kernels else ():
            setattr(fused, name, self._counted(name))
        return super().__enter__()

    def __exit__(self, *error):
        for name, function in self._theirs.items():
            setattr(fused, name, function)
        return super().__exit__(*error)

    def _counted(self, name: str) -> Callable:
        def function(*args, **keys):
            self.number, self._within = self.number + LAUNCHES[name], True
            try:
                return self._theirs[name](*args, **keys)
            finally:
                self._within = False

        return function

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        self.number += not self._within and operator.__name__.split(".")[0] not in NOT_A_KERNEL
        return operator(*args, **(kwargs or {}))
