"""Beam search in the transformers engine: transformers' own, token for token, and what it owes to its neighbours."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from transformers_parts import by_key, request_for, run  # noqa: E402  # after the skip

from tts.engines.transformers import TransformersEngine  # noqa: E402  # as above
from tts.engines.transformers.kv_cache import LayerMemory, Prefix, RowCache  # noqa: E402  # as above
from tts.recipe import load_recipe  # noqa: E402  # as above
from tts.samplers.beam import Beam  # noqa: E402  # as above
from tts.samplers.diverse_beam import DiverseBeam  # noqa: E402  # as above
from tts.types import Message, Order, Problem  # noqa: E402  # as above

PROMPTS = ("a", "How many?", "Sum of 2 and 3, then 4 more, please")


@pytest.fixture(autouse=True)
def one_thread():
    """Toy sizes are quickest on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def searched(model, sampler: Beam, prompts=PROMPTS, *, batch_size: int = 8, then=lambda _: None, **keys):
    """Each prompt's candidates in the order of their indices, each with its token ids."""
    engine = TransformersEngine(
        model=str(model), device="cpu", dtype="float32", batch_size=batch_size, record_token_logprobs=True, **keys
    )
    engine.host(sampler.plugin)
    engine.open()
    found = {}
    try:
        for request in requests_of(sampler, prompts):
            engine.add(request)
        then(engine)
        while engine._running.decoder.num_in_flight:
            found |= {(one.problem_id, int(one.key)): one for one in engine.step()}
        report = engine.plugin_report()
    finally:
        engine.close()
    return {prompt: [found[prompt, index] for index in range(sampler.num_candidates)] for prompt in prompts}, report


def requests_of(sampler: Beam, prompts=PROMPTS):
    indices = tuple(range(sampler.num_candidates))
    return [
        request
        for prompt in prompts
        for request in sampler.requests(
            Order(Problem(prompt, prompt, "text"), (Message("user", prompt),), indices, indices)
        )
    ]


@pytest.fixture(scope="module")
def plain(tiny_model):
    """The tiny model as transformers has it, and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(
        tiny_model
    )


def generated(plain, prompt: str, num_beams: int, max_tokens: int, end_ids=None, **keys) -> list[list[int]]:
    """What transformers' own beam search finds, the best first, without what follows the end token."""
    model, tokenizer = plain
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )["input_ids"]
    end_ids = [tokenizer.eos_token_id] if end_ids is None else end_ids
    with torch.inference_mode():
        found = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            num_beams=num_beams,
            num_return_sequences=num_beams,
            do_sample=False,
            max_new_tokens=max_tokens,
            eos_token_id=end_ids,
            pad_token_id=tokenizer.eos_token_id,
            # ids beyond the tokenizer's are none that our engine may draw
            suppress_tokens=list(range(len(tokenizer), model.config.vocab_size)),
            renormalize_logits=True,
            **keys,
        )
    texts = [row[ids.shape[1] :].tolist() for row in found]
    ends = [next((place for place, one in enumerate(text) if one in end_ids), len(text)) for text in texts]
    return [text[:end] for text, end in zip(texts, ends, strict=True)]


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 1.7])
@pytest.mark.parametrize("num_beams", [1, 2, 4])
def test_it_finds_what_transformers_own_finds_best_first(tiny_model, plain, num_beams, length_penalty):
    """Three searches share eight places; the random model often ends at once, and often not before the limit."""
    sampler = Beam(num_candidates=num_beams, max_tokens=20, length_penalty=length_penalty)
    found, _ = searched(tiny_model, sampler)
    for prompt in PROMPTS:
        wanted = generated(plain, prompt, num_beams, 20, length_penalty=length_penalty)
        assert [list(one.token_ids) for one in found[prompt]] == wanted
        scores = [one.engine_stats["beam_score"] for one in found[prompt]]
        assert scores == sorted(scores, reverse=True)
        for one, score in zip(found[prompt], scores, strict=True):
            assert score == pytest.approx(one.cumulative_logprob / one.num_tokens**length_penalty, abs=1e-4)


