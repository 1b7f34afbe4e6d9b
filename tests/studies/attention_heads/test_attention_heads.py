"""03_attention_heads: the measures of heads against plain loops and analytic patterns."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.corpora import labelled_tokens
from workbench.engine import loading, models
from workbench.engine.interpretability.capture import capture
from workbench.engine.interpretability.interventions import ablate_heads, freeze_pattern
from workbench.engine.interpretability.reference import reference as engine_reference
from workbench.engine.training.loss import loss
from workbench.errors import UserError
from workbench.studies.attention_heads import (
    ablation,
    box_swap,
    data,
    groups,
    head_map,
    induction,
    method,
    name_swap,
)
from workbench.studies.attention_heads.scores import (
    FIRST_ROW,
    HELD_OUT,
    MEASURES,
    NEAR,
    OffsetFit,
    Text,
    entropies,
    measure,
    offset_sums,
)

torch.set_num_threads(1)

LENGTH = 40


def patterns(kind, length=LENGTH):
    """One head's attention `[1, 1, length, length]`."""
    q, k = torch.meshgrid(torch.arange(length), torch.arange(length), indexing="ij")
    if kind == "uniform":
        scores = torch.zeros(length, length)
    elif kind == "previous":
        scores = torch.where(k == (q - 1).clamp(min=0), 0.0, -1e9)
    elif kind == "first":
        scores = torch.where(k == 0, 0.0, -1e9)
    else:
        scores = torch.randn(length, length, generator=torch.Generator().manual_seed(1)) * 2
    return torch.softmax(scores.masked_fill(k > q, -torch.inf), -1)[None, None]


def text_of(ids, entities=None):
    ids = torch.as_tensor(ids)[None]
    none = torch.zeros_like(ids, dtype=torch.bool)
    names = none if entities is None else torch.as_tensor(entities)[None]
    return Text(ids, torch.tensor([ids.shape[1]]), names, none)


def measured(pattern, text):
    over, under = measure(pattern, entropies(pattern), text)
    return {name: float(over[0, 0, i] / under[0, 0, i]) for i, name in enumerate(MEASURES)}


def test_a_uniform_head_has_full_entropy_and_looks_half_way_back():
    measures = measured(patterns("uniform"), text_of(range(LENGTH)))
    queries = np.arange(1, LENGTH)
    assert measures["normalised_entropy"] == pytest.approx(1, abs=1e-5)
    assert measures["distance"] == pytest.approx((queries / 2).mean(), rel=1e-5)
    assert measures["relative_distance"] == pytest.approx(0.5, rel=1e-5)
    assert measures["effective_tokens"] == pytest.approx((queries + 1).mean(), rel=1e-5)


def test_a_previous_token_head_is_told_by_its_offset():
    pattern, text = patterns("previous"), text_of(range(LENGTH))
    measures = measured(pattern, text)
    assert measures["distance"] == measures["previous_token"] == pytest.approx(1)
    assert measures["previous_token_mul"] == pytest.approx((LENGTH - 1) / LENGTH)
    fit = OffsetFit(1, 1, LENGTH, pattern.device)
    fit.add(pattern, text, 0)
    fit.finish()
    over, under = fit.score(pattern, entropies(pattern), text, 0)
    positional, softmax, one_offset = (over / under)[0, 0].tolist()
    assert 1 - positional == pytest.approx(1, abs=1e-4)
    assert 1 - softmax == pytest.approx(1, abs=1e-3)
    assert one_offset == pytest.approx(1)
    assert fit.profile[0, 0].argmax() == 1


def test_a_sink_is_found_and_left_out_of_distance_without_the_first_token():
    mixed = 0.5 * patterns("first") + 0.5 * patterns("previous")
    measures = measured(mixed, text_of(range(LENGTH)))
    rows = np.arange(1, LENGTH)
    assert measures["first_token"] == pytest.approx(np.where(rows == 1, 1, 0.5).mean(), rel=1e-5)
    assert measures["distance"] > 8
    assert measures["distance_without_first"] == pytest.approx((LENGTH - 2) / (LENGTH - 1), rel=1e-4)


