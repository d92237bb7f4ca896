"""`tts merge`: the shards of one input become one run."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from tts.cli.streams import tell


def merge(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The run folder to make; it must be new, or empty.")],
    shards: Annotated[
        list[Path], typer.Argument(metavar="SHARD", help="All run folders of `tts solve --shard I/N`, in any order.")
    ],
) -> None:
    """Make one run of all shards of an input: what an unsharded run would have been, up to the order of lines.

    The shards stay as they are. Where their candidates are all there, the figures are computed; else `tts solve --run
    OUT` draws what is missing. A shard that is missing, there twice, of another recipe or input, or that has not read
    its input to the end, is refused.
    """
    from tts.cli.interrupt import stop_on_signals
    from tts.cli.output import Terminal
    from tts.cli.solve import print_figures
    from tts.errors import plural
    from tts.pipeline.run import open_run
    from tts.runs import job, merging
    from tts.runs.stored import StoredRun

    merging.merge(out, shards)
    run = StoredRun(out)
    num_problems = len(run.asked_ids)
    num_missing = sum(not run.is_complete(name) for name in run.asked_ids)
    run.close()
    tell(f"{plural(len(shards), 'shard')} with {plural(num_problems, 'problem')} are in {out}")
    if num_missing:
        return tell(f"{plural(num_missing, 'problem')} not finished yet; go on with: tts solve --run {out}")
    stop = threading.Event()
    recipe = job.recipe_of(job.stored(out), None, ())
    with stop_on_signals(stop) as signals, open_run(recipe, None, out, stop=stop) as work:
        for _ in work.outcomes():  # everything is there: nothing is drawn, and only what could not be judged is judged
            pass
        if signals:
            raise typer.Exit(128 + signals[0])
    print_figures(work, Terminal(stderr=True))
    return None
