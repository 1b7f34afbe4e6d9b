"""How many tokens a model reads at once, as its settings say."""

from pathlib import Path

from workbench.engine.model_files import read_settings
from workbench.sources import located

_NAMES = ("max_position_embeddings", "max_seq_len", "n_positions", "n_ctx")


def context_of(source: str) -> int | None:
    """The context of a model in a folder here; None where its settings set none, or are not here.

    Raises:
        UserError: they are damaged.
    """
    config = Path(located(source)).expanduser() / "config.json"
    settings = read_settings(config) if config.is_file() else {}
    settings = settings.get("text_config") or settings
    limits = [settings.get(name) for name in _NAMES]
    return next((limit for limit in limits if isinstance(limit, int) and limit > 0), None)
