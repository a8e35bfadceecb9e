"""A policy of several networks: that of SAC, TD3, DDPG, DQN, QR-DQN, TQC, CrossQ or ARS.

Source: `stable_baselines3/{sac,td3,dqn}/policies.py`, `sb3_contrib/{tqc,qrdqn,crossq,ars}/policies.py`.
"""

from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from sb3port.checkpoint.checkpoint import ReplaySpec
from sb3port.checkpoint.spaces import Box, Discrete
from sb3port.errors import NoAction
from sb3port.families.features import batch_keys
from sb3port.families.registry import family_of
from sb3port.families.replay.specs import is_shared
from sb3port.networks.preprocessing import Preprocessor
from sb3port.networks.replay.gaussian import SquashedGaussian
from sb3port.networks.replay.modules import KINDS, Actor, Critics, GaussianActor, Network

Batch: TypeAlias = dict[str, Tensor]


class ReplayPolicy(nn.Module):
    """A policy that computes what SB3's and sb3-contrib's policies of these algorithms compute.

    Batches are those of `sb3port.networks.actor_critic`. B is the number of rows, A the number of elements of
    a Box action.

    Attributes:
        spec: What it computes.
        choices: Gymnasium's space of the actions of a Discrete, from which random ones are drawn; else None.
        preprocess: From a batch to what the features extractors take.
        actor, actor_target, critic, critic_target, q_net, q_net_target, quantile_net, quantile_net_target,
            action_net: The networks, named as in SB3, as far as the policy has them.
    """

    def __init__(self, spec: ReplaySpec) -> None:
        """Build the networks with torch's initialisation, as SB3 does.

        Args:
            spec: What the policy computes.

        Raises:
            ValueError: The spec is contradictory or not supported.
        """
        nn.Module.__init__(self)  # a policy of LeRobot's, which this is a base of, has begun already
        self._build(spec)

    def _build(self, spec: ReplaySpec) -> None:
        check_replay(spec)
        self.spec, self._family = spec, family_of(spec)
        self.preprocess = Preprocessor(spec.observation_space, spec.normalize_images)
        self._keys = list(batch_keys(spec.observation_space).values())
        made: dict[str, Network] = {}
        for network in self._family.networks:
            lender = made[network.shares].extractor if is_shared(spec, network) else None
            made[network.name] = KINDS[network.kind.name](spec, lender)
        self._acting = [self._first(made)]  # in a list, so that its weights are saved once
        for name, module in made.items():
            if name:
                self.add_module(name, module)
        for network in self._family.networks:
            if network.follows:
                made[network.name].load_state_dict(made[network.follows].state_dict(), strict=False)
        space = spec.action_space
        self.choices: Any = _choices(space) if isinstance(space, Discrete) else None

    def _first(self, made: dict[str, Network]) -> Actor:
        """Give the network that acts; one without a name is the policy itself, whose modules are its."""
        actor = made[self._family.networks[0].name]
        assert isinstance(actor, Actor)
        if not self._family.networks[0].name:
            for name, module in actor.named_children():
                self.add_module(name, module)
        return actor

    @property
    def acting(self) -> Actor:
        """The network that acts."""
        return self._acting[0]

    @torch.no_grad()
    def predict(
        self, batch: Batch, deterministic: bool = True, state: object = None, starts: object = None
    ) -> tuple[Tensor, None]:
        """Choose actions, as SB3's `policy.predict` does, but for the bounds.

        Args:
            batch: A preprocessed batch.
            deterministic: Take the most likely action. Otherwise SAC, TQC and CrossQ draw one of the
                Gaussian; DQN and QR-DQN take, as often as `exploration_rate` says, one at random for each
                row, as SB3's `predict` does of a batch, by NumPy's global generator and one of the space's;
                TD3, DDPG and ARS have no chance.
            state: None: these policies have no memory.
            starts: Likewise.

        Returns:
            Actions, and None. They are `(B, A)` for a Box, in [-1, 1] where the policy squashes, and int64
            `(B,)` for a Discrete.

        Raises:
            ValueError: An observation is missing or has the wrong shape, or holds NaN; or there is a memory.
        """
        if state is not None or starts is not None:
            raise ValueError("a state and episode starts are for recurrent policies, but this one is not.")
        if not deterministic and self.explores():
            count = len(batch[self._keys[0]])
            return torch.tensor([self.random_choice() for _ in range(count)]), None
        latents = self.latents(self.preprocess(batch))
        return (self.acting.mode if deterministic else self.acting.sample)(latents), None

    def latents(self, seen: Tensor | dict[str, Tensor]) -> Tensor:
        """Give what the acting network makes actions of, for preprocessed observations.

        Raises:
            NoAction: There is NaN.
        """
        latents = self.acting.latents(seen)
        if latents.isnan().any():
            raise NoAction
        return latents

    @torch.no_grad()
    def compared(
        self, batch: Batch, actions: Tensor, asked: Tensor | None = None, noise: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Give all that the networks compute, by the names of `sb3port.networks.outputs`.

        Args:
            batch: A preprocessed batch.
            actions: Actions to evaluate, `(B, A)` in [-1, 1] where the policy squashes; not looked at where
                they are choices.
            asked: Actions that the critics are asked about, if other ones.
            noise: That `actions` were drawn with, `(B, A)`, where it is known.
        """
        asked = actions if asked is None else asked
        seen = self.preprocess(batch)
        latents = self.latents(seen)
        found = {**self.acting.compared(latents), "mode": self.acting.mode(latents)}
        if isinstance(self.acting, GaussianActor):
            normal = self.acting.distribution(latents)
            if noise is not None and isinstance(normal, SquashedGaussian):
                found["log_prob"] = normal.sampled_log_prob(actions, noise)
            else:
                found["log_prob"] = normal.log_prob(actions)
        for network in self._family.networks[1:]:
            module = self.get_submodule(network.name)
            target = "target_" if network.follows else ""
            if isinstance(module, Critics):
                found[f"{target}{module.kept}"] = module(seen, asked)
            elif isinstance(module, Actor):
                target_outputs = module.compared(module.latents(seen))
                found |= {f"{target}{name}": value for name, value in target_outputs.items()}
        return found

    @torch.no_grad()
    def select_action(self, batch: Batch) -> Tensor:
        """Deterministic actions, neither clipped nor unscaled: `(B, A)` float32, or `(B, 1)` int64."""
        actions, _ = self.predict(batch)
        return actions.unsqueeze(1) if actions.ndim == 1 else actions

    def reset(self) -> None:
        """Do nothing: there is no memory."""

    def reset_noise(self, n_envs: int = 1) -> None:
        """Draw new exploration matrices for gSDE.

        Args:
            n_envs: Number of environments that get a matrix of their own.

        Raises:
            ValueError: The policy does not use gSDE.
        """
        if not self.spec.use_sde or not isinstance(self.acting, GaussianActor):
            raise ValueError("reset_noise() is supported with gSDE only, but use_sde is False.")
        self.acting.reset_noise(n_envs)

    def seed(self, seed: int) -> None:
        """Seed the choices that are made at random."""
        if self.choices is not None:
            self.choices.seed(seed)

    def random_choice(self) -> int:
        """Draw one of the choices, each as often as any other."""
        assert self.choices is not None
        return int(self.choices.sample())

    def explores(self) -> bool:
        """Draw whether actions are random ones now; SB3 draws one number for all rows of a call."""
        return self.choices is not None and bool(
            self._family.networks[0].name and np.random.rand() < self.spec.exploration_rate
        )


def _choices(space: Discrete) -> Any:
    """Give the space that random choices are drawn from; without any, Gymnasium is not needed."""
    from sb3port.networks.gymnasium_spaces import gymnasium_space

    return gymnasium_space(space)


def check_replay(spec: ReplaySpec) -> None:
    """Check that a spec is one of these algorithms, and fits its action space.

    Raises:
        ValueError: It does not.
    """
    family = family_of(spec)
    if not family.networks:
        raise ValueError(f"{spec.algorithm!r} is none of the algorithms with such policies.")
    if not isinstance(spec.action_space, family.actions):
        kinds = ", ".join(kind.__name__ for kind in family.actions)
        raise ValueError(f"action_space is {spec.action_space}, but {family.name} is for {kinds}.")
    if spec.use_sde and not isinstance(spec.action_space, Box):
        raise ValueError(f"use_sde is set for {spec.action_space}, but it is supported for Box only.")
