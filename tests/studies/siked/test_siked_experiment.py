"""The students of SIKeD: fair tasks, who learns what, results that are paired, pictures that draw."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from workbench.errors import UserError
from workbench.studies.common.word_problems import StudentConfig
from workbench.studies.siked import data, experiment, method, results, views
from workbench.studies.siked.method import DistillConfig

LESSON = DistillConfig(0.2, 0.1, 1, 2, 4, context=160, least_gain=-1, max_new_tokens=24)
SIZES = data.Sizes(StudentConfig("tiny:0.1M", 4, 0, 2, 0), LESSON, 12, 6, 8, 2)


def settings(**changed):
    common = {"profile": "quick", "seed": 0, "model": "embedded", "data": "embedded", "teacher": "embedded"}
    ours = {"mixture": "adaptive", "alpha": None, "bias": "none", "iterations": None, "samples": None}
    learning = {"tuning": "full", "restart": "merged", "device": "cpu", "seeds": None, "placebo": False}
    return SimpleNamespace(**{**common, **ours, **learning, **changed})


def plan(**changed):
    return replace(data.plan(settings(**changed)), sizes=SIZES)


def task_of(folder=None, **changed):
    return data.task(folder, plan(**changed))


def test_an_embedded_task_shares_no_question_and_teaches_each_in_three_ways():
    task = task_of()
    groups = [task.train, task.held_out, *task.tests.values()]
    texts = [{question.text for question in group} for group in groups]
    assert [len(group) for group in groups] == [14, 4, 8, 8]
    assert sum(map(len, texts)) == len(set.union(*texts))
    assert set(task.teacher["id"]) == {question.id for question in task.train} & set(task.teacher["id"])
    assert set(task.teacher["strategy"]) == {"cot", "l2m", "pot"}


def test_files_are_split_by_what_the_teacher_solved(tmp_path):
    problems = [{"question": f"Tom number {n} has {n} balls. How many?", "answer": str(n)} for n in range(20)]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, problems)))
    solved = [
        {"instruction": each["question"], "output": f"The answer is {each['answer']}"} for each in problems
    ]
    (tmp_path / "teacher.json").write_text(json.dumps(solved[:12]))
    given = {"data": str(tmp_path / "data.jsonl"), "teacher": f"rationales:{tmp_path / 'teacher.json'}"}
    task = task_of(**given)
    assert len(task.train) + len(task.held_out) == 12
    assert len(task.tests["the others"]) == 8
    assert task.notes[:2] == [
        "right solutions of the teacher: cot 9 of 9, l2m 0 of 0, pot 0 of 0",
        "none is right in l2m and pot, so students learn the rest",
    ]
    assert task.notes[2] == "0 of 8 test questions share 10 words in a row with training"
    assert [name for name in experiment.arms(task, plan(**given)) if len(name) == 3] == [
        "cot"
    ]  # the teacher's only one
    (tmp_path / "teacher.json").write_text(json.dumps(solved))
    with pytest.raises(UserError, match="none is left to test on"):
        task_of(**given)
    with pytest.raises(UserError, match="go together"):
        task_of(data="x.jsonl")


@pytest.mark.parametrize("profile", ["quick", "laptop", "paper"])
def test_problems_of_files_have_room_in_every_profile(profile):
    sizes = data.plan(settings(profile=profile, data="gsm8k:train.jsonl")).sizes
    assert sizes.course.context == sizes.lesson.context >= 512
    assert sizes.lesson.max_new_tokens >= 256
    ours = data.SIZES[profile].lesson
    tokens = [lesson.batch_size * lesson.context for lesson in (ours, sizes.lesson)]
    assert 0 <= tokens[0] - tokens[1] < sizes.lesson.context  # of a step: as many, in whole rows
    assert tokens[1] > 0


def test_settings_that_cannot_be_are_said():
    assert data.plan(settings(iterations=5, samples=7)).sizes.lesson.rounds == 5
    with pytest.raises(UserError, match="1 or more"):
        data.plan(settings(samples=0))


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
    base = experiment.base(folder / "base", plan(), lambda **_: None)
    task = task_of()
    answers = experiment.train_all(folder / "students", base, task, plan())
    return folder / "students", base, task, answers


def test_every_student_of_every_seed_answers_every_question_once(fitted):
    folder, base, task, answers = fitted
    counts = answers.groupby(["seed", "arm", "kind"]).size()
    assert (counts == 8).all()
    assert len(counts) == 2 * len(experiment.arms(task, plan())) * 2
    again = experiment.train_all(folder, base, task, plan())
    assert again.equals(answers)
    told = experiment.rounds(folder, task, plan())
    first = told[(told["round"] == 0) & told["arm"].isin(["combined", "SIKeD", "off-policy", "self only"])]
    assert first.groupby("seed")["held_out"].nunique().eq(1).all()  # the same model learnt from the teacher
    assert (told.loc[told["arm"] == "pot", "n_cot"] == 0).all()
    for path in ("combined/round-0/model/model.safetensors", "SIKeD/round-1/wrote/cot-000000.parquet"):
        assert len({(folder / f"seed-{seed}" / path).read_bytes() for seed in range(2)}) == 2


def test_a_strategy_that_nobody_solves_or_chooses_is_remarked():
    nothing = {
        "alpha_cot": 1.0,
        "alpha_l2m": 0.5,
        "alpha_pot": float("nan"),
        "n_cot": 4,
        "n_l2m": 4,
        "n_pot": 0,
    }
    chose = {"chose_cot": 3, "chose_l2m": 0, "chose_pot": 1}
    rows = [
        {"arm": arm, "round": number, "chosen": number == 1, "seed": 0, **nothing, **chose}
        for arm in ("cot", "combined", "SIKeD") for number in range(2)
    ]  # fmt: skip
    assert results.remarks(pd.DataFrame(rows)) == [
        "SIKeD, round 1: learnt no solution of its own in cot (1 of 1 seeds), pot (1 of 1 seeds)",
        "combined: never chose l2m by itself in the end",
        "SIKeD: never chose l2m by itself in the end",
    ]


def test_steps_are_the_calculations_whatever_they_are_called():
    teacher = pd.DataFrame(
        {"id": ["a", "a"], "strategy": ["cot", "pot"],
         "text": ["3 + 4 = 7. 7 - 2 = 5. The answer is 5.", "cups = 3 + 4\nans = cups - 2"]}
    )  # fmt: skip
    steps = {row.strategy: results._steps(row.text) for row in teacher.itertuples()}
    assert steps["cot"] == [("+", "3", "4"), ("-", "7", "2")]
    assert results._steps("pies = 4 + 3\nans = pies - 2") == steps["pot"]
    assert results._steps("How many are there? 4 + 3 = 7. How many are left? 7 - 2 = 5.") == steps["cot"]
    assert results._steps("cups = 3 + 4\nans = 2 - cups") != steps["pot"]
    assert results._steps("3 + 2 = 5. 5 - 0 = 5.") != steps["cot"]


def test_every_picture_draws(fitted):
    folder, _, task, answers = fitted
    told = experiment.rounds(folder, task, plan())
    claims = results.claims(answers, experiment.held_out(folder, told), results.headroom(folder, range(2)))
    shown = [
        views.sample(task.teacher),
        views.accuracy(results.accuracies(answers)),
        views.rounds(results.progress(told)),
        views.strategies(results.shares(told)),
        views.solved(results.solved(folder, 0)),
        views.verdicts(results.verdicts(answers)),
        views.same_steps(results.same_steps(folder, told, task.teacher)),
        views.browser(answers).view,
    ]
    assert len({view.record["title"] for view in shown}) == len(shown)
    for view in shown:
        view.bundle()
    assert {claim.view for claim in claims} <= {view.record["title"] for view in shown}
    assert results.solved(folder, 0)["questions"].sum() == len(task.train)


CHOOSES = {"cot": 3, "l2m": 5, "pot": 4}  # held-out questions that the students of one strategy solve


def test_claims_are_paired_over_questions_and_positive_where_ours_is_better():
    arms = {"cot": 0, "l2m": 0, "pot": 0, "combined": 0.25, "SIKeD": 0.75, "off-policy": 0.5, "self only": 1}
    rows = [
        (arm, "unseen", item, seed, "correct" if item < 40 * share else "wrong", "cot")
        for arm, share in arms.items() for item in range(40) for seed in range(2)
    ]  # fmt: skip
    answers = pd.DataFrame(rows, columns=["arm", "kind", "item", "seed", "verdict", "strategy"])
    rounds_of = {"SIKeD": [0.2, 0.5, 0.6], "off-policy": [0.2, 0.5]}  # the latter stopped after round 1
    kept_back = pd.DataFrame(
        [(arm, seed, number, str(item), item < 40 * share)
         for arm, shares in rounds_of.items() for number, share in enumerate(shares)
         for item in range(40) for seed in range(2)],
        columns=["arm", "seed", "round", "id", "right"],
    )  # fmt: skip
    singles = [(name, 0, 0, str(item), item < right) for name, right in CHOOSES.items() for item in range(10)]
    kept_back = pd.concat([kept_back, pd.DataFrame(singles, columns=kept_back.columns)])
    found = {claim.name: claim for claim in results.claims(answers, kept_back, 0.2)}
    assert found["siked-beats-combined"].effect == pytest.approx(0.5)
    assert (found["siked-beats-combined"].n, found["siked-beats-combined"].over) == (40, "questions")
    assert found["siked-beats-combined"].verdict_text == "seen in 2 trainings"
    assert [claim.name for claim in found.values() if claim.headline] == ["siked-beats-combined"]
    assert "(l2m)" in found["combined-beats-single"].says  # chosen on what is held out, not on the test
    tight = {claim.name: claim for claim in results.claims(answers, kept_back, 0.1)}
    assert tight["siked-beats-combined"].verdict == "not testable here"
    assert "solved by some strategy" in tight["siked-beats-combined"].failed_gates[0].name
    assert found["combined-beats-single"].effect == pytest.approx(0.25)
    assert found["teacher-still-helps"].effect == pytest.approx(-0.25)
    assert found["siked-beats-combined"].low > 0
    assert found["leaves-one-strategy"].effect == 0
    assert found["on-policy-beats-off-policy"].effect == pytest.approx(0.1)
    assert found["gains-wane"].effect == pytest.approx(0.3 - 0.1)


def test_a_student_that_spreads_its_answers_has_left_its_favourite_strategy():
    chosen = {"combined": ["cot"] * 9 + ["pot"], "SIKeD": ["l2m"] * 6 + ["cot"] * 4}
    arms = {**chosen, **{name: ["cot"] * 10 for name in ("cot", "off-policy", "self only")}}
    rows = [
        (arm, "unseen", item, 0, "wrong", name)
        for arm, names in arms.items() for item, name in enumerate(names)
    ]  # fmt: skip
    answers = pd.DataFrame(rows, columns=["arm", "kind", "item", "seed", "verdict", "strategy"])
    kept_back = pd.DataFrame(
        {"arm": ["SIKeD", "off-policy"], "seed": 0, "round": 0, "id": "a", "right": True}
    )
    found = {claim.name: claim for claim in results.claims(answers, kept_back, 0.2)}
    assert found["leaves-one-strategy"].effect == pytest.approx(0.9 - 0.6)


def test_in_a_placebo_run_every_student_learns_as_the_control_with_a_seed_of_its_own(fitted, tmp_path):
    _, base, task, _ = fitted
    few = replace(SIZES, seeds=1, students=("combined", "SIKeD", "self only"))
    chance = replace(plan(placebo=True), sizes=few)
    answers = experiment.train_all(tmp_path, base, task, chance)
    told = experiment.rounds(tmp_path, task, chance)
    assert set(told["arm"]) == set(few.students)
    assert not list(tmp_path.glob("**/wrote"))  # nobody learns from itself
    weights = [path.read_bytes() for path in tmp_path.glob("seed-0/*/round-0/model/model.safetensors")]
    assert len(set(weights)) == len(weights) == 3
    made = results.claims(answers, experiment.held_out(tmp_path, told), results.headroom(tmp_path, range(1)))
    assert {claim.name for claim in made} == {
        "siked-beats-combined", "teacher-still-helps", "leaves-one-strategy"
    }  # fmt: skip
    alone = replace(chance, sizes=replace(few, students=("combined",)))
    with pytest.raises(UserError, match="needs an arm beside the control"):
        experiment.train_all(tmp_path / "alone", base, task, alone)


def test_a_biased_student_learns_one_solution_a_question_in_every_round(fitted, tmp_path):
    _, base, task, _ = fitted
    biased = replace(plan(bias="pot", mixture="teacher-only"), sizes=replace(SIZES, seeds=1))
    experiment.train_all(tmp_path, base, task, biased)
    told = experiment.rounds(tmp_path, task, biased)
    several = told[~told["arm"].isin(["cot", "l2m", "pot"])]
    assert (several["n_all"] <= len(task.train)).all()
    first = several[several["round"] == 0]
    assert (first["n_pot"] == len(task.train)).all()
    assert (first["n_cot"] == 0).all()
    assert results.solved(tmp_path, 0)["questions"].sum() == len(task.train)  # though SIKeD wrote nothing


@pytest.mark.parametrize("arm", ["SIKeD", "off-policy", "self only"])
def test_a_student_that_takes_over_what_another_has_begun_ends_as_one_that_does_it_all(fitted, tmp_path, arm):
    folder, base, task, _ = fitted
    own = experiment.arms(task, plan())[arm]
    asking = (base, task.teacher, task.train, task.held_out, SIZES.lesson)
    alone = method.distill(tmp_path, *asking, device="cpu", seed=0, **own)
    shared = folder / "seed-0" / arm.replace(" ", "-")
    assert alone.rounds.equals(pd.read_parquet(shared / "rounds.parquet"))
    wrote = [pd.read_parquet(place / "round-1" / "wrote") for place in (tmp_path, shared)]
    assert wrote[0].equals(wrote[1])
    for path in shared.glob("round-*/model/model.safetensors"):
        assert (tmp_path / path.relative_to(shared)).read_bytes() == path.read_bytes()
