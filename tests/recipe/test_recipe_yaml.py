"""Recipe files are YAML as its version 1.2 has it: plain data, one document, and every complaint has its line."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from recipe_parts import COMPLETE, load, mistakes

from tts.errors import RecipeError
from tts.recipe import load_recipe
from tts.recipe.tree import Place
from tts.recipe.yaml_source import parse


def read(text: str) -> Any:
    node, mistakes = parse(text.encode(), Place("x.yaml", 1))
    assert not mistakes
    return node.plain()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1E5", 1e5), (".5", 0.5), ("2.", 2.0), ("-0.5", -0.5), ("+7", 7), ("010", 10), ("0o10", 8),
        ("0x1F", 31), ("-.inf", -math.inf), ("true", True), ("False", False), ("~", None), ("", None), ("null", None),
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("12:30", "12:30"), ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"), ("=", "="), ("1.2.3", "1.2.3"), ("'8'", "8"), ('"true"', "true"),
        ("!!str 12", "12"), ("!!float 3", 3.0), ("tRuE", "tRuE"), (".", "."), ("1e", "1e"), ("--1", "--1"),
    ],
)  # fmt: skip
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    found = read(f"key: {text}")["key"]
    assert (type(found), found) == (type(value), value)


def test_not_a_number_is_a_number() -> None:
    assert math.isnan(read("key: .NaN")["key"])


def test_keys_are_text_whatever_they_look_like() -> None:
    assert read("{on: 1, 3: 2, null: 3}") == {"on": 1, "3": 2, "null": 3}


def test_aliases_repeat_what_their_anchor_holds() -> None:
    assert read("a: &x [1, {b: 2}]\nc: *x\n") == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}


# What is a number in YAML 1.2 alone (such as 1e3) the writer, which follows 1.1, does not quote.
words = st.text(st.characters(codec="utf-8")).filter(lambda text: not re.fullmatch(r"[-+.0-9]+[eE][-+0-9]+", text))
data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text("abc", min_size=1), data))
def test_whatever_a_yaml_writer_writes_comes_back(value: dict[str, Any]) -> None:
    assert read(yaml.safe_dump(value)) == value


@given(st.binary(max_size=200) | st.text("ab:[]{}&*!-?|>'\"#%@,\n\t <1.", max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused_in_one_line(content: bytes) -> None:
    told = "x.yaml"
    try:
        parse(content, Place("x.yaml", 1))
    except RecipeError as error:
        told = str(error)
    assert told.startswith("x.yaml")
    assert "\n" not in told


REFUSED = [
    (b"", "mine.yaml: a recipe must be a mapping of keys, got nothing"),
    (b"# nothing\n", "mine.yaml: a recipe must be a mapping of keys, got nothing"),
    (b"- a\n- b\n", "mine.yaml: a recipe must be a mapping of keys, got a list of 2"),
    (b"seed: 1\n\ttask: x\n", "mine.yaml:2: this is not valid YAML: .*'.t'.*: indent with spaces, never with tabs"),
    (b"a: [1, 2\nb: 3\n", "mine.yaml:2: this is not valid YAML: while parsing a flow sequence expected ',' or ']'"),
    (b"a: 1\n---\nb: 1\n", "mine.yaml:2: a recipe must be one YAML document, got a second one"),
    (b"a: 1\nb: caf\xe9\n", "mine.yaml:2: the text must be UTF-8, got the byte 0xe9"),
    (b"a: 1\nb: \x07\n", "mine.yaml:2: the character '.x07' is not allowed in YAML"),
    (b"a: *nowhere\n", "mine.yaml:1: this is not valid YAML: found undefined alias 'nowhere'"),
    (b"a: &x {b: 1}\nc: {<<: *x}\n", "mine.yaml:2: merge keys .`<<`. are not supported"),
    (b"? [a]\n: 1\n", "mine.yaml:1: a key must be a single word, got a list or a mapping"),
    (b"a: !!python/object/apply:os.getcwd []\n", "mine.yaml:1: a value must be plain data, got the tag `!!python/"),
    (b"a: 1\nb: !!binary aGk=\n", "mine.yaml:2: a value must be plain data, got the tag `!!binary`"),
    (b"a: !mine x\n", "mine.yaml:1: a value must be plain data, got the tag `!mine`"),
    (b"seed: !!int abc\n", "mine.yaml:1: the value must be a `!!int`, got 'abc'"),
    (b"seed: " + b"9" * 5000, "mine.yaml:1: the value must be a `!!int`, got '999"),
    (b'a: "\\ud800"\n', "mine.yaml:1: half a character must not be escaped alone"),
    (b"a: &a [*a]\n", "mine.yaml: a recipe must hold at most 20000 values .*, nested at most 50 deep"),
    (b"a: " + b"[" * 100_000, "mine.yaml:1: the values must be nested at most 50 deep"),
    (b"- " * 100_000, "mine.yaml:1: the values must be nested at most 50 deep"),
    (b"#" * 1_000_001, "mine.yaml: a recipe must have at most 1000000 bytes, got 1000001"),
]


@pytest.mark.parametrize(("content", "told"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_recipe_is_refused_in_one_line(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=told) as refused:
        load_recipe(path)
    assert len(str(refused.value).splitlines()) == 1


def test_a_file_that_grows_without_end_through_aliases_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    [line] = mistakes(tmp_path, "\n".join(lines))
    assert "at most 20000 values (an alias counts each time)" in line


def test_a_key_that_stands_twice_is_reported_with_both_lines_among_the_other_mistakes(tmp_path: Path) -> None:
    assert mistakes(tmp_path, COMPLETE + "seed: -1\nsampler: greedy\n") == [
        "mine.yaml:5: `seed` must be ≥ 0, got -1",
        "mine.yaml:6: the key `sampler` must stand once, got it first at mine.yaml:3",
    ]


@pytest.mark.parametrize("change", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n"),
                                    lambda text: "%YAML 1.2\n---\n" + text + "...\n"])  # fmt: skip
def test_marks_of_other_editors_do_no_harm(tmp_path: Path, change: Any) -> None:
    assert load(tmp_path, change(COMPLETE)).resolved() == load(tmp_path, COMPLETE).resolved()
