"""Opens a sandbox in a setting, and prints as JSON what it is, what its layers say, and what a program says.

python settings_parts.py [--root] [--weak] [--limit NAME=N …] UID TAKEN …

With `--root` the user is root in a user namespace of his own in which nobody else is; with `--weak` nothing but the
kernel's limits protects him.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
from pathlib import Path

from hostile_run_parts import become, readable_python, take_away

from tts.errors import VerifierError
from tts.programs.health import sandbox_health
from tts.sandbox import Sandbox
from tts.sandbox.inside import kernel

PROGRAM = "import os, sys\nprint(os.getpid(), os.getuid(), sys.stdin.read())"


def main(options: argparse.Namespace) -> dict[str, object]:
    if options.taken:
        take_away(options.taken)
    become(options.uid)
    if options.root:
        kernel.prctl(4, 1)  # PR_SET_DUMPABLE: after a change of user, /proc/self is root's
        kernel.unshare(kernel.NEW_USER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {options.uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {options.uid} 1")
    python = readable_python()
    if python is None:
        return {"skip": f"no Python that user {options.uid} can read"}
    for limit in options.limit:
        name, _, value = limit.partition("=")
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (int(value), int(value)))
    try:
        weak = {"profile": "rlimits-only", "allow_weak_sandbox": True} if options.weak else {}
        with Sandbox(workers=1, packages=(), python=python, **weak) as sandbox:
            run = sandbox.run(PROGRAM, b"hello")
            profile = sandbox.profile
    except VerifierError as error:
        return {"refused": str(error), "health": list(sandbox_health())}
    layers = {layer.name: [layer.holds, layer.detail, layer.advice] for layer in profile.layers}
    return {"pid": os.getpid(), "profile": profile.name, "layers": layers, "said": run.stdout.decode().split()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", action="store_true")
    parser.add_argument("--weak", action="store_true")
    parser.add_argument("--limit", action="append", default=[])
    parser.add_argument("uid", type=int)
    parser.add_argument("taken", nargs="*")
    print(json.dumps(main(parser.parse_args())))
