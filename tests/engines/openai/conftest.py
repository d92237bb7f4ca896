"""A good server for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from server_parts import FakeServer


@pytest.fixture(scope="module")
def good() -> Iterator[FakeServer]:
    with FakeServer().running() as server:
        yield server


@pytest.fixture
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tts.engines.openai.client.LONGEST_BACKOFF_SECONDS", 0.1)
