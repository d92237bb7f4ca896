"""The rooms of the package: what may import what, read from the imports themselves, those within functions included."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import tts

ROOT = Path(tts.__file__).parent
ENTRANCES = {"tts", "tts.__main__"}
"""Stand above all rooms: what `import tts` offers, and the command."""

GROUND_TO_ROOF = (
    ".",
    "components",
    *("sandbox/inside", "sandbox", "programs/judging", "programs"),
    *("models", "similarity"),
    *("problems", "recipe", "tasks"),
    *("plugins", "plugins/beam", "plugins/esamp", "plugins/contrastive", "plugins/override"),
    "runs",
    *("engines", "engines/transformers", "engines/reward", "engines/vllm", "engines/openai", "engines/ray"),
    *("samplers", "scorers", "selectors"),
    *("verifiers/math", "verifiers"),
    *("metrics", "pipeline", "testing", "report", "report/page", "bench", "server", "cli"),
)
"""A room imports from those before it alone. `.` are the loose modules."""

NEVER = [
    ("engines", "samplers"),
    ("engines", "recipe"),
    ("scorers", "verifiers"),
    ("runs", "engines"),
    ("metrics", "engines"),
    ("report", "engines"),
    ("runs", "bench"),
    ("pipeline/judge.py", "runs"),
    ("components/component.py", "components"),
    ("components/registry.py", "components/slot.py"),
    ("sandbox", "programs"),
    ("selectors", "verifiers"),
    ("samplers", "engines"),
    ("server", "engines"),
]
"""(who, what): importing that would close a circle sooner or later, or let a stage know what it must not."""

HEAVY = {
    "vllm": ("engines/vllm",),
    "ray": ("engines/ray",),
    "torch": ("engines", "models", "plugins", "scorers", "similarity", "metrics/diversity.py"),
    "transformers": ("engines", "models", "plugins", "scorers", "similarity", "metrics/diversity.py"),
    "starlette": ("server/app.py",),
    "uvicorn": ("server/process.py",),
}


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its name."""
    found = {}
    for path in ROOT.rglob("*.py"):
        name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
        found[name] = path
    return found


@cache
def imports(name: str) -> frozenset[str]:
    """What a module imports: modules of the package by their whole names, others by their package's."""
    found = set()
    for node in ast.walk(ast.parse(modules()[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            here = (
                name.rpartition(".")[0] if node.level else ""
            )  # the sandbox's inside is started as a package of its own
            base = ".".join(filter(None, (here, node.module)))
            inside = {f"{base}.{alias.name}" for alias in node.names}
            found |= (inside & modules().keys()) or {base}
    return frozenset(one if one in modules() else one.partition(".")[0] for one in found) - {name}


def place(name: str) -> str:
    """Where a module stands below the package: `runs/files.py`; a room's own `__init__` as the room."""
    path = modules()[name].relative_to(ROOT)
    return str(path.parent if path.name == "__init__.py" else path)


def room(name: str) -> str:
    return str(modules()[name].parent.relative_to(ROOT))


def within(where: str, part: str) -> bool:
    return where == part or where.startswith(f"{part}/")


def inner() -> list[str]:
    return sorted(modules().keys() - ENTRANCES)


def test_only_types_protocols_errors_and_version_stand_loose() -> None:
    assert {name for name in inner() if room(name) == "."} == {
        f"tts.{one}" for one in ("types", "protocols", "errors", "version")
    }


def test_every_room_is_in_its_place_and_imports_from_below_alone() -> None:
    assert {room(name) for name in inner()} <= set(GROUND_TO_ROOF)
    height = {one: number for number, one in enumerate(GROUND_TO_ROOF)}
    climbs = [
        f"{place(name)} imports {place(other)}"
        for name in inner()
        for other in imports(name) & modules().keys()
        if room(name) != room(other) and height[room(name)] <= height[room(other)]
    ]
    assert not climbs


def test_no_module_imports_itself_through_others() -> None:
    graph = {name: imports(name) & modules().keys() for name in inner()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' → '.join(error.args[1])}")


@pytest.mark.parametrize(("who", "what"), NEVER)
def test_what_must_not_be_known_is_not_imported(who: str, what: str) -> None:
    assert any(within(place(name), who) for name in inner()), f"there is no {who}: mend this test"
    assert not [
        f"{place(name)} imports {place(other)}"
        for name in inner()
        if within(place(name), who)
        for other in imports(name) & modules().keys()
        if within(place(other), what) and not within(place(other), who)
    ]


@pytest.mark.parametrize("package", HEAVY)
def test_heavy_packages_stay_in_their_rooms(package: str) -> None:
    homes = [name for name in inner() if package in imports(name)]
    assert homes
    assert [place(name) for name in homes if not any(within(place(name), part) for part in HEAVY[package])] == []


def test_the_sandbox_stands_alone_but_for_its_error() -> None:
    used = {other for name in inner() if within(place(name), "sandbox") for other in imports(name) & modules().keys()}
    assert {one for one in used if not within(place(one), "sandbox")} == {"tts.errors"}
