"""`sb3port convert`: from an SB3 checkpoint to a LeRobot policy folder."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from sb3port.cli import options
from sb3port.cli.output import Output


def convert(
    source: options.Source,
    dest: Annotated[
        Path | None,
        typer.Argument(metavar="[DEST]", help="Where the port shall lie. \\[default: ports/<name>]"),
    ] = None,
    filename: options.Filename = None,
    revision: options.Revision = None,
    vecnormalize: options.Vecnormalize = None,
    no_stats: options.NoStats = False,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not compare the port with SB3.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the port at DEST.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Port an SB3 checkpoint to a LeRobot policy, and verify it.

    Nothing in the checkpoint is executed. The port is written only if it computes what its source computes.

    [bold]Examples[/]

      sb3port convert sb3/ppo-Pendulum-v1

      sb3port convert model.zip ports/mine --vecnormalize stats.pkl
    """
    from sb3port.conversion import ConvertOptions
    from sb3port.conversion import convert as run
    from sb3port.readers.source import SourceOptions

    output = Output(json, quiet, verbose)
    narrowed = SourceOptions(filename, revision, vecnormalize)
    chosen = ConvertOptions(narrowed, use_stats=not no_stats, verify=not no_verify, force=force)
    done = run(source, dest, chosen, _timed(output))
    for warning in done.checkpoint.warnings:
        output.warn(warning)
    verdict = str(done.report.verdict) if done.report else None
    content = {
        "port": str(done.port),
        "verdict": verdict,
        "report": done.report.to_json() if done.report else None,
        "warnings": list(done.checkpoint.warnings),
    }
    if not output.result("sb3port.convert", content, str(done.port)):
        _print_summary(output, done, verdict)


def _print_summary(output: Output, done: Any, verdict: str | None) -> None:
    from sb3port.cli.summary import policy_rows

    rows = policy_rows(done.checkpoint)
    parity = f"{verdict} with SB3" if verdict else "not verified"
    output.line()
    output.fields({"port": str(done.port), "parity": parity, **rows})
    output.line()
    output.hint(f"sb3port eval {done.port} --env ENV_ID --episodes 10")


def _timed(output: Output) -> Callable[[str, str], None]:
    """Announce stages, with the time that each took where details are wanted."""
    last = time.perf_counter()

    def announce(name: str, text: str) -> None:
        nonlocal last
        now = time.perf_counter()
        output.stage(name, f"{text} ({now - last:.2f} s)" if output.verbose else text)
        last = now

    return announce
