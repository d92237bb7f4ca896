"""Converting a GGUF file: once, whole, and without losing what ends an answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

gguf = pytest.importorskip("gguf", reason="needs the hf extra")
pytest.importorskip("accelerate", reason="needs the hf extra")

from transformers_parts import TEMPLATE, request_for, run  # noqa: E402  # after the skip

from tts.engines.transformers import TransformersEngine  # noqa: E402  # as above
from tts.errors import EngineError  # noqa: E402  # as above
from tts.models.gguf_conversion import converted  # noqa: E402  # as above

WIDTH, HIDDEN = 32, 64
VOCABULARY = 260


def write_gguf(path: Path) -> None:
    """Write a random 1-layer Llama over bytes, with two end tokens."""
    writer = gguf.GGUFWriter(str(path), "llama")
    write_metadata(writer)
    random = np.random.default_rng(0)
    shapes = {
        "token_embd": (VOCABULARY, WIDTH),
        "output": (VOCABULARY, WIDTH),
        "blk.0.attn_q": (WIDTH, WIDTH),
        "blk.0.attn_k": (WIDTH // 2, WIDTH),
        "blk.0.attn_v": (WIDTH // 2, WIDTH),
        "blk.0.attn_output": (WIDTH, WIDTH),
        "blk.0.ffn_gate": (HIDDEN, WIDTH),
        "blk.0.ffn_up": (HIDDEN, WIDTH),
        "blk.0.ffn_down": (WIDTH, HIDDEN),
    }
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(size=shape, scale=0.3).astype(np.float32))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_metadata(writer) -> None:
    from tokenizers import pre_tokenizers

    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(8)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([*sorted(pre_tokenizers.ByteLevel.alphabet()), "<s>", "</s>", "<|eot|>", "Ġa"])
    writer.add_token_types([gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL])
    writer.add_token_merges(["Ġ a"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    writer.add_eot_token_id(258)
    writer.add_chat_template(TEMPLATE)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.Q8.gguf"
    write_gguf(path)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "tts" / "models"


def test_a_gguf_file_is_converted_once_and_decodes(source, cache):
    for _ in range(2):
        with TransformersEngine(model=str(source), device="cpu", batch_size=2) as engine:
            candidates = run(engine, [request_for("a"), request_for("b")])
            assert engine.render(request_for("a").messages)[0] == "<s>[user]a</s>[assistant]"
        assert [candidate.error for candidate in candidates] == [None, None]
    (folder,) = cache.iterdir()
    assert folder.name.startswith("tiny.Q8-")


def test_every_end_token_that_the_file_names_survives(source, cache):
    settings = json.loads((converted(source) / "generation_config.json").read_text())
    assert settings["eos_token_id"] == [257, 258]
    assert cache.is_dir()


def test_a_changed_file_is_converted_anew(source, cache, tmp_path):
    changed = tmp_path / source.name
    changed.write_bytes(source.read_bytes()[:-4] + b"\0\0\0\1")
    assert converted(source) != converted(changed)
    assert len(list(cache.iterdir())) == 2


def test_a_conversion_that_was_killed_leaves_no_half_model(source, cache):
    die = (
        "import os, pathlib, sys, transformers\n"
        "transformers.PreTrainedModel.save_pretrained = lambda *_, **__: os._exit(9)\n"
        "from tts.models.gguf_conversion import converted\n"
        "converted(pathlib.Path(sys.argv[1]))"
    )
    result = subprocess.run([sys.executable, "-c", die, str(source)], env=os.environ, check=False)
    assert result.returncode == 9
    assert [path.suffix for path in cache.iterdir() if path.is_dir()] == [".partial"]
    folder = converted(source)
    assert (folder / "model.safetensors").is_file()
    assert [path for path in cache.iterdir() if path.is_dir()] == [folder]


def test_two_processes_that_want_a_model_at_once_both_get_it(source, cache):
    code = (
        "import pathlib, sys; from tts.models.gguf_conversion import converted;"
        "print(converted(pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(source)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) for _ in range(2)]
    printed = {process.communicate()[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    assert printed == {str(folder)}


def test_a_file_that_is_no_model_is_one_readable_error(cache, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF but not really, only some bytes")
    with pytest.raises(EngineError, match=r"cannot read the model .*broken\.gguf"):
        converted(broken)
    assert not [path for path in cache.iterdir() if path.is_dir() and path.suffix != ".partial"]
