"""Whose values: read-outs, distances, steering, what is tuned on, the arms, and Overton coverage."""

import copy
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.corpora import populations
from workbench.corpora.loaders.opinions import ANSWER, AnswerDistribution, Question, format_question
from workbench.engine import loading, models
from workbench.engine.entailment import Entailment
from workbench.engine.sampling.sampler import Completion, Sampler
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training import memory
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.lora import Lora
from workbench.errors import UserError
from workbench.studies.common.arms import arm_folder
from workbench.studies.pluralism import (
    budget_views,
    claims,
    elicitation,
    experiment,
    majorities,
    method,
    overton,
    paths,
    place_views,
    results,
    tuning,
    views,
)
from workbench.studies.pluralism.experiment import ARMS, BEFORE, DPO, SFT, SPECTRUM
from workbench.studies.pluralism.method import NOBODY, Task

LUNCH_GROUPS = {
    "hill": AnswerDistribution((0.8, 0.1, 0.1), 60),
    "sea": AnswerDistribution((0.05, 0.6, 0.35), 40),
}
LUNCH_OPTIONS = ("soup", "bread", "fish pie")
LUNCH = Question(
    "lunch", "Which lunch?", LUNCH_OPTIONS, AnswerDistribution((0.5, 0.3, 0.2), 100), LUNCH_GROUPS
)
OFTEN = Question("often", "How often?", ("never", "always"), AnswerDistribution((0.25, 0.75)), ordinal=(0, 1))
LEVEL = Question("level", "Heads?", ("heads", "tails"), AnswerDistribution((0.5, 0.5)))
TASK = Task([LUNCH, OFTEN], ["hill", "sea"], "From the {group}: ", "Anybody: ", [])
PARAMS = {"profile": "quick", "seed": 0, "model": "embedded", "questions": "embedded", "persona": "{group}: ",
          "tune": True, "tuning": None, "beta": 0.1, "tuning_rate": None, "tuning_steps": None,
          "samples": None, "limit": None, "populations": None, "seeds": None, "kl": None, "placebo": False,
          "device": "cpu"}  # fmt: skip


class Says(Sampler):
    """A sampler that goes through its replies, whatever the prompt."""

    def __init__(self, *texts):
        self.texts, self.prompts = texts, []

    def sample(self, prompts, params):
        self.prompts += prompts
        drawn = iter(self.texts * (1 + params.n * len(prompts)))
        return [[Completion(next(drawn), [], [], "stop") for _ in range(params.n)] for _ in prompts]


@pytest.fixture(scope="module")
def sampler():
    texts = [prompt + answer for prompt, answer in populations.draw([LUNCH, OFTEN], 200, 0)]
    tokenizer = models.train_tokenizer([*texts, "A. B. C. D."], 320)
    config = models.config("tiny:0.1M", vocab_size=len(tokenizer), context=256)
    return TransformersSampler(models.build(config, 0), tokenizer)


# ------------------------------------------------------------------------------- read-outs
@pytest.mark.parametrize("letters", [True, False])
@torch.no_grad()
def test_likelihoods_are_those_of_the_model_over_all_rotations(sampler, letters):
    reading = elicitation.from_logprobs(sampler, [OFTEN], letters)
    expected, mass = [], []
    for order in (("never", "always"), ("always", "never")):
        before = sampler.tokenizer(
            format_question(OFTEN.prompt, order, letters) + ANSWER, return_tensors="pt"
        )["input_ids"]
        ends = {"never": "AB"[order.index("never")], "always": "AB"[order.index("always")]}
        scores = []
        for option in OFTEN.options:
            text = f" {ends[option] if letters else option}"
            ids = torch.tensor([sampler.tokenizer(text, add_special_tokens=False)["input_ids"]])
            logits = sampler.model(torch.cat([before, ids], 1)).logits.log_softmax(-1)
            scores.append(
                sum(logits[0, before.shape[1] - 1 + i, ids[0, i]] for i in range(ids.shape[1])).exp()
            )
        mass.append(float(sum(scores)))
        expected.append(float(scores[0] / sum(scores)))
    assert reading["shares"][0] == pytest.approx([np.mean(expected), 1 - np.mean(expected)], abs=1e-5)
    assert reading["valid"][0] == pytest.approx(np.mean(mass), rel=1e-3)
    assert reading["order"][0] == pytest.approx(abs(expected[0] - expected[1]) / 2, abs=1e-5)