def test_every_measure_equals_a_plain_loop():
    rng = np.random.default_rng(0)
    ids = [0, *rng.integers(1, 12, LENGTH - 1)]
    entities = [False, *(rng.random(LENGTH - 1) < 0.3)]
    pattern = patterns("random")
    measures, a = measured(pattern, text_of(ids, entities)), pattern[0, 0].double().numpy()
    expected = {"distance": [], "entropy": [], "duplicate": [], "induction": [], "name_lift": [], "self": []}
    for q in range(1, LENGTH):
        expected["distance"].append(sum(a[q, k] * (q - k) for k in range(q + 1)))
        expected["entropy"].append(-sum(a[q, k] * math.log(a[q, k]) for k in range(q + 1)))
        expected["self"].append(a[q, q])
        if same := [k for k in range(1, q) if ids[k] == ids[q]]:
            expected["duplicate"].append(sum(a[q, k] for k in same))
        if after := [k for k in range(2, q + 1) if ids[k - 1] == ids[q]]:
            expected["induction"].append(sum(a[q, k] for k in after))
        far = range(1, q - NEAR)
        if on := [k for k in far if entities[k]]:
            share = sum(a[q, k] for k in on) / sum(a[q, k] for k in far)
            expected["name_lift"].append(share / (len(on) / len(far)))
    for name, values in expected.items():
        assert measures[name] == pytest.approx(np.mean(values), rel=1e-4), name


def test_offset_sums_equal_a_plain_loop():
    pattern = torch.cat([patterns("random"), patterns("uniform")], 1)
    weights = torch.rand(1, 2, 3, LENGTH)
    sums = offset_sums(pattern, weights)
    for head in range(2):
        for offset in (0, 1, 7, LENGTH - 2, LENGTH - 1):
            rows = [q for q in range(1, LENGTH) if q - offset >= 1]
            expected = sum(weights[0, head, 2, q] * pattern[0, head, q, q - offset] for q in rows)
            assert sums[0, head, 2, offset] == pytest.approx(float(expected), abs=1e-5)


def test_the_share_explained_by_offset_equals_its_definition():
    fitted, scored = patterns("random"), patterns("random").roll(0) ** 1.5
    scored = scored / scored.sum(-1, keepdim=True)
    text = text_of(range(LENGTH))
    fit = OffsetFit(1, 1, LENGTH, fitted.device)
    fit.add(fitted, text, 0)
    fit.finish()
    over, under = fit.score(scored, entropies(scored), text, 0)
    pairs = [(q, k) for q in range(FIRST_ROW, LENGTH) for k in range(1, q + 1)]
    a, b = fitted[0, 0].numpy(), scored[0, 0].numpy()
    offsets = {d: np.mean([a[q, k] for q, k in pairs if q - k == d]) for d in range(LENGTH - 1)}
    missed = sum((b[q, k] - offsets[q - k]) ** 2 for q, k in pairs)
    average = np.mean([a[q, k] for q, k in pairs])
    spread = sum((b[q, k] - average) ** 2 for q, k in pairs)
    assert float(over[0, 0, 0]) == pytest.approx(missed, rel=1e-3)
    assert float(under[0, 0, 0]) == pytest.approx(spread, rel=1e-3)
    # The softmax variant: no other offset scores fit the fitting text better.
    scores = fit.scores[0, 0, : LENGTH - 1].double()

    def loss(b_):
        total = 0.0
        for q in range(FIRST_ROW, LENGTH):
            row = a[q, 1 : q + 1] / a[q, 1 : q + 1].sum()
            log_p = torch.log_softmax(b_[[q - k for k in range(1, q + 1)]], 0)
            total -= float((torch.as_tensor(row) * log_p).sum())
        return total

    best = loss(scores)
    for seed in range(5):
        step = 0.05 * torch.randn(LENGTH - 1, generator=torch.Generator().manual_seed(seed)).double()
        assert loss(scores + step) > best - 1e-6


