"""The table of problems: one row each, sorted and filtered by the page's script, and opened to its candidates."""

from __future__ import annotations

from tts.report.data import ArmView, ProblemView, Report
from tts.report.page.html import Content, Html, join, tag
from tts.report.wording import plural, shortened
from tts.types import Status

SYMBOLS: dict[Status, str] = {"passed": "✓", "failed": "✗", "undecided": "?"}
ORDER: dict[Status, str] = {"passed": "2", "undecided": "1", "failed": "0"}
MOST_PROMPT = 600  # what the text filter searches; the style shows two lines of it


def problem_table(report: Report) -> list[Html]:
    """Return the controls and the table; a sentence where the report has no problems."""
    if not report.problems:
        return [tag("p", "The report holds no candidates to look at.")]
    names = [arm.name for arm in report.arms]
    heads = ["Problem", *(title for name in names for title in (name, f"{name}: right"))]
    caption = "Problems: the verdict on what each recipe handed in, and how many of its candidates are right."
    rows = [_rows(number, problem, names) for number, problem in enumerate(report.problems)]
    whole = tag("table", tag("caption", caption), tag("thead", tag("tr", map(_head, heads))), rows, id="problem-table")
    return [
        _controls(len(names)),
        tag("p", plural(len(rows), "problem"), id="shown", role="status"),
        tag("div", whole, class_="scroll", tabindex="0", role="group"),
        tag("noscript", tag("p", "The candidates themselves need JavaScript: they are packed in this file.")),
    ]


def badge(status: Status) -> Html:
    """Return a verdict as symbol and word."""
    return tag("span", tag("span", SYMBOLS[status], aria_hidden="true"), f" {status}", class_=f"verdict {status}")


def _controls(num_arms: int) -> Html:
    choices = [("", "any verdict"), *((status, f"{status} by some recipe") for status in SYMBOLS)]
    options = [tag("option", text, value=value) for value, text in choices]
    parts: list[Content] = [
        tag("label", "Find ", tag("input", type="search", id="find", placeholder="id or text", autocomplete="off")),
        tag("label", "Verdict ", tag("select", options, id="verdict")),
    ]
    if num_arms > 1:
        parts.append(tag("label", tag("input", type="checkbox", id="disagree"), " verdicts differ between recipes"))
    return tag("form", *parts, id="filters", hidden=True)


def _head(title: str) -> Html:
    return tag("th", tag("button", title, type="button", class_="sort"), scope="col", aria_sort="none")


def _rows(number: int, problem: ProblemView, names: list[str]) -> Html:
    """Return one problem's group of rows. `data-verdicts` has one verdict an arm."""
    views = {view.arm: view for view in problem.arms}
    cells = [cell for name in names for cell in _verdict(views.get(name))]
    opener = tag("button", problem.id, type="button", class_="open", aria_expanded="false", data_number=str(number))
    prompt = tag("span", shortened(problem.prompt, MOST_PROMPT), class_="prompt", dir="auto")
    first = tag("th", opener, prompt, scope="row", data_sort=f"{number:09}")
    verdicts = " ".join(view.status for view in problem.arms)
    return tag("tbody", tag("tr", first, cells), data_verdicts=verdicts)


def _verdict(view: ArmView | None) -> list[Html]:
    """Return the cells of one arm: its verdict, and how many of its candidates are right (maybe a range)."""
    if view is None:
        return [tag("td", "not asked", data_sort=""), tag("td", "–", class_="number", data_sort="-1")]
    statuses = [one.status for one in view.candidates]
    right, undecided, total = statuses.count("passed"), statuses.count("undecided"), len(statuses)
    told = f"{right}" if not undecided else f"{right}–{right + undecided}"
    share = (right + undecided / 2) / total if total else -1.0
    reason = tag("span", f" {view.reason.replace('_', ' ')}", class_="reason") if view.reason else ""
    return [
        tag("td", badge(view.status), reason, data_sort=ORDER[view.status]),
        tag("td", join(told, tag("span", f" / {total}", class_="of")), class_="number", data_sort=f"{share:.6f}"),
    ]
