"""What `train` and `finetune` do, without the command line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sb3port.checkpoint import Checkpoint
from sb3port.environments import check_spaces
from sb3port.errors import UsageError
from sb3port.ppo.checkpoints import LAST
from sb3port.ppo.choosing import plan_for
from sb3port.ppo.finetuning import as_ppo, believed, normaliser_of
from sb3port.ppo.fresh import ALGORITHMS, fresh_spec
from sb3port.ppo.hyperparameters import Hyperparameters, defaults
from sb3port.ppo.plans import Plan, with_options
from sb3port.ppo.running import make_environments, prepare
from sb3port.ppo.settings import RunSettings, without_statistics
from sb3port.ppo.starting import start_fresh, start_from
from sb3port.ppo.trainer import Trainer
from sb3port.readers.port import read_port
from sb3port.readers.zoo_values import read_kwargs

_CHECKPOINTS = 10

type Announce = Callable[[str], None]


@dataclass(frozen=True)
class RunOptions:
    """What both commands are told; None for what the user leaves open.

    Args:
        env: Gymnasium environment id.
        given: Hyperparameters by SB3's names.
        steps: Environment steps to do.
        n_envs: How many environments.
        normalize_kwargs: Arguments of VecNormalize as Python writes a dictionary.
        save_every: Steps between checkpoints.
        run: Fields of `RunSettings` as they are.
    """

    env: str
    given: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None
    n_envs: int | None = None
    normalize_kwargs: str | None = None
    save_every: int | None = None
    run: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PolicyOptions:
    """What `train` is told of the new policy.

    Args:
        algorithm: "ppo", "ppo_mask" or "ppo_lstm".
        config: A file of rl_zoo3's.
        policy: SB3's name of the policy.
        policy_kwargs: As Python writes a dictionary.
        normalize: Whether to normalise.
    """

    algorithm: str = "ppo"
    config: Path | None = None
    policy: str | None = None
    policy_kwargs: str | None = None
    normalize: bool | None = None


def begin_training(options: RunOptions, new: PolicyOptions, announce: Announce) -> Trainer:
    """Begin with a new policy.

    Args:
        options: What the user asked for.
        new: What the policy shall be.
        announce: Called with where the hyperparameters are from.

    Raises:
        Sb3portError: With the exit code of the contract.
    """
    if new.algorithm not in ALGORITHMS:
        raise UsageError(f"there is no --algo {new.algorithm}", f"known: {', '.join(ALGORITHMS)}")
    prepare(options.run.get("device", "cpu"))
    plan = _plan(options, new)
    announce(plan.source)
    settings = plan.hyperparameters(defaults(new.algorithm), options.given)
    run = RunSettings(
        options.env,
        plan.n_timesteps,
        settings,
        plan.n_envs,
        normalise=plan.normalizer(settings.gamma),
        save_every=options.save_every or max(1, plan.n_timesteps // _CHECKPOINTS),
        **options.run,
    )
    _check_sizes(run)
    envs = make_environments(run)
    kwargs = dict(plan.policy_kwargs)
    optimizer = str(kwargs.pop("optimizer_class", "Adam")), kwargs.pop("optimizer_kwargs", None)
    spaces = envs.observation_space, envs.action_space
    spec = fresh_spec(new.algorithm, plan.policy, *spaces, settings.use_sde, kwargs)
    return start_fresh(run, spec, envs, *optimizer)


def _plan(options: RunOptions, new: PolicyOptions) -> Plan:
    """Give the plan for the environment, changed by what the user gave."""
    plan = plan_for(options.env, new.config)
    normalize = _kwargs(options.normalize_kwargs, "--normalize-kwargs")
    if new.normalize is False:
        plan = replace(plan, normalize=None)
    elif new.normalize or normalize is not None:
        plan = replace(plan, normalize={**(plan.normalize or {}), **(normalize or {})})
    given = {
        "n_timesteps": options.steps,
        "n_envs": options.n_envs,
        "policy": new.policy,
        "policy_kwargs": _kwargs(new.policy_kwargs, "--policy-kwargs"),
    }
    return with_options(plan, given)


def begin_finetuning(port: Path, options: RunOptions, warn: Announce) -> tuple[Trainer, Checkpoint]:
    """Go on with a port.

    Args:
        port: The port.
        options: What the user asked for.
        warn: Called with a sentence for each thing that is not as it was in the training.

    Returns:
        The trainer, and the checkpoint it goes on from.

    Raises:
        Sb3portError: With the exit code of the contract.
    """
    prepare(options.run.get("device", "cpu"))
    checkpoint, notes = as_ppo(read_port(port))
    settings, others, doubts = believed(checkpoint, options.given)
    flags = _kwargs(options.normalize_kwargs, "--normalize-kwargs") or {}
    normalizer, rewards = normaliser_of(checkpoint, flags)
    checkpoint = replace(checkpoint, normalizer=normalizer)
    for sentence in (*notes, *doubts, *rewards):
        warn(sentence)
    steps = options.steps or 0
    seed = options.run.get("seed")
    run = RunSettings(
        options.env,
        int(others.get("num_timesteps") or 0) + steps,
        settings,
        options.n_envs or int(others.get("n_envs") or 1),
        normalise=None if normalizer is None else without_statistics(normalizer),
        save_every=options.save_every or max(1, steps // _CHECKPOINTS),
        **{**options.run, "seed": seed if seed is not None else int(others.get("seed") or 0)},
    )
    _check_sizes(run)
    envs = make_environments(run)
    check_spaces(envs, checkpoint.spec, options.env)
    return start_from(run, checkpoint, envs), checkpoint


def refuse_run(out: Path) -> None:
    """Refuse a folder that holds a run already.

    Raises:
        UsageError: It does.
    """
    if (out / "checkpoints" / LAST).exists():
        raise UsageError(f"{out} holds a run already", f"go on with it: sb3port train --resume {out}")


def _check_sizes(run: RunSettings) -> None:
    """Refuse what makes advantages NaN, as SB3 does.

    Raises:
        UsageError: A rollout or a minibatch has one transition, whose advantages cannot be normalised.
    """
    settings: Hyperparameters = run.hyperparameters
    alone = settings.n_steps * run.n_envs == 1 or settings.batch_size == 1
    if settings.normalize_advantage and alone:
        raise UsageError(
            "n_steps * n_envs and batch_size must be greater than 1 for advantages to be normalised",
            "take larger ones, or --no-normalize-advantage",
        )


def _kwargs(text: str | None, name: str) -> dict[str, Any] | None:
    return None if text is None else read_kwargs(text, name)
