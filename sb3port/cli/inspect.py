"""`sb3port inspect`: everything a checkpoint says of itself, without running anything in it."""

from typing import TYPE_CHECKING, Annotated

import typer

from sb3port.cli import options
from sb3port.cli.output import Output
from sb3port.cli.policy_options import chosen_by
from sb3port.cli.walls import warn_of_missing_walls
from sb3port.errors import Sb3portError, UsageError
from sb3port.files.texts.terminal import TerminalText, shown, terminal

if TYPE_CHECKING:
    from sb3port.checkpoint.contents import Contents

EXAMPLES = (
    "sb3port inspect sb3/ppo-Pendulum-v1",
    "sb3port inspect model.zip --json",
    "sb3port inspect vec_normalize.pkl",
    "sb3port inspect model.zip --yaml > ppo.yml",
)
_Yaml = Annotated[
    bool, typer.Option("--yaml", help="Print how it was trained, as rl_zoo3 and train --config take it.")
]


def inspect(
    source: options.Source,
    last: options.Last = False,
    filename: options.Filename = None,
    revision: options.Revision = None,
    vecnormalize: options.Vecnormalize = None,
    no_stats: options.NoStats = False,
    assume_standard_forward: options.AssumeStandardForward = False,
    extractor: options.Extractor = None,
    sandbox: options.Sandbox = None,
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
    yaml: _Yaml = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Show what is in a checkpoint or a port, executing none of it.

    That is its policy, tensors and training settings, where each is from, whether today's SB3 loads it, and
    what its pickles would import. Of a file that is refused, of whatever algorithm of SB3's, it shows what
    can be read, and at last why it is refused. Neither torch nor SB3 nor LeRobot is needed.
    """
    from sb3port.commands.inspect import inspect as run
    from sb3port.commands.policies import read_options

    if yaml and json:
        raise UsageError("--yaml and --json are two forms of the result", "drop one of the two")
    output = Output(json, quiet, verbose)
    warn_of_missing_walls(output, sandbox)
    reading = read_options(
        filename, revision, vecnormalize, not no_stats, assume_standard_forward, extractor, sandbox, last
    )
    found = run(source, reading, chosen_by(output))
    if yaml:
        _print_yaml(output, found.contents)
    else:
        _print(output, found.contents, found.command, found.refusal)
    for warning in found.contents.checkpoint.warnings if found.contents.checkpoint else ():
        output.warn(shown(warning))
    if found.refusal is not None:
        raise found.refusal


def _print(output: Output, contents: "Contents", command: str, refusal: Sb3portError | None) -> None:
    from sb3port.cli.inspected import contents_json, print_contents

    if not output.result("sb3port.inspect", contents_json(contents, command, refusal), _essence(contents)):
        print_contents(output, contents, command)


def _essence(contents: "Contents") -> TerminalText:
    checkpoint, normalizer = contents.checkpoint, contents.normalizer
    if checkpoint is None:
        spaces = filter(None, (contents.observation_space, contents.action_space))
        shapes = [str(rms.mean.shape) for rms in normalizer.statistics.values()] if normalizer else []
        name = "VecNormalize" if normalizer else contents.algorithm
        return shown(" ".join((name, *map(str, spaces), *shapes)))
    spec = checkpoint.spec
    return terminal("{} {} {}", spec.algorithm, spec.observation_space, spec.action_space)


def _print_yaml(output: Output, contents: "Contents") -> None:
    """Print the settings, unless nothing is known of them but why."""
    from sb3port.exports.zoo_form import zoo_form

    if contents.checkpoint is not None:
        output.text(zoo_form(contents.checkpoint).text(contents.environment.env_id))
    elif contents.refusal is None:
        raise UsageError("statistics alone say nothing of how a policy was trained", "name its zip")
