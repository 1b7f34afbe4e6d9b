"""The neuron study: labels, the one pass over a corpus, AUC, the search and its controls, values, claims."""

import re
from contextlib import contextmanager
from itertools import chain
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from workbench.corpora import labelled_tokens
from workbench.corpora.stories import labels, story_at
from workbench.corpora.stories.grammar import _PART
from workbench.corpora.stories.oracle import PATTERNS
from workbench.engine import models
from workbench.engine.interpretability.capture import capture, hooked
from workbench.engine.interpretability.reference import reference
from workbench.errors import UserError
from workbench.measures import roc
from workbench.studies.neurons import (
    directions,
    method,
    neuron_map,
    results,
    search,
    search_views,
    trainings,
    units,
    value_vectors,
    views,
)
from workbench.studies.tiny_models.ladder import Rung, trained

torch.set_num_threads(1)
QUESTION = "main character, introduced"
LABELLED = labelled_tokens.simulated_stories(40, 0)


def tiny(architecture="llama", seed=0, context=256):
    tokenizer = models.train_tokenizer([text for text, _ in LABELLED], 700)
    config = models.config("tiny:0.1M", len(tokenizer), architecture, n_layers=2, context=context)
    return models.build(config, seed), tokenizer


@pytest.fixture(scope="module")
def pair():
    return tiny()


@pytest.fixture(scope="module")
def texts(pair):
    return labelled_tokens.label_tokens(*pair, LABELLED)


# ------------------------------------------------------------------------------- labels
def words_of(text, spans):
    return [text[start:end] for start, end in spans]


def test_labels_of_a_story_read_by_hand():
    story = story_at(7, seed=0)
    found = {name: words_of(story.text, spans) for name, spans in labels.label(story).items()}
    assert story.text.startswith("There once was a patient girl named Mia. Mia liked to explore in the sun.")
    assert found["main character, introduced"] == ["Mia"]
    assert found["main character, again"] == ["Mia"] * 7
    assert found["other character, introduced"] == ["Anna", "Mom"]
    assert found["verb"][:6] == ["liked", "explore", "walked", "saw", "built", "ran"]
    assert found["adjective"][:5] == ["patient", "best", "mild", "firm", "big"]
    assert found["feeling"] == ["miserable"]
    assert found["new thing"] == ["kitten", "bridge"]
    assert found["place"] == ["playground"]
    assert found["main character unhappy"] == [
        "Anna felt miserable.",
        "Anna did not give up.",
        "They built the big bridge again, and it was bigger than before.",
    ]
    assert found["speech"] == []


def test_labels_of_speech_read_by_hand():
    story = story_at(4, seed=0)
    found = {name: words_of(story.text, spans) for name, spans in labels.label(story).items()}
    assert found["speech"] == ["Let us play hide and seek!"]
    assert found["first word of speech"] == ["Let"]
    assert found["first word of a sentence"][6:8] == ["Let", "Tim"]
    assert found["subject pronoun"] == ["she", "She", "she", "she"]
    assert found["end of a sentence"] == [
        ".",
        ".",
        ".",
        ".",
        ".",
        ".",
        "!",
        ".",
        ".",
        ".",
        "!",
        ".",
        ".",
        ".",
    ]


def test_every_story_introduces_everybody_once():
    for index in range(200):
        story = story_at(index, seed=3)
        found = {name: words_of(story.text, spans) for name, spans in labels.label(story).items()}
        assert len(found[QUESTION]) == 1
        others = found["other character, introduced"]
        assert len(set(others)) == len(others)
        assert set(found["other character, again"]) <= set(others)
        assert len(set(found["new thing"])) == len(found["new thing"])
        assert (
            set(labels.LABELS) == set(found) == {name for group in labels.GROUPS.values() for name in group}
        )


def test_the_fixed_words_are_words_of_the_patterns_and_of_one_kind():
    fixed = set()
    for pattern in PATTERNS:
        for phrase in (
            _PART.sub(lambda m: f" {m['choice'] or ''} ", pattern.text),
            *chain.from_iterable(pattern.phrases.values()),
        ):
            fixed |= set(re.findall(r"[a-z]+", phrase.lower()))
    kinds = labels._FIXED.values()
    assert set().union(*kinds) <= fixed
    assert sum(map(len, kinds)) == len(set().union(*kinds))


def test_guessed_labels_of_a_text_that_no_simulator_wrote():
    text = (
        'Once upon a time, Lucy met a spirit. The spirit liked Lucy. "Will you play?" it asked. '
        "Sam saw them. One day, Lucy told Sam about it. “I am sad,” Sam said."
    )
    found = {name: words_of(text, spans) for name, spans in labels.guess(text).items()}
    assert found[QUESTION] == ["Lucy"]
    assert found["main character, again"] == ["Lucy", "Lucy"]
    assert found["other character, introduced"] == ["Sam"]
    assert found["other character, again"] == ["Sam", "Sam"]
    assert found["speech"] == ["Will you play?", "I am sad,"]
    assert found["feeling"] == ["sad"]
    assert "Will" in found["first word of a sentence"]
    assert found["main character unhappy"] == []


