"""ESamp in the transformers engine: who is guided, by what, and that everything else stays as it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the hf extra")

from esamp_host_parts import EngineTwin, traced  # noqa: E402  # after the skip
from transformers_parts import SMOLLM2, assert_as_promised, by_key, guided, request_for, run, unmeasured  # noqa: E402  # as above

from tts.engines.filters import Filters  # noqa: E402  # as above
from tts.engines.transformers import TransformersEngine  # noqa: E402  # as above
from tts.errors import EngineError, RecipeError  # noqa: E402  # as above
from tts.plugins.esamp.settings import ESampSettings  # noqa: E402  # as above
from tts.protocols import PluginHost  # noqa: E402  # as above
from tts.types import Decoding, Guidance, Plugin, PluginReport  # noqa: E402  # as above

PROMPTS = ("a", "How many?", "Sum of 2 and 3, then 4 more, please")
SMALL = {"width": 16, "train_every": 1}


@pytest.fixture(autouse=True)
def one_thread():
    """Toy sizes are quickest on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def open_engine(tiny_model):
    """Opens engines with the ESamp settings given, or without ESamp, and closes them."""
    opened = []

    def open_one(*, batch_size: int = 8, **settings) -> TransformersEngine:
        engine = TransformersEngine(
            model=str(tiny_model), device="cpu", batch_size=batch_size, record_token_logprobs=True
        )
        if settings:
            engine.host(Plugin("esamp", SMALL | settings))
        opened.append(engine)
        engine.open()
        return engine

    yield open_one
    for engine in opened:
        engine.close()


def report_of(engine: TransformersEngine) -> PluginReport:
    report = engine.plugin_report()
    assert report is not None
    return report


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
@pytest.mark.parametrize(
    "settings",
    [
        {"num_slots": 2},
        {"scope": "shared"},
        {"filter": "reference", "num_slots": 1},
        {"keep_entropy": True, "target_kl": 0.1},
    ],
)
def test_at_beta_0_every_candidate_is_the_plain_engines(open_engine, settings, decoding):
    """Five rows, three groups of four: they wait for slots, join while others decode, and drain."""
    requests = requests_of(*PROMPTS, **decoding)
    plain = by_key(run(open_engine(batch_size=5), requests))
    engine = open_engine(batch_size=5, beta=0.0, **settings)
    assert_as_promised(engine, unmeasured(run(engine, guided(requests, beta=0.0))), plain)
    figures = report_of(engine).figures
    assert (figures["rows_guided"], figures["rows_without_slot"]) == (0, 0)
    assert figures["rows_trained"] == sum(candidate.num_tokens - 1 for candidate in plain.values())


def test_guided_candidates_differ_from_plain_ones_and_come_out_again_in_another_run(open_engine):
    requests, keys = guided(requests_of(*PROMPTS)), {"beta": 0.25, "num_slots": 2, "learning_rate": 0.01, "kl_every": 1}
    plain = by_key(run(open_engine(), requests_of(*PROMPTS)))
    engine = open_engine(**keys)
    first = run(engine, requests)
    assert run(engine, requests) == first  # the same groups once more in the same session
    assert run(open_engine(**keys), requests) == first
    assert unmeasured(first) != plain


