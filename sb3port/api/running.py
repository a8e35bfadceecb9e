"""Running policies, as functions: `load_policy`, `load_model`, `evaluate`, `record`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gymnasium
    from stable_baselines3.common.vec_env import VecEnv
    from typing_extensions import Unpack

    from sb3port.commands.evaluate import Evaluation
    from sb3port.commands.policies import ReadArguments
    from sb3port.environments.given import GivenWrapper
    from sb3port.environments.recording import Recording
    from sb3port.exports.sb3_models import LoadedModel
    from sb3port.inference.policy import Backend, PortedPolicy


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
