"""14_loop: pools read back, the steps of the loop, what their replies are worth, and claims."""

import itertools
import json
from dataclasses import replace
from random import Random
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.claims import OPPOSITE, REPRODUCED, UNTESTABLE
from workbench.corpora import logic
from workbench.engine import models
from workbench.engine.sampling.sampler import Completion, SamplingParams
from workbench.engine.training.checkpoints import SETTINGS
from workbench.errors import UserError
from workbench.studies.loop import data, experiment, method, results
from workbench.studies.loop.data import PLAIN, POOLS, PRISMATIC
from workbench.studies.loop.experiment import ALONE, ARMS, CONTROL, LOOP, MORE, OWN, REWARDED

torch.set_num_threads(1)
PARAMS = SimpleNamespace(profile="quick", seed=0, seeds=None, steps=None, placebo=False, device="cpu")
SMALL = replace(
    data.settings(PARAMS),
    imitation=512,
    own=2,
    steps=2,
    n_test=3,
    draws=4,
    prompts_per_step=2,
    group_size=2,
    max_tokens=12,
    batch_size=2,
)
PROBLEMS = logic.draw(6, 0, sets=logic.rule_sets(n_moves=(4,)))


def pools_of(problems, seeds=(0,)):
    rows = [
        (one.question, one.rationale(), seed, pool) for seed in seeds for pool in POOLS for one in problems
    ]
    return pd.DataFrame(rows, columns=["question", "solution", "seed", "pool"])


class Sampler:
    """Says the same texts about everything."""

    def __init__(self, *texts):
        self.texts = texts

    def sample(self, prompts, params):
        return [[Completion(text, [1, 2, 3], [0.0] * 3, "stop") for text in self.texts] for _ in prompts]


# Pools


@pytest.mark.parametrize("kind", ["relational", "rule"])
def test_a_problem_is_read_back_from_any_of_its_solutions(kind):
    names = [name for name in logic.rule_sets() if name.startswith(kind)]
    for one in logic.draw(20, 1, sets=names):
        path = Random(one.id).choice(one.paths())
        again = data.problem(f"Read carefully: {one.question}", one.rationale(path=path))
        assert (again.start, again.answer) == (one.start, one.answer)
        assert again.moves == path
        assert set(again.paths()) == set(one.paths())


def test_an_answer_that_slipped_is_followed_through_the_house():
    one = PROBLEMS[0]
    slipped = one.rationale().replace(f"The answer is {one.answer}.", "The answer is Nobody.")
    assert data.problem(one.question, slipped).answer == one.answer


@pytest.mark.parametrize("solution", ["", "2 + 3 = 5. The answer is 5.", "Right of Nobody is Ann."])
def test_what_is_no_problem_of_the_house_is_refused_in_a_sentence(solution):
    with pytest.raises(UserError, match="no problem of the house"):
        data.problem("How many?", solution)


def rounds(folder, pool, decisions, seed=0):
    (folder / f"seed-{seed}").mkdir(exist_ok=True)
    for number, decided in enumerate(decisions, 1):
        rows = [(one.question, one.rationale(), said) for one, said in zip(PROBLEMS, decided, strict=False)]
        table = pd.DataFrame(rows, columns=["problem", "solution", "decision"])
        table.to_parquet(folder / f"seed-{seed}" / f"{pool}-{seed}-{number:02d}-decisions.parquet")


def test_a_pool_is_what_growth_let_in_over_all_rounds(tmp_path):
    for pool in POOLS:
        rounds(tmp_path, pool, [["accepted", "rejected", "accepted"], ["accepted"] * 3])
    pools = data.pools(tmp_path, [0])
    random = pools[pools["pool"] == PLAIN]
    assert random["question"].tolist() == [PROBLEMS[at].question for at in (0, 2, 0, 1, 2)]
    assert set(pools["seed"]) == {0}


def test_a_seed_that_09_did_not_grow_is_refused_in_a_sentence(tmp_path):
    for pool in POOLS:
        rounds(tmp_path, pool, [["accepted"] * 6])
    with pytest.raises(UserError, match="no random pool for seed 1"):
        data.pools(tmp_path, [0, 1])


def test_nothing_that_is_asked_has_the_moves_of_what_is_learnt():
    pools = pools_of(PROBLEMS)
    learnt = {tuple(sorted(one.moves)) for one in data.problems(pools, PLAIN, 0)}
    asked = data.tested(replace(SMALL, n_test=40), pools, 0)
    assert learnt.isdisjoint(tuple(sorted(one.moves)) for one in asked)
    assert {len(one.moves) for one in asked} == {4}


def test_an_uneven_pool_counts_fewer_rule_sets():
    of_set = {name: logic.draw(12, 3, sets=[name]) for name in logic.rule_sets(n_moves=(4,))[:2]}
    first, second = of_set.values()
    even = data.described(pools_of([*first[:6], *second[:6]]), [0])
    uneven = data.described(pools_of([*first[:11], *second[:1]]), [0])
    assert even["evenness"].tolist() == pytest.approx([2, 2])
    assert (uneven["evenness"] < 1.5).all()
    assert (uneven["kinds"] == 2).all()


