"""Tables that are whole or not there."""

import resource

import pandas as pd
import pytest

from workbench.errors import UserError
from workbench.files import cached_table


def test_a_table_is_made_once(tmp_path):
    made = []

    def make():
        made.append(1)
        return pd.DataFrame({"a": [1, 2]})

    first = cached_table(tmp_path / "deep" / "t.parquet", make)
    assert cached_table(tmp_path / "deep" / "t.parquet", make).equals(first)
    assert made == [1]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["t.parquet"]


def test_a_table_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Cannot write in .*file \(.*\): make it writable"):
        cached_table(tmp_path / "file" / "t.parquet", lambda: pd.DataFrame({"a": [1]}))


def test_a_table_that_does_not_fit_leaves_nothing_behind(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(UserError, match="The disk is full"):
            cached_table(tmp_path / "t.parquet", lambda: pd.DataFrame({"a": range(99_999)}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
