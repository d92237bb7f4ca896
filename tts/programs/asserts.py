"""The assertions in a text that a model wrote, found in the sandbox: what a model wrote is read by Python nowhere else.

How it works. A program of ours is run, which gets the texts on its standard input. A line that begins with `assert` is
an assertion as soon as it and the fewest lines after it can be read as one, and counts if it calls the function; so is
a line that begins with the function's name a call. Each is written anew from its syntax tree, so that the same one is
the same text however it was spelt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tts.sandbox import Limits, Sandbox
from tts.types import JSON

READER = '''
import ast, itertools, json, re, sys, warnings

warnings.simplefilter("ignore")
MOST_LINES, MOST_LENGTH = 20, 4000
LIST_MARK = re.compile(r"[\\s>`*+-]*(?:\\d+[.)]\\s*)?`*")


def read(lines, name, kind):
    """Return the assertion or call that the lines begin with, None where there is none about the function."""
    for number in range(1, min(MOST_LINES, len(lines)) + 1):
        text = "\\n".join(lines[:number]).strip()
        if len(text) > MOST_LENGTH:
            return None
        try:
            [found] = ast.parse(text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if not isinstance(found, kind):
            return None
        tested = found.test if kind is ast.Assert else found.value
        called = [one.func for one in ast.walk(tested) if isinstance(one, ast.Call)]
        named = [one for one in called if isinstance(one, ast.Name) and one.id in (name, "candidate")]
        for one in named:
            one.id = name
        anew = ast.unparse(ast.Assert(tested, None) if kind is ast.Assert else tested)
        try:
            compile(anew, "", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        return anew if named else None
    return None


asked = json.load(sys.stdin)
mark, kind = (asked["name"] + "(", ast.Expr) if asked["calls"] else ("assert", ast.Assert)
found = []
for text in asked["texts"]:
    lines = text.splitlines()
    bare = [LIST_MARK.sub("", line, count=1).rstrip("`") for line in lines]
    begins = [place for place, line in enumerate(bare) if line.startswith(mark)]
    tests = (read([bare[place], *lines[place + 1 :]], asked["name"], kind) for place in begins)
    found.append([*itertools.islice(filter(None, tests), asked["most"])])
print(json.dumps(found))
'''


def find(
    sandbox: Sandbox, function: str, texts: Sequence[str], most: int, limits: Limits, *, calls: bool = False
) -> list[list[str]]:
    """Return the assertions about `function` in each text, or its calls, the first `most`; none where none can be read.

    Of a method `Class.method` they are those that make an object of the class.
    """
    asked: dict[str, JSON] = {"name": function.partition(".")[0], "most": most, "calls": calls}
    found = _read(sandbox, asked, texts, limits)
    if found is None and len(texts) > 1:  # one of them is too much for the reader: which?
        return [(_read(sandbox, asked, [text], limits) or [[]])[0] for text in texts]
    return found if found is not None else [[] for _ in texts]


def _read(sandbox: Sandbox, asked: Mapping[str, JSON], texts: Sequence[str], limits: Limits) -> list[list[str]] | None:
    run = sandbox.run(READER, json.dumps({**asked, "texts": list(texts)}).encode(), limits)
    return json.loads(run.stdout) if run.outcome == "ok" else None