def test_padding_changes_no_measure():
    ids = torch.tensor([[0, *(1 + position % 11 for position in range(1, LENGTH)), *([0] * 9)]])
    long = torch.zeros(1, 1, LENGTH + 9, LENGTH + 9)
    long[..., :LENGTH, :LENGTH] = patterns("random")
    long[..., LENGTH:, :] = patterns("uniform", LENGTH + 9)[..., LENGTH:, :]
    flags = torch.zeros_like(ids, dtype=torch.bool)
    flags[0, [3, 12]] = True
    padded = measured(long, Text(ids, torch.tensor([LENGTH]), flags, flags))
    alone = measured(
        patterns("random"), Text(ids[:, :LENGTH], torch.tensor([LENGTH]), *[flags[:, :LENGTH]] * 2)
    )
    for name, value in alone.items():
        assert padded[name] == pytest.approx(value, rel=1e-4), name


def test_held_out_measures_are_named_as_they_are_computed():
    assert list(HELD_OUT) == ["positional", "positional_softmax", "one_offset"]


# ------------------------------------------------------------------------------- the study
STORIES = labelled_tokens.simulated_stories(40, seed=0)


@pytest.fixture(scope="module")
def pair():
    tokenizer = models.train_tokenizer([text for text, _ in STORIES], 400)
    config = models.config("tiny:0.1M", len(tokenizer), n_layers=2)
    return models.build(config, seed=0), tokenizer


@pytest.fixture(scope="module")
def texts(pair):
    return labelled_tokens.label_tokens(*pair, STORIES)


@pytest.fixture(scope="module")
def measured_heads(pair, texts):
    return method.measure_heads(pair[0], texts.rows, data.flags(texts), batch_size=7)


def test_the_streamed_measures_equal_those_of_each_text_alone(pair, texts, measured_heads):
    table, _ = measured_heads
    flagged, over, under = data.flags(texts), 0, 0
    for row, flag in zip(texts.rows, flagged, strict=True):
        values, _ = capture(pair[0], torch.tensor([row]), ["pattern.1"])
        names, nouns = torch.as_tensor(flag)[None].unbind(-1)
        text = Text(torch.tensor([row]), torch.tensor([len(row)]), names, nouns)
        a, b = measure(values["pattern.1"], entropies(values["pattern.1"]), text)
        over, under = over + a[0].double(), under + b[0].double()
    expected = dict(zip(MEASURES, (over / under)[1].tolist(), strict=True))
    measures = table[(table["layer"] == 1) & (table["head"] == 1)].set_index("measure")["value"]
    for name in MEASURES:
        assert measures[name] == pytest.approx(expected[name], rel=1e-3), name


def test_every_measure_has_an_interval_about_its_value_and_a_count_of_texts(measured_heads):
    table, profiles = measured_heads
    assert set(table["measure"]) == {*MEASURES, *HELD_OUT}
    assert ((table["low"] <= table["value"]) & (table["value"] <= table["high"])).all()
    assert table.loc[table["measure"] == "distance", "n"].eq(40).all()
    assert table.loc[table["measure"] == "positional", "n"].eq(20).all()  # the scored half
    assert set(profiles.columns) == {"layer", "head", "offset", "attention"}


def test_names_and_nouns_are_flagged_where_they_stand(texts):
    flagged = data.flags(texts)[0]
    pieces = [*[""] * texts.first, *texts.pieces[0]]
    hero = STORIES[0][1]["main character, introduced"][0]
    name = texts.texts[0][slice(*hero)]
    marked = "".join(piece for piece, (is_name, _) in zip(pieces, flagged, strict=True) if is_name)
    assert name in marked
    assert " was " not in marked
    assert not flagged[0].any()


