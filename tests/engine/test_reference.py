"""References: means by position and texts to resample from, summed up as a corpus passes by."""

import numpy as np
import pytest
import torch
from families import CONTEXT, LAYERS, texts, tiny

from workbench.engine.interpretability.capture import capture
from workbench.engine.interpretability.reference import reference
from workbench.errors import UserError


def captured(model, row, names=("*",)):
    return capture(model, torch.tensor([row]), names)[0]


def test_a_reference_is_the_mean_of_each_position_over_the_texts_that_reach_it():
    model, rows = tiny("GPT2"), texts([5, 9, 7, 12, 3])
    found = reference(model, rows, ["neuron.1", "head.*"], batch_size=2, least=2)
    assert set(found.means) == {"neuron.1", "head.0", "head.1"}
    for name, means in found.means.items():
        values = [captured(model, row, [name])[name][0] for row in rows]
        for position in range(9):
            mean = torch.stack([value[position] for value in values if len(value) > position]).mean(0)
            torch.testing.assert_close(means[position], mean, atol=1e-5, rtol=1e-4)
        overall = torch.cat([value[1:] for value in values]).mean(0)
        for rest in means[9:]:  # one text alone reaches these, none the last
            torch.testing.assert_close(rest, overall, atol=1e-5, rtol=1e-4)
        assert len(means) == 13


def test_a_reference_depends_on_neither_the_batches_nor_overlapping_names():
    model, rows = tiny("Llama"), texts([5, 9, 7, 12, 3])
    one = reference(model, rows, ["neuron.1"], batch_size=1)
    other = reference(model, rows, ["neuron.1", "neuron.*"], batch_size=4)
    torch.testing.assert_close(one.means["neuron.1"], other.means["neuron.1"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(one.texts["neuron.1"], other.texts["neuron.1"], atol=1e-5, rtol=1e-5)


def test_resampling_puts_in_one_other_text_for_all_heads_and_the_longer_next_where_it_ends():
    model, rows = tiny("Llama"), texts([6, 10, 14])
    found = reference(model, rows, ["head.*"])
    values = [captured(model, row, ["head.*"]) for row in rows]
    chosen = set()
    for seed in range(12):
        tables = [found.table(f"head.{layer}", "resample", seed) for layer in range(LAYERS)]
        first = [
            {
                index
                for index, value in enumerate(values)
                if torch.allclose(table[:6], value[f"head.{layer}"][0, :6], atol=1e-5)
            }
            for layer, table in enumerate(tables)
        ]
        assert first[0] == first[1]
        (donor,) = first[0]
        chosen.add(donor)
        own = len(rows[donor])
        torch.testing.assert_close(tables[0][:own], values[donor]["head.0"][0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(tables[0][10:14], values[2]["head.0"][0, 10:], atol=1e-5, rtol=1e-4)
        assert torch.equal(tables[0][14], found.means["head.0"][14])
    assert chosen == {0, 1, 2}


def test_a_reference_needs_texts_that_fit_and_names_that_exist():
    model = tiny("GPT2")
    for rows, names, says in (
        ([], ["head.*"], "empty text"),
        ([[1] * (CONTEXT + 1)], ["head.*"], "longer than the context"),
        ([[1, 2]], ["head.*", "heads.*"], "no 'heads"),
        ([[1, 2]], ["pattern.0"], "freeze_pattern"),
    ):
        with pytest.raises(UserError, match=says):
            reference(model, rows, names)


def test_texts_to_resample_are_drawn_by_the_seed():
    model, rows = tiny("GPT2"), texts([4] * 20)
    a, b, c = (reference(model, rows, ["mlp.0"], keep=3, seed=seed).texts["mlp.0"] for seed in (0, 0, 1))
    assert a.shape == (3, 4, 32)
    assert torch.equal(a, b)
    assert not np.allclose(a, c)