def test_several_end_tokens_end_texts_as_in_transformers(tmp_path, tiny_model, plain):
    """Every tenth byte ends a text: most of the continuations that are looked at are over."""
    import json
    import shutil

    folder = shutil.copytree(tiny_model, tmp_path / "often_over")
    ends = [*range(0, 250, 10), plain[1].eos_token_id]
    config = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(config | {"eos_token_id": ends}))
    found, _ = searched(folder, Beam(num_candidates=4, max_tokens=20))
    for prompt in PROMPTS:
        assert [list(one.token_ids) for one in found[prompt]] == generated(plain, prompt, 4, 20, ends)
    assert sum(one.finish_reason == "stop" for texts in found.values() for one in texts) > 3


def test_one_beam_is_greedy_decoding(tiny_model):
    """Where length counts nothing; else a longer text may yet overtake the greedy one."""
    found, _ = searched(tiny_model, Beam(num_candidates=1, max_tokens=12, length_penalty=0.0))
    with TransformersEngine(model=str(tiny_model), device="cpu", dtype="float32") as engine:
        for prompt in PROMPTS:
            engine.add(request_for(prompt, temperature=0.0))
        greedy = {}
        while len(greedy) < len(PROMPTS):
            greedy |= {one.problem_id: one for one in engine.step()}
    for prompt in PROMPTS:
        [one], other = found[prompt], greedy[prompt]
        assert (one.token_ids, one.finish_reason) == (other.token_ids, other.finish_reason)
        assert one.cumulative_logprob == pytest.approx(other.cumulative_logprob, abs=1e-4)
        assert one.self_certainty == pytest.approx(other.self_certainty, abs=1e-4)


def test_without_a_penalty_all_groups_find_what_plain_beams_find(tiny_model):
    found, _ = searched(tiny_model, DiverseBeam(num_candidates=6, num_groups=3, diversity_penalty=0.0, max_tokens=12))
    plain, _ = searched(tiny_model, Beam(num_candidates=2, max_tokens=12))
    for prompt in PROMPTS:
        assert [one.token_ids for one in found[prompt]] == [one.token_ids for one in plain[prompt]] * 3


def test_a_penalty_changes_later_groups_alone_and_makes_them_unlike_the_first(tiny_model):
    keys = {"num_candidates": 6, "num_groups": 3, "max_tokens": 12}
    found, _ = searched(tiny_model, DiverseBeam(diversity_penalty=100.0, **keys))
    plain, _ = searched(tiny_model, Beam(num_candidates=2, max_tokens=12))
    for prompt in PROMPTS:
        first, second, third = (found[prompt][start : start + 2] for start in (0, 2, 4))
        assert [one.token_ids for one in first] == [one.token_ids for one in plain[prompt]]
        begun = [{one.token_ids[0] if one.token_ids else None for one in group} for group in (first, second, third)]
        assert len(begun[0] | begun[1] | begun[2]) == sum(map(len, begun))
        score = [one.engine_stats["beam_score"] - one.cumulative_logprob / one.num_tokens for one in second + third]
        assert score == pytest.approx([0.0] * 4, abs=1e-4)  # of the model, without the penalty


def test_a_search_does_not_depend_on_what_else_is_decoded(tiny_model):
    sampler = Beam(num_candidates=3, max_tokens=20)
    alone = {prompt: searched(tiny_model, sampler, (prompt,), batch_size=7)[0] for prompt in PROMPTS}
    together, report = searched(tiny_model, sampler, batch_size=7)
    for prompt in PROMPTS:
        assert [one.token_ids for one in together[prompt]] == [one.token_ids for one in alone[prompt][prompt]]
    kept = sum(one.num_tokens for texts in together.values() for one in texts)
    assert report.figures["tokens_kept"] == kept <= report.figures["tokens_computed"]
    assert report.figures["texts"] == 9


def test_a_stop_string_ends_a_beam(tiny_model):
    stop = searched(tiny_model, Beam(num_candidates=3, max_tokens=20))[0]["a"][0].text[2:4]
    found, _ = searched(tiny_model, Beam(num_candidates=3, max_tokens=20, stop=(stop,)))
    stopped = [one for texts in found.values() for one in texts if one.stop == stop]
    assert stopped
    assert all(one.text.endswith(stop) and one.text.count(stop) == 1 for one in stopped)


