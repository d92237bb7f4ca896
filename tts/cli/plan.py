"""`--dry-run`: what would be done, and the most it may cost."""

from __future__ import annotations

import sys

import yaml

from tts.cli.source import Source
from tts.recipe import Recipe
from tts.types import ProblemRow, RowError


def print_plan(recipe: Recipe, source: Source) -> None:
    """Print the resolved recipe, one rendered prompt, the engine's capabilities and the token budget."""
    rows = list(source.rows or ())
    problems = [row for row in rows if isinstance(row, ProblemRow)]
    print("# recipe (resolved)")
    print(yaml.safe_dump(recipe.resolved(), sort_keys=False, allow_unicode=True), end="")
    print(f"\n# capabilities of the engine\n{', '.join(sorted(recipe.engine.capabilities()))}")
    print(f"\n# problems\n{len(problems)} problems from {source.spec}; {len(rows) - len(problems)} bad rows")
    for row in rows:
        if isinstance(row, RowError):
            print(f"tts: line {row.line}: {row.message}", file=sys.stderr)
    if not problems:
        return
    prompt, num_tokens = recipe.engine.render(recipe.task.messages(problems[0].problem))
    sampler = recipe.sampler
    num_candidates = len(problems) * sampler.num_candidates
    print(f"\n# prompt of {problems[0].problem.id} ({num_tokens} tokens)\n{prompt}")
    print("\n# budget")
    print(f"{len(problems)} problems × {sampler.num_candidates} candidates = {num_candidates} candidates")
    print(f"at most {num_candidates} × {sampler.max_tokens} = {num_candidates * sampler.max_tokens} tokens to write")
