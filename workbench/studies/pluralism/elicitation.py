"""Four ways to read a model's distribution over the options of a question.

By the likelihood of the options' letters or of their texts, by sampled answers, and by the percentages that
the model states (Meister et al. 2024, arXiv 2411.05403, compare the last three). Models favour places and
letters, so that every reading is averaged over all rotations of the options. Likelihoods are those behind
“Answer:”; an instruct model begins the replies that it writes as it likes.

A read-out gives a row for each question, with the columns

    id
    shares  a list over the options; None where nothing could be read
    valid   by likelihood the probability of all options together, else the share of replies that could be
            read; where it is small the model was not answering the question
    order   mean total variation of the rotations from their mean: 0 where the order of the options does not
            matter; NaN for readings from replies
    places  by likelihood alone: a list over the places at which options are shown, each option once at each
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import pandas as pd

from workbench.corpora.loaders.opinions import ANSWER, LETTERS, Question, format_question
from workbench.engine.sampling.sampler import Sampler, SamplingParams, fits, prompt_for
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import converses

ReadOut = Callable[[Sequence[Question]], pd.DataFrame]
HUNDRED = "\nOf 100 people, how many choose each? Write one line for each, its text, a colon and the number."
_NUMBER = r"\W{0,4}[:=–-]\W{0,4}(\d+(?:\.\d+)?)(?![\d.])"
_ROOM = 64  # tokens for an answer
_COLUMNS = ["id", "shares", "valid", "order"]


def readouts(sampler: Sampler, k: int, seed: int) -> dict[str, ReadOut]:
    """All that the model allows, by name: of a server's, likelihoods are not known."""
    scoring = cast(TransformersSampler, sampler)  # if it has log-probabilities
    likelihoods: dict[str, ReadOut] = {
        "letters": lambda questions: from_logprobs(scoring, questions, letters=True),
        "texts": lambda questions: from_logprobs(scoring, questions, letters=False),
    }
    return {
        **(likelihoods if sampler.logprobs else {}),
        f"{k} samples": lambda questions: by_samples(sampler, questions, k, seed),
        "percentages": lambda questions: verbalized(sampler, questions, seed),
    }


def best_readout(sampler: Sampler, k: int, seed: int) -> dict[str, ReadOut]:
    """The one to compare models by: the options' texts, or `k` samples of a server's model."""
    name = "texts" if sampler.logprobs else f"{k} samples"
    return {name: readouts(sampler, k, seed)[name]}


def rotations(options: Sequence[str]) -> list[list[str]]:
    """Every option once at every place: n orders of n options."""
    return [[*options[start:], *options[:start]] for start in range(len(options))]


def from_logprobs(sampler: TransformersSampler, questions: Sequence[Question], letters: bool) -> pd.DataFrame:
    """From the probability of each option's letter, or of its whole text, after the listed options.

    Args:
        sampler: any transformers model; an instruct model is asked through its chat template.
        questions: to ask. An option whose text begins another option has that one's probability too.
        letters: the options are lettered, and letters are scored.
    """
    prompts = [prompt for question in questions for prompt in _prompts(sampler, question, letters)]
    orders = [options for question in questions for options in rotations(question.options)]
    candidates = [[f" {text}" for text in (LETTERS[: len(order)] if letters else order)] for order in orders]
    scores = iter(sampler.score(prompts, candidates))
    rows = []
    for question in questions:
        logs = np.array([np.roll(next(scores), start) for start in range(len(question.options))])
        dists = np.exp(logs - np.logaddexp.reduce(logs, axis=1)[:, None])  # [rotations, options]
        shares = dists.mean(0) / dists.mean(0).sum()
        order = np.abs(dists - shares).sum(1).mean() / 2
        places = np.mean([np.roll(dist, -start) for start, dist in enumerate(dists)], axis=0)
        rows.append((question.id, shares.tolist(), np.exp(logs).sum(1).mean(), order, places.tolist()))
    return pd.DataFrame(rows, columns=[*_COLUMNS, "places"])


def by_samples(sampler: Sampler, questions: Sequence[Question], k: int, seed: int = 0) -> pd.DataFrame:
    """From about `k` sampled answers: how many are each of the options."""
    rows = []
    for question, replies in zip(questions, sample_replies(sampler, questions, k, seed), strict=True):
        counts = option_counts(replies, question.options)
        shares = (counts / counts.sum()).tolist() if counts.any() else None
        rows.append((question.id, shares, counts.sum() / len(replies), np.nan))
    return pd.DataFrame(rows, columns=_COLUMNS)


