"""What a run has been charged for, from the lines of its folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tts.runs.folder import RunFolder
from tts.runs.ledger import added, charge_of, ledger, priced, superseded
from tts.runs.records import dumps
from tts.types import Candidate, Completion, Spent


def candidate(problem_id: str, index: int, num_tokens: int) -> Candidate:
    return Candidate(problem_id, index, "x", None, "stop", 7, num_tokens, None, None, None, 0, "temperature")


def test_a_ledger_is_the_sum_over_the_lines() -> None:
    lines = [candidate("a", 0, 5), candidate("a", 1, 6)]
    assert ledger(lines) == {"engine": Spent(2, 14, 11)}
    assert ledger([]) == {"engine": Spent(0, 0, 0)}
    assert added([ledger(lines[:1]), ledger(lines[1:]), {"judge": Spent(1, 2, 3)}]) == {
        "engine": Spent(2, 14, 11),
        "judge": Spent(1, 2, 3),
    }


def test_what_was_drawn_anew_was_paid_for_too(tmp_path: Path) -> None:
    assert superseded(tmp_path) == {}
    with RunFolder(tmp_path) as folder:
        folder["candidates.jsonl"].append(candidate("a", 0, 5), candidate("a", 1, 6), candidate("b", 0, 9))
        folder.set_aside(lambda key: (key.problem_id, key.index) == ("a", 1))
    again = superseded(tmp_path)
    assert set(again) == {"a"}
    assert ledger([candidate("a", 0, 5), *again["a"]]) == {"engine": Spent(2, 14, 11)}


def test_a_call_that_nobody_was_told_counts_what_it_read_anew_and_wrote_as_untold() -> None:
    call = Completion("p", "0", "x", "stop", num_prompt_tokens=10, num_tokens=4, num_cached_tokens=7)
    assert charge_of(call, told=True) == Spent(1, 10, 4, cached_tokens=7)
    assert charge_of(call, told=False) == Spent(1, 10, 4, cached_tokens=7, untold_tokens=3 + 4)


def test_flops_are_two_a_parameter_and_token_that_is_read_anew_or_written() -> None:
    account = {"engine": Spent(1, 10, 4, cached_tokens=7), "judge": Spent(2, 5, 0)}
    assert priced(account, {"engine": 1000}) == {
        "engine": Spent(1, 10, 4, cached_tokens=7, flops=2.0 * 1000 * (10 - 7 + 4)),
        "judge": Spent(2, 5, 0),
    }
    twice = added([priced(account, {"engine": 1000})] * 2)
    assert twice["engine"].flops == 2 * 2.0 * 1000 * 7
    assert twice["judge"].flops is None


def test_what_a_server_did_not_count_is_told_apart() -> None:
    call = Completion("p", "0", "x", "stop", num_prompt_tokens=10, num_tokens=None)
    assert charge_of(call, told=True) == Spent(1, 10, 0, num_uncounted=1)
    lines = [candidate("a", 0, 5), replace(candidate("a", 1, 5), num_tokens=None)]
    assert ledger(lines) == {"engine": Spent(2, 14, 5, num_uncounted=1)}


def test_what_is_not_known_or_nothing_is_left_out_of_a_line() -> None:
    assert dumps(Spent(1, 2, 3)) == b'{"num_calls": 1, "prompt_tokens": 2, "written_tokens": 3}\n'
