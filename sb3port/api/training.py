"""Training policies, as functions: `train` and `finetune`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from sb3port.commands.policies import ReadArguments
    from sb3port.environments.given import GivenWrapper
    from sb3port.ppo.runs.running import Outcome


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
