"""The assertions in a text that a model wrote, found in the sandbox: what a model wrote is read by Python nowhere else.

How it works. A program of ours is run, which gets the texts on its standard input. A line that begins with `assert` is
an assertion as soon as it and the fewest lines after it can be read as one, and counts if it calls the function. It is
written anew from its syntax tree, so that the same assertion is the same text however it was spelt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from tts.sandbox import Limits, Sandbox

READER = '''
import ast, itertools, json, re, sys, warnings

warnings.simplefilter("ignore")
MOST_LINES, MOST_LENGTH = 20, 4000
LIST_MARK = re.compile(r"[\\s>`*+-]*(?:\\d+[.)]\\s*)?`*")


def read(lines, name):
    """Return the assertion that the lines begin with, None where there is none about the function."""
    for number in range(1, min(MOST_LINES, len(lines)) + 1):
        text = "\\n".join(lines[:number]).strip()
        if len(text) > MOST_LENGTH:
            return None
        try:
            [found] = ast.parse(text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if not isinstance(found, ast.Assert):
            return None
        called = [one.func for one in ast.walk(found.test) if isinstance(one, ast.Call)]
        named = [one for one in called if isinstance(one, ast.Name) and one.id in (name, "candidate")]
        for one in named:
            one.id = name
        anew = ast.unparse(ast.Assert(found.test, None))
        try:
            compile(anew, "", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        return anew if named else None
    return None


asked = json.load(sys.stdin)
found = []
for text in asked["texts"]:
    lines = text.splitlines()
    bare = [LIST_MARK.sub("", line, count=1).rstrip("`") for line in lines]
    begins = [place for place, line in enumerate(bare) if line.startswith("assert")]
    tests = (read([bare[place], *lines[place + 1 :]], asked["name"]) for place in begins)
    found.append([*itertools.islice(filter(None, tests), asked["most"])])
print(json.dumps(found))
'''


def find_asserts(sandbox: Sandbox, function: str, texts: Sequence[str], most: int, limits: Limits) -> list[list[str]]:
    """Return the assertions about `function` in each text, the first `most`; none of one that cannot be read.

    Of a method `Class.method` they are those that make an object of the class.
    """
    name = function.partition(".")[0]
    found = _read(sandbox, name, texts, most, limits)
    if found is None and len(texts) > 1:  # one of them is too much for the reader: which?
        return [(_read(sandbox, name, [text], most, limits) or [[]])[0] for text in texts]
    return found if found is not None else [[] for _ in texts]


def _read(sandbox: Sandbox, name: str, texts: Sequence[str], most: int, limits: Limits) -> list[list[str]] | None:
    asked = json.dumps({"name": name, "texts": list(texts), "most": most})
    run = sandbox.run(READER, asked.encode(), limits)
    return json.loads(run.stdout) if run.outcome == "ok" else None
