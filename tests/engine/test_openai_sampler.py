"""Sampling over HTTP, against a real server on the loopback that speaks the protocol."""

import importlib.util
import json
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from test_models import TEXTS

from workbench.engine import loading, models
from workbench.engine.sampling import vllm_main, vllm_server
from workbench.engine.sampling.load import sampler
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.errors import UserError

needs_openai = pytest.mark.skipif(
    importlib.util.find_spec("openai") is None, reason="the extra `openai` is not installed"
)


@pytest.fixture(autouse=True)
def no_run(monkeypatch):
    monkeypatch.delenv("WORKBENCH_ANSWERS", raising=False)  # that another test left open


@contextmanager
def serving(answer):
    """A server on a free port; `answer` takes a path and the JSON sent, and returns status and content."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.reply(*answer(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def do_GET(self):
            self.reply(*answer(self.path, None))

        def reply(self, status, content):
            body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(content, str) else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


class Completions:
    """The completions endpoint over a model in this process, answering as vLLM does."""

    def __init__(self, sampler):
        self.sampler, self.requests, self.lock = sampler, [], threading.Lock()

    def __call__(self, path, body):
        if body is None:
            return 200, {"object": "list", "data": [{"id": "tiny", "object": "model"}]}
        with self.lock:  # one model, many threads
            self.requests.append(body)
            if path != "/v1/completions" or body["model"] != "tiny":
                return 404, {"error": {"message": "not here"}}
            return self.complete(body)

    def complete(self, body):
        prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
        if not all(prompts):
            return 400, {"error": {"message": "prompt must not be empty"}}
        names = ("temperature", "top_p", "min_p", "seed")
        settings = {name: body[name] for name in names} | {"stop": body.get("stop", ())}
        rows = self.sampler.sample(prompts, SamplingParams(max_tokens=body["max_tokens"], **settings))
        choices = [self.choice(index, row[0]) for index, row in enumerate(rows)]
        return 200, {"object": "text_completion", "choices": choices[::-1]}  # the order is not promised

    def choice(self, index, row):
        found = {
            "index": index,
            "text": row.text,
            "finish_reason": row.finish_reason,
            "token_ids": row.tokens,
        }
        return found | {"logprobs": {"token_logprobs": row.logprobs, "tokens": []}}


class OnePrompt(Completions):
    """Refuses a list of prompts and tells neither tokens nor log-probabilities, as simpler servers do."""

    def complete(self, body):
        if isinstance(body["prompt"], list):
            return 400, {"error": {"message": "prompt must be a string"}}
        return super().complete(body)

    def choice(self, index, row):
        return {"index": index, "text": row.text, "finish_reason": row.finish_reason, "logprobs": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tokenizer = models.train_tokenizer(TEXTS, 300)
    model = models.build(models.config("tiny:0.1M", len(tokenizer), context=64), seed=0)
    with torch.no_grad():  # spread the logits, so that different draws differ
        for weight in model.parameters():
            weight.mul_(5 if weight.ndim == 2 else 1)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    loading.save(model, tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def local(folder):
    return sampler(f"transformers:{folder}", device="cpu")


PROMPTS = ["The cat", "The cat", "A dog ran to"]


@needs_openai
def test_greedy_completions_are_those_of_the_model_itself(local):
    endpoint = Completions(local)
    with serving(endpoint) as url:
        found = sampler(f"openai:{url}#tiny").sample(
            PROMPTS, SamplingParams(n=2, max_tokens=8, temperature=0)
        )
    expected = local.sample(PROMPTS, SamplingParams(n=2, max_tokens=8, temperature=0))
    assert [[row.text for row in rows] for rows in found] == [[row.text for row in rows] for rows in expected]
    assert found[2][0].tokens == expected[2][0].tokens
    assert np.allclose(found[2][0].logprobs, expected[2][0].logprobs, atol=1e-5)
    assert found[2][0].finish_reason == "length"
    assert len(endpoint.requests) == 1


@needs_openai
def test_draws_are_fixed_by_the_seed_and_differ_between_equal_prompts_and_samples(local):
    endpoint = Completions(local)
    with serving(endpoint) as url:
        server = sampler(f"openai:{url}#tiny")
        found = server.sample(PROMPTS, SamplingParams(n=2, max_tokens=8, seed=3))
        assert server.sample(PROMPTS, SamplingParams(n=2, max_tokens=8, seed=3)) == found
        assert server.sample(PROMPTS, SamplingParams(n=2, max_tokens=8, seed=4)) != found
    assert len({row.text for row in found[0] + found[1]}) == 4


@needs_openai
def test_every_setting_reaches_the_server(local):
    endpoint = Completions(local)
    with serving(endpoint) as url:
        settings = {"temperature": 0.7, "top_p": 0.9, "min_p": 0.05, "stop": ["a", "e"]}
        ((row,),) = sampler(f"openai:{url}#tiny").sample(
            ["The cat"], SamplingParams(max_tokens=9, **settings)
        )
    (request,) = endpoint.requests
    assert {name: request[name] for name in settings} == settings
    assert (request["model"], request["max_tokens"]) == ("tiny", 9)
    assert "a" not in row.text


@needs_openai
def test_a_server_that_takes_one_prompt_and_tells_no_tokens(local):
    with serving(OnePrompt(local)) as url:
        found = sampler(f"openai:{url}#tiny").sample(PROMPTS, SamplingParams(max_tokens=8, temperature=0))
    expected = local.sample(PROMPTS, SamplingParams(max_tokens=8, temperature=0))
    assert [rows[0].text for rows in found] == [rows[0].text for rows in expected]
    assert all(rows[0].tokens == [] and rows[0].logprobs == [] for rows in found)


@needs_openai
def test_no_prompts_ask_for_nothing():
    assert sampler("openai:http://127.0.0.1:9/v1#tiny").sample([], SamplingParams(max_tokens=8)) == []


class Dying(Completions):
    """Refuses everything after some requests."""

    left = 3

    def complete(self, body):
        self.left -= 1
        return super().complete(body) if self.left >= 0 else (403, {"error": {"message": "no more"}})


@needs_openai
def test_a_killed_run_asks_for_nothing_twice(local, tmp_path, monkeypatch):
    expected = local.sample(PROMPTS, SamplingParams(n=2, max_tokens=8, temperature=0))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key")
    monkeypatch.setenv("WORKBENCH_ANSWERS", str(tmp_path / "answers.jsonl"))
    dying, endpoint = Dying(local), Completions(local)
    with serving(dying) as url, pytest.raises(UserError, match="no more"):
        sampler(f"openai:{url}#tiny").sample(PROMPTS, SamplingParams(n=2, max_tokens=8, seed=3))
    with (tmp_path / "answers.jsonl").open("ab") as file:
        file.write(b'{"key": "torn')
    with serving(endpoint) as url:
        found = sampler(f"openai:{url}#tiny").sample(PROMPTS, SamplingParams(n=2, max_tokens=8, seed=3))
        again = sampler(f"openai:{url}#tiny").sample(PROMPTS, SamplingParams(n=2, max_tokens=8, seed=3))
        assert len(endpoint.requests) == 3  # of six rows
        other = sampler(f"openai:{url}#tiny").sample(PROMPTS, SamplingParams(n=2, max_tokens=8, seed=4))
        greedy = sampler(f"openai:{url}#tiny").sample(
            PROMPTS, SamplingParams(n=2, max_tokens=8, temperature=0)
        )
    assert found == again
    assert other != found
    assert [[row.tokens for row in rows] for rows in greedy] == [
        [row.tokens for row in rows] for rows in expected
    ]
    assert len(endpoint.requests) == 3 + 6 + 1
    monkeypatch.delenv("WORKBENCH_ANSWERS")
    with serving(Completions(local)) as url:
        assert (
            sampler(f"openai:{url}#tiny").sample(PROMPTS, SamplingParams(n=2, max_tokens=8, seed=3)) == found
        )
    assert "secret" not in (tmp_path / "answers.jsonl").read_text()


@needs_openai
def test_a_notebook_opened_by_hand_asks_for_nothing_twice_until_its_run_is_finished(local, run):
    def ask(url):
        return sampler(f"openai:{url}#tiny").sample(PROMPTS, SamplingParams(max_tokens=8, seed=3))

    endpoint = Completions(local)
    with serving(endpoint) as url:
        assert ask(url) == ask(url)
        assert len(endpoint.requests) == len(PROMPTS)
        run.finish()
        ask(url)
        assert len(endpoint.requests) == 2 * len(PROMPTS)


@needs_openai
def test_a_server_that_is_busy_for_a_moment_is_asked_again(local, monkeypatch):
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.001)
    endpoint, asked = Completions(local), []

    def answer(path, body):
        asked.append(body)
        busy = len(asked) in (1, 2) or 4 <= len(asked) < 10  # twice at first, six times later on
        return (429, {"error": {"message": "slow down"}}) if busy else endpoint(path, body)

    with serving(answer) as url:
        server = sampler(f"openai:{url}#tiny")
        server.sample(["Hi"], SamplingParams(max_tokens=2))
        server.sample(["Ho"], SamplingParams(max_tokens=2))
    assert (len(asked), len(endpoint.requests)) == (10, 2)


def reply_with(text):
    message = {"role": "assistant", "content": text}
    return 200, {"choices": [{"index": 0, "message": message, "finish_reason": "length"}]}


@needs_openai
def test_a_chat_server_gets_prompts_as_messages_and_whole_conversations():
    def answer(path, body):
        assert path == "/v1/chat/completions"
        said = " | ".join(f"{message['role']}: {message['content']}" for message in body["messages"])
        return reply_with(f"{said} ({body['max_tokens']}, {body['temperature']})")

    with serving(answer) as url:
        server = sampler(f"openai-chat:{url}#any/name")
        (first, second), _ = server.sample(["Hi", "Ho"], SamplingParams(n=2, max_tokens=5))
        assert first.text == second.text == "user: Hi (5, 1.0)"
        assert first.finish_reason == "length"
        talk = [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hi"}]
        (reply,) = server.reply([talk], SamplingParams(max_tokens=7, temperature=0.0))
        assert reply.text == "system: Be kind | user: Hi (7, 0.0)"


@needs_openai
def test_openai_itself_is_sent_only_what_it_knows():
    requests = []

    def answer(path, body):
        requests.append(body)
        choice = {"index": 0, "text": "!", "message": {"role": "assistant", "content": "!"}}
        return 200, {"choices": [choice | {"finish_reason": "stop", "logprobs": None}]}

    with serving(answer) as url:
        for scheme in ("openai", "openai-chat"):
            server = sampler(f"{scheme}:{url}#tiny")
            server._is_openai = True  # the real address cannot be had here
            server.sample(["Hi"], SamplingParams(max_tokens=4))
    common = {"model", "temperature", "top_p", "seed"}
    assert set(requests[0]) == common | {"prompt", "max_tokens", "logprobs"}
    assert set(requests[1]) == common | {"messages", "max_completion_tokens"}


@needs_openai
@pytest.mark.parametrize(
    ("ending", "prompt", "sentence"),
    [
        ("#tinny", "Hi", "serves no model 'tinny': did you mean 'tiny'? It serves tiny."),
        ("#tiny", "", "refuses the request: change what it names (.*prompt must not be empty"),
    ],
)
def test_what_the_server_refuses_is_one_sentence(local, ending, prompt, sentence):
    with serving(Completions(local)) as url, pytest.raises(UserError) as error:
        sampler(f"openai:{url}{ending}").sample([prompt], SamplingParams(max_tokens=4))
    assert url in str(error.value)
    assert sentence.partition("(.*")[0] in str(error.value)
    assert sentence.partition("(.*")[2] in str(error.value)


@needs_openai
def test_a_server_without_this_endpoint_names_the_other_scheme(local):
    with serving(Completions(local)) as url, pytest.raises(UserError, match=f"try openai:{url}#tiny"):
        sampler(f"openai-chat:{url}#tiny").sample(["Hi"], SamplingParams(max_tokens=4))


@needs_openai
@pytest.mark.parametrize("status", [200, 404])
def test_an_address_that_is_no_api_says_so(status):
    page = "<html>Hello</html>"
    with (
        serving(lambda path, body: (status, page)) as url,
        pytest.raises(UserError, match="usually ends in /v1"),
    ):
        sampler(f"openai:{url}#tiny").sample(["Hi"], SamplingParams(max_tokens=4))


@needs_openai
def test_nobody_listens():
    with serving(lambda path, body: (200, {})) as url:
        pass
    with pytest.raises(UserError, match=f"No server can be reached at {url}: start it"):
        sampler(f"openai:{url}#tiny").sample(["Hi"], SamplingParams(max_tokens=4))


@needs_openai
def test_a_refused_key_is_not_repeated(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key")
    refusal = {"error": {"message": "Incorrect API key provided: sk-very-secret-key"}}
    with serving(lambda path, body: (401, refusal)) as url, pytest.raises(UserError) as error:
        sampler(f"openai:{url}#tiny").sample(["Hi"], SamplingParams(max_tokens=4))
    assert "set OPENAI_API_KEY" in str(error.value)
    assert "secret" not in str(error.value)


@needs_openai
@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("openai:http://127.0.0.1:8000/v1", "write openai:http://127.0.0.1:8000/v1#MODEL"),
        ("openai:127.0.0.1#tiny", "is no server address"),
        ("openai:http://me:word@host/v1#tiny", "set OPENAI_API_KEY"),
        ("http://127.0.0.1:8000/v1#tiny", "write openai:http://127.0.0.1:8000/v1#MODEL"),
        ("opnai:http://x/v1#tiny", "did you mean 'openai'"),
        ("transformer:some/folder", "did you mean 'transformers'"),
        ("transformers:", "names no model"),
        ("tiny:1M", "train it first"),
    ],
)
def test_a_name_that_says_no_sampler_is_explained(spec, sentence):
    with pytest.raises(UserError) as error:
        sampler(spec)
    assert sentence in str(error.value)
    assert "word" not in str(error.value).replace("password", "")


def test_a_folder_alone_is_a_transformers_model(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    folder.rename("a:b")
    try:
        assert isinstance(sampler("a:b", device="cpu"), TransformersSampler)
    finally:
        (folder.parent / "a:b").rename(folder)


def test_vllm_that_is_not_installed_says_make_vllm(tmp_path, monkeypatch):
    monkeypatch.setattr(vllm_server, "ENVIRONMENT", tmp_path)
    with pytest.raises(UserError, match=r"run `make vllm` in a checkout, .* or use transformers:some/model"):
        sampler("vllm:some/model")


def finish(coroutine):
    """Run a coroutine that waits for nothing, also beside the event loop of a browser's test."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


