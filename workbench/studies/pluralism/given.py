"""How long 12_pluralism takes with a model that is given."""

from collections.abc import Sequence

from workbench.corpora.loaders.opinions import ANSWER, Question, format_question
from workbench.engine.cost import measure, reads_per_learnt
from workbench.engine.sampling import load
from workbench.engine.sampling.sampler import prompt_for
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import encode
from workbench.studies.pluralism.experiment import Plan

# What work takes: weights tried on the way to a budget; tokens of a reply and of one with percentages.
KL_TRIES, REPLY, STATED = 9, 12, 100


def expected(plan: Plan) -> list[str]:
    """What it will take with a given model, measured, as a sentence; nothing where one is trained here."""
    if plan.sizes.groups is None:
        return []
    sampler = load.sampler(plan.model, plan.device)
    if not isinstance(sampler, TransformersSampler):
        return []
    sizes, task = plan.sizes, plan.task

    def shown(questions: Sequence[Question]) -> float:
        """Tokens of the questions, each in all rotations."""
        texts = [format_question(question.prompt, question.options, letters=False) for question in questions]
        rows = encode(sampler.tokenizer, [prompt_for(sampler, text, ANSWER) for text in texts])
        return sum(len(row) * len(question.options) for row, question in zip(rows, questions, strict=True))

    once, chances = shown(task.questions), shown(plan.chances.questions)
    n, tuned = len(task.questions), len(plan.arms) - 1
    turns = sum(len(question.options) for question in task.questions)
    an_answer = once / turns  # tokens of a question with an answer
    a_token = reads_per_learnt(sampler.model, "lora" if plan.lora else "full")
    learnt = a_token * sizes.tuning_steps * sizes.pairs * an_answer
    read = 4 * once + len(plan.arms) * ((2 + len(task.groups)) * once + 2 * chances)
    read += tuned * ((len(sizes.fractions) + 1) * once + KL_TRIES * an_answer * n / 2 + 1.5 * learnt)
    drawn = (n + len(plan.chances.questions)) * sizes.samples * REPLY
    cost = measure(sampler.model, sampler.tokenizer, writes=True)
    minutes = cost.minutes(read=read, write=turns * STATED + (1 + len(plan.arms)) * drawn)
    return [cost.sentence(minutes)]
