"""Two vLLM in one recipe: one draws in our process, one rates in its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="needs vLLM (make test-vllm)")

sys.path.append(str(Path(__file__).parents[1] / "reward"))

from reward_parts import qwen_head, save_with_head
from vllm_parts import SMOLLM2

from tts.components.apart import apart
from tts.engines.transformers.engine import TransformersEngine
from tts.engines.vllm.engine import VLLMEngine
from tts.pipeline.run import open_run
from tts.recipe import load_recipe

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # vLLM warns of itself

RECIPE = """
task: math
engine: {{name: vllm, model: "{policy}", max_model_len: 512, kv_cache_mb: 128, batch_size: 8}}
sampler:
  name: prm_beam
  num_candidates: 4
  beam_width: 2
  max_steps: 3
  max_tokens: 24
  reward:
    name: vllm_reward
    model: "{reward}"
    format: qwen_prm
    kv_cache_mb: 64
    dtype: float32
    max_model_len: 512
    separate_process: true
selector: {{name: best_of_n, scorer: step_rewards}}
"""


def test_one_draws_and_one_rates_in_a_process_of_its_own(tmp_path: Path) -> None:
    save_with_head(tmp_path / "prm", qwen_head(), "score", "Qwen2ForProcessRewardModel")
    path = tmp_path / "two.yaml"
    path.write_text(RECIPE.format(policy=SMOLLM2, reward=tmp_path / "prm"))
    recipe = load_recipe(str(path))
    rows = [{"id": f"p{number}", "problem": f"What is {number} + 2?", "answer": str(number + 2)} for number in range(2)]
    with open_run(recipe, rows, tmp_path / "run") as run:
        [one, other] = run.outcomes()
    lines = [json.loads(line) for line in (tmp_path / "run" / "candidates.jsonl").read_text().splitlines()]
    assert len(lines) == 8
    assert all(len(line["rewards"]) == len(line["calls"]) for line in lines)
    for outcome in (one, other):
        spent = outcome.solution.usage.engines
        assert {place: spent[place].flops is not None for place in spent} == {"engine": True, "sampler.reward": True}
    with TransformersEngine(model=SMOLLM2, device="cpu") as embedded:
        noted = json.loads((tmp_path / "run" / "run.json").read_text())["num_parameters"]
        assert noted["engine"] == embedded.num_parameters
    assert not VLLMEngine(model=SMOLLM2).capabilities() ^ apart(VLLMEngine)(model=SMOLLM2).capabilities()
