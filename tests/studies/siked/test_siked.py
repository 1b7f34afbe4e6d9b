"""SIKeD: tags, judged solutions in every strategy, rounds that go on, and what a round says of itself."""

from dataclasses import replace

import numpy as np
import pytest

from workbench.corpora.problems import draw
from workbench.engine import loading, models
from workbench.engine.sampling.sampler import Completion, Sampler, SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.studies.siked import method
from workbench.studies.siked.mixing import first_correct
from workbench.studies.siked.solving import Question, solve
from workbench.studies.siked.teacher import solver_solutions

PROBLEMS = draw(12, 0)
QUESTIONS = [Question(each.id, each.question, str(each.answer)) for each in PROBLEMS]
LESSON = method.DistillConfig(epochs=0.2, round_epochs=0.1, rounds=2, samples=2, batch_size=2, context=192)
PARAMS = SamplingParams(max_tokens=96)
TOKENIZER = models.train_tokenizer([each.question for each in PROBLEMS], 300)


class Says(Sampler):
    """A sampler that writes what it is told to, whatever the prompt."""

    def __init__(self, *texts):
        self.texts, self.prompts = texts, []

    def sample(self, prompts, params):
        self.prompts += prompts
        return [[Completion(text, [], [], "stop") for text in self.texts[: params.n]] for _ in prompts]


def test_the_solver_teaches_every_strategy_and_each_of_its_solutions_is_right():
    rows = first_correct(solver_solutions(PROBLEMS), "teacher")
    assert rows.groupby("strategy").size().to_dict() == {"cot": 12, "l2m": 12, "pot": 12}
    question, solution = method.training_pairs(rows, TOKENIZER)[0]
    assert question == PROBLEMS[0].question
    assert solution == f" [cot] {PROBLEMS[0].rationale('cot')}"


@pytest.mark.parametrize("strategy", ["cot", "l2m", "pot"])
def test_what_the_solver_writes_is_judged_right_and_a_twin_wrong(strategy):
    for problem, question in zip(PROBLEMS, QUESTIONS, strict=True):
        right, tag = problem.rationale(strategy), f"[{strategy}] "
        wrong = right + "\nans = 999" if strategy == "pot" else right.replace("answer is ", "answer is 9")
        found = solve(Says(tag + right, tag + wrong), [question], "x", SamplingParams(max_tokens=96, n=2))
        assert [each.verdict for each in found] == ["correct", "wrong"]
        assert {each.strategy for each in found} == {strategy}


def test_a_forced_strategy_is_written_into_the_prompt_and_kept_out_of_the_solution():
    sampler = Says(" 1 + 1 = 2. The answer is 2.")
    (found,) = solve(sampler, [Question("a", "How many?", "2")], "x", PARAMS, "cot")
    assert sampler.prompts == ["How many? [cot]"]
    assert (found.text, found.verdict) == ("1 + 1 = 2. The answer is 2.", "correct")


@pytest.mark.parametrize(
    ("text", "strategy", "verdict"),
    [
        ("The answer is 2.", "none", "unparsed"),  # no tag
        ("[guess] The answer is 2.", "none", "unparsed"),
        ("[pot] ans = 1 +", "pot", "unparsed"),
        ("[pot] while True: pass", "pot", "unparsed"),
        ("[pot] ans = open('x').read()", "pot", "unparsed"),
        ("[pot] ans = 4 / 2", "pot", "correct"),
        ("[cot] I do not know", "cot", "unparsed"),
    ],
)
def test_every_kind_of_solution_has_its_verdict(text, strategy, verdict):
    (found,) = solve(Says(text), [Question("a", "How many?", "2")], "x", PARAMS)
    assert (found.strategy, found.verdict) == (strategy, verdict)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    teacher = first_correct(solver_solutions(PROBLEMS), "teacher")
    tokenizer = models.train_tokenizer((teacher["question"] + teacher["text"]).tolist(), 400)
    folder = tmp_path_factory.mktemp("base") / "model"
    model = models.build(models.config("tiny:0.1M", vocab_size=400, context=192), 0)
    loading.save(model, tokenizer, folder)
    return str(folder), teacher


