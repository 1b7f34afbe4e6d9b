"""SIKeD with models of the usual formats, given as folders: LoRA, restarts and chat templates."""

from dataclasses import replace

import pytest
import torch
import transformers
from families import OTHERS, with_chat
from test_siked_experiment import settings

from workbench.corpora.problems import draw
from workbench.engine import loading, models
from workbench.engine.sampling.sampler import Completion, Sampler, SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.loss import loss
from workbench.studies.common.arms import arm_folder
from workbench.studies.siked import data, experiment, method, solving
from workbench.studies.siked.mixing import first_correct
from workbench.studies.siked.solving import Question
from workbench.studies.siked.teacher import solver_solutions

PROBLEMS = draw(7, 0)
QUESTIONS = [method.Question(each.id, each.question, str(each.answer)) for each in PROBLEMS]
TEACHER = first_correct(solver_solutions(PROBLEMS[:5]), "teacher")
LESSON = method.DistillConfig(
    1, 1, 1, 1, batch_size=2, context=256, learning_rate=2e-2, max_new_tokens=12, tuning="lora"
)
FORMATS = ["Llama", "Qwen2", "GPT2", "GPTNeoX"]


def folder_of(family, place):
    """A model of a family as others save theirs; Qwen2's is an instruct model."""
    tokenizer = models.train_tokenizer((TEACHER["question"] + TEACHER["text"]).tolist(), 400)
    tokenizer.chat_template = None
    if family == "Qwen2":
        tokenizer = with_chat(tokenizer)
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    settings = {"max_position_embeddings": 256, **OTHERS[family], **ends, "vocab_size": len(tokenizer)}
    settings |= {"n_positions": 256} if family == "GPT2" else {}
    model = models.build(getattr(transformers, f"{family}Config")(**settings), seed=0)
    loading.save(model, tokenizer, place)
    return str(place)


def moved(learnt, base):
    """The weights that differ, as differences by name."""
    a, b = (loading.load(folder, "cpu")[0].state_dict() for folder in (learnt, base))
    return {name: a[name] - b[name] for name in b if not torch.equal(a[name], b[name])}


@pytest.mark.parametrize("family", FORMATS)
def test_a_model_folder_of_any_format_goes_through_a_round_with_lora(family, tmp_path):
    base = folder_of(family, tmp_path / "base")
    arguments = (tmp_path / "s", base, TEACHER, QUESTIONS[:5], QUESTIONS[5:], LESSON, "all")
    learnt = method.distill(*arguments, device="cpu")
    assert learnt.rounds["round"].tolist() == [0, 1]
    assert len(learnt.rounds["held_out"].dropna()) == 2
    last = tmp_path / "s" / "round-1" / "model"
    assert moved(last, base)
    assert not [name for name in moved(last, base) if "emb" in name or "norm" in name or "wte" in name]
    own, taught = (loading.load(folder, "cpu") for folder in (last, base))
    pairs = method.training_pairs(TEACHER, own[1])
    assert loss(*own, pairs).nats_per_token < loss(*taught, pairs).nats_per_token
    assert own[1].chat_template == taught[1].chat_template
    assert method.distill(*arguments, device="cpu").rounds.equals(learnt.rounds)


def test_a_round_goes_on_from_the_merged_model_or_restarts_from_the_base(tmp_path):
    base, ranks = folder_of("Llama", tmp_path / "base"), {}
    for restart in ("merged", "base"):
        lesson = replace(LESSON, restart=restart)
        method.distill(
            tmp_path / restart, base, TEACHER, [], QUESTIONS[5:], lesson, "teacher-only", device="cpu"
        )
        change = moved(tmp_path / restart / "round-1" / "model", base)["model.layers.0.mlp.up_proj.weight"]
        ranks[restart] = int(torch.linalg.matrix_rank(change, rtol=1e-5))
    assert ranks["base"] == 16  # one adapter's
    assert ranks["merged"] > 16  # two of them


