"""What the tests of the code verifier and of its scorer share: two problems and programs that solve them or not."""

from __future__ import annotations

from tts.programs.forms import as_object
from tts.types import Answer, Problem, Reference

CLIP = Problem(
    "clip",
    "Write clip(x, top): x, but at most top.",
    "code",
    entry_point="clip",
    public_tests=as_object(["assert clip(5, 3) == 3", "assert clip(2, 3) == 2", "assert clip([1][0], 0) == 0"], "clip"),
)
CLIP_TESTS = Reference(tests=as_object([{"args": [9, 4], "expected": 4}, {"args": [-1, 4], "expected": -1}], "clip"))
CLIP_RIGHT = (
    "def clip(x, top):\n    return min(x, top)",
    "def clip(x, top):\n    if x > top:\n        return top\n    return x",
    "clip = lambda x, top: sorted([x, top])[0]",
)
CLIP_CONSTANT = "def clip(x, top):\n    return {5: 3, 2: 2}[x]"  # what the examples show, and nothing more
CLIP_ABSOLUTE = "def clip(x, top):\n    return abs(min(x, top))"

SUM = Problem(
    "sum",
    "Read two integers and print their sum.",
    "code",
    public_tests=as_object([{"input": "1 2\n", "output": "3\n"}, {"input": "10 20\n", "output": "30\n"}]),
)
SUM_TESTS = Reference(tests={"stdin": [{"input": "3 4\n", "output": "7\n"}, {"input": "-1 1\n", "output": "0\n"}]})
SUM_RIGHT = (
    "a, b = map(int, input().split())\nprint(a + b)",
    "import sys\nprint(sum(map(int, sys.stdin.read().split())), end='')",
)
SUM_WRONG = "a, b = map(int, input().split())\nprint(a - b)"
SUM_DIGITS = "a, b = map(int, input().split())\nprint(abs(a + b))"


def answers(*programs: str | None) -> list[Answer | None]:
    return [None if program is None else Answer(program, "fenced") for program in programs]
