"""Random actions: drawn by the distributions of SB3 and sb3-contrib, which are imported when first needed."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box


class Sampler:
    """Draws from torch's generator what SB3 would draw.

    Args:
        spec: The policy's.
        tensors: Its weights; `log_std` is one of them where actions are a Box.
    """

    def __init__(self, spec: PolicySpec, tensors: Mapping[str, Array]) -> None:
        self._spec = spec
        log_std = tensors.get("log_std")
        self._log_std = None if log_std is None else torch.from_numpy(log_std.copy())
        self._has_noise = False

    def __call__(self, outputs: Tensor, latent: Tensor, masks: Array | None) -> Tensor:
        """Draw one action per row.

        Args:
            outputs: What `action_net` gives.
            latent: What it was given, on which gSDE's noise depends.
            masks: Of a maskable policy, None allows all.
        """
        distribution = self._distribution
        if self._spec.use_sde:
            if not self._has_noise:
                self.reset_noise(1)
            distribution.proba_distribution(outputs, self._log_std, latent)
        elif isinstance(self._spec.action_space, Box):
            distribution.proba_distribution(outputs, self._log_std)
        else:
            distribution.proba_distribution(outputs)
        if masks is not None:
            distribution.apply_masking(masks)
        drawn: Tensor = distribution.get_actions(deterministic=False)
        return drawn

    def reset_noise(self, n_envs: int) -> None:
        """Draw gSDE's exploration matrices; until this is called, the first action does so."""
        with torch.no_grad():
            self._distribution.sample_weights(self._log_std, batch_size=n_envs)
        self._has_noise = True

    @cached_property
    def _distribution(self) -> Any:
        from sb3port.networks.gymnasium_spaces import gymnasium_space

        space: Any = gymnasium_space(self._spec.action_space)
        if self._spec.maskable:
            from sb3_contrib.common.maskable.distributions import make_masked_proba_distribution

            return make_masked_proba_distribution(space)
        from stable_baselines3.common.distributions import make_proba_distribution

        return self._with_noise(space) if self._spec.use_sde else make_proba_distribution(space)

    def _with_noise(self, space: Any) -> Any:
        from stable_baselines3.common.distributions import make_proba_distribution

        assert self._log_std is not None
        names = ("full_std", "use_expln", "squash_output")
        distribution: Any = make_proba_distribution(
            space, use_sde=True, dist_kwargs={name: getattr(self._spec, name) for name in names}
        )
        distribution.latent_sde_dim = len(self._log_std)
        return distribution