def test_it_does_not_matter_where_the_options_begin(sampler):
    turned = replace(LUNCH, options=("bread", "fish pie", "soup"))
    for letters in (True, False):
        first, second = (
            np.array(elicitation.from_logprobs(sampler, [question], letters)["shares"][0])
            for question in (LUNCH, turned)
        )
        assert first == pytest.approx(second[[2, 0, 1]], abs=1e-6)
        assert np.ptp(first) > 1e-3


def test_samples_are_counted_evenly_over_the_rotations_and_what_is_no_answer_is_not():
    writer = Says(" soup.", "a fish pie, please", "I do not know", " Bread")
    reading = elicitation.by_samples(writer, [LUNCH, OFTEN], k=12)
    assert reading["shares"][0] == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert reading["valid"].tolist() == [0.75, 0]
    assert reading["shares"][1] is None
    assert Counter(writer.prompts).most_common(1)[0][1] == 1  # every rotation is asked once, for k / n each
    assert list(map(len, elicitation.sample_replies(writer, [LUNCH, OFTEN], 12, 0))) == [12, 12]
    assert writer.prompts[0] == "Which lunch?\n- soup\n- bread\n- fish pie\nAnswer:"


@pytest.mark.parametrize(
    ("reply", "index"),
    [
        (" agree", 0),
        ("**Disagree.** It is too early.", 1),
        ("I would strongly agree with that.", 0),
        ("I disagree", 1),
        ("agree or disagree? Hard to say.", 0),
        ("One may agree, one may disagree", None),
        ("Agreeing is hard", None),
        ("", None),
    ],
)
def test_a_reply_is_the_option_that_it_begins_with_or_alone_names(reply, index):
    assert elicitation.answer(reply, ["agree", "disagree"]) == index


@pytest.mark.parametrize(
    ("reply", "shares"),
    [
        ("soup: 50%, bread: 30%, fish pie: 20%", (0.5, 0.3, 0.2)),
        ("- **Fish pie**: 25\n- Bread: 25\n- Soup: 50", (0.5, 0.25, 0.25)),
        ("soup – 51 %; bread – 33 %; fish pie – 18 %", (0.5, 33 / 102, 18 / 102)),
        ("soup: 50%, bread: 50%", None),
        ("soup: 90%, bread: 80%, fish pie: 70%", None),
        ("soup bread fish pie", None),
    ],
)
def test_percentages_are_read_if_all_are_there_and_sum_to_a_hundred(reply, shares):
    stated = elicitation.percentages(reply, LUNCH.options)
    assert stated is None if shares is None else stated == pytest.approx(shares)


def test_stated_percentages_are_averaged_and_unread_replies_counted():
    writer = Says("soup: 60, bread: 40, fish pie: 0", "soup: 20, bread: 40, fish pie: 40", "never mind")
    reading = elicitation.verbalized(writer, [LUNCH])
    assert reading["shares"][0] == pytest.approx((0.4, 0.4, 0.2))
    assert reading["valid"][0] == pytest.approx(2 / 3)


def test_an_instruct_model_is_asked_through_its_chat_template(sampler):
    template = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}<assistant>\n"
    sampler.tokenizer.chat_template, plain = template, sampler.tokenizer.chat_template
    try:
        (prompt, _) = elicitation._prompts(sampler, OFTEN)
        reading = elicitation.from_logprobs(sampler, [OFTEN], letters=True)
        row = tuning._trl_row(sampler.tokenizer, tuning.Preference("Q?", " yes", " no"))
        (written, _) = elicitation._to_reply(sampler, OFTEN)
    finally:
        sampler.tokenizer.chat_template = plain
    assert prompt == "<user>How often?\n- never\n- always<assistant>\nAnswer:"
    assert written.rstrip() == "<user>How often?\n- never\n- always<assistant>"  # begins its reply itself
    assert elicitation._to_reply(sampler, OFTEN)[0] == "How often?\n- never\n- always\nAnswer:"
    assert sum(reading["shares"][0]) == pytest.approx(1)
    assert row["prompt"] == [{"role": "user", "content": "Q?"}]
    assert row["rejected"] == [{"role": "assistant", "content": "\nAnswer: no"}]