# ------------------------------------------------------------------------------- tokens
@pytest.mark.parametrize("size", [300, 2000])
def test_spans_survive_the_tokenizer(size):
    tokenizer = models.train_tokenizer([text for text, _ in LABELLED], size)
    model = models.build(models.config("tiny:0.1M", len(tokenizer), context=2048), 0)
    found = labelled_tokens.label_tokens(model, tokenizer, LABELLED)
    assert found.rows == [tokenizer(text).input_ids for text, _ in LABELLED]
    for (text, spans), pieces, flags in zip(LABELLED, found.pieces, found.labels, strict=True):
        assert "".join(pieces) == text
        for name in (QUESTION, "place", "new thing"):
            marked = "".join(
                piece if flag else "|"
                for piece, flag in zip(pieces, flags[:, found.names.index(name)], strict=True)
            )
            assert [part.strip() for part in marked.split("|") if part] == words_of(text, spans[name])


def test_texts_longer_than_the_context_are_cut(pair):
    model, tokenizer = tiny(context=32)
    cut = labelled_tokens.label_tokens(model, tokenizer, LABELLED)
    whole = labelled_tokens.label_tokens(*pair, LABELLED)
    assert cut.cut == len(LABELLED)
    assert {len(row) for row in cut.rows} == {32}
    assert cut.rows[0] == whole.rows[0][:32]
    assert whole.texts[0].startswith(cut.texts[0])
    assert (cut.labels[0] == whole.labels[0][:31]).all()


# ------------------------------------------------------------------------------- one pass
def cached(model, texts):
    """Activations of every layer, text by text, behind the first token."""
    found = []
    for row in texts.rows:
        values, _ = capture(model, torch.tensor([row]), ["neuron.*"])
        found.append(torch.stack([values[f"neuron.{layer}"][0, texts.first :] for layer in range(2)]))
    return found


@pytest.mark.parametrize("architecture", ["llama", "gpt-neo"])
def test_the_stream_finds_what_a_full_cache_holds(architecture):
    model, tokenizer = tiny(architecture)
    texts = labelled_tokens.label_tokens(model, tokenizer, LABELLED)
    found = method.extremes(model, texts, k=5, batch_size=7)
    contexts, statistics = found.contexts(), found.statistics()
    values = cached(model, texts)
    rng = np.random.default_rng(0)
    for layer, neuron in zip(rng.integers(2, size=20), rng.integers(96, size=20), strict=True):
        for side, sign in (("top", 1), ("bottom", -1)):
            best = np.array([float((sign * each[layer, :, neuron]).max()) for each in values])
            wanted = np.sort(best)[::-1][:5]
            mine = contexts.query(f"layer == {layer} and neuron == {neuron} and side == '{side}'")
            assert np.allclose(sign * mine["activation"], wanted, atol=1e-5)
            assert mine["text"].is_unique  # at most one a story
            for row in mine.itertuples():
                assert float(values[row.text][layer, row.position, neuron]) == pytest.approx(
                    row.activation, abs=1e-5
                )
        every = torch.cat([each[layer, :, neuron] for each in values]).double()
        own = statistics.query(f"layer == {layer} and neuron == {neuron}").iloc[0]
        assert own["mean"] == pytest.approx(float(every.mean()), abs=1e-6)
        assert own["sd"] == pytest.approx(float(every.std(correction=0)), abs=1e-5)
        assert own["largest"] == pytest.approx(float(every.max()), abs=1e-5)
        assert own["above_zero"] == pytest.approx(float((every > 0).double().mean()))


def test_fewer_texts_than_places_leave_places_empty(pair):
    few = labelled_tokens.label_tokens(*pair, LABELLED[:3])
    contexts = method.extremes(pair[0], few, k=10).contexts()
    assert (contexts.groupby(["layer", "neuron", "side"]).size() == 3).all()


def test_only_gated_neurons_are_taken_for_gated():
    assert not method.is_gated(pd.DataFrame({"activation": [-0.1, -0.17, -0.278]}))
    assert method.is_gated(pd.DataFrame({"activation": [-0.1, -4.0]}))


# ------------------------------------------------------------------------------- AUC
def test_auc_equals_sklearn_with_ties():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(6, 500)).round(1).astype(np.float32)
    scores[0] = 0
    masks = rng.random((500, 3)) < [0.01, 0.2, 0.7]
    found = roc.aucs(roc.midranks(scores), masks)
    wanted = [[roc_auc_score(mask, row) for mask in masks.T] for row in scores]
    assert np.allclose(found, wanted, atol=1e-6)
    assert np.isnan(roc.aucs(roc.midranks(scores), np.zeros((500, 1), bool))).all()


def test_resampled_auc_follows_the_auc_of_the_resample():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(40), 12)
    mask = rng.random(480) < 0.2
    scores = (mask + rng.normal(size=480) + rng.normal(size=40)[group]).astype(np.float32)[None]
    weights = rng.multinomial(40, np.full(40, 1 / 40), size=200)
    found = roc.resampled_aucs(roc.midranks(scores), mask, group, weights)[0]
    exact = np.array([roc_auc_score(mask, scores[0], sample_weight=drawn[group]) for drawn in weights])
    assert np.corrcoef(found, exact)[0, 1] > 0.99
    assert np.abs(found - exact).max() < 0.02
    once = roc.resampled_aucs(roc.midranks(scores), mask, group, np.ones((1, 40), int))
    assert once[0, 0] == pytest.approx(roc_auc_score(mask, scores[0]))


def test_hits_count_what_is_right_among_as_many_strongest_items():
    scores, group = np.array([5.0, 4, 3, 2, 1, 0]), np.array([0, 0, 1, 1, 2, 2])
    mask = np.array([1, 0, 1, 0, 0, 1], dtype=bool)
    found = roc.resampled_hits(scores, mask, group, np.array([[1, 1, 1], [0, 2, 0], [1, 0, 2]]))
    assert found.tolist() == pytest.approx([2 / 3, 1, 1 / 3])


