from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Toy sizes are quickest on one thread, and other work on the machine stays undisturbed."""
    torch = pytest.importorskip("torch", reason="needs the hf extra")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
