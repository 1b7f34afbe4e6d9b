"""Cards for what the hub is given of a run: what it is, how it was made, what came of it; without secrets."""

import html
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench import files
from workbench.claims import UNTESTABLE, Claim
from workbench.lab import citation, exports
from workbench.lab.history import content_mark
from workbench.lab.hub import UNKNOWN
from workbench.lab.ledger import headline_first, read_claims
from workbench.lab.record import read_run
from workbench.sanitize import redact, redact_keys, sanitize
from workbench.sources import parse

_NAME = r"[^\s,:;'\"`()\[\]/\\]+"
# A path from the root, from home or upwards; not an address, and not a name within a name.
_PATH = re.compile(
    rf"(?<![\w/\\])(?:(?:~|\.\.?|[A-Za-z]:)[/\\](?:{_NAME}[/\\])*|[/\\](?:{_NAME}[/\\])+)({_NAME})"
)
_ADDRESS = re.compile(r"(https?://)[^/\s#]+")
_SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}


def public(text: object) -> str:
    """A text without secrets, and with the last names of paths alone."""
    return _PATH.sub(r"\1", _without_home(redact(sanitize(text))))


def without_place(text: str) -> str:
    """A text of a file: where all of it is a path, its last name."""
    text = _without_home(redact_keys(text))
    return public(text) if _PATH.fullmatch(text) else text


def _without_home(text: str) -> str:
    """A text that does not say whose home folder a path is in, whose name may hold blanks."""
    home = os.path.expanduser("~").rstrip("/\\")
    return text.replace(f"{home}{os.sep}", f"~{os.sep}") if home else text


def model_card(folder: Path, repo: str, models: Mapping[str, int]) -> Any:
    from huggingface_hub import ModelCard, ModelCardData

    run, claims = read_run(folder), read_claims(folder)
    title = public(run["title"] or run["notebook"])
    ids = [name for name, commit in run["revisions"].items() if commit != UNKNOWN]
    results = {"eval_results": _results(run, title, claims), "model_name": title} if claims else {}
    about = ModelCardData(
        language="en",
        license=_licence(run),
        library_name="transformers",
        pipeline_tag="text-generation",
        base_model=[name for name in ids if name in _named(run, "model")] or None,
        datasets=[name for name in ids if name in _named(run, "data")] or None,
        tags=["small-model-workbench", run["notebook"]],
        **results,
    )
    first = next(iter(models))
    subfolder = "" if len(models) == 1 else f', subfolder="{first}"'
    rows = [f"| `{name}` | {count:,} |" for name, count in models.items()]
    what = "The model" if len(models) == 1 else f"The {len(models)} models"
    body = [
        f"# {_words(title)}",
        f"{what} that a run of the study `{run['notebook']}` ended with, trained by the small-model reasoning"
        " workbench.",
        "\n".join(["| model | parameters |", "|---|---|", *rows]),
        "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        f'model = AutoModelForCausalLM.from_pretrained("{repo}"{subfolder})\n'
        f'tokenizer = AutoTokenizer.from_pretrained("{repo}"{subfolder})\n```',
        *_sections(folder, run, claims),
    ]
    return ModelCard(f"---\n{about.to_yaml()}\n---\n\n" + "\n\n".join(body) + "\n")


def data_card(folder: Path, tables: Mapping[str, exports.Sheet]) -> Any:
    from huggingface_hub import DatasetCard, DatasetCardData

    run, claims = read_run(folder), read_claims(folder)
    title = public(run["title"] or run["notebook"])
    rows = sum(len(sheet.frame) for sheet in tables.values())
    names = {path: re.sub(r"\W+", "_", sheet.short_name) for path, sheet in tables.items()}
    about = DatasetCardData(
        language="en",
        license=_licence(run),
        pretty_name=title,
        size_categories=next((word for most, word in _SIZES.items() if rows < most), "1M<n<10M"),
        tags=["small-model-workbench", run["notebook"]],
        configs=[
            {"config_name": name, "data_files": f"{path}.parquet"} for path, name in names.items()
        ],
    )  # fmt: skip
    listed = [
        f"| `{names[path]}` | {len(sheet.frame):,} | {', '.join(map(_words, sheet.heads))} |"
        for path, sheet in tables.items()
    ]
    body = [
        f"# {_words(title)}",
        f"The tables of a run of the study `{run['notebook']}` of the small-model reasoning workbench:"
        " what was measured and claimed, item by item.",
        "\n".join(["| table | rows | columns |", "|---|---|---|", *listed]),
        *_sections(folder, run, claims),
    ]
    return DatasetCard(f"---\n{about.to_yaml()}\n---\n\n" + "\n\n".join(body) + "\n")


