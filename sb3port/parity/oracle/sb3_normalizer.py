"""SB3's own VecNormalize, built from statistics that were read statically."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from stable_baselines3.common.running_mean_std import RunningMeanStd as Sb3RunningMeanStd
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from stable_baselines3.common.vec_env.stacked_observations import StackedObservations

from sb3port.checkpoint.checkpoint import Array, Normalizer, PolicySpec, RunningMeanStd
from sb3port.checkpoint.frames import Stack, frame_space, stacks_of
from sb3port.checkpoint.spaces import Dict, parts
from sb3port.networks.gymnasium_spaces import SpacesOnly, gymnasium_space


class ObservationNormalizer(Protocol):
    """What normalises observations: a VecNormalize, or one of single frames."""

    norm_obs_keys: list[str] | None
    clip_obs: float

    def normalize_obs(self, obs: Any) -> Any:
        """Normalise a batch of raw observations, `(B, *shape)` or a dictionary of them."""


def build_normalizer(spec: PolicySpec, normalizer: Normalizer | None) -> ObservationNormalizer | None:
    """Build SB3's VecNormalize with a checkpoint's statistics, around an environment that only has spaces."""
    if normalizer is None or not normalizer.statistics:
        return None
    statistics = {key: _sb3_statistics(rms) for key, rms in normalizer.statistics.items()}
    is_dict = isinstance(spec.observation_space, Dict)
    frame = frame_spec(spec, normalizer)
    built = VecNormalize(
        DummyVecEnv([lambda: SpacesOnly(frame)]),
        training=False,
        clip_obs=normalizer.clip_obs,
        epsilon=normalizer.epsilon,
        norm_obs_keys=list(statistics) if is_dict else None,
    )
    built.obs_rms = statistics if is_dict else statistics[""]
    return with_frames(built, spec, normalizer)


def frame_spec(spec: PolicySpec, normalizer: Normalizer | None) -> PolicySpec:
    """Give a spec with the observations that VecNormalize sees, of which a policy may see several."""
    stacks = stacks_of(normalizer, spec.observation_space)
    return replace(spec, observation_space=frame_space(spec.observation_space, stacks))


def with_frames(
    built: VecNormalize, spec: PolicySpec, normalizer: Normalizer | None
) -> ObservationNormalizer:
    """Give a VecNormalize as it is, or one that takes stacks where its statistics are of one frame."""
    stacks = stacks_of(normalizer, spec.observation_space)
    return _OfFrames(built, spec, stacks) if stacks else built


class _OfFrames:
    """SB3's VecNormalize and the stack that its VecFrameStack keeps, which are shown frame by frame.

    Args:
        built: Of single frames.
        spec: The policy's.
        stacks: How frames lie in the observations that are normalised, by key.
    """

    def __init__(self, built: VecNormalize, spec: PolicySpec, stacks: Mapping[str, Stack]) -> None:
        self.norm_obs_keys, self.clip_obs = built.norm_obs_keys, built.clip_obs
        self._built, self._stacks = built, stacks
        self._spaces = parts(frame_space(spec.observation_space, stacks))

    def normalize_obs(self, obs: Any) -> Any:
        """Normalise raw stacks; what is not there yet stays 0."""
        if not isinstance(obs, dict):
            return self._stacked("", obs)
        return {key: self._stacked(key, rows) if key in self._stacks else rows for key, rows in obs.items()}

    def _stacked(self, key: str, rows: Array) -> Array:
        stack = self._stacks[key]
        order = "last" if stack.axis == len(stack.frame) - 1 else "first"
        kept = StackedObservations(len(rows), stack.count, gymnasium_space(self._spaces[key]), order)
        begun = np.zeros(len(rows), np.bool_)
        for number, frame in enumerate(np.split(rows, stack.count, axis=stack.axis + 1)):
            flat = frame.reshape(len(rows), -1)
            begun |= (flat.view(f"u{flat.itemsize}") != 0).any(axis=1) | (number == stack.count - 1)
            seen = self._normalized(key, frame)
            seen[~begun] = 0
            kept.update(seen, np.zeros(len(rows), np.bool_), [{} for _ in rows])
        return np.asarray(kept.stacked_obs, np.float32)

    def _normalized(self, key: str, frame: Array) -> Array:
        rms: Any = self._built.obs_rms[key] if key else self._built.obs_rms
        return np.asarray(self._built._normalize_obs(frame, rms), np.float32)


def _sb3_statistics(saved: RunningMeanStd) -> Sb3RunningMeanStd:
    rms = Sb3RunningMeanStd(shape=saved.mean.shape)
    rms.mean, rms.var, rms.count = saved.mean, saved.var, saved.count
    return rms