@pytest.mark.parametrize("train_every", [1, 4])
def test_the_engine_does_what_plain_passes_and_autograd_do(tiny_model, open_engine, train_every):
    """Four groups of eight in twelve rows and two slots: over 500 guided tokens."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    prompts = (*PROMPTS, "x" * 40)
    keys = {"beta": 0.25, "num_slots": 2, "learning_rate": 4e-3, "kl_every": 1, "train_every": train_every}
    engine = open_engine(batch_size=12, **keys)
    trace = traced(engine, guided(requests_of(*prompts, num=8, max_tokens=34, temperature=1.5)))
    settings = ESampSettings(**(SMALL | keys))
    twin = EngineTwin(
        AutoModelForCausalLM.from_pretrained(tiny_model), settings, len(AutoTokenizer.from_pretrained(tiny_model))
    )
    expected = twin.replay(trace)
    assert len(expected) > 500
    assert max(abs(token.row.logprobs[token.place] - token.logprob) for token in expected) < 1e-3
    assert set(twin.losses) == set(prompts)
    assert len({tuple(token.prediction.tolist()) for token in expected}) == len(expected)  # each row has its own
    check_measurements(trace, expected)
    check_figures(report_of(engine), trace, twin, len(expected))


def check_measurements(trace, expected):
    """A candidate's novelty and KL are the means over its guided tokens."""
    for key, candidate in trace.candidates.items():
        mine = [token for token in expected if (token.row.request.problem_id, token.row.request.key) == key]
        assert candidate.engine_stats.get("esamp_guided_tokens", 0) == len(mine) == candidate.num_tokens - 1
        if mine:
            novelty, kl = (sum(values) / len(mine) for values in ([t.novelty for t in mine], [t.kl for t in mine]))
            assert candidate.engine_stats["esamp_novelty"] == pytest.approx(novelty, rel=1e-3)
            assert candidate.engine_stats["esamp_kl"] == pytest.approx(kl, rel=1e-2, abs=1e-4)


def check_figures(report, trace, twin, num_guided):
    figures = report.figures
    assert report.name == "esamp"
    assert (figures["rows_guided"], figures["rows_trained"]) == (num_guided, twin.num_trained)
    assert (figures["groups"], figures["rows_without_slot"]) == (len(twin.losses), 0)
    assert figures["steps"] == sum(any(n > 0 for _, n in step) for step in trace.steps)
    ends = [(losses[:16], losses[-16:]) for losses in twin.losses.values()]
    first, last = (sum(sum(part) / len(part) for part in parts) / len(ends) for parts in zip(*ends, strict=True))
    assert figures["first_loss"] == pytest.approx(first, rel=1e-3)
    assert figures["last_loss"] == pytest.approx(last, rel=1e-3)


def test_a_group_notices_neither_other_groups_nor_its_slot(open_engine):
    first, second = guided(requests_of("a", temperature=1.2)), guided(requests_of("How many?", temperature=1.2))
    keys = {"beta": 0.5, "num_slots": 2, "learning_rate": 0.01}
    alone = by_key(run(open_engine(**keys), second))
    engine = open_engine(**keys)
    assert_as_promised(engine, alone, by_key(run(engine, [*first, *second])))


def test_groups_wait_for_a_distiller_and_find_it_as_new(open_engine):
    prompts = [f"problem {number}" for number in range(6)]
    groups = [guided(requests_of(prompt, num=2)) for prompt in prompts]
    keys = {"beta": 0.5, "num_slots": 1, "learning_rate": 0.01, "kl_every": 1}
    engine = open_engine(**keys)
    waiting = by_key(run(engine, [request for group in groups for request in group]))
    figures = report_of(engine).figures
    assert (figures["groups"], figures["rows_without_slot"]) == (6, 0)
    alone = by_key(run(open_engine(**keys), groups[-1]))
    assert_as_promised(engine, alone, waiting)


def test_a_group_larger_than_the_batch_shares_one_distiller_in_waves(open_engine):
    engine = open_engine(batch_size=3, beta=0.25, num_slots=1)
    candidates = run(engine, guided(requests_of("a", "b", num=10, max_tokens=14)))
    assert len(by_key(candidates)) == 20
    figures = report_of(engine).figures
    assert (figures["groups"], figures["rows_without_slot"]) == (2, 0)
    assert figures["rows_guided"] == sum(candidate.num_tokens - 1 for candidate in candidates)


def test_members_of_a_group_that_began_pass_those_that_wait_for_a_distiller(open_engine):
    first, second = guided(requests_of("a", num=5)), guided(requests_of("b", num=5))
    engine = open_engine(batch_size=2, beta=0.25, num_slots=1)
    turns = [request for pair in zip(first, second, strict=True) for request in pair]
    finished = [candidate.problem_id for candidate in run(engine, turns)]
    assert finished == ["a"] * 5 + ["b"] * 5
    assert report_of(engine).figures["groups"] == 2