def test_more_beams_than_can_be_decoded_together_are_refused_with_what_to_do(tiny_model):
    found, _ = searched(tiny_model, Beam(num_candidates=3), batch_size=2)
    for one in (one for texts in found.values() for one in texts):
        assert one.finish_reason == "error"
        assert "decodes the 3 candidates of a problem together" in one.error
        assert "`batch_size`" in one.error


def test_cancelled_rows_take_their_beams_along_and_the_others_go_on(tiny_model):
    def cancel(engine) -> None:
        for _ in range(3):
            assert engine.step() == []
        engine.cancel("a", "1")
        for index in range(3):
            engine.cancel("How many?", str(index))

    found, _ = searched(tiny_model, Beam(num_candidates=3, max_tokens=20), then=cancel)
    assert [one.finish_reason == "cancelled" for one in found["a"]] == [False, True, False]
    assert {one.finish_reason for one in found["How many?"]} == {"cancelled"}
    assert all(one.finish_reason in ("stop", "length") for one in found[PROMPTS[2]])


def test_beams_that_gather_in_vain_are_given_up(tiny_model):
    """Two of three come: a cap holds the third back."""
    sampler = Beam(num_candidates=3)
    engine = TransformersEngine(model=str(tiny_model), device="cpu", batch_size=4)
    engine.host(sampler.plugin)
    with engine:
        engine._running.guide._patience = 0.0
        for request in requests_of(sampler, ("a",))[:2]:
            engine.add(request)
        found = [one for _ in range(2) for one in engine.step()]
    assert [one.finish_reason for one in found] == ["error"] * 2
    assert "only 2 came; a cap on tokens" in found[0].error


def test_a_request_without_a_group_is_drawn_as_ever_beside_beams(tiny_model):
    sampler = Beam(num_candidates=3, max_tokens=20)
    plain = replace(requests_of(sampler, ("b",))[0], guidance=None)
    engine = TransformersEngine(model=str(tiny_model), device="cpu")
    engine.host(sampler.plugin)
    with engine:
        beside = run(engine, [*requests_of(sampler, ("a",)), plain])
    with TransformersEngine(model=str(tiny_model), device="cpu") as alone:
        [wanted] = run(alone, [plain])
    assert by_key(beside)["b", 0].text == wanted.text


def test_rows_move_all_at_once():
    cache = RowCache([LayerMemory(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2))], 3, 64)
    for row in range(3):
        cache.put(row, Prefix(1, [(torch.full((1, 1, 1, 2), float(row)), torch.full((1, 1, 1, 2), float(row)))]))
    cache.point(torch.ones(3, dtype=torch.long), 2)
    cache.move({0: 2, 1: 0, 2: 2})
    assert cache.layers[0].keys[:, 0, 0, 0].tolist() == [2.0, 0.0, 2.0]


def test_an_engine_without_it_refuses_the_recipe(tmp_path):
    from tts.errors import RecipeError

    path = tmp_path / "beam.yaml"
    path.write_text("task: math\nengine: {name: vllm, model: a/b}\nsampler: beam\nselector: first\n")
    with pytest.raises(RecipeError, match=r"needs the capability `beam`.*Engines that have it: transformers"):
        load_recipe(path)


@pytest.mark.slow
def test_a_real_models_beams_are_transformers_own(smollm2):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tts.engines.transformers.session import end_token_ids
    from tts.models.pretrained import resolve

    source = resolve(smollm2)
    real = (
        AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval(),
        AutoTokenizer.from_pretrained(source),
    )
    prompts = ("What is 6*7?", "Name a colour.")
    found, _ = searched(smollm2, Beam(num_candidates=3, max_tokens=12), prompts)
    for prompt in prompts:
        wanted = generated(real, prompt, 3, 12, sorted(end_token_ids(*real)))
        assert [list(one.token_ids) for one in found[prompt]] == wanted
