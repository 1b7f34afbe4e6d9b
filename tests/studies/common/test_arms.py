"""Arms of seeds: each is trained once, goes on where it was cut off, and is collected with the others."""

import pandas as pd
import pytest

from workbench.studies.common.arms import arm_folder, collect, run_arms

ARMS, SEEDS = ("first, alone", "second", "third"), (4, 5)


def note(folder, arm, seed, *, log):
    """Leaves a table, a note for each call, and what is thrown away; the third arm reads the second's."""
    with open(folder / "calls", "a") as file:
        file.write("called\n")
    (folder / ".model").mkdir(exist_ok=True)
    if arm == "third":
        assert arm_folder(folder.parents[1], "second", seed).exists()
    log({"done": 1, "loss": seed / 2})
    pd.DataFrame({"value": [seed, seed + 1]}).to_parquet(folder / "values.parquet")


def dies(folder, arm, seed, *, log):
    note(folder, arm, seed, log=log)
    if arm == "second":
        raise KeyboardInterrupt


def test_every_arm_of_every_seed_is_trained_once_and_collected(tmp_path):
    rows = []
    given = {"total": 2, "together": ARMS[1:], "processes": 1, "log": lambda *row: rows.append(row)}
    for _ in range(2):
        run_arms(tmp_path, ARMS, SEEDS, note, **given)
    assert sorted(rows) == sorted((arm, seed, {"loss": seed / 2}) for arm in ARMS for seed in SEEDS)
    folder = arm_folder(tmp_path, "first, alone", 4)
    assert folder == tmp_path / "seed-4" / "first-alone"
    assert sorted(path.name for path in folder.iterdir()) == ["calls", "values.parquet"]
    table = collect(tmp_path, ARMS, SEEDS, "values")
    assert list(table) == ["value", "seed", "arm"]
    assert table["arm"].tolist() == [arm for arm in ARMS for _ in range(2)] * 2
    assert collect(tmp_path, ARMS, SEEDS, "val*").equals(table)
    assert collect(tmp_path, ARMS, SEEDS, "others").empty


def test_an_arm_that_was_cut_off_goes_on_in_its_folder_and_the_finished_ones_stay(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_arms(tmp_path, ARMS, SEEDS[:1], dies, together=ARMS, processes=1)
    calls = {arm: arm_folder(tmp_path, arm, 4) / "calls" for arm in ARMS}
    assert [path.exists() for path in calls.values()] == [True, False, False]
    run_arms(tmp_path, ARMS, SEEDS[:1], note, together=ARMS, processes=1)
    assert [len(path.read_text().split()) for path in calls.values()] == [1, 2, 1]


def test_arms_of_one_repetition_have_folders_without_a_seed(tmp_path):
    run_arms(tmp_path, ["a"], None, alone, processes=1)
    assert collect(tmp_path, ["a"], None, "values").to_dict("list") == {"value": [1], "arm": ["a"]}


def alone(folder, arm, seed, *, log):
    assert seed is None
    pd.DataFrame({"value": [1]}).to_parquet(folder / "values.parquet")