def test_thresholds_move_heads_between_classes():
    frame = pd.DataFrame(
        {
            "positional": [0.6, 0.1, 0.1, 0.1],
            "one_offset": [0.5, 0.1, 0.95, 0.1],
            "name_lift": [1.0, 2.5, 1.0, 1.0],
            "noun_lift": [1.0, 1.0, 1.0, 1.0],
            "first_token": [0.1, 0.1, 0.1, 0.7],
        }
    )
    assert method.classify(frame).tolist() == ["positional", "semantic", "positional", "sink"]
    loose = method.classify(frame, positional=0.7, lift=3.0, sink=0.8)
    assert loose.tolist() == ["mixed", "mixed", "positional", "mixed"]


def test_alibi_slopes_are_the_published_ones():
    assert method.alibi_slopes(8) == pytest.approx([2.0**-k for k in range(1, 9)])
    assert method.alibi_slopes(12)[8:] == pytest.approx([2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5])


def test_the_heads_of_an_untrained_alibi_model_look_back_as_far_as_their_slopes_say(pair, texts):
    config = models.config("tiny:0.1M", len(pair[1]), "bloom", n_layers=1, hidden_size=128, context=320)
    model = models.build(config, seed=0)
    table, _ = method.measure_heads(model, [row[:320] for row in texts.rows], data.flags(texts))
    distance = method.wide(table).set_index("head")["distance"]
    assert distance.is_monotonic_increasing  # slopes fall from head to head


def test_a_swapped_name_moves_content_heads_only(pair, texts):
    swaps = name_swap.swap_names(pair[1], texts.texts, 5, seed=0)
    for before, after, positions in swaps:
        differs = np.array(before) != np.array(after)
        assert differs.nonzero()[0].tolist() == positions
    positional = models.build(pair[0].config, seed=1)
    for layer in positional.model.layers:
        layer.self_attn.k_proj.weight.data.zero_()  # all scores equal: what stands there cannot matter
    swapped = name_swap.swap_test(positional, pair[1], texts, 5, seed=0)
    assert swapped["value"].min() > 0.999
    swapped = name_swap.swap_test(pair[0], pair[1], texts, 5, seed=0)
    assert swapped["value"].min() < 0.999


def test_too_few_or_too_short_texts_are_refused(pair, texts):
    with pytest.raises(UserError, match="four texts"):
        method.measure_heads(pair[0], [row[:20] for row in texts.rows], data.flags(texts))


# ------------------------------------------------------------------------------- switching heads off
@pytest.fixture(scope="module")
def evaluation(pair, texts):
    sizes = replace(data.SIZES["quick"], scored=8, beginnings=4, probes=1)
    return ablation.AblationEval(*pair, texts, texts.rows[20:], sizes, exact=True, seed=0)


def test_an_evaluation_has_every_part_and_ends_with_the_whole_model(evaluation, measured_heads):
    whole = (ablation.WHOLE, 0, [])
    before = evaluation.run(*whole)
    trials = evaluation.run_all([whole, *groups.single_heads(method.wide(measured_heads[0]))[2:3]])
    parts = {"loss", "grammar", "consistency", "facts", "reasoning", "keeping track"}
    assert set(trials["part"]) == parts | {ablation.ENTITIES, ablation.OTHERS, ablation.READ_ONLY}
    changed = ablation.changes(trials).set_index(["condition", "part"])
    assert changed.loc[("1.0", "loss"), "value"] == pytest.approx(
        -np.subtract(*evaluation.losses([[], [(1, 0)]])), rel=1e-6
    )
    pd.testing.assert_frame_equal(evaluation.run(*whole), before)


