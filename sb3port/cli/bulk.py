"""`sb3port bulk`: many models at once, resumable, with a report of what came of every one."""

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
from sb3port.files.budget import factor
from sb3port.files.texts.source_code import shell
from sb3port.files.texts.terminal import TerminalText, shown, shown_rows, terminal

if TYPE_CHECKING:
    from sb3port.commands.bulk.asking import Summary
    from sb3port.commands.bulk.running import Plan, Progress

EXAMPLES = (
    "sb3port bulk logs/",
    "sb3port bulk --author sb3 --filter ppo --jobs 8",
    "sb3port bulk models.txt --out ported --evaluate",
    "sb3port bulk --author sb3 --scan",
    "sb3port bulk /shared/models --out /shared/ports --ray auto",
)


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
    from sb3port.commands.bulk.asking import action_of, bounds_of, check_asked, summary_of
    from sb3port.commands.bulk.items import find_items
    from sb3port.commands.bulk.job import Job
    from sb3port.commands.bulk.report import write_report
    from sb3port.commands.bulk.running import Plan, check_plan

    check_asked(bool(sources) or author is not None, private, push)
    output = Output(json, quiet, verbose)
    warn_of_missing_walls(output, sandbox)
    job = Job(
        *action_of(scan, repair, str(export) if export else None),
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
    bounds = bounds_of(jobs, timeout, memory)
    progress = _run(output, Plan(job, found.items, out, bounds, retry, ray))
    summary = summary_of(out, progress, write_report(out))
    _print(output, summary)
    if summary.failed:
        raise typer.Exit(1)


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


def _print(output: Output, summary: "Summary") -> None:
    if output.result("sb3port.bulk.summary", summary.to_json(), shown(summary.out)):
        return
    seconds, tried = summary.seconds, summary.tried
    rate = f" in {seconds:.1f} s, {tried / seconds:.1f} a second" if tried and seconds else ""
    rows = {
        "models": f"{summary.models:,}, of which {summary.before:,} were tried before",
        "done": f"{summary.done:,}",
        "failed": f"{summary.failed:,}",
        "tried now": f"{tried:,}{rate}",
        "report": summary.report[0],
    }
    output.fields(shown_rows(rows))
    if summary.outcomes:
        output.line()
        columns = [shown(name) for name in ("outcome", "models")]
        output.table(columns, [(shown(name), terminal("{:,}", n)) for name, n in summary.outcomes.items()])
    if summary.failed:
        output.hint(terminal("try those again that failed: {}", shell("sb3port bulk … --retry")))
