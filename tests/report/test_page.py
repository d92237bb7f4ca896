"""The page in a real browser: nothing fails, nothing is loaded, everything can be reached."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from chromium_parts import Chromium
from report_parts import report, with_undecided

from tts.report.data import Report
from tts.report.page import page, write_page
from tts.report.search import search_view
from tts.runs.candidates import candidate_of
from tts.runs.search_tree import CallSeen, Reply, search_tree
from tts.types import Completion

FIRST = "document.querySelector('#problem-table .open')"


@pytest.fixture
def opened(chromium: Chromium, tmp_path: Path) -> Chromium:
    """The usual report, open."""
    return show(chromium, report(), tmp_path)


def show(chromium: Chromium, made: Report, folder: Path, width: int = 1280) -> Chromium:
    path = folder / "page.html"
    write_page(made, path)
    chromium.media()
    chromium.open(path, width=width)
    return chromium


def quiet(chromium: Chromium) -> bool:
    """Return whether nothing was logged, thrown or loaded since the page was opened."""
    return (chromium.complaints, chromium.requests) == ([], [])


def ids(chromium: Chromium) -> list[str]:
    return list(
        chromium.run(
            "[...document.querySelectorAll('#problem-table tbody:not([hidden]) .open')].map(b => b.textContent)"
        )
    )


def expand(chromium: Chromium) -> None:
    """Open the first problem, its first group and that one's first candidate."""
    chromium.run(f"{FIRST}.click()")
    chromium.wait("document.querySelector('.group')")
    chromium.run("document.querySelector('.group').open = true")
    chromium.wait("document.querySelector('.candidate')")
    chromium.run("document.querySelector('.candidate').open = true")
    chromium.wait("document.querySelector('.candidate > .text')")


def test_nothing_is_loaded_and_nothing_fails(opened: Chromium) -> None:
    expand(opened)
    assert quiet(opened)


def test_the_policy_lets_nothing_else_run(opened: Chromium) -> None:
    opened.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.broken = 1\">')")
    opened.run("document.body.append(Object.assign(document.createElement('script'), {text: 'window.broken = 1'}))")
    opened.run("fetch('https://example.invalid/').catch(() => 0)")
    assert opened.run("window.broken === undefined")
    assert opened.requests == []


def test_figures_and_tables_are_there_without_javascript() -> None:
    text = page(report())
    visible = re.sub(r"<(script|style).*?</\1>", "", text, flags=re.S)
    assert visible.count("<svg") == 9
    for found in ("maj@8", "45.0\u00a0%", "min_p − vanilla", "word-06"):
        assert found in visible


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_can_be_read(opened: Chromium, scheme: str) -> None:
    opened.media(scheme=scheme)
    expand(opened)
    named = "['passed', 'failed', 'undecided'].map(c => Object.assign(document.createElement('b'), {className: c}))"
    opened.run(f"document.querySelector('.reference').append(...{named})")
    for place in ("body", ".faint-text", ".passed", ".failed", ".undecided", ".open", ".answer", "summary"):
        assert contrast(opened, place) >= 4.5, place


def test_the_button_changes_the_theme(opened: Chromium) -> None:
    seen = []
    for _ in range(3):
        opened.run("document.getElementById('theme').click()")
        seen.append(opened.run("getComputedStyle(document.body).backgroundColor"))
    assert seen[0] == seen[2]
    assert seen[0] != seen[1]


def searched(most: int = 100) -> Report:
    """Return a report whose first problem was searched for: texts are hostile, and paths long."""
    made = report(1, 2, arms=("only",), num_words=5)
    hostile = "</script><img src=x onerror='window.broken = 1'> \u202e\u0007 مرحبا"
    calls = [CallSeen("p", "0", completion=Reply(5, 3, text=hostile, finish_reason="stop"))]
    for number in range(1, 41):  # each goes on from the one before, which has a second one behind it
        calls.append(
            CallSeen("p", f"{number}", after=f"{number - 1}", completion=Reply(5, 3, text="on", finish_reason="length"))
        )
        calls.append(CallSeen("p", f"{number + 50}", after=f"{number - 1}", told=False, completion=Reply(5, 1)))
    calls.append(CallSeen("p", "0/1", "sampler.reward", after="0", rewards=Reply(5, 0, values=(0.25,))))
    calls.append(CallSeen("p", "99", put="Wait", completion=Reply(5, 0, error=f"{hostile}: no")))
    candidate = candidate_of(Completion("p", "0", "on", "stop", 5, 3), 0, 0, "test", None)
    tree = search_tree([*calls, CallSeen("p", end=True)], [replace(candidate, calls=("0", "1"))])
    first = made.problems[0]
    arms = (replace(first.arms[0], search=search_view(tree, 8, most)),)
    return replace(made, problems=(replace(first, arms=arms),))


