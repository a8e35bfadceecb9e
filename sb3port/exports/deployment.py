"""A policy with all that belongs around it, as one torch module: raw observations in, actions out.

Its networks and heads are those of `sb3port.networks`. The normaliser before them computes in
float64, as VecNormalize does, and actions are clipped or unscaled behind them, as by SB3's `predict`.
Observations have the shapes and types of the checkpoint's spaces, images have their channels first. A
recurrent policy makes one step: every row is another sequence, whose state comes in and goes out.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sb3port.checkpoint.checkpoint import Checkpoint, Normalizer, PolicySpec
from sb3port.checkpoint.frames import Stack, stacks_of
from sb3port.checkpoint.spaces import Box, Simple, Space, parts
from sb3port.errors import UsageError
from sb3port.exports.graphs import GraphOptions
from sb3port.families.algorithms import display_name
from sb3port.families.features import batch_keys, mask_size
from sb3port.networks.normaliser import normalize
from sb3port.networks.weights import build_policy

ACTOR_STATE, CRITIC_STATE = ("hidden_state", "cell_state"), ("critic_hidden_state", "critic_cell_state")


@dataclass(frozen=True)
class Input:
    """One input of the module.

    Args:
        shape: Without the rows.
        dtype: NumPy's name.
        rows: The dimension that counts them.
    """

    shape: tuple[int, ...]
    dtype: str
    rows: int = 0

    def example(self, count: int) -> Tensor:
        """Give an input of zeros; of masks, of ones."""
        shape = list(self.shape)
        shape.insert(self.rows, count)
        fill = torch.ones if self.dtype == "bool" else torch.zeros
        return fill(shape, dtype=getattr(torch, self.dtype))


class Deployment(nn.Module):
    """A policy for deployment.

    Attributes:
        inputs: By name, in the order in which `forward` takes them.
        outputs: Names of what `forward` gives, in order.

    Raises:
        UsageError: An output is asked that the policy does not have.
    """

    def __init__(self, checkpoint: Checkpoint, options: GraphOptions) -> None:
        super().__init__()
        spec, before = checkpoint.spec, checkpoint.normalizer
        self.check_outputs(spec, options)
        self.policy: Any = self.make_policy(checkpoint)
        self.inputs = _inputs(spec, before if options.raw else None, "value" in options.outputs)
        states = [name for name in self.inputs if name.endswith("_state")]
        self.outputs = (*options.outputs, *(f"next_{name}" for name in states))
        self.normalizers = nn.ModuleDict({} if options.raw else _normalizers(before, spec.observation_space))
        self._keys = batch_keys(spec.observation_space)
        self._parts = parts(spec.observation_space)
        self._finish = nn.Identity() if options.raw else _finish(spec)
        self.eval()

    def check_outputs(self, spec: PolicySpec, options: GraphOptions) -> None:
        """Refuse outputs that the policy has not, or that cannot be told well.

        Raises:
            UsageError: One is asked for.
        """
        refuse_absent(spec, options, ("action", "value", "log_prob"))
        _refuse_ill_conditioned(spec, options)

    def make_policy(self, checkpoint: Checkpoint) -> nn.Module:
        """Build the policy in torch."""
        return build_policy(checkpoint.spec, checkpoint.tensors)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Compute the outputs.

        Args:
            *tensors: The inputs, B rows each.
        """
        given = dict(zip(self.inputs, tensors, strict=True))
        observations = self.policy.preprocess(self._batch(given))
        pi = vf = self.policy.features_extractor(observations)
        if self.policy.vf_features_extractor is not None:
            vf = self.policy.vf_features_extractor(observations)
        latent, vf, states = self._remember(pi, vf, given)
        latent = self.policy.mlp_extractor.forward_actor(latent)
        extract = self.policy.sde_features_extractor
        scores, mask = self.policy.action_net(latent), given.get("action_mask")
        mode = self.policy.head.mode(scores, mask)
        found = {"action": self._finish(mode), **states}
        if "value" in self.outputs:
            found["value"] = self.policy.value_net(self.policy.mlp_extractor.forward_critic(vf)).flatten()
        if "log_prob" in self.outputs:
            noisy = latent if extract is None else extract(pi)
            distribution = self.policy.head.distribution(scores, self.policy.log_std, noisy, mask)
            found["log_prob"] = distribution.log_prob(self.policy.head.as_actions(mode))
        return tuple(found[name] for name in self.outputs)

    def _batch(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Normalise observations and put them under their keys, all but images flattened."""
        batch = {}
        for name, space in self._parts.items():
            values = given[input_name(name)]
            if _module_name(name) in self.normalizers:
                values = self.normalizers[_module_name(name)](values)
            is_image = isinstance(space, Box) and space.is_image
            # The dimension in between spares the preprocessor to look at the number of rows.
            batch[self._keys[name]] = values if is_image else values.reshape(-1, 1, space.size)
        return batch

    def _remember(
        self, pi: Tensor, vf: Tensor, given: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Run the LSTMs for one step; give what the MLPs get, and the states."""
        policy = self.policy
        if policy.lstm_actor is None:
            return pi, vf, {}
        latent, states = _step(policy.lstm_actor, pi, ACTOR_STATE, given)
        if policy.critic is not None:
            return latent, policy.critic(vf), states
        if policy.lstm_critic is None or CRITIC_STATE[0] not in given:
            return latent, latent, states
        critic, more = _step(policy.lstm_critic, vf, CRITIC_STATE, given)
        return latent, critic, states | more


def refuse_absent(spec: PolicySpec, options: GraphOptions, there: Collection[str]) -> None:
    """Refuse outputs that a policy does not have.

    Raises:
        UsageError: One is asked for.
    """
    if absent := [name for name in options.outputs if name not in there]:
        raise UsageError(
            f"policies of {display_name(spec.algorithm)} have no {' and no '.join(absent)}",
            f"choose of {', '.join(there)}",
        )


def _refuse_ill_conditioned(spec: PolicySpec, options: GraphOptions) -> None:
    """SB3 gets the log-probability of a squashed action by inverting tanh: near the bounds all is noise."""
    if "log_prob" in options.outputs and spec.squash_output and spec.use_sde:
        raise UsageError(
            "the log-probability of an action that is squashed by tanh hangs on its last bits",
            "leave log_prob out",
        )


def _step(
    lstm: nn.LSTM, features: Tensor, names: tuple[str, str], given: Mapping[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    keep = (1.0 - given["episode_start"].float()).view(1, -1, 1)
    hidden, cell = (keep * given[name] for name in names)
    output, states = lstm(features.unsqueeze(0), (hidden, cell))
    return output.squeeze(0), {f"next_{name}": state for name, state in zip(names, states, strict=True)}


def input_name(key: str) -> str:
    """Name the input of a part of the observations, "" where they are no Dict."""
    return f"observation.{key}" if key else "observation"


def _inputs(spec: PolicySpec, normalized: Normalizer | None, value: bool) -> dict[str, Input]:
    """Give the inputs by name.

    Args:
        spec: The policy.
        normalized: By what observations are normalised before they come here.
        value: Whether the critic's memory is needed.
    """
    floats = normalized.statistics if normalized else {}
    inputs = {
        input_name(key): Input(space.shape, "float32" if key in floats else _dtype(space))
        for key, space in parts(spec.observation_space).items()
    }
    if spec.maskable:
        inputs["action_mask"] = Input((mask_size(spec),), "bool")
    if spec.lstm_hidden_size is not None:
        own = value and spec.enable_critic_lstm
        state = Input((spec.n_lstm_layers, spec.lstm_hidden_size), "float32", rows=1)
        inputs |= dict.fromkeys((*ACTOR_STATE, *(CRITIC_STATE if own else ())), state)
        inputs["episode_start"] = Input((), "bool")
    return inputs


def _dtype(space: Simple) -> str:
    """NumPy's name of the type in which an environment gives observations of a space."""
    if isinstance(space, Box):
        return space.dtype
    return "int8" if type(space).__name__ == "MultiBinary" else "int64"


class _Normalize(nn.Module):
    """VecNormalize of one observation, in float64."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Any, std: Any, clip: float, stack: Stack | None) -> None:
        super().__init__()
        self.clip, self.stack = clip, stack
        if stack is not None:
            mean, std = stack.repeated(mean), stack.repeated(std)
        self.register_buffer("mean", torch.as_tensor(np.array(mean)))
        self.register_buffer("std", torch.as_tensor(np.array(std)))

    def forward(self, values: Tensor) -> Tensor:
        """Normalise rows; float32."""
        return normalize(values, self.mean, self.std, self.clip, self.stack)


def _normalizers(normalizer: Normalizer | None, space: Space) -> dict[str, nn.Module]:
    if normalizer is None:
        return {}
    stacks, clip = stacks_of(normalizer, space), normalizer.clip_obs
    return {
        _module_name(key): _Normalize(rms.mean, np.sqrt(rms.var + normalizer.epsilon), clip, stacks.get(key))
        for key, rms in normalizer.statistics.items()
    }


def _module_name(key: str) -> str:
    """Name the module of a key, which may hold dots."""
    return f"observation_{key.replace('.', '%2E')}"


def _finish(spec: PolicySpec) -> nn.Module:
    if not isinstance(spec.action_space, Box):
        return nn.Identity()
    return _ToBounds(spec.action_space, spec.squash_output)


class _ToBounds(nn.Module):
    """Clip actions to the bounds of a Box, or unscale them from [-1, 1], in NumPy's choice of type."""

    low: Tensor
    high: Tensor

    def __init__(self, space: Box, squashed: bool) -> None:
        super().__init__()
        self.squashed, self.shape = squashed, space.shape
        common = np.result_type(np.float32, space.dtype)
        for name in ("low", "high"):
            self.register_buffer(name, torch.as_tensor(getattr(space, name).astype(common)))

    def forward(self, actions: Tensor) -> Tensor:
        """Give actions in the shape of the space."""
        actions = actions.reshape(-1, *self.shape)
        if self.squashed:
            return self.low + (0.5 * (actions + 1.0)) * (self.high - self.low)
        return torch.minimum(torch.maximum(actions.to(self.low.dtype), self.low), self.high)
