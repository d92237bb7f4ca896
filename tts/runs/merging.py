"""Shards of one input become one run: its folder is what an unsharded run would have written, up to line order.

Row j of the whole is row j // N of shard j % N, so that problems.jsonl is put together without any further key and
comes out byte for byte. All other JSONL files are lines of which none depends on its place: those of shard 0, then
those of shard 1, and so on. What is computed of a whole (summary.json) is left to be computed, never added; so is what
a plugin told of its shard, which sessions.jsonl keeps.

A shard whose candidates are not all there is taken as it is: the merged run goes on where it ended. One that has not
read its input to the end is not, as nobody could say how many rows there are. Shards are taken one by one, each under
its lock. run.json comes last, so a merge that was killed left no run that could be mistaken for one.
"""

from __future__ import annotations

import json
import shutil
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tts.errors import RunFolderError, shown
from tts.recipe import changes_no_candidate, differences, only_later_stages, rebuild_recipe
from tts.runs.files import StoredFile
from tts.runs.folder import Job, RunFolder, input_lines, read_job

ROWS = "problems.jsonl"
IN_COMMON = ("problems", "limit", "shuffle", "ids")
"""What shards of one input have in common in run.json, beside the recipe."""


@dataclass(frozen=True, slots=True)
class _Shard:
    path: Path
    job: Job
    number: int
    total: int


def merge(into: Path, paths: Sequence[Path]) -> None:
    """Make `into`, which must be new or empty, the run of which the run folders `paths` are all the shards.

    Raises RunFolderError where they are not, naming what is missing, there twice, or different; `into` is then as it
    was before.
    """
    shards = _in_order(paths)
    if into.exists() and not (into.is_dir() and not any(into.iterdir())):
        raise RunFolderError(f"{into} must be new, or an empty folder: name another one, or remove it")
    with RunFolder(into) as folder:
        try:
            _fill(folder, shards)
        except BaseException:
            shutil.rmtree(into, ignore_errors=True)
            raise


def _in_order(paths: Sequence[Path]) -> list[_Shard]:
    """Return the shards by their numbers. Raises RunFolderError where they are not all the shards of one job."""
    found: dict[int, _Shard] = {}
    for path in paths:
        job = read_job(path)
        if job is None or job.shard is None:
            what = "no run folder" if job is None else "not drawn with --shard"
            raise RunFolderError(f"{path} must be a shard, a folder of `tts solve --shard I/N --run DIR`: it is {what}")
        shard = _Shard(path, job, *job.shard)
        first = next(iter(found.values()), shard)
        if shard.total != first.total:
            raise RunFolderError(f"{first.path} is one of {first.total} shards, {path} one of {shard.total}")
        if shard.number in found:
            raise RunFolderError(
                f"shard {shard.number} of {shard.total} is there twice: {found[shard.number].path} and {path}. "
                "Name each shard once"
            )
        found[shard.number] = shard
    total = next(iter(found.values())).total
    missing = [str(number) for number in range(total) if number not in found]
    if missing:
        many = f", … ({len(missing)} in all)" if len(missing) > 8 else ""
        raise RunFolderError(f"all {total} shards must be named; there is none numbered {', '.join(missing[:8])}{many}")
    shards = [found[number] for number in range(total)]
    for other in shards[1:]:
        _check_same_job(shards[0], other)
    return shards


def _check_same_job(first: _Shard, other: _Shard) -> None:
    """Raise RunFolderError where candidates of one shard are not those of the other's job."""
    for name in IN_COMMON:
        ours, theirs = getattr(first.job, name), getattr(other.job, name)
        if ours != theirs:
            raise RunFolderError(
                f"{other.path} is no shard of the input that {first.path} is one of: `{name}` is {shown(theirs)} "
                f"there, {shown(ours)} here"
            )
    recipe, theirs = (
        rebuild_recipe(shard.job.recipe, purpose="judge", where=str(shard.path / "run.json"))
        for shard in (first, other)
    )
    changes = differences(recipe.resolved(), theirs.resolved())
    if not changes_no_candidate(changes, recipe) or any(only_later_stages([one]) for one in changes):
        raise RunFolderError(
            f"{other.path} is a shard of another recipe than {first.path}. They differ in:\n"
            + "\n".join(f"  {change}" for change in changes)
        )


def _fill(folder: RunFolder, shards: Sequence[_Shard]) -> None:
    """Copy the shards' lines, then the job."""
    partial = folder.path / f"{ROWS}.partial"
    owners: dict[str, _Shard] = {}
    offsets = []
    for shard in shards:
        with RunFolder(shard.path):  # nobody writes it meanwhile
            offsets.append(_copy_rows(shard, partial, owners))
            for path in sorted(shard.path.glob("*.jsonl")):
                if path.name != ROWS:
                    _append_to(folder.path / path.name, path)
    _check_lengths(shards, list(map(len, offsets)))
    concatenated, rows = StoredFile(partial), folder[ROWS]
    for place in range(len(offsets[0])):
        rows.append_lines(b"".join(concatenated.line(of_shard[place]) for of_shard in offsets if place < len(of_shard)))
    rows.append({"end": sum(map(len, offsets))})
    concatenated.close()
    folder.forget(partial.name)
    job = json.loads((shards[0].path / "run.json").read_bytes())
    job.pop("statistics", None)  # of the shard alone
    folder.write_job(**job | {"shard": None})


def _copy_rows(shard: _Shard, partial: Path, owners: dict[str, _Shard]) -> array[int]:
    """Append a shard's rows to `partial`, without the line that marks their end; return where each begins there.

    `owners` tells which shard has a problem. Raises RunFolderError where the input was not read to its end, or a
    problem is in two shards.
    """
    file, offsets, end = StoredFile(shard.path / ROWS), array("Q"), -1
    with partial.open("ab") as into:
        for offset, line in input_lines(file):
            if line.end is not None:
                end = line.end
                continue
            if line.problem is not None and (owner := owners.setdefault(line.problem.id, shard)) is not shard:
                raise RunFolderError(
                    f"{owner.path} and {shard.path} both hold problem {line.problem.id!r}: they are not shards of one "
                    "input. Give every shard the same problems, whole"
                )
            offsets.append(into.tell())
            into.write(file.line(offset))
    is_whole = file.last_line().startswith(b'{"end":')
    file.close()
    if not is_whole or end != len(offsets):
        raise RunFolderError(
            f"{shard.path} has not read its input to the end: finish that with the command that began it, then merge"
        )
    return offsets


def _append_to(file: Path, source: Path) -> None:
    """Append the whole lines of `source`; a torn last one is left out, as it is when a run is resumed."""
    lines = StoredFile(source)
    with file.open("ab") as into, source.open("rb") as content:
        left = lines.size
        while left and (block := content.read(min(left, 1 << 20))):
            left -= len(block)
            into.write(block)
    lines.close()


def _check_lengths(shards: Sequence[_Shard], lengths: Sequence[int]) -> None:
    """Raise RunFolderError where no input has so many rows in its shards: the first ones have one more at most."""
    if all(
        length == len(range(shard.number, sum(lengths), shard.total))
        for shard, length in zip(shards, lengths, strict=True)
    ):
        return
    told = ", ".join(f"{shard.path}: {length}" for shard, length in zip(shards[:8], lengths[:8], strict=True))
    raise RunFolderError(
        f"the shards' numbers of rows cannot be of one input ({told}{', …' if len(shards) > 8 else ''}). Give every "
        "shard the same problems, whole"
    )
