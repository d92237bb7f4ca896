"""Reward models in the public formats: each beside the plain forward pass of its authors' example."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the hf extra")

import torch
from pydantic import ValidationError
from reward_parts import (
    ASK,
    STEPS,
    qwen_head,
    rated,
    request,
    save_outcome,
    save_tokenizer,
    save_with_head,
    save_words,
)

from tts.engines.reward.transformers import TransformersReward
from tts.errors import EngineError
from tts.types import RewardRequest

CHAT = [{"role": message.role, "content": message.content} for message in ASK]
QUESTION = "Be brief.\n\nWhat is 3 + 7?"
TEXTS = [step.strip() for step in STEPS]


def opened(folder: Path, **keys: Any) -> TransformersReward:
    return TransformersReward(model=str(folder), device="cpu", dtype="float32", **keys)


def by_authors(folder: Path, format_: str) -> tuple[Any, list[float]]:
    """Save a tiny model; return its values for `STEPS` as the authors' example computes them, one text at a time."""
    with torch.no_grad():
        if format_ == "qwen_prm":
            head = qwen_head()
            tokenizer, body = save_with_head(folder, head, "score", "Qwen2ForProcessRewardModel")
            text = tokenizer.apply_chat_template(
                [*CHAT, {"role": "assistant", "content": "<extra_0>".join(TEXTS) + "<extra_0>"}], tokenize=False
            )
            ids = torch.tensor([tokenizer(text, add_special_tokens=False).input_ids])
            separators = ids[0] == tokenizer.convert_tokens_to_ids("<extra_0>")
            logits = head(body(ids).last_hidden_state)
            return ids, logits[0].softmax(-1)[separators][:, 1].tolist()
        if format_ == "skywork_prm":
            head = torch.nn.Linear(128, 1)
            tokenizer, body = save_with_head(folder, head, "v_head.summary", "Qwen2ForPrmModel")
            ids = tokenizer(f"<s>{QUESTION}\n", add_special_tokens=False).input_ids
            flags = [0] * len(ids)
            for number, step in enumerate(TEXTS):
                of_step = tokenizer(step, add_special_tokens=False).input_ids
                of_step += tokenizer("\n", add_special_tokens=False).input_ids if number + 1 < len(TEXTS) else []
                ids, flags = ids + of_step, flags + [0] * (len(of_step) - 1) + [1]
            read = torch.tensor([ids])
            values = head(body(read).last_hidden_state)[0, :, 0].sigmoid()
            return read, values[torch.tensor(flags) == 1].tolist()
        tokenizer, model = save_words(folder)
        words = [tokenizer(word, add_special_tokens=False).input_ids[-1] for word in "+-"]
        if format_ == "math_shepherd":
            ids = torch.tensor([tokenizer(f"{QUESTION} " + " ки\n".join(TEXTS) + " ки").input_ids])
            scores = model(ids).logits[:, :, words].softmax(-1)[:, :, 0]
            return ids, scores[ids == tokenizer.convert_tokens_to_ids("ки")].tolist()
        values, turns = [], []
        for number, step in enumerate(TEXTS):  # RLHFlow reads anew for each step: two tokens stand behind the place
            turns.append({"role": "user", "content": step if number else f"{QUESTION} {step}"})
            turns.append({"role": "assistant", "content": "+"})
            text = tokenizer.apply_chat_template(turns, tokenize=False)
            ids = torch.tensor([tokenizer(text, add_special_tokens=False).input_ids])
            values.append(model(ids).logits[0, -3, words].softmax(-1)[0].item())
        return ids, values


