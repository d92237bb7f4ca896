"""SVG → PNG, with the one library that does it (extra `plot`)."""

from __future__ import annotations

from collections.abc import Callable

from tts.errors import MissingExtraError, UsageError
from tts.report.chart import FONT

ZOOM = 3


def renderer() -> Callable[[str], bytes]:
    """Return what turns an SVG document into a PNG file, three pixels a unit, on white.

    Raises MissingExtraError where the library is missing, UsageError where there is no font to write with.
    """
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise MissingExtraError("resvg-py", "plot", "Drawing PNG figures") from error

    def render(svg: str) -> bytes:
        return svg_to_bytes(svg_string=svg, zoom=ZOOM, background="white")

    blank, written = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20" {FONT}>{content}</svg>'
        for content in ("", '<text y="15">k</text>')
    )
    if render(blank) == render(written):
        raise UsageError(
            "PNG figures must have a font to write with, got a system without any: install DejaVu Sans, say"
        )
    return render