@pytest.mark.parametrize("width", [400, 1280])
def test_a_search_is_drawn_when_it_is_opened_by_keys_and_scrolls_inside_itself(
    chromium: Chromium, tmp_path: Path, width: int
) -> None:
    show(chromium, searched(), tmp_path, width)
    chromium.run(f"{FIRST}.click()")
    chromium.wait("document.querySelector('.search')")
    assert chromium.run("document.querySelectorAll('.step').length") == 0
    chromium.run("document.querySelector('.search > summary').focus()")
    chromium.press("Enter")
    chromium.wait("document.querySelector('.step')")
    assert chromium.run("document.querySelector('.search > summary').textContent") == (
        "search over, 1 candidate of at most 8, 83 calls, 39 in no candidate, 40 given up, 1 failed"
    )
    drawn = "[...document.querySelectorAll('.step')].map(s => [...s.children].map(c => c.textContent).join('|'))"
    rows = chromium.run(drawn)
    assert len(rows) == 82
    assert (
        rows[0]
        == "●|0 · 3 tokens · reward 0.25 · →\u00a00|</script><img src=x onerror='window.broken = 1'> \u202e\u0007 مرحبا"
    )
    assert rows[1] == "●|1 · 3 tokens · length · →\u00a00|on"
    assert rows[-1].startswith("×|99 · </script>")
    assert rows[-1].endswith(": no|«Wait» ")
    assert chromium.run("document.querySelectorAll('.steps').length") == 41
    assert chromium.run("document.documentElement.scrollWidth") <= width
    chromium.press("Tab")
    assert chromium.run("document.activeElement.getAttribute('aria-label')") == "Calls of the search"
    assert chromium.run("window.broken === undefined")
    assert quiet(chromium)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_search_can_be_read_in_both_themes_and_says_what_was_left_out(
    chromium: Chromium, tmp_path: Path, scheme: str
) -> None:
    show(chromium, searched(most=60), tmp_path)
    chromium.media(scheme=scheme)
    chromium.run(f"{FIRST}.click()")
    chromium.wait("document.querySelector('.search')")
    chromium.run("document.querySelector('.search').open = true")
    chromium.wait("document.querySelector('.step')")
    assert chromium.run("document.querySelector('.search > p:last-child').textContent") == "22 more calls were left out"
    for place in (".kept .facts", ".kept .said", ".given-up .facts", ".search .put", ".fate.failed", ".fate.given-up"):
        assert contrast(chromium, place) >= 4.5, place


@pytest.mark.parametrize("width", [320, 400, 768, 1280])
def test_no_width_makes_the_page_scroll_sideways(chromium: Chromium, tmp_path: Path, width: int) -> None:
    show(chromium, report(arms=("a_long_name_of_a_recipe" * 3, "b")), tmp_path, width)
    expand(chromium)
    assert chromium.run("document.documentElement.scrollWidth") <= width
    assert chromium.run("document.querySelector('.panel').getBoundingClientRect().right") <= width


def test_a_column_sorts_both_ways(opened: Chromium) -> None:
    share = "[...document.querySelectorAll('#problem-table tbody')].map(b => Number(b.rows[0].cells[3].dataset.sort))"
    button = "document.querySelectorAll('.sort')[2]"
    opened.run(f"{button}.click()")
    assert opened.run(share) == sorted(opened.run(share))
    assert opened.run(f"{button}.parentElement.getAttribute('aria-sort')") == "ascending"
    opened.run(f"{button}.click()")
    assert opened.run(share) == sorted(opened.run(share), reverse=True)
    opened.run("document.querySelector('.sort').click()")
    assert ids(opened) == [f"word-{number:02}" for number in range(1, 7)]


def test_an_open_problem_moves_with_its_row(opened: Chromium) -> None:
    expand(opened)
    opened.run("document.querySelector('.sort').click()")
    opened.run("document.querySelector('.sort').click()")
    assert ids(opened)[-1] == "word-01"
    assert opened.run("document.querySelector('.detail').parentElement.querySelector('.open').textContent") == "word-01"


