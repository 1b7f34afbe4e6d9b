"""The first tier: a pool of Monty workers (pydantic-monty), a fresh session for each program."""

import builtins
import datetime
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from workbench.sandbox.outcomes import MAX_PRINTED, SHOWN, Outcome, one_line, read, too_long

NOW = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)  # on every clock
DEPTH = 1_000  # nested calls, as in CPython


def run_in_monty(
    programs: Sequence[str], seconds: float, megabytes: int, seed: int, workers: int
) -> list[Outcome]:
    """Run programs side by side; the arguments are those of `sandbox.run`."""
    try:
        import pydantic_monty
    except ImportError as error:
        return not_run(programs, error)
    settings = {
        "limits": {
            "max_feed_duration_secs": seconds,
            "max_memory": megabytes << 20,
            "max_recursion_depth": DEPTH,
            "max_suspensions": 1,
            "max_total_sleep_secs": 0,
        },
        "os_policy": {"sleep": "zero", "random_start": {"seed": seed}, "datetime": NOW},
        "assert_message_annotations": False,
    }

    def one(program: str) -> Outcome:
        printed = Printed()
        try:
            with pool.checkout(**settings) as session:
                session.feed_run(program, print_callback=printed)
                # Shown and cut inside the worker: the value itself could be of any size once it is here.
                shown = session.feed_run(f'f"{{ans!r:.{SHOWN}}}"', print_callback=printed)
        except pydantic_monty.MontyCrashedError as error:
            status, reason = "timeout" if error.timed_out else "crash", one_line(str(error))
        except pydantic_monty.MontyError as error:
            status, reason = classify(error.exception(), program)
        else:
            return read(shown, printed.text())
        return Outcome(status, None, printed.text(), reason)

    try:
        with pydantic_monty.Monty(min_processes=workers, max_processes=workers) as pool:
            with pool.checkout() as session:
                session.feed_run("1")
            with ThreadPoolExecutor(workers) as threads:
                return list(threads.map(lambda program: too_long(program) or one(program), programs))
    except (OSError, RuntimeError, pydantic_monty.MontyError) as error:
        return not_run(programs, error)


def not_run(programs: Sequence[str], error: Exception) -> list[Outcome]:
    """The outcomes where no worker starts."""
    reason = f"Monty does not start ({one_line(str(error))}); install it with: pip install pydantic-monty"
    return [Outcome("not run", reason=reason)] * len(programs)


class Printed:
    """Keeps what a program prints, and stops it at MAX_PRINTED characters."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.left = MAX_PRINTED

    def __call__(self, _stream: str, text: str) -> None:
        self.parts.append(text[: self.left])
        self.left -= len(self.parts[-1])
        if len(self.parts[-1]) < len(text):
            raise MemoryError(f"printed more than {MAX_PRINTED:,} characters")

    def text(self) -> str:
        return "".join(self.parts)


def classify(error: BaseException, program: str) -> tuple[str, str]:
    """Status and reason of an exception that left a program."""
    name, text = type(error).__name__, one_line(str(error))
    reason = f"{name}: {text}" if text else name
    if text == "name 'ans' is not defined":
        return "wrong type", "the program never set ans"
    if "time limit exceeded" in text or "backtracking count exceeded" in text:
        return "timeout", reason
    if name in ("MemoryError", "SyntaxError"):
        return {"MemoryError": "memory", "SyntaxError": "syntax"}[name], reason
    return ("unsupported" if is_unsupported(name, text, program) else "runtime error"), reason


def is_unsupported(name: str, text: str, program: str) -> bool:
    """Whether Monty raised this where CPython would have gone on."""
    if name == "NotImplementedError":
        return name not in program  # else the program raised it itself
    if name in ("ModuleNotFoundError", "ImportError"):
        return True
    if found := re.fullmatch(r"name '(\w+)' is not defined", text):
        return hasattr(builtins, found[1])
    if found := re.fullmatch(r"module '(\w+)' has no attribute '(\w+)'", text):
        return hasattr(sys.modules.get(found[1]), found[2])  # imports nothing that a program names
    if found := re.fullmatch(r"'(\w+)' object has no attribute '(\w+)'", text):
        return hasattr(getattr(builtins, found[1], None), found[2])
    return text.endswith("is not supported in this environment")