@pytest.mark.parametrize("mixture", ["adaptive", "all", "teacher-only"])
def test_rounds_go_on_where_they_were_cut_and_the_last_one_counts(base, tmp_path, monkeypatch, mixture):
    folder, teacher = base
    arguments = (folder, teacher, QUESTIONS[:8], QUESTIONS[8:], LESSON, mixture)
    with monkeypatch.context() as cut:
        cut.setattr(method, "divergence", lambda *_: 1 / 0)  # told of a round when it has ended
        with pytest.raises(ZeroDivisionError):
            method.distill(tmp_path / "s", *arguments)
    assert not (tmp_path / "s" / "round-1").exists()
    first = (tmp_path / "s" / "round-0" / "model" / "model.safetensors").stat().st_mtime_ns
    learnt = method.distill(tmp_path / "s", *arguments)
    assert (tmp_path / "s" / "round-0" / "model" / "model.safetensors").stat().st_mtime_ns == first
    assert learnt.rounds["round"].tolist() == [0, 1, 2]
    assert learnt.folder == tmp_path / "s" / "round-2" / "model"
    assert (learnt.rounds["alpha_all"] > 0.7).all()  # an untrained student is right by accident only
    assert (learnt.rounds["n_all"] == 36).all() or mixture == "all"
    assert np.isfinite(learnt.rounds["divergence"]).all()
    assert (tmp_path / "s" / "round-1" / "wrote").exists() == (mixture != "teacher-only")
    again = method.distill(tmp_path / "s", *arguments)
    assert again.rounds.equals(learnt.rounds)


def test_a_student_with_nothing_right_stays_what_it_was_and_the_round_ends(base, tmp_path):
    folder, teacher = base
    asked = [Question(each.id, each.text, "123456789") for each in QUESTIONS]
    arguments = (folder, teacher, asked[:8], asked[8:], LESSON, "self-only")
    learnt = method.distill(tmp_path / "s", *arguments, device="cpu")
    assert learnt.rounds["round"].tolist() == [0, 1]
    assert learnt.rounds["n_all"].tolist() == [36, 0]
    assert learnt.folder == tmp_path / "s" / "round-0" / "model"
    assert not (tmp_path / "s" / "round-1" / "model").exists()


def test_a_question_that_fills_the_context_is_unparsed_and_the_others_are_asked(base):
    sampler = TransformersSampler(*loading.load(base[0], "cpu"))
    long = Question("long", "How many? " * 100, "2")
    for strategy, name in ((None, "none"), ("pot", "pot")):
        found = solve(sampler, [long, *QUESTIONS[:2]], "x", SamplingParams(max_tokens=4, n=2), strategy)
        assert [each.id for each in found] == [each.id for each in (long, *QUESTIONS[:2]) for _ in range(2)]
        assert [(each.text, each.strategy, each.verdict) for each in found[:2]] == [
            ("", name, "unparsed")
        ] * 2
        assert all(each.text for each in found[2:])


def test_a_question_that_is_solved_is_asked_no_more(base, tmp_path, monkeypatch):
    asked = []

    def solves(sampler, questions, source, params, strategy):
        """Everything but the last question, at once."""
        asked.append((len(questions), params.n))
        judged = ["wrong" if one is QUESTIONS[-1] else "correct" for one in questions]
        return [
            method.Rationale(one.id, one.text, strategy, "x", one.gold, source, verdict)
            for one, verdict in zip(questions, judged, strict=True)
            for _ in range(params.n)
        ]

    monkeypatch.setattr(method, "solve", solves)
    config = replace(LESSON, samples=7)
    wrote = method.sample(tmp_path / "wrote", base[0], QUESTIONS, config, 0, "cpu")
    assert asked == 3 * [(12, 2), (1, 5)]
    assert len(wrote) == 3 * (12 * 2 + 5)