def test_filters_find_by_text_verdict_and_disagreement(chromium: Chromium, tmp_path: Path) -> None:
    made = report()
    first, second, *rest = made.problems
    agreeing = tuple(replace(arm, status="passed") for arm in first.arms)
    differing = (replace(second.arms[0], status="failed"), replace(second.arms[1], status="undecided"))
    problems = (replace(first, arms=agreeing), replace(second, arms=differing))
    others = tuple(replace(one, arms=agreeing) for one in rest)
    show(chromium, replace(made, problems=(*problems, *others)), tmp_path)
    choose(chromium, "find.value = ' WORD-03 '")
    assert ids(chromium) == ["word-03"]
    assert chromium.run("document.getElementById('shown').textContent") == "1 of 6 problems"
    choose(chromium, "find.value = ''")
    choose(chromium, "verdict.value = 'undecided'")
    assert ids(chromium) == ["word-02"]
    choose(chromium, "verdict.value = ''")
    choose(chromium, "disagree.checked = true")
    assert ids(chromium) == ["word-02"]
    choose(chromium, "disagree.checked = false")
    assert len(ids(chromium)) == 6


def choose(chromium: Chromium, setting: str) -> None:
    """Set one control of the filters, as a reader would."""
    chromium.run(f"filters.elements.{setting}; filters.dispatchEvent(new Event('input'))")


def test_find_looks_at_what_candidates_wrote(chromium: Chromium, tmp_path: Path) -> None:
    made = report(250, 2, arms=("only",), num_words=5)
    view = made.problems[230].arms[0]
    spoken = tuple(replace(one, reasoning="Let me count the ZEBRAS.") for one in view.candidates)
    problems = list(made.problems)
    problems[230] = replace(problems[230], arms=(replace(view, candidates=spoken),))
    show(chromium, replace(made, problems=tuple(problems)), tmp_path)
    choose(chromium, "find.value = 'zebras'")
    assert ids(chromium) == []
    chromium.wait("document.getElementById('shown').textContent === '1 of 250 problems'")
    assert ids(chromium) == ["word-231"]
    choose(chromium, "find.value = ''")
    assert len(ids(chromium)) == 100


def test_of_many_problems_only_a_window_is_laid_out(chromium: Chromium, tmp_path: Path) -> None:
    show(chromium, report(450, 2, arms=("only",), num_words=5), tmp_path)
    assert len(ids(chromium)) == 100
    assert chromium.run("document.querySelectorAll('*').length") < 2500
    chromium.run("document.querySelector('.sort').click()")
    chromium.run("document.querySelector('.sort').click()")
    assert ids(chromium)[0] == "word-450"
    choose(chromium, "find.value = 'word-30'")
    assert ids(chromium) == [f"word-30{place}" for place in range(9, -1, -1)] + ["word-30"]
    choose(chromium, "find.value = ''")
    for expected in (200, 300, 400, 450):  # scrolling to the end brings the next ones
        chromium.run("document.getElementById('more').scrollIntoView()")
        chromium.wait(f"document.querySelectorAll('.open').length >= {expected}")
    assert len(set(ids(chromium))) == 450
    choose(chromium, "find.value = ''")
    assert len(ids(chromium)) == 100
    chromium.run("dispatchEvent(new Event('beforeprint'))")
    assert len(ids(chromium)) == 450


def test_an_address_leads_to_a_problem_wherever_it_is(chromium: Chromium, tmp_path: Path) -> None:
    made = report(250, 2, arms=("only",), num_words=5)
    names = {240: "set 7/é #1?", 241: "100%"}
    problems = tuple(replace(one, id=names.get(place, one.id)) for place, one in enumerate(made.problems))
    show(chromium, replace(made, problems=problems), tmp_path)
    for place, name in {**names, 3: "word-04"}.items():
        choose(chromium, "verdict.value = 'nothing'")
        chromium.run(f"location.hash = '#problem-' + encodeURIComponent({name!r})")
        chromium.wait("document.querySelector('.detail .panel .arms')")
        opened = "[...document.querySelectorAll('.open[aria-expanded=true]')]"
        assert chromium.run(f"{opened}.map(b => b.dataset.number)") == [str(place)]
        top = chromium.run(f"{opened}[0].getBoundingClientRect().top")
        assert 0 <= top < 900
        chromium.run(f"{opened}[0].click()")
        assert chromium.run("document.querySelector('.open[aria-expanded=true]')") is None
        link = chromium.run(f"document.querySelector('[data-number=\"{place}\"] + .link').href")
        assert chromium.run(f"decodeURIComponent(new URL({link!r}).hash)") == f"#problem-{name}"
        chromium.run("document.querySelector('.detail').remove()")
    chromium.run("location.hash = '#problem-%E0%A4%A'")
    assert quiet(chromium)


