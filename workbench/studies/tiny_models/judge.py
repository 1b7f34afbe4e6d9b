"""GPT-Eval: a language model grades children's stories, and exact rules check the grader.

Eldan & Li 2023, arXiv 2305.07759, the section on evaluation. As published: a teacher reads a beginning and a
student's completion, says in words what it thinks, and in a second turn gives numbers. Otherwise: the wording
is ours, any language model may be the teacher, and rules that need none say how far to believe it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from workbench.corpora.stories import words
from workbench.corpora.stories.grammar import sentences
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.tokens import chat_prompt
from workbench.measures.overlap import kgrams
from workbench.measures.statistics import Interval, spearman
from workbench.studies.tiny_models.judge_replies import MAKES_SENSE, read_verdict

if TYPE_CHECKING:
    from workbench.engine.sampling.openai_sampler import ChatSampler, Message
    from workbench.engine.sampling.sampler import Completion, Sampler

MAX_TOKENS = 600  # of each reply

ASSESS_COMPLETION = """\
A student was given the beginning of a children's story and had to complete it. Below, the mark *** stands
where the given beginning ends and the student's own text starts.

{beginning}***{completion}

Say in a short paragraph what you think of the student's part only: is its grammar correct, does it fit the
beginning in people, things and events? Look with care at the sentence that the mark splits: does the student
finish it in a way that is grammatical and makes sense?"""
ASSESS_INSTRUCTION = """\
A student was told what a children's story should contain, and had to write it.

What was asked:
{beginning}

The student's story:
{completion}