# ------------------------------------------------------------------------------- the search
@contextmanager
def planted(model, tokenizer, texts, layer=1, unit=5, column=0):
    """The model with one neuron that is high where a label is, and noise elsewhere."""
    seen, marked = (
        {},
        {tuple(row): flags[:, column] for row, flags in zip(texts.rows, texts.labels, strict=True)},
    )

    def note(_module, inputs, named):
        seen["ids"] = inputs[0] if inputs else named["input_ids"]

    def plant(value, _place):
        value = value.clone()
        value[..., unit] = 0.1 * torch.rand(value.shape[:2], generator=torch.Generator().manual_seed(0))
        for row, ids in enumerate(seen["ids"].tolist()):
            text = next(key for key in marked if tuple(ids[: len(key)]) == key)
            where = np.flatnonzero(marked[text]) + 1
            value[row, where, unit] = 3.0
        return value

    handle = model.get_decoder().register_forward_pre_hook(note, with_kwargs=True)
    try:
        with hooked(model, {f"neuron.{layer}": plant}):
            yield
    finally:
        handle.remove()


@pytest.fixture(scope="module")
def surveyed(pair, texts):
    with planted(*pair, texts):
        own = search.survey(pair[0], texts, seed=0, question=QUESTION)
    raw = search.survey(units.untrained(pair[0], 0), texts, seed=0, question=QUESTION, kinds=("neuron",))
    return pd.concat([own, raw.assign(kind="untrained neuron")], ignore_index=True).assign(model="tiny")


@pytest.fixture(scope="module")
def chance(pair, texts):
    with planted(*pair, texts):
        return search.chance_of_best(pair[0], texts, seed=0, shuffles=39)


def test_a_planted_neuron_is_found_and_a_shuffled_label_is_not(surveyed, chance):
    found = search.ranked(surveyed[surveyed["kind"] == "neuron"], QUESTION, chance)
    first = found.iloc[0]
    assert (first["layer"], first["unit"], first["fires"]) == (1, 5, "present")
    assert first["confirm"] == pytest.approx(1, abs=1e-6)
    assert first["select"] == pytest.approx(1, abs=1e-6)
    assert first["hits"] == 1
    assert first["p"] == pytest.approx(1 / 40)
    best = search.champions(surveyed, QUESTION)
    assert best.loc["shuffled labels", "confirm"] < 0.9
    assert best.loc["untrained neuron", "hits"] < 0.6
    assert search.best_labels(surveyed).loc[(1, 5), "label"] == QUESTION
    by_label = chance.groupby("label")["best"].median()
    assert by_label[QUESTION] < 1
    assert (by_label > 0.5).all()


def test_scores_of_the_survey_are_aucs_on_their_halves(pair, texts, surveyed):
    row = surveyed.query("kind == 'neuron' and layer == 0 and unit == 17 and label == 'noun'").iloc[0]
    values = cached(pair[0], texts)
    column = texts.names.index("noun")
    for side, name in ((0, "select"), (1, "confirm")):
        scores = torch.cat([each[0, :, 17] for each in values[side::2]])
        mask = np.concatenate([flags[:, column] for flags in texts.labels[side::2]])
        auc = roc_auc_score(mask, scores if row["fires"] == "present" else -scores)
        assert row[name] == pytest.approx(auc, abs=1e-6)


def test_intervals_hold_the_value_and_are_given_where_they_are_promised(surveyed):
    known = surveyed.dropna(subset=["low"])
    assert (known["low"] <= known["confirm"] + 0.02).all()
    assert (known["confirm"] - 0.02 <= known["high"]).all()
    assert surveyed.loc[surveyed["best"], "low"].notna().all()
    assert set(surveyed.dropna(subset=["hits"])["label"]) == {QUESTION, search.VERB}
    for label in (QUESTION, search.VERB):
        best = search.champions(surveyed, label, by="hits_select")
        assert set(best.index) == set(surveyed["kind"])
        assert best[["hits_low", "hits_high", "hits_draws"]].notna().all(axis=None)


def test_shuffled_labels_keep_positions_and_change_stories(texts):
    mixed = units.shuffled(texts.labels, np.random.default_rng(0))
    assert [len(one) for one in mixed] == [len(one) for one in texts.labels]
    assert np.mean([(a == b).all() for a, b in zip(mixed, texts.labels, strict=True)]) < 0.2
    places = [sorted({int(np.flatnonzero(one[:, 0])[0]) for one in part}) for part in (mixed, texts.labels)]
    assert places[0] == places[1]


def test_layers_may_come_in_several_passes(pair, texts, monkeypatch):
    whole = dict(units.activations(pair[0], texts))
    monkeypatch.setattr(units, "_MEMORY", 1)
    for layer, values in units.activations(pair[0], texts):
        assert np.allclose(values, whole[layer], atol=1e-6)


# ------------------------------------------------------------------------------- what is written
@pytest.mark.parametrize("architecture", ["llama", "gpt-neo"])
def test_value_vectors_are_what_a_neuron_adds_to_the_logits(architecture):
    model, _ = tiny(architecture)
    parts = value_vectors.anatomy(model)
    with torch.no_grad():
        parts.norm.weight.copy_(torch.rand(32) + 0.5)
    written = value_vectors.writes(model, k=4)
    value = parts.down[1].weight[:, 7].detach()
    big = 1e4 * value  # so long that the norm's output is the direction of the value alone
    with torch.no_grad():
        bias = parts.norm.bias if getattr(parts.norm, "bias", None) is not None else 0
        logits = parts.unembedding(parts.norm(big) - bias)
    for side, largest in (("top", True), ("bottom", False)):
        mine = written.query(f"layer == 1 and neuron == 7 and side == '{side}'")
        assert mine["token"].tolist() == logits.topk(4, largest=largest).indices.tolist()