# ------------------------------------------------------------------------------- distances and steering
def asked(*rows, prompted=NOBODY):
    frame = pd.DataFrame(rows, columns=["id", "shares"])
    return frame.assign(readout="texts", prompted=prompted, valid=1.0, order=0.0)


def test_distances_are_to_everybody_or_to_a_group_and_leave_out_what_nobody_read_or_asked():
    frame = asked(("lunch", [0.5, 0.3, 0.2]), ("often", None), ("often", [0.75, 0.25]))
    to_all = method.distances(frame, TASK.questions)
    assert to_all["id"].tolist() == ["lunch", "often"]
    assert to_all["jsd_nats"].tolist()[0] == 0
    assert to_all["total_variation"].tolist() == [0, 0.5]
    assert np.isnan(to_all["wasserstein_share"][0])
    assert to_all["wasserstein_share"][1] == 0.5
    to_sea = method.distances(frame, TASK.questions, "sea")
    assert to_sea["id"].tolist() == ["lunch"]
    assert to_sea["total_variation"][0] == pytest.approx(0.45)
    nothing = method.distances(asked(("lunch", None)), TASK.questions)
    assert (len(nothing), "jsd_nats" in nothing) == (0, True)


def test_baselines_say_what_guessing_sampling_and_asking_again_are_worth():
    again = replace(OFTEN, id="again", people=AnswerDistribution((0.75, 0.25), 50))
    means = method.baselines([OFTEN, again], 30).groupby("readout")["jsd_nats"].agg(["mean", "size"])
    assert means.loc["equal shares", "mean"] == pytest.approx(0.033822, abs=1e-6)
    assert means.loc["one answer to all", "mean"] == pytest.approx(0.033822, abs=1e-4)
    assert means.loc["30 people", "mean"] == pytest.approx(1 / 240, rel=0.4)
    assert means.loc["half of the people"].tolist() == [pytest.approx(1 / 100, rel=0.4), 1]


def test_a_readout_is_scored_against_guessing_on_the_questions_that_it_read():
    table = results.by_readout(asked(("lunch", None), ("often", [0.5, 0.5])), TASK.questions, 4)
    scores = table[table["measure"] == "simbench_score"].set_index("readout")
    assert scores.loc["texts", ["value", "unread"]].tolist() == [0, 1]  # it guesses what it read


def test_claims_of_what_no_question_tells_are_not_made():
    unanimous = replace(OFTEN, people=AnswerDistribution((1.0, 0.0)))  # whose entropy is 0: no ratio
    frame = asked(("often", [0.5, 0.5]), ("often", [0.9, 0.1])).assign(arm=[BEFORE, DPO], seed=0)
    plan = replace(experiment.plan(SimpleNamespace(**PARAMS)), tasks=(Task([unanimous]),), model="given")
    measured = method.distances(frame, [unanimous]).assign(set=results.OTHER)
    gains = results.gains(results.steering(frame, replace(plan, arms=(BEFORE,))))
    made = claims.claims(frame, measured, gains, pd.DataFrame(), plan)
    assert [claim.name for claim in made] == ["it-spreads"]


def test_naming_a_group_is_worth_what_it_brings_nearer():
    rows = {NOBODY: (0.5, 0.3, 0.2), "hill": (0.8, 0.1, 0.1), "sea": (0.9, 0.05, 0.05)}  # the sea is missed
    frame = pd.concat([asked(("lunch", list(row)), prompted=name) for name, row in rows.items()])
    frame = frame.assign(arm=BEFORE, seed=0)
    gains = method.steered(method.steering(frame, TASK)).set_index("target")
    assert gains.loc["hill", "own_nats"] == 0
    assert gains.loc["hill", "gain_nats"] > 0 > gains.loc["sea", "gain_nats"]
    assert gains["hit"].to_dict() == {"hill": 1, "sea": 0}
    assert gains["chance"].tolist() == [0.5, 0.5]
    sea = [method.measures.jsd_nats(rows[name], LUNCH.groups["sea"].dist) for name in ("hill", "sea")]
    assert gains.loc["sea", "other_nats"] == pytest.approx(sea[0] - sea[1])
    one = replace(TASK, questions=[replace(LUNCH, groups={"hill": LUNCH.groups["hill"]})])
    alone = method.steered(method.steering(frame, one))
    assert alone["target"].tolist() == ["hill"]
    assert alone[["hit", "chance"]].isna().all(axis=None)
    empty = method.steered(method.steering(frame[frame["prompted"].isin([NOBODY, "hill"])], one))
    assert empty["other_nats"].isna().all()  # no other name was tried
    assert len(method.steered(method.steering(frame, replace(TASK, groups=[])))) == 0


