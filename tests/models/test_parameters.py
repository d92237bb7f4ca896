"""How many parameters one token passes through, worked out by hand for tiny models."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs the hf extra")
from transformers import AutoModel, AutoModelForCausalLM, LlamaConfig, MixtralConfig

from tts.models.parameters import active_parameters, parameters_of

SHAPE = {
    "vocab_size": 50,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
ATTENTION = 8 * 8 + 8 * 4 + 8 * 4 + 8 * 8  # q, k, v, o: two heads of 4 read, one is stored
NORMS = 2 * 2 * 8 + 8
EXPERT = 3 * 8 * 12
TABLE = 50 * 8


@pytest.mark.parametrize("tied", [True, False])
def test_the_table_of_a_tied_model_counts_once_and_of_another_only_its_output_layer(tied, tmp_path):
    config = LlamaConfig(**SHAPE, tie_word_embeddings=tied)
    wanted = 2 * (ATTENTION + EXPERT) + NORMS + TABLE
    assert active_parameters(AutoModelForCausalLM.from_config(config)) == wanted
    assert active_parameters(AutoModel.from_config(config)) == wanted - TABLE
    config.architectures = ["LlamaForCausalLM"]
    config.save_pretrained(tmp_path)
    assert parameters_of(str(tmp_path)) == wanted  # from the configuration alone
    assert parameters_of(str(tmp_path), rewards=True) == wanted - TABLE


def test_of_a_mixture_the_experts_count_that_are_chosen():
    config = MixtralConfig(**SHAPE, num_local_experts=4, num_experts_per_tok=2, tie_word_embeddings=False)
    router = 4 * 8
    wanted = 2 * (ATTENTION + router + 2 * EXPERT) + NORMS + TABLE
    assert active_parameters(AutoModelForCausalLM.from_config(config)) == wanted


def test_what_is_no_known_model_has_no_known_size(tmp_path):
    assert parameters_of(str(tmp_path)) is None
    (tmp_path / "config.json").write_text('{"model_type": "not_yet_written"}')
    assert parameters_of(str(tmp_path)) is None
