"""sb3-contrib's recurrent policy with the masked distributions of its maskable one.

sb3-contrib has no such policy; forks that have one put its two classes together like this. What either of
them computes is left to sb3-contrib.
"""

from typing import Any

from sb3_contrib.common.maskable.distributions import make_masked_proba_distribution
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from torch import Tensor

from sb3port.checkpoint.checkpoint import Array


class RecurrentMaskableActorCriticPolicy(RecurrentActorCriticPolicy):  # type: ignore[misc]  # untyped
    """A recurrent policy that is told which actions are allowed.

    Attributes:
        action_masks: Which are, in what is asked next: bool `(n, choices)`, or None for all.
    """

    action_masks: Array | None = None

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        self.action_dist: Any = make_masked_proba_distribution(self.action_space)
        self.action_net = self.action_dist.proba_distribution_net(self.mlp_extractor.latent_dim_pi)

    def _get_action_dist_from_latent(self, latent_pi: Tensor) -> Any:
        distribution = self.action_dist.proba_distribution(action_logits=self.action_net(latent_pi))
        if self.action_masks is not None:
            distribution.apply_masking(self.action_masks)
        return distribution
