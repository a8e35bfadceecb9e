"""A policy as it is deployed: a function from named arrays to named arrays, whatever runs it."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from sb3port.checkpoint.checkpoint import Array, Checkpoint
from sb3port.checkpoint.spaces import Box, parts
from sb3port.exports.graphs import GraphOptions, Run
from sb3port.networks.observations import Observations, ObservationSet
from sb3port.networks.outputs import Outputs, in_sequence
from sb3port.parity.oracle.oracle import Oracle
from sb3port.parity.oracle.sb3_normalizer import build_normalizer

_STATES = ("hidden_state", "cell_state", "critic_hidden_state", "critic_cell_state")
_REMEMBERED = ("action", "value")
_OF_A_SAMPLE = ("sampled_action", "log_prob")


class Deployed:
    """An exported network, which acts deterministically and scores its own actions.

    Args:
        run: Computes its outputs.
        checkpoint: What it was written from.
        options: What it takes and gives.
    """

    def __init__(self, run: Run, checkpoint: Checkpoint, options: GraphOptions) -> None:
        self._run, self._spec, self._options = run, checkpoint.spec, options
        self._normalizer = build_normalizer(self._spec, checkpoint.normalizer) if options.raw else None

    @property
    def gives(self) -> Collection[str]:
        """The outputs that were asked for, and of a recurrent policy its states and what comes of them."""
        names = {self._name(output) for output in self._options.outputs}
        if self._spec.lstm_hidden_size is None:
            return names
        return names | {"final_states"} | {f"remembered_{name}" for name in _REMEMBERED if name in names}

    def oracle(self, checkpoint: Checkpoint) -> Oracle:
        """Build what it is compared with."""
        return _Deterministic(checkpoint)

    def shown(self, observations: ObservationSet) -> ObservationSet:
        """Give observations in the types of their spaces, which are those of its inputs."""
        return replace(observations, batches=lambda: map(self._shown, observations.batches()))

    def outputs(self, observations: Observations, actions: Array) -> Outputs:  # noqa: ARG002
        """Compute what it gives, on one batch.

        Args:
            observations: Raw.
            actions: Not looked at, because it scores its own.
        """
        feeds = self._feeds(observations)
        if observations.states is None or observations.starts is None:
            return self._named(self._run(feeds))
        found = self._steps(feeds, observations, observations.states, observations.starts)
        never = np.zeros_like(observations.starts)
        forgetful = self._steps(feeds, observations, np.zeros_like(observations.states), never)
        remembered = {name: self._named(forgetful).get(name) for name in _REMEMBERED}
        kept = {f"remembered_{name}": array for name, array in remembered.items() if array is not None}
        return {**self._named(found), **kept}

    def _shown(self, batch: Observations) -> Observations:
        spaces = parts(self._spec.observation_space)
        typed = {key: _in_type(array, spaces[key]) for key, array in batch.parts.items()}
        recorded = {name: array for name, array in batch.recorded.items() if name not in _OF_A_SAMPLE}
        return replace(batch, parts=typed, recorded=recorded)

    def _feeds(self, observations: Observations) -> dict[str, Array]:
        values = observations.values
        if self._normalizer is not None:
            values = self._normalizer.normalize_obs(values)
        found = values if isinstance(values, dict) else {"": values}
        feeds = {f"observation.{key}" if key else "observation": array for key, array in found.items()}
        return feeds if observations.masks is None else {**feeds, "action_mask": observations.masks}

    def _steps(
        self, feeds: dict[str, Array], observations: Observations, initial: Array, starts: Array
    ) -> dict[str, Array]:
        """Step through all sequences together, as on a robot; what comes out goes in again."""
        states, found = dict(zip(_STATES, initial, strict=True)), []
        for step in range(observations.steps):
            rows = slice(step, None, observations.steps)
            shown = {name: array[rows] for name, array in feeds.items()}
            outputs = self._run({**shown, **states, "episode_start": starts[rows]})
            states |= {name: outputs.pop(f"next_{name}") for name in _STATES if f"next_{name}" in outputs}
            found.append(outputs)
        sequences = {name: in_sequence([outputs[name] for outputs in found]) for name in found[0]}
        return {**sequences, "final_states": np.stack([states[name] for name in _STATES[:2]])}

    def _named(self, found: dict[str, Array]) -> Outputs:
        return {self._name(name): array for name, array in found.items()}

    def _name(self, output: str) -> str:
        """Name an output as the oracle does: an action that is not clipped is the distribution's mode."""
        return "mode" if output == "action" and self._options.raw else output


class _Deterministic(Oracle):
    """An oracle that takes the most likely actions for samples, so that log-probabilities are theirs."""

    def sample(self, observations: Observations) -> Array:
        return self.outputs(observations, super().sample(observations))["mode"]


def _in_type(array: Array, space: object) -> Array:
    return array.astype(space.dtype) if isinstance(space, Box) else array
