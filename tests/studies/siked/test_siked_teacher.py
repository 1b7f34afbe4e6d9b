"""A sampler as teacher: prompts, solutions judged and kept, nothing asked twice, failures said."""

import json
from dataclasses import replace

import pytest
from families import with_chat
from repository import DATA

from workbench.corpora.problems import draw
from workbench.engine import loading, models
from workbench.engine.sampling import load
from workbench.engine.sampling.sampler import Completion, Sampler
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import Framed
from workbench.errors import UserError
from workbench.measures.answers.extraction import extract
from workbench.studies.siked import data, method, solving, teacher
from workbench.studies.siked.embedded import Course, kinds
from workbench.studies.siked.solving import Question

REAL = DATA / "math"
SIZES = data.Sizes(Course("tiny:0.1M", 4, 2), method.DistillConfig(1, 1, 1, 2), 12, 4, 5, 1)
ANSWERS = {each.question: each for each in draw(300, 7)}
QUESTIONS = [Question(each.id, text, str(each.answer)) for text, each in ANSWERS.items()]


class Solver(Sampler):
    """A sampler that reads the prompt and solves its last problem as the prompt's strategy wants it."""

    def __init__(self, wrong=(), finish="stop", fenced=False):
        self.wrong, self.finish, self.fenced, self.calls = wrong, finish, fenced, []

    def sample(self, prompts, params):
        self.calls.append((len(prompts), params.seed))
        return [[self._reply(prompt) for _ in range(params.n)] for prompt in prompts]

    def _reply(self, prompt):
        (strategy,) = (name for name, asked in teacher.ASKED.items() if prompt.startswith(asked))
        question = prompt.rpartition("Problem: ")[2].removesuffix("\nSolution:")
        text = ANSWERS[question].rationale(strategy) if question in ANSWERS else "The answer is 1."
        if strategy in self.wrong:
            text = text.replace("answer is", "answer is not") + ("\nans = -1" if strategy == "pot" else "")
        if self.fenced:
            text = f"Here it is:\n```python\n{text}\n```\nI hope this helps."
        return Completion(f"\n{text}\n", [], [], self.finish)


@pytest.fixture
def named(monkeypatch):
    """Makes every name that of one sampler; returns the function that sets it."""

    def choose(sampler):
        monkeypatch.setattr(load, "sampler", lambda spec, device: sampler)
        return sampler

    return choose


def task_of(folder, sizes=SIZES, **changed):
    given = {"data": "embedded", "model": "embedded", "teacher": "openai:http://x/v1#y", **changed}
    rest = {
        "mixture": "adaptive",
        "alpha": None,
        "bias": "none",
        "seed": 0,
        "device": "cpu",
        "placebo": False,
        "test": None,
    }
    return data.task(folder, data.Plan(sizes, **given, **rest), 0)


def test_a_prompt_shows_the_same_eight_problems_in_every_strategy():
    prompts = {name: teacher.prompt(name, "How many?") for name in teacher.ASKED}
    shown = {
        name: [part.partition("\nSolution:") for part in text.split("Problem: ")[1:]]
        for name, text in prompts.items()
    }
    questions = [tuple(question for question, _, _ in each) for each in shown.values()]
    assert len(set(questions)) == 1
    assert len(set(questions[0])) == teacher.SHOTS + 1
    drawn = draw(teacher.SHOTS, 0)
    for name in ("cot", "l2m"):
        for (_, _, solution), problem in zip(shown[name], drawn, strict=False):
            found = extract(solution, name)
            assert (found.source, found.number.value) == ("marker", problem.answer)
    assert all("ans =" in solution for _, _, solution in shown["pot"][:-1])
    assert all(text.endswith("Problem: How many?\nSolution:") for text in prompts.values())


