"""How long the routes of a given model will take, from what it costs on this machine."""

import numpy as np

from workbench.engine import loading
from workbench.engine.cost import measure, reads_per_learnt
from workbench.engine.tokens import encode_pairs
from workbench.studies.arithmetic.data import Task
from workbench.studies.arithmetic.experiment import GIVEN, framed_pairs, routes_of
from workbench.studies.arithmetic.settings import Plan

_OWN_WORDS = 120  # tokens of a reply of a model that nobody has taught to be brief, about


def expected(plan: Plan, task: Task) -> list[str]:
    """What the routes of a given model will take, at the size that is made for one; else nothing."""
    sizes, routes = plan.sizes, routes_of(plan.sizes)
    if GIVEN not in routes:
        return []
    model, tokenizer = loading.load(plan.model, plan.device)
    cost, solutions = measure(model, tokenizer, writes=True), " " + task.asked["solution"]
    questions = framed_pairs(tokenizer, list(zip(task.asked["question"], solutions, strict=True)))
    lengths = [(len(prompt), len(reply)) for prompt, reply in encode_pairs(tokenizer, questions)]
    asked, reply = np.sum(lengths), np.sum(lengths, axis=0)[1]
    n = len(routes) - 1
    learnt = plan.sizes.seeds * (n * sizes.task_tokens + (n - 1) * sizes.extra_tokens)
    read = reads_per_learnt(model, plan.tuning) * learnt + n * sizes.curve * asked / 2
    written = reply * (n + 0.5) + _OWN_WORDS * len(questions)
    return [cost.sentence(cost.minutes(read=read, write=written))]
