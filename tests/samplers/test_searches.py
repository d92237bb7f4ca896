"""Every searching sampler: the same candidates whatever the batch size and whatever comes first."""

from __future__ import annotations

import ast
import inspect
import io
import json
import random
import tokenize
from pathlib import Path

import pytest

from tts.components import registry
from tts.engines.replay import ReplayEngine
from tts.protocols import SearchingSampler
from tts.testing import OrderMattersError, converse
from tts.types import Completion, Grouping, Problem, Request

PROBLEM = Problem("p", "What is 3 + 7?", "math", public_tests=["assert f(3, 7) == 10"])
WORDS = ("so", "then", "we", "add", "three", "and", "seven", "which", "gives", "ten", "but", "wait", "maybe", "eleven")
KEYS = {
    "budget_forcing": {"max_thinking_tokens": 60, "num_waits": 2},
    "budget_sweep": {"budgets": [5, 9, 20], "max_thinking_tokens": 60},
    "ab_mcts": {"max_expansions": 80},
    "adaptive_consistency": {"num_candidates": 40},
    "esc": {"num_candidates": 40, "window": 3},
    "deepconf": {"num_candidates": 40, "warmup": 6, "consensus": 0.9},
    "gensynth": {"syntheses": 3},
    "self_refine": {"chains": 2},
    "self_debug": {"chains": 4},
    "tree_of_thoughts": {"num_candidates": 3, "num_steps": 2, "num_evaluations": 2},
}
SEARCHES = sorted(name for name in registry.builtin("samplers") if hasattr(registry.load("samplers", name), "search"))


def sampler(name: str, **keys: object) -> SearchingSampler:
    found = registry.load("samplers", name)
    reward = {"reward": ReplayEngine(rewards=(0.5,))} if "reward" in found.model_fields else {}
    return found(**reward, **{"num_candidates": 8, **KEYS.get(name, {}), **keys})


def reply(request: Request) -> Completion:
    """Write steps that become likelier to end the deeper they are, and answers that mostly agree; hold a floor."""
    written = "".join(piece.text for piece in request.prefix)
    if request.messages[0].role == "runner":
        cases = [["ok", ""], ["wrong_answer", "got 8"]][: 1 + request.seed % 2]
        return Completion(request.problem_id, request.key, json.dumps(cases), "stop", 0, 0)
    asked = request.messages[0].content
    if "possible next steps" in asked or "lead to the right answer" in asked:
        lines = random.Random(request.seed).choices(("add", "sure", "likely", "impossible", "multiply"), k=3)
        return Completion(request.problem_id, request.key, "\n".join(lines), "stop", 9, 3)
    chance = random.Random(f"{written}|{request.seed}")
    words = [chance.choice(WORDS) for _ in range(chance.randint(3, 12))]
    text, stop, finish = " ".join(words), None, "stop"
    depth = written.count("\n\n")
    if request.decoding.stop and chance.random() > 0.15 * depth:
        stop = request.decoding.stop[-1]
        text += stop
    elif chance.random() < 0.1:
        finish = "length"
    else:
        text += f" \\boxed{{{chance.choice((7, 7, 7, 8, 9))}}}"
    least, floor = chance.choice((2.0, 3.0, 4.0)), request.decoding.floor
    if floor is not None and least < floor.threshold:
        text, finish, stop = " ".join(words), "abandoned", None
    stats = {} if floor is None else {"least_confidence": least}
    read = len(written.split())
    return Completion(request.problem_id, request.key, text, finish, read, len(words), stop=stop, engine_stats=stats)


def reads(_: Problem, answers: tuple[str | None, ...]) -> Grouping:
    values = [None if one is None or "boxed" not in one else one[-2] for one in answers]
    first: dict[str, int] = {}
    return Grouping(tuple(None if value is None else first.setdefault(value, len(first)) for value in values))


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_comes_out_the_same_in_every_order_of_arrival(name: str) -> None:
    candidates = converse(sampler(name), PROBLEM, reply, reads=reads)
    assert candidates
    assert len({candidate.index for candidate in candidates}) == len(candidates)
    assert all(candidate.num_tokens for candidate in candidates if candidate.finish_reason != "error")


def test_all_searches_of_the_package_are_tried() -> None:
    assert len(SEARCHES) >= 8


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_is_short(name: str) -> None:
    """Under 60 lines of code, so that it reads like its paper; docstrings, comments and blank lines aside."""
    path = inspect.getsourcefile(registry.load("samplers", name))
    assert path is not None
    code = Path(path).read_text(encoding="utf-8")
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = set[int]()
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type not in blank:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or 0) + 1))
    assert 10 < len(lines) < 60


class Impatient(registry.load("samplers", "esc")):  # type: ignore[misc]
    """Looks at what came first."""

    async def search(self, problem: Problem, calls: object) -> None:
        del problem
        asked = [calls.generate(self.decoding()) for _ in range(4)]  # type: ignore[attr-defined]
        shared: list[Completion] = []

        async def wait(mine: object, one: object) -> None:
            del mine
            shared.append(await one)  # type: ignore[misc]

        for branch in [calls.branch(wait, one) for one in asked]:  # type: ignore[attr-defined]
            await branch
        calls.emit(0, (shared[0].piece,), "stop")  # type: ignore[attr-defined]


def test_a_search_that_depends_on_what_came_first_is_found_out() -> None:
    with pytest.raises(OrderMattersError, match="candidate 0"):
        converse(Impatient(), PROBLEM, reply)