def test_the_bars_of_all_answers_can_be_compared(chromium: Chromium, tmp_path: Path) -> None:
    made = report(1, 8)
    first = made.problems[0]
    long = tuple(
        replace(view, candidates=tuple(replace(one, answer="1234567890" * (one.group or 0)) for one in view.candidates))
        for view in first.arms
    )
    for width in (400, 1280):
        show(chromium, replace(made, problems=(replace(first, arms=long),)), tmp_path, width)
        expand(chromium)
        bars = chromium.run("[...document.querySelectorAll('.share')].map(b => b.getBoundingClientRect().width)")
        assert len(bars) > 4
        assert max(bars) - min(bars) < 0.1
        assert chromium.run("document.querySelectorAll('.group > summary > .handed').length") == 2


def test_linked_answers_stand_together_and_say_what_supports_them(chromium: Chromium, tmp_path: Path) -> None:
    made = report(1, 8, arms=("only",))
    view = made.problems[0].arms[0]
    groups = [0, 0, 0, 1, 1, 1, 2, None]
    names = {0: "7", 1: "5", 2: "x = 5", None: None}
    candidates = tuple(
        replace(one, group=group, answer=names[group]) for one, group in zip(view.candidates, groups, strict=True)
    )
    view = replace(view, candidates=candidates, links=((1, 2),), selected=3)
    show(chromium, replace(made, problems=(replace(made.problems[0], arms=(view,)),)), tmp_path)
    expand(chromium)
    told = chromium.run(
        "[...document.querySelectorAll('.group > summary')].map(s => s.querySelector('.answer').textContent)"
    )
    assert told == ["5", "x = 5", "7", "no answer"]
    supported = chromium.run("[...document.querySelectorAll('.linked')].map(s => s.textContent)")
    assert supported == ["supported by 4 of 8, with x = 5", "supported by 4 of 8, with 5"]


@pytest.mark.parametrize("width", [400, 1280])
def test_names_and_figures_of_the_headline_stand_on_one_line_each(
    chromium: Chromium, tmp_path: Path, width: int
) -> None:
    show(chromium, with_undecided(report(arms=("quickstart", "min_p"))), tmp_path, width)
    cells = "document.querySelectorAll('.large tbody :is(th, .value, .bounds)')"
    lines = (
        "(c => { const r = document.createRange(); r.selectNodeContents(c); "
        "return new Set([...r.getClientRects()].map(b => b.top)).size })"
    )
    assert set(chromium.run(f"[...{cells}].map({lines})")) == {1}
    assert chromium.run("(s => s.scrollWidth <= s.clientWidth)(document.querySelector('.large .scroll'))")
    assert chromium.run("[...document.querySelectorAll('caption')].every(c => c.offsetWidth <= innerWidth)")


def test_the_keyboard_reaches_sorting_and_candidates(opened: Chromium) -> None:
    opened.run("document.querySelectorAll('.sort')[0].focus()")
    opened.press("Enter")
    assert opened.run("document.activeElement.parentElement.getAttribute('aria-sort')") == "ascending"
    opened.run(f"{FIRST}.focus()")
    opened.press("Space")
    opened.wait("document.querySelector('.group > summary')")
    assert opened.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    opened.run("document.querySelector('.group > summary').focus()")
    opened.press("Enter")
    opened.wait("document.querySelector('.candidate')")
    opened.press("Tab")
    assert opened.run("document.activeElement.closest('.candidate') !== null")
    assert opened.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_closed_problem_opens_again_as_it_was(opened: Chromium) -> None:
    expand(opened)
    opened.run(f"{FIRST}.click()")
    assert opened.run("document.querySelector('.detail').hidden")
    opened.run(f"{FIRST}.click()")
    assert not opened.run("document.querySelector('.detail').hidden")
    assert opened.run("document.querySelectorAll('.detail').length") == 1


