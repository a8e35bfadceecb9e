"""What `train` and `finetune` do, without the command line."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sb3port.checkpoint.checkpoint import Checkpoint, EnvironmentSpec, Normalizer, PolicySpec
from sb3port.commands.own_code import use_extractor
from sb3port.commands.policies import Policy
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.commands.training_plans import plan_for
from sb3port.environments.choosing import choose_environment
from sb3port.environments.fresh_spec import check_policy, fresh_spec
from sb3port.environments.given import Around
from sb3port.environments.handed_over import OwnEnvironments
from sb3port.environments.making import EPISODE_LENGTH
from sb3port.environments.same_spaces import check_spaces
from sb3port.environments.wrapping import beyond_lerobot
from sb3port.errors import NotPortable, UsageError
from sb3port.families.wrappers import wrapper_warnings
from sb3port.ppo.hyperparameters import Hyperparameters, defaults
from sb3port.ppo.ranks.joining import join
from sb3port.ppo.runs.checkpoints import find_checkpoint
from sb3port.ppo.runs.finetuning import as_ppo, normaliser_of, plan_of, steps_done, whole_number
from sb3port.ppo.runs.plans import Plan, vec_normalize_flags, with_options
from sb3port.ppo.runs.recipes import Recipe, check_policy_of, check_recipe, of_statistics
from sb3port.ppo.runs.refusals import (
    check_normalised,
    check_sizes,
    check_watching,
    refuse_other_policy,
    refuse_run,
    refuse_starts,
    refuse_unknown,
)
from sb3port.ppo.runs.settings import RunSettings, without_statistics
from sb3port.readers.meaning.zoo_values import read_kwargs

if TYPE_CHECKING:  # what is wrong is said before torch is loaded
    from sb3port.parity.observations.demonstrations import Demonstrations
    from sb3port.ppo.ranks.base import Ranks
    from sb3port.ppo.rollout.environments import Environments
    from sb3port.ppo.rollout.episodes import MakeEnv
    from sb3port.ppo.runs.callbacks import TrainingCallback
    from sb3port.ppo.runs.running import Outcome
    from sb3port.ppo.runs.trainer import Trainer

_CHECKPOINTS = 10

Announce: TypeAlias = Callable[[str], None]


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
    check_recipe(options.recipe, is_new=True)
    plan = _plan(options, new)
    check_policy(new.algorithm, plan.policy, plan.policy_kwargs)
    announce(plan.source)
    settings = plan.hyperparameters(defaults(new.algorithm), options.given)
    environment = _environment(plan.environment, options)
    refuse_unknown(environment, plan)
    run = _run(options, plan, settings, environment, plan.normalizer(settings.gamma))
    from sb3port.ppo.runs.starting import start_fresh

    run, envs, ranks = _environments(run, options.own, warn)
    kwargs = dict(plan.policy_kwargs)
    optimizer = str(kwargs.pop("optimizer_class", "Adam")), kwargs.pop("optimizer_kwargs", None)
    spaces = envs.observation_space, envs.action_space
    spec = fresh_spec(new.algorithm, plan.policy, *spaces, settings.use_sde, kwargs)
    check_normalised(run, spec)
    refuse_starts(spec)
    shown = _demonstrations(options.recipe, spec, ranks)
    of_run = (*_of_cuts(envs, run), *_of_last_minibatch(run), *of_statistics(run))
    for sentence in (*check_spaces(envs, spec, run.env), *beyond_lerobot(run.environment), *of_run):
        warn(sentence)
    return start_fresh(run, spec, envs, *optimizer, ranks=ranks, demonstrations=shown)


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
    check_recipe(options.recipe, is_new=False)
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
    from sb3port.ppo.runs.starting import start_from

    run, envs, ranks = _environments(run, options.own, warn)
    for sentence in (
        *check_spaces(envs, checkpoint.spec, run.env),
        *_of_cuts(envs, run),
    ):
        warn(sentence)
    shown = _demonstrations(options.recipe, checkpoint.spec, ranks)
    return start_from(run, checkpoint, envs, ranks, shown), checkpoint


def run(
    begin: "Callable[[], tuple[Trainer, Checkpoint | None]]",
    out: Path,
    *callbacks: "TrainingCallback",
    make: "MakeEnv | None" = None,
) -> "Outcome":
    """Begin a run, train to its end, and close its environments.

    Args:
        begin: Gives the trainer, and the checkpoint that it goes on from.
        out: The folder of the run.
        callbacks: Who is told how it goes.
        make: Makes the environment of evaluations and films; by default as those of the training.

    Raises:
        UsageError: The folder holds a run already.
        Sb3portError: As `begin`; or the training diverged.
    """
    refuse_run(out)
    trainer, origin = begin()
    return run_to_end(trainer, origin, out, *callbacks, make=make)


def run_to_end(
    trainer: "Trainer",
    origin: Checkpoint | None,
    out: Path,
    *callbacks: "TrainingCallback",
    make: "MakeEnv | None" = None,
) -> "Outcome":
    """Train to the end with a report of the run, and close the environments; see `run`."""
    from sb3port.ppo.runs.report import RunReport
    from sb3port.ppo.runs.running import train

    with closing(trainer.envs):
        return train(trainer, origin, out, *callbacks, RunReport(trainer.spec.algorithm), make=make)


def resume_run(
    path: Path,
    warn: Announce,
    environment: tuple[str | None, Around],
    extractor: str | None,
    until: int | None = None,
    own: OwnEnvironments | None = None,
) -> "tuple[Trainer, Checkpoint, Path]":
    """Bring a run back to a checkpoint; see `ppo.runs.resuming.resume`.

    Args:
        path: The folder of the run, or a checkpoint in it.
        warn: Called with sentences.
        environment: Its id and what else the user says of it: a file alone does not decide what is imported.
        extractor: `module:Class` that the policy needs, whose code is the user's own.
        until: At how many steps in all the run shall end; None where it was to end.
        own: Environments that a script hands over in place of an id.

    Raises:
        Sb3portError: With the exit code of the contract.
    """
    find_checkpoint(path)
    from sb3port.ppo.runs.resuming import resume

    before = partial(use_extractor, named=extractor, where=str(path))
    return resume(path, warn, *environment, before, until, _make(own), join())


def _plan(options: RunOptions, new: PolicyOptions) -> Plan:
    """Give the plan for the environment, changed by what the user gave."""
    plan = plan_for(_name(options), options.config)
    normalize = _kwargs(options.normalize_kwargs, "--normalize-kwargs")
    vec_normalize_flags(normalize or {}, "the command line")
    if new.normalize is False:
        plan = replace(plan, normalize=None)
    elif new.normalize or normalize is not None:
        plan = replace(plan, normalize={**(plan.normalize or {}), **(normalize or {})})
    given = {
        "n_timesteps": options.steps,
        "n_envs": _count(options),
        "policy": new.policy,
        "policy_kwargs": _kwargs(new.policy_kwargs, "--policy-kwargs"),
    }
    return with_options(plan, given)


def _demonstrations(recipe: Recipe, spec: PolicySpec, ranks: "Ranks") -> "Demonstrations | None":
    """Read what is to be cloned, once it is known that the policy can do what it is to begin with."""
    from sb3port.parity.observations.demonstrations import read_demonstrations

    check_policy_of(recipe, spec, ranks)
    return None if recipe.demonstrations is None else read_demonstrations(recipe.demonstrations, spec)


def _refuse_no_steps(options: RunOptions) -> None:
    if options.config is None and options.steps is None:
        raise UsageError("--steps is needed", "say how many environment steps to do, such as --steps 1e5")


def _finetuning_plan(checkpoint: Checkpoint, options: RunOptions) -> tuple[Plan, list[str]]:
    """Give the plan of a file, or else the checkpoint's, and what to say of it."""
    if options.config is None:
        plan, sentences = plan_of(checkpoint, options.given)
    else:
        env_id = _environment(checkpoint.environment, options).env_id or ""
        plan, sentences = plan_for(env_id, options.config), []
        plan = replace(
            plan,
            # gSDE belongs to the policy, which there is already.
            settings={**plan.settings, "use_sde": checkpoint.spec.use_sde},
            environment=replace(plan.environment, env_id=env_id),
        )
    return with_options(plan, {"n_timesteps": options.steps, "n_envs": _count(options)}), sentences