def test_the_loss_of_names_and_nouns_and_that_of_other_words_are_the_loss(evaluation):
    trials = evaluation.run(ablation.WHOLE, 0, [])
    means = trials.groupby("part")["value"].mean()
    share = np.concatenate(evaluation.entities).mean()
    both = share * means[ablation.ENTITIES] + (1 - share) * means[ablation.OTHERS]
    assert both == pytest.approx(means["loss"], rel=1e-9)


def test_a_sentence_that_cannot_be_read_is_not_consistent(evaluation):
    beginning = STORIES[0][0].partition(".")[0] + "."
    second = STORIES[0][0].split(".")[1]
    graded = evaluation._graded(beginning, f"{second}. Ball the of run.")
    assert {part: value for part, (value, _) in graded.items()} == {
        "grammar": 0.5,
        "consistency": 0.5,
        ablation.READ_ONLY: 1,
    }


def test_an_item_of_several_groups_counts_by_their_mean():
    rows = [(ablation.WHOLE, 0, "loss", item, 1.0) for item in range(4)]
    rows += [("off", group, "loss", item, 2.0 + group) for group in range(2) for item in range(4)]
    trials = pd.DataFrame(rows, columns=["condition", "group", "part", "item", "value"])
    (change,) = ablation.changes(trials).itertuples()
    assert (change.value, change.n) == (1.5, 4)


def test_token_losses_add_up_to_the_loss(pair, texts):
    nats = ablation.token_losses(pair[0], texts.rows[0])
    assert math.isnan(nats[0])
    assert np.nansum(nats) == pytest.approx(loss(*pair, [texts.texts[0]]).nats[0], rel=1e-4)


def test_patching_pairs_differ_in_the_two_things_only(pair):
    for clean, corrupt, a, b in box_swap.box_pairs(pair[1], 5, seed=0):
        assert len(clean) == len(corrupt)
        assert sorted(clean) == sorted(corrupt)
        assert a != b


def test_pairs_count_that_are_answered_rightly_both_ways(pair):
    model, tokenizer = pair
    prompts = [("a b", "b a"), ("a c", "c a")]
    ids = [[tokenizer(text).input_ids for text in both] for both in prompts]
    right, wrong = [], []
    for clean, corrupt in ids:
        logits = [model(torch.tensor([row])).logits[0, -1] for row in (clean, corrupt)]
        order = (logits[0] - logits[1]).argsort()
        high, low = int(order[-1]), int(order[0])
        here, there = ((row[high] - row[low]).item() for row in logits)
        (right if here > 0 > there else wrong).append((clean, corrupt, high, low))
        wrong.append((clean, corrupt, low, high))
    assert right
    assert box_swap.answered(model, [*right, *wrong]) == right
    few = box_swap.patch_heads(model, right, 4)
    assert few.empty
    assert "asked" in few
    assert f"{len(right)} of 4 pairs" in box_swap.too_few(right, [*right, *wrong][:4])
    many = box_swap.patch_heads(model, [ids[0] + [5, 6]] * box_swap.FEWEST, 40)
    assert many["asked"].eq(40).all()
    assert many["n"].eq(box_swap.FEWEST).all()


def test_the_surgery_shows_what_python_computes(pair, texts, measured_heads):
    reference = engine_reference(pair[0], texts.rows[20:], ["head.*"])
    live = head_map.LiveAblation(*pair, reference)
    changed = pd.DataFrame(
        {"condition": ["0.0"], "part": ["loss"], "value": [0.1], "low": [0.0], "high": [0.2]}
    )
    swapped = name_swap.swap_test(*pair, texts, 3, seed=0)
    atlas = head_map.head_map(live, measured_heads[0], changed, swapped, "Tim saw a ball.", exact=True)
    card = atlas.card("1.1", 0.5, 2.0, 0.5, "zero", "Tim saw a ball.")
    ids = pair[1]("Tim saw a ball.").input_ids
    with ablate_heads(pair[0], [(1, 1)], "zero"):
        expected = np.nanmean(ablation.token_losses(pair[0], ids))
    assert dict(card.facts)["off (zero): loss of this text, nats"].endswith(f"→ {expected:.3f}")
    values, _ = capture(pair[0], torch.tensor([ids]), ["pattern.1"])
    np.testing.assert_allclose(card.attention.weights, values["pattern.1"][0, 1], atol=1e-6)
    with pytest.raises(UserError, match="longer than the model's context"):
        atlas.card("1.1", 0.5, 2.0, 0.5, "zero", "Tim saw a ball. " * 200)
    with pytest.raises(UserError, match="no text"):
        atlas.card("1.1", 0.5, 2.0, 0.5, "zero", "")


