"""The studies on real stories and a real checkpoint, where they are at hand (WORKBENCH_DATA)."""

import os
import subprocess
import sys

import pandas as pd
import pytest
from repository import DATA, ROOT

from workbench.corpora import labelled_tokens
from workbench.corpora.loaders.texts import load_corpus
from workbench.engine import loading
from workbench.studies.attention_heads import data, induction, method

REAL = DATA
pytestmark = [
    pytest.mark.notebook,
    pytest.mark.skipif(not (REAL / "tinystories").is_dir(), reason="no real stories here (WORKBENCH_DATA)"),
]


def run(folder, *words):
    """Runs a notebook into `folder`; returns its run folder."""
    environment = {**os.environ, "WORKBENCH_RUNS": str(folder)}
    command = [sys.executable, "-m", "workbench", "run", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = (path.parent for path in folder.glob(f"{words[0]}/*/run.json"))
    return found


def test_real_stories_are_measured_beside_the_simulators(tmp_path):
    source = REAL / "tinystories" / "train_head_2MB.txt"
    folder = run(tmp_path, "01_stories", "-p", f"data={source}", "-p", "n_compared=300")
    assert len(pd.read_parquet(folder / "tables" / "stories.parquet")) == 2316
    blocks = pd.read_parquet(folder / "tables" / "diversity.parquet")
    pairs = blocks.groupby("set")["different word pairs"].mean()
    assert pairs["your data"] > pairs["broad: words"]


def test_a_real_checkpoint_writes_its_published_story_and_has_its_published_loss(tmp_path):
    model, source = (
        REAL / "models" / "stories260K" / "hf",
        REAL / "tinystories" / "v2_train_head_10k_lines.txt",
    )
    folder = run(tmp_path, "02_tiny_models", "-p", f"model={model}", "-p", f"data={source}")
    greedy = pd.read_parquet(folder / "tables" / "greedy.parquet")["text"][0]
    assert greedy.startswith(
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
        "One day, she saw a big, red ball."
    )
    losses = pd.read_parquet(folder / "tables" / "losses.parquet")
    assert losses["nats_per_token"].mean() == pytest.approx(1.32, abs=0.03)
    assert losses["bits_per_byte"].mean() == pytest.approx(0.924, abs=0.02)


def test_the_real_checkpoint_has_local_and_broad_heads_and_no_induction_head():
    model, tokenizer = loading.load(REAL / "models" / "stories260K" / "hf")
    stories = load_corpus(str(REAL / "tinystories" / "v2_train_head_10k_lines.txt")).texts[:60]
    texts = labelled_tokens.label_tokens(model, tokenizer, labelled_tokens.guess_labels(stories))
    table, _ = method.measure_heads(model, texts.rows, data.flags(texts))
    wide = method.wide(table)
    local, broad = wide[wide["distance"] < 5], wide[wide["distance"] > 25]
    assert len(local) >= 8
    assert len(broad) >= 5
    assert local["positional"].min() > broad["positional"].max()
    assert broad["normalised_entropy"].min() > local["normalised_entropy"].max()
    assert set(method.classify(wide)) >= {"positional", "mixed"}
    heads, losses = induction.score_repeats(model, tokenizer)
    assert heads.groupby(["layer", "head"])["value"].mean().max() < 0.1
    first, second = losses.groupby("copy")["nats"].mean()
    assert second > 0.9 * first


def test_gsm8k_is_scored_with_a_real_checkpoint_as_proxy(tmp_path):
    source = tmp_path / "head.jsonl"
    source.write_text("".join((REAL / "math" / "gsm8k" / "train.jsonl").read_text().splitlines(True)[:120]))
    settings = {
        "data": f"gsm8k:{source}",
        "model": REAL / "models" / "stories260K" / "hf",
        "truncate": "true",
        "n_subsets": "0",
    }
    words = [word for name, value in settings.items() for word in ("-p", f"{name}={value}")]
    folder = run(tmp_path, "09_prismatic", *words)
    examples = pd.read_parquet(folder / "tables" / "examples.parquet")
    assert len(examples) == 120
    assert examples["completion"][0].endswith("The answer is 72.")
    card = pd.read_parquet(folder / "tables" / "card.parquet").set_index("measure")
    assert 5 < card.loc["G-Vendi", "low"] < card.loc["G-Vendi", "value"] < 120
