"""Sentences and tables on terminals of any width."""

import io
import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from tts.cli.layout import say, table, wrapped

WORDS = st.lists(st.text("ab中\u00a0%–1.", min_size=1, max_size=12), min_size=1, max_size=12)
CELLS = st.text("a中1.–", min_size=1, max_size=14)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(WORDS, st.integers(1, 40))
def test_no_word_is_broken_and_no_line_is_longer_than_it_must_be(words: list[str], width: int) -> None:
    lines = wrapped(" ".join(words), width)
    assert " ".join(lines).split(" ") == words
    for line in lines:
        assert cell_len(line) <= width or " " not in line
    for before, after in pairwise(lines):
        assert cell_len(f"{before} {after.split(' ')[0]}") > width


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[str]], list[list[str]]]:
    heads = [[draw(CELLS)], *draw(st.lists(st.lists(CELLS, min_size=1, max_size=2), min_size=1, max_size=5))]
    num_columns = sum(map(len, heads))
    row = st.lists(CELLS, min_size=num_columns, max_size=num_columns)
    return heads, draw(st.lists(row, max_size=4))


@settings(derandomize=True, max_examples=200, deadline=None)
@given(tables(), st.integers(10, 120))
def test_a_table_keeps_every_cell_whole_at_every_width(
    made: tuple[list[list[str]], list[list[str]]], width: int
) -> None:
    heads, rows = made
    lines = table(heads, rows, width)
    cells = [[title for group in heads for title in group], *rows]
    shown = [word for line in lines for word in line.split()]
    for row in cells:
        for cell in row[1:]:
            assert shown.count(cell) >= sum(each.count(cell) for each in (one[1:] for one in cells))
        assert row[0] in shown
    sizes = [max(cell_len(row[place]) for row in cells) for place in range(len(cells[0]))]
    widest, place = 0, 1
    for group in heads[1:]:
        widest = max(widest, sum(2 + sizes[each] for each in range(place, place + len(group))))
        place += len(group)
    assert max(map(cell_len, lines)) <= max(width, widest, sizes[0])


def test_what_does_not_fit_beside_comes_below_behind_the_same_names() -> None:
    heads = [("k",), ("pass@k", "95 %"), ("maj@k", "95 %")]
    rows = [("1", "40.0 %", "1 – 2", "same", ""), ("16", "90.0 %", "3 – 4", "50.0 %", "5 – 6")]
    assert table(heads, rows, 40) == [
        "k   pass@k   95 %   maj@k   95 %",
        "1   40.0 %  1 – 2    same",
        "16  90.0 %  3 – 4  50.0 %  5 – 6",
    ]
    assert table(heads, rows, 20) == [
        "k   pass@k   95 %",
        "1   40.0 %  1 – 2",
        "16  90.0 %  3 – 4",
        "",
        "k    maj@k   95 %",
        "1     same",
        "16  50.0 %  5 – 6",
    ]


def test_a_name_that_leaves_no_room_stands_above_its_figures() -> None:
    assert table([("recipe",), ("tokens",)], [("a long name", "1 000")], 14) == [
        "recipe",
        "  tokens",
        "a long name",
        "   1 000",
    ]


def test_a_file_gets_one_line_and_a_terminal_whole_words() -> None:
    text = "four words and\u00a0more stand here"
    for is_terminal, expected in ((False, [text]), (True, ["four words", "and\u00a0more", "stand here"])):
        out = io.StringIO()
        say(Console(file=out, width=12, force_terminal=is_terminal, no_color=True), text)
        assert re.sub(r"\x1b\[[\d;]*m", "", out.getvalue()).splitlines() == expected