# ------------------------------------------------------------------------------- what is tuned on
def test_preferences_are_for_the_majority():
    rows = tuning.preferences([LUNCH, LEVEL], 600, 0)
    assert {row.chosen for row in rows} == {" soup"}
    assert Counter(row.rejected for row in rows)[" bread"] == pytest.approx(360, abs=60)
    assert {row.prompt for row in rows} > {format_question(LUNCH.prompt, LUNCH.options, letters=False)}
    assert all(row.chosen != row.rejected for row in rows)


def test_half_of_the_questions_with_a_majority_are_tuned_on():
    questions = [replace(LUNCH, id=str(number)) for number in range(10)] + [LEVEL]
    chosen = majorities.tuned_on(questions, 0)
    assert len(chosen) == 5
    assert "level" not in chosen
    assert chosen != majorities.tuned_on(questions, 1)
    with pytest.raises(UserError, match="set tune to False"):
        majorities.tuned_on([LEVEL, LUNCH], 0)


def test_the_villages_are_tuned_in_wordings_that_are_not_those_of_the_test():
    task = method.load_task("embedded", "", 10, 0)
    questions = tuning.tuning_questions(task, {"pet"}, 0, embedded=True)
    prompts = {question.prompt for question in questions}
    assert len(prompts) == len(questions) == populations.HELD_OUT
    assert not prompts & {question.prompt for question in task.prompted()}
    assert all(prompt.startswith("Somebody is asked: ") for prompt in prompts)


@pytest.mark.parametrize("lora", [None, Lora()])
def test_preferences_raise_the_chosen_answer_above_the_rejected_one(sampler, tmp_path, lora):
    loading.save(sampler.model, sampler.tokenizer, tmp_path / "base")
    rows = tuning.preferences([LUNCH], 48, 0)
    rate = {"learning_rate": 1e-2 if lora else 2e-3, "schedule": "linear", "warmup": 0}
    config = TrainConfig(epochs=1, batch_size=8, lora=lora, **rate)
    tuning.prefer(tmp_path / "dpo", str(tmp_path / "base"), rows, config, "cpu", beta=0.1)
    tuned = TransformersSampler(*loading.load(tmp_path / "dpo", "cpu"))
    before, after = (
        elicitation.from_logprobs(writer, [LUNCH], letters=False)["shares"][0] for writer in (sampler, tuned)
    )
    assert after[0] > before[0] + 0.1


@pytest.mark.parametrize("budget", [1, 1 << 32])  # a pair at a time with checkpointing; all at once
def test_small_steps_of_preferences_move_every_weight_of_a_half_precision_model(
    sampler, tmp_path, monkeypatch, budget
):
    load, rows = loading.load, tuning.preferences([LUNCH], 12, 0)
    loading.save(sampler.model, sampler.tokenizer, tmp_path / "base")
    config = TrainConfig(epochs=1, batch_size=4, learning_rate=1e-6, schedule="constant", warmup=0)
    monkeypatch.setattr(memory, "CPU_BUDGET", budget)
    monkeypatch.setattr(loading, "load", lambda *given: (load(*given)[0].bfloat16(), load(*given)[1]))
    tuning.prefer(tmp_path / "dpo", str(tmp_path / "base"), rows, config, "cpu", beta=0.1)
    before, after = (load(tmp_path / name, "cpu")[0].state_dict() for name in ("base", "dpo"))
    pairs = [(before[name].bfloat16().float(), value) for name, value in after.items()]
    moved = torch.cat([(one != other).flatten() for one, other in pairs]).float().mean()
    assert moved > 0.99
    assert {value.dtype for value in after.values()} == {torch.float32}


def test_preferences_learnt_in_parts_are_those_of_a_whole_batch(sampler, tmp_path, monkeypatch):
    loading.save(sampler.model, sampler.tokenizer, tmp_path / "base")
    rows = tuning.preferences([LUNCH], 12, 0)
    config = TrainConfig(epochs=1, batch_size=4, learning_rate=1e-4, schedule="constant", warmup=0)
    for name, budget in (("whole", 1 << 32), ("parts", 1)):
        monkeypatch.setattr(memory, "CPU_BUDGET", budget)
        tuning.prefer(tmp_path / name, str(tmp_path / "base"), rows, config, "cpu", beta=0.1)
    whole, parts = (loading.load(tmp_path / name, "cpu")[0].state_dict() for name in ("whole", "parts"))
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, atol=2e-5, rtol=1e-3)


