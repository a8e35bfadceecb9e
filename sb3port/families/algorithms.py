"""The algorithms whose checkpoints are ported, and the names of those that are not.

A zip does not say which algorithm saved it, so it is recognised by its policy class, or by the settings that
only one of them has (the attributes set in `stable_baselines3/{ppo/ppo,a2c/a2c}.py` and
`sb3_contrib/trpo/trpo.py`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sb3port.errors import NotPortable

_ON_POLICY = ("n_steps", "gamma", "gae_lambda", "ent_coef", "vf_coef", "max_grad_norm", "normalize_advantage")
_COMMON = ("n_envs", "num_timesteps", "seed", "use_sde", "sde_sample_freq")


@dataclass(frozen=True)
class Algorithm:
    """One algorithm.

    Args:
        name: As SB3's class is called.
        key: As the zoo spells it in repository names.
        signature: Settings that only this algorithm's zips have; empty where its policy class shows it.
        hyperparameters: The settings worth keeping, by SB3's own names.
        schedules: Those settings that may be schedules.
        default_rates: What SB3 takes for those that nobody gives.
        default_settings: The same for settings that older zips do not have.
    """

    name: str
    key: str
    signature: frozenset[str]
    hyperparameters: tuple[str, ...]
    schedules: tuple[str, ...]
    default_rates: Mapping[str, float]
    default_settings: Mapping[str, Any]


_TRPO_ONLY = (
    "cg_max_steps",
    "cg_damping",
    "line_search_shrinking_factor",
    "line_search_max_iter",
    "n_critic_updates",
    "sub_sampling_factor",
)
_PPO_SETTINGS = (*_ON_POLICY, "batch_size", "n_epochs", "target_kl", *_COMMON)
_PPO_SCHEDULES = ("learning_rate", "clip_range", "clip_range_vf")
_PPO_RATES = {"learning_rate": 3e-4, "clip_range": 0.2}
_ADVANTAGES = {"normalize_advantage": True}  # since 1.5

PPO = Algorithm(
    "PPO",
    "ppo",
    frozenset({"n_epochs", "clip_range", "target_kl"}),
    _PPO_SETTINGS,
    _PPO_SCHEDULES,
    _PPO_RATES,
    _ADVANTAGES,
)
_LIKE_PPO = (frozenset[str](), _PPO_SETTINGS, _PPO_SCHEDULES, _PPO_RATES, _ADVANTAGES)
MASKABLE_PPO = Algorithm("MaskablePPO", "ppo_mask", *_LIKE_PPO)
RECURRENT_PPO = Algorithm("RecurrentPPO", "ppo_lstm", *_LIKE_PPO)
TRPO = Algorithm(
    "TRPO",
    "trpo",
    frozenset({"cg_max_steps", "line_search_max_iter"}),
    (*_ON_POLICY, "batch_size", "target_kl", *_TRPO_ONLY, *_COMMON),
    ("learning_rate",),
    {"learning_rate": 1e-3},
    _ADVANTAGES,
)
A2C = Algorithm(
    "A2C",
    "a2c",
    frozenset({"gae_lambda", "ent_coef"}),
    (*_ON_POLICY, *_COMMON),
    ("learning_rate",),
    {"learning_rate": 7e-4},
    {"normalize_advantage": False},
)

# Most telling signature first: an A2C zip holds nothing that the others lack.
ALGORITHMS = (PPO, TRPO, A2C, MASKABLE_PPO, RECURRENT_PPO)
SUPPORTED = ", ".join(algorithm.name for algorithm in ALGORITHMS)
_BY_KEY = {algorithm.key: algorithm for algorithm in ALGORITHMS}

# Algorithms that are not ported: the package of their policies, and settings that only they have. The first
# that fits is it, so that those come before the ones that they derive from.
_OTHERS = (
    ("TQC", "sb3_contrib.tqc", {"top_quantiles_to_drop_per_net"}),
    ("CrossQ", "sb3_contrib.crossq", set[str]()),
    ("QR-DQN", "sb3_contrib.qrdqn", set[str]()),
    ("ARS", "sb3_contrib.ars", {"n_delta", "alive_bonus_offset"}),
    ("SAC", "stable_baselines3.sac", {"target_entropy", "target_update_interval"}),
    ("DQN", "stable_baselines3.dqn", {"exploration_rate"}),
    ("TD3", "stable_baselines3.td3", {"policy_delay", "target_noise_clip"}),
    ("an off-policy algorithm", "", {"buffer_size"}),
    ("an off-policy algorithm", "", {"replay_buffer_class"}),
)


def algorithm_of(key: str) -> Algorithm:
    """Give the algorithm of a key such as "ppo".

    Raises:
        NotPortable: There is none.
    """
    if key not in _BY_KEY:
        raise NotPortable(f"the algorithm {key[:200]} is unknown", f"supported: {SUPPORTED}")
    return _BY_KEY[key]


def algorithm_for(masks: bool, memory: bool) -> str:
    """Name the algorithm of SB3's and sb3-contrib's that has such policies; A2C's and TRPO's are PPO's.

    Args:
        masks: Whether the policy is told which actions are allowed.
        memory: Whether it has LSTMs.
    """
    if memory:
        return "ppo_lstm"
    return "ppo_mask" if masks else "ppo"


def display_name(key: str) -> str:
    """Give an algorithm's name for people: SB3's class name where it is known."""
    return _BY_KEY[key].name if key in _BY_KEY else key.upper()


def refuse_others(settings: Mapping[str, Any], policy_class: str, where: str) -> None:
    """Refuse the algorithms that are not ported, by their names.

    Args:
        settings: `data`.
        policy_class: Dotted name of the policy class, empty where it has none.
        where: What to call the checkpoint in an error message.

    Raises:
        NotPortable: An off-policy algorithm, or ARS, saved it.
    """
    other = other_algorithm(settings, policy_class)
    if other is not None:
        raise NotPortable(
            f"{where} was saved by {other}, which is not supported",
            f"only actor-critic policies of {SUPPORTED} are ported: load this one with SB3 and "
            "clone its actions into a policy of a supported algorithm, or train anew",
        )


def other_algorithm(settings: Mapping[str, Any], policy_class: str) -> str | None:
    """Name the algorithm that saved a zip if it is one of those that are not ported, else None."""
    for name, package, signature in _OTHERS:
        by_class = bool(package) and policy_class.startswith(f"{package}.")
        if by_class or (signature and signature <= settings.keys()):
            return _td3_or_ddpg(name, settings)
    return None


def _td3_or_ddpg(name: str, settings: Mapping[str, Any]) -> str:
    """DDPG is a TD3 without delay and noise clipping (`stable_baselines3/ddpg/ddpg.py`)."""
    is_ddpg = settings.get("policy_delay") == 1 and settings.get("target_noise_clip") == 0
    return "DDPG" if name == "TD3" and is_ddpg else name


def identify(settings: Mapping[str, Any], where: str) -> Algorithm:
    """Tell which algorithm saved a zip from its settings, where the policy class does not say.

    Raises:
        NotPortable: None of the supported ones.
    """
    if _is_early_a2c(settings):
        return A2C
    for algorithm in ALGORITHMS:
        if algorithm.signature and algorithm.signature <= settings.keys():
            return algorithm
    raise NotPortable(
        f"{where} was saved by an unknown algorithm, which is not supported", f"supported: {SUPPORTED}"
    )


def _is_early_a2c(settings: Mapping[str, Any]) -> bool:
    """Until SB3 0.6 A2C was a PPO of one epoch over the whole rollout; PPO itself always has a batch size."""
    names: Collection[str] = settings.keys()
    whole = "batch_size" in names and settings["batch_size"] is None and settings.get("n_epochs") == 1
    return whole and "clip_range" in names and "normalize_advantage" in names
