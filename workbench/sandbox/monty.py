"""The first tier: a pool of Monty workers (pydantic-monty), a fresh session for each program."""

import builtins
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from workbench.sandbox.inside import Printed
from workbench.sandbox.outcomes import MAX_PRINTED, NOW, SHOWN, Outcome, one_line, read
from workbench.sandbox.walls import walled

if TYPE_CHECKING:
    from pydantic_monty import Monty, OSPolicy, ResourceLimits

DEPTH = 1_000  # nested calls, as in CPython
# Special names that mean in Monty what they mean in CPython; others are passed over without a word.
NAMES = (
    "abs add and ceil class contains divmod enter eq exit floor floordiv hash init int invert length_hint "
    "lshift main missing mod mul name neg next or pos post_init pow radd rand rdivmod repr rfloordiv rlshift "
    "rmatmul rmod rmul ror round rpow rrshift rshift rsub rtruediv rxor setitem str sub truediv trunc xor"
)
HONOURED = frozenset(NAMES.split())
PARTLY = frozenset(("call", "float", "getitem", "index", "iter"))  # where not, there is a TypeError


def run_in_monty(
    programs: Sequence[str], seconds: float, megabytes: int, seed: int, workers: int
) -> list[Outcome]:
    """Run programs side by side; the arguments are those of `sandbox.run`."""
    limits: ResourceLimits = {
        "max_feed_duration_secs": seconds,
        "max_memory": megabytes << 20,
        "max_recursion_depth": DEPTH,
        "max_suspensions": 1,
        "max_total_sleep_secs": 0,
    }
    policy: OSPolicy = {"sleep": "zero", "random_start": {"seed": seed}, "datetime": NOW}
    try:
        from pydantic_monty import Monty, MontyError
    except ImportError as error:
        return not_run(programs, error)
    try:
        with (
            walled(binary()) as start,
            Monty(binary_path=start, min_processes=workers, max_processes=workers) as pool,
            ThreadPoolExecutor(workers) as threads,
        ):
            with pool.checkout() as session:
                session.feed_run("1")
            return list(threads.map(lambda program: run_one(program, pool, limits, policy), programs))
    except (OSError, RuntimeError, MontyError) as error:
        return not_run(programs, error)


def run_one(program: str, pool: "Monty", limits: "ResourceLimits", policy: "OSPolicy") -> Outcome:
    """Run one program in a session of its own."""
    from pydantic_monty import MontyCrashedError, MontyError

    special = set(re.findall(r"__(\w+?)__", program))
    if unknown := sorted(special - HONOURED - PARTLY):
        return Outcome("unsupported", reason=f"Monty does not honour __{unknown[0]}__")
    printed, ended = Printed(MAX_PRINTED), False

    def keep(_stream: str, text: str) -> None:
        printed.write(text)

    try:
        with pool.checkout(limits=limits, os_policy=policy, assert_message_annotations=False) as session:
            session.feed_run(program, print_callback=keep)
            ended = True
            # Shown and cut inside the worker: the value itself could be of any size once it is here.
            shown = session.feed_run(f'f"{{ans!r:.{SHOWN}}}"', print_callback=keep)
            return read(shown, printed.getvalue())
    except MontyCrashedError as error:
        status, reason = "timeout" if error.timed_out else "crash", one_line(str(error))
    except MontyError as error:
        status, reason = classify(error.exception(), program)
        if reason.startswith("TypeError") and special & PARTLY:
            status = "unsupported"
        if ended and status == "runtime error":
            status, reason = "wrong type", f"ans cannot be shown: {reason}"
    return Outcome(status, None, printed.getvalue(), reason)


def binary() -> str:
    """The worker that comes with pydantic-monty, or the one that MONTY_BIN names."""
    folders = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    return os.environ.get("MONTY_BIN") or shutil.which("monty", path=folders) or "monty"


def not_run(programs: Sequence[str], error: Exception) -> list[Outcome]:
    """The outcomes where no worker starts."""
    reason = f"Monty does not start ({one_line(str(error))}); install it with: pip install pydantic-monty"
    return [Outcome("not run", reason=reason)] * len(programs)


def classify(error: BaseException, program: str) -> tuple[str, str]:
    """Status and reason of an exception that left a program."""
    name, text = type(error).__name__, one_line(str(error))
    reason = f"{name}: {text}" if text else name
    if text == "name 'ans' is not defined":
        return "wrong type", "the program never set ans"
    if "time limit exceeded" in text or "backtracking count exceeded" in text:
        return "timeout", reason
    kinds = {"MemoryError": "memory", "SyntaxError": "syntax"}
    return kinds.get(name) or (
        "unsupported" if is_unsupported(name, text, program) else "runtime error"
    ), reason


def is_unsupported(name: str, text: str, program: str) -> bool:
    """Whether Monty raised this where CPython would have gone on."""
    if name == "NotImplementedError":
        return name not in program  # else the program raised it itself
    if name == "ModuleNotFoundError":
        return True
    if match := re.match(r"cannot import name '(\w+)' from '(\w+)'", text):
        return hasattr(sys.modules.get(match[2]), match[1])  # imports nothing that a program names
    if match := re.fullmatch(r"name '(\w+)' is not defined", text):
        return hasattr(builtins, match[1])
    if match := re.fullmatch(r"module '(\w+)' has no attribute '(\w+)'", text):
        return hasattr(sys.modules.get(match[1]), match[2])
    if match := re.fullmatch(r"'(\w+)' object has no attribute '(\w+)'", text):
        return hasattr(getattr(builtins, match[1], None), match[2])
    return text.endswith("not supported in this environment") or text.startswith("Internal error in monty")
