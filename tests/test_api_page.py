"""docs/api.md is what the docstrings say."""

import importlib.util
from pathlib import Path

FILE = Path(__file__).parents[1] / "docs" / "api.py"
SPEC = importlib.util.spec_from_file_location("api", FILE)
api = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(api)


def test_the_page_is_what_the_docstrings_say():
    assert api.PAGE.read_text() == api.page(), "write it anew: python docs/api.py"


def test_every_public_name_says_what_it_is():
    entries = [line for line in api.page().splitlines() if line.lstrip().startswith("- ")]
    assert len(entries) > 300
    assert [line for line in entries if line.endswith("`**")] == []
