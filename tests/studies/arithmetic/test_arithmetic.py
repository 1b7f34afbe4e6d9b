"""What 07 reads, trains, measures and claims."""

import json
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from families import OTHERS
from model_folders import folder_of

from workbench.corpora import drills
from workbench.corpora.problems import templates
from workbench.engine import loading, models
from workbench.engine.tokens import encode, encode_pairs
from workbench.errors import UserError
from workbench.studies.arithmetic import data as arithmetic_data
from workbench.studies.arithmetic import expected, experiment, results, stages, views
from workbench.studies.arithmetic import settings as arithmetic_settings
from workbench.studies.arithmetic.claims import claims
from workbench.studies.common.arms import arm_folder

SIZES = arithmetic_settings.Sizes(
    "tiny:0.1M", 60, 300, task_tokens=4_000, extra_tokens=2_000, batch_size=8, context=112, seeds=1, n_test=8,
    n_exercises=6, first=("arithmetic", "rules"), largest=12, scenarios=3,
)  # fmt: skip
LONGER = "none, longer"


def settings(**changed):
    common = {"profile": "quick", "seed": 0, "model": "embedded", "data": "embedded", "test": None}
    ours = {"tuning": "full", "seeds": None, "first": None, "placebo": False, "device": "cpu"}
    return SimpleNamespace(**{**common, **ours, **changed})


def plan(sizes=SIZES, **changed):
    return replace(arithmetic_settings.plan(settings(**changed)), sizes=sizes)


