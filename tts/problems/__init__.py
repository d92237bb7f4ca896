"""Problems from anywhere: standard input, JSON lines, the bundled sets, Hugging Face data sets."""

from tts.problems.named import ProblemSet, named_problem_sets
from tts.problems.rows import read_rows
from tts.problems.sources import ProblemSource, open_problems

__all__ = ["ProblemSet", "ProblemSource", "named_problem_sets", "open_problems", "read_rows"]
