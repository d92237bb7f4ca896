"""What bench.json may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tts.errors import RunFolderError, UsageError
from tts.runs.opening import open_stored, read_plan, run_folders

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


def test_recipes_that_were_never_begun_are_told_and_a_benchmark_of_none_is_refused(tmp_path: Path) -> None:
    arms = [{"name": name, "recipe": {}} for name in ("a", "b", "c")]
    (tmp_path / "bench.json").write_text(json.dumps({**PLAN, "arms": arms}))
    with pytest.raises(UsageError, match="a benchmark in which nothing was drawn"):
        open_stored([tmp_path])
    for name in ("b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    told = f"{tmp_path}: of its recipes, a was never begun"
    assert list(run_folders([tmp_path])) == [(tmp_path / "b", "", (told,)), (tmp_path / "c", "", ())]
    (tmp_path / "bench.json").write_text(json.dumps({**PLAN, "arms": [], "stored": ["x", "y"]}))
    assert list(run_folders([tmp_path])) == []
