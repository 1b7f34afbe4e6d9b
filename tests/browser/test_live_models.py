"""The model in the page computes what PyTorch computes: tokens, logits, texts, losses without heads."""

import base64
import json
import random

import nbformat
import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook, new_output
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from workbench.charts.live_view import SCRIPTS, Example, Live, Task
from workbench.corpora import lego
from workbench.corpora.stories import write_stories
from workbench.engine import live, loading, models
from workbench.engine.interpretability.interventions import ablate_heads, ablate_neurons
from workbench.engine.interpretability.reference import reference
from workbench.engine.tokens import word_tokenizer
from workbench.lab.report.page import write_report
from workbench.studies.lego.story_models import seen

pytestmark = pytest.mark.browser

STORIES = [story.text for story in write_stories(60, seed=7)]
TEXT = "One day, Tom and Lily went to the park. Tom had a red ball. He gave the ball to"
SMALL = {"initializer_range": 0.15, "bos_token_id": 0, "eos_token_id": 0}


@pytest.fixture(scope="module")
def starter():
    model, tokenizer = loading.load("starter", "cpu")
    return model.float(), tokenizer


WORDS = [*lego.OPERATIONS, *lego.VALUES, "Tom", "Lily", "Ben", "Mia", "Sam", "Anna", "Max", "Sue", "Tim"]
NAMES = WORDS[10:]
MOVES = {
    value: {word: lego.VALUES[(at + step) % 5] for step, word in enumerate(lego.OPERATIONS)}
    for at, value in enumerate(lego.VALUES)
}
CHAINS = Task([lego.OPERATIONS, lego.VALUES, NAMES], NAMES, lego.VALUES, MOVES, clauses=True)


@pytest.fixture(scope="module")
def words():
    """A model of whole words that reads both ways, and its tokenizer."""
    tokenizer = word_tokenizer(WORDS)
    return family("llama", tokenizer), tokenizer


@pytest.fixture(scope="module")
def worker(browser):
    """A page that has the runtime, and `run(script, argument)` in it."""
    page = browser.new_page()
    page.goto("about:blank")
    source = SCRIPTS[0].read_text(encoding="utf-8") + "\nglobalThis.live = live;"
    page.add_script_tag(type="module", content=source)
    page.wait_for_function("globalThis.live !== undefined")
    yield page
    page.close()


def open_model(page, block, name="model"):
    page.evaluate(f"(block) => {{ globalThis.{name} = new live.Model(block); }}", block)


def family(name, tokenizer):
    """A model of random weights, larger than they begin, so that mistakes show."""
    size = len(tokenizer)
    torch.manual_seed(1)
    if name == "gpt2":
        config = GPT2Config(n_layer=2, n_embd=48, n_head=4, vocab_size=size, n_positions=320, **SMALL)
        return GPT2LMHeadModel(config).eval()
    if name == "grouped":
        config = LlamaConfig(
            hidden_size=48, intermediate_size=100, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=24, vocab_size=size, max_position_embeddings=320,
            tie_word_embeddings=False, **SMALL,
        )  # fmt: skip
        return LlamaForCausalLM(config).eval()
    config = models.config("tiny:0.3M", size, name, context=320)
    config.initializer_range = 0.15
    model = models.build(config, 1)
    with torch.no_grad():  # biases and norms begin at 0 and 1, where swapping them would not show
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


LOGITS = """async ([texts]) => Promise.all(texts.map(async (text) =>
  Array.from(await model.read(model.start(), model.tokenizer.encode(text)))))"""


def torch_logits(model, tokenizer, texts):
    with torch.no_grad():
        return np.array(
            [model(torch.tensor([tokenizer(text)["input_ids"]])).logits[0, -1].numpy() for text in texts]
        )


@pytest.mark.parametrize("name", ["llama", "gpt-neo", "bloom", "gpt2", "grouped"])
def test_logits_of_every_family_are_those_of_pytorch(worker, starter, name):
    tokenizer = starter[1]
    model = family(name, tokenizer)
    open_model(worker, live.block(model, tokenizer, dtype="fp32"))
    texts = [tokenizer.decode(tokenizer(" ".join(STORIES))["input_ids"][1:300]), *STORIES[:5]]
    assert len(tokenizer(texts[0])["input_ids"]) > 257  # beyond which GPT-Neo's second layer does not look
    given = np.array(worker.evaluate(LOGITS, [texts]))
    assert np.abs(given - torch_logits(model, tokenizer, texts)).max() < 2e-3


