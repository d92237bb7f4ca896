"""`tts report`: what stored runs say, as a page, figures and data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tts.cli.options import (
    Axis,
    Baseline,
    Embeddings,
    NoCandidates,
    PerplexityModel,
    StoredProblems,
    read_axis,
    read_ks,
)
from tts.cli.streams import tell


def report(  # noqa: PLR0917 - typer's parameters are options; nobody passes them by position
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Run folders, a folder of `tts bench`, or JSONL files of candidates."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="The page. (default: report.html in the run, if it is one)"),
    ] = None,
    k: Annotated[
        str | None, typer.Option("--k", metavar="1,8,64", help="Candidates to choose from. (default: powers of two)")
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option("--figures", metavar="DIR", help="Write each figure as SVG, and with the extra plot as PNG."),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="DIR", help="Write the data as CSV files.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The whole report on stdout; a page only where --out asks for it.")
    ] = False,
    stored_problems: StoredProblems = None,
    embeddings: Embeddings = None,
    perplexity: PerplexityModel = None,
    no_candidates: NoCandidates = False,
    baseline: Baseline = None,
    axis: Axis = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of intervals, tests and subsets.")] = 0,
) -> None:
    """Write one self-contained HTML page about stored runs: curves, comparison, cost, diversity, every candidate.

    The page needs no network and no server. Several runs are compared on the problems that all of them have.
    """
    from tts.bench.folder import PAGE
    from tts.cli.output import command, write_json
    from tts.errors import UsageError
    from tts.report.analyse import report_of
    from tts.report.csv_files import write_csv
    from tts.report.figures import write_figures
    from tts.report.page import write_page
    from tts.report.png import renderer
    from tts.report.spread import AUTO
    from tts.runs.files import is_read_only

    page = out
    if page is None and not as_json:  # it goes into the one folder it is about, else into this folder
        page = runs[0] / PAGE if len(runs) == 1 and runs[0].is_dir() else Path(PAGE)
    render = None
    if figures is not None:
        try:
            render = renderer()
        except UsageError as error:
            tell(f"the figures are written as SVG alone: {error}")
    for folder in filter(None, (figures, csv)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder} must be a folder to write into, got: {error.strerror}") from error
    if page is not None and (page.is_dir() or not page.parent.is_dir()):
        raise UsageError(f"`--out` must be a file in a folder that exists, got {page}")
    if page is not None and page.exists() and is_read_only(page):
        raise UsageError(f"`--out` must be a file that may be written, got {page}, which is read-only")
    found = report_of(
        runs,
        read_ks(k),
        problems=stored_problems,
        seed=seed,
        embeddings=embeddings or AUTO,
        perplexity=perplexity,
        candidates=not no_candidates,
        baseline=baseline,
        axis=read_axis(axis),
    )
    if page is not None:
        write_page(found, page, command())
        tell(f"the page is {page}")
    if figures is not None:
        tell(f"{len(write_figures(found, figures, render))} figure files are in {figures}")
    if csv is not None:
        tell(f"{len(write_csv(found, csv))} CSV files are in {csv}")
    if as_json:
        write_json(found)
