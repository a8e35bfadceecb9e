"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from sb3port.cli.values import folder, number, whole_number
from sb3port.errors import UsageError
from sb3port.files.budget import allow_more, checked_factor

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A Hub repository (org/name, org/name@revision), hf://org/name/file.zip, a zip or a folder.",
        show_default=False,
    ),
]
Port = Annotated[
    str,
    typer.Argument(
        metavar="PORT",
        help="What convert wrote, the folder of a run, org/name on the Hub, or a SOURCE of convert.",
        show_default=False,
    ),
]
Ports = Annotated[
    list[str],
    typer.Argument(
        metavar="PORT",
        help="What convert wrote, folders of runs, org/name on the Hub, or a SOURCE; one or several.",
        show_default=False,
    ),
]
Last = Annotated[
    bool, typer.Option("--last", help="Of a run, take the last checkpoint instead of the best one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the essence, and warnings.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print details.")]


def _allow_more(value: str | None) -> str | None:
    if value is not None:
        allow_more(checked_factor(value, "--limits"))
    return value


Limits = Annotated[
    str | None,
    typer.Option(
        "--limits",
        metavar="N",
        callback=_allow_more,
        help="Allow what is read to cost N times the memory, values and time that are allowed otherwise.",
    ),
]
Filename = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The zip, or a folder with it, within a SOURCE that holds several."),
]
Revision = Annotated[
    str | None, typer.Option(metavar="REV", help="Branch, tag or commit of a Hub repository.")
]
Vecnormalize = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH", help="VecNormalize statistics to use: a file on this machine, or one within SOURCE."
    ),
]
NoStats = Annotated[
    bool,
    typer.Option("--no-stats", help="Leave VecNormalize statistics out, even where training used them."),
]
AssumeStandardForward = Annotated[
    bool,
    typer.Option(
        "--assume-standard-forward",
        help="Take a policy class of the author's own for SB3's, where its tensors are those of SB3's.",
    ),
]
Sandbox = Annotated[
    bool | None,
    typer.Option(
        "--sandbox/--no-sandbox",
        help="Read SOURCE in a process that can do nothing else; by default if it comes from the Hub.",
        show_default=False,
    ),
]
NoMasking = Annotated[
    bool,
    typer.Option(
        "--no-masking",
        help="Let a maskable policy choose among all actions, where the environment has no masks.",
    ),
]
MaxEpisodeSteps = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        parser=whole_number(1),
        help="Time limit of an episode, instead of the environment's own; without either it is 1000 steps.",
        show_default=False,
    ),
]
Episodes = Annotated[int, typer.Option(metavar="N", parser=whole_number(1), help="How many episodes.")]
Seed = Annotated[
    int,
    typer.Option(metavar="N", parser=whole_number(0), help="Seed of the first episode; the next count up."),
]
Stochastic = Annotated[
    bool, typer.Option("--stochastic", help="Sample actions instead of taking the most likely ones.")
]
ReportDir = Annotated[
    Path | None,
    typer.Option(
        "--report-dir",
        metavar="DIR",
        parser=folder,
        help="Write the parity report there, as JSON, Markdown, JUnit XML and HTML, also if parity fails.",
    ),
]
Extractor = Annotated[
    str | None,
    typer.Option(
        metavar="MODULE:CLASS",
        help="The policy's features extractor, where its code is your own. Naming it lets sb3port import it.",
    ),
]
Dest = Annotated[
    Path | None,
    typer.Option("--out", metavar="DEST", help="The same as DEST.", show_default=False),
]
NoVerify = Annotated[bool, typer.Option("--no-verify", help="Do not compare what is written with SB3.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what sb3port wrote at DEST.")]
Observations = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH",
        help="Recorded observations to compare on (.npz, or a LeRobotDataset), besides edge cases; again for "
        "more.",
        show_default=False,
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        metavar="X", parser=number(0), help="Learning rate for further training, instead of the file's."
    ),
]
ClipRange = Annotated[
    float | None,
    typer.Option(
        metavar="X", parser=number(0), help="Clip range for further training, instead of the file's."
    ),
]
ClipRangeVf = Annotated[
    float | None,
    typer.Option(metavar="X", parser=number(0), help="The same for the clip range of the value."),
]


def destination(dest: Path | None, out: Path | None) -> Path | None:
    """Give where to write, which is named after SOURCE or with `--out`; None where it is not named.

    Raises:
        UsageError: It is named twice.
    """
    if dest is not None and out is not None:
        raise UsageError(f"both {dest} and --out {out} say where to write", "name one place")
    return out if dest is None else dest


def rates(
    learning_rate: float | None, clip_range: float | None, clip_range_vf: float | None
) -> dict[str, float]:
    """Give the schedules that are given anew."""
    given = {"learning_rate": learning_rate, "clip_range": clip_range, "clip_range_vf": clip_range_vf}
    return {name: value for name, value in given.items() if value is not None}