def worst(page, model, tokenizer, texts, dtype):
    open_model(page, live.block(model, tokenizer, dtype=dtype))
    given = np.array(page.evaluate(LOGITS, [texts]))
    return np.abs(given - torch_logits(model, tokenizer, texts)).max()


def test_logits_of_the_starter_are_those_of_pytorch(worker, starter):
    texts = [STORIES[at % 60][: 30 + at] for at in range(200)]
    assert worst(worker, *starter, texts, "fp32") < 2e-3
    assert worst(worker, *starter, texts, "int16") < 2e-2
    assert worst(worker, *starter, texts, "int8") > 2e-2  # so that int16 is what pages carry


def test_a_row_of_int8_is_its_weights_to_half_a_step(starter):
    model, tokenizer = starter
    block = live.block(model, tokenizer, dtype="int8")
    assert block == live.block(model, tokenizer, dtype="int8")
    name, rows, columns, kind = block["tensors"][0]
    assert (name, kind) == ("embedding", "int8")
    data = base64.b64decode(block["weights"])
    scales = np.frombuffer(data, "<f4", rows)
    codes = np.frombuffer(data, np.int8, rows * columns, 4 * rows).reshape(rows, columns)
    error = codes * scales[:, None] - model.get_input_embeddings().weight.detach().numpy()
    assert (np.abs(error) <= scales[:, None] * 0.5001).all()


def test_int8_costs_less_than_a_hundredth_of_a_nat(worker, starter):
    model, tokenizer = starter
    open_model(worker, live.block(model, tokenizer, dtype="int8"))
    given = losses_in_page(worker, tokenizer, STORIES[:12], {})
    wanted = [text_loss(model, tokenizer, story) for story in STORIES[:12]]
    assert abs(np.mean(given) - np.mean(wanted)) < 0.01


GREEDY = """async ([texts]) => {
  const all = [];
  for (const text of texts) all.push(await model.goOn(model.tokenizer.encode(text), { tokens: 16 }));
  return all;
}"""


def test_greedy_texts_are_those_of_generate(worker, starter):
    model, tokenizer = starter
    texts = [story[: 40 + 2 * at] for at, story in enumerate([*STORIES, *STORIES[:40]])]
    wanted = []
    for text in texts:
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        written = model.generate(ids, max_new_tokens=16, do_sample=False)[0, ids.shape[1] :].tolist()
        wanted.append([token for token in written if token != tokenizer.eos_token_id])
    open_model(worker, live.block(model, tokenizer, dtype="fp32"))
    assert worker.evaluate(GREEDY, [texts]) == wanted
    open_model(worker, live.block(model, tokenizer))
    same = [given == want for given, want in zip(worker.evaluate(GREEDY, [texts]), wanted, strict=True)]
    assert np.mean(same) >= 0.98


LOSSES = """async ([rows, changes]) => {
  const all = [];
  for (const ids of rows) {
    const losses = (await model.losses(ids, changes)).slice(1);
    all.push(losses.reduce((sum, loss) => sum + loss, 0) / losses.length);
  }
  return all;
}"""


def losses_in_page(page, tokenizer, texts, changes):
    return page.evaluate(LOSSES, [[tokenizer(text)["input_ids"] for text in texts], changes])


def text_loss(model, tokenizer, text):
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    with torch.no_grad():
        return float(model(ids, labels=ids).loss)


@pytest.mark.parametrize("ablation", ["zero", "mean"])
def test_loss_without_a_head_is_that_of_the_workbench(worker, starter, ablation):
    model, tokenizer = starter
    rows = [tokenizer(story)["input_ids"] for story in STORIES[30:50]]
    means = reference(model, rows, ["head.*"], keep=0)
    open_model(worker, live.block(model, tokenizer, dtype="fp32", reference=means))
    shape = model.config
    text = STORIES[0]
    for layer in range(shape.num_hidden_layers):
        for head in range(shape.num_attention_heads):
            with ablate_heads(model, [(layer, head)], ablation, means):
                wanted = text_loss(model, tokenizer, text)
            changes = {"heads": [[layer, head]], "ablation": ablation}
            (given,) = losses_in_page(worker, tokenizer, [text], changes)
            assert abs(given - wanted) < 1e-3