def test_models_that_preferences_cannot_be_learnt_with_are_refused(sampler, monkeypatch):
    endless = copy.deepcopy(sampler.tokenizer)
    endless.eos_token = None
    with pytest.raises(UserError, match="no end-of-text token"):
        tuning.check_tunable(sampler.model, endless)
    monkeypatch.setattr(tuning, "unchanged_length", lambda _: 40)
    tuning.check_tunable(sampler.model, sampler.tokenizer, 40)
    with pytest.raises(UserError, match=r"beside a longer one.*set tune to False"):
        tuning.check_tunable(sampler.model, sampler.tokenizer, 41)


# ------------------------------------------------------------------------------- the arms
@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    chosen = experiment.plan(SimpleNamespace(**{**PARAMS, "populations": 2}))
    sizes = replace(chosen.sizes, steps=4, tuning_steps=2, samples=6, kl=1e-4)
    few = tuple(replace(task, questions=task.questions[:6]) for task in chosen.tasks)
    small = replace(chosen, sizes=sizes, tasks=few)
    return folder, small, experiment.train_all(folder, small)


def measured(plan, answers, path):
    """What claims are made from."""
    gains = results.gains(results.steering(answers, plan))
    return results.distances(answers, plan), gains, paths.measured(answers, path, plan)


def test_every_arm_answers_everything_as_everybody(made):
    _, plan, (answers, replies, path) = made
    assert set(answers["arm"]) == set(ARMS)
    assert set(answers["seed"]) == set(plan.all_seeds) == {0, 1}
    counts = answers.groupby(["arm", "seed", "prompted"]).size()
    assert (counts.xs("hill", level="prompted") == 6).all()
    assert (counts.xs(NOBODY, level="prompted") == 6 + len(plan.chances.questions)).all()
    assert answers["shares"].map(sum).to_numpy() == pytest.approx(1)
    sampled = dict.fromkeys(ARMS, 2 * (6 + len(plan.chances.questions)))
    assert replies.groupby("arm").size().to_dict() == sampled
    before, after = (
        np.concatenate(answers[answers["arm"] == arm]["shares"].tolist()) for arm in (BEFORE, DPO)
    )
    assert np.abs(before - after).max() > 1e-4
    assert set(path["arm"]) == {DPO, SFT, SPECTRUM}


def test_every_population_has_its_own_people_and_its_own_tuned_questions(made):
    _, plan, (answers, _, _) = made
    first, second = (task.questions[0].people.dist for task in plan.tasks)
    assert first != second
    assert plan.tuned(0) != plan.tuned(1)
    assert [plan.population(seed) for seed in (0, 1, 10_001)] == [0, 1, 1]
    distances = results.distances(answers, plan)
    for number, task in enumerate(plan.tasks):
        rows = distances[(distances["population"] == number) & (distances["arm"] == DPO)]
        alone = method.distances(rows[["id", "shares"]], task.questions)
        own = rows[rows["set"] != results.CHANCES]
        assert own["jsd_nats"].to_numpy() == pytest.approx(alone["jsd_nats"].to_numpy())
        assert set(own[own["set"] == results.TUNED]["id"]) == plan.tuned(number)


def test_all_arms_end_at_the_budget_and_their_model_is_the_one_that_answers(made):
    folder, plan, (answers, _, path) = made
    last = paths.ends(paths.measured(answers, path, plan), "kl")
    assert last.to_numpy() == pytest.approx(np.full((2, 3), plan.sizes.kl), rel=0.1)
    end = path[(path["arm"] == SFT) & (path["seed"] == 0) & ~path["beyond"]].tail(6)
    asked = answers[(answers["arm"] == SFT) & (answers["seed"] == 0) & (answers["prompted"] == NOBODY)]
    both = end.merge(asked, on="id")
    assert len(both) == 6
    assert np.concatenate(both["shares_x"].tolist()) == pytest.approx(
        np.concatenate(both["shares_y"].tolist()), abs=1e-5
    )
    assert not (arm_folder(folder, SFT, 0) / ".tuned").exists()


