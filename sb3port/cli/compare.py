"""`sb3port compare`: runs side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sb3port.cli import options
from sb3port.cli.output import Output
from sb3port.cli.values import whole_number
from sb3port.files.texts.terminal import TerminalText, shown, terminal

if TYPE_CHECKING:
    from sb3port.commands.compare import Comparison
    from sb3port.commands.comparing.groups import Group
    from sb3port.commands.comparing.intervals import Interval

EXAMPLES = (
    "sb3port compare runs/seed0 runs/seed1 runs/seed2",
    "sb3port compare runs/ours logs/ppo sb3/progress.csv --plot both.png",
    "sb3port compare runs/a runs/b --at 50000 --json",
)
_NOTHING = terminal("")
_COLUMNS = ("environment", "group", "runs", "steps", "in training", "evaluated")
_WORDS = {"training": "in training", "evaluation": "evaluated"}


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="The folder of a run, or of SB3's or rl_zoo3's logs; or a progress.csv, monitor.csv or "
            "evaluations.npz; one or several.",
            show_default=False,
        ),
    ],
    at: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            parser=whole_number(1),
            help="After how many steps to look; by default the last that every run of an environment has.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Draw the learning curves, as .png, .svg or .pdf.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the picture.")] = False,
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Compare runs, their seeds, and what SB3 itself logged.

    Runs of the same environment, algorithm, engine and settings are one group, whose runs differ by their
    seeds: a mean with its 95% confidence interval, by Student's t over runs. Groups of one environment are
    held against the first, by Welch's interval. One run alone has none.
    """
    output = Output(json, quiet, verbose)
    if plot is not None:
        from sb3port.commands.pictures import check_plot
        from sb3port.files.staging import refuse_existing_file

        check_plot(plot)
        refuse_existing_file(plot, force)
    with output.working(terminal("reading")):
        from sb3port.commands.compare import compare as compare_runs
        from sb3port.commands.compare import plot_comparison

        found = compare_runs(runs, at)
        if plot is not None:
            plot_comparison(found, plot, force)
    for sentence in found.warnings:
        output.warn(shown(sentence))
    content = {**found.to_json(), "plot": None if plot is None else str(plot)}
    if output.result("sb3port.compare", content, _essence(found)):
        return
    _print(output, found)
    if verbose:
        _print_runs(output, found)
    if plot is not None:
        output.stage(terminal("plot"), shown(str(plot)))


def _essence(found: "Comparison") -> TerminalText:
    group = found.groups[0]
    kind = "evaluation" if group.values("evaluation") else "training"
    return _number(group.mean(kind))


def _print(output: Output, found: "Comparison") -> None:
    kind = "evaluation" if all(group.values("evaluation") for group in found.groups) else "training"
    rows = []
    for group in found.groups:
        first = found.first_of(group.env)
        speed = found.speed(group)
        rows.append(
            [
                shown(group.env),
                shown(group.name),
                terminal("{}", len(group.runs)),
                terminal("{:,.0f}", group.at),
                _number(group.mean("training")),
                _number(group.mean("evaluation")),
                _NOTHING if group is first else _number(group.above(first, kind)),
                _NOTHING if speed is None else terminal("{:,.0f}", speed),
            ]
        )
    columns = (*_COLUMNS, f"above the first {_WORDS[kind]}", "steps/s")
    output.table([shown(name) for name in columns], rows)


def _print_runs(output: Output, found: "Comparison") -> None:
    for group in found.groups:
        output.line()
        for run in group.runs:
            output.lines([terminal("{}: {}", str(run.path), _of_run(group, run))])


def _of_run(group: "Group", run: object) -> TerminalText:
    parts = []
    for kind, word in _WORDS.items():
        value = getattr(run, kind).at(group.at)
        if value is not None:
            parts.append(f"{value:.2f} {word}")
    seed = getattr(run, "seed", None)
    return shown(", ".join(([] if seed is None else [f"seed {seed}"]) + parts))


def _number(found: "Interval | None") -> TerminalText:
    if found is None:
        return _NOTHING
    return (
        terminal("{:.2f}", found.mean)
        if found.half is None
        else terminal("{:.2f} ± {:.2f}", found.mean, found.half)
    )