@pytest.fixture(scope="module", autouse=True)
def one_process():
    """Trainings one after the other: so small, they end before new processes have started."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def two_routes(monkeypatch):
    """Only one of one stage and one of two, where it matters little what is learnt."""
    monkeypatch.setattr(experiment, "routes_of", lambda sizes: ["arithmetic first", "none"])


@pytest.fixture(scope="module")
def task():
    return arithmetic_data.task(plan())


@pytest.fixture(scope="module")
def asked(task):
    return task.asked


@pytest.fixture(scope="module")
def begin(tmp_path_factory, task):
    return experiment.start(tmp_path_factory.mktemp("start") / "model", plan(), task)


@pytest.fixture(scope="module")
def tokenizer(begin):
    return loading.load(begin, "cpu")[1]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, task, begin):
    folder = tmp_path_factory.mktemp("routes")
    return folder, experiment.train_all(folder, begin, plan(), task, lambda **_: None)


# ------------------------------------------------------------------------------- what is read and asked
def test_word_problems_are_asked_of_both_kinds_each_with_a_twin(asked):
    words, twins = (asked[asked["test"] == name] for name in ("words", "twins"))
    assert words.groupby("kind").size().to_dict() == {"familiar": 8, "unseen": 8}
    assert set(words["steps"]) <= {1, 2}
    assert (words["question"].to_numpy() != twins["question"].to_numpy()).all()
    spelled = [frame["question"].str.replace(r"\d+", "#", regex=True) for frame in (words, twins)]
    assert spelled[0].tolist() == spelled[1].tolist()


def test_templates_are_the_grammars_own_of_one_and_two_steps():
    assert set(arithmetic_data.few_steps(2)) < set(templates())
    assert set(arithmetic_data.few_steps(2, held_out=True)) < set(templates(held_out=True))


def test_no_question_is_both_learnt_and_asked(asked):
    many = replace(SIZES, problems=2_000)
    learnt = arithmetic_data.words(arithmetic_data.task(plan(many)), many, 0)
    assert len(learnt) == 2_000
    assert not {question for question, _ in learnt} & set(asked["question"])
    for stage in SIZES.first[1:]:  # the first is a table, which is asked whole
        read = {each.question for each in stages.exercises(stage, 0, SIZES)}
        own = asked[asked["test"] == stage]
        assert len(own)
        assert not read & set(own["question"])


def test_every_fact_of_the_table_is_asked_once_and_read(asked):
    own = asked[asked["test"] == "arithmetic"]
    assert len(own) == len(drills.facts(SIZES.largest))
    assert not own.duplicated("question").any()
    read = stages.exercises("arithmetic", 0, replace(SIZES, exercises=len(own)))
    assert sorted(each.answer for each in read) == sorted(own["gold"])


def test_of_large_numbers_the_operands_are_kept_apart():
    large = replace(SIZES, largest=1_000, digits=2, exercises=200, n_exercises=40)
    read, asked = ({each.question for each in stages.exercises("arithmetic", 0, large, split)}
                   for split in ("train", "test"))  # fmt: skip
    numbers = [{tuple(sorted(re.findall(r"\d+", question))) for question in one if "+" in question}
               for one in (read, asked)]  # fmt: skip
    assert all(numbers)
    assert not numbers[0] & numbers[1]


def test_word_problems_are_told_in_so_many_scenarios_and_in_one_that_no_training_knows(asked):
    own = arithmetic_data._told(SIZES)
    assert len({name.partition("/")[0] for name in own}) == SIZES.scenarios
    held_out = {name.partition("/")[0] for name in arithmetic_data._told(SIZES, held_out=True)}
    assert len(held_out - {name.partition("/")[0] for name in own}) == 1


def test_routes_read_as_many_tokens_in_all_or_of_word_problems(tokenizer, task):
    words = arithmetic_data.words(task, SIZES, 0)
    sums = stages.pairs_of(stages.exercises("arithmetic", 0, SIZES))
    read = {
        route: experiment.stages_of(route, words, 0, SIZES, tokenizer)
        for route in experiment.routes_of(SIZES)
    }
    totals = {route: sum(tokens for _, tokens in parts) for route, parts in read.items()}
    routes = ["arithmetic first", "rules first", "mixture", LONGER]
    assert totals == {**dict.fromkeys(routes, 6_000), "none": 4_000}
    first, second = (set(pairs) for pairs, _ in read["arithmetic first"])
    assert first <= set(sums)
    assert second == set(words)
    ((pairs, _),) = read["mixture"]
    lengths = [len(prompt) + len(rest) + 1 for prompt, rest in encode_pairs(tokenizer, pairs)]
    of_words = sum(n for n, pair in zip(lengths, pairs, strict=True) if pair in set(words))
    assert of_words == pytest.approx(4_000, abs=100)
    assert sum(lengths) - of_words == pytest.approx(2_000, abs=100)


def test_small_numbers_are_one_token_and_digits_of_larger_ones_are_apart(tokenizer, tmp_path):
    for number in range(100):
        assert len(encode(tokenizer, [f"Sara has {number} plums."])[0]) == len(
            encode(tokenizer, ["Sara has 7 plums."])[0]
        )
    given = plan(replace(SIZES, largest=1_000), data=written(tmp_path / "some.jsonl", range(40)))
    begin = experiment.start(tmp_path / "start", given, arithmetic_data.task(given))
    names = loading.load(begin, "cpu")[1].get_vocab()
    assert all(sum(letter.isdigit() for letter in token) <= 1 for token in names)


@pytest.mark.parametrize(
    ("first", "message"), [("arithmetics", "did you mean 'arithmetic'"), (" , ", "names no stage")]
)
def test_a_first_stage_that_no_one_knows_is_refused_before_anything_is_drawn(first, message):
    with pytest.raises(UserError, match=message):
        arithmetic_settings.plan(settings(first=first))


def test_first_stages_are_read_in_the_order_they_are_named():
    sizes = arithmetic_settings.plan(settings(first="programs, algebra,programs")).sizes
    assert sizes.first == ("programs", "algebra")
    assert experiment.routes_of(sizes)[:2] == ["programs first", "algebra first"]


def written(path, numbers):
    """A file of problems in GSM8K's format, one a number."""
    row = {"question": "What is {0} + 1?", "answer": "{0} + 1 = {1}\n#### {1}"}
    rows = [{name: text.format(n, n + 1) for name, text in row.items()} for n in numbers]
    path.write_text("\n".join(map(json.dumps, rows)))
    return f"gsm8k:{path}"


def test_a_given_file_is_split_by_question(tmp_path):
    given = plan(data=written(tmp_path / "some.jsonl", [*range(20), *range(20)]))
    task = arithmetic_data.task(given)
    words = task.asked[task.asked["test"] == "words"]
    assert len(words) == 4
    assert set(words["kind"]) == {"held out"}
    assert "twins" not in set(task.asked["test"])
    learnt = arithmetic_data.words(task, SIZES, 0)
    assert len(learnt) == 16
    assert not {question for question, _ in learnt} & set(words["question"])
    written(tmp_path / "some.jsonl", [1])
    with pytest.raises(UserError, match="10 or more"):
        arithmetic_data.task(given)