def test_unguided_requests_pass_those_that_wait_and_are_the_plain_engines(open_engine):
    plain = requests_of("plain", num=2, max_tokens=5, temperature=0.8)
    expected = by_key(run(open_engine(batch_size=4), plain))
    engine = open_engine(batch_size=4, beta=0.5, num_slots=1)
    finished = run(engine, [*guided(requests_of("a", "b", num=2, max_tokens=30)), *plain])
    assert [candidate.problem_id for candidate in finished if candidate.num_tokens > 5][-1] == "b"
    assert {candidate.problem_id for candidate in finished[:2]} == {"plain"}
    assert_as_promised(engine, expected, by_key(finished))


def test_cancelling_frees_the_distiller_and_a_later_group_of_that_name_is_a_new_one(open_engine):
    keys = {"batch_size": 3, "beta": 0.5, "num_slots": 1, "learning_rate": 0.01}
    requests = guided(requests_of("a", num=4, max_tokens=40))
    expected = run(open_engine(**keys), requests)
    engine = open_engine(**keys)
    for request in [*requests, *guided(requests_of("b", num=2))]:
        engine.add(request)
    finished = [candidate for _ in range(6) for candidate in engine.step()]
    assert finished == []
    for request in requests:  # three are decoded, one waits
        engine.cancel(request.problem_id, request.key)
    while len(finished) < 6:
        finished += engine.step()
    reasons = {(one.problem_id, int(one.key)): one.finish_reason for one in finished}
    assert {reasons["a", index] for index in range(4)} == {"cancelled"}
    assert {reasons["b", index] for index in range(2)} <= {"length", "stop"}
    assert run(engine, requests) == expected


def test_a_group_of_which_one_was_refused_ends_all_the_same(open_engine):
    good = guided(requests_of("a", "b", num=2))
    bad = [replace(request, messages=(replace(request.messages[0], content="y" * 300),)) for request in good[:1]]
    engine = open_engine(beta=0.25, num_slots=1)
    candidates = by_key(run(engine, [*bad, *good[1:]]))
    assert candidates["a", 0].finish_reason == "error"
    assert [candidates[key].error for key in (("a", 1), ("b", 0), ("b", 1))] == [None] * 3
    assert report_of(engine).figures["groups"] == 2


@pytest.mark.parametrize("guide_first_token", [False, True])
def test_the_first_token_is_guided_only_where_that_is_wanted(open_engine, guide_first_token):
    requests = requests_of(*PROMPTS, num=2, max_tokens=4, temperature=0.0)
    plain = by_key(run(open_engine(), requests))
    engine = open_engine(beta=2.0, guide_first_token=guide_first_token)
    candidates = by_key(run(engine, guided(requests, beta=2.0)))
    same = [candidates[key].token_logprobs[0] == plain[key].token_logprobs[0] for key in plain]
    assert same == [not guide_first_token] * 6
    expected = sum(candidate.num_tokens - (not guide_first_token) for candidate in candidates.values())
    assert report_of(engine).figures["rows_guided"] == expected


@pytest.mark.parametrize("filter_", ["fused", "reference"])
@pytest.mark.parametrize("temperature", [0.0, 1.0], ids=["greedy", "sampled"])
def test_the_filter_on_the_reference_draws_from_what_the_plain_model_keeps(
    tiny_model, open_engine, filter_, temperature
):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    keys = {"temperature": temperature, "min_p": 0.05, "top_k": 8}
    engine = open_engine(beta=3.0, filter=filter_, learning_rate=0.01)
    trace = traced(engine, guided(requests_of(*PROMPTS[:2], max_tokens=24, **keys), beta=3.0))
    kept = []
    for row in trace.rows:
        with torch.inference_mode():
            logits = model(torch.tensor([[*row.prompt_ids, *row.token_ids]])).logits[0, len(row.prompt_ids) - 1 : -1]
        filters = Filters.of([Decoding(1, **keys)] * len(row.token_ids), torch.device("cpu"))
        kept += (filters.weights(logits[:, :260])[range(len(row.token_ids)), row.token_ids] > 0).tolist()
    assert len(kept) > 60
    assert all(kept) == (filter_ == "reference")