def test_every_strategy_is_asked_judged_and_kept_and_nothing_is_asked_twice(tmp_path, named):
    solver = named(Solver())
    asking = (QUESTIONS[:250], tmp_path)
    found = teacher.sampled_solutions("openai:x", *asking, samples=2)
    assert {each.verdict for each in found} == {"correct"}
    assert {each.source for each in found} == {"openai:x"}
    assert len(found) == 2 * 3 * 250
    assert [size for size, _ in solver.calls] == 3 * [200, 50]
    assert len({seed for _, seed in solver.calls}) == 6
    assert not any(each.text != each.text.strip() for each in found)
    (tmp_path / "l2m-000200.parquet").unlink()
    assert teacher.sampled_solutions("openai:x", *asking, samples=2) == found
    assert len(solver.calls) == 7
    named(None)  # which would fail, if it were asked for
    assert teacher.sampled_solutions("openai:x", *asking, samples=2) == found


def test_a_program_between_fences_is_taken_out_and_what_was_cut_off_is_not_right(tmp_path, named):
    named(Solver(fenced=True))
    found = teacher.sampled_solutions("x", QUESTIONS[:3], tmp_path / "a", samples=1)
    assert [each.text for each in found if each.strategy == "pot"] == [
        each.rationale("pot") for each in list(ANSWERS.values())[:3]
    ]
    assert {each.verdict for each in found} == {"correct"}
    named(Solver(finish="length"))
    found = teacher.sampled_solutions("x", QUESTIONS[:3], tmp_path / "b", samples=1)
    assert {each.verdict for each in found} == {"unparsed"}


def test_embedded_word_problems_are_taught_by_a_sampler_and_a_strategy_that_fails_is_said(tmp_path, named):
    questions = {each.question: each for each in draw(60, 0, templates=kinds(of_base=False), largest=20)}
    ANSWERS.update(questions)
    named(Solver(wrong=("pot",)))
    given = task_of(tmp_path)
    assert len(given.train) == 12
    assert given.teacher["strategy"].value_counts().to_dict() == {"cot": 12, "l2m": 12}
    assert given.notes[:2] == [
        "right solutions of the teacher: cot 24 of 24, l2m 24 of 24, pot 0 of 24",
        "none is right in pot, so students learn the rest",
    ]
    named(Solver(wrong=("cot", "l2m", "pot")))
    with pytest.raises(UserError, match=r"No solution of the teacher's is right \(cot 0 of 24"):
        task_of(tmp_path / "again")


def test_a_file_is_shuffled_split_and_its_repeats_and_namings_are_left_out(tmp_path, named):
    rows = [{"question": each.question, "answer": str(each.answer)} for each in draw(30, 3)]
    ANSWERS.update({each.question: each for each in draw(30, 3)})
    rows += [rows[4], {"question": "Who has more?", "answer": "Tom"}]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    named(Solver())
    given = task_of(tmp_path / "teacher", data=str(tmp_path / "data.jsonl"))
    assert (len(given.train), len(given.held_out), len(given.tests["the others"])) == (12, 4, 5)
    texts = [each.text for each in [*given.train, *given.held_out, *given.tests["the others"]]]
    assert len(set(texts)) == 21
    assert texts != [row["question"] for row in rows][:21]
    assert given.notes[:2] == [
        "questions left out because their answer is neither a number nor a formula: 1",
        "questions left out because they stand in the data twice: 1",
    ]
    few = tmp_path / "few.jsonl"
    few.write_text("\n".join(map(json.dumps, rows[:4])))
    with pytest.raises(UserError, match="0 to be asked"):
        task_of(tmp_path / "more", data=str(few))


