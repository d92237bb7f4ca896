"""One self-contained HTML file of a report: nothing is loaded, and only its own script and style may run.

Mathematics stays the LaTeX that the model wrote, set apart by colour, and is not typeset: what models write is often
not quite LaTeX, a typesetter that fits into the page knows a part of it, and a reader who looks for the reason of a
verdict needs the characters that were judged. So the element holds the text of a candidate to the character.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from string import Template

from tts.report.data import Report
from tts.report.page.html import Html, join
from tts.report.page.payload import block
from tts.report.page.problem_table import problem_table
from tts.report.page.sections import scope, sections
from tts.runs.files import write_whole
from tts.version import __version__


def write_page(report: Report, path: Path) -> None:
    """Write the report as one HTML file, whole or not at all; it replaces one that is there. Raises RunWriteError.

    All figures and tables can be read without JavaScript; the candidates' texts are unpacked by it.
    """
    write_whole(path, page(report).encode())


def page(report: Report) -> str:
    """Return the report as an HTML document."""
    style, script = _part("page.css"), _part("page.js")
    return Template(_part("page.html")).substitute(
        policy=_policy(style, script),
        title=join(report.title),
        scope=scope(report),
        style=style,
        script=script,
        sections=join(sections(report, problem_table(report))),
        data=Html("\n").join(block(number, problem) for number, problem in enumerate(report.problems)),
        version=__version__,
    )


def _policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy: nothing but this very script and style, named by their hashes."""
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _part(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")
