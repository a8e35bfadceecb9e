"""LeRobot policies that compute what policies of Stable-Baselines3 and sb3-contrib compute.

Type `ppo` are those of PPO, A2C, TRPO, MaskablePPO and RecurrentPPO; `sb3_sac`, `sb3_td3`, `sb3_ddpg`,
`sb3_dqn`, `sb3_qrdqn`, `sb3_tqc`, `sb3_crossq` and `sb3_ars` are those of the algorithms they are named for.

Importing this package registers them, their processor steps and the `gymnasium` environment with LeRobot.
The policies are imported from `lerobot_policy_ppo.modeling_ppo` and `modeling_sb3`, when they are needed.
"""

from lerobot_policy_ppo import configuration_sb3 as _configuration_sb3  # noqa: F401 (which registers types)
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
