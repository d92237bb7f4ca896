"""The folder of a benchmark: what bench.json holds, and which folders are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tts.bench.folder import BenchFolder
from tts.bench.settings import BenchSettings, resolve
from tts.errors import RunFolderError


@pytest.fixture
def settings(tmp_path: Path) -> BenchSettings:
    path = tmp_path / "mine.yaml"
    path.write_text("task: math\nengine: {name: replay, script: [x]}\nsampler: temperature\nselector: majority_vote\n")
    asked = BenchSettings(
        recipes=(str(path),), overrides=("seed=3",), ks=(1, 2), stored=("r",), limit=5, perplexity="m"
    )
    return resolve(asked, None, tmp_path)


def test_what_is_written_is_read_again_without_the_words_that_led_to_it(
    settings: BenchSettings, tmp_path: Path
) -> None:
    folder = BenchFolder(tmp_path / "b")
    folder.write_settings(settings)
    read = folder.settings()
    assert read is not None
    assert read.arms[0].recipe.resolved() == settings.arms[0].recipe.resolved()
    assert (read.ks, read.stored, read.limit, read.perplexity, read.turns) == ((1, 2), ("r",), 5, "m", 1)
    assert (read.recipes, read.overrides, read.seeds) == ((), (), ())


def test_bench_json_has_its_keys_in_a_fixed_order(settings: BenchSettings, tmp_path: Path) -> None:
    BenchFolder(tmp_path / "b").write_settings(settings)
    assert list(json.loads((tmp_path / "b" / "bench.json").read_text())) == [
        *(
            "format",
            "arms",
            "ks",
            "problems",
            "limit",
            "stored",
            "stored_problems",
            "embeddings",
            "perplexity",
            "turns",
        ),
        "judged_by",
        "baseline",
        "axis",
    ]


def test_a_new_or_empty_folder_holds_no_benchmark(tmp_path: Path) -> None:
    assert BenchFolder(tmp_path / "new").settings() is None
    assert BenchFolder(tmp_path).settings() is None


@pytest.mark.parametrize(
    ("file", "told"),
    [("run.json", "is one run's folder: give it to --from"), ("a.tex", r"not empty \(it holds a\.tex\)")],
)
def test_a_folder_with_other_content_is_refused(tmp_path: Path, file: str, told: str) -> None:
    (tmp_path / file).write_text("{}")
    with pytest.raises(RunFolderError, match=told):
        BenchFolder(tmp_path).settings()
