"""Test-time scaling: draw many candidates from a language model, choose one, check it, and count the cost.

    recipe = tts.load_recipe("quickstart", ["sampler.num_candidates=4"])
    with tts.open_problems("problems.jsonl") as rows, tts.open_run(recipe, rows, "runs/mine") as run:
        for outcome in run.outcomes():
            ...

The names below are imported when they are first used; `import tts` alone is light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tts.version import __version__

if TYPE_CHECKING:
    from tts.components.component import Component
    from tts.components.slot import Slot
    from tts.pipeline.outcomes import Outcome, Solved
    from tts.pipeline.run import Run, open_run
    from tts.problems import open_problems
    from tts.protocols import (
        BoundSelector,
        Engine,
        GuidingSampler,
        Opens,
        PluginHost,
        Sampler,
        Sandboxed,
        Scorer,
        Selector,
        Task,
        Verifier,
    )
    from tts.recipe import Recipe, load_recipe, recipe_schema, shipped_recipes
    from tts.types import (
        JSON,
        Answer,
        Ballot,
        Candidate,
        Counts,
        Decoding,
        FinishReason,
        FirstToken,
        Guidance,
        InputRow,
        Judged,
        Kind,
        Message,
        Order,
        Plugin,
        PluginReport,
        Problem,
        ProblemRow,
        Reference,
        Request,
        RowError,
        Score,
        Selection,
        Solution,
        Status,
        Usage,
        Verdict,
    )

_HOMES = {
    "tts.components.component": ("Component",),
    "tts.components.slot": ("Slot",),
    "tts.pipeline.outcomes": ("Outcome", "Solved"),
    "tts.pipeline.run": ("Run", "open_run"),
    "tts.problems": ("open_problems",),
    "tts.recipe": ("Recipe", "load_recipe", "recipe_schema", "shipped_recipes"),
}
"""Where a public name stands that is neither a type (`tts.types`) nor a protocol (`tts.protocols`)."""

__all__ = [
    "JSON",
    "Answer",
    "Ballot",
    "BoundSelector",
    "Candidate",
    "Component",
    "Counts",
    "Decoding",
    "Engine",
    "FinishReason",
    "FirstToken",
    "Guidance",
    "GuidingSampler",
    "InputRow",
    "Judged",
    "Kind",
    "Message",
    "Opens",
    "Order",
    "Outcome",
    "Plugin",
    "PluginHost",
    "PluginReport",
    "Problem",
    "ProblemRow",
    "Recipe",
    "Reference",
    "Request",
    "RowError",
    "Run",
    "Sampler",
    "Sandboxed",
    "Score",
    "Scorer",
    "Selection",
    "Selector",
    "Slot",
    "Solution",
    "Solved",
    "Status",
    "Task",
    "Usage",
    "Verdict",
    "Verifier",
    "__version__",
    "load_recipe",
    "open_problems",
    "open_run",
    "recipe_schema",
    "shipped_recipes",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((home for home, names in _HOMES.items() if name in names), "tts.types")
    module = import_module(home)
    return getattr(module if hasattr(module, name) else import_module("tts.protocols"), name)
