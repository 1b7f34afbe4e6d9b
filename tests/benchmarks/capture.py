"""Measures of all heads, and every neuron's strongest contexts, over 1,000 stories: time and memory.

`OMP_NUM_THREADS=1 python -m tests.benchmarks.capture [--python PATH] [--model FOLDER] [--stories N]`

Compared with TransformerLens, whose values go into the very same functions: with `run_with_cache` told to
keep only what is needed, from texts sorted by length; and as it comes, keeping everything, from texts in
their order. A third time its patterns go into measures written down as they are defined, one after the other.
PATH is the Python of an environment that holds both (`pip install transformer-lens==4.3.0 -e .`); the default
is this one. Every side runs in processes of its own, in turn. Memory is the highest resident size above that
after loading the model and one short pass (Linux only).
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel

from workbench.corpora import labelled_tokens
from workbench.engine import loading, models
from workbench.engine.interpretability.anatomy import anatomy
from workbench.engine.interpretability.capture import HookPoint
from workbench.engine.interpretability.stream import Batch, stream
from workbench.studies.attention_heads import data, method, scores
from workbench.studies.attention_heads.scores import Text
from workbench.studies.neurons import method as neurons_method

OURS, NEEDED, ALL = "workbench", "TransformerLens, only what is needed", "TransformerLens, run_with_cache"
DEFINED = "the same, measures as defined"
SIDES = {"heads": (OURS, NEEDED, ALL, DEFINED), "neurons": (OURS, NEEDED, ALL)}
WORKS = {"heads": "blocks.{}.attn.hook_pattern", "neurons": "blocks.{}.mlp.hook_post"}
KINDS = {"heads": "pattern", "neurons": "neuron"}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--python", default=sys.executable)
    options.add_argument("--model", help="a folder; the default is an untrained tiny:1M")
    options.add_argument("--stories", type=int, default=1_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--child", nargs=3, help=argparse.SUPPRESS)  # work, side, folder of the model
    given = options.parse_args()
    if given.child:
        print(json.dumps(measure(*given.child, given.stories)))
        return
    if subprocess.run([given.python, "-c", "import transformer_lens"], capture_output=True).returncode:
        print(f"Skipped: {given.python} has no transformer_lens; name an environment with --python.")
        return
    with tempfile.TemporaryDirectory() as folder:
        for work in WORKS:
            compare(work, given, given.model or untrained(folder, given.stories))


def untrained(folder: str, n_stories: int) -> str:
    """A 1M Llama with random weights, and a tokenizer of the stories."""
    texts = [text for text, _ in labelled_tokens.simulated_stories(n_stories, 0)]
    tokenizer = models.train_tokenizer(texts)
    loading.save(models.build(models.config("tiny:1M", len(tokenizer)), 0), tokenizer, f"{folder}/model")
    return f"{folder}/model"


def compare(work: str, given: argparse.Namespace, model: str) -> None:
    """Runs the sides in turn and prints medians, and ratios to the workbench."""
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES[work]}
    for _ in range(given.rounds):
        for side in found:
            words = ["--stories", str(given.stories), "--child", work, side, model]
            command = [given.python, "-m", "tests.benchmarks.capture", *words]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{side} failed: {done.stderr.strip().splitlines()[-1]}")
            found[side].append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{work}: {given.stories} stories, {found[OURS][0]['tokens']:,} tokens")
    for side, runs in found.items():
        pairs = list(zip(runs, found[OURS], strict=True))
        seconds, mib = (statistics.median(run[unit] for run in runs) for unit in ("seconds", "mib"))
        times, sizes = ([run[unit] / own[unit] for run, own in pairs] for unit in ("seconds", "mib"))
        far = max(abs(run["check"] - own["check"]) for run, own in pairs)
        print(
            f"  {side:<38} {seconds:>7.1f} s {mib:>8.0f} MiB   ratio of time {statistics.median(times):.2f} "
            f"({min(times):.2f} to {max(times):.2f}), of memory {statistics.median(sizes):.1f}   "
            f"same answer to {far:.0e}"
        )


def measure(work: str, side: str, folder: str, n_stories: int) -> dict[str, float]:
    """One side's processor seconds, mebibytes above the model, and a number that must agree."""
    model, tokenizer = loading.load(folder, device="cpu")
    texts = labelled_tokens.label_tokens(model, tokenizer, labelled_tokens.simulated_stories(n_stories, 0))
    read = stream if side == OURS else their_stream(work, side, folder, model)
    method.stream = neurons_method.stream = read  # the measures are the same: only their reader is not
    if side == DEFINED:
        scores.measure = as_defined
    task = {"heads": heads, "neurons": strongest}[work]
    task(model, select(texts, range(4)))
    Path("/proc/self/clear_refs").write_text("5")  # the highest resident size begins anew
    before, begin = resident("VmRSS"), time.process_time()
    check = task(model, texts)
    seconds = time.process_time() - begin
    size = resident("VmHWM") - before
    return {"seconds": seconds, "mib": size, "check": check, "tokens": sum(map(len, texts.rows))}


