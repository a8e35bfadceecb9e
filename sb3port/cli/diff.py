"""`sb3port diff`: what differs between two checkpoints or ports."""

from typing import TYPE_CHECKING, Annotated

import typer

from sb3port.cli import options
from sb3port.cli.output import Output
from sb3port.cli.policy_options import chosen_by
from sb3port.cli.walls import warn_of_missing_walls
from sb3port.files.texts.terminal import TerminalText, shown, shown_rows, styled, terminal

if TYPE_CHECKING:
    from sb3port.checkpoint.checkpoint import Checkpoint
    from sb3port.commands.diff import Comparison
    from sb3port.commands.policies import ReadOptions
    from sb3port.ports.difference import ArrayDifference, Difference

EXAMPLES = (
    "sb3port diff sb3/ppo-Pendulum-v1 ports/ppo-Pendulum-v1",
    "sb3port diff before.zip after.zip --no-stats --json",
    "sb3port diff old.zip repaired/old",
)
_LONGEST = 60


def diff(
    a: Annotated[
        str, typer.Argument(metavar="A", help="Any SOURCE of convert, a port or a run.", show_default=False)
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="What to compare it with.", show_default=False)],
    last: options.Last = False,
    no_stats: options.NoStats = False,
    assume_standard_forward: options.AssumeStandardForward = False,
    extractor: options.Extractor = None,
    sandbox: options.Sandbox = None,
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Tell what differs between two checkpoints or ports.

    Settings, spaces, normaliser and training are compared, and every tensor to the bit. Exit code 0 says that
    they are equal, 1 that they differ. A file and its repair are equal but for what is listed: settings that
    the file had lost, or had in a form that SB3 has no more. Nothing in them is executed, and torch is not
    needed. A features extractor of your own is compared by its name, and not imported; --extractor names one
    that a zip carries.
    """
    from sb3port.commands.diff import compare
    from sb3port.commands.policies import read_options

    output = Output(json, quiet, verbose)
    warn_of_missing_walls(output, sandbox)
    reading = read_options(
        use_stats=not no_stats,
        assume_standard_forward=assume_standard_forward,
        extractor=extractor,
        sandbox=sandbox,
        last=last,
    )
    one, other = (_read(output, label, reading) for label in (a, b))
    compared = compare(one, other)
    found, verdict = compared.found, _verdict(compared)
    content = {"a": a, "b": b, "verdict": verdict, "completed_by": compared.completing or None}
    if not output.result("sb3port.diff", {**content, **found.to_json()}, shown(verdict)):
        _print(output, found, verdict)
    if not compared.equal:
        raise typer.Exit(1)


def _verdict(compared: "Comparison") -> str:
    if compared.completing:
        return f"equal, but for what {compared.completing} completes"
    return "equal" if compared.equal else "different"


def _read(output: Output, label: str, reading: "ReadOptions") -> "Checkpoint":
    """Read one side; options that a port has no use for are for the other."""
    from sb3port.commands.policies import find_policy

    return find_policy(label, reading, chosen_by(output), one_of_two=True).checkpoint


def _print(output: Output, found: "Difference", verdict: str) -> None:
    for section, settings in found.settings.items():
        if settings:
            output.line(styled("bold underline", "{}", section.capitalize()))
            cells = [tuple(_cell(output, text) for text in (one.name, one.a, one.b)) for one in settings]
            output.table((terminal("setting"), terminal("A"), terminal("B")), cells)
            output.line()
    for section in found.arrays:
        _print_arrays(output, section, found)
    rows = {section: _summary(section, found) for section, arrays in found.arrays.items() if arrays}
    output.fields(shown_rows({**rows, "verdict": verdict}))


def _print_arrays(output: Output, section: str, found: "Difference") -> None:
    arrays = found.arrays[section] if output.verbose else found.different(section)
    if arrays:
        output.line(styled("bold underline", "{}", section.capitalize()))
        columns = [shown(name) for name in ("name", "verdict", "A", "B", "max diff")]
        output.table(columns, [_row(output, array) for array in arrays])
        output.line()


def _row(output: Output, array: "ArrayDifference") -> tuple[TerminalText, ...]:
    largest = "" if array.max_abs is None else f"{array.max_abs:.1e}" if array.max_abs else "0"
    texts = (array.name, array.verdict, array.a or "", array.b or "", largest)
    return tuple(_cell(output, text) for text in texts)


def _summary(section: str, found: "Difference") -> str:
    count, different = len(found.arrays[section]), len(found.different(section))
    return f"{count}, {f'{different} differ' if different else 'all equal'}"


def _cell(output: Output, text: str) -> TerminalText:
    """Give a text, cut where no details are wanted."""
    cell = shown(text)
    cut = len(cell.plain) > _LONGEST and not output.verbose
    return terminal("{}…", cell.plain[: _LONGEST - 1]) if cut else cell
