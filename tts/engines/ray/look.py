"""Which cluster is meant, and what is there: asked before it is joined, and by `tts doctor`.

A process of its own asks. Joining a cluster that does not answer takes long, and Ray writes a line a second on standard
error meanwhile; of two of the commonest causes, a token that is missing and another version of Ray, these lines are all
that is told.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from tts.errors import EngineError, plural

Node: TypeAlias = "tuple[str, float, float]"
"""Name, CPUs and GPUs."""
HOST_AND_PORT = re.compile(r"(\[[^\s\]]+\]|[^\s/:]+):\d+")
LOOK_SECONDS = 30.0
LOOK = """
import json, sys, ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False, logging_level="ERROR")
    found = ray.nodes()
except Exception as error:
    found = str(error)
print("\\n" + json.dumps(found, default=str))
"""


def named(address: str) -> str:
    """Return `address`, or what RAY_ADDRESS holds where it is `auto`. Raises EngineError where that names no cluster.

    Ray itself would take any cluster that it finds on this machine, also the one that another run started for itself.
    """
    if address != "auto":
        return address
    found = os.environ.get("RAY_ADDRESS", "")
    if not HOST_AND_PORT.fullmatch(found):
        raise EngineError(
            "`address: auto` must go with the HOST:PORT of a cluster in the environment variable RAY_ADDRESS, which is "
            f"{repr(found) if found else 'not set'}: any other cluster on this machine may be somebody's own. Set it, "
            "or name the address"
        )
    return found


def look(address: str) -> list[Node]:
    """Return the nodes of the cluster at HOST:PORT. Raises EngineError where it cannot be joined: why, what to do."""
    command = [sys.executable, "-c", LOOK, address]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=LOOK_SECONDS, check=False)
        lines, noise = done.stdout.splitlines(), done.stderr
        found = json.loads(lines[-1]) if done.returncode == 0 and lines else ""
    except subprocess.TimeoutExpired as late:
        found, noise = f"it did not answer in {LOOK_SECONDS:g} s", late.stderr or b""
    if isinstance(found, list):
        return nodes(found)
    if b"AuthToken" in noise or "uthentication token" in found:
        found = (
            "it wants its token. Set RAY_AUTH_MODE=token, and have the token in RAY_AUTH_TOKEN, in the file that "
            "RAY_AUTH_TOKEN_PATH names, or in ~/.ray/auth_token; `ray get-auth-token` prints it where the cluster was "
            "started"
        )
    last = noise.decode(errors="replace").strip().rpartition("\n")[2]
    raise EngineError(f"no Ray cluster could be joined at {address}: {' '.join(found.split()) or last}")


def nodes(told: Sequence[Mapping[str, Any]]) -> list[Node]:
    """Return the nodes that are up, of what Ray tells of all."""
    found = [(node["NodeManagerHostname"], node["Resources"]) for node in told if node["Alive"]]
    return [(name, has.get("CPU", 0.0), has.get("GPU", 0.0)) for name, has in found]


def in_all(nodes: Sequence[Node]) -> str:
    """Return what nodes have together, in words."""
    cpus, gpus = sum(cpus for _, cpus, _ in nodes), sum(gpus for _, _, gpus in nodes)
    return f"{plural(len(nodes), 'node')} with {cpus:g} CPUs and {gpus:g} GPUs in all"


def describe() -> Iterator[str]:
    """Yield what `tts doctor` tells: the cluster that RAY_ADDRESS names, each node with what it has."""
    from importlib import metadata

    yield f"ray {metadata.version('ray')}; `address: local` starts a cluster on this machine for the run"
    if not os.environ.get("RAY_ADDRESS"):
        yield "RAY_ADDRESS is not set: no other cluster is named"
        return
    try:
        address = named("auto")
        there = look(address)
    except EngineError as error:
        yield str(error)
        return
    yield f"RAY_ADDRESS={address}: {in_all(there)}"
    for name, cpus, gpus in there:
        yield f"{name}: {cpus:g} CPUs, {gpus:g} GPUs"
