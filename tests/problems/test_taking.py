"""Which rows are taken: by id, shuffled, the first so many; nothing is taken twice or lost in silence."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.errors import ProblemsError
from tts.problems.taking import Taking
from tts.types import InputRow, Problem, ProblemRow, Reference, RowError


def row(name: str) -> ProblemRow:
    return ProblemRow(Problem(name, "p", "math"), Reference(), 1)


def names(rows: list[InputRow]) -> list[str | None]:
    return [one.problem_id if isinstance(one, RowError) else one.problem.id for one in rows]


ROWS: list[InputRow] = [
    row("a"),
    RowError(2, None, "not_json", "bad"),
    row("b"),
    RowError(4, "d", "no_prompt", "?"),
    row("c"),
]


def taken(taking: Taking, seed: int = 0, rows: list[InputRow] = ROWS) -> list[str | None]:
    return names(list(taking.of(iter(rows), seed)))


def test_the_first_problems_and_the_bad_rows_before_them() -> None:
    assert taken(Taking()) == ["a", None, "b", "d", "c"]
    assert taken(Taking(limit=2)) == ["a", None, "b"]


def test_ids_take_their_rows_in_the_order_of_the_input_bad_ones_too() -> None:
    assert taken(Taking(ids=("c", "a"))) == ["a", "c"]
    assert taken(Taking(ids=("d",))) == ["d"]
    assert taken(Taking(limit=1, ids=("c", "a"))) == ["a"]


def test_with_ids_reading_ends_where_all_are_found() -> None:
    def endless():
        yield row("a")
        raise AssertionError("read on")

    assert names(list(Taking(ids=("a",)).of(endless(), 0))) == ["a"]


def test_an_id_that_is_in_no_row_is_an_error_with_the_nearest_before_anything_is_taken() -> None:
    rows = [row("arith-01"), row("arith-02"), RowError(3, None, "not_json", "bad")]
    with pytest.raises(ProblemsError, match=r'`--id` must be in the problems, got "arth-02".*Did you mean `arith-02`'):
        Taking(ids=("arith-01", "arth-02")).of(rows, 0)
    with pytest.raises(ProblemsError, match="rows that could not be read: 1"):
        Taking(ids=("x",)).of(rows, 0)


IDS = st.lists(st.text("abc01", min_size=1, max_size=4), unique=True, max_size=12)


@settings(max_examples=150, derandomize=True)
@given(IDS, st.integers(0, 5), st.integers(1, 12), st.randoms())
def test_a_shuffle_depends_on_seed_and_ids_alone_and_its_limit_is_its_beginning(
    ids: list[str], seed: int, limit: int, random
) -> None:
    rows: list[InputRow] = [row(name) for name in ids]
    whole = taken(Taking(shuffle=True), seed, rows)
    assert sorted(whole) == sorted(ids)
    random.shuffle(rows)
    assert taken(Taking(shuffle=True), seed, rows) == whole
    assert taken(Taking(limit=limit, shuffle=True), seed, rows) == whole[:limit]


def test_seeds_give_different_orders_and_bad_rows_come_first() -> None:
    rows: list[InputRow] = [row(str(number)) for number in range(30)]
    assert taken(Taking(shuffle=True), 0, rows) != taken(Taking(shuffle=True), 1, rows) != names(rows)
    assert taken(Taking(shuffle=True))[:2] == [None, "d"]


@given(num=st.integers(0, 12), total=st.integers(1, 5), limit=st.none() | st.integers(1, 6), shuffle=st.booleans())
@settings(derandomize=True, max_examples=60)
def test_shards_are_the_whole_dealt_out_row_by_row(num: int, total: int, limit: int | None, shuffle: bool) -> None:
    rows: list[InputRow] = [RowError(i, None, "x", "bad") if i % 3 == 1 else row(f"r{i}") for i in range(num)]
    whole = list(Taking(limit, shuffle).of(iter(rows), 7))
    shards = [list(Taking(limit, shuffle, shard=(i, total)).of(iter(rows), 7)) for i in range(total)]
    assert [shards[place % total][place // total] for place in range(len(whole))] == whole
    assert sum(map(len, shards)) == len(whole)
