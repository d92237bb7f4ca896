"""The tree of a search, from lines of calls.jsonl and candidates: every call once, behind what it goes on from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tts.runs.candidates import candidate_of
from tts.runs.files import AppendFile
from tts.runs.ledger import added
from tts.runs.search_tree import CallSeen, Outline, Reply, SearchTree, outline, parties, ranges, read_calls, search_tree
from tts.types import Candidate, Completion, Spent


def lines_of(folder: Path, *lines: dict[str, Any]) -> list[CallSeen]:
    path = folder / "calls.jsonl"
    path.write_text("".join(json.dumps({"problem_id": "p", **line}) + "\n" for line in lines))
    file = AppendFile(path)
    read = read_calls(file, [offset for offset, _ in file.lines()])
    file.close()
    return read


def step(key: str, after: str = "", text: str = "so", tokens: int = 2, **more: object) -> dict[str, Any]:
    reply = {"text": text, "finish_reason": "stop", "num_prompt_tokens": 5, "num_tokens": tokens}
    return {"key": key, "completion": reply, **({"after": after} if after else {}), **more}


def reward(key: str, after: str, *values: float) -> dict[str, Any]:
    line: dict[str, Any] = {
        "key": key,
        "engine": "sampler.reward",
        "rewards": {"values": values, "num_prompt_tokens": 7},
    }
    return line | ({"after": after} if after else {})


def candidate(index: int, *calls: str) -> Candidate:
    return replace(candidate_of(Completion("p", str(index), "so", "stop", 5, 2), index, 0, "test", None), calls=calls)


def drawn(shown: Outline) -> list[str]:
    return [
        f"{'  ' * row.depth}{'-' if row.heads else '|'} {row.step.key} {row.step.fate}"
        + (f" {row.reward}" if row.reward is not None else "")
        + (f" ({row.answers})" if row.answers else "")
        for row in shown.rows
    ]


BEAM = (
    step("1/0"),
    step("0/0"),
    reward("0/1", "0/0", 0.9),
    reward("1/1", "1/0", 0.1),
    step("2/0", "0/0"),
    step("3/0", "0/0"),
    reward("3/1", "3/0", 0.9, 0.2),
    reward("2/1", "2/0", 0.9, 0.8),
    step("10/0", "2/0"),
    reward("10/1", "10/0", 0.9, 0.8, 0.7),
)
LOOKS = ["- 0/0 kept 0.9", "  - 2/0 kept 0.8", "  | 10/0 kept 0.7", "  - 3/0 dropped 0.2", "- 1/0 dropped 0.1"]


def test_a_step_stands_behind_the_one_it_goes_on_from_with_its_reward_and_fate(tmp_path: Path) -> None:
    tree = search_tree(lines_of(tmp_path, *BEAM, {"end": True}), [candidate(0, "0/0", "2/0", "10/0")])
    assert (tree.over, tree.error, tree.num_candidates) == (True, None, 1)
    assert drawn(outline(tree, 100)) == LOOKS
    assert tree.spent == {"engine": Spent(5, 25, 10), "sampler.reward": Spent(5, 35, 0)}


def test_in_an_older_folder_candidates_and_keys_say_what_goes_on_from_what(tmp_path: Path) -> None:
    older = [{name: value for name, value in line.items() if name != "after"} for line in BEAM]
    tree = search_tree(lines_of(tmp_path, *older), [candidate(0, "0/0", "2/0", "10/0"), candidate(1, "0/0", "3/0")])
    assert not tree.over
    assert drawn(outline(tree, 100)) == [line.replace("3/0 dropped", "3/0 kept") for line in LOOKS]


def test_what_was_given_up_or_failed_is_told_and_of_two_lines_the_later_counts(tmp_path: Path) -> None:
    failed: dict[str, Any] = {"key": "1", "completion": {"text": "", "finish_reason": "error", "error": "overloaded"}}
    seen = lines_of(
        tmp_path,
        step("0"),
        failed,
        step("2", told=False, tokens=9),
        {"end": True, "error": "CallError: overloaded"},
        {"retry": True},
        step("1"),
        {"key": "c0", "after": "1", "nodes": [0, None, 0, 1]},
        {"key": "c1", "error": "took too long"},
    )
    tree = search_tree(seen, [candidate(0, "0"), candidate(1, "1")])
    assert (tree.over, tree.error, tree.num_asked_anew) == (False, None, 1)
    assert drawn(outline(tree, 100)) == ["- 0 kept", "- 1 kept (2 + 1, 1 without)", "- 2 given up", "- c1 failed"]
    assert tree.spent == {"engine": Spent(4, 15, 13, untold_tokens=14)}
    before = search_tree(seen[:4], [candidate(0, "0")])
    assert (before.over, before.error) == (True, "CallError: overloaded")
    assert [one.error for one in before.steps] == [None, "overloaded", None]


def test_what_lives_on_comes_first_where_there_is_too_much_and_brings_its_path(tmp_path: Path) -> None:
    tree = search_tree(lines_of(tmp_path, *BEAM), [candidate(0, "0/0", "2/0", "10/0")])
    assert drawn(outline(tree, 3)) == ["- 0/0 kept 0.9", "| 2/0 kept 0.8", "| 10/0 kept 0.7"]
    assert outline(tree, 3).num_left_out == 2
    assert outline(tree, 0) == Outline((), 5)


def test_figures_are_written_as_people_do() -> None:
    assert ranges([0, 1, 2, 3, 7, 9, 10]) == "0–3, 7, 9–10"
    assert ranges([]) == ""
    assert parties([None, None]) == "0, 2 without"
    assert parties([0, 1, 1, 2, None]) == "2 + 1 + 1, 1 without"


KEYS = st.sampled_from(["0", "1", "0/0", "0/1", "1/0", "2/0/1", "c0", "@2,5/0", "", "١", "x/-1", "9" * 40])
CALLS = st.builds(
    lambda key, after, told, values, text: CallSeen("p", key, after=after, told=told, **_reply(values, text)),
    KEYS,
    KEYS,
    st.booleans(),
    st.none() | st.lists(st.floats(), max_size=2),
    st.text(max_size=5),
)


def _reply(values: list[float] | None, text: str) -> dict[str, Any]:
    if values is None:
        return {"completion": Reply(3, 1, text=text, finish_reason="stop")}
    return {"rewards": Reply(2, 0, values=tuple(values))}


@settings(max_examples=300, derandomize=True)
@given(st.lists(CALLS, max_size=14), st.lists(st.lists(KEYS, max_size=4), max_size=3), st.integers(0, 15))
def test_whatever_is_on_record_every_call_is_there_once_and_the_tree_ends(
    lines: list[CallSeen], chains: list[list[str]], most: int
) -> None:
    tree: SearchTree = search_tree(lines, [candidate(index, *chain) for index, chain in enumerate(chains)])
    assert sorted(one.key for one in tree.steps) == sorted({line.key for line in lines})
    assert tree.spent == added(line.spent for line in lines)
    assert len(tree.steps) + tree.num_asked_anew == len(lines)
    full, few = outline(tree, 100), outline(tree, most)
    assert len({row.step.key for row in full.rows}) == len(full.rows)
    assert len(few.rows) <= most
    assert len(few.rows) + few.num_left_out == len(full.rows)
