"""Examples in a prompt: what a story takes from them, beside what it shares with others."""

import pandas as pd

from workbench.claims import Claim
from workbench.measures.overlap import share_found
from workbench.measures.statistics import paired_difference
from workbench.studies.stories.method import WORD_LIST, examples
from workbench.words import words as split_words


def copying(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """How much of a story stands in the examples before its request, and in those before another one's.

    Args:
        frame: stories asked for after examples, in the order of their numbers; where none was shown, for want
            of room in the context, there is no row.
        seed: of the requests.

    Returns:
        Columns item, measure ("words", of the word list and not asked for; "word pairs"), own, other.
    """
    examples_of = [examples(number, seed) for number in range(len(frame) + 1)]
    rows = []
    for number, row in enumerate(frame.itertuples()):
        if not row.shown:
            continue
        asked = {row.noun, row.verb, row.adjective}
        own_words = " ".join(word for word in split_words(row.story) if word in WORD_LIST - asked)
        for measure, text, k in (("words", own_words, 1), ("word pairs", row.story, 2)):
            own, other = (
                share_found(text, "\n".join(examples_of[request][: row.shown]), k)
                for request in (number, number + 1)
            )
            rows.append({"item": number, "measure": measure, "own": own, "other": other})
    return pd.DataFrame(rows, columns=["item", "measure", "own", "other"])


def claims(copied: pd.DataFrame, generator: str, suffix: str = "") -> list[Claim]:
    """Whether stories take more from their own examples than from those of another request.

    Args:
        copied: of `copying`.
        generator: who wrote them.
        suffix: of the claims' names, where two generators make some.
    """
    made = []
    for measure, part in copied.groupby("measure", sort=False):
        if (part["own"] - part["other"]).notna().any():
            estimate = paired_difference(part["own"], part["other"])
            says = f"Stories of {generator} repeat {measure} of the examples in their prompt beyond chance."
            about = {"unit": f"share of {measure}", "view": "How much is copied from the examples?"}
            name = f"examples-are-copied-{str(measure).replace(' ', '-')}{suffix}"
            delta = {"delta": 0.02, "delta_reason": "one in fifty, a word or two in a story"}
            paper = "Examples in a prompt are leant on too much (no figure given)"
            made.append(
                Claim.of(estimate, name=name, says=says, paper=paper, over="stories", **about, **delta)
            )
    return made
