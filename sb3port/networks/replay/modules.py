"""The networks of these policies, each with its features extractor, named as in SB3.

The kinds of networks are those of `sb3port.families.replay.kinds`; `KINDS` has a class for each.

Source: `stable_baselines3/{sac,td3,dqn}/policies.py`, `sb3_contrib/{tqc,qrdqn,crossq,ars}/policies.py`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sb3port.checkpoint.checkpoint import ReplaySpec
from sb3port.checkpoint.spaces import Box, Discrete
from sb3port.networks.distributions import ActionDistribution
from sb3port.networks.extractors import make_extractor
from sb3port.networks.gaussian import StateDependentGaussian, StateDependentHead
from sb3port.networks.replay.gaussian import SquashedGaussian
from sb3port.networks.replay.layers import BatchRenorm, make_layers

_LOG_STD = (-20, 2)  # between which SB3 clamps it

Seen = Tensor | dict[str, Tensor]


class Network(nn.Module):
    """A network behind a features extractor.

    Attributes:
        features_extractor: From preprocessed observations to features; None where another network's is used.

    Args:
        spec: The policy's.
        extractor: Another network's, which this one has, too; None for one of its own.
    """

    def __init__(self, spec: ReplaySpec, extractor: nn.Module | None = None) -> None:
        super().__init__()
        self.spec, self._borrowed = spec, [extractor]  # in a list, so that its weights are saved once
        self.features_extractor = make_extractor(spec) if extractor is None else None
        self.n_features = int((extractor or self.features_extractor).features_dim)  # type: ignore[union-attr, arg-type]

    @property
    def extractor(self) -> nn.Module:
        """What gives its features."""
        found = self._borrowed[0] or self.features_extractor
        assert found is not None
        return found


class Actor(Network):
    """A network that acts. Its `latents` are of its own kind; the other methods take them."""

    def latents(self, seen: Seen) -> Tensor:
        """Give what actions are made of, for preprocessed observations."""
        raise NotImplementedError

    def mode(self, latents: Tensor) -> Tensor:
        """Give the deterministic actions: `(B, A)`, or int64 `(B,)`."""
        raise NotImplementedError

    def sample(self, latents: Tensor) -> Tensor:
        """Draw actions; of a network without chance they are those of `mode`."""
        return self.mode(latents)

    def compared(self, latents: Tensor) -> dict[str, Tensor]:
        """Give what the network computes, by the names of `sb3port.networks.outputs`."""
        raise NotImplementedError


class GaussianActor(Actor):
    """The actor of SAC, TQC and CrossQ."""

    def __init__(self, spec: ReplaySpec, extractor: nn.Module | None = None) -> None:
        super().__init__(spec, extractor)
        assert isinstance(spec.action_space, Box)
        pi, actions = spec.net_arch.pi, spec.action_space.size
        self.latent_pi = make_layers((self.n_features, *pi), spec, has_output=False)
        if spec.batch_norm and pi:
            self.latent_pi.append(BatchRenorm(pi[-1], spec.batch_norm_eps))
        width = (self.n_features, *pi)[-1]
        sizes = spec.sde_net_arch
        self.sde_features_extractor = (
            None if sizes is None else make_layers((self.n_features, *sizes), spec, has_output=False)
        )
        mean: nn.Module = nn.Linear(width, actions)
        if spec.use_sde:
            self.head = StateDependentHead(spec.action_space, spec)
            self.log_std: Any = nn.Parameter(
                self.head.initial_log_std(width if sizes is None else (self.n_features, *sizes)[-1])
            )
            if spec.clip_mean > 0:
                mean = nn.Sequential(mean, nn.Hardtanh(-spec.clip_mean, spec.clip_mean))
            self.mu = mean
            self.reset_noise()
        else:
            self.mu, self.log_std = mean, nn.Linear(width, actions)

    def reset_noise(self, n_envs: int = 1) -> None:
        """Draw exploration matrices for gSDE."""
        self.head.sample_weights(self.log_std, n_envs)

    def latents(self, seen: Seen) -> Tensor:
        """Give the latent of the policy, and behind it what gSDE has for its noise alone."""
        features = self.extractor(seen)
        latent: Tensor = self.latent_pi(features)
        extract = self.sde_features_extractor
        self._noisy = latent if extract is None else extract(features)
        return latent

    def mode(self, latents: Tensor) -> Tensor:
        """Tanh of the means."""
        return torch.tanh(self.mu(latents))

    def distribution(self, latents: Tensor) -> ActionDistribution:
        """Give the distribution of actions."""
        mean = self.mu(latents)
        if self.spec.use_sde:
            return self.head.distribution(mean, self.log_std, self._noisy)
        return SquashedGaussian(mean, torch.clamp(self.log_std(latents), *_LOG_STD))

    def sample(self, latents: Tensor) -> Tensor:
        """Draw actions."""
        return self.distribution(latents).sample()

    def drawn(self, features: Tensor, latent: Tensor) -> Tensor:
        """Draw actions for what the features extractor and `latent_pi` have given."""
        extract = self.sde_features_extractor
        self._noisy = latent if extract is None else extract(features)
        return self.sample(latent)

    def compared(self, latents: Tensor) -> dict[str, Tensor]:
        """Means and standard deviations of the Gaussian, before tanh, `(B, A)` each."""
        normal = self.distribution(latents)
        assert isinstance(normal, SquashedGaussian | StateDependentGaussian)
        return {"mean": normal.mean, "std": normal.std}


class SquashedActor(Actor):
    """The actor of TD3 and DDPG."""

    def __init__(self, spec: ReplaySpec, extractor: nn.Module | None = None) -> None:
        super().__init__(spec, extractor)
        assert isinstance(spec.action_space, Box)
        widths = (self.n_features, *spec.net_arch.pi, spec.action_space.size)
        self.mu = make_layers(widths, spec, has_output=True, squash=True)

    def latents(self, seen: Seen) -> Tensor:
        """Give the actions themselves."""
        actions: Tensor = self.mu(self.extractor(seen))
        return actions

    def mode(self, latents: Tensor) -> Tensor:
        """Give the actions."""
        return latents

    def compared(self, latents: Tensor) -> dict[str, Tensor]:
        """Give the actions, which are all that it computes."""
        return {"mode": latents}


class PlainActor(Actor):
    """The policy of ARS."""

    def __init__(self, spec: ReplaySpec, extractor: nn.Module | None = None) -> None:
        super().__init__(spec, extractor)
        space = spec.action_space
        outputs = space.n if isinstance(space, Discrete) else space.size  # type: ignore[union-attr]
        squash = spec.squash_output and isinstance(space, Box)
        widths = (self.n_features, *spec.net_arch.pi, outputs)
        self.action_net = make_layers(widths, spec, has_output=True, squash=squash)

    def latents(self, seen: Seen) -> Tensor:
        """Give actions, or scores of choices."""
        outputs: Tensor = self.action_net(self.extractor(seen))
        return outputs

    def mode(self, latents: Tensor) -> Tensor:
        """Give the actions, or the choices of the highest scores."""
        return latents if isinstance(self.spec.action_space, Box) else latents.argmax(dim=1)

    def compared(self, latents: Tensor) -> dict[str, Tensor]:
        """Give the actions, or the scores of choices."""
        return {"mode" if isinstance(self.spec.action_space, Box) else "logits": latents}


class ChoosingNetwork(Actor):
    """The network of DQN, which gives the value of each choice."""

    net_name, kept = "q_net", "q_value"

    def __init__(self, spec: ReplaySpec, extractor: nn.Module | None = None) -> None:
        super().__init__(spec, extractor)
        assert isinstance(spec.action_space, Discrete)
        self.n_choices = spec.action_space.n
        outputs = self.n_choices * (spec.n_quantiles or 1)
        widths = (self.n_features, *(spec.net_arch.qf or ()), outputs)
        self.add_module(self.net_name, make_layers(widths, spec, has_output=True))

    def latents(self, seen: Seen) -> Tensor:
        """Give the values of all choices, `(B, n)`."""
        values: Tensor = self.get_submodule(self.net_name)(self.extractor(seen))
        return values

    def values(self, latents: Tensor) -> Tensor:
        """Give the value of each choice, `(B, n)`."""
        return latents

    def mode(self, latents: Tensor) -> Tensor:
        """Give the choice of the highest value."""
        return self.values(latents).argmax(dim=1)

    def compared(self, latents: Tensor) -> dict[str, Tensor]:
        """Give the values of all choices."""
        return {self.kept: latents}


class QuantileNetwork(ChoosingNetwork):
    """The network of QR-DQN, which gives quantiles of the value of each choice."""

    net_name, kept = "quantile_net", "quantiles"

    def latents(self, seen: Seen) -> Tensor:
        """Give the quantiles, `(B, n_quantiles, n)`."""
        return super().latents(seen).view(-1, self.spec.n_quantiles, self.n_choices)

    def values(self, latents: Tensor) -> Tensor:
        """Give the means of the quantiles, `(B, n)`."""
        return latents.mean(dim=1)

    def compared(self, latents: Tensor) -> dict[str, Tensor]:
        """Give quantiles and their means."""
        return {"quantiles": latents, "q_value": self.values(latents)}


class Critics(Network):
    """The critics of SAC, TD3, DDPG and CrossQ."""

    kept = "q_value"

    def __init__(self, spec: ReplaySpec, extractor: nn.Module | None = None) -> None:
        super().__init__(spec, extractor)
        assert isinstance(spec.action_space, Box)
        inputs = self.n_features + spec.action_space.size
        for number in range(spec.n_critics):
            widths = (inputs, *(spec.net_arch.qf or ()), spec.n_quantiles or 1)
            self.add_module(f"qf{number}", make_layers(widths, spec, has_output=True))

    def forward(self, seen: Seen, actions: Tensor) -> Tensor:
        """Give the value that each critic estimates, `(B, n_critics)`.

        Args:
            seen: Preprocessed observations.
            actions: `(B, A)`, as the actor gives them.
        """
        return torch.cat(self._estimates(seen, actions), dim=1)

    def _estimates(self, seen: Seen, actions: Tensor) -> list[Tensor]:
        inputs = torch.cat([self.extractor(seen), actions], dim=1)
        return [self.get_submodule(f"qf{number}")(inputs) for number in range(self.spec.n_critics)]


class QuantileCritics(Critics):
    """The critics of TQC."""

    kept = "quantiles"

    def forward(self, seen: Seen, actions: Tensor) -> Tensor:
        """Give the quantiles that each critic estimates, `(B, n_critics, n_quantiles)`."""
        return torch.stack(self._estimates(seen, actions), dim=1)


KINDS: dict[str, Callable[..., Network]] = {
    "gaussian": GaussianActor,
    "squashed": SquashedActor,
    "plain": PlainActor,
    "choices": ChoosingNetwork,
    "quantiles": QuantileNetwork,
    "critics": Critics,
    "quantile_critics": QuantileCritics,
}
