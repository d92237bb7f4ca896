"""The settings: the paper's defaults, one readable line per mistake, and a way there and back as a plain dict."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest

from tts.errors import RecipeError
from tts.plugins.esamp.settings import ESampSettings


def test_the_defaults_are_the_papers_but_for_those_that_the_settings_name() -> None:
    settings = ESampSettings()
    assert (settings.beta, settings.width) == (0.25, 384)
    assert (settings.scope, settings.filter, settings.control) == ("prompt", "fused", "none")
    assert (settings.layer, settings.guide_first_token) == (1, False)
    assert (settings.start, settings.input_norm, settings.learning_rate) == ("mean", "rms", 4e-4)
    assert (settings.steps_per_training("cpu"), settings.steps_per_training("cuda")) == (4, 1)
    assert ESampSettings(train_every=3).steps_per_training("cpu") == 3


def test_the_papers_form_is_one_word_and_nothing_else_goes_with_it() -> None:
    paper = ESampSettings(preset="paper", beta=0.5)
    assert (paper.start, paper.input_norm, paper.learning_rate, paper.train_every) == ("paper", "none", 4e-4, 1)
    assert ESampSettings.from_dict(paper.model_dump(mode="json")) == paper
    with pytest.raises(RecipeError) as raised:
        ESampSettings.from_dict({"preset": "paper", "train_every": 4, "start": "mean"})
    assert str(raised.value) == (
        "esamp: `preset: paper` is the published form: leave it out, or `start: mean` and `train_every: 4`"
    )


def test_settings_survive_the_way_through_a_plain_dict() -> None:
    for settings in (ESampSettings(), ESampSettings(beta=0.5, scope="shared", control="noise", num_slots=3)):
        assert ESampSettings.from_dict(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"beta": -0.1}, "`esamp.beta` must be greater than or equal to 0, got -0.1"),
        ({"beta": "high"}, "`esamp.beta` must be a valid number, got 'high'"),
        ({"beta": math.nan}, "`esamp.beta` must be a finite number, got nan"),
        ({"scope": "problem"}, "`esamp.scope` must be 'prompt' or 'shared', got 'problem'"),
        ({"width": 0}, "`esamp.width` must be greater than or equal to 1, got 0"),
        ({"num_slots": True}, "`esamp.num_slots` must be a valid integer, got True"),
        ({"guide_first_token": 1}, "`esamp.guide_first_token` must be a valid boolean, got 1"),
        ({"train_every": 0}, "`esamp.train_every` must be greater than or equal to 1, got 0"),
        ({"learning_rate": 0}, "`esamp.learning_rate` must be greater than 0, got 0"),
    ],
)
def test_a_bad_value_is_named_with_its_constraint(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as raised:
        ESampSettings.from_dict(values)
    assert str(raised.value) == message


def test_an_unknown_key_is_refused_and_the_nearest_is_named() -> None:
    with pytest.raises(RecipeError, match=r"`plan\.leyer` is no setting of plan\..*layer"):
        ESampSettings.from_dict({"leyer": 1}, "plan")


def test_every_mistake_has_its_line() -> None:
    with pytest.raises(RecipeError) as raised:
        ESampSettings.from_dict({"beta": -1, "width": 0, "betta": 1})
    assert len(str(raised.value).splitlines()) == 3


def test_a_shared_distiller_needs_one_slot() -> None:
    assert ESampSettings(scope="shared").num_distillers == 1
    assert ESampSettings(num_slots=5).num_distillers == 5


def test_settings_and_statistics_need_no_torch() -> None:
    code = "import sys, tts.plugins.esamp.settings, tts.plugins.esamp.stats; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
