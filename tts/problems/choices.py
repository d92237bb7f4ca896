"""Multiple choice: the options of a row, and the letter of the right one."""

from __future__ import annotations

from string import ascii_uppercase

from tts.errors import shown
from tts.problems.jsonl import BadRow
from tts.types import JSON


def read_choices(value: JSON) -> tuple[str, ...]:
    """Return the options in the order shown, () where there are none.

    `value` is a list of 2 to 26 strings or numbers, or an object whose keys are the letters A, B, … without a gap.
    """
    if value is None:
        return ()
    options = value
    if isinstance(value, dict):
        if set(value) != set(ascii_uppercase[: len(value)]):
            raise BadRow(
                "bad_choices", f"the keys of `choices` must be A, B, … without a gap, got {shown(list(value))}"
            )
        options = [value[letter] for letter in sorted(value)]
    if not isinstance(options, list) or not 2 <= len(options) <= 26:
        raise BadRow("bad_choices", f"`choices` must be a list of 2 to 26 options, got {shown(value)}")
    return tuple(_read_option(index, option) for index, option in enumerate(options))


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