def test_a_neuron_off_and_several_heads_off(worker, starter):
    model, tokenizer = starter
    open_model(worker, live.block(model, tokenizer, dtype="fp32"))
    with ablate_neurons(model, [(1, 17)], "zero"):
        wanted = text_loss(model, tokenizer, STORIES[0])
    (given,) = losses_in_page(worker, tokenizer, STORIES[:1], {"neurons": [[1, 17]]})
    assert abs(given - wanted) < 1e-3
    with ablate_heads(model, [(0, 0), (0, 2), (3, 1)], "zero"):
        wanted = text_loss(model, tokenizer, STORIES[0])
    (given,) = losses_in_page(
        worker, tokenizer, STORIES[:1], {"heads": [[0, 0], [0, 2], [3, 1]], "ablation": "zero"}
    )
    assert abs(given - wanted) < 1e-3


def test_the_residual_stream_is_read_and_steered(worker, starter):
    model, tokenizer = starter
    open_model(worker, live.block(model, tokenizer, dtype="fp32"))
    ids = tokenizer(TEXT)["input_ids"]
    vector = torch.randn(model.config.hidden_size, generator=torch.Generator().manual_seed(0))
    hook = model.model.layers[1].register_forward_hook(lambda _module, _inputs, output: output + vector)
    with torch.no_grad():
        steered = model(torch.tensor([ids])).logits[0, -1].numpy()
        hook.remove()
        kept = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[2][0]
        lens = model.lm_head(model.model.norm(kept)).numpy()[-1]
    script = """async ([ids, vector]) => {
      const parts = [];
      const watch = (layer, name, values) => {
        if (name === "residual" && layer === 2) parts.push(values.slice());
      };
      await model.read(model.start(), ids, { watch });
      const width = model.shape.hidden;
      const last = parts.at(-1).slice(-width);
      const steered = await model.read(model.start(), ids, { changes: { add: [[1, vector]] } });
      return [Array.from(model.unembed(last, 1)), Array.from(steered)];
    }"""
    given_lens, given_steered = worker.evaluate(script, [ids, vector.tolist()])
    assert np.abs(np.array(given_lens) - lens).max() < 2e-3
    assert np.abs(np.array(given_steered) - steered).max() < 2e-3


def hostile(count, seed):
    """Strings that tokenizers trip over."""
    rng = random.Random(seed)
    ranges = [(32, 127), (32, 127), (0, 32), (127, 592), (768, 880), (0x2000, 0x2070), (0x4E00, 0x4E80)]
    ranges += [(0x1F300, 0x1F700), (0xAC00, 0xAD00), (0x600, 0x700), (0xE000, 0xE010), (0x1D400, 0x1D500)]
    parts = [
        "<|endoftext|>",
        "<|endoftext",
        "'s",
        "'LL",
        " don't",
        "  ",
        "\n\n",
        "\t ",
        "\u200b",
        "\ufeff",
        "\x85",
    ]
    parts += ["e\u0301", "\u1100\u1161", "١٢", "½", "ß", "ﬁ", "\u00a0", "\u3000", "the", " cat", "1234567"]
    for _ in range(count):
        pieces = []
        for _ in range(rng.randint(0, 12)):
            low, high = rng.choice(ranges)
            pieces.append(rng.choice(parts) if rng.random() < 0.5 else chr(rng.randrange(low, high)))
        yield "".join(pieces)


def test_tokens_of_hostile_strings_are_those_of_tokenizers(worker, starter):
    model, tokenizer = starter
    open_model(worker, live.block(model, tokenizer))
    texts = [text for text in hostile(5000, 3) if text.encode("utf-8", "ignore").decode() == text]
    given = worker.evaluate("([texts]) => texts.map((text) => model.tokenizer.encode(text))", [texts])
    wanted = tokenizer(texts)["input_ids"]
    wrong = [text for text, one, other in zip(texts, given, wanted, strict=True) if one != other]
    assert wrong == []
    back = worker.evaluate(
        "([rows]) => rows.map((ids) => model.tokenizer.decode(ids.slice(1)))", [wanted[:500]]
    )
    assert back == texts[:500]


