"""What bench.json may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tts.errors import RunFolderError
from tts.runs.opening import read_plan

PLAN: dict[str, Any] = {
    "format": 1,
    "arms": [{"name": "a", "recipe": {}}],
    "ks": [],
    "problems": None,
    "limit": None,
    "stored": [],
    "stored_problems": None,
    "embeddings": "none",
    "perplexity": None,
    "turns": 1,
}


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/abs", "a/b", "a\0", "x" * 300, "a\ud800"])
def test_an_arm_is_called_like_a_folder_beside_the_plan(tmp_path: Path, name: str) -> None:
    (tmp_path / "bench.json").write_text(json.dumps({**PLAN, "arms": [{"name": name, "recipe": {}}]}))
    with pytest.raises(RunFolderError, match=r"bench\.json cannot be read: an arm's `name` must be that of a folder"):
        read_plan(tmp_path)


@pytest.mark.parametrize("turns", [0, -1])
def test_a_plan_has_at_least_one_turn(tmp_path: Path, turns: int) -> None:
    (tmp_path / "bench.json").write_text(json.dumps({**PLAN, "turns": turns}))
    with pytest.raises(RunFolderError, match=r"bench\.json cannot be read: `turns` must be at least 1"):
        read_plan(tmp_path)