Say in a short paragraph what you think of the story: is its grammar correct, does it do everything that was
asked, is its plot coherent from the first sentence to the last?"""
GRADE = """\
Now grade the student's {part}. Answer with these lines and nothing else:
Grammar: a number from 0 to 10, then /10
Creativity: a number from 0 to 10, then /10
Consistency ({consistency}): a number from 0 to 10, then /10
{plot}
Age group: how old the student may be, one letter of A (3 or younger), B (4-5), C (6-7), D (8-9), E (10-12),
F (13-16)"""
GRADE_COMPLETION = GRADE.format(
    part="part of the story",
    consistency="does it fit the beginning",
    plot="Plot makes sense: yes, partly or no",
)
GRADE_INSTRUCTION = GRADE.format(
    part="story", consistency="does it do what was asked", plot="Plot: a number from 0 to 10, then /10"
)
SCORES = ("grammar", "creativity", "consistency")


def judge(
    stories: Sequence[tuple[str, str]], sampler: Sampler, *, seed: int = 0, instruct: bool = False
) -> pd.DataFrame:
    """Lets a model grade stories in a conversation of two turns each.

    Args:
        stories: (beginning, completion), or with `instruct` (instruction, story).
        sampler: the judge. A `ChatSampler` and an instruct model hold the conversation; any other continues
            a written dialogue.
        seed: fixes the judge's draws.
        instruct: whether the story follows an instruction: consistency then means that it does what was
            asked, and the plot gets a score of its own.

    Returns:
        One row a story: beginning, completion; assessment and grading (the raw replies); grammar, creativity,
        consistency (0-10); plot (0-10, `instruct`) or plot_makes_sense (0, 0.5 or 1); age (A-F); failure: why
        scores are missing, "" when none is.
    """
    assess, question = ASSESS_COMPLETION, GRADE_COMPLETION
    scores, plot = SCORES, MAKES_SENSE
    if instruct:
        assess, question = ASSESS_INSTRUCTION, GRADE_INSTRUCTION
        scores, plot = (*SCORES, "plot"), "plot"
    params = SamplingParams(max_tokens=MAX_TOKENS, temperature=0.0, seed=seed)
    table = pd.DataFrame(stories, columns=["beginning", "completion"])
    texts = [assess.format(**story) for story in table.to_dict("records")]
    conversations: list[list[Message]] = [[{"role": "user", "content": text}] for text in texts]
    assessments = _reply(sampler, conversations, params)
    for conversation, reply in zip(conversations, assessments, strict=True):
        conversation.append({"role": "assistant", "content": reply.text})
        conversation.append({"role": "user", "content": question})
    gradings = _reply(sampler, conversations, params)
    verdicts = []
    for reply in gradings:
        verdict, problems = read_verdict(reply.text, scores, plot_makes_sense=not instruct)
        if problems and reply.finish_reason == "length":
            problems = [*problems, f"the reply was cut at {MAX_TOKENS} tokens"]
        verdicts.append(verdict | {"failure": "; ".join(problems)})
    replies = {"assessment": assessments, "grading": gradings}
    table = table.assign(**{name: [reply.text for reply in column] for name, column in replies.items()})
    return table.join(pd.DataFrame(verdicts, columns=[*SCORES, plot, "age", "failure"]))


def _reply(
    sampler: Sampler, conversations: Sequence[list[Message]], params: SamplingParams
) -> list[Completion]:
    if sampler.chat and sampler.tokenizer is None:
        return cast("ChatSampler", sampler).reply(conversations, params)
    if sampler.chat and sampler.tokenizer is not None:
        prompts = [chat_prompt(sampler.tokenizer, messages) for messages in conversations]
    else:
        params = replace(params, stop=["\nQuestion:"])
        prompts = ["".join(map(_turn, messages)) + "Answer:" for messages in conversations]
    return [row[0] for row in sampler.sample(prompts, params)]


def _turn(message: Message) -> str:
    speaker = {"user": "Question", "assistant": "Answer"}[message["role"]]
    return f"{speaker}: {message['content'].strip()}\n\n"


def rules(beginning: str, completion: str) -> dict[str, float]:
    """What can be said of a completion without a judge.

    Returns:
        split_sentence_completed: 1 if the sentence that the beginning leaves open goes on and reaches its
            end; NaN if the beginning ends with a sentence.
        names_kept: share of the beginning's names that the completion says again; NaN without names.
        no_repeated_4gram: 1 if no four words in a row come twice in the completion (where one does,
            TinyStories cut the text); NaN below four words.
    """
    beginning, completion = (re.sub("[“”]", '"', text) for text in (beginning, completion))
    names = _names(beginning)
    said = set(re.findall(r"\w+", completion))
    grams = kgrams(completion, 4)
    return {
        "split_sentence_completed": _split_sentence_completed(beginning, completion),
        "names_kept": len(names & said) / len(names) if names else np.nan,
        "no_repeated_4gram": float(len(set(grams)) == len(grams)) if grams else np.nan,
    }


def _split_sentence_completed(beginning: str, completion: str) -> float:
    beginning = beginning.rstrip()
    if not beginning or re.search(r'[.!?]"?$', beginning):
        return np.nan
    text = f"{beginning} {completion.lstrip(' ')}"
    start, end = next(span for span in sentences(text) if span[1] >= len(beginning))
    goes_on = re.match(r'[\s,"]*(\w+)', text[len(beginning) : end])
    finished = re.search(r'[.!?]"?$', text[start:end])
    if not goes_on or not finished:
        return 0.0
    first = goes_on[1]
    opens_a_quotation = beginning.endswith('"') or '"' in goes_on[0]
    starts_anew = first[0].isupper() and not (
        opens_a_quotation or first == "I" or first in _names(beginning) | words.GENDER.keys()
    )
    return float(not starts_anew)


def _names(text: str) -> set[str]:
    """Known first names, and capitalised words inside a sentence that the text never writes small."""
    capitalised = set(re.findall(r"\b[A-Z]\w+", text))
    inside = set(re.findall(r"(?<=[a-z,] )[A-Z]\w+", text))
    small = set(re.findall(r"\b[a-z]\w*", text))
    unknown = {name for name in capitalised & inside if name.lower() not in small}
    return unknown | (capitalised & words.GENDER.keys())


def agreement(frame: pd.DataFrame, rules: Callable[[str, str], dict[str, float]] = rules) -> pd.DataFrame:
    """Rank correlation of the judge's scores with exact rules on the same stories.

    Args:
        frame: what `judge` returned.
        rules: (beginning, completion) to named values; NaN where a rule does not apply.

    Returns:
        One row per score and rule: score, rule, value (Spearman), low, high (95 % interval, bootstrap over
        stories), n (stories with both). NaN where n < 3 or one side is constant.
    """
    stories = zip(frame.beginning, frame.completion, strict=True)
    checked = pd.DataFrame([rules(*story) for story in stories], index=frame.index)
    rows = []
    for score in [name for name in (*SCORES, "plot", MAKES_SENSE) if name in frame]:
        for rule in checked:
            pairs = pd.DataFrame({"judge": frame[score], "rule": checked[rule]}).astype(float).dropna()
            rho = Interval(np.nan, np.nan, np.nan, len(pairs))
            if len(pairs) >= 3:
                rho = spearman(pairs.judge, pairs.rule)
            rows.append({"score": score, "rule": rule, **rho.row()})
    return pd.DataFrame(rows)