def test_what_is_given_gets_longer_rows_and_larger_numbers_at_as_many_tokens_a_step():
    own, given = (arithmetic_settings.plan(settings(data=data)).sizes for data in ("embedded", "x.jsonl"))
    assert given.context > own.context
    assert given.largest > own.largest
    tokens = [sizes.batch_size * sizes.context for sizes in (own, given)]
    assert abs(tokens[0] - tokens[1]) < given.context  # of a step: as many, in whole rows


def test_each_given_test_file_is_a_kind_and_shares_no_question_with_training(tmp_path):
    data = written(tmp_path / "train.jsonl", range(40))
    first, second = (
        written(tmp_path / f"{name}.jsonl", n) for name, n in (("a", range(50, 60)), ("b", [70, 71]))
    )
    svamp = {"Body": "Tom has 3 pens", "Question": "How many has he?", "Answer": 3.0, "Equation": "3.0"}
    (tmp_path / "s.json").write_text(json.dumps([svamp, {**svamp, "Body": "He has some", "Answer": "many"}]))
    files = f"{first}, {second},svamp:{tmp_path / 's.json'}"
    task = arithmetic_data.task(plan(replace(SIZES, problems=25, seeds=2), data=data, test=files))
    words = task.asked[task.asked["test"] == "words"]
    assert words.groupby("kind").size().to_dict() == {"gsm8k": 8, "gsm8k b": 2, "svamp": 1}
    assert any("1 problems of svamp" in note for note in task.notes)
    learnt = [arithmetic_data.words(task, replace(SIZES, problems=25), seed) for seed in (0, 1)]
    assert [len(own) for own in learnt] == [25, 25]
    assert learnt[0] != learnt[1]
    both = f"{first},{written(tmp_path / 'c.jsonl', [3, 4, 99])}"
    with pytest.raises(UserError, match="share 2 questions"):
        arithmetic_data.task(plan(data=data, test=both))


# ------------------------------------------------------------------------------- training
def test_every_route_is_asked_everything_and_a_second_call_trains_nothing(fitted, task):
    folder, (replies, curves) = fitted
    between = {stage: experiment.before(stage) for stage in SIZES.first}
    own = replies["test"].isin(between.values())
    assert replies[~own].groupby("route").size().eq(len(task.asked)).all()
    for stage, test in between.items():
        asked = replies[replies["test"] == test]
        assert set(asked["route"]) == {experiment.first(stage)}
        assert asked["question"].tolist() == task.asked.query("test == @stage")["question"].tolist()
    routes = experiment.routes_of(SIZES)
    assert set(replies["route"]) == set(routes) == set(curves["route"])
    assert {path.name for path in (folder / "seed-0").iterdir()} == {
        arm_folder(folder, route, 0).name for route in routes
    }
    for path in (folder / "seed-0").iterdir():
        two_stages = ["drill.parquet"] if path.name.endswith("-first") else []
        kept = sorted(file.name for file in path.iterdir())
        assert kept == ["curve.parquet", *two_stages, "replies.parquet"]
    again, _ = experiment.train_all(folder, "no model is needed", plan(), task, lambda **_: None)
    assert again.equals(replies)


def test_a_route_cut_off_in_its_second_stage_goes_on_to_the_same_replies(fitted, begin, task, tmp_path):
    folder, (replies, curves) = fitted
    for route in set(experiment.routes_of(SIZES)) - {"arithmetic first"}:
        shutil.copytree(arm_folder(folder, route, 0), arm_folder(tmp_path, route, 0))

    def cut(tokens, **_):
        if tokens > 1.5 * SIZES.extra_tokens:
            raise KeyboardInterrupt

    given = (tmp_path, begin, plan(), task)
    with pytest.raises(KeyboardInterrupt):
        experiment.train_all(*given, cut)
    assert not arm_folder(tmp_path, "arithmetic first", 0).exists()
    again = experiment.train_all(*given, lambda **_: None)
    assert again[0].equals(replies)
    pd.testing.assert_frame_equal(again[1], curves)


