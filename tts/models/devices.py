"""What a model could run on here."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec


def devices() -> Iterator[str]:
    """Yield a line a device, for people."""
    if find_spec("torch") is None:
        yield "unknown without torch (extra hf)"
        return
    import torch

    yield f"cpu: {torch.get_num_threads()} threads"
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield f"cuda:{index}: {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        yield "mps"
    if not torch.cuda.is_available():
        yield "no CUDA device seen by this torch"
