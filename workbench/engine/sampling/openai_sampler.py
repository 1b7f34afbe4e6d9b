"""Sampling from a server that speaks the OpenAI protocol: vLLM, llama.cpp, SGLang, Ollama, OpenAI itself."""

import difflib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from workbench.engine.sampling.response_cache import ResponseCache, request_key
from workbench.engine.sampling.sampler import Completion, Sampler, SamplingParams, by_prompt
from workbench.errors import UserError

RETRIES = 2, 6  # before and after it has answered once, with pauses that grow from half a second to eight
CONCURRENCY = 32  # requests under way at once: a server batches them itself
PROMPTS_PER_REQUEST = 32
TIMEOUT = 600.0  # seconds a request may take

Settings = dict[str, Any]
Job = tuple[Any, Settings]  # a prompt or conversation, and how to go on with it
Message = dict[str, str]  # {"role": "user" | "assistant" | "system", "content": text}


class _Server(Sampler):
    """Address, model and client; every failure becomes one sentence.

    The key, where the server wants one, is read from `OPENAI_API_KEY` and written nowhere.
    """

    determinism = "every row is sent a seed of its own; whether it fixes the draw is the server's promise."

    def __init__(self, url: str, model: str, key: str | None = None) -> None:
        """`url`: with its version, as `http://127.0.0.1:8000/v1`; `key`: in the place of `OPENAI_API_KEY`.

        Nothing is sent before the first request.

        Raises:
            UserError: the client is not installed, or the address is none.
        """
        try:
            import openai
        except ImportError as error:
            raise UserError(
                'Sampling from a server needs: pip install "small-model-workbench[openai]"'
            ) from error
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"{url!r} is no server address: give one such as http://127.0.0.1:8000/v1.")
        if parts.username or parts.password:
            raise UserError("Leave the password out of the server's address: set OPENAI_API_KEY instead.")
        self.url, self.model = url, model
        # OpenAI refuses settings that it does not know, and has a name of its own for the longest answer.
        self._is_openai = parts.hostname.endswith(".openai.com")
        key = key or os.environ.get("OPENAI_API_KEY") or "none"  # which only the client insists on
        self._client = openai.OpenAI(
            base_url=url, api_key=key, timeout=openai.Timeout(TIMEOUT, connect=10.0), max_retries=RETRIES[0]
        )
        self._cache = ResponseCache()

    def _ask(self, create: Callable[..., Any], **request: Any) -> Any:
        import openai

        try:
            answer = create(model=self.model, **request)
        except openai.OpenAIError as error:
            raise UserError(self._explain(error)) from error
        if not getattr(answer, "choices", None):  # a web page, or an error with status 200
            raise UserError(
                f"{self.url} answers, but not with completions: the address usually ends in /v1 "
                f"(it said: {_short(answer)})."
            )
        self._client.max_retries = RETRIES[1]
        return answer

    def _rows(
        self, jobs: Sequence[Job], ask: Callable[[list[Any], Settings], list[Completion]], size: int = 1
    ) -> list[Completion]:
        """The completion of each job, many requests at once; jobs that share one have equal settings.

        What a run was told before it was killed is not asked again.
        """
        # by type too, since a `Framed` prompt has other tokens than the same text
        keys = [request_key(type(self).__name__, self.model, type(job[0]).__name__, *job) for job in jobs]
        completions = {key: self._cache.get(key) for key in keys}
        open_jobs = [index for index, key in enumerate(keys) if completions[key] is None]

        def request(part: list[int]) -> dict[str, Completion]:
            rows = ask([jobs[index][0] for index in part], jobs[part[0]][1])
            answered = {keys[index]: row for index, row in zip(part, rows, strict=True)}
            self._cache.keep(answered)
            return answered

        parts = [open_jobs[begin : begin + size] for begin in range(0, len(open_jobs), size)]
        with ThreadPoolExecutor(CONCURRENCY) as pool:  # an error leaves out what has not begun
            for answered in pool.map(request, parts):
                completions |= answered
        return [completions[key] for key in keys]

    def _explain(self, error: Exception) -> str:
        import openai

        if isinstance(error, openai.APITimeoutError):
            return f"{self.url} gave no answer in {TIMEOUT:.0f} seconds: ask for fewer tokens or check it."
        if isinstance(error, openai.APIConnectionError):
            return f"No server can be reached at {self.url}: start it, or check the address."
        said = _short(getattr(error, "message", error), secret=self._client.api_key)
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return f"{self.url} refuses the key: set OPENAI_API_KEY to one that is valid there ({said})."
        if isinstance(error, openai.NotFoundError):
            return self._explain_not_found(said)
        if isinstance(error, openai.RateLimitError):
            return f"{self.url} allows no more requests for now: try again later ({said})."
        if isinstance(error, openai.InternalServerError):
            return f"{self.url} failed again and again: look into its log ({said})."
        return f"{self.url} refuses the request: change what it names ({said})."

    def _explain_not_found(self, said: str) -> str:
        import openai

        try:
            served = [model.id for model in self._client.models.list()]
        except (openai.OpenAIError, AttributeError, TypeError):  # none, or a list of another shape
            return f"There is no OpenAI protocol at {self.url}: the address usually ends in /v1 ({said})."
        if self.model not in served:
            near = difflib.get_close_matches(self.model, served, n=1, cutoff=0.0)
            hint = f": did you mean {near[0]!r}? It serves {', '.join(served[:10])}" if near else ""
            return f"{self.url} serves no model {self.model!r}{hint}."
        other = "openai" if isinstance(self, ChatSampler) else "openai-chat"
        return (
            f"{self.url} does not do this with {self.model!r}: try {other}:{self.url}#{self.model} ({said})."
        )


