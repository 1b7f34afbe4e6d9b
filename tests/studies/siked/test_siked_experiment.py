"""The students of SIKeD: fair tasks, who learns what, results that are paired, pictures that draw."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.errors import UserError
from workbench.studies.siked import (
    data,
    embedded,
    experiment,
    imitation,
    ledger,
    method,
    mixing,
    results,
    views,
)
from workbench.studies.siked.data import LONGER, ON_POLICY, SIKED
from workbench.studies.siked.embedded import Course
from workbench.studies.siked.method import DistillConfig

LESSON = DistillConfig(0.5, 0.3, 1, 2, 2, context=160, max_new_tokens=24)
COURSE = Course("tiny:0.1M", 4, 2, problems=60)
MAIN = ("combined", LONGER, SIKED, "off-policy", "self only", ON_POLICY)
SIDE = ("all", "cot", "pot", "biased to pot")
SIZES = data.Sizes(COURSE, LESSON, 12, 6, 8, 2, 1, MAIN, SIDE, guide=COURSE)


def settings(**changed):
    common = {"profile": "quick", "seed": 0, "model": "embedded", "data": "logic", "teacher": "embedded"}
    ours = {"mixture": "adaptive", "alpha": None, "bias": "none", "iterations": None, "samples": None}
    learning = {"tuning": "full", "restart": "merged", "device": "cpu", "seeds": None, "placebo": False}
    learning["test"] = None
    return SimpleNamespace(**{**common, **ours, **learning, **changed})


def plan(**changed):
    return replace(data.plan(settings(**changed)), sizes=SIZES)


def task_of(folder=None, **changed):
    return data.task(folder, plan(**changed), 0)


@pytest.mark.parametrize("name", ["logic", "embedded"])
def test_an_embedded_task_shares_no_question_and_its_teacher_solves_some_of_it(name):
    task = task_of(data=name)
    groups = [task.train, task.held_out, *task.tests.values()]
    texts = [{question.text for question in group} for group in groups]
    assert [len(group) for group in groups] == [14, 4, 8, 8]
    assert sum(map(len, texts)) == len(set.union(*texts))
    essences = [{embedded.essence(question.problem) for question in group} for group in groups]
    assert sum(map(len, essences)) == len(set.union(*essences))  # nor start and moves, template and numbers
    assert set(task.teacher["id"]) <= {question.id for question in task.train}
    assert set(task.teacher["strategy"]) == {"cot", "l2m", "pot"}
    assert 0.4 < len(task.teacher) / (14 * 3) < 0.95  # about 70 % of questions and strategies


def test_seeds_have_questions_of_their_own_and_a_placebo_is_asked_its_seeds():
    tasks = data.tasks(None, plan())
    assert list(tasks) == [0, 1]
    texts = [{question.text for question in task.train} for task in tasks.values()]
    assert texts[0] != texts[1]
    assert data.task_of(tasks, 20_001) is tasks[1]
    assert data.task_of(data.tasks(None, plan(seed=3)), 10_003).train[0].text


def rows_of(n):
    problems = [{"question": f"Tom number {k} has {k} balls. How many?", "answer": str(k)} for k in range(n)]
    chains = [
        {"instruction": one["question"], "output": f"The answer is {one['answer']}"} for one in problems
    ]
    return problems, chains


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def test_the_test_is_drawn_before_anybody_looks_what_the_teacher_solved(tmp_path):
    problems, chains = rows_of(40)
    given = {"data": write(tmp_path / "data.jsonl", problems)}
    given["teacher"] = f"rationales:{write(tmp_path / 'teacher.jsonl', chains[:24])}"
    task = task_of(**given)
    asked = {question.text for question in task.tests["the others"]}
    solved = {row["instruction"] for row in chains[:24]}
    assert len(asked) == 8  # a fifth
    assert asked & solved  # some that the teacher solves,
    assert asked - solved  # and some that it does not
    assert {question.text for question in [*task.train, *task.held_out]} <= solved - asked
    assert "none is right in l2m and pot, so students learn the rest" in task.notes
    tasks = dict.fromkeys(range(2), task)
    assert [name for name in experiment.arms(plan(**given), tasks) if len(name) == 3] == ["all", "cot"]
    assert ON_POLICY not in experiment.arms(plan(**given), tasks)


def test_a_test_of_its_own_is_asked_and_nothing_of_it_is_learnt(tmp_path):
    problems, chains = rows_of(40)
    given = {
        "data": write(tmp_path / "data.jsonl", problems[:30]),
        "test": write(tmp_path / "asked.jsonl", problems[30:]),
        "teacher": f"rationales:{write(tmp_path / 'teacher.jsonl', chains)}",
    }
    task = task_of(**given)
    assert {one.text for one in task.tests["asked"]} <= {row["question"] for row in problems[30:]}
    assert len(task.train) + len(task.held_out) == 18
    with pytest.raises(UserError, match=r"share \d questions"):
        task_of(**{**given, "test": write(tmp_path / "leak.jsonl", problems[25:35])})


def test_a_selection_saved_by_the_map_is_both_questions_and_solutions(tmp_path):
    drawn = embedded.TASKS["logic"].draw(30, 5, False, COURSE)
    rows = [
        {"id": one.id, "question": one.question, "strategy": name, "rationale": one.rationale(name),
         "answer": one.gold}
        for one in drawn for name in ("cot", "l2m")
    ]  # fmt: skip
    path = write(tmp_path / "selection.jsonl", rows)
    task = task_of(data=path, teacher=f"rationales:{path}")
    assert len(task.train) + len(task.held_out) == 18
    assert task.teacher["strategy"].value_counts().to_dict() == {"cot": 14, "l2m": 14}


@pytest.mark.parametrize("profile", ["quick", "laptop", "paper"])
def test_problems_of_files_have_room_in_every_profile(profile):
    sizes = data.plan(settings(profile=profile, data="gsm8k:train.jsonl")).sizes
    assert sizes.course.context == sizes.lesson.context >= 512
    assert sizes.lesson.max_new_tokens >= 256
    ours = data.SIZES[profile].lesson
    tokens = [lesson.batch_size * lesson.context for lesson in (ours, sizes.lesson)]
    assert 0 <= tokens[0] - tokens[1] < sizes.lesson.context  # of a step: as many, in whole rows
    assert tokens[1] > 0


def test_iterations_are_rounds():
    assert data.plan(settings(iterations=5, samples=7)).sizes.lesson.rounds == 5


@pytest.fixture(scope="module", autouse=True)
def one_process():
    """Students one after the other: so small, they end before new processes have started."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("siked")
    base, tasks = experiment.base(folder / "base", plan(), lambda **_: None), data.tasks(folder, plan())
    guide = experiment.guide(folder / "guide", base, tasks, plan(), lambda **_: None)
    answers = experiment.train_all(folder / "students", base, guide, tasks, plan())
    return folder / "students", base, guide, tasks, answers


