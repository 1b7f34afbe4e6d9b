"""Training on one's own output: exact laws, and chains of trained models that go on where they were."""

from dataclasses import replace

import numpy as np
import pytest
from test_hivemind import SIZES

from workbench.corpora import open_ended
from workbench.engine import loading, models
from workbench.studies.hivemind import collapse, results, views
from workbench.studies.hivemind.models import CONTEXT


def test_laws_have_the_published_values():
    # spec 2.1, M = 50: 0.8171 and 0.5455 after 10 and 30 generations of replace, counted from the truth
    assert collapse.law("replace", 10, 50) * (1 - 1 / 50) == pytest.approx(0.8171, abs=1e-4)
    assert collapse.law("replace", 30, 50) * (1 - 1 / 50) == pytest.approx(0.5455, abs=1e-4)
    assert collapse.law("accumulate", 30, 50) == pytest.approx(0.98782, abs=1e-5)
    limit = np.sin(np.pi / 50**0.5) / (np.pi / 50**0.5) / (1 - 1 / 50)
    assert (
        collapse.law("accumulate", 100_000, 50)
        == pytest.approx(limit, abs=1e-5)
        == pytest.approx(0.98717, abs=1e-4)
    )
    assert np.isnan(collapse.law("accumulate-subsample", 5, 50))


def test_the_simulation_follows_its_laws():
    found = collapse.drift(12, seed=1)
    normal = found["regime"] == collapse.NORMAL
    known = found[~normal].dropna(subset="law")
    np.testing.assert_allclose(known["value"], known["law"], atol=0.006)
    np.testing.assert_allclose(found[normal]["value"], 0.95 ** np.arange(12), atol=0.02)
    np.testing.assert_allclose(found[normal]["law"], 0.95 ** np.arange(12))
    last = found[found["generation"] == 12].set_index("regime")["value"]
    assert last["replace"] < last["accumulate-subsample"] < last["accumulate"] < 1
    views.drift(found).bundle()


def test_the_variance_of_fits_shrinks_as_it_must():
    found = collapse.gaussian(20, seed=0)
    np.testing.assert_allclose(found[[0, 9, 19]], [0.95, 0.5987, 0.3585], atol=0.02)


def test_real_examples_are_even_and_valid():
    asked = {one.prompt: one for one in collapse.REQUESTS}
    found = collapse.examples(54, seed=0)
    assert len(found) == 54
    assert {prompt for prompt, _ in found} == set(asked)
    assert all(open_ended.grade(asked[prompt], answer).valid for prompt, answer in found)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "model"
    tokenizer = models.train_tokenizer([a + b for a, b in collapse.examples(200, 0)], 512)
    config = models.config("tiny:0.1M", vocab_size=len(tokenizer), context=CONTEXT)
    loading.save(models.build(config, 0), tokenizer, folder)
    return folder


def test_chains_share_their_first_generation_and_go_on(base, tmp_path, monkeypatch):
    monkeypatch.setattr(collapse, "MEASURED", 3)
    sizes = replace(SIZES, generations=2, chains=1, chain_steps=2, chain_pairs=18, batch_size=2)
    found = collapse.chains(tmp_path, base, sizes, 0)
    assert found.groupby(["regime", "generation"]).size().eq(18).all()
    first = found[found["generation"] == 1].groupby("regime")["loss"].mean()
    assert first.nunique() == 1
    second = found[found["generation"] == 2].groupby("regime")["loss"].mean()
    assert second.nunique() == 3  # each regime reads something else
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert len(written) == 4
    again = collapse.chains(tmp_path, base, sizes, 0)
    assert again.equals(found)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == written
    curves = results.curves(found)
    assert curves["measure"].nunique() >= 4  # two steps teach few models to say two valid things
    views.collapse(curves).bundle()
    assert [claim.n for claim in results.collapse_claims(found)] == [18, 18]
