"""One server in a process of its own for all tests that only ask it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serve_parts import Server, started, write_recipes


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    paths = write_recipes(tmp_path_factory.mktemp("serve"), delay_seconds=0.05)
    with started(*(word for path in paths for word in ("-r", path))) as (running, _):
        yield running
