"""What the pages of docs/ say stands in the code: links, commands, tables of components, keys and sets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import pytest
import typer
import yaml
from page_parts import DOCS, PAGES, ROOT, blocks, says_how

import tts
from tts.components import registry
from tts.components.component import ComponentKind
from tts.sandbox.records import PROMISED, ProfileName


def prose(page: str) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def table(page: str, first: str) -> dict[str, list[str]]:
    """Return the rows of the table whose head begins with `first`: by the names in backquotes of their first cell."""
    _, _, rest = prose(page).partition(f"\n| {first} |")
    assert rest, f"docs/{page} has no table of {first}"
    rows: dict[str, list[str]] = {}
    for line in rest.partition("\n\n")[0].splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        rows |= dict.fromkeys(re.findall(r"`([^`]+)`", cells[0]), cells[1:])
    return rows


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs_or_says_why_not(page: str) -> None:
    assert [str(block) for block in blocks(page) if not says_how(block)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_the_docs_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (DOCS / page).parent / path if path else DOCS / page
        assert found.is_file(), f"docs/{page}: {target}"
        heads = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}
        assert not anchor or anchor in anchors, f"docs/{page}: {target}"


def test_every_page_is_on_the_first_one_and_in_the_site() -> None:
    first = (DOCS / "index.md").read_text(encoding="utf-8")
    assert [page for page in PAGES if page != "index.md" and f"]({page})" not in first] == []
    [loader] = [type("Loader", (yaml.SafeLoader,), {})]
    site = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), loader)
    assert sorted(_leaves(site["nav"])) == PAGES


def _leaves(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for part in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from _leaves(part)


@cache
def command() -> Any:
    from tts.cli import app

    return typer.main.get_command(app)


@pytest.mark.parametrize("page", PAGES)
def test_commands_within_the_text_exist_with_their_options(page: str) -> None:
    for span in re.findall(r"`(tts [^`\n]+)`", prose(page)):
        found: Any = command()
        for word in shlex.split(span.replace("…", "")[4:]):
            if word.startswith("--"):
                options = [option for parameter in found.params for option in parameter.opts]
                assert word.partition("=")[0] in options, f"docs/{page}: `{span}`"
            elif hasattr(found, "commands") and re.fullmatch(r"[a-z-]+", word):
                assert word in found.commands, f"docs/{page}: `{span}`"
                found = found.commands[word]


def component(kind: ComponentKind, name: str) -> Any:
    """Return a built-in component with its defaults, and for what has none the plainest there is."""
    found, replay = registry.load(kind, name), registry.load("engines", "replay")
    given: dict[str, Any] = {
        "reward": replay(rewards=(0.5,)),
        "arms": (registry.load("samplers", "temperature")(),),
        "scorer": registry.load("scorers", "likelihood")(),
        "amateur": "of/yours",
    }
    needed = {key: given[key] for key, about in found.model_fields.items() if about.is_required()}
    return found(**needed)


def names(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def test_the_tables_name_every_built_in_component() -> None:
    for kind, page in (("samplers", "samplers.md"), ("selectors", "samplers.md"), ("scorers", "samplers.md")):
        assert list(table(page, kind.removesuffix("s"))) == unordered(registry.builtin(kind), table(page, kind[:-1]))
    asking = {name for name in registry.builtin("scorers") if hasattr(registry.load("scorers", name), "scores")}
    assert set(table("judges.md", "scorer")) == asking


def unordered(wanted: tuple[str, ...], rows: dict[str, list[str]]) -> list[str]:
    """Return the wanted names in the order of the rows, those that lack one behind them."""
    return [*(name for name in rows if name in wanted), *(name for name in wanted if name not in rows)]


@pytest.mark.parametrize("name", registry.builtin("samplers"))
def test_a_samplers_row_tells_its_needs_cost_and_curve(name: str) -> None:
    sampler, (_, needs, cost, curve) = component("samplers", name), table("samplers.md", "sampler")[name]
    if name != "mixture":  # whose needs are its arms'
        assert names(needs) == set(sampler.requires)
    most = getattr(sampler, "most_tokens", sampler.num_candidates * sampler.max_tokens)
    assert formula(cost, sampler) == most
    assert curve == ("a run for each k" if sampler.interacting else "one pool")


@pytest.mark.parametrize("name", registry.builtin("scorers"))
def test_a_scorers_row_tells_its_needs_and_cost(name: str) -> None:
    scorer, (_, needs, cost) = component("scorers", name), table("samplers.md", "scorer")[name]
    assert names(needs) == set(scorer.requires)
    assert (cost == "–") == (not hasattr(scorer, "scores"))
    if cost != "–":
        assert formula(cost, scorer, n=8) == scorer.most_tokens(8)
        assert table("judges.md", "scorer")[name][-1] == ("yes" if scorer.pointwise else "no")


def formula(cell: str, component: Any, **more: int) -> float:
    """Return what the first formula of a cell comes to, of a component's own keys."""
    text = re.findall(r"`([^`]+)`", cell)[0].replace("·", "*")
    keys = {key: getattr(component, key) for key in type(component).model_fields} | more
    return float(eval(text, {"__builtins__": {}, "len": len, "max": max}, keys))


