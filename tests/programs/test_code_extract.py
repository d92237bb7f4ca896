from __future__ import annotations

import ast
import sys
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.programs.cleaning import without_prose
from tts.programs.extract import extract, without_thinking

HUMANEVAL = dedent(
    '''\
    import math


    def area(r: float) -> float:
        """ The area of a circle.
        >>> area(0.0)
        0.0
        """
    '''
)
LEETCODE = "class Solution:\n    def twice(self, n: int) -> int:\n        "
WHOLE = "def area(r):\n    return math.pi * r * r"


def found(text: str, entry_point: str = "area", starter_code: str = "") -> tuple[str, str]:
    answer = extract(text, entry_point, starter_code)
    assert answer is not None, text
    return answer.rule, answer.text


def run(text: str, entry_point: str, starter_code: str, *args: object) -> object:
    """Extract the program, run it here (it is our own) and call its function."""
    names: dict[str, object] = {}
    limit = sys.getrecursionlimit()
    exec(found(text, entry_point, starter_code)[1], names)
    sys.setrecursionlimit(limit)  # some programs raise it
    function = names[entry_point.partition(".")[0]]
    method = entry_point.partition(".")[2]
    return (getattr(function(), method) if method else function)(*args)  # type: ignore[operator]


@pytest.mark.parametrize(
    "opening", ["```python", "```py", "```Python3", "```", "``` python", "~~~python", "````python", "```{.python}"]
)
def test_a_fenced_block_of_any_tag_is_the_program(opening: str) -> None:
    marks = opening[:4] if opening.startswith("````") else opening[:3]
    assert found(f"Here it is:\n\n{opening}\n{WHOLE}\n{marks}\nIt works.") == ("fenced", WHOLE)
    assert found(f"{opening}\n{WHOLE}\n{marks}") == ("fenced", WHOLE)


@pytest.mark.parametrize(
    "text",
    [
        f"Code: ```python\n{WHOLE}\n```",
        f"- ```python\n{WHOLE}\n```",
        f"```python\n{WHOLE}```",
        f"```python\n\n\n{WHOLE}\n\n```\n",
        f"```python\r\n{WHOLE}\r\n```\r\n".replace("\r\n    ", "\n    "),
        "1. Do this:\n   ```python\n   def area(r):\n       return math.pi * r * r\n   ```\n2. Done",
        f"```java\n{WHOLE}\n```",
        f"```python title=x.py\n{WHOLE}\n```",
        f"```python {WHOLE}\n```",
        f"````markdown\n# Area\n```python\n{WHOLE}\n```\n````",
        f"~~~~\n~~~python\n{WHOLE}\n~~~\n~~~~",
        f"As you said:\n> ```python\n> {WHOLE.replace(chr(10), chr(10) + '> ')}\n> ```\nThat is it.",
    ],
)
def test_sloppy_fences_are_understood(text: str) -> None:
    assert found(text) == ("fenced", WHOLE)


def test_a_block_on_one_line_is_read() -> None:
    assert found("```python area = lambda r: r```") == ("fenced", "area = lambda r: r")
    assert found("```def area(r): return r```") == ("fenced", "def area(r): return r")


def test_a_block_that_is_never_closed_runs_to_the_end() -> None:
    assert found(f"Sure.\n```python\n{WHOLE}\n") == ("unclosed_fence", WHOLE)
    assert found(f"```python\nx = 1\n```python\n{WHOLE}") == ("unclosed_fence", WHOLE)


def test_marks_inside_a_docstring_belong_to_the_program() -> None:
    code = 'def area(r):\n    """\n    ```python\n    area(1)\n    ```\n    """\n    return r'
    assert found(f"```python\n{code}\n```\nText") == ("fenced", code)
    quoted = code.replace('"', "'")
    assert found(f"```\n{quoted}\n```") == found(f"````\n{quoted}\n````") == ("fenced", quoted)


@pytest.mark.parametrize(
    "others",
    [
        "```python\nprint(area(2))\n```",
        "```\n12.56\n```",
        "```bash\npython area.py\n```",
        "```python\n>>> area(0)\n0.0\n```",
        "```python\nassert area(0) == 0\n```\n```text\nok\n```",
    ],
)
def test_examples_of_use_around_the_program_do_not_count(others: str) -> None:
    assert found(f"```python\n{WHOLE}\n```\nFor example:\n{others}") == ("fenced", WHOLE)
    assert found(f"{others}\nThe program:\n```python\n{WHOLE}\n```") == ("fenced", WHOLE)