def test_agreement_compares_with_the_token_after_the_strongest_trigger():
    texts = SimpleNamespace(rows=[[0, 11, 12, 13], [0, 21, 22, 23]], first=1)
    contexts = pd.DataFrame(
        [
            (0, 0, "top", 0, 5.0, 0, 0),
            (0, 0, "bottom", 0, -1.0, 1, 0),
            (0, 1, "top", 0, 1.0, 0, 0),
            (0, 1, "bottom", 0, -4.0, 1, 1),
            (0, 2, "top", 0, 9.0, 1, 2),
            (0, 2, "bottom", 0, -1.0, 0, 0),
        ],
        columns=["layer", "neuron", "side", "rank", "activation", "text", "position"],
    )
    says = {
        (0, "top"): 12,
        (0, "bottom"): 1,
        (1, "top"): 12,
        (1, "bottom"): 23,
        (2, "top"): 1,
        (2, "bottom"): 2,
    }
    written = pd.DataFrame(
        [(0, neuron, side, 0, token) for (neuron, side), token in says.items()],
        columns=["layer", "neuron", "side", "rank", "token"],
    )
    found = value_vectors.agreement(contexts, written, texts)
    assert found["neuron"].tolist() == [0, 1]  # the third fires at a text's last token
    assert found["agrees"].tolist() == [True, True]
    swapped = found.assign(follows=found["follows"].to_numpy()[::-1])
    assert value_vectors.by_chance(found) == value_vectors.by_chance(swapped) == 0.5


def test_the_lens_ends_in_the_models_own_answer(pair, texts):
    looked = value_vectors.lens(*pair, texts, 0, length=10)
    with torch.no_grad():
        logits = pair[0](torch.tensor([texts.rows[0][:12]])).logits[0, 1:11]
    last = looked[looked["layer"] == 2]
    chances = logits.softmax(-1)[torch.arange(10), torch.tensor(texts.rows[0][2:12])]
    assert np.allclose(last["probability"], chances, atol=1e-6)
    assert last["token"].tolist() == texts.pieces[0][:10]


# ------------------------------------------------------------------------------- switching off and on
@pytest.fixture(scope="module")
def kept(pair, texts):
    return reference(pair[0], texts.rows[0::2], ["neuron.*"], keep=0)


def test_a_neuron_that_writes_nothing_can_be_switched_off_at_no_cost(texts):
    model, _ = tiny()
    with torch.no_grad():
        value_vectors.anatomy(model).down[0].weight[:, 3] = 0
        value_vectors.anatomy(model).down[0].weight[:, 4] *= 30
    kept = reference(model, texts.rows[0::2], ["neuron.*"], keep=0)
    best = pd.DataFrame({"layer": [0, 0], "unit": [3, 4]})
    found = value_vectors.without(model, texts, range(1, 20, 2), best, QUESTION, kept, seed=0, counts=(1, 2))
    found = found[found["neurons"] == "best"].set_index(["count", "where"])["value"]
    assert found[1, "elsewhere"] == pytest.approx(0, abs=1e-6)
    assert abs(found[2, "elsewhere"]) > 1e-4


def test_steering_changes_the_text_and_leaves_the_model_as_it_was(pair, kept):
    before = {name: value.clone() for name, value in pair[0].state_dict().items()}
    written = value_vectors.continuations(pair, "Once there was a girl", 1, 5, 500.0, kept, 12)
    assert written["as it is"] != written["steered"]
    again = value_vectors.continuations(pair, "Once there was a girl", 1, 5, 500.0, kept, 12)
    assert written == again
    known = value_vectors.continuations(pair, "Once there was a girl", 1, 5, 500.0, kept, 12, " who")
    assert known == written | {"as it is": " who"}
    assert all((value == before[name]).all() for name, value in pair[0].state_dict().items())


# ------------------------------------------------------------------------------- claims
def rows(model, kind, aucs, hits=(), label=QUESTION):
    spread = np.random.default_rng(0).normal(scale=0.005, size=search.DRAWS)
    return pd.DataFrame(
        [
            {
                "model": model, "kind": kind, "layer": 0, "unit": unit, "label": label, "fires": "present",
                "select": auc, "confirm": auc, "best": True, "draws": auc + spread,
                "hits_select": hits[unit] if hits else np.nan,
                "hits": hits[unit] if hits else np.nan, "hits_draws": (hits[unit] if hits else 0) + spread,
            }
            for unit, auc in enumerate(aucs)
        ]
    )  # fmt: skip


def ladder_of(small, large):
    """Models of which these many of 100 units are interpretable, with controls that are not."""
    frames = []
    for model, n in (("small", small), ("large", large)):
        frames.append(rows(model, "neuron", [0.99] + [0.95] * (n - 1) + [0.6] * (100 - n), [0.9] * 100))
        for kind, auc in (("random direction", 0.8), ("untrained neuron", 0.7), ("shuffled labels", 0.75)):
            frames.append(rows(model, kind, [auc] * 100, [0.5] * 100))
    return pd.concat(frames, ignore_index=True)


