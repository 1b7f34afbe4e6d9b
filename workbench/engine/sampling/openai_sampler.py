"""Sampling from a server that speaks the OpenAI protocol: vLLM, llama.cpp, SGLang, Ollama, OpenAI itself."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from workbench.engine.sampling.answers import completion, reply
from workbench.engine.sampling.sampler import Completion, SamplingParams, by_prompt
from workbench.engine.sampling.server import Job, OpenAIServer, RefusedRequest, Settings
from workbench.errors import UserError

PROMPTS_PER_REQUEST = 32

Message = dict[str, str]  # {"role": "user" | "assistant" | "system", "content": text}


class ServerSampler(OpenAIServer):
    """Completions of texts from a server (`/completions`).

    Each row is a request with a seed of (seed, prompt, sample), because servers give equal prompts of one
    request equal draws. Only at temperature 0 do prompts share requests, where the server allows it.

    `Completion.tokens` is empty unless the server tells token ids (vLLM does), `Completion.logprobs` is empty
    unless it tells log-probabilities (vLLM: at temperature 1, nothing cut off; others may mean those after
    temperature). Settings that no request names vLLM takes from the model's generation_config.json: serve it
    with `--generation-config vllm`.
    """

    other_scheme = "openai-chat"

    def sample(self, prompts: Sequence[str], params: SamplingParams) -> list[list[Completion]]:
        """See `Sampler.sample`; vLLM refuses empty prompts, and more tokens than its context holds.

        Raises:
            UserError: the server cannot be reached, does not know the model, or refuses the request.
        """
        settings = _settings(params) | {"max_tokens": params.max_tokens, "logprobs": 1}
        if not self._is_openai:  # said even when off: llama.cpp cuts by default
            settings["extra_body"] = {"min_p": params.min_p, "top_k": -1, "return_token_ids": True}
        settings.setdefault("extra_body", {})
        if params.temperature == 0:
            jobs = [(prompt, settings | {"seed": params.seed}) for prompt in prompts]
            return [[row] * params.n for row in self._rows(jobs, self._complete, PROMPTS_PER_REQUEST)]
        return by_prompt(self._rows(_jobs(prompts, settings, params), self._complete), params.n)

    def _complete(self, prompts: list[Any], settings: Settings) -> list[Completion]:
        """One completion of each prompt, in one request if the server takes several prompts."""
        choices, prompt = [], prompts if len(prompts) > 1 else prompts[0]
        try:
            choices = self._ask(self._client.completions.with_raw_response.create, prompt=prompt, **settings)
        except RefusedRequest:  # so says a server that takes one prompt a request
            if len(prompts) == 1:
                raise
        if len(prompts) == 1:
            if len(choices) > 1:
                raise UserError(f"{self.url} gave {len(choices)} completions where one was asked for.")
            return [completion(choices[0], self.url, self._key)]
        numbers = [choice.get("index") for choice in choices]
        if all(numbers.count(number) == 1 for number in range(len(prompts))) and len(numbers) == len(prompts):
            ordered = [choices[numbers.index(number)] for number in range(len(prompts))]
            return [completion(choice, self.url, self._key) for choice in ordered]
        # Not its own method, which a subclass may have given texts where these are tokens.
        return [row for prompt in prompts for row in ServerSampler._complete(self, [prompt], settings)]


class ChatSampler(OpenAIServer):
    """Replies from a server that converses (`/chat/completions`), without tokens or log-probabilities.

    The server writes the prompt: a template of its own that tells the date is told the server's.
    """

    chat, other_scheme = True, "openai"

    def sample(self, prompts: Sequence[str], params: SamplingParams) -> list[list[Completion]]:
        """`params.n` replies to each prompt, sent as a user's message; see `Sampler.sample`.

        Raises:
            UserError: the server cannot be reached, does not know the model, or refuses the request.
        """
        conversations = [[{"role": "user", "content": prompt}] for prompt in prompts]
        return by_prompt(self._replies(conversations, _settings(params), params), params.n)

    def reply(self, conversations: Sequence[Sequence[Message]], params: SamplingParams) -> list[Completion]:
        """The assistant's next message in each conversation; of `params`, max_tokens, temperature and seed.

        Raises:
            UserError: as in `sample`.
        """
        # Not more, since answers that runs have kept are found by their settings.
        settings, params = {"temperature": params.temperature}, replace(params, n=1)
        return self._replies([list(messages) for messages in conversations], settings, params)

    def _replies(
        self, conversations: Sequence[list[Message]], settings: Settings, params: SamplingParams
    ) -> list[Completion]:
        longest = "max_completion_tokens" if self._is_openai else "max_tokens"
        settings = settings | {longest: params.max_tokens}
        return self._rows(_jobs(conversations, settings, params), self._reply)

    def _reply(self, conversations: list[list[Message]], settings: Settings) -> list[Completion]:
        (messages,) = conversations
        choices = self._ask(
            self._client.chat.completions.with_raw_response.create, messages=messages, **settings
        )
        return [reply(choices[0], self.url, self._key)]


def _settings(params: SamplingParams) -> Settings:
    """What every server is told; what is off goes unsaid."""
    params.check_order()
    settings: Settings = {"temperature": params.temperature, "top_p": params.top_p}
    settings |= {"stop": list(params.stop)} if params.stop else {}
    return settings | ({"extra_body": {"min_p": params.min_p}} if params.min_p else {})


def _jobs(prompts: Sequence[Any], settings: Settings, params: SamplingParams) -> list[Job]:
    """Each prompt `params.n` times, with the seed of its row."""
    return [
        (prompt, settings | {"seed": row_seed(params.seed, i, j)})
        for i, prompt in enumerate(prompts)
        for j in range(params.n)
    ]


def row_seed(seed: int, prompt: int, sample: int) -> int:
    """A seed of 31 bits (what every server takes) for sample `sample` of prompt number `prompt`."""
    state = np.random.SeedSequence([seed % 2**64, prompt, sample]).generate_state(1)
    return int(state[0] >> 1)