def test_a_models_folder_teaches_and_a_short_context_is_one_sentence(tmp_path):
    texts = [teacher.prompt(name, "How many?") for name in teacher.ASKED]
    tokenizer = models.train_tokenizer(texts, 400)
    for name, context in (("long", 2048), ("short", 64)):
        model = models.build(models.config("tiny:0.1M", vocab_size=len(tokenizer), context=context), 0)
        loading.save(model, tokenizer, tmp_path / name)
    asking = (QUESTIONS[:2], tmp_path / "kept")
    found = teacher.sampled_solutions(f"transformers:{tmp_path / 'long'}", *asking, samples=2, max_tokens=8)
    assert [each.strategy for each in found] == 4 * ["cot"] + 4 * ["l2m"] + 4 * ["pot"]
    with pytest.raises(UserError, match="context of 64"):
        teacher.sampled_solutions(f"transformers:{tmp_path / 'short'}", QUESTIONS[:2], tmp_path / "none")
    with pytest.raises(UserError, match="did you mean 'transformers'"):
        teacher.sampled_solutions("transformer:x", QUESTIONS[:2], tmp_path / "none")


def test_an_instruct_model_is_shown_the_solved_problems_in_a_users_message(tmp_path, monkeypatch):
    texts = [teacher.prompt(name, "How many?") for name in teacher.ASKED]
    tokenizer = with_chat(models.train_tokenizer(texts, 400))
    model = models.build(models.config("tiny:0.1M", vocab_size=len(tokenizer), context=2048), 0)
    loading.save(model, tokenizer, tmp_path / "chat")
    seen, sample = [], TransformersSampler.sample
    monkeypatch.setattr(
        TransformersSampler,
        "sample",
        lambda self, prompts, params: seen.extend(prompts) or sample(self, prompts, params),
    )
    teacher.sampled_solutions(
        str(tmp_path / "chat"), QUESTIONS[:1], tmp_path / "kept", samples=1, max_tokens=2
    )
    shown = teacher.prompt("cot", QUESTIONS[0].text)
    assert seen[0] == f"<|im_start|>user\n{shown}<|im_end|>\n<|im_start|>assistant\n"
    assert isinstance(seen[0], Framed)  # so that its marks are tokens


@pytest.mark.skipif(not (REAL / "rationales").is_dir(), reason="no real rationales here (WORKBENCH_DATA)")
def test_real_solutions_teach_what_any_solves_and_a_random_fifth_is_asked(tmp_path):
    names = ("SVAMP_llama_level3_ranked.json", "0_SVAMP_chatgpt_level3BSM.json", "svamp_pot_codex.jsonl")
    paths = ",".join(str(REAL / "rationales" / name) for name in names)
    svamp = f"svamp:{REAL / 'svamp' / 'SVAMP.json'}"
    large = replace(SIZES, train=900, held_out=100, n_test=900)
    found = task_of(tmp_path, large, data=svamp, teacher=f"rationales:{paths}")
    asked = found.tests["the others"]
    assert (len(found.train), len(found.held_out), len(asked)) == (
        699,
        100,
        200,
    )  # one question stands there twice
    assert set(found.teacher["id"]) <= {each.id for each in found.train}
    alone = task_of(tmp_path, large, data=svamp, teacher=f"rationales:{REAL / 'rationales' / names[0]}")
    assert "none is right in l2m and pot, so students learn the rest" in alone.notes
    solved = {each.text for each in [*alone.train, *alone.held_out]}
    assert 0.6 < len(solved) / 800 < 0.8  # this teacher has 700 of the 1,000
    assert {each.text for each in alone.tests["the others"]} == {each.text for each in asked}


def test_solutions_of_problems_with_a_formula_for_an_answer_are_verified():
    half = Question("1", "The sine of 45 degrees?", r"\frac{\sqrt{2}}{2}")
    written = [
        (half, "cot", r"The answer is $\frac{1}{\sqrt{2}}$."),
        (half, "l2m", r"Final answer: $\sqrt{2}$"),
        (half, "none", r"The answer is $\frac{1}{\sqrt{2}}$."),
        (half, "cot", "The answer is unknown."),
    ]
    verdicts = [solution.verdict for solution in solving.verify(written, "student")]
    assert verdicts == ["correct", "wrong", "unparsed", "unparsed"]