def test_a_placebo_compares_two_models_that_nobody_tuned(made, tmp_path):
    _, plan, _ = made
    placebo = replace(plan, placebo=True, arms=(BEFORE, DPO, SFT, SPECTRUM), seed=3, tasks=plan.tasks[:1])
    answers, _, path = experiment.train_all(tmp_path, placebo)
    assert set(answers["seed"]) == {3}
    assert path.empty
    bases = sorted(path.parent.name for path in tmp_path.glob("seed-*/base"))
    assert bases == ["seed-10003", "seed-20003", "seed-3", "seed-30003"]
    assert not (arm_folder(tmp_path, DPO, 3) / "model").exists()
    made_claims = claims.claims(answers, *measured(placebo, answers, path), placebo)
    names = {claim.name for claim in made_claims}
    assert names >= {"it-spreads", "spectrum-keeps-more", "preferences-spread-more", "tuning-lowers-steering"}
    assert "naming-the-group-helps" not in names


def test_populations_are_what_is_counted_and_their_trainings_go_together(made):
    _, plan, (answers, _, path) = made
    many = replace(plan, tasks=plan.tasks[:1] * 5, sizes=replace(plan.sizes, seeds=2))
    first = [frame[frame["seed"] == 0] for frame in (answers, path)]
    several = [pd.concat([frame.assign(seed=seed) for seed in range(10)]) for frame in first]
    parts = measured(many, *several)
    made_claims = claims.claims(several[0], *parts, many)
    assert {(claim.over, claim.n, claim.trainings) for claim in made_claims} == {("populations", 5, 10)}
    effects = pd.DataFrame({"seed": range(10), "id": "a", "effect": np.repeat([0.1, 0.2, 0.3, 0.4, 0.5], 2)})
    alike = claims.over_populations(effects, many).estimate
    alone = claims.over_populations(effects[::2].assign(seed=range(0, 10, 2)), many).estimate
    assert (alike.low, alike.high) == pytest.approx((alone.low, alone.high))  # a second training adds nothing
    few = claims.over_populations(effects, replace(many, sizes=replace(many.sizes, seeds=10)))
    assert (few.over, few.trainings) == ("trainings", 10)  # all of one population


def test_what_was_made_stays_and_what_is_missing_is_made_again(made):
    folder, plan, (answers, _, path) = made
    weights = folder / "seed-0" / "DPO-majority" / "model" / "model.safetensors"
    made_at = weights.stat().st_mtime_ns
    for arm, table in ((DPO, "answers"), (SPECTRUM, "replies"), (SFT, "path")):  # as if killed in between
        whole = arm_folder(folder, arm, 0)
        (whole / f"{table}.parquet").unlink()
        whole.rename(whole.with_name(f".{whole.name}"))
    again, _, way = experiment.train_all(folder, plan)
    pd.testing.assert_frame_equal(again, answers)
    pd.testing.assert_frame_equal(way, path, rtol=1e-3)
    assert weights.stat().st_mtime_ns == made_at


def test_results_claims_and_pictures_of_the_arms(made):
    folder, plan, (answers, replies, path) = made
    task, chances = plan.task, plan.chances.questions
    distances, gains, ways = measured(plan, answers, path)
    assert set(distances["set"]) == {"tuned questions", "other questions", "chances"}
    made_claims = claims.claims(answers, distances, gains, ways, plan)
    assert len(made_claims) == 10
    assert [claim.name for claim in made_claims if claim.headline] == ["it-spreads"]
    assert {(claim.over, claim.trainings) for claim in made_claims} == {("questions", 2)}
    assert all(claim.low <= claim.effect <= claim.high for claim in made_claims)
    assert all(claim.failed_gates for claim in made_claims)  # four steps teach nobody what people answer
    before = experiment.read_before(folder, plan)
    table = results.by_readout(before, task.questions, plan.sizes.samples)
    unread = table.drop_duplicates("readout").set_index("readout")["unread"]
    assert unread[["texts", "percentages", "equal shares"]].tolist() == [0, 6, 0]
    shares = results.shares(results.of_first(answers, plan), task.questions)
    covered = results.coverage(replies, plan, overton.by_embedding(task.questions))
    assert covered.groupby("seed").size().to_dict() == {0: 24, 1: 24}
    drawn = [views.people(task), views.readouts(table), views.measures(table), views.beside(shares),
             views.compare(shares), views.tuning(results.summary(distances, ["arm", "set"])),
             views.topics(results.by_topic(distances, plan)),
             views.chances(results.shares(answers, chances)),
             views.drawn(results.drawn_chances(replies, chances)),
             views.matrix(results.matrix(results.steering(answers, plan))), views.steered(gains),
             views.coverage(overton.summary(covered), "embedding coverage"),
             budget_views.budgets(paths.budgets(ways, plan.sizes.kl), plan.sizes.kl),
             budget_views.way(paths.summary(ways)),
             views.browser(results.of_first(replies, plan), task.questions)]  # fmt: skip
    titles = {(view.view if hasattr(view, "view") else view).record["title"] for view in drawn}
    assert len(titles) == len(drawn)
    assert {claim.view for claim in made_claims} <= titles


