"""Real vLLM, started by the workbench, against the transformers backend on one small trained model."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from scipy.stats import chi2_contingency, chisquare

from workbench.corpora.stories.story import story_at
from workbench.engine import loading as _loading
from workbench.engine import models
from workbench.engine.sampling import vllm_server
from workbench.engine.sampling.load import sampler
from workbench.engine.sampling.sampler import Completion, SamplingParams
from workbench.engine.tokens import Framed, encode
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.errors import UserError

pytestmark = pytest.mark.skipif(
    not (vllm_server.ENVIRONMENT / "bin" / "python").exists(), reason="`make vllm` has not been run"
)
PROMPT = "Once upon a time there was a"
IDLE = 3.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    texts = [story_at(index, seed=0).text for index in range(200)]
    tokenizer = models.train_tokenizer(texts, 400)
    model = models.build(models.config("tiny:0.3M", len(tokenizer), context=128), seed=0)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    train(model, tokenizer, texts, TrainConfig(steps=60, context=64, batch_size=8), folder=folder)
    return folder


@pytest.fixture(scope="module")
def vllm(folder):
    patch = pytest.MonkeyPatch()
    patch.setattr(vllm_server, "IDLE", IDLE)
    with patch.context():
        yield sampler(f"vllm:{folder}")
    for file in vllm_server._held.values():
        fcntl.lockf(file, fcntl.LOCK_UN)
    vllm_server._held.clear()


@pytest.fixture(scope="module")
def local(folder):
    return sampler(f"transformers:{folder}", device="cpu")


@torch.inference_mode()
def next_token(local, ids):
    return local.model(torch.tensor([ids])).logits[0, -1].double().softmax(-1).numpy()


def goodness(tokens, expected):
    """p of the tokens under a distribution; tokens expected fewer than five times share a bin."""
    seen = np.bincount(tokens, minlength=len(expected)).astype(float)
    often = expected * len(tokens) >= 5
    wanted = np.append(expected[often], expected[~often].sum()) * len(tokens)
    return chisquare(np.append(seen[often], seen[~often].sum()), wanted).pvalue


def test_first_tokens_are_drawn_as_the_model_says(vllm, local):
    rows = vllm.sample([PROMPT], SamplingParams(n=2000, max_tokens=1, seed=1))[0]
    expected, drawn = next_token(local, local.tokenizer(PROMPT).input_ids), [row.tokens[0] for row in rows]
    p = goodness(drawn, expected)
    print(f"p of {len(rows)} first tokens {p:.3f}")
    assert p > 1e-3
    assert np.allclose([row.logprobs[0] for row in rows], np.log(expected)[drawn], atol=1e-3)


def test_second_tokens_are_drawn_as_the_model_says_after_the_first(vllm, local):
    before = PROMPT.removesuffix(" a")  # which the model has learnt to go on with
    rows = vllm.sample([before], SamplingParams(n=2000, max_tokens=2, seed=2))[0]
    ((first, _),) = Counter(row.tokens[0] for row in rows).most_common(1)
    drawn = [row.tokens[1] for row in rows if row.tokens[0] == first]
    p = goodness(drawn, next_token(local, [*local.tokenizer(before).input_ids, first]))
    print(f"p of {len(drawn)} second tokens {p:.3f}")
    assert len(drawn) > 200
    assert p > 1e-3


def test_temperature_and_what_is_cut_off_are_those_of_the_other_backend(vllm, local):
    how = {"n": 1000, "max_tokens": 1, "temperature": 0.7, "top_p": 0.8, "min_p": 0.02}
    counts = [
        Counter(row.tokens[0] for row in each.sample([PROMPT], SamplingParams(seed=seed, **how))[0])
        for each, seed in ((vllm, 1), (local, 2))
    ]
    tokens = [token for token in counts[0] | counts[1] if counts[0][token] + counts[1][token] >= 10]
    p = chi2_contingency([[count[token] for token in tokens] for count in counts]).pvalue
    print(f"p of {how['n']} tokens from each {p:.3f}, {len(tokens)} kinds")
    assert p > 1e-3
    logits = np.log(next_token(local, local.tokenizer(PROMPT).input_ids))[list(counts[0])]
    told = {row.tokens[0]: row.logprobs[0] for row in vllm.sample([PROMPT], SamplingParams(seed=1, **how))[0]}
    assert np.allclose([told[token] for token in counts[0]], logits, atol=1e-3)  # at temperature 1, uncut


def test_greedy_texts_and_log_probabilities_are_equal(vllm, local):
    prompts = [" ".join(story_at(index, seed=1).text.split()[: 1 + index % 9]) for index in range(100)]
    found, expected = (
        [rows[0] for rows in each.sample(prompts, SamplingParams(max_tokens=24, temperature=0))]
        for each in (vllm, local)
    )
    differ = [at for at in range(len(prompts)) if found[at].tokens != expected[at].tokens]
    furthest = max(
        np.abs(np.subtract(found[at].logprobs, expected[at].logprobs)).max()
        for at in range(len(prompts))
        if at not in differ
    )
    print(f"{len(differ)} of {len(prompts)} greedy texts differ; log-probabilities by at most {furthest:.1e}")
    assert differ == []
    assert furthest < 1e-3
    assert [row.text for row in found] == [row.text for row in expected]


def test_prompts_that_make_more_than_one_step_of_the_engine(vllm, local):
    texts = [story_at(index, seed=2).text for index in range(64)]
    prompts = [local.tokenizer.decode(ids[1:120]) for ids in local.tokenizer(texts).input_ids]
    rows = [row for (row,) in vllm.sample(prompts, SamplingParams(max_tokens=4, seed=6))]
    asked = encode(local.tokenizer, prompts)
    assert sum(map(len, asked[:32])) > 2048  # tokens of a step, by default
    for ids, row in zip(asked[::8], rows[::8], strict=True):
        assert row.logprobs[0] == pytest.approx(np.log(next_token(local, ids)[row.tokens[0]]), abs=1e-3)


def test_the_contract_at_its_edges(vllm, local):
    long = " ".join(["the"] * 100)
    how = {"max_tokens": 60, "temperature": 0}
    chat = Framed("<|endoftext|>" + PROMPT)  # its beginning of text is its own
    for prompt in ("", long, chat):  # empty, and with less room in the context than asked for
        assert (
            vllm.sample([prompt], SamplingParams(**how))[0][0].tokens
            == local.sample([prompt], SamplingParams(**how))[0][0].tokens
        )
    (stopped,), (same,) = (
        each.sample([PROMPT], SamplingParams(stop=["."], **how))[0] for each in (vllm, local)
    )
    assert (stopped.text, stopped.finish_reason) == (same.text, "stop")
    with pytest.raises(UserError, match="leaves no room in the model's context of 128"):
        vllm.sample(["the cat " * 80], SamplingParams(max_tokens=1))


def test_equal_seeds_draw_equal_texts_and_others_do_not(vllm):
    once, again, other = (
        vllm.sample([PROMPT, PROMPT], SamplingParams(n=2, max_tokens=12, seed=s)) for s in (3, 3, 4)
    )
    assert [[row.tokens for row in rows] for rows in once] == [[row.tokens for row in rows] for rows in again]
    assert len({tuple(row.tokens) for rows in once + other for row in rows}) == 8


@pytest.mark.parametrize(("model", "says"), [("", "no config.json"), ("nobody/nothing", "check the id")])
def test_what_is_no_model_is_said_before_anything_starts(model, says, tmp_path):
    before = set(vllm_server.ENVIRONMENT.glob("servers/*"))
    with pytest.raises(UserError, match=says):
        sampler(f"vllm:{model or tmp_path}")
    assert set(vllm_server.ENVIRONMENT.glob("servers/*")) == before


@pytest.mark.slow
def test_what_vllm_cannot_run_is_said_with_what_can(tmp_path, local):
    narrow = models.config("tiny:0.1M", len(local.tokenizer))  # heads of 16 numbers
    _loading.save(models.build(narrow, seed=0), local.tokenizer, tmp_path / "narrow")
    with pytest.raises(UserError, match=r"take transformers:.*narrow: .*[Hh]ead.* \(its log: ") as error:
        sampler(f"vllm:{tmp_path / 'narrow'}")
    print(error.value)


HERE = """
import json, sys
from dataclasses import asdict
from workbench.engine.sampling.load import sampler
from workbench.engine.sampling.sampler import SamplingParams
source = sampler(f"vllm:{sys.argv[1]}")
found = [source.sample(prompts, SamplingParams(**how)) for prompts, how in json.loads(sys.argv[2])]
rows = [[[asdict(row) for row in rows] for rows in each] for each in found]
with open(sys.argv[3], "w") as file:  # vLLM prints
    json.dump([type(source).__name__, rows], file)
