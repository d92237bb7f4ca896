"""The replay engine: what it hands out, in which order, and what it says when something is missing or wrong."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tts.engines.replay import ReplayEngine
from tts.errors import EngineError
from tts.protocols import FILTERS
from tts.runs.candidates import candidate_of
from tts.types import Candidate, Completion, Decoding, Message, Request

ASK = (Message("system", "Be brief."), Message("user", "What is 6*7?"))


def request(problem_id: str, index: int, *, seed: int = 0, sampler: str = "temperature") -> Request:
    return Request(problem_id, str(index), ASK, Decoding(max_tokens=64), seed, sampler)


def replay(engine: ReplayEngine, requests: Iterable[Request]) -> list[Candidate]:
    """All requests at once; candidates in the order in which the engine hands them out."""
    with engine:
        asked: dict[tuple[str, str], Request] = {}
        for each in requests:
            engine.add(each)
            asked[each.problem_id, each.key] = each
        done: list[Completion] = []
        while len(done) < len(asked):
            done += engine.step()
        assert engine.step() == []
    drawn = [(asked[one.problem_id, one.key], one) for one in done]
    return [candidate_of(one, int(one.key), each.seed, each.sampler, engine.thinking_tags) for each, one in drawn]


def write(path: Path, rows: Iterable[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_a_script_is_cycled_by_candidate_index() -> None:
    engine = ReplayEngine(script=["one", "two", "three"])
    done = replay(engine, [request(problem, index) for problem in ("p", "q") for index in (4, 0, 1)])
    assert [(c.problem_id, c.index, c.text) for c in done] == [
        ("p", 4, "two"),
        ("p", 0, "one"),
        ("p", 1, "two"),
        ("q", 4, "two"),
        ("q", 0, "one"),
        ("q", 1, "two"),
    ]


def test_a_script_by_problem_falls_back_on_the_star() -> None:
    engine = ReplayEngine(script={"p": ["for p"], "*": ["for others", "again"]})
    done = replay(engine, [request("p", 1), request("q", 1), request("r", 2)])
    assert [c.text for c in done] == ["for p", "again", "for others"]


def test_a_problem_that_the_script_lacks_becomes_an_error_candidate() -> None:
    done = replay(ReplayEngine(script={"p": ["for p"]}), [request("p", 0), request("q", 0)])
    assert [c.finish_reason for c in done] == ["stop", "error"]
    assert done[1].error == "the script has no completions for problem 'q'"
    assert (done[1].text, done[1].num_tokens) == ("", 0)


def test_a_scripted_text_counts_words_as_tokens() -> None:
    script: list[Any] = [
        "The answer is 42.",
        {"text": "42", "reasoning": "six times seven"},
        {"text": "", "num_tokens": 9},
    ]
    done = replay(ReplayEngine(script=script), [request("p", index, seed=index + 5) for index in range(3)])
    assert [c.num_tokens for c in done] == [4, 4, 9]
    assert {c.num_prompt_tokens for c in done} == {5}  # Be brief. What is 6*7?
    assert [(c.seed, c.sampler, c.mean_logprob) for c in done] == [(5 + i, "temperature", None) for i in range(3)]


def test_the_keys_of_a_scripted_completion_reach_the_candidate() -> None:
    entry = {"text": "4", "finish_reason": "length", "mean_logprob": -0.5, "token_logprobs": [-0.25, -0.75], "seed": 3}
    (candidate,) = replay(ReplayEngine(script=[entry]), [request("p", 0)])
    assert (candidate.finish_reason, candidate.mean_logprob, candidate.seed) == ("length", -0.5, 3)
    assert candidate.token_logprobs == (-0.25, -0.75)


def test_a_run_folder_gives_back_its_candidates_unchanged(tmp_path: Path) -> None:
    stored = [
        Candidate(
            "p", 1, "½ is", "hm", "length", 7, 9, -4.5, -0.5, 1.25, 99, "mixture/hot", (-1.0, -3.5), None, {"kv": 2.0}
        ),
        Candidate("q", 0, "", None, "error", 7, 0, None, None, None, 98, "greedy", None, "out of memory"),
        Candidate("p", 0, "two\nlines", None, "stop", 7, 3, None, None, None, 97, "greedy"),
    ]
    write(tmp_path / "candidates.jsonl", [asdict(candidate) for candidate in stored])
    done = replay(ReplayEngine(source=str(tmp_path)), [request("p", 0), request("q", 0), request("p", 1)])
    assert done == [stored[2], stored[1], stored[0]]


def test_rows_without_index_are_numbered_by_problem(tmp_path: Path) -> None:
    rows = [{"problem_id": problem, "text": f"{problem}{i}"} for i in range(2) for problem in ("p", "q")]
    engine = ReplayEngine(source=write(tmp_path / "rows.jsonl", rows))
    done = replay(engine, [request("q", 1), request("p", 0), request("p", 1)])
    assert [(c.text, c.seed, c.sampler) for c in done] == [(text, 0, "temperature") for text in ("q1", "p0", "p1")]


def test_what_the_file_lacks_becomes_an_error_candidate_that_says_so(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", [{"problem_id": "p", "text": "a"}, {"problem_id": "q", "text": "b"}])
    done = replay(ReplayEngine(source=source), [request("p", 0), request("p", 1), request("r", 0)])
    assert [c.finish_reason for c in done] == ["stop", "error", "error"]
    assert done[1].error == f"{source} holds no candidate 1 of problem 'p', only 1 of its others"
    assert done[2].error == f"{source} holds no candidate 0 of problem 'r', nor any other of it"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{bad", "rows.jsonl:3 is no completion"),
        ('"text"', "rows.jsonl:3 is no completion"),
        ('{"problem_id": "p"}', "rows.jsonl:3 is no completion: `text`: Field required"),
        ('{"text": "a"}', "rows.jsonl:3 is no completion: `problem_id`: Field required"),
        ('{"problem_id": 7, "text": "a"}', "rows.jsonl:3 is no completion: `problem_id`"),
        ('{"problem_id": "p", "text": "a", "index": -1}', "rows.jsonl:3 is no completion: `index`"),
        ('{"problem_id": "p", "text": "a", "mean_logpob": -1}', "rows.jsonl:3 is no completion: `mean_logpob`"),
        (
            '{"problem_id": "p", "text": "a", "finish_reason": "error"}',
            "rows.jsonl:3 is no completion.*`error` must be",
        ),
        ('{"problem_id": "p", "text": "a", "index": 0}', "rows.jsonl:3: candidate 0 of problem 'p' is there twice"),
        ('{"problem_id": "p", "te', "rows.jsonl:3 is no completion.*cut off"),
    ],
)
def test_a_wrong_line_is_named_when_the_engine_opens(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "rows.jsonl"
    end = "" if "cut off" in said else "\n"
    path.write_text('{"problem_id": "p", "text": "fine", "index": 0}\n\n' + line + end)
    with pytest.raises(EngineError, match=said):
        ReplayEngine(source=str(path)).open()


def test_a_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b'{"problem_id": "p", "text": "fine"}\n{"problem_id": "p", "text": "\xff"}\n')
    with pytest.raises(EngineError, match=r"rows\.jsonl:2 is no completion"):
        ReplayEngine(source=str(tmp_path / "rows.jsonl")).open()


def test_a_source_that_cannot_be_read_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    for source in (tmp_path / "nowhere.jsonl", tmp_path):
        engine = ReplayEngine(source=str(source))
        for act in (engine.capabilities, engine.open):
            with pytest.raises(EngineError, match="`source` must be a run folder or a JSONL file"):
                act()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "exactly one of `source` and `script`"),
        ({"source": "a", "script": ["b"]}, "exactly one of `source` and `script`"),
        ({"script": []}, "at least 1 item"),
        ({"script": {"p": []}}, "at least 1 item"),
        ({"script": [7]}, "script"),
        ({"script": "a"}, "script"),
        ({"script": [{"txt": "a"}]}, "txt"),
        ({"script": ["a"], "batch_size": 0}, "batch_size"),
        ({"script": ["a"], "delay_seconds": -1}, "delay_seconds"),
        ({"script": ["a"], "delay_seconds": float("inf")}, "delay_seconds"),
        ({"script": ["a"], "crash_after": -1}, "crash_after"),
        ({"script": ["a"], "failures": [{"index": 0}]}, "problem_id"),
    ],
)
def test_a_wrong_recipe_section_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ReplayEngine(**keys)


def test_a_script_is_written_out_as_short_as_it_was_and_read_back_the_same() -> None:
    script = {"p": ["one", {"text": "two", "mean_logprob": -1.0}], "*": [{"text": "three"}]}
    engine = ReplayEngine(script=script)
    written = engine.model_dump(mode="json")["script"]
    assert written == {"p": ["one", {"text": "two", "mean_logprob": -1.0}], "*": ["three"]}
    assert ReplayEngine(script=written) == engine
    assert ReplayEngine.model_validate_json(json.dumps({"script": script})) == engine


@pytest.mark.parametrize(
    ("script", "brought"),
    [
        (["a", "b"], set()),
        ([{"text": "a", "mean_logprob": -1.0}, "b"], set()),
        (
            [{"text": "a", "mean_logprob": -1.0}, {"text": "b", "mean_logprob": -2.0, "self_certainty": 1.0}],
            {"logprobs"},
        ),
        (
            [{"text": "a", "self_certainty": 2.0}, {"text": "", "finish_reason": "error", "error": "e"}],
            {"self_certainty"},
        ),
        ([{"text": "", "finish_reason": "error", "error": "e"}], set()),
        ([{"text": "", "finish_reason": "cancelled"}, {"text": "a", "mean_logprob": -1.0}], {"logprobs"}),
    ],
)
def test_the_completions_decide_what_scorers_may_read(tmp_path: Path, script: list[Any], brought: set[str]) -> None:
    always = {"deterministic", "seeds", "stop_strings", "prefix"} | FILTERS
    assert ReplayEngine(script=script).capabilities() == always | brought
    rows = [{"problem_id": "p", **({"text": entry} if isinstance(entry, str) else entry)} for entry in script]
    from_file = ReplayEngine(source=write(tmp_path / "rows.jsonl", rows)).capabilities()
    assert from_file >= always | brought, "a file is judged by its first completion"


def test_an_empty_source_brings_nothing_and_holds_nothing(tmp_path: Path) -> None:
    engine = ReplayEngine(source=write(tmp_path / "rows.jsonl", []))
    assert engine.capabilities() == {"deterministic", "seeds", "stop_strings", "prefix"} | FILTERS
    assert [c.finish_reason for c in replay(engine, [request("p", 0), request("q", 0)])] == ["error", "error"]


def test_scripted_failures_strike_the_named_candidates_only() -> None:
    failures = [{"problem_id": "p", "index": 1, "error": "out of memory"}, {"problem_id": "q", "index": 0}]
    engine = ReplayEngine(script=["a"], failures=failures)
    done = replay(engine, [request(problem, index) for problem in ("p", "q") for index in (0, 1)])
    assert [c.error for c in done] == [None, "out of memory", "scripted failure", None]
    assert [c.finish_reason for c in done] == ["stop", "error", "error", "stop"]


@pytest.mark.parametrize("crash_after", [0, 1, 5])
def test_a_scripted_crash_comes_after_that_many_completions(crash_after: int) -> None:
    engine = ReplayEngine(script=["a"], crash_after=crash_after, batch_size=2)
    done: list[Candidate] = []
    with engine:
        for index in range(8):
            engine.add(request("pq"[index % 2], index))
        while len(done) < crash_after:
            done += engine.step()
        with pytest.raises(EngineError, match=f"after {crash_after} completions"):
            engine.step()
    assert len(done) == crash_after


def test_no_crash_where_the_work_ends_first() -> None:
    assert len(replay(ReplayEngine(script=["a"], crash_after=2), [request("p", 0), request("q", 0)])) == 2


def test_the_quicker_completion_overtakes_the_slower_one() -> None:
    engine = ReplayEngine(script=[{"text": "slow", "delay_seconds": 0.15}, "quick"])
    done = replay(engine, [request(problem, index) for problem in ("p", "q") for index in (0, 1)])
    assert [c.text for c in done] == ["quick", "quick", "slow", "slow"]


def test_a_step_returns_although_nothing_is_ready() -> None:
    with ReplayEngine(script=["a"], delay_seconds=3600) as engine:
        engine.add(request("p", 0))
        engine.add(request("q", 0))
        assert engine.step() == []


def test_a_cancelled_request_comes_back_once_without_text() -> None:
    with ReplayEngine(script=["some text"], delay_seconds=3600, batch_size=1) as engine:
        engine.add(request("p", 0))
        engine.add(request("q", 0))
        engine.step()
        engine.cancel("p", "0")  # runs
        engine.cancel("q", "0")  # waits
        engine.cancel("r", "0")  # unknown
        done = engine.step() + engine.step()
        assert [(c.problem_id, c.finish_reason, c.text, c.num_tokens) for c in done] == [
            ("p", "cancelled", "", 0),
            ("q", "cancelled", "", 0),
        ]
        assert engine.num_free == 1


def test_the_engine_wants_as_many_requests_as_its_batch_holds() -> None:
    with ReplayEngine(script=["two words"], batch_size=3) as engine:
        assert engine.num_free == 3
        for index in range(4):
            engine.add(request("p", index))
        assert engine.num_free == 0
        assert [c.key for c in engine.step()] == ["0", "1", "2"]
        assert (engine.num_free, engine.num_generated_tokens) == (2, 6)
        assert [c.key for c in engine.step()] == ["3"]
        assert (engine.num_free, engine.num_generated_tokens) == (3, 8)


def test_render_shows_the_contents_and_counts_their_words() -> None:
    assert ReplayEngine(script=["a"]).render(ASK) == ("Be brief.\n\nWhat is 6*7?", 5)


def test_an_engine_that_is_not_open_says_so() -> None:
    engine = ReplayEngine(script=["a"])
    engine.close()
    with pytest.raises(EngineError, match="must be opened"):
        engine.add(request("p", 0))
    with engine:
        engine.add(request("p", 0))
    with pytest.raises(EngineError, match="must be opened"):
        engine.step()


@given(
    asked=st.lists(st.tuples(st.sampled_from("pqr"), st.integers(0, 9)), unique=True, max_size=30),
    batch_size=st.integers(1, 7),
)
def test_every_request_comes_back_exactly_once(asked: list[tuple[str, int]], batch_size: int) -> None:
    engine = ReplayEngine(script={"p": ["a", "b"], "q": ["c"]}, batch_size=batch_size)
    done = replay(engine, [request(problem, index) for problem, index in asked])
    assert Counter((c.problem_id, c.index) for c in done) == Counter(asked)


def test_every_recipe_key_is_described() -> None:
    assert all(field.description for field in ReplayEngine.model_fields.values())
