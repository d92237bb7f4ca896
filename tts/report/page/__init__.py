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

from markupsafe import Markup

from tts.report.data import Report
from tts.report.page.payload import packed
from tts.report.page.sections import templates
from tts.runs.files import write_whole
from tts.version import __version__


def write_page(report: Report, path: Path, command: str = "") -> None:
    """Write the report as one HTML file, whole or not at all; it replaces one that is there. Raises RunWriteError.

    `command` is the one that made it, for its head.

    All figures and tables can be read without JavaScript; the candidates' texts are unpacked by it.
    """
    write_whole(path, page(report, command).encode())


def page(report: Report, command: str = "") -> str:
    """Return the report as an HTML document.

    Its Content-Security-Policy allows nothing but this very script and style, named by their hashes.
    """
    style, script = ((files(__name__) / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return (
        templates()
        .get_template("page.html")
        .render(
            report=report,
            command=command,
            style=Markup(style),
            script=Markup(script),
            digest=lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode(),
            packed=packed,
            version=__version__,
        )
    )
