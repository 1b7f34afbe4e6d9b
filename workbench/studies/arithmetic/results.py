"""What 07 finds in the answers: accuracies, equations inside rationales, kinds of errors, and claims."""

import pandas as pd

from workbench.claims import FEWEST_TRAININGS, Claim, Gate
from workbench.measures.answers.equations import equations
from workbench.measures.answers.grading import grade_many
from workbench.measures.summaries import summarise
from workbench.studies.arithmetic.experiment import DRILL, ROUTES
from workbench.studies.common.evidence import compare

OUTCOMES = ("right", "arithmetic error", "other error", "no answer")
"""A wrong answer is an arithmetic error where an equation above it is false, else an other error."""

KIND = "word problems: "  # in front of a kind, as a measure
BOTH = "right on both twins"


def graded(replies: pd.DataFrame) -> pd.DataFrame:
    """Replies with columns right, outcome (see `OUTCOMES`), equations and true (how many of them)."""
    rows = []
    grades = grade_many(replies["reply"].tolist(), replies["gold"].tolist())
    for reply, grade in zip(replies["reply"], grades, strict=True):
        verdict, written = grade.verdict, equations(reply)
        true = sum(equation.true for equation in written)
        outcome = "arithmetic error" if true < len(written) else "other error"
        outcome = {"correct": "right", "wrong": outcome}.get(verdict, "no answer")
        rows.append((outcome == "right", outcome, len(written), true))
    columns = ["right", "outcome", "equations", "true"]
    return replies.join(pd.DataFrame(rows, columns=columns, index=replies.index))


def by_cell(answers: pd.DataFrame) -> pd.DataFrame:
    """Arithmetic by cell: columns route, operation, digits, accuracy, low, high, n (exercises)."""
    exercises = answers[answers["test"] == "arithmetic"]
    parts = exercises["kind"].str.partition(" ")
    cells = exercises.assign(operation=parts[0], digits=parts[2])
    table = summarise(cells, ["route", "operation", "digits"], "right", "item", n_resamples=500)
    return table.rename(columns={"value": "accuracy"})


def measured(answers: pd.DataFrame) -> pd.DataFrame:
    """Every measure of every item: columns route, seed, measure, item, value (0 or 1).

    Items are questions; of "equations in rationales" each equation is a row of its question.
    """
    words = answers[answers["test"] == "words"]
    written = words.loc[words.index.repeat(words["equations"])]
    parts = {
        "word problems": (words, words["right"]),
        "arithmetic": (exercises := answers[answers["test"] == "arithmetic"], exercises["right"]),
        **{KIND + kind: (rows, rows["right"]) for kind, rows in words.groupby("kind", sort=False)},
        **{f"{error}s": (words, words["outcome"] == error) for error in OUTCOMES[1:3]},
        BOTH: (pairs := _both(answers), pairs["right"]),
        "equations in rationales": (written, written.groupby(level=0).cumcount() < written["true"]),
    }
    frames = [
        rows[["route", "seed"]].assign(
            measure=name, item=rows["kind"] + " " + rows["item"].astype(str), value=values.astype(float)
        )
        for name, (rows, values) in parts.items()
    ]
    return pd.concat(frames, ignore_index=True)


def _both(answers: pd.DataFrame) -> pd.DataFrame:
    """Problems that have a twin, right where both are."""
    names = ["route", "seed", "kind", "item"]
    words, twins = (answers.loc[answers["test"] == test, [*names, "right"]] for test in ("words", "twins"))
    pairs = words.merge(twins, on=names)
    return pairs.assign(right=pairs["right_x"] & pairs["right_y"])


def by_seed(measures: pd.DataFrame) -> pd.DataFrame:
    """The means of `measured` with each seed: columns route, seed, measure, value."""
    return measures.groupby(["route", "seed", "measure"], sort=False)["value"].mean().reset_index()


def summary(measures: pd.DataFrame) -> pd.DataFrame:
    """Means of `measured`: columns route, measure, value, low, high, n.

    Intervals are over trainings, or over questions where there are fewer than `FEWEST_TRAININGS`.
    """
    few = measures["seed"].nunique() < FEWEST_TRAININGS
    rows, groups = (measures, "item") if few else (by_seed(measures), None)
    table = summarise(rows, ["route", "measure"], "value", groups)
    table[["low", "high"]] = table[["low", "high"]].clip(0, 1)  # they are shares
    return table