def test_every_student_of_every_seed_answers_every_question_once(fitted):
    folder, base, guide, tasks, answers = fitted
    counts = answers.groupby(["arm", "kind", "seed"]).size()
    assert (counts == 8).all()
    assert counts.groupby("arm").size().to_dict() == {
        name: 4 if name in MAIN else 2 for name in [*MAIN, *SIDE]
    }
    assert set(answers["plan"]) <= {0.0, 1.0}
    again = experiment.train_all(folder, base, guide, tasks, plan())
    assert again.equals(answers)
    told = experiment.rounds(folder, tasks, plan())
    first = told[(told["round"] == 0) & told["arm"].isin(MAIN)]
    assert first.groupby("seed")["held_out"].nunique().eq(1).all()  # the same model learnt from the teacher
    last = told.groupby("arm")["round"].max()
    assert last[["combined", "cot"]].eq(0).all()
    assert last[[LONGER, ON_POLICY]].eq(1).all()
    assert (told.loc[told["arm"] == "pot", "n_cot"] == 0).all()
    for path in ("combined/round-0/model/model.safetensors", "SIKeD/round-1/wrote/cot-000000.parquet"):
        assert len({(folder / f"seed-{seed}" / path).read_bytes() for seed in range(2)}) == 2


@pytest.mark.parametrize("name", ["logic", "embedded"])
def test_the_larger_teacher_reads_nothing_that_any_seed_holds_out_or_asks(fitted, monkeypatch, name):
    solved = []
    monkeypatch.setattr(embedded, "_train", lambda *_: "")
    monkeypatch.setattr(embedded, "_read", lambda problem, *_: solved.append(problem) or "")
    task = replace(embedded.TASKS[name], texts=lambda *_: [])
    embedded.train_guide("x", task, fitted[1], COURSE, seed=0, device="cpu", log=print)
    assert len(solved) == 3 * COURSE.problems  # one solution in each strategy
    read = {embedded.essence(problem) for problem in solved}
    for task in data.tasks(None, plan(data=name)).values():
        for group in (task.held_out, *task.tests.values()):
            assert not read & {embedded.essence(question.problem) for question in group}