def test_weights_of_half_precision_are_learnt_in_full(begin, task, tmp_path, monkeypatch, two_routes):
    load, train, seen = loading.load, experiment.train, []
    monkeypatch.setattr(loading, "load", lambda *given: (load(*given)[0].bfloat16(), load(*given)[1]))
    monkeypatch.setattr(
        experiment,
        "train",
        lambda model, *given, **how: seen.append(model.dtype) or train(model, *given, **how),
    )
    few = replace(SIZES, task_tokens=1_000, extra_tokens=1_000)
    task = replace(task, asked=task.asked.head(2))
    experiment.train_all(tmp_path, begin, plan(few, model=begin), task, lambda **_: None)
    assert set(seen) == {torch.float32}


def test_curves_go_on_through_both_stages(fitted):
    curves = fitted[1][1]
    own = curves[curves["route"] == "arithmetic first"]
    assert own["tokens"].is_monotonic_increasing
    last = curves.groupby("route")["tokens"].last()
    step = SIZES.batch_size * SIZES.context
    assert last["arithmetic first"] == pytest.approx(SIZES.task_tokens + SIZES.extra_tokens, abs=2 * step)
    assert last["none"] == pytest.approx(SIZES.task_tokens, abs=step)
    assert own["held_out"].iloc[-1] < own["held_out"].iloc[0]


def test_routes_begin_from_a_given_model_and_a_question_that_fills_its_context_gets_no_reply(
    begin, task, tmp_path, two_routes
):
    assert experiment.start(None, plan(model=begin), task) == begin
    long = task.asked.head(2).assign(question=["one " * 200, "Ben has 2 pens. How many pens?"])
    few = plan(replace(SIZES, task_tokens=1_000, extra_tokens=1_000), model=begin)
    task = replace(task, asked=long)
    replies, _ = experiment.train_all(tmp_path / "r", begin, few, task, lambda **_: None)
    assert (replies.loc[replies["item"] == 0, "reply"] == "").all()


@pytest.mark.parametrize(
    ("family", "tuning"), [("Llama", "lora"), ("Qwen2", "full"), ("GPT2", "lora"), ("GPTNeoX", "full")]
)
def test_routes_begin_from_folders_of_every_family_and_leave_them_as_they_were(
    family, tuning, task, tokenizer, tmp_path, two_routes
):
    shape = {**OTHERS[family], "n_positions": 112, "max_position_embeddings": 112}
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=0, **shape
    )
    source = tmp_path / "model"
    loading.save(models.build(config, 0), tokenizer, source)
    weights = (source / "model.safetensors").read_bytes()
    sizes = replace(SIZES, task_tokens=1_000, extra_tokens=1_000)
    few = plan(sizes, model=str(source), tuning=tuning)
    task = replace(task, asked=task.asked.groupby("test").head(2))
    begin = experiment.start(None, few, task)
    replies, curves = experiment.train_all(tmp_path / "r", begin, few, task, lambda **_: None)
    asked = replies[~replies["test"].str.endswith("before word problems")]
    assert len(asked) == 2 * len(task.asked)
    ends = curves.groupby("route")["held_out"].agg(["first", "last"])
    assert (ends["last"] < ends["first"]).all()
    assert (source / "model.safetensors").read_bytes() == weights


def test_without_a_model_there_is_nothing_to_adapt():
    with pytest.raises(UserError, match="name it with model"):
        plan(tuning="lora")


def test_a_model_whose_context_is_too_short_is_refused(task, tokenizer, tmp_path):
    config = models.config("tiny:0.1M", vocab_size=len(tokenizer), architecture="gpt-neo", context=16)
    loading.save(models.build(config, 0), tokenizer, tmp_path / "short")
    with pytest.raises(UserError, match=r"16 tokens, in which only 0% .* longer context"):
        experiment.start(None, plan(model=str(tmp_path / "short")), task)


# ------------------------------------------------------------------------------- results
ARMS = ("none", LONGER, "mixture", "arithmetic first", "rules first")


