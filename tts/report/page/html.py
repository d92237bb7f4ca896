"""HTML that cannot be broken into: every string is escaped unless this module made it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TypeAlias

from tts.report.wording import visible


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


VOID = {"input"}  # elements that have no end
Content: TypeAlias = "str | Html | Iterable[str | Html]"


def tag(name: str, *content: Content, **attributes: str | bool | None) -> Html:
    """Return an element. Attributes lose a trailing underscore, inner ones become hyphens; True stands alone.

    False and None leave the attribute out.
    """
    spelt = "".join(_attribute(key, value) for key, value in attributes.items())
    return Html(f"<{name}{spelt}>" if name in VOID else f"<{name}{spelt}>{join(*content)}</{name}>")


def join(*content: Content) -> Html:
    """Return the contents one after the other."""
    return Html("".join(_part(part) for part in content))


def table(
    caption: Content, head: Sequence[Content], rows: Iterable[Sequence[Content]], *, words: Sequence[int] = (0,)
) -> Html:
    """Return a table that scrolls inside itself; the first cell of a row heads it.

    The columns in `words` are set as text, all others as numbers.
    """
    heads = (tag("th", title, scope="col", class_=_kind(place, words)) for place, title in enumerate(head))
    body = (tag("tr", (_cell(place, cell, words) for place, cell in enumerate(row))) for row in rows)
    whole = tag("table", tag("caption", caption), tag("thead", tag("tr", heads)), tag("tbody", body))
    return tag("div", whole, class_="scroll", tabindex="0", role="group")


def details(summary: Content, *content: Content, **attributes: str | bool | None) -> Html:
    """Return what is folded under its summary."""
    return tag("details", tag("summary", summary), *content, **attributes)


def _cell(place: int, content: Content, words: Sequence[int]) -> Html:
    if place == 0:
        return tag("th", content, scope="row")
    return tag("td", content, class_=_kind(place, words))


def _kind(place: int, words: Sequence[int]) -> str | None:
    return None if place in words else "number"


def _part(part: Content) -> str:
    if isinstance(part, Html):
        return part
    return escape(visible(part)) if isinstance(part, str) else "".join(map(_part, part))


def _attribute(key: str, value: str | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(visible(value))}"'
