from __future__ import annotations

from pathlib import Path

import pytest
from page_parts import COUNTING, runs_as_it_stands

pytestmark = pytest.mark.timeout(900)  # a page is many commands, and machines are busy


@pytest.mark.parametrize("page", COUNTING)
def test_every_block_runs_as_it_stands(page: str, tmp_path: Path) -> None:
    runs_as_it_stands(page, tmp_path)
