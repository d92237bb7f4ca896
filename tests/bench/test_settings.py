"""What a benchmark is to be: a new one from what is asked, one that is there from what is asked and stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.bench.settings import RESERVED, BenchSettings, _folder_names, resolve
from tts.errors import RecipeError, RunFolderError, UsageError
from tts.runs.opening import StoredArm

FOLDER = Path("b")


def recipe(
    folder: Path,
    name: str,
    num_candidates: int = 4,
    *,
    selector: str = "majority_vote",
    engine: str = "{name: replay, script: [x]}",
) -> str:
    """Write a recipe and return its path."""
    path = folder / f"{name}.yaml"
    sampler = f"{{name: temperature, num_candidates: {num_candidates}}}"
    path.write_text(f"task: math\nengine: {engine}\nsampler: {sampler}\nselector: {selector}\n")
    return str(path)


@pytest.fixture
def asked(tmp_path: Path) -> BenchSettings:
    return BenchSettings(recipes=(recipe(tmp_path, "one"), recipe(tmp_path, "two")), seeds=(1, 2), problems="p.jsonl")


def test_what_is_not_said_takes_its_default(tmp_path: Path) -> None:
    new = resolve(BenchSettings(recipes=(recipe(tmp_path, "one"),)), None, FOLDER)
    assert (new.ks, new.problems, new.limit, new.embeddings, new.perplexity, new.turns) == (
        (),
        None,
        None,
        "auto",
        None,
        1,
    )
    assert [(arm.name, arm.recipe.sampler.num_candidates) for arm in new.arms] == [("one", 4)]


def test_where_nothing_is_named_the_quickstart_is_the_recipe() -> None:
    assert [arm.name for arm in resolve(BenchSettings(), None, FOLDER).arms] == ["quickstart"]


def test_the_problems_go_with_the_stored_candidates_where_nothing_is_drawn(asked: BenchSettings) -> None:
    stored = BenchSettings(stored=("theirs.jsonl",), problems="p.jsonl")
    assert resolve(stored, None, FOLDER).stored_problems == "p.jsonl"
    assert resolve(replace(asked, stored=stored.stored), None, FOLDER).stored_problems is None


def test_as_many_are_drawn_as_the_largest_k_asks_unless_an_override_says_more(asked: BenchSettings) -> None:
    some = replace(asked, ks=(1, 8))
    more = replace(some, overrides=("sampler.num_candidates=9",))
    fewer = replace(some, overrides=("sampler.num_candidates=7",))
    assert [arm.recipe.sampler.num_candidates for arm in resolve(some, None, FOLDER).arms] == [8, 8]
    assert [arm.recipe.sampler.num_candidates for arm in resolve(more, None, FOLDER).arms] == [9, 9]
    with pytest.raises(UsageError, match=r"^`--k` must be at most sampler.num_candidates, got 8, but 7 in one$"):
        resolve(fewer, None, FOLDER)


def test_seeds_are_for_all_recipes_or_one_each(asked: BenchSettings, tmp_path: Path) -> None:
    another = (*asked.recipes, recipe(tmp_path, "three", num_candidates=3))
    assert [arm.recipe.seed for arm in resolve(asked, None, FOLDER).arms] == [1, 2]
    assert [arm.recipe.seed for arm in resolve(replace(asked, recipes=another[1:], seeds=(5,)), None, FOLDER).arms] == [
        5,
        5,
    ]
    with pytest.raises(UsageError, match="once for each of 3 recipes, got it 2 times"):
        resolve(replace(asked, recipes=another), None, FOLDER)


def test_recipes_of_one_name_are_numbered_and_must_differ(asked: BenchSettings) -> None:
    twins = replace(asked, recipes=asked.recipes[:1] * 2)
    assert [arm.name for arm in resolve(twins, None, FOLDER).arms] == ["one-1", "one-2"]
    with pytest.raises(UsageError, match="two arms must differ, got one-1 and one-2 with the same engine"):
        resolve(replace(twins, seeds=()), None, FOLDER)


def test_recipes_that_choose_unlike_draw_once_and_one_scorer_is_asked_once(tmp_path: Path) -> None:
    judge = "{name: judge, judge: {name: replay, script: ['4']}}"
    selectors = {
        "vote": "majority_vote",
        "best": f"{{name: best_of_n, scorer: {judge}}}",
        "other": "oracle",
        "weighed": f"{{name: self_consistency, scorer: {judge}}}",
    }
    files = [recipe(tmp_path, name, selector=selector) for name, selector in selectors.items()]
    apart = recipe(tmp_path, "apart", num_candidates=3)
    settings = resolve(BenchSettings(recipes=(*files, apart), problems="quickstart"), None, FOLDER)
    course = {arm.name: lender and lender.name for arm, lender in settings.course}
    assert list(course.items()) == [
        ("vote", None),
        ("apart", None),
        ("best", "vote"),
        ("other", "vote"),
        ("weighed", "best"),
    ]
    scored = {(arm.name, lender.name): arm.scores_like(lender) for arm, lender in settings.course if lender}
    assert [pair for pair, alike in scored.items() if alike] == [("other", "vote"), ("weighed", "best")]


def test_of_recipes_that_draw_alike_the_one_whose_scorer_must_be_measured_draws(tmp_path: Path) -> None:
    engine = "{name: transformers, model: somewhere}"
    files = []
    for name, selector in {"vote": "majority_vote", "sure": "confidence_vote"}.items():
        files.append(recipe(tmp_path, name, selector=selector, engine=engine))
    settings = resolve(BenchSettings(recipes=tuple(files), problems="quickstart"), None, FOLDER)
    assert [(arm.name, lender and lender.name) for arm, lender in settings.course] == [("sure", None), ("vote", "sure")]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["a/q", "b/q", "c/q-1"], ["q-2", "q-3", "q-1"]),
        (["a/q", "b/Q"], ["q-1", "Q-2"]),
        (["a/bench.json", "a/report.html", "b/report.html"], ["bench.json-1", "report.html-1", "report.html-2"]),
        (["a/..", "a/x\n"], ["recipe", "x_"]),
        (["a/" + "x" * 120, "a/" + "x" * 121], ["x" * 100 + "-1", "x" * 100 + "-2"]),
    ],
)
def test_arms_have_names_of_their_own(tmp_path: Path, files: list[str], names: list[str]) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
    paths = tuple(recipe((tmp_path / file).parent, Path(file).name) for file in files)
    asked = BenchSettings(recipes=paths, seeds=tuple(range(len(files))))
    assert [arm.name for arm in resolve(asked, None, FOLDER).arms] == names


@settings(max_examples=200, derandomize=True)
@given(
    st.lists(st.text("qQ-1.\n ", max_size=4) | st.sampled_from(sorted(RESERVED)) | st.text(max_size=300), max_size=6)
)
def test_no_two_arms_and_no_file_share_a_name(called: list[str]) -> None:
    names = _folder_names(called)
    assert len({name.casefold() for name in names}) == len(called)
    assert not RESERVED & {name.casefold() for name in names}
    assert all(StoredArm(name, {}) for name in names)


@pytest.mark.parametrize("said", [{"seeds": (1,)}, {"overrides": ("seed=1",)}])
def test_what_changes_a_recipe_needs_one(said: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(UsageError, match=r"^`--(seed|set seed=1)` must go with a --recipe"):
        resolve(BenchSettings(stored=("r",), **said), None, FOLDER)


def test_stored_candidates_are_judged_as_asked_and_so_again() -> None:
    asked = BenchSettings(stored=("c.jsonl",), overrides=("selector.scorer=likelihood", "task.verifier=text"))
    new = resolve(asked, None, FOLDER)
    assert new.judged_by == asked.overrides
    assert resolve(BenchSettings(), new, FOLDER).judged_by == asked.overrides
    assert resolve(BenchSettings(overrides=("selector=first",)), new, FOLDER).judged_by == ("selector=first",)


def test_the_figures_of_a_stored_benchmark_may_change_and_nothing_else(asked: BenchSettings) -> None:
    stored = resolve(replace(asked, ks=(1, 4)), None, FOLDER)
    again = resolve(BenchSettings(ks=(2,), turns=3, embeddings="none", candidates=False), stored, FOLDER)
    assert again == replace(stored, ks=(2,), turns=3, embeddings="none", candidates=False)
    assert resolve(BenchSettings(), stored, FOLDER) == stored
    assert resolve(asked, stored, FOLDER) == stored


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"stored": ("r",)}, "b is a benchmark of other stored runs"),
        ({"problems": "q.jsonl"}, "b is a benchmark on other problems"),
        ({"limit": 3}, "b is a benchmark on other problems"),
        ({"ks": (1, 8)}, "b has 4 candidates a problem, got --k 8"),
        ({"overrides": ("sampler.temperature=0.3",)}, "sampler.temperature: 0.7 → 0.3"),
    ],
)
def test_a_stored_benchmark_refuses_to_become_another(
    asked: BenchSettings, said: dict[str, tuple[int, ...]], told: str
) -> None:
    stored = resolve(asked, None, FOLDER)
    with pytest.raises(RunFolderError, match=told):
        resolve(BenchSettings(**said), stored, FOLDER)


def test_a_stored_benchmark_refuses_other_recipes_and_a_lonely_seed(asked: BenchSettings) -> None:
    stored = resolve(asked, None, FOLDER)
    with pytest.raises(RunFolderError, match="recipes: one, two → two, one"):
        resolve(replace(asked, recipes=asked.recipes[::-1]), stored, FOLDER)
    with pytest.raises(UsageError, match=r"^`--seed` must go with a --recipe: the folder's recipes have theirs$"):
        resolve(BenchSettings(seeds=(1,)), stored, FOLDER)


def searching(folder: Path, name: str, sampler: str) -> str:
    path = Path(recipe(folder, name))
    path.write_text(path.read_text().replace("{name: temperature, num_candidates: 4}", sampler))
    return str(path)


REWARD = "{name: replay, rewards: [0.5]}"
BEAM = f"{{name: prm_beam, num_candidates: 8, beam_width: 4, reward: {REWARD}}}"


def runs_of(found: BenchSettings) -> list[tuple[str, str, int]]:
    return [(arm.name, arm.line, arm.recipe.sampler.num_candidates) for arm in found.arms]


def test_where_candidates_influence_each_other_there_is_a_run_for_each_k(asked: BenchSettings, tmp_path: Path) -> None:
    names = (asked.recipes[0], searching(tmp_path, "adaptive", "{name: adaptive_consistency}"))
    found = resolve(BenchSettings(recipes=names, ks=(1, 4, 16)), None, FOLDER)
    assert runs_of(found) == [
        ("one", "", 16),
        ("adaptive-k1", "adaptive", 1),
        ("adaptive-k4", "adaptive", 4),
        ("adaptive-k16", "adaptive", 16),
    ]
    assert {arm.recipe.name for arm in found.arms} == {"one", "adaptive"}
    assert runs_of(resolve(BenchSettings(recipes=names[1:]), None, FOLDER)) == [("adaptive", "", 40)]
    more = resolve(BenchSettings(recipes=names, ks=(1, 4), overrides=("sampler.num_candidates=9",)), None, FOLDER)
    assert runs_of(more) == [("one", "", 9), ("adaptive-k1", "adaptive", 1), ("adaptive-k4", "adaptive", 4)]


def test_a_k_that_a_sampler_cannot_take_is_left_out_with_its_reason(tmp_path: Path) -> None:
    beam = searching(tmp_path, "beam", BEAM)
    found = resolve(BenchSettings(recipes=(beam,), ks=(1, 4, 16)), None, FOLDER)
    assert runs_of(found) == [("beam-k4", "beam", 4), ("beam-k16", "beam", 16)]
    (told,) = found.without
    assert told.startswith("beam: no run at k = 1, which its sampler cannot take: ")
    assert "num_candidates" in told
    with pytest.raises(RecipeError, match="num_candidates"):
        resolve(BenchSettings(recipes=(beam,), ks=(1, 2)), None, FOLDER)


def test_a_benchmark_with_a_run_for_each_k_is_gone_on_with(asked: BenchSettings, tmp_path: Path) -> None:
    names = (asked.recipes[0], searching(tmp_path, "adaptive", "{name: adaptive_consistency}"))
    stored = resolve(BenchSettings(recipes=names, ks=(1, 4), axis="tokens"), None, FOLDER)
    assert resolve(BenchSettings(recipes=names, ks=(4,)), stored, FOLDER) == replace(stored, ks=(4,))
    assert resolve(BenchSettings(axis="k"), stored, FOLDER) == replace(stored, axis="k")
    with pytest.raises(RunFolderError, match="b has 4 candidates a problem, got --k 8"):
        resolve(BenchSettings(ks=(8,)), stored, FOLDER)
