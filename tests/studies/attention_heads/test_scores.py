"""What makes the measures of heads fast changes none of them."""

import numpy as np
import pytest
import torch

from workbench.studies.attention_heads.scores import MEASURES, NEAR, Text, entropies, measure

torch.set_num_threads(1)

LENGTH = 40


@pytest.fixture
def logits():
    drawn = 3 * torch.randn(2, 3, LENGTH, LENGTH, generator=torch.Generator().manual_seed(0))
    drawn[0, 0, :, 0] = 40  # a sink, which leaves next to nothing to others
    return drawn


@pytest.mark.parametrize("masked", [-torch.inf, torch.finfo().min])
def test_entropies_from_the_scores_equal_those_of_the_pattern(logits, masked):
    logits = logits.masked_fill(torch.ones(LENGTH, LENGTH).triu(1).bool(), masked)
    pattern = logits.softmax(-1)
    exact = torch.special.entr(pattern.double()).sum(-1)
    for entropy in (entropies(pattern), entropies(pattern, logits)):
        assert entropy.numpy() == pytest.approx(exact.numpy(), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("length", [LENGTH, NEAR + 1, NEAR - 3])
def test_measures_leave_the_pattern_as_it_was_also_where_it_is_part_of_another(logits, length):
    patterns = logits.masked_fill(torch.ones(LENGTH, LENGTH).triu(1).bool(), -torch.inf).softmax(-1)
    patterns = patterns[..., :length, :length].contiguous()
    before = patterns.clone()
    ids = torch.from_numpy(np.random.default_rng(0).integers(1, 9, (2, length)))
    flags = ids % 3 == 0
    both = measure(patterns, entropies(patterns), Text(ids, torch.tensor([length] * 2), flags, ~flags))
    assert torch.equal(patterns, before)
    text = Text(ids[1:], torch.tensor([length]), flags[1:], ~flags[1:])
    second = measure(patterns[1:], entropies(patterns[1:]), text)  # begins in the middle of the memory
    for whole, alone in zip(both, second, strict=True):
        assert whole[1:].numpy() == pytest.approx(alone.numpy(), rel=1e-5, abs=1e-6)
        assert alone.shape == (1, 3, len(MEASURES))