def test_tokens_of_whole_words_are_those_of_tokenizers(worker, words):
    model, tokenizer = words
    open_model(worker, live.block(model, tokenizer))
    rng = random.Random(4)
    gaps = [" ", "  ", "\n", "\t", "\u00a0", "\u3000", "\u200b", "", "<|endoftext|>"]
    texts = [
        "".join(rng.choice([*WORDS, "cat", "tom", "é"]) + rng.choice(gaps) for _ in range(9))
        for _ in range(500)
    ]
    given = worker.evaluate("([texts]) => texts.map((text) => model.tokenizer.encode(text))", [texts])
    assert given == tokenizer(texts)["input_ids"]
    assert worker.evaluate("() => model.tokenizer.decode([11, 12])") == " Tom Lily"


def test_a_model_that_reads_both_ways_sees_all(worker, words):
    model, tokenizer = words
    open_model(worker, live.block(model, tokenizer, dtype="fp32", causal=False))
    ids = torch.tensor([tokenizer(" ".join(random.Random(5).choices(WORDS, k=90)))["input_ids"]])
    with torch.no_grad():
        wanted = model(ids, **seen(ids, True)).logits[0].numpy()
    script = "async ([ids]) => Array.from(await model.read(model.start(), ids, { all: true }))"
    given = np.array(worker.evaluate(script, ids.tolist())).reshape(wanted.shape)
    assert np.abs(given - wanted).max() < 2e-3


def test_a_model_with_more_rows_than_tokens_writes_on(worker, starter):
    tokenizer = starter[1]
    model = models.build(models.config("tiny:0.1M", len(tokenizer) + 500), 0)
    open_model(worker, live.block(model, tokenizer))
    ids = worker.evaluate("() => model.goOn([0, 5, 6], { tokens: 30, temperature: 1.5, topP: 1, seed: 2 })")
    assert max(ids) >= len(tokenizer)
    assert worker.evaluate("([ids]) => model.tokenizer.decode(ids)", [ids])


def test_draws_depend_on_the_seed_and_follow_the_probabilities(worker, starter):
    model, tokenizer = starter
    open_model(worker, live.block(model, tokenizer, dtype="fp32"))
    script = """async ([text, seed, temperature]) => model.goOn(model.tokenizer.encode(text),
      { tokens: 12, seed, temperature, topP: 0.95 })"""
    first, again, other = (worker.evaluate(script, [TEXT, seed, 1.0]) for seed in (3, 3, 4))
    assert first == again != other
    counts = worker.evaluate(
        """async ([text]) => {
          const counts = {};
          for (let seed = 0; seed < 400; seed += 1) {
            const [id] = await model.goOn(model.tokenizer.encode(text), { tokens: 1, seed, temperature: 1 });
            counts[id] = (counts[id] ?? 0) + 1;
          }
          return counts;
        }""",
        ["Tom was"],
    )
    shares = torch.tensor(torch_logits(model, tokenizer, ["Tom was"])[0]).softmax(0)
    best = int(shares.argmax())
    assert counts[str(best)] / 400 == pytest.approx(float(shares[best]), abs=0.09)


# ------------------------------------------------------------------------------- the figure
@pytest.fixture(scope="module")
def blocks(starter):
    model, tokenizer = starter
    means = reference(model, [tokenizer(story)["input_ids"] for story in STORIES[:10]], ["head.*"], keep=0)
    return {"0.5M": live.block(model, tokenizer, reference=means, about={"size": "0.5M parameters"})}


