from tts.problems import open_problems
from tts.types import ProblemRow, Reference


def test_the_opening_lines_are_twenty_texts_without_an_answer() -> None:
    with open_problems("creative") as rows:
        found = [row for row in rows if isinstance(row, ProblemRow)]
    assert len({row.problem.prompt for row in found}) == len(found) == rows.num_rows == 20
    assert {(row.problem.kind, row.reference) for row in found} == {("text", Reference())}
    assert all(row.problem.prompt.endswith(".") for row in found)
