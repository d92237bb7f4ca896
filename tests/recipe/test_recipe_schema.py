"""The JSON Schema accepts what the reader accepts, refuses plain mistakes, and explains every key."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from recipe_parts import COMPLETE, with_sampler

from tts.components import registry
from tts.recipe import recipe_schema, shipped_recipes

BEST_OF_N = COMPLETE.replace("majority_vote", "{name: best_of_n, scorer: likelihood}")


@cache
def validator() -> Draft202012Validator:
    schema = recipe_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from (value for key, value in schema.items() if key == "$ref")
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from references(inner)


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_valid(name: str) -> None:
    assert list(validator().iter_errors(yaml.safe_load(shipped_recipes()[name].read_text()))) == []


@pytest.mark.parametrize(
    "text",
    [
        COMPLETE,
        COMPLETE + "seed: 3\nproblems: x\ndescription: y\n",
        BEST_OF_N,
        with_sampler("{name: mixture, arms: [greedy, {name: temperature, top_p: 0.5}], shares: [1, 2]}"),
        with_sampler("{name: 'recipe_parts:Rich', mode: exact, fallback: greedy}"),
        "extends: quickstart\n",
        "extends: quickstart\nsampler: {num_candidates: 16}\nselector: first\n",
    ],
)
def test_what_the_reader_accepts_is_valid(text: str) -> None:
    assert list(validator().iter_errors(yaml.safe_load(text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "seed: 0\n",
        COMPLETE + "samplr: greedy\n",
        COMPLETE + "seed: -1\n",
        COMPLETE + "seed: '1'\n",
        COMPLETE.replace("majority_vote", "best_of_n"),
        BEST_OF_N.replace("likelihood", "greedy"),
        with_sampler("temperatur"),
        with_sampler("{max_tokens: 3}"),
        with_sampler("{name: temperature, temperature: -1}"),
        with_sampler("{name: temperature, top_q: 1}"),
        with_sampler("{name: mixture, arms: []}"),
        with_sampler("{name: mixture, arms: [{name: greedy, top_q: 1}]}"),
    ],
)
def test_plain_mistakes_are_invalid(text: str) -> None:
    assert not validator().is_valid(yaml.safe_load(text))


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_component_stands_in_the_schema_with_a_description_of_every_key(kind: registry.ComponentKind) -> None:
    definitions = recipe_schema()["$defs"]
    for name in registry.names(kind):
        component = definitions[f"{kind}.{name}"]
        assert component["properties"].pop("name") == {"const": name}
        assert component["additionalProperties"] is False
        assert component["description"]
        for key, schema in component["properties"].items():
            assert schema["description"], f"{name}.{key} has no description"
            assert "default" in schema or key in component["required"], f"{name}.{key} has no default"


def test_defaults_of_nested_components_carry_their_names() -> None:
    verifier = recipe_schema()["$defs"]["tasks.math"]["properties"]["verifier"]
    assert verifier["$ref"] == "#/$defs/verifiers"
    assert verifier["default"]["name"] == "math"


def test_every_reference_leads_somewhere_and_the_schema_is_the_same_every_time() -> None:
    schema = recipe_schema()
    assert {reference.removeprefix("#/$defs/") for reference in references(schema)} <= set(schema["$defs"])
    assert recipe_schema() == schema
