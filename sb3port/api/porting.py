"""Porting checkpoints, and proving that nothing changed: `convert`, `verify`, `export`, `repair`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from sb3port.commands.convert import Conversion
    from sb3port.commands.export import Export
    from sb3port.commands.policies import ReadArguments
    from sb3port.environments.given import GivenWrapper
    from sb3port.parity.comparison.report import ParityReport


def convert(
    source: str | Path,
    dest: str | Path | None = None,
    *,
    filename: str | None = None,
    revision: str | None = None,
    vecnormalize: str | Path | None = None,
    use_stats: bool = True,
    assume_standard_forward: bool = False,
    extractor: str | None = None,
    sandbox: bool | None = None,
    verify: bool = True,
    force: bool = False,
) -> "Conversion":
    """Port an SB3 checkpoint to a LeRobot policy, and verify it. Nothing in the checkpoint is executed.

    Args:
        source: A Hub repository (`org/name`, `org/name@revision`), an SB3 zip, or a folder in a Hub layout.
        dest: Where the port shall lie; `ports/<name>` by default.
        filename: The zip within the source, where it holds several.
        revision: Branch, tag or commit of a Hub repository.
        vecnormalize: VecNormalize statistics to use instead of those that lie beside the zip.
        use_stats: False to leave VecNormalize statistics out, even where training used them.
        assume_standard_forward: Take a policy class of the author's own for SB3's, where its tensors are
            those of SB3's.
        extractor: `module:Class` of a features extractor whose code is your own; it is imported to verify.
        sandbox: Whether a process that can do nothing else reads the source; None for that where it comes
            from the Hub and the system is Linux.
        verify: False to skip the comparison with SB3.
        force: Replace the port at `dest`.

    Returns:
        The folder (`port`), what was read (`checkpoint`) and what was compared (`report`).

    Raises:
        sb3port.errors.Sb3portError: One of its subclasses, where nothing is written.
    """
    from sb3port.commands.convert import ConvertOptions
    from sb3port.commands.convert import convert as run
    from sb3port.commands.policies import read_options

    reading = read_options(
        filename, revision, vecnormalize, use_stats, assume_standard_forward, extractor, sandbox
    )
    options = ConvertOptions(reading, verify, force)
    return run(str(source), Path(dest) if dest is not None else None, options, lambda *_: None)


def verify(
    port: str | Path,
    *,
    source: str | Path | None = None,
    observations: str | Path | Sequence[str | Path] = (),
    env: str | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    wrappers: "Sequence[GivenWrapper]" = (),
    frame_stack: int | None = None,
    atol: float | None = None,
    reload: bool = True,
    extractor: str | None = None,
    use_masking: bool = True,
    **reading: "Unpack[ReadArguments]",
) -> "ParityReport":
    """Compare a port with its source, which is read anew.

    Args:
        port: A folder that `convert` wrote, its name on the Hub, the folder of a run for its best checkpoint,
            or what `convert` takes.
        source: Where the source is now, if not where the port was made from.
        observations: "recorded", "drawn", "edge", "rollout", or what `sb3port record` wrote, or several of
            these; by default what lies beside the source, or drawn ones. Edge cases are added in any case.
        env: A Gymnasium environment id, for rollouts and for the comparison of returns.
        env_kwargs: As for `evaluate`.
        wrappers: As for `evaluate`.
        frame_stack: As for `evaluate`.
        atol: Largest difference of outputs that passes, in place of the rule.
        reload: Whether another process shall load the port, too.
        extractor: `module:Class` that the port needs, whose code is your own.
        use_masking: False to let a maskable policy choose among all actions in `env`.
        **reading: `filename`, `revision`, `vecnormalize`, `use_stats`, `assume_standard_forward`, `sandbox`
            as for `convert`; `last=True` takes the last checkpoint of a run instead of the best.

    Returns:
        What was compared; its `verdict` says whether parity holds.

    Raises:
        sb3port.errors.Sb3portError: The port is broken, or a place is absent.
    """
    from sb3port.commands.policies import read_options
    from sb3port.commands.verify import VerifyOptions
    from sb3port.commands.verify import verify as run
    from sb3port.environments.given import around

    named = [observations] if isinstance(observations, str | Path) else observations
    said = around(env_kwargs, wrappers, frame_stack)
    how = read_options(extractor=extractor, **reading)
    options = VerifyOptions(tuple(map(str, named)), env, atol, reload, how, said, use_masking)
    return run(port, str(source) if source is not None else None, options)


def export(
    port: str | Path,
    dest: str | Path | None = None,
    *,
    to: str = "sb3",
    outputs: Sequence[str] = ("action",),
    raw: bool = False,
    rates: Mapping[str, float] | None = None,
    observations: Sequence[str | Path] = (),
    extractor: str | None = None,
    verify: bool = True,
    force: bool = False,
    **reading: "Unpack[ReadArguments]",
) -> "Export":
    """Export a port to SB3, ONNX, torch or numpy, and verify what was written.

    Args:
        port: A folder that `convert` wrote, its name on the Hub, the folder of a run for its best checkpoint,
            or what `convert` takes.
        dest: The folder to write; `exports/<name>-<format>` by default.
        to: "sb3", "onnx", "torch" or "numpy".
        outputs: Of "action", "value" and "log_prob", what a network on its own shall give.
        raw: Leave out the normaliser and the clipping of actions around such a network.
        rates: For "sb3", numbers in place of schedules, by name (`learning_rate`, `clip_range`).
        observations: Recorded ones to compare on, besides edge cases; by default drawn ones.
        extractor: `module:Class` that the port needs, whose code is your own.
        verify: False to skip the comparison with SB3.
        force: Replace the export at `dest`.
        **reading: As for `verify`.

    Returns:
        The folder (`folder`), its `files`, what was written (`checkpoint`) and compared (`report`).

    Raises:
        sb3port.errors.Sb3portError: One of its subclasses, where nothing is written.
    """
    from sb3port.commands.export import ExportOptions
    from sb3port.commands.export import export as run
    from sb3port.commands.policies import read_options
    from sb3port.exports.graphs import GraphOptions

    graph, named = GraphOptions(tuple(outputs), raw), tuple(map(str, observations))
    options = ExportOptions(to, graph, rates or {}, named, verify, force)
    how = read_options(extractor=extractor, **reading)
    return run(port, Path(dest) if dest is not None else None, how, options, lambda *_: None)


def repair(
    source: str | Path,
    dest: str | Path,
    *,
    filename: str | None = None,
    revision: str | None = None,
    vecnormalize: str | Path | None = None,
    use_stats: bool = True,
    assume_standard_forward: bool = False,
    extractor: str | None = None,
    sandbox: bool | None = None,
    rates: Mapping[str, float] | None = None,
    verify: bool = True,
    force: bool = False,
) -> "Export":
    """Write an SB3 checkpoint of any age anew, for today's SB3. Nothing in the checkpoint is executed.

    Args:
        source: As `convert` takes it, likewise the options that both have.
        dest: The folder to write.
        filename: The zip within the source, where it holds several.
        revision: Branch, tag or commit of a Hub repository.
        vecnormalize: VecNormalize statistics to use instead of those that lie beside the zip.
        use_stats: False to leave VecNormalize statistics out, even where training used them.
        assume_standard_forward: Take a policy class of the author's own for SB3's, where its tensors are
            those of SB3's.
        extractor: `module:Class` of a features extractor whose code is your own; it is imported.
        sandbox: Whether a process that can do nothing else reads the source; None for that where it comes
            from the Hub and the system is Linux.
        rates: Numbers in place of schedules, by name (`learning_rate`, `clip_range`).
        verify: False to skip the comparison with SB3.
        force: Replace the export at `dest`.

    Returns:
        As `export`.

    Raises:
        sb3port.errors.Sb3portError: One of its subclasses, where nothing is written.
    """
    from sb3port.commands.export import ExportOptions
    from sb3port.commands.export import repair as run
    from sb3port.commands.policies import read_options

    reading = read_options(
        filename, revision, vecnormalize, use_stats, assume_standard_forward, extractor, sandbox
    )
    options = ExportOptions(rates=rates or {}, verify=verify, force=force)
    return run(str(source), Path(dest), reading, options, lambda *_: None)
