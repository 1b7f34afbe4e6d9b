"""What is known of a run before it begins: whether it is there, how long it takes, what it waits for."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from workbench.lab.project import Plan, needed
from workbench.lab.record import is_done

_TIME = re.compile(r"\d+(?:\.\d+)? (?:s|min|h)\b")


def announcement(planned: Plan, record: dict[str, Any], *, is_new: bool) -> str:
    """One line on a run that begins: what is read or computed, and which runs come before it.

    Args:
        planned: The run.
        record: Its run.json, as it is when the run begins.
        is_new: Whether nothing of it was there before.
    """
    time = expected_time(planned)
    if record["status"] == "done":
        said = f"Run {planned.key}, finished{_moment(record['finished'])}: reading its tables."
    elif is_new:
        said = f"New run {planned.key}{f', about {time}' if time else ''}."
    else:
        said = f"Run {planned.key} was begun before and not finished: it goes on with what it has kept."
    waits = [f"{plan.notebook.name}{_in_brackets(expected_time(plan))}" for plan in unfinished(planned)]
    return said + (f" It needs {' and '.join(waits)}, which will run first." if waits else "")


def unfinished(planned: Plan) -> list[Plan]:
    """The runs that are to be computed before this one, those first that others need."""
    plans: dict[Path, Plan] = {}
    for need in needed(planned.notebook, planned.params):
        if not is_done(need.folder):
            plans |= {plan.folder: plan for plan in [*unfinished(need), need]}
    return list(plans.values())


def expected_time(planned: Plan) -> str | None:
    """How long a run takes, as its notebook says it of this profile, such as "40 s"; None where it does not.

    The profiles' times stand in the comment behind the parameter, in the order of its values.
    """
    field = type(planned.params).model_fields.get("profile")
    profile = getattr(planned.params, "profile", None)
    if field is not None:
        times = dict(zip(get_args(field.annotation), (field.description or "").split(", "), strict=False))
        if time := _TIME.search(times.get(profile, "")):
            return time[0]
    minutes = planned.notebook.metadata.get("minutes")
    if minutes is None or (field is not None and profile != field.default):
        return None
    return f"{60 * minutes:.0f} s" if minutes < 1 else f"{minutes:.0f} min"


def _in_brackets(time: str | None) -> str:
    return f" (about {time})" if time else ""


def _moment(finished: str | None) -> str:
    """When a run ended, by this machine's clock; with the day, where it is another one."""
    if finished is None:
        return ""
    then = datetime.fromisoformat(finished).astimezone()
    today = datetime.now().astimezone().date()
    return f" at {then:%H:%M}" if then.date() == today else f" on {then.day} {then:%B %Y at %H:%M}"
