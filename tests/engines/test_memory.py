"""Which errors get the advice to lower `batch_size`."""

from __future__ import annotations

import pytest

from tts.engines.memory import advice

torch = pytest.importorskip("torch", reason="needs the hf extra")


def test_torchs_own_error_of_memory_gets_it():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert advice(caught.value) == ". Memory ran out: lower `batch_size`"


def test_one_that_it_caused_gets_it():
    error = ValueError("the step failed")
    error.__cause__ = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    assert advice(error)
    assert advice(MemoryError())


def test_no_other_gets_it():
    with pytest.raises(RuntimeError) as caught:
        torch.ones(2, 3) @ torch.ones(2, 3)
    assert advice(caught.value) == ""
    assert advice(ValueError("a memory of the sea")) == ""
