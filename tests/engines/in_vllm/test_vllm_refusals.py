"""What cannot be right inside vLLM is refused before a model loads."""

from __future__ import annotations

import pytest

pytest.importorskip("vllm", reason="needs vLLM (make test-vllm)")

from vllm_parts import SMOLLM2, requests

from tts.engines.vllm import VLLMEngine, installation
from tts.engines.vllm.options import WorkerOptions
from tts.engines.vllm.support import refuse_unsupported
from tts.errors import EngineError
from tts.plugins.esamp.settings import ESampSettings

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]  # vLLM and what it imports warn of themselves


@pytest.fixture(scope="module")
def config():
    """What vLLM makes of an engine's arguments."""
    from vllm.engine.arg_utils import EngineArgs

    from tts.models.pretrained import resolve

    return EngineArgs(model=resolve(SMOLLM2), max_model_len=512, enforce_eager=True).create_engine_config()


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("model_config", "enable_sleep_mode", True),
        ("parallel_config", "data_parallel_size", 2),
        ("parallel_config", "enable_batch_sharded_sampling", True),
        ("parallel_config", "enable_dbo", True),
        ("parallel_config", "ubatch_size", 2),
        ("parallel_config", "prefill_context_parallel_size", 2),
        ("parallel_config", "decode_context_parallel_size", 2),
    ],
)
def test_esamp_refuses_what_it_cannot_be_right_with(config, monkeypatch, part, key, value):
    refuse_unsupported(config, WorkerOptions(ESampSettings(), self_certainty=True))
    monkeypatch.setattr(getattr(config, part), key, value)
    with pytest.raises(EngineError, match=f"`{key}`"):
        refuse_unsupported(config, WorkerOptions(ESampSettings()))


@pytest.mark.parametrize("settings", [{"control": "vocabulary"}, {"target_kl": 0.1}])
def test_what_needs_logits_without_a_cap_is_refused_where_there_is_one(config, monkeypatch, settings):
    refuse_unsupported(config, WorkerOptions(ESampSettings(**settings)))
    monkeypatch.setattr(config.model_config.hf_text_config, "final_logit_softcapping", 30.0, raising=False)
    refuse_unsupported(config, WorkerOptions(ESampSettings()))
    with pytest.raises(EngineError, match=f"`{next(iter(settings))}.* does not follow logits that are capped"):
        refuse_unsupported(config, WorkerOptions(ESampSettings(**settings)))


@pytest.mark.parametrize(
    ("part", "key"), [("parallel_config", "enable_batch_sharded_sampling"), (None, "speculative_config")]
)
def test_logits_of_others_are_not_measured(config, monkeypatch, part, key):
    monkeypatch.setattr(config if part is None else getattr(config, part), key, True)
    refuse_unsupported(config, WorkerOptions())
    for options in (WorkerOptions(self_certainty=True), WorkerOptions(confidence_window=8)):
        with pytest.raises(EngineError, match=f"`{key}`"):
            refuse_unsupported(config, options)


def test_where_tokens_are_drafted_no_self_certainty_is_promised():
    drafting = VLLMEngine(model=SMOLLM2, engine_args={"speculative_config": {"method": "ngram"}})
    assert not drafting.worker_options().self_certainty
    assert "self_certainty" not in drafting.capabilities()
    assert "self_certainty" in VLLMEngine(model=SMOLLM2).capabilities()


def test_without_seeds_none_is_sent_and_none_is_promised():
    """vLLM's fastest sampler takes none."""
    from tts.engines.vllm.session import sampling_params

    request = requests()[1]
    assert (sampling_params(request, "1").seed, sampling_params(request, "1", seeded=False).seed) == (
        request.seed,
        None,
    )
    assert "seeds" not in VLLMEngine(model=SMOLLM2, seeded=False).capabilities()
    assert "seeds" in VLLMEngine(model=SMOLLM2).capabilities()


def test_what_is_built_on_is_there_in_both_runners_and_what_is_missing_is_named(monkeypatch):
    installation.require_pieces()
    pieces = ("vllm.v1.worker.gpu.sample.sampler:Sampler.gone", "vllm.v1.worker.gpu.input_batch:InputBatch")
    monkeypatch.setattr(installation, "PIECES", {pieces[0]: (), pieces[1]: ("unknown",)})
    with pytest.raises(EngineError, match=r"Sampler\.gone; .*InputBatch\(…, unknown\)"):
        installation.require_pieces()
