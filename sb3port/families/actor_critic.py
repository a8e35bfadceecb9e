"""`ActorCriticPolicy` of PPO, A2C and TRPO. Source: `stable_baselines3/common/policies.py`."""

from sb3port.families.base import ANY_ACTION, COMMON_OPTIONS, Family, action_outputs, class_names

ACTOR_CRITIC = Family(
    "ActorCriticPolicy",
    # Until 0.6 each algorithm had classes of its own; later modules keep aliases of the common ones.
    class_names(
        ("stable_baselines3.common.policies",),
        ("ActorCriticPolicy", "ActorCriticCnnPolicy", "MultiInputActorCriticPolicy"),
    )
    | class_names(
        ("stable_baselines3.ppo.policies", "stable_baselines3.a2c.policies", "sb3_contrib.trpo.policies"),
        ("PPOPolicy", "A2CPolicy", "MlpPolicy", "CnnPolicy", "MultiInputPolicy"),
    ),
    owns=lambda spec: not spec.maskable and spec.lstm_hidden_size is None,
    recognises=lambda *_: True,
    options=(*COMMON_OPTIONS, "log_std_init", "full_std", "use_expln", "squash_output"),
    infer=lambda _: {},
    actions=ANY_ACTION,
    outputs=action_outputs,
    latent_inputs=lambda _, features: features,
    shapes=lambda *_: {},
)
