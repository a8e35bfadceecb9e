"""Recordings: what a policy saw, did, thought and got in real episodes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.version import __version__
from sb3port.files.staging import staged_file
from sb3port.networks.observations import Observations
from sb3port.networks.outputs import Outputs


@dataclass(frozen=True)
class Recording:
    """N steps of some episodes, one after the other.

    Args:
        env: The Gymnasium environment.
        policy: What acted, in words.
        deterministic: Whether it took its most likely actions.
        fps: Steps per second, as the environment is drawn.
        spec: The policy's.
        seeds: One per episode.
        observations: What was seen, raw, with masks and the memory of recurrent policies.
        outputs: What was thought, by name: `action`, the deterministic one, `mode`, `value`, `log_prob` of
            the sampled action and `entropy`; see `networks.outputs`. Empty where chance acted.
        taken: The actions that the environment was given, `(N, *shape)`.
        sampled: The same as the distribution gave them, neither clipped nor scaled, `(N, A)` or `(N,)`.
        reward: The environment's own, float64 `(N,)`.
        terminated: Whether the episode ended there, bool `(N,)`.
        truncated: Whether it was cut off there, bool `(N,)`.
        episode: Index of the episode, int64 `(N,)`.
        step: Index of the step in it, int64 `(N,)`.
        warnings: What to know before relying on the policy.
        env_kwargs: Arguments of the environment.
        wrappers: What was put around it, innermost first.
    """

    env: str
    policy: str
    deterministic: bool
    fps: int
    spec: PolicySpec
    seeds: tuple[int, ...]
    observations: Observations
    outputs: Outputs
    taken: Array
    sampled: Array
    reward: Array
    terminated: Array
    truncated: Array
    episode: Array
    step: Array
    warnings: tuple[str, ...] = ()
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    wrappers: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def returns(self) -> tuple[float, ...]:
        """Undiscounted return of each episode."""
        return tuple(np.bincount(self.episode, self.reward, len(self.seeds)).tolist())

    def describe(self) -> dict[str, Any]:
        """Say what was recorded, as JSON values."""
        return {
            "sb3port": __version__,
            "env": self.env,
            "env_kwargs": dict(self.env_kwargs),
            "wrappers": list(self.wrappers),
            "policy": self.policy,
            "algorithm": self.spec.algorithm,
            "deterministic": self.deterministic,
            "fps": self.fps,
            "seeds": list(self.seeds),
            "steps": len(self),
        }

    def arrays(self) -> dict[str, Array]:
        """Give everything under the names of a `reference.npz`, and what a rollout has beyond.

        There `action` is the deterministic one, so that of a random rollout is `taken_action`.
        """
        seen = {f"observation.{k}" if k else "observation": v for k, v in self.observations.parts.items()}
        shown = self.observations
        extras = {"action_mask": shown.masks, "episode_starts": shown.starts, "initial_states": shown.states}
        return {
            **seen,
            **{name: array for name, array in extras.items() if array is not None},
            **self.outputs,
            **({"action": self.taken} if self.deterministic else {"taken_action": self.taken}),
            "sampled_action": self.sampled,
            "reward": self.reward,
            "terminated": self.terminated,
            "truncated": self.truncated,
            "done": self.terminated | self.truncated,
            "episode": self.episode,
            "step": self.step,
            "seed": np.asarray(self.seeds, np.int64),
            # Numbers only: a text would make `verify` refuse the file.
            "metadata": np.frombuffer(json.dumps(self.describe()).encode(), np.uint8),
        }


def write_npz(recording: Recording, dest: Path, force: bool = False) -> None:
    """Write a recording, which `verify --observations` takes; `Recording.arrays` says what is in it.

    Raises:
        UsageError: `dest` exists and `force` is false, or it cannot be written.
    """
    with staged_file(dest, force) as path, path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **recording.arrays())