def test_the_last_program_counts() -> None:
    first, second = WHOLE, "def area(r):\n    return 3 * r * r"
    assert found(f"```python\n{first}\n```\nBetter:\n```python\n{second}\n```") == ("fenced", second)
    assert found(f"```python\n{second}\n```\nNo, wait:\n```\n{first}\n```") == ("fenced", first)


def test_earlier_blocks_come_along_where_they_define_what_is_used() -> None:
    helper = "def square(x):\n    return x * x"
    main = "def area(r):\n    return PI * square(r)"
    text = f"```python\nPI = 3\n```\n```python\n{helper}\n```\n```python\nunused = 1\n```\n```python\n{main}\n```"
    assert found(text) == ("fenced_parts", f"PI = 3\n\n\n{helper}\n\n\n{main}")
    assert run(text, "area", "", 2) == 12


@pytest.mark.parametrize(
    "part",
    [
        "CACHE = {}\nCACHE[0] = 1",
        "import re\nre.purge()\nCACHE = [1, 2]",
        "CACHE = [0] * 5\nfor i in range(5):\n    CACHE[i] = i + 1",
        "CACHE = {}\nCACHE.update({0: 1})\nCACHE[1] = CACHE[0] + 1",
        "def first():\n    return 1\n\nCACHE = [first()]\nprint(first())",
        "class Store(dict):\n    pass\n\nCACHE = Store()\nCACHE[0] = 1\n"
        "if __name__ == '__main__':\n    assert area(1) == 9",
    ],
)
def test_what_another_block_prepares_comes_along_from_before_and_after(part: str) -> None:
    main = "def area(r):\n    return CACHE[0] * r"
    for text in (
        f"```python\n{part}\n```\n\n```python\n{main}\n```",
        f"```python\n{main}\n```\nwith\n```python\n{part}\n```",
    ):
        assert found(text)[0] == "fenced_parts"
        assert run(text, "area", "", 5) == 5


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("from math import (\n    pi,  # 3.14\n    tau as full,\n)", "full * 0 + r"),
        ("from math import *", "gcd(5, 10) * r // 5"),
        ("try:\n    import mathematics as m\nexcept ImportError:\n    import math as m", "m.gcd(5, 10) * r // 5"),
        ("ONE, TWO = 1, 2", "ONE * r"),
        ("def first():\n    return 1\nassert first() == 2", "first() * r"),
        ("class One:\n    n = 1\nn = int(input())", "One.n * r"),
        ("def first():\n    return 1\nprint(area(first()) / 0)", "first() * r"),
    ],
)
def test_names_come_along_however_they_are_bound_and_whatever_fails_beside_them(part: str, value: str) -> None:
    main = f"def area(r):\n    return {value}"
    for blocks in ([part, main], [main, part]):
        text = "\nand\n".join(f"```python\n{block}\n```" for block in blocks)
        answer = extract(text, "area")
        assert answer is not None
        assert part in answer.text
        below = answer.text.startswith("def area")
        assert below == any(word in part for word in ("assert", "input", "area("))
        assert below or run(text, "area", "", 5) == 5


def test_a_draft_brings_its_helpers_and_is_overruled() -> None:
    draft = "def double(r):\n    return 2 * r\n\ndef area(r):\n    return 0"
    text = f"```python\n{draft}\n```\nNo:\n```python\ndef area(r):\n    return double(r)\n```"
    assert run(text, "area", "", 3) == 6


@pytest.mark.parametrize(
    "line", ["r = float(input())", "assert PI == 3", "import sys\nfirst = sys.argv[1]", "area(PI)"]
)
def test_another_block_that_reads_or_checks_or_calls_stays_out(line: str) -> None:
    text = f"```python\nPI = 3\n{line}\n```\n```python\n{WHOLE.replace('math.pi', 'PI')}\n```"
    assert found(text)[0] == "fenced"


def test_an_earlier_block_that_does_something_stays_out() -> None:
    text = f"```python\nPI = 3\nprint(PI)\n```\n```python\n{WHOLE.replace('math.pi', 'PI')}\n```"
    assert found(text)[0] == "fenced"


