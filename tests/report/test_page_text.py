"""What models, problems and recipes wrote is shown as it is, whatever it is, and never run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from chromium_parts import Chromium
from report_parts import report

from tts.report.data import Report
from tts.report.page import page, write_page

HOSTILE = {
    "end of script": "</script><img src=x onerror=\"window.broken='image'\">",
    "svg": "<svg onload=\"window.broken='svg'\"><script>window.broken='script'</script></svg>",
    "link": "<a href=\"javascript:window.broken='link'\">here</a> [here](javascript:window.broken=1)",
    "comment": "<!--<script> --!> ]]> <![CDATA[ <title> </textarea></style></noscript>",
    "template": "${alert(1)} $title $$ {{constructor.constructor('alert(1)')()}} <%= 1 %> {% raw %}",
    "bidi": "abc \u202e\u2066 fed \u2069\u202c \u200f",
    "controls": "nul \0 bell \a escape \x1b[31m delete \x7f line\r\nend",
    "surrogates": "high \ud83d low \ude00 pair \U0001f600",
    "quotes": '"\'` onmouseover=alert(1) x="',
    "prototype": "__proto__",
}
TEXTS = {
    "mathematics": r"So $x^2 + \frac{1}{2}$ and \[ \sum_{i=1}^n i \] and \( a<b \) and $$y$$ hold.",
    "code": "Look:\n```python\nif a < b and `c`: $x$\n```\nthen `done`.",
    "prices": "It costs $5 and $10 each, $ alone, 3$ or $$ twice, ``` never closed",
    "openers": "\\[ \\( $ ` " * 50,
    "scripts": "中文 العربية हिन्दी e\u0301 \u00ad soft",
    "spaces": "  two  spaces\n\n\tand a tab \n",
    "empty": "",
}


def with_texts(texts: list[str]) -> Report:
    """Return a report of one problem whose arms hold these texts, one a candidate, all of one answer."""
    made = report(1, 1)
    first = made.problems[0]
    kept = first.arms[0].candidates[0]
    candidates = tuple(
        replace(kept, index=index, text=text, reasoning=text or None, answer="7", group=0)
        for index, text in enumerate(texts)
    )
    return replace(made, problems=(replace(first, arms=(replace(first.arms[0], candidates=candidates),)),))


def read_back(chromium: Chromium, made: Report, folder: Path) -> list[str]:
    """Open every candidate of the first problem, and return their texts as the page holds them."""
    write_page(made, folder / "page.html")
    chromium.open(folder / "page.html", width=400)
    chromium.run("document.querySelector('#problem-table .open').click()")
    chromium.wait("document.querySelector('.group')")
    chromium.run("document.querySelector('.group').open = true")
    chromium.wait("document.querySelector('.candidate')")
    chromium.run("document.querySelectorAll('.candidate').forEach(one => one.open = true)")
    count = len(made.problems[0].arms[0].candidates)
    chromium.wait(f"document.querySelectorAll('.candidate > .text, .candidate > .reason').length === {count}")
    texts = (
        "[...document.querySelectorAll('.candidate')].map(c => c.querySelector(':scope > .text')?.textContent ?? '')"
    )
    return list(json.loads(chromium.run(f"JSON.stringify({texts})")))


@pytest.mark.parametrize("texts", [HOSTILE, TEXTS], ids=["hostile", "usual"])
def test_texts_come_back_to_the_character(chromium: Chromium, tmp_path: Path, texts: dict[str, str]) -> None:
    read = read_back(chromium, with_texts(list(texts.values())), tmp_path)
    for (name, text), shown in zip(texts.items(), read, strict=True):
        assert shown == text, name
    assert chromium.complaints == []
    assert chromium.requests == []
    assert chromium.run("window.broken === undefined")
    assert chromium.run("document.documentElement.scrollWidth") <= 400


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_prompts_and_settings_stay_text(chromium: Chromium, tmp_path: Path, name: str) -> None:
    write_page(hostile_everywhere(HOSTILE[name]), tmp_path / "page.html")
    chromium.open(tmp_path / "page.html", width=400)
    chromium.run("document.querySelector('#problem-table .open').click()")
    chromium.wait("document.querySelector('.group')")
    chromium.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    chromium.wait("document.querySelector('.candidate')")
    assert chromium.complaints == []
    assert chromium.requests == []
    assert chromium.run("window.broken === undefined")
    assert chromium.run("document.querySelectorAll('img, a:not(.skip, .link), iframe, textarea, svg svg').length") == 0
    assert chromium.run("document.querySelectorAll('script:not([type])').length") == 1
    chromium.run("document.querySelectorAll('.link')[1].click()")
    chromium.wait("document.querySelectorAll('.open')[1].getAttribute('aria-expanded') === 'true'")
    assert chromium.run("document.documentElement.scrollWidth") <= 400


def hostile_everywhere(text: str) -> Report:
    """Return a report in which every string that comes from outside is that text."""
    made = report(2, 2, arms=(text, f"second {text}"))
    arms = tuple(
        replace(arm, run=text, recipe={text: text, "seed": [text]}, statistics={text: {text: text}})
        for arm in made.arms
    )
    spread = [
        replace(arm.spread, kernel=text, perplexity=3.5, perplexity_model=text) for arm in made.arms if arm.spread
    ]
    arms = tuple(replace(arm, spread=one) for arm, one in zip(arms, spread, strict=True))
    lines = [replace(arm, lines=(*arm.lines, replace(arm.lines[0], figure=f"best_of_n({text})"))) for arm in arms]
    problems = tuple(
        replace(
            problem,
            id=f"{text} {place}",
            prompt=text,
            reference=text,
            arms=tuple(
                replace(
                    view,
                    reason=text,
                    candidates=tuple(
                        replace(
                            one,
                            text=text,
                            answer=text,
                            rule=text,
                            reason=text,
                            detail=text,
                            sampler=text,
                            scores={text: 0.5},
                        )
                        for one in view.candidates
                    ),
                )
                for view in problem.arms
            ),
        )
        for place, problem in enumerate(made.problems)
    )
    return replace(
        made,
        title=text,
        arms=tuple(lines),
        problems=problems,
        warnings=(text,),
        method=(text,),
        contrasts=tuple(replace(one, power=text) for one in made.contrasts),
    )


def test_a_megabyte_on_one_line_is_shown_without_delay(chromium: Chromium, tmp_path: Path) -> None:
    texts = ["x" * 1_000_000, "\\[" * 500_000, "$1" * 500_000, "`\n" * 300_000]
    read = read_back(chromium, with_texts(texts), tmp_path)
    assert [len(text) for text in read] == [len(text) for text in texts]
    assert chromium.run("document.documentElement.scrollWidth") <= 400
    assert chromium.complaints == []


def test_mathematics_and_code_are_set_apart(chromium: Chromium, tmp_path: Path) -> None:
    read_back(chromium, with_texts([TEXTS["mathematics"], TEXTS["code"], TEXTS["prices"]]), tmp_path)
    parts = "[...c.querySelectorAll(':scope > .text > span')].map(s => s.textContent)"
    mathematics, code, prices = chromium.run(f"[...document.querySelectorAll('.candidate')].map(c => {parts})")
    assert mathematics == [r"$x^2 + \frac{1}{2}$", r"\[ \sum_{i=1}^n i \]", r"\( a<b \)", "$$y$$"]
    assert code == ["```python\nif a < b and `c`: $x$\n```", "`done`"]
    assert prices == []


def test_the_order_of_text_cannot_be_turned_around(chromium: Chromium, tmp_path: Path) -> None:
    read_back(chromium, with_texts(["safe \u202e text"]), tmp_path)
    assert chromium.run("document.querySelector('.candidate .control').dataset.name") == "U+202E"
    assert chromium.run("getComputedStyle(document.querySelector('.candidate .control')).unicodeBidi") == "isolate"


def test_a_page_of_a_hundred_problems_and_sixty_four_candidates_is_under_three_megabytes() -> None:
    made = report(100, 64, arms=("min_p",), num_words=175)
    texts = [one.text for problem in made.problems for one in problem.arms[0].candidates]
    mean_tokens = sum(len(text.encode()) for text in texts) / len(texts) / 2.92  # bytes a token of a real model's texts
    assert mean_tokens >= 400
    assert len(page(made).encode()) < 3_000_000