@pytest.fixture
def report(tmp_path, blocks, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")

    def write(**options):
        figure = Live(options.pop("blocks", blocks), "Try it", "Type.", **{"text": TEXT, **options})
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        outputs = [new_output("display_data", data=figure._repr_mimebundle_()[0])]
        (run / "run.json").write_text(json.dumps({"schema": 1, "notebook": "heads", "title": "Heads"}))
        (run / "notebook.ipynb").write_text(
            json.dumps(new_notebook(cells=[new_code_cell("x", outputs=outputs)]))
        )
        return write_report(run, tmp_path / "r.html").as_uri()

    return write


def written(page, at=0):
    box = page.locator(".wb-live .written").nth(at)
    page.wait_for_function("(box) => box.lastChild?.textContent.length > 20", arg=box.element_handle())
    return box.inner_text()


def test_a_report_goes_on_with_what_is_typed_and_the_link_keeps_it(page, report):
    address = report(parts=["heads"])
    page.goto(address)
    first = written(page)
    assert first.startswith(TEXT)
    page.locator(".wb-live textarea").fill("Sam was sad. He wanted to play with")
    page.wait_for_function("() => document.querySelector('.wb-live .begun')?.textContent.startsWith('Sam')")
    assert written(page).startswith("Sam was sad.")
    assert 1 <= page.locator(".next li").count() <= 6
    page.locator('[aria-label="Layer 0, head 1"]').click()
    page.wait_for_function("() => document.querySelectorAll('.wb-live .columns section').length === 2")
    page.wait_for_function("() => document.querySelector('.strip h5')?.textContent.includes('→')")
    link = page.url
    other = page.context.new_page()
    other.goto(link)
    assert other.locator(".wb-live textarea").input_value() == "Sam was sad. He wanted to play with"
    assert other.locator('[aria-label="Layer 0, head 1"]').get_attribute("aria-pressed") == "true"
    assert page.complaints == []


def test_what_is_typed_or_said_by_an_address_stays_text(page, report):
    address = report(parts=["heads", "neurons"])
    hostile_state = (
        '{"text":"<img src=x onerror=alert(1)>\\u202e","heads":[["<b>",9]],"layer":99,"push":"1e9"}'
    )
    state = base64.b64encode(hostile_state.encode()).decode()
    page.goto(f"{address}#figure-try-it={state}")
    page.wait_for_selector(".wb-live .begun")
    assert page.locator(".wb-live img").count() == 0
    assert "\u202e" not in page.locator(".wb-live .begun").first.inner_text()
    assert page.locator('.heads [aria-pressed="true"]').count() == 0
    assert page.complaints == []


LIVE = """
from workbench.charts.live_view import Live
from workbench.engine import live, loading
Live({"starter": live.block(*loading.load("starter", "cpu"))}, "Try it", "Type.",
     text="Tom had a red ball. He gave the ball to", parts=["heads", "neurons"])
"""


def test_in_jupyterlab_the_same_figure_runs_without_python(lab, tmp_path):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = new_notebook(cells=[new_code_cell(LIVE)], metadata={"kernelspec": kernel})
    nbformat.write(book, tmp_path / "live.ipynb")
    opened = lab.open(tmp_path / "live.ipynb")
    opened.run_all(60)
    page = opened.page
    assert opened.errors() == []
    assert written(page).startswith("Tom had a red ball.")
    page.locator('[aria-label="Layer 2, head 1"]').click()
    page.wait_for_function("() => document.querySelectorAll('.wb-live .columns section').length === 2")
    page.locator(".wb-live textarea").fill("Sam was sad. He")
    page.wait_for_function(
        "() => document.querySelector('.wb-live .begun')?.textContent === 'Sam was sad. He'"
    )
    assert "#figure" not in page.url  # JupyterLab's address is its own
    assert page.complaints == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda block: block.update(checksum=1), "checksum does not fit"),
        (lambda block: block.update(weights="not base64 *"), "not base64"),
        (lambda block: block["shape"].update(hidden=10**9), "its hidden is 1000000000"),
        (lambda block: block["tensors"].append(["more", 10, 10, "int8"]), "lies outside its weights"),
        (lambda block: block["tokenizer"]["merges"].append([1, 1]), "a merge has no token"),
        (lambda block: block.update(format=9), "another version"),
        (lambda block: block["shape"].update(heads=10**9), "its heads is 1000000000"),
        (lambda block: block["shape"].update(neurons=300), "up.weight is missing or of another size"),
        (lambda block: block["tokenizer"]["tokens"].__setitem__(0, ""), "a special token is empty"),
    ],
)
def test_a_damaged_block_is_one_sentence_in_the_figure(page, report, blocks, change, said):
    damaged = json.loads(json.dumps(blocks["0.5M"]))
    change(damaged)
    page.goto(report(blocks={"0.5M": damaged}))
    page.wait_for_selector(".wb-live.status")
    assert said in page.locator(".wb-live.status").inner_text()


