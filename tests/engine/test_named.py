"""What a name means before anything is loaded: models, samplers, devices; and what the hub says of it."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from huggingface_hub import constants

from workbench.engine import hub, named
from workbench.errors import UserError


class Hub(BaseHTTPRequestHandler):
    """A hub with one model and one data set, which fails for whatever is called broken."""

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        name = self.path.rpartition("/api/")[2]
        known = name in ("models/some/model", "datasets/some/set")
        self.send_response(200 if known else 500 if "broken" in name else 404)
        if not known and "broken" not in name:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        if known:
            self.wfile.write(json.dumps({"id": name, "siblings": []}).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def online(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield
    server.shutdown()


def test_the_hub_is_asked_whether_it_has_a_model(online):
    named.check_model("some/model", on_cpu=True)
    named.check_model("some/broken", on_cpu=True)  # what it does not say is said when the model is loaded
    with pytest.raises(UserError, match=r"no public model of that name .*\(did you mean gpt2\?\)"):
        named.check_model("gtp2", on_cpu=True)


def test_the_hub_is_asked_whether_it_has_a_data_set(online):
    hub.check_data_set("some/set")
    hub.check_data_set("some/broken")
    with pytest.raises(UserError, match="no public data set other/set on the hub"):
        hub.check_data_set("other/set")


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("some/model", ("transformers", "some/model")),
        ("transformers:some/model", ("transformers", "some/model")),
        ("vllm:some/model", ("vllm", "some/model")),
        ("openai:http://x/v1#m", ("openai", "http://x/v1#m")),
    ],
)
def test_a_sampler_is_a_scheme_and_what_it_samples(spec, parts):
    assert named.split_spec(spec) == parts


def test_a_server_that_wants_a_key_is_refused_without_one(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UserError, match=r"api\.openai\.com wants a key: set OPENAI_API_KEY"):
        named.check_sampler("openai-chat:https://api.openai.com/v1#m", on_cpu=True)
    named.check_sampler("openai-chat:http://127.0.0.1:9/v1#m", on_cpu=True)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    named.check_sampler("openai-chat:https://api.openai.com/v1#m", on_cpu=True)


def test_vllm_is_asked_for_before_anything_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(named, "VLLM", tmp_path)
    monkeypatch.setattr(named, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"vLLM is not installed: run `make vllm` in a checkout.*or use transformers:starter"
    ):
        named.check_sampler("vllm:starter", on_cpu=True)


@pytest.mark.parametrize(
    ("device", "gpu", "said"),
    [
        ("auto", False, None),
        ("cpu", False, None),
        ("cuda", False, "device=cuda cannot be used here"),
        ("cuda:0", True, None),
        ("mps", True, "device=mps cannot be used here"),
        ("gpu", True, "device=gpu names nothing"),
        ("", True, "device= names nothing"),
    ],
)
def test_a_device_must_be_there(monkeypatch, device, gpu, said):
    monkeypatch.setattr(named, "has_gpu", lambda: gpu)
    monkeypatch.setattr(named, "version", lambda name: "2.13.0")
    monkeypatch.setattr(named, "glob", lambda pattern: ["/dev/nvidia0"])
    monkeypatch.setattr(named.sys, "platform", "linux")
    if said is None:
        named.check_device(device)
        return
    with pytest.raises(UserError, match=said):
        named.check_device(device)