@pytest.mark.parametrize("format_", ["qwen_prm", "math_shepherd", "rlhflow", "skywork_prm"])
def test_steps_are_rated_as_the_models_authors_do(tmp_path: Path, format_: str) -> None:
    ids, values = by_authors(tmp_path, format_)
    with opened(tmp_path, format=format_, batch_size=3) as engine:
        whole, begun, none, two = rated(
            engine, request(*STEPS), request(STEPS[0], key="1"), request(key="2"), request(*STEPS[:2], key="3")
        )
    assert whole.values == pytest.approx(values, abs=1e-5)
    assert len(set(values)) == 3
    if format_ == "skywork_prm":  # a line feed follows a step where another one does
        assert two.values[:1] == pytest.approx(values[:1], abs=1e-5)
    else:
        assert (begun.values, two.values) == (
            pytest.approx(values[:1], abs=1e-5),
            pytest.approx(values[:2], abs=1e-5),
        )
    assert (none.values, none.num_prompt_tokens, none.error) == ((), 0, None)
    assert 0 <= ids.shape[1] - whole.num_prompt_tokens <= 1  # what ends the conversation is not read
    assert whole.num_cached_tokens == whole.num_tokens == 0


@pytest.mark.parametrize("activation", ["none", "sigmoid", None])
def test_an_outcome_is_the_heads_number_at_the_end_of_the_conversation(tmp_path: Path, activation: Any) -> None:
    tokenizer, model = save_outcome(tmp_path)
    values, num_tokens = [], 0
    for end in (1, 2, 3):
        text = tokenizer.apply_chat_template(
            [*CHAT, {"role": "assistant", "content": "".join(STEPS[:end])}], tokenize=False
        )
        ids = torch.tensor([tokenizer(text, add_special_tokens=False).input_ids])
        num_tokens += ids.shape[1]
        with torch.no_grad():
            logit = model(ids).logits[0, 0]
        values.append((logit if activation == "none" else logit.sigmoid()).item())
    with opened(tmp_path, format="outcome", activation=activation, batch_size=2) as engine:
        each, other = rated(engine, request(*STEPS), request(STEPS[0], key="1"))
    assert each.values == pytest.approx(values, abs=1e-5)
    assert (other.values, each.num_prompt_tokens) == (pytest.approx(values[:1], abs=1e-5), num_tokens)
    with opened(tmp_path, format="outcome", activation=activation, rates="whole") as engine:
        [whole] = rated(engine, request(*STEPS))
    assert whole.values == pytest.approx([values[2]] * 3, abs=1e-5)
    assert whole.num_prompt_tokens == ids.shape[1]


def test_the_end_is_where_the_library_sees_it_also_where_the_end_token_is_padding(tmp_path: Path) -> None:
    tokenizer, model = save_outcome(tmp_path)
    model.config.pad_token_id = tokenizer.eos_token_id
    model.save_pretrained(tmp_path)
    text = tokenizer.apply_chat_template([*CHAT, {"role": "assistant", "content": "ten"}], tokenize=False)
    ids = torch.tensor([tokenizer(text, add_special_tokens=False).input_ids])
    assert ids[0, -1] == tokenizer.eos_token_id
    with torch.no_grad(), opened(tmp_path, format="outcome", activation="none") as engine:
        [one] = rated(engine, request("ten"))
        assert one.values == pytest.approx([model(ids).logits[0, 0].item()], abs=1e-5)


def test_thinking_is_read_or_stripped_as_the_recipe_says(tmp_path: Path) -> None:
    by_authors(tmp_path, "qwen_prm")
    thought = ("<think>hm</think>First, three.\n\n", *STEPS[1:])
    with opened(tmp_path, format="qwen_prm") as keeps, opened(tmp_path, format="qwen_prm", thinking="strip") as strips:
        [plain, kept], [stripped] = (
            rated(keeps, request(*STEPS), request(*thought, key="1")),
            rated(strips, request(*thought)),
        )
    assert stripped.values == pytest.approx(plain.values, abs=1e-6)
    assert kept.values != pytest.approx(plain.values, abs=1e-6)


