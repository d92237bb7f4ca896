"""Multiple choice: the options of a row, and the letter of the right one."""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_uppercase

from tts.errors import shown
from tts.problems.jsonl import BadRow
from tts.types import JSON


def read_choices(value: JSON) -> tuple[str, ...]:
    """Return the options in the order shown, () where there are none.

    `value` is a list of 2 to 26 strings or numbers, an object whose keys are the letters A, B, … without a gap, or one
    of two lists, `label` and `text`, as ARC has it.
    """
    if value is None:
        return ()
    options: JSON = value
    if labels_of(value):
        assert isinstance(value, dict)
        options = value["text"]
    elif isinstance(value, dict):
        if set(value) != set(ascii_uppercase[: len(value)]):
            raise BadRow(
                "bad_choices", f"the keys of `choices` must be A, B, … without a gap, got {shown(list(value))}"
            )
        options = [value[letter] for letter in sorted(value)]
    if not isinstance(options, list) or not 2 <= len(options) <= 26:
        raise BadRow("bad_choices", f"`choices` must be a list of 2 to 26 options, got {shown(value)}")
    return tuple(_read_option(index, option) for index, option in enumerate(options))


def labels_of(value: JSON) -> Mapping[str, str]:
    """Return the options' own labels with our letters, {} where they have none of their own."""
    if not isinstance(value, dict) or value.keys() != {"label", "text"}:
        return {}
    labels, texts = value["label"], value["text"]
    if not isinstance(labels, list) or not isinstance(texts, list) or len(labels) != len(texts):
        return {}
    named = [str(label).strip().upper() for label in labels]
    return dict(zip(named, ascii_uppercase, strict=False)) if len(set(named)) == len(named) else {}


def read_answer_letter(answer: str, choices: tuple[str, ...]) -> str:
    """Return the capital letter of the right option, given as a letter or as the option's own text.

    A position is refused, since nothing tells whether it counts from 0 or from 1; so is a text that stands twice, and
    one that is also the letter of another option.
    """
    letters = ascii_uppercase[: len(choices)]
    named = {letter for letter in letters if letter == answer.strip().upper()}
    named |= {letter for letter, choice in zip(letters, choices, strict=True) if choice.strip() == answer.strip()}
    if len(named) == 1:
        return named.pop()
    wanted = f"`answer` must be one letter of A to {letters[-1]} or the text of exactly one option"
    raise BadRow("bad_answer", f"{wanted}, got {shown(answer)}: write the letter")


def _read_option(index: int, option: JSON) -> str:
    if isinstance(option, int | float) and not isinstance(option, bool):
        return str(option)
    if isinstance(option, str) and option.strip():
        return option
    raise BadRow("bad_choices", f"`choices[{index}]` must be a non-empty string or a number, got {shown(option)}")