class Notes(TransformersSampler):
    """Remembers what it was asked."""

    def sample(self, prompts, params):
        self.prompts = prompts
        return super().sample(prompts, params)


def test_an_instruct_model_is_asked_as_it_is_taught(tmp_path):
    sampler = Notes(*loading.load(folder_of("Qwen2", tmp_path / "m"), "cpu"))
    method.solve(sampler, QUESTIONS[:1], "x", SamplingParams(max_tokens=2))
    asked = f"<|im_start|>user\n{QUESTIONS[0].text}<|im_end|>\n<|im_start|>assistant\n"
    assert sampler.prompts == [asked]
    method.solve(sampler, QUESTIONS[:1], "x", SamplingParams(max_tokens=2), "pot")
    assert sampler.prompts == [asked + "[pot]"]
    rows = TEACHER[TEACHER["question"] == QUESTIONS[0].text]
    for (prompt, reply), row in zip(
        method.training_pairs(rows, sampler.tokenizer), rows.itertuples(), strict=True
    ):
        assert prompt == asked
        assert reply == f"[{row.strategy}] {row.text}"


class Fixed(Sampler):
    """Says the same to everything."""

    tokenizer = context = None

    def __init__(self, reply):
        self.reply = reply

    def sample(self, prompts, params):
        return [[Completion(self.reply, [], [], "stop")] for _ in prompts]


def test_a_model_without_tags_is_right_in_its_own_words():
    question = Question("a", "How many?", "12")
    for reply, verdict in (("3 + 9 = 12, so the answer is 12.", "correct"), ("It is 13.", "wrong")):
        (solution,) = solving.solve_freely(Fixed(reply), [question], "x", SamplingParams(max_tokens=9))
        assert (solution.strategy, solution.verdict, solution.text) == ("none", verdict, reply)


def test_a_given_model_stands_as_it_is_beside_its_students(tmp_path):
    folder = folder_of("Qwen2", tmp_path / "m")
    params = settings(profile="real-laptop", model=folder, tuning="lora")
    asked = data.plan(params)
    small = replace(
        asked.sizes, train=6, held_out=2, n_test=3, lesson=replace(asked.sizes.lesson, max_new_tokens=8)
    )
    asked = replace(asked, sizes=small)
    tasks = data.tasks(tmp_path / "teacher", asked)
    assert "This notebook will take about" in experiment.expected(asked, tasks)[-1]
    answers = experiment.train_all(tmp_path / "students", folder, "", tasks, asked)
    assert list(dict.fromkeys(answers["arm"])) == ["as given", "combined", "combined, longer", "SIKeD"]
    assert set(answers.loc[answers["arm"] == "as given", "strategy"]) == {"none"}
    first, again = (
        arm_folder(tmp_path / "students", arm, 0) / "round-0" / "model" / "model.safetensors"
        for arm in ("combined", "combined, longer")
    )
    assert first.samefile(again)  # half a gigabyte of a model of 135M
    assert not experiment.expected(data.plan(settings()), tasks)


def test_real_laptop_asks_questions_that_a_given_model_can_know():
    assert data.plan(settings(profile="real-laptop", model="m", data="logic")).data == "embedded"
    rates = {
        tuning: data.plan(
            settings(profile="real-laptop", model="m", data="embedded", tuning=tuning)
        ).sizes.lesson.learning_rate
        for tuning in ("lora", "full")
    }
    assert rates["full"] < rates["lora"]


def test_a_student_says_how_far_it_is(tmp_path):
    base, shares = folder_of("Llama", tmp_path / "base"), []
    arguments = TEACHER, [], QUESTIONS[5:], replace(LESSON, rounds=1), "teacher-only"
    method.distill(tmp_path / "s", base, *arguments, device="cpu", progress=shares.append)
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.5 in shares
    assert shares[-1] == 1
