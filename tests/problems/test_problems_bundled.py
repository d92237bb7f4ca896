"""Every bundled answer is worked out a second time, from the question alone; a problem without a check fails."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations, count, permutations, product
from math import gcd, isqrt, lcm

import pytest
import sympy
from sympy.abc import x, y
from sympy.parsing.sympy_parser import implicit_multiplication, parse_expr, standard_transformations

from tts.problems import open_problems
from tts.types import ProblemRow


def bundled() -> list[ProblemRow]:
    with open_problems("quickstart", default_kind="math", seed=0, stdin=io.BytesIO()) as rows:
        return [row for row in rows if isinstance(row, ProblemRow)]


ROWS = {row.problem.id: row for row in bundled()}

NUMBERS: dict[str, int | Fraction] = {
    "arith-01": 6 * 7,
    "arith-02": 18 + 27,
    "arith-03": 9 * 3,
    "arith-04": 20 - 5,
    "arith-05": 1 + 2 + 3,
    "arith-06": Fraction(48, 2),
    "arith-07": 5 * 8,
    "arith-08": 10 + 20 + 30,
    "arith-09": Fraction(36, 4),
    "arith-10": 100 + 250,
    "arith-11": isqrt(81),
    "arith-12": 3 - 8,
    "arith-13": 12**2,
    "arith-14": 2 + 3 * 4,
    "arith-15": 125 * 8,
    "arith-16": (-7) * 6 + 15,
    "word-01": 5 + 3,
    "word-02": 3 * 12,
    "word-03": 20 - 6,
    "percent-01": 200 * Fraction(10, 100),
    "percent-02": 80 * (1 - Fraction(25, 100)),
    "percent-03": 54 / (1 + Fraction(20, 100)),
    "mean-01": Fraction(4 + 8 + 15, 3),
    "sequence-01": range(3, 100, 4)[4],
    "sequence-02": 5 * 3**4,
    "sequence-03": sum(n for n in range(2, 61) if n % 2 == 0),
    "geometry-01": 9 * 5,
    "geometry-02": 180 - 50 - 60,
    "geometry-03": isqrt(9**2 + 12**2),
    "fraction-01": Fraction(1, 2) + Fraction(1, 4),
    "fraction-02": Fraction(2, 3) / Fraction(4, 5),
    "decimal-01": Fraction("0.6") + Fraction("0.75"),
    "decimal-02": Fraction("1.2") * Fraction("0.35"),
    "rate-01": Fraction(180, 3) * 5,
    "rate-02": 1 / (Fraction(1, 6) + Fraction(1, 3)),
    "mixture-01": 12 * Fraction(30, 100) / Fraction(20, 100) - 12,
    "number-01": gcd(84, 126),
    "number-02": lcm(12, 18),
    "number-03": 7**10 % 13,
    "number-04": next(n for n in count(1) if n % 5 == 2 and n % 7 == 3),
    "counting-01": len(list(permutations(range(4)))),
    "counting-02": sum(len(set(str(n))) == 3 for n in range(100, 1000)),
    "probability-01": Fraction(5, 3 + 5 + 4),
    "probability-02": Fraction(sum(a + b >= 10 for a, b in product(range(1, 7), repeat=2)), 36),
    "log-01": 2**5,
}

EXPRESSIONS: dict[str, Callable[[], sympy.Basic]] = {
    "algebra-01": lambda: only(sympy.solve(x + 4 - 10, x)),
    "algebra-02": lambda: only(sympy.solve(3 * x - 21, x)),
    "algebra-03": lambda: only(sympy.solve(2 * x + 5 - 17, x)),
    "algebra-04": lambda: only(sympy.solve(5 * (y - 3) - (2 * y + 9), y)),
    "algebra-05": lambda: sympy.solve([x + y - 31, x - y - 7], [x, y])[x],
    "algebra-06": lambda: sympy.solveset(x**2 - x - 12, x, sympy.S.Reals),
    "algebra-07": lambda: sympy.Tuple(*sympy.solve([2 * x + y - 11, x - y - 1], [x, y]).values()),
    "algebra-08": lambda: only({sympy.simplify(r**2 + 1 / r**2) for r in sympy.solve(x + 1 / x - 4, x)}),
    "radical-01": lambda: sympy.sqrt(50) + sympy.sqrt(18),
    "geometry-04": lambda: sympy.Circle((0, 0), 5).circumference,
    "geometry-05": lambda: sympy.Polygon((0, 0), (8, 0), (4, 4 * sympy.sqrt(3))).area,
    "inequality-01": lambda: sympy.solveset(sympy.Abs(2 * x - 3) < 7, x, sympy.S.Reals),
}

RIGHT_OPTION: dict[str, Callable[[str], bool]] = {
    "choice-01": lambda option: int(option) % 2 == 0,
    "choice-02": lambda option: int(option) == 2 * 7,
    "choice-03": lambda option: Fraction(option) == max(Fraction(2, 3), Fraction(1, 2), Fraction(3, 5), Fraction(1, 3)),
    "choice-04": lambda option: bool(sympy.isprime(int(option))),
    "choice-05": lambda option: int(option) == 4 * 6,
    "choice-06": lambda option: Fraction(option) == Fraction(3, 8),
    "choice-07": lambda option: slope(option) == 2,
    "choice-08": lambda option: Fraction(option.split()[0]) == 30 * Fraction(110, 100) * Fraction(90, 100),
    "choice-09": lambda option: int(option) == 5 * 12 - 4 * 11,
    "choice-10": lambda option: int(option) == len(list(combinations(range(8), 2))) - 8,
}


def only(values: object) -> sympy.Basic:
    [value] = values
    return value


def slope(line: str) -> sympy.Basic:
    right = parse_expr(line.removeprefix("y = "), transformations=(*standard_transformations, implicit_multiplication))
    return sympy.diff(right, x)


def compact(latex: str) -> str:
    return latex.replace("\\left", "").replace("\\right", "").replace(" ", "").replace("\\(", "(")


def latex_of(value: sympy.Basic) -> str:
    if isinstance(value, sympy.Tuple):
        return f"({','.join(map(sympy.latex, value))})"
    return compact(sympy.latex(value))


def test_every_bundled_problem_has_exactly_one_check() -> None:
    checks = [*NUMBERS, *EXPRESSIONS, *RIGHT_OPTION]
    assert sorted(checks) == sorted(ROWS)


@pytest.mark.parametrize("problem_id", NUMBERS)
def test_a_number_is_right(problem_id: str) -> None:
    answer = ROWS[problem_id].reference.answer
    assert answer is not None
    if answer.startswith("\\frac"):
        assert answer == sympy.latex(sympy.Rational(str(NUMBERS[problem_id])))
    else:
        assert Fraction(answer) == NUMBERS[problem_id]


@pytest.mark.parametrize("problem_id", EXPRESSIONS)
def test_an_expression_is_right(problem_id: str) -> None:
    answer = ROWS[problem_id].reference.answer
    assert answer is not None
    assert compact(answer) == latex_of(EXPRESSIONS[problem_id]())


@pytest.mark.parametrize("problem_id", RIGHT_OPTION)
def test_exactly_one_option_is_right_and_it_is_the_one_named(problem_id: str) -> None:
    choices = ROWS[problem_id].problem.choices
    right = [letter for letter, option in zip("ABCD", choices, strict=True) if RIGHT_OPTION[problem_id](option)]
    assert right == [ROWS[problem_id].reference.answer]


def test_there_are_at_least_forty_problems_and_ten_of_multiple_choice() -> None:
    kinds = [row.problem.kind for row in ROWS.values()]
    assert set(kinds) == {"math", "choice"}
    assert kinds.count("math") >= 40
    assert kinds.count("choice") >= 10


def test_right_options_are_spread_over_the_letters() -> None:
    letters = [row.reference.answer for row in ROWS.values() if row.problem.kind == "choice"]
    assert {letters.count(letter) for letter in "ABCD"} <= {2, 3}


def test_the_problems_run_from_easy_to_hard_and_say_their_topic() -> None:
    levels = [row.problem.metadata["level"] for row in ROWS.values()]
    assert levels == sorted(levels)
    assert set(levels) == {1, 2, 3, 4, 5}
    assert all(row.problem.metadata["topic"] for row in ROWS.values())


def test_the_first_fifteen_are_short_and_no_question_stands_twice() -> None:
    prompts = [row.problem.prompt for row in ROWS.values()]
    assert len(set(prompts)) == len(prompts)
    assert max(map(len, prompts[:15])) < 80
