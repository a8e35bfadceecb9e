"""Port Stable-Baselines3 checkpoints to LeRobot policies, and prove that nothing changed.

The functions here are the commands of the same names; what they need is imported when they are called.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gymnasium
    from stable_baselines3.common.vec_env import VecEnv
    from typing_extensions import Unpack

    from sb3port.checkpoint.version import __version__
    from sb3port.commands.convert import Conversion
    from sb3port.commands.evaluate import Evaluation
    from sb3port.commands.export import Export
    from sb3port.commands.policies import ReadArguments
    from sb3port.environments.given import GivenWrapper
    from sb3port.environments.recording import Recording
    from sb3port.exports.sb3_models import LoadedModel
    from sb3port.inference.policy import Backend, PortedPolicy
    from sb3port.parity.comparison.report import ParityReport
    from sb3port.ppo.runs.running import Outcome

__all__ = [
    "__version__",
    "convert",
    "evaluate",
    "export",
    "finetune",
    "load_model",
    "load_policy",
    "record",
    "repair",
    "train",
    "verify",
]


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


def evaluate(
    port: str | Path,
    env: str | None = None,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    wrappers: "Sequence[GivenWrapper]" = (),
    frame_stack: int | None = None,
    episodes: int = 10,
    seed: int = 0,
    deterministic: bool = True,
    n_envs: int = 1,
    extractor: str | None = None,
    **reading: "Unpack[ReadArguments]",
) -> "Evaluation":
    """Run a port in an environment, by default that of its training, and measure its returns.

    Args:
        port: A folder that `convert` wrote, its name on the Hub, the folder of a run for its best checkpoint,
            or what `convert` takes.
        env: A Gymnasium environment id; `module:Id` imports the module.
        env_kwargs: Arguments of the environment, each before that of the training.
        wrappers: In place of those of the training, innermost first: names of ours or of Gymnasium's, your
            own as `module:Class`, which are imported, or `{name: arguments}`.
        frame_stack: How many observations to put together outside of them, as SB3's VecFrameStack does.
        episodes: How many; there is one seed for each.
        seed: Of the first episode.
        deterministic: False to sample actions.
        n_envs: How many episodes run side by side.
        extractor: `module:Class` that the port needs, whose code is your own.
        **reading: As for `verify`.

    Returns:
        `mean`, `std`, `standard_error`, `success_rate`, `returns` and `lengths`.

    Raises:
        sb3port.errors.Sb3portError: The port is broken, or the environment is not one for it.
    """
    from sb3port.commands.evaluate import evaluate as run
    from sb3port.commands.policies import read_options
    from sb3port.environments.given import around

    said, seeds = around(env_kwargs, wrappers, frame_stack), range(seed, seed + episodes)
    how = read_options(extractor=extractor, **reading)
    return run(port, env, said, seeds, how, deterministic=deterministic, n_envs=n_envs)


def record(
    source: str | Path,
    env: str | None = None,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    wrappers: "Sequence[GivenWrapper]" = (),
    frame_stack: int | None = None,
    episodes: int = 10,
    seed: int = 0,
    deterministic: bool = True,
    extractor: str | None = None,
    **reading: "Unpack[ReadArguments]",
) -> "Recording":
    """Record what a policy sees, does and gets in an environment, by default that of its training.

    Args:
        source: A port, a run, or what `convert` takes, for which SB3's own policy acts.
        env: As for `evaluate`, likewise the other arguments.
        env_kwargs: Arguments of the environment.
        wrappers: What goes around it.
        frame_stack: How many observations to put together.
        episodes: How many; there is one seed for each.
        seed: Of the first episode.
        deterministic: False to sample actions.
        extractor: `module:Class` that the policy needs, whose code is your own.
        **reading: As for `verify`.

    Returns:
        The recording; `arrays()` are what `sb3port record` writes.

    Raises:
        sb3port.errors.Sb3portError: It cannot be read, or the environment is not one for it.
    """
    from sb3port.commands.policies import read_options
    from sb3port.commands.record import RecordOptions
    from sb3port.commands.record import record as run
    from sb3port.environments.given import around

    said = around(env_kwargs, wrappers, frame_stack)
    seeds = range(seed, seed + episodes)
    how = read_options(extractor=extractor, **reading)
    return run(source, RecordOptions(env, seeds, deterministic, how, said))


def train(
    env: str,
    out: str | Path,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    wrappers: "Sequence[GivenWrapper]" = (),
    frame_stack: int | None = None,
    steps: int | None = None,
    n_envs: int | None = None,
    seed: int | None = 0,
    algo: str = "ppo",
    hyperparameters: Mapping[str, Any] | None = None,
) -> "Outcome":
    """Train a new policy with PPO, as `sb3port train` does.

    Args:
        env: As for `evaluate`, likewise the arguments of the environment and what goes around it.
        out: Folder of the run.
        env_kwargs: Arguments of the environment.
        wrappers: What goes around it.
        frame_stack: How many observations to put together.
        steps: Environment steps; tuned ones by default.
        n_envs: Environments stepped together; tuned by default.
        seed: Of all random numbers.
        algo: "ppo", "ppo_mask" or "ppo_lstm".
        hyperparameters: By SB3's names, before tuned ones.

    Returns:
        The checkpoints: `last` and `best`, each with a port in `pretrained_model`.

    Raises:
        sb3port.errors.Sb3portError: Something does not fit, or the training diverged.
    """
    from sb3port.commands.train import PolicyOptions, RunOptions, begin_training, run
    from sb3port.environments.choosing import check_id
    from sb3port.environments.given import around

    said = around(env_kwargs, wrappers, frame_stack)
    settings = {"seed": seed}
    options = RunOptions(check_id(env), hyperparameters or {}, steps, n_envs, run=settings, around=said)
    return run(lambda: (begin_training(options, PolicyOptions(algo), lambda _: None), None), Path(out))


def finetune(
    port: str | Path,
    out: str | Path,
    steps: int,
    *,
    env: str | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    wrappers: "Sequence[GivenWrapper]" = (),
    frame_stack: int | None = None,
    n_envs: int | None = None,
    seed: int | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    extractor: str | None = None,
    **reading: "Unpack[ReadArguments]",
) -> "Outcome":
    """Go on with a port where its training stopped, as `sb3port finetune` does.

    Args:
        port: A folder that `convert` wrote, its name on the Hub, the folder of a run for its best checkpoint,
            or what `convert` takes.
        out: Folder of the run.
        steps: Environment steps to do.
        env: As for `evaluate`, likewise the arguments of the environment and what goes around it.
        env_kwargs: Arguments of the environment.
        wrappers: What goes around it.
        frame_stack: How many observations to put together.
        n_envs: Environments stepped together; those of the training by default.
        seed: Of all random numbers; that of the training by default.
        hyperparameters: By SB3's names, before those of the training.
        extractor: `module:Class` that the port needs, whose code is your own.
        **reading: As for `verify`.

    Returns:
        As `train`.

    Warns:
        UserWarning: Something is not as it was in the training.

    Raises:
        sb3port.errors.Sb3portError: Something does not fit, or the training diverged.
    """
    import warnings

    from sb3port.commands.policies import find_policy, read_options
    from sb3port.commands.train import RunOptions, begin_finetuning, run
    from sb3port.environments.given import around

    said = around(env_kwargs, wrappers, frame_stack)
    how = read_options(extractor=extractor, **reading)
    options = RunOptions(env, hyperparameters or {}, steps, n_envs, run={"seed": seed}, around=said)
    return run(lambda: begin_finetuning(find_policy(port, how), options, warnings.warn), Path(out))


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


def load_model(
    source: str | Path,
    env: "gymnasium.Env[Any, Any] | VecEnv | None" = None,
    *,
    extractor: str | None = None,
    device: str = "auto",
    **reading: "Unpack[ReadArguments]",
) -> "LoadedModel":
    """Give the SB3 model of a checkpoint of any age, for `PPO.load` and `VecNormalize.load` in one call.

    Nothing is unpickled. The model predicts as the original does, and learns on as `PPO.load(...).learn`
    would: with the optimiser's state, schedules and counters. Where SB3 draws random numbers to load, this
    draws as many.

    Args:
        source: Whatever `convert` takes, a port, or the folder of a run for its best checkpoint.
        env: A Gymnasium environment or a VecEnv to learn on in, without VecNormalize, which is put around it
            with the statistics of the training; None for a model that predicts.
        extractor: `module:Class` of a features extractor whose code is your own; it is imported.
        device: As for `PPO.load`.
        **reading: As for `verify`.

    Returns:
        The `model`, the `vec_normalize` of its observations, and what to know of it (`warnings`).

    Warns:
        UserWarning: A part of the checkpoint could not be read, or is not as it was.

    Raises:
        sb3port.errors.Sb3portError: It cannot be read, SB3 has no such model, or `env` has other spaces.
    """
    import warnings

    from sb3port.commands.own_code import blaming
    from sb3port.commands.policies import find_policy, read_options
    from sb3port.errors import need

    need("sb3", "sb3port.load_model")
    checkpoint = find_policy(source, read_options(extractor=extractor, **reading)).runnable
    from sb3port.exports.sb3_models import load_sb3_model

    with blaming(checkpoint.spec):
        loaded = load_sb3_model(checkpoint, env, device)
    for sentence in loaded.warnings:
        warnings.warn(sentence, stacklevel=2)
    return loaded


def load_policy(
    source: str | Path,
    backend: "Backend" = "auto",
    *,
    extractor: str | None = None,
    **reading: "Unpack[ReadArguments]",
) -> "PortedPolicy":
    """Load a policy that is called as SB3's models are, without LeRobot and without SB3.

    Args:
        source: A port, here or on the Hub, the folder of a run for its best checkpoint, or whatever `convert`
            takes, which nobody has verified then.
        backend: "torch" gives the bits of SB3's own `predict`. "numpy" does without torch, and starts in a
            fraction of the time; it gives them within noise, and has neither random actions nor features
            extractors of your own. "auto" is "torch" where that is installed, else "numpy".
        extractor: `module:Class` of a features extractor whose code is your own; it is imported. One that
            `lerobot_policy_ppo.register_extractor` knows need not be named.
        **reading: As for `verify`; ports need no sandbox.

    Warns:
        UserWarning: Files of the port are not as `convert` wrote them.

    Raises:
        sb3port.errors.Sb3portError: It cannot be read, or the backend does not have what the policy needs.
    """
    import warnings

    from sb3port.commands.loading import load

    policy, changes = load(source, backend, extractor, **reading)
    for sentence in changes:
        warnings.warn(sentence, stacklevel=2)
    return policy


if not TYPE_CHECKING:  # looking the version up takes as long as importing NumPy

    def __getattr__(name: str) -> str:
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from sb3port.checkpoint.version import __version__

        return __version__
