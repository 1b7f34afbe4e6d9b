"""push: the models and tables of a run, with cards, to the Hugging Face hub."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from workbench.cli.console import out, short_path
from workbench.cli.export import finished_run
from workbench.cli.options import RUN
from workbench.errors import UserError
from workbench.sanitize import redact, sanitize

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def push(
    run: Annotated[str, RUN],
    repo: Annotated[str, typer.Argument(help="Name on the hub, as in OWNER/NAME.")],
    target: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Write it there; upload nothing.")
    ] = None,
    is_public: Annotated[
        bool, typer.Option("--public", help="Let everybody see it; else a new repository is private.")
    ] = False,
) -> None:
    """Upload a run's models and tables to the Hugging Face hub, each with a card.

    The cards say how they were made, what the study claims, from what data, and under which licence.

    The token is that of HF_TOKEN, or of `hf auth login`. Look at it first: `--out FOLDER`.
    """
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    from workbench.lab import hub_folders

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UserError(f"{sanitize(repo, 100)!r} cannot be a name on the hub: write OWNER/NAME.") from error
    folder = finished_run(run)
    if target is not None:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UserError(f"{target} is there already: name a folder that is new or empty.")
        for path in hub_folders.write(folder, repo, target).values():
            out.print(Text.assemble("✓ ", (short_path(path / "README.md"), "bold")), soft_wrap=True)
        return
    api = _hub()
    with tempfile.TemporaryDirectory() as temporary:
        for kind, path in hub_folders.write(folder, repo, Path(temporary) / "push").items():
            address = _upload(api, path, repo, kind, f"{folder.parent.name}, run {folder.name}", is_public)
            out.print(Text.assemble("✓ ", (address, "bold")), soft_wrap=True)


def _hub() -> "HfApi":
    """The hub, with a token and within reach.

    Raises:
        UserError: There is no token, or the hub does not answer.
    """
    from huggingface_hub import HfApi, get_token

    from workbench.engine.hub import hub_answers

    instead = "`--out FOLDER` writes what would be uploaded"
    if not (token := get_token()):
        raise UserError(f"There is no token of the hub: set HF_TOKEN, or give `hf auth login`; {instead}.")
    if not hub_answers():
        raise UserError(f"The Hugging Face hub cannot be reached: look at the network; {instead}.")
    return HfApi(token=token)


def _upload(api: "HfApi", folder: Path, repo: str, kind: str, message: str, is_public: bool) -> str:
    """Make the repository where it is not there, and put a folder into it; its address.

    Raises:
        UserError: The hub refuses.
    """
    try:
        made = api.create_repo(repo, repo_type=kind, private=not is_public, exist_ok=True)
        api.upload_folder(repo_id=made.repo_id, folder_path=folder, repo_type=kind, commit_message=message)
    except Exception as error:  # whatever the hub's client raises: a refusal, a network, a disk
        said = sanitize(redact(" ".join(str(error).split())), 300).rstrip(".")
        raise UserError(f"The hub does not take {repo} ({said}).") from error
    return str(made)
