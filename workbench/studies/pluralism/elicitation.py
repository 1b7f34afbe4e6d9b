"""Four ways to read a model's distribution over the options of a question, and what each is worth.

By the likelihood of the options' letters or of their texts, by sampled answers, and by the percentages that
the model states (Meister et al. 2024, arXiv 2411.05403, compare the last three). Models favour places and
letters, so that every reading is averaged over all rotations of the options.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.corpora.loaders.opinions import ANSWER, LETTERS, Question, format_question
from workbench.engine.sampling.sampler import Sampler, SamplingParams, fits, prompt_for
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.measures.distributions import stack

HUNDRED = "\nOf 100 people, how many choose each? Write one line for each, its text, a colon and the number."
_NUMBER = r"\W{0,4}[:=–-]\W{0,4}(\d+(?:\.\d+)?)(?![\d.])"


@dataclass(frozen=True)
class Reading:
    """What was read off a model.

    Attributes:
        dist: shares `[questions, options]`, filled up with NaN; a row of NaN where nothing could be read.
        valid: `[questions]`, by likelihood the probability of all options together, else the share of replies
            that could be read; where it is small the model was not answering the question.
        order: `[questions]`, mean total variation of the rotations from their mean: 0 where the order of the
            options does not matter. NaN for readings from samples.
    """

    dist: np.ndarray
    valid: np.ndarray
    order: np.ndarray


def rotations(n: int) -> list[list[int]]:
    """Every option once at every place: n orders of n options."""
    return [[(place + start) % n for place in range(n)] for start in range(n)]


def from_logprobs(sampler: TransformersSampler, questions: Sequence[Question], letters: bool) -> Reading:
    """From the probability of each option's letter, or of its whole text, after the listed options.

    Args:
        sampler: any transformers model; an instruct model is asked through its chat template.
        questions: to ask. An option whose text begins another option has that one's probability too.
        letters: the options are lettered, and letters are scored.
    """
    prompts, candidates = [], []
    for question in questions:
        for order in rotations(len(question.options)):
            shown = [question.options[place] for place in order]
            prompts.append(prompt_for(sampler, format_question(question.prompt, shown, letters), ANSWER))
            candidates.append([f" {each}" for each in (LETTERS[: len(shown)] if letters else shown)])
    scores = iter(sampler.score(prompts, candidates))
    shares, masses, spreads = [], [], []
    for question in questions:
        orders = rotations(len(question.options))
        logs = np.array([next(scores)[np.argsort(order)] for order in orders])
        own = np.exp(logs - np.logaddexp.reduce(logs, axis=1)[:, None])
        shares.append(own.mean(0) / own.mean(0).sum())
        masses.append(np.exp(logs).sum(1).mean())
        spreads.append(np.abs(own - shares[-1]).sum(1).mean() / 2)
    return Reading(stack(shares), np.array(masses), np.array(spreads))


def by_samples(
    sampler: Sampler, questions: Sequence[Question], k: int, seed: int = 0
) -> tuple[Reading, list[list[str]]]:
    """From `k` sampled answers, evenly over the rotations (so a few more), and the replies themselves.

    Temperature 1, nothing cut off: the model's own distribution.
    """
    replies: list[list[str]] = [[] for _ in questions]
    longest = max(len(option) for question in questions for option in question.options)
    for size in dict.fromkeys(len(question.options) for question in questions):
        own = [place for place, question in enumerate(questions) if len(question.options) == size]
        prompts = [prompt for place in own for prompt in _listed(sampler, questions[place])]
        drawn = sampler.sample(
            prompts,
            SamplingParams(n=math.ceil(k / size), max_tokens=longest // 2 + 8, stop=["\n"], seed=seed),
        )
        for number, completions in enumerate(drawn):
            replies[own[number // size]] += [each.text for each in completions]
    counts = [
        option_counts(texts, question.options) for texts, question in zip(replies, questions, strict=True)
    ]
    shares = [own / own.sum() if own.any() else np.full(len(own), np.nan) for own in counts]
    valid = [own.sum() / len(texts) for own, texts in zip(counts, replies, strict=True)]
    return Reading(stack(shares), np.array(valid), np.full(len(shares), np.nan)), replies


def verbalized(sampler: Sampler, questions: Sequence[Question], seed: int = 0) -> Reading:
    """From the percentages that the model states when it is asked how people would answer, likeliest reply.

    A reply is read if it gives every option a number and they sum to 95 to 105.
    """
    prompts = [prompt for question in questions for prompt in _listed(sampler, question, HUNDRED)]
    drawn = iter(sampler.sample(prompts, SamplingParams(max_tokens=100, temperature=0, seed=seed)))
    shares, valid = [], []
    for question in questions:
        read = [percentages(next(drawn)[0].text, question.options) for _ in question.options]
        found = [each for each in read if each is not None]
        shares.append(np.mean(found, axis=0) if found else np.full(len(question.options), np.nan))
        valid.append(len(found) / len(read))
    return Reading(stack(shares), np.array(valid), np.full(len(shares), np.nan))


def answer(reply: str, options: Sequence[str]) -> int | None:
    """The option that a reply begins with, or else the only one that it names; None if there is none."""
    said = _plain(reply)
    begun = [place for place, option in enumerate(options) if re.match(rf"{_whole(option)}", said)]
    if begun:
        return max(begun, key=lambda place: len(options[place]))
    named = [place for place, option in enumerate(options) if re.search(_whole(option), said)]
    return named[0] if len(named) == 1 else None


def option_counts(replies: Sequence[str], options: Sequence[str]) -> np.ndarray:
    """How many replies are each of the options (`answer`), int `[options]`."""
    chosen = [place for reply in replies if (place := answer(reply, options)) is not None]
    return np.bincount(np.array(chosen, dtype=int), minlength=len(options))


def percentages(reply: str, options: Sequence[str]) -> np.ndarray | None:
    """The shares that a reply states, in the options' order; None if it does not give each a number, or they
    do not sum to about 100.
    """
    said = _plain(reply)
    found = [re.search(_whole(option) + _NUMBER, said) for option in options]
    if not all(found):
        return None
    numbers = np.array([float(match[1]) for match in found if match])
    return numbers / numbers.sum() if abs(numbers.sum() - 100) <= 5 else None


def readable(sampler: Sampler, question: Question, more: int = 64) -> bool:
    """Whether a question with its options leaves `more` tokens of the model's context for an answer."""
    text = format_question(question.prompt, question.options, False) + HUNDRED
    return fits(sampler, prompt_for(sampler, text, ANSWER) + max(question.options, key=len), more)


def _listed(sampler: Sampler, question: Question, more: str = "") -> list[str]:
    """The question with its options in every rotation, without letters."""
    orders = [[question.options[place] for place in order] for order in rotations(len(question.options))]
    texts = [format_question(question.prompt, order, letters=False) + more for order in orders]
    return [prompt_for(sampler, text, ANSWER) for text in texts]


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[*_`\"“”]", "", text)).strip(" -.").casefold()


def _whole(option: str) -> str:
    return rf"(?<!\w){re.escape(_plain(option))}(?!\w)"