def answers(luck=0, **wrong):
    """Two seeds of 10 items a test; `wrong` says how many plans of a route are, `luck` how many are lucky."""
    rows = []
    for route in ARMS:
        for seed in (0, 1):
            for item in range(10):
                fails = item < wrong.get(route.replace(", ", "_").replace(" ", "_"), 0)
                plan = f"{item + 5} - 3 = {item + 2}." if fails else f"2 + {item} = {item + 2}."
                reply = f"{plan} The answer is {item + 2 if item < luck or not fails else 99}."
                about = (f"He has 2 and {item}.", f"2 + {item} = {item + 2}.", str(item + 2))
                rows += [(route, seed, test, "unseen", item, 1, *about, reply) for test in ("words", "twins")]
                stage = ("1.", "The answer is 1.", "1", "The answer is 1.")
                rows += [(route, seed, test, "1 step", item, 1, *stage) for test in ("arithmetic", "rules")]
                own = route.removesuffix(" first")
                if own != route:
                    rows += [(route, seed, experiment.before(own), "1 step", item, 1, *stage)]
    columns = ["route", "seed", "test", "kind", "item", "steps", "question", "solution", "gold", "reply"]
    return results.graded(pd.DataFrame(rows, columns=columns))


def claimed(frame, **about):
    return {claim.name: claim for claim in claims(frame, ("arithmetic", "rules"), **about)}


@pytest.mark.parametrize(
    ("reply", "steps", "outcome", "plan", "true"),
    [
        ("3 + 4 = 7. The answer is 7.", 1, "right", 1, 1),
        ("3 + 4 = 8. The answer is 8.", 1, "miscalculated", 1, 0),
        ("9 - 2 = 7. The answer is 7.", 1, "right by luck", 0, None),
        ("3 * 4 = 12. The answer is 12.", 1, "wrong plan", 0, None),
        ("", 1, "no answer", 0, None),
        ("9 - 2 = 7. The answer is 7.", 0, "right", None, None),
        ("3 + 4 = 8. The answer is 8.", 0, "miscalculated", None, None),
        ("3 * 4 = 12. The answer is 12.", 0, "wrong plan", None, None),
    ],
)
def test_what_became_of_a_problem_follows_from_plan_and_answer(reply, steps, outcome, plan, true):
    row = {"test": "words", "steps": steps, "question": "He has 3 and 4.", "solution": "3 + 4 = 7."}
    graded = results.graded(pd.DataFrame([{**row, "reply": reply, "gold": "7"}])).iloc[0]
    assert graded["outcome"] == outcome
    assert graded["right"] == outcome.startswith("right")
    for name, value in (("plan", plan), ("equations_true", true)):
        assert np.isnan(graded[name]) if value is None else graded[name] == value, name


def test_measures_are_counted_by_hand():
    table = results.summary(results.measured(answers(none=3, luck=1))).set_index(["route", "measure"])[
        "value"
    ]
    assert table["none", "plan"] == pytest.approx(0.7)
    assert table["none", "answer"] == table["none", "both twins"] == pytest.approx(0.8)
    assert table["none", "equations"] == table["mixture", "plan"] == 1
    shares = results.outcomes(answers(none=3, luck=1)).set_index(["route", "outcome"])["share"]
    assert shares["none", "right by luck"] == pytest.approx(0.1)
    assert shares["none"].sum() == pytest.approx(1)


def test_right_on_both_twins_needs_both():
    frame = answers()
    frame.loc[(frame["test"] == "twins") & (frame["item"] == 5), "right"] = False
    frame.loc[(frame["test"] == "words") & (frame["item"] == 6), "right"] = False
    table = results.summary(results.measured(frame)).set_index(["route", "measure"])["value"]
    assert table["none", "both twins"] == pytest.approx(0.8)


def test_claims_are_positive_where_a_stage_helps_and_negative_where_it_hurts():
    helps = claimed(answers(none=6, none_longer=3, rules_first=5, luck=2))
    assert helps["arithmetic-first-plans-over-none-longer"].effect == pytest.approx(0.3)
    assert helps["arithmetic-first-answers-over-none-longer"].effect == pytest.approx(0.1)
    assert helps["arithmetic-first-plans-over-none"].effect == pytest.approx(0.6)
    assert helps["rules-first-plans-over-none-longer"].effect == pytest.approx(-0.2)
    between = helps["arithmetic-first-plans-over-rules-first"]
    assert between.effect == pytest.approx(0.5)
    assert {gate.name.partition(" ")[0] for gate in between.gates} == {"arithmetic", "rules", "plans"}
    assert helps["arithmetic-first-equations-over-none-longer"].effect == 0
    assert helps["arithmetic-first-twins-over-none-longer"].effect == pytest.approx(0.1)
    assert all(claim.trainings == 2 for claim in helps.values())
    assert [claim.name for claim in helps.values() if claim.headline] == [
        "arithmetic-first-plans-over-none-longer"
    ]


