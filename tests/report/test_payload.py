"""Candidates as the page carries them: which answers stand where, and what supports them."""

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from report_parts import arm_view, report

from tts.report.data import ArmView
from tts.report.page.payload import arm_record

GROUPS = st.lists(st.none() | st.integers(0, 5), min_size=1, max_size=12)
LINKS = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda pair: pair[0] < pair[1]), max_size=5)


def view_of(groups: list[int | None], links: set[tuple[int, int]]) -> ArmView:
    view = arm_view("only", random.Random(0), len(groups), 2)
    candidates = tuple(replace(one, group=group) for one, group in zip(view.candidates, groups, strict=True))
    return replace(view, candidates=candidates, links=tuple(sorted(links)))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(GROUPS, LINKS)
def test_a_group_is_supported_by_all_that_equal_it_and_stands_with_them(
    groups: list[int | None], links: set[tuple[int, int]]
) -> None:
    record = arm_record(view_of(groups, links))
    order = list(dict.fromkeys(record["group"]))
    assert sorted(record["index"]) == list(range(len(groups)))
    assert len(order) == len(set(groups))  # each group in one piece
    assert None not in order[:-1]

    def equal(one: int | None, other: int | None) -> bool:
        return one == other or (one, other) in links or (other, one) in links

    named = [group for group in order if group is not None]
    assert record["support"] == {one: sum(equal(one, each) for each in groups if each is not None) for one in named}

    # What is joined by links, directly or not, stands in one piece; the pieces fall by their best support.
    pieces: list[set[int]] = []
    for one in named:
        joined = [piece for piece in pieces if any(equal(one, each) for each in piece)]
        pieces = [piece for piece in pieces if piece not in joined] + [{one}.union(*joined)]
    places = [next(place for place, piece in enumerate(pieces) if one in piece) for one in named]
    runs = [place for at, place in enumerate(places) if at == 0 or places[at - 1] != place]
    assert len(runs) == len(set(runs))
    best = [max(record["support"][one] for one in pieces[place]) for place in runs]
    assert best == sorted(best, reverse=True)


def test_a_link_to_an_answer_that_nobody_gave_is_left_out() -> None:
    record = arm_record(view_of([0, 0], {(0, 1)}))
    assert (record["support"], record["links"]) == ({0: 2}, [])


def test_a_view_without_candidates_has_empty_columns() -> None:
    view = replace(report(1, 1).problems[0].arms[0], candidates=(), selected=None)
    assert arm_record(view)["index"] == []
