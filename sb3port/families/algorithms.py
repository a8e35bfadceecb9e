"""The algorithms whose checkpoints are ported, and the names of those that are not.

A zip does not say which algorithm saved it, so it is recognised by the settings that only one of them has
(the attributes set in `stable_baselines3/{ppo/ppo,a2c/a2c}.py` and `sb3_contrib/trpo/trpo.py`).
"""

from collections.abc import Collection
from dataclasses import dataclass

from sb3port.errors import NotPortable

_ON_POLICY = ("n_steps", "gamma", "gae_lambda", "ent_coef", "vf_coef", "max_grad_norm", "normalize_advantage")
_COMMON = ("n_envs", "num_timesteps", "seed", "use_sde", "sde_sample_freq")


@dataclass(frozen=True)
class Algorithm:
    """One algorithm.

    Args:
        name: As SB3's class is called.
        key: As the zoo spells it in repository names.
        signature: Settings that only this algorithm's zips have.
        hyperparameters: The settings worth keeping, by SB3's own names.
        schedules: Those settings that may be schedules.
    """

    name: str
    key: str
    signature: frozenset[str]
    hyperparameters: tuple[str, ...]
    schedules: tuple[str, ...]


_TRPO_ONLY = (
    "cg_max_steps",
    "cg_damping",
    "line_search_shrinking_factor",
    "line_search_max_iter",
    "n_critic_updates",
    "sub_sampling_factor",
)

PPO = Algorithm(
    "PPO",
    "ppo",
    frozenset({"n_epochs", "clip_range", "target_kl"}),
    (*_ON_POLICY, "batch_size", "n_epochs", "target_kl", *_COMMON),
    ("learning_rate", "clip_range", "clip_range_vf"),
)
TRPO = Algorithm(
    "TRPO",
    "trpo",
    frozenset({"cg_max_steps", "line_search_max_iter"}),
    (*_ON_POLICY, "batch_size", "target_kl", *_TRPO_ONLY, *_COMMON),
    ("learning_rate",),
)
A2C = Algorithm(
    "A2C",
    "a2c",
    frozenset({"gae_lambda", "ent_coef"}),
    (*_ON_POLICY, *_COMMON),
    ("learning_rate",),
)

# Most telling signature first: an A2C zip holds nothing that the others lack.
ALGORITHMS = (PPO, TRPO, A2C)
SUPPORTED = ", ".join(sorted(algorithm.name for algorithm in ALGORITHMS))


def identify(settings: Collection[str], where: str) -> Algorithm:
    """Tell which algorithm saved a zip from the names of its settings.

    Raises:
        NotPortable: None of the supported ones.
    """
    for algorithm in ALGORITHMS:
        if algorithm.signature <= set(settings):
            return algorithm
    kind = _unsupported(settings)
    raise NotPortable(f"{where} was saved by {kind}, which is not supported", f"supported: {SUPPORTED}")


def _unsupported(settings: Collection[str]) -> str:
    """Name an algorithm we do not port, as closely as its settings allow."""
    names = set(settings)
    if "exploration_rate" in names:
        return "DQN or QR-DQN"
    if "replay_buffer_class" in names or "buffer_size" in names:
        return "an off-policy algorithm (SAC, TD3, DDPG, TQC or another)"
    return "an unknown algorithm"
