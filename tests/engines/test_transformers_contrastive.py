"""Contrastive decoding in the transformers engine: whose logits are drawn from, and that everything else stays."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from esamp_host_parts import traced  # noqa: E402  # after the skip
from transformers_parts import (  # noqa: E402  # as above
    SMOLLM2,
    assert_as_promised,
    by_key,
    guided,
    request_for,
    run,
    save_random_model,
    unmeasured,
)

from tts.engines.transformers import TransformersEngine  # noqa: E402  # as above
from tts.errors import EngineError, RecipeError  # noqa: E402  # as above
from tts.recipe import load_recipe  # noqa: E402  # as above
from tts.samplers.contrastive import Contrastive  # noqa: E402  # as above
from tts.types import Message, Order, Problem  # noqa: E402  # as above

PROMPTS = ("a", "How many?", "Sum of 2 and 3, then 4 more, please")


@pytest.fixture(autouse=True)
def one_thread():
    """Toy sizes are quickest on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def smaller(tmp_path_factory):
    """A random model over the same bytes, with one layer and less padding."""
    from transformers import LlamaConfig

    folder = tmp_path_factory.mktemp("smaller")
    save_random_model(
        folder,
        LlamaConfig,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=512,
        initializer_range=0.4,
    )
    return folder


def opened(model, amateur=None, *, batch_size: int = 5, **settings) -> TransformersEngine:
    engine = TransformersEngine(
        model=str(model), device="cpu", dtype="float32", batch_size=batch_size, record_token_logprobs=True
    )
    if amateur is not None:
        engine.host(Contrastive(amateur=str(amateur), **settings).plugin)
    return engine


def requests_of(*prompts: str, num: int = 4, max_tokens: int = 12, **decoding):
    """`num` requests a prompt; they end at different times."""
    return [
        request_for(prompt, index, seed=31 * index + 5, max_tokens=max_tokens - index, **decoding)
        for prompt in prompts
        for index in range(num)
    ]


DECODINGS = pytest.mark.parametrize(
    "decoding", [{"temperature": 0.0}, {"temperature": 0.9, "top_p": 0.9}], ids=["greedy", "sampled"]
)


@DECODINGS
def test_at_beta_0_without_a_constraint_every_candidate_is_the_plain_engines(tiny_model, smaller, decoding):
    requests = requests_of(*PROMPTS, **decoding)
    with opened(tiny_model) as engine:
        plain = by_key(run(engine, requests))
    with opened(tiny_model, smaller, alpha=0.0) as engine:
        assert_as_promised(engine, unmeasured(run(engine, guided(requests, beta=0.0))), plain)


def test_at_beta_0_the_constraint_is_min_p(tiny_model, smaller):
    requests = requests_of(*PROMPTS, temperature=1.0)
    kept = [replace(one, decoding=replace(one.decoding, min_p=0.1)) for one in requests]
    with opened(tiny_model) as engine:
        plain = by_key(run(engine, kept))
    with opened(tiny_model, smaller, alpha=0.1) as engine:
        assert_as_promised(engine, unmeasured(run(engine, guided(requests, beta=0.0))), plain)


def test_rows_without_guidance_are_the_plain_engines_beside_guided_ones(tiny_model, smaller):
    requests = requests_of(*PROMPTS, temperature=1.0)
    with opened(tiny_model) as engine:
        plain = by_key(run(engine, requests))
    with opened(tiny_model, smaller, beta=2.0) as engine:
        mixed = [*requests[:6], *guided(requests[6:], beta=2.0)]
        found = by_key(run(engine, mixed))
        first = {(one.problem_id, int(one.key)) for one in requests[:6]}
        unguided = {key: plain[key] for key in first}
        assert_as_promised(engine, unguided, found)
    assert any(found[key].text != plain[key].text for key in plain.keys() - first)


