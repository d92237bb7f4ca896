from __future__ import annotations

from typing import Any

import pytest

from tts.programs.forms import TestsError, as_object, called_names, check

STDIN = [{"input": "1\n", "output": "2\n"}]
CALLS = [{"args": [1, [2]], "expected": {"a": None}}]
CHECK = "def check(candidate):\n    assert candidate(1) == 2\n"


@pytest.mark.parametrize(
    ("short", "entry_point", "full"),
    [
        (STDIN, "", {"stdin": STDIN}),
        (CALLS, "f", {"calls": CALLS, "entry_point": "f"}),
        (CALLS, "Solution.f", {"calls": CALLS, "entry_point": "Solution.f"}),
        (["assert f(1) == 2"], "", {"asserts": ["assert f(1) == 2"], "entry_point": "f"}),
        (["assert g(f(1)) == 2"], "f", {"asserts": ["assert g(f(1)) == 2"], "entry_point": "f"}),
        ("assert f(1) == 2", "", {"asserts": ["assert f(1) == 2"], "entry_point": "f"}),
        (CHECK, "f", {"check": CHECK, "entry_point": "f"}),
        ({"stdin": STDIN, "tolerance": 0, "prelude": "import math"}, "", None),
        ({"calls": CALLS, "entry_point": "f", "tolerance": 1e-6}, "f", None),
        ({"check": CHECK, "entry_point": "f", "setup": "import math"}, "", None),
    ],
)
def test_every_short_form_has_one_full_form_which_is_its_own(short: Any, entry_point: str, full: Any) -> None:
    found = as_object(short, entry_point)
    assert found == (full or short)
    assert as_object(found, entry_point) == found


@pytest.mark.parametrize(
    ("asserts", "entry_point"),
    [
        (["assert set(f([1])) == set([1])", "assert math.isclose(f([2]), 2)"], "f"),
        (["import math\nassert math.floor(f(1)) == 1"], "f"),
        (["for n in range(3):\n    assert sorted(f(n)) == [g for g in range(n)]"], "f"),
    ],
)
def test_bare_asserts_name_the_function_that_they_call(asserts: list[Any], entry_point: str) -> None:
    assert as_object(asserts)["entry_point"] == entry_point


def test_names_are_listed_in_order_without_those_that_the_code_binds_itself() -> None:
    assert called_names(("def h(x): return g(x)", "assert h(f(1)) == f(2) == len([])")) == ["g", "f", "len"]


@pytest.mark.parametrize(
    ("value", "entry_point", "says"),
    [
        ([], "", "must be a non-empty list, object or string"),
        (5, "", "got 5"),
        ({}, "", "exactly one of the keys stdin, calls, asserts or check"),
        ({"stdin": STDIN, "calls": CALLS}, "", "exactly one"),
        ({"stdin": STDIN, "tolerence": 1}, "", "did you mean `tolerance`"),
        ({"stdin": []}, "", "`stdin` must be a non-empty list"),
        ([{"input": "1", "output": 2}], "", r"`stdin\[0\].output` must be a string, got 2"),
        ([{"input": "1"}], "", r"`stdin\[0\]` must have the key `output`"),
        ([*STDIN, {"input": "1", "output": "2", "ouput": ""}], "", r"`stdin\[1\]`: .* did you mean `output`"),
        ([*STDIN, "1"], "", r"`stdin\[1\]` must be an object, got '1'"),
        ({"stdin": STDIN, "tolerance": -1}, "", "`tolerance` must be a number of at least 0, got -1"),
        ({"stdin": STDIN, "tolerance": True}, "", "`tolerance` must be a number"),
        ({"stdin": STDIN, "prelude": 1}, "", "`prelude` must be a string"),
        (CALLS, "", "`entry_point` must be the name of a function"),
        ([{"args": 1, "expected": 2}], "f", r"`calls\[0\].args` must be a list, got 1: write \[1\]"),
        ([{"args": [1]}], "f", r"`calls\[0\]` must have the key `expected`"),
        (
            {"calls": CALLS, "entry_point": "a.b.c"},
            "",
            "`entry_point` must be the name of a function or `Class.method`",
        ),
        ({"calls": CALLS, "entry_point": "f"}, "g", "`entry_point` must be given once, got 'f' and 'g'"),
        (["assert f(1) == g(2)"], "", r"the asserts call \['f', 'g'\]"),
        (["assert 1 == 1"], "", "the asserts call none"),
        (["assert f(1) =="], "f", r"`asserts\[0\]` must be Python"),
        (["assert f(1) == 1", 2], "f", r"`asserts\[1\]` must be a statement, got 2"),
        ({"check": "assert f(1)", "entry_point": "f"}, "", "must be code that defines `check"),
        ({"check": CHECK, "entry_point": "f", "setup": "import"}, "", "`setup` must be Python"),
        (f"{CHECK}\n  x", "f", "`check` must be Python"),
    ],
)
def test_what_has_no_form_is_refused_with_its_place(value: Any, entry_point: str, says: str) -> None:
    with pytest.raises(TestsError, match=says):
        as_object(value, entry_point)


@pytest.mark.parametrize("value", [None, [], "assert f(1)", ["assert f(1)"]])
def test_only_the_full_form_passes_the_check(value: Any) -> None:
    with pytest.raises(TestsError, match="must be an object"):
        check(value)