@pytest.mark.parametrize("name", registry.builtin("selectors"))
def test_a_selectors_row_tells_its_scorer(name: str) -> None:
    selector = registry.load("selectors", name)
    about, (_, told) = selector.model_fields.get("scorer"), table("samplers.md", "selector")[name]
    if about is None:
        assert told == "–"
    else:
        assert told == (
            "must be given" if about.is_required() else f"`{registry.name_of('scorers', type(about.default))}`"
        )


def test_the_problem_sets_and_engines_are_those_there_are() -> None:
    from tts.problems.named import named_problem_sets

    told = {name for name in table("recipes.md", "`problems:`, or an argument of `tts solve`") if name.isidentifier()}
    assert told == {one.name for one in named_problem_sets()}
    names_there = set(registry.builtin("engines")) - {"program_runner"}  # which no recipe needs to name
    writing = {name for name in names_there if hasattr(registry.load("engines", name), "render")}
    assert set(table("recipes.md", "`engine:`")) == writing
    assert set(table("search.md", "reward engine")) == {*names_there - writing, "replay"}


def test_the_keys_and_values_of_esamp_are_those_it_has() -> None:
    esamp = registry.load("samplers", "esamp")
    told = re.findall(r"`([a-z_]+): ([^`]+)`", prose("esamp.md"))
    assert len(told) > 8
    for key, value in told:
        esamp.model_validate({key: yaml.safe_load(value)})
    for key, (paper, ours, _) in table("esamp.md", "key").items():
        default = esamp.model_fields[key].default
        assert default is None or f"`{default}`" in ours, f"{key}: {default}"
        assert default is None or f"`{esamp(preset='paper').model_dump()[key]}`" in paper


def test_the_sandboxs_promises_are_the_codes() -> None:
    rows = table("programs.md", "guard")
    for column, profile in enumerate(get_args(ProfileName), 1):
        assert {guard for guard, cells in rows.items() if cells[column] == "yes"} == set(PROMISED[profile])


def test_names_of_the_package_that_pages_mention_exist() -> None:
    from importlib import import_module

    for page in PAGES:
        text = prose(page)
        for dotted in {*re.findall(r"`(tts(?:\.\w+)+)`", text), *re.findall(r"^::: (\S+)", text, re.MULTILINE)}:
            parts = dotted.split(".")
            found: Any = None
            for end in range(len(parts), 0, -1):
                try:
                    found = import_module(".".join(parts[:end]))
                except ModuleNotFoundError:
                    continue
                for part in parts[end:]:
                    found = getattr(found, part)
                break
            assert found is not None, f"docs/{page}: {dotted}"
        for path in re.findall(r"`((?:tts|tests|recipes|examples|benchmarks)/[\w./]+)`", text):
            assert (ROOT / path).exists(), f"docs/{page}: {path}"


def test_sections_of_the_results_that_pages_name_exist() -> None:
    heads = "\n".join(re.findall(r"^## (.*)$", (ROOT / "RESULTS.md").read_text(encoding="utf-8"), re.MULTILINE))
    named = [(page, name) for page in PAGES for name in re.findall(r"«([^»]+)»(?=[,)])", _of_results(prose(page)))]
    assert len(named) >= 4
    assert [(page, name) for page, name in named if name not in heads] == []


def _of_results(text: str) -> str:
    """Return what stands in brackets behind `RESULTS.md`."""
    return " ".join(re.findall(r"\(RESULTS\.md, [^)]*\)", " ".join(text.split())))


def test_the_version_is_told_alike_everywhere() -> None:
    assert f"\nversion: {tts.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{tts.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
