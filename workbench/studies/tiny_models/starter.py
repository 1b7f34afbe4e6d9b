"""The starter: the largest model of the evening's ladder, as it comes with the package (`model=starter`).

    workbench run 02_tiny_models -p profile=laptop
    python -m workbench.studies.tiny_models.starter runs/02_tiny_models/KEY

makes it anew: weights in half precision, tokenizer, and a card that says where they come from. Stories with
numbers from `corpora.labelled_tokens.FRESH` on (`simulated_stories`) are none that it has read.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.engine import loading, models
from workbench.errors import UserError
from workbench.files import atomic_folder, write_json
from workbench.sources import SHIPPED
from workbench.studies.tiny_models.ladder import SIZES, largest, trained

RUNG = largest(SIZES["laptop"].rungs)
EARLY = 4  # logged losses of the first steps that the card keeps, for whoever trains it again
README = """\
---
license: apache-2.0
language: en
---
# Starter

A language model of {parameters:,} parameters that tells stories for small children: `model=starter` in any
notebook, and a folder that `transformers` loads. Its weights are in half precision.

| | |
|---|---|
| made by | `{command}`, run {key} |
| seed | {seed} |
| read | {tokens:,} tokens, of {stories:,} stories of the world simulator (seed {corpus_seed}) |
| loss on stories held out | {nats:.3f} nats a token |
| licence | Apache-2.0 |

It knows the simulator's small language and nothing else. Losses of the first steps, for whoever trains it
again, are in `card.json`.
"""


def make(run: Path, folder: Path) -> dict[str, Any]:
    """Puts the largest model of a finished run of 02_tiny_models, with its card, into a folder.

    Raises:
        UserError: the run is not there, has not finished, or has trained no such model.
    """
    try:
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
        source = trained(run / "artifacts" / "models", RUNG, record["seed"])
        rows = json.loads((source / "training.json").read_text(encoding="utf-8"))["rows"]
        corpus = run.parent.parent / "01_stories" / record["inputs"]["01_stories"]
        stories = len(pd.read_parquet(corpus / "tables" / "stories.parquet", columns=["story"]))
    except (OSError, KeyError, ValueError) as error:
        raise UserError(
            f"{run} is no finished run of 02_tiny_models with a {RUNG} model and its stories beside it "
            f"({error}): make one with profile=laptop."
        ) from error
    about = {
        "notebook": record["notebook"],
        "key": record["key"],
        "command": f"workbench run {record['notebook']} -p profile={record['params']['profile']}",
        "seed": record["seed"],
        "corpus_seed": record["seed"],
        "stories": stories,
    }
    return write(source, rows, about, folder)


def write(source: Path, rows: list[dict[str, float]], about: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Writes the model in `source`, in half precision, and its card into a folder.

    Args:
        source: a trained model.
        rows: what was logged in its training.
        about: where it comes from, for the card.
        folder: that is replaced.
    """
    model, tokenizer = loading.load(source, "cpu")
    card = about | {
        "parameters": models.count_parameters(model).total,
        "tokens": rows[-1]["tokens"],
        "steps": rows[-1]["step"],
        "nats": rows[-1]["held_out_nats"],
        "bits_per_byte": rows[-1]["held_out_bits_per_byte"],
        "early": [{name: row[name] for name in ("step", "tokens", "loss")} for row in rows if "loss" in row][
            :EARLY
        ],
        "licence": "Apache-2.0",
    }
    with atomic_folder(folder) as new, loading.without_bars():
        loading.write(model.half(), tokenizer, new)
        write_json(new / "card.json", card)
        (new / "README.md").write_text(README.format(**card), encoding="utf-8")
    return card


if __name__ == "__main__":
    try:
        print(json.dumps(make(Path(sys.argv[1]), SHIPPED["starter"]), indent=1))
    except UserError as error:
        sys.exit(str(error))
    except IndexError:
        sys.exit("Name the run folder: python -m workbench.studies.tiny_models.starter RUN_FOLDER")