def test_of_another_stage_than_arithmetic_no_paper_is_quoted():
    frame = answers(none_longer=3)
    made = {claim.name: claim.paper for claim in claims(frame, ("rules",))}
    assert set(made.values()) == {""}
    assert "raises reasoning scores" in claimed(frame)["mixture-answers-over-none"].paper


def test_a_stage_that_was_not_learnt_and_a_base_at_its_ceiling_test_nothing():
    frame = answers(none=6, none_longer=6)
    name = "arithmetic-first-plans-over-none-longer"
    assert claimed(frame)[name].verdict_text == "seen in 2 trainings"
    forgot = frame.copy()
    forgot.loc[(forgot["test"] == experiment.before("arithmetic")) & (forgot["item"] == 0), "right"] = False
    assert [gate.name for gate in claimed(forgot)[name].failed_gates] == [
        "arithmetic right before word problems (arithmetic first)"
    ]
    assert not claimed(forgot, placebo=True)[name].failed_gates  # no route has read it there
    ceiling = claimed(answers(none_longer=1))[name]
    assert [gate.name for gate in ceiling.failed_gates] == ["plans right, none, longer"]


def test_with_five_seeds_intervals_are_over_trainings():
    few = answers(none_longer=3)
    many = pd.concat([few[few["seed"] == 0].assign(seed=seed) for seed in range(5)])
    claim = next(claim for claim in claimed(many).values() if claim.headline)
    assert (claim.n, claim.over, claim.trainings) == (5, "trainings", 5)
    assert set(results.summary(results.measured(many))["n"]) == {5}
    assert results.summary(results.measured(few)).query("measure == 'plan'")["n"].eq(10).all()


def falling(*losses, seed, route="none"):
    """The curve of a route on word problems."""
    return pd.DataFrame({"seed": seed, "route": route, "tokens": range(len(losses)), "held_out": losses})


def test_seeds_in_which_a_route_learns_nothing_are_named():
    learnt = [falling(2.0, 1.0, seed=seed) for seed in (3, 4, 5)]
    never, by_heart = falling(2.0, 2.1, 2.0, seed=4), falling(2.0, 0.5, 2.5, seed=5)
    others = [part.assign(route="mixture") for part in (never, by_heart)]
    left_out, said = results.unlearnt(pd.concat([*learnt, *others]))
    assert left_out == [4]
    assert said.endswith(": 4.")
    left_out, said = results.unlearnt(pd.concat([learnt[1], others[0]]))
    assert left_out == []
    assert "all are kept" in said


def test_in_a_placebo_run_every_route_is_trained_as_the_control_on_problems_of_its_own(
    begin, task, tmp_path, monkeypatch
):
    seen = []

    def trained(begin, plan, task, folder, route, seed, *, log):
        learnt = arithmetic_data.words(task, SIZES, seed)
        seen.append((route, seed, learnt[0]))
        pd.DataFrame({"reply": [""] * len(task.asked)}).to_parquet(folder / "replies.parquet")
        curve = pd.DataFrame({"tokens": [1], "loss": [1.0], "held_out": [1.0]})
        curve.to_parquet(folder / "curve.parquet")

    monkeypatch.setattr(experiment, "train_arm", trained)
    replies, _ = experiment.train_all(tmp_path, begin, plan(placebo=True), task, lambda **_: None)
    routes = experiment.routes_of(SIZES)
    assert {route for route, _, _ in seen} == {experiment.CONTROL}
    assert len({seed for _, seed, _ in seen}) == len({pair for _, _, pair in seen}) == len(routes)
    assert set(replies["route"]) == set(routes)
    made = claimed(results.graded(replies), placebo=True)
    assert "mixture-plans-over-none-longer" in made
    assert not any("arithmetic-over" in name for name in made)
    assert not any(gate.name.startswith("arithmetic") for claim in made.values() for gate in claim.gates)


