"""A student of SIKeD killed in the middle of rounds ends as one that was not, and is asked nothing twice."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from workbench.corpora.problems import draw
from workbench.engine import loading, models
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.studies.siked import method
from workbench.studies.siked.mixing import first_correct
from workbench.studies.siked.solving import Question
from workbench.studies.siked.teacher import solver_solutions

PROBLEMS = draw(8, 0)
QUESTIONS = [Question(each.id, each.question, str(each.answer)) for each in PROBLEMS]
LESSON = method.DistillConfig(1, 1, rounds=2, samples=2, batch_size=2, context=192, max_new_tokens=12)


def learn(folder, base, asked):
    """Teaches the student; what it was asked is noted in the file `asked` when it has answered."""
    sample = TransformersSampler.sample

    def noted(self, prompts, params):
        found = sample(self, prompts, params)
        with open(asked, "a") as file:
            file.write(f"{len(prompts)} questions {prompts[0][-6:]!r} seed {params.seed}\n")
        return found

    TransformersSampler.sample = noted
    try:
        teacher = first_correct(solver_solutions(PROBLEMS), "teacher")
        return method.distill(
            folder, base, teacher, QUESTIONS[:6], QUESTIONS[6:], LESSON, "adaptive", device="cpu"
        )
    finally:
        TransformersSampler.sample = sample


def dies(what, when):
    """Makes this process kill itself before a call whose arguments pass the test `when`."""
    place, name = what
    work = getattr(place, name)

    def deadly(*given, **settings):
        if when(*given, **settings):
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*given, **settings)

    setattr(place, name, deadly)


DEATHS = {  # in the middle of a strategy, between writing and renaming, before a round's training, after it
    "least to most, round 1": lambda: dies(
        (TransformersSampler, "sample"), lambda self, prompts, params: prompts[0].endswith("[l2m]")
    ),
    "rename, round 1": lambda: dies(
        (Path, "replace"), lambda path, to: to.name == "pot-000000.parquet" and "round-1" in str(to)
    ),
    "training, round 2": lambda: dies(
        (method, "train"), lambda *_, folder, **__: "round-2" in str(folder)
    ),
    "held out, round 2": lambda: dies(
        (Path, "replace"), lambda path, to: to.name == "held_out.parquet" and "round-2" in str(to)
    ),
}  # fmt: skip


def test_a_student_that_is_killed_again_and_again_learns_the_same_and_is_asked_nothing_twice(tmp_path):
    tokenizer = models.train_tokenizer([each.question + each.rationale("l2m") for each in PROBLEMS], 400)
    model = models.build(models.config("tiny:0.1M", vocab_size=400, context=192), 0)
    loading.save(model, tokenizer, tmp_path / "base")
    places = [tmp_path / "killed", str(tmp_path / "base"), tmp_path / "killed.txt"]
    done = subprocess.run([sys.executable, __file__, *map(str, places)], capture_output=True, text=True)
    assert done.stdout.split() == [str(signal.SIGKILL.value)] * len(DEATHS), done.stderr
    ended = learn(*places)
    whole = learn(tmp_path / "whole", places[1], tmp_path / "whole.txt")
    assert ended.rounds.equals(whole.rounds)
    last = Path("round-2") / "model" / "model.safetensors"
    assert (tmp_path / "killed" / last).read_bytes() == (tmp_path / "whole" / last).read_bytes()
    twice = Counter((tmp_path / "killed.txt").read_text().splitlines())
    twice.subtract((tmp_path / "whole.txt").read_text().splitlines())
    assert sum(twice.values()) == 2  # what two deaths took before it had its name
    assert set(twice.values()) == {0, 1}


if __name__ == "__main__":
    from workbench.engine.training import loop  # noqa: F401  takes seconds, so once for all who die

    for death in DEATHS.values():
        child = os.fork()
        if child:
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) * -1, flush=True)
        else:
            death()
            learn(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
            os._exit(0)
