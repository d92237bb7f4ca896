"""What a model could run on here."""

from __future__ import annotations

import os
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


def device_memory() -> int:
    """Return the bytes of the first CUDA device's memory, or of this machine's where there is none."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
