"""Trainings that SB3 and we do alike: a few updates in the tests, more in `benchmarks/exactness.py`."""

from stable_baselines3.common.utils import LinearSchedule

from sb3port.ppo.runs.tuned import TUNED
from tests.plugin import environments  # noqa: F401 (registers them)

from .sb3 import Case

SMALL = {"n_steps": 64, "batch_size": 32, "n_epochs": 2}
TRUNCATED = {"n_steps": 50, "batch_size": 32, "n_epochs": 2}
ANY = "plugin_tests/Any-v0"
RELU = {"log_std_init": -2, "ortho_init": False, "activation_fn": "ReLU", "net_arch": [32, 32]}
LINEAR = {"learning_rate": LinearSchedule(1e-3, 0.0, 1.0), "clip_range": LinearSchedule(0.2, 0.1, 0.5)}
LSTM = {"lstm_hidden_size": 16, "net_arch": [16]}


def tuned(env: str, steps: int, **settings: object) -> Case:
    """The training that `sb3port train --env ENV` does."""
    plan = TUNED[env]
    return Case(
        env,
        steps,
        plan.n_envs,
        normalise=plan.normalize,
        policy_kwargs=plan.policy_kwargs,
        settings={**plan.settings, **settings},
    )


def kind(name: str, steps: int = 256, **options: object) -> Case:
    return Case(ANY, steps, 2, env_kwargs={"kind": name}, settings={**SMALL, "ent_coef": 0.01}, **options)


def masked(name: str, **options: object) -> Case:
    env_kwargs = {"kind": name, "masks": "method"}
    settings = {**TRUNCATED, "ent_coef": 0.01}
    return Case(ANY, 300, 3, "ppo_mask", env_kwargs=env_kwargs, settings=settings, **options)


