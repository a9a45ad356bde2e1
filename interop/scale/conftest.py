"""The fixtures of `processes` for the tests here; a module of its own, because tests import from it, too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from processes import configuration, serve, work  # noqa: E402, F401
