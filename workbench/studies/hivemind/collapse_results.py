"""Claims about models that read what models wrote, in 10_hivemind."""

import pandas as pd

from workbench.claims import FEWEST_TRAININGS, Claim, Gate
from workbench.measures.summaries import summarise_measures
from workbench.studies.common.evidence import compare
from workbench.studies.hivemind.collapse import AMONG
from workbench.studies.hivemind.results import ITEM, LEAST_LEARNT, LEAST_VALID, claims_of

_COLLAPSE = "Models that read what models wrote"


def curves(chains: pd.DataFrame) -> pd.DataFrame:
    """Means over requests and seeds: columns regime, generation, measure, value, low, high, n.

    Intervals are over chains where there are five or more, else over requests.
    """
    titles = {
        "loss": "loss on real answers (nats)",
        "meanings": f"meanings in {AMONG} valid answers",
        "commonest": "share of the commonest",
        "favourite": "share of the favourite",
        "tail": "rare meanings still said",
        "valid": "valid answers",
    }
    groups = "seed" if chains["seed"].nunique() >= FEWEST_TRAININGS else "prompt_id"
    return summarise_measures(chains, ["regime", "generation"], titles, groups)


# ------------------------------------------------------------------------------- claims
def collapse_claims(chains: pd.DataFrame, placebo: bool = False) -> list[Claim]:
    """That replace collapses and accumulate does not, and that the favourite answer gains; of a placebo run,
    only what compares the two.
    """
    last = chains["generation"].max()
    paper = "Replacing data collapses models; accumulating data does not"
    valid = chains.groupby(["regime", "generation"])["valid"].mean()
    gates = (
        Gate("share of valid answers of the first generation", float(valid["replace", 1]), low=LEAST_VALID),
        Gate("share of valid answers of the last one", float(valid["replace", last]), low=LEAST_LEARNT),
    )
    ended = chains[chains["generation"] == last].rename(columns={"regime": "arm"})
    kept = compare(
        ended, "accumulate", "replace", value="meanings", item="prompt_id", items="requests"
    ).claim(
        name="accumulate-does-not",
        says=f"After {last} generations, answers have more different meanings where data accumulate than "
        "where they are replaced.",
        paper=paper,
        unit="different meanings",
        view=_COLLAPSE,
        gates=gates,
    )
    if placebo:
        return [kept]
    shrunk = claims_of(_COLLAPSE, "different meanings", [
        ("replace-collapses", f"After {last} generations that replace each other, answers have fewer "
         "different meanings than those of the first.", paper, -_change(chains, "meanings")),
    ], items="requests", gates=gates)  # fmt: skip
    implied = "implied: models repeat themselves the more, the more they read of themselves"
    return [*shrunk, kept, *claims_of(_COLLAPSE, "share of answers", [
        ("commonest-answer-grows", f"After {last} generations that replace each other, the commonest answer "
         "has a larger share than in the first.", implied, _change(chains, "commonest")),
        ("favourite-is-amplified", f"After {last} generations that replace each other, the people's "
         "favourite answer has a larger share than in the first: chance alone leaves its mean as it was.",
         implied, _change(chains, "favourite")),
    ], items="requests", gates=gates, delta=0.02, delta_reason="one answer in fifty")]  # fmt: skip


def _change(chains: pd.DataFrame, value: str) -> pd.Series:
    """By seed and request, how much a value has risen from the first to the last generation of replace."""
    replaced = chains[chains["regime"] == "replace"]
    table = replaced.pivot(index=ITEM, columns="generation", values=value)
    return table[chains["generation"].max()] - table[1]
