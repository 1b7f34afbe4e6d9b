"""What a student of SIKeD writes in a round: ten solutions of each question in each of three strategies.

`OMP_NUM_THREADS=1 python -m tests.benchmarks.sampling [rounds]`. First the sampler against `model.generate`
with batches of the same size, by processor time and by tokens that count (`generate` goes on with a row until
the longest of its batch ends). Then a round as it is, once, by the clock: all processors share the questions;
judging the solutions, for which programs run in the sandbox, is timed apart.
"""

import resource
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from tests.benchmarks.side_by_side import compare
from workbench.corpora.loaders.solutions import STRATEGIES
from workbench.corpora.problems import Problem, draw
from workbench.engine import loading, models
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.lab.environment import cores
from workbench.studies.common.word_problems import two_steps
from workbench.studies.siked.solving import Question, verify

QUESTIONS, SAMPLES, NEW, CONTEXT, PART, BATCH = 500, 10, 96, 160, 48, 64
HOW = {"temperature": 0.7, "top_p": 0.95}


def student(folder: Path) -> None:
    """A 1M model that has learnt when a solution ends, which is what its time depends on."""
    taught = draw(2_000, seed=1, templates=two_steps(), largest=20)
    pairs = [(each.question, f" [{name}] {each.rationale(name)}") for each in taught for name in STRATEGIES]
    tokenizer = models.train_tokenizer(["".join(pair) for pair in pairs[::2]], 768)
    model = models.build(models.config("tiny:1M", vocab_size=len(tokenizer), context=CONTEXT), 0)
    train(model, tokenizer, pairs, TrainConfig(steps=150, context=CONTEXT), folder=folder)


def prompts(questions: list[str]) -> list[str]:
    """Each question with each tag, as a forced strategy is asked for."""
    return [f"{question} [{name}]" for name in STRATEGIES for question in questions]


def write(folder: Path, questions: list[str]) -> list[list[str]]:
    """In a process of its own: `SAMPLES` solutions of every question in every strategy."""
    torch.set_num_threads(1)
    sampler = TransformersSampler(*loading.load(folder, "cpu"), batch_size=BATCH)
    found = sampler.sample(prompts(questions), SamplingParams(n=SAMPLES, max_tokens=NEW, **HOW))
    return [[each.text for each in row] for row in found]


def main(rounds: int = 3) -> None:
    problems = draw(QUESTIONS, seed=2, templates=two_steps(), largest=20)
    questions = [each.question for each in problems]
    with tempfile.TemporaryDirectory() as place:
        student(Path(place))
        against_generate(*loading.load(place, "cpu"), prompts(questions[:PART]), rounds)
        many, begin, before = cores(), time.perf_counter(), of_processes()
        parts = [questions[at::many] for at in range(many)]
        with ProcessPoolExecutor(many, get_context("spawn")) as pool:
            found = list(pool.map(write, [place] * many, parts))
    seconds, spent = time.perf_counter() - begin, of_processes() - before
    n = sum(len(texts) for own in found for texts in own)
    print(f"a round, {n:,} solutions in {many} processes: {seconds:.0f} s, {spent:.0f} s of processors")
    judge({each.question: each for each in problems}, parts, found)


def of_processes() -> float:
    """Processor time of processes that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def against_generate(model: object, tokenizer: object, asked: list[str], rounds: int) -> None:
    """Tokens up to the end of each solution, per second of one processor."""
    options = {"do_sample": True, "top_k": 0, "max_new_tokens": NEW, "pad_token_id": 0, **HOW}
    asked_often = [prompt for prompt in asked for _ in range(SAMPLES)]

    def theirs() -> int:
        count = 0
        for begin in range(0, len(asked_often), BATCH):
            part = asked_often[begin : begin + BATCH]
            batch = tokenizer(part, padding=True, padding_side="left", return_tensors="pt")
            ids = model.generate(input_ids=batch.input_ids, attention_mask=batch.attention_mask, **options)
            ended = ids[:, batch.input_ids.shape[1] :] == tokenizer.eos_token_id
            count += int(torch.where(ended.any(1), ended.int().argmax(1) + 1, ended.shape[1]).sum())
        return count

    def ours(size: int) -> int:
        found = TransformersSampler(model, tokenizer, batch_size=size).sample(
            asked, SamplingParams(n=SAMPLES, max_tokens=NEW, **HOW)
        )
        return sum(len(each.tokens) for row in found for each in row)

    print(f"{len(asked_often):,} solutions, {torch.get_num_threads()} thread(s)")
    candidates = {f"model.generate, batch {BATCH}": theirs}
    for size in (BATCH // 2, BATCH, 2 * BATCH, 4 * BATCH):
        candidates[f"sampler, batch {size}"] = lambda size=size: ours(size)
    compare(candidates, rounds, "tokens")


def judge(problems: dict[str, Problem], parts: list[list[str]], found: list[list[list[str]]]) -> None:
    """Verdicts on all solutions, as a round wants them."""
    written = []
    for part, own in zip(parts, found, strict=True):
        asked = [(each, name) for name in STRATEGIES for each in part]
        for (text, name), texts in zip(asked, own, strict=True):
            question = Question(problems[text].id, text, str(problems[text].answer))
            written += [(question, name, solution) for solution in texts]
    begin = time.perf_counter()
    verdicts = Counter(each.verdict for each in verify(written, "student"))
    programs = sum(name == "pot" for _, name, _ in written)
    seconds = time.perf_counter() - begin
    print(f"judging them, {programs:,} programs among them: {seconds:.0f} s; {dict(verdicts)}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
