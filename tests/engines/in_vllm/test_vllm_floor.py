"""A confidence floor in vLLM: held by the worker, at the token where the embedded engine gives up."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="needs vLLM (make test-vllm)")

from vllm_parts import PROMPTS, SMOLLM2, opened, requests, run  # after the skip

from tts.engines.vllm.validation import CheckedValues  # as above
from tts.types import ConfidenceFloor  # as above

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]  # vLLM and what it imports warn of themselves

WINDOW, NUM_TOKENS = 6, 32


def asked(threshold: float, window: int = WINDOW, top_k: int = 20):
    """A greedy request a prompt: both engines write the same text."""
    floor = ConfidenceFloor(window, top_k, threshold)
    return requests(PROMPTS[:3], num=1, max_tokens=NUM_TOKENS, temperature=0.0, floor=floor)


def outcome(candidates):
    return {key: (one.finish_reason, one.text, one.num_tokens) for key, one in candidates.items()}


def figures(candidates):
    """All that was measured, by candidate, in one list each."""
    return {
        key: [one.mean_logprob, one.self_certainty, *(value for _, value in sorted(one.engine_stats.items()))]
        for key, one in candidates.items()
    }


def compare_engines() -> None:
    """Draw down to several floors in both engines."""
    from tts.engines.transformers import TransformersEngine

    embedded = TransformersEngine(model=SMOLLM2, dtype="float32", batch_size=6, record_token_logprobs=True)
    with embedded, opened(dtype="float32") as engine:
        whole = run(embedded, asked(0.0))
        assert outcome(run(engine, asked(0.0))) == outcome(whole)
        least = sorted(one.engine_stats["least_confidence"] for one in whole.values())
        for threshold in (least[0] + 1e-3, (least[1] + least[2]) / 2):
            here, there = run(embedded, asked(threshold)), run(engine, asked(threshold))
            fell = [key for key, one in here.items() if one.finish_reason == "abandoned"]
            assert fell
            assert outcome(there) == outcome(here)
            for key, values in figures(here).items():
                assert figures(there)[key] == pytest.approx(values, rel=1e-3)
            for key in fell:
                assert there[key].token_logprobs[-1] == 0.0
                assert whole[key].text.startswith(there[key].text)

        # A mixed batch: some with a floor, of another window and k, some without, more than run at once.
        plain = [replace(one, key="9", decoding=replace(one.decoding, floor=None)) for one in asked(0.0)]
        mixed = [*asked(least[2]), *plain, *(replace(one, key="7") for one in asked(1e6, window=3, top_k=5))]
        there = run(engine, mixed)
        assert outcome(there) == outcome(run(embedded, mixed))
        assert {one.num_tokens for (_, index), one in there.items() if index == 7} == {3}
        assert not any(one.engine_stats for (_, index), one in there.items() if index == 9)
        sampled = requests(PROMPTS[:1], num=4, max_tokens=30, floor=ConfidenceFloor(5, 20, 1e6), top_n_sigma=1.0)
        assert {(one.finish_reason, one.num_tokens) for one in run(engine, sampled).values()} == {("abandoned", 5)}
        assert engine._running._vllm.collective_rpc(slots_of_the_ended)[0] == 0


def slots_of_the_ended(worker) -> int:
    """How many slots requests hold that the worker knows no more."""
    plugin = worker.model_runner.worker_plugin
    return len(plugin._certainties._floors._slots.keys() - {request.name for request in plugin._requests.values()})


def test_a_candidate_is_abandoned_at_the_token_where_the_embedded_engine_abandons_it():
    compare_engines()


@pytest.mark.slow
def test_so_it_is_in_vllms_second_runner():
    """In a process of its own: which runner is used is settled when vLLM is imported."""
    environment = {**os.environ, "VLLM_USE_V2_MODEL_RUNNER": "1"}
    code = "import test_vllm_floor as one; one.compare_engines()"
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1]), *sys.path]
    environment["PYTHONPATH"] = os.pathsep.join(folders)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    if "Model Runner V2 requires Triton" in done.stderr:
        pytest.skip("vLLM's second runner needs Triton, which has no CPU backend here")
    assert done.returncode == 0, done.stderr[-3000:]


def test_where_tokens_are_drafted_no_floor_is_promised_and_none_is_held():
    from tts.engines.vllm import VLLMEngine

    drafted = {"speculative_config": {"method": "ngram", "num_speculative_tokens": 2}}
    assert "floor" not in VLLMEngine(model=SMOLLM2, engine_args=drafted).capabilities()
    assert "floor" in VLLMEngine(model=SMOLLM2).capabilities()


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"ignore_eos": True}, "`ignore_eos` must be left out"),
        ({"min_tokens": 5}, "`min_tokens` must be left out where there is a `floor_threshold`"),
        ({"allowed_token_ids": [5]}, "`allowed_token_ids` must be left out"),
        ({"extra_args": {"floor_threshold": -1}}, "`floor_threshold` must be greater than or equal to 0, got -1"),
        ({"extra_args": {"floor_threshold": 3.0, "floor_windo": 3}}, "Did you mean `floor_window`"),
    ],
)
def test_what_would_keep_a_request_from_ending_at_its_floor_is_refused(keys, told):
    from vllm import SamplingParams

    params = SamplingParams(**{"extra_args": {"floor_threshold": 3.0}, **keys})
    with pytest.raises(ValueError, match=told):
        CheckedValues.validate_params(params)
    CheckedValues.validate_params(SamplingParams(extra_args={"floor_threshold": 3.0}))
    CheckedValues.validate_params(SamplingParams(ignore_eos=True, min_tokens=2))


def test_a_wrong_floor_is_an_error_of_its_request_alone():
    with opened() as engine:
        found = run(engine, [*asked(1.0, window=0)[:1], *requests(PROMPTS[1:2], num=1, max_tokens=3)])
    assert sorted(one.error is None for one in found.values()) == [False, True]
