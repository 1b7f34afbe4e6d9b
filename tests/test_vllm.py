"""Real vLLM, started by the workbench, against the transformers backend on one small trained model."""

import fcntl
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency, chisquare

from workbench.corpora.stories.story import story_at
from workbench.engine import models, vllm_server
from workbench.engine.samplers import sampler
from workbench.engine.train import train
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
    model = models.build(models.config("tiny:0.3M", len(tokenizer), context=64), seed=0)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    train(model, tokenizer, texts, folder=folder, steps=60, context=64, batch_size=8)
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
    rows = vllm.sample([PROMPT], n=2000, max_new_tokens=1, seed=1)[0]
    expected, drawn = next_token(local, local.tokenizer(PROMPT).input_ids), [row.tokens[0] for row in rows]
    p = goodness(drawn, expected)
    print(f"p of {len(rows)} first tokens {p:.3f}")
    assert p > 1e-3
    assert np.allclose([row.logprobs[0] for row in rows], np.log(expected)[drawn], atol=1e-3)


def test_second_tokens_are_drawn_as_the_model_says_after_the_first(vllm, local):
    before = PROMPT.removesuffix(" a")  # which the model has learnt to go on with
    rows = vllm.sample([before], n=2000, max_new_tokens=2, seed=2)[0]
    ((first, _),) = Counter(row.tokens[0] for row in rows).most_common(1)
    drawn = [row.tokens[1] for row in rows if row.tokens[0] == first]
    p = goodness(drawn, next_token(local, [*local.tokenizer(before).input_ids, first]))
    print(f"p of {len(drawn)} second tokens {p:.3f}")
    assert len(drawn) > 200
    assert p > 1e-3


def test_temperature_and_what_is_cut_off_are_those_of_the_other_backend(vllm, local):
    how = {"n": 1000, "max_new_tokens": 1, "temperature": 0.7, "top_p": 0.8, "min_p": 0.02}
    counts = [
        Counter(row.tokens[0] for row in each.sample([PROMPT], seed=seed, **how)[0])
        for each, seed in ((vllm, 1), (local, 2))
    ]
    tokens = [token for token in counts[0] | counts[1] if counts[0][token] + counts[1][token] >= 10]
    p = chi2_contingency([[count[token] for token in tokens] for count in counts]).pvalue
    print(f"p of {how['n']} tokens from each {p:.3f}, {len(tokens)} kinds")
    assert p > 1e-3
    logits = np.log(next_token(local, local.tokenizer(PROMPT).input_ids))[list(counts[0])]
    told = {row.tokens[0]: row.logprobs[0] for row in vllm.sample([PROMPT], seed=1, **how)[0]}
    assert np.allclose([told[token] for token in counts[0]], logits, atol=1e-3)  # at temperature 1, uncut


def test_greedy_texts_and_log_probabilities_are_equal(vllm, local):
    prompts = [" ".join(story_at(index, seed=1).text.split()[: 1 + index % 9]) for index in range(100)]
    found, expected = (
        [rows[0] for rows in each.sample(prompts, max_new_tokens=24, temperature=0)] for each in (vllm, local)
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


def test_the_contract_at_its_edges(vllm, local):
    long = " ".join(["the"] * 40)
    how = {"max_new_tokens": 60, "temperature": 0}
    for prompt in ("", long):  # empty, and with less room in the context than asked for
        assert vllm.sample([prompt], **how)[0][0].tokens == local.sample([prompt], **how)[0][0].tokens
    (stopped,), (same,) = (each.sample([PROMPT], stop=["."], **how)[0] for each in (vllm, local))
    assert (stopped.text, stopped.finish_reason) == (same.text, "stop")
    with pytest.raises(UserError, match="leaves no room in the model's context of 64"):
        vllm.sample(["the cat " * 80], max_new_tokens=1)


def test_equal_seeds_draw_equal_texts_and_others_do_not(vllm):
    once, again, other = (vllm.sample([PROMPT, PROMPT], n=2, max_new_tokens=12, seed=s) for s in (3, 3, 4))
    assert [[row.tokens for row in rows] for rows in once] == [[row.tokens for row in rows] for rows in again]
    assert len({tuple(row.tokens) for rows in once + other for row in rows}) == 8


def test_what_is_no_model_is_said_before_anything_starts(tmp_path):
    with pytest.raises(UserError, match=r"There is no model in .*: give its folder or hub id"):
        sampler(f"vllm:{tmp_path}")
    assert not list((vllm_server.ENVIRONMENT / "servers").glob(f"*{tmp_path.name}*"))


USER = """
import sys
from workbench.engine.vllm_server import IDLE, serve
print(serve(sys.argv[1]).pid, flush=True)
import time; time.sleep(100)
"""


def gone(group):
    """Whether no process of a group is left."""
    with suppress(ChildProcessError):
        os.waitpid(group, os.WNOHANG)  # its first one is this process's child
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_another_process_uses_it_and_the_last_one_to_go_ends_it(vllm, folder):
    server = vllm_server.serve(str(folder))
    user = subprocess.Popen([sys.executable, "-c", USER, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert int(user.stdout.readline()) == server.pid
        for file in vllm_server._held.values():
            fcntl.lockf(file, fcntl.LOCK_UN)
        time.sleep(IDLE + 2)
        assert vllm_server._answers(server)  # the other one still holds it
    finally:
        user.kill()
        user.wait()
    deadline = time.monotonic() + 60
    while not gone(server.pid):
        assert time.monotonic() < deadline
        time.sleep(0.2)
