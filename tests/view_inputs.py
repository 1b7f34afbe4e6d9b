"""Made-up tables for every view of the fourteen studies that takes some: any names, number and values."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workbench.charts.view import View
from workbench.corpora import homes
from workbench.corpora.drills import STAGES
from workbench.corpora.loaders.opinions import AnswerDistribution, Question
from workbench.studies.arithmetic import views as arithmetic
from workbench.studies.arithmetic.experiment import ROUTES
from workbench.studies.arithmetic.results import ANSWERS, OUTCOMES, PLANS
from workbench.studies.attention_heads import training_views
from workbench.studies.attention_heads import views as attention_heads
from workbench.studies.attention_heads.groups import MATCHED
from workbench.studies.attention_heads.results import DISTANCE, SEMANTIC
from workbench.studies.attention_heads.trainings import CONFIRMED_ON
from workbench.studies.curriculum import views as curriculum
from workbench.studies.curriculum.data import ORDERS
from workbench.studies.curriculum.results import APART, TOGETHER
from workbench.studies.hivemind import agreement_views, prompt_map
from workbench.studies.hivemind import views as hivemind
from workbench.studies.hivemind.models import Member
from workbench.studies.instruct import views as instruct
from workbench.studies.instruct.requests import KINDS, Request
from workbench.studies.lego import views as lego
from workbench.studies.lego.settings import SIZES as LEGO_SIZES
from workbench.studies.lego.times import ASKED as LEGO_ASKED
from workbench.studies.loop import views as loop
from workbench.studies.loop.experiment import STEPS as LOOP_STEPS
from workbench.studies.loop.results import MEASURES as LOOP_MEASURES
from workbench.studies.neurons import search_views
from workbench.studies.neurons import views as neurons
from workbench.studies.pluralism import budget_views
from workbench.studies.pluralism import views as pluralism
from workbench.studies.pluralism.experiment import ARMS
from workbench.studies.pluralism.method import NOBODY, Task
from workbench.studies.prismatic import gradient_map, subset_views
from workbench.studies.prismatic import views as prismatic
from workbench.studies.rlp import views as rlp
from workbench.studies.siked import views as siked
from workbench.studies.stories import views as stories
from workbench.studies.stories.results import BASELINES, MEASURES
from workbench.studies.tiny_models import course_views
from workbench.studies.tiny_models import views as tiny_models
from workbench.studies.tiny_models.grading import WHOLE

HEADS = ("positional", "one_offset", "name_lift", "noun_lift", "first_token", "distance")
HEADS += ("distance_without_first", "normalised_entropy", "effective_tokens", "positional_softmax", "self")
HEADS += ("previous_token", "duplicate", "induction", "induction_mul", "shuffled_name_lift")


class Inputs:
    """Names that the data brought, and numbers of one kind.

    Args:
        names: different texts: models, prompts, questions, labels.
        numbers: "spread", "constant", "nan", or "empty" for tables without rows.
    """

    def __init__(self, names: Sequence[str], numbers: str = "spread") -> None:
        self.names, self.numbers = list(names), numbers
        self.few = self.names[:60]  # where pairs are drawn
        self.side = max(1, int(np.ceil(np.sqrt(len(self.names)))))  # layers, heads
        self.random = np.random.default_rng(0)

    def values(self, count: int) -> np.ndarray:
        if self.numbers == "nan":
            return np.full(count, np.nan)
        return np.full(count, 0.5) if self.numbers == "constant" else self.random.uniform(0.05, 0.95, count)

    def frame(self, **levels: Sequence[Any]) -> pd.DataFrame:
        """All combinations of the levels, each with value, low, high and n."""
        frame = pd.DataFrame(list(itertools.product(*levels.values())), columns=list(levels))
        if self.numbers == "empty":
            frame = frame.head(0)
        value = self.values(len(frame))
        return frame.assign(value=value, low=value - 0.05, high=value + 0.05, n=30)

    def rows(self, **columns: Any) -> pd.DataFrame:
        """One row a name."""
        frame = pd.DataFrame({"name": self.names}).assign(**columns)
        return frame.head(0) if self.numbers == "empty" else frame

    def wide(self, frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
        """More columns of numbers."""
        return frame.assign(**{column: self.values(len(frame)) for column in columns})

    def bare(self, *columns: str, **levels: Sequence[Any]) -> pd.DataFrame:
        """All combinations of the levels with columns of numbers alone."""
        return self.wide(self.frame(**levels)[list(levels)], *columns)


def heads(of: Inputs) -> pd.DataFrame:
    return of.frame(layer=range(of.side), head=range(of.side), measure=HEADS)


def changed(of: Inputs) -> pd.DataFrame:
    names = [f"{layer}.{head}" for layer in range(of.side) for head in range(of.side)]
    return of.frame(
        condition=[*names, *(name for pair in MATCHED.items() for name in pair)],
        part=["loss", "grammar", "consistency", "facts"],
    )


def surveyed(of: Inputs) -> pd.DataFrame:
    frame = of.frame(label=of.names, kind=search_views.KINDS, unit=range(3), layer=[0, 1])
    frame = of.wide(frame, "select", "confirm", "hits_select", "hits", "hits_low", "hits_high")
    return frame.assign(fires="present", best=True, draws=None, hits_draws=None, model="m")


def points(of: Inputs) -> pd.DataFrame:
    frame = of.wide(of.rows(cluster=np.arange(len(of.names)) % 50), "x", "y", "contribution")
    return frame.rename(columns={"name": "text"}).assign(template=frame["name"])


def clusters(of: Inputs) -> pd.DataFrame:
    used = points(of).drop_duplicates("cluster")
    return of.wide(used[["cluster"]].assign(size=3, exemplar=used["text"]), "density")


def hivemind_tables(of: Inputs) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """As many models as half of the root of the names, all prompts; at least one of each."""
    models, prompts = of.names[: max(1, min(60, len(of.names) // 3))], of.names[-400:]
    cells = of.frame(prompt_id=prompts, model=models).assign(meanings=2)
    cells = of.wide(cells, "rescaled", "same", "valid").assign(prompt=lambda rows: rows["prompt_id"])
    both = list(itertools.combinations_with_replacement(models, 2))
    pairs = of.frame(prompt_id=prompts, pair=both)
    pairs = of.wide(pairs, "rescaled", "same")
    pairs = pairs.assign(first=[a for a, _ in pairs["pair"]], second=[b for _, b in pairs["pair"]])
    answers = of.frame(prompt_id=prompts, model=models, number=range(2))
    answers = of.wide(answers, "x", "y").assign(
        id=range(len(answers)),
        partner=range(len(answers)),
        text=answers["model"],
        meaning=answers["prompt_id"],
    )
    return cells, pairs, answers


def questions(of: Inputs) -> list[Question]:
    options = tuple(of.few) if len(of.few) > 1 else (*of.few, "another")
    dist = AnswerDistribution(np.full(len(options), 1 / len(options)), 20)
    groups = dict.fromkeys(of.few[:7], dist)
    return [Question(str(n), prompt, options, dist, groups) for n, prompt in enumerate(of.names)]


def shares(of: Inputs) -> pd.DataFrame:
    frame = of.frame(arm=ARMS, prompt=of.names, option=of.names[:2])
    frame = of.wide(frame, "people", "model")
    return frame.assign(id=frame["prompt"])


def drifting(of: Inputs) -> pd.DataFrame:
    return of.wide(of.frame(regime=of.names, generation=range(1, 4)), "law")


def tracked(of: Inputs) -> pd.DataFrame:
    frame = of.wide(of.frame(subset=of.names, measure=list(subset_views.UNITS)), "accuracy", "rho")
    return of.wide(frame, "rho_low", "rho_high").assign(n_wordings=3, n_structures=3)


def snapshots(of: Inputs) -> pd.DataFrame:
    frame = of.frame(arm=of.names[:3], step=range(1, 1 + len(of.few)), before=of.names[:4])
    return frame.assign(seed=0, thought=frame["before"], after=frame["before"])


def evaluated(of: Inputs) -> pd.DataFrame:
    frame = of.wide(of.frame(scorer=of.names, subset=["all", "disputed"], at=[0.5]), "random", "ceiling")
    return frame.assign(at=frame["at"].where(frame["subset"] != "all"))


def readouts(of: Inputs) -> pd.DataFrame:
    return of.frame(readout=of.names, measure=list(pluralism.UNITS)).assign(kind="model", unread=0)


def replies(of: Inputs) -> pd.DataFrame:
    frame = of.frame(arm=of.names[:30], question=of.names).head(20_000)
    frame = frame.assign(kind="who", item=0, right=True, seed=0, answer=frame["question"])
    return frame.assign(reply=frame["question"])


def solutions(of: Inputs) -> pd.DataFrame:
    frame = of.frame(arm=of.names[:30], question=of.names).head(20_000)
    texts = dict.fromkeys(("text", "verdict", "kind", "strategy"), frame["question"])
    return frame.assign(**texts)


def two_models(of: Inputs) -> pd.DataFrame:
    return of.frame(layer=range(of.side), head=range(of.side), model=["a", "b"])


def measured(of: Inputs) -> pd.DataFrame:
    frame = of.wide(of.frame(model=of.names, item=[0, 1]), *tiny_models.ABILITIES, "copied", "copied_ending")
    texts = dict.fromkeys(("beginning", "completion", "ending"), frame["model"])
    return frame.assign(seed=0, **texts)


def judged(of: Inputs) -> pd.DataFrame:
    frame = of.wide(measured(of), "grammar", "creativity", "consistency")
    return frame.assign(failure="", beginning="Tom ran.", completion=" He was glad.")


def answered(of: Inputs) -> pd.DataFrame:
    kinds = ["fact", "reasoning", "consistency", "lure"]
    return of.frame(model=of.names, kind=kinds, item=[0, 1]).assign(right=True, seed=0, read=WHOLE)


def routes(of: Inputs, **levels: Sequence[Any]) -> pd.DataFrame:
    return of.frame(route=ROUTES, **levels)


def replied(of: Inputs) -> pd.DataFrame:
    frame = routes(of, kind=of.names).assign(test="words", outcome=OUTCOMES[0], gold="3")
    return frame.assign(question=frame["kind"], reply=frame["kind"])


def parameter_counts(of: Inputs) -> pd.DataFrame:
    return of.rows(total=1_000_000).rename(columns={"name": "model"})


Maker = Callable[[Inputs], View]

VIEWS: dict[str, Maker] = {
    "01 shelf": lambda of: stories.shelf(of.rows(
        story=of.names, noun=of.names, verb="run", adjective="", features="", plot="")),
    "01 constraints": lambda of: stories.constraint_shares(of.frame(asked=of.names).assign(share=0.5)),
    "01 diversity": lambda of: stories.diversity_chart(
        of.frame(set=[*of.names, *BASELINES], measure=list(MEASURES))),
    "01 bought": lambda of: stories.bought_chart(of.frame(
        generator=of.names, step=["words", "features"], measure=list(MEASURES)[:2])),
    "01 costs": lambda of: stories.cost_table(
        of.rows(words=90.0, seconds=0.1).rename(columns={"name": "generator"})),
    "01 copying": lambda of: stories.copying_chart(
        of.frame(item=range(len(of.names)), measure=of.names[:3]).assign(own=0.2, other=0.1)),
    "01 coverage": lambda of: stories.coverage_chart(
        of.frame(set=of.names, stories=[1, 10, 100]).assign(share=lambda rows: rows["value"])),
    "02 parameters": lambda of: tiny_models.parameter_table(parameter_counts(of)),
    "02 loss": lambda of: tiny_models.loss_view(
        of.wide(of.frame(model=of.names, tokens=[0, 10, 20]), "held_out_nats"),
        of.wide(of.frame(model=of.names, item=[0, 1]), "nats_per_token", "bits_per_byte").assign(seed=0)),
    "02 abilities": lambda of: tiny_models.abilities(measured(of), parameter_counts(of)),
    "02 judge": lambda of: tiny_models.judge_table(judged(of)),
    "02 accuracy": lambda of: tiny_models.accuracy_chart(answered(of)),
    "02 questions": lambda of: tiny_models.question_table(of.frame(kind="ab", question=of.names)),
    "02 course": lambda of: course_views.grades_chart(of.wide(
        of.frame(model=of.names, tokens=[10, 20], item=[0, 1]), *course_views.WRITING).assign(seed=0)),
    "02 threshold": lambda of: course_views.threshold_chart(of.wide(
        of.frame(model=of.names, tokens=[1, 2], kind=["fact", "reasoning"]), "nats", "right").assign(seed=0)),
    "02 samples": lambda of: tiny_models.samples(measured(of), exact=False),
    "02 greedy": lambda of: tiny_models.greedy(of.rows(text=of.names, model=of.names)),
    "02 copying": lambda of: tiny_models.copying(measured(of)),
    "02 copies": lambda of: tiny_models.longest_copies(of.rows(model=of.names, words=3, text=of.names)),
    "03 kinds": lambda of: attention_heads.kinds(heads(of), changed(of)),
    "03 measures": lambda of: attention_heads.measures_table(
        heads(of), of.frame(layer=range(of.side), head=range(of.side))),
    "03 offsets": lambda of: attention_heads.offsets(of.wide(
        of.frame(layer=range(of.side), head=range(of.side), offset=range(10)), "attention")),
    "03 without": lambda of: attention_heads.without_heads(changed(of)),
    "03 ranges": lambda of: attention_heads.ranges(changed(of)),
    "03 kinds by model": lambda of: training_views.kinds_by_model(pd.concat([
        heads(of).assign(model=name, seed=0, half=CONFIRMED_ON) for name in of.few[:4]])),
    "03 by training": lambda of: training_views.by_training(
        of.frame(model=of.few, seed=[0], name=[SEMANTIC, DISTANCE], head=["layer 0, head 1"])),
    "03 induction": lambda of: attention_heads.induction(
        two_models(of).assign(seed=0),
        of.wide(of.frame(model=["a", "b"], position=range(8), copy=["1"]), "nats", "share").assign(seed=0)),
    "03 patches": lambda of: attention_heads.patches(of.wide(
        of.frame(layer=range(of.side), head=range(of.side)), "first_order", "clean", "corrupt", "asked")),
    "04 agreement": lambda of: neurons.agreement_chart(
        of.frame(layer=range(len(of.names)), neuron=[0, 1]).assign(agrees=True, says=1, follows=1)),
    "04 lens": lambda of: neurons.lens_chart(of.wide(
        of.frame(layer=range(of.side), position=range(of.side)), "probability").assign(
            token=of.names[0], says=of.names[-1])),
    "04 without": lambda of: neurons.without_chart(
        of.frame(neurons=["best", "others"], where=["after the label", "elsewhere"],
                 count=range(1, 1 + len(of.names))), of.names[0]),
    "04 search": lambda of: search_views.search_chart(
        surveyed(of), of.frame(label=of.names, shuffle=[0]).assign(best=0.6), of.names[0]),
    "04 labels": lambda of: search_views.labels_chart(surveyed(of)),
    "04 trainings": lambda of: search_views.trainings_chart(
        of.frame(measure=of.names, kind=search_views.KINDS)),
    "04 shares": lambda of: search_views.shares_chart(of.frame(model=of.names, kind=search_views.KINDS)),
    "05 position": lambda of: lego.by_position(
        of.frame(model=of.names, step=[1], position=range(1, 7), asked=LEGO_ASKED), LEGO_SIZES["quick"]),
    "05 learning": lambda of: lego.learning(
        of.frame(model=of.names, step=[1, 2], position=range(1, 4), asked=LEGO_ASKED), LEGO_SIZES["quick"]),
    "05 times": lambda of: lego.times(
        of.bare("steps", model=of.names, seed=[0], position=[2, 3], asked=LEGO_ASKED).assign(reached=True),
        LEGO_SIZES["quick"]),
    "05 depth": lambda of: lego.depth(
        of.frame(model=of.names, step=[1], position=range(1, 7), asked=LEGO_ASKED), LEGO_SIZES["quick"]),
    "05 heads": lambda of: lego.heads(
        of.frame(model=of.names, layer=[0], head=[0, 1], score=["association", "manipulation"])),
    "05 broken": lambda of: lego.broken(of.frame(model=of.names, position=[2, 3])),
    "06 mixtures": lambda of: curriculum.mixtures(
        of.frame(share=[0.0, 0.5, 1.0], score=of.names), 0.3),
    "06 steps": lambda of: curriculum.by_steps(of.frame(share=[0.0, 0.5], measure=of.names)),
    "06 combined": lambda of: curriculum.combined(of.frame(arm=[APART, TOGETHER], kind=homes.KINDS), 0.2),
    "06 combined parts": lambda of: curriculum.combined_parts(
        of.wide(of.rows(arm=APART, kind=homes.READ), "home", "step", "right", "luck", "stays")),
    "06 forgetting": lambda of: curriculum.forgetting(
        of.frame(order=ORDERS, update=[0, 5, 10], score=of.names)),
    "06 orders": lambda of: curriculum.orders(of.frame(order=ORDERS, score=of.names)),
    "06 shape counts": lambda of: curriculum.shape_counts(of.rows(layers=2, width=3)),
    "06 shapes": lambda of: curriculum.shapes(
        of.frame(layers=range(1, 1 + len(of.few)), width=[8], measure=["facts", "1", "2"])),
    "07 exercises": lambda of: arithmetic.exercises(
        of.rows(stage="rules", kind=of.names, n=3, different=2)),
    "07 learnt": lambda of: arithmetic.learnt(of.frame(stage=STAGES, when=["before", "after"])),
    "07 heat map": lambda of: arithmetic.heat_map(
        of.wide(routes(of, operation=list("+-*/"), digits=of.names), "accuracy")),
    "07 learning": lambda of: arithmetic.learning(
        of.wide(routes(of, seed=range(min(50, len(of.names))), tokens=[1, 10]), "held_out")),
    "07 routes": lambda of: arithmetic.by_route(routes(of, kind=of.names, measure=[PLANS, ANSWERS])),
    "07 outcomes": lambda of: arithmetic.outcomes(
        routes(of, kind=of.names, outcome=OUTCOMES).assign(share=lambda rows: rows["value"])),
    "07 replies": lambda of: arithmetic.replies(replied(of)),
    "08 sample": lambda of: siked.sample(of.rows(
        id="1", question=of.names[0], strategy="cot", text=of.names)),
    "08 accuracy": lambda of: siked.accuracy(
        of.frame(arm=of.names, kind=["one", "two"], measure=["answers"])),
    "08 rounds": lambda of: siked.rounds(of.frame(arm=of.names, round=[0, 1], measure=["alpha", "KL"])),
    "08 strategies": lambda of: siked.strategies(
        of.wide(of.frame(arm=of.names, round=[0, 1], strategy=["cot", "pot"]), "share")),
    "08 verdicts": lambda of: siked.verdicts(
        of.frame(arm=of.names, strategy=["cot"], verdict=["right", "wrong"])),
    "08 solved": lambda of: siked.solved(of.rows(solved_by=of.names, questions=range(len(of.names)))),
    "08 browser": lambda of: siked.browser(solutions(of)),
    "09 card": lambda of: prismatic.card(
        of.frame(measure=of.names).assign(note=lambda rows: rows["measure"])),
    "09 sources": lambda of: prismatic.by_source(
        of.frame(source=of.names, measure=["gradients", "texts"]).assign(n=40)),
    "09 tracks": lambda of: subset_views.tracks(tracked(of)),
    "09 correlations": lambda of: subset_views.correlations(of.wide(of.frame(measure=of.names), "rho")),
    "09 dimensions": lambda of: prismatic.dimensions(
        of.bare("score", "expected", "cap", dimension=[8, 16, 32], method=of.names)),
    "09 growth": lambda of: prismatic.growth(of.wide(of.frame(arm=of.names, round=[0, 1]), "g_vendi")),
    "09 clusters": lambda of: prismatic.cluster_growth(
        of.wide(of.frame(arm=of.few[:20], round=[0, 1], cluster=range(len(of.few))), "size")),
    "09 decisions": lambda of: prismatic.decisions(
        of.frame(arm=of.names[:20], round=[1, 2], reason=of.names[:200]).assign(count=3)),
    "09 examples": lambda of: prismatic.examples(of.frame(arm=of.names[:20], round=[1]).assign(
        id="1", problem=of.names[0], source=of.names[0], decision="accepted", reason="new", cluster=1,
        similarity=0.5)),
    "09 pairs": lambda of: prismatic.pairs(of.rows(text_a=of.names, text_b=of.names, cosine=0.5)),
    "09 outcome": lambda of: prismatic.outcome(of.wide(of.frame(arm=of.names, seed=[0, 1]), "accuracy")),
    "09 contributions": lambda of: prismatic.contributions(points(of)),
    "09 map": lambda of: gradient_map.linked_map(points(of), clusters(of)),
    "10 models": lambda of: hivemind.models([Member(name, "tiny", 1) for name in of.names]),
    "10 sample": lambda of: hivemind.sample(
        of.rows(prompt_id="1", prompt=of.names[0], model=of.names, text=of.names, valid=1.0), "1"),
    "10 repetition": lambda of: hivemind.repetition(of.wide(of.frame(model=of.names), "valid")),
    "10 map": lambda of: prompt_map.explorer(*hivemind_tables(of)[::2]),
    "10 agreement": lambda of: hivemind.agreement(hivemind_tables(of)[1], of.few, "same"),
    "10 mixing": lambda of: hivemind.mixing(
        of.frame(prompt=of.names, nearest=[1, 2, 3]),
        of.bare("exchangeable", "separated", nearest=[1, 2, 3])),
    "10 rarefied": lambda of: hivemind.rarefied(of.frame(model=of.names, k=range(1, 5))),
    "10 spelled": lambda of: hivemind.spelled(
        of.rows(prompt=of.names, identical=True, longest=3, shared=0.5)),
    "10 wording": lambda of: hivemind.wording(
        of.frame(model=of.names, sets=["per input", "across"], measure=["distinct", "overlap"])),
    "10 decoding": lambda of: hivemind.decoding(
        of.wide(of.frame(temperature=[0.5, 1.0], cut=of.names), "valid"), 0.3),
    "10 beyond": lambda of: agreement_views.beyond(
        of.wide(of.frame(kind=["a", "b"], first=of.few, second=of.few, prompt_id=of.few),
                "same", "overlap", "excess").assign(seed=0)),
    "10 nearness": lambda of: agreement_views.nearness(
        of.wide(of.frame(model=of.names, arm=["a poll", "an answer"]), "valid")),
    "10 above": lambda of: agreement_views.above(
        of.frame(who=of.names, measure=["pairs", "prompts"]), of.names[0], 0.1, 0.9),
    "10 drift": lambda of: hivemind.drift(drifting(of)),
    "10 collapse": lambda of: hivemind.collapse(
        of.frame(regime=of.names, generation=[1, 2], measure=["loss", "tail"])),
    "10 evaluators": lambda of: hivemind.evaluators(evaluated(of)),
    "11 identities": lambda of: rlp.identities(of.rows(here=of.names)),
    "11 cancels": lambda of: rlp.cancels(of.rows(baseline=of.names, decay=0.5, moved=0.1, apart=0.1)),
    "11 worth": lambda of: rlp.worth(of.rows(thought=of.names, nats=1.0, right=0.5)),
    "11 training": lambda of: rlp.training(
        of.bare("reward", "entropy", arm=of.names, seed=[0], step=range(1, 9))),
    "11 thoughts": lambda of: rlp.thoughts(snapshots(of)),
    "11 predicted": lambda of: rlp.predicted(
        of.frame(arm=of.names, thought=["with", "without"], kind=["chain", "count"])),
    "11 passes": lambda of: rlp.passes(of.frame(arm=of.names, kind=["chain", "who"], k=[1, 2, 4])),
    "11 narrowed": lambda of: rlp.narrowed(of.frame(arm=of.names, measure=["different", "right"])),
    "11 answers": lambda of: rlp.answers(replies(of)),
    "11 browser": lambda of: rlp.browser(replies(of)),
    "11 summary": lambda of: rlp.summary(of.rows(arm=of.names, kind="chain")),
    "12 people": lambda of: pluralism.people(Task(questions(of))),
    "12 readouts": lambda of: pluralism.readouts(readouts(of)),
    "12 measures": lambda of: pluralism.measures(readouts(of)),
    "12 beside": lambda of: pluralism.beside(shares(of)),
    "12 compare": lambda of: pluralism.compare(shares(of)),
    "12 chances": lambda of: pluralism.chances(shares(of)),
    "12 drawn": lambda of: pluralism.drawn(of.frame(arm=ARMS, id=of.names).assign(chi_square=1.0)),
    "12 matrix": lambda of: pluralism.matrix(of.wide(
        of.frame(arm=ARMS[:2], prompted=[NOBODY, *of.few], target=of.few), "jsd_nats")),
    "12 steered": lambda of: pluralism.steered(of.wide(
        of.frame(arm=ARMS, id=of.names), "own_nats", "gain_nats", "other_nats", "hit", "chance")),
    "12 tuning": lambda of: pluralism.tuning(of.frame(
        arm=ARMS, set=of.names, measure=["jsd_nats", "entropy_ratio"])),
    "12 topics": lambda of: pluralism.topics(of.rows(topic=of.names, questions=3).assign(
        **{"before": 0.5, "equal shares": 0.5})),
    "12 budgets": lambda of: budget_views.budgets(of.wide(
        of.frame(arm=ARMS), "trainings", "short", "weight", "kl", "reward"), 0.2),
    "12 way": lambda of: budget_views.way(of.wide(
        of.frame(arm=ARMS[1:], set=["tuned questions", "other questions"], point=[1, 2]),
        "kl", "reward", "jsd_nats")),
    "12 coverage": lambda of: pluralism.coverage(of.wide(
        of.frame(arm=ARMS, views=of.names), "expected").assign(k=3), "coverage"),
    "12 browser": lambda of: pluralism.browser(
        of.frame(arm=ARMS, id=["0"]).assign(seed=0, replies=[of.names[:20]] * (
            0 if of.numbers == "empty" else len(ARMS))), questions(of)),
    "13 instructions": lambda of: instruct.instructions(
        [Request(name, name, name, name) for name in of.names], of.names),
    "13 shapes": lambda of: instruct.shapes(of.rows(layers=1, width=8)),
    "13 layers": lambda of: instruct.by_layers(of.frame(layers=range(len(of.few)), kind=KINDS)),
    "13 met": lambda of: instruct.met(of.frame(arm=of.names, kind=KINDS, measure=["met", "by chance"])),
    "13 combinations": lambda of: instruct.combinations(
        of.frame(arm=of.names, kind=["words", "features"], combination=["seen", "unseen"])),
    "13 loss": lambda of: instruct.against_loss(
        of.wide(of.frame(arm=of.names, seed=[0, 1]), "loss", "excess", "grammar")),
    "13 stories": lambda of: instruct.stories(
        of.wide(of.frame(arm=of.names, kind=KINDS, item=[0, 1]), "met").assign(
            seed=0, prompt=of.names[0], story=of.names[-1])),
    "14 pools": lambda of: loop.pools(of.rows(pool=of.names, problems=9.0, kinds=2.0, evenness=1.5)),
    "14 chain": lambda of: loop.chain(of.frame(
        arm=of.names, step=LOOP_STEPS, measure=LOOP_MEASURES.values()).assign(at=1)),
    "14 passes": lambda of: loop.passes(of.frame(arm=of.names, k=[1, 2, 4])),
    "14 rewards": lambda of: loop.rewards(of.bare(
        "reward", "degenerate_groups", "entropy", arm=of.names, seed=[0, 1], step=range(1, 5))),
    "14 costs": lambda of: loop.costs(of.wide(of.frame(arm=of.names, step=LOOP_STEPS), "millions")),
    "14 replies": lambda of: loop.replies(of.frame(
        arm=of.names, question=of.names[:3], reply=of.names[:2]).assign(
            at=3, seed=0, right=True, path="right above")),
}  # fmt: skip