def agreeing(early, late):
    return pd.DataFrame(
        {
            "layer": [0] * 200 + [1] * 200,
            "says": range(400),
            "follows": range(400),
            "agrees": [i < early for i in range(200)] + [i < late for i in range(200)],
        }
    )


def test_claims_are_positive_when_the_paper_is_right():
    found = {claim.name: claim for claim in results.claims(ladder_of(60, 20), agreeing(10, 60), QUESTION, 20)}
    assert all(claim.low > 0 for claim in found.values())
    assert all(claim.verdict == "reproduced" for claim in found.values())
    assert found["a-neuron-tells-the-label"].effect == pytest.approx(0.19)
    assert found["the-neuron-fires-there-only"].effect == pytest.approx(0.4)
    assert found["smaller-models-are-clearer"].effect == pytest.approx(0.4)
    assert found["later-layers-agree"].effect == pytest.approx(0.25)


def test_the_headline_is_what_fires_there_and_verbs_are_a_claim_of_their_own():
    verbs = ladder_of(60, 20).assign(label=search.VERB)
    worse = verbs["kind"] == "neuron"
    verbs.loc[worse, ["select", "confirm"]] -= 0.3
    verbs.loc[worse, "draws"] = verbs.loc[worse, "draws"].map(lambda draws: draws - 0.3)
    surveyed = pd.concat([ladder_of(60, 20), verbs.assign(best=False)], ignore_index=True)
    made = results.claims(surveyed, agreeing(10, 60), QUESTION, 20)
    assert [claim.name for claim in made if claim.headline] == ["the-neuron-fires-there-only"]
    claims = {claim.name: claim for claim in made}
    assert claims["a-neuron-tells-verbs"].verdict == "opposite"
    assert claims["a-neuron-tells-the-label"].verdict == "reproduced"
    assert {claim.over for claim in made} == {"stories", "neurons"}
    assert claims["the-verb-neuron-fires-there-only"].effect == pytest.approx(0.4)
    assert claims["a-neuron-tells-verbs"].trainings is None
    assert claims["smaller-models-are-clearer"].verdict_text == "seen in one training"
    asked = results.claims(verbs.assign(best=True), agreeing(10, 60), search.VERB, 20)
    assert "a-neuron-tells-verbs" not in {claim.name for claim in asked}


def test_a_placebo_is_another_untrained_model_than_the_one_beside_it(pair):
    ((model, tokenizer),) = search.placebo({"tiny": pair}, seed=0).values()
    assert tokenizer is pair[1]
    beside = units.untrained(pair[0], 0)
    name = "model.embed_tokens.weight"
    assert not torch.equal(model.state_dict()[name], beside.state_dict()[name])
    assert not torch.equal(model.state_dict()[name], pair[0].state_dict()[name])


def test_claims_are_negative_when_the_paper_is_wrong():
    surveyed = ladder_of(20, 60)
    surveyed = surveyed[(surveyed["kind"] != "random direction") | (surveyed["unit"] > 0)]
    better = [rows(model, "random direction", [0.999], [0.95]) for model in ("small", "large")]
    better = [frame.assign(draws=[frame["draws"][0] + 0.005]) for frame in better]
    surveyed = pd.concat([surveyed, *better], ignore_index=True)
    found = {claim.name: claim for claim in results.claims(surveyed, agreeing(60, 10), QUESTION, 20)}
    assert all(claim.high < 0 for claim in found.values()), found


def test_one_model_makes_no_claim_about_size():
    one = ladder_of(60, 20).query("model == 'small'")
    names = {claim.name for claim in results.claims(one, agreeing(10, 60), QUESTION, 20)}
    guessed = results.claims(one, agreeing(10, 60), QUESTION, 20, guessed=True)
    assert [claim.says.endswith(results.GUESSED) for claim in guessed][:2] == [True, True]
    assert not guessed[-1].says.endswith(results.GUESSED), "what follows a trigger needs no label"
    assert "smaller-models-are-clearer" not in names


# ------------------------------------------------------------------------------- several trainings
def measured_of(excess, models=("small", "large"), seeds=5):
    """What trainings tell whose best neuron leads the best control by about `excess` in everything."""
    rows = []
    for seed in range(seeds):
        for model in models:
            own = excess + 0.01 * seed * (1 if model == "large" else 2)
            for measure in (
                f"{what}: {label}" for what in ("hits", "AUC") for label in (QUESTION, search.VERB)
            ):
                values = {"neuron": 0.5 + own, "random direction": 0.5, "shuffled labels": 0.1}
                rows += [(seed, model, kind, measure, value) for kind, value in values.items()]
            shares = {"neuron": own * (2 if model == "small" else 1), "random direction": 0}
            rows += [
                (seed, model, kind, trainings.INTERPRETABLE_SHARE, value) for kind, value in shares.items()
            ]
            agree = {"neurons of later layers": own, "neurons of earlier layers": 0}
            rows += [(seed, model, kind, "agreement", value) for kind, value in agree.items()]
            rows += [(seed, model, "trained", "loss", 2.0), (seed, model, "untrained", "loss", 6.5)]
    return pd.DataFrame(rows, columns=["seed", "model", "kind", "measure", "value"])


