"""What vLLM says of named tokens, and its reward models, beside plain forward passes."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

pytest.importorskip("vllm", reason="needs vLLM (make test-vllm)")

sys.path.append(str(Path(__file__).parents[1] / "reward"))

from reward_parts import STEPS, qwen_head, rated, request, save_outcome, save_with_head, save_words
from transformers_parts import request_for
from vllm_parts import SMOLLM2, opened

from tts.engines.reward.transformers import TransformersReward
from tts.engines.transformers import TransformersEngine
from tts.engines.vllm.reward import VLLMReward
from tts.errors import EngineError
from tts.pipeline.run import open_run
from tts.recipe import rebuild_recipe

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]  # vLLM and what it imports warn of themselves


def test_the_probabilities_of_named_tokens_are_those_of_the_embedded_engine() -> None:
    requests = [
        replace(request_for(text, max_tokens=most, temperature=temperature, ask_tokens=asked), key=str(number))
        for number, (text, most, temperature, asked) in enumerate(
            [
                ("Is 7 a prime? Answer Yes or No.", 1, 1.0, ("Yes", "No")),
                ("Is 8 a prime? Answer Yes or No.", 3, 0.0, ("Yes", "No", "Yes")),
                ("Tell me about the sea.", 6, 1.0, ()),
                ("How good is it, from A to C?", 1, 1.0, ("A", "B", "C")),
            ]
        )
    ]
    found = []
    for engine in (
        TransformersEngine(model=SMOLLM2, device="cpu", dtype="float32", max_model_len=256),
        opened(dtype="float32"),
    ):
        with engine as running:
            for request in (*requests, request_for("Is it?", max_tokens=1, ask_tokens=("Yes indeed",))):
                running.add(request)
            done = {}
            while len(done) < 5:
                done |= {(one.problem_id, one.key): one for one in running.step()}
            found.append(done)
    for request in requests:
        here, there = (done[request.problem_id, request.key] for done in found)
        assert (there.num_tokens, there.error) == (here.num_tokens, None)
        if not request.decoding.ask_tokens:
            assert here.asked_logprobs is there.asked_logprobs is None
            continue
        assert there.asked_logprobs == pytest.approx(here.asked_logprobs, abs=2e-3)
        assert there.cumulative_logprob is not None
    assert found[1]["Is it?", "0"].error == found[0]["Is it?", "0"].error


def both(folder: Path, **keys: Any) -> tuple[list[Any], list[Any]]:
    """What the embedded engine and vLLM say of the same requests, the last one cancelled."""
    asked = [request(*STEPS), request(STEPS[0], key="1"), request(key="2"), request("x" * 600, key="3")]
    keys |= {"model": str(folder), "dtype": "float32", "batch_size": 3}
    found = []
    for engine in (TransformersReward(device="cpu", **keys), VLLMReward(kv_cache_mb=64, **keys)):
        with engine as opened:
            rewards = rated(opened, *asked)
            opened.add(request(*STEPS, key="4"))
            opened.cancel("p", "4")
            rewards += opened.step()
            assert opened.step() == []
            found.append(rewards)
    return found[0], found[1]


@pytest.mark.parametrize("format_", ["outcome", "qwen_prm", "math_shepherd", "rlhflow"])
def test_vllm_rates_as_the_embedded_engine_does(tmp_path: Path, format_: str) -> None:
    if format_ == "outcome":
        save_outcome(tmp_path)
    elif format_ == "qwen_prm":
        save_with_head(tmp_path, qwen_head(), "score", "Qwen2ForProcessRewardModel")
    else:
        save_words(tmp_path)
    here, there = both(tmp_path, format=format_, **({"activation": "none"} if format_ == "outcome" else {}))
    assert len(there[0].values) == 3
    for one, other in zip(here, there, strict=True):
        assert other.values == pytest.approx(one.values, abs=1e-3)
        assert other.error == one.error
    assert len(set(there[0].values)) == 3


def test_what_vllm_cannot_run_is_refused_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="use `transformers_reward`"):
        VLLMReward(model="m", format="skywork_prm")
    save_words(tmp_path)
    with (
        pytest.raises(EngineError, match="must have a head of 1 number"),
        VLLMReward(model=str(tmp_path), format="outcome", kv_cache_mb=64),
    ):
        pass


def test_the_scorer_reward_model_reads_the_same_of_both_engines(tmp_path: Path) -> None:
    """Candidates of one to three steps, rated by a process model: each by the mean of its steps."""
    save_with_head(tmp_path / "model", qwen_head(), "score", "Qwen2ForProcessRewardModel")
    texts = ["".join(STEPS[:number]) + f" \\boxed{{{number}}}" for number in (1, 2, 3)]
    scores, spent = [], []
    for name, keys in (("transformers_reward", {"device": "cpu"}), ("vllm_reward", {"kv_cache_mb": 64})):
        model = {"name": name, "model": str(tmp_path / "model"), "format": "qwen_prm", "dtype": "float32", **keys}
        scorer = {"name": "reward_model", "aggregate": "mean", "reward": model}
        recipe = rebuild_recipe(
            {
                "task": "math",
                "engine": {"name": "replay", "script": texts},
                "sampler": {"name": "temperature", "num_candidates": 3},
                "selector": {"name": "best_of_n", "scorer": scorer},
            }
        )
        rows = [{"id": f"p{one}", "problem": f"{one} + 1?", "answer": "2"} for one in range(2)]
        with open_run(recipe, rows, tmp_path / name) as run:
            solutions = [outcome.solution for outcome in run.outcomes(keep_order=True)]
        assert [one.selection.fallback for one in solutions] == ["", ""]
        lines = map(json.loads, (tmp_path / name / "scores.jsonl").read_bytes().splitlines())
        scores.append({one["problem_id"]: [score["value"] for score in one["scores"]] for one in lines})
        spent.append([one.usage.engines["selector.scorer.reward"] for one in solutions])
    for problem_id, values in scores[0].items():
        assert len(set(values)) == 3
        assert scores[1][problem_id] == pytest.approx(values, abs=1e-3)
    asked = [[(one.num_calls, one.prompt_tokens) for one in each] for each in spent]
    assert asked[0] == asked[1]
