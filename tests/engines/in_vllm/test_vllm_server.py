"""The engine `openai` on vLLM's own server, in 32 bits, one request at a time: what the engine in this process says."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

pytest.importorskip("vllm", reason="needs vLLM (make test-vllm)")

from vllm_parts import SMOLLM2, guided, opened, requests, serving

from tts.cli.serving import SERVER, serve_command
from tts.engines.openai import OpenAIEngine
from tts.engines.openai.reward import OpenAIReward
from tts.errors import EngineError, EngineLoadError
from tts.pipeline.run import open_run
from tts.recipe import load_recipe
from tts.types import Completion, Decoding, Message, Piece, Request

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore")]
SMALL = (
    f"engine.model={SMOLLM2}",
    "engine.dtype=float32",
    "engine.batch_size=6",
    "engine.max_model_len=512",
    "engine.kv_cache_mb=256",
    "engine.enforce_eager=true",
    "sampler.num_candidates=4",
    "sampler.max_tokens=24",
)
ASK = (Message("user", "How many days has a year?"),)


@pytest.fixture(scope="module")
def server():
    """A server with our plugin."""
    with serving(shlex.join(serve_command(load_recipe("aime_esamp", SMALL)))) as address:
        yield address


def each(engine, asked: list[Request]) -> list[Completion]:
    """Ask one after the other."""
    found = []
    for one in asked:
        engine.add(one)
        while True:
            came = engine.step()
            if came:
                found += came
                break
    return found


def ask(key: str, text: str = "", **decoding) -> Request:
    how = Decoding(**{"max_tokens": 16, "temperature": 0.0, **decoding})
    return Request("p", key, ASK, how, 1, "test", prefix=(Piece(text),) if text else ())


def test_the_same_text_tokens_and_probabilities_as_in_this_process(server):
    asked = [replace(one, decoding=replace(one.decoding, temperature=0.0)) for one in requests(num=2)]
    asked += [ask("on", "A year has"), ask("blank", "A year has "), ask("stop", stop=("a", "e"))]
    asked += [ask("named", max_tokens=1, ask_tokens=("A", "The", "There"))]
    engine = OpenAIEngine(base_url=server, model="small", record_token_logprobs=True)
    all_that_some_server_can = engine.capabilities()
    with engine:
        told = each(engine, asked)
        assert engine.capabilities() == all_that_some_server_can, engine.found()
    with opened(dtype="float32") as engine:
        own = each(engine, asked)
    for here, there in zip(own, told, strict=True):
        assert there.error is None
        assert (there.text, there.stop, there.finish_reason) == (here.text, here.stop, here.finish_reason)
        assert (there.num_prompt_tokens, there.num_tokens) == (here.num_prompt_tokens, here.num_tokens)
        if here.asked_logprobs is not None:
            assert there.asked_logprobs == pytest.approx(here.asked_logprobs, abs=1e-3)
        else:
            assert there.cumulative_logprob == pytest.approx(here.cumulative_logprob, abs=1e-2)
            assert len(there.token_logprobs) == len(here.token_logprobs)
        if there.token_ids is not None:
            assert list(there.token_ids) == list(here.token_ids)
    assert told[0].token_ids is not None


def test_the_prompt_is_told_as_the_engine_in_this_process_renders_it(server):
    asked = [ASK, (Message("system", "Be brief."), *ASK), (*ASK, Message("assistant", "A year has "))]
    with OpenAIEngine(base_url=server, model="small") as engine:
        told = [engine.render(messages) for messages in asked]
    closed = OpenAIEngine(base_url=server, model="small").render(ASK)
    with opened(dtype="float32") as engine:
        assert told == [engine.render(messages) for messages in asked]
    assert closed == told[0]


def test_a_model_that_writes_is_no_reward_model(server):
    with (
        pytest.raises(EngineError, match=r"pooling answers HTTP 404.*--runner pooling"),
        OpenAIReward(base_url=server, model="small", format="outcome"),
    ):
        pass


def test_esamp_guides_through_vllm_xargs(server):
    asked = requests(num=4, temperature=1.0)
    with OpenAIEngine(base_url=server, model="small") as engine:
        texts = {}
        for beta in (0.0, 3.0):
            for one in guided(asked, beta, f"{beta}"):
                engine.add(one)
            found: list[Completion] = []
            while len(found) < len(asked):
                found += engine.step()
            texts[beta] = {(one.problem_id, one.key): one.text for one in found}
            assert {one.error for one in found} == {None}
    assert texts[0.0] != texts[3.0]


def test_a_cancelled_request_ends_on_the_server(server):
    with OpenAIEngine(base_url=server, model="small") as engine:
        engine.add(ask("long", max_tokens=400, temperature=1.0))
        while engine.num_generated_tokens < 1:
            engine.step()
        engine.cancel("p", "long")
        (cut,) = [one for _ in range(20) for one in engine.step()][:1]
        assert (cut.finish_reason, bool(cut.text)) == ("cancelled", True)
        assert each(engine, [ask("next")])[0].error is None


def test_a_server_without_the_plugin_is_refused_for_esamp(tmp_path):
    options = {"--model": _file(), "--dtype": "float32", "--max-model-len": "512", "--max-num-seqs": "4"}
    words = [*SERVER, *(word for pair in options.items() for word in pair), "--enforce-eager"]
    words += ["--kv-cache-memory-bytes", str(256 * 2**20)]
    with serving(shlex.join(words)) as address:
        recipe = load_recipe("aime_openai", [f"engine.base_url={address}", "engine.model=small", "sampler=esamp"])
        with (
            pytest.raises(EngineLoadError, match=r"`esamp` of `engine`.*taken without a word"),
            open_run(recipe, [{"id": "a", "problem": "What is 1 + 1?"}], tmp_path / "run") as run,
        ):
            list(run.outcomes())
        assert (tmp_path / "run" / "candidates.jsonl").read_bytes() == b""


def _file() -> str:
    from tts.models.pretrained import resolve

    return resolve(SMOLLM2)
