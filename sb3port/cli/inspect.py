"""`sb3port inspect`: everything a checkpoint says of itself, without running anything in it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sb3port.cli import options
from sb3port.cli.output import Output
from sb3port.cli.policy_options import chosen_by
from sb3port.cli.walls import warn_of_missing_walls
from sb3port.files.texts.terminal import TerminalText, shown, shown_rows, styled, terminal, together

if TYPE_CHECKING:
    from sb3port.checkpoint.checkpoint import Checkpoint, EnvironmentSpec

EXAMPLES = ("sb3port inspect sb3/ppo-Pendulum-v1", "sb3port inspect model.zip --json")


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
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Show what is in a checkpoint or a port, executing none of it.

    That is its policy, tensors and training settings, where it comes from, and what its pickles would import.
    Neither torch nor SB3 nor LeRobot is needed.
    """
    from sb3port.cli.summary import checkpoint_json
    from sb3port.commands.policies import find_policy, read_options

    output = Output(json, quiet, verbose)
    warn_of_missing_walls(output, sandbox)
    reading = read_options(
        filename, revision, vecnormalize, not no_stats, assume_standard_forward, extractor, sandbox, last
    )
    checkpoint = find_policy(source, reading, chosen_by(output)).as_named
    spec = checkpoint.spec
    essence = terminal("{} {} {}", spec.algorithm, spec.observation_space, spec.action_space)
    if not output.result("sb3port.inspect", checkpoint_json(checkpoint), essence):
        _print(output, checkpoint)
    for warning in checkpoint.warnings:
        output.warn(shown(warning))


def _print(output: Output, checkpoint: "Checkpoint") -> None:
    from sb3port.cli.summary import policy_rows

    _section(output, terminal("Policy"), policy_rows(checkpoint) | _assumed(checkpoint))
    _section(output, terminal("Training"), _training_rows(checkpoint))
    if checkpoint.environment.sources:
        _section(output, terminal("Environment"), _environment_rows(checkpoint.environment))
    _section(output, terminal("Source"), _provenance_rows(checkpoint))
    output.line(styled("bold underline", "Tensors"))
    rows = [(name, array.shape, array.dtype) for name, array in checkpoint.tensors.items()]
    columns = ("name", "shape", "dtype")
    output.table([shown(column) for column in columns], [tuple(map(shown, row)) for row in rows])
    if checkpoint.provenance.ignored:
        output.line()
        output.line(styled("bold underline", "Tensors that are left out"))
        output.fields(shown_rows(checkpoint.provenance.ignored), indent=2)
    if checkpoint.provenance.imports:  # a port has no pickles
        output.line()
        title = styled("bold underline", "What its pickles would import")
        output.line(terminal("{} (nothing of it was imported)", title))
        output.lines(map(_import, checkpoint.provenance.imports), indent=2)


def _import(name: str) -> TerminalText:
    from sb3port.readers.formats.groups import is_own_code

    return terminal("{} (code that is not SB3's)", name) if is_own_code(name) else shown(name)


def _training_rows(checkpoint: "Checkpoint") -> dict[str, str]:
    """Show settings as the zip has them; warnings say which of them cannot be true."""
    training = checkpoint.training
    settings = {name: str(value) for name, value in training.hyperparameters.items()}
    schedules = {name: str(schedule) for name, schedule in training.schedules.items()}
    return {"optimizer": training.optimizer_class, **schedules, **settings}


def _environment_rows(environment: "EnvironmentSpec") -> dict[str, object]:
    wrappers = [_call(wrapper.name, wrapper.kwargs) for wrapper in environment.wrappers]
    rows = {
        "id": environment.env_id or "unknown",
        "arguments": _arguments(environment.env_kwargs),
        "wrappers": together("\n", wrappers) if wrappers else "",
        "frame stack": str(environment.frame_stack or ""),
        "told by": ", ".join(environment.sources),
    }
    return {name: value for name, value in rows.items() if value}


def _call(name: str, kwargs: Mapping[str, Any]) -> str:
    return f"{name}({_arguments(kwargs)})" if kwargs else name


def _arguments(kwargs: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in kwargs.items())


def _section(output: Output, title: TerminalText, rows: Mapping[str, object]) -> None:
    output.line(styled("bold underline", "{}", title))
    output.fields(shown_rows(rows), indent=2)
    output.line()


def _assumed(checkpoint: "Checkpoint") -> dict[str, str]:
    """Name the settings for which the file says nothing, so that SB3's default holds."""
    names = checkpoint.spec.assumed
    defaults = ", ".join(f"{name}={getattr(checkpoint.spec, name)}" for name in names)
    return {"assumed": f"SB3's defaults: {defaults}"} if names else {}


def _provenance_rows(checkpoint: "Checkpoint") -> dict[str, object]:
    provenance = checkpoint.provenance
    files = {
        role: terminal("{}, {:,} bytes\nsha256 {}", file.name, file.size, file.sha256)
        for role, file in provenance.files.items()
    }
    revision = {"revision": provenance.revision} if provenance.revision else {}
    by_lerobot = provenance.files["checkpoint"].name.endswith(".safetensors")
    alone = "num_timesteps" not in checkpoint.training.hyperparameters  # a policy without its model
    unknown = "of an unknown version" if alone else "before 0.9"
    writer = "LeRobot" if by_lerobot else f"SB3 {provenance.sb3_version or unknown}"
    place = {provenance.kind: provenance.location, **revision}
    return {**place, **files, "written by": writer, **provenance.system_info}