"""


@pytest.mark.slow
def test_where_vllm_is_installed_it_runs_without_a_server(vllm, local, folder, tmp_path):
    greedy = ["", PROMPT, "the " * 100], {"max_tokens": 60, "temperature": 0, "stop": ["."]}
    drawn = [PROMPT], {"n": 1000, "max_tokens": 1, "seed": 5}
    seeded = [PROMPT, PROMPT], {"n": 2, "max_tokens": 12, "temperature": 0.9, "seed": 3}
    command = [vllm_server.ENVIRONMENT / "bin" / "python", "-c", HERE, folder]
    done = subprocess.run(
        [*command, json.dumps([greedy, drawn, seeded]), tmp_path / "found.json"],
        env=os.environ | {"PYTHONPATH": str(Path(vllm_server.__file__).parents[3]), "TQDM_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    kind, rows = json.loads((tmp_path / "found.json").read_text())
    assert kind == "VllmSampler"
    found = [[[Completion(**row) for row in each] for each in part] for part in rows]
    for (row,), (expected,) in zip(
        found[0], local.sample(greedy[0], SamplingParams(**greedy[1])), strict=True
    ):
        assert np.allclose(row.logprobs, expected.logprobs, atol=1e-3)
        assert asdict(row) | {"logprobs": 0} == asdict(expected) | {"logprobs": 0}
    expected = next_token(local, local.tokenizer(PROMPT).input_ids)
    tokens = [row.tokens[0] for row in found[1][0]]
    p = goodness(tokens, expected)
    print(f"p of {len(tokens)} first tokens in process {p:.3f}")
    assert p > 1e-3
    assert np.allclose([row.logprobs[0] for row in found[1][0]], np.log(expected)[tokens], atol=1e-3)
    for rows, served in zip(found[2], vllm.sample(seeded[0], SamplingParams(**seeded[1])), strict=True):
        assert [row.tokens for row in rows] == [row.tokens for row in served]


USER = """
import sys
from workbench.engine.sampling.vllm_server import IDLE, serve
print(serve(sys.argv[1]).pid, flush=True)
import time; time.sleep(100)
"""


def until(done):
    deadline = time.monotonic() + 300
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def gone(group):
    """Whether no process of a group is left."""
    with suppress(ChildProcessError):
        os.waitpid(group, os.WNOHANG)  # its first one is this process's child
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_another_process_uses_it_and_the_last_one_to_go_ends_it(vllm, folder, tmp_path):
    server = vllm_server.serve(str(folder))
    (place,) = (each for each in vllm_server._held if each.name.endswith(server.model))
    environment = {name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"}
    loading = FileLock(place / "starting")
    loading.acquire()  # as if it were still loading
    with (tmp_path / "said").open("w") as said:
        command = [sys.executable, "-c", USER, str(folder)]
        user = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=said, text=True)
    try:
        until(lambda: "another notebook has vLLM load tiny" in (tmp_path / "said").read_text())
        loading.release()
        assert int(user.stdout.readline()) == server.pid
        for file in vllm_server._held.values():
            fcntl.lockf(file, fcntl.LOCK_UN)
        time.sleep(IDLE + 2)
        assert vllm_server._answers(server)  # the other one still holds it
    finally:
        loading.release()
        user.kill()
        user.wait()
    until(lambda: gone(server.pid))
    with pytest.raises(UserError, match=r"vLLM has ended: .*; run again to start it and go on"):
        vllm.sample([PROMPT], SamplingParams(max_tokens=1))
