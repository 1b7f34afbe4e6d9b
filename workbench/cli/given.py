"""A look at the models that runs are given, before anything runs."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.lab.execute import Job


def check_jobs(jobs: "Iterable[Job]") -> None:
    """Whether the models that runs are to read are there and whole; of runs whose studies do not look
    themselves (`lab.study_check`).

    Raises:
        UserError: one is not; the sentence names it.
    """
    from workbench.engine.named import check_model, is_on_cpu
    from workbench.sources import models_in

    looked: set[tuple[str, bool]] = set()
    for job in (job for job in jobs if "check" not in job.plan.notebook.metadata):
        params = job.plan.params
        for parameter, source in models_in(params):
            chats = getattr(params, "chat", False) is True and parameter == "model"
            if (source, chats) not in looked:
                looked.add((source, chats))
                check_model(source, is_on_cpu(getattr(params, "device", "auto")), chats)
