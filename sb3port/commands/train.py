"""What `train` and `finetune` do, without the command line."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sb3port.checkpoint.checkpoint import Checkpoint, EnvironmentSpec, Normalizer
from sb3port.commands.own_code import use_extractor
from sb3port.commands.policies import Policy
from sb3port.commands.training_plans import plan_for
from sb3port.environments.choosing import choose_environment
from sb3port.environments.fresh_spec import check_policy, fresh_spec
from sb3port.environments.given import AS_IN_TRAINING, Around
from sb3port.environments.making import EPISODE_LENGTH
from sb3port.environments.same_spaces import check_spaces
from sb3port.errors import NotPortable, UsageError
from sb3port.families.wrappers import wrapper_warnings
from sb3port.ppo.hyperparameters import Hyperparameters, defaults
from sb3port.ppo.runs.checkpoints import find_checkpoint
from sb3port.ppo.runs.finetuning import as_ppo, normaliser_of, plan_of, steps_done, whole_number
from sb3port.ppo.runs.plans import Plan, vec_normalize_flags, with_options
from sb3port.ppo.runs.refusals import (
    check_normalised,
    check_sizes,
    refuse_other_policy,
    refuse_run,
    refuse_starts,
    refuse_unknown,
)
from sb3port.ppo.runs.settings import RunSettings, without_statistics
from sb3port.readers.meaning.zoo_values import read_kwargs

if TYPE_CHECKING:  # what is wrong is said before torch is loaded
    from sb3port.ppo.rollout.environments import Environments
    from sb3port.ppo.runs.running import Outcome
    from sb3port.ppo.runs.trainer import Trainer

_CHECKPOINTS = 10

Announce: TypeAlias = Callable[[str], None]


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
        config: A file of rl_zoo3's.
        run: Fields of `RunSettings` as they are.
        around: What the user says of the environment beside its id.
    """

    env: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None
    n_envs: int | None = None
    normalize_kwargs: str | None = None
    save_every: int | None = None
    config: Path | None = None
    run: Mapping[str, Any] = field(default_factory=dict)
    around: Around = AS_IN_TRAINING


@dataclass(frozen=True)
class PolicyOptions:
    """What `train` is told of the new policy.

    Args:
        algorithm: "ppo", "ppo_mask" or "ppo_lstm".
        policy: SB3's name of the policy.
        policy_kwargs: As Python writes a dictionary.
        normalize: Whether to normalise.
    """

    algorithm: str = "ppo"
    policy: str | None = None
    policy_kwargs: str | None = None
    normalize: bool | None = None


def begin_training(
    options: RunOptions, new: PolicyOptions, announce: Announce, warn: Announce = lambda _: None
) -> "Trainer":
    """Begin with a new policy.

    Args:
        options: What the user asked for.
        new: What the policy shall be.
        announce: Called with where the hyperparameters are from.
        warn: Called with a sentence for each thing that may not be as it was meant.

    Raises:
        Sb3portError: With the exit code of the contract.
    """
    plan = _plan(options, new)
    check_policy(new.algorithm, plan.policy, plan.policy_kwargs)
    announce(plan.source)
    settings = plan.hyperparameters(defaults(new.algorithm), options.given)
    environment = _environment(plan.environment, options)
    refuse_unknown(environment, plan)
    run = _run(options, plan, settings, environment, plan.normalizer(settings.gamma))
    from sb3port.ppo.runs.running import prepare
    from sb3port.ppo.runs.starting import start_fresh
    from sb3port.ppo.runs.stepping import chosen, make_environments

    prepare(run.device)
    run = chosen(run, warn)
    envs = make_environments(run)
    kwargs = dict(plan.policy_kwargs)
    optimizer = str(kwargs.pop("optimizer_class", "Adam")), kwargs.pop("optimizer_kwargs", None)
    spaces = envs.observation_space, envs.action_space
    spec = fresh_spec(new.algorithm, plan.policy, *spaces, settings.use_sde, kwargs)
    check_normalised(run, spec)
    refuse_starts(spec)
    for sentence in (*check_spaces(envs, spec, run.env), *_of_cuts(envs, run), *_of_last_minibatch(run)):
        warn(sentence)
    return start_fresh(run, spec, envs, *optimizer)


def begin_finetuning(policy: Policy, options: RunOptions, warn: Announce) -> "tuple[Trainer, Checkpoint]":
    """Go on with a policy.

    Args:
        policy: A port or a SOURCE, as `find_policy` found it.
        options: What the user asked for.
        warn: Called with a sentence for each thing that is not as it was in the training.

    Returns:
        The trainer, and the checkpoint it goes on from.

    Raises:
        Sb3portError: With the exit code of the contract.
    """
    _refuse_no_steps(options)
    checkpoint, notes = as_ppo(policy.checkpoint)
    refuse_other_policy(checkpoint.spec, options.given)
    plan, doubts = _finetuning_plan(checkpoint, options)
    flags = _kwargs(options.normalize_kwargs, "--normalize-kwargs") or {}
    normalizer, rewards = normaliser_of(checkpoint, {**(plan.normalize or {}), **flags})
    settings = plan.hyperparameters(defaults(checkpoint.spec.algorithm), options.given)
    environment = _environment(plan.environment, options)
    for sentence in (*policy.warnings, *notes, *doubts, *rewards, *wrapper_warnings(environment)):
        warn(sentence)
    checkpoint = replace(checkpoint, normalizer=normalizer)
    flags_alone = None if normalizer is None else without_statistics(normalizer)
    if options.run.get("seed") is None:
        options = replace(options, run={**options.run, "seed": whole_number(checkpoint, "seed", 2**32)})
    run = _run(options, plan, settings, environment, flags_alone, steps_done(checkpoint))
    use_extractor(checkpoint.spec, policy.options.extractor, policy.label)
    from sb3port.ppo.runs.running import prepare
    from sb3port.ppo.runs.starting import start_from
    from sb3port.ppo.runs.stepping import chosen, make_environments

    prepare(run.device)
    run = chosen(run, warn)
    envs = make_environments(run)
    for sentence in (
        *check_spaces(envs, checkpoint.spec, run.env),
        *_of_cuts(envs, run),
    ):
        warn(sentence)
    return start_from(run, checkpoint, envs), checkpoint


