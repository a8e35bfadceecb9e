"""The `ppo` policy: Stable-Baselines3's ActorCriticPolicy as a LeRobot policy, number for number."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, override

import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import ACTION, OBS_STATE
from safetensors import safe_open
from torch import Tensor, nn

from lerobot_policy_ppo.configuration_ppo import PPOConfig
from lerobot_policy_ppo.distributions import ActionDistribution, StateDependentHead, make_head
from lerobot_policy_ppo.networks import MlpExtractor, orthogonal_init


class PPOPolicy(PreTrainedPolicy):
    """An actor-critic policy that computes what Stable-Baselines3's `ActorCriticPolicy` computes.

    Batches are dictionaries that have been through the preprocessor: `observation.state` is `(B, n)` or
    `(B, *shape of the observation space)`. B is the batch size, A the number of elements of a Box action.

    Attributes:
        log_std: Log standard deviations of a Box policy, `(A,)`, with gSDE `(H, A)` or `(H, 1)`; None for
            Discrete.
        mlp_extractor, action_net, value_net: The networks, named as in SB3.
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
        super().__init__(config)
        config.validate_features()
        self._n_obs = math.prod(config.gym_observation_space().shape)
        self.mlp_extractor = MlpExtractor(self._n_obs, config.net_arch, config.activation_fn)
        self._build_head()
        self.value_net = nn.Linear(self.mlp_extractor.latent_dim_vf, 1)
        if config.ortho_init:
            for module, gain in (
                (self.mlp_extractor, 2**0.5),
                (self.action_net, 0.01),
                (self.value_net, 1.0),
            ):
                orthogonal_init(module, gain)
        self.reset()

    def _build_head(self) -> None:
        latent_dim = self.mlp_extractor.latent_dim_pi
        self.head = make_head(self.config.gym_action_space(), self.config)
        self.action_net = nn.Linear(latent_dim, self.head.n_outputs)
        log_std = self.head.initial_log_std(latent_dim)
        self.log_std = None if log_std is None else nn.Parameter(log_std)
        if isinstance(self.head, StateDependentHead):
            self.reset_noise()

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
            ValueError: The weights do not fit the configuration.
        """
        return super().from_pretrained(pretrained_name_or_path, strict=strict, **kwargs)

    @classmethod
    def _load_as_safetensor(cls, model: Self, model_file: str, map_location: str, strict: bool) -> Self:
        if strict:
            _check_shapes({key: tuple(t.shape) for key, t in model.state_dict().items()}, model_file)
        return super()._load_as_safetensor(model, model_file, map_location, strict)

    @torch.no_grad()
    def predict(self, batch: dict[str, Tensor], deterministic: bool = True) -> tuple[Tensor, None]:
        """Choose actions, as SB3's `policy.forward` does.

        Args:
            batch: A preprocessed batch.
            deterministic: Take the most likely action instead of a random one. With gSDE the random one
                depends on the exploration matrices that the last `reset_noise` drew (construction draws the
                first, from `log_std_init`, as in SB3).

        Returns:
            Actions and the state, which is None. Actions are `(B, A)` for a Box, not clipped to its bounds
            (within [-1, 1] when `squash_output`), and int64 `(B,)` for a Discrete.
        """
        latent = self.mlp_extractor.policy_net(self._features(batch))
        outputs = self.action_net(latent)
        if deterministic:
            return self.head.mode(outputs), None
        return self.head.distribution(outputs, self.log_std, latent).sample(), None

    def predict_values(self, batch: dict[str, Tensor]) -> Tensor:
        """Estimated returns of the observations, `(B,)`, in the units of the (normalised) training reward."""
        return self.value_net(self.mlp_extractor.value_net(self._features(batch))).flatten()

    def evaluate_actions(
        self, batch: dict[str, Tensor], actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Evaluate actions under the current policy, with gradients.

        Args:
            batch: A preprocessed batch.
            actions: Actions as `predict` gives them; a Discrete may also be `(B, 1)` and of any number type.

        Returns:
            Values, log-likelihoods in nats and entropies in nats, each `(B,)`. The entropy is None for
            squashed gSDE, which has no analytical form.
        """
        features = self._features(batch)
        latent_pi, latent_vf = self.mlp_extractor(features)
        distribution = self._distribution(latent_pi)
        log_prob = distribution.log_prob(self.head.as_actions(actions))
        return self.value_net(latent_vf).flatten(), log_prob, distribution.entropy()

    @override
    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], **kwargs: Any) -> Tensor:
        """Deterministic actions for LeRobot's postprocessor, which clips or unscales them.

        Args:
            batch: A preprocessed batch.
            **kwargs: What LeRobot may pass to any policy; not needed.

        Returns:
            `(B, A)` float32 for a Box, `(B, 1)` int64 for a Discrete.
        """
        actions, _ = self.predict(batch)
        return actions.unsqueeze(1) if actions.ndim == 1 else actions

    @override
    @torch.no_grad()
    def predict_action_chunk(self, batch: dict[str, Tensor], **kwargs: Any) -> Tensor:
        """`select_action` as a chunk of one action, `(B, 1, A)` or `(B, 1, 1)`."""
        return self.select_action(batch).unsqueeze(1)

    def forward(self, batch: dict[str, Tensor], reduction: str = "mean") -> tuple[Tensor, dict[str, float]]:
        """Behaviour-cloning loss, for lerobot-train: negative log-likelihood of the recorded actions.

        Args:
            batch: A preprocessed batch with `action`: what the environment took, `(B, A)`, or `(B, 1)` of any
                number type for a Discrete.
            reduction: "mean", or "none" for one loss per row.

        Returns:
            The loss in nats, a scalar or `(B,)`, and numbers to log.

        Raises:
            ValueError: `reduction` is neither.
        """
        if reduction not in ("mean", "none"):
            raise ValueError(f"reduction is {reduction!r}, but only 'mean' and 'none' are supported.")
        distribution = self._distribution(self.mlp_extractor.policy_net(self._features(batch)))
        losses = -distribution.log_prob(self.head.from_environment(batch[ACTION]))
        mean = losses.mean()
        return (mean if reduction == "mean" else losses), {"nll": mean.item()}

    def reset(self) -> None:
        """Nothing to do: the policy has no memory."""

    def reset_noise(self, n_envs: int = 1) -> None:
        """Draw new exploration matrices from the current `log_std`.

        Args:
            n_envs: Number of environments that get a matrix of their own.

        Raises:
            ValueError: The policy does not use gSDE.
        """
        if not isinstance(self.head, StateDependentHead) or self.log_std is None:
            raise ValueError("reset_noise() is supported with gSDE only, but use_sde is False.")
        self.head.sample_weights(self.log_std, n_envs)

    def get_optim_params(self) -> Iterator[nn.Parameter]:
        """All parameters, in SB3's order."""
        return self.parameters()

    def _distribution(self, latent_pi: Tensor) -> ActionDistribution:
        return self.head.distribution(self.action_net(latent_pi), self.log_std, latent_pi)

    def _features(self, batch: dict[str, Tensor]) -> Tensor:
        """Flat float observations, `(B, n)`: what SB3's FlattenExtractor gives."""
        obs = batch[OBS_STATE]
        # LeRobot stores a one-element feature without its dimension, so a batch of those may come as (1, B).
        is_row_of_numbers = self._n_obs == 1 and obs.ndim == 2 and obs.shape[0] == 1
        if obs.ndim < 2 or (math.prod(obs.shape[1:]) != self._n_obs and not is_row_of_numbers):
            raise ValueError(
                f"{OBS_STATE} has shape {tuple(obs.shape)}, but the policy needs (batch, {self._n_obs})."
            )
        return obs.float().reshape(-1, self._n_obs)


def _check_shapes(expected: dict[str, tuple[int, ...]], model_file: str) -> None:
    """Raise one ValueError that lists every tensor that is missing, unknown or of the wrong shape."""
    with safe_open(model_file, framework="pt") as tensors:
        found = {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
    problems = [f"{key} is missing" for key in expected if key not in found]
    problems += [f"{key} is unknown" for key in found if key not in expected]
    problems += [
        f"{key} has shape {found[key]} instead of {shape}"
        for key, shape in expected.items()
        if key in found and found[key] != shape
    ]
    if problems:
        raise ValueError(f"The weights in {model_file} do not fit its configuration: {'; '.join(problems)}.")
