"""`--dry-run`: what would be done, and the most it may cost."""

from __future__ import annotations

import sys

import yaml

from tts.cli.source import Source
from tts.recipe import Recipe
from tts.types import RowError


def print_plan(recipe: Recipe, source: Source) -> None:
    """Print the resolved recipe, one rendered prompt, the engine's capabilities and the token budget."""
    first, num_problems, num_bad = None, 0, 0
    for row in source.rows or ():
        if isinstance(row, RowError):
            num_bad += 1
            print(f"tts: line {row.line}: {row.message}", file=sys.stderr)
        else:
            num_problems += 1
            first = first or row.problem
    print("# recipe (resolved)")
    print(yaml.safe_dump(recipe.resolved(), sort_keys=False, allow_unicode=True), end="")
    print(f"\n# capabilities of the engine\n{', '.join(sorted(recipe.engine.capabilities()))}")
    print(f"\n# problems\n{num_problems} problems from {source.spec}; {num_bad} bad rows")
    if first is None:
        return
    prompt, num_tokens = recipe.engine.render(recipe.task.messages(first))
    sampler = recipe.sampler
    num_candidates = num_problems * sampler.num_candidates
    print(f"\n# prompt of {first.id} ({num_tokens} tokens)\n{prompt}")
    print("\n# budget")
    print(f"{num_problems} problems × {sampler.num_candidates} candidates = {num_candidates} candidates")
    print(f"at most {num_candidates} × {sampler.max_tokens} = {num_candidates * sampler.max_tokens} tokens to write")
