"""Reward models on vLLM's own server, as the engine's refusal says to start it: what the embedded engine says."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="needs vLLM (make test-vllm)")

sys.path.append(str(Path(__file__).parents[1] / "reward"))

from reward_parts import STEPS, qwen_head, rated, request, save_outcome, save_with_head, save_words
from vllm_parts import serving

from tts.cli.serving import SERVER
from tts.engines.openai.rating import BY_WORDS, STARTED_SO
from tts.engines.openai.reward import OpenAIReward
from tts.engines.reward.transformers import TransformersReward

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("formats", [("outcome",), ("qwen_prm",), ("math_shepherd", "rlhflow")], ids="-".join)
def test_a_server_rates_as_the_embedded_engine_does(tmp_path: Path, formats: tuple[str, ...]) -> None:
    if formats[0] == "outcome":
        save_outcome(tmp_path)
    elif formats[0] == "qwen_prm":
        save_with_head(tmp_path, qwen_head(), "score", "Qwen2ForProcessRewardModel")
    else:
        save_words(tmp_path)
    options = ["--model", str(tmp_path), "--dtype", "float32", "--max-num-seqs", "4", "--enforce-eager"]
    options += ["--kv-cache-memory-bytes", str(64 * 2**20), *shlex.split(STARTED_SO.get(formats[0], BY_WORDS))]
    asked = [request(*STEPS), request(STEPS[0], key="1"), request(key="2"), request("x" * 600, key="3")]
    with serving(shlex.join([*SERVER, *options])) as address:
        for format_ in formats:
            keys = {"format": format_, **({"activation": "none"} if format_ == "outcome" else {})}
            with OpenAIReward(base_url=address, model="small", **keys) as engine:
                there = rated(engine, *asked)
            with TransformersReward(model=str(tmp_path), dtype="float32", device="cpu", **keys) as engine:
                here = rated(engine, *asked)
            assert len(set(there[0].values)) == 3
            for one, other in zip(here[:3], there[:3], strict=True):
                assert other.values == pytest.approx(one.values, abs=1e-3)
                assert other.error is one.error is None
            assert "must have at most 512 tokens" in here[3].error
            assert "512" in there[3].error, "the server says itself what is too long"