def test_claims_are_over_trainings_where_there_are_five():
    both = pd.concat([ladder_of(60, 20), ladder_of(60, 20).assign(label=search.VERB, best=False)])
    both = both[both["model"] == "large"].reset_index(drop=True)
    made = results.claims(both, agreeing(10, 60), QUESTION, 20, measured_of(0.2))
    assert {(claim.over, claim.trainings, claim.n) for claim in made} == {("trainings", 5, 5)}
    claims = {claim.name: claim for claim in made}
    assert claims["the-neuron-fires-there-only"].effect == pytest.approx(0.22)
    assert claims["the-neuron-fires-there-only"].headline
    assert claims["smaller-models-are-clearer"].effect == pytest.approx(2 * 0.24 - 0.22)
    assert claims["later-layers-agree"].effect == pytest.approx(0.22)
    assert "large model" in claims["a-neuron-tells-verbs"].says
    worse = {
        claim.name: claim for claim in results.claims(both, agreeing(10, 60), QUESTION, 20, measured_of(-0.3))
    }
    assert worse["the-verb-neuron-fires-there-only"].verdict == "opposite"


def test_fewer_than_five_trainings_leave_the_claims_to_the_model_at_hand():
    one = ladder_of(60, 20).query("model == 'large'")
    made = results.claims(one, agreeing(10, 60), QUESTION, 20, measured_of(0.2, seeds=4))
    assert {claim.over for claim in made} == {"stories", "neurons"}
    assert "smaller-models-are-clearer" not in {claim.name for claim in made}


def test_a_placebo_compares_no_sizes():
    names = {c.name for c in results.claims(ladder_of(60, 20), agreeing(10, 60), QUESTION, 20, placebo=True)}
    assert "smaller-models-are-clearer" not in names
    assert "the-neuron-fires-there-only" in names


def test_no_room_above_the_controls_is_no_test():
    full = ladder_of(60, 20)
    full.loc[full["kind"] == "random direction", ["select", "confirm"]] = 0.985
    claims = {claim.name: claim for claim in results.claims(full, agreeing(10, 60), QUESTION, 20)}
    assert claims["a-neuron-tells-the-label"].verdict == "not testable here"
    assert claims["the-neuron-fires-there-only"].verdict == "reproduced"


def test_trainings_that_have_not_learnt_are_left_out_and_named():
    measured = measured_of(0.2)
    measured.loc[
        (measured["seed"] == 3) & (measured["model"] == "large") & (measured["kind"] == "trained"), "value"
    ] = 3.3
    kept, failed = trainings.split_learnt(measured)
    assert failed == [(3, "large")]
    assert not ((kept["seed"] == 3) & (kept["model"] == "large")).any()
    assert len(kept) == len(measured) * 9 / 10
    line = trainings.note(kept, failed)
    assert "5 of small, 4 of large" in line
    assert "large of seed 3" in line
    assert trainings.note(measured, []) == "Trainings searched: 5 of small, 5 of large."


