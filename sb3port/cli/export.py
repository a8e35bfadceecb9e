"""`sb3port export`: from a port back to SB3, or on to ONNX, torch or numpy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sb3port.checkpoint.str_enum import StrEnum
from sb3port.cli import options
from sb3port.cli.output import Output
from sb3port.cli.policy_options import with_policy
from sb3port.cli.values import one_of
from sb3port.cli.walls import warn_of_missing_walls
from sb3port.cli.written import run_export
from sb3port.errors import UsageError

if TYPE_CHECKING:
    from sb3port.commands.policies import ReadOptions

EXAMPLES = (
    "sb3port export ports/ppo-Pendulum-v1 --to sb3",
    "sb3port export ports/ppo-Pendulum-v1 robot --to onnx --outputs action,value",
)


class Format(StrEnum):
    """The keys of `targets.TARGETS`, without importing them."""

    SB3 = "sb3"
    ONNX = "onnx"
    TORCH = "torch"
    NUMPY = "numpy"


@with_policy
def export(
    port: options.Port,
    reading: "ReadOptions",
    dest: Annotated[
        Path | None,
        typer.Argument(
            metavar="DEST",
            help="The folder to write; exports/<name>-<format> by default.",
            show_default=False,
        ),
    ] = None,
    out: options.Dest = None,
    to: Annotated[
        Format,
        one_of(Format, "The format: sb3, onnx, torch or numpy.", "--to", metavar="FORMAT"),
    ] = Format.SB3,
    outputs: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="What the network shall give: action,value,log_prob (action by default)."
        ),
    ] = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="Export the network only, without normaliser and clipping of actions."),
    ] = False,
    learning_rate: options.LearningRate = None,
    clip_range: options.ClipRange = None,
    clip_range_vf: options.ClipRangeVf = None,
    observations: options.Observations = None,
    no_verify: options.NoVerify = False,
    force: options.Force = False,
    report_dir: options.ReportDir = None,
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Export a port to SB3, ONNX, torch or numpy.

    sb3 gives a zip that today's SB3 loads and trains on, and vec_normalize.pkl;
    onnx and torch (.pt2) give one file, numpy an .npz and a module of Python beside
    it, that take raw observations and give actions for the environment.
    """
    from sb3port.commands.export import ExportOptions
    from sb3port.commands.export import export as run
    from sb3port.exports.graphs import GraphOptions

    dest = options.destination(dest, out)
    graph = GraphOptions(tuple(outputs.split(",")) if outputs is not None else ("action",), raw)
    rates = options.rates(learning_rate, clip_range, clip_range_vf)
    _refuse_useless(to, outputs is not None or raw, bool(rates))
    chosen = ExportOptions(to.value, graph, rates, tuple(observations or ()), not no_verify, force)
    output = Output(json, quiet, verbose)
    warn_of_missing_walls(output, reading.sandbox)
    run_export(
        output,
        "sb3port.export",
        chosen,
        report_dir,
        lambda announce: run(port, dest, reading, chosen, announce),
    )


def _refuse_useless(to: Format, graph: bool, rates: bool) -> None:
    if to is Format.SB3 and graph:
        raise UsageError(
            "--outputs and --raw are for onnx, torch and numpy", "drop them, or choose with --to"
        )
    if to is not Format.SB3 and rates:
        raise UsageError("--learning-rate and the clip ranges are for --to sb3", "drop them")