def test_a_training_that_has_not_learnt_what_people_answer_is_left_out(made):
    _, plan, (answers, _, _) = made
    assert results.trained(answers, plan) == ([0, 1], [])  # none has: nothing would be left
    people = {question.id: list(question.people.dist) for question in plan.tasks[1].questions}
    learnt = answers.copy()
    second = (learnt["seed"] == 1) & (learnt["arm"] == BEFORE) & (learnt["prompted"] == NOBODY)
    learnt.loc[second, "shares"] = pd.Series(
        [people.get(row.id, row.shares) for row in learnt[second].itertuples()], learnt.index[second]
    )
    assert results.trained(learnt, plan) == ([1], [0])
    given = replace(plan, model="given")
    assert results.trained(answers, given) == ([0, 1], [])


def test_drawn_chances_are_tested_like_dice(made):
    _, plan, _ = made
    fair, loaded = ["heads"] * 26 + ["tails"] * 24 + ["edge"] * 10, ["heads"] * 50
    rows = [("coin", fair, 0, BEFORE), ("coin", loaded, 0, DPO), ("die", ["seven"], 0, DPO)]
    replies = pd.DataFrame(rows, columns=["id", "replies", "seed", "arm"])
    table = results.drawn_chances(replies, plan.chances.questions)
    first, second, third = table.to_dict("records")
    assert (first["replies"], first["valid"], first["yielded"]) == (60, pytest.approx(50 / 60), 2)
    assert first["chi_square"] == pytest.approx(0.08)
    assert first["p"] == pytest.approx(0.777, abs=1e-3)
    assert (second["yielded"], second["chi_square"]) == (1, 50)
    assert (third["valid"], third["options"]) == (0, 6)
    assert np.isnan(third["p"])


def test_questions_that_do_not_fit_are_left_out_and_told(sampler, tmp_path):
    loading.save(sampler.model, sampler.tokenizer, tmp_path / "model")
    rows = [{"id": "a", "prompt": "Soup?", "options": ["yes", "no"], "dist": [1, 0]},
            {"id": "b", "prompt": "word " * 300, "options": ["yes", "no"], "dist": [0.5, 0.5]}]  # fmt: skip
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(pd.Series(row).to_json() for row in rows))
    chosen = {"model": str(tmp_path / "model"), "questions": str(path), "tune": False}
    plan = experiment.plan(SimpleNamespace(**{**PARAMS, **chosen}))
    assert [question.id for question in plan.task.questions] == ["a"]
    assert "1 questions are longer" in plan.task.notes[-1]
    assert plan.arms == (BEFORE,)
    answers, replies, way = experiment.train_all(tmp_path / "made", plan)
    assert way.empty
    assert claims.claims(answers, *measured(plan, answers, way), plan) == []
    assert set(replies["id"]) == {"a", *(question.id for question in plan.chances.questions)}
    path.write_text(pd.Series(rows[1]).to_json() + "\n")
    with pytest.raises(UserError, match="No question fits"):
        experiment.plan(SimpleNamespace(**{**PARAMS, **chosen}))


# ------------------------------------------------------------------------------- Overton
def sampled(**replies):
    frame = pd.DataFrame({"id": list(replies), "replies": list(replies.values())})
    return frame.assign(arm=BEFORE, seed=0)