@pytest.mark.parametrize(("key", "status"), [("secret", 200), ("other", 401), ("", 401), ("sécret", 401)])
def test_vllm_answers_nothing_without_the_key(monkeypatch, key, status):
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    sent = []

    async def send(message):
        sent.append(message)

    async def app(scope, receive, send):
        await send({"status": 200})

    for path in ("/v1/models", "/invocations", "/metrics", "/docs"):
        headers = [(b"host", b"x"), *([(b"authorization", f"Bearer {key}".encode())] if key else [])]
        scope = {"type": "http", "path": path, "headers": headers}
        finish(vllm_main.Guard(app)(scope, None, send))
    assert [message["status"] for message in sent if "status" in message] == [status] * 4
    finish(vllm_main.Guard(app)({"type": "lifespan"}, None, send))
    assert sent[-1] == {"status": 200}
    finish(vllm_main.Guard(app)({"type": "websocket", "headers": []}, None, send))
    assert sent[-1]["type"] == "websocket.close"


def test_without_the_client_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(UserError, match=r'pip install "small-model-workbench\[openai\]"'):
        sampler("openai:http://127.0.0.1:8000/v1#tiny")


@needs_openai
def test_what_draws_depend_on_is_told(capsys):
    sampler("openai:http://127.0.0.1:9/v1#tiny")
    assert "tiny: every row is sent a seed of its own" in capsys.readouterr().out