# ------------------------------------------------------------------------------- induction and claims
def test_repeats_have_no_fixed_distance():
    prompts = induction.examples(200, seed=0)
    distances = set()
    for prompt, again in prompts:
        words, later = prompt.split(), again.split()
        distances |= {len(words) + position - words.index(word) for position, word in enumerate(later)}
    assert len(distances) > 30


def test_the_control_reads_as_many_words_that_do_not_repeat():
    repeats, control = (induction.examples(200, seed=4, repeats=repeats) for repeats in (True, False))
    assert [words for words, _ in repeats] == [words for words, _ in control]
    assert [len(again.split()) for _, again in repeats] == [len(again.split()) for _, again in control]

    def known(pairs):  # share of the words that stand among those before
        return np.mean([word in words.split() for words, again in pairs for word in again.split()])

    assert known(repeats) == 1
    assert known(control) == pytest.approx(12 / induction.N_WORDS, abs=0.02)


def test_a_placebo_trains_a_second_control_and_no_repeats(tmp_path):
    rows = []
    shape = induction.Shape(2, 2, 32, 4_000, 32)
    fitted = induction.fit(tmp_path, shape, [3], lambda **row: rows.append(row), "cpu", placebo=True)
    assert {(row["model"], row["seed"]) for row in rows} == {(arm, 3) for arm in induction.ARMS}
    for arm in induction.ARMS:
        induction.train_arm(shape, "cpu", tmp_path / arm, arm, 3, log=lambda _: None)
    repeats, control = (loading.load(tmp_path / arm, "cpu")[0].state_dict() for arm in induction.ARMS)
    name = "transformer.h.1.attn.attention.k_proj.weight"
    placebo, again = (fitted[arm, 3][0].state_dict()[name] for arm in induction.ARMS)
    assert torch.equal(again, control[name])
    assert not torch.equal(placebo, control[name])
    assert not torch.equal(placebo, repeats[name])
    heads, losses = induction.score_all(fitted)
    assert heads.groupby(["model", "seed"]).size().eq(4 * 40).all()  # four heads, forty rows
    assert losses.groupby(["model", "seed"]).size().eq(2 * induction.COPY).all()


def test_an_induction_head_put_in_by_hand_is_found(pair):
    heads, losses = induction.score_repeats(*pair, n=4)
    assert heads.groupby(["layer", "head"])["value"].mean().max() < 0.2
    size = 2 * induction.COPY + 1
    by_hand = torch.zeros(size, size)
    for q in range(size):
        by_hand[q, max(0, q - induction.COPY + 1)] = 1
    with freeze_pattern(pair[0], {(1, 0): by_hand}):
        heads, _ = induction.score_repeats(*pair, n=4)
    means = heads.groupby(["layer", "head"])["value"].mean()
    assert means.idxmax() == (1, 0)
    assert means.max() == pytest.approx(1)
    (strongest,) = induction.strongest(heads.assign(model="by hand", seed=3)).groupby(["layer", "head"])
    assert strongest[0] == (1, 0)
    assert strongest[1]["item"].tolist() == [1, 3]  # the others chose it
    assert losses["copy"].value_counts().to_dict() == {
        "first": induction.COPY,
        "second": induction.COPY,
    }
