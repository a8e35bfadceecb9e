"""rl_zoo3's search space for PPO, for RecurrentPPO as well.

Source: `sample_ppo_params` and `convert_onpolicy_params` of `rl_zoo3/hyperparams_opt.py`, version 2.9. The
names of the parameters are its own.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import optuna

NETWORKS = {
    "tiny": {"pi": [64], "vf": [64]},
    "small": {"pi": [64, 64], "vf": [64, 64]},
    "medium": {"pi": [256, 256], "vf": [256, 256]},
}
SEARCHED = (
    "n_steps",
    "batch_size",
    "gamma",
    "gae_lambda",
    "learning_rate",
    "ent_coef",
    "clip_range",
    "n_epochs",
    "max_grad_norm",
)
"""The hyperparameters that are chosen, beside `policy_kwargs`."""
_WHOLE = {"batch_size_pow": (2, 10), "n_steps_pow": (5, 12)}
_NUMBERS = {
    "one_minus_gamma": (0.0001, 0.03, True),
    "one_minus_gae_lambda": (0.0001, 0.1, True),
    "learning_rate": (1e-5, 0.002, True),
    "ent_coef": (0.00000001, 0.1, True),
    "max_grad_norm": (0.3, 2, False),
}
_CHOICES: dict[str, list[Any]] = {
    "clip_range": [0.1, 0.2, 0.3, 0.4],
    "n_epochs": [1, 5, 10, 20],
    "net_arch": ["tiny", "small", "medium"],
    "activation_fn": ["tanh", "relu"],
}
ACTIVATIONS = {"tanh": "Tanh", "relu": "ReLU", "elu": "ELU", "leaky_relu": "LeakyReLU"}


class Sampled(NamedTuple):
    """One choice.

    Args:
        settings: Hyperparameters by SB3's names.
        policy_kwargs: SB3's.
    """

    settings: dict[str, Any]
    policy_kwargs: dict[str, Any]


def sample(trial: "optuna.Trial") -> Sampled:
    """Let a trial choose."""
    for name, (low, high) in _WHOLE.items():
        trial.suggest_int(name, low, high)
    for name, (least, most, log) in _NUMBERS.items():
        trial.suggest_float(name, least, most, log=log)
    for name, choices in _CHOICES.items():
        trial.suggest_categorical(name, choices)
    found = converted(trial.params)
    for name in ("gamma", "n_steps", "batch_size"):
        trial.set_user_attr(name, found.settings[name])
    return found


def is_within(params: Mapping[str, Any], whole: bool) -> bool:
    """Whether a trial may have chosen that: a study may be anybody's.

    Args:
        params: As `trial.params` has them.
        whole: Whether all has been chosen.
    """
    known = {*_WHOLE, *_NUMBERS, *_CHOICES}
    return (set(params) == known if whole else set(params) <= known) and all(
        _fits(name, value) for name, value in params.items()
    )


def _fits(name: str, value: Any) -> bool:
    if name in _CHOICES:
        return any(type(value) is type(one) and value == one for one in _CHOICES[name])
    low, high, *_ = _WHOLE.get(name) or _NUMBERS[name]
    kind = int if name in _WHOLE else float
    return isinstance(value, kind) and not isinstance(value, bool) and low <= value <= high


def converted(params: Mapping[str, Any]) -> Sampled:
    """Give what a trial chose as hyperparameters.

    Args:
        params: As `trial.params` has them.
    """
    same = ("learning_rate", "ent_coef", "clip_range", "n_epochs", "max_grad_norm")
    settings = {
        "n_steps": 2 ** params["n_steps_pow"],
        "batch_size": 2 ** params["batch_size_pow"],
        "gamma": 1 - params["one_minus_gamma"],
        "gae_lambda": 1 - params["one_minus_gae_lambda"],
        **{name: params[name] for name in same},
    }
    return Sampled(
        settings,
        {
            "net_arch": NETWORKS[params["net_arch"]],
            "activation_fn": ACTIVATIONS[params["activation_fn"]],
        },
    )
