"""`sb3port repair`: from an SB3 checkpoint of any age to one that today's SB3 loads and trains on."""

from pathlib import Path
from typing import Annotated

import typer

from sb3port.cli import options
from sb3port.cli.output import Output
from sb3port.cli.walls import warn_of_missing_walls
from sb3port.cli.written import run_export

EXAMPLES = (
    "sb3port repair sb3/ppo-Pendulum-v1",
    "sb3port repair old.zip repaired/old --learning-rate 3e-4",
)


def repair(
    source: options.Source,
    dest: Annotated[
        Path | None,
        typer.Argument(
            metavar="DEST", help="The folder to write; repaired/<name> by default.", show_default=False
        ),
    ] = None,
    out: options.Dest = None,
    filename: options.Filename = None,
    revision: options.Revision = None,
    vecnormalize: options.Vecnormalize = None,
    no_stats: options.NoStats = False,
    assume_standard_forward: options.AssumeStandardForward = False,
    extractor: options.Extractor = None,
    sandbox: options.Sandbox = None,
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
    """Write an old SB3 checkpoint anew, for today's SB3.

    It is read without executing anything, and written with its spaces, schedules,
    settings, optimiser state and steps, so that SB3 loads it and trains on,
    without gym, custom_objects or sb3port.
    """
    from sb3port.commands.export import ExportOptions
    from sb3port.commands.export import repair as run
    from sb3port.commands.policies import read_options

    dest = options.destination(dest, out)
    reading = read_options(
        filename, revision, vecnormalize, not no_stats, assume_standard_forward, extractor, sandbox
    )
    rates = options.rates(learning_rate, clip_range, clip_range_vf)
    chosen = ExportOptions(
        rates=rates, observations=tuple(observations or ()), verify=not no_verify, force=force
    )
    output = Output(json, quiet, verbose)
    warn_of_missing_walls(output, sandbox)
    run_export(
        output,
        "sb3port.repair",
        chosen,
        report_dir,
        lambda announce: run(source, dest, reading, chosen, announce),
    )