@pytest.mark.parametrize("control", ["noise", "subtract", "vocabulary", "untrained", "mean"])
def test_every_control_runs_and_repeats(open_engine, control):
    requests = guided(requests_of(*PROMPTS[:2], temperature=0.9))
    engine = open_engine(beta=0.5, control=control, learning_rate=0.01)
    candidates = run(engine, requests)
    assert run(open_engine(beta=0.5, control=control, learning_rate=0.01), requests) == candidates
    figures = report_of(engine).figures
    assert figures["rows_guided"] == sum(candidate.num_tokens - 1 for candidate in candidates)
    assert figures["rows_trained"] == (0 if control in ("untrained", "mean") else figures["rows_guided"])


def test_guidance_that_keeps_the_entropy_repeats_and_is_as_sharp_as_the_model_in_every_row(open_engine):
    """Two temperatures in one batch; a group does not notice others. Without it, guidance makes the model colder."""
    first = guided(requests_of("a", temperature=0.7, max_tokens=20), beta=1.0)
    second = guided(requests_of("How many?", temperature=1.3, max_tokens=20), beta=1.0)
    keys = {"beta": 1.0, "kl_every": 1, "learning_rate": 0.01, "num_slots": 2}
    colder, engine = open_engine(**keys), open_engine(**keys, keep_entropy=True)
    run(colder, [*first, *second])
    together = run(engine, [*first, *second])
    figures = report_of(engine).figures
    assert figures["mean_entropy"] == pytest.approx(figures["mean_reference_entropy"], abs=1e-3)
    assert report_of(colder).figures["mean_entropy"] < figures["mean_reference_entropy"] - 0.05
    assert run(open_engine(**keys, keep_entropy=True), [*first, *second]) == together
    alone = open_engine(**keys, keep_entropy=True)
    assert_as_promised(alone, by_key(run(alone, second)), by_key(together))


def test_guidance_by_a_target_kl_repeats_and_a_group_does_not_notice_others(open_engine):
    first, second = (guided(requests_of(prompt, temperature=1.0, max_tokens=30)) for prompt in ("a", "How many?"))
    keys = {"target_kl": 0.02, "num_slots": 2, "kl_every": 4, "learning_rate": 0.01}
    engine, alone = open_engine(**keys), open_engine(**keys)
    together = run(engine, [*first, *second])
    assert run(open_engine(**keys), [*first, *second]) == together
    assert_as_promised(alone, by_key(run(alone, second)), by_key(together))
    figures = report_of(engine).figures
    assert figures["mean_beta"] != pytest.approx(0.25, abs=0.01)
    assert 0.01 < figures["mean_kl"] < 0.04


def test_kl_is_measured_as_often_as_asked(open_engine):
    requests = guided(requests_of("a", "b", num=2, max_tokens=7, temperature=1.0))
    never = run(open_engine(beta=0.25, kl_every=0), requests)
    seldom = run(open_engine(beta=0.25, kl_every=4), requests)
    assert unmeasured(never) == unmeasured(seldom)
    assert all("esamp_kl" not in candidate.engine_stats for candidate in never)
    assert all(candidate.engine_stats["esamp_kl"] > 0 for candidate in seldom if candidate.num_tokens > 1)


def test_a_run_that_guided_nothing_says_so(open_engine):
    engine = open_engine(beta=0.25)
    run(engine, guided(requests_of("a", "b", num=1, max_tokens=1)))
    assert "guided no token" in report_of(engine).warnings[0]


