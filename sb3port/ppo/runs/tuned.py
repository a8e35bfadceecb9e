"""Hyperparameters that rl_zoo3's authors tuned, for well-known environments.

The rows are those of rl_zoo3's `hyperparams/ppo.yml`, which each of them names. MuJoCo's environments are
there as v3, LunarLander as v2; Ant and Swimmer are normalised, but not tuned.
"""

from typing import Any

from sb3port.ppo.runs.plans import Plan


def _zoo(name: str, n_timesteps: int, **fields: Any) -> Plan:
    return Plan(f"rl_zoo3's hyperparams/ppo.yml, {name}", n_timesteps, **fields)


_WIDE = {
    "log_std_init": -2,
    "ortho_init": False,
    "activation_fn": "ReLU",
    "net_arch": {"pi": [256, 256], "vf": [256, 256]},
}
_HALF_CHEETAH = _zoo(
    "HalfCheetah-v3",
    1_000_000,
    normalize={},
    policy_kwargs=_WIDE,
    settings={
        "batch_size": 64,
        "n_steps": 512,
        "gamma": 0.98,
        "learning_rate": 2.0633e-05,
        "ent_coef": 0.000401762,
        "clip_range": 0.1,
        "n_epochs": 20,
        "gae_lambda": 0.92,
        "max_grad_norm": 0.8,
        "vf_coef": 0.58096,
    },
)
_HOPPER = _zoo(
    "Hopper-v3",
    1_000_000,
    normalize={},
    policy_kwargs=_WIDE,
    settings={
        "batch_size": 32,
        "n_steps": 512,
        "gamma": 0.999,
        "learning_rate": 9.80828e-05,
        "ent_coef": 0.00229519,
        "clip_range": 0.2,
        "n_epochs": 5,
        "gae_lambda": 0.99,
        "max_grad_norm": 0.7,
        "vf_coef": 0.835671,
    },
)
_WALKER = _zoo(
    "Walker2d-v3",
    1_000_000,
    normalize={},
    settings={
        "batch_size": 32,
        "n_steps": 512,
        "gamma": 0.99,
        "learning_rate": 5.05041e-05,
        "ent_coef": 0.000585045,
        "clip_range": 0.1,
        "n_epochs": 20,
        "gae_lambda": 0.95,
        "max_grad_norm": 1,
        "vf_coef": 0.871923,
    },
)
_ANT = _zoo("Ant-v3", 1_000_000, normalize={})
_SWIMMER = _zoo("Swimmer-v3", 1_000_000, normalize={}, settings={"gamma": 0.9999})

TUNED: dict[str, Plan] = {
    "Pendulum-v1": _zoo(
        "Pendulum-v1",
        100_000,
        n_envs=4,
        settings={
            "n_steps": 1024,
            "gae_lambda": 0.95,
            "gamma": 0.9,
            "n_epochs": 10,
            "learning_rate": 1e-3,
            "clip_range": 0.2,
            "use_sde": True,
            "sde_sample_freq": 4,
        },
    ),
    "CartPole-v1": _zoo(
        "CartPole-v1",
        100_000,
        n_envs=8,
        settings={
            "n_steps": 32,
            "batch_size": 256,
            "gae_lambda": 0.8,
            "gamma": 0.98,
            "n_epochs": 20,
            "learning_rate": "lin_0.001",
            "clip_range": "lin_0.2",
        },
    ),
    "MountainCar-v0": _zoo(
        "MountainCar-v0",
        1_000_000,
        n_envs=16,
        normalize={},
        settings={"n_steps": 16, "gae_lambda": 0.98, "gamma": 0.99, "n_epochs": 4},
    ),
    "MountainCarContinuous-v0": _zoo(
        "MountainCarContinuous-v0",
        20_000,
        normalize={},
        policy_kwargs={"log_std_init": -3.29, "ortho_init": False},
        settings={
            "batch_size": 256,
            "n_steps": 8,
            "gamma": 0.9999,
            "learning_rate": 7.77e-05,
            "ent_coef": 0.00429,
            "clip_range": 0.1,
            "n_epochs": 10,
            "gae_lambda": 0.9,
            "max_grad_norm": 5,
            "vf_coef": 0.19,
            "use_sde": True,
        },
    ),
    "Acrobot-v1": _zoo(
        "Acrobot-v1",
        1_000_000,
        n_envs=16,
        normalize={},
        settings={"n_steps": 256, "gae_lambda": 0.94, "gamma": 0.99, "n_epochs": 4},
    ),
    "LunarLander-v3": _zoo(
        "LunarLander-v2",
        1_000_000,
        n_envs=16,
        settings={
            "n_steps": 1024,
            "batch_size": 64,
            "gae_lambda": 0.98,
            "gamma": 0.999,
            "n_epochs": 4,
            "ent_coef": 0.01,
        },
    ),
    "BipedalWalker-v3": _zoo(
        "BipedalWalker-v3",
        5_000_000,
        n_envs=32,
        normalize={},
        settings={
            "n_steps": 2048,
            "batch_size": 64,
            "gae_lambda": 0.95,
            "gamma": 0.999,
            "n_epochs": 10,
            "learning_rate": 3e-4,
            "clip_range": 0.18,
        },
    ),
    **{f"HalfCheetah-{version}": _HALF_CHEETAH for version in ("v4", "v5")},
    **{f"Hopper-{version}": _HOPPER for version in ("v4", "v5")},
    **{f"Walker2d-{version}": _WALKER for version in ("v4", "v5")},
    **{f"Ant-{version}": _ANT for version in ("v4", "v5")},
    **{f"Swimmer-{version}": _SWIMMER for version in ("v4", "v5")},
}