def _results(run: Mapping[str, Any], title: str, claims: Sequence[Claim]) -> list[Any]:
    """The claims that were tested and have a figure, as the hub's model-index takes them."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=run["notebook"],
            dataset_name=title,
            metric_type=public(claim.name),
            metric_name=public(claim.says or claim.name),
            metric_value=claim.effect,
            metric_args=files.plain({
                **({"low": claim.low, "high": claim.high, "level": 0.95} if claim.low == claim.low else {}),
                "unit": public(claim.unit),
                "n": claim.n,
                "over": public(claim.over),
                "verdict": claim.verdict_text,
            }),
        )
        for claim in headline_first(claims)
        if claim.effect == claim.effect and claim.verdict != UNTESTABLE
    ]  # fmt: skip


def _sections(folder: Path, run: Mapping[str, Any], claims: Sequence[Claim]) -> list[str]:
    """How it was made, what came of it, from what data, under which licence, and how it is cited."""
    made = {
        "notebook": run["notebook"],
        "run": run["key"],
        "workbench": run.get("workbench") or "unknown",
        "commit": run["environment"].get("git") or "not in a repository",
        "finished": (run["finished"] or "")[:10],
        **{name: _setting(value) for name, value in run["params"].items()},
        **{f"input {name}": key for name, key in run["inputs"].items()},
        **{f"revision of {name}": commit for name, commit in run["revisions"].items()},
    }
    settings = [f"| {_words(public(name))} | {_words(public(value))} |" for name, value in made.items()]
    sections = ["## How it was made", "\n".join(["| | |", "|---|---|", *settings])]
    if claims:
        head = ["| we tested | effect | 95 % interval | n | verdict |", "|---|---|---|---|---|"]
        rows = [_claim_row(claim) for claim in headline_first(claims)]
        about = "What the study claims, of all its models and data together."
        sections += ["## Results", about, "\n".join(head + rows)]
    given = _given(run)
    data = (
        f"Given by the user, each under its own licence: {', '.join(map(_words, given))}."
        if given
        else "Made by the workbench itself: no model or data of others went into it."
    )
    terms = "that of what was given" if given else "Apache-2.0"
    return [*sections, "## Data and licence", f"{data} Licence: {terms}.", "## Citation",
            f"```bibtex\n{redact(citation.bibtex(folder)).strip()}\n```"]  # fmt: skip


def _claim_row(claim: Claim) -> str:
    def shown(value: float) -> str:
        return "" if value != value else f"{value:.3g}".replace("-", "−")

    n = claim.counted
    interval = f"{shown(claim.low)} to {shown(claim.high)}" if claim.low == claim.low else "none"
    cells = (claim.says or claim.name, f"{shown(claim.effect)} {claim.unit}", interval, n, claim.verdict_text)
    return f"| {' | '.join(_words(public(cell)) for cell in cells)} |"


def _given(run: Mapping[str, Any]) -> list[str]:
    """Models, data and servers that the run was given, each as NAME=VALUE."""
    marked = {name for name, value in run["parts"]["parameters"].items() if content_mark(value)}
    given = []
    for name in run["set"]:
        value = run["params"][name]
        named = {source.name for source in parse(value)} if isinstance(value, str) else set()
        if name in marked or named & run["revisions"].keys() or any("://" in source for source in named):
            given.append(f"{name}={_setting(value)}")
    return given


def _setting(value: Any) -> str:
    """A parameter as it may be told: of a server only the model."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False).replace("null", "none")
    return public(_ADDRESS.sub(r"\1server", text))


def _named(run: Mapping[str, Any], parameter: str) -> set[str]:
    value = run["params"].get(parameter)
    return {source.name for source in parse(value)} if isinstance(value, str) else set()


def _licence(run: Mapping[str, Any]) -> str:
    return "other" if _given(run) else "apache-2.0"


def _words(text: str) -> str:
    """A text as words of a table in Markdown."""
    return re.sub(r"([\\|`*_\[\]])", r"\\\1", html.escape(" ".join(text.split()), quote=False))
