"""What a recipe may name, told in the terminal: every component, every key."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cli_parts import Result

from tts.components import registry
from tts.recipe import component_schema

Command = Callable[..., Result]


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_component_has_its_line_and_every_key_its_meaning_type_and_default(
    tts: Command, kind: registry.ComponentKind
) -> None:
    listed = tts(kind)
    assert (listed.code, listed.err) == (0, "")
    begun = {line.split("  ")[0].strip() for line in listed.out.splitlines()}
    assert set(registry.names(kind)) <= begun
    assert all(len(line) <= 80 for line in listed.out.splitlines())
    name = registry.names(kind)[-1]
    one = tts(kind, name)
    flat = " ".join(one.out.split())
    for key, about in component_schema(registry.load(kind, name))["properties"].items():
        assert f"\n{key}: " in one.out
        assert " ".join(about["description"].split()) in flat


def test_types_limits_and_defaults_are_told(tts: Command) -> None:
    out = tts("samplers", "temperature").out
    assert "\nnum_candidates: integer ≥ 1 and ≤ 100000; default 8\n" in out
    assert "\nfirst_token_temperature: number > 0 | null; default null\n" in out
    assert "\narms: list of a sampler (`tts samplers`); must be given\n" in tts("samplers", "mixture").out
    assert "\nverifier: a verifier (`tts verifiers`); default math\n" in tts("tasks", "math").out
    replay = tts("engines", "replay").out
    assert "\nerror: string; default scripted failure\n" in replay  # a mapping inside a key
    p_true = tts("engines", "p_true").out
    assert "\nengine: an engine (`tts engines`) | null; default null\n" in p_true
    assert "\nseparate_process: boolean; default false\n" in replay  # of what computes here, and of nothing else
    assert "separate_process" not in p_true


def test_a_class_of_ones_own_is_shown_and_an_unknown_name_is_refused_with_the_nearest(tts: Command) -> None:
    assert "sampler tts.samplers.fire:Fire" in tts("samplers", "tts.samplers.fire:Fire").out
    refused = tts("samplers", "temprature")
    assert (refused.code, refused.out) == (2, "")
    assert "Did you mean `temperature`?" in refused.err


def test_help_cuts_no_description_at_80_columns(tts: Command) -> None:
    commands = tts("--help", COLUMNS="80").out.partition("Commands:")[2]
    assert commands.count("\n") > 10
    assert "..." not in commands
