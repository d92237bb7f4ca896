"""The page's sections one by one, each from its own template: what they say, and that nothing breaks out of them."""

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

import jinja2
import pytest
from report_parts import arm_view, report, with_undecided
from test_page_text import HOSTILE, hostile_everywhere

from tts.report.counts import Reliable
from tts.report.data import Made, Report
from tts.report.page import page
from tts.report.page.sections import by_key, differing, made, num_right, scope, templates
from tts.types import Status

SECTIONS = ("headline", "curves", "comparison", "gains", "problems", "cost", "quality", "plugins", "recipes")


class Reader(HTMLParser):
    """Every table's cells as text, and the text of all else."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.tags: list[str] = []
        self.text = ""
        self._in_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, _: object) -> None:
        self.tags.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"th", "td"}:
            self.tables[-1][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in {"th", "td"}:
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.tables[-1][-1][-1] += data
        self.text += data


def section(name: str, made: Report) -> str:
    return templates().get_template(f"{name}.html").render(report=made)


def read(name: str, made: Report) -> Reader:
    return Reader(section(name, made))


def test_the_headline_gives_each_recipe_a_row_and_each_figure_a_column() -> None:
    (rows,) = read("headline", report()).tables
    assert rows == [
        ["Recipe", "one candidate", "maj@8", "pass@8"],
        [
            "vanilla",
            "30.0\u00a0%14.0\u00a0–\u00a045.0",
            "45.0\u00a0%29.0\u00a0–\u00a060.0",
            "63.0\u00a0%47.0\u00a0–\u00a078.0",
        ],
        [
            "min_p",
            "35.0\u00a0%19.0\u00a0–\u00a050.0",
            "50.0\u00a0%34.0\u00a0–\u00a065.0",
            "68.0\u00a0%52.0\u00a0–\u00a083.0",
        ],
    ]


def test_the_headline_shows_what_is_undecided_as_a_range_and_what_is_missing_as_unknown() -> None:
    undecided = with_undecided(report())
    without = replace(
        undecided, arms=(replace(undecided.arms[0], lines=undecided.arms[0].lines[:1]), undecided.arms[1])
    )
    (rows,) = read("headline", without).tables
    assert rows[1][1].startswith("30.0\u00a0–\u00a050.0\u00a0%")
    assert rows[1][2:] == ["–", "–"]


def test_the_headline_tells_how_far_a_figure_would_move_were_candidates_drawn_anew() -> None:
    made = report(arms=("only",))
    (arm,) = made.arms
    lines = tuple(
        replace(line, points=tuple(replace(one, redraw_error=0.01) for one in line.points)) for line in arm.lines
    )
    (rows,) = read("headline", replace(made, arms=(replace(arm, lines=lines),))).tables
    assert rows[1][1].endswith("45.0 (±\u00a02.0 over draws)")


def test_every_chart_has_its_numbers_beside_it() -> None:
    found = read("curves", report())
    assert found.tags.count("svg") == len(found.tables) == 9
    assert ["vanilla", "k = 8", "45.0\u00a0%", "29.0\u00a0–\u00a060.0"] in found.tables[0]
    assert ["vanilla", "k = 4", "2.8", "–"] in found.tables[-1]


def test_without_anything_to_draw_there_are_no_curves() -> None:
    assert section("curves", replace(report(), arms=(), contrasts=())).strip() == ""


def test_one_pair_is_named_in_the_caption_and_several_in_a_column() -> None:
    one = report()
    headline, others = read("comparison", one).tables
    assert headline[0][:3] == ["Figure", "Difference", "95\u00a0% interval"]
    assert [row[0] for row in headline[1:]] == ["maj@1", "maj@2", "maj@4", "maj@8"]
    assert [row[0] for row in others[1:]] == ["pass@1", "pass@2", "pass@4", "pass@8"]
    assert "maj@k: min_p − vanilla, paired over the same problems." in read("comparison", one).text
    several = replace(one, contrasts=(*one.contrasts, replace(one.contrasts[0], second="esamp")))
    (rows, _) = read("comparison", several).tables
    assert [row[:2] for row in (rows[0], rows[1], rows[-1])] == [
        ["Figure", "Recipes"],
        ["maj@1", "min_p − vanilla"],
        ["maj@1", "min_p − esamp"],
    ]


@pytest.mark.parametrize(("p_value", "num_strong"), [(0.05, 1), (0.051, 0), (None, 0)])
def test_a_difference_that_is_told_apart_is_set_strong(p_value: float | None, num_strong: int) -> None:
    made = report()
    made = replace(made, contrasts=(replace(made.contrasts[0], adjusted_p_value=p_value), made.contrasts[1]))
    assert read("comparison", made).tags.count("strong") == num_strong


def test_gains_are_told_at_the_headlines_k_with_what_is_left_to_gain() -> None:
    (rows,) = read("gains", report()).tables
    assert [row[:2] for row in rows] == [["Recipe", "Chosen by"], ["vanilla", "maj@8"], ["min_p", "maj@8"]]
    assert rows[1][2:5] == ["+15.0", "−0.4\u00a0to\u00a0+30.4", "0.058"]
    assert rows[1][5:] == ["+18.0", "7.0\u00a0–\u00a034.0", "45.5\u00a0%"]
    without = replace(report(), arms=tuple(replace(arm, gains=()) for arm in report().arms))
    assert 'id="gains"' not in page(without)


def test_where_the_headline_figure_is_not_compared_the_others_stand_open() -> None:
    made = replace(report(), headline="vendi")
    found = read("comparison", made)
    assert (len(found.tables), "details" in found.tags) == (1, False)
    assert len(found.tables[0]) == 1 + len(made.contrasts)


def test_a_problem_has_its_verdicts_and_a_recipe_that_was_not_asked_says_so() -> None:
    made = report(2)
    first, second = made.problems
    made = replace(made, problems=(first, replace(second, arms=second.arms[1:])))
    (rows,) = read("problems", made).tables
    assert rows[:2] == [["Problem", "Reference", "vanilla", "min_p"], ["Handed in", "Right"] * 2]
    assert rows[2][:2] == [f"word-01#{first.prompt}", "42"]
    assert [cell.lstrip("✓✗? ").split()[0] for cell in rows[2][2::2]] == [f"{view.status}42" for view in first.arms]
    assert rows[3][2:4] == ["not asked", "–"]
    (alone,) = read("problems", report(2, arms=("only",))).tables
    assert alone[0] == ["Problem", "Reference", "Handed in", "Right"]


def test_verdicts_can_be_compared_only_between_recipes() -> None:
    assert 'id="disagree"' in section("problems", report())
    assert 'id="disagree"' not in section("problems", report(arms=("only",)))


def test_without_problems_there_is_a_sentence_and_no_table() -> None:
    found = read("problems", replace(report(), problems=()))
    assert "The report holds no candidates to look at." in found.text
    assert "table" not in found.tags


@pytest.mark.parametrize(
    ("statuses", "told", "share"),
    [
        (["passed", "failed", "passed", "failed"], "2", 0.5),
        (["passed", "undecided", "undecided", "failed"], "1–3", 0.5),
        (["undecided"], "0–1", 0.5),
        (["failed"], "0", 0.0),
        ([], "0", -1.0),
    ],
)
def test_undecided_candidates_make_the_number_of_right_ones_a_range(
    statuses: Sequence[Status], told: str, share: float
) -> None:
    view = arm_view("vanilla", random.Random(0), len(statuses), 5)
    candidates = tuple(
        replace(one, status=status, reason="") for one, status in zip(view.candidates, statuses, strict=True)
    )
    right = num_right(replace(view, candidates=candidates))
    assert (right.told, right.share) == (told, share)


def test_cost_tells_tokens_time_and_who_was_faster() -> None:
    found = read("cost", report())
    assert found.tables[0][1] == [
        "vanilla",
        "12\u202f800",
        "163\u202f840",
        "163\u202f840",
        "6\u202f144",
        "512",
        "12 min 5 s",
        "226",
    ]
    assert "min_p drew 0.95 times the tokens per second of vanilla" in found.text


def test_quality_gives_counts_with_their_share_and_the_spread_of_the_texts() -> None:
    counts, spread = read("quality", report()).tables
    assert counts[1] == ["vanilla", "48", "3 6.3\u00a0%", "0", "2 4.2\u00a0%", "5 10.4\u00a0%", "0", "3 6.3\u00a0%"]
    assert spread[0][1:5] == ["Vendi, q = 0", "Vendi, q = 1", "Vendi, q = 2", "Vendi, q = ∞"]
    assert spread[1] == ["vanilla", "7.4", "5.2", "3.9", "2.1", "0.42", "0.71", "7.6", "–", "word 2-grams"]


def test_orders_that_only_some_recipes_have_are_unknown_for_the_others() -> None:
    made = report()
    first, second = made.arms
    assert first.spread is not None
    made = replace(made, arms=(replace(first, spread=replace(first.spread, vendi={"1": 2.0, "3": 1.0})), second))
    _, spread = read("quality", made).tables
    assert [cell[-1] for cell in spread[0][1:6]] == ["1", "3", "0", "2", "∞"]
    assert spread[1][1:6] == ["2", "1", "–", "–", "–"]
    assert len(read("quality", replace(made, arms=(replace(first, spread=None),))).tables) == 1


def test_plugins_figures_and_recipes_are_told_by_key() -> None:
    made = report()
    assert read("plugins", made).tables[0][1] == ["esamp.rows guided", "1210", "1210"]
    recipes = read("recipes", made)
    assert recipes.tables == [[["Key", "vanilla", "min_p"], ["sampler.name", "vanilla", "min_p"]]]
    assert recipes.tags.count("pre") == 2
    same = replace(made, arms=tuple(replace(arm, recipe={"seed": 0}) for arm in made.arms))
    assert "The recipes are the same in every key." in read("recipes", same).text


def test_nested_keys_are_dotted_and_what_a_tree_lacks_is_unknown() -> None:
    rows = by_key([{"a": {"b": 0.5, "c": None}, "d": [1, "é"]}, {"a": {"b": 0.5}, "e": True}])
    assert rows == [
        ("a.b", ["0.5", "0.5"]),
        ("a.c", ["–", "–"]),
        ("d", ['[1, "é"]', "–"]),
        ("e", ["–", "true"]),
    ]
    assert [key for key, _ in differing(rows)] == ["d", "e"]


def test_scope_counts_what_there_is() -> None:
    assert scope(report()) == "2 recipes · 6 problems · 96 candidates"
    assert scope(replace(report(), arms=())) == "0 recipes · 0 problems · 0 candidates"


def test_the_head_says_when_where_and_by_what_it_was_drawn() -> None:
    two = report()
    assert made(two) == []
    engines = ({"name": "vllm", "model": "org/model"}, {"name": "vllm", "model": "/home/someone/models/tuned"})
    days = ((0.0, 3600.0), (0.0, 90_000.0))
    arms = tuple(
        replace(arm, recipe={"engine": engine}, made=Made(*when, ("box",), {"python": "3.12", "vllm": "1"}))
        for arm, engine, when in zip(two.arms, engines, days, strict=True)
    )
    assert made(replace(two, arms=arms)) == [
        (
            "Drawn",
            [
                ("1970-01-01 00:00 to 01:00 UTC", "vanilla"),
                ("1970-01-01 00:00 to 1970-01-02 01:00 UTC", "min_p"),
            ],
        ),
        ("Host", [("box", "")]),
        ("Model", [("org/model (vllm)", "vanilla"), ("tuned (vllm)", "min_p")]),
        ("Versions", [("python 3.12, vllm 1", "")]),
    ]
    assert "<code>tts report &#39;my run&#39;</code>" in page(two, "tts report 'my run'")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("template", SECTIONS)
def test_a_section_has_the_same_elements_whatever_the_strings_say(template: str, name: str) -> None:
    text = HOSTILE[name]
    harmless, hostile = (section(template, hostile_everywhere(one)) for one in ("plain", text))
    assert Reader(hostile).tags == Reader(harmless).tags
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200f\ud800-\udfff\0\a\x1b\x7f]", hostile)


def test_an_unknown_name_in_a_template_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        templates().from_string("{{ report.titel }}").render(report=report())


def test_every_template_is_part_of_the_page() -> None:
    whole = re.sub(r"\s+", " ", page(report()))
    for name in SECTIONS:
        assert re.sub(r"\s+", " ", section(name, report())).strip() in whole


def test_reliability_has_a_row_a_figure_and_is_left_out_where_there_is_none() -> None:
    made = report(arms=("only",))
    told = (Reliable(0.5, 8, 0.4, 0.4, 0.2, 0.6), Reliable(None, 8, 0.25, 0.3, 0.1, 0.5))
    (rows,) = read("reliability", replace(made, arms=(replace(made.arms[0], reliability=told),))).tables
    assert rows[1] == ["only", "G-Pass@8, τ = 0.5", "40.0\u00a0%", "20.0\u00a0–\u00a060.0"]
    assert rows[2][1:3] == ["mG-Pass@8", "25.0\u00a0–\u00a030.0\u00a0%"]
    assert 'id="reliability"' not in page(made)