def outcomes(answers: pd.DataFrame) -> pd.DataFrame:
    """Shares of what became of word problems: columns route, kind, outcome, share, n (answers)."""
    words = answers[answers["test"] == "words"]
    counts = words.groupby(["route", "kind", "outcome"], sort=False).size().rename("count").reset_index()
    n = counts.groupby(["route", "kind"])["count"].transform("sum")
    return counts.assign(share=counts["count"] / n, n=n)


# ------------------------------------------------------------------------------- claims
_COSTS = {"none": "as many tokens of word problems", "none, longer": "as many in all"}  # by control
_RAISES = "intermediate fine-tuning and mixture both raise reasoning scores"
_ROBUST = "intermediate fine-tuning makes robust to changed numbers"
_BOUNDS = {"low": 0.2, "high": 0.8}  # of a control's accuracy: there is something to gain, and to lose
_KNOWN = 0.95  # of exercises right, below which no arithmetic has been learnt that could help
_DELTA = 0.05
_REASON = "a gain of less than five points is not worth a second set to learn from"
_HEADLINE = "intermediate-word-problems-over-none"


def claims(answers: pd.DataFrame) -> list[Claim]:
    """Both routes against word problems alone, from `graded` answers; paired by seed and question."""
    tests = {"word problems": answers[answers["test"] == "words"], BOTH: _both(answers)}
    made = []
    for route in ROUTES[2:]:
        papers = {"word problems": _RAISES} | ({BOTH: _ROBUST} if route == ROUTES[2] else {})
        for measure, paper in papers.items():
            rows = tests[measure]
            gates = _known(answers, route)
            made += [_over_control(rows, measure, route, one, paper, gates) for one in _COSTS if len(rows)]
        made += [
            _arithmetic(answers, route),
            _fewer_errors(tests["word problems"], route, _known(answers, route)),
        ]
    return made


def _known(answers: pd.DataFrame, route: str) -> tuple[Gate, ...]:
    """Whether a route's models can calculate: before word problems where they were asked then, or at last."""
    own = answers[answers["route"] == route]
    before = own[own["test"] == DRILL]
    when = "before word problems" if len(before) else "in the end"
    rows = before if len(before) else own[own["test"] == "arithmetic"]
    return (Gate(f"arithmetic right {when} ({route})", float(rows["right"].mean()), low=_KNOWN),)


def _over_control(
    rows: pd.DataFrame, measure: str, route: str, control: str, paper: str, gates: tuple[Gate, ...]
) -> Claim:
    name = f"{route}-{measure}-over-{control}".replace(",", "").replace(" ", "-")
    base = float(rows.loc[rows["route"] == control, "right"].mean())
    return compare(rows, route, control, item=["kind", "item"], items="word problems", arm="route").claim(
        name=name,
        says=f"{measure.capitalize()}: {route} does better than word problems alone, for {_COSTS[control]}.",
        paper=paper if control == "none" else f"{paper} (here also at equal cost)",
        unit="share right",
        view="Word problems by route",
        gates=(*gates, Gate(f"{measure}, {control}", base, **_BOUNDS)),
        delta=_DELTA,
        delta_reason=_REASON,
        headline=name == _HEADLINE,
    )


def _arithmetic(answers: pd.DataFrame, route: str) -> Claim:
    rows = answers[answers["test"] == "arithmetic"]
    return compare(rows, route, "none", item=["kind", "item"], items="exercises", arm="route").claim(
        name=f"{route}-arithmetic-over-none",
        says=f"Arithmetic: {route} does better than word problems alone, for {_COSTS['none']}.",
        paper="both raise arithmetic scores",
        unit="share right",
        view="Arithmetic by operation and digits",
    )


def _fewer_errors(words: pd.DataFrame, route: str, gates: tuple[Gate, ...]) -> Claim:
    """Errors of arithmetic against other errors: how much further they fall than with word problems alone."""
    kinds = {"other error": 1, "arithmetic error": -1}
    rows = words.assign(errors=words["outcome"].map(kinds).fillna(0))
    evidence = compare(
        rows, route, "none", value="errors", item=["kind", "item"], items="word problems", arm="route"
    )
    return evidence.claim(
        name=f"{route}-shrinks-arithmetic-errors",
        says=f"With {route}, errors of arithmetic fall by more than other errors do.",
        paper="better arithmetic is why reasoning improves",
        unit="share of problems",
        view="What goes wrong",
        gates=gates,
    )
