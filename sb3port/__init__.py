"""Port Stable-Baselines3 checkpoints to LeRobot policies, and prove that nothing changed.

The functions here are the commands of the same names; what they need is imported when they are called.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sb3port.checkpoint.version import __version__

if TYPE_CHECKING:
    from sb3port.commands.convert import Conversion
    from sb3port.commands.export import Export
    from sb3port.inference.policy import Backend, PortedPolicy
    from sb3port.parity.comparison.report import ParityReport

__all__ = ["__version__", "convert", "export", "load_policy", "repair", "verify"]


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
    from sb3port.readers.places.source import SourceOptions

    narrowed = SourceOptions(filename, revision, Path(vecnormalize) if vecnormalize is not None else None)
    reading = (narrowed, use_stats, assume_standard_forward, extractor)
    options = ConvertOptions(*reading, verify=verify, force=force, sandbox=sandbox)
    return run(str(source), Path(dest) if dest is not None else None, options, lambda *_: None)


def verify(
    port: str | Path,
    *,
    source: str | Path | None = None,
    observations: str | Path | Sequence[str | Path] = (),
    env: str | None = None,
    atol: float | None = None,
    reload: bool = True,
    extractor: str | None = None,
    sandbox: bool | None = None,
    use_masking: bool = True,
) -> "ParityReport":
    """Compare a port with its source, which is read anew.

    Args:
        port: A folder that `convert` wrote, or its name on the Hub.
        source: Where the source is now, if not where the port was made from.
        observations: "recorded", "drawn", "edge", "rollout", or what `sb3port record` wrote, or several of
            these; by default what lies beside the source, or drawn ones. Edge cases are added in any case.
        env: A Gymnasium environment id, for rollouts and for the comparison of returns.
        atol: Largest difference of outputs that passes, in place of the rule.
        reload: Whether another process shall load the port, too.
        extractor: `module:Class` that the port needs, whose code is your own.
        sandbox: As for `convert`.
        use_masking: False to let a maskable policy choose among all actions in `env`.

    Returns:
        What was compared; its `verdict` says whether parity holds.

    Raises:
        sb3port.errors.Sb3portError: The port is broken, or a place is absent.
    """
    from sb3port.commands.verify import VerifyOptions
    from sb3port.commands.verify import verify as run

    named = [observations] if isinstance(observations, str | Path) else observations
    options = VerifyOptions(tuple(map(str, named)), env, atol, reload, extractor, sandbox, use_masking)
    return run(Path(port), str(source) if source is not None else None, options)


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
) -> "Export":
    """Export a port to SB3, ONNX, torch or numpy, and verify what was written.

    Args:
        port: A folder that `convert` wrote, or its name on the Hub.
        dest: The folder to write; `exports/<name>-<format>` by default.
        to: "sb3", "onnx", "torch" or "numpy".
        outputs: Of "action", "value" and "log_prob", what a network on its own shall give.
        raw: Leave out the normaliser and the clipping of actions around such a network.
        rates: For "sb3", numbers in place of schedules, by name (`learning_rate`, `clip_range`).
        observations: Recorded ones to compare on, besides edge cases; by default drawn ones.
        extractor: `module:Class` that the port needs, whose code is your own.
        verify: False to skip the comparison with SB3.
        force: Replace the export at `dest`.

    Returns:
        The folder (`folder`), its `files`, what was written (`checkpoint`) and compared (`report`).

    Raises:
        sb3port.errors.Sb3portError: One of its subclasses, where nothing is written.
    """
    from sb3port.commands.export import ExportOptions
    from sb3port.commands.export import export as run
    from sb3port.exports.graphs import GraphOptions

    graph, named = GraphOptions(tuple(outputs), raw), tuple(map(str, observations))
    options = ExportOptions(to, graph, rates or {}, named, extractor, verify, force)
    return run(Path(port), Path(dest) if dest is not None else None, options, lambda *_: None)


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
    from sb3port.commands.export import ExportOptions, ReadOptions
    from sb3port.commands.export import repair as run
    from sb3port.readers.places.source import SourceOptions

    narrowed = SourceOptions(filename, revision, Path(vecnormalize) if vecnormalize is not None else None)
    reading = ReadOptions(narrowed, use_stats, assume_standard_forward, extractor, sandbox)
    options = ExportOptions(rates=rates or {}, verify=verify, force=force)
    return run(str(source), Path(dest), reading, options, lambda *_: None)


def load_policy(
    source: str | Path, backend: "Backend" = "torch", *, sandbox: bool | None = None
) -> "PortedPolicy":
    """Load a policy that is called as SB3's models are, without LeRobot and without SB3.

    Args:
        source: A port, here or on the Hub, or whatever `convert` takes, which nobody has verified then.
        backend: "torch" gives the bits of SB3's own `predict`. "numpy" does without torch; it gives them
            within noise, and has neither convolutions nor LSTMs nor random actions.
        sandbox: As for `convert`; ports need none.

    Warns:
        UserWarning: Files of the port are not as `convert` wrote them.

    Raises:
        sb3port.errors.Sb3portError: It cannot be read, or the backend does not have what the policy needs.
    """
    import warnings

    from sb3port.commands.convert import read_anything
    from sb3port.inference.policy import PortedPolicy
    from sb3port.ports.unchanged import change_warnings
    from sb3port.readers.places.source import SourceOptions

    checkpoint, port = read_anything(str(source), SourceOptions(), sandbox=sandbox)
    for sentence in change_warnings(port) if port is not None else ():
        warnings.warn(sentence, stacklevel=2)
    return PortedPolicy(checkpoint, backend)
