"""OverRIDE in the transformers engine: who is held off whom, by what, and that everything else stays as it is."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from esamp_host_parts import traced  # noqa: E402  # after the skip
from transformers_parts import assert_as_promised, by_key, guided, request_for, run, unmeasured  # noqa: E402  # as above

from tts.engines.transformers import TransformersEngine  # noqa: E402  # as above
from tts.plugins.override.heads import HeadSet  # noqa: E402  # as above
from tts.plugins.override.settings import OverrideSettings  # noqa: E402  # as above
from tts.samplers.override import Override  # noqa: E402  # as above
from tts.types import Message, Order, Problem  # noqa: E402  # as above

PROMPTS = ("a", "How many?", "Sum of 2 and 3, then 4 more, please")
STRONG = {"learning_rate": 0.1, "beta": 2.0, "rank": 4}
"""Within a dozen tokens this moves toy models."""


@pytest.fixture(autouse=True)
def one_thread():
    """Toy sizes are quickest on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def opened(model, *, batch_size: int = 8, plain: bool = False, **settings) -> TransformersEngine:
    engine = TransformersEngine(
        model=str(model), device="cpu", dtype="float32", batch_size=batch_size, record_token_logprobs=True
    )
    if not plain:
        engine.host(Override(**settings).plugin)
    return engine


def requests_of(*prompts: str, num: int = 4, max_tokens: int = 12, **decoding):
    """`num` requests a prompt; they end at different times."""
    return [
        request_for(prompt, index, seed=31 * index + 5, max_tokens=max_tokens - index, **decoding)
        for prompt in prompts
        for index in range(num)
    ]


@pytest.mark.parametrize(
    "decoding", [{"temperature": 0.0}, {"temperature": 0.9, "top_p": 0.9}], ids=["greedy", "sampled"]
)
@pytest.mark.parametrize("settings", [{"num_slots": 2}, {"scope": "shared"}], ids=["prompt", "shared"])
def test_at_beta_0_every_candidate_is_the_plain_engines(tiny_model, settings, decoding):
    """Five rows, three problems of four: they wait for heads, join while others decode, and drain."""
    requests = requests_of(*PROMPTS, **decoding)
    with opened(tiny_model, batch_size=5, plain=True) as engine:
        plain = by_key(run(engine, requests))
    with opened(tiny_model, batch_size=5, **STRONG, **settings) as engine:
        assert_as_promised(engine, unmeasured(run(engine, guided(requests, beta=0.0))), plain)
        figures = engine.plugin_report().figures
    assert (figures["rows_guided"], figures["requests_without_slot"]) == (0, 0)
    assert figures["rows_trained"] == sum(one.num_tokens for one in plain.values())


def test_first_samples_unguided_ones_and_those_behind_the_last_head_are_the_plain_engines(tiny_model):
    requests = requests_of(*PROMPTS, num=5, temperature=1.0)
    with opened(tiny_model, plain=True) as engine:
        plain = by_key(run(engine, requests))
    with opened(tiny_model, num_heads=2, **STRONG) as engine:
        found = by_key(run(engine, [*guided(requests[:10], beta=2.0), *requests[10:]]))
        same = {key: one for key, one in plain.items() if key[0] == PROMPTS[2] or key[1] in (0, 3, 4)}
        assert_as_promised(engine, same, unmeasured(found.values()))
    assert any(found[key].text != plain[key].text for key in plain.keys() - same.keys())


@pytest.mark.parametrize("scope", ["prompt", "shared"])
def test_every_token_is_drawn_from_what_plain_passes_and_the_heads_say(tiny_model, scope):
    """A slow twin of the run: every prefix by a plain pass, every step of the heads as the trace has it."""
    from transformers import AutoModelForCausalLM

    settings = {"scope": scope, "num_heads": 3, "num_slots": 2, **STRONG}
    with opened(tiny_model, batch_size=6, **settings) as engine:
        trace = traced(engine, guided(requests_of(*PROMPTS, temperature=1.0), beta=STRONG["beta"]))
        figures = engine.plugin_report().figures
        vocabulary = engine._running.guide._core._sets[0]._up.shape[1]
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    states, told = {}, {}
    for row in trace.rows:
        ids = torch.tensor([[*row.prompt_ids, *row.token_ids]])
        at = slice(len(row.prompt_ids) - 1, -1)
        with torch.inference_mode():
            out = model(ids, output_hidden_states=True)
        states[id(row)], told[id(row)] = out.hidden_states[-1][0, at].clone(), out.logits[0, at, :vocabulary].clone()
    sets: dict[str, HeadSet] = {}
    for step in trace.steps:
        for problem in dict.fromkeys(row.request.problem_id if scope == "prompt" else "" for row, _ in step):
            mine = [(row, n) for row, n in step if scope == "shared" or row.request.problem_id == problem]
            if problem not in sets:
                sets[problem] = HeadSet(
                    OverrideSettings(**settings), model.config.hidden_size, vocabulary, torch.device("cpu")
                )
            numbers = [int(row.request.key) for row, _ in mine]
            h = torch.stack([states[id(row)][n] for row, n in mine])
            logits = torch.stack([told[id(row)][n] for row, n in mine])
            lowered = logits - STRONG["beta"] * sets[problem].add([number - 1 for number in numbers], h)
            tokens = torch.tensor([row.token_ids[n] for row, n in mine])
            for place, (row, n) in enumerate(mine):
                wanted = lowered[place].log_softmax(-1)[tokens[place]].item()
                assert row.logprobs[n] == pytest.approx(wanted, abs=5e-3)
            sets[problem].learn([number if number < 3 else -1 for number in numbers], h, logits, tokens)
    assert figures["rows_trained"] == sum(len(row.token_ids) for row in trace.rows if int(row.request.key) < 3)
    assert figures["rows_guided"] == sum(len(row.token_ids) for row in trace.rows if int(row.request.key) > 0)


def test_a_run_repeats_exactly(tiny_model):
    requests = guided(requests_of(*PROMPTS, temperature=1.0), beta=2.0)
    runs = []
    for _ in range(2):
        with opened(tiny_model, batch_size=6, **STRONG) as engine:
            runs.append(by_key(run(engine, requests)))
    assert runs[0] == runs[1]


def test_its_requests_are_temperatures_of_one_group():
    sampler = Override(num_candidates=3, beta=0.4, top_p=0.9)
    assert sampler.interacting
    assert sampler.requires == {"override", "top_p"}
    order = Order(Problem("p", "?", "text"), (Message("user", "?"),), (0, 1, 2), (7, 8, 9))
    assert [
        (one.key, one.guidance.group, one.guidance.group_size, one.guidance.beta) for one in sampler.requests(order)
    ] == [(str(index), "p", 3, 0.4) for index in range(3)]


@pytest.mark.slow
def test_a_real_models_first_samples_are_plain_and_later_ones_soon_are_not(smollm2):
    requests = requests_of("What is 6*7?", "Name a colour.", num=3, max_tokens=24, temperature=1.0)
    with opened(smollm2, plain=True) as engine:
        plain = by_key(run(engine, requests))
    with opened(smollm2, learning_rate=0.05, beta=2.0) as engine:
        found = by_key(run(engine, guided(requests, beta=2.0)))
    for key, one in plain.items():
        assert (found[key].text == one.text) == (key[1] == 0)
