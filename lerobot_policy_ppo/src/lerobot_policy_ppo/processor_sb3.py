"""What is around policies of several networks: what `processor_ppo` does, by the names of their types.

LeRobot's factory looks for a function here by the name of each type.
"""

from lerobot_policy_ppo.processor_ppo import make_processors

make_sb3_sac_pre_post_processors = make_processors
make_sb3_td3_pre_post_processors = make_processors
make_sb3_ddpg_pre_post_processors = make_processors
make_sb3_dqn_pre_post_processors = make_processors
make_sb3_qrdqn_pre_post_processors = make_processors
make_sb3_tqc_pre_post_processors = make_processors
make_sb3_crossq_pre_post_processors = make_processors
make_sb3_ars_pre_post_processors = make_processors