def sample_replies(sampler: Sampler, questions: Sequence[Question], k: int, seed: int) -> list[list[str]]:
    """`k` sampled answers to each question, evenly over the rotations (so a few more).

    Temperature 1, nothing cut off: the model's own distribution.
    """
    replies: list[list[str]] = [[] for _ in questions]
    max_tokens = max(len(option) for question in questions for option in question.options) // 2 + 8
    for size in dict.fromkeys(len(question.options) for question in questions):
        indices = [index for index, question in enumerate(questions) if len(question.options) == size]
        prompts = [prompt for index in indices for prompt in _to_reply(sampler, questions[index])]
        params = SamplingParams(n=math.ceil(k / size), max_tokens=max_tokens, stop=["\n"], seed=seed)
        for number, completions in enumerate(sampler.sample(prompts, params)):
            replies[indices[number // size]] += [completion.text for completion in completions]
    return replies


def verbalized(sampler: Sampler, questions: Sequence[Question], seed: int = 0) -> pd.DataFrame:
    """From the percentages that the model states when it is asked how people would answer, likeliest reply.

    A reply is read if it gives every option a number and they sum to 95 to 105.
    """
    prompts = [prompt for question in questions for prompt in _to_reply(sampler, question, more=HUNDRED)]
    drawn = iter(sampler.sample(prompts, SamplingParams(max_tokens=100, temperature=0, seed=seed)))
    rows = []
    for question in questions:
        stated = [percentages(next(drawn)[0].text, question.options) for _ in question.options]
        read = [shares for shares in stated if shares is not None]
        shares = np.mean(read, axis=0).tolist() if read else None
        rows.append((question.id, shares, len(read) / len(stated), np.nan))
    return pd.DataFrame(rows, columns=_COLUMNS)


def answer(reply: str, options: Sequence[str]) -> int | None:
    """The option that a reply begins with, or else the only one that it names; None if there is none."""
    text = _plain(reply)
    begun = [index for index, option in enumerate(options) if re.match(_whole(option), text)]
    if begun:
        return max(begun, key=lambda index: len(options[index]))
    named = [index for index, option in enumerate(options) if re.search(_whole(option), text)]
    return named[0] if len(named) == 1 else None


def option_counts(replies: Sequence[str], options: Sequence[str]) -> np.ndarray:
    """How many replies are each of the options (`answer`), int `[options]`."""
    chosen = [index for reply in replies if (index := answer(reply, options)) is not None]
    return np.bincount(np.array(chosen, dtype=int), minlength=len(options))


def percentages(reply: str, options: Sequence[str]) -> np.ndarray | None:
    """The shares that a reply states, in the options' order; None if it does not give each a number, or they
    do not sum to about 100.
    """
    text = _plain(reply)
    matches = [re.search(_whole(option) + _NUMBER, text) for option in options]
    numbers = np.array([float(match[1]) for match in matches if match])
    if len(numbers) < len(options) or abs(numbers.sum() - 100) > 5:
        return None
    return numbers / numbers.sum()


def readable(sampler: Sampler, question: Question) -> bool:
    """Whether a question with its options leaves room for an answer in the model's context."""
    text = format_question(question.prompt, question.options, letters=False) + HUNDRED
    return fits(sampler, prompt_for(sampler, text, ANSWER) + max(question.options, key=len), _ROOM)


def _prompts(sampler: Sampler, question: Question, letters: bool = False) -> list[str]:
    """The question with its options in every rotation, up to the answer that is scored."""
    texts = [format_question(question.prompt, order, letters) for order in rotations(question.options)]
    return [prompt_for(sampler, text, ANSWER) for text in texts]


def _to_reply(sampler: Sampler, question: Question, more: str = "") -> list[str]:
    """The same for a model that writes; one that converses is not told how to begin."""
    texts = [format_question(question.prompt, order, False) + more for order in rotations(question.options)]
    chats = sampler.tokenizer is not None and converses(sampler.tokenizer)
    return [prompt_for(sampler, text, "" if chats else ANSWER) for text in texts]


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[*_`\"“”]", "", text)).strip(" -.").casefold()


def _whole(option: str) -> str:
    return rf"(?<!\w){re.escape(_plain(option))}(?!\w)"