# Steps


def test_the_solver_takes_one_valid_path_of_each_problem_by_the_seed():
    pairs, others = method.taught(PROBLEMS, 0), method.taught(PROBLEMS, 1)
    for one, (question, solution) in zip(PROBLEMS, pairs, strict=True):
        assert question == one.question
        assert all(vars(logic.check(one, solution, "cot")).values())
    assert pairs == method.taught(PROBLEMS, 0)
    assert pairs != others


def test_own_solutions_are_learnt_once_each_if_their_answer_is_right():
    one = PROBLEMS[0]
    right, wrong = one.rationale(), "The answer is Nobody."
    drawn = method.drawn(Sampler(right, f" {right} ", wrong), [one], SamplingParams(max_tokens=9, n=3))
    assert drawn["right"].tolist() == [True, True, False]
    assert drawn["n_tokens"].sum() == 9
    assert method.right_pairs(drawn) == [(one.question, f" {right}")]


def test_a_right_answer_is_rewarded_and_only_a_worked_solution_is_a_path():
    one = PROBLEMS[0]
    path = one.paths()[-1]
    texts = [one.rationale(path=path), f"The answer is {one.answer}.", "The answer is Nobody."]
    completions = [Completion(text, [1], [0.0], "stop") for text in texts]
    assert method.reward(completions, [{"problem": one}] * 3) == [1, 1, 0]
    assert [method.right_path(one, text) for text in texts] == [" ".join(path), None, None]


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """Both routes of one pool through all steps, with a tiny model."""
    folder, pools = tmp_path_factory.mktemp("loop"), pools_of(PROBLEMS)
    texts = [one.question + one.rationale() for one in PROBLEMS]
    tokenizer = models.train_tokenizer(texts, 400)
    model = models.build(models.config("tiny:0.1M", vocab_size=len(tokenizer), context=192), 0)
    model.save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    settings = replace(SMALL, context=96)
    (folder / "models").mkdir()
    for name in (CONTROL, f"{PLAIN}, {LOOP}"):
        final = experiment.arm_folder(folder / "models", name, 0)
        final.mkdir(parents=True)
        arguments = folder / "models", folder / "base", pools, settings, final, name, 0
        experiment.train_arm(*arguments, log=lambda row: None)
    return folder / "models", settings


def read(folder, name, table):
    return pd.read_parquet(experiment.arm_folder(folder, name, 0) / f"{table}.parquet")


def test_every_step_is_asked_the_same_problems(followed):
    folder, settings = followed
    asked = {name: read(folder, *name) for name in itertools.product([CONTROL], ["replies-0", "replies-3"])}
    asked[LOOP] = read(folder, f"{PLAIN}, {LOOP}", "replies-2")
    first, *others = asked.values()
    for other in others:
        assert other["question"].tolist() == first["question"].tolist()
    assert len(first) == settings.n_test * settings.draws


def test_the_loop_begins_with_the_controls_imitation(followed):
    folder, _ = followed
    control = experiment.arm_folder(folder, CONTROL, 0)
    loop = experiment.arm_folder(folder, f"{PLAIN}, {LOOP}", 0)
    assert (control / "imitation").exists()
    assert not (loop / "imitation").exists()
    assert (loop / REWARDED).exists()


def test_the_control_reads_for_what_the_loop_was_expected_to_cost(followed):
    folder, settings = followed
    rows = json.loads((experiment.arm_folder(folder, CONTROL, 0) / MORE / SETTINGS).read_text())["rows"]
    loop = read(folder, f"{PLAIN}, {LOOP}", "costs").set_index("step")["passes"]
    control = read(folder, CONTROL, "costs").set_index("step")["passes"]
    assert control[MORE] == 3 * rows[-1]["tokens"]
    assert set(loop.index) == {OWN, REWARDED}
    # Replies that are cut short cost less than the solver's, which the control was given.
    assert loop.sum() < control[MORE]
    assert control[MORE] > 3 * settings.imitation


# What replies are worth


def replies(rights, paths=None, seeds=range(5), draws=8):
    """`rights`: (arm, step) → right replies to each of three problems; `paths` → different ones of these."""
    rows = []
    for (arm, step), right in rights.items():
        different = (paths or {}).get((arm, step), 1)
        for seed, item, draw in itertools.product(seeds, range(3), range(draws)):
            more = seed % 2 if step == REWARDED and right[0] else 0  # seeds differ
            good = draw < right[item % len(right)] + more
            path = f"way {draw % different}" if good else None
            rows.append((seed, arm, step, experiment.STEPS[step], item, f"q{item}", f"{good} {path}",
                         "Ann" if good else f"Bob {draw}", good, path))  # fmt: skip
    names = ["seed", "arm", "step", "at", "item", "question", "reply", "answer", "right", "path"]
    return pd.DataFrame(rows, columns=names)


