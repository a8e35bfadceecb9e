"""The policies of several networks as LeRobot's, number for number, a class for each type.

Training is SB3's: neither `lerobot-train` nor `sb3port finetune` trains them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from torch import Tensor, nn
from typing_extensions import Self, override

from lerobot_policy_ppo.configuration_sb3 import (
    Sb3ArsConfig,
    Sb3Config,
    Sb3CrossqConfig,
    Sb3DdpgConfig,
    Sb3DqnConfig,
    Sb3QrdqnConfig,
    Sb3SacConfig,
    Sb3Td3Config,
    Sb3TqcConfig,
)
from lerobot_policy_ppo.loading import check_weights, refuse_other_processors
from sb3port.networks.replay.policy import Batch, ReplayPolicy


class Sb3Policy(ReplayPolicy, PreTrainedPolicy):
    """A policy that computes what SB3's and sb3-contrib's policies of several networks compute.

    What it computes, and how it is asked, is `sb3port.networks.replay.policy.ReplayPolicy`; this is how
    LeRobot makes, loads and calls it.
    """

    config_class = Sb3Config
    name = "sb3"
    config: Sb3Config

    def __init__(self, config: Sb3Config, **kwargs: Any) -> None:  # noqa: ARG002
        """Build the networks with SB3's initialisation.

        Args:
            config: The configuration; spaces and features that it lacks are derived.
            **kwargs: What LeRobot passes to every policy (`dataset_stats`, `dataset_meta`); not needed.

        Raises:
            ValueError: The configuration is incomplete, contradictory or not supported.
        """
        PreTrainedPolicy.__init__(self, config)
        config.validate_features()
        self._build(config.spec)  # type: ignore[arg-type]  # that of Sb3Config is a ReplaySpec

    @classmethod
    def from_pretrained(
        cls, pretrained_name_or_path: str | Path, *, strict: bool = True, **kwargs: Any
    ) -> Self:
        """Load a policy from a folder or a Hub repository; see `PPOPolicy.from_pretrained`.

        Args:
            pretrained_name_or_path: Folder or Hub repository.
            strict: Refuse weights that do not fit.
            **kwargs: See `PreTrainedPolicy.from_pretrained`.

        Raises:
            FileNotFoundError: The configuration or the weights are not there.
            ValueError: The weights do not fit the configuration, or other processors lie beside them.
        """
        refuse_other_processors(pretrained_name_or_path, kwargs)
        return super().from_pretrained(pretrained_name_or_path, strict=strict, **kwargs)

    @classmethod
    def _load_as_safetensor(cls, model: Self, model_file: str, map_location: str, strict: bool) -> Self:
        if strict and check_weights(model, model_file):
            strict = False
        return super()._load_as_safetensor(model, model_file, map_location, strict)

    @override
    @torch.no_grad()
    def select_action(self, batch: Batch, **kwargs: Any) -> Tensor:
        """Deterministic actions for LeRobot's postprocessor, which clips or unscales them.

        Args:
            batch: A preprocessed batch.
            **kwargs: What LeRobot may pass to any policy; not needed.

        Returns:
            `(B, A)` float32 for a Box, `(B, 1)` int64 for a Discrete.
        """
        return ReplayPolicy.select_action(self, batch)

    @override
    @torch.no_grad()
    def predict_action_chunk(self, batch: Batch, **kwargs: Any) -> Tensor:
        """`select_action` as a chunk of one action, `(B, 1, A)`."""
        return self.select_action(batch, **kwargs).unsqueeze(1)

    def forward(self, batch: Batch, reduction: str = "mean") -> NoReturn:  # noqa: ARG002
        """Refuse: these policies are not trained by LeRobot.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            f"lerobot-train does not train policies of type {self.name}: SB3 goes on with what sb3port "
            "export --to sb3 writes."
        )

    def reset(self) -> None:
        """Do nothing: there is no memory."""

    def get_optim_params(self) -> Iterator[nn.Parameter]:
        """All parameters, in SB3's order."""
        return self.parameters()


class Sb3SacPolicy(Sb3Policy):
    """The policy of SAC; see `Sb3Policy`."""

    config_class = Sb3SacConfig
    name = "sb3_sac"


class Sb3Td3Policy(Sb3Policy):
    """The policy of TD3; see `Sb3Policy`."""

    config_class = Sb3Td3Config
    name = "sb3_td3"


class Sb3DdpgPolicy(Sb3Policy):
    """The policy of DDPG; see `Sb3Policy`."""

    config_class = Sb3DdpgConfig
    name = "sb3_ddpg"


class Sb3DqnPolicy(Sb3Policy):
    """The policy of DQN; see `Sb3Policy`."""

    config_class = Sb3DqnConfig
    name = "sb3_dqn"


class Sb3QrdqnPolicy(Sb3Policy):
    """The policy of QR-DQN; see `Sb3Policy`."""

    config_class = Sb3QrdqnConfig
    name = "sb3_qrdqn"


class Sb3TqcPolicy(Sb3Policy):
    """The policy of TQC; see `Sb3Policy`."""

    config_class = Sb3TqcConfig
    name = "sb3_tqc"


class Sb3CrossqPolicy(Sb3Policy):
    """The policy of CrossQ; see `Sb3Policy`."""

    config_class = Sb3CrossqConfig
    name = "sb3_crossq"


class Sb3ArsPolicy(Sb3Policy):
    """The policy of ARS; see `Sb3Policy`."""

    config_class = Sb3ArsConfig
    name = "sb3_ars"
