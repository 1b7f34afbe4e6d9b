"""A set of stories cut into blocks, on each of which every measure is taken."""

from collections.abc import Sequence

from workbench.errors import UserError
from workbench.measures import samples

N_BLOCKS = 80  # of a set, at most


def blocks_of(
    name: str, texts: Sequence[str], seed: int, block: tuple[int, int]
) -> list[tuple[list[str], list[str]]]:
    """Pairs of a block of equally many stories and one of equally many words.

    Args:
        name: of the set, for messages.
        texts: of the set.
        seed: of their order.
        block: stories, and words, of a block.

    Raises:
        UserError: they do not fill two blocks of either kind.
    """
    size, n_words = block
    drawn = samples.equal_texts(texts, len(texts), seed)
    by_stories = [drawn[at : at + size] for at in range(0, len(drawn) - size + 1, size)]
    enough = sum(len(text.split()) for text in texts) >= n_words
    by_words = samples.blocks(texts, n_words, seed) if enough else []
    if min(len(by_stories), len(by_words)) < 2:
        raise UserError(
            f"The {len(texts):,} stories of the set “{name}” are too few or too short: give more, or raise "
            f"n_compared, so that it has {2 * size:,} stories and {2 * n_words:,} words at least."
        )
    return list(zip(by_stories, by_words, strict=False))[:N_BLOCKS]
