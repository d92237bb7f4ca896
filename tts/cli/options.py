"""The options of the commands: those that several share, how they are read, and which of them go together.

What is given and would change nothing is refused before anything begins, never ignored. `RULES` says of each command
what needs or excludes what, as far as the command line alone tells; `Command` holds every command to it. What depends
on a folder's content or a recipe is refused where that is known.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from tts.cli.stdin import is_piped
from tts.errors import UsageError, shown

Embeddings = Annotated[
    str | None,
    typer.Option(
        "--embeddings",
        metavar="MODEL|ngrams|none",
        help="What compares the texts: a sentence-embedding model, word n-grams, nothing. "
        "(default: the packaged model where installed, else ngrams)",
    ),
]
PerplexityModel = Annotated[
    str | None, typer.Option("--perplexity", metavar="MODEL", help="A causal language model that scores the texts.")
]
StoredProblems = Annotated[
    str | None,
    typer.Option(
        "--problems",
        metavar="FILE",
        help="The problems that go with a JSONL file of candidates; for a run folder: corrected references. A file's "
        "rows bring problem_id, and text (or answer); if known: index, finish_reason, num_tokens, mean_logprob, …; "
        "scores (score, reward, or scores: {NAME: …}) for the scorer `given`; a verdict (correct: true, or "
        "verdict: passed).",
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option("--baseline", metavar="NAME", help="Compare every other recipe with this one alone: fewer looks."),
]
Axis = Annotated[
    str | None,
    typer.Option(
        "--axis",
        metavar="k|tokens|flops",
        help="What accuracy is held against: the number of candidates, or what all engines read and wrote; then "
        "recipes are compared at equal cost. (default: k, or tokens where a recipe searches)",
    ),
]
NoCandidates = Annotated[
    bool, typer.Option("--no-candidates", help="Leave the candidates' texts out of the report (for huge runs).")
]


TimeLimit = Annotated[
    str | None,
    typer.Option(
        "--time-limit", metavar="DURATION", help="Stop in good order after this long, as in 45s, 10m or 1h30m."
    ),
]
TokenBudget = Annotated[
    int | None,
    typer.Option(
        "--token-budget",
        metavar="N",
        min=1,
        help="Never let all engines together write more tokens, those of the resumed --run included.",
    ),
]
CostBudget = Annotated[
    float | None,
    typer.Option(
        "--cost-budget",
        metavar="X",
        help="Never spend more by the prices among the engine's keys, what the resumed --run spent included.",
    ),
]


def read_seconds(duration: str | None) -> float | None:
    """Return the seconds of `45s`, `10m`, `1h30m` or `90` (seconds); None for None. Raises UsageError."""
    if duration is None:
        return None
    parts = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", duration.strip(), re.ASCII)
    seconds = (
        sum(float(part or 0) * unit for part, unit in zip(parts.groups(), (86400, 3600, 60, 1), strict=True))
        if parts
        else 0
    )
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise UsageError(f"`--time-limit` must be a time above 0 such as 45s, 10m or 1h30m, got {shown(duration)}")
    return seconds


def read_shard(text: str | None) -> tuple[int, int] | None:
    """Return I and N of `I/N`; None where nothing is given. Raises UsageError."""
    if text is None:
        return None
    parts = text.split("/")
    numbers = [int(part) for part in parts if part.isascii() and part.isdecimal() and len(part) < 10]
    if len(parts) != 2 or len(numbers) != 2 or not numbers[0] < numbers[1]:
        raise UsageError(
            f"`--shard` must be I/N, the shard's number from 0 on and how many there are, as in 0/4 … 3/4, got "
            f"{shown(text)}"
        )
    return numbers[0], numbers[1]


def read_ks(text: str | None) -> tuple[int, ...]:
    """Return the numbers of `1,8,64` in order, each once; () where nothing is given. Raises UsageError."""
    if text is None:
        return ()
    numbers = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) < 10 and int(part) > 0 for part in numbers):
        raise UsageError(f"`--k` must be whole numbers from 1 on with commas between, as in 1,8,64, got {shown(text)}")
    return tuple(sorted({int(part) for part in numbers}))


def read_axis(text: str | None) -> str:
    """Return the axis that is asked for, "" for none. Raises UsageError."""
    if text not in (None, "k", "tokens", "flops"):
        raise UsageError(f"`--axis` must be k, tokens or flops, got {shown(text)}")
    return text or ""


@dataclass(frozen=True, slots=True)
class Rule:
    """`option` is given only together with one of `needs` (where there are any), and with none of `excludes`.

    Options are called by their long names, arguments in capitals; `--set selector` stands for an override of that key
    or one below it.
    """

    option: str
    why: str
    needs: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()


STDIN = "a pipe or file on standard input"
RULES: dict[str, tuple[Rule, ...]] = {
    "solve": (
        Rule("--retry-errors", "it draws a run's failed candidates anew", needs=("--run",)),
        Rule(
            "--dry-run",
            "nothing is drawn then",
            excludes=("--keep-order", "--retry-errors", "--time-limit", "--token-budget", "--cost-budget"),
        ),
        Rule("--set problems", "both say where the problems come from", excludes=("PROBLEMS", STDIN)),
    ),
    "bench": (
        Rule("--set problems", "both say where the problems come from", excludes=("PROBLEMS", STDIN)),
        Rule("--seed", "both give the recipes' seed", excludes=("--set seed",)),
        Rule("--problems", "it goes with a JSONL file of candidates", needs=("--from", "--run")),
    ),
    "select": (
        Rule("--scorer", "a --selector must use it, such as best_of_n", needs=("--selector",)),
        Rule("--selector", "both say what chooses", excludes=("--set selector",)),
    ),
}


class Command(TyperCommand):
    """A command that refuses options that do not go together, and whose help is whole and plain."""

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002 - the signature is the base class's
        """Return the short help, else the first paragraph of the help; uncut."""
        return self.short_help or " ".join((self.help or "").partition("\n\n")[0].split())

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what stands behind the command's name: options, and the arguments in capitals."""
        del ctx
        names = [(_called(parameter), parameter.required) for parameter in self.params if _is_argument(parameter)]
        return [self.options_metavar or "", *(name if required else f"[{name}]" for name, required in names)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the help of arguments and options."""
        records: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
        parameters: list[Any] = list(self.get_params(ctx))
        for parameter in parameters:
            record = parameter.get_help_record(ctx)
            if record is not None:
                is_argument = _is_argument(parameter)
                records[is_argument].append((_called(parameter), parameter.help or "") if is_argument else record)
        for title, is_argument in (("Arguments", True), ("Options", False)):
            if records[is_argument]:
                with formatter.section(title):
                    formatter.write_dl(records[is_argument])

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Raises UsageError where an option would be ignored."""
        given = {_name(parameter): ctx.params[parameter.name] for parameter in self.params if _is_given(parameter, ctx)}
        for override in given.pop("--set", None) or ():
            key = override.partition("=")[0].split(".")
            given |= {f"--set {'.'.join(key[:length])}": override for length in range(1, len(key) + 1)}
        if is_piped():
            given[STDIN] = True
        for rule in RULES.get(self.name or "", ()):
            check_rule(rule, given)
        return super().invoke(ctx)


def check_rule(rule: Rule, given: Collection[str]) -> None:
    """Raise UsageError where `given`, the names of what the command line has, breaks the rule."""
    if rule.option not in given:
        return
    if rule.needs and not any(name in given for name in rule.needs):
        raise UsageError(f"`{rule.option}` must go with {' or '.join(f'`{name}`' for name in rule.needs)}: {rule.why}")
    for name in rule.excludes:
        if name in given:
            raise UsageError(f"`{rule.option}` must not go with `{name}`: {rule.why}; leave one of them out")


def _name(parameter: Any) -> str:
    """Return an option's long name, an argument's in capitals."""
    if _is_argument(parameter):
        return str(parameter.name).upper()
    return str(max(parameter.opts, key=len))


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _called(argument: Any) -> str:
    """Return what the help calls an argument."""
    return str(argument.metavar or argument.name.upper()) + ("..." if argument.nargs != 1 else "")


def _is_given(parameter: Any, ctx: Any) -> bool:
    return bool(ctx.get_parameter_source(parameter.name).name == "COMMANDLINE")
