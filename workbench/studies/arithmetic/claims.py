"""What 07 claims: first stages against word problems alone, paired by seed and question.

The headline is about plans at equal cost. A model that has read sums writes true equations: that alone raises
its answers, and says nothing of whether it reasons better; and whatever is read longer is known better. Which
operations on which numbers it takes is what sums alone do not decide.
"""

from collections.abc import Sequence

import pandas as pd

from workbench.claims import BEYOND, Claim, Gate
from workbench.studies.arithmetic.experiment import CONTROL, EQUAL_COST, MIXTURE, before, first
from workbench.studies.arithmetic.results import ANSWERS, BOTH, EQUATIONS, KNOWN, PLANS, both, knows_plans
from workbench.studies.common.evidence import compare

_COSTS = {CONTROL: "as many tokens of word problems", EQUAL_COST: "as many tokens in all"}  # by control
_PAPERS = {
    PLANS: "arithmetic, before word problems or among them, raises reasoning scores",
    ANSWERS: "arithmetic, before word problems or among them, raises reasoning scores",
    EQUATIONS: "better arithmetic is why reasoning improves",
    BOTH: "intermediate fine-tuning makes robust to changed numbers",
}
_OF_THE_PAPER = "arithmetic"
_BOUNDS = {"low": 0.2, "high": 0.8}  # of a control: there is something to gain, and to lose
_DELTA = 0.05
_REASON = "a gain of less than five points is not worth a second set to learn from"
_VIEW = "Word problems by route"


def claims(answers: pd.DataFrame, stages: Sequence[str], placebo: bool = False) -> list[Claim]:
    """All claims about `graded` answers.

    Args:
        stages: that are read first; the mixture is with the first of them, and the headline about it.
        placebo: no route has read a stage, so none is asked whether it was learnt.
    """
    leading, *others = stages
    known = set(answers["route"])
    bare = EQUAL_COST if EQUAL_COST in known else CONTROL
    main = PLANS if knows_plans(answers) else ANSWERS
    parts = [
        (first(leading), measure, control)
        for measure in (PLANS, ANSWERS)
        for control in (EQUAL_COST, CONTROL)
    ]
    parts += [(MIXTURE, PLANS, EQUAL_COST), (MIXTURE, ANSWERS, EQUAL_COST), (MIXTURE, ANSWERS, CONTROL)]
    parts += [(first(stage), measure, EQUAL_COST) for stage in others for measure in (PLANS, ANSWERS)]
    parts += [(first(leading), PLANS, first(stage)) for stage in others]
    parts += [(route, EQUATIONS, EQUAL_COST) for route in (first(leading), MIXTURE)]
    parts += [(first(leading), BOTH, EQUAL_COST)]
    made = []
    for route, measure, control in parts:
        rows = _rows(answers, measure)
        if _comparable(rows, route, control):
            arms = [route, control] if control not in _COSTS else [route]
            gates = () if placebo else tuple(_known(answers, arm, leading) for arm in arms)
            head = (route, measure, control) == (first(leading), main, bare)
            made.append(_over_control(rows, measure, route, control, gates, head, leading))
    if placebo:
        return made
    return made + [_sums(answers, route, leading) for route in (first(leading), MIXTURE) if route in known]


def _rows(answers: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A row a problem, with the measure as column value."""
    words = both(answers) if measure == BOTH else answers[answers["test"] == "words"]
    column = {PLANS: "plan", EQUATIONS: "equations_true"}.get(measure, "right")
    return words.assign(value=words[column].astype(float)).dropna(subset=["value"])


def _comparable(rows: pd.DataFrame, route: str, control: str) -> bool:
    """Whether some problem has the measure on both sides."""
    names = ["seed", "kind", "item"]
    return len(rows[rows["route"] == route].merge(rows[rows["route"] == control], on=names)) > 0


def _known(answers: pd.DataFrame, route: str, leading: str) -> Gate:
    """Whether a route's models can do what they read: before word problems, of a mixture in the end."""
    own = answers[answers["route"] == route]
    stage = leading if route == MIXTURE else route.removesuffix(" first")
    test, when = (stage, "in the end") if route == MIXTURE else (before(stage), "before word problems")
    right = own.loc[own["test"] == test, "right"]
    return Gate(f"{stage} right {when} ({route})", float(right.mean()), low=KNOWN)


def _over_control(
    rows: pd.DataFrame,
    measure: str,
    route: str,
    control: str,
    gates: tuple[Gate, ...],
    headline: bool,
    leading: str,
) -> Claim:
    short = {EQUATIONS: "equations", BOTH: "twins"}.get(measure, f"{measure}s")
    bare = control if control in _COSTS else EQUAL_COST
    base = float(rows.loc[rows["route"] == bare, "value"].mean())
    # Of equations no bounds: where plans are right, sums may well be known to all.
    bounded = () if measure == EQUATIONS else (Gate(f"{short} right, {bare}", base, **_BOUNDS),)
    evidence = compare(
        rows, route, control, value="value", item=["kind", "item"], items="word problems", arm="route"
    )
    own = leading == _OF_THE_PAPER and route in (MIXTURE, first(leading)) and control in _COSTS
    cost = "" if control == CONTROL else " (here at equal cost)"
    alone = "word problems alone" if control in _COSTS else control
    return evidence.claim(
        name=f"{route}-{short}-over-{control}".replace(",", "").replace(" ", "-"),
        says=f"{_says(measure)}: {_named(route)} does better than {alone}, for {_COSTS[bare]}.",
        paper=f"{_PAPERS[measure]}{cost}" if own else BEYOND,
        unit="share right",
        view=_VIEW,
        gates=(*gates, *bounded),
        delta=_DELTA,
        delta_reason=_REASON,
        headline=headline,
    )


def _named(route: str) -> str:
    return f"the {route}" if route == MIXTURE else route


def _says(measure: str) -> str:
    return {
        PLANS: "Plans (operations and operands)",
        ANSWERS: "Answers",
        EQUATIONS: "Equations of problems that both plan rightly",
        BOTH: "Right on a problem and its twin",
    }[measure]


def _sums(answers: pd.DataFrame, route: str, stage: str) -> Claim:
    rows = answers[answers["test"] == stage]
    evidence = compare(rows, route, CONTROL, item=["kind", "item"], items="exercises", arm="route")
    return evidence.claim(
        name=f"{route}-{stage}-over-none".replace(" ", "-"),
        says=f"A check: exercises of {stage} go better after {_named(route)} than after word problems alone.",
        paper="both routes raise arithmetic scores" if stage == _OF_THE_PAPER else BEYOND,
        unit="share right",
        view="Stages, learnt and kept",
    )