TOKENS = (
    "<|endoftext|>",
    "<|",
    "<|eot_id|>",
    "<|im_end|>",
    "</s>",
    "<eos>",
    "<end_of_turn>",
    "<｜end▁of▁sentence｜>",
    "<|end|>",
    "<|im_start|>assistant",
    "<|start|>assistant<|channel|>final<|message|>",
    "<fim_middle>",
    "<file_sep>",
    "<pad>",
)
BODY = "    return r * r * 3"
WHOLE_3 = f"def area(r):\n{BODY}"


@pytest.mark.parametrize("token", TOKENS)
def test_tokens_that_were_left_over_are_no_code(token: str) -> None:
    for text in (
        f"```python\n{WHOLE_3}\n{token}",
        f"```python\n{WHOLE_3}{token}",
        f"```python\n{WHOLE_3}\n```{token}",
        f"{WHOLE_3}{token}",
        f"{WHOLE_3}\n{token}{token}",
        f"{BODY}{token}",
        f"{BODY}\n{token}\n",
    ):
        assert run(text, "area", HUMANEVAL, 2) == 12, text


def test_what_follows_the_end_of_a_turn_is_not_the_answer() -> None:
    other = "```python\ndef area(r):\n    return 0\n```"
    assert run(f"```python\n{WHOLE_3}\n```<|im_end|>\n<|im_start|>user\nNext\n{other}", "area", "", 2) == 12
    assert run(f"<|im_start|>assistant\n```python\n{WHOLE_3}\n```<|eot_id|>{other}", "area", "", 2) == 12
    assert run(f"{BODY}\n<|endoftext|>def area(r):\n    return 0", "area", HUMANEVAL, 2) == 12


def test_tokens_and_typeset_characters_in_strings_stay() -> None:
    code = (
        "END = '<|endoftext|>'  # <|endoftext|>\nQUOTES = '“”\u00a0'\n'''\nHere is a text.\n<|im_end|>\n'''\n" + WHOLE_3
    )
    assert found(f"```python\n{code}\n```") == ("fenced", code)


@pytest.mark.parametrize(
    "code",
    [
        f"\ufeff{WHOLE_3}",
        "def area(r):\n\u00a0\u00a0\u00a0\u00a0return r * r\u00a0* 3",
        "def area(r):\n\u3000\u3000return r * r * 3",
        "def area(r)：\n    return r * r * int（“3”）",
        "def area(r):\n    return\u200b r * r * 3 − 0",
        f"!pip install numpy\n%matplotlib inline\n{WHOLE_3}\n!ls",
        f"Here is the code:\n{WHOLE_3}",
        f"{WHOLE_3}\n\nThis function returns the area of a circle.",
        f"{WHOLE_3}\n\nExplanation:\nIt's simple, isn't it?\n- we square r\n1. First, it is squared\n**Done**",
        f"Certainly! Below is the function.\n\n{WHOLE_3}\nI hope that this helps!",
        f"python\n{WHOLE_3}",
        f"Python3\n{WHOLE_3}",
        f"{WHOLE_3}\n\x0b\x00",
        ">>> def area(r):\n...     return r * r * 3\n>>> area(2)\n12",
    ],
)
def test_what_no_program_can_hold_is_taken_out(code: str) -> None:
    for text in (f"```python\n{code}\n```", f"```\n{code}\n```\nIt works.", f"```python\n{code}"):
        assert run(text, "area", "", 2) == 12


TEXTS = st.lists(
    st.sampled_from(
        [
            *(
                "def f(x):",
                "    return x",
                "x = [",
                "    1,",
                "]",
                "x: int = 1",
                "print(x)",
                "for i in x: pass",
                "match x:",
            ),
            *(
                "    case 1: pass",
                "@decorated",
                "*a, b = c",
                "-x",
                "- x",
                "'''",
                "Words here.",
                "lambda: 0",
                "X = Y",
                "else:",
            ),
            *(
                "a = \\\\",
                "'It is a string.'",
                "f'{x}' 'y'",
                "# It is a comment.",
                "async def f(): await x",
                "not x",
                "(a,",
                "b)",
            ),
        ]
    )
).map("\n".join)


@settings(derandomize=True, max_examples=300)
@given(TEXTS)
def test_no_line_that_python_can_read_is_taken_for_prose(code: str) -> None:
    try:
        ast.parse(code)
    except SyntaxError:
        return
    assert without_prose(code) == code


