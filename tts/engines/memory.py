"""Tells errors of memory, which a smaller batch cures, from all others."""

from __future__ import annotations

SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "out_of_memory")
"""What torch, CUDA, the system and vLLM write where memory ran out; torch raises RuntimeError for much else, too."""


def advice(error: BaseException) -> str:
    """Return what to do, to be put behind the error's message, if it or its cause is an error of memory; else ""."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, MemoryError) or any(sign in str(at).lower() for sign in SIGNS):
            return ". Memory ran out: lower `batch_size`"
        at = at.__cause__ or at.__context__
    return ""