def test_questions_of_one_start_and_the_same_moves_in_any_order_and_words_are_in_one_part():
    drawn = embedded.TASKS["logic"].draw(2000, 3, False, COURSE)
    parts = {}
    for one in drawn:
        parts.setdefault((one.start, *sorted(one.moves)), set()).add(embedded.part_of(one))
    assert all(len(names) == 1 for names in parts.values())
    counts = pd.Series([name for names in parts.values() for name in names]).value_counts(normalize=True)
    assert counts.to_dict() == pytest.approx({"train": 0.6, "test": 0.25, "held out": 0.15}, abs=0.06)
    few = replace(embedded.TASKS["logic"], draw=lambda *_: drawn[:4])
    with pytest.raises(ValueError, match="there are no 5 problems of the part 'test'"):
        embedded.drawn(few, 5, 0, "test", COURSE)


def test_every_student_makes_as_many_steps_whatever_it_learns_from(fitted):
    folder, base, _, tasks, _ = fitted
    frame = experiment.rounds(folder, tasks, plan())
    learnt = frame[frame["steps"] > 0]
    assert set(learnt["arm"]) == {*MAIN, *SIDE}
    wanted = {seed: method.lengths(base, task.teacher, LESSON, "cpu") for seed, task in tasks.items()}
    assert {steps for both in wanted.values() for steps in both} - {1}  # not the fewest that there can be
    for row in learnt.itertuples():
        assert row.steps == wanted[row.seed][row.round > 0]
        made = experiment.arm_folder(folder, row.arm, row.seed) / f"round-{row.round}" / "model"
        if row.arm != ON_POLICY or row.round == 0:  # imitation keeps no history
            kept = json.loads((made / "training.json").read_text())["settings"]
            assert (kept["steps"], kept["warmup"]) == (row.steps, row.steps // 8)


def test_imitation_makes_the_steps_that_it_is_told_and_writes_what_they_hold(fitted, tmp_path, monkeypatch):
    _, base, guide, tasks, _ = fitted
    made, written = [], []
    write, divergence = imitation._write, imitation._loss
    monkeypatch.setattr(imitation, "_write", lambda *args: written.append(write(*args)) or written[-1])
    monkeypatch.setattr(imitation, "_loss", lambda *args: made.append(len(args[2])) or divergence(*args))
    config = replace(LESSON, round_epochs=2, max_new_tokens=4)
    imitation.imitate(tmp_path / "new", base, guide, tasks[0].train, config, 21, 0, "cpu")
    rows = LESSON.batch_size * LESSON.context // imitation._TOKENS
    assert made == 21 * [rows]
    assert [len(part) for part in written] == [10 * rows, 11 * rows]
    assert [imitation.warmup(steps) for steps in (7, 32, 500)] == [0, 4, 20]


def told(arm, number, **changed):
    one = {"arm": arm, "round": number, "seed": 0, "alpha_cot": 1.0, "alpha_l2m": 0.5, "n_cot": 4, "n_l2m": 4}
    one |= {"alpha_pot": float("nan"), "alpha_all": 0.75, "n_pot": 0, "lucky_own": 0.0}
    return one | {"chose_cot": 3, "chose_l2m": 0, "chose_pot": 1} | changed


def forced(**right):
    """Held-out questions a, b … of seed 0 that each strategy solves."""
    return pd.DataFrame(
        [(0, name, strategy, name in solved) for strategy, solved in right.items() for name in "abcd"],
        columns=["seed", "id", "strategy", "right"],
    )


def test_what_a_reader_should_know_of_the_rounds_is_remarked():
    alone = {"alpha_all": 1.0, "lucky_own": float("nan")}
    rows = pd.DataFrame(
        [told("cot", 0), told(LONGER, 0, **alone), told(LONGER, 1, **alone), told("SIKeD", 1)]
    )
    assert results.remarks(rows, forced(cot="ab", l2m="bc", pot="")) == [
        "SIKeD, round 1: learnt no solution of its own in cot (1 of 1 seeds), pot (1 of 1 seeds)",
        f"{LONGER}: never chose l2m by itself in the end",
        "SIKeD: never chose l2m by itself in the end",
    ]
    same = results.remarks(rows, forced(cot="ab", l2m="ab", pot="ab"))
    assert same[0] == "every strategy solves the same questions: there is nothing to mix"
    assert "all are kept" in results.remarks(rows, forced(cot="", l2m="", pot=""))[0]
    some = pd.concat([forced(cot="", l2m="", pot=""), forced(cot="ab", l2m="ab", pot="ab").assign(seed=1)])
    assert results.remarks(rows, some)[0].startswith("seeds left out")


def test_headroom_is_what_some_strategy_solves_beyond_the_best_one():
    assert results.headroom(forced(cot="ab", l2m="bc", pot="")) == pytest.approx(3 / 4 - 2 / 4)
    assert results.unlearnt(forced(cot="", l2m="", pot="")) == [0]
    assert results.unlearnt(forced(cot="a", l2m="", pot="")) == []


def test_where_every_seed_has_learnt_nothing_all_are_kept():
    frame = pd.DataFrame({"seed": [0, 1, 1]})
    assert results.without(frame, [1])["seed"].tolist() == [0]
    assert results.without(frame.iloc[:0], [0]).empty
    assert results.without(frame, [0, 1])["seed"].tolist() == [0, 1, 1]


def test_every_picture_draws(fitted):
    folder, _, guide, tasks, answers = fitted
    frame, asked = experiment.rounds(folder, tasks, plan()), experiment.forced(folder, plan())
    held_out = experiment.held_out(folder, frame)
    taught = experiment.guide_right(folder, guide, tasks, plan())
    claims = ledger.claims(answers, held_out, frame, results.headroom(asked), taught)
    shown = [
        views.sample(tasks[0].teacher),
        views.accuracy(results.accuracies(answers)),
        views.rounds(results.progress(frame)),
        views.strategies(results.shares(frame)),
        views.solved(results.solved(asked)),
        views.verdicts(results.verdicts(answers)),
        views.browser(answers).view,
    ]
    assert len({view.record["title"] for view in shown}) == len(shown)
    for view in shown:
        view.bundle()
    assert {claim.view for claim in claims} <= {view.record["title"] for view in shown}
    assert len({claim.name for claim in claims}) == len(claims) >= 10
    assert results.solved(asked)["questions"].sum() == 2 * len(tasks[0].held_out)


ARMS = {"combined": 0.25, LONGER: 0.3, SIKED: 0.75, "off-policy": 0.5, "self only": 1.0, ON_POLICY: 0.5,
        "cot": 0.1, "l2m": 0.2, "pot": 0.1, "biased to cot": 0.2, "biased to pot": 0.3}  # fmt: skip


def answers_of(arms, strategies=lambda arm, item: "cot", seeds=2):
    rows = [
        (arm, "unseen", item, seed, "correct" if item < 40 * share else "wrong", strategies(arm, item),
         float(item < 20 * share))
        for arm, share in arms.items() for item in range(40) for seed in range(seeds)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["arm", "kind", "item", "seed", "verdict", "strategy", "plan"])


def rounds_of(shares, n=40, seeds=2):
    """Held-out answers of arms by round."""
    return pd.DataFrame(
        [(arm, seed, number, str(item), item < n * share)
         for arm, by_round in shares.items() for number, share in enumerate(by_round)
         for item in range(n) for seed in range(seeds)],
        columns=["arm", "seed", "round", "id", "right"],
    )  # fmt: skip


ALONE = pd.DataFrame(
    [("self only", seed, number, bits, lucky) for seed in range(2)
     for number, (bits, lucky) in enumerate([(1.5, float("nan")), (1.2, 0.1), (0.9, 0.3)])],
    columns=["arm", "seed", "round", "entropy", "lucky_own"],
)  # fmt: skip


def mixed(share):
    """The rounds of a student alone, and of one of SIKeD with a share of its teacher's."""
    siked = [{"arm": SIKED, "seed": 0, "round": number, "alpha_all": share or 1.0} for number in range(1, 3)]
    return pd.concat([ALONE, pd.DataFrame([{**siked[0], "round": 0, "alpha_all": 1.0}, *siked])])


def test_claims_are_paired_over_questions_and_positive_where_ours_is_better():
    held_out = rounds_of({SIKED: [0.2, 0.5, 0.6], "cot": [0.3], "l2m": [0.5], "pot": [0.4],
                          "biased to cot": [0.1, 0.9], "biased to pot": [0.8, 0.2]})  # fmt: skip
    found = {claim.name: claim for claim in ledger.claims(answers_of(ARMS), held_out, ALONE, 0.2, 0.9)}
    effects = {
        "siked-beats-combined": 0.45, "siked-beats-first-distillation": 0.5, "combined-beats-single": 0.05,
        "teacher-still-helps": -0.25, "on-policy-beats-off-policy": 0.25, "unbiased-beats-biased": 0.55,
        "imitation-beats-combined": 0.2, "imitation-beats-siked": -0.25, "siked-plans-better": 0.225,
        "leaves-one-strategy": 0.0, "gains-wane": 0.3 - 0.1, "favourite-is-amplified": 0.6,
        "luck-is-amplified": 0.2,
    }  # fmt: skip
    assert {name: claim.effect for name, claim in found.items()} == pytest.approx(effects)
    assert "(l2m)" in found["combined-beats-single"].says  # chosen on what is held out, not on the test
    assert "biased to cot" in found["unbiased-beats-biased"].says  # by its last round
    headline = found["siked-beats-combined"]
    assert (headline.n, headline.over, headline.verdict_text) == (40, "questions", "seen in 2 trainings")
    assert [claim.name for claim in found.values() if claim.headline] == ["siked-beats-combined"]


def test_gates_stop_a_claim_that_means_nothing():
    def verdicts(headroom=0.2, taught=0.9, **changed):
        made = ledger.claims(answers_of(ARMS | changed), rounds_of({SIKED: [0.2]}), ALONE, headroom, taught)
        return {claim.name for claim in made if claim.verdict == "not testable here"}

    assert verdicts() == {
        "teacher-still-helps",
        "siked-plans-better",
    }  # their controls: 1.0, and .15 of plans
    assert "siked-beats-combined" in verdicts(headroom=0.1)
    assert "imitation-beats-combined" in verdicts(taught=0.5)
    assert "siked-beats-first-distillation" in verdicts(combined=0.1)


def test_the_teachers_help_cannot_be_judged_where_it_has_no_part_in_the_mixture():
    def verdict(share):
        arms = ARMS | {"self only": 0.5}
        made = ledger.claims(answers_of(arms, seeds=5), rounds_of({SIKED: [0.2]}), mixed(share), 0.2, 0.9)
        (claim,) = (one for one in made if one.name == "teacher-still-helps")
        return claim.verdict

    assert verdict(0.01) == "not testable here"
    assert verdict(0.3) != "not testable here"


def test_a_placebo_run_claims_nothing_about_rounds():
    held_out = rounds_of({SIKED: [0.2, 0.5, 0.6]})
    names = [
        {claim.name for claim in ledger.claims(answers_of(ARMS), held_out, ALONE, 0.2, placebo=chance)}
        for chance in (False, True)
    ]
    assert names[0] - names[1] == {"gains-wane", "favourite-is-amplified", "luck-is-amplified"}


def test_a_student_that_spreads_its_answers_has_left_its_favourite_strategy():
    def strategies(arm, item):
        return ("cot" if item % 2 else "pot") if arm == SIKED else "cot"

    answers = answers_of({"combined": 0.3, SIKED: 0.3}, strategies, seeds=5)
    (claim,) = (one for one in ledger.claims(answers, rounds_of({SIKED: [0.3]}), ALONE, 0.2)
                if one.name == "leaves-one-strategy")  # fmt: skip
    assert (claim.effect, claim.over, claim.n) == (pytest.approx(1.0), "trainings", 5)
    assert mixing.entropy({"cot": 4, "none": 4}) == 0  # no tag is no strategy, here and by round
    assert mixing.entropy({"cot": 4, "pot": 4, "none": 9}) == 1
    assert np.isnan(mixing.entropy({"none": 4}))


def test_in_a_placebo_run_every_student_learns_as_the_control_with_a_seed_of_its_own(fitted, tmp_path):
    _, base, _, tasks, _ = fitted
    few = replace(SIZES, seeds=1, students=("combined", LONGER, SIKED), side=("cot", "pot"))
    chance = replace(plan(placebo=True), sizes=few)
    answers = experiment.train_all(tmp_path, base, "", tasks, chance)
    frame = experiment.rounds(tmp_path, tasks, chance)
    assert frame.groupby("arm")["round"].max().to_dict() == dict.fromkeys([*few.students, *few.side], 1)
    assert not list(tmp_path.glob("**/wrote"))  # nobody learns from itself
    weights = [path.read_bytes() for path in tmp_path.glob("seed-0/*/round-0/model/model.safetensors")]
    assert len(set(weights)) == len(weights) == 5  # side students too: no two begin from one seed
    room = results.headroom(experiment.forced(tmp_path, chance))
    held_out = experiment.held_out(tmp_path, frame)
    made = ledger.claims(answers, held_out, frame, room, placebo=True)
    assert {"siked-beats-combined", "siked-beats-first-distillation"} <= {claim.name for claim in made}
    alone = replace(chance, sizes=replace(few, students=(LONGER,)))
    with pytest.raises(UserError, match="needs an arm beside the control"):
        experiment.train_all(tmp_path / "alone", base, "", tasks, alone)


def test_a_biased_student_learns_one_solution_a_question_in_every_round(fitted):
    folder, _, _, tasks, _ = fitted
    frame = experiment.rounds(folder, tasks, plan())
    biased = frame[frame["arm"] == "biased to pot"]
    assert (biased["n_all"] <= len(tasks[0].train)).all()
    first = biased[biased["round"] == 0].iloc[0]
    assert first["n_pot"] == (tasks[0].teacher["strategy"] == "pot").sum()


@pytest.mark.parametrize("arm", ["off-policy", "self only", ON_POLICY])
def test_a_student_that_takes_over_what_another_has_begun_ends_as_one_that_does_it_all(fitted, tmp_path, arm):
    folder, base, guide, tasks, _ = fitted
    own = experiment.arms(plan(), tasks)[arm]
    if "guide" in own:
        own["guide"] = guide
    asking = (base, tasks[0].teacher, tasks[0].train, tasks[0].held_out, SIZES.lesson)
    alone = method.distill(tmp_path, *asking, device="cpu", seed=0, **own)
    shared = experiment.arm_folder(folder, arm, 0)
    assert alone.rounds.equals(pd.read_parquet(shared / "rounds.parquet"))
    for path in shared.glob("round-*/model/model.safetensors"):
        assert (tmp_path / path.relative_to(shared)).read_bytes() == path.read_bytes()


# ------------------------------------------------------------------------------- on-policy distillation
def test_the_divergence_is_that_of_trl():
    from trl.experimental.gkd.gkd_trainer import GKDTrainer

    torch.manual_seed(0)
    student, teacher = torch.randn(3, 7, 11), torch.randn(3, 7, 11)
    learnt = torch.rand(3, 7) < 0.6
    labels = torch.where(learnt, 1, -100)
    theirs = GKDTrainer.generalized_jsd_loss(student, teacher, labels, beta=1.0)
    assert imitation.reverse_kl(student, teacher, learnt).item() == pytest.approx(theirs.item(), rel=1e-5)
    assert imitation.reverse_kl(teacher, teacher, learnt).item() == pytest.approx(0, abs=1e-6)


def test_a_student_comes_nearer_to_the_model_that_it_imitates(fitted, tmp_path):
    _, base, _, tasks, _ = fitted
    from workbench.engine import loading, models

    _, tokenizer = loading.load(base, "cpu")
    shape = models.config("tiny:0.1M", vocab_size=len(tokenizer), context=160)
    loading.save(models.build(shape, 7), tokenizer, tmp_path / "other")
    config = replace(LESSON, round_epochs=6, learning_rate=1e-2, max_new_tokens=8)
    imitation.imitate(tmp_path / "new", base, str(tmp_path / "other"), tasks[0].train, config, 48, 0, "cpu")
    ids = torch.tensor([[5, 9, 20, 31, 7]])
    wanted, before, after = (
        loading.load(place, "cpu")[0](ids).logits.detach()
        for place in (tmp_path / "other", base, tmp_path / "new")
    )
    everywhere = torch.ones(1, 5, dtype=torch.bool)
    assert (
        imitation.reverse_kl(after, wanted, everywhere) < imitation.reverse_kl(before, wanted, everywhere) / 2
    )
    stranger = models.train_tokenizer(["quite another text, of other words"], 300)
    shape = models.config("tiny:0.1M", vocab_size=300, context=160)
    loading.save(models.build(shape, 0), stranger, tmp_path / "stranger")
    with pytest.raises(UserError, match="another vocabulary"):
        imitation.imitate(
            tmp_path / "no", base, str(tmp_path / "stranger"), tasks[0].train, config, 6, 0, "cpu"
        )