@pytest.fixture(scope="module")
def ladder_folder(pair, tmp_path_factory):
    """A ladder of two seeds and two sizes, of which one model has not finished."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in ((0, "0.1M"), (0, "0.3M"), (1, "0.1M")):
        place = trained(folder, name, seed)
        model, tokenizer = tiny(seed=seed)
        model.save_pretrained(place)
        tokenizer.save_pretrained(place)
    return folder


RUNGS = [Rung("0.1M", "tiny:0.1M"), Rung("0.3M", "tiny:0.3M"), Rung("wide", "tiny:0.3M")]


def test_finished_models_of_every_seed_are_searched(ladder_folder, tmp_path):
    assert trainings.available(ladder_folder, RUNGS) == [(0, "0.1M"), (0, "0.3M"), (1, "0.1M")]
    with pytest.raises(UserError, match="no finished model"):
        trainings.available(tmp_path, RUNGS)


def test_a_training_is_told_by_numbers_that_its_survey_holds(ladder_folder):
    options = {"seed": 3, "device": "cpu"}
    measured = trainings.search(ladder_folder, [(1, "0.1M")], LABELLED, QUESTION, **options)
    values = measured.set_index(["measure", "kind"])["value"]
    pair = tiny(seed=1)
    surveyed = search.survey_all({"m": pair}, ["m"], LABELLED, QUESTION, 1003, resampled=False)
    best = search.champions(surveyed, QUESTION, by="hits_select")
    hits = values[f"hits: {QUESTION}"]
    assert hits.drop("random direction").to_dict() == best["hits"].drop("random direction").to_dict()
    texts = labelled_tokens.label_tokens(*pair, LABELLED)
    several = directions.best_directions(pair[0], texts, [QUESTION], seed=1003)
    assert hits["random direction"] == pytest.approx(several["hits"].mean())
    assert (
        values[f"AUC: {search.VERB}"]["neuron"]
        == search.champions(surveyed, search.VERB)["confirm"]["neuron"]
    )
    assert values["loss", "trained"] == pytest.approx(np.log(700), abs=0.3)
    kept, failed = trainings.split_learnt(measured)
    assert failed == [(1, "0.1M")]
    assert not len(kept)
    assert results.claims(surveyed_with_draws(), agreeing(10, 60), QUESTION, 20, kept)[0].over == "stories"
    table = results.by_training(measured)
    assert set(table["measure"]) == {f"{m}: {q}" for m in ("hits", "AUC") for q in (QUESTION, search.VERB)}
    assert search_views.trainings_chart(table).record["title"]
    assert search_views.shares_chart(results.shares(surveyed, measured), "trainings").record["title"]
    placebo = trainings.search(ladder_folder, [(1, "0.1M")], LABELLED, QUESTION, placebo=True, **options)
    other = placebo.set_index(["measure", "kind"])["value"]
    assert other["AUC: verb", "neuron"] != values["AUC: verb", "neuron"]
    assert other["AUC: verb", "untrained neuron"] == values["AUC: verb", "untrained neuron"]


def test_sets_of_random_directions_are_judged_on_stories_that_did_not_choose_them(pair, texts):
    several = directions.best_directions(pair[0], texts, [QUESTION, "no label"], seed=0, sets=3)
    assert several["label"].tolist() == [QUESTION] * 3
    assert [len(drawn) for drawn in several["hits_draws"]] == [search.DRAWS] * 3
    column = texts.names.index(QUESTION)
    selecting, confirming = (half.masks[:, column] for half in units.split_halves(texts))
    best = []
    for layer, values in units.activations(pair[0], texts):
        mixed = units.random_directions(values, 1_000 + layer)
        mixed = np.concatenate([mixed, -mixed])
        first, second = (mixed[:, half.tokens] for half in units.split_halves(texts))
        best += zip(search.hits_of(first, selecting), search.hits_of(second, confirming), strict=True)
    assert several["hits"][0] == max(best, key=lambda hits: hits[0])[1]
    again = directions.best_directions(pair[0], texts, [QUESTION], seed=0, sets=3)
    assert again["hits"].tolist() == several["hits"].tolist()


def test_the_mean_of_sets_varies_with_the_sets_and_takes_the_controls_place_in_the_claim():
    still = [np.full(search.DRAWS, hits) for hits in (0.2, 0.4, 0.6)]
    several = pd.DataFrame({"label": QUESTION, "set": range(3), "hits": [0.2, 0.4, 0.6], "hits_draws": still})
    mean, drawn = directions.mean_of_sets(several, QUESTION)
    assert mean == pytest.approx(0.4)
    assert 0.2 <= drawn.min() < 0.35 < 0.45 < drawn.max() <= 0.6
    one = ladder_of(60, 20).query("model == 'large'")
    low = one["kind"].isin(["untrained neuron", "shuffled labels"])
    one.loc[low, ["hits_select", "hits"]] = 0.1
    one.loc[low, "hits_draws"] = one.loc[low, "hits_draws"].map(lambda draws: draws - 0.4)
    lead = results.claims(one, agreeing(10, 60), QUESTION, 20, directions=several)[0]
    assert lead.effect == pytest.approx(0.5)
    assert lead.high - lead.low > 0.2


def surveyed_with_draws():
    return ladder_of(60, 20).query("model == 'large'")


def test_the_ladder_is_read_beside_the_starter_only_where_trainings_are_searched():
    for model, n, wanted in (
        ("starter", 0, False),
        ("starter", 9, True),
        ("ladder", 0, True),
        ("org/x", 9, False),
    ):
        assert trainings.reads_ladder(SimpleNamespace(model=model), n) is wanted


def test_hits_of_many_units_are_those_of_each():
    rng = np.random.default_rng(0)
    scores, mask = rng.normal(size=(5, 60)), rng.random(60) < 0.2
    once = np.ones((1, 60), dtype=int)
    wanted = [roc.resampled_hits(row, mask, np.arange(60), once)[0] for row in scores]
    assert search.hits_of(scores, mask) == pytest.approx(wanted)
    assert search.hits_of(scores, np.zeros(60, bool)).tolist() == [0] * 5
    assert search.hits_of(scores, np.ones(60, bool)).tolist() == [1] * 5


def test_the_share_counts_units_above_the_threshold(surveyed):
    value, draws = results.share_draws(ladder_of(60, 20).query("model == 'small'"), "neuron")
    assert value == 0.6
    assert 0.4 < draws.min() < 0.6 < draws.max() < 0.8
    table = results.shares(surveyed)
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert (table["n"] == 192).all()


# ------------------------------------------------------------------------------- bad input
def test_what_the_user_can_mend_is_one_sentence(pair, texts):
    model, tokenizer = pair
    broken = models.build(model.config, 0)
    with torch.no_grad():
        value_vectors.anatomy(broken).down[0].weight[0, 0] = torch.nan
    larger = models.train_tokenizer([text for text, _ in LABELLED], 1500)
    slow = SimpleNamespace(is_fast=False, bos_token_id=0)
    cases = {
        "no neuron 0 in layer 2": lambda: method.pick(model, 2, None),
        "no neuron 96 in layer 0": lambda: method.pick(model, 0, 96),
        "empty one": lambda: labelled_tokens.label_tokens(model, tokenizer, [("", {})]),
        "There is no text": lambda: labelled_tokens.label_tokens(model, tokenizer, []),
        "fast one": lambda: labelled_tokens.label_tokens(model, slow, LABELLED),
        "another model": lambda: method.extremes(
            model, labelled_tokens.label_tokens(model, larger, LABELLED)
        ),
        "weights are broken": lambda: method.extremes(broken, texts),
        "it is no label": lambda: units.check_label(texts, "sarcasm"),
        "too few tokens": lambda: units.check_label(
            labelled_tokens.label_tokens(*pair, LABELLED[:8]), QUESTION
        ),
        "write some words": lambda: value_vectors.continuations(pair, " ", 0, 0, 1.0, None),
    }
    for message, call in cases.items():
        with pytest.raises(UserError, match=message) as caught:
            call()
        assert str(caught.value).count("\n") == 0, message


# ------------------------------------------------------------------------------- models with many layers
def test_some_layers_are_searched_the_first_to_look_at_among_them():
    config = models.config("tiny:0.1M", 64, n_layers=30, hidden_size=8)
    model = models.build(config, seed=0)
    layers = method.searched_layers(model, 8, 28)
    assert len(layers) == 8
    assert layers == sorted(set(layers))
    assert {0, 28} <= set(layers) <= set(range(30))
    assert method.searched_layers(model, None, 28) == method.searched_layers(model, 40, 28) == list(range(30))


def test_the_layers_that_are_searched_are_as_if_all_were(pair, texts):
    every = dict(units.activations(pair[0], texts))
    ((layer, values),) = units.activations(pair[0], texts, [1])
    assert layer == 1
    np.testing.assert_array_equal(values, every[1])
    whole = value_vectors.writes(pair[0])
    some = value_vectors.writes(pair[0], layers=[1])
    expected = whole[whole["layer"] == 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, expected)


def test_the_profile_for_real_models_searches_some_layers():
    assert method.sizes(SimpleNamespace(profile="real-laptop", model="some/folder", n_texts=None)).layers


# ------------------------------------------------------------------------------- views
def test_pictures_are_drawn_and_the_card_says_what_was_computed(
    pair, texts, surveyed, chance, kept, monkeypatch
):
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
    with planted(*pair, texts):
        found = method.extremes(pair[0], texts)
    contexts, statistics = found.contexts(), found.statistics()
    written = value_vectors.writes(pair[0])
    agreed = value_vectors.agreement(contexts, written, texts)
    lost = value_vectors.without(
        pair[0],
        texts,
        range(1, 12, 2),
        search.ranked(surveyed, QUESTION),
        QUESTION,
        kept,
        seed=0,
        counts=(1,),
    )
    for view in (
        views.labelled_stories(LABELLED),
        views.first_neurons(contexts, texts, 1, [5, 6]),
        search_views.search_chart(surveyed, chance, QUESTION),
        search_views.labels_chart(surveyed),
        search_views.best_table(surveyed, written, pair[1], QUESTION),
        views.agreement_chart(agreed),
        views.lens_chart(value_vectors.lens(*pair, texts, 0, 8)),
        views.without_chart(lost, QUESTION),
        search_views.shares_chart(results.shares(surveyed)),
    ):
        assert view.record["title"]
        assert view.record["sentence"].endswith(".")
    own = surveyed[surveyed["kind"] == "neuron"]
    seen = (pair, texts, contexts, statistics, written, own, chance, kept)
    known = neuron_map.Neurons(*seen, reply=6)
    shown = neuron_map.neuron_map(known, QUESTION, 2, 7, "Once there was a girl")
    assert shown.record["chosen"] == "1.5"
    assert len(shown.record["cards"]) == len(shown.record["cells"]) >= 4
    card = shown.record["cards"]["1.5"]
    assert dict(card["facts"])[QUESTION].startswith("AUC 1.0000 [1.0000,\N{NO-BREAK SPACE}1.0000], p = 0.025")
    assert dict(card["facts"])["best label"] == "the same"
    names = {text for text, spans in LABELLED for text in words_of(text, spans[QUESTION])}
    strongest = card["strips"][0]
    token = strongest["tokens"][int(np.argmax(strongest["values"]))]
    assert any(token.strip() and token.strip() in name for name in names)
    assert {item["label"] for item in card["texts"]} == {
        "as it is", "neuron held at its mean", f"neuron held at {statistics['largest'].iloc[96 + 5]:.1f}"
    }  # fmt: skip


def test_marked_tokens_in_the_first_neurons_are_the_strongest(pair, texts):
    contexts = method.extremes(pair[0], texts).contexts()
    record = views.first_neurons(contexts, texts, 0, [3]).record
    best = contexts.query("layer == 0 and neuron == 3 and side == 'top' and rank < 6")
    marked = [piece for piece, kind in record["items"][0]["pieces"] if kind]
    wanted = [texts.pieces[row.text][row.position].strip(" ") for row in best.itertuples()]
    assert [piece.strip() for piece in marked] == [piece.strip() for piece in wanted]


def test_neurons_without_a_gate_have_no_most_negative_contexts(monkeypatch):
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")
    pair = tiny("gpt-neo")
    texts = labelled_tokens.label_tokens(*pair, LABELLED)
    found = method.extremes(pair[0], texts)
    own = search.survey(pair[0], texts, seed=0, question="noun", kinds=("neuron",))
    chance = search.chance_of_best(pair[0], texts, seed=0, shuffles=3)
    kept = reference(pair[0], texts.rows[:8], ["neuron.*"], keep=0)
    written = value_vectors.writes(pair[0])
    seen = (pair, texts, found.contexts(), found.statistics(), written, own, chance, kept)
    known = neuron_map.Neurons(*seen, reply=6)
    shown = neuron_map.neuron_map(known, "noun", 1, 3, "Once there was a girl")
    titles = [strip["title"] for card in shown.record["cards"].values() for strip in card["strips"]]
    assert titles
    assert all(title.startswith("strongest") for title in titles)
    assert len(views.first_neurons(found.contexts(), texts, 0, [0, 1]).record["items"]) == 2


def test_a_window_keeps_whole_words():
    pieces = ["Once", " there", " was", " a", " g", "ir", "l", " call", "ed", " Mia", "."]
    assert "".join(pieces[views.window(pieces, 5, 4, 2)]) == " a girl called"
    assert views.window(pieces, 0, 5, 0) == slice(0, 1)
    assert views.window(pieces, 10, 99, 99) == slice(0, 11)