@pytest.mark.parametrize(("beta", "alpha"), [(0.5, 0.1), (1.5, 0.02), (0.3, 0.0)])
def test_every_token_is_drawn_from_what_plain_passes_of_both_models_say(tiny_model, smaller, beta, alpha):
    """Five rows at a time of twelve that end at different times: places change hands, prompts are shared."""
    from transformers import AutoModelForCausalLM

    expert, amateur = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval() for folder in (tiny_model, smaller)
    )
    with opened(tiny_model, smaller, beta=beta, alpha=alpha) as engine:
        trace = traced(engine, guided(requests_of(*PROMPTS, temperature=1.0), beta=beta))
        figures = engine.plugin_report().figures
    vocabulary = 260
    for row in trace.rows:
        ids = torch.tensor([[*row.prompt_ids, *row.token_ids]])
        at = slice(len(row.prompt_ids) - 1, -1)
        with torch.inference_mode():
            told, other = (model(ids).logits[0, at, :vocabulary] for model in (expert, amateur))
        logprobs = ((1 + beta) * told - beta * other).log_softmax(-1)
        for step, token in enumerate(row.token_ids):
            assert row.logprobs[step] == pytest.approx(logprobs[step, token].item(), abs=2e-3)
            assert alpha == 0 or told[step, token] >= told[step].max() + math.log(alpha) - 1e-3
    assert figures["rows_guided"] == sum(len(row.token_ids) for row in trace.rows)
    assert figures["mean_kl"] > 0
    assert (figures["mean_plausible_tokens"] < vocabulary) == (alpha > 0)


def test_a_model_that_is_its_own_amateur_changes_nothing_but_rounding(tiny_model):
    """(1 + β)·z − β·z = z."""
    requests = requests_of(*PROMPTS, temperature=0.0)
    with opened(tiny_model) as engine:
        plain = by_key(run(engine, requests))
    with opened(tiny_model, tiny_model, alpha=0.0, beta=1.0) as engine:
        found = by_key(run(engine, guided(requests, beta=1.0)))
    assert {key: one.text for key, one in found.items()} == {key: one.text for key, one in plain.items()}


def test_a_candidate_depends_on_its_request_alone(tiny_model, smaller):
    requests = guided(requests_of(*PROMPTS, temperature=1.0), beta=0.5)
    with opened(tiny_model, smaller) as engine:
        together = by_key(run(engine, requests))
        assert_as_promised(engine, by_key(run(engine, requests[7:8])), together)


def test_memory_and_context_are_those_of_both(tiny_model, smaller):
    with opened(tiny_model) as plain, opened(tiny_model, smaller) as both:
        assert both._running.context == plain._running.context == 256  # the smaller one's is 512
        assert both.num_parameters > plain.num_parameters
        capacities = [one._running.decoder._budget.tokens_per_row(1) for one in (plain, both)]
        assert capacities[1] < capacities[0]


def test_an_amateur_with_another_vocabulary_is_refused_with_the_token(tiny_model, tmp_path, smaller):
    from transformers import AutoTokenizer

    other = tmp_path / "other"
    other.mkdir()
    for file in smaller.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    tokenizer = AutoTokenizer.from_pretrained(smaller)
    tokenizer.add_tokens(["<extra>"])
    tokenizer.save_pretrained(other)
    with pytest.raises(EngineError, match=r"must have the vocabulary .* '<extra>' has the id 260, not None"):
        opened(tiny_model, other).open()


def test_an_amateur_that_is_not_there_is_refused_before_any_work():
    with pytest.raises(EngineError, match=r"`sampler.amateur`: .*which is not there"):
        Contrastive(amateur="./nowhere").check()


def test_vllm_refuses_a_second_model_clearly(tmp_path):
    path = tmp_path / "contrastive.yaml"
    path.write_text(
        "task: math\nengine: {name: vllm, model: a/b}\nsampler: {name: contrastive, amateur: a/c}\nselector: first\n"
    )
    with pytest.raises(RecipeError, match=r"needs the capability `contrastive`.*Engines that have it: transformers"):
        load_recipe(path)


def test_its_requests_are_temperatures_each_guided_for_itself():
    sampler = Contrastive(amateur="a/b", num_candidates=2, beta=0.25)
    assert not sampler.interacting
    order = Order(Problem("p", "?", "text"), (Message("user", "?"),), (0, 1), (7, 8))
    assert [(one.seed, one.guidance.beta, one.decoding.temperature) for one in sampler.requests(order)] == [
        (7, 0.25, 1.0),
        (8, 0.25, 1.0),
    ]


@pytest.mark.slow
def test_a_real_model_writes_against_itself(smollm2):
    """The only real model at hand is its own amateur: at β 1 its logits are what they were, up to rounding."""
    requests = [request_for(prompt, temperature=0.0, max_tokens=16) for prompt in ("What is 6*7?", "Name a colour.")]
    with TransformersEngine(model=SMOLLM2, device="cpu") as engine:
        plain = by_key(run(engine, requests))
    engine = TransformersEngine(model=SMOLLM2, device="cpu")
    engine.host(Contrastive(amateur=smollm2, beta=1.0).plugin)
    with engine:
        found = by_key(run(engine, guided(requests, beta=1.0)))
    assert {key: one.text for key, one in found.items()} == {key: one.text for key, one in plain.items()}
