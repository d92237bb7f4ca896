"""The benchmarks of what ESamp learns and buys: their figures by hand, and that every arm is a recipe."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.recipe import load_recipe  # noqa: E402  # after the skip

FOLDER = Path(__file__).parents[3] / "benchmarks"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def of_mean_by_hand(rows: torch.Tensor) -> list[float]:
    """Each step's mean squared distance from the mean of all rows before it; rows are [T, K, d]."""
    means = [torch.zeros(rows.shape[-1]), *(rows[:step].flatten(0, 1).mean(0) for step in range(1, len(rows)))]
    return [(now - mean).square().sum(-1).mean().item() for now, mean in zip(rows, means, strict=True)]


def test_losses_are_told_by_stretches_of_tokens_over_those_of_the_running_mean(tmp_path: Path) -> None:
    generator, states = torch.Generator().manual_seed(0), {}
    for shape in ("1 x 16", "4 x 4"):
        h_first, h_last = (torch.randn(70, 16, 8, generator=generator) for _ in range(2))
        states[shape] = (h_last + 2).bfloat16()
        torch.save({"h_first": h_first.bfloat16(), "h_last": states[shape]}, tmp_path / f"toy {shape} 70.pt")
    command = [sys.executable, str(FOLDER / "esamp_core.py"), "--losses", "toy", "--states", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER.parent), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [*command, "--tokens", "70", "--threads", "1"], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    lines = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert lines[0][1:] == ["1 x 16, prompt", "4 x 4, prompt", "4 x 4, shared"]
    found = {line[0]: [[float(number) for number in cell.split()] for cell in line[1:]] for line in lines[1:]}
    shared = of_mean_by_hand(states["4 x 4"].float())
    groups = [of_mean_by_hand(states["4 x 4"][:, at : at + 4].float()) for at in (0, 4, 8, 12)]
    by_group = [sum(step) / 4 for step in zip(*groups, strict=True)]
    of_mean = found["running mean, ‖h^L − μ‖²"]
    assert of_mean[2] == pytest.approx([sum(shared[a:b]) / (b - a) for a, b in ((0, 16), (16, 64), (64, 70))], abs=1e-3)
    assert of_mean[1] == pytest.approx(
        [sum(by_group[a:b]) / (b - a) for a, b in ((0, 16), (16, 64), (64, 70))], abs=1e-3
    )
    assert found["`control: mean`"] == [[1.0] * 3] * 3


def test_every_arm_of_the_direction_is_a_recipe_that_differs_from_all_others() -> None:
    direction: Any = loaded("esamp_direction")
    resolved = []
    for arm in direction.ARMS:
        values = direction.values_of(arm, "model", "problems.jsonl")
        recipe = load_recipe("humaneval.yaml", [f"{key}={value}" for key, value in values.items()])
        resolved.append(recipe.resolved())
        assert resolved[-1]["sampler"]["max_tokens"] == 256
    assert all(one not in resolved[:place] for place, one in enumerate(resolved))
