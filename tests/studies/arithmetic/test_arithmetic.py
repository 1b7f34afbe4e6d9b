"""What 07 reads, trains, measures and claims."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from families import OTHERS

from workbench.corpora.arithmetic import Cell
from workbench.corpora.problems import templates
from workbench.engine import loading, models
from workbench.engine.tokens import encode, encode_pairs
from workbench.errors import UserError
from workbench.studies.arithmetic import data as arithmetic_data
from workbench.studies.arithmetic import experiment, results, views
from workbench.studies.common.arms import arm_folder

SIZES = arithmetic_data.Sizes(
    "tiny:0.1M", 60, 30, task_tokens=4_000, extra_tokens=2_000, batch_size=8, context=112, seeds=1, n_test=8,
    per_cell=3, digits=2, largest=20,
)  # fmt: skip


def settings(**changed):
    common = {"profile": "quick", "seed": 0, "model": "embedded", "data": "embedded", "test": None}
    ours = {"tuning": "full", "seeds": None, "placebo": False, "device": "cpu"}
    return SimpleNamespace(**{**common, **ours, **changed})


def plan(sizes=SIZES, **changed):
    return replace(arithmetic_data.plan(settings(**changed)), sizes=sizes)


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
    monkeypatch.setattr(experiment, "ROUTES", ("none", "intermediate"))


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
    many = replace(SIZES, problems=3_000)
    learnt = arithmetic_data.words(arithmetic_data.task(plan(many)), many, 0)
    assert len(learnt) == 3_000
    assert not {question for question, _ in learnt} & set(asked["question"])
    sums = {each.question for each in arithmetic_data.exercises(0, SIZES)}
    assert not sums & set(asked["question"])


def test_exercises_are_of_the_size_of_word_problems_and_cells_without_any_are_left_out(asked):
    cells = arithmetic_data.cells(SIZES)
    assert Cell("+", (1, 2)) in cells
    assert Cell("*", (2, 2)) not in cells
    sums = arithmetic_data.exercises(0, SIZES)
    assert max(max(*each.operands, each.answer) for each in sums) <= SIZES.largest
    own = asked[asked["test"] == "arithmetic"]
    assert own["kind"].nunique() == len(cells)
    assert not own.duplicated(["kind", "question"]).any()


def test_routes_read_as_many_tokens_in_all_or_of_word_problems(tokenizer, task):
    words = arithmetic_data.words(task, SIZES, 0)
    sums = arithmetic_data.pairs_of(arithmetic_data.exercises(0, SIZES))
    found = experiment.routes(words, sums, SIZES, tokenizer)
    assert tuple(found) == experiment.ROUTES
    totals = {route: sum(tokens for _, tokens in stages) for route, stages in found.items()}
    assert totals == {"none": 4_000, "none, longer": 6_000, "intermediate": 6_000, "mixture": 6_000}
    first, second = (set(pairs) for pairs, _ in found["intermediate"])
    assert first < set(sums)  # there are more than are read
    assert second == set(words)
    lengths = [
        len(prompt) + len(rest) + 1 for prompt, rest in encode_pairs(tokenizer, found["mixture"][0][0])
    ]
    of_words = sum(n for n, pair in zip(lengths, found["mixture"][0][0], strict=True) if pair in set(words))
    assert of_words == pytest.approx(4_000, abs=100)
    assert sum(lengths) - of_words == pytest.approx(2_000, abs=100)


def test_every_digit_is_a_token(tokenizer):
    first, second = encode(tokenizer, ["Sara has 17 plums.", "Sara has 7 plums."])
    assert len(first) == len(second) + 1
    assert all(sum(letter.isdigit() for letter in token) <= 1 for token in tokenizer.get_vocab())


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
    own, given = (arithmetic_data.plan(settings(data=data)).sizes for data in ("embedded", "x.jsonl"))
    assert given.context > own.context
    assert given.largest > own.largest
    tokens = [sizes.batch_size * sizes.context for sizes in (own, given)]
    assert 0 <= tokens[0] - tokens[1] < given.context  # of a step: as many, in whole rows


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
    with pytest.raises(UserError, match="go with a file to learn from"):
        arithmetic_data.task(plan(test=first))


# ------------------------------------------------------------------------------- training
def test_every_route_is_asked_everything_and_a_second_call_trains_nothing(fitted, task):
    folder, (replies, curves) = fitted
    between = replies["test"] == experiment.DRILL
    assert replies[~between].groupby("route").size().eq(len(task.asked)).all()
    assert set(replies.loc[between, "route"]) == {"intermediate"}
    assert between.sum() == (task.asked["test"] == "arithmetic").sum()
    assert set(replies["route"]) == set(experiment.ROUTES) == set(curves["route"])
    names = {arm_folder(folder, route, 0).name for route in experiment.ROUTES}
    assert {path.name for path in (folder / "seed-0").iterdir()} == names
    for path in (folder / "seed-0").iterdir():
        two_stages = ["drill.parquet"] if path.name == "intermediate" else []
        kept = sorted(file.name for file in path.iterdir())
        assert kept == ["curve.parquet", *two_stages, "replies.parquet"]
    again, _ = experiment.train_all(folder, "no model is needed", plan(), task, lambda **_: None)
    assert again.equals(replies)


def test_a_route_cut_off_in_its_second_stage_goes_on_to_the_same_replies(fitted, begin, task, tmp_path):
    folder, (replies, curves) = fitted
    for route in set(experiment.ROUTES) - {"intermediate"}:
        shutil.copytree(arm_folder(folder, route, 0), arm_folder(tmp_path, route, 0))

    def cut(tokens, **_):
        if tokens > 1.5 * SIZES.extra_tokens:
            raise KeyboardInterrupt

    given = (tmp_path, begin, plan(), task)
    with pytest.raises(KeyboardInterrupt):
        experiment.train_all(*given, cut)
    assert not arm_folder(tmp_path, "intermediate", 0).exists()
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
    own = curves[curves["route"] == "intermediate"]
    assert own["tokens"].is_monotonic_increasing
    last = curves.groupby("route")["tokens"].last()
    step = SIZES.batch_size * SIZES.context
    assert last["intermediate"] == pytest.approx(SIZES.task_tokens + SIZES.extra_tokens, abs=2 * step)
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
    asked = replies[replies["test"] != experiment.DRILL]
    assert len(asked) == len(experiment.ROUTES) * len(task.asked)
    ends = curves.groupby("route")["held_out"].agg(["first", "last"])
    assert (ends["last"] < ends["first"]).all()
    assert (source / "model.safetensors").read_bytes() == weights


def test_without_a_model_there_is_nothing_to_adapt(task):
    with pytest.raises(UserError, match="name it with model"):
        experiment.start(None, plan(tuning="lora"), task)


def test_a_model_whose_context_is_too_short_is_refused(task, tokenizer, tmp_path):
    config = models.config("tiny:0.1M", vocab_size=len(tokenizer), architecture="gpt-neo", context=16)
    loading.save(models.build(config, 0), tokenizer, tmp_path / "short")
    with pytest.raises(UserError, match=r"16 tokens, in which only 0% .* longer context"):
        experiment.start(None, plan(model=str(tmp_path / "short")), task)


# ------------------------------------------------------------------------------- results
def answers(**wrong):
    """Two seeds of 10 items of each test; `wrong` says how many a route gets wrong."""
    rows = []
    for route in experiment.ROUTES:
        for seed in (0, 1):
            for test, kind in (("words", "unseen"), ("twins", "unseen"), ("arithmetic", "+ 1, 1")):
                for item in range(10):
                    false = item < wrong.get(route.replace(", ", "_"), 0) + seed
                    reply = f"2 + {item} = {item + 2 + false}. The answer is {item + 2 + false}."
                    rows.append((route, seed, test, kind, item, "How many?", str(item + 2), reply))
    columns = ["route", "seed", "test", "kind", "item", "question", "gold", "reply"]
    return results.graded(pd.DataFrame(rows, columns=columns))


@pytest.mark.parametrize(
    ("reply", "outcome", "true", "written"),
    [
        ("3 + 4 = 7. The answer is 7.", "right", 1, 1),
        ("3 + 4 = 8. The answer is 8.", "arithmetic error", 0, 1),
        ("3 * 4 = 12. The answer is 12.", "other error", 1, 1),
        ("3 + 4 = 8. 8 - 1 = 7. The answer is 7.", "right", 1, 2),
        ("", "no answer", 0, 0),
    ],
)
def test_a_wrong_answer_is_one_of_arithmetic_where_an_equation_is_false(reply, outcome, true, written):
    row = results.graded(pd.DataFrame({"reply": [reply], "gold": ["7"]})).iloc[0]
    assert (row["outcome"], row["true"], row["equations"]) == (outcome, true, written)
    assert row["right"] == (outcome == "right")


def test_measures_of_each_seed_are_counted_by_hand():
    repeated = results.by_seed(results.measured(answers(none=3))).set_index(["route", "seed", "measure"])[
        "value"
    ]
    for name in (
        "word problems",
        "word problems: unseen",
        "arithmetic",
        "right on both twins",
        "equations in rationales",
    ):
        assert repeated["none", 0, name] == pytest.approx(0.7)
        assert repeated["none", 1, name] == pytest.approx(0.6)
    assert repeated["none", 0, "arithmetic errors"] == pytest.approx(0.3)
    assert repeated["none", 0, "other errors"] == 0
    shares = results.outcomes(answers(none=3)).groupby("route")["share"].sum()
    assert np.allclose(shares, 1)


def test_right_on_both_twins_needs_both():
    frame = answers()
    frame.loc[(frame["test"] == "twins") & (frame["item"] == 5), "right"] = False
    frame.loc[(frame["test"] == "words") & (frame["item"] == 6), "right"] = False
    repeated = results.by_seed(results.measured(frame)).set_index(["route", "seed", "measure"])["value"]
    assert repeated["none", 0, "right on both twins"] == pytest.approx(0.8)


def test_claims_are_positive_where_arithmetic_helps_and_negative_where_it_hurts():
    helps = {c.name: c for c in results.claims(answers(none=4, none_longer=2))}
    assert helps["intermediate-word-problems-over-none"].effect == pytest.approx(0.4)
    assert helps["mixture-word-problems-over-none-longer"].effect == pytest.approx(0.2)
    assert helps["intermediate-right-on-both-twins-over-none"].effect == pytest.approx(0.4)
    assert helps["mixture-shrinks-arithmetic-errors"].effect == pytest.approx(0.4)
    assert all(claim.trainings == 2 and claim.n == 10 for claim in helps.values())
    assert all(claim.over in ("word problems", "exercises") for claim in helps.values())
    assert [claim.name for claim in helps.values() if claim.headline] == [
        "intermediate-word-problems-over-none"
    ]
    hurts = {c.name: c for c in results.claims(answers(mixture=4))}
    assert hurts["mixture-word-problems-over-none"].effect == pytest.approx(-0.4)
    assert hurts["intermediate-word-problems-over-none"].effect == 0


def test_where_arithmetic_was_not_learnt_nothing_can_be_said_of_what_it_is_good_for():
    frame = answers(none=6, none_longer=2, intermediate=1)
    before = frame[(frame["route"] == "intermediate") & (frame["test"] == "arithmetic")]
    asked = {
        share: before.assign(test=experiment.DRILL, right=before["item"] < 10 * share) for share in (0.9, 1)
    }
    verdicts = {}
    for share, drill in asked.items():
        made = {claim.name: claim for claim in results.claims(pd.concat([frame, drill]))}
        claim = made["intermediate-word-problems-over-none"]
        verdicts[share] = claim.verdict_text
        assert {gate.name for gate in claim.gates} == {
            "arithmetic right before word problems (intermediate)", "word problems, none"
        }  # fmt: skip
        assert made["intermediate-arithmetic-over-none"].gates == ()  # whether it was learnt is what it asks
    assert verdicts == {0.9: "not testable here", 1: "seen in 2 trainings"}


def test_with_five_seeds_intervals_are_over_trainings():
    few = answers(none=3)
    many = pd.concat([few[few["seed"] == 0].assign(seed=seed) for seed in range(5)])
    claim = next(claim for claim in results.claims(many) if claim.headline)
    assert (claim.n, claim.over, claim.trainings) == (5, "trainings", 5)
    assert set(results.summary(results.measured(many))["n"]) == {5}
    assert results.summary(results.measured(few)).query("measure == 'arithmetic'")["n"].eq(10).all()


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
    assert {route for route, _, _ in seen} == {experiment.CONTROL}
    assert len({seed for _, seed, _ in seen}) == len({pair for _, _, pair in seen}) == 4
    assert set(replies["route"]) == set(experiment.ROUTES)
    names = {claim.name for claim in results.claims(results.graded(replies))}
    assert "mixture-word-problems-over-none" in names


def test_without_twins_nothing_is_claimed_of_them():
    frame = answers()
    names = {c.name for c in results.claims(frame[frame["test"] != "twins"])}
    assert not any("twins" in name for name in names)
    assert "mixture-word-problems-over-none" in names


def test_pictures_hold_every_route_and_mark_false_equations(fitted):
    frame = answers(none=3)
    titles = [
        views.heat_map(results.by_cell(frame)).record["title"],
        views.by_route(results.summary(results.measured(frame))).record["title"],
        views.errors(results.outcomes(frame)).record["title"],
    ]
    claimed = {claim.view for claim in results.claims(frame)}
    assert set(titles) == claimed
    assert views.learning(fitted[1][1]).spec
    explorer = views.replies(frame)
    assert explorer is not None
    card = views._card(next(frame[frame["outcome"] == "arithmetic error"].itertuples()))
    (start, end, kind), = card["marks"]  # fmt: skip
    assert kind == "false"
    assert card["text"][start:end] == "2 + 0 = 3"


def test_a_formula_is_judged_as_a_formula():
    replies = {
        "reply": [r"The answer is $\frac{1}{\sqrt{2}}$.", r"\boxed{2}"],
        "gold": [r"\frac{\sqrt{2}}{2}"] * 2,
    }
    assert list(results.graded(pd.DataFrame(replies))["outcome"]) == ["right", "other error"]
