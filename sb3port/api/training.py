"""Training policies, as functions: `train`, `finetune` and `resume`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from sb3port.commands.policies import ReadArguments
    from sb3port.commands.training_arguments import RunArguments
    from sb3port.environments.given import GivenWrapper
    from sb3port.environments.handed_over import HandedOver
    from sb3port.ppo.runs.callbacks import TrainingCallback
    from sb3port.ppo.runs.running import Outcome

    class FinetuneArguments(ReadArguments, RunArguments, total=False):
        """What `finetune` hands on: how the port is read, and how the run goes."""


def train(
    env: "str | HandedOver",
    out: str | Path,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    wrappers: "Sequence[GivenWrapper]" = (),
    frame_stack: int | None = None,
    steps: int | None = None,
    n_envs: int | None = None,
    seed: int | None = 0,
    algo: str = "ppo",
    policy: str | None = None,
    policy_kwargs: Mapping[str, Any] | None = None,
    normalize: bool | None = None,
    normalize_kwargs: Mapping[str, Any] | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    config: str | Path | None = None,
    eval_env: "str | HandedOver | None" = None,
    callbacks: "Sequence[TrainingCallback]" = (),
    **run: "Unpack[RunArguments]",
) -> "Outcome":
    """Train a new policy with PPO, as `sb3port train` does.

    Args:
        env: The id of an environment, such as `lerobot:pusht` for one of LeRobot's; or an environment, a
            function that makes one, several of either, or what SB3's `make_vec_env` gives.
        out: Folder of the run.
        env_kwargs: Arguments of the environment.
        wrappers: What goes around it.
        frame_stack: How many observations to put together.
        steps: Environment steps; tuned ones by default.
        n_envs: Environments stepped together; tuned by default.
        seed: Of all random numbers.
        algo: "ppo", "ppo_mask" or "ppo_lstm".
        policy: SB3's name of the policy; the one that fits by default.
        policy_kwargs: SB3's.
        normalize: Whether to normalise as VecNormalize does; tuned by default.
        normalize_kwargs: Arguments of VecNormalize.
        hyperparameters: By SB3's names, before tuned ones.
        config: A file of hyperparameters in rl_zoo3's form.
        eval_env: Where to evaluate and film, in any of the ways of `env`; by default as `env`. An environment
            that is made already needs one, or it is not evaluated.
        callbacks: Who is told how it goes, and may end it: `sb3port.TrainingCallback`.
        **run: `save_every`, `eval_every`, `eval_episodes`, `eval_seed`, `video_every`, `track`, `engine`,
            `device`, `vec_env`, `use_masking`, `demonstrations`, `bc_epochs`, `critic_warmup`, `kl_coef`: as
            the options of the command.

    Returns:
        The checkpoints: `last` and `best`, each with a port in `pretrained_model`.

    Warns:
        UserWarning: Something may not be as it was meant.

    Raises:
        sb3port.errors.Sb3portError: Something does not fit, or the training diverged.
    """
    import warnings

    from sb3port.commands import scripted
    from sb3port.commands.train import begin_training
    from sb3port.commands.train import run as run_it
    from sb3port.commands.training_arguments import PolicyOptions
    from sb3port.environments.given import around

    said = around(env_kwargs, wrappers, frame_stack)
    place = scripted.where(env, eval_env, said)
    options = scripted.run_options(
        place,
        said,
        {"seed": seed, **run},
        given=hyperparameters,
        steps=steps,
        n_envs=n_envs,
        normalize_kwargs=normalize_kwargs,
        config=config,
    )
    new = PolicyOptions(algo, policy, policy_kwargs, normalize)
    return run_it(
        lambda: (begin_training(options, new, lambda _: None, warnings.warn), None),
        Path(out),
        *callbacks,
        make=place.make,
    )


def finetune(
    port: str | Path,
    out: str | Path,
    steps: int,
    *,
    env: "str | HandedOver | None" = None,
    env_kwargs: Mapping[str, Any] | None = None,
    wrappers: "Sequence[GivenWrapper]" = (),
    frame_stack: int | None = None,
    n_envs: int | None = None,
    seed: int | None = None,
    normalize_kwargs: Mapping[str, Any] | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    config: str | Path | None = None,
    extractor: str | None = None,
    eval_env: "str | HandedOver | None" = None,
    callbacks: "Sequence[TrainingCallback]" = (),
    **more: "Unpack[FinetuneArguments]",
) -> "Outcome":
    """Go on with a port where its training stopped, as `sb3port finetune` does.

    Args:
        port: A folder that `convert` wrote, its name on the Hub, the folder of a run for its best checkpoint,
            or what `convert` takes.
        out: Folder of the run.
        steps: Environment steps to do.
        env: As for `train`; that of the port's training by default.
        env_kwargs: Arguments of the environment.
        wrappers: What goes around it.
        frame_stack: How many observations to put together.
        n_envs: Environments stepped together; those of the training by default.
        seed: Of all random numbers; that of the training by default.
        normalize_kwargs: Arguments of VecNormalize, before those of the training.
        hyperparameters: By SB3's names, before those of the training.
        config: A file of hyperparameters in rl_zoo3's form.
        extractor: `module:Class` that the port needs, whose code is your own.
        eval_env: As for `train`.
        callbacks: As for `train`.
        **more: As for `verify` what is read, and as for `train` how the run goes.

    Returns:
        As `train`.

    Warns:
        UserWarning: Something is not as it was in the training.

    Raises:
        sb3port.errors.Sb3portError: Something does not fit, or the training diverged.
    """
    import warnings

    from sb3port.commands import scripted
    from sb3port.commands.policies import find_policy, read_options
    from sb3port.commands.train import begin_finetuning
    from sb3port.commands.train import run as run_it
    from sb3port.environments.given import around

    said = around(env_kwargs, wrappers, frame_stack)
    reading, run = scripted.divided(more)
    place = scripted.where(env, eval_env, said)
    options = scripted.run_options(
        place,
        said,
        {"seed": seed, **run},
        given=hyperparameters,
        steps=steps,
        n_envs=n_envs,
        normalize_kwargs=normalize_kwargs,
        config=config,
    )
    how = read_options(extractor=extractor, **reading)
    return run_it(
        lambda: begin_finetuning(find_policy(port, how), options, warnings.warn),
        Path(out),
        *callbacks,
        make=place.make,
    )


def resume(
    run: str | Path,
    steps: int | None = None,
    *,
    env: "str | HandedOver | None" = None,
    env_kwargs: Mapping[str, Any] | None = None,
    wrappers: "Sequence[GivenWrapper]" = (),
    frame_stack: int | None = None,
    extractor: str | None = None,
    eval_env: "str | HandedOver | None" = None,
    callbacks: "Sequence[TrainingCallback]" = (),
) -> "Outcome":
    """Go on with a run where it was cut off, or beyond its end, as `sb3port train --resume` does.

    Args:
        run: Its folder, or a checkpoint in it.
        steps: How many steps it shall have done in all; as many as it was to do by default.
        env: As for `train`; needed where the run had none that Gymnasium itself brings.
        env_kwargs: Arguments of the environment, likewise.
        wrappers: What goes around it, likewise.
        frame_stack: How many observations to put together, likewise.
        extractor: `module:Class` that the policy needs, whose code is your own.
        eval_env: As for `train`.
        callbacks: As for `train`.

    Returns:
        As `train`.

    Warns:
        UserWarning: The environments do not come back to where they were.

    Raises:
        sb3port.errors.Sb3portError: There is nothing to go on with, or something does not fit.
    """
    import warnings

    from sb3port.commands import scripted
    from sb3port.commands.train import resume_run, run_to_end
    from sb3port.environments.given import around

    said = around(env_kwargs, wrappers, frame_stack)
    place = scripted.where(env, eval_env, said)
    trainer, origin, out = resume_run(
        Path(run), warnings.warn, (place.env, said), extractor, steps, place.own
    )
    return run_to_end(trainer, origin, out, *callbacks, make=place.make)
