"""OverRIDE inside vLLM's first runner, on the real small model: who is held off whom, and that all else stays."""

from __future__ import annotations

import os
from contextlib import contextmanager

import pytest

pytest.importorskip("vllm", reason="needs vLLM (make test-vllm)")

from vllm_parts import CHUNKED, KEYS, PROMPTS, guided, opened, requests, run, written  # after the skip

from tts.engines.vllm import VLLMEngine  # as above
from tts.errors import EngineError  # as above
from tts.samplers.override import Override  # as above

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]  # vLLM and what it imports warn of themselves

STRONG = {"learning_rate": 0.05, "beta": 2.0, "num_heads": 2}
"""Within two dozen tokens this moves the model."""


@contextmanager
def overriding(**settings):
    keys = {name: settings.pop(name) for name in ("engine_args", "dtype") if name in settings}
    engine = VLLMEngine(**{**KEYS, **keys})
    engine.host(Override(**settings).plugin)
    with engine:
        yield engine


def alike(one, other) -> bool:
    """Whether the tokens are the same, and so nearly are their log-probabilities: batches round in their own ways."""
    return one[:2] == other[:2] and one[2] == pytest.approx(other[2], abs=1e-3)


def test_at_beta_0_first_samples_and_those_behind_the_last_head_are_plain_vllms_and_the_others_are_not():
    """Four prompts of four, six at once; two sets of heads, for which problems wait; prompts are read in parts."""
    with opened(dtype="float32", engine_args=CHUNKED) as engine:
        plain = written(run(engine, requests()))
    with overriding(**STRONG, dtype="float32", engine_args=CHUNKED) as engine:
        zero = run(engine, guided(requests(), 0.0, "zero"))
        figures = engine.plugin_report().figures
        moved = run(engine, guided(requests(), 2.0, "two"))
        report = engine.plugin_report()
    assert [key for key, one in written(zero).items() if not alike(one, plain[key])] == []
    assert figures["rows_trained"] == sum(one.num_tokens for key, one in zero.items() if key[1] < 2)
    assert figures["rows_guided"] == 0
    same = {key for key, one in written(moved).items() if alike(one, plain[key])}
    assert {key for key in plain if key[1] in (0, 3)} <= same
    assert len(same) < len(plain) - 3
    assert report.name == "override"
    assert report.figures["rows_guided"] == sum(one.num_tokens for key, one in moved.items() if key[1] in (1, 2))
    assert (report.figures["groups"], report.figures["requests_without_slot"]) == (2 * len(PROMPTS), 0)


@pytest.mark.slow
def test_shared_heads_carry_over_and_a_run_repeats():
    found = []
    for _ in range(2):
        with overriding(**STRONG, scope="shared") as engine:
            first = run(engine, guided(requests(PROMPTS[:2]), 2.0, "first"))
            found.append((first, run(engine, guided(requests(PROMPTS[:2]), 2.0, "again"))))
    assert found[0] == found[1]
    assert written(found[0][0]) != written(found[0][1])


@pytest.mark.slow
def test_what_it_cannot_be_right_with_is_refused():
    engine = VLLMEngine(**KEYS, engine_args={"enable_dbo": True})
    engine.host(Override().plugin)
    with pytest.raises(EngineError, match=r"override cannot run .* enable_dbo True. Leave"):
        engine.open()
    assert os.environ["VLLM_USE_V2_MODEL_RUNNER"] == "0"