@settings(derandomize=True, max_examples=100)
@given(st.sampled_from(TOKENS), st.integers(0, 3), st.sampled_from(["", "\n", "```\n", "```"]), st.booleans())
def test_a_token_never_changes_which_program_is_found(token: str, count: int, closing: str, words: bool) -> None:
    text = ("Here:\n" if words else "") + f"```python\n{WHOLE_3}\n{closing}"
    assert found(text + token * count)[1] == WHOLE_3


@pytest.mark.parametrize(
    "text",
    [
        f"{WHOLE_3}\n```\n\nThis function adds two numbers.",
        f"{WHOLE_3}\n```",
        f"{WHOLE_3}```\nDone.",
        f"python\n{WHOLE_3}\n```\nDone.",
        f"{BODY}\n```\n\nThis function adds two numbers.",
        f"{WHOLE_3}\n```\n\nFor example:\n```python\nprint(area(1))\n```\n",
        f"{WHOLE_3}\n```\n\nIt prints:\n```\n3\n```\n",
        f"import math\n\n{WHOLE_3}\n```\nOr:\n```python\nx = area(2)",
        f"{WHOLE_3}\n\nFor example:\n```\n>>> area(1)\n3\n```\n",
        f"Code first.\n\n{WHOLE_3}\n\nThe output:\n```\n3\n```\n",
    ],
)
def test_a_text_may_begin_inside_a_fence(text: str) -> None:
    assert run(text, "area", HUMANEVAL, 2) == 12


@pytest.mark.parametrize(
    "text", ["# Heading\n```python\n{}", "x = 1 is set.\n```\n{}\n```", "# A\n```\n{}\n```\n```\n3\n```"]
)
def test_a_text_that_opens_its_fence_itself_is_read_as_before(text: str) -> None:
    assert run(text.format(WHOLE_3), "area", "", 2) == 12


@pytest.mark.parametrize(
    "text",
    [
        "[BEGIN] '{}' [DONE]",
        "[BEGIN]\n'{}'\n[DONE]\n\nYou are an expert.\n[BEGIN]\n'def area(r): return 0'\n[DONE]",
        "[BEGIN]\n{}\n[DONE]",
        " '{}'\n[DONE]\n",
        '[BEGIN]\n"""{}"""',
        "[BEGIN]\n```python\n{}\n```\n[DONE]",
        "[BEGIN]\n{}\n[DONE] Next: [BEGIN]\ndef area(r): return 0",
    ],
)
def test_code_between_begin_and_done_is_the_program(text: str) -> None:
    assert run(text.format(WHOLE_3), "area", "", 2) == 12


@pytest.mark.parametrize("tag", ["think", "thinking", "reasoning"])
def test_what_was_thought_is_not_the_answer(tag: str) -> None:
    draft = "```python\ndef area(r):\n    return 0\n```"
    assert found(f"<{tag}>\n{draft}\n</{tag}>\n```python\n{WHOLE}\n```") == ("fenced", WHOLE)
    assert extract(f"<{tag}>\n{draft}\nstill thinking", "area") is None
    assert extract(f"<{tag}>\n{draft}\n</{tag}>\nI give up.", "area") is None


def test_a_thinking_section_that_the_prompt_opened_ends_with_its_tag() -> None:
    assert without_thinking("hm\n</think>\n\nanswer") == "\n\nanswer"
    assert without_thinking("print('</think> is a tag')") == "print('</think> is a tag')"


def test_code_without_fences_is_found_between_the_words() -> None:
    doc = (
        'def area(r):\n    """Area.\n\nIt has sentences. Two.\n    """\n    if r < 0:\n\n        return 0\n    return r'
    )
    text = f"To solve this, we multiply. For each r it is one step.\n\n{doc}\n\nThis function returns r. Easy.\n"
    assert found(text) == ("bare", doc)
    assert found(f"import math\n\n{WHOLE}\n") == ("bare", f"import math\n\n{WHOLE}")
    assert found(f"[PYTHON]\n{WHOLE}\n[/PYTHON]") == ("bare", WHOLE)


def test_code_indented_as_markdown_wants_it_is_found() -> None:
    assert found("The answer:\n\n    def area(r):\n        return r\n\nThat is all.") == (
        "bare",
        "def area(r):\n    return r",
    )


