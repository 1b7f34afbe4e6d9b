"""Training on one's own output: exact laws, and chains of trained models that go on where they were."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_hivemind import SIZES

from workbench.corpora import open_ended
from workbench.engine import loading, models
from workbench.studies.hivemind import collapse, collapse_results, views
from workbench.studies.hivemind.models import CONTEXT, NAMELESS


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
    asked = {one.prompt: one for one in collapse.requests(NAMELESS)}
    found = collapse.examples(list(asked.values()), 54, seed=0)
    assert len(found) == 54
    assert {prompt for prompt, _ in found} == set(asked)
    assert all(open_ended.grade(asked[prompt], answer).valid for prompt, answer in found)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "model"
    tokenizer = models.train_tokenizer(
        [a + b for a, b in collapse.examples(collapse.requests(NAMELESS), 200, 0)], 512
    )
    config = models.config("tiny:0.1M", vocab_size=len(tokenizer), context=CONTEXT)
    loading.save(models.build(config, 0), tokenizer, folder)
    return folder


def test_chains_share_their_first_generation_and_go_on(base, tmp_path, monkeypatch):
    monkeypatch.setattr(collapse, "MEASURED", 3)
    monkeypatch.setattr(collapse, "AMONG", 1)
    sizes = replace(SIZES, generations=2, kinds=NAMELESS, chain_steps=2, chain_pairs=18, batch_size=2)
    found = collapse.chains(tmp_path, {3: base}, sizes)
    assert found.groupby(["regime", "generation"]).size().eq(18).all()
    first = found[found["generation"] == 1].groupby("regime")["loss"].mean()
    assert first.nunique() == 1
    second = found[found["generation"] == 2].groupby("regime")["loss"].mean()
    assert second.nunique() == 3  # each regime reads something else
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert len(written) == 4
    again = collapse.chains(tmp_path, {3: base}, sizes)
    assert again.equals(found)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == written
    curves = collapse_results.curves(found)
    assert curves["measure"].nunique() >= 2  # two steps teach few models to say two valid things
    views.collapse(curves).bundle()


def chains(gaps, gain=0.0, valid=0.9):
    """Made-up chains: by seed, how many meanings replace loses; `gain` is the favourite's."""
    rows = [
        (seed, regime, generation, f"p{prompt}", 10 - lost * (generation - 1), gain * (generation - 1))
        for seed, gap in enumerate(gaps)
        for regime in collapse.REGIMES
        for lost in [gap * (regime == "replace")]
        for generation in (1, 2)
        for prompt in range(18)
    ]
    names = ["seed", "regime", "generation", "prompt_id", "meanings", "favourite"]
    return pd.DataFrame(rows, columns=names).assign(valid=valid, commonest=0.3, loss=1.0, tail=0.5)


def test_claims_about_chains_count_chains_where_there_are_five():
    found = {claim.name: claim for claim in collapse_results.collapse_claims(chains([1, 2, 3, 2, 2, 2], 0.1))}
    for name in ("replace-collapses", "accumulate-does-not"):
        assert (found[name].n, found[name].over, found[name].trainings) == (6, "trainings", 6)
        assert found[name].effect == pytest.approx(2)
        assert found[name].verdict_text == "reproduced"
    assert found["favourite-is-amplified"].effect == pytest.approx(0.1)
    assert found["commonest-answer-grows"].verdict == "no effect"
    for claim in collapse_results.collapse_claims(chains([1, 2]))[:2]:
        assert (claim.n, claim.over, claim.trainings) == (18, "requests", 2)
        assert claim.verdict_text == "seen in 2 trainings"


def test_chains_that_write_nonsense_decide_nothing():
    found = collapse_results.collapse_claims(chains([1, 2, 3, 2, 2], valid=0.4))
    assert {claim.verdict for claim in found} == {"not testable here"}


def test_curves_are_over_chains_where_there_are_five():
    few, many = (collapse_results.curves(chains([1] * n)) for n in (2, 6))
    assert (set(few["n"]), set(many["n"])) == ({18}, {6})


def test_the_commonest_share_is_not_raised_by_the_choice():
    rng = np.random.default_rng(0)
    drawn = [pd.Series(rng.choice(list("abcdefghij"), 12)) for _ in range(2_000)]
    assert np.mean([of.value_counts(normalize=True).iloc[0] for of in drawn]) > 0.2
    assert np.mean([collapse.commonest_share(of) for of in drawn]) == pytest.approx(0.1, abs=0.005)
    assert collapse.commonest_share(pd.Series(["a"] * 4)) == 1
    assert np.isnan(collapse.commonest_share(pd.Series(["a"])))


def test_in_a_placebo_every_regime_accumulates_with_draws_of_its_own(base, tmp_path, monkeypatch):
    monkeypatch.setattr(collapse, "MEASURED", 2)
    sizes = replace(SIZES, generations=3, chain_steps=1, chain_pairs=18, batch_size=1)
    collapse.chains(tmp_path, {0: base}, sizes, placebo=True)
    folders = [tmp_path / "seed-0" / regime for regime in collapse.REGIMES]
    written = [pd.read_parquet(folder / "written-2.parquet")["answer"].tolist() for folder in folders]
    assert written[0] != written[1] != written[2] != written[0]
    assert {path.name for path in tmp_path.iterdir()} == {"seed-0", "seed-10000", "seed-20000"}
    (only,) = collapse_results.collapse_claims(chains([0, 1]), placebo=True)
    assert only.name == "accumulate-does-not"
