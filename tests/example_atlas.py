"""A toy atlas: sixteen heads with patterns made by rule over a real paragraph."""

import re

import ipywidgets
import numpy as np

from workbench.charts.atlas import Atlas, Attention, Card, Cell, Strip

TEXT = (
    "Once upon a time there was a girl named Lucy. Lucy had a red ball and a brown dog named Tom. One day "
    "Lucy and Tom went to the park. Tom wanted to play with the ball, but the ball was gone.\n\n“Where is "
    "the ball?” asked Lucy. Tom looked under the bench and behind the tree.  A bird sat on the tree and "
    "sang. “Did you see the red ball?” Lucy asked the bird. The bird flew to the pond, and there was the "
    "ball. Tom jumped into the water and brought the ball back. Lucy was happy and hugged Tom."
)
CLASSES = ["previous token", "first token", "names", "diffuse"]
BEFORE = "Lucy was happy and hugged Tom. They played with the ball until it was dark."
AFTER = "Lucy was happy and hugged the tree. They went to the pond and she was sad."


def tokens_of(text: str) -> list[str]:
    """Words with the blank before them, punctuation and newlines apart: the look of a BPE vocabulary."""
    return re.findall(r"\n| ?\w+| ?[^\w\s]| +", text)


def pattern(kind: int, tokens: list[str], noise: float = 0.15) -> np.ndarray:
    """An attention matrix [T, T] of one of the CLASSES, rows summing to 1."""
    count, random = len(tokens), np.random.default_rng(kind)
    weights = noise * random.dirichlet(np.ones(count), count)
    i = np.arange(1, count)
    if kind == 0:
        weights[i, i - 1] += 1
    elif kind == 1:
        weights[i, 0] += 3
    elif kind == 2:
        names = [token.strip() in ("Lucy", "Tom") for token in tokens]
        weights += np.where(names, 0.3, 0.0)
        weights[i, 0] += 1
    else:
        weights += 0.05
    weights = np.tril(weights)
    return weights / weights.sum(axis=1, keepdims=True)


def make_atlas(size: int = 4, text: str = TEXT, hostile: str = "") -> Atlas:
    """An atlas of size by size heads with a threshold on a slider; `hostile` goes in wherever text can."""
    tokens = [*tokens_of(text), *([hostile] if hostile else [])]
    random = np.random.default_rng(0)
    kinds = random.integers(0, len(CLASSES), (size, size))
    scores = random.beta(0.8, 1.6, (size, size)).round(3)

    def class_of(row: int, column: int, threshold: float) -> int:
        return int(kinds[row, column]) if scores[row, column] >= threshold else 3

    def cells(threshold: float) -> list[Cell]:
        return [
            Cell(
                f"{row}.{column}",
                row,
                column,
                f"L{row} H{column}",
                class_of(row, column, threshold),
                scores[row, column],
                f"loss {scores[row, column] / 8:+.3f} nats without it {hostile}",
            )
            for row in range(size)
            for column in range(size)
        ]

    def card(name: str, threshold: float) -> Card:
        row, column = map(int, name.split("."))
        kind, score = int(kinds[row, column]), float(scores[row, column])
        change = random.normal(0, 0.02 + score / 8, len(tokens)) + (random.random(len(tokens)) < 0.06) * score
        change[0] = np.nan
        entropy = random.gamma(2, 0.8, len(tokens))
        facts = [
            ("class", CLASSES[class_of(row, column, threshold)]),
            ("loss without it", f"{score / 8:+.3f} nats"),
            ("mean distance", f"{4 + 30 * score:.1f} tokens"),
            ("entropy", "2.31 bits"),
            ("names, against shuffled", "0.41 − 0.08"),
            ("hostile", hostile or "no"),
        ]
        start = AFTER.index("the tree")
        texts = [
            {"label": "as it is", "text": BEFORE},
            {"label": f"without L{row} H{column} {hostile}", "text": AFTER + hostile,
             "marks": [(start, start + 8, "differs"), (51, 59, "cannot be true")]},
        ]  # fmt: skip
        strips = [
            Strip("Change of loss by token when the head is off", tokens, change, "nats"),
            Strip("Surprise", tokens, entropy, "bits", diverging=False),
        ]
        title = f"L{row} H{column}, {CLASSES[kind]} {hostile}"
        return Card(title, facts, Attention(tokens, pattern(kind, tokens)), strips, texts)

    return Atlas(
        cells,
        card,
        f"Sixteen heads {hostile}",
        "Each mark is one head: colour and shape say what it looks at, size how much the loss rises without "
        "it. Click one to see its attention and what happens without it.",
        rows=[f"L{n}" for n in range(size)],
        columns=[f"H{n}" for n in range(size)],
        classes=CLASSES,
        size_name="loss without it",
        threshold=ipywidgets.FloatSlider(0.1, min=0, max=1, step=0.1, continuous_update=False),
    )