@pytest.mark.parametrize(
    "body",
    [
        "    area = r * r\n    return area * 3\n",
        "\n    area = r * r\n    return area * 3",
        "area = r * r\n    return area * 3\n",
        "area = r * r\nreturn area * 3\n",
        "  area = r * r\n  return area * 3",
        "    if r:\n        return r * r * 3\n    return 0\n\n\nprint(area(1))\n",
        "if r:\n        return r * r * 3\n    return 0\n\n\ndef test():\n    assert area(2) == 12\n\ntest()\n",
        "if r:\n    return r * r * 3\nreturn 0\n",
        "    return square(r) * 3\n\n\ndef square(x):\n    return x * x\n\n\nif __name__ == '__main__':\n    area(1)\n",
    ],
)
def test_a_raw_completion_goes_on_with_the_signature(body: str) -> None:
    assert found(body, "area", HUMANEVAL)[0] == "completion"
    assert run(body, "area", HUMANEVAL, 2) == 12


@pytest.mark.parametrize(
    "body", ["return n + n", "        m = n\n        return m + n\n", "m = n\n        return m + n"]
)
def test_a_raw_completion_goes_on_with_a_method(body: str) -> None:
    assert run(body, "Solution.twice", LEETCODE, 4) == 8


@pytest.mark.parametrize("body", ["    r = r * r\n    return r * 3", "r = r * r\nreturn r * 3"])
def test_a_fenced_body_goes_on_with_the_signature(body: str) -> None:
    text = f"The body:\n```python\n{body}\n```\nDone."
    assert found(text, "area", HUMANEVAL)[0] == "fenced_completion"
    assert run(text, "area", HUMANEVAL, 2) == 12


def test_a_whole_function_gets_the_imports_that_the_problem_showed() -> None:
    assert found(f"```python\n{WHOLE}\n```", "area", HUMANEVAL) == ("fenced", f"import math\n\n\n{WHOLE}")
    assert found(f"import math\n{WHOLE}", "area", HUMANEVAL) == ("bare", f"import math\n{WHOLE}")
    future = found(f"```python\nfrom __future__ import annotations\n{WHOLE}\n```", "area", HUMANEVAL)[1]
    assert future.startswith("from __future__ import annotations\nimport math\n")
    assert compile(future, "answer", "exec")


def test_a_program_that_reads_its_input_is_preferred_where_no_function_is_asked_for() -> None:
    program = "n = int(input())\nprint(n)"
    loop = "for i in range(3):\n    pass"
    text = f"```python\n{program}\n```\nThe loop alone:\n```python\n{loop}\n```\nOutput:\n```\n3\n```"
    assert found(text, "") == ("fenced", program)
    assert found(f"Read it. Then print.\n\n{program}\n\nDone.", "") == ("bare", program)
    assert found("print(42)", "") == ("bare", "print(42)")


@pytest.mark.parametrize("text", ["", "  \n", "I do not know.", "The answer is 42.", "```\n```", "```python\n   \n```"])
@pytest.mark.parametrize("starter_code", ["", HUMANEVAL])
def test_words_are_no_program(text: str, starter_code: str) -> None:
    assert extract(text, "area" if starter_code else "", starter_code) is None


FENCES = ("```", "~~~", "```python\n", '"""', "'''", "\\", "#", "<think>", "</think>", "    ", "\t", "\n", "\r\n")
CODE = (
    "def area(r):",
    "    return r\n",
    "class Solution:",
    "import x",
    "from x import",
    "x = ",
    "(",
    ")",
    "\x00",
    "\ud800",
)
PIECES = st.sampled_from((*FENCES, *CODE, "text "))


@given(st.lists(PIECES | st.text(max_size=5)).map("".join), st.sampled_from(["", "area", "Solution.f"]))
def test_no_text_raises_and_none_gives_an_empty_program(text: str, entry_point: str) -> None:
    for starter_code in ("", HUMANEVAL, LEETCODE):
        answer = extract(text, entry_point, starter_code)
        assert answer is None or (answer.text.strip() and answer.rule)


@pytest.mark.parametrize(
    "piece",
    [
        "```\n",
        "`",
        '"',
        "'",
        "(",
        "x = ",
        "\\",
        "def f(",
        "import a, ",
        "</think>",
        " ",
        "#",
        "```python\nx1 = y\n```\n",
    ],
)
def test_long_texts_take_no_more_than_linear_time(piece: str) -> None:
    extract(piece * (100_000 // len(piece)), "area", HUMANEVAL)  # a quadratic rule would not end
    extract(f"```python\n{piece * (100_000 // len(piece))}", "area", HUMANEVAL)
