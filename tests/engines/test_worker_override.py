"""What vLLM's worker does for OverRIDE, seen from its hidden states, logits and tokens."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from tts.engines.vllm.options import KEY, WorkerOptions  # noqa: E402  # after the skip
from tts.engines.vllm.worker_plugin import Step, WorkerPlugin  # noqa: E402  # as above
from tts.plugins.esamp.core import StepRow  # noqa: E402  # as above
from tts.plugins.override.core import OverrideCore  # noqa: E402  # as above
from tts.plugins.override.settings import OverrideSettings  # noqa: E402  # as above

SETTINGS = OverrideSettings(rank=2, learning_rate=0.1, beta=1.0, num_heads=3)
SIZE, VOCABULARY, PROMPT = 4, 40, 5


def params(**values: Any) -> SimpleNamespace:
    """A request's parameters as vLLM hands them to a worker."""
    return SimpleNamespace(
        extra_args=values, temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, seed=1, all_stop_token_ids={7},
        ignore_eos=False, min_tokens=0, allowed_token_ids=None, structured_outputs=None,
    )  # fmt: skip


def plugin() -> WorkerPlugin:
    return WorkerPlugin(
        WorkerOptions(override=SETTINGS), lambda hidden: hidden, hidden_size=SIZE, max_rows=8,
        device=torch.device("cpu"), head=None, vocabulary=VOCABULARY,
    )  # fmt: skip


def test_rows_that_draw_are_lowered_and_learned_from_and_no_others():
    """Place 0 is in the middle of its prompt; the request `alone` names no group. The rest is what the core does."""
    worker, core = plugin(), OverrideCore(SETTINGS, SIZE, VOCABULARY, 8, "cpu")
    for index in range(2):
        worker.admit(f"a{index}", params(tts_id=f"a{index}", esamp_group="a", esamp_group_size=2))
        core.join(f"a{index}", "a", group_size=2)
    worker.admit("alone", params())
    generator = torch.Generator().manual_seed(0)
    for number in range(4):
        h, logits = torch.randn(3, SIZE, generator=generator), torch.randn(4, VOCABULARY, generator=generator)
        tokens = torch.randint(VOCABULARY, (4, 1), generator=generator)
        names = ["a0", "alone", "a1"]
        worker.begin(Step([1, 2, 3], [StepRow(name, PROMPT - 1 + number, PROMPT) for name in names]))
        assert worker.overrides
        worker.see(h)
        lowered = worker.override(logits)
        worker.learn(tokens)
        wanted = core.fuse(["a0", None, "a1"], h, logits[1:])
        core.learn(tokens[1:, 0])
        assert torch.equal(lowered[1:], wanted)
        assert torch.equal(lowered[:3], logits[:3])
        assert torch.equal(lowered[3], logits[3]) == (number == 0)
    report = worker.report()
    assert report is not None
    assert (report["name"], report["figures"]["rows_trained"], report["warnings"]) == ("override", 8, [])
    worker.forget()
    forgotten = worker.report()
    assert forgotten is not None
    assert forgotten["figures"]["rows_trained"] == 0


def test_a_step_without_rows_that_draw_or_without_states_is_left_alone():
    worker, logits = plugin(), torch.randn(2, VOCABULARY)
    worker.begin(Step([], []))
    assert not worker.overrides
    assert worker.override(logits) is logits
    worker.learn(torch.zeros(2, 1, dtype=torch.long))


def test_the_settings_travel_to_the_workers_and_change_nothing_that_is_compiled():
    options = WorkerOptions(override=SETTINGS)
    assert WorkerOptions.from_config(options.to_config()) == options
    assert "override" not in WorkerOptions().to_config()[KEY]
    assert options.hashed_config() == {}
