"""Names become classes, and each way in which that fails says what, where from, and what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tts.components import registry
from tts.errors import RegistryError
from tts.samplers.greedy import Greedy
from tts.scorers.likelihood import Likelihood

Install = Callable[..., None]

SAMPLER = """
from tts.samplers.greedy import Greedy

class Mine(Greedy):
    '''A sampler of our own.'''
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a package as pip leaves it behind: a module, and a .dist-info folder with its entry points."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(distribution: str, entry_points: str, module: str = "", source: str = SAMPLER) -> None:
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)
        if module:
            monkeypatch.delitem(sys.modules, module, raising=False)
            (tmp_path / f"{module}.py").write_text(source)

    return install


def test_a_built_in_is_found_by_name_and_its_name_by_class() -> None:
    assert registry.load("samplers", "greedy") is Greedy
    assert registry.load("scorers", "likelihood") is Likelihood
    assert registry.name_of("samplers", Greedy) == "greedy"


def test_a_class_is_found_by_its_path_and_named_by_it(install: Install) -> None:
    install("ours", "", "ours_by_path")
    found = registry.load("samplers", "ours_by_path:Mine")
    assert (found.__name__, registry.name_of("samplers", found)) == ("Mine", "ours_by_path:Mine")


def test_a_plugin_is_found_by_the_name_of_its_entry_point(install: Install) -> None:
    install("ours", "[tts.samplers]\nmine = ours_plugin:Mine\n", "ours_plugin")
    found = registry.load("samplers", "mine")
    assert (found.__name__, registry.name_of("samplers", found)) == ("Mine", "mine")
    assert registry.names("samplers")[-1] == "mine"
    assert "mine" not in registry.names("scorers")
    assert "mine" not in registry.builtin("samplers")


def test_an_unknown_name_is_answered_with_the_nearest_one_and_all_others() -> None:
    with pytest.raises(
        RegistryError, match=r"`greddy` is no sampler\. Did you mean `greedy`\? There are: greedy, temp"
    ):
        registry.load("samplers", "greddy")
    with pytest.raises(RegistryError, match=r"`zzz` is no scorer\. There are: likelihood, .*novelty, .*; or"):
        registry.load("scorers", "zzz")
    with pytest.raises(RegistryError, match="`oracle` is no sampler, but a selector"):
        registry.load("samplers", "oracle")


def test_a_plugin_that_cannot_be_imported_shows_its_own_error_and_place(install: Install, tmp_path: Path) -> None:
    install(
        "torn", "[tts.samplers]\ntorn = torn_plugin:X\n", "torn_plugin", "import json\n\nraise OSError('no device')\n"
    )
    with pytest.raises(RegistryError) as refused:
        registry.load("samplers", "torn")
    assert str(refused.value) == (
        "the sampler `torn` cannot be imported from `torn_plugin:X` of the package torn 1.0: "
        f"OSError: no device ({tmp_path / 'torn_plugin.py'}:3)"
    )
    assert isinstance(refused.value.__cause__, OSError)


def test_an_error_deep_in_a_library_points_at_the_plugins_own_line(install: Install, tmp_path: Path) -> None:
    source = "from tts.samplers.greedy import Greedy\n\nclass X(Greedy):\n    wrong = 3\n"
    install("ours", "", "ours_deep", source)
    with pytest.raises(RegistryError) as refused:
        registry.load("samplers", "ours_deep:X")
    assert str(refused.value).endswith(f"({tmp_path / 'ours_deep.py'}:3)")
    assert len(str(refused.value).splitlines()) == 1


def test_a_broken_plugin_harms_nobody_who_does_not_use_it(install: Install) -> None:
    install("torn", "[tts.samplers]\ntorn = torn_unused:X\n", "torn_unused", "raise OSError('no device')\n")
    assert registry.load("samplers", "greedy") is Greedy
    assert "torn" in registry.names("samplers")


def test_a_module_or_class_that_is_not_there_is_told_apart(install: Install) -> None:
    install("ours", "", "ours_module")
    with pytest.raises(
        RegistryError, match="No module named 'absent_module': install it, or put its folder on PYTHONP"
    ):
        registry.load("samplers", "absent_module:X")
    with pytest.raises(RegistryError, match="AttributeError: module 'ours_module' has no attribute 'Yours'"):
        registry.load("samplers", "ours_module:Yours")


@pytest.mark.parametrize("name", [":", "a:", ":B", "json:a:b", "..x:y"])
def test_a_malformed_class_path_is_refused(name: str) -> None:
    with pytest.raises(RegistryError, match="cannot be imported"):
        registry.load("samplers", name)


def test_two_plugins_of_one_name_are_refused_with_both_packages(install: Install) -> None:
    install("ours", "[tts.samplers]\nmine = ours_first:Mine\n", "ours_first")
    install("theirs", "[tts.samplers]\nmine = theirs_second:Mine\n", "theirs_second")
    with pytest.raises(RegistryError, match=r"`mine` must belong to one package, got ours 1\.0 and theirs 1\.0"):
        registry.load("samplers", "mine")


def test_a_plugin_that_takes_a_built_in_name_is_refused(install: Install) -> None:
    install("ours", "[tts.samplers]\ngreedy = ours_shadow:Mine\n", "ours_shadow")
    with pytest.raises(RegistryError, match=r"`greedy` must belong to one package, got tts itself and ours 1\.0"):
        registry.load("samplers", "greedy")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("class X: pass", "`odd:X` must be a subclass of `tts.Component`, got <class 'odd.X'>"),
        ("X = 3", "`odd:X` must be a subclass of `tts.Component`, got 3"),
        (
            "from tts.components.component import Component\nclass X(Component):\n    num_candidates: int = 1\n",
            "`odd:X` must be a sampler, but lacks `interacting`, `max_tokens`, `requests`, `requires`",
        ),
        ("from tts.samplers.independent import IndependentSampler as X", "but lacks `sampling_temperature`"),
        (
            "from tts.samplers.greedy import Greedy\nclass X(Greedy):\n    name: str = ''\n",
            "`odd:X` must not have a key `name`",
        ),
    ],
)
def test_a_class_that_is_no_such_component_is_refused_with_what_it_lacks(
    install: Install, source: str, told: str
) -> None:
    install("odd", "", "odd", source)
    with pytest.raises(RegistryError) as refused:
        registry.load("samplers", "odd:X")
    assert told in str(refused.value)


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_built_in_loads_and_keeps_its_name(kind: registry.ComponentKind) -> None:
    for name in registry.builtin(kind):
        assert registry.name_of(kind, registry.load(kind, name)) == name


def test_no_component_class_brings_a_heavy_library_with_it() -> None:
    script = (
        "import sys\nfrom tts.components import registry\n"
        "[registry.load(kind, name) for kind in registry.KINDS for name in registry.builtin(kind)]\n"
        "print([name for name in ('torch', 'transformers', 'sympy', 'math_verify', 'vllm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