def test_of_given_problems_answers_are_claimed_and_neither_plans_nor_twins():
    frame = answers(none_longer=4)
    given = frame[frame["test"] != "twins"].assign(plan=np.nan, equations_true=np.nan)
    made = claimed(given)
    assert not any("twins" in name or "plans" in name or "equations" in name for name in made)
    assert [claim.name for claim in made.values() if claim.headline] == [
        "arithmetic-first-answers-over-none-longer"
    ]


def test_pictures_hold_every_route_and_mark_false_equations(fitted):
    frame = answers(none=3, none_longer=2)
    titles = {
        views.heat_map(results.by_cell(frame.assign(kind="+ 1, 1"))).record["title"],
        views.by_route(results.summary(results.measured(frame))).record["title"],
        views.outcomes(results.outcomes(frame)).record["title"],
        views.learnt(results.learnt(frame)).record["title"],
    }
    assert {claim.view for claim in claimed(frame).values()} < titles
    assert views.learning(fitted[1][1]).spec
    assert views.replies(frame) is not None
    row = SimpleNamespace(kind="one", gold="7", question="How many?", reply="3 + 4 = 8. The answer is 8.")
    (start, end, kind), = views._card(row)["marks"]  # fmt: skip
    assert kind == "false"
    assert views._card(row)["text"][start:end] == "3 + 4 = 8"


def test_without_what_was_asked_before_word_problems_nothing_is_said_of_it(fitted):
    replies = fitted[1][0]
    graded = results.graded(replies)
    table = results.learnt(graded)
    assert set(table["stage"]) == set(SIZES.first)
    assert set(table["when"]) == {"before word problems", "after them"}


def test_a_formula_is_judged_as_a_formula():
    about = {"test": "words", "steps": 0, "question": "What is it?", "solution": ""}
    replies = {
        "reply": [r"The answer is $\frac{1}{\sqrt{2}}$.", r"\boxed{2}"],
        "gold": [r"\frac{\sqrt{2}}{2}"] * 2,
    }
    assert list(results.graded(pd.DataFrame(replies).assign(**about))["outcome"]) == ["right", "wrong plan"]


def test_real_laptop_asks_for_a_model_and_takes_two_routes_beside_it():
    with pytest.raises(UserError, match="give model=FOLDER"):
        arithmetic_settings.plan(settings(profile="real-laptop"))
    asked = arithmetic_settings.plan(settings(profile="real-laptop", model="m"))
    assert experiment.routes_of(asked.sizes) == ["as given", "arithmetic first", "none"]
    assert asked.sizes.context == 256  # its own, though the model is given
    named = arithmetic_settings.plan(settings(profile="real-laptop", model="m", first="rules"))
    assert experiment.routes_of(named.sizes) == ["as given", "rules first", "none"]


def test_a_given_model_is_asked_before_it_learns(tmp_path):
    folder = folder_of("Qwen2", tmp_path / "m")
    asked = arithmetic_settings.plan(settings(profile="real-laptop", model=folder))
    sizes = replace(
        asked.sizes, problems=20, exercises=40, task_tokens=600, extra_tokens=600, n_test=3, n_exercises=16
    )
    asked = replace(asked, sizes=sizes)
    task = arithmetic_data.task(asked)
    assert set(task.asked["test"]) == {"words", "arithmetic"}
    assert "This notebook will take about" in expected.expected(asked, task)[0]
    replies, curves = experiment.train_all(tmp_path / "routes", folder, asked, task, lambda **_: None)
    assert set(replies["route"]) == {"as given", "none", "arithmetic first"}
    assert set(curves["route"]) == {"none", "arithmetic first"}  # nothing is learnt by the other
    answers = results.graded(replies)
    made = claims(answers, sizes.first)
    assert [claim.name for claim in made if claim.headline] == ["arithmetic-first-plans-over-none"]
    assert {claim.trainings for claim in made} == {1}
    pictures = [
        views.by_route(results.summary(results.measured(answers))),
        views.outcomes(results.outcomes(answers)),
        views.heat_map(results.by_cell(answers)),
    ]
    for picture in pictures:
        assert "as given" in json.dumps(picture.bundle()[0])
