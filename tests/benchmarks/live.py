"""How fast a model runs in the page: `python -m tests.benchmarks.live` (needs Chromium).

A model of 1M parameters (4 layers, 128 wide, vocabulary 2,048) with random weights: tokens a second of a
text, milliseconds to the first word behind 50 tokens, and to the losses of 256 tokens without two heads. As
ratios: to PyTorch's `generate` and forward pass, on one thread of the same machine.
"""

import shutil
import statistics
import time
from collections.abc import Callable

import torch
from playwright.sync_api import Page, sync_playwright

from workbench.charts.live_view import SCRIPTS
from workbench.engine import live, loading, models

ROUNDS = 5
TIMED = """async ([ids, what]) => {
  const began = performance.now();
  if (what === "text") await model.goOn(ids, { tokens: 200 });
  if (what === "word") await model.goOn(ids, { tokens: 1 });
  if (what === "losses") await model.losses(ids, { heads: [[0, 1], [2, 3]], ablation: "zero" });
  return (performance.now() - began) / 1000;
}"""


def main() -> None:
    """Print the medians over `ROUNDS` rounds, page and PyTorch in turn."""
    torch.set_num_threads(1)
    tokenizer = loading.load("starter", "cpu")[1]
    model = models.build(models.config("tiny:1M", 2048, context=512), 0)
    model.config.eos_token_id = -1  # both write to the end
    ids = torch.randint(1, len(tokenizer), (1, 256), generator=torch.Generator().manual_seed(0))
    prompt = ids[:, :50]
    generated = {"do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    tasks: dict[str, tuple[torch.Tensor, Callable[[], object]]] = {
        "text": (prompt, lambda: model.generate(prompt, max_new_tokens=200, **generated)),
        "word": (prompt, lambda: model.generate(prompt, max_new_tokens=1, **generated)),
        "losses": (ids, lambda: model(ids, labels=ids)),
    }
    with sync_playwright() as driver, torch.no_grad():
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = _page(browser.new_page(), live.block(model, tokenizer))
        for name, (tokens, run) in tasks.items():
            ours, theirs = [], []
            for _ in range(ROUNDS):
                ours.append(page.evaluate(TIMED, [tokens[0].tolist(), name]))
                began = time.perf_counter()
                run()
                theirs.append(time.perf_counter() - began)
            seconds, reference = statistics.median(ours), statistics.median(theirs)
            said = f"{200 / seconds:,.0f} tokens a second" if name == "text" else f"{1000 * seconds:.0f} ms"
            print(f"{name}: {said}, {reference / seconds:.2f} times as fast as PyTorch")
        browser.close()


def _page(page: Page, block: dict) -> Page:
    page.goto("about:blank")
    source = SCRIPTS[0].read_text(encoding="utf-8") + "\nglobalThis.live = live;"
    page.add_script_tag(type="module", content=source)
    page.wait_for_function("globalThis.live !== undefined")
    page.evaluate("(block) => { globalThis.model = new live.Model(block); }", block)
    return page


if __name__ == "__main__":
    main()
