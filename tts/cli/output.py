"""What commands write: JSON lines on stdout for programs. (The table for people is in `display`.)"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from tts.cli.streams import harmless
from tts.pipeline.judge import FAILED, SELECTION_FAILED
from tts.pipeline.outcomes import Outcome
from tts.runs import records
from tts.types import RowError

PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}
"""How rich prints a line as it is."""

RAW_CONTROLS = re.compile(rb"\x7f|\xc2[\x80-\x9f]")
"""DEL and the upper control characters in UTF-8; in JSON they stand within strings alone."""


class Terminal(Console):
    """A console that shows what models and rows wrote, and sends none of it: control characters are spelled out."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of what is printed; rich's own control codes stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))


def clip(text: str, width: int) -> str:
    """Return the text as one harmless line of at most `width` cells, ending in … where it was cut."""
    line = harmless(" ".join(text.split()))
    return line if cell_len(line) <= width else set_cell_size(line, max(0, width - 1)).rstrip() + "…"[:width]


def filled(text: str, width: int) -> str:
    """Return the text clipped and filled up to exactly `width` cells."""
    return set_cell_size(clip(text, width), width)


def command() -> str:
    """Return the command line that is running, as it would be typed."""
    return shlex.join(["tts", *sys.argv[1:]])


def write_json(content: object) -> None:
    """Write it to stdout as a line of JSON, and flush it; control characters that JSON leaves raw are escaped, too."""
    line = records.dumps(content)
    if RAW_CONTROLS.search(line):
        line = RAW_CONTROLS.sub(lambda found: rb"\u%04x" % ord(found[0].decode()), line)
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def write_outcome(outcome: Outcome, stderr: Console, **before: object) -> None:
    """Write one outcome for programs, `before` being its first keys; a row's error is told on `stderr`, too."""
    write_json({**before, **record(outcome)})
    if isinstance(outcome, RowError):
        stderr.print(f"tts: line {outcome.line}: {outcome.message}", **PLAIN)


def record(outcome: Outcome) -> dict[str, Any]:
    """Return the JSON object for one outcome. `error` is null exactly where the problem was answered in full."""
    if isinstance(outcome, RowError):
        why = {"type": outcome.error_type, "message": outcome.message}
        return {"id": outcome.problem_id, "line": outcome.line, "error": why}
    solution = outcome.solution
    failed = solution.verdict.reason in (FAILED, SELECTION_FAILED)
    error = {"type": solution.verdict.reason if failed else "candidates_missing", "message": solution.error}
    return {
        "id": solution.problem_id,
        "answer": solution.selection.answer,
        "text": solution.text,
        "verdict": solution.verdict,
        "selection": solution.selection,
        "counts": solution.counts,
        "usage": solution.usage,
        "error": error if solution.error else None,
        "metadata": solution.metadata,
    }
