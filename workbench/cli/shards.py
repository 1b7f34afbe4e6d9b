"""The commands `workbench sketch` and `workbench generate`: long work over a file, cut into shards."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from workbench.cli.console import err, out
from workbench.cli.options import Address, Cpus, Engine, Gpus, Jobs, check_address
from workbench.errors import UserError

if TYPE_CHECKING:
    from workbench.engine.sampling.sampler import SamplingParams

Work = Callable[..., None]
Folder = Annotated[Path, typer.Argument(help="Where the shards are kept; what is there is not made again.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def sketch(
    data: Annotated[str, typer.Argument(help="Problems, such as gsm8k:PATH or own:PATH.")],
    folder: Folder,
    model: Annotated[str, typer.Option(help="The proxy: a folder or hub id.")],
    dimension: Annotated[int, typer.Option(min=1, help="Of the sketches.")] = 1024,
    method: Annotated[Literal["exact", "kronecker"], typer.Option(help="As in 09_prismatic.")] = "exact",
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Cut examples that are longer than the context.")
    ] = False,
    chat: Annotated[
        bool, typer.Option("--chat", help="Write examples in the model's chat template.")
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    engine: Engine = "local",
    jobs: Jobs = 2,
    address: Address = "",
    cpus: Cpus = 1,
    gpus: Gpus = 0,
) -> None:
    """Sketch the gradient of every problem of a file, with several processes or machines.

    The sketches are what 09_prismatic works on: give it the folder as its parameter `sketches`.
    """
    from workbench.engine.gradients.sketch_files import SHARD

    n = len(_problems(data))
    settings = {"dimension": dimension, "method": method, "truncate": truncate, "chat": chat, "seed": seed}
    arguments = (data, model, folder, settings, device)
    _share_out(_sketch, arguments, folder, -(-n // SHARD), engine, jobs, address, cpus, gpus)
    out.print(f"Sketches of {n:,} examples: workbench run 09 -p data={data} -p sketches={folder} ...")


def generate(
    prompts: Annotated[
        str, typer.Argument(help="A .txt with a prompt a line, or rows with a column prompt.")
    ],
    folder: Folder,
    model: Annotated[str, typer.Option(help="transformers:FOLDER, vllm:FOLDER, openai:URL#MODEL ...")],
    samples: Annotated[int, typer.Option(min=1, help="Answers to each prompt.")] = 1,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Tokens of the longest answer.")] = 256,
    temperature: Annotated[float, typer.Option(help="0 takes the most likely token.")] = 1.0,
    top_p: Annotated[float, typer.Option(help="Share of the probability that is drawn from.")] = 1.0,
    min_p: Annotated[float, typer.Option(help="Least probability, as a share of the highest.")] = 0.0,
    seed: Seed = 0,
    device: Device = "auto",
    engine: Engine = "local",
    jobs: Jobs = 2,
    address: Address = "",
    cpus: Cpus = 1,
    gpus: Gpus = 0,
) -> None:
    """Have a model answer every prompt of a file, with several processes or machines.

    All answers are also put into answers.jsonl, which 10_hivemind takes as `generations`.
    """
    from workbench.engine.sampling.sampler import SamplingParams
    from workbench.files import atomic_file
    from workbench.studies.hivemind.answer_files import SHARD, read_answers

    n = len(_prompts(prompts))
    sampling = SamplingParams(
        n=samples, max_tokens=max_new_tokens, temperature=temperature, top_p=top_p, min_p=min_p, seed=seed
    )
    arguments = (prompts, model, folder, sampling, device)
    _share_out(_generate, arguments, folder, -(-n // SHARD), engine, jobs, address, cpus, gpus)
    path, answers = folder / "answers.jsonl", read_answers(folder)
    with atomic_file(path) as new:
        answers.to_json(new, orient="records", lines=True, force_ascii=False)
    out.print(f"{len(answers):,} answers to {n:,} prompts: workbench run 10 -p generations={path} ...")


# ------------------------------------------------------------------------------- what one process does
def _problems(data: str) -> Any:
    from workbench.studies.prismatic.data import read_examples

    return read_examples(data)


def _sketch(data: str, model: str, folder: Path, settings: dict[str, Any], device: str, part: Any) -> None:
    from workbench.engine import loading
    from workbench.engine.gradients.sketch_files import sketch_file

    rows = _problems(data)[["id", "prompt", "completion"]].itertuples(index=False, name=None)
    sketch_file(*loading.load(model, device), rows, folder, part=part, **settings)


def _prompts(prompts: str) -> list[tuple[str, str, str]]:
    from workbench.studies.hivemind.prompts import read_prompts

    return list(read_prompts(prompts).itertuples(index=False, name=None))


def _generate(
    prompts: str, model: str, folder: Path, sampling: "SamplingParams", device: str, part: Any
) -> None:
    from workbench.engine.sampling.load import sampler
    from workbench.studies.hivemind.answer_files import answer_file

    answer_file(sampler(model, device), model, _prompts(prompts), folder, sampling, part)


# ------------------------------------------------------------------------------- sharing out
def _share_out(
    work: Work,
    arguments: tuple[Any, ...],
    folder: Path,
    n_shards: int,
    engine: str,
    jobs: int,
    address: str,
    cpus: int,
    gpus: float,
) -> None:
    from tqdm import tqdm

    from workbench.lab import ray_cluster

    check_address(address, engine)
    with tqdm(total=n_shards, unit=" shards", desc=str(folder)) as bar:

        def refresh() -> None:
            bar.update(len(list(folder.glob("shard-*"))) - bar.n)

        def tasks(slots: int) -> list[tuple[Any, ...]]:
            n = min(slots, n_shards)
            return [(*arguments, (index, n)) for index in range(n)]

        if engine == "ray":
            with ray_cluster.ray_session(address, jobs, cpus, gpus) as slots:
                ray_cluster.run_tasks(work, tasks(slots), cpus, gpus, refresh)
        else:
            _spread_here(work, tasks(jobs), refresh)
        refresh()


def _spread_here(work: Work, tasks: list[tuple[Any, ...]], refresh: Callable[[], None]) -> None:
    """Call `work(*arguments)` for every task in a process of its own, once more if one is killed."""
    from workbench.lab.environment import cores

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // len(tasks))))
    try:
        _in_processes(work, tasks, refresh)
    except BrokenProcessPool:
        err.print("A process was killed: once more, with what the others have kept.")
        try:
            _in_processes(work, tasks, refresh)
        except BrokenProcessPool:
            raise UserError(
                "A process was killed twice: if memory ran out, give fewer --jobs; the same command goes on."
            ) from None


def _in_processes(work: Work, tasks: list[tuple[Any, ...]], refresh: Callable[[], None]) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(tasks), context, _prepare) as pool:
        try:
            waiting = {pool.submit(work, *arguments) for arguments in tasks}
            while waiting:
                done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                refresh()
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _prepare() -> None:
    """In a new process: leave Ctrl-C to the parent, and end with it."""
    from workbench.engine.parallel import end_with_parent

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TQDM_DISABLE"] = "1"
    end_with_parent()