def run(begin: "Callable[[], tuple[Trainer, Checkpoint | None]]", out: Path) -> "Outcome":
    """Begin a run, train to its end, and close its environments.

    Raises:
        UsageError: The folder holds a run already.
        Sb3portError: As `begin`; or the training diverged.
    """
    refuse_run(out)
    trainer, origin = begin()
    from sb3port.ppo.runs.running import Watcher, train

    with closing(trainer.envs):
        return train(trainer, origin, out, Watcher())


def resume_run(
    path: Path,
    warn: Announce,
    environment: tuple[str | None, Around],
    extractor: str | None,
    until: int | None = None,
) -> "tuple[Trainer, Checkpoint, Path]":
    """Bring a run back to a checkpoint; see `ppo.runs.running.resume`.

    Args:
        path: The folder of the run, or a checkpoint in it.
        warn: Called with sentences.
        environment: Its id and what else the user says of it: a file alone does not decide what is imported.
        extractor: `module:Class` that the policy needs, whose code is the user's own.
        until: At how many steps in all the run shall end; None where it was to end.

    Raises:
        Sb3portError: With the exit code of the contract.
    """
    find_checkpoint(path)
    from sb3port.ppo.runs.running import resume

    return resume(path, warn, *environment, lambda spec: use_extractor(spec, extractor, str(path)), until)


def _plan(options: RunOptions, new: PolicyOptions) -> Plan:
    """Give the plan for the environment, changed by what the user gave."""
    plan = plan_for(options.env or "", options.config)
    normalize = _kwargs(options.normalize_kwargs, "--normalize-kwargs")
    vec_normalize_flags(normalize or {}, "the command line")
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


def _refuse_no_steps(options: RunOptions) -> None:
    if options.config is None and options.steps is None:
        raise UsageError("--steps is needed", "say how many environment steps to do, such as --steps 1e5")


def _finetuning_plan(checkpoint: Checkpoint, options: RunOptions) -> tuple[Plan, list[str]]:
    """Give the plan of a file, or else the checkpoint's, and what to say of it."""
    if options.config is None:
        plan, sentences = plan_of(checkpoint, options.given)
    else:
        env_id = choose_environment(checkpoint.environment, options.env, options.around).env_id or ""
        plan, sentences = plan_for(env_id, options.config), []
        plan = replace(
            plan,
            # gSDE belongs to the policy, which there is already.
            settings={**plan.settings, "use_sde": checkpoint.spec.use_sde},
            environment=replace(plan.environment, env_id=env_id),
        )
    return with_options(plan, {"n_timesteps": options.steps, "n_envs": options.n_envs}), sentences


def _environment(known: EnvironmentSpec, options: RunOptions) -> EnvironmentSpec:
    """Give what to train in: what is known of it, or what the user wants instead."""
    return replace(choose_environment(known, options.env, options.around), sources=("training",))


def _run(
    options: RunOptions,
    plan: Plan,
    settings: Hyperparameters,
    environment: EnvironmentSpec,
    normalise: Normalizer | None,
    done: int = 0,
) -> RunSettings:
    """Put together what the run is told; `done` steps were done before."""
    check_sizes(settings, plan.n_envs)
    return RunSettings(
        environment,
        done + plan.n_timesteps,
        settings,
        plan.n_envs,
        normalise=normalise,
        norm_obs_keys=plan.norm_obs_keys,
        save_every=options.save_every or max(1, plan.n_timesteps // _CHECKPOINTS),
        **options.run,
    )


def _of_cuts(envs: "Environments", run: RunSettings) -> list[str]:
    """Say where evaluations would never end."""
    if envs.time_limit is not None or not run.eval_episodes:
        return []
    return [
        f"{run.env} has no time limit, so that episodes of evaluations are cut after {EPISODE_LENGTH} steps; "
        "register it with max_episode_steps to have another one"
    ]


def _of_last_minibatch(run: RunSettings) -> list[str]:
    """Say where a rollout is not whole minibatches, as SB3's PPO does when it is made, but not on `load`."""
    size, batch = run.hyperparameters.n_steps * run.n_envs, run.hyperparameters.batch_size
    if size % batch == 0:
        return []
    return [
        f"a rollout of n_steps * n_envs = {size:,} transitions is no multiple of batch_size = {batch:,}, so "
        f"that the last minibatch of each epoch has only {size % batch:,}: take a batch_size that divides it"
    ]


def _kwargs(text: str | None, name: str) -> dict[str, Any] | None:
    try:
        return None if text is None else read_kwargs(text, name)
    except NotPortable as error:
        raise UsageError(error.message, "write it as Python does, such as dict(net_arch=[64, 64])") from error