@pytest.mark.parametrize("address", ["#50%", "#figure-try-it=null", "#figure-try-it=%%%", "#elsewhere"])
def test_another_address_leaves_the_figure_as_it_is(page, report, address):
    page.goto(report() + address)
    assert written(page).startswith(TEXT)
    assert page.complaints == []


def test_no_text_at_all_is_no_number(page, report):
    page.goto(report(parts=["heads"]))
    written(page)
    page.locator('[aria-label="Layer 1, head 1"]').click()
    page.locator(".wb-live textarea").fill("")
    page.wait_for_function("() => document.querySelector('.strip h5')?.textContent.includes('–')")
    assert "NaN" not in page.locator(".wb-live").inner_text()


def test_words_at_the_cursor_are_those_of_the_last_place(page, report):
    page.goto(report())
    written(page)
    field = page.locator(".wb-live textarea")
    field.focus()
    field.press("End")
    for _ in range(4):
        field.press("Control+ArrowLeft")
    place = field.evaluate("(field) => field.value.slice(0, field.selectionStart).trim().slice(-5)")
    page.wait_for_function(
        "(place) => document.querySelector('.wb-live .after bdi').textContent.includes(place)", arg=place
    )


def test_a_text_beyond_the_context_is_said(page, report):
    page.goto(report())
    written(page)
    page.locator(".wb-live textarea").fill("Tom had a ball. " * 200)
    page.wait_for_function(
        "() => document.querySelector('.wb-live .status')?.textContent.includes('tokens at most')"
    )


# ------------------------------------------------------------------------------- tasks and examples
def drawn(number, broken=None):
    """Chains as text, and the value of the names in each clause, as the corpus has them."""
    every = {word: at for at, word in enumerate(WORDS)}
    tokens = [np.array([every[word] for word in kind]) for kind in (NAMES, lego.OPERATIONS, lego.VALUES)]
    chains = lego.draw(
        lego.Words(*tokens, begin=0), 1, 4, np.random.default_rng(number), both_ways=True, broken=broken
    )
    said = [WORDS[token] for token in chains.ids[0, 1:]]
    return " ".join(said), chains


def answers(page):
    """Of every word in the figure: the word, what the model says, and what is said to be true."""
    rows = []
    for word in page.locator(".task .word").all():
        lines = [span.inner_text() for span in word.locator(".said").all()]
        said = lines[0].split() if lines else [None]
        truth = said[0] if said[-1] == "✓" else lines[1].removeprefix("is ") if len(lines) > 1 else None
        rows.append((word.locator(":first-child").first.inner_text(), said[0], truth))
    return rows


@pytest.fixture
def chains_page(page, report, words):
    model, tokenizer = words
    block = live.block(model, tokenizer, causal=False)
    examples = [Example("one", drawn(1)[0]), Example("two", drawn(2)[0], "A hint.")]
    address = report(blocks={"random": block}, text=None, examples=examples, writes=False, task=CHAINS)
    page.goto(address)
    page.wait_for_selector(".task .said")
    return page


def test_what_is_true_of_chains_is_what_the_corpus_says(chains_page):
    for number, broken in ((1, None), (2, None), (3, None), (4, 1)):
        text, chains = drawn(number, broken)
        chains_page.locator("textarea").fill(text)
        chains_page.wait_for_function(
            "(text) => [...document.querySelectorAll('.task .word > :first-child')]"
            ".map((word) => word.textContent).join(' ') === text",
            arg=text,
        )
        shown = answers(chains_page)
        for clause in range(8):
            truths = [shown[3 * clause + at][2] for at in (1, 2)]
            values = [lego.VALUES[which[0, clause]] for which in (chains.referred, chains.values)]
            unknown = (
                broken is not None and chains.chains[0, clause] == 0 and chains.positions[0, clause] >= broken
            )
            if unknown:
                assert truths == [None, None]
            else:
                assert truths[1] == values[1]
                assert truths[0] in (values[0], None)  # a root refers to a value


