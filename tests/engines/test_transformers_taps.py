"""Where ESamp reaches into a model, in architectures of all kinds, each with random weights."""

from __future__ import annotations

import json
import shutil

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")
transformers = pytest.importorskip("transformers", reason="needs the hf extra")

from tts.engines.transformers import TransformersEngine  # noqa: E402  # after the skip
from tts.engines.transformers.taps import Head, Taps, decoder_layers  # noqa: E402  # as above
from tts.errors import EngineError  # noqa: E402  # as above
from tts.types import Plugin  # noqa: E402  # as above

SMALL = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2}
GPT2 = {"vocab_size": 50, "n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 64}
OPT = {"vocab_size": 50, "hidden_size": 16, "word_embed_proj_dim": 16, "ffn_dim": 24, "num_hidden_layers": 3}
MODELS = {
    "llama": SMALL | {"num_key_value_heads": 2},
    "qwen3": SMALL | {"num_key_value_heads": 2, "head_dim": 8},
    "gpt_neox": SMALL,  # parallel attention
    "phi": SMALL,  # a head with a bias
    "granite": SMALL | {"num_key_value_heads": 2, "logits_scaling": 8.0},
    "cohere": SMALL | {"num_key_value_heads": 2, "logit_scale": 0.25},
    "gpt2": GPT2,  # layers and size go by other names
    "opt": OPT | {"num_attention_heads": 2, "max_position_embeddings": 64},  # the decoder is one module deeper
    "mixtral": SMALL | {"num_key_value_heads": 2, "num_local_experts": 3},  # as many experts as layers
}
CAPPED = SMALL | {"num_key_value_heads": 2, "head_dim": 8, "final_logit_softcapping": 0.01, "sliding_window": 4096}
IDS = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])


def model_of(name: str, **keys):
    transformers.set_seed(1)
    config = transformers.AutoConfig.for_model(name, **keys, initializer_range=0.3)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("layer", [1, 3])
@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_a_tap_sees_the_layers_output_and_what_the_head_gets_and_changes_what_the_head_gets(name, layer):
    model = model_of(name, **MODELS[name])
    plain = model(IDS, output_hidden_states=True)
    seen, outputs = [], []
    decoder_layers(model)[layer - 1].register_forward_hook(lambda _, __, output: outputs.append(output))

    def doubled(h_first, h_last):
        seen.append((h_first, h_last))
        return 2 * h_last

    head = Head.of(model, 50)
    taps = Taps(model, layer, doubled)
    logits = model(IDS).logits[:, -1]
    taps.remove()
    assert torch.equal(model(IDS).logits, plain.logits)
    ((h_first, h_last),) = seen
    if layer < 3:  # the last one of `hidden_states` is normed already
        assert torch.equal(h_first, plain.hidden_states[layer][:, -1])
    assert torch.equal(h_last, plain.hidden_states[-1][:, -1])
    torch.testing.assert_close(logits, head.logits(2 * h_last))


@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_the_head_alone_gives_the_models_logits(name):
    model = model_of(name, **MODELS[name])
    plain = model(IDS, output_hidden_states=True)
    head = Head.of(model, 50)
    assert head.scale == pytest.approx({"granite": 1 / 8, "cohere": 0.25}.get(name, 1.0))
    h_last = plain.hidden_states[-1][:, -1]
    torch.testing.assert_close(head.logits(h_last), plain.logits[:, -1])
    bias = head.scale * getattr(head.module, "bias", None) if name == "phi" else 0.0
    torch.testing.assert_close(h_last @ head.weight(40).T, (plain.logits[:, -1] - bias)[:, :40])


@torch.inference_mode()
def test_a_capped_head_caps_as_the_model_does():
    model = model_of("gemma2", **CAPPED)
    plain = model(IDS, output_hidden_states=True)
    head = Head.of(model, 50)
    assert head.cap == 0.01
    assert plain.logits.abs().max() > 0.009  # the cap is felt
    torch.testing.assert_close(head.logits(plain.hidden_states[-1][:, -1]), plain.logits[:, -1])


def test_a_head_that_does_not_cap_as_its_configuration_says_is_refused():
    model = model_of("llama", **MODELS["llama"])
    model.config.final_logit_softcapping = 0.01
    with pytest.raises(EngineError, match="got 'llama', whose logits are not linear in the last hidden state, or not"):
        Head.of(model, 50)


def test_layers_that_cannot_be_told_are_refused():
    model = model_of("llama", **MODELS["llama"])
    model.model.more = torch.nn.ModuleList(torch.nn.Identity() for _ in range(3))
    with pytest.raises(EngineError, match="got 'llama', in which 2 lists have 3 modules"):
        decoder_layers(model)


@pytest.fixture
def without_weights(tiny_model, tmp_path):
    """A folder that any attempt to load the model from would fail on."""
    folder = tmp_path / "bare"
    shutil.copytree(tiny_model, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    return folder


@pytest.mark.parametrize(
    ("change", "settings", "said"),
    [
        ({}, {"layer": 3}, "`sampler.layer` must be at most 2, the model's number of layers, got 3"),
    ],
    ids=["layer"],
)
def test_what_the_configuration_shows_is_refused_before_the_model_is_loaded(without_weights, change, settings, said):
    path = without_weights / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    engine = TransformersEngine(model=str(without_weights), device="cpu")
    engine.host(Plugin("esamp", settings))
    with pytest.raises(EngineError, match=said):
        engine.open()
