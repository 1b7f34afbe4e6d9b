"""The models of 12_pluralism alive in the page."""

from collections.abc import Collection, Mapping
from typing import Any

from workbench.charts.live_view import Example, live_or_why_not
from workbench.charts.view import View
from workbench.corpora.loaders.opinions import ANSWER, Question, format_question
from workbench.engine import loading
from workbench.engine.live import block
from workbench.studies.pluralism.method import NOBODY, Task
from workbench.studies.pluralism.results import TUNED


def live_answers(models: Mapping[str, str], task: Task, tuned: Collection[str]) -> View:
    """The models answer a question, as everybody or as a member of a group, in the page itself.

    Args:
        models: the folder of each, by the name to show.
        task: whose questions can be asked.
        tuned: ids of the questions that were tuned on.
    """

    def blocks() -> dict[str, dict[str, Any]]:
        return {name: block(*loading.load(source, "cpu")) for name, source in models.items()}

    def example(question: Question, group: str, prompt: str) -> Example:
        people = question.people if group == NOBODY else question.groups[group]
        kind = f" ({TUNED})" if question.id in tuned else ""
        return Example(
            f"{question.id}{kind}, {'everybody' if group == NOBODY else group}",
            format_question(prompt, question.options, letters=False) + ANSWER,
            "Strokes: what people answer.",
            dict(zip(question.options, people.dist, strict=True)),
        )

    asked = sorted(task.questions, key=lambda question: question.id in tuned)
    return live_or_why_not(
        blocks,
        "Ask the village",
        "Choose a question and who is asked, or write one of your own. Bars are the model's next word, "
        "strokes the people's answers; the questions at the end were tuned on. The models are part of this"
        " page: nothing is sent anywhere, and no kernel runs.",
        examples=[
            example(question, group, put.prompt)
            for question in asked
            for group in (NOBODY, *question.groups)
            for put in task.prompted(group, [question])
        ],
        writes=False,
    )