def test_coverage_counts_views_alike_and_by_those_who_hold_them():
    def holds(sentences, asked):
        return np.array([said.lower() == view.lower() for said, view in zip(sentences, asked, strict=True)])

    replies = sampled(lunch=["Soup", "soup\nFish pie"], often=[])
    covered = overton.coverage(replies, [LUNCH, OFTEN], holds).set_index("id")
    assert covered["covered"].tolist() == pytest.approx([2 / 3, 0])
    assert covered["covered_weighted"].tolist() == pytest.approx([0.7, 0])
    seen = 1 - (1 - np.array(LUNCH.people.dist)) ** 2
    assert covered.loc["lunch", "expected"] == pytest.approx(seen.mean())
    assert covered.loc["often", "expected_weighted"] == 0


def test_embedding_coverage_tells_options_apart():
    questions = populations.population(0)
    replies = sampled(**{question.id: list(question.options[:2]) for question in questions})
    covered = overton.coverage(replies, questions, overton.by_embedding(questions))
    more = covered["covered"].to_numpy() - [2 / len(question.options) for question in questions]
    assert more.min() > -1e-9  # what was said is found
    assert more.mean() < 0.1  # by its threshold, one in twenty pairs of different views is taken for alike


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("nli")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "soup", "bread", "is", "good"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    labels = {0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"}
    config = BertConfig(vocab_size=9, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=16, id2label=labels, initializer_range=1.0)  # fmt: skip
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@torch.no_grad()
def test_entailment_is_the_probability_of_its_label_whatever_the_batch(judge):
    model = Entailment(str(judge), "cpu")
    premises, hypotheses = (
        ["soup is good", "soup", "bread is good is good"],
        ["soup", "soup is good", "bread"],
    )
    scores = model.scores(premises, hypotheses)
    assert scores == pytest.approx(model.scores(premises, hypotheses, batch_size=1), abs=1e-5)
    inputs = model.tokenizer("soup is good", "soup", return_tensors="pt")
    assert scores[0] == pytest.approx(float(model.model(**inputs).logits.softmax(-1)[0, 2]), abs=1e-5)
    assert abs(scores[0] - scores[1]) > 1e-3  # which is the premise matters


def test_a_model_without_entailment_is_refused(judge, tmp_path):
    with pytest.raises(UserError, match="cannot be loaded"):
        Entailment(str(tmp_path))
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(judge)
    model.config.id2label = {0: "good", 1: "bad", 2: "so-so"}
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(judge).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="knows no entailment"):
        Entailment(str(tmp_path))


# ------------------------------------------------------------------------------- a given model
def test_a_given_model_is_asked_some_questions_and_as_no_group_that_is_a_number():
    questions = [replace(LUNCH, id=str(number)) for number in range(10)]
    some = method.some(Task(questions, ["0", "hill", "river", "sea"], "{group}"), 3, 2)
    assert [question.id for question in some.questions] == ["0", "3", "6"]
    assert some.groups == ["hill", "river"]
    said = "; ".join(some.notes)
    for sentence in ("only has a number", "2 of 3 groups: hill, river", "3 of 10 questions"):
        assert sentence in said


def test_claims_are_of_the_arms_that_were_trained(made):
    _, plan, (answers, _, path) = made
    kept = (BEFORE, DPO, SPECTRUM)
    plan = replace(plan, arms=kept)
    answers, path = (frame[frame["arm"].isin(kept)] for frame in (answers, path))
    distances, ways = results.distances(answers, plan), paths.measured(answers, path, plan)
    gains = results.gains(results.steering(answers, plan))
    names = {claim.name for claim in claims.claims(answers, distances, gains, ways, plan)}
    assert {"it-spreads", "spectrum-keeps-more"} <= names
    assert not {"imitation-spreads", "preferences-spread-more"} & names


def test_a_habit_of_place_is_seen_whatever_stands_there(sampler, monkeypatch):
    def first(_, options):
        return [np.log([0.5, *[0.25 / (len(of) - 1)] * (len(of) - 1)]) for of in options]

    monkeypatch.setattr(sampler, "score", first)
    read = elicitation.readouts(sampler, 2, 0)
    answers = method.ask({name: read[name] for name in ("letters", "texts")}, Task([LUNCH, LUNCH, OFTEN]))
    assert answers["shares"][0] == pytest.approx([1 / 3] * 3)
    places = results.by_place(answers)
    assert places["value"].tolist() == pytest.approx([2 / 3, 1 / 6, 1 / 6] * 2)
    title = place_views.places(places).record["title"]
    assert title == "The question, or the place?"
