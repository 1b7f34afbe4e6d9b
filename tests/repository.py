"""Where the checkout is, and the real data beside it if there are any (`WORKBENCH_DATA`)."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("WORKBENCH_DATA", ROOT.parent / "shared" / "data"))