def planted(loop=6, alone=3, own=4, **options):
    rights = {}
    for arm, (_, route) in ARMS.items():
        if route == ALONE:
            rights[arm, "imitation"], rights[arm, MORE] = (2, 3) if alone else (0,), (alone, alone)
        else:
            rights[arm, OWN], rights[arm, REWARDED] = (own, own), (loop, loop)
    return replies(rights, **options)


REWARDS = pd.DataFrame({"arm": [f"{PLAIN}, {LOOP}"], "seed": [0], "degenerate_groups": [0.4]})


def test_pass_at_k_is_the_share_of_all_choices_that_hold_a_right_reply():
    table = results.passes(results.by_item(planted(seeds=[0])))
    of_control = table[table["arm"] == CONTROL].set_index("k")["value"]
    chances = {
        k: np.mean([any(draw < 3 for draw in chosen) for chosen in itertools.combinations(range(8), k)])
        for k in (1, 2, 4, 8)
    }
    assert of_control.to_dict() == pytest.approx(chances)
    assert f"{PLAIN}, {LOOP}{results.BEFORE}" in set(table["arm"])


def test_different_paths_are_counted_among_four_right_replies():
    arm = f"{PLAIN}, {LOOP}"
    items = results.by_item(planted(paths={(arm, OWN): 2}, own=4, seeds=[0])).query("arm == @arm")
    counted = items.groupby("step")["paths"].mean()
    assert counted[OWN] == 2  # four right replies, two of each path
    assert counted[REWARDED] == 1
    few = results.by_item(planted(own=3, seeds=[0])).query("arm == @arm and step == @OWN")
    assert few["paths"].isna().all()


def test_claims_follow_what_was_planted():
    paths = {(arm, OWN): 4 for arm in ARMS}
    items = results.by_item(planted(paths=paths))
    claims = {claim.name: claim for claim in results.claims(items, REWARDS)}
    assert [claim.name for claim in claims.values() if claim.headline] == ["the-loop-beats-imitation"]
    headline = claims["the-loop-beats-imitation"]
    assert (headline.verdict, headline.over, headline.trainings) == (REPRODUCED, "trainings", 5)
    assert headline.effect == pytest.approx((3 + 2 / 5) / 8)
    assert claims["reinforcement-raises-pass-1"].effect == pytest.approx((2 + 2 / 5) / 8)
    assert claims["reinforcement-narrows-paths"].effect == pytest.approx(3)
    assert claims["prismatic-pools-end-ahead"].effect == 0
    before = (2 + 3 + 2) / 3 / 8
    assert claims["the-loop-beats-stopping"].effect == pytest.approx((6 + 2 / 5) / 8 - before)
    worse = {
        claim.name: claim for claim in results.claims(results.by_item(planted(loop=2, alone=5)), REWARDS)
    }
    assert worse["the-loop-beats-imitation"].verdict == OPPOSITE


def test_without_right_replies_nothing_can_be_tested():
    items = results.by_item(planted(loop=0, alone=0, own=0))
    assert {claim.verdict for claim in results.claims(items, REWARDS)} == {UNTESTABLE}


def test_problems_that_have_enough_right_paths_at_one_step_only_decide_nothing():
    items = results.by_item(planted(seeds=[0]))
    before = items["step"] == OWN
    items.loc[before == (items["item"] == 0), "paths"] = np.nan  # never both of one problem
    claim = {one.name: one for one in results.claims(items, REWARDS)}["reinforcement-narrows-paths"]
    assert (claim.verdict, claim.n) == (UNTESTABLE, 0)


def test_a_placebo_compares_arms_only():
    names = {claim.name for claim in results.claims(results.by_item(planted()), REWARDS, placebo=True)}
    assert names == {"the-loop-beats-imitation", "prismatic-pools-end-ahead"}


def test_a_seed_whose_control_has_not_learnt_is_left_out_unless_none_has():
    table = planted(seeds=[0, 2])
    table.loc[(table["seed"] == 2) & (table["arm"] == CONTROL), "right"] = False
    kept, left_out = results.learnt(results.by_item(table))
    assert left_out == [2]
    assert set(kept["seed"]) == {0}
    table["right"] = False
    assert results.learnt(results.by_item(table))[1] == []


def test_reinforcement_that_could_teach_nothing_is_named():
    rewards = REWARDS.assign(degenerate_groups=1.0)
    said = " ".join(results.notes({"replies": planted(seeds=[0]), "rewards": rewards}, []))
    assert "could teach nothing" in said
    assert "Seeds counted: 1 of 1" in said


def test_prismatic_pools_are_compared_within_the_loop():
    table = planted()
    better = (table["arm"] == f"{PRISMATIC}, {LOOP}") & (table["step"] == REWARDED)
    table.loc[better, "right"] = True
    claims = {claim.name: claim for claim in results.claims(results.by_item(table), REWARDS)}
    assert claims["prismatic-pools-end-ahead"].verdict == REPRODUCED
