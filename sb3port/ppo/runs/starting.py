"""How a training begins: from scratch or where a checkpoint stopped, with SB3's random numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch

from sb3port.checkpoint.checkpoint import Array, Checkpoint, Normalizer, OptimizerState, PolicySpec
from sb3port.checkpoint.frames import Shape, Stack, stack_of
from sb3port.checkpoint.spaces import parts
from sb3port.networks.actor_critic import ActorCritic
from sb3port.networks.weights import build_policy, load_tensors, of_parameters, policy_tensors
from sb3port.parity.observations.demonstrations import Demonstrations
from sb3port.ppo.engines.base import Learner
from sb3port.ppo.engines.choosing import Work, choose_engine
from sb3port.ppo.engines.optimisers import new_optimizer
from sb3port.ppo.engines.table import make_engine
from sb3port.ppo.ranks.base import ALONE, Ranks
from sb3port.ppo.rollout.environments import Environments
from sb3port.ppo.rollout.normalisation import RunningNormaliser
from sb3port.ppo.rollout.random_state import set_seed
from sb3port.ppo.runs.cloning import Lesson, clone
from sb3port.ppo.runs.finetuning import steps_done
from sb3port.ppo.runs.settings import RunSettings
from sb3port.ppo.runs.several import agreed, draw_apart, own_seed
from sb3port.ppo.runs.trainer import Beginning, Counters, Trainer


def start_fresh(
    settings: RunSettings,
    spec: PolicySpec,
    envs: Environments,
    optimizer_class: str = "Adam",
    optimizer_kwargs: Mapping[str, Any] | None = None,
    ranks: Ranks = ALONE,
    demonstrations: Demonstrations | None = None,
) -> Trainer:
    """Begin with a new policy: what SB3's constructor and the beginning of `learn` do.

    Demonstrations are cloned before.
    """
    settings = agreed(settings, ranks)
    set_seed(settings.seed)
    policy = ActorCritic(spec)
    optimizer = new_optimizer(policy, optimizer_class, optimizer_kwargs or {})
    chosen = optimizer_class, optimizer
    made = _trainer(settings, spec, envs, policy, chosen, settings.normalise, ranks, 0, demonstrations)
    return _begun(made)


def start_from(
    settings: RunSettings,
    checkpoint: Checkpoint,
    envs: Environments,
    ranks: Ranks = ALONE,
    demonstrations: Demonstrations | None = None,
) -> Trainer:
    """Go on where a checkpoint stopped: what `PPO.load` and `learn(reset_num_timesteps=False)` do.

    Demonstrations are cloned before.
    """
    settings = agreed(settings, ranks)
    set_seed(settings.seed)
    return _begun(restored(settings, checkpoint, envs, ranks, demonstrations))


def _begun(trainer: Trainer) -> Trainer:
    """Begin the first episodes."""
    seed, ranks = trainer.settings.seed, trainer.ranks
    draw_apart(ranks, seed)
    trainer.collector.begin(own_seed(seed, ranks, trainer.envs.count))
    return trainer


def restored(
    settings: RunSettings,
    checkpoint: Checkpoint,
    envs: Environments,
    ranks: Ranks = ALONE,
    demonstrations: Demonstrations | None = None,
    reference: Mapping[str, Array] | None = None,
) -> Trainer:
    """Make a trainer with the state of a checkpoint, without beginning an episode.

    Args:
        settings: What the run was told.
        checkpoint: The policy, its optimiser and normaliser.
        envs: The environments.
        ranks: Who trains together.
        demonstrations: To be cloned before, where the run begins.
        reference: Weights of the policy that it stays near, as a run that goes on has kept them.
    """
    spec, training = checkpoint.spec, checkpoint.training
    policy = ActorCritic(spec)
    load_tensors(policy, checkpoint.tensors)
    if spec.use_sde:
        policy.reset_noise()
    optimizer = optimizer_of(checkpoint, policy)
    chosen = training.optimizer_class, optimizer
    done = steps_done(checkpoint)
    own = (checkpoint.normalizer, ranks, done, demonstrations, reference)
    return _trainer(settings, spec, envs, policy, chosen, *own)


def optimizer_of(checkpoint: Checkpoint, policy: ActorCritic) -> OptimizerState:
    """Give the state of a checkpoint's optimiser, a new one where it has none.

    Raises:
        NotPortable: It does not fit the policy's parameters.
    """
    found, training = checkpoint.optimizer, checkpoint.training
    if found is None:
        return new_optimizer(policy, training.optimizer_class, training.optimizer_kwargs)
    # JSON has made lists of torch's tuples.
    group = {key: tuple(value) if isinstance(value, list) else value for key, value in found.group.items()}
    return of_parameters(replace(found, group=group), policy, checkpoint.tensors)


def _trainer(
    settings: RunSettings,
    spec: PolicySpec,
    envs: Environments,
    policy: ActorCritic,
    optimizer: tuple[str, OptimizerState],
    normalizer: Normalizer | None,
    ranks: Ranks,
    done: int = 0,
    demonstrations: Demonstrations | None = None,
    reference: Mapping[str, Array] | None = None,
) -> Trainer:
    normaliser = None
    if normalizer is not None:
        seen = _normalised(normalizer, settings.norm_obs_keys, spec)
        stacks = _stacks(normalizer, seen, settings.environment.frame_stack or 1)
        frames = {key: stacks[key].frame if key in stacks else shape for key, shape in seen.items()}
        normaliser = RunningNormaliser(normalizer, frames, envs.count, stacks, ranks)
    cloned = None
    if demonstrations is not None:
        cloned = clone(policy, normaliser, _lesson(settings, demonstrations))
    if settings.kl_coef and reference is None:
        reference = policy_tensors(policy)
    learner = _learner(settings, policy, optimizer, ranks, reference)
    choice = choose_engine(settings.engine, learner, Work(settings.until - done, settings.n_envs))
    settings = replace(settings, engine=choice.name)
    engine = make_engine(choice.name, learner)
    named = (optimizer[0], Counters(done), choice.reason, ranks, Beginning(cloned, reference))
    return Trainer(settings, spec, envs, normaliser, engine, *named)


def _lesson(settings: RunSettings, demonstrations: Demonstrations) -> Lesson:
    size, device = settings.hyperparameters.batch_size, torch.device(settings.device)
    return Lesson(demonstrations, settings.bc_epochs, size, settings.seed or 0, device)


def _learner(
    settings: RunSettings,
    policy: ActorCritic,
    optimizer: tuple[str, OptimizerState],
    ranks: Ranks,
    reference: Mapping[str, Array] | None,
) -> Learner:
    device, mixed = torch.device(settings.device), settings.mixed_precision
    kept = None if reference is None else build_policy(policy.spec, reference)
    parts = (policy.spec, policy, settings.hyperparameters, *optimizer, device, ranks, mixed)
    return Learner(*parts, kept, settings.kl_coef)


def _normalised(normalizer: Normalizer, keys: Iterable[str] | None, spec: PolicySpec) -> dict[str, Shape]:
    """Give the shapes of the observations that are normalised: all, those named, or those with statistics."""
    if not normalizer.norm_obs:
        return {}
    found = {key: part.shape for key, part in parts(spec.observation_space).items()}
    kept = normalizer.statistics or keys or found
    return {key: shape for key, shape in found.items() if key in kept}


def _stacks(normalizer: Normalizer, seen: Mapping[str, Shape], count: int) -> dict[str, Stack]:
    """Tell which observations are stacks of frames that are normalised one by one.

    Their statistics tell, by their shape; where these begin anew, frames are normalised and then stacked, as
    rl_zoo3 does it.

    Args:
        normalizer: What is gone on from.
        seen: The shapes of the observations that are normalised.
        count: How many frames a VecFrameStack puts together, outside of all wrappers.
    """
    if normalizer.statistics:
        frames = {key: rms.mean.shape for key, rms in normalizer.statistics.items()}
    else:
        frames = {key: (*shape[:-1], shape[-1] // count) for key, shape in seen.items() if shape}
    found = {key: stack_of(frames[key], shape) for key, shape in seen.items() if key in frames}
    return {key: stack for key, stack in found.items() if stack is not None}
