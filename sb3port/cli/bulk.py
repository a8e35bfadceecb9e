"""`sb3port bulk`: many models at once, resumable, with a report of what came of every one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sb3port.cli import options
from sb3port.cli.export import Format
from sb3port.cli.output import Output
from sb3port.cli.values import folder, number, one_of, whole_number
from sb3port.cli.walls import warn_of_missing_walls
from sb3port.errors import UsageError
from sb3port.files.budget import factor
from sb3port.files.texts.source_code import shell
from sb3port.files.texts.terminal import TerminalText, shown, shown_rows, terminal

if TYPE_CHECKING:
    from sb3port.commands.bulk.job import Action
    from sb3port.commands.bulk.running import Plan, Progress

EXAMPLES = (
    "sb3port bulk logs/",
    "sb3port bulk --author sb3 --filter ppo --jobs 8",
    "sb3port bulk models.txt --out ported --evaluate",
    "sb3port bulk --author sb3 --scan",
    "sb3port bulk /shared/models --out /shared/ports --ray auto",
)
_GIB = 1 << 30


def bulk(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LIST|FOLDER...",
            help="Folders with checkpoints at any depth, text files with a SOURCE in each line, or a SOURCE.",
            show_default=False,
        ),
    ] = None,
    author: Annotated[
        str | None, typer.Option(metavar="NAME", help="All models of this user or organisation on the Hub.")
    ] = None,
    wanted: Annotated[
        str | None,
        typer.Option(
            "--filter",
            metavar="TEXT",
            help="Only models with this in their names; or a pattern with * and ?.",
        ),
    ] = None,
    no_stats: options.NoStats = False,
    assume_standard_forward: options.AssumeStandardForward = False,
    sandbox: options.Sandbox = None,
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
    scan: Annotated[bool, typer.Option("--scan", help="Scan files instead of converting them.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Write every model anew for today's SB3, instead of a port.")
    ] = False,
    export: Annotated[
        Format | None,
        one_of(
            Format, "Export every model instead: sb3, onnx, torch or numpy.", "--export", metavar="FORMAT"
        ),
    ] = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Run every port in the environment of its training, too.")
    ] = False,
    episodes: options.Episodes = 10,
    no_verify: options.NoVerify = False,
    reload: Annotated[
        bool, typer.Option("--reload", help="Let another process load every port with LeRobot, too.")
    ] = False,
    push: Annotated[
        str | None,
        typer.Option(metavar="OWNER", help="Push every port to a repository of OWNER on the Hub, too."),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make repositories that --push makes private.")
    ] = False,
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", parser=folder, help="Where results, the ledger and the report go."),
    ] = Path("ports"),
    retry: Annotated[
        bool, typer.Option("--retry", help="Try those again that failed in an earlier run.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole_number(1, 1024),
            help="How many processes work; by default one for every core.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", parser=number(0.1), help="How long one model may take, and its download."
        ),
    ] = 600.0,
    memory: Annotated[
        float,
        typer.Option(
            metavar="GIB",
            parser=number(0.01),
            help="How much memory a process may use beside what it begins with.",
        ),
    ] = 4.0,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="auto|ADDRESS",
            help="Work on the machines of this Ray cluster, which all see DIR and the models.",
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Convert and verify many models: a whole organisation, a folder of runs, a list.

    Every model gets a port in DIR, in a folder named as its path or its repository. DIR/ledger.jsonl has a
    line on what came of it; the same command goes on where an earlier one ended, however that was. A crash, a
    hang or a lack of memory costs one model. At the end there are DIR/index.html, index.csv and junit.xml.
    The exit code is 1 if a model failed.
    """
    from sb3port.commands.bulk.crew import Bounds
    from sb3port.commands.bulk.items import find_items
    from sb3port.commands.bulk.job import Job
    from sb3port.commands.bulk.report import write_report
    from sb3port.commands.bulk.running import Plan, check_plan

    if not sources and author is None:
        raise UsageError("bulk needs models", "name a folder or a list, or --author NAME")
    if private and not push:
        raise UsageError("--private is for the repositories of --push", "drop it, or add --push OWNER")
    output = Output(json, quiet, verbose)
    warn_of_missing_walls(output, sandbox)
    action, target = _action(scan, repair, export)
    job = Job(
        action,
        target,
        verify=not no_verify,
        reload=reload,
        episodes=episodes if evaluate else 0,
        use_stats=not no_stats,
        assume_standard_forward=assume_standard_forward,
        sandbox=sandbox,
        limits=factor(),
        owner=push or "",
        private=private,
    )
    check_plan(job)
    with output.working(terminal("looking for models")):
        found = find_items(sources or [], author, wanted, out)
    output.stage(shown("find"), _found(len(found.items), found.passed_over))
    bounds = Bounds(jobs or _cores(), timeout, int(memory * _GIB))
    progress = _run(output, Plan(job, found.items, out, bounds, retry, ray))
    report = write_report(out)
    _print(output, out, progress, report)
    if progress.failed_in_all:
        raise typer.Exit(1)


def _action(scan: bool, repair: bool, export: Format | None) -> "tuple[Action, str]":
    from sb3port.commands.bulk.job import Action

    chosen = [name for name, given in (("scan", scan), ("repair", repair), ("export", export)) if given]
    if len(chosen) > 1:
        raise UsageError(f"--{chosen[0]} and --{chosen[1]} are two things to do", "drop one of the two")
    return Action((chosen or ["convert"])[0]), str(export) if export else ""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _found(count: int, passed_over: int) -> TerminalText:
    others = terminal("; {:,} zips that are something else are passed over", passed_over)
    models = "1 model" if count == 1 else f"{count:,} models"
    return terminal("{}{}", models, others if passed_over else terminal(""))


def _run(output: Output, plan: "Plan") -> "Progress":
    from sb3port.commands.bulk.running import run

    with _going_on(output), output.table_of_progress() as show:
        return run(plan, show)


@contextmanager
def _going_on(output: Output) -> Iterator[None]:
    """Say after Ctrl-C, and the like, that nothing is lost."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        output.hint(terminal("nothing is lost: the same command goes on from here"))
        raise


def _print(output: Output, out: Path, progress: "Progress", report: list[Path]) -> None:
    content = {
        "out": str(out),
        "models": progress.total,
        "tried": sum(progress.statuses.values()),
        "done": progress.done_in_all,
        "failed": progress.failed_in_all,
        "outcomes": dict(progress.outcomes),
        "report": [str(path) for path in report],
    }
    if output.result("sb3port.bulk.summary", content, shown(out)):
        return
    seconds = progress.seconds
    tried = sum(progress.statuses.values())
    rate = f" in {seconds:.1f} s, {tried / seconds:.1f} a second" if tried and seconds else ""
    rows = {
        "models": f"{progress.total:,}, of which {progress.before:,} were tried before",
        "done": f"{progress.done_in_all:,}",
        "failed": f"{progress.failed_in_all:,}",
        "tried now": f"{tried:,}{rate}",
        "report": report[0],
    }
    output.fields(shown_rows(rows))
    if progress.outcomes:
        output.line()
        columns = [shown(name) for name in ("outcome", "models")]
        output.table(
            columns, [(shown(name), terminal("{:,}", n)) for name, n in progress.outcomes.most_common()]
        )
    if progress.failed_in_all:
        output.hint(terminal("try those again that failed: {}", shell("sb3port bulk … --retry")))