def resident(kind: str) -> float:
    """Mebibytes: VmRSS now, VmHWM at most."""
    return int(re.search(rf"{kind}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def select(texts: labelled_tokens.LabelledTokens, index: Sequence[int]) -> labelled_tokens.LabelledTokens:
    """Some of the texts."""
    lists = {
        name: [getattr(texts, name)[at] for at in index] for name in ("texts", "rows", "pieces", "labels")
    }
    return labelled_tokens.LabelledTokens(**lists, names=texts.names, first=texts.first, cut=texts.cut)


def heads(model: PreTrainedModel, texts: labelled_tokens.LabelledTokens) -> float:
    """All measures of all heads."""
    table, _ = method.measure_heads(model, texts.rows, data.flags(texts))
    return float(table["value"].abs().mean())


def strongest(model: PreTrainedModel, texts: labelled_tokens.LabelledTokens) -> float:
    """The ten strongest contexts of every neuron."""
    return float(neurons_method.extremes(model, texts).contexts()["activation"].abs().mean())


def their_stream(work: str, side: str, folder: str, model: PreTrainedModel) -> Callable:
    """`stream` over `run_with_cache`; for neurons it caches all of the corpus before it hands anything on."""
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(folder, device="cpu")
    names = [WORKS[work].format(layer) for layer in range(anatomy(model).n_layers)]
    options = {"names_filter": names} if side == NEEDED else {}

    def run(batch: Batch, hook: Callable, cache: dict) -> None:
        places = torch.arange(batch.ids.shape[1])[None]
        for layer, name in enumerate(names):
            hook(cache[name], HookPoint(f"{KINDS[work]}.{layer}", layer, places), batch)

    @torch.inference_mode()
    def read(
        _model: object,
        rows: Sequence[Sequence[int]],
        hooks: dict[str, Callable],
        *,
        batch_size: int = 8,
        to_the_end: bool = True,  # run_with_cache always goes there
    ) -> Iterator[None]:
        (hook,) = hooks.values()
        order = list(range(len(rows)))
        if side == NEEDED:
            order.sort(key=lambda index: len(rows[index]))
        cached = []
        for start in range(0, len(order), batch_size):
            batch = padded(rows, order[start : start + batch_size])
            cache = bridge.run_with_cache(batch.ids, **options)[1]
            if work == "neurons":
                cached.append((batch, {name: cache[name] for name in names}))
            else:
                run(batch, hook, cache)
            yield
        for batch, cache in cached:
            run(batch, hook, cache)

    return read


def as_defined(pattern: torch.Tensor, entropy: torch.Tensor, text: Text) -> tuple[torch.Tensor, torch.Tensor]:
    """`head_measures.measure`, each measure by itself as its definition reads."""
    query = text.query[:, None]
    place = torch.arange(pattern.shape[-1])
    back = (place[:, None] - place).clamp(min=0).float()
    masks = masks_of(text)
    counts = [mask.sum(2)[:, None] for mask in masks]
    inner = pattern[..., 1:].sum(-1).clamp(min=1e-6)
    distance = (pattern * back).sum(-1)
    rows = [
        (distance, query),
        (distance / place.clamp(min=1), query),
        ((pattern[..., 1:] * back[:, 1:]).sum(-1) / inner, query),
        (entropy, query),
        (entropy / (place + 1).log().clamp(min=1e-6), query),
        (entropy.exp(), query),
        ((pattern * (back == 1)).sum(-1), query),
        ((pattern * torch.eye(len(place))).sum(-1), query),
        (pattern[..., 0], query),
    ]
    for mask, number in zip(masks[:2], counts[:2], strict=True):
        rows.append(((pattern * mask[:, None]).sum(-1), (number > 0).float()))
    far = (pattern * masks[2][:, None]).sum(-1)
    for mask, number in zip(masks[3:], counts[3:], strict=True):
        share = (pattern * mask[:, None]).sum(-1) / far.clamp(min=1e-9)
        chance = (number / counts[2].clamp(min=1)).clamp(min=1e-9)
        rows.append((share / chance, (number > 0).float()))
    heads = pattern.shape[:2]
    pairs = [((value * here).sum(-1), here.sum(-1).expand(heads)) for value, here in rows]
    real = query[..., None]
    targets = [((back == 1) * real), masks[0][:, None], masks[1][:, None]]
    total = text.lengths[:, None].expand(heads)
    pairs += [((pattern * target).sum((2, 3)), total) for target in targets]
    begin = total - (pattern * real).sum((2, 3))  # the first row, which is no query, and padding are left out
    pairs += [(total - begin - ((pattern - target) * real).abs().sum((2, 3)), total) for target in targets]
    return tuple(torch.stack(part, -1) for part in zip(*pairs, strict=True))


def masks_of(text: Text) -> list[torch.Tensor]:
    """`[rows, tokens, tokens]`, 1 where k is an earlier equal token; where k follows one; where k is far;
    where it is a name there, or a noun; the same two in random places.
    """
    length = text.query.shape[1]
    same = torch.zeros(len(text.same), length * length)
    for row, pairs in zip(same, text.same, strict=True):
        row[pairs] = 1
    same = same.view(-1, length, length)
    far = torch.ones(length, length).tril(-scores.NEAR - 1) * text.query[:, :, None]
    return [same, same.roll(1, 2), *(far * column[:, None] for column in text.far.unbind(1))]


def padded(rows: Sequence[Sequence[int]], index: list[int]) -> Batch:
    """Rows as `stream` batches them."""
    tensors = [torch.tensor(rows[at]) for at in index]
    ids = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)
    return Batch(index, ids, torch.tensor([len(row) for row in tensors]))


if __name__ == "__main__":
    main()
