"""The `ppo` policy: Stable-Baselines3's ActorCriticPolicy as a LeRobot policy, number for number."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import ACTION
from torch import Tensor, nn
from typing_extensions import Self, override

from lerobot_policy_ppo.configuration_ppo import PPOConfig
from lerobot_policy_ppo.loading import check_weights, refuse_other_processors
from sb3port.networks.actor_critic import ActorCritic, Batch


class PPOPolicy(ActorCritic, PreTrainedPolicy):
    """An actor-critic policy that computes what SB3's and sb3-contrib's policies for PPO compute.

    What it computes, and how it is asked, is `sb3port.networks.actor_critic.ActorCritic`; this is how LeRobot
    makes, loads, calls and trains it.
    """

    config_class = PPOConfig
    name = "ppo"
    config: PPOConfig

    def __init__(self, config: PPOConfig, **kwargs: Any) -> None:  # noqa: ARG002
        """Build the networks with SB3's initialisation, drawing random numbers in SB3's order.

        Args:
            config: The configuration; spaces and features that it lacks are derived.
            **kwargs: What LeRobot passes to every policy (`dataset_stats`, `dataset_meta`); not needed.

        Raises:
            ValueError: The configuration is incomplete, contradictory or not supported.
        """
        PreTrainedPolicy.__init__(self, config)
        config.validate_features()
        self._build(config.spec)

    @classmethod
    def from_pretrained(
        cls, pretrained_name_or_path: str | Path, *, strict: bool = True, **kwargs: Any
    ) -> Self:
        """Load a policy from a folder or a Hub repository, as `PreTrainedPolicy.from_pretrained` does.

        Args:
            pretrained_name_or_path: Folder or Hub repository.
            strict: Refuse weights that do not fit; LeRobot's own default would leave missing ones random.
            **kwargs: See `PreTrainedPolicy.from_pretrained`.

        Raises:
            FileNotFoundError: The configuration or the weights are not there.
            ValueError: The weights do not fit the configuration, or processors lie beside them that are not
                those of this policy: LeRobot, which loads them next, would import and call what they name.
        """
        refuse_other_processors(pretrained_name_or_path, kwargs)
        return super().from_pretrained(pretrained_name_or_path, strict=strict, **kwargs)

    @classmethod
    def _load_as_safetensor(cls, model: Self, model_file: str, map_location: str, strict: bool) -> Self:
        if strict and check_weights(model, model_file):
            # Safetensors takes a tied parameter that is there under both of its names for an unknown one.
            strict = False
        return super()._load_as_safetensor(model, model_file, map_location, strict)

    @override
    @torch.no_grad()
    def select_action(self, batch: Batch, episode_starts: Tensor | None = None, **kwargs: Any) -> Tensor:
        """Deterministic actions for LeRobot's postprocessor, which clips or unscales them.

        A recurrent policy remembers its rows from call to call, until `reset`.

        Args:
            batch: A preprocessed batch.
            episode_starts: Recurrent policies: `(B,)`, 1 or True for the rows that begin an episode, which
                alone forget what was before.
            **kwargs: What LeRobot may pass to any policy; not needed.

        Returns:
            `(B, A)` float32 for a Box, `(B, 1)` int64 for a Discrete, `(B, k)` int64 for the other two.

        Raises:
            ValueError: A recurrent policy got another number of rows than since the last `reset`.
        """
        return ActorCritic.select_action(self, batch, episode_starts)

    @override
    @torch.no_grad()
    def predict_action_chunk(self, batch: Batch, **kwargs: Any) -> Tensor:
        """`select_action` as a chunk of one action, `(B, 1, A)`."""
        return self.select_action(batch, **kwargs).unsqueeze(1)

    def forward(self, batch: Batch, reduction: str = "mean") -> tuple[Tensor, dict[str, float]]:
        """Behaviour-cloning loss, for lerobot-train: negative log-likelihood of the recorded actions.

        Args:
            batch: A preprocessed batch with `action`: what the environment took, `(B, A)`, for the discrete
                spaces of any number type.
            reduction: "mean", or "none" for one loss per row.

        Returns:
            The loss in nats, a scalar or `(B,)`, and numbers to log.

        Raises:
            ValueError: `reduction` is neither, or the policy is recurrent: batches hold no sequences.
        """
        if reduction not in ("mean", "none"):
            raise ValueError(f"reduction is {reduction!r}, but only 'mean' and 'none' are supported.")
        losses = self.negative_log_likelihood(batch, batch[ACTION])
        mean = losses.mean()
        return (mean if reduction == "mean" else losses), {"nll": mean.item()}

    def reset(self) -> None:
        """Forget the episodes so far; only recurrent policies remember any."""
        ActorCritic.reset(self)

    def get_optim_params(self) -> Iterator[nn.Parameter]:
        """All parameters, in SB3's order."""
        return self.parameters()