class ServerSampler(_Server):
    """Completions of texts from a server (`/completions`).

    Each row is a request with a seed of (seed, prompt, sample), because servers give equal prompts of one
    request equal draws. Only at temperature 0 do prompts share requests, where the server allows it.

    `Completion.tokens` is empty unless the server tells token ids (vLLM does), `Completion.logprobs` is empty
    unless it tells log-probabilities (vLLM: at temperature 1, nothing cut off; others may mean those after
    temperature). Settings that no request names vLLM takes from the model's generation_config.json: serve it
    with `--generation-config vllm`.
    """

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
        import openai

        choices, prompt = [], prompts if len(prompts) > 1 else prompts[0]
        try:
            choices = self._ask(self._client.completions.create, prompt=prompt, **settings).choices
        except UserError as error:
            # a server that takes one prompt a request says so with one of these
            refused = isinstance(error.__cause__, openai.BadRequestError | openai.UnprocessableEntityError)
            if not refused or len(prompts) == 1:
                raise
        if len(choices) == len(prompts):
            return [_completion(choice) for choice in sorted(choices, key=lambda choice: choice.index)]
        if len(prompts) == 1:
            raise UserError(f"{self.url} gave {len(choices)} completions where one was asked for.")
        # Not its own method, which a subclass may have given texts where these are tokens.
        return [row for prompt in prompts for row in ServerSampler._complete(self, [prompt], settings)]


class ChatSampler(_Server):
    """Replies from a server that converses (`/chat/completions`), without tokens or log-probabilities."""

    chat = True

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
        choice = self._ask(self._client.chat.completions.create, messages=messages, **settings).choices[0]
        return [Completion(choice.message.content or "", [], [], _finish_reason(choice))]


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


def _completion(choice: Any) -> Completion:
    tokens = list(getattr(choice, "token_ids", None) or [])
    values = choice.logprobs.token_logprobs if choice.logprobs else None
    logprobs = [float("nan") if value is None else float(value) for value in values or []]
    return Completion(choice.text, tokens, logprobs, _finish_reason(choice))


def _finish_reason(choice: Any) -> Any:
    return "length" if choice.finish_reason == "length" else "stop"


def _short(said: Any, secret: str | None = None) -> str:
    text = " ".join(str(said).split()).rstrip(".")
    if secret and len(secret) > 8:  # some servers repeat the key that they refuse
        text = text.replace(secret, "…")
    return text if len(text) <= 300 else text[:300] + "…"
