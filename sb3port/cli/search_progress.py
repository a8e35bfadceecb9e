"""What a search for hyperparameters shows while it runs, and at its end."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sb3port.cli.output import Output
from sb3port.files.texts.source_code import shell
from sb3port.files.texts.terminal import shown, shown_rows, terminal

if TYPE_CHECKING:
    from sb3port.commands.optimize import Found
    from sb3port.commands.training_arguments import PolicyOptions, RunOptions

_INTERRUPTED = 128 + 2  # as of a program that Ctrl-C ended


def search_to_end(
    output: Output, options: "RunOptions", new: "PolicyOptions", how: tuple[Any, ...], out: Path
) -> None:
    """Search, show the trials, and print what came of it.

    Args:
        output: Where to print.
        options: What every trial is told.
        new: The policy.
        how: The fields of `Search`.
        out: The folder of the study.

    Raises:
        Exit: The user asked to stop; all finished trials are kept.
    """
    from sb3port.commands.optimize import Search, optimize

    def told(number: int, value: float | None, pruned: bool) -> None:
        ended = terminal("pruned") if pruned else terminal("return {:.2f}", value)
        output.stage(terminal("trial"), terminal("{}, {}", number, ended))

    try:
        found = optimize(options, new, Search(*how), out, told)
    except KeyboardInterrupt:
        output.hint(terminal("the same command goes on with the study in {}", str(out)))
        raise typer.Exit(_INTERRUPTED) from None
    _print(output, found, options.env or "")


def _print(output: Output, found: "Found", env: str) -> None:
    content = {
        "out": str(found.out),
        "trials": found.trials,
        "pruned": found.pruned,
        "best": found.best,
        "best_return": found.value,
        "hyperparameters": dict(found.settings),
    }
    if output.result("sb3port.optimize", content, shown(str(found.out))):
        return
    rows = {"study": str(found.out), "trials": f"{found.trials}, {found.pruned} of them pruned"}
    if found.best is not None:
        rows["best"] = f"number {found.best}, return {found.value:.2f}"
        rows |= {name: str(value) for name, value in found.settings.items()}
    output.fields(shown_rows(rows))
    if found.best is not None:
        command = shell("sb3port train --env {} --config {} --out DIR", env, str(found.out / "best.yml"))
        output.hint(terminal("train with it: {}", command))
