"""How much of a set is its commonest plot: by plots that are known, and by stories that are alike.

Eldan & Li 2023 (arXiv 2305.07759, section 2): models asked for a story again and again tell few plots. Each
block of stories is judged by what is commonest in the set's other blocks. So the share has no bias from
having been chosen as the largest, and blocks are nearly independent.
"""

import numpy as np

# cosine of LSA from which on two stories are alike: of pairs of different plots one in fifty is (pilot: 1,800
# stories of seed 101, simulators of both kinds), and the largest share is then about that of the largest plot
LIKE = 0.35


def share_of_commonest(plots: np.ndarray) -> np.ndarray:
    """For each block the share of its stories with the plot that is the commonest in the others: `[blocks]`.

    Args:
        plots: names `[blocks, stories]`, at least two blocks.
    """
    names, numbers = np.unique(plots.astype(str), return_inverse=True)
    counts = np.zeros((len(plots), len(names)))
    np.add.at(counts, (np.arange(len(plots))[:, None], numbers.reshape(plots.shape)), 1)
    commonest = (counts.sum(0) - counts).argmax(1)
    return counts[np.arange(len(plots)), commonest] / plots.shape[1]


def share_like_commonest(vectors: np.ndarray, n_blocks: int) -> np.ndarray:
    """For each block the share of its stories like the one that most stories of other blocks are like.

    Args:
        vectors: unit rows `[stories, dimensions]`, block after block of equal size; at least two blocks.
        n_blocks: how many blocks.
    """
    size = len(vectors) // n_blocks
    counts = np.empty((len(vectors), n_blocks))  # of a block, how many stories are like each story
    for block in range(n_blocks):
        inside = slice(block * size, (block + 1) * size)
        counts[:, block] = (vectors @ vectors[inside].T >= LIKE).sum(1)
    shares = np.empty(n_blocks)
    for block in range(n_blocks):
        others = counts.sum(1) - counts[:, block]
        others[block * size : (block + 1) * size] = -1
        shares[block] = counts[others.argmax(), block] / size
    return shares
