"""Servers that answer as no server should: one sentence each, no key in it, and nothing wrong in silence."""

import gzip
import json
import socket
import threading
import time
import traceback
from contextlib import contextmanager, suppress

import pytest
from test_openai_sampler import needs_openai, no_run

from workbench.engine.sampling import answers, server
from workbench.engine.sampling.load import sampler
from workbench.engine.sampling.sampler import SamplingParams
from workbench.errors import UserError

pytestmark = needs_openai
assert no_run  # the fixture is used by every test
KEY = "Zx9-my-very-own-key"
AUTHORIZATION = f"Bearer {KEY}"


@contextmanager
def saying(raw, pause=0.0):
    """A server that sends these bytes to whoever asks, in pieces where there is a pause between them."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

    def answer(client):
        with client, suppress(OSError):
            client.settimeout(5)
            client.recv(1 << 16)
            pieces = [raw] if not pause else [raw[at : at + 1] for at in range(len(raw))]
            for piece in pieces:
                if stopping.wait(pause):
                    return
                client.sendall(piece.replace(b"URL", url.encode()))

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield url
    finally:
        stopping.set()
        listener.close()


def http(body, status="200 OK", kind="application/json", more=""):
    body = (
        body
        if isinstance(body, bytes)
        else body.encode()
        if isinstance(body, str)
        else json.dumps(body).encode()
    )
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    )
    return f"{head}{more}\r\n".encode() + body


def choice(**fields):
    usual = {
        "index": 0,
        "text": "Hi",
        "message": {"role": "assistant", "content": "Hi"},
        "finish_reason": "stop",
    }
    return {"choices": [usual | {"logprobs": None} | fields]}


def logprobs(*values):
    return choice(logprobs={"token_logprobs": list(values)})


ANSWERS = {
    "nothing": http(""),
    "blanks": http("  \n"),
    "half of a JSON": http('{"choices": [{"text": "Hi'),
    "no JSON": http("Hello"),
    "a page": http("<html>Hello</html>", kind="text/html"),
    "a page with status 404": http("<html>no</html>", "404 Not Found", "text/html"),
    "null": http("null"),
    "a number": http("7"),
    "a list": http("[]"),
    "a number of many digits": http('{"choices": ' + "9" * 5000 + "}"),
    "nests that can just be read": http("[" * 900 + "]" * 900),
    "a text in a nest": http('{"choices": [{"text": ' + "[" * 900 + "]" * 900 + "}]}"),
    "a nest in an error": http('{"error": ' + "[" * 900 + "]" * 900 + "}", "400 Bad Request"),
    "a deep nest": http("[" * 100_000),
    "bytes that are no text": http(b'{"choices": [{"text": "\xff\xfe"}]}'),
    "no choices": http({"id": 1}),
    "no choice": http({"choices": []}),
    "choices of another kind": http({"choices": {"0": {}}}),
    "a choice of another kind": http({"choices": ["Hi"]}),
    "choices that are null": http({"choices": None}),
    "an error with status 200": http({"error": {"message": "out of memory"}}),
    "an error that repeats the key": http(
        {"error": {"message": f"bad header {AUTHORIZATION}"}}, "401 Unauthorized"
    ),
    "a key at 200": http({"headers": {"Authorization": AUTHORIZATION}}),
    "a key in an odd error": http({"error": [AUTHORIZATION, {"x": None}]}, "400 Bad Request"),
    "a key as plain text": http(AUTHORIZATION, "500 Internal Server Error", "text/plain"),
    "a refusal without a word": http("", "403 Forbidden"),
    "too many requests": http({"error": {"message": "slow down"}}, "429 Too Many Requests"),
    "a failure": http("oops", "500 Internal Server Error"),
    "overloaded": http("{}", "503 Service Unavailable"),
    "an unknown status": http("{}", "799 Odd"),
    "a status without meaning": http("{}", "418 I'm a teapot"),
    "a redirect to itself": http("", "302 Found", more="Location: URL/completions\r\n"),
    "a redirect to nowhere": http("", "302 Found", more="Location: http://\r\n"),
    "a redirect to another scheme": http("", "302 Found", more="Location: file:///etc/passwd\r\n"),
    "less than it promised": http(choice())[:-5],
    "no protocol": b"220 ready\r\n",
    "an early end": b"",
    "what is no gzip": http("Hello", more="Content-Encoding: gzip\r\n"),
    "a bomb": http(gzip.compress(b" " * (100 << 20)), more="Content-Encoding: gzip\r\n"),
    "huge headers": b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * (1 << 20) + b"\r\n\r\n",
    "a text that is a number": http(choice(text=7, message={"content": 7})),
    "a text that is null": http(choice(text=None, message={"content": None})),
    "a text that is a list": http(choice(text=["Hi"], message={"content": ["Hi"]})),
    "no message": http({"choices": [{"index": 0}]}),
    "a message that is null": http(choice(text=None, message=None)),
    "colours": http({"error": {"message": "\x1b[31mred\u202e"}}, "400 Bad Request"),
}
ONLY_COMPLETIONS = {
    "NaN": http(logprobs(float("nan"))),
    "infinity": http(logprobs(float("-inf"))),
    "too likely": http(logprobs(0.5)),
    "a log-probability in words": http(logprobs("-0.1")),
    "log-probabilities that are a text": http(choice(logprobs={"token_logprobs": "none"})),
    "log-probabilities that are a number": http(choice(logprobs=7)),
    "tokens of another kind": http(choice(token_ids=["a"])),
    "tokens below zero": http(choice(token_ids=[-1])),
    "other counts": http(choice(token_ids=[1, 2], logprobs={"token_logprobs": [-0.1]})),
    "two for one": http({"choices": choice()["choices"] * 2}),
}
ONLY_CHAT = {
    "reasoning alone": http(
        choice(message={"content": None, "reasoning_content": "Let me"}, finish_reason="length")
    ),
    "reasoning and an empty text": http(choice(message={"content": "", "reasoning": "Let me"})),
    "a refusal": http(choice(message={"content": None, "refusal": "I cannot."})),
}
CASES = [("openai", name, raw) for name, raw in (ANSWERS | ONLY_COMPLETIONS).items()]
CASES += [("openai-chat", name, raw) for name, raw in (ANSWERS | ONLY_CHAT).items()]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.001)


def sentence(scheme, url):
    with pytest.raises(UserError) as error:
        sampler(f"{scheme}:{url}#tiny").sample(["Hi"], SamplingParams(max_tokens=4, temperature=0))
    shown = "".join(traceback.format_exception(error.value))
    assert "Zx9" not in shown
    said = str(error.value)
    assert url.removesuffix("/v1") in said
    assert "\n" not in said
    assert said.isprintable()
    assert len(said) < 600
    return said


@pytest.mark.parametrize(
    ("scheme", "name", "raw"), CASES, ids=[f"{scheme} {name}" for scheme, name, _ in CASES]
)
def test_an_odd_answer_is_one_sentence(scheme, name, raw):
    with saying(raw) as url:
        said = sentence(scheme, url)
    if name.startswith("reasoning"):
        assert "max_tokens" in said
    if name in ("an error that repeats the key", "a key at 200"):
        assert "***" in said


def test_an_answer_that_drips_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(server, "TIMEOUT", 0.3)
    begin = time.monotonic()
    with saying(http(choice()), pause=0.02) as url:
        assert "seconds" in sentence("openai", url)
    assert time.monotonic() - begin < 8


def test_an_answer_that_does_not_end_is_not_kept_whole(monkeypatch):
    monkeypatch.setattr(answers, "MOST_BYTES", 1 << 16)
    with saying(http(choice(text="a" * (1 << 18)))) as url:
        assert "MB" in sentence("openai", url)


def test_halves_of_characters_and_the_key_do_not_reach_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ANSWERS", str(tmp_path / "answers.jsonl"))
    text = f"a\ud800b \ud83d\ude00 {AUTHORIZATION}"
    params = SamplingParams(max_tokens=4, temperature=0)
    for scheme in ("openai", "openai-chat"):
        with saying(http(choice(text=text, message={"content": text}))) as url:
            spec = f"{scheme}:{url}#tiny"
            ((row,),) = sampler(spec).sample(["Hi"], params)
        assert row.text == "a\ufffdb \U0001f600 Bearer ***"
        assert sampler(spec).sample(["Hi"], params) == [[row]]  # from what was kept
    assert "Zx9" not in (tmp_path / "answers.jsonl").read_text(encoding="utf-8")


def test_a_prompt_with_half_a_character_is_the_users_to_mend():
    with saying(http(choice())) as url, pytest.raises(UserError, match="surrogate"):
        sampler(f"openai:{url}#tiny").sample(["a\ud800"], SamplingParams(max_tokens=4))


@pytest.mark.parametrize("reason", ["length", "content_filter", "abort"])
def test_a_text_that_the_server_cut_is_not_said_to_have_ended(reason):
    for scheme in ("openai", "openai-chat"):
        with saying(http(choice(finish_reason=reason))) as url:
            ((row,),) = sampler(f"{scheme}:{url}#tiny").sample(["Hi"], SamplingParams(max_tokens=4))
        assert row.finish_reason == "length"


def test_choices_that_cannot_be_told_apart_are_asked_for_one_by_one():
    with (
        saying(http({"choices": choice()["choices"] * 2})) as url,
        pytest.raises(UserError, match="2 completions"),
    ):
        sampler(f"openai:{url}#tiny").sample(["Hi", "Ho"], SamplingParams(max_tokens=4, temperature=0))


@pytest.mark.parametrize(
    "url",
    ["http://[::1/v1", "http://h:99999/v1", "http://h:x/v1", "http:///v1", "http://a\x1b/v1", "ftp://h/v1"],
)
def test_an_address_that_is_none_is_one_sentence(url):
    with pytest.raises(UserError, match="is no server address"):
        sampler(f"openai:{url}#tiny")


def test_a_key_in_an_address_is_not_printed(capsys):
    sampler("openai:http://127.0.0.1:9/v1?key=Zx9Zx9Zx9#tiny")
    assert "Zx9" not in capsys.readouterr().out


def test_a_key_that_no_header_can_carry_is_one_sentence(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "Zx9 clé\n…")
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        sampler("openai:http://127.0.0.1:9/v1#tiny")
