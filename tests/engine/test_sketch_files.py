"""Sketches in shards: as in one piece, taken up after a kill, refused when something else changed."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from test_models import TEXTS

from workbench.engine import models
from workbench.engine.gradients import sketch_files
from workbench.engine.gradients.per_example import sketch
from workbench.engine.gradients.sketch_files import read_sketches, sketch_file
from workbench.errors import UserError

PAIRS = [(text, f" It has {number} words.") for number, text in enumerate(TEXTS * 4)][:23]
EXAMPLES = [(f"id-{number}", *pair) for number, pair in enumerate(PAIRS)]


@pytest.fixture(scope="module")
def small():
    tokenizer = models.train_tokenizer(TEXTS, 300)
    return models.build(models.config("tiny:0.1M", vocab_size=300, context=64), seed=0), tokenizer


@pytest.fixture(autouse=True)
def short_shards(monkeypatch):
    monkeypatch.setattr(sketch_files, "SHARD", 5)


def cut(pairs):
    return [(prompt[:40], completion) for prompt, completion in pairs]


SHORT = [(name, prompt[:40], completion) for name, prompt, completion in EXAMPLES]


def test_shards_hold_what_one_piece_holds(small, tmp_path):
    whole = sketch(*small, cut(PAIRS), dimension=64)
    sketch_file(*small, iter(SHORT), tmp_path / "s", dimension=64, batch_tokens=100)
    ids, found = read_sketches(tmp_path / "s")
    assert ids == [name for name, _, _ in SHORT]
    assert np.abs(found.vectors - whole.vectors).max() < 1e-3  # float16
    assert np.allclose(found.losses, whole.losses, atol=1e-5)
    assert (found.n_tokens == whole.n_tokens).all()
    assert np.allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-6)


def test_parts_of_several_processes_add_up_in_any_order(small, tmp_path):
    sketch_file(*small, SHORT, tmp_path / "one", dimension=64)
    for index in (2, 0, 1):
        if index == 1:
            with pytest.raises(UserError, match=r"shard-000001.* run sketch_file again"):
                read_sketches(tmp_path / "three")
        sketch_file(*small, SHORT, tmp_path / "three", dimension=64, part=(index, 3))
    assert np.array_equal(*(read_sketches(tmp_path / name)[1].vectors for name in ("one", "three")))


def test_a_killed_call_goes_on_where_it_was(small, tmp_path):
    def dying():
        yield from SHORT[:12]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sketch_file(*small, dying(), tmp_path / "s", dimension=64)
    with pytest.raises(UserError, match="no finished sketches"):
        read_sketches(tmp_path / "s")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").glob("shard*")}
    assert len(kept) == 2
    sketch_file(*small, SHORT, tmp_path / "s", dimension=64)
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    assert len(read_sketches(tmp_path / "s")[0]) == len(SHORT)


def test_a_half_written_shard_is_made_again(small, tmp_path):
    sketch_file(*small, SHORT, tmp_path / "s", dimension=64)
    before = read_sketches(tmp_path / "s")[1].vectors
    shard = tmp_path / "s" / "shard-000002.safetensors"
    shard.write_bytes(shard.read_bytes()[:300])
    with pytest.raises(UserError, match="missing or broken"):
        read_sketches(tmp_path / "s")
    sketch_file(*small, SHORT, tmp_path / "s", dimension=64)
    assert np.array_equal(read_sketches(tmp_path / "s")[1].vectors, before)


@pytest.mark.parametrize(
    "changed", [{"dimension": 32}, {"seed": 1}, {"method": "kronecker"}, {"truncate": True}]
)
def test_another_setting_is_refused_by_name(small, tmp_path, changed):
    sketch_file(*small, SHORT[:6], tmp_path / "s", dimension=64)
    with pytest.raises(UserError, match=f"another {next(iter(changed))}: delete it"):
        sketch_file(*small, SHORT[:6], tmp_path / "s", **{"dimension": 64, **changed})


def test_another_model_tokenizer_or_corpus_is_refused(small, tmp_path):
    model, tokenizer = small
    sketch_file(model, tokenizer, SHORT, tmp_path / "s", dimension=64)
    other = models.build(model.config, seed=1)
    with pytest.raises(UserError, match="another model"):
        sketch_file(other, tokenizer, SHORT, tmp_path / "s", dimension=64)
    with pytest.raises(UserError, match="another tokenizer"):
        sketch_file(model, models.train_tokenizer(TEXTS[:3], 300), SHORT, tmp_path / "s", dimension=64)
    with pytest.raises(UserError, match="made from other examples"):
        sketch_file(
            model, tokenizer, [*SHORT[:7], ("x", "y", " z"), *SHORT[8:]], tmp_path / "s", dimension=64
        )


def test_a_manifest_that_is_no_json_and_an_empty_corpus_are_said(small, tmp_path):
    with pytest.raises(UserError, match="the data is empty"):
        sketch_file(*small, [], tmp_path / "s")
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="cannot be used for sketches"):
        sketch_file(*small, SHORT, tmp_path / "t")


def test_a_shard_of_something_else_is_made_again(small, tmp_path):
    sketch_file(*small, SHORT, tmp_path / "s", dimension=64)
    save_file({"x": np.zeros(2)}, tmp_path / "s" / "shard-000001.safetensors")
    with pytest.raises(UserError, match="missing or broken"):
        read_sketches(tmp_path / "s")
    sketch_file(*small, SHORT, tmp_path / "s", dimension=64)
    assert len(read_sketches(tmp_path / "s")[0]) == len(SHORT)
    assert json.loads((tmp_path / "s" / "total.json").read_text()) == {"items": 23, "shards": 5}
