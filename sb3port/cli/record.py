"""`sb3port record`: what a policy sees and does in real episodes, kept."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sb3port.checkpoint.str_enum import StrEnum
from sb3port.cli import options
from sb3port.cli.environment_options import with_environment
from sb3port.cli.output import Output
from sb3port.cli.policy_options import chosen_by, with_policy
from sb3port.cli.values import one_of
from sb3port.cli.walls import warn_of_missing_walls
from sb3port.errors import need
from sb3port.files.texts.source_code import shell
from sb3port.files.texts.terminal import shown, shown_rows, terminal

if TYPE_CHECKING:
    from sb3port.commands.policies import ReadOptions
    from sb3port.environments.given import Around
    from sb3port.environments.recording import Recording

EXAMPLES = (
    "sb3port record sb3/ppo-Pendulum-v1 --episodes 5 --out pendulum.npz",
    "sb3port record ports/ppo-Pendulum-v1 --format lerobot --out data/x",
    "sb3port record --env Pendulum-v1 --format lerobot --out data/random",
)

_SHOWN = 10


class Format(StrEnum):
    """How a recording is written."""

    NPZ = "npz"
    LEROBOT = "lerobot"


@with_policy
@with_environment("sb3port record")
def record(
    out: Annotated[
        Path, typer.Option(metavar="PATH", help="The file, or for lerobot the folder.", show_default=False)
    ],
    env: str | None,
    around: "Around",
    reading: "ReadOptions",
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="A SOURCE of convert, for which SB3's policy acts, a port or a run; without it, chance.",
            show_default=False,
        ),
    ] = None,
    episodes: options.Episodes = 10,
    seed: options.Seed = 0,
    format: Annotated[
        Format,
        one_of(Format, "npz, or lerobot for a LeRobotDataset with lossless images.", metavar="FORMAT"),
    ] = Format.NPZ,
    stochastic: options.Stochastic = False,
    no_masking: options.NoMasking = False,
    max_episode_steps: options.MaxEpisodeSteps = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the recording at PATH.")] = False,
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Record what a policy sees, does and gets in an environment.

    There is one episode per seed. Beside observations, actions and rewards the policy's values and the
    log-probabilities of its actions are kept. Without SOURCE actions are random. With --quiet only PATH is
    printed.
    """
    need("torch", "sb3port record")
    output = Output(json, quiet, verbose)
    warn_of_missing_walls(output, reading.sandbox)
    _refuse_existing(out, format, force)
    with ExitStack() as spinner:
        spinner.enter_context(output.working(terminal("loading")))
        from sb3port.commands.record import RecordOptions, record_chance
        from sb3port.commands.record import record as run

        seeds = range(seed, seed + episodes)
        chosen = RecordOptions(
            env=env,
            around=around,
            seeds=seeds,
            deterministic=not stochastic,
            reading=reading,
            use_masking=not no_masking,
            max_episode_steps=max_episode_steps,
        )
        track = output.tracker(spinner, terminal("episodes"))
        recording = run(source, chosen, track, chosen_by(output)) if source else record_chance(chosen, track)
    with output.working(terminal("writing")):
        _write(recording, out, format, force)
    for warning in recording.warnings:
        output.warn(shown(warning))
    _print(output, recording, out, format)


def _refuse_existing(out: Path, form: Format, force: bool) -> None:
    from sb3port.files.staging import DATASET, refuse_existing, refuse_existing_file

    if form is Format.LEROBOT:
        from sb3port.environments.dataset import check_installed

        refuse_existing(out, force, DATASET)
        check_installed()
    else:
        refuse_existing_file(out, force)


def _write(recording: "Recording", out: Path, form: Format, force: bool) -> None:
    from sb3port.environments.dataset import write_dataset
    from sb3port.environments.recording import write_npz

    (write_dataset if form is Format.LEROBOT else write_npz)(recording, out, force)


def _print(output: Output, recording: "Recording", out: Path, form: Format) -> None:
    from sb3port.families.descriptions import arguments_text

    files = [file for file in out.rglob("*") if file.is_file()] if out.is_dir() else [out]
    size = sum(file.stat().st_size for file in files)
    content = {
        "recording": str(out),
        "format": str(form),
        "bytes": size,
        "returns": list(recording.returns),
        **recording.describe(),
    }
    if output.result("sb3port.record", content, shown(out)):
        return
    shown_returns = recording.returns if output.verbose else recording.returns[:_SHOWN]
    returns = ", ".join(f"{value:.2f}" for value in shown_returns)
    more = len(recording.returns) - len(shown_returns)
    output.fields(
        shown_rows(
            {
                "recording": out,
                "format": f"{'LeRobotDataset v3' if form is Format.LEROBOT else 'npz'}, {size:,} bytes",
                "policy": recording.policy
                + (", sampling" if recording.outputs and not recording.deterministic else ""),
                "environment": recording.env,
                **({"arguments": arguments_text(recording.env_kwargs)} if recording.env_kwargs else {}),
                **({"wrappers": ", ".join(recording.wrappers)} if recording.wrappers else {}),
                "steps": f"{len(recording):,} in {_episodes(recording.seeds)}",
                "returns": returns + (f" and {more} more (all of them with -v)" if more else ""),
            }
        )
    )
    if recording.outputs:
        output.hint(terminal("compare a port on it: {}", shell("sb3port verify PORT --observations {}", out)))


def _episodes(seeds: Sequence[int]) -> str:
    count = len(seeds)
    return (
        f"1 episode, seed {seeds[0]}" if count == 1 else f"{count} episodes, seeds {seeds[0]} to {seeds[-1]}"
    )
