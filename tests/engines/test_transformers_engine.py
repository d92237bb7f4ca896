"""The engine on a tiny random model: it must serve every request once, and each as if it were alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from transformers_parts import assert_as_promised, by_key, candidate_from, request_for, run

from tts.engines.transformers import TransformersEngine
from tts.errors import EngineError
from tts.types import FirstToken, Message

PROMPTS = ("a", "How many?", "x" * 40, "Sum of 2 and 3, then 4 more, please", "ü€日")


@pytest.fixture
def engine(tiny_model):
    with TransformersEngine(model=str(tiny_model), device="cpu", batch_size=4) as opened:
        yield opened


def many_requests(**decoding):
    return [request_for(prompt, index, seed=100 * index + 7, **decoding) for prompt in PROMPTS for index in range(4)]


def test_importing_and_asking_needs_no_torch():
    code = (
        "import sys; from tts.engines.transformers import TransformersEngine as E;"
        "assert 'seeds' in E(model='x').capabilities(); assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_more_requests_than_rows_all_come_back_once(engine):
    requests = many_requests()
    candidates = run(engine, requests)
    assert sorted(by_key(candidates)) == sorted((r.problem_id, int(r.key)) for r in requests)
    assert len(candidates) == len(requests)
    assert engine.num_generated_tokens == sum(candidate.num_tokens for candidate in candidates)
    assert engine.num_free == 4


def test_candidates_come_out_as_they_finish(engine):
    requests = [request_for(p, max_tokens=n) for p, n in zip(PROMPTS, (9, 3, 6, 1, 4), strict=True)]
    finished = [c for c in run(engine, requests) if c.finish_reason == "length"]
    assert [c.num_tokens for c in finished] == [1, 3, 4, 6, 9]  # the fifth took the place that the fourth left


def test_a_candidate_is_the_same_whatever_else_is_in_flight(engine):
    requests = many_requests(temperature=0.8, top_p=0.9)
    together = by_key(run(engine, requests))
    backwards = by_key(run(engine, requests[::-1]))
    alone = by_key(candidate for request in requests[::3] for candidate in run(engine, [request]))
    assert_as_promised(engine, together, backwards)
    assert_as_promised(engine, alone, together)
    assert len({candidate.text for candidate in together.values()}) > 15


def test_other_rows_filters_change_nothing(engine):
    plain = request_for("How many?", 0, seed=5, temperature=0.9)
    others = [request_for("a", 0, top_k=3), request_for("a", 1, min_p=0.2), request_for("a", 2, temperature=0)]
    assert_as_promised(engine, by_key(run(engine, [plain])), by_key(run(engine, [*others, plain])))


def test_greedy_rows_with_a_first_token_of_their_own_begin_at_random_and_go_on_greedily(engine):
    start = FirstToken(temperature=1000.0, top_k=4)
    requests = [request_for(p, i, temperature=0, first_token=start) for p in PROMPTS[:2] for i in range(12)]
    drawn = by_key(run(engine, requests))
    for prompt in PROMPTS[:2]:
        texts = [drawn[prompt, index].text for index in range(12)]
        assert 2 <= len(set(texts)) <= 4  # the first token decides the rest
        (greedy,) = run(engine, [request_for(prompt, temperature=0)])
        assert greedy.text in texts  # the likeliest is among the four
    assert_as_promised(engine, by_key(run(engine, requests[5:3:-1])), drawn)


def test_the_seed_decides_and_the_index_does_not(engine):
    first, same, other = (request_for("a", index, seed=seed, max_tokens=30) for index, seed in ((0, 8), (1, 8), (2, 9)))
    texts = {index: candidate.text for (_, index), candidate in by_key(run(engine, [first, same, other])).items()}
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_the_batch_size_changes_no_token(tiny_model, engine, batch_size):
    requests = many_requests()
    with TransformersEngine(model=str(tiny_model), device="cpu", batch_size=batch_size) as other:
        there, here = by_key(run(other, requests)), by_key(run(engine, requests))
    for key, candidate in here.items():
        assert there[key].text == candidate.text
        assert there[key].cumulative_logprob == pytest.approx(candidate.cumulative_logprob, abs=1e-4)


def test_greedy_equals_generate_token_for_token(tiny_model, engine):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_model), AutoTokenizer.from_pretrained(tiny_model)
    padding = list(range(len(tokenizer), model.config.vocab_size))
    keys = {"do_sample": False, "max_new_tokens": 20, "suppress_tokens": padding}
    for candidate in run(engine, [request_for(p, temperature=0, max_tokens=20) for p in PROMPTS]):
        prompt, _ = engine.render((Message("user", candidate.problem_id),))
        inputs = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            generated = model.generate(**inputs, **keys)[0, inputs.input_ids.shape[1] :]
        assert candidate.num_tokens == len(generated)
        expected = tokenizer.decode(generated, skip_special_tokens=True)
        assert (candidate.reasoning or "") + candidate.text.strip() == expected.strip()


def test_logprobs_certainty_and_confidence_equal_one_forward_pass_over_the_whole(tiny_model):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_model), AutoTokenizer.from_pretrained(tiny_model)
    with TransformersEngine(
        model=str(tiny_model), device="cpu", record_token_logprobs=True, confidence_window=4
    ) as engine:
        requests = [request_for(p, temperature=0.7, top_k=20, max_tokens=9) for p in PROMPTS]
        drawn = {}
        for request in requests:
            engine.add(request)
        rows = list(engine._running.decoder._waiting)
        while len(drawn) < len(requests):
            drawn |= {candidate.problem_id: candidate for candidate in engine.step()}
    for row in rows:
        ids = torch.tensor([[*row.prompt_ids, *row.token_ids]])
        with torch.inference_mode():
            logits = model(ids).logits[0, len(row.prompt_ids) - 1 : -1, : len(tokenizer)]
        logprobs = logits.log_softmax(-1)
        candidate = drawn[row.request.problem_id]
        expected = logprobs.gather(1, torch.tensor(row.token_ids)[:, None])[:, 0]
        assert candidate.token_logprobs == pytest.approx(expected.tolist(), abs=1e-4)
        assert candidate.mean_logprob == pytest.approx(expected.mean().item(), abs=1e-4)
        certainty = -torch.log(torch.tensor(len(tokenizer))) - logprobs.mean(-1)
        assert candidate.self_certainty == pytest.approx(certainty.mean().item(), abs=1e-3)
        confidences = -logprobs.topk(20).values.mean(-1)
        assert candidate.engine_stats["mean_confidence"] == pytest.approx(confidences.mean().item(), abs=1e-3)
        windows = confidences.unfold(0, min(4, len(confidences)), 1).mean(-1)
        assert candidate.engine_stats["least_confidence"] == pytest.approx(windows.min().item(), abs=1e-3)
        assert candidate.engine_stats["tail_confidence"] == pytest.approx(windows[-1].item(), abs=1e-3)


def test_confidence_is_measured_where_asked_for_alone(tiny_model):
    request = request_for("How many?", max_tokens=5)
    engine = TransformersEngine(model=str(tiny_model), device="cpu")
    for asked in (frozenset({"logprobs"}), frozenset({"confidence"})):
        engine.measure(asked)
        with engine:
            (candidate,) = run(engine, [request])
        assert ("mean_confidence" in candidate.engine_stats) is ("confidence" in asked)


def test_a_prompt_as_long_as_the_context_is_an_error_candidate(engine):
    long, short = request_for("y" * 300), request_for("a")
    candidates = by_key(run(engine, [long, short]))
    refused = candidates["y" * 300, 0]
    assert (refused.finish_reason, refused.num_tokens, refused.num_prompt_tokens) == ("error", 0, 319)
    assert "shorter than the context of 256 tokens, got 319" in (refused.error or "")
    assert candidates["a", 0].finish_reason in ("stop", "length")


def test_a_context_that_fills_up_ends_the_completion(engine):
    candidates = run(engine, [request_for(c * 230, temperature=0.3, max_tokens=100) for c in "mn"])
    for candidate in candidates:
        if candidate.finish_reason == "length":
            assert candidate.num_prompt_tokens + candidate.num_tokens == 256
            assert candidate.engine_stats == {"context_full": 1.0}


@pytest.mark.parametrize(("decoding", "words"), [({"max_tokens": 0}, "at least 1"), ({"stop": ("",)}, "empty string")])
def test_requests_that_cannot_be_served_come_back_as_errors(engine, decoding, words):
    bad, good = request_for("a", 0, **decoding), request_for("a", 1)
    candidates = by_key(run(engine, [bad, good]))
    assert words in (candidates["a", 0].error or "")
    assert candidates["a", 1].error is None


def test_cancelled_requests_come_back_with_what_they_have(engine):
    requests = [request_for(p, seed=3, max_tokens=200, temperature=1.5) for p in PROMPTS]
    for request in requests:
        engine.add(request)
    engine.step()
    engine.cancel(PROMPTS[0], "0")  # in flight
    engine.cancel(PROMPTS[4], "0")  # still waiting
    engine.cancel("unknown", "0")
    cancelled = {one.problem_id: one for one in engine.step()}
    assert cancelled[PROMPTS[0]].num_tokens == 1
    assert cancelled[PROMPTS[4]].num_tokens == 0
    assert cancelled[PROMPTS[4]].mean_logprob is None
    assert {candidate.finish_reason for candidate in cancelled.values()} == {"cancelled"}


def test_an_idle_engine_steps_to_nothing_and_closes_twice(tiny_model):
    engine = TransformersEngine(model=str(tiny_model), device="cpu", batch_size=2)
    engine.open()
    assert engine.step() == []
    engine.add(request_for("a"))
    engine.step()
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="must be open"):
        engine.step()


def test_an_interrupted_step_can_be_repeated(engine, monkeypatch):
    request = request_for("a", temperature=0)
    (undisturbed,) = run(engine, [request])
    engine.add(request)
    engine.step()
    with monkeypatch.context() as patch:
        patch.setattr(engine._running.decoder._model, "forward", interrupt)
        with pytest.raises(KeyboardInterrupt):
            engine.step()
    finished = []
    while not finished:
        finished = engine.step()
    assert [candidate_from(request, one) for one in finished] == [undisturbed]


def interrupt(*_args, **_keys):
    raise KeyboardInterrupt


def test_long_requests_are_decoded_in_smaller_batches_within_the_memory_bound(tiny_model):
    # A token takes 2 layers x 2 x 2 heads x 8 x 4 B = 256 B, so 1 MiB holds 4096 tokens: 33 rows of 64 or 17 of 192.
    with TransformersEngine(model=str(tiny_model), device="cpu", batch_size=32, kv_cache_mb=1) as engine:
        short = [request_for("a", index) for index in range(40)]
        long = [request_for("b", index, max_tokens=150) for index in range(20)]
        candidates = run(engine, [*short, *long])
        rows = engine._running.decoder._cache
        assert (rows.num_rows, rows.max_capacity) == (16, 192)
    assert len(by_key(candidates)) == 60


def test_a_memory_bound_below_one_row_is_refused(tiny_model):
    with pytest.raises(EngineError, match=r"`kv_cache_mb` must hold at least one row of 200000 tokens|at most 256"):
        TransformersEngine(model=str(tiny_model), device="cpu", kv_cache_mb=1, max_model_len=200_000).open()


def test_a_last_assistant_message_is_continued(engine):
    prompt, num_tokens = engine.render((Message("user", "2+2?"), Message("assistant", "It is")))
    assert prompt == "<s>[user]2+2?</s>[assistant]It is"
    assert num_tokens == len("[user]2+2?[assistant]It is") + 2


def test_a_doubled_first_token_is_refused_before_any_work(tiny_model, tmp_path):
    folder = tmp_path / "doubled"
    shutil.copytree(tiny_model, folder)
    template = folder / "chat_template.jinja"
    template.write_text("{{ bos_token }}" + template.read_text())
    with pytest.raises(EngineError, match="must begin with one '<s>', got two"):
        TransformersEngine(model=str(folder), device="cpu").open()


def test_a_model_without_a_template_reads_the_plain_messages(tiny_model, tmp_path):
    folder = tmp_path / "base"
    shutil.copytree(tiny_model, folder)
    (folder / "chat_template.jinja").unlink()
    engine = TransformersEngine(model=str(folder), device="cpu", batch_size=2)
    assert engine.render((Message("system", "Add."), Message("user", "2+2="))) == ("Add.\n\n2+2=", 10)
    with engine:
        assert [candidate.error for candidate in run(engine, [request_for("a"), request_for("b")])] == [None, None]


def test_a_template_that_refuses_the_messages_is_an_error_candidate(tiny_model, tmp_path):
    folder = tmp_path / "strict"
    shutil.copytree(tiny_model, folder)
    template = folder / "chat_template.jinja"
    template.write_text(
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        + template.read_text()
    )
    with TransformersEngine(model=str(folder), device="cpu", batch_size=2) as engine:
        bad = replace(request_for("a", 0), messages=(Message("system", "s"), Message("user", "a")))
        candidates = by_key(run(engine, [bad, request_for("a", 1)]))
    assert "no system role" in (candidates["a", 0].error or "")
    assert candidates["a", 1].error is None


def test_a_gpu_that_is_not_there_is_refused(tiny_model):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(EngineError, match="`device` must be a GPU that is there, got 'cuda:1' with 0 at hand"):
        TransformersEngine(model=str(tiny_model), device="cuda:1").open()


def test_a_missing_package_names_the_install_command(tiny_model):
    code = (
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'accelerate' else find(name, *rest)\n"
        "from tts.engines.transformers import TransformersEngine\n"
        f"TransformersEngine(model={str(tiny_model)!r}).open()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)
    assert re.search(r"-m pip install -e '.*\[hf\]'", result.stderr)


def test_a_model_that_ignores_its_positions_is_refused(tiny_model, monkeypatch):
    from transformers import LlamaModel

    forward = LlamaModel.forward

    def without_positions(self, **keys):
        return forward(self, **(keys | {"position_ids": None}))

    monkeypatch.setattr(LlamaModel, "forward", without_positions)
    with pytest.raises(EngineError, match="must compute rows of different lengths together, got 'llama'"):
        TransformersEngine(model=str(tiny_model), device="cpu").open()
