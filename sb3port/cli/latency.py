"""`sb3port latency`: how long one action takes on this machine."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from sb3port.cli import options
from sb3port.cli.output import Output
from sb3port.cli.policy_options import chosen_by, with_policy
from sb3port.cli.values import whole_number
from sb3port.cli.walls import warn_of_missing_walls
from sb3port.files.texts.terminal import TerminalText, shown, terminal

if TYPE_CHECKING:
    from sb3port.commands.latency import Latencies
    from sb3port.commands.policies import ReadOptions

EXAMPLES = (
    "sb3port latency ports/ppo-Pendulum-v1",
    "sb3port latency sb3/ppo-Pendulum-v1 --calls 20000 --json",
)


@with_policy
def latency(
    port: options.Port,
    reading: "ReadOptions",
    calls: Annotated[
        int, typer.Option(metavar="N", parser=whole_number(1), help="How many calls are timed of each.")
    ] = 2000,
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Measure how long one action takes on this machine.

    It is chosen by everything that is installed: load_policy with its backends numpy and torch, onnxruntime
    with an export, LeRobot with its processors, and SB3's own predict with VecNormalize; one raw observation,
    the most likely action, one thread, in turns. Shown are the median and the 99th percentile. With --quiet
    only the fastest is named.
    """
    # Read where NumPy is imported first, which is below.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    from sb3port.commands.latency import measure_latency
    from sb3port.commands.policies import find_policy

    output = Output(json, quiet, verbose)
    warn_of_missing_walls(output, reading.sandbox)
    policy = find_policy(port, reading, chosen_by(output))
    with output.working(terminal("measuring")):
        found = measure_latency(policy, calls)
    content = {
        "port": port,
        "calls": calls,
        "measured": {name: {"p50_us": one.p50, "p99_us": one.p99} for name, one in found.measured.items()},
        "absent": dict(found.absent),
    }
    if not output.result("sb3port.latency", content, shown(next(iter(found.measured), ""))):
        _print(output, found)


def _print(output: Output, found: "Latencies") -> None:
    columns = [shown(name) for name in ("backend", "p50 [us]", "p99 [us]")]
    output.table(columns, [_row(name, one.p50, one.p99) for name, one in found.measured.items()])
    for name, why in found.absent.items():
        output.hint(terminal("without {}: {}", name, why))


def _row(name: str, *microseconds: float) -> list[TerminalText]:
    return [terminal("{}", name), *(terminal("{:.1f}", number) for number in microseconds)]
