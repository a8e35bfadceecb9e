"""A LeRobot policy of type `ppo` that computes what policies of Stable-Baselines3 and sb3-contrib compute.

These are the policies of PPO, A2C, TRPO, MaskablePPO and RecurrentPPO.

Importing this package registers the policy, its processor steps and the `gymnasium` environment with LeRobot.
`PPOPolicy` itself is imported from `lerobot_policy_ppo.modeling_ppo`, when it is needed.
"""

from lerobot_policy_ppo.configuration_ppo import PPOConfig
from lerobot_policy_ppo.env_gymnasium import GymnasiumEnvConfig
from lerobot_policy_ppo.processor_ppo import (
    ClipActionProcessorStep,
    ToBatchProcessorStep,
    UnscaleActionProcessorStep,
    VecNormalizeProcessorStep,
    make_ppo_pre_post_processors,
)
from sb3port.networks.own_extractors import register_extractor

__all__ = [
    "ClipActionProcessorStep",
    "GymnasiumEnvConfig",
    "PPOConfig",
    "ToBatchProcessorStep",
    "UnscaleActionProcessorStep",
    "VecNormalizeProcessorStep",
    "make_ppo_pre_post_processors",
    "register_extractor",
]