def _environment(known: EnvironmentSpec, options: RunOptions) -> EnvironmentSpec:
    """Give what to train in: what is known of it, or what the user wants instead."""
    if options.own is not None:
        return options.own.environment
    return replace(choose_environment(known, options.env, options.around), sources=("training",))


def _stepped(run: RunSettings, own: OwnEnvironments | None, tell: Announce) -> RunSettings:
    """Settle how environments are stepped; those of a script one after the other, if that is left open."""
    from sb3port.ppo.runs.stepping import chosen

    if own is None:
        return chosen(run, tell)
    return replace(run, vec_env="dummy") if run.vec_env == "auto" else run


def _make(own: OwnEnvironments | None) -> "MakeEnv | None":
    return None if own is None else own.make()


def _name(options: RunOptions) -> str:
    own = options.own
    return options.env or (own is not None and own.environment.env_id) or ""


def _count(options: RunOptions) -> int | None:
    """Give how many environments there shall be, None where the user leaves it open.

    Raises:
        UsageError: There is another number of them already.
    """
    there = None if options.own is None else options.own.count
    if there is not None and options.n_envs not in (None, there):
        raise UsageError(
            f"n_envs is {options.n_envs}, and {there} are made already", "give a function that makes one"
        )
    return there or options.n_envs


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
    check_watching(options.run)
    return RunSettings(
        environment,
        done + plan.n_timesteps,
        settings,
        plan.n_envs,
        normalise=normalise,
        norm_obs_keys=plan.norm_obs_keys,
        save_every=options.save_every or max(1, plan.n_timesteps // _CHECKPOINTS),
        actor_from=done + options.recipe.critic_warmup if options.recipe.critic_warmup else 0,
        **options.recipe.fields,
        **options.run,
    )


def _environments(
    run: RunSettings, own: OwnEnvironments | None, warn: Announce
) -> "tuple[RunSettings, Environments, Ranks]":
    """Meet the other processes, where there are some, and make this one's share of the environments."""
    from sb3port.ppo.runs.running import prepare
    from sb3port.ppo.runs.several import check_shares, share_of
    from sb3port.ppo.runs.stepping import make_environments

    ranks = join()
    check_shares(run, ranks)
    prepare(run.device, ranks)
    run = replace(run, vec_env=ranks.of_first(_stepped(share_of(run, ranks), own, warn).vec_env))
    return run, make_environments(share_of(run, ranks), _make(own)), ranks


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


def _kwargs(given: str | Mapping[str, Any] | None, name: str) -> dict[str, Any] | None:
    """Read a dictionary; of classes, such as `torch.nn.ReLU`, only the name counts."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        return {key: v.__name__ if isinstance(v, type) else v for key, v in given.items()}
    try:
        return read_kwargs(given, name)
    except NotPortable as error:
        raise UsageError(error.message, "write it as Python does, such as dict(net_arch=[64, 64])") from error
