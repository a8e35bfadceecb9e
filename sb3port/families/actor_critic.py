"""`ActorCriticPolicy` of PPO, A2C and TRPO. Source: `stable_baselines3/common/policies.py`."""

from collections.abc import Mapping
from typing import Any

from sb3port.checkpoint.checkpoint import Array
from sb3port.families.base import ANY_ACTION, COMMON_OPTIONS, Family, action_outputs, class_names
from sb3port.families.layers import mlp_sizes


def _infer(tensors: Mapping[str, Array]) -> dict[str, Any]:
    """Until SB3 1.2 gSDE could have a features extractor of its own."""
    sizes = mlp_sizes("sde_features_extractor", tensors)
    return {"sde_net_arch": sizes} if sizes else {}


ACTOR_CRITIC = Family(
    "ActorCriticPolicy",
    # Until 0.6 each algorithm had classes of its own; later modules keep aliases of the common ones.
    class_names(
        ("stable_baselines3.common.policies",),
        ("ActorCriticPolicy", "ActorCriticCnnPolicy", "MultiInputActorCriticPolicy"),
    )
    | class_names(
        ("stable_baselines3.ppo.policies", "stable_baselines3.a2c.policies", "sb3_contrib.trpo.policies"),
        ("ActorCritic", "A2CPolicy", "MlpPolicy", "CnnPolicy", "MultiInputPolicy"),
    ),
    owns=lambda spec: not spec.maskable and spec.lstm_hidden_size is None,
    recognises=lambda *_: True,
    options=(*COMMON_OPTIONS, "log_std_init", "full_std", "use_expln", "squash_output"),
    infer=_infer,
    actions=ANY_ACTION,
    outputs=action_outputs,
    latent_inputs=lambda _, features: features,
    shapes=lambda *_: {},
)
