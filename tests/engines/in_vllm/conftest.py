"""Skips what needs vLLM where it is not installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # the slow twin of an engine with ESamp

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported, as `share_cores` does
