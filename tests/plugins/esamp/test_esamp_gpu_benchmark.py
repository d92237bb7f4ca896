"""The benchmark for a card, rehearsed without one: it runs, and what it counts and predicts is right."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the hf extra")

FOLDER = Path(__file__).parents[3] / "benchmarks"


def printed(script: str, *arguments: str) -> list[list[str]]:
    """The cells of all lines of the tables that a script prints."""
    command = [sys.executable, str(FOLDER / script), *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER.parent), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_rehearsal_measures_every_arm_and_few_launches_are_waited_for():
    lines = printed("esamp_gpu.py", "--device", "cpu", "--small")
    [kernels] = [line for line in lines if line[0] == "one kernel each (Triton)"]
    [plain] = [line for line in lines if line[0] == "plain torch"]
    # By hand: cells emptied and filled 2; for each of two blocks two products, the gate, an operand made bfloat16 and a
    # sum; the mean added to what is learnt 2; mixing 1.
    assert int(kernels[1]) == 2 + 2 * 5 + 2 + 1
    assert int(kernels[1]) < int(plain[1])
    assert int(kernels[2]) < int(plain[2])
    arms = [tuple(line[:3]) for line in lines if line[0] == "toy"]
    assert arms == [("toy", shape, arm) for shape in ("1x4", "2x3") for arm in ("plain", "every step", "every 4th")]


def test_predictions_follow_their_arithmetic():
    lines = {(line[0], line[1]): line[2:] for line in printed("esamp_cost.py", "H200")}
    # 7B, 8 × 16, by hand: 14.14 GB of weights, 7.52 GB of cache and 0.31 GB of logits at 3.84 TB/s are 5.72 ms, 28
    # layers 0.34 ms. A distiller has 6 · 3584 · 384 = 8.26 M parameters, so eight read 132 MB to predict, and write and
    # read 8.26 M · (4/3 + 18/4) · 8 = 385 MB to be trained every fourth step: 0.135 ms; 15 launches 0.045 ms.
    plain, every, fourth = lines["7B", "8 × 16"]
    assert float(plain) == pytest.approx(6.06, abs=0.01)
    assert float(fourth.split("–")[0]) == pytest.approx(6.06 / (6.06 + 0.135 + 0.045), abs=0.001)
    assert float(every.split("–")[0]) < float(fourth.split("–")[0])
