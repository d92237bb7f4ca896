"""What the tests of models take from those of the engine that runs them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "engines"))  # the small random models
