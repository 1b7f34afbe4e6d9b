"""Presets, tokenizer, loading and saving."""

import subprocess
import sys

import pytest
import torch
from repository import DATA

from workbench.engine import loading, models
from workbench.engine.tokens import encode, encode_pairs
from workbench.errors import UserError

TEXTS = ["The cat sat on the mat. It was happy.", "A dog ran to the park and saw a big red ball."] * 20
STORIES260K = DATA / "models/stories260K/hf"
needs_stories260k = pytest.mark.skipif(
    not STORIES260K.exists(), reason="WORKBENCH_DATA has no models/stories260K"
)


@pytest.fixture(scope="module")
def tokenizer():
    return models.train_tokenizer(TEXTS, 300)


@pytest.fixture
def tiny(tokenizer):
    return models.build(models.config("tiny:0.1M", vocab_size=len(tokenizer)), seed=0)


@pytest.mark.parametrize("architecture", ["llama", "gpt-neo", "bloom"])
@pytest.mark.parametrize("preset", models.SHAPES)
def test_a_preset_has_the_size_that_it_is_named_after(preset, architecture):
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(models.config(preset, architecture=architecture))
    counts = models.count_parameters(model)
    named = float(preset.removeprefix("tiny:").removesuffix("M")) * 1e6
    assert abs(counts.total / named - 1) < 0.15
    assert counts.total == counts.embedding + counts.non_embedding


def test_parameter_counts_are_those_of_the_published_tinystories_1m():
    """Eldan & Li's 1M: 3,745,984 parameters, 398,464 of them outside the token and position embeddings."""
    from transformers import AutoModelForCausalLM, GPTNeoConfig

    shape = {"hidden_size": 64, "num_layers": 8, "num_heads": 16, "tie_word_embeddings": True}
    kinds = [[["global", "local"], 4]]
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(GPTNeoConfig(attention_types=kinds, **shape))
    assert models.count_parameters(model) == models.Counts(3_745_984, 3_745_984 - 398_464, 398_464)


def test_an_untied_output_layer_counts_as_embedding():
    config = models.config("tiny:0.1M")
    config.tie_word_embeddings = False
    tied, untied = (models.count_parameters(models.build(c, 0)) for c in (models.config("tiny:0.1M"), config))
    assert untied.embedding == 2 * tied.embedding
    assert untied.non_embedding == tied.non_embedding


def test_depth_and_width_replace_those_of_the_preset():
    config = models.config("tiny:1M", architecture="gpt-neo", n_layers=3, hidden_size=160)
    assert (config.num_layers, config.hidden_size, config.num_heads) == (3, 160, 5)
    assert config.attention_layers == ["global", "local", "global"]


@pytest.mark.parametrize("width", [*range(8, 128, 8), 128])
def test_every_width_that_is_allowed_has_whole_heads(width):
    config = models.config("tiny:1M", 300, hidden_size=width)
    assert config.hidden_size == width
    assert width % config.num_attention_heads == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"preset": "tiny:1m"}, "tiny:1M"),
        ({"hidden_size": 130}, "multiple of 32"),
        ({"architecture": "gpt2"}, "gpt-neo"),
    ],
)
def test_a_config_that_does_not_exist_is_the_users_mistake(options, says):
    with pytest.raises(UserError, match=says):
        models.config(**options)


def test_weights_depend_on_the_seed_alone():
    config = models.config("tiny:0.1M")
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = models.build(config, 1).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(6)
    assert all(
        torch.equal(value, first[name]) for name, value in models.build(config, 1).state_dict().items()
    )
    assert not all(torch.equal(v, first[name]) for name, v in models.build(config, 2).state_dict().items())


@pytest.mark.parametrize(
    "text", ["A cat.", "  two  spaces\n\n", "naïve 世界 🙂", "\x00\x1b[31m<|endoftext|>"]
)
def test_any_text_encodes_and_decodes_back(tokenizer, text):
    ids = encode(tokenizer, [text])[0]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.eos_token_id not in ids[1:]
    assert tokenizer.decode(ids[1:]) == text


def test_a_pair_reads_as_its_joint_text_where_the_prompt_keeps_its_tokens(tokenizer):
    ((prompt, rest),) = encode_pairs(tokenizer, [("The cat", " sat on")])
    assert prompt + rest == encode(tokenizer, ["The cat sat on"])[0]
    ((prompt, rest),) = encode_pairs(
        tokenizer, [("The c", "at")]
    )  # the joint text would merge across the border
    assert prompt == encode(tokenizer, ["The c"])[0]
    assert tokenizer.decode(rest) == "at"


def test_a_saved_folder_loads_with_transformers_and_with_load(tiny, tokenizer, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loading.save(tiny, tokenizer, tmp_path / "model")
    ids = torch.tensor([AutoTokenizer.from_pretrained(tmp_path / "model")("The cat").input_ids])
    again, its_tokenizer = loading.load(tmp_path / "model", device="cpu")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    with torch.no_grad():
        assert torch.equal(tiny(ids).logits, again(ids).logits)
        assert torch.equal(tiny(ids).logits, theirs(ids).logits)
    chat = its_tokenizer.apply_chat_template([{"role": "user", "content": "The cat"}], tokenize=False)
    assert chat == "<|endoftext|>The cat"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_a_save_that_fails_leaves_the_older_model(tiny, tokenizer, tmp_path):
    loading.save(tiny, tokenizer, tmp_path / "model")
    before = (tmp_path / "model/model.safetensors").read_bytes()

    class Full:
        def save_pretrained(self, folder):
            (folder / "model.safetensors").write_bytes(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="No space left"):
        loading.save(Full(), tokenizer, tmp_path / "model")
    assert (tmp_path / "model/model.safetensors").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_sources_that_cannot_be_loaded_are_the_users_mistake(tiny, tokenizer, tmp_path):
    def says(source):
        with pytest.raises(UserError) as caught:
            loading.load(source)
        return str(caught.value)

    assert "without weights" in says("tiny:1M")
    assert "'tiny:0.3M'" in says("tiny:0.3m")
    assert "no folder" in says("./missing")
    assert "no folder" in says("a" * 5000)
    assert "No model is named" in says("")
    loading.save(tiny, tokenizer, tmp_path / "run/model")
    assert "did you mean" in says(tmp_path / "run")
    (tmp_path / "run/model/tokenizer.json").unlink()
    assert "no tokenizer" in says(tmp_path / "run/model")
    loading.save(tiny, tokenizer, tmp_path / "cut")
    (tmp_path / "cut/model.safetensors").write_bytes(b"nonsense")
    assert "cannot be loaded" in says(tmp_path / "cut")
    (tmp_path / "cut/model.safetensors").rename(tmp_path / "cut/pytorch_model.bin")
    assert "safetensors" in says(tmp_path / "cut")


def test_a_hub_id_without_network_is_one_sentence(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="hub") as caught:
        loading.load("nobody/no-such-model-here")
    assert "\n" not in str(caught.value)


def test_importing_the_models_does_not_import_transformers():
    code = "import sys, workbench.engine.models; print('transformers' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


@needs_stories260k
def test_stories260k_has_its_published_size():
    model, _ = loading.load(STORIES260K, device="cpu")
    assert models.count_parameters(model).total == 260_032
