"""Reward models behind a URL: what is read of an answer, what comes of failures, and that nothing is claimed unseen."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from command_parts import tts
from pydantic import ValidationError
from reward_server_parts import RATES, RewardServer, ids_of, numbers_at
from server_parts import GOOD, FakeServer

from tts.engines.openai import OpenAIEngine
from tts.engines.openai.reward import OpenAIReward
from tts.errors import CapReachedError, EngineError
from tts.pipeline.run import open_run
from tts.recipe import load_recipe
from tts.types import Decoding, Message, Request, RewardRequest, Rewards

ASK = (Message("user", "What is 3 plus 7?"),)
STEPS = ("Three first.\n\n", "Then seven.\n\n", "So ten")
USER, TURN = "<user What is 3 plus 7? > ", "<assistant "
QUICK: dict[str, Any] = {"model": "tiny", "silence_seconds": 1.0, "max_tries": 3}
READ = {  # format → what stands before each step's value
    "outcome": [f"{USER}{TURN}{text} >" for text in ("Three first.", "Three first. Then seven.", "".join(STEPS))],
    "qwen_prm": [
        f"{USER}{TURN}{text}<extra_0>"
        for text in (
            "Three first.",
            "Three first.<extra_0>Then seven.",
            "Three first.<extra_0>Then seven.<extra_0>So ten",
        )
    ],
    "math_shepherd": [
        f"What is 3 plus 7? {text} ки"
        for text in ("Three first.", "Three first. ки Then seven.", "Three first. ки Then seven. ки So ten")
    ],
    "rlhflow": [
        f"<user What is 3 plus 7? {text} > {TURN}"
        for text in (
            "Three first.",
            "Three first. > <assistant + > <user Then seven.",
            "Three first. > <assistant + > <user Then seven. > <assistant + > <user So ten",
        )
    ],
}  # fmt: skip


def rated(engine: OpenAIReward, *requests: RewardRequest, seconds: float = 30.0) -> list[Rewards]:
    found: dict[str, Rewards] = {}
    for one in requests:
        engine.add(one)
    end = time.monotonic() + seconds
    while len(found) < len(requests):
        for one in engine.step():
            assert one.key not in found
            found[one.key] = one
        assert time.monotonic() < end
    assert engine.step(0.05) == []
    return [found[one.key] for one in requests]


def step_on(engine: OpenAIReward) -> None:
    while True:
        engine.step()


def request(*steps: str, key: str = "0") -> RewardRequest:
    return RewardRequest("p", key, ASK, steps)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize("format_", READ)
def test_each_steps_value_is_that_of_what_the_authors_read_up_to_it(format_: str) -> None:
    num_labels = 2 if format_ == "qwen_prm" else 1
    with (
        RewardServer(num_labels=num_labels).running() as server,
        OpenAIReward(base_url=server.url, format=format_, **QUICK) as engine,
    ):
        before = server.num_read
        found, nothing = rated(engine, request(*STEPS), request(key="1"))
        read = server.num_read - before
        assert "own numbers" in engine.found()["rewards"]
        assert engine.opening.prompt_tokens == before > 0
    whole = format_ == "math_shepherd"
    numbers = [numbers_at(ids_of(text, whole=whole), num_labels) for text in READ[format_]]
    expected = [sigmoid(row[0] if num_labels == 1 else row[1] - row[0]) for row in numbers]
    assert found.values == pytest.approx(expected)
    assert (found.num_prompt_tokens, found.error) == (read, None)
    assert (nothing.values, nothing.num_prompt_tokens, nothing.error) == ((), 0, None)


def test_an_outcome_of_all_steps_as_it_is_and_before_the_padding() -> None:
    with RewardServer().running() as server:
        keys: dict[str, Any] = {"base_url": server.url, "format": "outcome", **QUICK}
        with OpenAIReward(rates="whole", activation="none", pad_token=">", **keys) as engine:
            (found,) = rated(engine, request(*STEPS))
    (number,) = numbers_at(ids_of(READ["outcome"][-1])[:-1])
    assert found.values == pytest.approx([number] * 3)


@pytest.mark.parametrize(
    ("does", "num_labels", "told"),
    [
        (GOOD, 1, r"pooling answers HTTP 404.*--runner pooling --convert classify"),
        (RATES - {"tokenize"}, 1, r"tokenize answers HTTP 404"),
        (RATES, 2, "must give 1 a place, and gives 2"),
        (RATES - {"activation"}, 1, "ignores `use_activation`"),
    ],
)
def test_a_server_that_is_not_seen_to_rate_is_refused(does: frozenset[str], num_labels: int, told: str) -> None:
    with (
        RewardServer(does, num_labels=num_labels).running() as server,
        pytest.raises(EngineError, match=told),
        OpenAIReward(base_url=server.url, format="outcome", **QUICK),
    ):
        pass


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("429:2", None),
        ("500:1", None),
        ("reset:1", None),
        ("mute:1", None),
        ("reset", "gave up after 3 tries"),
        ("html", "no OpenAI-compatible server"),
        ("json200", "another form than vLLM's"),
        ("list200", "another form than vLLM's"),
        ("400", "temperature is too high"),
        ("nan", "no numbers"),
    ],
)
def test_a_bad_server_gives_the_right_rewards_or_a_clear_error(
    kind: str, error: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tts.engines.openai.client.LONGEST_BACKOFF_SECONDS", 0.1)
    with (
        RewardServer().running() as server,
        OpenAIReward(base_url=server.url, format="outcome", rates="whole", **QUICK) as engine,
    ):
        bad, good = rated(engine, request(f"It is bad:{kind} here."), request("It is ten.", key="1"))
    text, fine = (f"{USER}{TURN}It is {one} >" for one in (f"bad:{kind} here.", "ten."))
    assert good.values == pytest.approx([sigmoid(numbers_at(ids_of(fine))[0])])
    if error is None:
        assert bad.values == pytest.approx([sigmoid(numbers_at(ids_of(text))[0])])
        assert bad.error is None
    else:
        assert bad.values == ()
        assert error in (bad.error or "")
    # What broke off was read, as far as anybody knows, and is paid for.
    broken = {"reset:1": 1, "mute:1": 1, "reset": 3}.get(kind, 0)
    answered = int(error is None or kind == "nan")
    assert bad.num_prompt_tokens == (broken + answered) * len(ids_of(text))


def test_a_wrong_key_ends_the_run() -> None:
    with RewardServer().running() as server, OpenAIReward(base_url=server.url, format="outcome", **QUICK) as engine:
        engine.add(request("It is bad:key here."))
        with pytest.raises(EngineError, match="HTTP 401"):
            step_on(engine)


@pytest.mark.parametrize("wait", [0.0, 0.3])
def test_what_is_cancelled_comes_back_once_even_before_it_began(wait: float) -> None:
    with RewardServer().running() as server:
        with OpenAIReward(base_url=server.url, format="outcome", **QUICK) as rewards:
            for number in range(20):
                rewards.add(request("It is bad:mute here.", key=str(number)))
            time.sleep(wait)
            for number in range(20):
                rewards.cancel("p", str(number))
            found = [one for _ in range(20) for one in rewards.step()]
            assert [one.error for one in found] == ["it was cancelled"] * 20
        with OpenAIEngine(base_url=server.url, **QUICK) as engine:
            for number in range(20):
                engine.add(Request("p", str(number), (Message("user", "bad:mute"),), Decoding(4, 1.0), 0, "test"))
            time.sleep(wait)
            for number in range(20):
                engine.cancel("p", str(number))
            cut = [one for _ in range(20) for one in engine.step()]
            assert [one.finish_reason for one in cut] == ["cancelled"] * 20
            assert engine.num_free == engine.max_concurrency


def test_what_cannot_be_read_is_an_error_of_its_own() -> None:
    with (
        RewardServer(num_labels=2).running() as server,
        OpenAIReward(base_url=server.url, format="qwen_prm", **QUICK) as engine,
    ):
        bad, good = rated(engine, request("a <extra_0> b"), request("a b", key="1"))
    assert "must not hold '<extra_0>'" in (bad.error or "")
    assert len(good.values) == 1
    for keys in (
        {"format": "skywork_prm"},
        {"format": "qwen_prm", "pad_token": "x"},
        {"format": "outcome", "good": "x"},
    ):
        with pytest.raises(ValidationError, match=r"skywork_prm|pad_token|good"):
            OpenAIReward(base_url="http://localhost/v1", model="m", **keys)


def recipe_of(folder: Path, server: FakeServer, **keys: Any) -> Path:
    reward = {"name": "openai_reward", "base_url": server.url, "format": "outcome", **QUICK, **keys}
    recipe = {
        "task": "math",
        "engine": {"name": "replay", "script": ["First.\n\nso \\boxed{2}", "or \\boxed{4}", "hence \\boxed{7}"]},
        "sampler": {"name": "temperature", "num_candidates": 3},
        "selector": {"name": "best_of_n", "scorer": {"name": "reward_model", "reward": reward}},
    }
    (folder / "r.yaml").write_text(json.dumps(recipe))
    return folder / "r.yaml"


ROWS = [{"id": f"p{number}", "problem": f"What is {number}?", "answer": "4"} for number in range(5)]
PLACE = "selector.scorer.reward"


def test_a_run_chooses_by_a_reward_model_behind_a_url_and_pays_what_the_server_counted(tmp_path: Path) -> None:
    with RewardServer().running() as server:
        with open_run(load_recipe(str(recipe_of(tmp_path, server))), ROWS, tmp_path / "run") as run:
            solutions = [outcome.solution for outcome in run.outcomes()]
        job = json.loads((tmp_path / "run/run.json").read_bytes())
    assert "own numbers" in job["found"][PLACE]["rewards"]
    spent = [one.usage.engines[PLACE] for one in solutions]
    assert sum(one.prompt_tokens for one in spent) == server.num_read - job["opening"][PLACE]["prompt_tokens"] > 0
    assert sum(one.num_calls for one in spent) == 15
    assert len({one.selection.answer for one in solutions}) > 1, "the reward decides"


@pytest.mark.parametrize("step", ["ten.", "bad:reset here."])
def test_a_cost_budget_is_never_passed_by_what_a_reward_model_reads(tmp_path: Path, step: str) -> None:
    rows = [{"id": str(number), "problem": f"What is {number}?"} for number in range(60)]
    with RewardServer().running() as server:
        path = recipe_of(tmp_path, server, price_read=1e6, max_tries=2)
        script = json.dumps([f"First.\n\nSecond.\n\n{step}"])
        recipe = load_recipe(str(path), [f"engine.script={script}"])
        with (
            pytest.raises(CapReachedError, match="the cost budget of 4000 is reached"),
            open_run(
                recipe,
                rows,
                tmp_path / "run",
                cost_budget=4000.0,
            ) as run,
        ):
            list(run.outcomes())
        assert 0 < server.num_read <= 4000


def test_doctor_says_that_a_server_rates(tmp_path: Path) -> None:
    with RewardServer().running() as server:
        keys = (f"base_url={server.url}", "model=tiny", "format=outcome")
        sets = [word for key in keys for word in ("--set", f"engine.{key}")]
        told = tts(tmp_path, "doctor", "--engine", "openai_reward", *sets)
    assert "openai_reward with tiny, opened in" in told.out, told
    assert "rewards        yes  /pooling gives the head's own numbers" in told.out