def test_candidates_are_grouped_by_answer_the_largest_first_no_answer_last(opened: Chromium) -> None:
    expand(opened)
    for arm, view in enumerate(report().problems[0].arms):
        column = f"[...document.querySelectorAll('.arms > div')[{arm}].querySelectorAll('.group')]"
        sizes = opened.run(f"{column}.map(g => parseInt(g.querySelector('.of').textContent))")
        answers = opened.run(f"{column}.map(g => g.querySelector('.answer').textContent)")
        assert sum(sizes) == len(view.candidates)
        named = [size for size, answer in zip(sizes, answers, strict=True) if answer != "no answer"]
        assert named == sorted(named, reverse=True)
        assert "no answer" not in answers[:-1]


def test_tables_and_figures_are_named_for_screen_readers(opened: Chromium) -> None:
    assert opened.run("[...document.querySelectorAll('table')].every(t => t.caption?.textContent)")
    assert opened.run("[...document.querySelectorAll('th')].every(t => t.scope)")
    assert opened.run(
        "[...document.querySelectorAll('figure')].every(f => f.querySelector('svg[role=img] > title + desc')"
        " && f.querySelector('figcaption table'))"
    )
    assert opened.run(
        "(all => all.length === new Set(all).size)([...document.querySelectorAll('[id]')].map(e => e.id))"
    )
    assert opened.run("[...document.querySelectorAll('input, select')].every(e => e.labels.length === 1)")


def test_the_markup_is_balanced() -> None:
    class Balance(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.path: list[str] = []

        def handle_starttag(self, tag: str, _: object) -> None:
            if tag not in {"meta", "link", "input"}:
                self.path.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.path.pop() == tag

    reader = Balance()
    reader.feed(page(report()))
    assert reader.path == []


def test_print_hides_the_controls_and_is_black_on_white(opened: Chromium) -> None:
    opened.run("document.documentElement.dataset.theme = 'dark'")
    opened.media(scheme="dark", kind="print")
    assert opened.run("getComputedStyle(filters).display") == "none"
    assert opened.run("getComputedStyle(document.body).colorScheme") == "light"


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(report(arms=("only",)), id="one arm"),
        pytest.param(report(arms=("a", "b", "c", "d", "e")), id="five arms"),
        pytest.param(report(num_candidates=1), id="one k"),
        pytest.param(with_undecided(report()), id="undecided"),
        pytest.param(replace(report(), problems=()), id="no problems"),
        pytest.param(
            replace(report(), problems=(), arms=(), ks=(), contrasts=(), warnings=(), method=()), id="nothing"
        ),
        pytest.param(
            replace(
                report(), arms=tuple(replace(arm, lines=()) for arm in report().arms), contrasts=(), headline="vendi"
            ),
            id="nothing graded",
        ),
        pytest.param(
            replace(
                report(),
                problems=tuple(
                    replace(one, arms=tuple(replace(arm, candidates=(), selected=None) for arm in one.arms[:1]))
                    for one in report().problems
                ),
            ),
            id="no candidates",
        ),
    ],
)
def test_reports_of_every_shape_open_without_complaint(chromium: Chromium, tmp_path: Path, made: Report) -> None:
    show(chromium, made, tmp_path, width=400)
    if made.problems:
        chromium.run(f"{FIRST}.click()")
        chromium.wait("document.querySelector('.arms')")
    shown = chromium.run("document.body.innerText")
    assert quiet(chromium)
    assert chromium.run("document.documentElement.scrollWidth") <= 400
    for word in ("NaN", "None", "null", "undefined", "inf ", "[object"):
        assert word not in shown


def contrast(chromium: Chromium, place: str) -> float:
    """Return the contrast (WCAG 2.2) between the colour of the first such element and the page behind it."""
    script = f"""(() => {{
      const canvas = document.createElement('canvas').getContext('2d', {{willReadFrequently: true}});
      const light = (colour) => {{
        canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(v => v / 255)
          .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      }};
      const element = document.querySelector('{place}'), style = getComputedStyle(element);
      const text = light(element instanceof SVGElement ? style.fill : style.color);
      const paper = light(getComputedStyle(document.body).backgroundColor);
      return (Math.max(text, paper) + 0.05) / (Math.min(text, paper) + 0.05);
    }})()"""
    return float(chromium.run(script))
