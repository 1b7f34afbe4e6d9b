"""A look at the models that runs are given, before anything runs."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.lab.execute import Job


def check_models(jobs: "Iterable[Job]") -> None:
    """Whether the models that runs are to read are there and whole, before the first of them starts.

    Raises:
        UserError: one is not; the sentence names it.
    """
    from workbench.sources import models_in

    looked: set[tuple[str, bool]] = set()
    for job in jobs:
        params = job.plan.params
        device, chat = getattr(params, "device", "auto"), getattr(params, "chat", False)
        on_cpu = device == "cpu" or (device == "auto" and not os.path.exists("/dev/nvidiactl"))
        for parameter, source in models_in(params):
            chats = chat is True and parameter == "model"
            if (source, chats) not in looked:
                looked.add((source, chats))
                check_model(source, on_cpu, chats)


def check_model(name: str, on_cpu: bool, chats: bool) -> None:
    """Whether a model is there and whole, and has a chat template where it `chats`; without loading it.

    Raises:
        UserError: it is not; the sentence names it.
    """
    from workbench.engine.facts import check_here, is_chat
    from workbench.engine.hub import check_known
    from workbench.sources import located

    path = Path(located(name)).expanduser()
    if os.path.exists(path):
        check_here(path, on_cpu)
        if chats and not is_chat(path):
            raise UserError(
                f"{name} has no chat template (a base model): leave chat out, or take an instruct one."
            )
    else:
        check_known(name)
