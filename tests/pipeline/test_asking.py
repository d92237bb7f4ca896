"""Reward engines that ask another engine: one engine for both, each reply once, all that was paid for on record."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from search_parts import SHORT, ShuffledEngine, Table

from tts.engines.replay import ReplayEngine
from tts.engines.reward.p_true import PTrue
from tts.errors import CallError
from tts.pipeline.calls import SearchCalls
from tts.types import Completion, Piece

STEPS = (Piece("first "), Piece("second "), Piece("third"))


class Judging(ShuffledEngine):
    """Writes words, and has an opinion that is a function of the question."""

    def __init__(self, batch_size: int = 8, order: int = 0) -> None:
        super().__init__(batch_size, order)
        self.cancelled = list[str]()

    def cancel(self, problem_id: str, key: str) -> None:
        self.cancelled.append(key)
        super().cancel(problem_id, key)

    def reply(self, call: Any) -> Any:
        if not call.decoding.ask_tokens:
            return super().reply(call)
        sure = -float(len(call.messages[-1].content) % 7 + 1)
        return Completion(call.problem_id, call.key, "Y", "length", 40, 1, asked_logprobs=(sure, -3.0))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("order", range(6))
def test_one_engine_draws_and_rates_in_any_order(tmp_path: Path, order: int) -> None:
    judge, policy = PTrue(), Judging(3, order)

    async def search(calls: SearchCalls) -> list[Any]:
        drawn, rated = calls.generate(SHORT), [calls.rewards(judge, STEPS[:end]) for end in (1, 2, 3)]
        return [(await drawn).text, *[(await one).values for one in rated]]

    text, *values = Table(tmp_path).result(search, {"engine": policy, "sampler.reward": judge})
    lengths = [len(one.messages[-1].content) for one in judge.questions(request_of(judge))]
    expected = tuple(sigmoid(3.0 - (length % 7 + 1)) for length in lengths)
    assert text
    assert values == [pytest.approx(expected[:end]) for end in (1, 2, 3)]
    assert len(policy.asked) == len(set(policy.asked)) == 1 + 1 + 2 + 3


def request_of(judge: PTrue) -> Any:
    from search_parts import MESSAGES

    from tts.types import RewardRequest

    del judge
    return RewardRequest("p", "0", MESSAGES, tuple(piece.text for piece in STEPS))


def test_what_is_on_record_is_the_reward_with_all_that_its_questions_took(tmp_path: Path) -> None:
    judge = PTrue()

    async def search(calls: SearchCalls) -> Any:
        return (await calls.rewards(judge, STEPS)).values

    table, engines = Table(tmp_path), {"engine": Judging(2), "sampler.reward": judge}
    first = table.result(search, engines)
    [line] = [json.loads(line) for line in table.lines]
    assert line["engine"] == "sampler.reward"
    assert line["rewards"] == {"values": list(first), "num_prompt_tokens": 120, "num_tokens": 3}
    silent = Judging(2)
    assert table.result(search, {"engine": silent, "sampler.reward": judge}) == first
    assert silent.asked == []


def test_an_engine_of_its_own_is_asked_alone(tmp_path: Path) -> None:
    judge = PTrue(engine=ReplayEngine(script=[{"text": "Yes", "asked_logprobs": {"Yes": -1.0, "No": -1.0}}]))

    async def search(calls: SearchCalls) -> Any:
        return (await calls.rewards(judge, STEPS)).values

    policy = Judging()
    assert judge.engine is not None
    judge.engine.open()
    engines = {"engine": policy, "sampler.reward": judge, "sampler.reward.engine": judge.engine}
    assert Table(tmp_path).result(search, engines) == (0.5, 0.5, 0.5)
    assert policy.asked == []


@pytest.mark.parametrize("size", [1, 2, 8])
@pytest.mark.parametrize("order", range(4))
def test_rewards_that_are_given_up_leave_no_question_behind(tmp_path: Path, size: int, order: int) -> None:
    judge, policy = PTrue(), Judging(size, order)

    async def search(calls: SearchCalls) -> Any:
        rated = [calls.rewards(judge, STEPS) for _ in range(4)]
        kept = await rated[0]
        for one in rated[1:]:
            one.cancel()
        with pytest.raises(CallError, match="cancelled"):
            await rated[2]
        return (await calls.generate(SHORT)).text, kept.values

    table = Table(tmp_path)
    _, values = table.result(search, {"engine": policy, "sampler.reward": judge})
    assert len(values) == 3
    rewards = [json.loads(line)["rewards"] for line in table.lines if b'"rewards"' in line]
    num_read = sum(one["num_prompt_tokens"] for one in rewards)
    num_questions = len(policy.asked) - 1  # each read 40 tokens, or 1 where it was cancelled
    assert num_read == 40 * (num_questions - len(policy.cancelled)) + len(policy.cancelled)
    assert len({json.loads(line)["key"] for line in table.lines}) == len(table.lines)


def test_a_question_that_fails_is_the_error_of_the_reward(tmp_path: Path) -> None:
    class Broken(Judging):
        def reply(self, call: Any) -> Any:
            if call.key.endswith("?1"):
                return Completion(call.problem_id, call.key, "", "error", 7, 0, error="too long")
            return super().reply(call)

    judge = PTrue()

    async def search(calls: SearchCalls) -> Any:
        with pytest.raises(CallError, match="too long"):
            await calls.rewards(judge, STEPS)
        return (await calls.rewards(judge, ())).values

    table = Table(tmp_path)
    assert table.result(search, {"engine": Broken(), "sampler.reward": judge}) == ()
    assert json.loads(table.lines[0])["rewards"]["num_prompt_tokens"] == 40 + 7 + 40