def test_without_the_plugin_there_is_no_report_and_guidance_is_refused(open_engine):
    engine = open_engine()
    candidates = by_key(run(engine, [*guided(requests_of("a", num=1)), *requests_of("b", num=1)]))
    assert "`guidance` must be None where no plugin runs" in (candidates["a", 0].error or "")
    assert candidates["b", 0].error is None
    assert engine.plugin_report() is None


def test_what_cannot_be_hosted_is_refused_at_once(tiny_model):
    engine = TransformersEngine(model=str(tiny_model), device="cpu")
    assert isinstance(engine, PluginHost)
    assert "esamp" in engine.capabilities()
    assert engine.plugin_report() is None
    with pytest.raises(EngineError, match=r"must be one that this engine hosts \(esamp.*\), got 'osamp'"):
        engine.host(Plugin("osamp", {}))
    with pytest.raises(RecipeError, match=r"`sampler\.betta` is no setting of sampler.*beta"):
        engine.host(Plugin("esamp", {"betta": 1.0}))


def test_guidance_of_one_request_is_its_own(open_engine):
    """β comes with the request: 0 in the same group is trained on and left alone."""
    requests = requests_of("a", "b", num=2, temperature=0.7)
    plain = by_key(run(open_engine(), requests))
    mixed = [replace(r, guidance=Guidance(r.problem_id, 2, 0.5 * int(r.key))) for r in requests]
    engine = open_engine(beta=0.5)
    candidates = run(engine, mixed)
    for prompt in "ab":
        assert_as_promised(engine, {(prompt, 0): unmeasured(candidates)[prompt, 0]}, plain)
        assert by_key(candidates)[prompt, 0].engine_stats["esamp_guided_tokens"] == 0


@pytest.mark.model
def test_on_a_real_model_the_loss_falls_and_beta_0_changes_no_token(smollm2):
    prompts = ("What is 6*7?", "Tell me about the sea.")
    requests = [request_for(p, i, seed=7 * i, temperature=1.0, max_tokens=20 - i) for p in prompts for i in range(4)]
    engine = TransformersEngine(model=smollm2, device="cpu", batch_size=6)
    engine.host(Plugin("esamp", {"num_slots": 1, "train_every": 1}))
    with engine:
        plain, untouched, moved = (
            unmeasured(run(engine, asked)) for asked in (requests, guided(requests, beta=0.0), guided(requests))
        )
        report = report_of(engine)
        assert_as_promised(engine, untouched, plain)
    assert plain != moved
    assert report.figures["last_loss"] < report.figures["first_loss"]
    assert (report.figures["groups"], report.figures["rows_without_slot"]) == (4, 0)


@pytest.mark.slow
@pytest.mark.model
def test_on_a_real_model_the_engine_does_what_plain_passes_and_autograd_do(smollm2):
    """Three groups of eight in two slots: over 500 guided tokens, and the loss falls."""
    from transformers import AutoModelForCausalLM

    from tts.models.pretrained import quiet, resolve

    prompts = ("What is 6*7?", "Name three prime numbers.", "Tell me about the sea.")
    settings = {"num_slots": 2, "kl_every": 1, "train_every": 1}
    engine = TransformersEngine(model=smollm2, device="cpu", dtype="float32", batch_size=16)
    engine.host(Plugin("esamp", settings))
    with engine:
        requests = [request_for(p, i, seed=7 * i, temperature=1.0, max_tokens=24) for p in prompts for i in range(8)]
        trace = traced(engine, guided(requests))
        vocabulary, report = engine._running.decoder._vocabulary, report_of(engine)
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(resolve(SMOLLM2), dtype="float32")
    twin = EngineTwin(model, ESampSettings(**settings), vocabulary)
    expected = twin.replay(trace)
    assert len(expected) > 500
    assert max(abs(token.row.logprobs[token.place] - token.logprob) for token in expected) < 1e-3
    check_measurements(trace, expected)
    check_figures(report, trace, twin, len(expected))
    assert report.figures["last_loss"] < report.figures["first_loss"]
    assert report.warnings == ()