def test_a_press_puts_another_word_and_an_example_its_own(chains_page):
    first = chains_page.locator(".task .word button").first
    word = first.inner_text()
    first.click()
    after = lego.OPERATIONS[(lego.OPERATIONS.index(word) + 1) % 5]
    chains_page.wait_for_function(f"() => document.querySelector('textarea').value.startsWith('{after} ')")
    chains_page.get_by_role("button", name="two", exact=True).click()
    assert chains_page.locator("textarea").input_value() == drawn(2)[0]
    assert chains_page.locator(".hint").first.inner_text() == "A hint."
    chains_page.locator("textarea").fill("near Tom elephant")
    chains_page.wait_for_function(
        "() => document.querySelector('.status').textContent.includes('“elephant”')"
    )
    assert chains_page.locator(".task .said").count() == 0
    for text in ("constructor", "", "near", "near constructor Tom"):
        chains_page.locator("textarea").fill(text)
    assert chains_page.complaints == []


def test_a_walk_is_followed_from_its_place(page, report, words):
    model, tokenizer = words
    walk = Task([lego.VALUES, lego.OPERATIONS], lego.OPERATIONS, lego.VALUES, MOVES)
    examples = [Example("a walk", "sad near by under")]
    page.goto(
        report(
            blocks={"a": live.block(model, tokenizer)}, text=None, examples=examples, writes=False, task=walk
        )
    )
    page.wait_for_selector(".task .said")
    assert [truth for _, _, truth in answers(page)] == [None, "small", "good", "small"]
    assert page.locator(".next li").count() >= 1
    page.locator("textarea").fill("sad cat")
    page.wait_for_function("() => document.querySelector('.status').textContent.includes('“cat”')")
    assert page.locator(".next li").count() == 0  # of a word that is not known nothing follows


def test_many_examples_are_a_menu_and_shares_are_strokes(page, report, starter):
    ids = [starter[1](f" {word}")["input_ids"][-1] for word in ("Lily", "Tom", "was")]  # the last unlikely
    names = [starter[1].decode([token]).strip() for token in ids]
    examples = [Example(f"number {at}", f"{TEXT} {at}") for at in range(9)]
    examples.append(Example("people", TEXT, "Strokes: people.", dict.fromkeys(names, 0.5)))
    page.goto(report(text=None, examples=examples, writes=False, parts=["layers"]))
    page.wait_for_selector(".next li")
    assert page.locator(".stroke").count() == 0
    page.locator(".wb-live select").select_option(label="people")
    page.wait_for_selector(".stroke")
    assert page.locator(".next li:has(.stroke)").count() == 3
    assert page.locator(".next li:has(.stroke)").last.locator("span").last.inner_text() == "0 %"
    assert page.locator(".hint").first.inner_text() == "Strokes: people."
    top = page.locator(".next li bdi").first.inner_text()
    assert page.locator(".layers li").last.locator("bdi").inner_text() == top
    page.locator("textarea").fill("mine")
    page.wait_for_function("() => document.querySelector('.wb-live select').value === ''")


def test_a_saved_page_begins_as_it_was_left(page, report, tmp_path):
    page.goto(report(parts=["heads"]))
    written(page)
    page.locator(".wb-live textarea").fill("</script><b>Sam was sad.")
    page.locator('[aria-label="Layer 0, head 1"]').click()
    with page.expect_download() as download:
        page.get_by_role("button", name="save this page").click()
    saved = tmp_path / "saved.html"
    download.value.save_as(saved)
    page.goto(saved.as_uri())
    page.wait_for_selector(".wb-live .begun")
    assert page.locator(".wb-live").count() == 1
    assert page.locator("textarea").input_value() == "</script><b>Sam was sad."
    assert page.locator('[aria-label="Layer 0, head 1"]').get_attribute("aria-pressed") == "true"
    assert page.complaints == []