CASES = {
    "CartPole": Case(
        "CartPole-v1", 768, 8, settings={**SMALL, "learning_rate": "lin_0.001", "clip_range": "lin_0.2"}
    ),
    "Acrobot, normalised": Case("Acrobot-v1", 768, 4, normalise={}, settings={**SMALL, "gae_lambda": 0.94}),
    "Pendulum, time limits": Case("Pendulum-v1", 1800, 3, settings={**TRUNCATED, "gamma": 0.9}),
    "Pendulum, in processes": Case(
        "Pendulum-v1", 900, 3, normalise={}, vec_env="subproc", settings={**TRUNCATED, "gamma": 0.9}
    ),
    "Pendulum, gSDE": Case("Pendulum-v1", 1024, 4, settings={**SMALL, "use_sde": True, "sde_sample_freq": 4}),
    "MountainCarContinuous": Case(
        "MountainCarContinuous-v0",
        512,
        normalise={},
        policy_kwargs={"log_std_init": -3.29, "ortho_init": False},
        settings={"n_steps": 8, "batch_size": 256, "use_sde": True, "ent_coef": 0.00429, "max_grad_norm": 5},
    ),
    "HalfCheetah": Case(
        "HalfCheetah-v5",
        512,
        normalise={},
        policy_kwargs=RELU,
        settings={**SMALL, "ent_coef": 4e-4, "gamma": 0.98},
    ),
    "Hopper": Case(
        "Hopper-v5",
        600,
        2,
        normalise={"norm_reward": False, "clip_obs": 5.0},
        settings={**TRUNCATED, "ent_coef": 0.002},
    ),
    "LunarLander": Case("LunarLander-v3", 1024, 4, settings={**SMALL, "ent_coef": 0.01, "gamma": 0.999}),
    "no layers": Case("CartPole-v1", 256, policy_kwargs={"net_arch": []}, settings=SMALL),
    "unequal layers": Case(
        "Pendulum-v1", 256, policy_kwargs={"net_arch": {"pi": [24], "vf": [40, 8, 8]}}, settings=SMALL
    ),
    "values clipped": Case("CartPole-v1", 512, 2, settings={**SMALL, "clip_range_vf": 0.1}),
    "values clipped ever less": Case("Pendulum-v1", 512, 2, settings={**SMALL, "clip_range_vf": "lin_0.1"}),
    "early stop": Case(
        "Pendulum-v1", 1024, 2, settings={**SMALL, "target_kl": 0.003, "n_epochs": 10, "learning_rate": 1e-3}
    ),
    "advantages as they are": Case("Pendulum-v1", 256, settings={**SMALL, "normalize_advantage": False}),
    "a minibatch of one": Case("CartPole-v1", 66, settings={"n_steps": 33, "batch_size": 32, "n_epochs": 2}),
    "gSDE squashed": Case(
        "Pendulum-v1",
        512,
        2,
        policy_kwargs={"squash_output": True, "use_expln": True, "full_std": False},
        settings={**SMALL, "use_sde": True},
    ),
    "other optimiser": Case(
        "Pendulum-v1", 256, policy_kwargs={"activation_fn": "ELU", "net_arch": [16]}, settings=SMALL
    ),
    "MultiDiscrete": kind("vector-multi-discrete"),
    "MultiBinary": kind("vector-multi-binary"),
    "Discrete seen": kind("discrete"),
    "MultiBinary seen": kind("multi-binary"),
    "Dict": kind("dict", 128, policy="MultiInputPolicy"),
    "image": kind("image", 128, policy="CnnPolicy"),
    "image, apart": kind(
        "image-first", 128, policy="CnnPolicy", policy_kwargs={"share_features_extractor": False}
    ),
    "image, rewards normalised": kind(
        "image", 128, policy="CnnPolicy", normalise={"norm_obs": False, "norm_reward": True}
    ),
    "recurrent": Case("Pendulum-v1", 900, 3, "ppo_lstm", policy_kwargs=LSTM, settings=TRUNCATED),
    "recurrent, normalised": Case(
        "CartPole-v1",
        512,
        2,
        "ppo_lstm",
        normalise={},
        policy_kwargs=LSTM,
        settings={**SMALL, "ent_coef": 0.01},
    ),
    "recurrent, shared": Case(
        "CartPole-v1",
        300,
        3,
        "ppo_lstm",
        policy_kwargs={**LSTM, "shared_lstm": True, "enable_critic_lstm": False},
        settings={**TRUNCATED, "clip_range_vf": 0.2},
    ),
    "recurrent, critic without": Case(
        "Pendulum-v1",
        500,
        2,
        "ppo_lstm",
        policy_kwargs={**LSTM, "n_lstm_layers": 2, "enable_critic_lstm": False},
        settings={**TRUNCATED, "use_sde": True, "target_kl": 0.05},
    ),
    "recurrent, Dict": kind("dict", 128, algorithm="ppo_lstm", policy="MultiInputPolicy", policy_kwargs=LSTM),
    "recurrent, MultiDiscrete": kind("vector-multi-discrete", algorithm="ppo_lstm", policy_kwargs=LSTM),
    "maskable": masked("vector-discrete"),
    "maskable, MultiDiscrete": masked("vector-multi-discrete", normalise={}),
    "maskable, MultiBinary": masked("vector-multi-binary"),
    "maskable, Discrete seen": masked("discrete"),
}

# Fine-tuning: trained by SB3, ported, trained again.
FINETUNED = {
    "gSDE, normalised": Case(
        "Pendulum-v1",
        512,
        2,
        normalise={},
        settings={**SMALL, "use_sde": True, "sde_sample_freq": 4, "gamma": 0.9, "clip_range_vf": 0.3},
    ),
    "linear schedules": Case("CartPole-v1", 512, 2, settings={**SMALL, **LINEAR, "ent_coef": 0.01}),
    "formulas": Case(
        "CartPole-v1",
        512,
        2,
        settings={
            **SMALL,
            "learning_rate": "1e-3 * progress_remaining ** 2",
            "clip_range": "0.3 if progress_remaining > 0.5 else max(0.1, 0.2 * progress_remaining)",
        },
    ),
    "ReLU": Case(
        "Pendulum-v1",
        512,
        2,
        normalise={"norm_obs": False},
        policy_kwargs={"activation_fn": "ReLU", "net_arch": {"pi": [32], "vf": [16, 16]}},
        settings={**SMALL, "target_kl": 0.02, "max_grad_norm": 0.8},
    ),
    "recurrent": Case(
        "CartPole-v1",
        256,
        2,
        "ppo_lstm",
        policy_kwargs={"lstm_hidden_size": 8, "net_arch": [8]},
        settings=SMALL,
    ),
    "maskable": masked("vector-multi-discrete"),
    "image": kind("image", 128, policy="CnnPolicy"),
    "Dict": kind("dict", 128, policy="MultiInputPolicy"),
    "recurrent, Dict": kind("dict", 128, algorithm="ppo_lstm", policy="MultiInputPolicy", policy_kwargs=LSTM),
}
