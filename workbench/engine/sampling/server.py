"""A server that speaks the OpenAI protocol: requests, and one sentence for whatever goes wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from typing import Any
from urllib.parse import SplitResult, urlsplit

from workbench.engine.sampling.answers import Json, choices_of, limit_body, short
from workbench.engine.sampling.response_cache import ResponseCache, request_key
from workbench.engine.sampling.sampler import Completion, Sampler
from workbench.errors import UserError, nearest
from workbench.sanitize import redact

RETRIES = 2, 6  # before and after it has answered once, with pauses that grow from half a second to eight
CONCURRENCY = 32  # requests under way at once: a server batches them itself
TIMEOUT = 600.0  # seconds a request may take

Settings = dict[str, Any]
Job = tuple[Any, Settings]  # a prompt or conversation, and how to go on with it


class RefusedRequest(UserError):
    """The server does not take a request of this form."""


class OpenAIServer(Sampler):
    """Address, model and client; every failure becomes one sentence.

    The key, where the server wants one, is read from `OPENAI_API_KEY` and written nowhere; where a server
    repeats it, it is blanked.
    """

    determinism = "every row is sent a seed of its own; whether it fixes the draw is the server's promise."
    other_scheme = ""  # by which a server may do what it refuses here

    def __init__(self, url: str, model: str, key: str | None = None) -> None:
        """`url`: with its version, as `http://127.0.0.1:8000/v1`; `key`: in the place of `OPENAI_API_KEY`.

        Nothing is sent before the first request.

        Raises:
            UserError: as `check_server`.
        """
        parts, self._key = check_server(url, key)
        import openai

        self.model, self.url = model, redact(url)
        # OpenAI refuses settings that it does not know, and has a name of its own for the longest answer.
        self._is_openai = _is_openai(parts)
        hooks = {"response": [partial(limit_body, most_seconds=TIMEOUT)]}
        self._client = openai.OpenAI(
            base_url=url,
            api_key=self._key,
            timeout=openai.Timeout(TIMEOUT, connect=10.0),
            max_retries=RETRIES[0],
            http_client=openai.DefaultHttpxClient(event_hooks=hooks),
        )
        self._cache = ResponseCache()

    def _ask(self, create: Callable[..., Any], **request: Any) -> list[Json]:
        """The choices that the server answers with; `create` gives the raw answer."""
        import openai

        try:
            body = create(model=self.model, **request).http_response.content
        except openai.OpenAIError as error:
            refused = isinstance(error, openai.BadRequestError | openai.UnprocessableEntityError)
            # Not `from error`, whose own message may repeat the key.
            raise (RefusedRequest if refused else UserError)(self._explain(error)) from None
        except UnicodeEncodeError:
            raise UserError(
                "A prompt holds half a character (a lone surrogate), which cannot be sent: mend the data."
            ) from None
        except UserError:
            raise
        except Exception as error:  # whatever the client makes of an answer that it does not expect
            said = short(error, self._key)
            raise UserError(f"{self.url} answers in a way that cannot be read ({said}).") from None
        choices = choices_of(body, self.url, self._key)
        self._client.max_retries = RETRIES[1]
        return choices

    def _rows(
        self, jobs: Sequence[Job], ask: Callable[[list[Any], Settings], list[Completion]], size: int = 1
    ) -> list[Completion]:
        """The completion of each job, many requests at once; jobs that share one have equal settings.

        What a run was told before it was killed is not asked again.
        """
        # by type too, since a `Framed` prompt has other tokens than the same text
        keys = [request_key(type(self).__name__, self.model, type(job[0]).__name__, *job) for job in jobs]
        known = {key: self._cache.get(key) for key in keys}
        completions = {key: completion for key, completion in known.items() if completion is not None}
        open_jobs = [index for index, key in enumerate(keys) if key not in completions]

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

        cause = type(error.__cause__).__name__
        if isinstance(error, openai.APITimeoutError):
            return f"{self.url} gave no answer in {TIMEOUT:.0f} seconds: ask for fewer tokens or check it."
        if isinstance(error, openai.APIConnectionError):
            if cause in ("TooManyRedirects", "DecodingError", "RemoteProtocolError", "ReadError"):
                return f"{self.url} does not end its answer as a server should ({cause}): check the address."
            return f"No server can be reached at {self.url}: start it, or check the address."
        said = short(getattr(error, "message", error), self._key)
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
        try:
            served = [model.id for model in self._client.models.list() if isinstance(model.id, str)]
        except Exception:  # none, or a list of another shape
            return f"There is no OpenAI protocol at {self.url}: the address usually ends in /v1 ({said})."
        if self.model not in served:
            near, names = nearest(self.model, served), short(", ".join(served[:10]), self._key)
            hint = f"did you mean {short(near, self._key)!r}? It serves" if near else "it serves"
            return f"{self.url} serves no model {self.model!r}: {hint} {names or 'none'}."
        other = self.other_scheme
        return (
            f"{self.url} does not do this with {self.model!r}: try {other}:{self.url}#{self.model} ({said})."
        )


def check_server(url: str, key: str | None = None) -> tuple[SplitResult, str]:
    """The parts of a server's address, and the key that it is told; nothing is sent.

    Args:
        url: with its version, as `http://127.0.0.1:8000/v1`.
        key: in the place of `OPENAI_API_KEY`.

    Raises:
        UserError: the client is not installed, the address is none, or there is no key where one is needed.
    """
    if find_spec("openai") is None:
        raise UserError('Sampling from a server needs: pip install "small-model-workbench[openai]"')
    parts, key = _parts(url), key or os.environ.get("OPENAI_API_KEY", "").strip()
    if not key and _is_openai(parts):
        raise UserError(f"{parts.hostname} wants a key: set OPENAI_API_KEY to yours first.")
    if not key.isascii() or not (key or "none").isprintable():
        raise UserError("OPENAI_API_KEY holds characters that no key has: set it anew.")
    return parts, key or "none"  # only the client insists on one


def _is_openai(parts: SplitResult) -> bool:
    return (parts.hostname or "").endswith(".openai.com")


def _parts(url: str) -> SplitResult:
    """The parts of a server's address, checked."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:  # a port that is none, brackets that do not close
        sound = False
    if not sound or not url.isprintable():
        raise UserError(f"{redact(url)!r} is no server address: give one such as http://127.0.0.1:8000/v1.")
    if parts.username or parts.password:
        raise UserError("Leave the password out of the server's address: set OPENAI_API_KEY instead.")
    return parts