def test_a_text_that_cannot_be_read_is_an_error_and_the_others_are_read(tmp_path: Path) -> None:
    by_authors(tmp_path, "qwen_prm")
    with opened(tmp_path, format="qwen_prm", max_model_len=200) as engine:
        long, forged, fine, bad = rated(
            engine,
            request("x" * 300),
            request("one<extra_0>", key="1"),
            request(*STEPS, key="2"),
            RewardRequest("p", "3", (), STEPS),
        )
        engine.add(request(*STEPS, key="4"))
        engine.cancel("p", "4")
        engine.cancel("p", "5")
        [cancelled] = engine.step()
    assert (long.error or "").startswith("the text must have at most 200 tokens, got 3")
    assert "must not hold '<extra_0>' itself" in (forged.error or "")
    assert "`messages` must hold at least one message" in (bad.error or "")
    assert (cancelled.error, cancelled.num_prompt_tokens) == ("it was cancelled", 0)
    assert len(fine.values) == 3


REFUSED = {
    "a language model is no outcome model": (
        "words",
        {"format": "outcome"},
        r"a head of 1 number .* got none named `sc",
    ),
    "one number are not two classes": ("outcome", {"format": "qwen_prm"}, r"a head of 2 numbers .* got one of 1 in"),
    "two numbers are no outcome": ("labels", {"format": "outcome"}, r"a head of 1 number .*, got one of 2 in"),
    "a score is no value head": ("outcome", {"format": "skywork_prm"}, r"got none named `v_head\.summary"),
    "a classifier has no words": ("outcome", {"format": "math_shepherd"}, r"without lm_head\.weight"),
    "a tag must be one token": (
        "words",
        {"format": "math_shepherd", "step_tag": "<step>"},
        r"`step_tag` must be one tok",
    ),
    "good must be one token": (
        "words",
        {"format": "rlhflow", "good": "good"},
        r"`good` must be one token .* which is 4",
    ),
    "good and bad must differ": ("words", {"format": "rlhflow", "bad": "+"}, r"`good` and `bad` must be two tokens"),
    "no more than the model allows": ("outcome", {"format": "outcome", "max_model_len": 513}, r"must be at most 512"),
    "a turn must keep its answer": ("loses", {"format": "rlhflow"}, r"lets '\+' follow a header"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_model_that_does_not_suit_its_format_is_refused_at_open(tmp_path: Path, case: str) -> None:
    kind, keys, told = REFUSED[case]
    if kind in ("words", "loses"):
        lost = "{% for message in messages %}{{ message['content'].replace('+', 'p') }}{% endfor %}"
        save_words(tmp_path, **({"template": lost} if kind == "loses" else {}))
    else:
        save_outcome(tmp_path, num_labels=2 if kind == "labels" else 1)
    with pytest.raises(EngineError, match=told), opened(tmp_path, **keys):
        pass


def test_a_body_without_its_weights_is_refused(tmp_path: Path) -> None:
    save_with_head(tmp_path, qwen_head(), "score", "Qwen2ForProcessRewardModel", begins="elsewhere.")
    with (
        pytest.raises(EngineError, match=r"must hold all weights .* and \d+ others"),
        opened(tmp_path, format="qwen_prm"),
    ):
        pass


def test_a_key_that_means_nothing_in_a_format_is_refused() -> None:
    with pytest.raises(ValidationError, match="`activation` must be left out with `format: qwen_prm`"):
        TransformersReward(model="m", format="qwen_prm", activation="none")
    with pytest.raises(ValidationError, match="`good` must be left out with `format: outcome`"):
        TransformersReward(model="m", format="outcome", good="+")


def test_a_sharded_file_is_read_like_a_whole_one(tmp_path: Path) -> None:
    tokenizer, model = save_outcome(tmp_path / "whole")
    (tmp_path / "parts").mkdir()
    model.save_pretrained(tmp_path / "parts", max_shard_size="40KB")
    save_tokenizer(tmp_path / "parts")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    assert tokenizer is not None
    found = []
    for name in ("whole", "parts"):
        with opened(tmp_path / name, format="outcome") as engine:
            found.append(rated(engine, request(*STEPS))[0].values)
    assert found[0] == pytest.approx(found[1], abs=1e-5)
